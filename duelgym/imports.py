"""Code of one's own by name: ``package.module:NAME``, as command lines and specifications spell it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from duelgym.errors import SpecificationError, error_in_words


def imported(kind: str, name: str) -> Any:
    """Return what ``package.module:NAME`` names; the current directory is put on the import path, as on a command line.

    Args:
        kind: what it is meant to be, such as ``"agent"``; begins what is said of an error.
        name: of the module and, behind the colon, of something in it.

    Raises:
        SpecificationError: if importing it fails.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:
        raise SpecificationError(f"{kind} {name!r} cannot be imported: {error_in_words(error)}") from error


def imported_factory(kind: str, name: str) -> Callable[..., Any]:
    """Return the function or class that ``package.module:factory`` names, with the current directory on the import path.

    Args:
        kind: what the factory makes, such as ``"agent"``; begins what is said of an error.
        name: of the module and, behind the colon, of a function or class in it.

    Raises:
        SpecificationError: if importing it fails, or it cannot be called.
    """
    factory = imported(kind, name)
    if not callable(factory):
        raise SpecificationError(
            f"{kind} {name!r} is a {type(factory).__name__}, no function; write package.module:factory"
        )
    return factory
