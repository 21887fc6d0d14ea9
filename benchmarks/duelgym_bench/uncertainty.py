"""How far an agent's uncertainty can be trusted: its sampled utilities against the simulator, on held-out duels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym.generators import QuestionSource
from duelgym.metrics import Judged, LabelGroups, excess_nll, marginal_groups, polyadic_groups

N_SAMPLES = 100
"""Asked of every agent: an ensemble of 10 gives each particle ten times, which is exact; a Gaussian gives 100 draws."""
KINDS = ("marginal", "dyadic")


@dataclass(frozen=True)
class HeldOutDuels:
    """One random pair of each assessment question, the same for all agents of a seed and at all checkpoints.

    Attributes:
        contexts: the questions with the two candidates of their pair alone, so that many samples cost little.
        probabilities: that the first is preferred, by the simulator's judgement: free of flips and of the order shown.
        groups: marginal and dyadic groups of labels.
    """

    contexts: Contexts
    probabilities: Float64[np.ndarray, " duels"]
    groups: dict[str, LabelGroups]

    @classmethod
    def drawn(
        cls, held_out: Judged, generator: QuestionSource, rng: np.random.Generator, *, texts: bool
    ) -> HeldOutDuels | None:
        """Return the duels of an episode; None where nothing can be compared or scored."""
        n_duels, n_candidates = held_out.questions.candidate_ids.shape
        if n_candidates < 2 or n_duels < 2 or not held_out.simulator.has_judgement:
            return None
        pairs = np.argsort(rng.random((n_duels, n_candidates)), axis=1)[:, :2]
        return cls(
            generator.contexts(held_out.questions.only(pairs), texts=texts),
            np.clip(held_out.probability(pairs[:, 0], pairs[:, 1]), 0, 1),  # which rounding may leave
            {"marginal": marginal_groups(n_duels), "dyadic": polyadic_groups(n_duels, rng)},
        )

    def excess_nll(self, agent: Any, rng: np.random.Generator) -> dict[str, float]:
        """Return the marginal and the dyadic excess NLL of an agent with ``sample_utilities``, in nats per group.

        Raises:
            SpecificationError: if its samples have another shape, or are not finite.
        """
        utilities = np.asarray(agent.sample_utilities(self.contexts, N_SAMPLES, rng))
        shape = (N_SAMPLES, len(self.contexts), 2)
        if utilities.shape != shape or utilities.dtype.kind != "f":
            raise SpecificationError(f"floats of shape {shape} are needed, not {utilities.dtype} of {utilities.shape}")
        logits = utilities[:, :, 0] - utilities[:, :, 1]
        return {kind: excess_nll(logits, self.probabilities, groups) for kind, groups in self.groups.items()}
