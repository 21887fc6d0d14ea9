"""The conformance checks that third parties import."""

import numpy as np
import pytest

from duelgym.testing import check_agent
from duelgym_agents.registry import agent_factory


class Sampling:
    """Asks and recommends the first candidates; ``samples`` is what it gives of its utilities."""

    def __init__(self, samples):
        self.samples = samples

    def select_pairs(self, contexts):
        return np.tile([0, 1], (len(contexts), 1))

    def observe(self, contexts, pairs, preferences):
        pass

    def recommend(self, contexts):
        return np.zeros(len(contexts), dtype=np.int64)

    def sample_utilities(self, contexts, n_samples, rng):
        return self.samples(n_samples, contexts, rng)


@pytest.mark.parametrize("name", ["ee2024-passive", "passive+bayesian_linear", "passive+epinet"])
def test_agents_of_the_registry_keep_the_contract(name):
    check_agent(agent_factory(name))


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (lambda n, contexts, rng: np.zeros((n, len(contexts), 6)), r"shape \(3, 3, 6\), expected \(3, 3, 2\)"),
        (lambda n, contexts, rng: np.full((n, len(contexts), 2), np.nan), "not finite"),
        (lambda n, contexts, rng: np.random.default_rng().random((n, len(contexts), 2)), "equal generators"),
    ],
)
def test_samples_that_break_the_contract_are_named(samples, words):
    check_agent(lambda **_: Sampling(lambda n, contexts, rng: rng.random((n, len(contexts), 2))))
    with pytest.raises(AssertionError, match=words):
        check_agent(lambda **_: Sampling(samples))
