"""Recorded candidates: a pool played back."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from duelgym.agent import Contexts
from duelgym.errors import PoolError, SpecificationError
from duelgym.generators.protocol import Questions
from duelgym.pools import CandidatePool


class ShuffledPasses:
    """Rows in an order drawn afresh for every pass over them; it does not matter how many are taken at a time."""

    def __init__(self, rows: Int64[np.ndarray, " rows"], rng: np.random.Generator) -> None:
        self._rows = rows
        self._rng = rng
        self._waiting = np.empty(0, dtype=np.int64)

    def take(self, n: int) -> Int64[np.ndarray, " {n}"]:
        """Return the next n rows."""
        while len(self._waiting) < n:
            self._waiting = np.concatenate([self._waiting, self._rng.permutation(self._rows)])
        taken, self._waiting = self._waiting[:n], self._waiting[n:]
        return taken


class _ReplayStream:
    """Shuffled passes over the prompts; for every question a fresh permutation of its candidates."""

    clipped = 0  # embeddings are divided by the pool's largest absolute value

    def __init__(self, rows: Int64[np.ndarray, " rows"], n_pool: int, n_shown: int, rng: np.random.Generator) -> None:
        order_rng, self._candidate_rng = rng.spawn(2)
        self._passes = ShuffledPasses(rows, order_rng)
        self._n_pool = n_pool
        self._n_shown = n_shown

    def draw(self, n: int) -> Questions:
        prompt_ids = self._passes.take(n)
        return Questions(prompt_ids, permuted_candidates(n, self._n_pool, self._n_shown, self._candidate_rng))


def permuted_candidates(
    n: int, n_pool: int, n_shown: int, rng: np.random.Generator
) -> Int64[np.ndarray, "{n} {n_shown}"]:
    """Return for each of n questions ``n_shown`` of the pool's columns in random order, without repetition.

    The order is that of uniform keys, so that it does not matter how many questions are drawn at a time.
    """
    return np.ascontiguousarray(np.argsort(rng.random((n, n_pool)), axis=1, kind="stable")[:, :n_shown])


class PoolReplay:
    """Plays a recorded pool back: prompts in shuffled passes, candidates permuted anew for every question.

    Args:
        pool: the recorded candidates.
        n_candidates: how many of the pool's candidates to show (a fresh subset for every question); None: all.
        split: which prompts to ask about: ``"learn"``, scored on ``assess``; ``"tune"``, of which every second prompt is
            asked about and the others are scored; ``"within_learn"``, the same with the ``learn`` prompts, for tuning on a
            pool that keeps none for it; ``"all"``, asked about and scored alike (nothing is held out).
        fold: which assessment fold is held out, 0 to ``pool.n_folds - 1``; where a part is halved, the halves change
            places in odd folds.

    Raises:
        SpecificationError: if the number of candidates is not within 1 and the pool's.
        PoolError: if the pool has no such split or fold, or too few prompts to halve.
    """

    def __init__(
        self, pool: CandidatePool, *, n_candidates: int | None = None, split: str = "learn", fold: int = 0
    ) -> None:
        shown = pool.n_candidates if n_candidates is None else n_candidates
        if isinstance(shown, bool) or not isinstance(shown, (int, np.integer)) or not 1 <= shown <= pool.n_candidates:
            raise SpecificationError(
                f"n_candidates is {n_candidates!r}; pool {pool.name!r} allows 1 to {pool.n_candidates}, or none for all"
            )
        self.pool = pool
        self.n_candidates = int(shown)
        self.prompt_dim = pool.prompt_dim
        self.candidate_dim = pool.candidate_dim
        self.n_folds = pool.n_folds
        if split not in ("learn", "tune", "within_learn", "all"):
            raise SpecificationError(
                f"split is {split!r}; questions come from 'learn', 'tune', 'within_learn' or 'all'"
            )
        self._fold = fold
        rows = pool.split("learn" if split == "within_learn" else split, fold)
        if split == "learn":
            self._rows, self._assessed = rows, pool.split("assess", fold)
        elif split == "all":
            self._rows = self._assessed = rows
        else:
            if len(rows) < 2:
                raise PoolError(
                    f"pool {pool.name!r} has {len(rows)} prompt for split {split!r}; halving takes two at least"
                )
            self._rows, self._assessed = (rows[(fold + side) % 2 :: 2] for side in (0, 1))

    @property
    def has_tune(self) -> bool:
        """Whether the pool keeps prompts apart for tuning: not where its assessment prompts were named explicitly."""
        return self.pool.manifest["splits"]["rule"] != "explicit"

    def stream(self, rng: np.random.Generator) -> _ReplayStream:
        """Return the questions of one episode."""
        return _ReplayStream(self._rows, self.pool.n_candidates, self.n_candidates, rng)

    def assessment(self, rng: np.random.Generator) -> Questions:
        """Return every held-out prompt once, its candidates in permuted order."""
        order = permuted_candidates(len(self._assessed), self.pool.n_candidates, self.n_candidates, rng)
        return Questions(self._assessed.copy(), order)

    def every(self, split: str) -> Questions:
        """Return each prompt of a part of the pool once, with all the pool's candidates in the pool's order."""
        rows = self.pool.split(split, self._fold)
        columns = np.arange(self.pool.n_candidates, dtype=np.int64)
        return Questions(rows, np.tile(columns, (len(rows), 1)))

    def contexts(self, questions: Questions, *, texts: bool = False) -> Contexts:
        """Return the recorded embeddings (and texts) of these questions."""
        prompt_texts = candidate_texts = None
        if texts:
            both = [
                self.texts(int(row), columns)
                for row, columns in zip(questions.prompt_ids, questions.candidate_ids, strict=True)
            ]
            prompt_texts, candidate_texts = tuple(p for p, _ in both), tuple(c for _, c in both)
        return Contexts(
            self.pool.prompt_embeddings(questions.prompt_ids),
            self.pool.candidate_embeddings(questions.prompt_ids, questions.candidate_ids),
            prompt_texts,
            candidate_texts,
        )

    def texts(self, prompt_id: int, candidate_ids: Int64[np.ndarray, " n"]) -> tuple[str, tuple[str, ...]]:
        """Return the recorded strings."""
        recorded = self.pool.texts(int(prompt_id))
        return recorded.prompt, tuple(recorded.candidates[int(column)] for column in candidate_ids)

    def fingerprint(self, questions: Questions) -> bytes:
        """Return the identifiers: with the pool's hash they say everything."""
        joined = np.concatenate([questions.prompt_ids[:, None], questions.candidate_ids], axis=1)
        return joined.astype("<i8").tobytes()
