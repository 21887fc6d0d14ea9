"""Who is significantly better than whom: paired differences of area over a round's environments, corrected after Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duelgym_bench.leaderboard.board import Estimate
from duelgym_bench.student import quantile, upper_tail

LEVEL = 0.05


@dataclass(frozen=True)
class Part:
    """A mean over seeds on one environment, or a difference of two.

    Attributes:
        value: the mean.
        error: its standard error, over seeds and assessment prompts.
        seeds: how many.
    """

    value: float
    error: float
    seeds: int


def over_environments(parts: Sequence[Part]) -> Estimate:
    """Return the mean over environments, whose seeds are independent, with Student's 95 % interval.

    The degrees of freedom are those of one environment's seeds, which is what they are where one environment varies most,
    and too few, so on the safe side, elsewhere.
    """
    value, error, degrees = _combined(parts)
    reach = quantile(1 - LEVEL / 2, degrees) * error if degrees else 0.0
    return Estimate(value=value, low=value - reach, high=value + reach)


def better(parts: Sequence[Part]) -> float:
    """Return the one-sided p-value of a mean over environments being above zero; 1 where a single seed can say nothing."""
    value, error, degrees = _combined(parts)
    if not degrees:
        return 1.0
    if error == 0:
        return 0.0 if value > 0 else 1.0
    return upper_tail(value / error, degrees)


def holm(p_values: Mapping[tuple[str, str], float]) -> frozenset[tuple[str, str]]:
    """Return the comparisons that stay significant at .05 after Holm's correction for their number (Holm 1979)."""
    found = set()
    for k, pair in enumerate(sorted(p_values, key=lambda pair: (p_values[pair], pair))):
        if p_values[pair] > LEVEL / (len(p_values) - k):
            break
        found.add(pair)
    return frozenset(found)


def ranks(entries: Sequence[str], p_values: Mapping[tuple[str, str], float]) -> dict[str, int]:
    """Return each entry's rank: 1 + the number of entries that are significantly better.

    Args:
        entries: names.
        p_values: of the first of each ordered pair being better than the second.
    """
    significant = holm(p_values)
    return {entry: 1 + sum((other, entry) in significant for other in entries) for entry in entries}


def _combined(parts: Sequence[Part]) -> tuple[float, float, int]:
    n = len(parts)
    error = float(np.sqrt(sum(part.error**2 for part in parts))) / n
    return sum(part.value for part in parts) / n, error, min(part.seeds for part in parts) - 1
