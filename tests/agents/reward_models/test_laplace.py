from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up_duels import contexts_of, model_of, plain_hidden, random_pairs, scaled, teach


def taught(batches=6, seed=0, **changes):
    """Return a trained model, and the duels that it was taught: prompt, two candidates, target."""
    model, rng, duels = model_of("laplace", **changes), np.random.default_rng(seed), []
    for _ in range(batches):
        contexts = contexts_of(rng)
        pairs, preferences = random_pairs(rng, contexts), rng.choice([0, 1, 3], 6).astype(np.int8)
        model.update(contexts, pairs, preferences)
        duels += [
            (contexts, row, pair, target) for row, (pair, target) in enumerate(zip(pairs, preferences, strict=True))
        ]
    return model, duels


def differences_of(model, duels):
    """Return the differences of the last hidden layer's activations, written out with plain numpy."""
    parts = [part[0].double().numpy() for part in model._network.views(model._network.parameters)]
    rows = []
    for contexts, row, pair, _ in duels:
        prompts, candidates = scaled(model, contexts)
        first, second = (plain_hidden(parts, candidates[row, place], prompts[row]) for place in pair)
        rows.append(first - second)
    return np.array(rows)


@pytest.mark.parametrize("anchor", ["zero", "init"])
def test_the_covariance_is_the_inverse_of_the_hessian_that_autograd_finds(anchor):
    model, duels = taught(regularizer=0.4, anchor=anchor, steps=30, learning_rate=1e-2)
    differences = torch.from_numpy(differences_of(model, duels))
    targets = torch.tensor([{0: 1.0, 1: 0.0, 3: 0.5}[int(target)] for *_, target in duels], dtype=torch.float64)

    def loss(weights):
        logits = differences @ weights
        entropies = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return entropies + 0.4 * weights.square().sum()  # an anchor moves the minimum, not the Hessian

    posterior = model.posterior(contexts_of(np.random.default_rng(1)))
    hessian = torch.autograd.functional.hessian(loss, torch.from_numpy(posterior.mean.astype(np.float64)))
    assert posterior.covariance == pytest.approx(np.linalg.inv(hessian.numpy()), rel=1e-3, abs=1e-5)
    assert np.linalg.norm(hessian.numpy() - 0.8 * np.eye(5)) > 1  # the labels have told something


def test_before_any_label_the_last_layer_has_the_priors_variance():
    model = model_of("laplace", regularizer=4.0)
    contexts = contexts_of(np.random.default_rng(2))
    posterior = model.posterior(contexts)
    assert posterior.covariance == pytest.approx(np.eye(5) / 8)
    assert posterior.utilities() == pytest.approx(model.mean(contexts))


def test_mean_features_and_samples_are_of_one_gaussian():
    model, _ = taught(posterior_scale=1.5)
    contexts = contexts_of(np.random.default_rng(3), batch=1, n_candidates=3)
    posterior = model.posterior(contexts)
    prompts, candidates = scaled(model, contexts)
    parts = [part[0].numpy() for part in model._network.views(model._network.parameters)]
    hidden = np.array([plain_hidden(parts, candidate, prompts[0]) for candidate in candidates[0]])
    assert posterior.features[0] == pytest.approx(hidden, rel=1e-4, abs=1e-5)
    assert model.mean(contexts)[0] == pytest.approx(hidden @ parts[-1][0], rel=1e-4, abs=1e-5)
    samples = model.sample_utilities(contexts, 20_000, np.random.default_rng(4))[:, 0].astype(np.float64)
    expected = hidden @ posterior.covariance @ hidden.T
    spread = float(np.sqrt(np.diag(expected)).max())
    assert samples.mean(axis=0) == pytest.approx(model.mean(contexts)[0], abs=4 * spread / 20_000**0.5)
    assert np.cov(samples.T) == pytest.approx(expected, abs=0.06 * spread**2)


def test_the_posterior_scale_is_of_standard_deviations():
    contexts = contexts_of(np.random.default_rng(5))
    (one, _), (three, _) = taught(), taught(posterior_scale=3.0)
    assert three.posterior(contexts).covariance == pytest.approx(9 * one.posterior(contexts).covariance, rel=1e-5)
    assert np.array_equal(three.mean(contexts), one.mean(contexts))


def test_only_duels_in_the_buffer_count_and_a_buffer_shown_in_pieces_counts_alike(monkeypatch):
    model, duels = taught(buffer_capacity=10)
    differences = differences_of(model, duels[-10:])
    p = 1 / (1 + np.exp(-differences @ model._last_weights()))
    precision = 20 * np.eye(5) + (differences * (p * (1 - p))[:, None]).T @ differences
    monkeypatch.setattr("duelgym_agents.reward_models.replay._PIECE", 40)
    covariance = model.posterior(contexts_of(np.random.default_rng(6))).covariance
    assert covariance == pytest.approx(np.linalg.inv(precision), rel=1e-4, abs=1e-6)


def test_the_covariance_follows_every_change():
    model, _ = taught()
    contexts = contexts_of(np.random.default_rng(7))
    before = model.posterior(contexts).covariance
    teach(model, np.random.default_rng(8))
    after = model.posterior(contexts).covariance
    assert not np.array_equal(after, before)
    other, _ = taught(seed=9)
    other.posterior(contexts)
    other.load_state_dict(model.state_dict())
    assert np.array_equal(other.posterior(contexts).covariance, after)


def test_huge_activations_leave_a_covariance():
    model = model_of("laplace", regularizer=1e-3, anchor="zero", steps=0)
    model._network.parameters.mul_(300)
    teach(model, np.random.default_rng(9), batches=20)
    covariance = model.posterior(contexts_of(np.random.default_rng(10))).covariance
    assert np.linalg.eigvalsh(covariance.astype(np.float64)).min() > -1e-3
