"""A rater who tires as the run goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from duelgym.checks import finite_number, whole_number
from duelgym.simulators.protocol import Duels, required_utilities
from duelgym.simulators.wrapper import Wrapper

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
LONGEST = 10**12


@dataclass(frozen=True)
class Drifting(Wrapper):
    """P(first preferred at query t) = P of the inner simulator with all utilities divided by factor ** s(t).

    s(t) = min((t + 1/2) / queries, 1). Over Bradley-Terry this is a temperature that grows geometrically from T to
    T * factor: the same taste, ever less care (a factor under 1: ever more). The judgement is the inner judgement averaged
    over the run, the integral over s from 0 to 1 by 16-point Gauss-Legendre quadrature. What does not depend on utilities,
    what is a skip or a tie, and what wraps this simulator do not drift: put it right after the innermost.

    Args:
        inner: the simulator that drifts.
        factor: by how much the temperature grows over the run, from 0.01 to 100.
        queries: length of the run, up to 10^12; afterwards the temperature stays.

    Raises:
        SpecificationError: if a setting is outside its range.
    """

    factor: float
    queries: int
    name: ClassVar[str] = "drifting"
    over_utilities: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "factor", finite_number("drifting: factor", self.factor, low=0.01, high=100.0))
        object.__setattr__(self, "queries", whole_number("drifting: queries", self.queries, most=LONGEST))

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability at each duel's own query number."""
        return self.inner.probability(self._at(duels, np.minimum((duels.queries + 0.5) / self.queries, 1.0)))

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the mean over the run."""
        total = np.zeros(len(duels.prompt_ids))
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            share = np.full(len(total), (node + 1.0) / 2.0)
            total += weight / 2.0 * self.inner.judgement(self._at(duels, share))
        return total

    def _at(self, duels: Duels, share: Float64[np.ndarray, " batch"]) -> Duels:
        fainter = self.factor**-share
        everybody = duels.all_utilities
        return replace(
            duels,
            utilities=required_utilities("drifting", duels) * fainter[:, None],
            all_utilities=None if everybody is None else everybody * fainter[:, None, None],
        )
