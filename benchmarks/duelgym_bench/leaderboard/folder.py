"""A walk through a stranger's folder that follows no link, opens no file, and lets nothing by that has no place there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from duelgym_bench.leaderboard.failures import Failure, refuse
from duelgym_bench.leaderboard.records import SUBMISSION, CodePath

LOGS = ("queries.jsonl.gz", "recommendations.jsonl.gz")
LARGEST_FILE = 10_000_000
LARGEST_FOLDER = 500_000_000
MOST_FILES = 5000
CODE_SUFFIXES = (".cfg", ".json", ".md", ".py", ".safetensors", ".toml", ".txt")
CODE_NAMES = ("LICENCE", "LICENSE", "NOTICE", "README")
LAYOUT = f"a submission holds {SUBMISSION}, agent/… and runs/ENV/SEED/{{{','.join(LOGS)}}} alone: remove it"

_CODE_PATH = TypeAdapter(CodePath)
_DIRECTORY = re.compile(r"agent(/[^/]+){0,7}|runs(/[A-Za-z0-9_-]{1,64}(/[0-9]{3,4})?)?")
_RUN = re.compile(r"runs/[A-Za-z0-9_-]{1,64}/[0-9]{3,4}/(?:" + "|".join(map(re.escape, LOGS)) + ")")


def submission_files(root: Path) -> dict[str, Path]:
    """Return the files of a submission by their place in it, such as ``runs/SyntheticDuel-v0/000/queries.jsonl.gz``.

    Raises:
        RefusedError: naming links, special and hidden files, archives, what is too large, and whatever else has no place.
    """
    files: dict[str, Path] = {}
    failures: list[Failure] = []
    total = 0
    try:
        if not stat.S_ISDIR(root.lstat().st_mode):
            refuse([Failure(root.name, "is no directory", "name the directory of a submission, not a link to it")])
        for seen, (name, path, status) in enumerate(_walk(root, ""), start=1):
            failure = _failure(name, status)
            if failure is not None:
                failures.append(failure)
            elif stat.S_ISREG(status.st_mode):
                files[name] = path
                total += status.st_size
            if seen > MOST_FILES or total > LARGEST_FOLDER:
                most = f"{MOST_FILES} files or {LARGEST_FOLDER} bytes"
                failures.append(Failure(root.name, f"holds more than {most}", "submit logs and code alone"))
                break
        else:
            if SUBMISSION not in {*files, *(failure.where for failure in failures)}:
                failures.append(Failure(SUBMISSION, "is missing", "let 'duelgym-bench submission new' write it"))
    except FileNotFoundError:
        failures.append(Failure(str(root), "does not exist", "name the directory of a submission"))
    except OSError as error:
        where = str(error.filename or root).removeprefix(f"{root}/")
        failures.append(Failure(where, f"cannot be read ({error.strerror})", "make it readable"))
    refuse(sorted(failures, key=lambda failure: failure.where))
    return dict(sorted(files.items()))


def _walk(directory: Path, prefix: str) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Yield what a directory holds, and what those of its directories hold that have a place in a submission."""
    with os.scandir(directory) as entries:
        for entry in entries:
            name, status = prefix + entry.name, entry.stat(follow_symlinks=False)
            yield name, Path(entry.path), status
            if stat.S_ISDIR(status.st_mode) and _failure(name, status) is None:
                yield from _walk(Path(entry.path), f"{name}/")


def _failure(name: str, status: os.stat_result) -> Failure | None:
    """Return why something has no place in a submission; None if it has one."""
    if stat.S_ISDIR(status.st_mode):
        hidden = any(part.startswith(".") for part in name.split("/"))
        misplaced = hidden or not _DIRECTORY.fullmatch(name)
        return Failure(name, "is a directory that has no place here", LAYOUT) if misplaced else None
    if not stat.S_ISREG(status.st_mode):
        what = "a link" if stat.S_ISLNK(status.st_mode) else "no plain file"
        return Failure(name, f"is {what}", "submit plain files alone")
    if status.st_size > LARGEST_FILE:
        return Failure(name, f"has {status.st_size} bytes", f"no file may have more than {LARGEST_FILE}")
    if name == SUBMISSION or _RUN.fullmatch(name):
        return None
    if not name.startswith("agent/"):
        return Failure(name, "is a file that has no place here", LAYOUT)
    inside = name.removeprefix("agent/")
    try:
        _CODE_PATH.validate_python(inside)
    except ValidationError:
        allowed = "letters, digits, '_', '-' and '.', not at its start, in at most 8 levels"
        return Failure(name, "has a name that is not allowed", f"use {allowed}")
    if Path(inside).suffix not in CODE_SUFFIXES and Path(inside).name not in CODE_NAMES:
        kinds = ", ".join((*CODE_SUFFIXES, *CODE_NAMES))
        return Failure(name, "is of a kind that is not allowed", f"an agent may hold {kinds}")
    return None
