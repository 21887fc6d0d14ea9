from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_duels import contexts_of

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.feature_blocks import FeatureBlocks

seeds = st.integers(0, 10**6)


def with_texts(rng, **shape):
    contexts = contexts_of(rng, **shape)
    batch, n_candidates, _ = contexts.candidates.shape

    def text():
        return " ".join("word" * int(rng.integers(1, 4)) for _ in range(rng.integers(1, 20)))

    prompts, responses = (
        (text() for _ in range(batch)),
        (tuple(text() for _ in range(n_candidates)) for _ in range(batch)),
    )
    return replace(contexts, prompt_texts=tuple(prompts), candidate_texts=tuple(responses))


def split(features, shown):
    """Return the features of each block."""
    return np.split(features(shown), np.cumsum(features.widths)[:-1], axis=-1)


def pair_distances(block):
    """Return the mean squared distance of two candidates of a prompt."""
    first, second = np.triu_indices(block.shape[1], k=1)
    return np.square(block[:, first] - block[:, second], dtype=np.float64).sum(axis=-1).mean()


def test_relative_embedding_and_distance_by_hand():
    # Relative to their mean (1, 0) the three lie at (2, 0), (-1, 1), (-1, -1): squared lengths 4, 2, 2.
    candidates = np.array([[[3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]], np.float32)
    contexts = Contexts(np.zeros((1, 2), np.float32), candidates)
    relative, distance, _, _ = split(FeatureBlocks.measured(contexts, 4, texts=False), contexts)
    # Pairs lie sqrt 10, sqrt 10 and 2 apart, 8 in mean square; lengths 2, sqrt 2, sqrt 2, two pairs of which differ.
    assert relative[0] == pytest.approx(np.array([[2, 0], [-1, 1], [-1, -1]]) / 8**0.5, abs=1e-6)
    gap = (2 - 2**0.5) / np.sqrt(2 / 3 * (2 - 2**0.5) ** 2)
    assert distance[0, 0] - distance[0, 1] == pytest.approx(gap, rel=1e-5)
    assert distance[0, 1] == pytest.approx(distance[0, 2])


@settings(max_examples=20)
@given(seeds, st.sampled_from([1e-6, 1.0, 1e6]), st.booleans())
def test_two_candidates_lie_one_apart_in_every_block_whatever_the_scale(seed, scale, texts):
    contexts = with_texts(np.random.default_rng(seed), scale=scale)
    features = FeatureBlocks.measured(contexts, 8, texts=texts)
    blocks = split(features, contexts)
    assert [block.shape[2] for block in blocks] == list(features.widths)
    assert len(blocks) == len(features.shares) == (6 if texts else 4)
    assert features.shares.sum() == pytest.approx(1)
    for block in blocks:
        assert pair_distances(block) == pytest.approx(1.0, rel=1e-3)


@settings(max_examples=20)
@given(seeds)
def test_relative_blocks_do_not_see_what_all_candidates_share(seed):
    rng = np.random.default_rng(seed)
    contexts = contexts_of(rng)
    features = FeatureBlocks.measured(contexts, 8, texts=False)
    moved = Contexts(contexts.prompts, contexts.candidates + contexts_of(rng, n_candidates=1).candidates)
    before, after = split(features, contexts), split(features, moved)
    for block in range(3):
        assert after[block] == pytest.approx(before[block], abs=1e-3)
    assert np.abs(after[3] - before[3]).max() > 1e-3  # the waves of the embedding itself do


def test_relative_waves_are_a_kernel_of_half_the_median_distance_and_waves_of_the_whole():
    contexts = contexts_of(np.random.default_rng(1), batch=4, n_candidates=10)
    features = FeatureBlocks.measured(contexts, 2000, texts=False)
    relative = features.scale * (contexts.candidates - contexts.candidates.mean(axis=1, keepdims=True))
    for points, waves, length in [
        (relative, features.relative_waves, 0.5),
        (contexts.candidates, features.waves, 1.0),
    ]:
        flat = points.reshape(40, -1).astype(np.float32)
        distances = np.linalg.norm(flat[:, None] - flat[None], axis=2)
        median = np.median(distances[np.triu_indices(40, k=1)])
        kernel = np.exp(-np.square(distances / (length * median)) / 2)
        assert np.sqrt(np.square(waves(flat) @ waves(flat).T - kernel).mean()) < 0.04


def test_surface_blocks_see_texts_and_the_others_do_not():
    rng = np.random.default_rng(2)
    contexts = with_texts(rng)
    longer = tuple((f"{first} and more. More, more!", *rest) for first, *rest in contexts.candidate_texts)
    features = FeatureBlocks.measured(contexts, 8, texts=True)
    before, after = split(features, contexts), split(features, replace(contexts, candidate_texts=longer))
    assert all(np.array_equal(one, other) for one, other in zip(before[:4], after[:4], strict=True))
    assert all(np.abs(one - other).max() > 0.1 for one, other in zip(before[4:], after[4:], strict=True))
    with pytest.raises(SpecificationError, match="carry none"):
        features(Contexts(contexts.prompts, contexts.candidates))


@pytest.mark.parametrize("shape", [(3, 5, 4), (3, 1, 4), (1, 1, 1)])
@pytest.mark.parametrize("value", [0.0, 0.7])
def test_candidates_that_are_alike_tell_nothing_and_no_scale_is_made_of_rounding(shape, value):
    contexts = Contexts(np.full((shape[0], 3), value, np.float32), np.full(shape, value, np.float32))
    features = FeatureBlocks.measured(contexts, 8, texts=False)
    assert features.tell_nothing
    assert not features(contexts).any()
    contexts.candidates[:, 0] = np.nextafter(contexts.candidates[:, 0], np.float32(1))
    nearly = FeatureBlocks.measured(contexts, 8, texts=False)
    assert value == 0 or nearly.tell_nothing


def test_a_surface_feature_in_which_the_first_texts_hardly_differ_gets_no_huge_scale():
    contexts = with_texts(np.random.default_rng(3))  # no digits, commas, lists, …
    features = FeatureBlocks.measured(contexts, 8, texts=True)
    assert features.surface_scales is not None
    assert features.surface_scales[4] == pytest.approx(5)
    odd = tuple(("1 2 3", *rest) for _, *rest in contexts.candidate_texts)
    surface = split(features, replace(contexts, candidate_texts=odd))[4]
    assert 0.1 < pair_distances(surface[:, :2]) < 20


def test_surface_features_are_scaled_by_their_deviation_by_hand():
    # "a" has 1 character and 1 word, "a a a" 5 and 3: as log(1 + count) they lie log 3 and log 2 apart, and so deviate by
    # half of that from their mean. Both have one line.
    embeddings = np.zeros((1, 2), np.float32), np.zeros((1, 2, 2), np.float32)
    features = FeatureBlocks.measured(Contexts(*embeddings, ("",), (("a", "a a a"),)), 8, texts=True)
    assert features.surface_scales[:3] == pytest.approx([2 / np.log(3), 2 / np.log(2), 5])


def test_shares_by_hand():
    contexts = with_texts(np.random.default_rng(6))
    on_embeddings = FeatureBlocks.measured(contexts, 8, texts=False).shares
    assert on_embeddings == pytest.approx(np.array([8, 0.1, 1, 1]) / 10.1)
    assert FeatureBlocks.measured(contexts, 8, texts=True).shares == pytest.approx(
        np.array([8, 0.1, 1, 1, 8, 2]) / 20.1
    )


def test_blocks_in_which_candidates_do_not_differ_leave_their_shares_to_the_others():
    contexts = with_texts(np.random.default_rng(7))
    alike = replace(contexts, candidate_texts=tuple(("the same words",) * 5 for _ in range(6)))
    features = FeatureBlocks.measured(alike, 8, texts=True)
    assert (features.block_scales > 0).tolist() == [True] * 4 + [False] * 2
    assert features.shares[:4] == pytest.approx(np.array([8, 0.1, 1, 1]) / 10.1)
    assert not features(alike)[..., -sum(features.widths[4:]) :].any()


def test_a_state_goes_round_and_other_dimensions_are_refused():
    contexts = with_texts(np.random.default_rng(4))
    for texts in (False, True):
        features = FeatureBlocks.measured(contexts, 8, texts=texts)
        again = FeatureBlocks.from_state(features.state_dict(), 4, 8, texts=texts)
        assert np.array_equal(again(contexts), features(contexts))
        with pytest.raises(SpecificationError, match=r"'frequencies' has shape \(4, 8\), this agent needs \(5, 8\)"):
            FeatureBlocks.from_state(features.state_dict(), 5, 8, texts=texts)
    with pytest.raises(SpecificationError, match="'surface_scales'"):
        FeatureBlocks.from_state(FeatureBlocks.measured(contexts, 8, texts=False).state_dict(), 4, 8, texts=True)
