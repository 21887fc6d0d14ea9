"""The harness's handle of an isolated agent's process: asking it, and saying in one line what became of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from duelgym.errors import SpecificationError
from duelgym_bench.isolation.launch import Isolation, launch
from duelgym_bench.isolation.wire import Announced, Channel, WireError

_PATIENCE = 10.0  # seconds, for the guard to say how the agent ended
_NOTICED = 5.0  # seconds that an agent has to end after its connection has; then it is ended
_SHOWN = 300  # characters of what comes from the agent, in a message


class IsolationError(SpecificationError):
    """An isolated agent failed, broke its limits or its contract; the message names it and what it was asked."""


@dataclass(frozen=True)
class Expected:
    """An array that an answer must hold.

    Attributes:
        name: its name.
        kinds: numpy's letters for the kinds of number that are allowed.
        shape: the only shape that is allowed.
    """

    name: str
    kinds: str
    shape: tuple[int, ...]


class AgentProcess:
    """A process in which one agent lives; it ends with this object, on failure, or with :meth:`close`.

    Args:
        who: how messages call the agent.
        name: of the agent, as :func:`duelgym_agents.registry.make_agent` takes it.
        arguments: of its factory, plain JSON.
        isolation: how it is isolated.

    Attributes:
        missing: what of the isolation could not be had, in words.

    Raises:
        SpecificationError: if the process cannot be started as it should be.
    """

    def __init__(self, who: str, name: str, arguments: Mapping[str, Any], isolation: Isolation) -> None:
        self.who, self.limits = who, isolation.limits
        self._guard, self.missing = launch(who, name, arguments, isolation)
        self._channel = Channel(self._guard.wire, self.limits.message)
        self._failure: IsolationError | None = None

    def ask(
        self,
        call: str,
        arrays: Mapping[str, np.ndarray] | None = None,
        *,
        expected: Sequence[Expected] | None = (),
        seconds: float | None = None,
        **fields: object,
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Let the agent do something; return what it answers: other fields, and arrays of which only the type is sure.

        Args:
            call: what it shall do.
            arrays: what it gets.
            expected: the arrays of its answer; None: any.
            seconds: how long it may take; None: as the limits say.
            fields: more of the message, plain JSON.

        Raises:
            IsolationError: if it fails in any way, which ends its process, or has failed before.
        """
        if self._failure is not None:
            raise self._failure
        seconds = self.limits.call_seconds if seconds is None else seconds
        deadline = time.monotonic() + seconds
        try:
            self._channel.send({"call": call, **fields}, arrays or {}, deadline)
            answer, announced = self._channel.receive_header(deadline)
            if "error" in answer:
                self.fail(call, _printable(answer["error"]))
            if expected is not None:
                self._check(call, announced, expected)
            return answer, self._channel.receive_arrays(announced, deadline)
        except TimeoutError:
            self.fail(call, f"took longer than the {seconds:g} s that it may")
        except WireError as error:
            self.fail(call, f"sent {error}")
        except (EOFError, OSError):
            self.fail(call, None)
        except KeyboardInterrupt:  # its answer would be taken for that to the next call
            self.close()
            raise

    def fail(self, call: str, what: str | None) -> NoReturn:
        """End the process, and say why.

        Args:
            call: what it was asked.
            what: what it did wrong; None: it is gone, and its guard knows why.

        Raises:
            IsolationError: always.
        """
        report = self._guard.told(_NOTICED) if what is None else {}
        if not report:
            self._guard.hang_up()
            report = self._guard.told(_PATIENCE)
        what = report.get("reason") or what or _departure(report)
        message = f"{self.who}: {call}() {what}"
        if report.get("output"):
            message += f"; it wrote {report['written']} bytes, at last {_printable(report['output'], last=True)!r}"
        self._guard.end()
        self._failure = IsolationError(message)
        raise self._failure

    def close(self) -> None:
        """End the agent's process, and all that it has started."""
        self._guard.end()
        self._failure = self._failure or IsolationError(f"{self.who}: its process has been closed")

    def _check(self, call: str, announced: Mapping[str, Announced], expected: Sequence[Expected]) -> None:
        if set(announced) != {each.name for each in expected}:
            self.fail(call, "sent other arrays than it was asked for")
        for each in expected:
            given = announced[each.name]
            if given.dtype.kind not in each.kinds or given.shape != each.shape:
                wanted = "floating-point numbers" if "f" in each.kinds else "whole numbers"
                self.fail(
                    call, f"answered {given.dtype} of shape {given.shape}; {wanted} of shape {each.shape} are needed"
                )


def _departure(report: Mapping[str, Any]) -> str:
    """Return what became of an agent that is gone, as its guard tells it."""
    if not report:
        return "did not return, and its guard does not say why"
    if not report["ended"]:
        return "closed its connection"
    status = report["status"]
    for number in signal.Signals:
        if status == 128 + number:
            return f"did not return: its process was killed by {number.name}"
    return "did not return: its process ended" + (f" with exit status {status}" if status else "")


def _printable(text: object, *, last: bool = False) -> str:
    """Return some of what an agent says, on one line and without anything that a terminal would obey."""
    words = " ".join(str(text).split())
    shown = words[-_SHOWN:] if last else words[:_SHOWN]
    return "".join(character if character.isprintable() else "?" for character in shown)
