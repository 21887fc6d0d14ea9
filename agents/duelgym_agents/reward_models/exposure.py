"""How much a further label about the same response still tells of the features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Int64

from duelgym.agent import Contexts
from duelgym_agents.state import entry, name_of


class Exposure:
    """Counts of the labels about each response, and the likelihood's exponent that follows.

    Say a response's utility is what its features explain plus a part of its own. Then n labels of information w each tell
    no more of the features than n w / (1 + n r), where r is the variance of that part times w: they share it. So the
    label after n earlier ones adds w / ((1 + n r) (1 + (n + 1) r)), and its likelihood gets the exponent 1 / ((1 + n r)
    (1 + (n + 1) r)); n is counted over both responses of the duel. Without it beliefs narrow with every label about the
    same few favourites, whose own parts are then learnt as if they were features.

    Args:
        residual: r, at least 0; at 0 every label counts fully.
    """

    def __init__(self, residual: float) -> None:
        self._residual = residual
        self._counts: dict[int, int] = {}

    def take(
        self, contexts: Contexts, asked: Int64[np.ndarray, " duels"], pairs: Int64[np.ndarray, "duels 2"]
    ) -> Float64[np.ndarray, " duels"]:
        """Return the exponents of labels, and count them, one after the other.

        Args:
            contexts: of a batch.
            asked: positions of the duels' prompts in the batch.
            pairs: positions of the duels' candidates.
        """
        earlier = np.zeros(len(asked))
        for duel, (row, pair) in enumerate(zip(asked, pairs, strict=True)):
            responses = [name_of(contexts.prompts[row], contexts.candidates[row, position]) for position in pair]
            earlier[duel] = sum(self._counts.get(response, 0) for response in responses)
            for response in responses:
                self._counts[response] = self._counts.get(response, 0) + 1
        return 1 / ((1 + earlier * self._residual) * (1 + (earlier + 1) * self._residual))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the counts."""
        size = len(self._counts)
        return {
            "responses": np.fromiter(self._counts.keys(), dtype=np.uint64, count=size),
            "counts": np.fromiter(self._counts.values(), dtype=np.int64, count=size),
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if it is not such a state.
        """
        responses = entry(state, "responses", (None,))
        self._counts = dict(zip(responses.tolist(), entry(state, "counts", responses.shape).tolist(), strict=True))
