"""A closed round's board, computed again from what was published with it: whoever doubts a number can have it anew."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from duelgym.pools import CandidatePool
from duelgym_bench.curves import SUPERVISED
from duelgym_bench.leaderboard.board import Board
from duelgym_bench.leaderboard.check import read_round
from duelgym_bench.leaderboard.decisions import check_decisions, decide
from duelgym_bench.leaderboard.failures import Failure, refuse
from duelgym_bench.leaderboard.plans import ranked_plan
from duelgym_bench.leaderboard.ranked_runs import Entrant, trivial_entrants
from duelgym_bench.leaderboard.records import Round, read_record, salt_hash, write_record
from duelgym_bench.leaderboard.rounds import check_prompts, checked_entries, entrants_of, scored_board
from duelgym_bench.plan import Plan

TOLERANCE = 1e-6
LEARNT_TOLERANCE = 0.02
"""For what the supervised reference's training shows: another machine rounds its products otherwise."""
_NOT_LOGGED = ("seconds_per_query", "versions")
_RESCORE = "run 'round rescore' with --reason to write what the logs show"


def rescored(root: Path, name: str, *, jobs: int) -> tuple[Board, Board]:
    """Return a closed round's board as published, and as its published logs, pool and salt make it.

    Seconds per query, which logs do not hold, are those published.

    Args:
        root: of the leaderboard.
        name: of the round.
        jobs: processes.

    Raises:
        RefusedError: if the round is open, or its salt, its pool or a ranked entry is not what it must be.
        LogError: if a log does not replay.
    """
    round, published = read_round(root, name), root / "rounds" / name
    if round.closed is None or round.salt is None:
        refuse([Failure(f"round {name}", "is open", "a round has a board once it is closed")])
    _check_revealed(round, published / "pool")
    was = read_record(published / "board.json", Board)
    ranked = {row.name: row.submission for row in was.rows if row.kind == "entry"}
    checked = checked_entries(root, name, tuple(ranked))
    changed = [one.submission.name for one in checked if one.sha256 != ranked[one.submission.name]]
    refuse([Failure(entry, "has changed since it was ranked", "restore it") for entry in changed])
    entrants = [*entrants_of(checked), *trivial_entrants(round)]
    plans = {entrant.name: _published_plans(round, entrant, published) for entrant in entrants}
    made = scored_board(round, checked, entrants, plans, jobs=jobs, published=True)
    seconds = {row.name: row.seconds_per_query for row in was.rows}
    return was, replace(made, rows=tuple(replace(row, seconds_per_query=seconds.get(row.name)) for row in made.rows))


def differences(was: Board, now: Board) -> list[Failure]:
    """Return where a published board differs from what its logs show, beyond what machines round differently."""
    found = []
    for where, one, other in _walk("", asdict(was), asdict(now)):
        if isinstance(one, float) and isinstance(other, float):
            differ = abs(one - other) > (LEARNT_TOLERANCE if SUPERVISED in where else TOLERANCE)
        else:
            differ = one != other
        if differ:
            found.append(
                Failure(
                    f"board.json, field {where}",
                    f"says {reprlib.repr(one)}, the logs show {reprlib.repr(other)}",
                    _RESCORE,
                )
            )
    return found


def rescore(root: Path, name: str, made: Board, *, day: str, reason: str) -> None:
    """Publish a closed round's board anew, and say why in ``decisions.md``.

    Args:
        root: of the leaderboard.
        name: of the round.
        made: the board.
        day: YYYY-MM-DD.
        reason: why, in one line.

    Raises:
        RefusedError: if the decisions are damaged, or the reason is no line.
    """
    said = f"Round {name} rescored from its logs: {reason}"
    check_decisions(root, day, said)
    write_record(root / "rounds" / name / "board.json", made)
    decide(root, day, said)


def _published_plans(round: Round, entrant: Entrant, published: Path) -> dict[str, tuple[Plan, Path]]:
    agents = {entrant.factory: entrant.settings}
    return {
        env: (
            ranked_plan(round, env, agents, salt=round.salt or "", pool=published / "pool"),
            published / "runs" / entrant.folder / env,
        )
        for env in entrant.environments
    }


def _check_revealed(round: Round, pool: Path) -> None:
    """Check that salt and pool are those whose hashes were published when the round opened."""
    opened = CandidatePool.open(pool)
    failures = []
    if salt_hash(round.salt or "") != round.salt_sha256:
        failures.append(Failure(f"{round.name}.json, field salt", "is not the one that was hashed", "restore it"))
    if opened.sha256 != round.pool.sha256:
        failures.append(Failure(str(pool), f"is not the pool of round {round.name}", "restore it"))
    refuse(failures)
    opened.verify()
    check_prompts(pool, round.salt or "")


def _walk(where: str, one: object, other: object) -> Iterator[tuple[str, object, object]]:
    """Yield every place of two trees where at least one has a value, and both values; rows go by their names."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        for k, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            same = isinstance(mine, dict) and isinstance(theirs, dict) and mine.get("name") == theirs.get("name")
            yield from _walk(f"{where}[{mine['name'] if same and 'name' in mine else k}]", mine, theirs)
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            if key not in _NOT_LOGGED:
                yield from _walk(f"{where}.{key}".lstrip("."), one[key], other[key])
    else:
        yield where, one, other
