"""An agent's code: copied, hashed and read for what it imports; never run."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from duelgym.errors import SpecificationError
from duelgym_agents.registry import composition
from duelgym_bench.files import sha256_of
from duelgym_bench.leaderboard.failures import Failure, RefusedError, refuse
from duelgym_bench.leaderboard.records import SUBMISSION, Submission

BINARY = (".safetensors",)
NAME_IT = f"put what is there into {SUBMISSION}, or let 'duelgym-bench submission new' write it"
Repeats = Literal["bitwise", "statistically"]
NOT_BITWISE = {"duelgym_agents", "jax", "stable_baselines3", "tensorflow", "torch", "transformers"}
"""Packages with which another machine need not give the same bits."""


def code_failures(files: Mapping[str, Path], submission: Submission) -> Iterator[Failure]:
    """Yield what is wrong with an agent's code and its name; the code is read, not run."""
    there = {name.removeprefix("agent/"): path for name, path in files.items() if name.startswith("agent/")}
    for name in sorted(there.keys() - submission.code.keys()):
        yield Failure(f"agent/{name}", f"is not named in {SUBMISSION}, field code", NAME_IT)
    for name, expected in submission.code.items():
        if name not in there:
            yield Failure(f"agent/{name}", "is missing", NAME_IT)
        elif (found := sha256_of(there[name])) != expected:
            yield Failure(f"agent/{name}", f"has sha256 {found[:16]}…, {SUBMISSION} says {expected[:16]}…", NAME_IT)
    for name, path in there.items():
        if path.suffix in BINARY:
            if not _is_safetensors(path):
                yield Failure(f"agent/{name}", "is not what its name says", "save weights with the package safetensors")
        elif not _is_text(path):
            yield Failure(f"agent/{name}", "is no text in UTF-8", "weights are .safetensors; all else is text")
    module, own, _ = submission.factory.partition(":")
    place = module.replace(".", "/")
    where = f"{SUBMISSION}, field factory"
    if own and (module == "sb3" or not {f"{place}.py", f"{place}/__init__.py"} & there.keys()):
        yield Failure(where, f"is {submission.factory}, which is not in agent/", f"submit agent/{place}.py")
    if not own:
        try:
            composition(submission.factory)
        except SpecificationError as error:
            yield Failure(where, str(error)[:300], "name an agent of the registry, or your own as module:factory")
        if there:
            yield Failure("agent", f"holds code, which {submission.factory} does not need", "leave it out")


def copy_code(path: Path, agent: Path) -> None:
    """Copy a file, or the Python files of a directory with their places in it.

    Raises:
        RefusedError: if there is none, or something of that name has been copied already.
    """
    if not path.exists():
        refuse([Failure(str(path), "does not exist", "name files and directories of the agent with --code")])
    inside = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    if not inside:
        refuse([Failure(str(path), "holds no .py file", "name files and directories of the agent with --code")])
    for file in inside:
        target = agent / file.relative_to(path.parent)
        if target.exists():
            refuse([Failure(str(file), "has the name of another file of --code", "rename one of them")])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def guessed_repeats(copied: Sequence[Path], agent: str) -> Repeats:
    """Return how exactly an agent repeats itself, as far as its imports say.

    Raises:
        RefusedError: if its code is no Python.
    """
    if ":" not in agent:
        return "statistically"
    for path in copied:
        if path.suffix != ".py":
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise RefusedError(Failure(path.name, f"is no Python ({error})", "put it right")) from None
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            if any(name.partition(".")[0] in NOT_BITWISE for name in names):
                return "statistically"
    return "bitwise"


def _is_safetensors(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return True
    except (SafetensorError, OSError):
        return False


def _is_text(path: Path) -> bool:
    try:
        return "\0" not in path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
