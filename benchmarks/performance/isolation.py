"""What it costs that an agent lives in a process of its own: seconds per batch, isolated over in-process.

    python benchmarks/performance/isolation.py

The same agent twice, on the same random contexts, one batch in turn each, so that a shared machine's drift meets both;
their answers must be equal to the bit. A batch is one selection and one observation. No environment, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np
import torch

from duelgym.agent import Agent, Contexts
from duelgym_agents.registry import make_agent
from duelgym_bench.isolation.agent import IsolatedAgent

TARGET = 1.15


def seconds_of_batch(agent: Agent, contexts: Contexts, preferences: np.ndarray) -> tuple[float, np.ndarray]:
    """Return what one batch takes, and the pairs."""
    start = time.perf_counter()
    pairs = agent.select_pairs(contexts)
    agent.observe(contexts, pairs, preferences)
    return time.perf_counter() - start, pairs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="ee2024-double_thompson", help="name in the registry")
    parser.add_argument("--batch", type=int, default=32, help="prompts per batch")
    parser.add_argument("--candidates", type=int, default=100, help="candidates per prompt")
    parser.add_argument("--dim", type=int, default=384, help="features of a prompt and of a candidate")
    parser.add_argument("--batches", type=int, default=60, help="batches that count; five before them do not")
    options = parser.parse_args()
    torch.set_num_threads(1)
    batch, n_candidates, dim = options.batch, options.candidates, options.dim
    sizes = {"prompt_dim": dim, "candidate_dim": dim, "n_candidates": n_candidates, "batch_size": batch}
    arguments = {**sizes, "budget": batch * (options.batches + 5), "seed": 0}
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    with IsolatedAgent(options.agent, arguments) as isolated:
        started = time.perf_counter() - start
        agents = {"in-process": make_agent(options.agent, **arguments), "isolated": isolated}
        seconds: dict[str, list[float]] = {where: [] for where in agents}
        for number in range(options.batches + 5):
            prompts, candidates = rng.uniform(-1, 1, (batch, dim)), rng.uniform(-1, 1, (batch, n_candidates, dim))
            contexts = Contexts(prompts.astype(np.float32), candidates.astype(np.float32))
            preferences = rng.integers(2, size=batch).astype(np.int8)
            pairs = {}
            for where in sorted(agents, reverse=bool(number % 2)):  # each is first as often as the other
                spent, pairs[where] = seconds_of_batch(agents[where], contexts, preferences)
                seconds[where].append(spent)
            if not np.array_equal(*pairs.values()):
                sys.exit(f"batch {number}: the isolated agent chose other pairs")
        missing = isolated.missing
    median = {where: statistics.median(spent[5:]) for where, spent in seconds.items()}
    ratio = median["isolated"] / median["in-process"]
    print(f"{options.agent}: {batch} prompts x {n_candidates} candidates x {dim} features, {options.batches} batches")
    print(f"without                  {'; '.join(missing) or 'nothing: all of the isolation is in place'}")
    print(f"start                    {started:8.2f} s")
    for where, spent in median.items():
        print(f"{where:<24} {1000 * spent:8.1f} ms per batch (median)")
    print(f"ratio                    {ratio:8.3f}  (wanted: {TARGET} or less)")
    sys.exit(0 if ratio <= TARGET else 1)


if __name__ == "__main__":
    main()
