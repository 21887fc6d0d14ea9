"""How often the 95 % intervals cover the truth, by simulation: what the report's statistics promise.

    python benchmarks/coverage.py

Each row is one statistic on many simulated experiments. "mean", "paired difference" and "interquartile mean": seeds are
independent draws of the distribution named. "ratio": win rates of two agents that rise with the logarithm of labels, each
seed with a height of its own and noise at every checkpoint, both of the distribution named (scaled and centred); "censored"
at a level so near the slower agent's last that an end of the interval is often beyond the budget. Such an end cannot fail,
so the share tends to .975 where all are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from duelgym_bench.aggregate import interquartile_mean
from duelgym_bench.ratio import isotonic_fit, queries_to_level, ratio, ratio_bounds
from duelgym_bench.statistics import Interval, Resamples, draw_resamples
from duelgym_bench.studentised import Mean

N_RESAMPLES = 1000
CHECKPOINTS = np.array([0, *np.round(32 * 2 ** (np.arange(17) / 2)).astype(int)])
"""From 32 to 8 192 labels."""
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Float64[np.ndarray, "*shape"]]] = {
    "Gaussian": lambda rng, shape: rng.standard_normal(shape),
    "exponential": lambda rng, shape: rng.standard_exponential(shape) - 1,
    "log-normal": lambda rng, shape: np.exp(0.5 * rng.standard_normal(shape)) - np.exp(0.125),
}


def truths(draw: Callable[..., Float64[np.ndarray, "*shape"]]) -> tuple[float, float]:
    """Return mean and interquartile mean of a distribution."""
    many = np.sort(draw(np.random.default_rng(0), (4_000_000,)))
    return 0.0, float(many[1_000_000:3_000_000].mean())


def mean(scores: Float64[np.ndarray, " seeds"], resamples: Resamples, rng: np.random.Generator) -> Interval:
    """Return the interval of a mean."""
    return Mean.over_seeds(list(scores[:, None]), resamples).interval(resamples)[0]


def difference(scores: Float64[np.ndarray, " seeds"], resamples: Resamples, rng: np.random.Generator) -> Interval:
    """Return the interval of a difference of two agents that have much in common on each seed."""
    common = 3 * rng.standard_normal((len(scores), 1))
    agents = [Mean.over_seeds(list(of), resamples) for of in (scores[:, None] + common, common)]
    return (agents[0] - agents[1]).interval(resamples)[0]


def iqm(scores: Float64[np.ndarray, " seeds"], resamples: Resamples, rng: np.random.Generator) -> Interval:
    """Return the interval of an interquartile mean."""
    weights = resamples.light.seeds
    return Interval.of(interquartile_mean(np.broadcast_to(scores, weights.shape), weights))


def rising(bend: float, height: float) -> Float64[np.ndarray, " checkpoints"]:
    """Return a win rate that rises from .5 with the logarithm of labels."""
    return 0.5 + height * np.log1p(CHECKPOINTS / bend) / np.log1p(CHECKPOINTS[-1] / bend)


def cover(statistic: str, n: int, distribution: str, trials: int) -> tuple[float, float]:
    """Return the shares of simulated experiments whose interval covers the truth, and whose interval is censored."""
    draw, rng = DISTRIBUTIONS[distribution], np.random.default_rng(n)
    expected = truths(draw)
    covered = censored = 0
    for _ in range(trials):
        resamples = draw_resamples(["seeds"] * n, {"seeds": 1}, N_RESAMPLES, rng)
        if statistic.startswith("ratio"):
            curves = rising(30.0, 0.2), rising(300.0, 0.2)
            level = np.full(N_RESAMPLES + 1, 0.69 if "censored" in statistic else 0.6)
            fits = []
            for curve in curves:
                seeds = curve + 0.02 * draw(rng, (n, 1)) + 0.01 * draw(rng, (n, len(CHECKPOINTS)))
                fits.append(isotonic_fit(resamples.light.seeds @ seeds))
            costs = [queries_to_level(fit, CHECKPOINTS, level) for fit in fits]
            found = ratio(ratio_bounds(costs[0], costs[1], int(CHECKPOINTS[-1])))
            exact = [queries_to_level(curve[None], CHECKPOINTS, level[:1])[0] for curve in curves]
            covered += found.low <= exact[0] / exact[1] <= found.high
            censored += found.low == 0 or np.isinf(found.high)
        else:
            interval = {"mean": mean, "paired difference": difference, "interquartile mean": iqm}[statistic](
                draw(rng, (n,)), resamples, rng
            )
            covered += float(interval.low) <= expected[statistic == "interquartile mean"] <= float(interval.high)
    return covered / trials, censored / trials


def main() -> int:
    """Print the table; return 1 if a statistic covers less than 93 or more than 97 times of 100."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4000, metavar="K", help="experiments a row (default 4000)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 20], metavar="N", help="(default 10 20)")
    options = parser.parse_args()
    error = (0.95 * 0.05 / options.trials) ** 0.5
    print(f"Standard error of a share: {error:.4f}.\n\n| statistic | distribution | seeds | covered | censored |")
    print("|---|---|--:|--:|--:|")
    good = True
    for statistic in ("mean", "paired difference", "interquartile mean", "ratio", "ratio, censored"):
        for distribution in DISTRIBUTIONS:
            for n in options.seeds:
                share, censored = cover(statistic, n, distribution, options.trials)
                good &= 0.93 - 2 * error <= share <= 0.97 + 2 * error
                shown = f"{censored:.2f}" if "ratio" in statistic else ""
                print(f"| {statistic} | {distribution} | {n} | {share:.3f} | {shown} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
