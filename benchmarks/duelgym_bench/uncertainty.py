"""How far an agent's sampled utilities can be trusted: their mean and their spread against the simulator, on held-out duels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym.generators import QuestionSource
from duelgym.metrics import Judged, LabelGroups, excess_nll, marginal_groups, polyadic_groups

N_SAMPLES = 100
"""Asked of every agent: an ensemble of 10 gives each particle ten times, which is exact; a Gaussian gives 100 draws."""
N_DUELS, DUELS_EACH = 256, 4
"""About so many duels, a few of each question: every candidate of a question is evaluated, whatever is compared."""
KINDS = ("marginal", "dyadic")
ACCURACIES = ("random", "best")


@dataclass(frozen=True)
class HeldOutDuels:
    """Pairs of some assessment questions, the same for all agents of a seed and at all checkpoints.

    Attributes:
        contexts: the questions with all their candidates, since an agent may read one beside the others.
        pairs: positions of the two candidates of each duel of each question, drawn at random.
        probabilities: that the first is preferred, by the simulator's judgement: free of flips and of the order shown.
        groups: marginal and dyadic groups of labels.
        best_pairs: as many pairs of each question's Borda winner with another candidate drawn at random.
        best_probabilities: that the winner is preferred.
    """

    contexts: Contexts
    pairs: Int64[np.ndarray, "questions duels 2"]
    probabilities: Float64[np.ndarray, "questions duels"]
    groups: dict[str, LabelGroups]
    best_pairs: Int64[np.ndarray, "questions duels 2"]
    best_probabilities: Float64[np.ndarray, "questions duels"]

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
        some = slice(None, None, -(-n_questions * each // N_DUELS))  # all over the assessment prompts
        n_duels = pairs[some, :, 0].size
        groups = {"marginal": marginal_groups(n_duels), "dyadic": polyadic_groups(n_duels, rng)}
        winners = held_out.winners()
        others = np.argsort(rng.random((n_questions, n_candidates - 1)), axis=1)[:, :each]
        others += others >= winners[:, None]
        best = np.stack([np.broadcast_to(winners[:, None], others.shape), others], axis=2)

        def probabilities(of: Int64[np.ndarray, "questions duels 2"]) -> Float64[np.ndarray, "questions duels"]:
            p = np.stack([held_out.probability(of[:, k, 0], of[:, k, 1]) for k in range(of.shape[1])], axis=1)
            return np.clip(p[some], 0, 1)  # which rounding may leave

        contexts = generator.contexts(held_out.questions.rows(some), texts=texts)
        return cls(contexts, pairs[some], probabilities(pairs), groups, best[some], probabilities(best))

    def scores(self, agent: Any, rng: np.random.Generator) -> dict[str, dict[str, float]]:
        """Return what an agent with ``sample_utilities`` knows of these duels.

        ``"excess_nll"``: the marginal and the dyadic excess NLL of the random pairs, in nats per group.
        ``"accuracy"``: of the random pairs and of the winner's, the share that the mean utilities put in the simulator's order;
        equal utilities are right half of the time, pairs without an order are left out (.5 where none has any).

        Raises:
            SpecificationError: if its samples have another shape, or are not finite.
        """
        utilities = np.asarray(agent.sample_utilities(self.contexts, N_SAMPLES, rng))
        shape = (N_SAMPLES, *self.contexts.candidates.shape[:2])
        if utilities.shape != shape or utilities.dtype.kind != "f":
            raise SpecificationError(f"floats of shape {shape} are needed, not {utilities.dtype} of {utilities.shape}")
        if not np.isfinite(utilities).all():
            raise SpecificationError("the sampled utilities are not all finite")
        logits, p = _differences(utilities, self.pairs), self.probabilities.ravel()
        best = _differences(utilities, self.best_pairs).mean(axis=0)
        return {
            "excess_nll": {kind: excess_nll(logits, p, groups) for kind, groups in self.groups.items()},
            "accuracy": {
                "random": accuracy(logits.mean(axis=0), p),
                "best": accuracy(best, self.best_probabilities.ravel()),
            },
        }


def accuracy(logits: Float64[np.ndarray, " duels"], probabilities: Float64[np.ndarray, " duels"]) -> float:
    """Return the share of duels whose predicted order is the simulator's; see :meth:`HeldOutDuels.scores`."""
    ordered = probabilities != 0.5
    agreement = np.sign(logits[ordered]) * np.sign(probabilities[ordered] - 0.5)
    return float((1 + agreement.mean()) / 2) if ordered.any() else 0.5


def _differences(
    utilities: Float[np.ndarray, "samples questions n_candidates"], pairs: Int64[np.ndarray, "questions duels 2"]
) -> Float[np.ndarray, "samples all_duels"]:
    rows = np.arange(len(pairs))[:, None]
    return (utilities[:, rows, pairs[..., 0]] - utilities[:, rows, pairs[..., 1]]).reshape(len(utilities), -1)
