"""How fast `DuelVectorEnv` shows recorded candidates, as a share of a bare numpy gather of the same rows.

Run: python benchmarks/performance/vector_env.py
Target: 0.60 at 32 prompts x 100 candidates x 384 features, no texts asked for.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np

import duelgym  # noqa: F401  (registers the ids)
from duelgym.pools import write_pool

BATCH, N_CANDIDATES, DIM, N_PROMPTS = 32, 100, 384, 300
STEPS, REPETITIONS = 100, 7


def main() -> None:
    """Print both rates and their ratio, medians over interleaved repetitions."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool"
        write_pool(
            path,
            name="speed",
            prompts=[f"prompt {row}" for row in range(N_PROMPTS)],
            candidate_names=[f"writer {column}" for column in range(N_CANDIDATES)],
            texts=[[f"response {column}" for column in range(N_CANDIDATES)] for _ in range(N_PROMPTS)],
            prompt_embeddings=rng.standard_normal((N_PROMPTS, DIM), dtype=np.float32),
            candidate_embeddings=rng.standard_normal((N_PROMPTS, N_CANDIDATES, DIM), dtype=np.float32),
            utilities=rng.standard_normal((N_PROMPTS, N_CANDIDATES)),
            temperature=1.0,
        )
        for reward in ("zero", "regret"):
            env = gym.make_vec("AlpacaEvalDuel-v0", num_envs=BATCH, pool=str(path), budget=BATCH * 10**6, reward=reward)
            env.reset(seed=0)
            pairs = rng.integers(0, N_CANDIDATES, (BATCH, 2))
            table = rng.standard_normal((N_PROMPTS, N_CANDIDATES, DIM), dtype=np.float32)
            rows = rng.integers(0, N_PROMPTS, (STEPS, BATCH))
            columns = np.argsort(rng.random((STEPS, BATCH, N_CANDIDATES)), axis=2)

            def step(env: gym.vector.VectorEnv = env, pairs: np.ndarray = pairs) -> None:
                for _ in range(STEPS):
                    env.step(pairs)

            def gather(table: np.ndarray = table, rows: np.ndarray = rows, columns: np.ndarray = columns) -> None:
                for row, column in zip(rows, columns, strict=True):
                    table[row[:, None], column]

            times = np.array([[_seconds(step), _seconds(gather)] for _ in range(REPETITIONS)]) / STEPS
            ours, bare = np.median(times, axis=0)
            ratio = np.median(times[:, 1] / times[:, 0])
            print(
                f"reward={reward:<6}  step {ours * 1e3:.3f} ms  bare gather {bare * 1e3:.3f} ms  rate ratio {ratio:.2f}"
            )


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
