"""``duelgym-bench submission``: make, check, replay and rerun submissions to the leaderboard."""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from duelgym_bench.jobs import add_jobs
from duelgym_bench.leaderboard.common_commands import (
    EXAMPLE,
    LEADERBOARD,
    add_action,
    add_json,
    add_leaderboard,
    add_namespaces,
    add_readable,
    judge,
)
from duelgym_bench.leaderboard.round_commands import add_round, add_site

if TYPE_CHECKING:
    from duelgym_bench.leaderboard.check import Checked


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands of the leaderboard to a command line."""
    _add_submission(subparsers)
    add_round(subparsers)
    add_site(subparsers)


def _add_submission(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "submission",
        help="make, check, replay and rerun submissions to the leaderboard",
        description="Make, check, replay and rerun submissions to the leaderboard.",
        epilog=f"example: {EXAMPLE.format('check')}",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_new(actions)
    check = add_action(actions, "check", "check files, hashes, logs and claims; no code of the agent runs", run_check)
    add_json(check)
    replay = add_action(actions, "replay", "check, then reproduce every context and preference bit for bit", run_replay)
    add_json(replay)
    replay.add_argument("--record", action="store_true", help="write down that it replays (maintainers)")
    add_jobs(replay)
    _add_rerun(actions)


def run_new(options: argparse.Namespace, given: list[str]) -> int:
    """Write a submission and say what comes next."""
    from duelgym_bench.leaderboard.new import Described, new
    from duelgym_bench.leaderboard.records import today

    described = Described(
        team=options.team,
        agent=options.name,
        date=options.date or today(),
        contact=options.contact,
        licence=options.licence,
        about=options.about,
        cpu=options.cpu or _processor(),
        accelerator=options.accelerator,
        repeats=options.repeats,
    )
    made = new(
        options.leaderboard,
        described,
        options.runs,
        agent=options.agent,
        code=options.code,
        round_name=options.round,
    )
    claims = {env: runs.claims for env, runs in made.submission.runs.items()}
    elsewhere = "" if options.leaderboard == LEADERBOARD else f" --leaderboard {options.leaderboard}"
    print(f"wrote {made.folder}")
    for env, claim in claims.items():
        print(f"  {env}: area {claim.area:.3f}, win rate {claim.win_rate:.3f}")
    print(f"  code: {', '.join(made.submission.code) or 'none'}; repeats {made.submission.repeats}")
    print(
        f"next: read {made.folder / 'submission.json'}, name pretrained weights there, then\n"
        f"  duelgym-bench submission replay {made.folder}{elsewhere}\n"
        f"and open a pull request that adds this folder alone"
    )
    return 0


def run_check(options: argparse.Namespace, given: list[str]) -> int:
    """Check a submission."""
    from duelgym_bench.leaderboard.check import check

    return judge(options, lambda: check(options.dir, options.leaderboard), "files, hashes, logs and claims agree")


def run_replay(options: argparse.Namespace, given: list[str]) -> int:
    """Replay a submission, and write that down where asked."""
    from duelgym_bench.leaderboard.replay import replay
    from duelgym_bench.leaderboard.status import record_replayed

    def judged() -> Checked:
        checked = replay(options.dir, options.leaderboard, jobs=options.jobs)
        if options.record:
            record_replayed(checked, options.leaderboard)
        return checked

    return judge(options, judged, "every context and preference is reproduced")


def run_rerun(options: argparse.Namespace, given: list[str]) -> int:
    """Run a submission again."""
    from duelgym_bench.isolation.launch import Isolation
    from duelgym_bench.leaderboard.check import check
    from duelgym_bench.leaderboard.failures import RefusedError
    from duelgym_bench.leaderboard.rerun import rerun

    def judged() -> Checked:
        checked = check(options.dir, options.leaderboard)
        with tempfile.TemporaryDirectory() as scratch:
            found = rerun(
                checked.submission,
                checked.round,
                checked.folder,
                seeds=options.seeds,
                scratch=Path(scratch),
                jobs=options.jobs,
                isolation=Isolation(readable=tuple(options.readable), namespaces=options.namespaces),
            )
        if not options.json:
            print(*found, *(f"not isolated: {missing}" for missing in found[0].missing), sep="\n")
        if failures := [failure for each in found for failure in each.failures]:
            raise RefusedError(*failures)
        return checked

    return judge(options, judged, "the agent gives the runs that came with it")


def _add_rerun(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "check, then run the agent again, isolated, and compare with its logs"
    parser = add_action(actions, "rerun", text, run_rerun)
    parser.add_argument("--seeds", type=int, default=3, metavar="S", help="how many seeds (default %(default)s)")
    add_readable(parser)
    add_namespaces(parser, "wanted")
    add_json(parser)
    add_jobs(parser)


def _add_new(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "new",
        help="make a submission from finished runs",
        description="Make a submission from finished runs: copy logs and code, fill in hashes and claims, and check the result.",
        epilog="example: duelgym-bench submission new --from runs/synthetic --from runs/llm --code my_agent.py "
        "--team example-lab --name double-thompson --contact someone@example.org --licence MIT --about 'Thompson, twice.'",
    )
    parser.add_argument(
        "--from",
        dest="runs",
        type=Path,
        action="append",
        required=True,
        metavar="RUNDIR",
        help="directory of 'duelgym-bench run'; once for every environment of the round",
    )
    parser.add_argument("--agent", metavar="A", help="whose runs, where the directories hold those of several agents")
    parser.add_argument(
        "--code",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a file of the agent, or a directory of which the Python files count; repeat it for more",
    )
    parser.add_argument("--team", required=True, help="small letters, digits and single '-'")
    parser.add_argument("--name", required=True, help="of the agent, likewise")
    parser.add_argument("--contact", required=True, help="an address or a page")
    parser.add_argument("--licence", required=True, help="of the agent's code, such as MIT")
    parser.add_argument("--about", required=True, help="the agent in a sentence")
    parser.add_argument("--round", metavar="NAME", help="default: the only open round")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="default: today")
    parser.add_argument("--cpu", help="what the runs were made on (default: this machine's)")
    parser.add_argument("--accelerator", default="none", help="likewise (default: %(default)s)")
    parser.add_argument(
        "--repeats",
        choices=("bitwise", "statistically"),
        help="how exactly the agent repeats itself on another machine (default: as its imports suggest)",
    )
    add_leaderboard(parser)
    parser.set_defaults(call=run_new)


def _processor() -> str:
    """Return this machine's processor as its system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), "") or platform.processor() or platform.machine() or "unknown"
