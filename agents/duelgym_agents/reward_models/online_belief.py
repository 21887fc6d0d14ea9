"""The belief that reinforcement learners see, as a reward model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import Contexts
from duelgym.belief import GaussianBelief, tell_scale
from duelgym.checks import positive_number, whole_number
from duelgym_agents.exploration import LinearPosterior
from duelgym_agents.reward_models.gaussian import GaussianWeights
from duelgym_agents.state import entry


@dataclass(frozen=True)
class BeliefSettings:
    """Settings of :class:`OnlineBelief`; neither buffer nor steps, as :class:`~duelgym_agents.reward_models.linear.LinearSettings` says.

    Args:
        prior_scale: as :meth:`~duelgym.belief.GaussianBelief.before_labels` has it, before any label.
        n_samples: samples that rules get.

    Raises:
        SpecificationError: if a value is not of its kind or out of range.
    """

    prior_scale: float = 2.0
    n_samples: int = 10

    def __post_init__(self) -> None:
        positive_number("prior_scale", self.prior_scale)
        whole_number("n_samples", self.n_samples)


class OnlineBelief:
    """A utility linear in response embeddings, learnt label by label: the :class:`~duelgym.belief.GaussianBelief`.

    It is what the environment's wrapper :class:`~duelgym.envs.Belief` shows, so that a policy trained there reads here what it
    was trained on. A batch's labels are taken in one after the other. The prior is measured on the first contexts in which
    candidates differ; labels before them teach nothing.

    Args:
        settings: see :class:`BeliefSettings`.
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a candidate embedding.
        rng: unused, since learning draws nothing.
    """

    def __init__(
        self, settings: BeliefSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        del prompt_dim, rng
        self.settings = settings
        self._dim = candidate_dim
        self._belief: GaussianBelief | None = None

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Take one batch of labels into the belief."""
        if self._belief is None and not tell_scale(contexts.candidates):
            return
        self._belief = belief = self._or_begun_with(contexts)
        for candidates, pair, preference in zip(contexts.candidates, pairs, preferences, strict=True):
            belief.observe(candidates, pair, int(preference))

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return the utilities under ``n_samples`` independent draws of the weights."""
        belief = self._or_begun_with(contexts)
        weights = GaussianWeights.from_state(_arrays(belief), len(belief.mean)).sample(n_samples, rng)
        return np.moveaxis(contexts.candidates @ weights.T, 2, 0)

    def mean(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates"]:
        """Return the utilities under the mean weights."""
        return contexts.candidates @ self._or_begun_with(contexts).mean.astype(np.float32)

    def features(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates feature"]:
        """Return the features in which the utility is linear: the embeddings."""
        return contexts.candidates

    def posterior(self, contexts: Contexts) -> LinearPosterior:
        """Return the belief about the weights, and the candidates' embeddings."""
        belief = self._or_begun_with(contexts)
        return LinearPosterior(
            contexts.candidates, belief.mean.astype(np.float32), belief.covariance.astype(np.float32)
        )

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return mean and covariance; nothing before the first labels."""
        return {} if self._belief is None else _arrays(self._belief)

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is of embeddings of another dimension.
        """
        self._belief = None
        if state:
            mean = entry(state, "mean", (self._dim,)).astype(np.float64)
            self._belief = GaussianBelief(mean, entry(state, "covariance", (self._dim,) * 2).astype(np.float64))

    def _or_begun_with(self, contexts: Contexts) -> GaussianBelief:
        """Return the belief or, before the first labels, that which these contexts would begin."""
        return self._belief or GaussianBelief.before_labels(contexts.candidates, self.settings.prior_scale)


def _arrays(belief: GaussianBelief) -> dict[str, np.ndarray]:
    return {"mean": belief.mean.copy(), "covariance": belief.covariance.copy()}
