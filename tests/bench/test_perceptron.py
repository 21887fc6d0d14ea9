"""The supervised perceptron learns what no linear rule can, and its generator decides what it becomes."""

import numpy as np
import pytest

from duelgym.agent import Contexts
from duelgym_bench.perceptron import perceptron_scores


def _material(rng, n_prompts, n_candidates):
    """Candidates whose utility is |x| + y p: even in one feature, of a sign that the prompt decides in another."""
    candidates = rng.uniform(-1, 1, (n_prompts, n_candidates, 3)).astype(np.float32)
    prompts = rng.choice((-1.0, 1.0), (n_prompts, 1)).astype(np.float32)
    utilities = np.abs(candidates[:, :, 0]) + candidates[:, :, 1] * prompts
    return Contexts(prompts, candidates), utilities.astype(np.float64)


@pytest.fixture(scope="module")
def material():
    rng = np.random.default_rng(0)
    return _material(rng, 400, 12), _material(rng, 200, 12)


def test_learns_an_even_utility_and_one_that_depends_on_the_prompt(material):
    """A linear rule of these features chooses no better than at random, and gets 0 of the way from there to the best."""
    (learning, utilities), (held_out, truth) = material
    (scores,) = perceptron_scores(learning, utilities, (held_out,), rng=np.random.default_rng(1))
    chosen = np.take_along_axis(truth, scores.argmax(axis=1)[:, None], axis=1).mean()
    assert (chosen - truth.mean()) / (truth.max(axis=1).mean() - truth.mean()) > 0.9


def test_the_generator_decides(material):
    (learning, utilities), (held_out, _) = material
    first, again, other = (
        perceptron_scores(learning, utilities, (held_out, learning), rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert [scores.shape for scores in first] == [(200, 12), (400, 12)]
    assert all(map(np.array_equal, first, again)) and not np.array_equal(first[0], other[0])


def test_the_scale_of_utilities_does_not_matter(material):
    (learning, utilities), (held_out, _) = material
    small, large = (
        perceptron_scores(learning, factor * utilities + 7, (held_out,), rng=np.random.default_rng(1))[0].argmax(axis=1)
        for factor in (1.0, 64.0)
    )
    assert (small == large).mean() > 0.98


def test_equal_utilities_teach_nothing_and_break_nothing(material):
    (learning, utilities), (held_out, _) = material
    (scores,) = perceptron_scores(learning, np.zeros_like(utilities), (held_out,), rng=np.random.default_rng(1))
    assert np.isfinite(scores).all()
