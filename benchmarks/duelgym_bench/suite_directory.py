"""Which suite a directory of runs holds: written down once, and read again by reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duelgym.errors import SpecificationError
from duelgym_bench.files import write_atomically
from duelgym_bench.locks import is_unused
from duelgym_bench.suite import Suite

SUITE = "suite.json"


@dataclass(frozen=True)
class SavedSuite:
    """What a directory says of the suite it holds; one that holds a plan has a single experiment.

    Attributes:
        title: of all experiments.
        about: what the suite asks.
        varies: the argument whose values the experiments have, or None.
        values: experiment -> its value, or None.
        directories: experiment -> where its runs lie.
    """

    title: str
    about: str
    varies: str | None
    values: Mapping[str, float | str | None]
    directories: Mapping[str, Path]


def check_suite(suite: Suite, out: Path) -> None:
    """Check that a directory can hold a suite; it may hold it already, under another title.

    Raises:
        SpecificationError: if it holds another, or anything else.
    """
    if len(suite.experiments) == 1:  # its plan says all
        return
    path = out / SUITE
    if path.exists():
        try:
            same = {**json.loads(path.read_text()), "title": suite.title} == _content(suite)
        except (ValueError, TypeError):
            same = False
        if not same:
            raise SpecificationError(f"{out} holds another suite, or another version of it; give a new --out")
    elif not is_unused(out):
        raise SpecificationError(f"{out} is not empty and holds no {SUITE}; give a new --out")


def save_suite(suite: Suite, out: Path) -> None:
    """Write down which suite a directory holds; of a single experiment its plan says all.

    Raises:
        SpecificationError: as :func:`check_suite`.
    """
    check_suite(suite, out)
    if len(suite.experiments) > 1:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / SUITE, json.dumps(_content(suite), indent=1) + "\n")


def _content(suite: Suite) -> dict[str, Any]:
    content = {field: getattr(suite, field) for field in ("name", "title", "about", "varies")}
    return content | {"experiments": {each.name: each.value for each in suite.experiments}}


def saved_suite(out: Path) -> SavedSuite:
    """Return what :func:`save_suite` wrote, if anything.

    Raises:
        SpecificationError: if it cannot be read.
    """
    path = out / SUITE
    if not path.exists():
        return SavedSuite("", "", None, {out.name: None}, {out.name: out})
    try:
        content = json.loads(path.read_text())
        values = dict(content["experiments"])
        directories = {name: out / name for name in values}
        return SavedSuite(content["title"], content["about"], content["varies"], values, directories)
    except (json.JSONDecodeError, TypeError, ValueError, KeyError) as error:
        raise SpecificationError(f"{path} cannot be read ({error}); it was not written by this version") from None
