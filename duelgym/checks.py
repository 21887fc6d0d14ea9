"""Numbers and texts, checked alike wherever they are given."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Collection

import numpy as np

from duelgym.errors import DuelgymError, SpecificationError


def whole_number(
    name: str, value: object, least: int = 1, *, most: int | None = None, error: type[DuelgymError] = SpecificationError
) -> int:
    """Return the value as an int.

    Raises:
        DuelgymError: of the kind given, if it is not a whole number from ``least`` to ``most``.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if whole and least <= value and (most is None or value <= most):  # type: ignore[operator]
        return int(value)  # type: ignore[call-overload]
    limit = "" if most is None else f" and at most {most}"
    raise error(f"{name} is {value!r}; it must be a whole number of at least {least}{limit}")


def finite_number(
    name: str,
    value: object,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    error: type[DuelgymError] = SpecificationError,
) -> float:
    """Return the value as a float.

    Raises:
        DuelgymError: of the kind given, if it is not a finite number from ``low`` to ``high``.
    """
    if _is_finite(value) and low <= value <= high:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    span = f" from {low:g}" * (low > -math.inf) + f" to {high:g}" * (high < math.inf)
    raise error(f"{name} is {value!r}; it must be a finite number{span}")


def positive_number(
    name: str, value: object, *, most: float = math.inf, error: type[DuelgymError] = SpecificationError
) -> float:
    """Return the value as a float.

    Raises:
        DuelgymError: of the kind given, if it is not a finite number above 0 and up to ``most``.
    """
    if _is_finite(value) and 0 < value <= most:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    allowed = "positive finite number" if math.isinf(most) else f"number above 0 and at most {most:g}"
    raise error(f"{name} is {value!r}; it must be a {allowed}")


def flag(name: str, value: object, *, error: type[DuelgymError] = SpecificationError) -> bool:
    """Return the value.

    Raises:
        DuelgymError: of the kind given, if it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise error(f"{name} is {value!r}; it must be True or False")
    return value


def check_settings(
    what: str,
    builder: Callable[..., object],
    settings: Collection[str],
    *,
    supplied: Collection[str] = (),
    also: Collection[str] = (),
) -> None:
    """Refuse settings that a builder does not take, and the lack of those that it needs.

    Args:
        what: is built.
        builder: of which the parameters count.
        settings: names of those given.
        supplied: parameters that are not the caller's to give.
        also: settings that are read before the builder, for the message alone.

    Raises:
        SpecificationError: saying what was given and what is taken.
    """
    taken = {name: part for name, part in inspect.signature(builder).parameters.items() if name not in supplied}
    needed = {name for name, part in taken.items() if part.default is inspect.Parameter.empty}
    if not needed <= set(settings) <= set(taken):
        missing = needed - set(settings)
        takes = ", ".join(repr(name) + " (missing)" * (name in missing) for name in (*taken, *also)) or "nothing"
        raise SpecificationError(f"{what} was given {sorted(settings)}; it takes {takes}")


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can hold a text: JSON can spell half of a surrogate pair, which it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_finite(value: object) -> bool:
    # Python's integers can be larger than any float, which math.isfinite does not take.
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max  # type: ignore[arg-type]
