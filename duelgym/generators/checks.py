"""What every generator asks of its settings and of a call."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from duelgym.errors import GeneratorError


def check_request(prompts: Sequence[str], n: int) -> None:
    """Refuse a call for nothing.

    Raises:
        GeneratorError: if there is no prompt, ``prompts`` is a string, or n is not a whole number from 1.
    """
    if isinstance(prompts, str) or len(prompts) == 0:
        raise GeneratorError(f"prompts is {prompts!r}; give a list of at least one prompt")
    check_whole("n", n)


def check_whole(name: str, value: object) -> None:
    """Refuse what is not a whole number of at least 1.

    Raises:
        GeneratorError: naming it.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise GeneratorError(f"{name} is {value!r}; it must be a whole number of at least 1")


def check_positive(name: str, value: object, *, highest: float) -> None:
    """Refuse what is not a number above 0 and up to ``highest``; an infinite ``highest`` asks for a finite one.

    Raises:
        GeneratorError: naming it.
    """
    valid = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (valid and math.isfinite(value) and 0 < value <= highest):  # type: ignore[arg-type, operator]
        limit = "finite" if math.isinf(highest) else f"at most {highest:g}"
        raise GeneratorError(f"{name} is {value!r}; it must be above 0 and {limit}")
