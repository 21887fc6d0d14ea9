"""Oracle: the two truly best. For ceilings only; no agent can be made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from duelgym.errors import SpecificationError
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class Oracle:
    """Compares the best and the second best candidate by true utility.

    It shows how little regret a pair of two different candidates can have. Only whoever scores a run has true
    utilities; observations carry none. That it ``reads`` "truth" keeps it out of agents: they refuse the rule when
    they are built, and no registered agent has it. Equals are decided at random.
    """

    name: ClassVar[str] = "oracle"
    reads: ClassVar[Literal["truth"]] = "truth"

    def __call__(self, utilities: Float[np.ndarray, "1 batch n_candidates"], rng: np.random.Generator) -> Selection:
        """Return the best and the second best, in this order.

        Raises:
            SpecificationError: if there is more or less than one utility per candidate.
        """
        n_samples, batch, n_candidates = utilities.shape
        if n_samples != 1:
            raise SpecificationError(f"oracle was given {n_samples} utilities a candidate; it takes one, the true one")
        order = np.lexsort((rng.random((batch, n_candidates)), -utilities[0]), axis=1)
        return Selection(order[:, :2])
