"""Ranked runs: which there are, where they lie, and what scoring them yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from duelgym_bench.executors.processes import workers
from duelgym_bench.isolation.launch import Wanted
from duelgym_bench.leaderboard.plans import ON_POOL
from duelgym_bench.leaderboard.records import Round, Submission
from duelgym_bench.plan import Plan, Task
from duelgym_bench.references import merged, seed_references
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.scored import Results, RunScores
from duelgym_bench.scores import score_logs, score_run, versions

BASELINE = "uniform pairs"
_TRIVIAL = "duelgym_bench.leaderboard.trivial"
TRIVIAL: Mapping[str, str] = {
    BASELINE: f"{_TRIVIAL}:uniform_pairs",
    "first two": f"{_TRIVIAL}:first_two",
    "same pair": f"{_TRIVIAL}:same_pair",
    "longest two": f"{_TRIVIAL}:longest_two",
}
"""Row -> agent that asks without thinking; the last reads texts."""
READS_TEXTS = "longest two"


@dataclass(frozen=True)
class Entrant:
    """An agent that a round ranks, or one of the trivial ones.

    Attributes:
        name: of its row.
        factory: as for ``duelgym-bench run``.
        settings: that replace the factory's defaults.
        environments: those of the round on which it runs.
        submission: what it comes from; None for a trivial one.
        code: directory of its modules; None where it needs none.
        sha256: of its ``submission.json``; empty for a trivial one.
    """

    name: str
    factory: str
    settings: Mapping[str, object]
    environments: tuple[str, ...]
    submission: Submission | None = None
    code: Path | None = None
    sha256: str = ""

    @property
    def folder(self) -> str:
        """The name of its directory of published runs."""
        return self.name.replace(" ", "-")

    def private_folder(self, namespaces: Wanted) -> str:
        """Return the name of its directory of runs while the round is open.

        What was run before the entry changed does not count, nor what was run without insisting on namespaces.
        """
        if self.submission is None:
            return self.folder
        return f"{self.folder}--{self.sha256[:16]}" + ("" if namespaces == "required" else f"--{namespaces}")


def entrant_of(submission: Submission, folder: Path, sha256: str) -> Entrant:
    """Return a submission, and the hash of what says so, as an entrant."""
    code = folder / "agent" if submission.code else None
    environments = tuple(submission.runs)
    return Entrant(submission.name, submission.factory, submission.settings, environments, submission, code, sha256)


def trivial_entrants(round: Round) -> tuple[Entrant, ...]:
    """Return the trivial agents; those that read texts run where there are some."""
    return tuple(
        Entrant(name, factory, {}, (ON_POOL,) if name == READS_TEXTS else round.ids)
        for name, factory in TRIVIAL.items()
        if name != READS_TEXTS or ON_POOL in round.ids
    )


def environment_results(plans: Mapping[str, tuple[Plan, Path]], *, jobs: int, published: bool = False) -> Results:
    """Score all runs on one environment.

    Args:
        plans: row -> its plan, of one agent, and the directory of its runs; the baseline's among them.
        jobs: processes.
        published: whether the directories are those of a closed round, which have one for each seed with both logs alone.

    Raises:
        LogError: if a run is missing, unfinished or changed, or does not replay.
    """
    plan, _ = plans[BASELINE]
    tasks = [(name, own, out, task) for name, (own, out) in plans.items() for task in own.tasks()]
    score = _scored_published if published else _scored
    with workers(jobs) as pool:
        seeds = pool.map(partial(seed_references, plan), range(plan.seeds))
        runs = tuple(pool.map(score, tasks))
        references = merged(plan, list(seeds))
    specification = {**plan.problem(0).specification, "queries": plan.queries, "batch": plan.batch}
    return Results(plan.title, plan.command, versions(), specification, (), BASELINE, runs, references)


def _scored(work: tuple[str, Plan, Path, Task]) -> RunScores:
    name, plan, out, task = work
    return replace(score_run(plan, out, task), agent=name)


def _scored_published(work: tuple[str, Plan, Path, Task]) -> RunScores:
    name, plan, out, task = work
    return replace(score_logs(plan, task, RunDirectory(out / f"{task.seed_index:03d}")), agent=name)
