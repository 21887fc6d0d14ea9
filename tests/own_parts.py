"""What somebody might write outside of duelgym: a rule, a reward model, raters, and things that are none."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from duelgym.simulators import BradleyTerry, Wrapper
from duelgym_agents.catalogue import RewardModelKind
from duelgym_agents.exploration import Selection
from duelgym_agents.reward_models import BayesianLinear, LinearSettings


@dataclass(frozen=True)
class BestAndNext:
    """The best by the mean and the one that stands `ahead` places behind it."""

    ahead: int = 1
    name: ClassVar[str] = "passive"  # what it calls itself is nothing to go by
    reads: ClassVar[str] = "mean"

    def __call__(self, utilities, rng):
        best = utilities[0].argmax(axis=1)
        return Selection(np.stack([best, (best + self.ahead) % utilities.shape[2]], axis=1))


@dataclass(frozen=True)
class ThreeAtOnce(BestAndNext):
    def __call__(self, utilities, rng):
        return Selection(np.zeros((utilities.shape[1], 3), dtype=np.int64))


@dataclass(frozen=True)
class NeedsArguments(BestAndNext):
    ahead: int

    def __init__(self, ahead):
        raise RuntimeError("two\nlines")


class Flat(BayesianLinear):
    def mean(self, contexts):
        return super().mean(contexts)[:, 0]


@dataclass(frozen=True)
class Clashing(BestAndNext):
    """Has a setting of the linear model's name."""

    prior_scale: float = 7.0


@dataclass(frozen=True)
class Uncallable:
    name: ClassVar[str] = "uncallable"
    reads: ClassVar[str] = "mean"


LINEAR = RewardModelKind("linear", BayesianLinear, LinearSettings(prior_scale=0.5))
FLAT = RewardModelKind("flat", Flat, LinearSettings())
BARE = RewardModelKind("bare", BayesianLinear, object())


@dataclass(frozen=True)
class Tiring(Wrapper):
    """Answers by chance from the `after`th query on."""

    after: int = 100

    def probability(self, duels):
        return np.where(duels.queries < self.after, self.inner.probability(duels), 0.5)


@dataclass(frozen=True)
class Certain(BradleyTerry):
    """A first simulator of one's own."""

    def specification(self):
        return [{"name": "own_parts:Certain", "temperature": self.temperature}]


@dataclass(frozen=True)
class Forgetful(Tiring):
    """Leaves out of its specification what it is built from."""

    def specification(self):
        return [*self.inner.specification(), {"name": self.name}]


@dataclass(frozen=True)
class Listed(Tiring):
    """JSON makes a list of its tuple, and numpy compares its array entry by entry."""

    weights: tuple = (1.0, 2.0)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "array", np.array(self.weights))


@dataclass(frozen=True)
class Uncovering(Tiring):
    """Leaves out of its specification what it stands around."""

    def specification(self):
        return super().specification()[1:]


@dataclass(frozen=True)
class Leaving(Tiring):
    def __post_init__(self):
        raise SystemExit(3)


Alias = Tiring


class Half:
    """Has what is called, and not the rest of a simulator."""

    def __init__(self, inner):
        pass

    def probability(self, duels): ...

    def judgement(self, duels): ...

    def specification(self): ...
