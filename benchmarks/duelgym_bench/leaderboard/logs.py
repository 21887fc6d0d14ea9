"""Reading logs that a stranger may have made by hand: in bounded memory, and only as the recorder writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from duelgym.errors import LogError
from duelgym.rounds import QueryLog, read_members, read_queries
from duelgym_bench.assessment import Episode
from duelgym_bench.leaderboard.failures import Failure
from duelgym_bench.plan import Plan

PREFERENCES = 4
LONGEST_HEADER = 1 << 16
LONGEST_QUERY = 256
LONGEST_NUMBER = 20
LONGEST_VERSION = 100
_WRITER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
MAKE_AGAIN = "submit the files that 'duelgym-bench run' wrote, unchanged"


def read_query_log(path: Path, plan: Plan, episode: Episode, version: str) -> QueryLog:
    """Read a log of queries that must be whole, of the plan, and with legal pairs; nothing is replayed.

    Args:
        path: the log.
        plan: of the run.
        episode: of its seed.
        version: of duelgym, which the header must name.

    Raises:
        LogError: naming the line that is not what it must be.
    """
    _check_lines(path, most=LONGEST_HEADER + LONGEST_QUERY * plan.queries)
    log = read_queries(path)
    _check_header(path, log.header, episode.header, version)
    if len(log) != plan.queries:
        raise LogError(f"{path}, line {len(log) + 1}: is the last, after {len(log)} queries of {plan.queries}")
    n = episode.problem.generator.n_candidates
    legal = ((log.pairs >= 0) & (log.pairs < n)).all(axis=1)
    preferred = (log.preferences >= 0) & (log.preferences < PREFERENCES)
    alike = (log.pairs[:, 0] == log.pairs[:, 1]) == (log.candidate_ids[:, 0] == log.candidate_ids[:, 1])
    for right, what in (
        (legal, f"a pair is not two positions from 0 to {n - 1}"),
        (preferred, f"a preference is not from 0 to {PREFERENCES - 1}"),
        (alike, "two positions show one candidate, or one position two"),
    ):
        if not right.all():
            raise LogError(f"{path}, line {int(np.argmin(right)) + 2}: {what}")
    ends = range(plan.batch - 1, plan.queries, plan.batch)
    if list(log.digests) != list(ends):
        wrong = min(set(log.digests) ^ set(ends))
        raise LogError(f"{path}, line {wrong + 2}: a digest stands at the end of each batch of {plan.batch} alone")
    return log


def check_recommendations(path: Path, plan: Plan, episode: Episode) -> None:
    """Check that a log of recommendations is whole and as the recorder writes it; scoring it checks what it says.

    Raises:
        LogError: naming the line that is not what it must be.
    """
    a_line = LONGEST_QUERY + LONGEST_NUMBER * len(episode.held_out.questions)
    _check_lines(path, most=a_line * (len(plan.checkpoints()) + 1))


def failure_of(error: LogError, path: Path, name: str) -> Failure:
    """Return what a reader said of a file, under the name that it has in its submission."""
    where, found, what = str(error).partition(": ")
    if not found or not where.startswith(str(path)):
        return Failure(name, str(error)[:300].replace(str(path), name), MAKE_AGAIN)
    return Failure(where.replace(str(path), name), what[:300], MAKE_AGAIN)


def _check_lines(path: Path, *, most: int) -> None:
    """Refuse a log of more than some bytes, with a torn end, or with lines that the recorder would have written otherwise."""
    members = read_members(path, most=most)
    if members.torn_bytes:
        raise LogError(f"{path}: ends with {members.torn_bytes} bytes of a write that was cut off")
    number = 0
    for member in members.texts:
        for line in member.splitlines(keepends=True):
            number += 1
            try:
                written = _WRITER.encode(json.loads(line)) + "\n"
            except (ValueError, RecursionError):
                raise LogError(f"{path}, line {number}: not JSON") from None
            if line != written:
                raise LogError(f"{path}, line {number}: not as the recorder writes it")


def _check_header(path: Path, given: Mapping[str, Any], expected: Mapping[str, Any], version: str) -> None:
    for name in sorted({*given, *expected}):
        mine, theirs = (_text(header[name]) if name in header else "missing" for header in (expected, given))
        if name != "versions" and mine != theirs:
            raise LogError(f"{path}, line 1: {name[:40]} is {theirs[:120]}; the round has {mine[:200]}")
    versions = given.get("versions")
    if not isinstance(versions, dict) or list(versions) != list(expected["versions"]):
        raise LogError(f"{path}, line 1: versions are not those of {', '.join(expected['versions'])}")
    for name, value in versions.items():
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_VERSION:
            raise LogError(f"{path}, line 1: version of {name} is {_text(value)[:120]}")
    if versions["duelgym"] != version:
        raise LogError(
            f"{path}, line 1: was made with duelgym {versions['duelgym']}; the submission says {version[:100]}"
        )


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
