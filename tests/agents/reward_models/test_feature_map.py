from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_duels import contexts_of

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.feature_map import KINDS, N_FOURIER, FeatureMap
from duelgym_agents.reward_models.fourier import FourierFeatures


def square(rng, dim=4, **shape):
    return contexts_of(rng, prompt_dim=dim, candidate_dim=dim, **shape)


def test_response_and_product_by_hand():
    prompts = np.array([[1.0, 2.0]], np.float32)
    candidates = np.array([[[3.0, 1.0], [-1.0, 1.0]]], np.float32)
    # Candidates have squared lengths 10 and 2, on average 6; their products with the prompt, (3, 2) and (-1, 2), have
    # 13 and 5, on average 9.
    features = FeatureMap.measured(Contexts(prompts, candidates), "interaction")(Contexts(prompts, candidates))
    assert features[0, 0] == pytest.approx(np.array([3, 1, 0, 0]) / 6**0.5 + np.array([0, 0, 3, 2]) / 3)
    assert features[0, 1] == pytest.approx(np.array([-1, 1, 0, 0]) / 6**0.5 + np.array([0, 0, -1, 2]) / 3)
    assert features.dtype == np.float32


def test_kinds_are_one_within_the_next_and_products_need_equal_dimensions():
    rng = np.random.default_rng(0)
    for contexts, widths in [(square(rng), (4, 8, 8 + N_FOURIER)), (contexts_of(rng), (4, 4, 4 + N_FOURIER))]:
        maps = [FeatureMap.measured(contexts, kind) for kind in KINDS]
        response, interaction, fourier = (features(contexts) for features in maps)
        assert tuple(features.width(contexts.prompts.shape[1]) for features in maps) == widths
        assert (response.shape[2], interaction.shape[2], fourier.shape[2]) == widths
        assert np.array_equal(interaction[..., :4], response)
        assert np.array_equal(fourier[..., : widths[1]], interaction)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(1e-6, 1e6))
def test_each_block_has_mean_squared_length_one_whatever_the_scale(seed, scale):
    contexts = square(np.random.default_rng(seed), batch=8, n_candidates=6, scale=scale)
    features = FeatureMap.measured(contexts, "fourier")(contexts).astype(np.float64)
    for block, tolerance in [(features[..., :4], 1e-4), (features[..., 4:8], 1e-4), (features[..., 8:], 0.15)]:
        assert np.square(block).sum(axis=2).mean() == pytest.approx(1.0, rel=tolerance)


def test_fourier_features_are_a_squared_exponential_kernel_of_the_median_distance():
    contexts = contexts_of(np.random.default_rng(1), batch=4, n_candidates=10)
    waves = FeatureMap.measured(contexts, "fourier")(contexts).reshape(40, -1)[:, 4:]
    flat = contexts.candidates.reshape(40, -1)
    distances = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    length = np.median(distances[np.triu_indices(40, k=1)])
    # A cosine's product has variance of at most 1/2 about the kernel's value, twice 256 of them 4 / 256.
    error = waves @ waves.T - np.exp(-np.square(distances / length) / 2)
    assert np.sqrt(np.square(error).mean()) < 0.09
    assert np.abs(error).max() < 0.3


def test_the_length_is_of_different_candidates_even_where_there_are_few():
    # A single prompt with two candidates at distance 3: half of all draws are of one with itself, which is no distance.
    pair = Contexts(np.zeros((1, 2), np.float32), np.array([[[0.0, 0.0], [3.0, 0.0]]], np.float32))
    wide = Contexts(pair.prompts, 2 * pair.candidates)
    near, far = (FeatureMap.measured(contexts, "fourier").waves.frequencies for contexts in (pair, wide))
    assert far == pytest.approx(near / 2)
    assert (3 * near).std() == pytest.approx(1.0, abs=0.1)


def test_the_length_is_a_median_that_neither_outliers_nor_copies_move():
    # Frequencies deviate by 1 over the length. Corners of a simplex all lie 1 apart, whatever a single point far away;
    # of points that are mostly copies only those 3 apart count.
    corners = np.eye(20, dtype=np.float32) / np.float32(2**0.5)
    corners[0] = 1000
    copies = np.zeros((20, 20), np.float32)
    copies[0, 0] = 3
    for points, length, deviation in [(corners, 1.0, 1.0), (corners, 0.5, 2.0), (copies, 1.0, 1 / 3)]:
        waves = FourierFeatures.measured(points, 1000, np.random.default_rng(4), length)
        assert waves.frequencies.std() == pytest.approx(deviation, rel=0.02)  # four standard errors of 20 000 draws


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 0.7])
def test_candidates_that_are_all_alike_have_finite_features(kind, value):
    for shape in [(3, 5, 4), (1, 1, 4)]:
        contexts = Contexts(np.full((shape[0], 4), value, np.float32), np.full(shape, value, np.float32))
        assert np.isfinite(FeatureMap.measured(contexts, kind)(contexts)).all()


def test_state_goes_round_and_another_dimension_is_refused():
    contexts = square(np.random.default_rng(2))
    features = FeatureMap.measured(contexts, "fourier")
    again = FeatureMap.from_state("fourier", features.state_dict(), 4)
    assert np.array_equal(again(contexts), features(contexts))
    with pytest.raises(SpecificationError, match=r"'frequencies' has shape \(4, 256\), this agent needs \(5, 256\)"):
        FeatureMap.from_state("fourier", features.state_dict(), 5)


def test_measuring_draws_the_same_frequencies_every_time():
    contexts = square(np.random.default_rng(3))
    first, again = (FeatureMap.measured(contexts, "fourier") for _ in range(2))
    assert np.array_equal(first.waves.frequencies, again.waves.frequencies)
    assert np.array_equal(first.waves.phases, again.waves.phases)
