"""The command line ``duelgym-bench``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from duelgym.errors import DuelgymError, one_line
from duelgym.output import reader_gone
from duelgym_bench import commands
from duelgym_bench.commands import BATCH, QUERIES, RUN_SEEDS, TUNE_SEEDS
from duelgym_bench.jobs import add_jobs, check_jobs
from duelgym_bench.leaderboard.commands import add_parsers
from duelgym_bench.leaderboard.failures import RefusedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 (refused, with the reason in one line), 2 (usage) or 130 (interrupted)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    sys.path.insert(0, str(Path.cwd()))  # agents are named as package.module:factory, relative to where one stands
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    try:
        check_jobs(options)
        status = options.call(options, given)
        print(end="", flush=True)
        return status
    except RefusedError as error:
        for failure in error.failures:
            print(f"duelgym-bench: refused: {failure}", file=sys.stderr)
        return 1
    except (DuelgymError, OSError) as error:
        if isinstance(error, BrokenPipeError) and reader_gone():
            return 1
        print(f"duelgym-bench: error: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        goes_on = "; the same command goes on where it stopped" if options.call in (commands.run, commands.tune) else ""
        print(f"duelgym-bench: interrupted{goes_on}", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="duelgym-bench",
        description="Query-efficiency curves: win rate against the number of labels.",
        epilog="example: duelgym-bench run --env SyntheticDuel-v0 --agents ee2024-passive,ee2024-infomax --out runs/first",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    run = subparsers.add_parser(
        "run",
        help="run agents on an environment, resuming what is there",
        description="Run agents on common seeds. The same command resumes an interrupted run; further agents or seeds widen it.",
        epilog="example: duelgym-bench run --env SyntheticDuel-v0 --agents ee2024-passive,ee2024-double_thompson "
        "--queries 3200 --seeds 5 --out runs/first; or: duelgym-bench run --suite quick --out runs/quick",
    )
    _add_plan(run, seeds=RUN_SEEDS, alone=False)
    run.add_argument(
        "--suite",
        metavar="NAME",
        help="a set of experiments, by its name or as a file that ends in .toml, instead of --env and --agents; --queries and "
        "--seeds then resize it, and its title says so",
    )
    run.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="settings that 'duelgym-bench tune' chose, or you, for the agents it names; NAME#LABEL are settings of NAME, of "
        "which several can run side by side",
    )
    run.add_argument(
        "--title",
        metavar="TEXT",
        help="name printed in every figure (default: that of the runs that are there, or else the environment's id)",
    )
    run.add_argument(
        "--no-check",
        action="store_true",
        help="leave out the passive baseline's replica, which checks the ratio measure",
    )
    run.add_argument(
        "--plan", action="store_true", help="only print what would run and how long it should take; write nothing"
    )
    run.add_argument(
        "--track",
        default="",
        metavar="A,B",
        help="show the runs while they go on, beside the JSON Lines in DIR/tracking: tensorboard, wandb, mlflow, or your own as "
        "package.module:factory",
    )
    run.set_defaults(call=commands.run)
    tune = subparsers.add_parser(
        "tune",
        help="choose settings: as many tries for every agent, on prompts and seeds that 'run' never uses",
        description="Try as many configurations of every agent, its defaults among them, on prompts and seeds that reporting "
        "never uses, and write down the best of each. The same command resumes an interrupted tuning; further agents, "
        "configurations or seeds widen it.",
        epilog="example: duelgym-bench tune --env SyntheticDuel-v0 --agents passive+ensemble,infomax+ensemble "
        "--configurations 16 --seeds 3 --queries 3200 --out runs/tuning; then: duelgym-bench run … --settings "
        "runs/tuning/tuned.json",
    )
    _add_plan(tune, seeds=TUNE_SEEDS, alone=True)
    tune.add_argument("--configurations", type=int, default=16, metavar="K", help="tries of every agent (default 16)")
    tune.add_argument(
        "--space",
        type=Path,
        metavar="FILE.toml",
        help="ranges for rules, reward models and agents of your own, in the form of search_space.toml of duelgym_bench",
    )
    tune.add_argument(
        "--result",
        type=Path,
        metavar="FILE",
        help="where the chosen settings go (default: tuned.json in the directory)",
    )
    tune.set_defaults(call=commands.tune)
    report = subparsers.add_parser(
        "report",
        help="replay the logs, score them, and write table, curves and page",
        description="Replay every log, recompute every number, print the table and write report.html, curves and data; of a suite "
        "also suite.html.",
        epilog="example: duelgym-bench report runs/first",
    )
    report.add_argument("dir", type=Path, metavar="DIR", help="directory of the runs")
    add_jobs(report)
    report.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    report.add_argument("--all", action="store_true", help="print all tables of the page, not the main ones alone")
    report.add_argument(
        "--baseline",
        metavar="A",
        help="agent whose labels are divided by the others' (default: the first passive one)",
    )
    report.add_argument(
        "--against", default="", metavar="A,B", help="agents to subtract from all others, beside the passive baseline"
    )
    report.add_argument(
        "--pool", type=Path, metavar="DIR", help="where the pool of the runs is now, if not where it was"
    )
    report.add_argument(
        "--simulator",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="a simulator of your own that the runs were made with and that may be imported; may be given several times",
    )
    report.set_defaults(call=commands.report)
    add_parsers(subparsers)
    return parser


def _add_plan(parser: argparse.ArgumentParser, *, seeds: int, alone: bool) -> None:
    """Add what running and tuning have in common; ``alone``: environment and agents are not to come from a suite."""
    parser.add_argument("--env", required=alone, metavar="ID", help="registered environment, such as SyntheticDuel-v0")
    parser.add_argument("--env-kwargs", default="{}", metavar="JSON", help='its arguments, such as \'{"pool": "DIR"}\'')
    parser.add_argument(
        "--agents",
        required=alone,
        metavar="A,B",
        help="names of the registry, rule+reward_model, sb3:PATH, or your own: package.module:factory, or package.module:NAME "
        "on either side of the +"
        + ("" if alone else "; NAME@K: replica K, with a seed of its own; NAME#LABEL: see --settings"),
    )
    parser.add_argument("--queries", type=int, metavar="T", help=f"labels of every run (default {QUERIES})")
    parser.add_argument(
        "--seeds", type=int, metavar="S", help=f"number of seeds, common to all agents (default {seeds})"
    )
    parser.add_argument("--batch-size", type=int, metavar="B", help=f"queries between updates (default {BATCH})")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory of the runs")
    add_jobs(parser)
    parser.add_argument(
        "--executor",
        choices=("processes", "ray"),
        default="processes",
        help="where runs go on: processes of this machine (default), or the Ray cluster that RAY_ADDRESS names, or else one of "
        "this machine; needs duelgym-bench[ray], and --out on a file system that all nodes share; --jobs runs at once",
    )


if __name__ == "__main__":
    sys.exit(main())
