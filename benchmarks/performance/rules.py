"""What every exploration rule costs beside the reward model that it reads, and what it allocates.

    OMP_NUM_THREADS=1 python benchmarks/performance/rules.py

One thread (numpy's matrix products take more without that variable), random contexts and answers, no environment. Rules that read utilities read those of the ensemble of
`ee2024-double_thompson`; those that read features or a covariance, `bayesian_linear` (768 features). All three parts are
timed in turn within each batch: evaluating the model for the batch's candidates, the rule, and learning from its pairs.
Every rule is compared with ten samples of the ensemble, and with ten samples of the model that it reads: a linear model draws
them at a fraction of what the variances of all pairs take, which is what rules on its covariance spend.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
import tracemalloc

import numpy as np
import torch

from duelgym.agent import Contexts
from duelgym_agents.catalogue import RULES, reward_model_named
from duelgym_agents.exploration import AnyRule
from duelgym_agents.reward_models import RewardModel

MOST_SHARE = 1.0
MOST_MEGABYTES = 64.0


def contexts_of(rng: np.random.Generator, batch: int, n_candidates: int, dim: int) -> Contexts:
    """Return random contexts."""
    prompts, candidates = rng.uniform(-1, 1, (batch, dim)), rng.uniform(-1, 1, (batch, n_candidates, dim))
    return Contexts(prompts.astype(np.float32), candidates.astype(np.float32))


def read(rule: AnyRule, model: RewardModel, contexts: Contexts, rng: np.random.Generator) -> object:
    """Return what the rule looks at; 10 samples where it is samples."""
    if rule.reads in ("features", "posterior"):
        return getattr(model, rule.reads)(contexts)
    if rule.reads == "mean":
        return model.mean(contexts)[None]
    return model.sample_utilities(contexts, 10, rng)


def measure(rule: AnyRule, shape: tuple[int, int, int], batches: int) -> tuple[str, float, float, float, float, float]:
    """Return the model's name, seconds a batch of model, ten samples of it, rule and learning, and the rule's peak in MB."""
    kind = reward_model_named("bayesian_linear" if rule.reads in ("features", "posterior") else "ensemble")
    rng = np.random.default_rng(0)
    model = kind.build(kind.settings, prompt_dim=shape[2], candidate_dim=shape[2], rng=np.random.default_rng(1))
    spent: list[tuple[float, float, float, float]] = []
    for _ in range(batches + 1):  # the first one warms up
        contexts = contexts_of(rng, *shape)
        times = [time.perf_counter()]
        model.sample_utilities(contexts, 10, rng)
        times.append(time.perf_counter())
        seen = read(rule, model, contexts, rng)
        times.append(time.perf_counter())
        pairs = rule(seen, rng).pairs  # type: ignore[arg-type]
        times.append(time.perf_counter())
        model.update(contexts, pairs, rng.integers(2, size=shape[0]).astype(np.int8))
        times.append(time.perf_counter())
        sampling, evaluating, choosing, learning = (after - before for before, after in itertools.pairwise(times))
        spent.append((evaluating, sampling, choosing, learning))
    tracemalloc.start()
    seen = read(rule, model, contexts, rng)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    rule(seen, rng)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    evaluating, sampling, choosing, learning = (statistics.median(each) for each in zip(*spent[1:], strict=True))
    return kind.name, evaluating, sampling, choosing, learning, peak / 2**20


def main() -> None:
    """Measure and print; the exit status says whether every rule stays below the ensemble's cost and the memory limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32, help="prompts per batch")
    parser.add_argument("--candidates", type=int, default=100, help="candidates per prompt")
    parser.add_argument("--dim", type=int, default=384, help="features of a prompt and of a candidate")
    parser.add_argument("--batches", type=int, default=10, help="batches timed of each rule")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = (options.batch, options.candidates, options.dim)
    print(f"{shape[0]} prompts x {shape[1]} candidates x {shape[2]} features, 10 samples; milliseconds a batch\n")
    print(
        "rule                         reads      of                model   rule  learn  /ensemble  /its model  share of all    MB"
    )
    failed = []
    rows = [(rule, *measure(rule, shape, options.batches)) for rule in RULES.values()]
    ensemble = statistics.median(row[3] for row in rows if row[1] == "ensemble")
    for rule, model, evaluating, sampling, choosing, learning, megabytes in sorted(rows, key=lambda row: -row[4]):
        ratio, share = choosing / ensemble, choosing / (evaluating + choosing + learning)
        print(
            f"{rule.name:28} {rule.reads:10} {model:16} {1e3 * evaluating:6.1f} {1e3 * choosing:6.2f} {1e3 * learning:6.1f} "
            f"{ratio:10.3f} {choosing / sampling:11.3f} {100 * share:11.1f} % {megabytes:5.1f}"
        )
        if ratio > MOST_SHARE or megabytes > MOST_MEGABYTES:
            failed.append(rule.name)
    print(f"\nabove the ensemble's cost or {MOST_MEGABYTES:.0f} MB: {', '.join(failed) or 'none'}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
