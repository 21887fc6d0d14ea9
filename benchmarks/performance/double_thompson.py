"""How much of the machine's matrix-product rate double Thompson sampling reaches, selecting and training.

    python benchmarks/performance/double_thompson.py --batches 1250

1 250 batches of 32 are the 40 000 queries of a published run; the thirty of the default take seconds. One thread, random contexts, no environment. Only the dense layers' products count as useful operations (one
multiplication and one addition each): the forward pass of every candidate in selection; forward, weight gradients
and input gradients in training, without the input gradients of the first layer, which nobody needs; the prompt's
part of the first layer once per prompt. All else (scaling, activations, Adam, the rule, the buffer) is overhead.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time

import numpy as np
import torch

from duelgym.agent import Contexts
from duelgym_agents.registry import AGENTS, make_agent
from duelgym_agents.reward_models import NetworkSettings

TARGET = 1 / 1.6  # a run within 1.6 times what its operations need
MEMORY = 1e9  # bytes, of the whole process


def matrix_product_rate() -> float:
    """Return the float32 rate of a 2048 x 2048 x 2048 product, in operations per second (median of 7)."""
    left, right = torch.rand(2048, 2048), torch.rand(2048, 2048)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / statistics.median(seconds)


def useful_operations(settings: NetworkSettings, batch: int, n_candidates: int, dim: int) -> float:
    """Return the operations of selecting for one batch and of the training that follows it."""
    first, *others = settings.hidden_sizes
    deeper = sum(a * b for a, b in zip(settings.hidden_sizes, [*others, 1], strict=True))

    def forward(prompts: int, rows: int) -> tuple[int, int]:
        return 2 * settings.n_particles * dim * first * (rows + prompts), 2 * settings.n_particles * deeper * rows

    selection = sum(forward(batch, batch * n_candidates))
    first_layer, other_layers = forward(settings.minibatch_size, 2 * settings.minibatch_size)
    return selection + settings.steps * (2 * first_layer + 3 * other_layers)


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
    operations = useful_operations(AGENTS[name].settings, *shape)
    repetitions = []
    for _ in range(options.repetitions):  # the two rates side by side, since a shared machine's speed drifts
        before = matrix_product_rate()
        seconds = measure(name, *shape, options.batches)
        peak = (before + matrix_product_rate()) / 2
        repetitions.append((operations / seconds / peak, peak, seconds))
    ratio, peak, seconds = sorted(repetitions)[len(repetitions) // 2]
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{name}: {options.batch} prompts x {options.candidates} candidates x {options.dim} features")
    print(f"useful operations        {operations / 1e9:8.2f} GFLOP per batch")
    print(f"matrix products          {peak / 1e9:8.1f} GFLOP/s")
    print(f"selecting and training   {operations / seconds / 1e9:8.1f} GFLOP/s")
    print(f"seconds per 1000 queries {1000 * seconds / options.batch:8.2f}")
    print(f"peak memory              {memory / 1e6:8.0f} MB of the process (wanted: under {MEMORY / 1e6:.0f})")
    spread = ", ".join(f"{each[0]:.2f}" for each in repetitions)
    print(f"ratio                    {ratio:8.2f}  (median of {spread}; wanted: {TARGET:.3f} or more)")
    sys.exit(0 if ratio >= TARGET and memory < MEMORY else 1)


if __name__ == "__main__":
    main()
