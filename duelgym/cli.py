"""The command line ``duelgym``: each sub-command is a parser and a function, kept beside what it does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from duelgym.errors import DuelgymError, one_line
from duelgym.output import reader_gone
from duelgym.play import commands as play_commands
from duelgym.pools import commands as pool_commands
from duelgym.rounds import commands as round_commands
from duelgym.world import commands as world_commands

REFUSED = 1
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line. A sub-command sets ``run``, which takes the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="duelgym",
        description="Contextual dueling bandits over language-model responses.",
        epilog="example: duelgym pool info my-pool",
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    pool_commands.add_parser(subparsers)
    round_commands.add_parser(subparsers)
    play_commands.add_parser(subparsers)
    world_commands.add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Returns:
        0 if done, 1 if refused (one line on standard error says why) or if nobody reads the output any more, 130 if interrupted. Wrong usage exits with 2.
    """
    parsed = build_parser().parse_args(arguments)
    try:
        parsed.run(parsed)
        print(end="", flush=True)
    except (DuelgymError, OSError) as error:
        if isinstance(error, BrokenPipeError) and reader_gone():
            return REFUSED
        print(f"duelgym: error: {one_line(error)}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("duelgym: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0
