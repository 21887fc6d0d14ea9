"""What all simulators share that change the answers of another one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError
from duelgym.simulators.protocol import Duels, PreferenceSimulator
from duelgym.simulators.scorers import Scorer


@dataclass(frozen=True)
class Wrapper:
    """Answers as the inner simulator does; a subclass, a frozen dataclass too, changes what it is about.

    Specifications call a subclass by its ``name``, which is ``module:CLASS`` unless it says otherwise.

    Args:
        inner: the simulator whose answers are changed.

    Raises:
        SpecificationError: if the inner simulator is none, or answers without utilities where they are needed.
    """

    inner: PreferenceSimulator
    name: ClassVar[str]
    over_utilities: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = f"{cls.__module__}:{cls.__qualname__}"

    def __post_init__(self) -> None:
        if not isinstance(self.inner, PreferenceSimulator):
            raise SpecificationError(f"{self.name} changes the answers of another simulator; {self.inner!r} is none")
        if self.over_utilities and not self.inner.has_judgement:
            asked = self.inner.specification()[0]["name"]
            raise SpecificationError(f"{self.name} needs utilities, and {asked} answers without any")

    @property
    def symmetric(self) -> bool:
        """As the inner simulator."""
        return self.inner.symmetric

    @property
    def follows_utility(self) -> bool:
        """As the inner simulator."""
        return self.inner.follows_utility

    @property
    def has_judgement(self) -> bool:
        """As the inner simulator."""
        return self.inner.has_judgement

    @property
    def needs_texts(self) -> bool:
        """As the inner simulator."""
        return self.inner.needs_texts

    @property
    def needs_lengths(self) -> bool:
        """As the inner simulator."""
        return bool(getattr(self.inner, "needs_lengths", False))

    @property
    def n_raters(self) -> int:
        """As the inner simulator."""
        return int(getattr(self.inner, "n_raters", 1))

    @property
    def scorer(self) -> Scorer | None:
        """As the inner simulator."""
        return getattr(self.inner, "scorer", None)

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the inner simulator's probability."""
        return self.inner.probability(duels)

    def undecided(self, duels: Duels) -> Float64[np.ndarray, "batch 2"]:
        """Return the inner simulator's probabilities of a skip and of a tie, 0 where it always decides."""
        undecided = getattr(self.inner, "undecided", None)
        return np.zeros((len(duels.prompt_ids), 2)) if undecided is None else undecided(duels)

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the inner simulator's judgement: this belongs to the asking."""
        return self.inner.judgement(duels)

    def specification(self) -> list[dict[str, object]]:
        """Return the inner simulator's list with one object more: the name and the settings."""
        settings = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "inner"}
        return [*self.inner.specification(), {"name": self.name, **settings}]
