"""How far a submission can be believed, as the leaderboard's files say."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from duelgym_bench.files import write_atomically
from duelgym_bench.leaderboard.board import Board
from duelgym_bench.leaderboard.records import Sha256, read_record

if TYPE_CHECKING:
    from duelgym_bench.leaderboard.check import Checked

REPLAYED = "replayed.json"
Status = Literal["reported", "replayed", "verified"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]+--[a-z0-9-]+--20[0-9]{6}$", max_length=160)]


def status_of(checked: Checked, root: Path) -> Status:
    """Return the status of a submission that has been checked.

    Args:
        checked: the submission.
        root: of the leaderboard.

    Raises:
        RefusedError: if a file of the leaderboard is damaged.
    """
    name, board = checked.submission.name, root / "rounds" / checked.round.name / "board.json"
    boards = [read_record(board, Board)] if checked.round.closed is not None and board.exists() else []
    return status_among(checked.sha256, ranked_as(name, boards), read_replayed(root).get(name))


def status_among(sha256: str, ranked: Collection[str], replayed: str | None) -> Status:
    """Return the status of a submission.

    Args:
        sha256: of its ``submission.json``.
        ranked: the sha256 of what closed rounds have ranked under its name.
        replayed: the sha256 of what maintainers have replayed under its name, if anything.
    """
    return "verified" if sha256 in ranked else "replayed" if replayed == sha256 else "reported"


def ranked_as(name: str, boards: Iterable[Board]) -> set[str]:
    """Return the sha256 of every ``submission.json`` that closed rounds have ranked under a name; at most one, if all is well.

    Args:
        name: of a submission.
        boards: of closed rounds.
    """
    rows = (row for board in boards for row in board.rows if row.kind == "entry" and row.name == name)
    return {row.submission for row in rows if row.submission is not None}


def read_replayed(root: Path) -> dict[str, str]:
    """Return the sha256 of ``submission.json`` of every submission whose logs maintainers have replayed.

    Raises:
        RefusedError: if the file that says so is damaged.
    """
    path = root / REPLAYED
    return dict(read_record(path, dict[Name, Sha256])) if path.exists() else {}


def record_replayed(checked: Checked, root: Path) -> None:
    """Write down that the logs of a submission have been replayed.

    Raises:
        RefusedError: if the file that says so is damaged.
    """
    replayed = read_replayed(root) | {checked.submission.name: checked.sha256}
    write_atomically(root / REPLAYED, json.dumps(replayed, indent=1, sort_keys=True) + "\n")
