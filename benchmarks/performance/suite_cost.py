"""What a finished suite cost: wall time beside the time that its counted operations need, and what the rest was spent on.

    duelgym-bench run --suite ee2024 --out runs/ee2024 --jobs 2
    python benchmarks/performance/suite_cost.py runs/ee2024 --jobs 2

Target: 2.5 at most. Counted are the products of the networks (see products.py) in selecting, learning and assessing; the rate is
that of this machine with as many processes at once as ran the suite, so it wants the same machine, idle. Runs log their
own parts. The wall time, and what the common learner took, are told by the times of the files: from the plan to the last run, if
all ran in one go and nothing was copied. ``--wall`` states the seconds that the command took instead.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from products import Product, Products, evaluating, matrix_product_rate, operations, product_rate, times, training

from duelgym.errors import DuelgymError, LogError, SpecificationError
from duelgym_agents.registry import composition
from duelgym_agents.reward_models import NetworkSettings
from duelgym_bench.common import SETTINGS
from duelgym_bench.executors.processes import workers
from duelgym_bench.plan import Plan, Task
from duelgym_bench.plan_directory import PLAN, load_plan
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import PARTS
from duelgym_bench.uncertainty import HeldOutDuels

GOAL = 2.5
COMMON = "common learner"


@dataclass(frozen=True)
class Run:
    """What one run spent, in seconds by part, and which products each part is made of.

    ``peaks`` is the peak memory of its process in MB, after a tenth of the queries and at the end.
    """

    agent: str
    seconds: Mapping[str, float]
    products: Mapping[str, Products]
    peaks: tuple[int, int]


@dataclass(frozen=True)
class Rates:
    """Operations per second of one process: of a large square product, and of every product used."""

    square: float
    own: Mapping[Product, float]

    def needed(self, products: Products) -> float:
        """Return the seconds that products take at the rate of the large square one."""
        return operations(products) / self.square

    def needed_as_shaped(self, products: Products) -> float:
        """Return the seconds that products take, each at its own rate."""
        return sum(often * product.operations / self.own[product] for product, often in products.items())


def read_runs(plan: Plan, out: Path) -> list[Run]:
    """Return all runs of a plan.

    Raises:
        LogError: if one is not finished.
        SpecificationError: if an agent's model is not a network whose operations can be counted.
    """
    counted = {
        (agent, seed): products for seed in range(plan.seeds) for agent, products in products_of(plan, seed).items()
    }
    runs = []
    for task in plan.tasks():
        directory = RunDirectory(out / "runs" / task.name)
        if not directory.finished():
            raise LogError(f"{directory.path} is not finished; run the same command again")
        lines = [json.loads(line) for line in directory.timings.read_text().splitlines()]
        seconds = {**lines[-1]["seconds"], COMMON: _modified(directory.common) - _modified(directory.timings)}
        tenth = next(line for line in lines if 10 * line["t"] >= plan.queries)
        peaks = tenth["peak_rss_mb"], lines[-1]["peak_rss_mb"]
        runs.append(Run(task.agent, seconds, counted[task.agent, task.seed_index], peaks))
    return runs


def products_of(plan: Plan, seed: int) -> dict[str, dict[str, Products]]:
    """Return for every agent on a seed the products of its parts."""
    session = plan.session(seed)
    generator, held_out = session.problem.generator, session.assessment()
    dims, n = (generator.candidate_dim, generator.prompt_dim), generator.n_candidates
    duels = HeldOutDuels.drawn(held_out, generator, np.random.default_rng(0), texts=False)
    assessed = [len(held_out.questions), *([] if duels is None else [len(duels.contexts)])]
    batches, checkpoints = plan.queries // plan.batch, len(plan.checkpoints())
    counted = {}
    for agent in plan.agents:
        settings, reads = network_of(plan, Task(agent, seed))
        shown = (settings, dims if settings.features == "concat" else (2 * dims[0], dims[1]))
        looked_at = Counter() if reads == "nothing" else evaluating(*shown, plan.batch, n)
        counted[agent] = {
            "select": times(batches, looked_at),
            "learn": training(*shown, plan.queries),
            "assess": times(checkpoints, together(evaluating(*shown, prompts, n) for prompts in assessed)),
        }
    return counted


def network_of(plan: Plan, task: Task) -> tuple[NetworkSettings, str]:
    """Return the settings of an agent's network, and what its rule reads."""
    spec = composition(task.factory)
    if spec is None or spec.reward_model not in ("point", "ensemble"):
        raise SpecificationError(f"agent {task.agent!r}: operations are counted for point and ensemble networks alone")
    assert isinstance(spec.settings, NetworkSettings)
    names = {field.name for field in fields(spec.settings)}
    own = {name: value for name, value in plan.settings.get(task.configured, {}).items() if name in names}
    return replace(spec.settings, **own), spec.rule.reads


def together(products: Iterable[Products]) -> Products:
    """Return the products of all."""
    return sum(products, Counter())


def measured_rates(products: Iterable[Product], jobs: int) -> Rates:
    """Return the mean rates of as many processes that multiply at once."""
    shapes = sorted(products)
    with workers(jobs) as pool:
        each = list(pool.map(_rates, [shapes] * jobs))
    square, *own = np.mean(each, axis=0).tolist()
    return Rates(square, dict(zip(shapes, own, strict=True)))


def _rates(shapes: list[Product]) -> list[float]:
    return [matrix_product_rate(), *map(product_rate, shapes)]


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def report(plan: Plan, runs: list[Run], rates: Rates, *, jobs: int, wall: float, choosing: float) -> float:
    """Print what was spent on what; return the ratio."""
    parts = (*PARTS, COMMON)
    products = together(part for run in runs for part in run.products.values())
    needed, as_shaped = rates.needed(products) / jobs, rates.needed_as_shaped(products) / jobs
    print(f"{plan.title}: {len(runs)} runs of {plan.queries} queries on {jobs} processes\n")
    print(f"counted operations       {operations(products) / 1e12:10.2f} TFLOP")
    print(f"matrix products          {rates.square / 1e9:10.1f} GFLOP/s a process, {jobs} at once")
    print(f"the operations need      {needed:10.1f} s ({as_shaped:.1f} s at the rates of their own shapes)")
    print(f"wall time                {wall:10.1f} s")
    print(f"ratio                    {wall / needed:10.2f} (wanted: {GOAL} or less)")
    growth, peak = max(end - tenth for tenth, end in (run.peaks for run in runs)), max(run.peaks[1] for run in runs)
    print(
        f"peak memory              {peak:10} MB a process; grew in the last nine tenths of a run by {growth} MB at most\n"
    )
    print("| part | process seconds | share | its operations need | at the rates of their own shapes |")
    print("| --- | --- | --- | --- | --- |")
    spent = {part: sum(run.seconds[part] for run in runs) for part in parts}
    spent["choosing the common learner, others waiting"] = jobs * choosing
    spent["starting and waiting"] = jobs * wall - sum(spent.values())
    for part, seconds in spent.items():
        made = together(run.products.get(part, Counter()) for run in runs)
        cells = f"{rates.needed(made):.1f} | {rates.needed_as_shaped(made):.1f}" if made else " | "
        print(f"| {part} | {seconds:.1f} | {seconds / (jobs * wall):.1%} | {cells} |")
    print(f"\n| agent, seconds a run | {' | '.join(parts)} | together | its operations need |")
    print("| --- " * (len(parts) + 3) + "|")
    for agent in plan.agents:
        own = [run for run in runs if run.agent == agent]
        mean = [sum(run.seconds[part] for run in own) / len(own) for part in parts]
        need = sum(rates.needed(together(run.products.values())) for run in own) / len(own)
        print(f"| {agent} | {' | '.join(f'{value:.2f}' for value in mean)} | {sum(mean):.2f} | {need:.2f} |")
    return wall / needed


def main() -> None:
    """Read, measure and print; the exit status says whether the ratio is within the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path, metavar="DIR", help="directory of finished runs")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes that ran them (default: one a core)"
    )
    parser.add_argument(
        "--wall", type=float, metavar="SECONDS", help="what the command took (default: by the files' times)"
    )
    options = parser.parse_args()
    try:
        plan = load_plan(options.dir)
        runs = read_runs(plan, options.dir)
    except DuelgymError as error:
        sys.exit(f"suite_cost: error: {error}")
    began = _modified(options.dir / PLAN)
    last = max(_modified(RunDirectory(options.dir / "runs" / task.name).done) for task in plan.tasks())
    wall, choosing = options.wall or last - began, _modified(options.dir / SETTINGS) - began
    if options.jobs * wall < sum(sum(run.seconds.values()) for run in runs):
        sys.exit(
            f"suite_cost: error: the runs took longer than {wall:.0f} s on {options.jobs} processes; give the --jobs and the --wall "
            "of the command that made them"
        )
    rates = measured_rates(together(part for run in runs for part in run.products.values()), options.jobs)
    ratio = report(plan, runs, rates, jobs=options.jobs, wall=wall, choosing=choosing)
    sys.exit(0 if ratio <= GOAL else 1)


if __name__ == "__main__":
    main()
