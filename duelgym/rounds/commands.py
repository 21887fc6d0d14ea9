"""``duelgym replay``: check a log against its environment."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``replay`` to a command line."""
    text = "rebuild the environment of a query log and reproduce every context and preference"
    parser = subparsers.add_parser(
        "replay",
        help=text,
        description=f"{text[0].upper()}{text[1:]}, bit for bit.",
        epilog="example: duelgym replay runs/first/runs/ee2024-passive--000/queries.jsonl.gz --pool my-pool",
    )
    parser.add_argument("log", type=Path, metavar="LOG", help="a queries.jsonl.gz")
    parser.add_argument("--pool", type=Path, metavar="DIR", help="the pool of the run, where it was made on one")
    parser.add_argument(
        "--simulator",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="a simulator of your own that the log names and that may be imported; may be given several times",
    )
    parser.set_defaults(run=run_replay)


def run_replay(arguments: argparse.Namespace) -> None:
    """Replay a log and say how far it goes."""
    from duelgym.rounds.replay import replay

    report = replay(arguments.log, pool=arguments.pool, own=arguments.simulator)
    if report.torn:
        print(f"warning: {report.torn}", file=sys.stderr)
    budget = "the whole budget" if report.complete else "not the whole budget"
    print(f"ok {arguments.log}: {report.queries} queries reproduced, {budget}")
