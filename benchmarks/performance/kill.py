"""Runs that are killed at random moments and started again: do their logs equal those of runs left in peace, byte for byte?

    python benchmarks/performance/kill.py

Runs two agents, of which the second keeps no state and so starts anew, on two seeds without a disturbance. Then gives the
same command again and again, each time with kill -9 at a random moment, of the command or of one of its worker processes,
until there have been 20 kills. Moments are drawn between those at which the undisturbed command began to write and ended.
Whatever is finished meanwhile is compared, file by file, and begun anew. Exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from duelgym.rounds import read_members

STATELESS = """
from duelgym_agents.registry import make_agent


class Stateless:
    def __init__(self, agent):
        self.select_pairs, self.observe, self.recommend = agent.select_pairs, agent.observe, agent.recommend


def infomax(**arguments):
    return Stateless(make_agent("infomax+bayesian_linear", **arguments))
"""
AGENTS = "ee2024-double_thompson,stateless:infomax"


def command(out: Path, queries: int) -> subprocess.Popen[str]:
    """Start the runs in a directory, or let them go on."""
    given = [
        "run",
        "--env",
        "SyntheticDuel-v0",
        "--agents",
        AGENTS,
        "--queries",
        str(queries),
        "--seeds",
        "2",
        "--no-check",
    ]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}  # a killed command's semaphores are reported as leaked
    return subprocess.Popen(
        [sys.executable, "-m", "duelgym_bench.cli", *given, "--jobs", "2", "--out", str(out)],
        cwd=out.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers_of(pid: int) -> list[int]:
    """Return a command's worker processes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def contents(out: Path) -> dict[str, bytes | None]:
    """Return every file of every run, by name; None for timings, which are never equal."""
    paths = [path for path in sorted((out / "runs").rglob("*")) if path.is_file()]
    return {str(path.relative_to(out)): None if path.name == "timings.jsonl" else path.read_bytes() for path in paths}


def queries_logged(out: Path) -> int:
    """Return how many queries the logs hold, torn ends left out."""
    logs = (out / "runs").glob("*/queries.jsonl.gz")
    return sum(max(0, "".join(read_members(log).texts).count("\n") - 1) for log in logs)


def differing(out: Path, whole: dict[str, bytes | None]) -> list[str]:
    """Return the names of the files that are missing, foreign or not equal."""
    here = contents(out)
    return sorted(name for name in here.keys() | whole.keys() if here.get(name, b"") != whole.get(name, b""))


def main() -> None:
    """Kill, resume, compare and print; the exit status says whether all was equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many (20)")
    parser.add_argument("--queries", type=int, default=480, help="labels of every run (480)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and victims (0)")
    options = parser.parse_args()
    rng, wrong, finished = np.random.default_rng(options.seed), set(), 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "stateless.py").write_text(STATELESS)
        started, undisturbed = time.monotonic(), Path(folder) / "undisturbed"
        process = command(undisturbed, options.queries)
        while process.poll() is None and not (undisturbed / "runs").exists():
            time.sleep(0.02)
        began = time.monotonic() - started
        if process.wait():
            sys.exit(f"the undisturbed command failed: {process.stderr.read() if process.stderr else ''}")
        duration, whole = time.monotonic() - started, contents(undisturbed)
        print(
            f"undisturbed: {began:.1f} to {duration:.1f} s, {queries_logged(undisturbed)} queries, {len(whole)} files",
            flush=True,
        )
        kills = 0
        while True:
            out = Path(folder) / f"killed-{finished}"
            process = command(out, options.queries)
            moment = rng.uniform(began, duration) if kills < options.kills else None
            try:
                _, errors = process.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                workers = workers_of(process.pid)
                victim, name = process.pid, "command"
                if workers and rng.random() < 0.5:
                    victim, name = int(rng.choice(workers)), "worker"
                os.kill(victim, signal.SIGKILL)
                _, errors = process.communicate()  # returns when the workers, which hold the pipe too, are gone
                kills += 1
                print(
                    f"kill {kills:2} after {moment:4.1f} s: {name:7}, {queries_logged(out):5} queries logged",
                    flush=True,
                )
                if "Traceback" in errors:
                    wrong.add(f"a traceback: {errors}")
                continue
            if process.returncode:
                wrong.add(f"the command failed: {errors}")
                break
            files, finished = differing(out, whole), finished + 1
            wrong.update(files)
            print(f"finished: {', '.join(files) or f'all {len(whole)} files equal'}", flush=True)
            if kills == options.kills:
                break
    print(f"{kills} kills, {finished} sets of runs finished; differing: {', '.join(sorted(wrong)) or 'none'}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
