"""Agents of small networks for the tests of agents, and batches to ask them about."""

from __future__ import annotations

import numpy as np

from duelgym.agent import Contexts
from duelgym_agents.catalogue import RULES
from duelgym_agents.registry import composition, make_agent

SMALL = {"hidden_sizes": (16, 16), "prior_hidden_sizes": (8,), "steps": 13, "minibatch_size": 16}


def make(name, n_candidates=6, seed=0, *, batch_size=5, **settings):
    """Return a small agent for prompts of 3 features and candidates of 4."""
    spec = composition(name)
    small = {key: value for key, value in SMALL.items() if spec is None or hasattr(spec.settings, key)}
    return make_agent(name, **dimensions(n_candidates, batch_size), seed=seed, **{**small, **settings})


def fits(rule, kind):
    """Whether a reward model on embeddings gives what a rule reads."""
    if RULES[rule].reads == "posterior":
        return kind in ("additive", "bayesian_linear", "belief", "laplace")
    return kind != "point" or RULES[rule].reads != "samples"


def dimensions(n_candidates=6, batch_size=5):
    return {"prompt_dim": 3, "candidate_dim": 4, "n_candidates": n_candidates, "batch_size": batch_size, "budget": 100}


def contexts_of(rng, n_candidates=6, batch=5):
    prompts, candidates = rng.standard_normal((batch, 3)), rng.standard_normal((batch, n_candidates, 4))
    return Contexts((0.2 * prompts).astype(np.float32), (0.2 * candidates).astype(np.float32))


def play(agent, rng, batches, n_candidates=6):
    """Let the agent ask; the first candidate feature decides, with noise. Return all pairs."""
    asked = []
    for _ in range(batches):
        contexts = contexts_of(rng, n_candidates)
        pairs = agent.select_pairs(contexts)
        features = contexts.candidates[np.arange(5)[:, None], pairs, 0]
        preferences = (rng.random(5) > 1 / (1 + np.exp(-10 * (features[:, 0] - features[:, 1])))).astype(np.int8)
        agent.observe(contexts, pairs, preferences)
        asked.append(pairs)
    return np.concatenate(asked)
