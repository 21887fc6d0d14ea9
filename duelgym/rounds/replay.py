"""Replay: rebuild the environment from a log's header and play the logged pairs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from duelgym.envs.problems import EMBEDDED_PROBLEM, Problem, build_problem
from duelgym.envs.session import DuelSession, checked_pairs
from duelgym.errors import LogError, SpecificationError
from duelgym.metrics.judged import Judged
from duelgym.rounds.queries import QueryLog, read_queries
from duelgym.simulators import check_own


@dataclass(frozen=True)
class ReplayReport:
    """What replaying a log showed.

    Attributes:
        queries: how many queries were reproduced, every context and every preference.
        complete: the log holds the whole budget.
        torn: a sentence about a torn end, or None.
    """

    queries: int
    complete: bool
    torn: str | None


def problem_of(header: Mapping[str, Any], pool: Path | None, own: Collection[str] = ()) -> Problem:
    """Build the problem that a log's header names.

    Args:
        header: first line of a query log.
        pool: where the recorded candidates are on this machine; needed if the header names a pool other than the embedded one.
        own: simulators of one's own, ``package.module:CLASS``, that may be imported: a log is data, and may be a stranger's.

    Raises:
        LogError: if the pool is not given, or is another than the log's.
        SpecificationError: if the environment cannot be rebuilt, or a simulator is not to be imported.
    """
    arguments = dict(header["specification"])
    check_own("the log", arguments.get("simulator"), own)
    name = arguments.pop("problem", None)
    recorded = arguments.pop("pool", None)
    if recorded is not None and name != EMBEDDED_PROBLEM:
        if pool is None:
            raise LogError(f"the log was made on pool {recorded['name']!r}; name its directory with --pool DIR")
        arguments["pool"] = str(pool)
    problem = build_problem(str(name), arguments)
    if recorded is not None and problem.pool is not None:
        if problem.pool.sha256 != recorded["sha256"]:
            raise LogError(
                f"pool {problem.pool.path} has sha256 {problem.pool.sha256[:16]}…, the log's has {recorded['sha256'][:16]}…; give the pool "
                "that the run was made on"
            )
        problem.pool.verify()
    return problem


def replayed(log: QueryLog, problem: Problem, session: DuelSession, where: str) -> Iterator[tuple[int, Judged]]:
    """Play a log's pairs, yielding (first query, questions) a batch, after checking that all agree bit for bit.

    Raises:
        LogError: naming the first line that differs.
    """
    batch, digest = int(log.header["batch"]), hashlib.sha256()
    for start in range(0, len(log), batch):
        rows = slice(start, start + batch)
        asked = session.ask(batch)
        here = len(log.pairs[rows])
        if here < batch:
            raise LogError(f"{where}: the last batch has {here} queries of {batch}; lines are missing at the end")
        digest.update(problem.generator.fingerprint(asked.questions))
        last = start + batch - 1
        try:
            pairs = checked_pairs(log.pairs[rows], batch=batch, n_candidates=problem.generator.n_candidates)
        except gym.error.InvalidAction as error:
            raise LogError(f"{where}: illegal pair in queries {start} to {last}: {error}") from None
        preferences, _ = session.answer(asked, pairs)
        candidates = np.take_along_axis(asked.questions.candidate_ids, pairs, axis=1)
        for name, mine, logged in (
            ("prompt", asked.questions.prompt_ids, log.prompt_ids[rows]),
            ("candidates", candidates, log.candidate_ids[rows]),
            ("preference", preferences, log.preferences[rows]),
        ):
            wrong = np.flatnonzero((np.asarray(mine).reshape(batch, -1) != logged.reshape(batch, -1)).any(axis=1))
            if len(wrong):
                t = start + int(wrong[0])
                raise LogError(
                    f"{where}, line {t + 2}: query {t} logs {name} {logged[wrong[0]].tolist()}, replay gives "
                    f"{np.asarray(mine)[wrong[0]].tolist()}"
                )
        if log.digests.get(last) != digest.hexdigest()[:16]:
            raise LogError(
                f"{where}, line {last + 2}: digest {log.digests.get(last)!r} at query {last}, replay gives "
                f"{digest.hexdigest()[:16]!r}: other contexts were shown"
            )
        yield start, asked


def begin(header: Mapping[str, Any], problem: Problem) -> DuelSession:
    """Return the episode that a header names, at its first question."""
    return DuelSession.seeded(problem, budget=int(header["budget"]), seed=int(header["seed"]))


def replay(
    path: str | os.PathLike[str], *, pool: str | os.PathLike[str] | None = None, own: Collection[str] = ()
) -> ReplayReport:
    """Rebuild the environment of a log and reproduce every context and preference bit for bit.

    Args:
        path: the log.
        pool: where the recorded candidates are on this machine; needed if the log names a pool other than the embedded one.
        own: simulators of one's own, ``package.module:CLASS``, that may be imported if the log names them.

    Raises:
        LogError: naming the first line that is not reproduced.
        PoolError: if the pool is damaged.
    """
    path = Path(path)
    log = read_queries(path)
    _check_header(log, path)
    try:
        problem = problem_of(log.header, None if pool is None else Path(pool), own)
    except SpecificationError as error:
        raise LogError(f"{path}, line 1: the environment cannot be rebuilt: {error}") from None
    for _ in replayed(log, problem, begin(log.header, problem), str(path)):
        pass
    return ReplayReport(len(log), len(log) == log.header["budget"], log.torn)


def _check_header(log: QueryLog, path: Path) -> None:
    """Refuse a header from which no episode can be rebuilt, or whose episode is shorter than the log.

    Raises:
        LogError: naming the field.
    """
    for name, lowest in (("budget", 1), ("batch", 1), ("seed", 0)):
        value = log.header.get(name)
        if type(value) is not int or value < lowest:
            raise LogError(
                f"{path}, line 1: {name} is {value!r} in the header; it must be a whole number from {lowest}"
            )
    specification = log.header.get("specification")
    recorded = specification.get("pool") if isinstance(specification, dict) else None
    if not isinstance(specification, dict) or (
        recorded is not None
        and not (isinstance(recorded, dict) and all(isinstance(recorded.get(key), str) for key in ("name", "sha256")))
    ):
        raise LogError(f"{path}, line 1: the header's specification is not that of an environment")
    if len(log) > log.header["budget"]:
        raise LogError(f"{path}: holds {len(log)} queries, more than the budget of {log.header['budget']}")
