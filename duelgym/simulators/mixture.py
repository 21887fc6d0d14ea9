"""Many raters, each label by another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from duelgym.checks import whole_number
from duelgym.errors import SpecificationError
from duelgym.simulators.protocol import Duels
from duelgym.simulators.wrapper import Wrapper

LARGEST = 1000
"""Raters whose utilities of all that is shown are held at once."""


@dataclass(frozen=True)
class Mixture(Wrapper):
    """P(first preferred) = P of the inner simulator for one of R raters, drawn uniformly and afresh for each query.

    The episode draws R raters from its population; who is asked at query t depends on the seed and t alone. Over queries
    the label is "first" with probability (1/R) * sum over r of P_r, which is the judgement too (of the inner judgements).
    It need not follow any utility.

    Args:
        inner: how each of the raters answers.
        raters: R, from 2 to 1 000.

    Raises:
        SpecificationError: if R is not such a number, or the inner simulator is a mixture already.
    """

    raters: int
    name: ClassVar[str] = "mixture"
    over_utilities: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "raters", whole_number("mixture: raters", self.raters, 2, most=LARGEST))
        if getattr(self.inner, "n_raters", 1) > 1:
            raise SpecificationError("mixture: the inner simulator is a mixture already; name it once")

    @property
    def follows_utility(self) -> bool:
        """Not: a majority need not rank as any utility does."""
        return False

    @property
    def n_raters(self) -> int:
        """How many raters the episode must draw."""
        return self.raters

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the mean over the raters."""
        if duels.all_utilities is None:
            raise SpecificationError(
                "the mixture simulator needs the utilities of all its raters; these duels have none"
            )
        total = np.zeros(len(duels.prompt_ids))
        for rater in range(duels.all_utilities.shape[2]):
            one = replace(duels, utilities=duels.all_utilities[:, :, rater], all_utilities=None)
            total += self.inner.judgement(one)
        return total / duels.all_utilities.shape[2]
