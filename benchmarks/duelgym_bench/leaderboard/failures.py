"""What is wrong with a submission or a round: where, what, and the cure, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from duelgym.errors import DuelgymError
from duelgym_bench.table import printable

MOST_SHOWN = 50


@dataclass(frozen=True)
class Failure:
    """One reason to refuse.

    Attributes:
        where: the file and line, or the field, relative to the folder that was checked.
        what: what is there, and what is allowed.
        cure: what to do.
    """

    where: str
    what: str
    cure: str

    def __str__(self) -> str:
        """The failure as one line that a terminal can show, whatever a submission holds."""
        return " ".join(printable(f"{self.where}: {self.what}; {self.cure}").split())


class RefusedError(DuelgymError):
    """A submission or round is not what it must be; nothing is repaired.

    Attributes:
        failures: all that was found, at least one.
    """

    def __init__(self, *failures: Failure) -> None:
        super().__init__("; ".join(map(str, failures)))
        self.failures = failures


def capped(failures: Sequence[Failure]) -> list[Failure]:
    """Return the first failures, and how many more there are."""
    more = len(failures) - MOST_SHOWN
    return [*failures[:MOST_SHOWN], *([Failure("…", f"{more} more", "put these right first")] if more > 0 else ())]


def refuse(failures: Sequence[Failure]) -> None:
    """Raise what was found, if anything was.

    Raises:
        RefusedError: with the first failures, and how many more there are.
    """
    if failures:
        raise RefusedError(*capped(failures))
