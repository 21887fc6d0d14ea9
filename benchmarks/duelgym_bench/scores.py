"""From logs to numbers: every figure is recomputed from what the environment's side wrote, after replaying it."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
from jaxtyping import Float64, Int64
from tqdm import tqdm

import duelgym
from duelgym.envs.problem import Problem
from duelgym.envs.session import DuelSession
from duelgym.errors import LogError
from duelgym.generators import PoolReplay
from duelgym.metrics import Judged, bits_per_label
from duelgym.rounds import QueryLog, read_queries
from duelgym.rounds.replay import begin, replayed
from duelgym_agents.registry import AGENTS
from duelgym_bench.plan import Plan, Task, baseline_of, load_plan
from duelgym_bench.run_directory import RunDirectory, read_recommendations
from duelgym_bench.scored import References, Results, RunScores
from duelgym_bench.supervised import LABEL, supervised_wins


def score(out: Path, *, jobs: int = 1) -> Results:
    """Score every run of a directory.

    Raises:
        LogError: if a run is missing, unfinished or changed, or does not replay: incomplete is refused, not filled in.
    """
    plan = load_plan(out)
    tasks = list(plan.tasks())
    unfinished = [task.name for task in tasks if not RunDirectory(out / "runs" / task.name).finished()]
    if unfinished:
        more = f" and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
        raise LogError(f"{out}: run {unfinished[0]}{more} is not finished; repeat 'duelgym-bench run' to finish it")
    known = {task.name for task in tasks}
    foreign = sorted(path.name for path in (out / "runs").iterdir() if path.name not in known)
    if foreign:
        raise LogError(f"{out / 'runs' / foreign[0]}: not a run of this plan; move it away")
    spawn = multiprocessing.get_context("spawn")
    bar = partial(tqdm, disable=None, unit="")
    with ProcessPoolExecutor(max(1, jobs), mp_context=spawn) as pool:
        ceilings = pool.map(partial(seed_references, plan), range(plan.seeds))
        runs = tuple(
            bar(pool.map(partial(score_run, plan, out), tasks), total=len(tasks), desc="replaying and scoring")
        )
        references = _merged(plan, list(bar(ceilings, total=plan.seeds, desc="references")))
    return Results(
        title=plan.title,
        command=plan.command,
        versions=_versions(),
        specification={**plan.problem(0).specification, "queries": plan.queries, "batch": plan.batch},
        tuned=False,
        baseline=baseline_of(plan.agents) or plan.agents[0],
        runs=runs,
        references=references,
    )


def score_run(plan: Plan, out: Path, task: Task) -> RunScores:
    """Replay one run and score it.

    Raises:
        LogError: naming the file and line that is not what it must be.
    """
    directory = RunDirectory(out / "runs" / task.name)
    directory.verify()
    log = read_queries(directory.queries)
    problem = plan.problem(task.seed_index)
    if log.torn or len(log) != plan.queries:
        raise LogError(f"{directory.queries}: {log.torn or f'{len(log)} queries of {plan.queries}'}")
    for name, mine in (("seed", plan.env_seed(task.seed_index)), ("specification", _plain(problem.specification))):
        if log.header.get(name) != mine:
            raise LogError(
                f"{directory.queries}, line 1: {name} is not that of the plan; the run is of another plan or pool"
            )
    session = begin(log.header, problem)
    held_out = session.assessment()
    tables = _tables(held_out, problem)
    regrets = np.concatenate(
        [
            asked.regrets(log.pairs[start : start + plan.batch])
            for start, asked in replayed(log, problem, session, str(directory.queries))
        ]
    )
    checkpoints = np.asarray(plan.checkpoints(), dtype=np.int64)
    chosen = _positions(directory.recommendations, held_out, plan)
    common = _positions(directory.common, held_out, plan)
    seconds, counters = _reported(directory)
    spec = AGENTS.get(task.factory)
    cumulative = {
        "average": regrets.mean(axis=1),
        "strong": regrets.max(axis=1),
        "weak": regrets.min(axis=1),
    }
    return RunScores(
        agent=task.agent,
        rule=spec.rule_name if spec else None,
        reward_model=spec.reward_model if spec else None,
        seed_index=task.seed_index,
        prompt_group=prompt_group(plan, task.seed_index),
        checkpoints=checkpoints,
        win=_looked_up(tables["win"], chosen),
        win_reference=_looked_up(tables["reference"], chosen) if "reference" in tables else None,
        common=_looked_up(tables["win"], common),
        simple_regret=_looked_up(tables["regret"], chosen),
        regret={name: np.concatenate([[0.0], np.cumsum(each)])[checkpoints] for name, each in cumulative.items()},
        counters={**counters, **_counted(log)},
        seconds=seconds,
    )


def prompt_group(plan: Plan, seed_index: int) -> str:
    """Return the name under which runs share their assessment prompts."""
    kwargs = plan.problem_kwargs(seed_index)
    return f"fold {kwargs.get('fold', 0)}" if "pool" in kwargs else f"seed {seed_index}"


def seed_references(plan: Plan, seed_index: int) -> tuple[str, dict[str, Float64[np.ndarray, " prompts"]], float]:
    """Return what stands beside the curves for one seed: prompt group, wins per prompt by name, bits per label."""
    problem = plan.problem(seed_index)
    session = _session(plan, seed_index, problem)
    held_out = session.assessment()
    tables = _tables(held_out, problem)
    n = problem.generator.n_candidates
    every = np.arange(len(held_out.questions))
    choices = {"constant index": np.zeros(len(every), dtype=np.int64)}
    if isinstance(problem.generator, PoolReplay):
        characters = problem.generator.pool.characters(held_out.questions.prompt_ids)
        shown = np.take_along_axis(characters, held_out.questions.candidate_ids, axis=1)
        choices["longest answer"] = np.argmax(shown, axis=1)
    wins = {"oracle": tables["win"].max(axis=1), "uniform": tables["win"].mean(axis=1)}
    wins |= {name: tables["win"][every, chosen] for name, chosen in choices.items()}
    if "reference" in tables:
        wins["uniform | reference"] = tables["reference"].mean(axis=1)
        wins |= {f"{name} | reference": tables["reference"][every, chosen] for name, chosen in choices.items()}
    wins["supervised"] = supervised_wins(plan, seed_index)
    asked = session.ask(512)
    bits = 0.0
    if n > 1:
        rng = np.random.default_rng(seed_index)
        pairs = np.argsort(rng.random((512, n)), axis=1)
        bits = bits_per_label(asked.probability(pairs[:, 0], pairs[:, 1]))
    return prompt_group(plan, seed_index), _in_prompt_order(wins, held_out), bits


def _session(plan: Plan, seed_index: int, problem: Problem) -> DuelSession:
    return begin({"seed": plan.env_seed(seed_index), "budget": plan.queries}, problem)


def _tables(held_out: Judged, problem: Problem) -> dict[str, Float64[np.ndarray, "prompts n_candidates"]]:
    wins = held_out.win_rates()
    batch, n = wins.shape
    best = held_out.winners()
    regret = np.stack([held_out.regrets(np.full((batch, 2), column))[:, 0] for column in range(n)], axis=1)
    tables = {"win": wins, "regret": regret}
    assert (best == np.argmin(regret, axis=1)).all() or n == 1  # both name the winner
    reference = problem.pool.reference if problem.pool is not None else None
    if reference is not None:
        tables["reference"] = held_out.reference_win_rates(float(reference["utility"]))
    return tables


def _positions(path: Path, held_out: Judged, plan: Plan) -> Int64[np.ndarray, "checkpoints prompts"]:
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


def _looked_up(
    table: Float64[np.ndarray, "prompts n_candidates"], chosen: Int64[np.ndarray, "checkpoints prompts"]
) -> Float64[np.ndarray, "checkpoints prompts"]:
    return np.take_along_axis(table, chosen.T, axis=1).T


def _in_prompt_order(
    wins: Mapping[str, Float64[np.ndarray, " prompts"]], held_out: Judged
) -> dict[str, Float64[np.ndarray, " prompts"]]:
    if not np.all(np.diff(held_out.questions.prompt_ids) > 0):
        raise LogError("assessment prompts are not in ascending order, so runs of a fold cannot be paired by prompt")
    return dict(wins)


def _counted(log: QueryLog) -> dict[str, int]:
    low, high = log.candidate_ids.min(axis=1), log.candidate_ids.max(axis=1)
    keys = np.stack([log.prompt_ids, low, high], axis=1)
    return {
        "self_duels": int(np.count_nonzero(low == high)),
        "repeated_pairs": len(keys) - len(np.unique(keys, axis=0)),
    }


def _reported(directory: RunDirectory) -> tuple[dict[str, float], dict[str, int]]:
    """Return what the run reported of itself; only shown, so an unreadable file is an empty report."""
    try:
        last = json.loads(directory.timings.read_text().splitlines()[-1])
        return dict(last["seconds"]), dict(last["counters"])
    except (OSError, IndexError, KeyError, json.JSONDecodeError):
        return {}, {}


def _merged(plan: Plan, seeds: list[tuple[str, dict[str, Float64[np.ndarray, " prompts"]], float]]) -> References:
    groups: dict[str, dict[str, Float64[np.ndarray, " prompts"]]] = {}
    for group, wins, _ in seeds:
        # Seeds of one fold share prompts but show the candidates in other orders, which only moves the constant index.
        if group in groups:
            both = groups[group]["constant index"], wins["constant index"]
            count = sum(1 for name, _, _ in seeds if name == group)
            groups[group]["constant index"] = both[0] + both[1] / count
        else:
            count = sum(1 for name, _, _ in seeds if name == group)
            groups[group] = wins | {"constant index": wins["constant index"] / count}
    names = [name for name in next(iter(groups.values())) if name not in ("oracle", "supervised")]
    plain = [name for name in names if not name.endswith(" | reference")]
    by_name = {name: {group: wins[name] for group, wins in groups.items()} for name in names}
    against = {name: by_name[f"{name} | reference"] for name in plain if f"{name} | reference" in by_name}
    return References(
        policies={name: by_name[name] for name in plain},
        policies_reference=against or None,
        oracle={group: wins["oracle"] for group, wins in groups.items()},
        supervised={group: wins["supervised"] for group, wins in groups.items()},
        supervised_label=LABEL,
        bits_per_label=float(np.mean([bits for _, _, bits in seeds])),
    )


def _plain(value: Mapping[str, object]) -> object:
    return json.loads(json.dumps(value))


def _versions() -> dict[str, str]:
    import platform

    import torch

    return {
        "duelgym": duelgym.__version__,
        "gymnasium": gymnasium.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
