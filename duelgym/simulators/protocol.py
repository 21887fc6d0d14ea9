"""What a preference simulator is given and what it must answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True)
class Duels:
    """Pairs of responses put before a rater, in the order in which they are shown.

    Attributes:
        prompt_ids: which prompt (row of the pool, or number of the query where prompts are drawn afresh).
        candidate_ids: which two responses (columns of the pool), (first shown, second shown).
        utilities: the hidden rater's utility of the two responses; None where the rater has no utilities.
        queries: number t of the query, from 0; -1 where the pair is scored rather than asked about.
        rng: for the simulator's own draws; None while scoring.
        texts: (prompt, first, second) for each pair; only for simulators with ``needs_texts``.
    """

    prompt_ids: Int64[np.ndarray, " batch"]
    candidate_ids: Int64[np.ndarray, "batch 2"]
    utilities: Float64[np.ndarray, "batch 2"] | None
    queries: Int64[np.ndarray, " batch"]
    rng: np.random.Generator | None = None
    texts: tuple[tuple[str, str, str], ...] | None = None


@runtime_checkable
class PreferenceSimulator(Protocol):
    """Answers duels. ``probability`` draws the labels, ``judgement`` scores what was chosen.

    Attributes:
        symmetric: P(i before j) + P(j before i) = 1, so the order of showing does not matter.
        follows_utility: ``judgement`` rises with the utility difference, so that the Borda, Condorcet and
            von Neumann winners all are the response of highest utility (methods: Bradley-Terry).
        needs_texts: ``Duels.texts`` must be filled.
    """

    symmetric: bool
    follows_utility: bool
    needs_texts: bool

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability that the first shown is preferred, as the label will be drawn."""
        ...

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability that the first is better, free of noise in the asking (flips, drift, position)."""
        ...

    def specification(self) -> list[dict[str, object]]:
        """Return the JSON list from which ``simulator_from_specification`` builds an equal simulator."""
        ...
