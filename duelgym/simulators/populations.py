"""The raters of a pool: one of what is recorded, or those who combine its attributes, which scorers can give to other texts too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError
from duelgym.simulators.attributes import AttributeRaters, Attributes, Population
from duelgym.simulators.raters import RaterArgument, RaterPopulation

if TYPE_CHECKING:
    from duelgym.generators import Questions
    from duelgym.pools import CandidatePool


_CALIBRATION: dict[str, Float64[np.ndarray, "pairs 2 attributes"]] = {}
"""By the pool's hash: an environment is made for every episode, and all prompts are read for this."""
_KEPT = 4


@dataclass(frozen=True)
class PoolRater:
    """The one rater of a pool with a single attribute: its utilities are those recorded."""

    pool: CandidatePool

    def draw(self, rng: np.random.Generator) -> PoolRater:
        """Return this rater: the population is one."""
        return self

    def utilities(self, questions: Questions) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return the recorded utilities."""
        recorded = self.pool.utilities(questions.prompt_ids)[:, :, 0]
        return np.take_along_axis(recorded, questions.candidate_ids, axis=1)


def pool_raters(pool: CandidatePool, rater: RaterArgument) -> RaterPopulation:
    """Return the population of a pool: one rater where it has one attribute, those it documents where it has several.

    Raises:
        SpecificationError: if another rater is asked for, or several attributes come without raters.
    """
    if len(pool.attributes) != 1:
        return attribute_raters(pool, rater)
    if rater not in (None, 0) or isinstance(rater, bool):
        raise SpecificationError(f"rater is {rater!r}; pool {pool.name!r} holds one rater: give 0 or leave it out")
    return PoolRater(pool)


@dataclass(frozen=True)
class RecordedAttributes:
    """Standardised attributes from a pool: centred over all of a prompt's candidates, however many are shown."""

    pool: CandidatePool
    population: Population

    def __call__(self, questions: Questions) -> Attributes:
        """Return the attributes of the candidates shown, in their order."""
        every = self.population.standardised(self.pool.utilities(questions.prompt_ids), self.pool.attributes)
        return np.take_along_axis(every, questions.candidate_ids[:, :, None], axis=1)


def pool_population(pool: CandidatePool) -> Population:
    """Return the raters that a pool documents.

    Raises:
        SpecificationError: if it documents none.
    """
    described = pool.manifest.get("raters")
    if described is None:
        raise SpecificationError(
            f"pool {pool.name!r} has {len(pool.attributes)} attributes and documents no raters who combine them; record it with "
            "--raters, or with a simulator of one utility"
        )
    return Population.from_specification(described)


def attribute_raters(pool: CandidatePool, rater: RaterArgument) -> AttributeRaters:
    """Return the population of a pool with several attributes.

    Raises:
        SpecificationError: on an unknown rater, or a pool without raters.
    """
    population = pool_population(pool)
    return AttributeRaters(population, RecordedAttributes(pool, population), calibration_pairs(pool), rater)


def calibration_pairs(pool: CandidatePool) -> Float64[np.ndarray, "pairs 2 attributes"]:
    """Return the pairs on which each rater's temperature is set: columns 0 and 1, 2 and 3, ... of every prompt."""
    if pool.sha256 not in _CALIBRATION:
        while len(_CALIBRATION) >= _KEPT:
            del _CALIBRATION[next(iter(_CALIBRATION))]
        population = pool_population(pool)
        values = population.standardised(pool.utilities(np.arange(pool.n_prompts)), pool.attributes)
        pairs = values[:, : pool.n_candidates // 2 * 2].reshape(-1, 2, values.shape[2])
        pairs.flags.writeable = False
        _CALIBRATION[pool.sha256] = pairs
    return _CALIBRATION[pool.sha256]
