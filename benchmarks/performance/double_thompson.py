"""How much of the machine's matrix-product rate double Thompson sampling reaches, selecting and training.

    python benchmarks/performance/double_thompson.py --batches 1250

1 250 batches of 32 are the 40 000 queries of a published run; the thirty of the default take seconds. One thread, random contexts, no
environment. Which operations count as useful: see products.py.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np
import torch
from products import evaluating, matrix_product_rate, operations, training

from duelgym.agent import Contexts
from duelgym_agents.registry import AGENTS, make_agent

TARGET = 1 / 1.6  # a run within 1.6 times what its operations need
MEMORY = 1e9  # bytes, of the whole process


def measure(name: str, batch: int, n_candidates: int, dim: int, batches: int) -> float:
    """Return the seconds that one batch of selecting and training takes."""
    rng = np.random.default_rng(0)
    agent = make_agent(
        name,
        prompt_dim=dim,
        candidate_dim=dim,
        n_candidates=n_candidates,
        batch_size=batch,
        budget=batch * batches,
        seed=0,
    )
    spent = 0.0
    for _ in range(batches):
        prompts, candidates = rng.uniform(-1, 1, (batch, dim)), rng.uniform(-1, 1, (batch, n_candidates, dim))
        contexts = Contexts(prompts.astype(np.float32), candidates.astype(np.float32))
        preferences = rng.integers(2, size=batch).astype(np.int8)
        start = time.perf_counter()
        agent.observe(contexts, agent.select_pairs(contexts), preferences)
        spent += time.perf_counter() - start
    return spent / batches


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32, help="prompts per batch")
    parser.add_argument("--candidates", type=int, default=100, help="candidates per prompt")
    parser.add_argument("--dim", type=int, default=384, help="features of a prompt and of a candidate")
    parser.add_argument("--batches", type=int, default=30, help="batches in a run")
    parser.add_argument("--repetitions", type=int, default=3, help="runs, of which the median counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = (options.batch, options.candidates, options.dim)
    name = "ee2024-double_thompson"
    settings, dims = AGENTS[name].settings, (options.dim, options.dim)
    useful = operations(
        evaluating(settings, dims, options.batch, options.candidates) + training(settings, dims, options.batch)
    )
    repetitions = []
    for _ in range(options.repetitions):  # the two rates side by side, since a shared machine's speed drifts
        before = matrix_product_rate()
        seconds = measure(name, *shape, options.batches)
        peak = (before + matrix_product_rate()) / 2
        repetitions.append((useful / seconds / peak, peak, seconds))
    ratio, peak, seconds = sorted(repetitions)[len(repetitions) // 2]
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{name}: {options.batch} prompts x {options.candidates} candidates x {options.dim} features")
    print(f"useful operations        {useful / 1e9:8.2f} GFLOP per batch")
    print(f"matrix products          {peak / 1e9:8.1f} GFLOP/s")
    print(f"selecting and training   {useful / seconds / 1e9:8.1f} GFLOP/s")
    print(f"seconds per 1000 queries {1000 * seconds / options.batch:8.2f}")
    print(f"peak memory              {memory / 1e6:8.0f} MB of the process (wanted: under {MEMORY / 1e6:.0f})")
    spread = ", ".join(f"{each[0]:.2f}" for each in repetitions)
    print(f"ratio                    {ratio:8.2f}  (median of {spread}; wanted: {TARGET:.3f} or more)")
    sys.exit(0 if ratio >= TARGET and memory < MEMORY else 1)


if __name__ == "__main__":
    main()
