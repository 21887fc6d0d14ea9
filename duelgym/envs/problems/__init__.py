"""Problems, one module a kind of candidates, and the table of their names. Built from plain JSON."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import numpy as np

from duelgym.envs.problems.live import llm_duel_live
from duelgym.envs.problems.problem import Problem
from duelgym.envs.problems.recorded import EMBEDDED_PROBLEM, alpaca_eval, llm_duel, pool_duel
from duelgym.envs.problems.synthetic import synthetic
from duelgym.errors import SpecificationError

__all__ = ["EMBEDDED_PROBLEM", "PROBLEMS", "Problem", "build_problem"]

OF_ANY = ("budget", "render_mode", "reward", "text")
"""What every environment takes, whatever its problem."""
PROBLEMS: Mapping[str, Callable[..., Problem]] = {
    "alpaca_eval": alpaca_eval,
    EMBEDDED_PROBLEM: llm_duel,
    "llm_duel_live": llm_duel_live,
    "pool": pool_duel,
    "synthetic": synthetic,
}


def build_problem(name: str, arguments: Mapping[str, object]) -> Problem:
    """Build a problem by its name in :data:`PROBLEMS`, for example ``"synthetic"``; numpy's numbers count as Python's.

    Raises:
        SpecificationError: on an unknown problem, or an argument that it does not take.
    """
    if name not in PROBLEMS:
        raise SpecificationError(f"no problem is called {name!r}; known: {', '.join(PROBLEMS)}")
    builder = PROBLEMS[name]
    allowed = inspect.signature(builder).parameters
    unknown = sorted(set(arguments) - set(allowed))
    if unknown:
        raise SpecificationError(
            f"{', '.join(unknown)}: not an argument of this environment; it takes {', '.join(sorted({*allowed, *OF_ANY}))}"
        )
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in arguments.items()}
    return builder(**plain)
