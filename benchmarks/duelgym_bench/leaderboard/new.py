"""A submission made from finished runs: files copied, hashes and claims filled in, then checked like any other."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duelgym
from duelgym_agents.registry import own_modules, parts_of
from duelgym_bench.files import sha256_of
from duelgym_bench.leaderboard.check import (
    WITHOUT_TEXTS,
    Checked,
    assessment_of,
    check,
    read_round,
    run_directory,
)
from duelgym_bench.leaderboard.claims import claims_of
from duelgym_bench.leaderboard.code import Repeats, copy_code, guessed_repeats
from duelgym_bench.leaderboard.failures import Failure, RefusedError, refuse
from duelgym_bench.leaderboard.plans import public_plan
from duelgym_bench.leaderboard.records import SUBMISSION, Round, Submission, read_record
from duelgym_bench.plan import Plan, Task
from duelgym_bench.plan_directory import load_plan
from duelgym_bench.run_directory import RunDirectory

_IN_SUBMISSION = ("team", "agent", "date", "contact", "licence", "about")


@dataclass(frozen=True)
class Described:
    """What only the people who submit can say.

    Attributes:
        team: part of the folder's name, as are agent and date.
        agent: likewise.
        date: likewise, YYYY-MM-DD.
        contact: an address or a page.
        licence: of the agent's code.
        about: the agent in a sentence.
        cpu: what the runs were made on.
        accelerator: ``"none"``, or which.
        repeats: whether the same code on the same seed gives the same pairs; None: as the code's imports suggest.
    """

    team: str
    agent: str
    date: str
    contact: str
    licence: str
    about: str
    cpu: str
    accelerator: str = "none"
    repeats: Repeats | None = None


def new(
    root: Path,
    described: Described,
    runs: Sequence[Path],
    *,
    agent: str | None = None,
    code: Sequence[Path] = (),
    round_name: str | None = None,
) -> Checked:
    """Write a submission; nothing is left behind unless :func:`check` finds nothing wrong with it.

    Args:
        root: of the leaderboard.
        described: what the runs do not say.
        runs: directories that ``duelgym-bench run`` made, one for every environment of the round.
        agent: whose runs; None: the only one that they have.
        code: files of the agent, and directories of which the Python files count.
        round_name: None: the only open round.

    Raises:
        RefusedError: naming what does not fit the round and how to make it fit.
        SpecificationError: if a directory holds no runs.
    """
    round = read_round(root, round_name) if round_name else _open_round(root)
    plans = {directory: load_plan(directory) for directory in runs}
    agent = agent or _only_agent(plans)
    if Task(agent, 0).factory != agent or (own_modules(agent) and parts_of(agent)):
        way_out = (
            "name your module:factory, such as agent = functools.partial(make_agent, RULE, REWARD_MODEL, SETTING=VALUE)"
        )
        refuse([Failure(agent, "is no factory of one name, which a submission has", way_out)])
    settings = next((dict(plan.settings.get(agent, {})) for plan in plans.values()), {})
    refuse([*_misfits(round, plans, agent, settings)])
    place = root / "submissions"
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place) as beside:
        folder = _written(Path(beside), round, described, plans, agent, settings, code)
        if (place / folder.name).exists():
            refuse([Failure(folder.name, "exists already", "remove it, or choose another --name or --date")])
        checked = check(folder, root)
        return replace(checked, folder=folder.rename(place / folder.name))


def _written(
    beside: Path,
    round: Round,
    described: Described,
    plans: Mapping[Path, Plan],
    agent: str,
    settings: Mapping[str, Any],
    code: Sequence[Path],
) -> Path:
    """Write all files of a submission; return their folder, which has its name.

    Raises:
        RefusedError: naming a field that is not what it must be.
    """
    draft = beside / "draft"
    draft.mkdir()
    for path in code:
        copy_code(path, draft / "agent")
    copied = sorted(path for path in (draft / "agent").rglob("*") if path.is_file())
    runs = {plan.env: _copied_runs(draft, round, out, plan, agent) for out, plan in plans.items()}
    seconds = [_seconds(RunDirectory(out / "runs" / task.name)) for out, task in _tasks(plans, agent)]
    fields = {
        "schema": 1,
        **{name: value for name, value in asdict(described).items() if name in _IN_SUBMISSION},
        "round": round.name,
        "factory": agent,
        "settings": settings,
        "repeats": described.repeats or guessed_repeats(copied, agent),
        "duelgym": duelgym.__version__,
        "pretrained": [],
        "compute": {
            "cpu": described.cpu,
            "accelerator": described.accelerator,
            "seconds_per_query": sum(seconds) / len(seconds) / round.queries,
        },
        "code": {path.relative_to(draft / "agent").as_posix(): sha256_of(path) for path in copied},
        "runs": runs,
    }
    (draft / SUBMISSION).write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    return draft.rename(beside / read_record(draft / SUBMISSION, Submission).name)


def _copied_runs(draft: Path, round: Round, out: Path, plan: Plan, agent: str) -> dict[str, Any]:
    """Copy the logs of an environment; return what ``submission.json`` says of them.

    Raises:
        LogError: if a run is not finished, or its logs have changed since.
    """
    assessment = assessment_of(round, plan.env)
    curves, files = [], []
    for index in range(round.seeds):
        there = RunDirectory(out / "runs" / Task(agent, index).name)
        there.verify(tuning=False)
        here = run_directory(draft, plan.env, index)
        here.path.mkdir(parents=True)
        shutil.copyfile(there.queries, here.queries)
        shutil.copyfile(there.recommendations, here.recommendations)
        curves.append(assessment.curve(index, here.recommendations))
        files.append({"queries": sha256_of(here.queries), "recommendations": sha256_of(here.recommendations)})
    pool = assessment.episode(0).header["specification"].get("pool")
    return {
        "pool_sha256": pool and pool["sha256"],
        "claims": asdict(claims_of(assessment, curves)),
        "files": files,
    }


def _seconds(directory: RunDirectory) -> float:
    """Return how long an agent took in a run to select and to learn.

    Raises:
        RefusedError: if the run does not say.
    """
    try:
        spent = json.loads(directory.timings.read_text().splitlines()[-1])["seconds"]
        return float(spent["select"]) + float(spent["learn"])
    except (OSError, ValueError, LookupError, TypeError):
        what, cure = "does not say how long the run took", "delete the run's directory and run the same command again"
        raise RefusedError(Failure(str(directory.timings), what, cure)) from None


def _tasks(plans: Mapping[Path, Plan], agent: str) -> Iterator[tuple[Path, Task]]:
    for out, plan in plans.items():
        yield from ((out, Task(agent, index)) for index in range(plan.seeds))


def _open_round(root: Path) -> Round:
    rounds = [read_round(root, path.stem) for path in sorted((root / "rounds").glob("*.json"))]
    open_now = [round for round in rounds if round.closed is None]
    if len(open_now) != 1:
        names = ", ".join(round.name for round in open_now) or "none"
        refuse([Failure(str(root / "rounds"), f"open rounds: {names}", "name one with --round")])
    return open_now[0]


def _only_agent(plans: Mapping[Path, Plan]) -> str:
    agents = sorted({agent for plan in plans.values() for agent in plan.agents if "@" not in agent})
    if len(agents) != 1:
        names = ", ".join(agents) or "none"
        refuse([Failure(", ".join(map(str, plans)), f"has runs of {names}", "name one with --agent")])
    return agents[0]


def _misfits(round: Round, plans: Mapping[Path, Plan], agent: str, settings: Mapping[str, Any]) -> Iterator[Failure]:
    """Yield where runs are not those that the round asks for, and the command that makes those."""
    for out, plan in plans.items():
        if plan.env not in round.ids:
            yield Failure(str(out), f"is of {plan.env}; round {round.name} has {', '.join(round.ids)}", "leave it out")
            continue
        wanted = public_plan(round, plan.env, {})
        for name in ("env_kwargs", "queries", "seeds", "batch", "tuning", "salt"):
            mine, theirs = getattr(wanted, name), getattr(plan, name)
            if mine != theirs:
                what = f"has {name} {theirs!r}; round {round.name} has {mine!r}"
                yield Failure(str(out), what, _command(wanted, agent, settings))
        if agent not in plan.agents:
            yield Failure(str(out), f"has no runs of {agent}", _command(wanted, agent, settings))
        elif plan.settings.get(agent, {}) != settings:
            yield Failure(
                str(out), "has runs of other settings", "a submission has one set of settings: use it for all"
            )
    envs = [plan.env for plan in plans.values()]
    for env in sorted(set(envs)):
        if envs.count(env) > 1:
            yield Failure(env, "has runs in several directories", "name one directory for every environment")
    for env in round.ids:
        if env not in envs and (env != WITHOUT_TEXTS or len(round.ids) == 1):
            yield Failure(env, "has no runs", _command(public_plan(round, env, {}), agent, settings))


def _command(plan: Plan, agent: str, settings: Mapping[str, Any]) -> str:
    """Return the command that makes the runs of a plan."""
    words = ["duelgym-bench", "run", "--env", plan.env, "--agents", agent, "--queries", str(plan.queries)]
    words += ["--seeds", str(plan.seeds), "--batch-size", str(plan.batch)]
    words += ["--settings", "FILE"] if settings else []
    return f"run: {shlex.join(words)} --out DIR"
