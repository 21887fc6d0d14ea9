"""How far an agent's uncertainty can be trusted: its sampled utilities against the simulator, on held-out duels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym.generators import QuestionSource
from duelgym.metrics import Judged, LabelGroups, excess_nll, marginal_groups, polyadic_groups

N_SAMPLES = 100
"""Asked of every agent: an ensemble of 10 gives each particle ten times, which is exact; a Gaussian gives 100 draws."""
N_DUELS, DUELS_EACH = 256, 4
"""About so many duels, a few of each question: every candidate of a question is evaluated, whatever is compared."""
KINDS = ("marginal", "dyadic")


@dataclass(frozen=True)
class HeldOutDuels:
    """Random pairs of some assessment questions, the same for all agents of a seed and at all checkpoints.

    Attributes:
        contexts: the questions with all their candidates, since an agent may read one beside the others.
        pairs: positions of the two candidates of each duel of each question.
        probabilities: that the first is preferred, by the simulator's judgement: free of flips and of the order shown.
        groups: marginal and dyadic groups of labels.
    """

    contexts: Contexts
    pairs: Int64[np.ndarray, "questions duels 2"]
    probabilities: Float64[np.ndarray, "questions duels"]
    groups: dict[str, LabelGroups]

    @classmethod
    def drawn(
        cls, held_out: Judged, generator: QuestionSource, rng: np.random.Generator, *, texts: bool
    ) -> HeldOutDuels | None:
        """Return the duels of an episode; None where nothing can be compared or scored."""
        n_questions, n_candidates = held_out.questions.candidate_ids.shape
        if n_candidates < 2 or n_questions < 2 or not held_out.simulator.has_judgement:
            return None
        each = min(DUELS_EACH, n_candidates // 2)
        pairs = np.argsort(rng.random((n_questions, n_candidates)), axis=1)[:, : 2 * each].reshape(-1, each, 2)
        p = np.stack([held_out.probability(pairs[:, k, 0], pairs[:, k, 1]) for k in range(each)], axis=1)
        some = slice(None, None, -(-n_questions * each // N_DUELS))  # all over the assessment prompts
        n_duels = p[some].size
        return cls(
            generator.contexts(held_out.questions.rows(some), texts=texts),
            pairs[some],
            np.clip(p[some], 0, 1),  # which rounding may leave
            {"marginal": marginal_groups(n_duels), "dyadic": polyadic_groups(n_duels, rng)},
        )

    def excess_nll(self, agent: Any, rng: np.random.Generator) -> dict[str, float]:
        """Return the marginal and the dyadic excess NLL of an agent with ``sample_utilities``, in nats per group.

        Raises:
            SpecificationError: if its samples have another shape, or are not finite.
        """
        utilities = np.asarray(agent.sample_utilities(self.contexts, N_SAMPLES, rng))
        shape = (N_SAMPLES, *self.contexts.candidates.shape[:2])
        if utilities.shape != shape or utilities.dtype.kind != "f":
            raise SpecificationError(f"floats of shape {shape} are needed, not {utilities.dtype} of {utilities.shape}")
        if not np.isfinite(utilities).all():
            raise SpecificationError("the sampled utilities are not all finite")
        rows = np.arange(len(self.pairs))[:, None]
        logits = (utilities[:, rows, self.pairs[..., 0]] - utilities[:, rows, self.pairs[..., 1]]).reshape(
            N_SAMPLES, -1
        )
        p = self.probabilities.ravel()
        return {kind: excess_nll(logits, p, groups) for kind, groups in self.groups.items()}
