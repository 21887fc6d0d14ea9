"""Questions scored by a simulator: every candidate against the others, the winner, and the regret of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from duelgym.simulators.protocol import Duels, PreferenceSimulator

if TYPE_CHECKING:
    from duelgym.generators import Questions


@dataclass(frozen=True)
class Judged:
    """Questions, the hidden rater's utilities of their candidates, and the simulator that judges.

    Every number is a probability under ``simulator.judgement``; axes are batch, candidate.
    """

    simulator: PreferenceSimulator
    questions: Questions
    utilities: Float64[np.ndarray, "batch n_candidates"] | None

    def probability(
        self, first: Int64[np.ndarray, " batch"], second: Int64[np.ndarray, " batch"]
    ) -> Float64[np.ndarray, " batch"]:
        """Return the probability that the candidate at position ``first`` is better than that at ``second``."""
        pairs = np.stack([first, second], axis=1)
        return self.simulator.judgement(self.duels(pairs, np.full(len(pairs), -1, dtype=np.int64)))

    def duels(
        self,
        pairs: Int64[np.ndarray, "batch 2"],
        queries: Int64[np.ndarray, " batch"],
        rng: np.random.Generator | None = None,
        texts: tuple[tuple[str, str, str], ...] | None = None,
    ) -> Duels:
        """Return one pair of each question as the simulator wants it."""
        return Duels(
            prompt_ids=self.questions.prompt_ids,
            candidate_ids=np.take_along_axis(self.questions.candidate_ids, pairs, axis=1),
            utilities=None if self.utilities is None else np.take_along_axis(self.utilities, pairs, axis=1),
            queries=queries,
            rng=rng,
            texts=texts,
        )

    def win_rates(self) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return for every candidate its mean probability of beating one of the other N - 1 (its Borda score).

        With a single candidate there is no other: its win rate is 0.5 by definition.
        """
        batch, n = self.questions.candidate_ids.shape
        if n == 1:
            return np.full((batch, 1), 0.5)
        first, second = (index.ravel() for index in np.indices((n, n)))
        matrix = np.empty((batch, n, n))
        for row in range(batch):  # one question at a time bounds the memory by N² whatever the batch
            one = self._row(row, n * n)
            matrix[row] = one.probability(first, second).reshape(n, n)
        return (matrix.sum(axis=2) - np.einsum("bnn->bn", matrix)) / (n - 1)

    def winners(self) -> Int64[np.ndarray, " batch"]:
        """Return the position of each question's Borda winner, the lowest where several tie."""
        if self.simulator.follows_utility and self.utilities is not None:
            return np.argmax(self.utilities, axis=1)
        return np.argmax(self.win_rates(), axis=1)

    def regrets(self, pairs: Int64[np.ndarray, "batch 2"]) -> Float64[np.ndarray, "batch 2"]:
        """Return for both candidates of a pair how far the winner beats them: P(winner beats it) - 1/2.

        Average, strong and weak regret of the query are their mean, maximum and minimum (Yue et al. 2012).
        """
        best = self.winners()
        gaps = np.stack([self.probability(best, pairs[:, 0]), self.probability(best, pairs[:, 1])], axis=1) - 0.5
        # The winner against itself is a fair coin by definition, whatever a biased judge would say.
        gaps[pairs == best[:, None]] = 0.0
        return gaps

    def reference_win_rates(self, reference_utility: float) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return every candidate's probability of beating a reference response of known utility."""
        assert self.utilities is not None  # a reference on the utility scale exists only where utilities do
        ids, utilities = self.questions.candidate_ids.ravel(), self.utilities.ravel()
        duels = Duels(
            prompt_ids=np.repeat(self.questions.prompt_ids, self.utilities.shape[1]),
            candidate_ids=np.stack([ids, np.full_like(ids, -1)], axis=1),
            utilities=np.stack([utilities, np.full_like(utilities, reference_utility)], axis=1),
            queries=np.full(len(ids), -1, dtype=np.int64),
        )
        return self.simulator.judgement(duels).reshape(self.utilities.shape)

    def _row(self, row: int, times: int) -> Judged:
        from duelgym.generators import Questions

        repeated = Questions(
            np.repeat(self.questions.prompt_ids[row], times),
            np.broadcast_to(self.questions.candidate_ids[row], (times, self.questions.candidate_ids.shape[1])),
        )
        utilities = None if self.utilities is None else self.utilities[row]
        broadcast = None if utilities is None else np.broadcast_to(utilities, (times, len(utilities)))
        return Judged(self.simulator, repeated, broadcast)


def judge(
    simulator: PreferenceSimulator, questions: Questions, utilities: Float64[np.ndarray, "batch n_candidates"] | None
) -> Judged:
    """Return the questions ready to be scored."""
    return Judged(simulator, questions, utilities)
