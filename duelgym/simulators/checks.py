"""Settings of simulators, checked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError

if TYPE_CHECKING:
    from duelgym.simulators.protocol import Duels


def checked_number(
    simulator: str, name: str, value: object, *, low: float = -math.inf, high: float = math.inf
) -> float:
    """Return a setting as a float.

    Raises:
        SpecificationError: if it is not a finite number from ``low`` to ``high``.
    """
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low <= value <= high
    ):
        return float(value)
    span = f" from {low:g}" * (low > -math.inf) + f" to {high:g}" * (high < math.inf)
    raise SpecificationError(f"{simulator}: {name} is {value!r}; it must be a finite number{span}")


def checked_count(simulator: str, name: str, value: object, *, low: int) -> int:
    """Return a setting as an int.

    Raises:
        SpecificationError: if it is not a whole number of at least ``low``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise SpecificationError(f"{simulator}: {name} is {value!r}; it must be a whole number of at least {low}")
    return int(value)


def required_utilities(simulator: str, duels: Duels) -> Float64[np.ndarray, "batch 2"]:
    """Return the utilities of the two responses.

    Raises:
        SpecificationError: if there are none.
    """
    if duels.utilities is None:
        raise SpecificationError(f"the {simulator} simulator needs utilities; this environment has none")
    return duels.utilities
