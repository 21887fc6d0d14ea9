from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_duels import assert_same, contexts_of, model_of, plain_utility, random_pairs, scaled, teach

from duelgym.agent import Contexts


def prior_model(**changes):
    return model_of("randomised_prior", **changes)


def parts_of(network, particle):
    return [part[particle].numpy() for part in network.views(network.parameters)]


def gaps_of(model, contexts):
    """Return how far samples of the first two candidates' difference lie apart, prompt by prompt."""
    samples = model.sample_utilities(contexts, model.settings.n_particles, np.random.default_rng(0))
    return (samples[..., 0] - samples[..., 1]).std(axis=0)


@pytest.mark.parametrize("adds_point", [False, True])
def test_a_particle_is_what_was_trained_plus_its_scaled_prior_and_the_point_head_where_asked(adds_point):
    model, rng = prior_model(prior_scale=1.7, particles_add_point=adds_point), np.random.default_rng(0)
    teach(model, rng)
    contexts = contexts_of(rng)
    prompts, candidates = scaled(model, contexts)
    samples, mean = model.sample_utilities(contexts, 3, rng), model.mean(contexts)
    for row, place in [(0, 0), (4, 2)]:
        inputs = candidates[row, place], prompts[row]
        point = plain_utility(parts_of(model._point, 0), *inputs)
        assert mean[row, place] == pytest.approx(point, rel=1e-4, abs=1e-5)
        for particle in range(3):
            trained = plain_utility(parts_of(model._trained, particle), *inputs)
            prior = plain_utility(parts_of(model._prior, particle), *inputs)
            by_hand = trained + 1.7 * prior + (point if adds_point else 0)
            assert samples[particle, row, place] == pytest.approx(by_hand, rel=1e-4, abs=1e-5)


def test_priors_are_frozen():
    model = prior_model(learning_rate=0.1, steps=20, regularizer=0.0)
    before = model.state_dict()
    teach(model, np.random.default_rng(1))
    after = model.state_dict()
    assert np.array_equal(after["prior"], before["prior"])
    assert np.abs(after["particles/weights"] - before["particles/weights"]).mean() > 0.1


def test_the_prior_scale_is_a_standard_deviation_over_particles():
    contexts = contexts_of(np.random.default_rng(2), batch=40)
    with_prior, without = (
        prior_model(n_particles=400, prior_hidden_sizes=(32, 32), prior_scale=scale).sample_utilities(
            contexts, 400, np.random.default_rng(0)
        )
        for scale in (2.5, 0.0)
    )
    frozen = with_prior - without  # one seed: the trained parts are the same
    assert frozen.std(axis=0).mean() == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize("adds_point", [False, True])
def test_a_step_follows_the_loss_of_the_sum_and_leaves_the_prior_out(adds_point):
    # The first step of Adam moves each weight against its gradient's sign; one duel, so the minibatch is known.
    model = prior_model(
        prior_scale=2.0, particles_add_point=adds_point, regularizer=0.7, steps=32, learning_rate=1e-2, seed=3
    )
    start = {name: network.parameters.clone() for name, network in networks_of(model)}
    rng = np.random.default_rng(3)
    for _, network in networks_of(model):
        network.parameters.add_(0.1)  # away from the initial weights, so that the anchor shows
    weights = {name: network.parameters.clone().requires_grad_() for name, network in networks_of(model)}
    contexts = contexts_of(rng, batch=1)
    model.update(contexts, np.array([[3, 1]]), np.array([1], np.int8))

    prompts, candidates = (torch.from_numpy(array) for array in scaled(model, contexts))
    shown = candidates[:, [3, 1]]
    point, trained = (
        network.output(network.hidden(shown, prompts, weights[name]), weights[name])[:, 0]
        for name, network in networks_of(model)
    )
    frozen = 2.0 * model._prior.utilities(shown, prompts)[:, 0] + (point.detach() if adds_point else 0)
    for name, utilities in [("point", point), ("particles", trained + frozen)]:
        loss = (torch.logsumexp(utilities, 1) - utilities[:, 1]).sum()  # the second was preferred
        (loss + 0.7 * (weights[name] - start[name]).square().sum()).backward()
        gradient, moved = weights[name].grad, dict(networks_of(model))[name].parameters - weights[name].detach()
        clear = gradient.abs() > 1e-4
        assert clear.float().mean() > 0.9
        assert torch.allclose(moved[clear], -1e-2 * gradient[clear].sign(), rtol=1e-2)


def networks_of(model):
    return [("point", model._point), ("particles", model._trained)]


def test_the_particles_never_reach_the_point_head():
    heads = []
    for changes in ({}, {"particles_add_point": True}, {"prior_scale": 9.0}):
        model = prior_model(**changes)
        teach(model, np.random.default_rng(4), batches=6)
        heads.append({name: array for name, array in model.state_dict().items() if name.startswith("point/")})
    assert_same(heads[0], heads[1])
    assert_same(heads[0], heads[2])


def test_without_scale_particles_are_the_ensemble_of_equal_weights():
    model = prior_model(prior_scale=0.0)
    ensemble = model_of("ensemble")
    ensemble._network.parameters.copy_(model._trained.parameters)
    ensemble._optimiser._anchor.copy_(model._trained.parameters)
    contexts = contexts_of(np.random.default_rng(5))
    for _ in range(5):
        for each in (model, ensemble):
            each._replay.rng.bit_generator.state = np.random.default_rng(6).bit_generator.state
            teach(each, np.random.default_rng(7), batches=1)
    ours, theirs = (each.sample_utilities(contexts, 3, np.random.default_rng(0)) for each in (model, ensemble))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_far_from_data_priors_keep_the_particles_apart_and_near_it_they_do_not():
    # Data vary in the first two features of four; far pairs differ in the other two, which no label has told of.
    shape = {"n_particles": 10, "hidden_sizes": (32, 32), "prior_hidden_sizes": (16,), "regularizer": 1.0, "steps": 10}
    near_apart, far_apart = {}, {}
    for scale in (3.0, 0.0):
        model, rng = prior_model(prior_scale=scale, learning_rate=5e-3, **shape), np.random.default_rng(8)

        def along(features, rng=rng):
            shown = contexts_of(rng, batch=64, n_candidates=2, scale=0.3)
            candidates = np.zeros_like(shown.candidates)
            candidates[..., features] = shown.candidates[..., features]
            return Contexts(np.zeros_like(shown.prompts), candidates)

        for _ in range(30):
            contexts = along([0, 1])
            gaps = 10 * (contexts.candidates[:, 0, 0] - contexts.candidates[:, 1, 0])
            preferences = (rng.random(64) > 1 / (1 + np.exp(-gaps))).astype(np.int8)
            model.update(contexts, np.tile([0, 1], (64, 1)), preferences)
        near_apart[scale], far_apart[scale] = (gaps_of(model, along(part)).mean() for part in ([0, 1], [2, 3]))
    assert far_apart[3.0] > 2 * far_apart[0.0]
    assert far_apart[3.0] > 4 * near_apart[3.0]
    assert near_apart[3.0] < 3 * near_apart[0.0]


def test_with_the_bootstrap_the_point_head_learns_from_all_duels():
    model = prior_model(n_particles=8, bootstrap=True, regularizer=0.0, steps=96)
    before = model.state_dict()
    contexts = contexts_of(np.random.default_rng(9), batch=1)
    model.update(contexts, random_pairs(np.random.default_rng(0), contexts), np.array([0], np.int8))
    after = model.state_dict()
    counts = after["buffer/marks"][0] > 0
    assert 0 < counts.sum() < 8
    now, then = (model._trained.views(torch.from_numpy(state["particles/weights"])) for state in (after, before))
    moved = sum((ours - theirs).abs().flatten(1).sum(1) for ours, theirs in zip(now, then, strict=True))
    assert ((moved > 0).numpy() == counts).all()
    assert not np.array_equal(after["point/weights"], before["point/weights"])


def test_with_the_bootstrap_each_duel_counts_once_for_the_point_head():
    # A twin that takes no step tells the minibatch; after one step the first moment of Adam is a tenth of the gradient.
    settings = {"bootstrap": True, "regularizer": 0.0, "minibatch_size": 30}
    model, twin = prior_model(steps=6, **settings), prior_model(steps=0, **settings)
    rng = np.random.default_rng(10)
    contexts = contexts_of(rng)
    pairs = random_pairs(rng, contexts)
    for each in (model, twin):
        each.update(contexts, pairs, np.array([0, 1, 3, 0, 1, 3], np.int8))
    duels = twin._replay.draw()
    assert len(np.unique(duels.marks[:, 0] > 0)) == 2  # the first particle leaves some of them out
    twin._point.backward(duels.candidates, duels.prompts, duels.targets)
    followed = 10 * model.state_dict()["point/first_moment"]
    assert followed == pytest.approx(twin._point.gradient.numpy(), rel=1e-3, abs=1e-6)
