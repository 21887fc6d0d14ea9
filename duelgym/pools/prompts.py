"""Prompt files: one prompt a line, or one JSON object a line."""

from __future__ import annotations

import json
import os
from pathlib import Path

from duelgym.checks import is_unicode
from duelgym.errors import PoolError
from duelgym.pools.splits import shorten


def read_prompts(path: str | os.PathLike[str]) -> list[str]:
    """Return the prompts of a file, in its order.

    Args:
        path: a ``.jsonl`` file, each line an object with a string ``prompt``; or any other text file in UTF-8, each line
            a prompt.

    Raises:
        PoolError: if the file is not UTF-8, holds no prompt, or a line is empty, not what it must be, or there twice.
        OSError: if the file cannot be read.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise PoolError(f"{path}: not text in UTF-8; convert it") from None
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise PoolError(f"{path}: holds no prompts; write one a line")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\r")
        prompt = _json_prompt(line, f"{path}, line {number}") if path.suffix == ".jsonl" else line
        if not prompt.strip():
            raise PoolError(f"{path}, line {number}: the prompt is empty; remove the line")
        if not is_unicode(prompt):
            raise PoolError(f"{path}, line {number}: {shorten(prompt)} holds half of a surrogate pair; mend the line")
        if prompt in seen:
            raise PoolError(
                f"{path}, line {number}: {shorten(prompt)} is already on line {seen[prompt]}; each prompt may be there once"
            )
        seen[prompt] = number
    return list(seen)


def _json_prompt(line: str, place: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        raise PoolError(f'{place}: must be a JSON object with a string "prompt"; got {shorten(line)}')
    return entry["prompt"]
