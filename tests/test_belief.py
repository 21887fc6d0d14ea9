"""The Gaussian belief about a linear utility, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.belief import GaussianBelief

ONE_OR_NONE = np.array([[1.0], [0.0]], np.float32)


def belief_of_variance_two():
    """Candidates at 1 and 0 deviate by a half from their average: variance 1 / (2 * 1/4) = 2 at scale 1."""
    belief = GaussianBelief.before_labels(ONE_OR_NONE, prior_scale=1.0)
    assert belief.mean.tolist() == [0.0] and belief.covariance.tolist() == [[2.0]]
    return belief


@pytest.mark.parametrize(("preference", "mean"), [(0, 2 / 3), (1, -2 / 3), (3, 0.0)])
def test_one_answer_is_the_exact_one_step_posterior(preference, mean):
    """x = 1, p = 1/2: precision 1/2 + 1/4, so the variance is 4/3, and the mean moves by 4/3 of y - 1/2."""
    belief = belief_of_variance_two()
    belief.observe(ONE_OR_NONE, (0, 1), preference)
    assert belief.covariance[0, 0] == pytest.approx(4 / 3)
    assert belief.mean[0] == pytest.approx(mean)


def test_the_second_answer_is_weighed_against_what_was_expected():
    """m = 2/3, S = 4/3: κ² = 1 + π/6, p = σ(m/κ), precision 3/4 + p(1-p), and the mean moves by S(0 - p)."""
    belief = belief_of_variance_two()
    belief.observe(ONE_OR_NONE, (0, 1), 0)
    belief.observe(ONE_OR_NONE, (0, 1), 1)
    p = 1 / (1 + np.exp(-(2 / 3) / np.sqrt(1 + np.pi / 6)))
    variance = 1 / (3 / 4 + p * (1 - p))
    assert belief.covariance[0, 0] == pytest.approx(variance)
    assert belief.mean[0] == pytest.approx(2 / 3 - variance * p)


@pytest.mark.parametrize(("pair", "preference"), [((0, 1), 2), ((1, 1), 0)])
def test_no_answer_and_a_candidate_against_itself_teach_nothing(pair, preference):
    belief = belief_of_variance_two()
    belief.observe(ONE_OR_NONE, pair, preference)
    assert belief.mean.tolist() == [0.0] and belief.covariance.tolist() == [[2.0]]


def test_what_it_says_of_candidates_is_against_their_average_and_cut_off():
    belief = GaussianBelief(np.array([3.0, 0.0]), np.array([[4.0, 0.0], [0.0, 0.0]]))
    shown = belief.about(np.array([[1.0, 9.0], [-1.0, 9.0]], np.float32))
    assert shown.dtype == np.float32
    assert shown.tolist() == [[3.0, 2.0], [-3.0, 2.0]]
    assert belief.about(np.array([[9.0, 0.0], [-9.0, 0.0]], np.float32)).tolist() == [[10.0, 10.0], [-10.0, 10.0]]


@given(st.integers(1, 4), st.integers(2, 5), st.integers(0, 99))
def test_prompts_are_described_apart_and_the_prior_is_their_average(prompts, n, seed):
    candidates = np.random.default_rng(seed).uniform(-1, 1, (prompts, n, 3)).astype(np.float32)
    belief = GaussianBelief.before_labels(candidates, prior_scale=2.0)
    alone = [GaussianBelief.before_labels(part, prior_scale=2.0) for part in candidates]
    precision = np.mean([1 / each.covariance[0, 0] for each in alone])  # spreads, not variances, are averaged
    assert belief.covariance == pytest.approx(np.eye(3) / precision)
    assert belief.about(candidates) == pytest.approx(np.stack([belief.about(part) for part in candidates]), abs=1e-6)


def test_identical_candidates_tell_no_scale():
    for value in (1.0, 0.1, 7.3):  # a mean of equal numbers is not quite what they are
        alike = np.full((7, 2), value, np.float32)
        assert GaussianBelief.before_labels(alike, 2.0).covariance.tolist() == np.eye(2).tolist()
