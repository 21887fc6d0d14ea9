"""What a reward model is: it learns from duels and samples utilities. It knows nothing of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import Contexts


class RewardModel(Protocol):
    """Learned utilities of responses, in log-odds: the difference of two is the logit of a win."""

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Learn from one batch of labels (0 first preferred, 1 second preferred, 2 no answer, 3 tie)."""
        ...

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return joint samples: within one sample, one epistemic index scores every candidate."""
        ...

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the mean utility."""
        ...

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return all that the model's future depends on."""
        ...

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave."""
        ...
