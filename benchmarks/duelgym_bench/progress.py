"""Progress with the time left: a line for all runs together, and under it one for each that goes on."""

from __future__ import annotations

import shutil
from types import TracebackType

from tqdm import tqdm

from duelgym_bench.executors.work import Advanced, Ended
from duelgym_bench.plan import Task

_MOST_LINES = 16


class Progress:
    """Lines on a terminal, as many as it has room for; nothing where standard error is none.

    A run that resumes, or is tried again, counts from where its new attempt is.

    Args:
        queries: of every run.
        runs: of the plan.
        waiting: how many of them are not finished.
    """

    def __init__(self, queries: int, runs: int, waiting: int) -> None:
        self._queries = queries
        self._lines: dict[Task, tqdm] = {}
        self._answered: dict[Task, int] = {}
        self._ended: set[Task] = set()
        self._all = tqdm(
            total=runs * queries,
            initial=(runs - waiting) * queries,
            unit=" queries",
            desc=f"{waiting} of {runs} runs",
            disable=None,
            smoothing=0.05,
            dynamic_ncols=True,
            position=0,
        )
        room = 0 if self._all.disable else min(_MOST_LINES, shutil.get_terminal_size().lines - 2)
        self._free = list(range(room, 0, -1))

    def advance(self, event: Advanced) -> None:
        """Show how far a run is."""
        if event.task not in self._ended:  # what a worker tells may come later than that it has ended
            self._show(event.task, event.queries)

    def end(self, event: Ended) -> None:
        """Take a run's line away; one that failed counts no further."""
        if event.failure is None:
            self._show(event.task, self._queries)
        self._ended.add(event.task)
        line = self._lines.pop(event.task, None)
        if line is not None:
            self._free.append(-line.pos)
            line.close()

    def _show(self, task: Task, queries: int) -> None:
        self._all.update(queries - self._answered.get(task, 0))
        self._answered[task] = queries
        if task not in self._lines and self._free and queries < self._queries:
            self._lines[task] = tqdm(
                total=self._queries,
                initial=queries,
                desc=task.name,
                unit=" queries",
                leave=False,
                bar_format="  {remaining} left, {n_fmt}/{total_fmt}, {rate_fmt}  {desc}",  # a narrow terminal cuts the end
                dynamic_ncols=True,
                position=self._free.pop(),
            )
        elif task in self._lines:
            self._lines[task].update(queries - self._lines[task].n)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._lines.values():
            line.close()
        self._all.close()
