"""``duelgym-bench round`` and ``site``: what maintainers do."""

from __future__ import annotations

import argparse
from pathlib import Path

from duelgym.errors import SpecificationError
from duelgym_bench.jobs import add_jobs
from duelgym_bench.leaderboard.common_commands import add_leaderboard, add_namespaces, add_readable


def add_round(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``round`` with its actions."""
    text = "open, run and close rounds of the leaderboard"
    parser = subparsers.add_parser(
        "round",
        help=f"{text} (maintainers)",
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="example: duelgym-bench round new 2026-q4 --salt ~/2026-q4.salt --pool ~/2026-q4-pool",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    new = _action(actions, "new", "draw a salt, record the round's pool, publish the hashes of both", run_new)
    new.add_argument("--queries", type=int, default=1600, metavar="T", help="labels of every run (default %(default)s)")
    new.add_argument(
        "--batch-size", type=int, default=32, metavar="B", help="queries between updates (default %(default)s)"
    )
    new.add_argument("--seeds", type=int, default=10, metavar="S", help="of every environment (default %(default)s)")
    new.add_argument("--prompts", type=int, default=500, metavar="P", help="of the pool (default %(default)s)")
    new.add_argument("--candidates", type=int, default=100, metavar="N", help="responses to each (default %(default)s)")
    new.add_argument("--date", metavar="YYYY-MM-DD", help="default: today")
    run = _action(actions, "run", "run the entries in isolation, and the trivial agents; repeated, it goes on", run_run)
    _add_runs(run)
    run.add_argument("--entry", action="append", default=[], metavar="NAME", help="only this one; repeat it for more")
    add_readable(run)
    more = " With 'wanted' an agent may be able to read salt and pool: such runs lie apart, and are never ranked."
    add_namespaces(run, "required", more)
    close = _action(actions, "close", "score the ranked runs, publish board, logs, pool and salt", run_close)
    _add_runs(close)
    close.add_argument(
        "--leave-out", action="append", default=[], metavar="NAME=REASON", help="do not rank this entry, and say why"
    )
    close.add_argument("--date", metavar="YYYY-MM-DD", help="default: today")

    _add_rescore(actions)


def add_site(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``site``."""
    parser = subparsers.add_parser(
        "site",
        help="write the leaderboard's page from its files",
        description="Write the leaderboard's page, site/index.html, from its files; equal files give equal bytes.",
        epilog="example: duelgym-bench site",
    )
    add_leaderboard(parser)
    parser.set_defaults(call=run_site)


def run_new(options: argparse.Namespace, given: list[str]) -> int:
    """Open a round."""
    from duelgym_bench.leaderboard.opening import new_round
    from duelgym_bench.leaderboard.records import today

    made = new_round(
        options.leaderboard,
        options.name,
        salt_file=options.salt,
        pool=options.pool,
        day=options.date or today(),
        queries=options.queries,
        batch=options.batch_size,
        seeds=options.seeds,
        prompts=options.prompts,
        candidates=options.candidates,
        jobs=options.jobs,
    )
    print(f"round {made.name} is open: {options.leaderboard / 'rounds' / made.name}.json")
    print(f"  salt {options.salt}, to be kept secret; its sha256 is {made.salt_sha256}")
    print(f"  pool {options.pool}, likewise; its sha256 is {made.pool.sha256}")
    return 0


def run_run(options: argparse.Namespace, given: list[str]) -> int:
    """Run a round.

    Raises:
        RefusedError: if it or any run is refused.
    """
    from duelgym_bench.leaderboard.failures import RefusedError
    from duelgym_bench.leaderboard.rounds import run_round

    failures = run_round(
        options.leaderboard,
        options.name,
        salt_file=options.salt,
        pool=options.pool,
        out=options.runs,
        only=options.entry,
        readable=options.readable,
        namespaces=options.namespaces,
        jobs=options.jobs,
    )
    if failures:
        raise RefusedError(*failures)
    if options.namespaces == "required":
        print(f"all runs are finished in {options.runs}; next: duelgym-bench round close {options.name} …")
    else:
        print(f"all runs are finished in {options.runs}, tried but not to be ranked; next: --namespaces required")
    return 0


def run_close(options: argparse.Namespace, given: list[str]) -> int:
    """Close a round and print its ranking."""
    from duelgym_bench.leaderboard.records import today
    from duelgym_bench.leaderboard.rounds import close_round
    from duelgym_bench.table import Table, as_text, decimals

    reasons = dict(text.partition("=")[::2] for text in options.leave_out)
    if not all(reasons.values()):
        raise SpecificationError("--leave-out needs a reason: NAME=REASON")
    board = close_round(
        options.leaderboard,
        options.name,
        salt_file=options.salt,
        pool=options.pool,
        out=options.runs,
        day=options.date or today(),
        left_out=reasons,
        jobs=options.jobs,
    )
    rows = [
        (
            "" if row.rank is None else str(row.rank),
            row.name,
            f"{decimals(row.area.value)} [{decimals(row.area.low)} {decimals(row.area.high)}]",
            "no" if row.above_trivial is False else "",
        )
        for row in board.rows
    ]
    note = (
        "Area under win rate against log labels, mean over environments; 95 % intervals. Equal ranks: not told apart."
    )
    print(as_text(Table(f"Round {board.round}", note, ("rank", "agent", "area", "above the trivial"), tuple(rows))))
    print(f"\npublished in {options.leaderboard / 'rounds' / options.name}; next: duelgym-bench site")
    return 0


def run_rescore(options: argparse.Namespace, given: list[str]) -> int:
    """Compute a closed round's board again, and compare it with the published one or write it.

    Raises:
        RefusedError: naming where they differ, unless there is a reason to write.
    """
    from duelgym_bench.leaderboard.failures import refuse
    from duelgym_bench.leaderboard.records import today
    from duelgym_bench.leaderboard.rescoring import differences, rescore, rescored

    published, made = rescored(options.leaderboard, options.name, jobs=options.jobs)
    found = differences(published, made)
    if options.reason is None:
        refuse(found)
        print(f"ok {options.name}: the board is what logs, pool and salt show")
        return 0
    rescore(options.leaderboard, options.name, made, day=options.date or today(), reason=options.reason)
    print(f"wrote the board of {options.name}, which differs in {len(found)} fields; next: duelgym-bench site")
    return 0


def run_site(options: argparse.Namespace, given: list[str]) -> int:
    """Write the page."""
    from duelgym_bench.leaderboard.site import write_site

    print(f"page: {write_site(options.leaderboard)}")
    return 0


def _add_rescore(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "rescore",
        help="compute a closed round's board again from its logs, and compare",
        description="Compute a closed round's board again from what was published with it (logs, pool and salt), and name every field "
        "in which it differs. With --reason the board is written anew, and the reason goes into decisions.md.",
        epilog="example: duelgym-bench round rescore 2026-q4",
    )
    parser.add_argument("name", metavar="NAME", help="of the round")
    parser.add_argument("--reason", metavar="TEXT", help="why the board is written anew, in one line (maintainers)")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="default: today")
    add_leaderboard(parser)
    add_jobs(parser)
    parser.set_defaults(call=run_rescore)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, call: object
) -> argparse.ArgumentParser:
    more = {"new": "", "run": " --runs ~/2026-q4-runs", "close": " --runs ~/2026-q4-runs"}[name]
    parser = actions.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example: duelgym-bench round {name} 2026-q4 --salt ~/2026-q4.salt --pool ~/2026-q4-pool{more}",
    )
    parser.add_argument("name", metavar="NAME", help="of the round")
    parser.add_argument(
        "--salt", type=Path, required=True, metavar="FILE", help="the round's secret, outside the repository"
    )
    parser.add_argument("--pool", type=Path, required=True, metavar="DIR", help="the round's pool, likewise")
    add_leaderboard(parser)
    add_jobs(parser)
    parser.set_defaults(call=call)
    return parser


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, required=True, metavar="DIR", help="the ranked runs, outside the repository"
    )
