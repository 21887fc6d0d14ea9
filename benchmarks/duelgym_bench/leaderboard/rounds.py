"""Rounds: opened with the hash of a secret, run by the maintainers on what nobody could know, closed with everything published."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duelgym
from duelgym.pools import CandidatePool
from duelgym_bench.assessment import Assessment
from duelgym_bench.common import CommonLearner, tune_common_learner
from duelgym_bench.executor import run_tasks
from duelgym_bench.isolation.launch import Isolation, Wanted
from duelgym_bench.leaderboard.board import Board
from duelgym_bench.leaderboard.check import Checked, check, read_round
from duelgym_bench.leaderboard.decisions import decide
from duelgym_bench.leaderboard.failures import Failure, RefusedError, refuse
from duelgym_bench.leaderboard.plans import ranked_plan, salt_hash
from duelgym_bench.leaderboard.ranked_runs import (
    Entrant,
    entrant_of,
    environment_results,
    trivial_entrants,
)
from duelgym_bench.leaderboard.records import SUBMISSION, Round, RoundPool, Submission, read_record, write_record
from duelgym_bench.leaderboard.round_pool import record_round_pool, round_prompts
from duelgym_bench.leaderboard.scoring import Scored, board
from duelgym_bench.plan import Plan, save_plan
from duelgym_bench.run_directory import RunDirectory

IDS = ("LLMDuel-v0", "SyntheticDuel-v0")


def read_salt(path: Path, root: Path) -> str:
    """Read a round's secret.

    Args:
        path: a file of 64 hexadecimal digits, outside the leaderboard.
        root: of the leaderboard.

    Raises:
        RefusedError: if it is not such a file, or lies where it would be published.
    """
    _check_private(path, root)
    try:
        salt = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        salt = ""
    if not re.fullmatch(r"[0-9a-f]{64}", salt):
        refuse([Failure(str(path), "does not hold 64 hexadecimal digits", "name the file that 'round new' wrote")])
    return salt


def new_round(
    root: Path,
    name: str,
    *,
    salt_file: Path,
    pool: Path,
    day: str,
    queries: int,
    batch: int,
    seeds: int,
    prompts: int,
    candidates: int,
    jobs: int,
) -> Round:
    """Open a round: draw its salt, record its pool, and publish the hashes of both.

    Args:
        root: of the leaderboard.
        name: of the round.
        salt_file: where the secret is kept; drawn where there is none. Killed, the same call goes on from it.
        pool: where the pool is recorded, outside the repository while the round is open.
        day: YYYY-MM-DD.
        queries: budget of every run.
        batch: queries between updates.
        seeds: seed indices; at least 2.
        prompts: of the pool.
        candidates: responses to each.
        jobs: processes.

    Raises:
        RefusedError: if there is such a round, or something does not fit.
    """
    path = root / "rounds" / f"{name}.json"
    if path.exists():
        refuse([Failure(path.name, "is there already", "a round is opened once: give another name")])
    if seeds < 2 or queries % batch:
        what = f"{seeds} seeds, {queries} queries in batches of {batch}"
        refuse([Failure(name, what, "give two seeds at least, and queries that are a multiple of the batch")])
    for private in (salt_file, pool):
        _check_private(private, root)
    if not salt_file.exists():
        salt_file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(salt_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
    salt = read_salt(salt_file, root)
    recorded = record_round_pool(pool, salt, name=f"round-{name}", prompts=prompts, candidates=candidates, jobs=jobs)
    made = Round(
        schema=1,
        name=name,
        opened=day,
        closed=None,
        ids=IDS,  # type: ignore[arg-type]
        queries=queries,
        batch=batch,
        seeds=seeds,
        salt_sha256=salt_hash(salt),
        salt=None,
        pool=RoundPool(sha256=recorded.sha256, prompts=recorded.n_prompts, candidates=recorded.n_candidates),
        duelgym=duelgym.__version__,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, made)
    decide(root, day, f"Round {name} opened.")
    return made


def run_round(
    root: Path,
    name: str,
    *,
    salt_file: Path,
    pool: Path,
    out: Path,
    only: Sequence[str],
    namespaces: Wanted,
    jobs: int,
) -> list[Failure]:
    """Run a round's entries, each in a process of its own, and the trivial agents; return what failed, while the rest goes on.

    Killed or repeated, it goes on with what is not finished.

    Args:
        root: of the leaderboard.
        name: of the round.
        salt_file: the secret.
        pool: the round's pool.
        out: directory of the ranked runs, outside the repository while the round is open.
        only: names of the entries to run; empty: all, and the trivial agents.
        namespaces: see :class:`~duelgym_bench.isolation.launch.Isolation`.
        jobs: processes.

    Raises:
        RefusedError: if salt or pool is not the round's, or an entry does not pass its check.
    """
    round, salt = _opened(root, name, salt_file, pool)
    entrants = [*_entrants(_checked(root, name, only)), *([] if only else trivial_entrants(round))]
    failures = []
    for entrant in entrants:
        for env, (plan, directory) in _plans(round, entrant, salt, pool, out).items():
            code = () if entrant.code is None else (entrant.code,)
            isolation = None if entrant.submission is None else Isolation(code=code, namespaces=namespaces)
            learner = _learner(plan, out / env)
            for failed in run_tasks(save_plan(plan, directory), directory, learner, jobs=jobs, isolation=isolation):
                where = f"{entrant.name}, {env}, seed index {failed.task.seed_index}"
                failures.append(Failure(where, failed.reason, "the same command tries again; else leave the entry out"))
    return failures


def close_round(
    root: Path,
    name: str,
    *,
    salt_file: Path,
    pool: Path,
    out: Path,
    day: str,
    left_out: Mapping[str, str],
    jobs: int,
) -> Board:
    """Close a round: score the ranked runs from their logs, and publish board, logs, pool and salt.

    Args:
        root: of the leaderboard.
        name: of the round.
        salt_file: the secret, now revealed.
        pool: the round's pool.
        out: directory of the ranked runs.
        day: YYYY-MM-DD.
        left_out: entry -> why it is not ranked, which goes into ``decisions.md``.
        jobs: processes.

    Raises:
        RefusedError: if salt, pool or an entry is not what it must be, or a run is missing.
        LogError: if a run does not replay.
    """
    round, salt = _opened(root, name, salt_file, pool)
    drawn = round_prompts(salt, round.pool.prompts)
    recorded = CandidatePool.open(pool)
    if [recorded.texts(row).prompt for row in range(recorded.n_prompts)] != drawn:
        refuse([Failure(str(pool), "does not hold the prompts that the salt draws", "record the pool from the salt")])
    checked = _checked(root, name, ())
    if unknown := sorted(set(left_out) - {one.submission.name for one in checked}):
        refuse([Failure(", ".join(unknown), f"is no entry of round {name}", "name one of its entries")])
    checked = [one for one in checked if one.submission.name not in left_out]
    if not checked:
        refuse([Failure(f"round {name}", "has no entries", "a round without entries ranks nobody")])
    entrants = [*_entrants(checked), *trivial_entrants(round)]
    plans = {entrant.name: _plans(round, entrant, salt, pool, out) for entrant in entrants}
    refuse(list(_unfinished(plans)))
    scored: dict[str, Scored] = {
        env: Scored(environment_results({name: of[env] for name, of in plans.items() if env in of}, jobs=jobs))
        for env in round.ids
    }
    public = {one.submission.name: _public_areas(one) for one in checked}
    made = board(name, scored, entrants, public, {one.submission.name: one.sha256 for one in checked})
    published = root / "rounds" / name
    for entrant in entrants:
        for env, (plan, directory) in plans[entrant.name].items():
            for task in plan.tasks():
                own = published / "runs" / entrant.folder / env / f"{task.seed_index:03d}"
                own.mkdir(parents=True, exist_ok=True)
                there = RunDirectory(directory / "runs" / task.name)
                for log in (there.queries, there.recommendations):
                    shutil.copyfile(log, own / log.name)
    shutil.copytree(pool, published / "pool", dirs_exist_ok=True)
    write_record(published / "board.json", made)
    for entry, reason in left_out.items():
        decide(root, day, f"{entry} is not ranked in round {name}: {reason}")
    ranked = ", ".join(one.submission.name for one in checked)
    decide(root, day, f"Round {name} closed, its salt revealed. Verified: {ranked}.")
    write_record(root / "rounds" / f"{name}.json", replace(round, closed=day, salt=salt))
    return made


def _check_private(path: Path, root: Path) -> None:
    """Refuse a place in the repository that holds the leaderboard."""
    if path.resolve().is_relative_to(root.resolve().parent):
        refuse([Failure(str(path), "lies beside the leaderboard, where it would be published", "keep it elsewhere")])


def _opened(root: Path, name: str, salt_file: Path, pool: Path) -> tuple[Round, str]:
    """Return an open round and its salt, once salt and pool are known to be its own."""
    round, salt = read_round(root, name), read_salt(salt_file, root)
    if round.closed is not None:
        refuse([Failure(f"round {name}", f"was closed on {round.closed}", "open another")])
    if round.duelgym != duelgym.__version__:
        what = f"is bound to duelgym {round.duelgym}; this is {duelgym.__version__}"
        refuse([Failure(f"round {name}", what, "install that version")])
    if salt_hash(salt) != round.salt_sha256:
        refuse([Failure(str(salt_file), f"is not the salt of round {name}", "name the file that 'round new' wrote")])
    opened = CandidatePool.open(pool)
    if opened.sha256 != round.pool.sha256:
        refuse([Failure(str(pool), f"is not the pool of round {name}", "name the pool that 'round new' recorded")])
    opened.verify()
    return round, salt


def _checked(root: Path, name: str, only: Sequence[str]) -> list[Checked]:
    """Return a round's entries, all of which must pass their check."""
    found, failures = [], []
    for folder in sorted(path for path in (root / "submissions").glob("*--*--*") if path.is_dir()):
        if only and folder.name not in only:
            continue
        try:
            if read_record(folder / SUBMISSION, Submission).round == name:
                found.append(check(folder, root))
        except RefusedError as error:
            failures += [replace(failure, where=f"{folder.name}/{failure.where}") for failure in error.failures]
    missing = sorted(set(only) - {one.submission.name for one in found})
    failures += [Failure(entry, f"is no entry of round {name}", "name one of its entries") for entry in missing]
    refuse(failures)
    return found


def _entrants(checked: Sequence[Checked]) -> list[Entrant]:
    return [entrant_of(one.submission, one.folder) for one in checked]


def _plans(round: Round, entrant: Entrant, salt: str, pool: Path, out: Path) -> dict[str, tuple[Plan, Path]]:
    """Return environment -> plan of an entrant's ranked runs, and where they lie."""
    agents = {entrant.factory: entrant.settings}
    return {
        env: (ranked_plan(round, env, agents, salt=salt, pool=pool), out / env / entrant.folder)
        for env in entrant.environments
    }


def _learner(plan: Plan, out: Path) -> CommonLearner:
    """Return the common learner of an environment, chosen once for all its runs."""
    out.mkdir(parents=True, exist_ok=True)
    return CommonLearner.load(out) or tune_common_learner(plan, out)


def _unfinished(plans: Mapping[str, Mapping[str, tuple[Plan, Path]]]) -> Iterator[Failure]:
    for name, of in plans.items():
        for env, (plan, directory) in of.items():
            missing = [t for t in plan.tasks() if not RunDirectory(directory / "runs" / t.name).finished()]
            if missing:
                what = f"has {len(missing)} of {plan.seeds} runs on {env} unfinished"
                yield Failure(name, what, "finish them with 'round run', or leave the entry out and say why")


def _public_areas(checked: Checked) -> dict[str, list[float]]:
    """Return environment -> areas of a submission's public runs, one a seed."""
    areas = {}
    for env, plan in checked.plans.items():
        assessment = Assessment(plan)
        curves = [assessment.curve(index, checked.directory(env, index).recommendations) for index in range(plan.seeds)]
        areas[env] = assessment.areas(curves).tolist()
    return areas
