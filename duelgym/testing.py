"""Help for testing environments and agents, for third parties as much as for duelgym itself."""

from __future__ import annotations

import os

import numpy as np

from duelgym.pools import CandidatePool, write_pool

_TASKS = ("prune an apple tree", "tune a guitar", "fold a paper crane", "poach an egg", "read a map", "mend a tyre")
_PLACES = ("at home", "in a hurry", "with children", "in winter", "for the first time", "without tools", "by the sea")
_ADVICE = ("Start small.", "Watch someone first.", "Take your time.", "Keep everything clean.", "Try again tomorrow.")


def make_pool(
    path: str | os.PathLike[str], n_prompts: int = 40, n_candidates: int = 6, dim: int = 8, seed: int = 0
) -> CandidatePool:
    """Write a small made-up pool that can be learned from, and open it.

    Utilities are a fixed linear function of the response embedding plus the product of prompt and response, with a
    reference response at utility 0. The same arguments give the same bytes.

    Args:
        path: the directory to make; must not exist.
        n_prompts: prompts; below about 30 some part of the split may be empty.
        n_candidates: responses per prompt, at least 2.
        dim: features of prompt and response embeddings.
        seed: of the draws.

    Raises:
        PoolError: if the path exists, or there are fewer than two candidates.
    """
    rng = np.random.default_rng(seed)
    prompts = [f"{seed}.{row}: How do I {_TASKS[row % 6]} {_PLACES[row % 7]}?" for row in range(n_prompts)]
    lengths = rng.integers(1, 6, size=(n_prompts, n_candidates))
    texts = [
        [f"Writer {column} says: " + " ".join(_ADVICE[:length]) for column, length in enumerate(line)]
        for line in lengths.tolist()
    ]
    prompt_embeddings = rng.standard_normal((n_prompts, dim))
    candidate_embeddings = rng.standard_normal((n_prompts, n_candidates, dim))
    taste = rng.standard_normal(dim)
    utilities = candidate_embeddings @ taste + 0.5 * np.einsum("pd,pnd->pn", prompt_embeddings, candidate_embeddings)
    return write_pool(
        path,
        name=f"made-up-{seed}",
        prompts=prompts,
        candidate_names=[f"writer-{column}" for column in range(n_candidates)],
        texts=texts,
        prompt_embeddings=prompt_embeddings,
        candidate_embeddings=candidate_embeddings,
        utilities=utilities,
        reference={"name": "the house answer", "utility": 0.0},
        generator={"name": "duelgym.testing.make_pool", "seed": seed},
        licence="made up; no rights reserved",
    )
