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


class Remembering:
    """Asks the first candidate and one that a generator draws; what ``state`` leaves out is lost when it is restored."""

    def __init__(self, *, seed, n_candidates, state=("drawn", "seed"), **rest):
        self.seed, self.drawn, self.n, self.kept = seed, 0, n_candidates, state

    def select_pairs(self, contexts):
        self.drawn += 1
        other = 1 + np.random.default_rng([self.seed, self.drawn]).integers(self.n - 1, size=len(contexts))
        return np.stack([np.zeros_like(other), other], axis=1)

    def observe(self, contexts, pairs, preferences):
        pass

    def recommend(self, contexts):
        return np.zeros(len(contexts), dtype=np.int64)

    def state_dict(self):
        return {name: np.array(getattr(self, name)) for name in self.kept}

    def load_state_dict(self, state):
        for name in self.kept:
            setattr(self, name, int(state[name]))


class Stateless(Sampling):
    """Says that it has nothing to save."""

    def __init__(self, **arguments):
        super().__init__(lambda n, contexts, rng: rng.random((n, len(contexts), 2)))

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Uncopied(Remembering):
    def __deepcopy__(self, memo):
        raise TypeError("cannot copy a lock")


class Shared(Remembering):
    """What a copy is taught, the original has learnt."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.lessons = []

    def __deepcopy__(self, memo):
        twin = Shared(seed=self.seed, n_candidates=self.n)
        twin.__dict__ |= self.__dict__
        return twin

    def observe(self, contexts, pairs, preferences):
        self.lessons.append(0)

    def recommend(self, contexts):
        return np.full(len(contexts), len(self.lessons) % 5)


class Teachable(Remembering):
    """Knows each pair that it was ever told of, and so do its copies, though it asks the same ones."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.told = set()

    def __deepcopy__(self, memo):
        twin = Teachable(seed=self.seed, n_candidates=self.n)
        twin.__dict__ |= self.__dict__
        return twin

    def observe(self, contexts, pairs, preferences):
        self.told |= set(map(tuple, pairs.tolist()))

    def recommend(self, contexts):
        return np.full(len(contexts), len(self.told) % self.n)


def made(kind, **more):
    return lambda **arguments: kind(**arguments, **more)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (
            made(Remembering, state=("drawn",)),
            r"select_pairs.* an agent and one of another seed that loaded its state_dict",
        ),
        (made(Remembering, state=("seed",)), r"select_pairs.* that loaded its state_dict"),
        (
            made(Remembering, state=("drawn", "seed", "kept")),
            "cannot be saved and loaded into a fresh agent.*'kept' of type",
        ),
        (Uncopied, r"copy.deepcopy\(\) of the agent failed, and runs assess copies: TypeError"),
        (Teachable, r"recommend\(\) gave different answers to an agent and another of the same seed"),
        (Shared, r"recommend\(\) gave different answers to an agent and another of the same seed"),
    ],
    ids=["no seed", "no count", "strings", "no copy", "copies learn together", "a copy that is none"],
)
def test_agents_that_cannot_be_copied_or_restored_are_named(factory, words):
    check_agent(Remembering)
    check_agent(Stateless)
    with pytest.raises(AssertionError, match=words):
        check_agent(factory)
