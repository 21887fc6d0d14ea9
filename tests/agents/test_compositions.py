"""Every rule with every reward model that gives what it reads: hard batches, and a state that is saved and restored."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_agents import contexts_of, fits, make
from made_up_duels import ON_EMBEDDINGS

from duelgym.agent import Contexts
from duelgym_agents.catalogue import REWARD_MODELS, RULES

BATCH = 32  # more pairs than features, so that rules which choose jointly run out of directions


def hard_batches(rng, n_candidates):
    """Yield contexts and answers: ordinary ones, and all that may divide by zero, overflow or tell nothing."""
    plain = contexts_of(rng, n_candidates, BATCH)
    twins = np.repeat(plain.candidates[:, :1], n_candidates, axis=1)
    random, ones, ties, none = rng.integers(2, size=BATCH), np.full(BATCH, 1), np.full(BATCH, 3), np.full(BATCH, 2)
    yield plain, random
    yield Contexts(plain.prompts, twins), random
    yield Contexts(np.zeros_like(plain.prompts), np.zeros_like(plain.candidates)), ones
    yield Contexts(np.repeat(plain.prompts[:1], BATCH, axis=0), np.repeat(plain.candidates[:1], BATCH, axis=0)), ones
    yield Contexts(1e6 * plain.prompts, 1e6 * plain.candidates), random
    yield plain, ties
    yield Contexts(1e6 * plain.prompts, 1e6 * plain.candidates), none
    yield plain, ones


@pytest.mark.parametrize("n_candidates", [2, 5])
@pytest.mark.parametrize("rule", RULES)
def test_hard_batches_are_answered_and_a_restored_agent_goes_on_alike(rule, n_candidates):
    for kind in (kind for kind in ON_EMBEDDINGS if fits(rule, kind)):
        steps = {"steps": 1} if hasattr(REWARD_MODELS[kind].settings, "steps") else {}
        agent, restored = (make(f"{rule}+{kind}", n_candidates, seed, batch_size=BATCH, **steps) for seed in (1, 2))
        for contexts, preferences in hard_batches(np.random.default_rng(0), n_candidates):
            restored.load_state_dict(agent.state_dict())
            rng = np.random.default_rng(1)
            for each in (agent, restored):
                pairs = each.select_pairs(contexts)
                each.observe(contexts, pairs, preferences.astype(np.int8))
                samples = each.sample_utilities(contexts, 3, rng)
                assert pairs.dtype == np.int64 and pairs.shape == (BATCH, 2), kind
                assert ((pairs >= 0) & (pairs < n_candidates)).all() and (pairs[:, 0] != pairs[:, 1]).all(), kind
                assert np.isfinite(samples).all(), kind
                each.recommend(contexts)
            ours, theirs = agent.state_dict(), restored.state_dict()
            assert all(array.tobytes() == theirs[name].tobytes() for name, array in ours.items()), kind
