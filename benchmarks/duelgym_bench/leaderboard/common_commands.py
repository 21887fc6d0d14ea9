"""What the leaderboard's commands have in common."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from duelgym.errors import DuelgymError, one_line
from duelgym_bench.table import printable

if TYPE_CHECKING:
    from duelgym_bench.leaderboard.check import Checked
    from duelgym_bench.leaderboard.failures import Failure

LEADERBOARD = Path("leaderboard")
EXAMPLE = "duelgym-bench submission {} leaderboard/submissions/example-lab--double-thompson--20260301"


def add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    call: Callable[[argparse.Namespace, list[str]], int],
) -> argparse.ArgumentParser:
    """Add an action on a submission's folder, ``DIR``."""
    parser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"example: {EXAMPLE.format(name)}"
    )
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the submission")
    add_leaderboard(parser)
    parser.set_defaults(call=call)
    return parser


def add_leaderboard(parser: argparse.ArgumentParser) -> None:
    """Add ``--leaderboard``."""
    parser.add_argument(
        "--leaderboard",
        type=Path,
        default=LEADERBOARD,
        metavar="DIR",
        help="folder with rounds and submissions (default: %(default)s)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, for machines")


def add_namespaces(parser: argparse.ArgumentParser, default: str, more: str = "") -> None:
    """Add ``--namespaces``."""
    parser.add_argument(
        "--namespaces",
        choices=("required", "wanted"),
        default=default,
        help=f"whether to refuse where the kernel lends none to isolate agents in (default %(default)s).{more}",
    )


def add_readable(parser: argparse.ArgumentParser) -> None:
    """Add ``--readable``."""
    parser.add_argument(
        "--readable",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="pretrained weights that a submission names by their sha256; its agent finds them under this very path; repeat it",
    )


def judge(options: argparse.Namespace, judged: Callable[[], Checked], found: str) -> int:
    """Print what judging a submission finds; as JSON, whatever goes wrong is printed too, and 1 returned.

    Args:
        options: of an action with ``--json``.
        judged: judges the submission.
        found: what it has found if it raises nothing.

    Raises:
        DuelgymError: as ``judged`` does, where the answer is for people.
    """
    from duelgym_bench.leaderboard.failures import Failure, RefusedError
    from duelgym_bench.leaderboard.status import status_of

    try:
        status = status_of(judged(), options.leaderboard)
    except (DuelgymError, OSError) as error:
        if not options.json:
            raise
        said = Failure("duelgym-bench", one_line(error), "put that right, and give the same command again")
        _print_json(options.dir, error.failures if isinstance(error, RefusedError) else [said])
        return 1
    if options.json:
        _print_json(options.dir, (), status)
    else:
        print(f"ok {printable(options.dir.absolute().name)}: {found}; status {status}")
    return 0


def _print_json(folder: Path, failures: Sequence[Failure], status: str | None = None) -> None:
    listed = [{part: printable(text) for part, text in vars(failure).items()} for failure in failures]
    name = printable(folder.absolute().name)
    print(json.dumps({"ok": not failures, "submission": name, "status": status, "failures": listed}, indent=1))
