"""Help for testing environments and agents, for third parties as much as for duelgym itself."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from duelgym.agent import AgentFactory, Contexts
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


def check_agent(
    factory: AgentFactory,
    *,
    prompt_dim: int = 5,
    candidate_dim: int = 4,
    n_candidates: int = 6,
    batch_size: int = 3,
    batches: int = 6,
) -> None:
    """Check that a factory makes agents that keep the contract of :class:`duelgym.Agent`.

    Two agents of one seed are asked the same questions: answers must have the right shape and type, name candidates that
    were shown, be equal for equal seeds, and leave the contexts as they were. Preferences of all four kinds are given. Where
    there is ``sample_utilities``, it is asked about pairs.

    Raises:
        AssertionError: naming the method, what it gave and what was expected.
    """
    rng = np.random.default_rng(0)
    settings = {"n_candidates": n_candidates, "batch_size": batch_size, "budget": batch_size * batches, "seed": 3}
    agents = [factory(prompt_dim=prompt_dim, candidate_dim=candidate_dim, **settings) for _ in range(2)]
    texts = bool(getattr(agents[0], "needs_texts", False))
    for batch in range(batches):
        prompts = rng.uniform(-1, 1, (batch_size, prompt_dim)).astype(np.float32)
        candidates = rng.uniform(-1, 1, (batch_size, n_candidates, candidate_dim)).astype(np.float32)
        contexts = Contexts(
            prompts,
            candidates,
            tuple(f"prompt {row}" for row in range(batch_size)) if texts else None,
            tuple(tuple(f"response {c}" for c in range(n_candidates)) for _ in range(batch_size)) if texts else None,
        )
        before = prompts.tobytes(), candidates.tobytes()
        preferences = ((np.arange(batch_size) + batch) % 4).astype(np.int8)
        chosen = [np.asarray(agent.select_pairs(contexts)) for agent in agents]
        _check_positions("select_pairs", chosen, (batch_size, 2), n_candidates)
        for agent in agents:
            agent.observe(contexts, chosen[0].astype(np.int64), preferences)
        recommended = [np.asarray(agent.recommend(contexts)) for agent in agents]
        _check_positions("recommend", recommended, (batch_size,), n_candidates)
        assert before == (prompts.tobytes(), candidates.tobytes()), "the agent changed the contexts it was shown"
    if hasattr(agents[0], "sample_utilities"):
        shown = None if contexts.candidate_texts is None else tuple(row[:2] for row in contexts.candidate_texts)
        pairs = replace(contexts, candidates=candidates[:, :2], candidate_texts=shown)
        samplers: list[Any] = list(agents)
        samples, again = (np.asarray(each.sample_utilities(pairs, 3, np.random.default_rng(0))) for each in samplers)
        shape = (3, *pairs.candidates.shape[:2])
        assert samples.shape == shape, f"sample_utilities() gave shape {samples.shape}, expected {shape}"
        assert np.isfinite(samples).all(), "sample_utilities() gave values that are not finite"
        assert np.array_equal(samples, again), "sample_utilities() gave different samples for equal generators"


def _check_positions(method: str, answers: list[np.ndarray], shape: tuple[int, ...], n_candidates: int) -> None:
    first, second = answers
    assert first.shape == shape, f"{method}() gave shape {first.shape}, expected {shape}"
    assert first.dtype.kind in "iu", f"{method}() gave type {first.dtype}, expected whole numbers"
    assert first.min() >= 0 and first.max() < n_candidates, (
        f"{method}() gave positions {first.min()} to {first.max()}, expected 0 to {n_candidates - 1}"
    )
    assert np.array_equal(first, second), f"{method}() gave different answers to two agents of the same seed"
