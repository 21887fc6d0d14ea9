"""Errors whose message is meant for the person at the keyboard: what was given, what is allowed, what to do."""

from __future__ import annotations


class DuelgymError(ValueError):
    """Base of all errors that a user can cause and cure. Command lines print it as one line and exit with 1."""


class PoolError(DuelgymError):
    """A candidate pool, or the material that one is made from, is missing, damaged or inconsistent."""


class LogError(DuelgymError):
    """The log of a run is missing, torn, or does not agree with what replaying it gives."""


class DiskFullError(LogError):
    """A log cannot be written any further: the disk, a quota or a limit on file sizes leaves no room."""


class SpecificationError(DuelgymError):
    """An argument of an environment, simulator, agent or run is not one of the allowed ones."""


class GeneratorError(DuelgymError):
    """A language model, or a projection of its hidden states, cannot be loaded, or cannot answer a prompt."""


class EndpointError(DuelgymError):
    """A server that was asked over HTTP is down, slow, refuses, or answers something that cannot be used.

    Attributes:
        status: the HTTP status that it refused with; None where it was not that.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def one_line(error: BaseException) -> str:
    """Return an error as a command line prints it: in one line, and of a file that cannot be used its name first.

    >>> one_line(FileNotFoundError(2, "No such file or directory", "prompts.txt"))
    'prompts.txt: no such file or directory'
    """
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return " ".join(str(error).split())


def error_in_words(error: BaseException) -> str:
    """Return what somebody else's code raised, in one line that begins with the kind of error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
