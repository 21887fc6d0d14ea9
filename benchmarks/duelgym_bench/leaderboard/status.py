"""How far a submission can be believed, as the leaderboard's files say."""

from __future__ import annotations

import json
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
    if checked.round.closed is not None and board.exists():
        rows = read_record(board, Board).rows
        if any(row.kind == "entry" and (row.name, row.submission) == (name, checked.sha256) for row in rows):
            return "verified"
    return "replayed" if read_replayed(root).get(name) == checked.sha256 else "reported"


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
