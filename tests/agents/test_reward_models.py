from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models import MLPEnsemble, NetworkSettings
from duelgym_agents.reward_models.buffer import DuelBuffer, LabelledDuels
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_agents.reward_models.scaling import FeatureScaler


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def contexts_of(rng, batch=6, n_candidates=5, prompt_dim=3, candidate_dim=4, scale=0.2):
    draw = lambda *shape: (scale * rng.standard_normal(shape)).astype(np.float32)  # noqa: E731
    return Contexts(draw(batch, prompt_dim), draw(batch, n_candidates, candidate_dim))


def model_of(seed=0, prompt_dim=3, candidate_dim=4, **changes):
    chosen = NetworkSettings(**{"n_particles": 3, "hidden_sizes": (6, 5), "minibatch_size": 8, **changes})
    return MLPEnsemble(chosen, prompt_dim=prompt_dim, candidate_dim=candidate_dim, rng=np.random.default_rng(seed))


def teach(model, rng, batches=3, **shape):
    for _ in range(batches):
        contexts = contexts_of(rng, **shape)
        batch = len(contexts)
        pairs = np.stack([rng.permutation(contexts.candidates.shape[1])[:2] for _ in range(batch)])
        model.update(contexts, pairs, rng.integers(2, size=batch).astype(np.int8))


def plain_utility(weights, candidate, prompt):
    """One particle's utility, written out with plain numpy; weights as the network lays them out."""
    hidden = candidate @ weights[0] + prompt @ weights[1] + weights[2][0]
    for matrix, bias in zip(weights[3:-1:2], weights[4:-1:2], strict=True):
        hidden = np.maximum(hidden, 0) @ matrix + bias[0]
    return float(np.maximum(hidden, 0) @ weights[-1][0])


def network_of(rng, hidden_sizes, n_particles=3):
    network = StackedMLP(n_particles=n_particles, input_dims=(4, 3), hidden_sizes=hidden_sizes, rng=rng)
    # Biases start at zero: move everything, so that a forgotten one shows.
    network.parameters.add_(torch.from_numpy(0.3 * rng.standard_normal(len(network.parameters), dtype=np.float32)))
    return network


def duels_of(rng, count=7):
    tensors = rng.standard_normal((count, 2, 4)), rng.standard_normal((count, 3)), rng.choice([0.0, 0.5, 1.0], count)
    return [torch.from_numpy(array.astype(np.float32)) for array in tensors]


# --- network ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden_sizes", [(5,), (6, 5), (4, 6, 5)])
def test_loss_and_utilities_equal_plain_numpy(hidden_sizes):
    rng = np.random.default_rng(1)
    network = network_of(rng, hidden_sizes)
    candidates, prompts, targets = duels_of(rng)
    utilities = network.utilities(candidates, prompts).numpy()
    losses = network.backward(candidates, prompts, targets).numpy()
    parts = [part.double().numpy() for part in network.views(network.parameters)]
    for particle in range(3):
        weights = [part[particle] for part in parts]
        total = 0.0
        for duel in range(len(targets)):
            pair = [plain_utility(weights, c, prompts[duel].numpy()) for c in candidates[duel].numpy()]
            assert utilities[particle, duel] == pytest.approx(pair, rel=1e-4, abs=1e-5)
            # ce = -(1 - c) R - c R' + ln(e^R + e^R'), with c = 1 - target
            target = float(targets[duel])
            total += -target * pair[0] - (1 - target) * pair[1] + np.log(np.exp(pair[0]) + np.exp(pair[1]))
        assert losses[particle] == pytest.approx(total / len(targets), rel=1e-5)


@pytest.mark.parametrize("hidden_sizes", [(5,), (6, 5), (4, 6, 5)])
def test_gradient_equals_autograd(hidden_sizes):
    rng = np.random.default_rng(2)
    network = network_of(rng, hidden_sizes)
    candidates, prompts, targets = duels_of(rng)
    network.backward(candidates, prompts, targets)

    weights = network.parameters.double().requires_grad_()
    first, second, bias, *deeper = network.views(weights)
    rows, shared = candidates.double().flatten(0, 1), prompts.double().repeat_interleave(2, dim=0)
    hidden = torch.relu(rows @ first + shared @ second + bias)
    for matrix, shift in zip(deeper[:-1:2], deeper[1:-1:2], strict=True):
        hidden = torch.relu(hidden @ matrix + shift)
    utilities = (hidden * deeper[-1]).sum(2).view(3, -1, 2)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        utilities[..., 0] - utilities[..., 1], targets.double().expand(3, -1), reduction="none"
    )
    loss.mean(1).sum().backward()
    assert torch.allclose(network.gradient.double(), weights.grad, rtol=1e-4, atol=1e-6)


def test_initial_utilities_have_unit_variance_whatever_the_shape():
    for prompt_dim, candidate_dim, hidden_sizes in [(16, 16, (64,)), (100, 20, (128, 128))]:
        rng = np.random.default_rng(0)
        network = StackedMLP(
            n_particles=200, input_dims=(candidate_dim, prompt_dim), hidden_sizes=hidden_sizes, rng=rng
        )
        inputs = [rng.standard_normal(shape, dtype=np.float32) for shape in [(20, 2, candidate_dim), (20, prompt_dim)]]
        utilities = network.utilities(*(torch.from_numpy(array) for array in inputs))
        assert float(utilities.square().mean()) == pytest.approx(1.0, abs=0.15)


# --- scaling ----------------------------------------------------------------------------------------------


def test_scaling_by_hand():
    scaler = FeatureScaler(2)
    scaler.update(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32))
    # Mean (2, 5); squared distances 1, 0, 1, 0: spread sqrt(2 / 4).
    assert scaler(np.array([[3.0, 6.0]], np.float32)) == pytest.approx(np.array([[2**0.5, 2**0.5]]))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(-10, 10))
def test_scaled_features_do_not_depend_on_scale_shift_or_batches(seed, scale, shift):
    rows = np.random.default_rng(seed).standard_normal((12, 3)).astype(np.float32)
    whole, pieces = FeatureScaler(3), FeatureScaler(3)
    whole.update(rows)
    for piece in (rows[:1], rows[1:5], rows[5:]):
        pieces.update(((piece + np.float32(shift)) * np.float32(scale)).astype(np.float32))
    moved = pieces((rows + np.float32(shift)) * np.float32(scale))
    assert moved == pytest.approx(whole(rows), abs=1e-3)
    assert float(np.square(whole(rows)).mean()) == pytest.approx(1.0, rel=1e-4)


def test_features_that_never_vary_become_zero():
    scaler = FeatureScaler(3)
    row = np.array([[0.1, 0.7, -0.3]], np.float32)
    for _ in range(5):
        scaler.update(np.repeat(row, 3001, axis=0))
    assert (scaler(row) == 0).all()


# --- buffer -----------------------------------------------------------------------------------------------


def numbered(numbers):
    numbers = np.asarray(numbers, np.float32)
    return LabelledDuels(
        np.repeat(numbers[:, None], 2, 1),
        np.broadcast_to(numbers[:, None, None], (len(numbers), 2, 3)),
        numbers,
        numbers[:, None],
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 7), st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_buffer_keeps_the_latest_duels(capacity, sizes):
    buffer = DuelBuffer(capacity=capacity, prompt_dim=2, candidate_dim=3, mark_dim=1)
    start = 0
    for size in sizes:
        buffer.add(numbered(np.arange(start, start + size)))
        start += size
    latest = set(range(max(0, start - capacity), start))
    assert len(buffer) == len(latest)
    if latest:
        drawn = buffer.draw(200, np.random.default_rng(0))
        assert set(drawn.targets.tolist()) == latest
        assert np.array_equal(drawn.prompts[:, 1], drawn.targets)
        assert np.array_equal(drawn.candidates[:, 1, 2], drawn.targets)
        assert np.array_equal(drawn.marks[:, 0], drawn.targets)
        assert sorted(buffer.everything().targets.tolist()) == sorted(latest)


# --- ensemble ---------------------------------------------------------------------------------------------


def test_samples_are_the_particles_each_once_and_the_mean_is_theirs():
    model, rng = model_of(), np.random.default_rng(5)
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
    model, rng = model_of(), np.random.default_rng(6)
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
    model = model_of(anchor=anchor, regularizer=0.7, steps=1, learning_rate=1e-2, n_particles=2)
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
        model = model_of(anchor=anchor, regularizer=1e6, steps=200, learning_rate=1e-2)
        start = model._network.parameters.clone()
        teach(model, np.random.default_rng(8))
        held = start if anchor == "init" else torch.zeros_like(start)
        free = model_of(anchor=anchor, regularizer=0.0, steps=200, learning_rate=1e-2)
        teach(free, np.random.default_rng(8))
        distance = float((model._network.parameters - held).square().mean().sqrt())
        assert distance < 0.02
        assert distance < 0.1 * float((free._network.parameters - held).square().mean().sqrt())


def test_skips_and_self_duels_teach_nothing_and_ties_pull_together():
    rng = np.random.default_rng(9)
    contexts = contexts_of(rng, batch=3)
    model = model_of(regularizer=0.0, steps=100, learning_rate=1e-2)
    before = model._network.parameters.clone()
    model.update(contexts, np.array([[0, 1], [2, 2], [3, 3]]), np.array([2, 0, 3], np.int8))
    assert torch.equal(model._network.parameters, before)
    model.update(contexts, np.array([[0, 1], [2, 2], [3, 4]]), np.array([2, 0, 3], np.int8))
    utilities = model.mean(contexts)
    assert abs(utilities[2, 3] - utilities[2, 4]) < 0.05
    assert len(model._replay._buffer) == 1


def test_interaction_multiplies_scaled_candidate_and_prompt():
    model, rng = model_of(features="interaction", prompt_dim=4), np.random.default_rng(10)
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
        model_of(features="interaction")


def test_saved_and_restored_model_continues_identically():
    model = model_of(buffer_capacity=20)
    teach(model, np.random.default_rng(11), batches=5)
    other = model_of(seed=99, buffer_capacity=20)
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    for each in (model, other):
        teach(each, np.random.default_rng(12))
    ours, theirs = model.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert np.array_equal(array, theirs[name]), name


def test_a_state_of_other_settings_is_refused():
    state = model_of().state_dict()
    with pytest.raises(SpecificationError, match="'weights' has shape"):
        model_of(hidden_sizes=(6, 6)).load_state_dict(state)
    with pytest.raises(SpecificationError, match="no 'added'"):
        model_of().load_state_dict({name: array for name, array in state.items() if name != "buffer/added"})
    with pytest.raises(SpecificationError, match="random state is damaged"):
        model_of().load_state_dict({**state, "rng": np.zeros(4, np.uint8)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_particles", 0),
        ("hidden_sizes", ()),
        ("hidden_sizes", (8, 0)),
        ("hidden_sizes", 8),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("steps", -1),
        ("minibatch_size", 2.0),
        ("regularizer", -1.0),
        ("anchor", "start"),
        ("buffer_capacity", True),
        ("features", "auto"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(SpecificationError, match=rf"{name}(\[1\])? is .*; it must be"):
        NetworkSettings(**{name: value})


def test_hidden_sizes_may_come_from_json():
    assert NetworkSettings(hidden_sizes=[8, 4]).hidden_sizes == (8, 4)
