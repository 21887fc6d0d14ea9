"""Recipe of the embedded raters: who likes which attributes, and on which scale."""

from __future__ import annotations

import numpy as np

from duelgym.errors import SpecificationError
from duelgym.pools import CandidatePool
from duelgym.simulators.attributes import Population
from duelgym.world.rubric import ATTRIBUTES

LIKED = 4
"""The first attributes are liked by all; in the others tastes differ."""


def population(pilot: CandidatePool, *, liked_scale: float) -> Population:
    """Return the population whose spreads are those of a pilot pool's attributes between answers to one prompt.

    Args:
        pilot: recorded like the pool to come, with fewer prompts and answers.
        liked_scale: weight of what all like beside the tastes: the larger, the more a policy gains that knows no rater.

    Raises:
        SpecificationError: if the pool's attributes are not the world's, or one of them never varies.
    """
    if pilot.attributes != ATTRIBUTES:
        raise SpecificationError(
            f"pool {pilot.name!r} has attributes {', '.join(pilot.attributes)}; the world's are {', '.join(ATTRIBUTES)}"
        )
    values = pilot.utilities(np.arange(pilot.n_prompts))
    spread = np.sqrt(np.var(values, axis=1, ddof=1).mean(axis=0))
    if not spread.min() > 0:
        raise SpecificationError(
            f"pool {pilot.name!r}: {ATTRIBUTES[int(spread.argmin())]!r} is the same for all answers"
        )
    return Population(
        ATTRIBUTES[:LIKED], ATTRIBUTES[LIKED:], tuple(round(float(value), 4) for value in spread), liked_scale
    )
