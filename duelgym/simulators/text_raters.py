"""Raters who read: utilities from the texts that are shown, by a scorer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from duelgym import assets
from duelgym.errors import SpecificationError
from duelgym.generators.protocol import Questions, QuestionSource
from duelgym.pools import CandidatePool
from duelgym.simulators.attributes import AttributeRaters, Attributes, Population
from duelgym.simulators.populations import calibration_pairs, pool_population
from duelgym.simulators.raters import RaterArgument
from duelgym.simulators.scorers import Scorer

CALIBRATION_PROMPTS = 128
CALIBRATION_EACH = 10
"""An even number: they are paired."""


@dataclass(frozen=True)
class TextRaters:
    """The one rater whose utility is what a scorer of one attribute gives.

    Args:
        scorer: reads the texts; has one attribute.
        source: knows the texts of the questions.
        rater: None or 0.

    Raises:
        SpecificationError: if another rater is asked for.
    """

    scorer: Scorer
    source: QuestionSource
    rater: RaterArgument = None

    def __post_init__(self) -> None:
        if self.rater not in (None, 0) or isinstance(self.rater, bool):
            raise SpecificationError(f"rater is {self.rater!r}; there is one rater: give 0 or leave it out")

    def draw(self, rng: np.random.Generator) -> TextRaters:
        """Return this rater: the population is one."""
        return self

    def utilities(self, questions: Questions) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return the scores of the responses shown, from one call of the scorer."""
        return scores(self.scorer, self.source, questions)[:, :, 0]


@dataclass
class TextAttributes:
    """Standardised attributes of the responses shown, centred over them; the last questions' are kept, for mixtures of raters."""

    scorer: Scorer
    source: QuestionSource
    population: Population
    _last: tuple[Questions, Attributes] | None = None

    def __call__(self, questions: Questions) -> Attributes:
        """Return the attributes in the order shown."""
        if self._last is None or self._last[0] is not questions:
            values = scores(self.scorer, self.source, questions)
            self._last = questions, self.population.standardised(values, self.scorer.attributes)
        return self._last[1]


def text_raters(scorer: Scorer, source: QuestionSource, rater: RaterArgument) -> TextRaters | AttributeRaters:
    """Return who judges texts: one rater where the scorer gives a utility, the embedded world's raters where it gives their attributes.

    The spread of each attribute and each rater's temperature are set on responses of the embedded pool, so that scorers on
    different scales (rubric and reward model) have raters who are equally sure.

    Raises:
        SpecificationError: on another rater, or attributes that nothing combines.
    """
    if len(scorer.attributes) == 1:
        return TextRaters(scorer, source, rater)
    pool = CandidatePool.open(assets.POOL) if assets.POOL.is_dir() else None
    if pool is None or set(pool.attributes) != set(scorer.attributes):
        raise SpecificationError(
            f"the simulator scores {', '.join(scorer.attributes)}, and nothing says how a rater combines them; name the one that "
            "is the utility with head=…"
        )
    population, pairs = _calibrated(scorer, pool)
    return AttributeRaters(population, TextAttributes(scorer, source, population), pairs, rater)


def scores(
    scorer: Scorer, source: QuestionSource, questions: Questions
) -> Float64[np.ndarray, "batch n_candidates attributes"]:
    """Return the scores of the responses shown, from one call of the scorer."""
    both = [
        source.texts(int(prompt_id), ids)
        for prompt_id, ids in zip(questions.prompt_ids, questions.candidate_ids, strict=True)
    ]
    return scorer.score([prompt for prompt, _ in both], [responses for _, responses in both])


def _calibrated(scorer: Scorer, pool: CandidatePool) -> tuple[Population, Float64[np.ndarray, "pairs 2 attributes"]]:
    population = pool_population(pool)
    if scorer.specification().get("model") == "embedded":
        return population, calibration_pairs(pool)
    sample = [pool.texts(row) for row in range(min(CALIBRATION_PROMPTS, pool.n_prompts))]
    each = min(CALIBRATION_EACH, pool.n_candidates // 2 * 2)
    values = scorer.score([t.prompt for t in sample], [t.candidates[:each] for t in sample])
    order = [scorer.attributes.index(name) for name in population.names]
    spread = np.sqrt(values.var(axis=1, ddof=1).mean(axis=0))[order]
    if not spread.min() > 0:
        raise SpecificationError(
            f"{population.names[int(spread.argmin())]!r} is the same for all responses of the embedded pool, so this scorer "
            "cannot be put on the raters' scale"
        )
    population = replace(population, spread=tuple(float(value) for value in spread))
    standardised = population.standardised(values, scorer.attributes)
    return population, standardised.reshape(-1, 2, standardised.shape[2])


@dataclass(frozen=True)
class NoUtilities:
    """The rater of a simulator that compares texts itself and has no utilities, such as an LLM judge."""

    def draw(self, rng: np.random.Generator) -> NoUtilities:
        """Return this rater."""
        return self

    def utilities(self, questions: Questions) -> None:
        """Return nothing."""
