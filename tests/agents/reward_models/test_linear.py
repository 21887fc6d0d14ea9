from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_duels import contexts_of, model_of, random_pairs, teach

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.gaussian import GaussianWeights

FEATURES = ["response", "interaction", "fourier"]


def linear(features="response", dim=4, **changes):
    return model_of("bayesian_linear", features=features, prompt_dim=dim, candidate_dim=dim, **changes)


def square(rng, dim=4, **shape):
    return contexts_of(rng, prompt_dim=dim, candidate_dim=dim, **shape)


def pair_variances(posterior):
    """Return the variance of every difference of two candidates of one prompt."""
    x = posterior.features.astype(np.float64)
    first, second = np.triu_indices(x.shape[1], k=1)
    gaps = x[:, first] - x[:, second]
    return np.einsum("bpi,ij,bpj->bp", gaps, posterior.covariance, gaps)


# --- the prior --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("n_candidates", [2, 3, 7])
def test_before_any_label_pairs_differ_by_the_prior_scale_and_by_nothing_on_average(features, n_candidates):
    rng = np.random.default_rng(0)
    model, contexts = linear(features, prior_scale=3.0), square(rng, n_candidates=n_candidates)
    assert (model.mean(contexts) == 0).all()
    assert pair_variances(model.posterior(contexts)).mean() == pytest.approx(9.0, rel=1e-4)
    samples = model.sample_utilities(contexts, 4000, rng).astype(np.float64)
    first, second = np.triu_indices(n_candidates, k=1)
    gaps = samples[..., first] - samples[..., second]
    assert np.sqrt(np.square(gaps).mean()) == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("features", FEATURES)
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-6, 1e6), value=st.sampled_from([0.0, 0.3]))
def test_the_prior_does_not_depend_on_the_size_of_embeddings_nor_on_what_they_share(features, seed, scale, value):
    contexts = square(np.random.default_rng(seed))
    moved = Contexts(
        (contexts.prompts * np.float32(scale)), (contexts.candidates + np.float32(value)) * np.float32(scale)
    )
    assert pair_variances(linear(features).posterior(moved)).mean() == pytest.approx(4.0, rel=1e-3)


def test_first_contexts_in_which_candidates_are_alike_do_not_blow_the_prior_up():
    # A float32 mean of a thousand equal numbers is not quite what they are, and copies may differ in the last bit: no
    # scale may be made of rounding.
    model, rng = linear("interaction"), np.random.default_rng(1)
    one = square(rng, batch=3, n_candidates=1)
    alike = Contexts(one.prompts, one.candidates.repeat(1000, axis=1))
    alike.candidates[:, 500] = np.nextafter(alike.candidates[:, 500], np.float32(1))
    model.update(alike, np.array([[0, 1]] * 3), np.array([0, 1, 0], np.int8))
    assert model.state_dict() == {}
    contexts = square(rng)
    model.update(contexts, random_pairs(rng, contexts), np.zeros(6, np.int8))
    assert np.abs(model.sample_utilities(contexts, 10, rng)).max() < 50


# --- learning ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", FEATURES)
def test_a_batch_is_taken_in_as_differences_of_features(features):
    rng = np.random.default_rng(2)
    model, contexts = linear(features, likelihood_power=0.6), square(rng)
    before = model.posterior(contexts)
    pairs = np.array([[0, 1], [2, 2], [3, 1], [4, 0], [1, 2], [0, 3]])
    model.update(contexts, pairs, np.array([0, 1, 2, 3, 1, 0], np.int8))  # one self-duel, one skip, one tie
    by_hand = GaussianWeights(len(before.mean), float(before.covariance[0, 0]))
    asked = np.array([0, 3, 4, 5])
    x = before.features[asked, pairs[asked, 0]] - before.features[asked, pairs[asked, 1]]
    by_hand.update(x, np.array([1.0, 0.5, 0.0, 1.0], np.float32), 0.6)
    after = model.posterior(contexts)
    assert np.array_equal(after.features, before.features)  # features are settled by the first contexts
    assert after.mean == pytest.approx(by_hand.mean, abs=1e-5)
    assert after.covariance == pytest.approx(by_hand.covariance, rel=1e-4, abs=1e-6)
    assert model.mean(contexts) == pytest.approx(before.features @ by_hand.mean, abs=1e-5)


def test_samples_are_of_the_posterior():
    rng = np.random.default_rng(3)
    model = linear("interaction")
    teach(model, rng, prompt_dim=4)
    contexts = square(rng, batch=1, n_candidates=3)
    posterior = model.posterior(contexts)
    x = posterior.features[0].astype(np.float64)
    samples = model.sample_utilities(contexts, 20_000, rng)[:, 0].astype(np.float64)
    spread = np.sqrt(np.diag(x @ posterior.covariance @ x.T))
    assert np.abs(samples.mean(axis=0) - model.mean(contexts)[0]).max() < 4 * spread.max() / 20_000**0.5
    assert np.cov(samples.T) == pytest.approx(x @ posterior.covariance @ x.T, abs=0.06 * spread.max() ** 2)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_what_is_added_to_all_candidates_of_a_prompt_moves_no_difference(seed):
    rng = np.random.default_rng(seed)
    model = linear("response")
    teach(model, rng, prompt_dim=4)
    contexts = square(rng)
    moved = Contexts(contexts.prompts, contexts.candidates + contexts_of(rng, n_candidates=1).candidates)
    for ask in (model.mean, lambda shown: model.sample_utilities(shown, 7, np.random.default_rng(0))):
        shift = ask(moved) - ask(contexts)
        assert shift == pytest.approx(np.broadcast_to(shift[..., :1], shift.shape), abs=1e-4)


def test_less_than_a_whole_likelihood_leaves_wider_beliefs():
    spreads = []
    for power in (1.0, 0.3):
        model = linear(likelihood_power=power)
        teach(model, np.random.default_rng(4), batches=20, prompt_dim=4)
        spreads.append(pair_variances(model.posterior(square(np.random.default_rng(5)))).mean())
    assert spreads[1] > 2 * spreads[0]


def test_beliefs_are_calibrated_where_the_prior_is_true():
    # 150 raters are drawn from the prior; each answers 160 random duels; then beliefs about 50 fresh pairs are checked.
    scores, said, true = [], [], []
    for world in range(150):
        rng = np.random.default_rng(world)
        model, first = linear("response", dim=6), square(rng, dim=6, batch=16)
        prior = model.posterior(first)
        weights = rng.standard_normal(6) * np.sqrt(prior.covariance[0, 0])
        size = float(prior.features[0, 0, 0] / first.candidates[0, 0, 0])  # a feature is its embedding times this
        for batch in range(10):
            contexts = first if batch == 0 else square(rng, dim=6, batch=16)
            pairs = random_pairs(rng, contexts)
            utilities = size * contexts.candidates @ weights
            gaps = np.take_along_axis(utilities, pairs, axis=1) @ [1, -1]
            model.update(contexts, pairs, (rng.random(16) > 1 / (1 + np.exp(-gaps))).astype(np.int8))
        fresh = square(rng, dim=6, batch=50, n_candidates=2)
        gaps = size * fresh.candidates @ weights @ [1, -1]
        scores.append((gaps - model.mean(fresh) @ [1, -1]) / np.sqrt(pair_variances(model.posterior(fresh))[:, 0]))
        samples = model.sample_utilities(fresh, 200, rng)
        said.append((1 / (1 + np.exp(samples[..., 1] - samples[..., 0]))).mean(axis=0))
        true.append(1 / (1 + np.exp(-gaps)))
    # Squared errors are 1.3 times the variance claimed: Laplace's, not ours. 900 weights: a standard error of 0.06.
    assert np.square(scores).mean() == pytest.approx(1.3, abs=0.2)
    said, true = np.concatenate(said), np.concatenate(true)
    for low in np.arange(0, 1, 0.2):
        inside = (said >= low) & (said < low + 0.2)
        assert inside.sum() > 500
        assert said[inside].mean() == pytest.approx(true[inside].mean(), abs=0.03)


# --- state ------------------------------------------------------------------------------------------------


def test_a_fresh_model_has_an_empty_state_and_takes_one_back():
    model = linear()
    assert model.state_dict() == {}
    teach(model, np.random.default_rng(6), prompt_dim=4)
    model.load_state_dict({})
    assert (model.mean(square(np.random.default_rng(7))) == 0).all()


def test_a_state_of_other_features_or_dimensions_is_refused():
    model = linear("interaction")
    teach(model, np.random.default_rng(8), prompt_dim=4)
    for other in (linear("response"), linear("fourier"), model_of("bayesian_linear", features="interaction")):
        with pytest.raises(SpecificationError, match=r"'mean' has shape \(8,\), this agent needs"):
            other.load_state_dict(model.state_dict())
    with pytest.raises(SpecificationError, match=r"'frequencies' has shape \(4, 256\), this agent needs \(5, 256\)"):
        linear("interaction", dim=5).load_state_dict(model.state_dict())
