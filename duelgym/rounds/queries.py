"""The query log: a header, then a line for every query, with a running digest of what was shown."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from jaxtyping import Int8, Int64

from duelgym.errors import LogError
from duelgym.rounds.members import MemberLog, read_members

if TYPE_CHECKING:
    from duelgym.envs.problems import Problem
    from duelgym.generators import Questions

SCHEMA = 1
_FIELDS = {"t", "prompt", "pair", "candidates", "preference"}


def header_of(
    problem: Problem, *, env_id: str | None, budget: int, batch: int, seed: int, **more: Any
) -> dict[str, Any]:
    """Return the first line of a log: everything that replaying needs, and the versions that wrote it.

    The place of a pool on this machine is left out; its hash says which pool it was.
    """
    import duelgym

    return {
        "schema": SCHEMA,
        "env": env_id,
        "budget": budget,
        "batch": batch,
        "seed": seed,
        "specification": dict(problem.specification),
        **more,
        "versions": {
            "duelgym": duelgym.__version__,
            "gymnasium": gymnasium.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


class QueryWriter:
    """Writes the queries of one episode, a member for every batch.

    Args:
        path: the log, conventionally ``queries.jsonl.gz``; where it exists it is confirmed, then continued.
        header: from :func:`header_of`.
        problem: for the fingerprints of what is shown.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], problem: Problem) -> None:
        self._log = MemberLog(path)
        self._problem = problem
        self._digest = hashlib.sha256()
        self._queries = 0
        self.torn_bytes = self._log.torn_bytes
        try:
            self._log.write(_line(dict(header)))
        except BaseException:
            self._log.close()
            raise

    def write(
        self, questions: Questions, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Write a batch of answered queries."""
        self._digest.update(self._problem.generator.fingerprint(questions))
        candidates = np.take_along_axis(questions.candidate_ids, pairs, axis=1)
        lines = []
        for row in range(len(pairs)):
            line: dict[str, Any] = {
                "t": self._queries + row,
                "prompt": int(questions.prompt_ids[row]),
                "pair": pairs[row].tolist(),
                "candidates": candidates[row].tolist(),
                "preference": int(preferences[row]),
            }
            if row == len(pairs) - 1:
                line["digest"] = self._digest.hexdigest()[:16]
            lines.append(_line(line))
        self._queries += len(pairs)
        self._log.write("".join(lines))

    def close(self) -> None:
        """Close the log."""
        self._log.close()


@dataclass(frozen=True)
class QueryLog:
    """A log that was read.

    Attributes:
        header: the first line.
        prompt_ids: prompt of each query.
        pairs: positions (first shown, second shown).
        candidate_ids: the two candidates compared.
        preferences: 0 first, 1 second, 2 none, 3 tie.
        digests: query number of each batch's last query -> 16 hex digits.
        torn: what was found behind the last whole batch, as a sentence; None if nothing was.
    """

    header: Mapping[str, Any]
    prompt_ids: Int64[np.ndarray, " queries"]
    pairs: Int64[np.ndarray, "queries 2"]
    candidate_ids: Int64[np.ndarray, "queries 2"]
    preferences: Int8[np.ndarray, " queries"]
    digests: Mapping[int, str]
    torn: str | None

    def __len__(self) -> int:
        return len(self.preferences)


def read_queries(path: Path) -> QueryLog:
    """Read a query log.

    Raises:
        LogError: naming the line, if the log is missing, damaged, not consecutive, or of another schema.
    """
    members = read_members(path)
    lines = "".join(members.texts).splitlines()
    if not lines:
        raise LogError(f"{path}: holds no whole line; the run stopped before its first batch")
    header = _parse(path, 1, lines[0])
    if header.get("schema") != SCHEMA:
        raise LogError(f"{path}, line 1: schema {header.get('schema')!r}; this version reads schema {SCHEMA}")
    n = len(lines) - 1
    prompt_ids, preferences = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int8)
    pairs, candidate_ids = np.empty((n, 2), dtype=np.int64), np.empty((n, 2), dtype=np.int64)
    digests: dict[int, str] = {}
    for t, text in enumerate(lines[1:]):
        record = _parse(path, t + 2, text)
        if set(record) - {"digest"} != _FIELDS:
            raise LogError(
                f"{path}, line {t + 2}: has fields {sorted(record)}, expected {sorted(_FIELDS)} (and 'digest')"
            )
        if record["t"] != t:
            raise LogError(
                f"{path}, line {t + 2}: query {record['t']!r} where {t} must follow; a line is missing or repeated"
            )
        try:
            prompt_ids[t], preferences[t] = _whole([record["prompt"], record["preference"]])
            pairs[t], candidate_ids[t] = _whole(record["pair"]), _whole(record["candidates"])
        except (TypeError, ValueError, OverflowError):
            raise LogError(f"{path}, line {t + 2}: a field is not the whole numbers it must be") from None
        if "digest" in record:
            digests[t] = str(record["digest"])
    torn = None
    if members.torn_bytes:
        torn = f"{path}: {members.torn_bytes} bytes after query {n} are a torn write and were not read"
    return QueryLog(header, prompt_ids, pairs, candidate_ids, preferences, digests, torn)


def _whole(values: Any) -> list[int]:
    """Return two whole numbers as they stand; numpy would round, broadcast and read strings in silence."""
    if type(values) is not list or [type(value) for value in values] != [int, int]:
        raise TypeError
    return values


def _parse(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:  # no JSON, a number of too many digits, brackets in brackets in …
        raise LogError(f"{path}, line {number}: not JSON ({getattr(error, 'msg', error)})") from None
    if not isinstance(record, dict):
        raise LogError(f"{path}, line {number}: not a JSON object")
    return record


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n"
