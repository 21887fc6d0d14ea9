"""The rater without noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from duelgym.simulators.protocol import Duels, required_utilities


@dataclass(frozen=True)
class Deterministic:
    """P(first preferred) = 1 if u_first > u_second, 0 if u_first < u_second, 1/2 if they are equal.

    The limit of Bradley-Terry as the temperature goes to 0. A wrapper that adds to the logit moves only exact ties.
    """

    symmetric = True
    follows_utility = True
    has_judgement = True
    needs_texts = False

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return 1, 0 or 1/2."""
        utilities = required_utilities("deterministic", duels)
        return 0.5 + 0.5 * np.sign(utilities[:, 0] - utilities[:, 1])

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the same as :meth:`probability`."""
        return self.probability(duels)

    def specification(self) -> list[dict[str, object]]:
        """Return ``[{"name": "deterministic"}]``."""
        return [{"name": "deterministic"}]
