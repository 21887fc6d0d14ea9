"""Scorers: from texts to numbers that say how good a response is. Raters combine them into a utility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError
from duelgym.simulators.bradley_terry import BradleyTerry
from duelgym.simulators.protocol import Duels


@runtime_checkable
class Scorer(Protocol):
    """Reads responses and gives each of its attributes a number.

    With one attribute that number is the utility; with several a rater says how they combine.
    """

    @property
    def attributes(self) -> tuple[str, ...]:
        """What is scored, in the order of :meth:`score`'s last axis; known without loading weights."""
        ...

    def score(
        self, prompts: Sequence[str], responses: Sequence[Sequence[str]]
    ) -> Float64[np.ndarray, "batch n attributes"]:
        """Return the scores of n responses to each prompt; every prompt has equally many."""
        ...

    def specification(self) -> dict[str, object]:
        """Return the JSON object, with its ``name``, from which an equal scorer is built."""
        ...


@dataclass(frozen=True)
class Scored:
    """P(first preferred) = 1 / (1 + exp(-(u_first - u_second) / temperature)), u from a scorer: Bradley-Terry over texts.

    The environment's rater reads all candidates of a question once and hands their utilities in; nothing is scored here.

    Args:
        scorer: where utilities come from.
        temperature: scale of the noise, in units of utility; positive and finite.

    Raises:
        SpecificationError: if the temperature is not a positive finite number.
    """

    scorer: Scorer
    temperature: float = 1.0
    symmetric = True
    follows_utility = True
    has_judgement = True
    needs_texts = False

    def __post_init__(self) -> None:
        BradleyTerry(self.temperature)  # which refuses what is no temperature

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the Bradley-Terry probability that the first shown is preferred."""
        return BradleyTerry(self.temperature).probability(duels)

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the same as :meth:`probability`."""
        return self.probability(duels)

    def specification(self) -> list[dict[str, object]]:
        """Return the scorer's object with the temperature."""
        return [{**self.scorer.specification(), "temperature": float(self.temperature)}]


@dataclass(frozen=True)
class Rubrics:
    """The rubric of the embedded world: eight attributes of an answer to one of its instructions.

    :func:`duelgym.world.rubric.mark` says which criteria an answer meets, and what attributes they make.
    """

    @property
    def attributes(self) -> tuple[str, ...]:
        """What the rubric marks."""
        from duelgym.world.rubric import ATTRIBUTES

        return ATTRIBUTES

    def score(
        self, prompts: Sequence[str], responses: Sequence[Sequence[str]]
    ) -> Float64[np.ndarray, "batch n attributes"]:
        """Return the marks of every response.

        Raises:
            SpecificationError: if a prompt is not an instruction of the embedded world.
        """
        from duelgym.world.rubric import ATTRIBUTES, mark

        n = checked_shape(prompts, responses)
        marks = [
            mark(prompt, response) for prompt, answers in zip(prompts, responses, strict=True) for response in answers
        ]
        scores = [[one.attributes[name] for name in ATTRIBUTES] for one in marks]
        return np.array(scores, dtype=np.float64).reshape(len(prompts), n, len(ATTRIBUTES))

    def specification(self) -> dict[str, object]:
        """Return ``{"name": "rubrics"}``."""
        return {"name": "rubrics"}


def checked_shape(prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> int:
    """Return n, the number of responses to each prompt.

    Raises:
        SpecificationError: if there are not as many groups of responses as prompts, or groups differ in size.
    """
    sizes = {len(group) for group in responses}
    if len(prompts) != len(responses) or len(sizes) > 1:
        raise SpecificationError(
            f"{len(prompts)} prompts came with {len(responses)} groups of {sorted(sizes)} responses; give each prompt equally many"
        )
    return sizes.pop() if sizes else 0
