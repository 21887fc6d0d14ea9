"""Exact figures of recorded utilities: how noisy its rater is, and what is won without asking it anything.

Everything is summed over all pairs of all prompts; nothing is sampled. ``utilities`` is always (prompts, candidates)
of one rater; :func:`single_utility` gives it for pools with one attribute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from duelgym.errors import PoolError
from duelgym.metrics.information import binary_entropy
from duelgym.simulators import win_probability

FAVOURITE_RATE = 0.70
TIED_SHARE_WARNING = 0.05
_BLOCK_PAIRS = 2**20
_BISECTIONS = 32


def single_utility(
    utilities: Float64[np.ndarray, "prompts candidates attributes"],
) -> Float64[np.ndarray, "prompts candidates"]:
    """Return the utility of the one rater that a pool with one attribute has.

    Raises:
        PoolError: if there are several attributes: their weights belong to a rater, not to the pool.
    """
    if utilities.shape[2] != 1:
        raise PoolError(
            f"the pool has {utilities.shape[2]} attributes, so it has no utility of its own: name a rater; "
            "temperature, oracle and win rates of the pool itself need a pool with one attribute"
        )
    return utilities[:, :, 0]


def find_temperature(utilities: Float64[np.ndarray, "prompts candidates"], *, rate: float = FAVOURITE_RATE) -> float:
    """Return the Bradley-Terry temperature at which a random pair's favourite is chosen at the given rate.

    Found by bisection and rounded to six significant digits, so that machines which sum in another order agree.

    Args:
        utilities: of one rater.
        rate: mean of max(p, 1 - p), strictly between 0.5 and 1.

    Raises:
        PoolError: if no temperature gives that rate, because too many pairs are exactly tied.
    """
    if not 0.5 < rate < 1:
        raise PoolError(f"favourite rate is {rate!r}; it must lie strictly between 0.5 and 1")
    reachable = 1 - tied_share(utilities) / 2
    if reachable <= rate:
        raise PoolError(
            f"no temperature makes the favourite win {rate:.0%} of the time: so many pairs are exactly tied that "
            f"{reachable:.1%} is the limit; set the rater's temperature (the simulator's 'temperature', not the generator's), or give "
            "utilities that tell responses apart"
        )
    scale = float((utilities.max(axis=1) - utilities.min(axis=1)).max())
    low, high = math.log(scale) - 60.0, math.log(scale) + 10.0  # rate(low) is 1 up to ties, rate(high) is below 0.5001
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if favourite_rate(utilities, temperature=math.exp(middle)) > rate else (low, middle)
    return float(f"{math.exp((low + high) / 2):.6g}")


def favourite_rate(utilities: Float64[np.ndarray, "prompts candidates"], *, temperature: float) -> float:
    """Return the mean over random pairs of max(p, 1 - p)."""
    return _mean_over_pairs(utilities, lambda gaps: win_probability(gaps, np.zeros(()), temperature=temperature))


def bits_per_label(utilities: Float64[np.ndarray, "prompts candidates"], *, temperature: float) -> float:
    """Return the mean over random pairs of 1 - h(p): the most that a label can tell, in bits (h: binary entropy)."""

    def bits(gaps: Float64[np.ndarray, "prompts pairs"]) -> Float64[np.ndarray, "prompts pairs"]:
        return 1 - binary_entropy(win_probability(gaps, np.zeros(()), temperature=temperature))

    return _mean_over_pairs(utilities, bits)


def tied_share(utilities: Float64[np.ndarray, "prompts candidates"]) -> float:
    """Return the share of pairs, over all prompts, whose two utilities are equal to the last bit."""
    return _mean_over_pairs(utilities, lambda gaps: (gaps == 0).astype(np.float64))


def win_rates(
    utilities: Float64[np.ndarray, "prompts candidates"], *, temperature: float
) -> Float64[np.ndarray, "prompts candidates"]:
    """Return each response's chance of winning against a uniformly chosen other response to the same prompt."""
    n_candidates = _need_pairs(utilities)
    rates = np.empty_like(utilities)
    for rows in _prompt_blocks(utilities):
        block = utilities[rows]
        chances = win_probability(block[:, :, None], block[:, None, :], temperature=temperature)
        rates[rows] = (chances.sum(axis=2) - 0.5) / (n_candidates - 1)  # 0.5 is each response against itself
    return rates


def reference_win_rates(
    utilities: Float64[np.ndarray, "prompts candidates"], *, reference_utility: float, temperature: float
) -> Float64[np.ndarray, "prompts candidates"]:
    """Return each response's chance of winning against the pool's reference response."""
    return win_probability(utilities, np.array(reference_utility), temperature=temperature)


def zero_query_win_rates(
    rates: Float64[np.ndarray, "prompts candidates"],
    utilities: Float64[np.ndarray, "prompts candidates"],
    characters: Int[np.ndarray, "prompts candidates"],
) -> dict[str, float]:
    """Return what the oracle and the policies that ask nothing win, as means over prompts, in [0, 1].

    Args:
        rates: each response's win rate, from :func:`win_rates` or :func:`reference_win_rates`.
        utilities: of one rater; decide what the oracle picks.
        characters: lengths of the responses.

    Returns:
        ``oracle`` (highest utility), ``uniform``, ``best_column`` (the one column that wins most on these very
        prompts), ``first_column``, ``longest`` (most characters; the lowest column among equals).
    """
    prompts = np.arange(len(rates))
    return {
        "oracle": float(rates[prompts, utilities.argmax(axis=1)].mean()),
        "uniform": float(rates.mean()),
        "best_column": float(rates.mean(axis=0).max()),
        "first_column": float(rates[:, 0].mean()),
        "longest": float(rates[prompts, longest(characters)].mean()),
    }


def longest(characters: Int[np.ndarray, "prompts candidates"]) -> Int64[np.ndarray, " prompts"]:
    """Return the column of each prompt's longest response, the lowest one among equals."""
    return characters.argmax(axis=1).astype(np.int64)


def _mean_over_pairs(
    utilities: Float64[np.ndarray, "prompts candidates"],
    value: Callable[[Float64[np.ndarray, "prompts pairs"]], Float[np.ndarray, "prompts pairs"]],
) -> float:
    """Return the mean of a function of the absolute utility gap, over all unordered pairs of all prompts."""
    first, second = np.triu_indices(_need_pairs(utilities), k=1)
    total = 0.0
    for rows in _prompt_blocks(utilities):
        block = utilities[rows]
        total += float(value(np.abs(block[:, first] - block[:, second])).sum())
    return total / (len(utilities) * len(first))


def _prompt_blocks(utilities: Float64[np.ndarray, "prompts candidates"]) -> Iterator[slice]:
    step = max(1, _BLOCK_PAIRS // utilities.shape[1] ** 2)
    starts = range(0, len(utilities), step)
    if len(starts) == 1:  # a rater is scaled at every reset of some environments: no bar for milliseconds
        yield slice(0, len(utilities))
        return
    from tqdm import tqdm

    for start in tqdm(starts, desc="pairs", disable=None, delay=2, leave=False):
        yield slice(start, start + step)


def _need_pairs(utilities: Float64[np.ndarray, "prompts candidates"]) -> int:
    n_candidates = utilities.shape[1]
    if n_candidates < 2 or len(utilities) == 0:
        raise PoolError(
            f"the pool has {len(utilities)} prompts of {n_candidates} candidates; this needs two candidates to compare"
        )
    return n_candidates
