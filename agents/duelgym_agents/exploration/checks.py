"""Checking the settings of rules."""

from __future__ import annotations

import math

from duelgym.errors import SpecificationError


def check_number(name: str, value: object, *, above: float | None = None, at_least: float | None = None) -> None:
    """Refuse a setting that is not a finite number above, or at least, a bound.

    Raises:
        SpecificationError: naming the setting, what was given and what is allowed.
    """
    valid = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if valid and (above is None or value > above) and (at_least is None or value >= at_least):  # type: ignore[operator]
        return
    bound = f"above {above}" if above is not None else f"at least {at_least}"
    raise SpecificationError(f"{name} is {value!r}; it must be a finite number {bound}")


def check_count(name: str, value: object, *, at_least: int) -> None:
    """Refuse a setting that is not an integer of at least a bound.

    Raises:
        SpecificationError: naming the setting, what was given and what is allowed.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise SpecificationError(f"{name} is {value!r}; it must be an integer, at least {at_least}")


def check_flag(name: str, value: object) -> None:
    """Refuse a setting that is neither True nor False.

    Raises:
        SpecificationError: naming the setting and what was given.
    """
    if not isinstance(value, bool):
        raise SpecificationError(f"{name} is {value!r}; it must be True or False")
