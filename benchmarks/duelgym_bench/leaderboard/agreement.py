"""Whether logged runs could be runs of the same agent, where the same seed does not give the same queries twice.

The model: on one environment seed, an agent's areas under different seeds of its own are draws from one distribution, and
the logged area is another draw from it. Of R runs again on each of K seeds, the variance within seeds is pooled, which gives
K (R - 1) degrees of freedom. A logged area differs from the mean of the seed's R with the variance 1 + 1/R times that, so
the mean difference over seeds lies within Student's quantile times s sqrt((1 + 1/R) / K): in 99 of 100 cases, if all is honest.
(Where the logged run and the one again with its own seed agree in part, the difference is smaller, and all the more within.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError
from duelgym_bench.student import quantile

LEVEL = 0.99
LEAST_FREEDOM = 3
EXACT = 1e-9
"""Areas that differ by less are equal."""


@dataclass(frozen=True)
class Agreement:
    """How far logged runs lie from runs again.

    Attributes:
        logged: mean area of the logged runs.
        again: mean area of the runs again.
        margin: how far the two may lie apart by chance; 0 where runs again do not differ among themselves.
        holds: whether they lie within it; without a margin, whether they are equal on every seed.
    """

    logged: float
    again: float
    margin: float
    holds: bool

    def __str__(self) -> str:
        """The three numbers, in words."""
        low, high = self.again - self.margin, self.again + self.margin
        return f"area {self.logged:.4f} logged, {self.again:.4f} again: 99 % interval [{low:.4f} {high:.4f}]"


def agreement(logged: Float64[np.ndarray, " seeds"], again: Float64[np.ndarray, "seeds runs"]) -> Agreement:
    """Compare logged areas with those of runs again on the same seeds of the environment.

    Args:
        logged: area of each seed's logged run.
        again: areas of its runs again, each under another seed of the agent.

    Raises:
        SpecificationError: if there are too few runs to know how much they vary.
    """
    seeds, runs = again.shape
    freedom = seeds * (runs - 1)
    if freedom < LEAST_FREEDOM:
        raise SpecificationError(
            f"{seeds} seeds with {runs} runs each leave {freedom} degrees of freedom; at least {LEAST_FREEDOM} are needed: "
            "run more seeds"
        )
    differences = logged - again.mean(axis=1)
    deviation = math.sqrt(float(again.var(axis=1, ddof=1).mean()))
    if deviation < EXACT:
        margin, holds = 0.0, bool((np.abs(differences) <= EXACT).all())
    else:
        margin = quantile((1 + LEVEL) / 2, freedom) * deviation * math.sqrt((1 + 1 / runs) / seeds)
        holds = abs(float(differences.mean())) <= margin
    return Agreement(float(logged.mean()), float(again.mean()), margin, holds)
