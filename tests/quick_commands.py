"""Commands given in this process, whose workers fork from one that has imported torch already.

A command in a process of its own imports torch, and so does each of its workers, which takes longer than most runs of these
tests. Tests about processes (kills, signals, what is left on a terminal) start real ones all the same.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import duelgym.cli
import duelgym_bench.cli

MAINS = {"duelgym": duelgym.cli.main, "duelgym-bench": duelgym_bench.cli.main}
PRELOADED = ["duelgym_bench.executors.processes", "duelgym_bench.probe", "duelgym_bench.scores"]


@contextlib.contextmanager
def quick_workers() -> Iterator[None]:
    """Let workers fork from a server that has imported what they need, where they would be spawned otherwise."""
    original = multiprocessing.get_context
    original("forkserver").set_forkserver_preload(PRELOADED)
    multiprocessing.get_context = lambda method=None: original("forkserver" if method == "spawn" else method)
    try:
        yield
    finally:
        multiprocessing.get_context = original


def give(folder: Path, command: str, *arguments: object) -> CompletedProcess[str]:
    """Give a command in a folder; a warning is an error, and what it changes in this process is undone.

    Args:
        folder: where one stands, and from where agents' modules are imported.
        command: ``duelgym`` or ``duelgym-bench``.
        arguments: its arguments.
    """
    given, output, errors = [str(argument) for argument in arguments], io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        warnings.catch_warnings(action="error"),
        _restored(folder),
        quick_workers(),
    ):
        status = MAINS[command](given)
    return CompletedProcess([command, *given], status, output.getvalue(), errors.getvalue())


def bench(folder: Path, *arguments: object, check: bool = True) -> CompletedProcess[str]:
    """Give a command of ``duelgym-bench`` in a folder, as :func:`give`; with ``check`` it must succeed."""
    done = give(folder, "duelgym-bench", *arguments)
    assert not check or done.returncode == 0, done.stderr
    return done


@contextlib.contextmanager
def _restored(folder: Path) -> Iterator[None]:
    """Undo what a command does to the path and the environment, and forget the modules of the folder."""
    path, environment = [*sys.path], dict(os.environ)
    importlib.invalidate_caches()  # the folder's modules may have been written a moment ago
    try:
        yield
    finally:
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)
        for name, module in [*sys.modules.items()]:
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(folder.resolve()):
                del sys.modules[name]
