"""``decisions.md``: every round opened and closed, every entry accepted, refused, scored again or removed, with its reason."""

from __future__ import annotations

from pathlib import Path

from duelgym_bench.files import write_atomically
from duelgym_bench.leaderboard.failures import Failure, refuse

DECISIONS = "decisions.md"


def decide(root: Path, day: str, text: str) -> None:
    """Add a decision, last.

    Args:
        root: of the leaderboard.
        day: YYYY-MM-DD.
        text: what was decided, and why, in one line.

    Raises:
        RefusedError: if the text is empty or has several lines.
    """
    if not text.strip() or len(text.splitlines()) != 1:
        refuse([Failure("decision", f"is {text!r}", "say what was decided, and why, in one line")])
    path = root / DECISIONS
    there = path.read_text(encoding="utf-8") if path.exists() else "# Decisions\n\n"
    write_atomically(path, f"{there}- {day}: {text.strip()}\n")
