"""``decisions.md``: every accept, reject, rescore and removal, each a line with its date and reason."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path

from duelgym_bench.files import write_atomically
from duelgym_bench.leaderboard.failures import Failure, RefusedError

DECISIONS = "decisions.md"
_BULLET = re.compile(r"- (20\d\d-\d\d-\d\d): (\S.*)")


@dataclass(frozen=True)
class Decision:
    """What maintainers decided on a day, and why."""

    date: str
    text: str


def read_decisions(path: Path) -> tuple[Decision, ...]:
    """Return the decisions, newest first; those of one day as they stand in the file.

    The file may begin with a heading; every other line is empty or ``- YYYY-MM-DD: text``.

    Args:
        path: of ``decisions.md``.

    Raises:
        RefusedError: naming every line that is neither.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = "is no UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({error.strerror})"
        raise RefusedError(Failure(path.name, reason, "restore the file")) from None
    decisions, failures = [], []
    for number, line in enumerate(lines, start=1):
        bullet = _BULLET.fullmatch(line)
        if bullet and _is_day(bullet[1]):
            decisions.append(Decision(bullet[1], bullet[2]))
        elif line and not (number == 1 and line.startswith("# ")):
            failures.append(
                Failure(
                    f"{path.name}, line {number}", f"is {line[:80]!r}", "write '- YYYY-MM-DD: what and why' on one line"
                )
            )
    if failures:
        raise RefusedError(*failures)
    return tuple(sorted(decisions, key=lambda decision: decision.date, reverse=True))


def _is_day(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def decide(root: Path, day: str, *texts: str) -> None:
    """Add decisions, last and in order; what is there already is not said twice.

    Args:
        root: of the leaderboard.
        day: YYYY-MM-DD.
        texts: what was decided, and why, each in one line.

    Raises:
        RefusedError: as :func:`check_decisions` does.
    """
    path = root / DECISIONS
    there = check_decisions(root, day, *texts)
    new = [line for text in texts if (line := _line(day, text)) not in there.split("\n")]
    write_atomically(path, there + "".join(f"{line}\n" for line in new))


def check_decisions(root: Path, day: str, *texts: str) -> str:
    """Check that decisions can be added; return what the file holds, or begins with.

    Args:
        root: of the leaderboard.
        day: YYYY-MM-DD.
        texts: what is to be decided.

    Raises:
        RefusedError: if the file is damaged, or would be.
    """
    path = root / DECISIONS
    if path.exists():
        read_decisions(path)
    for line in (_line(day, text) for text in texts):
        if not (_BULLET.fullmatch(line) and _is_day(day)):
            raise RefusedError(Failure(DECISIONS, f"cannot hold {line[:80]!r}", "say what and why in one line"))
    return path.read_text(encoding="utf-8") if path.exists() else "# Decisions\n\n"


def _line(day: str, text: str) -> str:
    return f"- {day}: {text.strip()}"
