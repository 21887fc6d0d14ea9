"""How much resident memory grows while an environment steps at random through a pool of 20 GB.

    python benchmarks/performance/pool_memory.py [--out DIR]

Target: less than 300 MB over 10 000 steps, each a random pair about a random prompt. The embeddings are a sparse file, zero but
for a few rows, which must be read back as written: all takes 160 MB on the disk, and the time of a step is without a disk's.
What a pool keeps in memory whole (here its prompts' embeddings and its utilities) is read at the reset, before the first step.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import duelgym  # noqa: F401  (registers the ids)
from duelgym.pools import CandidatePool
from duelgym.pools.files import hashed_file
from duelgym.pools.manifest import EMBEDDINGS, INDEX, MANIFEST, TEXTS, UTILITIES, checksum
from duelgym.pools.tensors import write_tensors
from duelgym.testing import make_pool

N_CANDIDATES, DIM = 100, 384
MOST_GROWTH = 300e6  # bytes
STEPS_BETWEEN_LOOKS = 50


def write_sparse_pool(path: Path, n_prompts: int) -> dict[int, np.ndarray]:
    """Write a pool whose response embeddings are zero but for three prompts; return those by row."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:  # whatever does not depend on the size is a small pool's
        manifest = make_pool(Path(folder) / "small", n_candidates=N_CANDIDATES, dim=DIM).manifest
    path.mkdir(parents=True)
    line = gzip.compress(json.dumps({"prompt": "?", "candidates": ["!"] * N_CANDIDATES}).encode())
    with hashed_file(path / TEXTS) as texts:
        texts.write(line * n_prompts)
    with hashed_file(path / UTILITIES) as utilities:
        write_tensors(utilities, {"utilities": rng.standard_normal((n_prompts, N_CANDIDATES, 1))})
    with hashed_file(path / INDEX) as index:
        arrays = {
            "text_offsets": len(line) * np.arange(n_prompts + 1),
            "characters": np.ones((n_prompts, N_CANDIDATES), np.int32),
            "groups": (np.arange(n_prompts) % manifest["splits"]["n_folds"]).astype(np.int8),
        }
        write_tensors(index, arrays)
    rows = (0, n_prompts // 2, n_prompts - 1)
    known = {row: rng.uniform(-1, 1, (N_CANDIDATES, DIM)).astype("<f4") for row in rows}
    files = {TEXTS: texts.entry(), UTILITIES: utilities.entry(), INDEX: index.entry()}
    files[EMBEDDINGS] = write_sparse_embeddings(path / EMBEDDINGS, n_prompts, known)
    manifest["shape"] = {"prompts": n_prompts, "candidates": N_CANDIDATES, "prompt_dim": DIM, "candidate_dim": DIM}
    manifest |= {"embedding_scale": 1.0, "files": files}
    manifest["checksum"] = checksum(manifest)
    (path / MANIFEST).write_text(json.dumps(manifest))
    return known


def write_sparse_embeddings(path: Path, n_prompts: int, known: dict[int, np.ndarray]) -> dict[str, Any]:
    """Write a safetensors file of which the known rows alone take place; return its entry in the manifest."""
    header, end = {}, 0
    for name, shape in (("candidate", (n_prompts, N_CANDIDATES, DIM)), ("prompt", (n_prompts, DIM))):
        start, end = end, end + 4 * int(np.prod(shape))
        header[f"{name}_embeddings"] = {"dtype": "F32", "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    first = 8 + len(text)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(first + end)
        for row, values in known.items():
            file.seek(first + row * values.nbytes)
            file.write(values.tobytes())
    return {"bytes": first + end, "sha256": "never asked for: pools this large are verified on request alone"}


def resident() -> int:
    """Return the bytes of this process that are in memory now."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])


def measure(pool: Path, steps: int) -> tuple[list[int], float]:
    """Return resident memory after the reset and along the steps, and the seconds of a step."""
    env = gym.make("PoolDuel-v0", pool=str(pool), budget=steps)
    env.reset(seed=0)
    pairs = np.random.default_rng(0).integers(0, N_CANDIDATES, (steps, 2))
    memory, spent = [resident()], 0.0
    for first in range(0, steps, STEPS_BETWEEN_LOOKS):
        started = time.perf_counter()
        for pair in pairs[first : first + STEPS_BETWEEN_LOOKS]:
            env.step(pair)
        spent += time.perf_counter() - started
        memory.append(resident())
    return memory, spent / steps


def main() -> None:
    """Measure and print; the exit status says whether memory stayed below the limit and rows came back as written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--gigabytes", type=float, default=20.0, help="of embeddings; a pool keeps up to 0.54 in memory"
    )
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="where to make the pool and leave it (default: a temporary directory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (options.out or Path(folder)) / "sparse-pool"
        known = write_sparse_pool(path, int(options.gigabytes * 1e9 / (4 * DIM * (N_CANDIDATES + 1))))
        before = resident()
        pool = CandidatePool.open(path)
        every = np.arange(N_CANDIDATES)[None]
        same = all(
            np.array_equal(pool.candidate_embeddings(np.array([row]), every)[0], values)
            for row, values in known.items()
        )
        memory, seconds = measure(path, options.steps)
        size = (path / EMBEDDINGS).stat()
    growth = max(memory) - memory[0]
    print(f"embeddings               {size.st_size / 1e9:8.2f} GB, {512 * size.st_blocks / 1e6:.1f} MB on the disk")
    print(f"rows read as written     {'yes' if same else 'NO':>8}")
    print(f"resident                 {before / 1e6:8.1f} MB without pool, {memory[0] / 1e6:.1f} MB after the reset")
    print(
        f"after {options.steps:6} steps       {memory[-1] / 1e6:8.1f} MB, at most {max(memory) / 1e6:.1f} MB along the way"
    )
    print(f"growth                   {growth / 1e6:8.1f} MB (wanted: under {MOST_GROWTH / 1e6:.0f})")
    print(f"time of a step           {1e6 * seconds:8.0f} µs")
    sys.exit(0 if same and growth < MOST_GROWTH else 1)


if __name__ == "__main__":
    main()
