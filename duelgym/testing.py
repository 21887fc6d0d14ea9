"""Help for testing environments and agents, for third parties as much as for duelgym itself."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from typing import Any

import numpy as np

from duelgym.agent import AgentFactory, Contexts
from duelgym.pools import CandidatePool, write_pool
from duelgym.saving import state_bytes

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
    were shown, be equal for equal seeds, and leave the contexts as they were. Preferences of all four kinds are given. Half
    way, two more join, whose answers must be equal from then on: a copy (``copy.deepcopy``) and, where there is
    ``state_dict``, an agent of another seed into which the state was loaded after a safetensors file held it. Another copy
    recommends, learns and is thrown away, which must change nothing. Where there is ``sample_utilities``, it is asked about
    pairs.

    Raises:
        AssertionError: naming the method, what it gave and what was expected.
    """
    rng = np.random.default_rng(0)
    sizes = {"prompt_dim": prompt_dim, "candidate_dim": candidate_dim, "n_candidates": n_candidates}
    settings = {**sizes, "batch_size": batch_size, "budget": batch_size * batches}
    agents: dict[str, Any] = {name: factory(**settings, seed=3) for name in ("an agent", "another of the same seed")}
    texts = bool(getattr(agents["an agent"], "needs_texts", False))
    for batch in range(batches):
        contexts = _made_up(rng, batch_size, n_candidates, prompt_dim, candidate_dim, texts=texts)
        if batch == batches // 2:
            agents |= _twins(agents["an agent"], factory, settings, contexts)
        before = contexts.prompts.tobytes(), contexts.candidates.tobytes()
        preferences = ((np.arange(batch_size) + batch) % 4).astype(np.int8)
        chosen = {name: np.asarray(agent.select_pairs(contexts)) for name, agent in agents.items()}
        _check_positions("select_pairs", chosen, (batch_size, 2), n_candidates)
        for name, agent in agents.items():
            agent.observe(contexts, chosen[name].astype(np.int64), preferences)
        recommended = {name: np.asarray(agent.recommend(contexts)) for name, agent in agents.items()}
        _check_positions("recommend", recommended, (batch_size,), n_candidates)
        after = contexts.prompts.tobytes(), contexts.candidates.tobytes()
        assert before == after, "the agent changed the contexts it was shown"
    if hasattr(agents["an agent"], "sample_utilities"):
        shown = None if contexts.candidate_texts is None else tuple(row[:2] for row in contexts.candidate_texts)
        pairs = replace(contexts, candidates=contexts.candidates[:, :2], candidate_texts=shown)
        samples = {
            name: np.asarray(agent.sample_utilities(pairs, 3, np.random.default_rng(0)))
            for name, agent in agents.items()
        }
        shape = (3, *pairs.candidates.shape[:2])
        for name, each in samples.items():
            assert each.shape == shape, f"sample_utilities() gave shape {each.shape}, expected {shape}"
            assert np.isfinite(each).all(), "sample_utilities() gave values that are not finite"
            assert np.array_equal(each, samples["an agent"]), (
                f"sample_utilities() gave different samples for equal generators to an agent and {name}"
            )


def _made_up(
    rng: np.random.Generator, n: int, n_candidates: int, prompt_dim: int, candidate_dim: int, *, texts: bool
) -> Contexts:
    """Return drawn contexts."""
    return Contexts(
        rng.uniform(-1, 1, (n, prompt_dim)).astype(np.float32),
        rng.uniform(-1, 1, (n, n_candidates, candidate_dim)).astype(np.float32),
        tuple(f"prompt {row}" for row in range(n)) if texts else None,
        tuple(tuple(f"response {c}" for c in range(n_candidates)) for _ in range(n)) if texts else None,
    )


def _twins(agent: Any, factory: AgentFactory, settings: dict[str, int], contexts: Contexts) -> dict[str, Any]:
    """Return what must go on as the agent does, after a copy was asked, taught otherwise and thrown away."""
    from safetensors.numpy import load

    try:
        copies = [copy.deepcopy(agent) for _ in range(2)]
    except Exception as error:
        raise AssertionError(f"copy.deepcopy() of the agent failed, and runs assess copies: {error!r}") from error
    thrown, kept = copies
    best = np.asarray(thrown.recommend(contexts))
    others = (best + 1) % contexts.candidates.shape[1]
    thrown.observe(contexts, np.stack([best, others], axis=1), np.zeros(len(contexts), dtype=np.int8))
    twins = {"a copy (copy.deepcopy) of it": kept}
    if hasattr(agent, "state_dict"):
        restored: Any = factory(**settings, seed=4)
        try:
            restored.load_state_dict(load(state_bytes(agent.state_dict(), {"t": "0"})))
        except Exception as error:
            raise AssertionError(f"state_dict() cannot be saved and loaded into a fresh agent: {error!r}") from error
        twins["one of another seed that loaded its state_dict"] = restored
    return twins


def _check_positions(method: str, answers: dict[str, np.ndarray], shape: tuple[int, ...], n_candidates: int) -> None:
    first = answers["an agent"]
    for name, answer in answers.items():
        assert answer.shape == shape, f"{method}() gave shape {answer.shape}, expected {shape}"
        assert answer.dtype.kind in "iu", f"{method}() gave type {answer.dtype}, expected whole numbers"
        assert answer.min() >= 0 and answer.max() < n_candidates, (
            f"{method}() gave positions {answer.min()} to {answer.max()}, expected 0 to {n_candidates - 1}"
        )
        assert np.array_equal(answer, first), f"{method}() gave different answers to an agent and {name}"
