"""Recorded responses in place of a language model, so that a pool can be scored by another simulator."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from duelgym.errors import GeneratorError
from duelgym.generators.checks import check_request
from duelgym.generators.protocol import Responses
from duelgym.generators.replay import permuted_candidates
from duelgym.pools import CandidatePool
from duelgym.pools.splits import shorten


class RecordedGenerator:
    """Answers the prompts of a pool with its recorded responses and embeddings.

    Where n is below the pool's N, n of them are chosen without replacement; all N come in the pool's order. A pool that
    does not hold token counts gives -1, and one that does not hold finish reasons ``"stop"``.

    Args:
        pool: directory of the pool.

    Raises:
        PoolError: if the pool cannot be opened.
        GeneratorError: if its prompts and responses are embedded in different numbers of features.
    """

    def __init__(self, pool: str | os.PathLike[str]) -> None:
        if not isinstance(pool, (str, os.PathLike)):
            raise GeneratorError(f"pool is {pool!r}; it must be the directory of a pool")
        self.pool = CandidatePool.open(pool)
        if self.pool.prompt_dim != self.pool.candidate_dim:
            raise GeneratorError(
                f"pool {self.pool.name!r} embeds prompts in {self.pool.prompt_dim} and responses in {self.pool.candidate_dim} "
                "features; a generator needs equally many: encode its texts with one encoder"
            )
        self.embedding_dim = self.pool.candidate_dim

    def generate(self, prompts: Sequence[str], n: int, *, rng: np.random.Generator) -> Responses:
        """Return n recorded responses to each prompt.

        Raises:
            GeneratorError: if there is no prompt, n is not in 1 to the pool's N, or a prompt is not in the pool.
        """
        check_request(prompts, n)
        n_pool = self.pool.n_candidates
        if n > n_pool:
            raise GeneratorError(f"n is {n}; pool {self.pool.name!r} holds {n_pool} responses to a prompt")
        missing = next((prompt for prompt in prompts if prompt not in self._rows), None)
        if missing is not None:
            raise GeneratorError(
                f"prompt {shorten(str(missing))} is not in pool {self.pool.name!r}; ask the pool's own prompts"
            )
        rows = np.array([self._rows[prompt] for prompt in prompts], dtype=np.int64)
        if n == n_pool:
            columns = np.tile(np.arange(n, dtype=np.int64), (len(rows), 1))
        else:
            columns = permuted_candidates(len(rows), n_pool, n, rng)
        recorded = [self.pool.texts(int(row)).candidates for row in rows]
        n_tokens, finished = self.pool.n_tokens(rows), self.pool.finished(rows)
        if n_tokens is None:
            n_tokens = np.full((len(rows), n_pool), -1, dtype=np.int32)
        if finished is None:
            finished = np.ones((len(rows), n_pool), dtype=np.bool_)
        ended = np.take_along_axis(finished, columns, axis=1)
        return Responses(
            texts=tuple(tuple(texts[c] for c in line) for texts, line in zip(recorded, columns, strict=True)),
            finish_reasons=tuple(tuple("stop" if one else "length" for one in line) for line in ended),
            n_tokens=np.take_along_axis(n_tokens, columns, axis=1).astype(np.int64),
            prompt_embeddings=self.pool.prompt_embeddings(rows),
            candidate_embeddings=self.pool.candidate_embeddings(rows, columns),
            clipped=0,
        )

    @property
    def prompts(self) -> list[str]:
        """The prompts that it can answer."""
        return list(self._rows)

    def specification(self) -> dict[str, object]:
        """Return the pool's name and hash."""
        return {"name": "recorded", "pool": {"name": self.pool.name, "sha256": self.pool.sha256}}

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {self.pool.texts(row).prompt: row for row in range(self.pool.n_prompts)}
