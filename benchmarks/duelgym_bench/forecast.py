"""What a command will run, and about how long that should take: told before it starts, from measurements."""

from __future__ import annotations

import contextlib
import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duelgym_bench.common import CommonLearner
from duelgym_bench.plan import Plan
from duelgym_bench.probe import PROBE_BATCHES, probed
from duelgym_bench.run_directory import RunDirectory

_WORTH_PROBING = 2 * PROBE_BATCHES  # batches that an agent has to run: with fewer, measuring takes as long as running
_STAND_IN = CommonLearner("fourier", 1.0, "the costlier features, where none are chosen yet")


@dataclass(frozen=True)
class Forecast:
    """What there is to run of a plan, and how long it should take.

    Attributes:
        finished: number of runs that are finished.
        begun: number of unfinished runs that go on from a checkpoint.
        waiting: number of runs that are not finished, those begun among them.
        seconds: wall time for what can be told; 0 if that is nothing.
        from_runs: agents timed by their finished runs.
        from_probes: agents timed by a throwaway run.
        short: agents that are not counted, since too little is left to be worth measuring.
        failed: agents that are not counted, since measuring failed.
    """

    finished: int
    begun: int
    waiting: int
    seconds: float
    from_runs: tuple[str, ...]
    from_probes: tuple[str, ...]
    short: tuple[str, ...]
    failed: tuple[str, ...]


def forecast(plan: Plan, out: Path, *, jobs: int) -> Forecast:
    """Find out what there is to run, measuring what is not known; nothing is written to the run directory.

    An agent's runs take as long as those that are finished in the directory, or else as :func:`duelgym_bench.probe.probe` says.

    Args:
        plan: with all that its directory holds already.
        out: the directory, which need not exist.
        jobs: number of runs that will go on at once.
    """
    left = {task: _share_left(plan, RunDirectory(out / "runs" / task.name)) for task in plan.tasks()}
    waiting = {task: share for task, share in left.items() if share > 0}
    agents = tuple(dict.fromkeys(task.configured for task in waiting))
    seconds = {agent: mean for agent in agents if (mean := _seconds_of_runs(plan, out, agent)) is not None}
    from_runs = tuple(seconds)
    batches = {
        agent: sum(share for task, share in waiting.items() if task.configured == agent) * plan.queries / plan.batch
        for agent in agents
    }
    new = [agent for agent in agents if agent not in seconds and batches[agent] > _WORTH_PROBING]
    measured = probed(plan, new, CommonLearner.load(out) or _STAND_IN, jobs=jobs)
    seconds |= measured
    told = [share * seconds[task.configured] for task, share in waiting.items() if task.configured in seconds]
    return Forecast(
        finished=len(left) - len(waiting),
        begun=sum(share < 1 for share in waiting.values()),
        waiting=len(waiting),
        seconds=makespan(told, jobs=jobs),
        from_runs=from_runs,
        from_probes=tuple(measured),
        short=tuple(agent for agent in agents if agent not in seconds and agent not in new),
        failed=tuple(agent for agent in new if agent not in seconds),
    )


def makespan(seconds: Sequence[float], *, jobs: int) -> float:
    """Return how long tasks take together, when each begins as soon as one of the jobs is free.

    >>> makespan([3.0, 1.0, 1.0, 2.0], jobs=2)
    4.0
    """
    free = [0.0] * jobs
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def forecast_text(plan: Plan, out: Path, found: Forecast, *, jobs: int) -> str:
    """Return a line of what there is to run and, where there is anything, one of how long that should take."""
    begun = f" ({found.begun} of them begun)" if found.begun else ""
    shape = f"{len(plan.agents)} agents x {plan.seeds} seeds x {plan.queries} queries on {plan.env}"
    runs = f"plan: {shape}: {found.waiting} runs to go{begun}, {found.finished} finished, in {out}"
    if not found.waiting:
        return runs
    sources = []
    if found.from_runs:
        sources.append(f"{_agents(found.from_runs)} by finished runs")
    if found.from_probes:
        sources.append(
            f"{_agents(found.from_probes)} guessed from the first batches: longer where one slows down as labels add up"
        )
    if found.short:
        sources.append(f"{_agents(found.short)} too short to be worth a guess")
    if found.failed:
        sources.append(f"without {', '.join(found.failed)}, which failed when tried")
    about = f"about {duration(found.seconds)}, {jobs} at a time" if found.seconds else "not measured"
    return f"{runs}\ntime: {about} ({'; '.join(sources)})"


def duration(seconds: float) -> str:
    """Return a time in words, to the two digits that a forecast can stand for.

    >>> [duration(seconds) for seconds in (0.2, 95, 2000, 8000, 400000)]
    ['1 s', '95 s', '33 min', '2.2 h', '4.6 days']
    """
    for unit, length, most in (("s", 1, 100), ("min", 60, 100)):
        if seconds < most * length:
            return f"{max(1.0, seconds / length):.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _agents(names: tuple[str, ...]) -> str:
    return f"{len(names)} agent{'s' if len(names) > 1 else ''}"


def _share_left(plan: Plan, directory: RunDirectory) -> float:
    """Return the share of a run that is left to do: 0 if it is finished, 1 if nothing of it can be resumed."""
    if directory.finished():
        return 0.0
    return 1.0 - _last_timing(directory).get("t", 0) / plan.queries if directory.state.exists() else 1.0


def _seconds_of_runs(plan: Plan, out: Path, agent: str) -> float | None:
    """Return the mean seconds of an agent's finished runs, or None if it has none."""
    seconds = []
    for task in plan.tasks():
        directory = RunDirectory(out / "runs" / task.name)
        if task.configured == agent and directory.finished():
            parts = _last_timing(directory).get("seconds", {})
            with contextlib.suppress(OSError):  # a damaged run is for the report to refuse
                logged, learned = (path.stat().st_mtime for path in (directory.recommendations, directory.common))
                if parts:  # behind the run comes the common learner
                    seconds.append(sum(parts.values()) + max(0.0, learned - logged))
    return sum(seconds) / len(seconds) if seconds else None


def _last_timing(directory: RunDirectory) -> dict[str, Any]:
    """Return the last line of a run's timings; nothing if it cannot be read, since it is only a help."""
    try:
        return dict(json.loads(directory.timings.read_text().splitlines()[-1]))
    except (OSError, IndexError, ValueError, TypeError):
        return {}
