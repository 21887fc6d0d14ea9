"""The raters of a pool with several attributes: what they read there, and the pairs that set their scale."""

import numpy as np
import pytest

from duelgym.errors import SpecificationError
from duelgym.generators import Questions
from duelgym.metrics.calibration import favourite_rate
from duelgym.pools import CandidatePool, write_pool
from duelgym.simulators.attributes import Population
from duelgym.simulators.populations import RecordedAttributes, attribute_raters, calibration_pairs, pool_population

NAMES = ("true", "warmth")
POPULATION = Population(("true",), ("warmth",), (2.0, 0.5), 1.5)
RNG = np.random.default_rng(6)
VALUES = np.concatenate(
    [
        [[[0, 4], [1, 4], [2, 4], [3, 4], [4, 9]], [[5, 0], [5, 1], [5, 0], [5, 0], [5, 4]]],
        RNG.integers(0, 9, (40, 5, 2)),
    ]
)


def _write(path, values=VALUES, raters=POPULATION):
    prompts, n, _ = values.shape
    return write_pool(
        path,
        name="rated",
        prompts=[f"prompt {k}" for k in range(prompts)],
        candidate_names=[f"candidate {k}" for k in range(n)],
        texts=[[f"answer {k} to {row}" for k in range(n)] for row in range(prompts)],
        prompt_embeddings=RNG.standard_normal((prompts, 3)),
        candidate_embeddings=RNG.standard_normal((prompts, n, 3)),
        utilities=values,
        attributes=NAMES,
        raters=None if raters is None else raters.specification(),
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return _write(tmp_path_factory.mktemp("populations") / "pool")


def test_recorded_attributes_by_hand(pool):
    """Centred over all five candidates, (0 .. 4, mean 2) / 2 and (4, 4, 4, 4, 9, mean 5) / 0.5, in the order shown."""
    shown = Questions(np.array([0, 1]), np.array([[4, 0], [1, 3]]))
    values = RecordedAttributes(pool, POPULATION)(shown)
    assert values.tolist() == [[[1.0, 8.0], [-1.0, -2.0]], [[0.0, 0.0], [0.0, -2.0]]]


def test_calibration_pairs_by_hand(pool):
    """Columns 0 and 1, 2 and 3 of every prompt; the fifth has no partner, and yet counts in the mean."""
    pairs = calibration_pairs(pool)
    assert pairs.shape == (2 * len(VALUES), 2, 2)
    assert pairs[0].tolist() == [[-1.0, -2.0], [-0.5, -2.0]] and pairs[1].tolist() == [[0.0, -2.0], [0.5, -2.0]]
    assert pairs[2].tolist() == [[0.0, -2.0], [0.0, 0.0]]


def test_calibration_pairs_are_made_once_for_a_pool_and_cannot_be_changed(pool, tmp_path):
    pairs = calibration_pairs(pool)
    assert calibration_pairs(CandidatePool.open(pool.path)) is pairs
    other = calibration_pairs(_write(tmp_path / "other", VALUES + np.arange(5)[:, None]))
    assert not np.array_equal(other, pairs)
    with pytest.raises(ValueError, match="read-only"):
        pairs[0, 0, 0] = 1.0


@pytest.mark.parametrize("rater", [None, 0, 3, {"true": 1.0, "warmth": -2.0}])
def test_every_rater_of_a_pool_is_equally_sure_and_decided_by_the_seed(pool, rater):
    raters = attribute_raters(pool, rater)
    every = Questions(np.arange(len(VALUES)), np.tile(np.arange(5), (len(VALUES), 1)))
    for seed in range(4):
        drawn = raters.draw(np.random.default_rng(seed))
        pairs = drawn.utilities(every)[:, :4].reshape(-1, 2)
        assert favourite_rate(pairs, temperature=1.0) == pytest.approx(0.70, abs=1e-4)
        again = attribute_raters(pool, rater).draw(np.random.default_rng(seed))
        assert np.array_equal(again.utilities(every), drawn.utilities(every))


def test_a_named_rater_by_hand(pool):
    """Who weighs truth alone: u = -ln(1 + exp(-z)) over its scale, at z = 1 and -1."""
    rater = attribute_raters(pool, {"true": 1.0}).draw(np.random.default_rng(0))
    u = rater.utilities(Questions(np.array([0]), np.array([[4, 0]])))
    assert (u * rater.scale).tolist()[0] == pytest.approx([-np.log(1 + np.exp(-1)), -np.log(1 + np.exp(1))])


def test_the_population_is_the_one_documented(pool):
    assert pool_population(pool) == POPULATION


def test_a_pool_without_raters_is_refused_in_one_line(tmp_path):
    silent = _write(tmp_path / "silent", raters=None)
    for ask in (pool_population, calibration_pairs, lambda pool: attribute_raters(pool, None)):
        with pytest.raises(SpecificationError, match="'rated' has 2 attributes and documents no raters") as refused:
            ask(silent)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rater", [-1, True, {"warmth": "much"}, {"brevity": 1.0}])
def test_unknown_raters_are_refused(pool, rater):
    with pytest.raises(SpecificationError, match="rater"):
        attribute_raters(pool, rater)
