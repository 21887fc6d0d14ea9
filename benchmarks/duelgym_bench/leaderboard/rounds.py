"""Running a round on what nobody could know, and closing it with everything published."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from duelgym.pools import CandidatePool
from duelgym_bench.common import CommonLearner, tune_common_learner
from duelgym_bench.executor import run_tasks
from duelgym_bench.isolation.launch import Isolation, Wanted
from duelgym_bench.leaderboard.board import Board
from duelgym_bench.leaderboard.check import Checked, assessment_of, check
from duelgym_bench.leaderboard.decisions import check_decisions, decide
from duelgym_bench.leaderboard.failures import Failure, RefusedError, refuse
from duelgym_bench.leaderboard.opening import check_private, opened_round
from duelgym_bench.leaderboard.plans import ranked_plan, reads_texts
from duelgym_bench.leaderboard.ranked_runs import (
    Entrant,
    entrant_of,
    environment_results,
    trivial_entrants,
)
from duelgym_bench.leaderboard.records import SUBMISSION, Round, Submission, read_record, write_record
from duelgym_bench.leaderboard.round_pool import round_prompts
from duelgym_bench.leaderboard.scoring import Scored, board
from duelgym_bench.leaderboard.weights import weights_of
from duelgym_bench.locks import alone
from duelgym_bench.plan import Plan
from duelgym_bench.plan_directory import save_plan
from duelgym_bench.run_directory import RunDirectory


def run_round(
    root: Path,
    name: str,
    *,
    salt_file: Path,
    pool: Path,
    out: Path,
    only: Sequence[str],
    readable: Sequence[Path],
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
        readable: files of the pretrained weights that the entries name; each may read its own.
        namespaces: see :class:`~duelgym_bench.isolation.launch.Isolation`; what is not ``"required"`` is only tried, and
            its runs are never ranked.
        jobs: processes.

    Raises:
        RefusedError: if salt or pool is not the round's, an entry does not pass its check, or its weights are not there.
    """
    check_private(out, root)  # since plans hold the salt
    round, salt = opened_round(root, name, salt_file, pool)
    checked = checked_entries(root, name, only)
    weights = weights_of([one.submission for one in checked], readable)
    entrants = [*entrants_of(checked), *([] if only else trivial_entrants(round))]
    failures = []
    for entrant in entrants:
        code, texts = () if entrant.code is None else (entrant.code,), reads_texts(entrant.environments, round)
        isolation = (
            Isolation(code=code, readable=weights[entrant.name], namespaces=namespaces) if entrant.submission else None
        )
        for env, (plan, directory) in _plans(round, entrant, salt, pool, out, namespaces).items():
            with alone(directory):
                given = save_plan(plan, directory), directory, _learner(plan, out / env)
                failed_runs = run_tasks(*given, jobs=jobs, isolation=isolation, texts=texts)
            for failed in failed_runs:
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
    round, salt = opened_round(root, name, salt_file, pool)
    check_prompts(pool, salt)
    if unknown := sorted(left_out.keys() - _entries(root, name)):
        refuse([Failure(", ".join(unknown), f"is no entry of round {name}", "name one of its entries")])
    checked = checked_entries(root, name, (), left_out)
    if not checked:
        refuse([Failure(f"round {name}", "has no entries", "a round without entries ranks nobody")])
    ranked = ", ".join(one.submission.name for one in checked)
    said = [f"{entry} is not ranked in round {name}: {reason}" for entry, reason in left_out.items()]
    said.append(f"Round {name} closed, its salt revealed. Verified: {ranked}.")
    check_decisions(root, day, *said)  # while nothing is published
    entrants = [*entrants_of(checked), *trivial_entrants(round)]
    plans = {entrant.name: _plans(round, entrant, salt, pool, out) for entrant in entrants}
    refuse(list(_unfinished(plans)))
    made = scored_board(round, checked, entrants, plans, jobs=jobs)
    published = root / "rounds" / name
    if published.exists():  # an open round has published nothing: a closing that was killed has left it
        shutil.rmtree(published)
    for entrant in entrants:
        for env, (plan, directory) in plans[entrant.name].items():
            for task in plan.tasks():
                own = published / "runs" / entrant.folder / env / f"{task.seed_index:03d}"
                own.mkdir(parents=True, exist_ok=True)
                there = RunDirectory(directory / "runs" / task.name)
                for log in (there.queries, there.recommendations):
                    shutil.copyfile(log, own / log.name)
    shutil.copytree(pool, published / "pool")
    write_record(published / "board.json", made)
    decide(root, day, *said)
    write_record(root / "rounds" / f"{name}.json", replace(round, closed=day, salt=salt))
    return made


def check_prompts(pool: Path, salt: str) -> None:
    """Check that a pool holds the prompts that a salt draws.

    Raises:
        RefusedError: if it does not.
        PoolError: if it is damaged.
    """
    recorded = CandidatePool.open(pool)
    there = [recorded.texts(row).prompt for row in range(recorded.n_prompts)]
    if there != round_prompts(salt, len(there)):
        refuse([Failure(str(pool), "does not hold the prompts that the salt draws", "record the pool from the salt")])


def scored_board(
    round: Round,
    checked: Sequence[Checked],
    entrants: Sequence[Entrant],
    plans: Mapping[str, Mapping[str, tuple[Plan, Path]]],
    *,
    jobs: int,
    published: bool = False,
) -> Board:
    """Score ranked runs from their logs, and return the board that they make.

    Args:
        round: whose they are.
        checked: its entries.
        entrants: entries and trivial agents.
        plans: entrant -> environment -> its plan, and the directory of its runs.
        jobs: processes.
        published: see :func:`~duelgym_bench.leaderboard.ranked_runs.environment_results`.

    Raises:
        LogError: if a run does not replay.
    """
    scored: dict[str, Scored] = {}
    for env in round.ids:
        here = {name: of[env] for name, of in plans.items() if env in of}
        scored[env] = Scored(environment_results(here, jobs=jobs, published=published))
    public = {one.submission.name: _public_areas(one) for one in checked}
    return board(round, scored, entrants, public, {one.submission.name: one.sha256 for one in checked})


def _entries(root: Path, name: str) -> set[str]:
    """Return the folders of a round's entries, with those that are too damaged to say whose they are."""
    found = set()
    for folder in (root / "submissions").glob("*--*--*"):
        with contextlib.suppress(RefusedError):
            if read_record(folder / SUBMISSION, Submission).round != name:
                continue
        found.add(folder.name)
    return found


def checked_entries(root: Path, name: str, only: Sequence[str], left_out: Collection[str] = ()) -> list[Checked]:
    """Return a round's entries, all of which must pass their check but those that are left out.

    Args:
        root: of the leaderboard.
        name: of the round.
        only: their names; empty: all.
        left_out: names of those that do not count.

    Raises:
        RefusedError: naming what does not pass, or is no entry.
    """
    found, failures = [], []
    for folder in sorted(path for path in (root / "submissions").glob("*--*--*") if path.is_dir()):
        if (only and folder.name not in only) or folder.name in left_out:
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


def entrants_of(checked: Sequence[Checked]) -> list[Entrant]:
    """Return entries as entrants, in their order."""
    return [entrant_of(one.submission, one.folder, one.sha256) for one in checked]


def _plans(
    round: Round, entrant: Entrant, salt: str, pool: Path, out: Path, namespaces: Wanted = "required"
) -> dict[str, tuple[Plan, Path]]:
    """Return environment -> plan of an entrant's ranked runs, and where they lie."""
    agents = {entrant.factory: entrant.settings}
    return {
        env: (ranked_plan(round, env, agents, salt=salt, pool=pool), out / env / entrant.private_folder(namespaces))
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
        assessment = assessment_of(checked.round, env)
        curves = [assessment.curve(index, checked.directory(env, index).recommendations) for index in range(plan.seeds)]
        areas[env] = assessment.areas(curves).tolist()
    return areas
