"""Recording in several processes, each with the same number of threads, so that their number changes nothing."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from duelgym.errors import PoolError
from duelgym.pools.splits import shorten

if TYPE_CHECKING:
    from duelgym.pools.shards import Recipe


def recorded(recipe: Recipe, prompts: Sequence[str], *, workers: int, threads: int) -> Iterator[tuple[str, bytes]]:
    """Yield (prompt, shard) as the shards come in.

    When a prompt fails no other is begun, but those already begun are finished and yielded before the error is raised.

    Args:
        recipe: how to record a prompt.
        prompts: all different.
        workers: number of processes; 0 records in this one, with the threads it has.
        threads: of each worker.

    Raises:
        PoolError: if a prompt cannot be recorded or a worker was killed, naming the prompt.
    """
    if workers == 0:
        yield from ((prompt, recipe.record(prompt)) for prompt in prompts)
        return
    waiting, failure = list(reversed(prompts)), ""
    with contextlib.ExitStack() as stack:
        busy: dict[Connection, str] = {}
        for _ in range(min(workers, len(prompts))):
            connection = stack.enter_context(_worker(recipe, threads))
            busy[connection] = waiting.pop()
            connection.send(busy[connection])
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)  # nothing else was put into the dictionary
                prompt = busy.pop(ready)
                try:
                    result = ready.recv()
                except (EOFError, OSError):
                    result = f"the process that recorded prompt {shorten(prompt)} ended without a result (killed? out of memory?)"
                if isinstance(result, str):
                    failure = failure or result
                    continue
                yield prompt, result
                if waiting and not failure:
                    busy[ready] = waiting.pop()
                    ready.send(busy[ready])
    if failure:
        raise PoolError(failure)


@contextlib.contextmanager
def _worker(recipe: Recipe, threads: int) -> Iterator[Connection]:
    """Start a process that answers prompts with shards; end it at once when the context ends."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, recipe, threads), daemon=True)
    with _without_interrupts():
        process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
        ours.close()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C for a moment: a process started meanwhile ignores it from the first, as its parent will end it."""
    if threading.current_thread() is not threading.main_thread():  # others may not say what signals do
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(connection: Connection, recipe: Recipe, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where it was not started by a main thread
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for library in ("OMP", "MKL", "OPENBLAS"):  # read when torch is imported, which happens with the first prompt
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the parent is gone
        while True:
            prompt = connection.recv()
            try:
                connection.send(recipe.record(prompt))
            except PoolError as error:
                connection.send(str(error))


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, lest it computes for nobody."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it runs in workers alone
    wait([parent.sentinel])
    os._exit(1)
