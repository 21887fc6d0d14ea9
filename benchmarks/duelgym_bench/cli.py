"""The command line ``duelgym-bench``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from duelgym.errors import DuelgymError, SpecificationError

if TYPE_CHECKING:
    from duelgym_bench.plan import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 (refused, with the reason in one line), 2 (usage) or 130 (interrupted)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    sys.path.insert(0, str(Path.cwd()))  # agents are named as package.module:factory, relative to where one stands
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    try:
        return options.call(options, given)
    except (DuelgymError, OSError) as error:
        print(f"duelgym-bench: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        goes_on = "; the same command goes on where it stopped" if options.call in (_run, _tune) else ""
        print(f"duelgym-bench: interrupted{goes_on}", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="duelgym-bench",
        description="Query-efficiency curves: win rate against the number of labels.",
        epilog="example: duelgym-bench run --env SyntheticDuel-v0 --agents ee2024-passive,ee2024-infomax --out runs/first",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run agents on an environment, resuming what is there",
        description="Run agents on common seeds. The same command resumes an interrupted run; further agents or seeds widen it.",
        epilog="example: duelgym-bench run --env SyntheticDuel-v0 --agents ee2024-passive,ee2024-double_thompson "
        "--queries 3200 --seeds 5 --out runs/first",
    )
    _add_plan(run, seeds=10)
    run.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="settings that 'duelgym-bench tune' chose, for the agents it names",
    )
    run.add_argument("--title", metavar="TEXT", help="name printed in every figure (default: the environment's id)")
    run.add_argument(
        "--no-check",
        action="store_true",
        help="leave out the passive baseline's replica, which checks the ratio measure",
    )
    run.set_defaults(call=_run)
    tune = commands.add_parser(
        "tune",
        help="choose settings: as many tries for every agent, on prompts and seeds that 'run' never uses",
        description="Try as many configurations of every agent, its defaults among them, on prompts and seeds that reporting "
        "never uses, and write down the best of each. The same command resumes an interrupted tuning; further agents, "
        "configurations or seeds widen it.",
        epilog="example: duelgym-bench tune --env SyntheticDuel-v0 --agents passive+ensemble,infomax+ensemble "
        "--configurations 16 --seeds 3 --queries 3200 --out runs/tuning; then: duelgym-bench run … --settings "
        "runs/tuning/tuned.json",
    )
    _add_plan(tune, seeds=3)
    tune.add_argument("--configurations", type=int, default=16, metavar="K", help="tries of every agent (default 16)")
    tune.add_argument(
        "--result",
        type=Path,
        metavar="FILE",
        help="where the chosen settings go (default: tuned.json in the directory)",
    )
    tune.set_defaults(call=_tune)
    report = commands.add_parser(
        "report",
        help="replay the logs, score them, and write table, curves and page",
        description="Replay every log, recompute every number, print the table and write report.html, curves and data.",
        epilog="example: duelgym-bench report runs/first",
    )
    report.add_argument("dir", type=Path, metavar="DIR", help="directory of the runs")
    _add_jobs(report)
    report.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    report.add_argument("--all", action="store_true", help="print all tables of the page, not the main ones alone")
    report.add_argument(
        "--against", default="", metavar="A,B", help="agents to subtract from all others, beside the passive baseline"
    )
    report.set_defaults(call=_report)
    return parser


def _add_plan(parser: argparse.ArgumentParser, *, seeds: int) -> None:
    """Add what running and tuning have in common."""
    parser.add_argument("--env", required=True, metavar="ID", help="registered environment, such as SyntheticDuel-v0")
    parser.add_argument("--env-kwargs", default="{}", metavar="JSON", help='its arguments, such as \'{"pool": "DIR"}\'')
    parser.add_argument(
        "--agents", required=True, metavar="A,B", help="names of the registry, or package.module:factory"
    )
    parser.add_argument("--queries", type=int, default=6400, metavar="T", help="labels of every run (default 6400)")
    parser.add_argument(
        "--seeds", type=int, default=seeds, metavar="S", help=f"number of seeds, common to all agents (default {seeds})"
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="B", help="queries between updates (default 32)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory of the runs")
    _add_jobs(parser)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )


def _run(options: argparse.Namespace, given: list[str]) -> int:
    from duelgym_bench.common import CommonLearner, tune_common_learner
    from duelgym_bench.executor import run_tasks
    from duelgym_bench.plan import PLAN, check_plan, load_plan, save_plan, with_check
    from duelgym_bench.task import limit_threads
    from duelgym_bench.tuned import read_settings

    plan = _plan(options, given)
    settings = None if options.settings is None else read_settings(options.settings)
    if settings is not None:
        plan = replace(plan, settings=settings.of(plan.agents))
    if not options.no_check:
        there = load_plan(options.out).agents if (options.out / PLAN).exists() else ()
        plan = replace(plan, agents=with_check(plan.agents, there))
    plan = replace(plan, title=options.title or plan.title)
    limit_threads()
    check_plan(plan)
    for note in settings.notes(plan) if settings else ():
        print(f"duelgym-bench: note: {note}", file=sys.stderr)
    plan = save_plan(plan, options.out)
    started = time.monotonic()
    learner = CommonLearner.load(options.out) or tune_common_learner(plan, options.out)
    failures = run_tasks(plan, options.out, learner, jobs=options.jobs)
    for failure in failures:
        print(f"duelgym-bench: error: {failure.task.name}: {failure.reason}", file=sys.stderr)
    if failures:
        return 1
    n_runs = plan.seeds * len(plan.agents)
    print(
        f"{n_runs} runs finished in {options.out} ({time.monotonic() - started:.0f} s); report: duelgym-bench report {options.out}"
    )
    return 0


def _tune(options: argparse.Namespace, given: list[str]) -> int:
    from duelgym_bench.plan import save_plan
    from duelgym_bench.task import limit_threads
    from duelgym_bench.tune import tune, tuning_plan
    from duelgym_bench.tuned import TUNED, tuned_text, write_tuned

    limit_threads()
    plan = tuning_plan(_plan(options, given), options.configurations, options.out)
    plan = save_plan(plan, options.out)
    agents = tune(plan, options.out, jobs=options.jobs)
    result = options.result or options.out / TUNED
    write_tuned(plan, agents, result)
    print(tuned_text(plan, agents))
    print(f"\nsettings: {result}; use them: duelgym-bench run --settings {result} …")
    return 0


def _plan(options: argparse.Namespace, given: list[str]) -> Plan:
    """Return the plan that the options of running or tuning describe, with agents that run on their defaults."""
    from duelgym_bench.plan import Plan

    agents = _names(options.agents)
    if not agents:
        raise SpecificationError("--agents names no agent; give for example ee2024-passive,ee2024-double_thompson")
    if options.jobs < 1:
        raise SpecificationError(f"--jobs is {options.jobs}; it must be at least 1")
    return Plan(
        env=options.env,
        env_kwargs=_json_object(options.env_kwargs),
        agents=agents,
        queries=options.queries,
        seeds=options.seeds,
        batch=options.batch_size,
        command=shlex.join(["duelgym-bench", *given]),
        title=options.env,
    )


def _report(options: argparse.Namespace, given: list[str]) -> int:
    from duelgym_bench.curves_summary import check_against, summarise
    from duelgym_bench.plan import load_plan
    from duelgym_bench.report import markdown_tables, table_text, write_report
    from duelgym_bench.scores import score

    if options.jobs < 1:
        raise SpecificationError(f"--jobs is {options.jobs}; it must be at least 1")
    against = _names(options.against)
    check_against(against, load_plan(options.dir).agents)  # before an hour of scoring
    results = score(options.dir, jobs=options.jobs)
    summary = summarise(results, against=against)
    paths = write_report(results, options.dir, summary)
    tables = (
        markdown_tables(results, summary) if options.markdown else table_text(results, summary, main=not options.all)
    )
    print(tables)
    print(f"\nreport: {paths.page}")
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecificationError(
            f'--env-kwargs is not JSON ({error}); give for example \'{{"pool": "DIR"}}\''
        ) from None
    if not isinstance(value, dict):
        raise SpecificationError(f'--env-kwargs is {text}; it must be a JSON object such as \'{{"pool": "DIR"}}\'')
    if "pool" in value:
        value["pool"] = str(Path(str(value["pool"])).resolve())
    return value


if __name__ == "__main__":
    sys.exit(main())
