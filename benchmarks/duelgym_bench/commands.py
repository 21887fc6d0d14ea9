"""What the commands of ``duelgym-bench`` do; what they import is imported when one is given."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from duelgym.errors import SpecificationError

if TYPE_CHECKING:
    from duelgym_bench.plan import Plan
    from duelgym_bench.tuned import Settings

QUERIES, BATCH, RUN_SEEDS, TUNE_SEEDS = 6400, 32, 10, 3


def run(options: argparse.Namespace, given: list[str]) -> int:
    """Run a plan, or the plans of a suite; return 1 if a run failed."""
    from duelgym_bench.executors import executor_named
    from duelgym_bench.locks import alone
    from duelgym_bench.plan_directory import joined_plan
    from duelgym_bench.suite import load_suite, planned, resized, titled
    from duelgym_bench.suite_directory import check_suite, save_suite
    from duelgym_bench.tracking import check_trackers
    from duelgym_bench.tuned import read_settings

    track = _names(options.track)
    check_trackers(track)
    executor_named(options.executor)  # refuses what is not installed
    settings = None if options.settings is None else read_settings(options.settings)
    suite = None if options.suite is None else load_suite(options.suite)
    if suite is None:
        plans = {options.out: _plan(options, given, seeds=RUN_SEEDS)}
    else:
        for option, value in (
            ("--env", options.env),
            ("--agents", options.agents),
            ("--batch-size", options.batch_size),
            ("--title", options.title),
        ):
            if value is not None:
                raise SpecificationError(
                    f"{option} cannot stand beside --suite, which says it; write a suite of your own"
                )
        plans = planned(
            resized(suite, queries=options.queries, seeds=options.seeds, env_kwargs=_json_object(options.env_kwargs)),
            options.out,
            command=_command(given),
        )
    plans = {
        out: _prepared(plan, out, settings, title=options.title, check=not options.no_check)
        for out, plan in plans.items()
    }
    held = {out: joined_plan(plan, out) for out, plan in plans.items()}
    if suite is not None:
        suite, plans = titled(suite, plans, held)
        check_suite(suite, options.out)
    _tell(held, jobs=options.jobs)
    if options.plan:
        return 0
    with contextlib.nullcontext() if len(plans) == 1 else alone(options.out):  # each plan's own directory is held later
        if suite is not None:
            save_suite(suite, options.out)
        done = [
            _carry_out(plan, out, jobs=options.jobs, executor=options.executor, track=track)
            for out, plan in plans.items()
        ]
    if not all(done):
        return 1
    print(f"report: duelgym-bench report {options.out}")
    return 0


def tune(options: argparse.Namespace, given: list[str]) -> int:
    """Choose settings, write them down and print what was tried; return 0."""
    from duelgym_bench.executors import executor_named
    from duelgym_bench.locks import alone
    from duelgym_bench.plan_directory import save_plan
    from duelgym_bench.search_space import SearchSpace
    from duelgym_bench.task import limit_threads
    from duelgym_bench.tune import tune, tuning_plan
    from duelgym_bench.tuned import TUNED, tuned_text, write_tuned

    executor_named(options.executor)  # refuses what is not installed
    limit_threads()
    space = SearchSpace.read(options.space)
    plan = tuning_plan(_plan(options, given, seeds=TUNE_SEEDS), options.configurations, options.out, space=space)
    result = options.result or options.out / TUNED
    with alone(options.out):
        plan = save_plan(plan, options.out)
        agents = tune(plan, options.out, jobs=options.jobs, executor=options.executor)
        write_tuned(plan, agents, result)
    print(tuned_text(plan, agents))
    print(f"\nsettings: {result}; use them: duelgym-bench run --settings {result} …")
    return 0


def _prepared(plan: Plan, out: Path, settings: Settings | None, *, title: str | None, check: bool) -> Plan:
    """Return the plan with settings, title and the passive baseline's replica, once all of it is known to run.

    Args:
        plan: what is asked for.
        out: its directory, which may hold runs already.
        settings: of some of its agents; None: all run on their defaults.
        title: printed in every figure; None: that of the runs that are there, or else the plan's own.
        check: whether the baseline runs twice, which checks the ratio measure.

    Raises:
        DuelgymError: naming what cannot run.
    """
    from duelgym_bench.plan import check_plan, with_check
    from duelgym_bench.plan_directory import PLAN, load_plan
    from duelgym_bench.task import limit_threads

    if settings is not None:
        chosen = settings.of(plan.agents)
        plan = replace(plan, settings=chosen, by_hand=tuple(name for name in settings.by_hand if name in chosen))
    there = load_plan(out) if (out / PLAN).exists() else None
    if check:
        plan = replace(plan, agents=with_check(plan.agents, there.agents if there else ()))
    limit_threads()
    check_plan(plan)
    for note in settings.notes(plan) if settings else ():
        print(f"duelgym-bench: note: {note}", file=sys.stderr)
    return replace(plan, title=title or (there or plan).title)


def _tell(plans: Mapping[Path, Plan], *, jobs: int) -> None:
    """Print what there is to run of some plans, and how long it should take."""
    from duelgym_bench.forecast import duration, forecast, forecast_text

    seconds = 0.0
    for out, plan in plans.items():
        found = forecast(plan, out, jobs=jobs)
        print(forecast_text(plan, out, found, jobs=jobs), flush=True)
        seconds += found.seconds
    if len(plans) > 1 and seconds:
        print(f"time in all: about {duration(seconds)}", flush=True)


def _carry_out(plan: Plan, out: Path, *, jobs: int, executor: str, track: tuple[str, ...]) -> bool:
    """Run what is not finished yet of a plan; return whether all of it is.

    Raises:
        DuelgymError: if the directory holds another plan's runs, or a process is killed.
    """
    from duelgym_bench.common import CommonLearner, tune_common_learner
    from duelgym_bench.executor import run_tasks
    from duelgym_bench.locks import alone
    from duelgym_bench.plan_directory import save_plan

    started = time.monotonic()
    with alone(out):
        plan = save_plan(plan, out)
        learner = CommonLearner.load(out) or tune_common_learner(plan, out)
        failures = run_tasks(plan, out, learner, jobs=jobs, executor=executor, track=track)
    for failure in failures:
        print(f"duelgym-bench: error: {failure.task.name}: {failure.reason}", file=sys.stderr)
    if not failures:
        n_runs = plan.seeds * len(plan.agents)
        print(f"{n_runs} runs finished in {out} ({time.monotonic() - started:.0f} s)")
    return not failures


def _plan(options: argparse.Namespace, given: list[str], *, seeds: int) -> Plan:
    """Return the plan that the options of running or tuning describe, with agents that run on their defaults."""
    from duelgym_bench.plan import Plan

    for option, value in (("--env", options.env), ("--agents", options.agents)):
        if value is None:
            raise SpecificationError(f"{option} is missing; give it, or a whole suite with --suite, such as quick")
    agents = _names(options.agents)
    if not agents:
        raise SpecificationError("--agents names no agent; give for example ee2024-passive,ee2024-double_thompson")
    return Plan(
        env=options.env,
        env_kwargs=_json_object(options.env_kwargs),
        agents=agents,
        queries=QUERIES if options.queries is None else options.queries,
        seeds=seeds if options.seeds is None else options.seeds,
        batch=BATCH if options.batch_size is None else options.batch_size,
        command=_command(given),
        title=options.env,
    )


def _command(given: list[str]) -> str:
    return shlex.join(["duelgym-bench", *given])


def report(options: argparse.Namespace, given: list[str]) -> int:
    """Score the runs of a directory or of a suite's, write the reports and print their tables; return 0."""
    from duelgym_bench.curves_summary import summarise
    from duelgym_bench.paired import check_against
    from duelgym_bench.plan_directory import load_plan
    from duelgym_bench.plots import intervals_note
    from duelgym_bench.report import markdown_tables, table_text, write_report
    from duelgym_bench.scores import score
    from duelgym_bench.suite_directory import saved_suite
    from duelgym_bench.suite_page import write_suite
    from duelgym_bench.suite_report import suite_tables
    from duelgym_bench.table import as_markdown, as_text, printable

    against = _names(options.against)
    suite = saved_suite(options.dir)
    baseline = () if options.baseline is None else (options.baseline,)
    for directory in suite.directories.values():
        check_against((*baseline, *against), load_plan(directory).agents)  # before an hour of scoring
    summaries, pages = {}, []
    for name, directory in suite.directories.items():
        results = score(directory, jobs=options.jobs, own=options.simulator, pool=options.pool)
        results = replace(results, baseline=options.baseline or results.baseline)
        summaries[name] = summary = summarise(results, against=against)
        pages.append(write_report(results, directory, summary).page)
        if len(suite.directories) == 1 or options.all:
            shown = markdown_tables if options.markdown else partial(table_text, main=not options.all)
            print(shown(results, summary))
    if len(suite.directories) > 1:
        print(
            f"{printable(suite.title)}  ({results.tuned_mark})\n{printable(suite.about)}\n"
            f"{intervals_note(*summaries.values())}\n"
        )
        found = suite_tables(summaries, results.baseline, suite.varies)
        pages.extend(write_suite(suite, summaries, results, found, options.dir))
        for table in found:
            print(as_markdown(table) if options.markdown else as_text(table))
    print("", *(f"report: {page}" for page in pages), sep="\n")
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
