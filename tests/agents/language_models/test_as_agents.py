"""Ensembles on a language model as agents: the contract, determinism, copies, and states that go round."""

import copy

import numpy as np
import pytest
from global_streams import left_alone
from worded_duels import BOTH, DIMENSIONS, agent_of, contexts_of, equal, teach

from duelgym.testing import check_agent
from duelgym_agents.registry import agent_factory, make_agent


def play(agent, rng, batches=4):
    asked = []
    for _ in range(batches):
        contexts = contexts_of(rng)
        pairs = agent.select_pairs(contexts)
        agent.observe(contexts, pairs, rng.integers(2, size=5).astype(np.int8))
        asked.append(pairs)
    return np.concatenate(asked)


@pytest.mark.parametrize("kind", BOTH)
def test_agents_keep_the_contract_and_say_that_they_need_texts(kind, tiny):
    assert agent_of(kind, tiny).needs_texts is True
    assert make_agent("infomax", "ensemble", **DIMENSIONS, seed=0).needs_texts is False
    small = {"model": tiny, "steps": 7, "minibatch_size": 4} | ({"tuning_labels": 4} if kind == "lora" else {})
    check_agent(lambda **sizes: agent_factory(f"double_thompson+{kind}")(**sizes, **small))


@pytest.mark.parametrize("kind", BOTH)
def test_deployment_by_mean_and_by_lower_confidence_bound(kind, tiny):
    contexts = contexts_of(np.random.default_rng(1), batch=40)
    samples = agent_of(kind, tiny).sample_utilities(contexts, 3, np.random.default_rng(0)).astype(np.float64)
    mean, centred = samples.mean(axis=0), samples - samples.mean(axis=2, keepdims=True)
    deviation = np.sqrt(((centred - centred.mean(axis=0)) ** 2).sum(axis=0) / 2)
    best = mean.argmax(axis=1), (mean - 1.5 * deviation).argmax(axis=1)
    assert not np.array_equal(*best)
    assert np.array_equal(agent_of(kind, tiny).recommend(contexts), best[0])
    assert np.array_equal(agent_of(kind, tiny, pessimism=1.5).recommend(contexts), best[1])


@pytest.mark.parametrize("kind", BOTH)
def test_equal_seeds_give_equal_bytes_and_global_random_states_are_left_alone(kind, tiny):
    runs, states = [], []
    for poison, seed in ((1, 7), (2, 7), (3, 8)):
        with left_alone(poison):
            agent = agent_of(kind, tiny, seed=seed)
            runs.append(play(agent, np.random.default_rng(2)))
            states.append(agent.state_dict())
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])
    assert equal(states[0], states[1])


@pytest.mark.parametrize("batches", [1, 4])  # before the freeze and after it
@pytest.mark.parametrize("kind", BOTH)
def test_saved_and_restored_agent_continues_identically(kind, batches, tiny, tmp_path):
    agent = agent_of(kind, tiny, bootstrap=True)
    play(agent, np.random.default_rng(3), batches)
    assert all(type(array) is np.ndarray and array.dtype != object for array in agent.state_dict().values())
    np.savez(tmp_path / "state.npz", **agent.state_dict())
    fresh, further = agent_of(kind, tiny, seed=4, bootstrap=True), agent_of(kind, tiny, seed=5, bootstrap=True)
    play(further, np.random.default_rng(4), 3)  # frozen already
    contexts = contexts_of(np.random.default_rng(6))
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        for restored in (fresh, further):
            restored.sample_utilities(contexts, 3, np.random.default_rng(0))
            restored.load_state_dict(state)
            assert equal(restored.state_dict(), agent.state_dict())
    expected = agent.sample_utilities(contexts, 3, np.random.default_rng(0))
    pairs = play(agent, np.random.default_rng(5), 3)
    for restored in (fresh, further):
        assert np.array_equal(restored.sample_utilities(contexts, 3, np.random.default_rng(0)), expected)
        assert np.array_equal(play(restored, np.random.default_rng(5), 3), pairs)
        assert equal(restored.state_dict(), agent.state_dict())


@pytest.mark.parametrize("batches", [1, 4])
@pytest.mark.parametrize("kind", BOTH)
def test_a_copy_shares_memory_until_one_learns_and_disturbs_nothing(kind, batches, tiny):
    agent = agent_of(kind, tiny)
    play(agent, np.random.default_rng(6), batches)
    place, state = agent._model._weights.values.data_ptr(), agent.state_dict()
    throwaway = copy.deepcopy(agent)
    assert throwaway._model._weights.values.data_ptr() == place
    assert throwaway._model._reader is agent._model._reader
    play(throwaway, np.random.default_rng(7), 3)  # frozen by now, if LoRA
    assert equal(agent.state_dict(), state) and not equal(throwaway.state_dict(), state)

    second = copy.deepcopy(agent)
    ours, theirs = (play(each, np.random.default_rng(8), 2) for each in (agent, second))
    assert np.array_equal(ours, theirs) and equal(agent.state_dict(), second.state_dict())
    del second
    place = agent._model._weights.values.data_ptr()
    copy.deepcopy(agent)  # gone at once, as after an assessment: nothing is to be kept apart
    play(agent, np.random.default_rng(9), 1)
    assert agent._model._weights.values.data_ptr() == place


@pytest.mark.parametrize("kind", BOTH)
def test_a_state_loaded_into_a_copy_leaves_the_original_alone(kind, build):
    model, other = build(kind), build(kind, seed=1)
    before = model.state_dict()
    duplicate = copy.deepcopy(model)
    duplicate.load_state_dict(other.state_dict())
    assert equal(model.state_dict(), before)
    assert equal(duplicate.state_dict(), other.state_dict()) and not equal(before, other.state_dict())


def test_utilities_are_read_once_until_something_is_learnt(build, monkeypatch):
    model, contexts, calls = build("linear_heads"), contexts_of(np.random.default_rng(0)), []
    read = model._reader.hidden
    monkeypatch.setattr(model._reader, "hidden", lambda *given: (calls.append(1), read(*given))[1])
    first = model.mean(contexts)
    n_calls = len(calls)
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    samples += 1.0  # what is given out is the caller's
    assert len(calls) == n_calls and np.array_equal(model.mean(contexts), first)
    model.mean(contexts_of(np.random.default_rng(1)))
    assert len(calls) > n_calls
    teach(model, np.random.default_rng(2), batches=1)
    assert not np.array_equal(model.mean(contexts), first)
