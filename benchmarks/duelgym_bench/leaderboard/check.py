"""Whether a submission is whole, fits its round, and claims what its logs show; none of its code runs.

Everything that is wrong is named at once, with two exceptions: nothing is opened of a folder that holds what it must not,
and nothing is compared with a ``submission.json`` that cannot be read.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from tqdm import tqdm

from duelgym.errors import LogError, SpecificationError
from duelgym_bench.assessment import Assessment
from duelgym_bench.files import sha256_of
from duelgym_bench.leaderboard.claims import claim_failures, claims_of
from duelgym_bench.leaderboard.code import NAME_IT, code_failures
from duelgym_bench.leaderboard.failures import Failure, RefusedError, refuse
from duelgym_bench.leaderboard.folder import LOGS, submission_files
from duelgym_bench.leaderboard.logs import check_recommendations, failure_of, read_query_log
from duelgym_bench.leaderboard.plans import public_plan
from duelgym_bench.leaderboard.records import SUBMISSION, Round, Submission, read_record
from duelgym_bench.plan import Plan, Task, agent_arguments
from duelgym_bench.run_directory import RunDirectory

WITHOUT_TEXTS = "SyntheticDuel-v0"
MOST_ENTRIES = 2
MAINTAINERS = "duelgym"
"""The team whose entries are the registry's own agents, with which others are compared; they are not counted."""


@dataclass(frozen=True)
class Checked:
    """A submission that nothing is wrong with, as far as its files and its round say.

    Attributes:
        folder: of the submission.
        sha256: of its ``submission.json``.
        submission: what that says.
        round: to which it belongs.
        plans: environment -> plan of its public runs, with the submitted agent.
    """

    folder: Path
    sha256: str
    submission: Submission
    round: Round
    plans: Mapping[str, Plan]

    def directory(self, env: str, seed_index: int) -> RunDirectory:
        """Return where the logs of a run are."""
        return run_directory(self.folder, env, seed_index)

    def task(self, seed_index: int) -> Task:
        """Return what a run was of."""
        return Task(self.submission.factory, seed_index)


def check(folder: Path, root: Path) -> Checked:
    """Check a submission, to an open round or a closed one.

    Args:
        folder: of the submission.
        root: of the leaderboard, with ``rounds/`` and ``submissions/``.

    Raises:
        RefusedError: with all that is wrong.
    """
    folder = folder.absolute()
    files = submission_files(folder)
    submission = read_record(files[SUBMISSION], Submission)
    round = read_round(root, submission.round)
    failures = [
        *_head_failures(folder, submission, round),
        *code_failures(files, submission),
        *_entry_failures(root, submission),
    ]
    plans: dict[str, Plan] = {}
    for env in round.ids:
        if env in submission.runs:
            plans[env] = public_plan(round, env, {submission.factory: submission.settings})
            failures.extend(_run_failures(folder, files, submission, round, env))
    known = {f"runs/{env}/{index:03d}/{log}" for env in plans for index in range(round.seeds) for log in LOGS}
    foreign = [name for name in files if name.startswith("runs/") and name not in known]
    failures.extend(Failure(name, f"is no run of round {round.name}", "remove it") for name in foreign)
    refuse(failures)
    return Checked(folder, sha256_of(files[SUBMISSION]), submission, round, plans)


def read_round(root: Path, name: str) -> Round:
    """Read a round.

    Raises:
        RefusedError: if there is none of that name, or its file is damaged.
    """
    path = root / "rounds" / f"{name}.json"
    if not path.parent.is_dir():
        refuse([Failure(str(root), "holds no rounds", "name the leaderboard's folder with --leaderboard DIR")])
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in path.parent.glob("*.json"))) or "none"
        refuse([Failure(f"round {name}", f"is not known; known: {known}", "name a round that is open")])
    round = read_record(path, Round)
    if round.name != name:
        refuse([Failure(path.name, f"is called {round.name!r} in its file", "the file's name is the round's")])
    return round


@lru_cache(maxsize=4)
def assessment_of(round: Round, env: str) -> Assessment:
    """Return what all submissions of a round are assessed by on an environment."""
    return Assessment(public_plan(round, env, {}))


def run_directory(folder: Path, env: str, seed_index: int) -> RunDirectory:
    """Return where a submission has the logs of a run."""
    return RunDirectory(folder / "runs" / env / f"{seed_index:03d}")


def _head_failures(folder: Path, submission: Submission, round: Round) -> Iterator[Failure]:
    """Yield what is wrong with submission.json beside its round."""
    if folder.name != submission.name:
        yield Failure(
            SUBMISSION, f"is that of {submission.name}, in a folder called {folder.name}", "rename the folder"
        )
    if submission.duelgym != round.duelgym:
        what = f"is {submission.duelgym}; round {round.name} is bound to {round.duelgym}"
        yield Failure(f"{SUBMISSION}, field duelgym", what, "make the runs with that version")
    texts = [env for env in round.ids if env != WITHOUT_TEXTS]
    if sorted(submission.runs) not in (sorted(round.ids), sorted(texts)):
        what = f"names {', '.join(submission.runs)}; round {round.name} has {', '.join(round.ids)}"
        alone = (
            f"; an agent that reads texts leaves {WITHOUT_TEXTS} out" if WITHOUT_TEXTS in round.ids and texts else ""
        )
        yield Failure(f"{SUBMISSION}, field runs", what, f"submit runs on all of them{alone}")
    for env, runs in submission.runs.items():
        if len(runs.files) != round.seeds:
            what = f"names {len(runs.files)} seeds; round {round.name} has {round.seeds}"
            yield Failure(f"{SUBMISSION}, field runs.{env}.files", what, "submit every seed once")


def _entry_failures(root: Path, submission: Submission) -> Iterator[Failure]:
    """Yield that a team has too many entries to the round, or one that cannot be counted."""
    if submission.team == MAINTAINERS and ":" not in submission.factory:
        return
    others = []
    for path in sorted((root / "submissions").glob(f"{submission.team}--*/{SUBMISSION}")):
        if path.parent.name == submission.name:
            continue
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise RefusedError(Failure(SUBMISSION, "is no plain file", "submit plain files alone"))
            other = read_record(path, Submission)
        except RefusedError as error:
            yield Failure(path.parent.name, f"cannot be counted ({error.failures[0].what})", "put it right first")
            continue
        if other.round == submission.round:
            others.append(path.parent.name)
    if len(others) >= MOST_ENTRIES:
        what = f"team {submission.team} has {', '.join(others)} in round {submission.round} already"
        yield Failure(submission.name, what, f"a team may have {MOST_ENTRIES} entries in a round")


def _run_failures(
    folder: Path, files: Mapping[str, Path], submission: Submission, round: Round, env: str
) -> Iterator[Failure]:
    """Yield what is wrong with the runs on one environment."""
    assessment, runs = assessment_of(round, env), submission.runs[env]
    pool = assessment.episode(0).header["specification"].get("pool")
    if runs.pool_sha256 != (pool and pool["sha256"]):
        what = f"is {runs.pool_sha256}, that of {env} is {pool and pool['sha256']}"
        yield Failure(f"{SUBMISSION}, field runs.{env}.pool_sha256", what, NAME_IT)
    try:
        agent_arguments(
            public_plan(round, env, {submission.factory: submission.settings}),
            Task(submission.factory, 0),
            assessment.episode(0).problem,
        )
    except SpecificationError as error:
        yield Failure(f"{SUBMISSION}, field settings", str(error)[:300], "leave it out")
    curves: list[Float64[np.ndarray, " checkpoints"]] = []
    seen: dict[tuple[str, ...], int] = {}
    for index in tqdm(range(round.seeds), desc=f"checking {env}", disable=None, unit="", leave=False):
        directory = run_directory(folder, env, index)
        names = [f"runs/{env}/{index:03d}/{log}" for log in LOGS]
        if missing := [name for name in names if name not in files]:
            yield from (Failure(name, "is missing", "submit every seed of the round") for name in missing)
            continue
        if index < len(runs.files):
            hashes = runs.files[index].queries, runs.files[index].recommendations
            for name, expected in zip(names, hashes, strict=True):
                if (found := sha256_of(files[name])) != expected:
                    yield Failure(name, f"has sha256 {found[:16]}…, {SUBMISSION} says {expected[:16]}…", NAME_IT)
        episode = assessment.episode(index)
        try:
            log = read_query_log(directory.queries, assessment.plan, episode, submission.duelgym)
            first = seen.setdefault(tuple(log.digests.values()), index)
            if first != index:
                yield Failure(names[0], f"shows what seed {first:03d} shows", "run every seed of the round once")
        except LogError as error:
            yield failure_of(error, directory.queries, names[0])
        try:
            check_recommendations(directory.recommendations, assessment.plan, episode)
            curves.append(assessment.curve(index, directory.recommendations))
        except LogError as error:
            yield failure_of(error, directory.recommendations, names[1])
    if len(curves) == round.seeds:
        yield from claim_failures(env, runs.claims, claims_of(assessment, curves))
