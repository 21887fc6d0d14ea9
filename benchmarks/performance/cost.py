"""What a query costs against the size of things: candidates, features, particles, batch, and the queries themselves.

    OMP_NUM_THREADS=1 python benchmarks/performance/cost.py [--quick]

Whole runs of `ee2024-double_thompson` on `SyntheticDuel-v0` as the harness makes and times them, on one thread, with one size
changed at a time: microseconds a query of selecting, simulating and learning, and milliseconds of an assessment (256 prompts
with all their candidates, and the excess NLL). Medians over runs, without the first batch of each. Queries are those of
one long run: what was spent since the row above. An exponent is the slope of log time against log size by least squares,
with its standard error: over all sizes, and over the upper decade, since what does not grow hides the exponent below.
Target: after its first 320 queries the peak memory of the long run grows by less than 32 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from duelgym_bench.common import CommonLearner
from duelgym_bench.plan import Plan, Task
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import limit_threads, run_task

AGENT = "ee2024-double_thompson"
USUAL = {"candidates": 16, "features": 16, "particles": 10, "batch": 32}
SIZES = {
    "candidates": (2, 4, 8, 16, 32, 64, 128, 256),
    "features": (4, 8, 16, 32, 64, 128, 256, 512),
    "particles": (2, 5, 10, 20, 50, 100, 200),
    "batch": (1, 2, 4, 8, 16, 32, 64, 128),
}
QUERIES = (320, 32_000)
BATCHES, REPETITIONS = 8, 3
COLUMNS = ("select, µs", "simulate, µs", "learn, µs", "a query, µs", "an assessment, ms")
MOST_GROWTH = 32  # MB

Line = Mapping[str, Any]
Costs = Float64[np.ndarray, "sizes columns"]


def timings(sizes: Mapping[str, int], queries: int) -> list[Line]:
    """Return what a run logs of its time and memory at every checkpoint."""
    plan = Plan(
        env="SyntheticDuel-v0",
        env_kwargs={"n_candidates": sizes["candidates"], "dimension": sizes["features"]},
        agents=(AGENT,),
        queries=queries,
        seeds=1,
        batch=sizes["batch"],
        command="",
        title="",
        settings={AGENT: {"n_particles": sizes["particles"]}},
    )
    task = Task(AGENT, 0)
    with tempfile.TemporaryDirectory() as folder:
        run_task(plan, task, Path(folder), CommonLearner("interaction", 10.0, "not chosen"), lambda _: None)
        text = RunDirectory(Path(folder) / "runs" / task.name).timings.read_text()
    return [json.loads(line) for line in text.splitlines()]


def costs(lines: Sequence[Line]) -> list[float]:
    """Return what was spent from the first to the last of some checkpoints, in the order of COLUMNS."""
    first, last = lines[0], lines[-1]
    spent = {part: seconds - first["seconds"][part] for part, seconds in last["seconds"].items()}
    query = [1e6 * spent[part] / (last["t"] - first["t"]) for part in ("select", "simulate", "learn")]
    return [*query, sum(query), 1e3 * spent["assess"] / (len(lines) - 1)]


def exponent(sizes: Sequence[int], times: Sequence[float]) -> str:
    """Return the least-squares slope of log time against log size with its standard error; nothing for fewer than three."""
    if len(sizes) < 3:
        return ""
    (slope, _), covariance = np.polyfit(np.log(sizes), np.log(times), 1, cov=True)
    return f"{slope:.2f} ± {np.sqrt(covariance[0, 0]):.2f}"


def print_table(variable: str, sizes: Sequence[int], rows: Costs, further: Mapping[str, Sequence[object]]) -> None:
    """Print what each size costs, and the exponents."""
    print(f"\n| {' | '.join((variable, *COLUMNS, *further))} |\n{'| --- ' * (1 + len(COLUMNS) + len(further))}|")
    for place, (size, row) in enumerate(zip(sizes, rows, strict=True)):
        cells = [f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in row]
        print(f"| {' | '.join((str(size), *cells, *(str(column[place]) for column in further.values())))} |")
    for label, start in (
        ("exponent", 0),
        ("upper decade", next(i for i, s in enumerate(sizes) if 10 * s >= sizes[-1])),
    ):
        cells = [exponent(sizes[start:], column) for column in rows[start:].T]
        print(f"| {' | '.join((label, *cells, *('' for _ in further)))} |")


def main() -> None:
    """Measure and print; the exit status says whether memory stays flat in the number of queries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="three small sizes of each, once, and a tenth of the queries"
    )
    quick = parser.parse_args().quick
    limit_threads()
    taken = {variable: sizes[:6:2] if quick else sizes for variable, sizes in SIZES.items()}
    repetitions, most = (1, QUERIES[1] // 10) if quick else (REPETITIONS, QUERIES[1])
    usual = ", ".join(f"{name} {size}" for name, size in USUAL.items())
    print(
        f"{AGENT} on SyntheticDuel-v0; {usual} where not varied; medians of {repetitions} runs of "
        f"{BATCHES} batches, of {BATCHES * USUAL['batch']} labels at least"
    )
    # The long run comes first: peak memory is that of the process, whatever it did before.
    lines = [line for line in timings(USUAL, most) if line["t"] >= QUERIES[0]]
    memory, until = [line["peak_rss_mb"] for line in lines], [line["t"] for line in lines[1:]]
    print_table("queries", until, np.array([costs(both) for both in pairwise(lines)]), {"peak memory, MB": memory[1:]})
    measured: dict[tuple[str, int], list[list[float]]] = {}
    for _ in range(repetitions):  # one after the other, since a shared machine's speed drifts
        for variable, sizes in taken.items():
            for size in sizes:
                changed = USUAL | {variable: size}
                _, *lines = timings(changed, BATCHES * max(changed["batch"], USUAL["batch"]))
                measured.setdefault((variable, size), []).append(costs(lines))
    for variable, sizes in taken.items():
        print_table(variable, sizes, np.array([np.median(measured[variable, size], axis=0) for size in sizes]), {})
    growth = memory[-1] - memory[0]
    print(f"\npeak memory grew by {growth} MB from query {QUERIES[0]} to {most} (wanted: under {MOST_GROWTH})")
    sys.exit(0 if growth < MOST_GROWTH else 1)


if __name__ == "__main__":
    main()
