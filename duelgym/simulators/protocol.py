"""What a preference simulator is given and what it must answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

from duelgym.errors import SpecificationError


@dataclass(frozen=True)
class Duels:
    """Pairs of responses put before a rater, in the order in which they are shown.

    Attributes:
        prompt_ids: which prompt (row of the pool, or number of the query where prompts are drawn afresh).
        candidate_ids: which two responses (columns of the pool), (first shown, second shown).
        utilities: utility of the two responses for whoever is asked (for several raters, while scoring: their mean);
            None where there are no utilities.
        queries: number t of the query, from 0; -1 where the pair is scored rather than asked about.
        rng: for the simulator's own draws; None while scoring.
        texts: (prompt, first, second) for each pair; only for simulators with ``needs_texts``.
        lengths: length of the two responses in characters; only for simulators with ``needs_lengths``.
        all_utilities: utility of the two responses for every rater; only for simulators with ``n_raters`` above 1.
    """

    prompt_ids: Int64[np.ndarray, " batch"]
    candidate_ids: Int64[np.ndarray, "batch 2"]
    utilities: Float64[np.ndarray, "batch 2"] | None
    queries: Int64[np.ndarray, " batch"]
    rng: np.random.Generator | None = None
    texts: tuple[tuple[str, str, str], ...] | None = None
    lengths: Float64[np.ndarray, "batch 2"] | None = None
    all_utilities: Float64[np.ndarray, "batch 2 raters"] | None = None


def required_utilities(simulator: str, duels: Duels) -> Float64[np.ndarray, "batch 2"]:
    """Return the utilities of the two responses.

    Raises:
        SpecificationError: if there are none.
    """
    if duels.utilities is None:
        raise SpecificationError(f"the {simulator} simulator needs utilities; this environment has none")
    return duels.utilities


@runtime_checkable
class PreferenceSimulator(Protocol):
    """Answers duels. ``probability`` draws the labels, ``judgement`` scores what was chosen.

    Optional members, each found by its presence:

    * ``undecided(duels) -> (batch, 2)``: probability that the rater skips the pair, and that it calls a tie. A skip costs
      a query. With s and e these two, the label is "first" with probability (1 - s - e) * ``probability``.
    * ``needs_lengths = True``: ``Duels.lengths`` must be filled while asking.
    * ``n_raters``: how many raters are drawn for an episode; each query is put to one of them, drawn for that query, and
      ``Duels.all_utilities`` is filled. Without it there is one.
    * ``scorer``: the :class:`~duelgym.simulators.scorers.Scorer` from which utilities come; None where they come from
      elsewhere (a pool, a drawn function).
    """

    @property
    def symmetric(self) -> bool:
        """P(i before j) + P(j before i) = 1, so the order of showing does not matter."""
        ...

    @property
    def follows_utility(self) -> bool:
        """Whether ``judgement`` never falls as the utility difference rises.

        Then the Borda, Condorcet and von Neumann winners all are the response of highest utility.
        """
        ...

    @property
    def has_judgement(self) -> bool:
        """Whether pairs can be scored; not where every answer costs somebody's time (people, an LLM judge)."""
        ...

    @property
    def needs_texts(self) -> bool:
        """``Duels.texts`` must be filled while asking."""
        ...

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability that the first shown is preferred, where one of the two is, as the label will be drawn."""
        ...

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Return the probability that the first is better, free of what belongs to the asking.

        No flips; drift is averaged over the run, position over both orders, a mixture over its raters.
        """
        ...

    def specification(self) -> list[dict[str, object]]:
        """Return the JSON list from which ``simulator_from_specification`` builds an equal simulator."""
        ...
