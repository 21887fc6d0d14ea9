"""Questions scored by a simulator: every candidate against the others, the winner, and the regret of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from duelgym.errors import SpecificationError
from duelgym.simulators.protocol import Duels, PreferenceSimulator

if TYPE_CHECKING:
    from duelgym.generators import Questions

DUELS_AT_ONCE = 2**18
"""How many pairs, times raters, are judged at a time: bounds the memory, whatever the batch."""


@dataclass(frozen=True)
class Judged:
    """Questions, the hidden rater's utilities of their candidates, and the simulator that judges.

    Every number is a probability under ``simulator.judgement``; axes are batch, candidate. Where several raters are
    mixed, ``utilities`` is their mean and ``all_utilities`` has each one's.

    Raises:
        SpecificationError: by every method but :meth:`duels`, if the simulator has no judgement.
    """

    simulator: PreferenceSimulator
    questions: Questions
    utilities: Float64[np.ndarray, "batch n_candidates"] | None
    all_utilities: Float64[np.ndarray, "batch n_candidates raters"] | None = None

    def probability(
        self, first: Int64[np.ndarray, " batch"], second: Int64[np.ndarray, " batch"]
    ) -> Float64[np.ndarray, " batch"]:
        """Return the probability that the candidate at position ``first`` is better than that at ``second``."""
        pairs = np.stack([first, second], axis=1)
        return self._judgement(self.duels(pairs, np.full(len(pairs), -1, dtype=np.int64)))

    def duels(
        self,
        pairs: Int64[np.ndarray, "batch 2"],
        queries: Int64[np.ndarray, " batch"],
        rng: np.random.Generator | None = None,
        texts: tuple[tuple[str, str, str], ...] | None = None,
        lengths: Float64[np.ndarray, "batch 2"] | None = None,
    ) -> Duels:
        """Return one pair of each question as the simulator wants it."""
        return Duels(
            prompt_ids=self.questions.prompt_ids,
            candidate_ids=np.take_along_axis(self.questions.candidate_ids, pairs, axis=1),
            utilities=None if self.utilities is None else np.take_along_axis(self.utilities, pairs, axis=1),
            queries=queries,
            rng=rng,
            texts=texts,
            lengths=lengths,
            all_utilities=None
            if self.all_utilities is None
            else np.take_along_axis(self.all_utilities, pairs[:, :, None], axis=1),
        )

    def win_rates(self) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return for every candidate its mean probability of beating one of the other N - 1 (its Borda score).

        With a single candidate there is no other: its win rate is 0.5 by definition.
        """
        return self._tournament[0].copy()

    def winners(self) -> Int64[np.ndarray, " batch"]:
        """Return the position of each question's Borda winner, the lowest where several tie."""
        if self.simulator.follows_utility and self.utilities is not None:
            return np.argmax(self.utilities, axis=1)
        return np.argmax(self._tournament[0], axis=1)

    def regrets(self, pairs: Int64[np.ndarray, "batch 2"]) -> Float64[np.ndarray, "batch 2"]:
        """Return for both candidates of a pair how far the winner beats them: P(winner beats it) - 1/2.

        Average, strong and weak regret of the query are their mean, maximum and minimum (Yue et al. 2012). Where some
        candidate beats the Borda winner, which happens only if no utility explains the judgement, that difference would
        be negative for it: such a question has Borda regret, the winner's win rate minus the candidate's, from 0 to 1.
        """
        best = self.winners()
        gaps = np.stack([self.probability(best, pairs[:, 0]), self.probability(best, pairs[:, 1])], axis=1) - 0.5
        # The winner against itself is a fair coin by definition, whatever a biased judge would say.
        gaps[pairs == best[:, None]] = 0.0
        if not (self.simulator.follows_utility and self.utilities is not None):
            rates, unbeaten = self._tournament
            borda = rates.max(axis=1, keepdims=True) - np.take_along_axis(rates, pairs, axis=1)
            gaps[~unbeaten] = borda[~unbeaten]
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
        return self._judgement(duels).reshape(self.utilities.shape)

    @cached_property
    def _tournament(self) -> tuple[Float64[np.ndarray, "batch n_candidates"], Bool[np.ndarray, " batch"]]:
        """Everyone against everyone: the win rates, and whether nobody beats the one with the highest."""
        batch, n = self.questions.candidate_ids.shape
        rates, unbeaten = np.full((batch, n), 0.5), np.ones(batch, dtype=np.bool_)
        raters = 1 if self.all_utilities is None else self.all_utilities.shape[2]
        step = max(1, DUELS_AT_ONCE // (n * n * raters))
        for start in range(0, batch if n > 1 else 0, step):
            rows = slice(start, start + step)
            matrix = self._judgement(self._every_pair(rows)).reshape(-1, n, n)
            rates[rows] = (matrix.sum(axis=2) - np.einsum("bnn->bn", matrix)) / (n - 1)
            winners = np.argmax(rates[rows], axis=1)
            # Equals are even only up to rounding.
            unbeaten[rows] = (matrix[np.arange(len(matrix)), winners] >= 0.5 - 1e-12).all(axis=1)
        return rates, unbeaten

    def _every_pair(self, rows: slice) -> Duels:
        """Return all N² ordered pairs of some of the questions, question by question."""
        prompt_ids, ids = self.questions.prompt_ids[rows], self.questions.candidate_ids[rows]
        first, second = (index.ravel() for index in np.indices((ids.shape[1],) * 2))
        pairs, everybody = np.stack([first, second], axis=1), self.all_utilities
        return Duels(
            prompt_ids=np.repeat(prompt_ids, len(pairs)),
            candidate_ids=ids[:, pairs].reshape(-1, 2),
            utilities=None if self.utilities is None else self.utilities[rows][:, pairs].reshape(-1, 2),
            queries=np.full(len(prompt_ids) * len(pairs), -1, dtype=np.int64),
            all_utilities=None if everybody is None else everybody[rows][:, pairs].reshape(-1, 2, everybody.shape[2]),
        )

    def _judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        if not self.simulator.has_judgement:
            name = self.simulator.specification()[0]["name"]
            raise SpecificationError(
                f"the {name} simulator cannot score pairs, so there are no win rates and no regrets with it"
            )
        return self.simulator.judgement(duels)


def judge(
    simulator: PreferenceSimulator,
    questions: Questions,
    utilities: Float64[np.ndarray, "batch n_candidates"] | None,
    all_utilities: Float64[np.ndarray, "batch n_candidates raters"] | None = None,
) -> Judged:
    """Return the questions ready to be scored."""
    return Judged(simulator, questions, utilities, all_utilities)
