"""What the leaderboard's page is made of: its files, each read strictly, and whether they fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from duelgym_bench.files import sha256_of
from duelgym_bench.leaderboard.board import Board
from duelgym_bench.leaderboard.decisions import DECISIONS, Decision, read_decisions
from duelgym_bench.leaderboard.failures import Failure, RefusedError
from duelgym_bench.leaderboard.records import SUBMISSION, Round, Submission, read_record, salt_hash
from duelgym_bench.leaderboard.status import Status, ranked_as, read_replayed, status_among

Record = TypeVar("Record")


@dataclass(frozen=True)
class Closed:
    """A round that ranks, and its board."""

    round: Round
    board: Board
    board_sha256: str


@dataclass(frozen=True)
class Submitted:
    """A submission and how far it can be believed."""

    record: Submission
    sha256: str
    status: Status


@dataclass(frozen=True)
class Leaderboard:
    """All that the page shows.

    Attributes:
        closed: rounds, newest first.
        open: likewise.
        submissions: name -> submission, newest first.
        decisions: newest first.
    """

    closed: tuple[Closed, ...]
    open: tuple[Round, ...]
    submissions: dict[str, Submitted]
    decisions: tuple[Decision, ...]


def read_leaderboard(root: Path) -> Leaderboard:
    """Read the files of the leaderboard.

    Args:
        root: the folder ``leaderboard/``.

    Raises:
        RefusedError: naming every file that is damaged, and whatever does not fit together.
    """
    return _Reading(root).result()


class _Reading:
    """Reading that goes on after a failure, so that all of them are told at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.failures: list[Failure] = []

    def result(self) -> Leaderboard:
        if not self.root.is_dir():
            raise RefusedError(Failure(str(self.root), "is no folder", "name the folder of the leaderboard"))
        rounds = [of for path in self._entries("rounds") if (of := self._round(path)) is not None]
        closed = [made for of in rounds if (made := self._closed(of)) is not None]
        replayed = self._replayed()
        read = (self._submission(path, replayed, closed) for path in self._entries("submissions"))
        submissions = {each.record.name: each for each in read if each is not None}
        decisions = self._decisions()
        self._stop()
        names = {row.name for each in closed for row in each.board.rows if row.kind == "entry"}
        for name in sorted((names | replayed.keys()) - submissions.keys()):
            self._refuse("submissions", f"lack {name}, which has been ranked or replayed", "restore it")
        known = {of.name for of in rounds}
        for name, each in submissions.items():
            if each.record.round not in known:
                where = f"submissions/{name}/{SUBMISSION}, field round"
                self._refuse(where, f"is {each.record.round}, of which rounds/ has no record", "name a round")
        self._stop()
        return Leaderboard(
            tuple(sorted(closed, key=lambda each: (each.round.closed, each.round.name), reverse=True)),
            tuple(sorted((of for of in rounds if of.closed is None), key=_opened, reverse=True)),
            dict(sorted(submissions.items(), key=lambda item: (item[1].record.date, item[0]), reverse=True)),
            decisions,
        )

    def _entries(self, folder: str) -> Iterator[Path]:
        """Yield what a folder holds, except hidden files; of rounds, the records alone."""
        for path in sorted((self.root / folder).glob("*")):
            if path.name.startswith(".") or (folder == "rounds" and path.is_dir()):
                continue
            yield path

    def _round(self, path: Path) -> Round | None:
        where = f"rounds/{path.name}"
        of = self._record(where, Round)
        if of is None:
            return None
        if path.name != f"{of.name}.json":
            self._refuse(where, f"is the round {of.name}", f"call it {of.name}.json")
        if (of.closed is None) != (of.salt is None):
            self._refuse(where, "has only one of closed and salt", "an open round has neither, a closed one both")
        if of.salt is not None and salt_hash(of.salt) != of.salt_sha256:
            self._refuse(where, "reveals a salt of another hash", "restore the salt that it opened with")
        return of

    def _closed(self, of: Round) -> Closed | None:
        where = f"rounds/{of.name}/board.json"
        if of.closed is None:
            if (self.root / where).exists():
                self._refuse(where, "ranks a round that is open", "close the round, or remove the board")
            return None
        board = self._record(where, Board)
        if board is None:
            return None
        for what in _misfits(board, of):
            self._refuse(where, what, "write the board again")
        return Closed(of, board, sha256_of(self.root / where))

    def _submission(self, path: Path, replayed: Mapping[str, str], closed: Sequence[Closed]) -> Submitted | None:
        where = f"submissions/{path.name}"
        record = self._record(f"{where}/{SUBMISSION}", Submission)
        if record is None:
            return None
        if path.name != record.name:
            self._refuse(where, f"is the submission {record.name}", "name the folder after it")
        digest = sha256_of(path / SUBMISSION)
        ranked = ranked_as(record.name, (each.board for each in closed))
        if ranked - {digest}:
            self._refuse(f"{where}/{SUBMISSION}", "has changed since it was ranked", "restore it, and submit anew")
        return Submitted(record, digest, status_among(digest, ranked, replayed.get(record.name)))

    def _replayed(self) -> dict[str, str]:
        try:
            return read_replayed(self.root)
        except RefusedError as error:
            self.failures += error.failures
            return {}

    def _decisions(self) -> tuple[Decision, ...]:
        try:
            return read_decisions(self.root / DECISIONS)
        except RefusedError as error:
            self.failures += error.failures
            return ()

    def _record(self, where: str, record: type[Record]) -> Record | None:
        try:
            return read_record(self.root / where, record)
        except RefusedError as error:
            folder = where.rpartition("/")[0]
            self.failures += (replace(each, where=f"{folder}/{each.where}".lstrip("/")) for each in error.failures)
            return None

    def _refuse(self, where: str, what: str, cure: str) -> None:
        self.failures.append(Failure(where, what, cure))

    def _stop(self) -> None:
        if self.failures:
            raise RefusedError(*self.failures)


def _misfits(board: Board, of: Round) -> Iterator[str]:
    """Say what in a board does not fit its round, or itself."""
    if board.round != of.name:
        yield f"is the board of {board.round}"
    entries = [row for row in board.rows if row.kind == "entry"]
    names = [row.name for row in board.rows]
    if len(set(names)) < len(names):
        yield "has a row twice"
    if board.rows != tuple(sorted(board.rows, key=lambda row: ("entry", "trivial", "limit").index(row.kind))):
        yield "has entries, trivial rows and limits in another order"
    if [len(line) for line in board.improvement] != [len(entries)] * len(entries):
        yield f"has no improvement for each pair of its {len(entries)} entries"
    for row in board.rows:
        said = (row.submission, row.rank, row.above_trivial)
        if any((value is None) == (row.kind == "entry") for value in said):
            yield f"has a row {row.name} of kind {row.kind} that {'lacks' if row.kind == 'entry' else 'has'} a rank"
        if not row.on or not row.on.keys() <= set(of.ids):
            yield f"has a row {row.name} on {', '.join(row.on) or 'no environment'}, where the round has {', '.join(of.ids)}"
        if any(len(on.curve) != (len(board.checkpoints) if row.profile else 1) for on in row.on.values()):
            yield f"has a row {row.name} whose curve does not fit the checkpoints"
        if len(row.profile) not in (0, len(board.thresholds)):
            yield f"has a row {row.name} whose profile does not fit the thresholds"


def _opened(of: Round) -> tuple[str, str]:
    return of.opened, of.name
