"""Whether every context and preference in a submission's logs is what the environment gives, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from tqdm import tqdm

from duelgym.errors import LogError
from duelgym.rounds import read_queries
from duelgym.rounds.replay import replayed
from duelgym_bench.executors.processes import workers
from duelgym_bench.leaderboard.check import Checked, check
from duelgym_bench.leaderboard.failures import Failure, refuse
from duelgym_bench.leaderboard.logs import failure_of


def replay(folder: Path, root: Path, *, jobs: int) -> Checked:
    """Check a submission, then replay all of its logs.

    Args:
        folder: of the submission.
        root: of the leaderboard.
        jobs: number of processes.

    Raises:
        RefusedError: with all that is wrong; of every log that does not replay, the first line that differs.
        LogError: if a process is killed.
    """
    checked = check(folder, root)
    runs = [(env, index) for env in checked.plans for index in range(checked.round.seeds)]
    if jobs == 1:
        refuse(_found(map(partial(_replayed, checked), runs), len(runs)))
        return checked
    try:
        with workers(min(jobs, len(runs))) as pool:
            refuse(_found(pool.map(partial(_replayed, checked), runs), len(runs)))
    except BrokenProcessPool:
        raise LogError(f"{folder}: a process was killed (out of memory?); repeat with fewer --jobs") from None
    return checked


def _found(failures: Iterable[Failure | None], total: int) -> list[Failure]:
    bar = tqdm(failures, total=total, desc="replaying", disable=None, unit="")
    return [failure for failure in bar if failure is not None]


def _replayed(checked: Checked, run: tuple[str, int]) -> Failure | None:
    """Return the first line of a log that is not what the environment gives, as a failure."""
    env, index = run
    path, session = checked.directory(env, index).queries, checked.plans[env].session(index)
    try:
        for _ in replayed(read_queries(path), session.problem, session, str(path)):
            pass
    except LogError as error:
        return failure_of(error, path, path.relative_to(checked.folder).as_posix())
    return None
