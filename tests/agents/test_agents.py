"""What every registered agent keeps to, whatever it is made of."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from global_streams import left_alone
from made_up_agents import contexts_of, make, play
from made_up_duels import ON_EMBEDDINGS

from duelgym.agent import Agent, Contexts
from duelgym_agents.registry import AGENTS, composition

# Each named agent of another kind, and each reward model once more: the rest differ in numbers.
AGENTS_HERE = [
    *(name for name in AGENTS if name.startswith("ee2024") or name.endswith("-ensemble")),
    *("sea-ee", "sea-bai", "activeuf-drts", "apo", "stad"),
    *(f"double_thompson+{kind}" for kind in ON_EMBEDDINGS if kind not in ("point", "ensemble")),
    "sb3:belief-ppo",
]


@pytest.mark.parametrize("n_candidates", [1, 2, 6])
@pytest.mark.parametrize("name", AGENTS_HERE)
def test_registered_agents_keep_the_contract(name, n_candidates):
    agent, rng = make(name, n_candidates), np.random.default_rng(1)
    assert isinstance(agent, Agent)
    for preferences in ([0, 1, 2, 3, 0], [2, 2, 2, 2, 2], [1, 1, 0, 0, 3]):
        contexts = contexts_of(rng, n_candidates)
        for array in (contexts.prompts, contexts.candidates):
            array.setflags(write=False)  # an agent may not write on what it is shown
        pairs = agent.select_pairs(contexts)
        assert pairs.shape == (5, 2)
        assert pairs.dtype == np.int64
        assert ((pairs >= 0) & (pairs < n_candidates)).all()
        assert (pairs[:, 0] != pairs[:, 1]).all() or n_candidates == 1
        agent.observe(contexts, pairs, np.array(preferences, np.int8))
        best = agent.recommend(contexts)
        assert best.shape == (5,)
        assert best.dtype == np.int64
        assert ((best >= 0) & (best < n_candidates)).all()
        samples = agent.sample_utilities(contexts, 4, np.random.default_rng(0))
        assert samples.shape == (4, 5, n_candidates)
        assert samples.dtype == np.float32
    counters = agent.counters()
    assert counters["unanswered"] == 6
    assert counters["self_duels"] == (15 if n_candidates == 1 else 0)


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_equal_seeds_give_equal_bytes_and_other_seeds_other_pairs(name):
    runs = [play(make(name, seed=seed), np.random.default_rng(2), 12) for seed in (7, 7, 8)]
    assert np.array_equal(runs[0], runs[1])
    draws = name not in ("apo", "stad")  # a linear posterior and an arg-max draw nothing
    assert np.array_equal(runs[0], runs[2]) != draws
    states = []
    for _ in range(2):
        agent = make(name, seed=7)
        play(agent, np.random.default_rng(2), 12)
        states.append(agent.state_dict())
    assert all(array.tobytes() == states[1][key].tobytes() for key, array in states[0].items())


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_saved_and_restored_agent_asks_the_same_next_hundred_pairs(name, tmp_path):
    settings = {"buffer_capacity": 32} if hasattr(composition(name).settings, "buffer_capacity") else {}
    agent = make(name, seed=3, **settings)
    play(agent, np.random.default_rng(4), 10)
    np.savez(tmp_path / "state.npz", **agent.state_dict())
    restored = make(name, seed=4, **settings)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        restored.load_state_dict(state)
    assert restored.counters() == agent.counters()
    ours, theirs = (play(each, np.random.default_rng(5), 20) for each in (agent, restored))
    assert len(ours) == 100
    assert np.array_equal(ours, theirs)
    assert restored.counters() == agent.counters()


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_a_copy_does_not_disturb_the_original(name):
    agent, undisturbed = make(name), make(name)
    for each in (agent, undisturbed):
        play(each, np.random.default_rng(6), 5)
    throwaway = copy.deepcopy(agent)
    play(throwaway, np.random.default_rng(7), 5)
    throwaway.recommend(contexts_of(np.random.default_rng(8)))
    assert np.array_equal(play(agent, np.random.default_rng(9), 5), play(undisturbed, np.random.default_rng(9), 5))


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_no_global_random_state_is_read_or_set(name):
    outcomes = []
    for poison in (1, 2):
        with left_alone(poison):
            outcomes.append(play(make(name), np.random.default_rng(10), 6))
    assert np.array_equal(*outcomes)


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_huge_embeddings_do_no_harm(name):
    agent, rng = make(name), np.random.default_rng(11)
    play(agent, rng, 2)
    contexts = contexts_of(rng)
    pairs = agent.select_pairs(Contexts(contexts.prompts * 1e6, contexts.candidates * 1e6))
    assert (pairs[:, 0] != pairs[:, 1]).all()
