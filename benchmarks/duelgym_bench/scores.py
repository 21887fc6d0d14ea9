"""From logs to numbers: every figure is recomputed from what the environment's side wrote, after replaying it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float64, Int64
from tqdm import tqdm

import duelgym
from duelgym.errors import LogError, SpecificationError
from duelgym.metrics import Judged, binary_entropy
from duelgym.rounds import QueryLog, read_queries
from duelgym.rounds.replay import begin, replayed
from duelgym.simulators import check_own
from duelgym_agents.registry import parts_of
from duelgym_bench.duels import Duel, duels_of
from duelgym_bench.executors.processes import workers
from duelgym_bench.plan import Plan, Task, baseline_of
from duelgym_bench.plan_directory import load_plan
from duelgym_bench.references import merged, outcome_tables, prompt_group, seed_references
from duelgym_bench.run_directory import RunDirectory, read_recommendations
from duelgym_bench.scored import Results, RunScores
from duelgym_bench.uncertainty import ACCURACIES, KINDS


def score(out: Path, *, jobs: int = 1, own: Collection[str] = (), pool: Path | None = None) -> Results:
    """Score every run of a directory.

    Args:
        out: the directory.
        jobs: processes.
        own: simulators of one's own, ``package.module:CLASS``, that may be imported if the runs were made with them.
        pool: where the pool of the runs is now; None: where it was. The logs say by its hash that it is the same.

    Raises:
        SpecificationError: if the runs were made with another simulator, or on no pool although one is given.
        LogError: if the pool or a run is missing, unfinished or changed, or does not replay: incomplete is refused, not filled in.
    """
    plan = _on_pool(load_plan(out), out, pool)
    if plan.tuning:
        raise LogError(f"{out} holds runs for tuning, which are no results; report runs of 'duelgym-bench run'")
    check_own(str(out), plan.env_kwargs.get("simulator"), own)
    tasks = list(plan.tasks())
    unfinished = [task.name for task in tasks if not RunDirectory(out / "runs" / task.name).finished()]
    if unfinished:
        more = f" and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
        raise LogError(f"{out}: run {unfinished[0]}{more} is not finished; repeat 'duelgym-bench run' to finish it")
    known = {task.name for task in tasks}
    foreign = sorted(path.name for path in (out / "runs").iterdir() if path.name not in known)
    if foreign:
        raise LogError(f"{out / 'runs' / foreign[0]}: not a run of this plan; move it away")
    bar = partial(tqdm, disable=None, unit="")
    try:
        with workers(min(jobs, len(tasks))) as processes:
            ceilings = processes.map(partial(seed_references, plan), range(plan.seeds))
            runs = tuple(
                bar(processes.map(partial(score_run, plan, out), tasks), total=len(tasks), desc="replaying and scoring")
            )
            references = merged(plan, list(bar(ceilings, total=plan.seeds, desc="references")))
    except BrokenProcessPool:
        raise LogError(f"{out}: a scoring process was killed (out of memory?); repeat with fewer --jobs") from None
    configured = [agent for agent in plan.agents if Task(agent, 0).configured in plan.settings]
    return Results(
        title=plan.title,
        command=plan.command,
        versions=versions(),
        specification={
            **plan.problem(0).specification,
            "queries": plan.queries,
            "batch": plan.batch,
            **({"settings": plan.settings} if plan.settings else {}),
        },
        tuned=tuple(each for each in configured if Task(each, 0).configured not in plan.by_hand),
        by_hand=tuple(each for each in configured if Task(each, 0).configured in plan.by_hand),
        baseline=baseline_of(plan.agents) or plan.agents[0],
        runs=runs,
        references=references,
    )


def _on_pool(plan: Plan, out: Path, pool: Path | None) -> Plan:
    """Return the plan with its pool where it is now."""
    recorded = plan.env_kwargs.get("pool")
    if pool is None:
        if recorded is not None and not Path(str(recorded)).exists():
            raise LogError(
                f"{out}: the pool of these runs was {recorded}, which is not there; name its place with --pool DIR"
            )
        return plan
    if recorded is None:
        raise SpecificationError(f"--pool is {str(pool)!r}, but the runs in {out} were made on no pool; leave it out")
    return replace(plan, env_kwargs={**plan.env_kwargs, "pool": str(pool)})


def score_run(plan: Plan, out: Path, task: Task) -> RunScores:
    """Replay one run and score it.

    Raises:
        LogError: naming the file and line that is not what it must be.
    """
    directory = RunDirectory(out / "runs" / task.name)
    directory.verify(tuning=False)
    return score_logs(plan, task, directory)


def score_logs(plan: Plan, task: Task, directory: RunDirectory) -> RunScores:
    """Replay and score the logs of one run, of which the query log and the recommendations must be there.

    Raises:
        LogError: naming the file and line that is not what it must be.
    """
    log = read_queries(directory.queries)
    problem = plan.problem(task.seed_index)
    if log.torn or len(log) != plan.queries:
        raise LogError(f"{directory.queries}: {log.torn or f'{len(log)} queries of {plan.queries}'}")
    expected = {
        "seed": plan.env_seed(task.seed_index),
        "budget": plan.queries,
        "batch": plan.batch,
        "specification": _plain(problem.specification),
    }
    for name, mine in expected.items():
        if log.header.get(name) != mine:
            raise LogError(
                f"{directory.queries}, line 1: {name} is not that of the plan; the run is of another plan or pool"
            )
    session = begin(log.header, problem)
    held_out = session.assessment()
    tables = outcome_tables(held_out, problem)
    batches: list[tuple[Float64[np.ndarray, "batch 2"], Float64[np.ndarray, " batch"]]] = []
    duels: list[Duel] = []
    for start, asked in replayed(log, problem, session, str(directory.queries)):
        pairs = log.pairs[start : start + plan.batch]
        batches.append((asked.regrets(pairs), asked.probability(pairs[:, 0], pairs[:, 1])))
        if task.seed_index == 0:
            duels.extend(duels_of(asked, log, start, problem.generator))
    regrets, p = (np.concatenate(of) for of in zip(*batches, strict=True))
    checkpoints = np.asarray(plan.checkpoints(), dtype=np.int64)
    chosen = recommended_positions(directory.recommendations, held_out, plan)
    common = recommended_positions(directory.common, held_out, plan) if directory.common.exists() else None
    told = _told(directory)
    seconds, counters = _last(told)
    rule, reward_model = parts_of(task.factory) or (None, None)

    def summed(each: Mapping[str, Float64[np.ndarray, " queries"]]) -> dict[str, Float64[np.ndarray, " checkpoints"]]:
        return {name: np.concatenate([[0.0], np.cumsum(of)])[checkpoints] for name, of in each.items()}

    return RunScores(
        agent=task.agent,
        rule=rule,
        reward_model=reward_model,
        seed_index=task.seed_index,
        prompt_group=prompt_group(plan, task.seed_index),
        checkpoints=checkpoints,
        win=looked_up(tables["win"], chosen),
        win_reference=looked_up(tables["reference"], chosen) if "reference" in tables else None,
        common=None if common is None else looked_up(tables["win"], common),
        simple_regret=looked_up(tables["regret"], chosen),
        regret=summed({"average": regrets.mean(axis=1), "strong": regrets.max(axis=1), "weak": regrets.min(axis=1)}),
        counters={**counters, **_counted(log)},
        seconds=seconds,
        labels=summed({"gap": np.abs(p - 0.5), "bits": 1 - binary_entropy(np.clip(p, 0, 1))}),
        excess_nll=_curves(told, plan, "excess_nll", KINDS),
        accuracy=_curves(told, plan, "accuracy", ACCURACIES),
        duels=tuple(duels),
        code=_code(told),
    )


def recommended_positions(path: Path, held_out: Judged, plan: Plan) -> Int64[np.ndarray, "checkpoints prompts"]:
    """Return the recommended positions, checked against the held-out questions, and in their order."""
    recommended = read_recommendations(path)
    if recommended.prompt_ids != tuple(held_out.questions.prompt_ids.tolist()):
        raise LogError(f"{path}, line 1: other assessment prompts than the environment's")
    if tuple(recommended.chosen) != plan.checkpoints():
        raise LogError(f"{path}: checkpoints {list(recommended.chosen)}, the plan has {list(plan.checkpoints())}")
    ids = np.asarray(list(recommended.chosen.values()), dtype=np.int64)
    matches = held_out.questions.candidate_ids[None] == ids[:, :, None]
    if not matches.any(axis=2).all():
        raise LogError(f"{path}: recommends a candidate that was not shown")
    return np.argmax(matches, axis=2)


def looked_up(
    table: Float64[np.ndarray, "prompts n_candidates"], chosen: Int64[np.ndarray, "checkpoints prompts"]
) -> Float64[np.ndarray, "checkpoints prompts"]:
    """Return what a table of values per prompt and position has at the chosen positions."""
    return np.take_along_axis(table, chosen.T, axis=1).T


def _counted(log: QueryLog) -> dict[str, int]:
    low, high = log.candidate_ids.min(axis=1), log.candidate_ids.max(axis=1)
    keys = np.stack([log.prompt_ids, low, high], axis=1)
    return {
        "self_duels": int(np.count_nonzero(low == high)),
        "repeated_pairs": len(keys) - len(np.unique(keys, axis=0)),
    }


def _told(directory: RunDirectory) -> list[dict[str, Any]]:
    """Return what the run reported of itself at its checkpoints; only shown, so an unreadable file is an empty report."""
    try:
        return [dict(json.loads(text)) for text in directory.timings.read_text().splitlines()]
    except (OSError, ValueError, TypeError):
        return []


def _last(told: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds and the counts of the whole run."""
    try:
        seconds, counters = (
            {str(name): float(value) for name, value in told[-1][part].items()} for part in ("seconds", "counters")
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}, {}
    return seconds, counters


def _code(told: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return which versions of its own modules the run reported."""
    try:
        return frozenset(f"{module} {str(sha256)[:16]}" for line in told for module, sha256 in line["code"].items())
    except (LookupError, AttributeError):
        return frozenset()


def _curves(
    told: Sequence[Mapping[str, Any]], plan: Plan, what: str, kinds: Sequence[str]
) -> dict[str, Float64[np.ndarray, " checkpoints"]]:
    """Return what the run reported at its checkpoints; nothing unless it did at all of them."""
    try:
        reported = {line["t"]: line[what] for line in told}
        curves = {kind: np.array([float(reported[t][kind]) for t in plan.checkpoints()]) for kind in kinds}
    except (ValueError, LookupError, TypeError):
        return {}
    return curves if all(np.isfinite(curve).all() for curve in curves.values()) else {}


def _plain(value: Mapping[str, object]) -> object:
    return json.loads(json.dumps(value))


def versions() -> dict[str, str]:
    """Return distribution -> version of all that numbers may depend on."""
    import platform

    import torch

    return {
        "duelgym": duelgym.__version__,
        "gymnasium": gymnasium.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
