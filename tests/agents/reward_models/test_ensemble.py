from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_duels import contexts_of, model_of, plain_utility, teach

from duelgym.errors import SpecificationError


def test_samples_are_the_particles_each_once_and_the_mean_is_theirs():
    model, rng = model_of("ensemble"), np.random.default_rng(5)
    teach(model, rng)
    contexts = contexts_of(rng)
    state = rng.bit_generator.state
    samples = model.sample_utilities(contexts, 3, rng)
    assert rng.bit_generator.state == state
    assert samples.shape == (3, 6, 5)
    assert samples.dtype == np.float32
    assert model.mean(contexts) == pytest.approx(samples.mean(axis=0))
    names = {sample.tobytes(): particle for particle, sample in enumerate(samples)}
    assert len(names) == 3
    for _ in range(5):
        fewer = [names[sample.tobytes()] for sample in model.sample_utilities(contexts, 2, rng)]
        assert len(set(fewer)) == 2
    state = rng.bit_generator.state
    more = [names[sample.tobytes()] for sample in model.sample_utilities(contexts, 60, rng)]
    assert [more.count(particle) for particle in range(3)] == [20] * 3 and rng.bit_generator.state == state
    rests = set()
    for _ in range(20):
        *rounds, first, second = (names[sample.tobytes()] for sample in model.sample_utilities(contexts, 8, rng))
        assert sorted(rounds) == [0, 0, 1, 1, 2, 2] and first != second
        rests |= {first, second}
    assert rests == {0, 1, 2}


def test_evaluation_by_pieces_changes_no_state_and_little_else(monkeypatch):
    model, rng = model_of("ensemble"), np.random.default_rng(6)
    contexts = contexts_of(rng, batch=9)
    for _ in range(2):  # before and after the first update
        before = model.state_dict()
        whole = model.mean(contexts)
        monkeypatch.setattr("duelgym_agents.reward_models.replay._PIECE", 200)
        assert model.mean(contexts) == pytest.approx(whole, abs=1e-5)
        monkeypatch.undo()
        after = model.state_dict()
        assert all(np.array_equal(before[name], after[name]) for name in before)
        teach(model, rng)


@pytest.mark.parametrize("anchor", ["init", "zero"])
def test_a_step_follows_the_gradient_of_the_papers_loss(anchor):
    # One step of Adam moves each weight by learning_rate * g / (|g| + eps): its sign is the gradient's. With one
    # duel in the buffer the minibatch is that duel, and the loss is ce + lambda ||weights - anchor||^2.
    model = model_of("ensemble", anchor=anchor, regularizer=0.7, steps=32, learning_rate=1e-2, n_particles=2)
    rng = np.random.default_rng(7)
    start = model._network.parameters.clone()
    model._network.parameters.add_(0.1)  # away from the initial weights, so that the anchor shows
    weights = model._network.parameters.clone()
    contexts = contexts_of(rng, batch=1)
    model.update(contexts, np.array([[3, 1]]), np.array([1], np.int8))

    candidates = torch.from_numpy(model._replay._candidate_scaler(contexts.candidates[:, [3, 1]]))
    prompts = torch.from_numpy(model._replay._prompt_scaler(contexts.prompts))
    first, second, bias, matrix, shift, out = model._network.views(weights.requires_grad_())
    hidden = torch.relu(candidates[0] @ first + prompts @ second + bias)
    utilities = (torch.relu(hidden @ matrix + shift) * out).sum(2)
    reference = start if anchor == "init" else torch.zeros_like(start)
    # The second was preferred: ce = -R' + ln(e^R + e^R').
    loss = (torch.logsumexp(utilities, 1) - utilities[:, 1]).sum() + 0.7 * (weights - reference).square().sum()
    loss.backward()
    clear = weights.grad.abs() > 1e-4
    assert clear.float().mean() > 0.9
    moved = model._network.parameters - weights.detach()
    assert torch.allclose(moved[clear], -1e-2 * weights.grad[clear].sign(), rtol=1e-2)


def test_a_heavy_regulariser_holds_each_particle_at_its_anchor():
    for anchor in ("init", "zero"):
        model = model_of("ensemble", anchor=anchor, regularizer=1e6, steps=1100, learning_rate=1e-2)
        start = model._network.parameters.clone()
        teach(model, np.random.default_rng(8))
        held = start if anchor == "init" else torch.zeros_like(start)
        free = model_of("ensemble", anchor=anchor, regularizer=0.0, steps=1100, learning_rate=1e-2)
        teach(free, np.random.default_rng(8))
        distance = float((model._network.parameters - held).square().mean().sqrt())
        assert distance < 0.02
        assert distance < 0.1 * float((free._network.parameters - held).square().mean().sqrt())


def test_skips_and_self_duels_teach_nothing_and_ties_pull_together():
    rng = np.random.default_rng(9)
    contexts = contexts_of(rng, batch=3)
    model = model_of("ensemble", regularizer=0.0, steps=1100, learning_rate=1e-2)
    before = model._network.parameters.clone()
    model.update(contexts, np.array([[0, 1], [2, 2], [3, 3]]), np.array([2, 0, 3], np.int8))
    assert torch.equal(model._network.parameters, before)
    model.update(contexts, np.array([[0, 1], [2, 2], [3, 4]]), np.array([2, 0, 3], np.int8))
    utilities = model.mean(contexts)
    assert abs(utilities[2, 3] - utilities[2, 4]) < 0.05
    assert len(model._replay._buffer) == 1


def test_interaction_multiplies_scaled_candidate_and_prompt():
    model, rng = model_of("ensemble", features="interaction", prompt_dim=4), np.random.default_rng(10)
    teach(model, rng, prompt_dim=4)
    contexts = contexts_of(rng, prompt_dim=4)
    prompts, candidates = (
        model._replay._prompt_scaler(contexts.prompts),
        model._replay._candidate_scaler(contexts.candidates),
    )
    product = candidates * prompts[:, None]
    parts = [part.numpy()[0] for part in model._network.views(model._network.parameters)]
    by_hand = plain_utility(parts, np.concatenate([candidates[2, 1], product[2, 1]]), prompts[2])
    assert model.sample_utilities(contexts, 3, rng)[0, 2, 1] == pytest.approx(by_hand, rel=1e-4, abs=1e-5)
    with pytest.raises(SpecificationError, match="prompts have 3 features and candidates 4; use features 'concat'"):
        model_of("ensemble", features="interaction")


def test_a_state_of_other_settings_is_refused():
    state = model_of("ensemble").state_dict()
    with pytest.raises(SpecificationError, match="'weights' has shape"):
        model_of("ensemble", hidden_sizes=(6, 6)).load_state_dict(state)
    with pytest.raises(SpecificationError, match="no 'added'"):
        model_of("ensemble").load_state_dict({name: array for name, array in state.items() if name != "buffer/added"})
    with pytest.raises(SpecificationError, match="random state is damaged"):
        model_of("ensemble").load_state_dict({**state, "rng": np.zeros(4, np.uint8)})


def test_with_the_bootstrap_a_particle_learns_from_its_own_half_of_the_duels_alone():
    # One duel in the buffer: it counts for the particles whose mark is positive, and the others have nothing to learn.
    model = model_of("ensemble", n_particles=8, bootstrap=True, regularizer=0.0, steps=96)
    start = model._network.views(model._network.parameters.clone())
    model.update(contexts_of(np.random.default_rng(0), batch=1), np.array([[0, 1]]), np.array([0], np.int8))
    moved = sum((now - then).abs().flatten(1).sum(1) for now, then in zip(_parts(model), start, strict=True))
    counts = model.state_dict()["buffer/marks"][0] > 0
    assert 0 < counts.sum() < 8
    assert ((moved > 0).numpy() == counts).all()


def test_particles_without_the_bootstrap_see_the_same_duels_and_with_it_others():
    # All particles begin as one: shared minibatches keep them equal, halves of their own draw them apart.
    for bootstrap in (False, True):
        model = model_of("ensemble", bootstrap=bootstrap, regularizer=0.0, steps=107)
        for part in _parts(model):
            part[:] = part[:1].clone()
        teach(model, np.random.default_rng(1))
        first, *others = model.sample_utilities(contexts_of(np.random.default_rng(2)), 3, np.random.default_rng(0))
        assert all((np.abs(first - other).max() < 1e-5) != bootstrap for other in others)


def _parts(model):
    return model._network.views(model._network.parameters)
