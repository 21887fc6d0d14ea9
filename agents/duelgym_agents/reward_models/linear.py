"""Bayesian logistic regression on fixed features: every weight's uncertainty, exactly propagated to utilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int8, Int64

from duelgym.agent import Contexts
from duelgym.belief import tell_scale
from duelgym.checks import positive_number, whole_number
from duelgym_agents.reward_models.feature_map import KINDS, FeatureKind, FeatureMap
from duelgym_agents.reward_models.gaussian import GaussianWeights
from duelgym_agents.reward_models.linear_in_features import LinearInFeatures
from duelgym_agents.reward_models.replay import informative
from duelgym_agents.reward_models.settings import one_of
from duelgym_agents.state import with_prefix, without_prefix


@dataclass(frozen=True)
class LinearSettings:
    """Settings of :class:`BayesianLinear`.

    There is nothing for a buffer, steps, minibatches or a regulariser to set: every label stays in the posterior, and its
    prior regularises.

    Args:
        features: ``"response"``, ``"interaction"`` with the prompt, or ``"fourier"``: see
            :class:`~duelgym_agents.reward_models.feature_map.FeatureMap`.
        prior_scale: standard deviation, in logits, of the difference of two candidates of one prompt before any label,
            as a root mean square over the pairs of the first contexts.
        likelihood_power: exponent of the likelihood, above 0 and up to 1; below 1 the beliefs stay wider than Bayes'
            rule has them, which forgives features in which the utility is not linear (Grünwald 2012).
        n_samples: samples that rules get.

    Raises:
        SpecificationError: if a value is not of its kind or out of range.
    """

    features: FeatureKind = "interaction"
    prior_scale: float = 2.0
    likelihood_power: float = 1.0
    n_samples: int = 10

    def __post_init__(self) -> None:
        one_of("features", self.features, KINDS)
        positive_number("prior_scale", self.prior_scale)
        positive_number("likelihood_power", self.likelihood_power, most=1.0)
        whole_number("n_samples", self.n_samples)


class BayesianLinear(LinearInFeatures):
    """A utility linear in fixed features, with a Gaussian posterior over its weights and their full covariance.

    Where embeddings are a language model's last hidden layer, it is a Bayesian logistic last layer on a frozen body.
    The posterior is updated online, batch by batch (:class:`GaussianWeights`), and nothing is forgotten. Features
    are scaled, and the prior set, by the first contexts in which candidates differ, without their labels. Labels before
    them, skipped duels and self-duels teach nothing.

    Laplace's approximation is somewhat too sure: where the prior is true, with its default scale and 160 labels in
    batches of 16 on 6 features, squared errors of differences are 1.3 times the variance claimed, and win probabilities
    right to within 0.02.

    Args:
        settings: see :class:`LinearSettings`.
        prompt_dim: features of a prompt embedding.
        candidate_dim: features of a candidate embedding; ``"interaction"`` multiplies where the two are equal.
        rng: unused, since learning draws nothing.
    """

    def __init__(
        self, settings: LinearSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        del rng
        self.settings = settings
        self._dims = prompt_dim, candidate_dim
        self._map: FeatureMap | None = None
        self._weights: GaussianWeights | None = None

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Take one batch of labels into the posterior."""
        features, weights = self._or_begun_with(contexts)
        if self._map is None and not tell_scale(features(contexts)):
            return
        self._map, self._weights = features, weights
        asked, targets = informative(pairs, preferences)
        if len(asked):
            shown = features(contexts)[asked[:, None], pairs[asked]]
            weights.update(shown[:, 0] - shown[:, 1], targets, self.settings.likelihood_power)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return feature map and posterior; nothing before the first labels."""
        if self._map is None or self._weights is None:
            return {}
        return with_prefix("features", self._map.state_dict()) | self._weights.state_dict()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings and dimensions.
        """
        self._map = self._weights = None
        if state:
            prompt_dim, candidate_dim = self._dims
            features = FeatureMap.from_state(self.settings.features, without_prefix("features", state), candidate_dim)
            self._weights = GaussianWeights.from_state(state, features.width(prompt_dim))
            self._map = features

    def _or_begun_with(self, contexts: Contexts) -> tuple[FeatureMap, GaussianWeights]:
        """Return features and beliefs or, before the first labels, those that these contexts would begin."""
        if self._map is not None and self._weights is not None:
            return self._map, self._weights
        features = FeatureMap.measured(contexts, self.settings.features)
        shown = features(contexts)
        if not tell_scale(shown):
            return features, GaussianWeights(shown.shape[2], 1.0)
        shown -= shown.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        squares = float(np.mean(np.square(shown, dtype=np.float64)))
        # Two of n candidates differ by 2 n / (n - 1) times their mean square distance from their mean.
        _, n, dim = shown.shape
        return features, GaussianWeights(dim, self.settings.prior_scale**2 * (n - 1) / (2 * n * dim * squares))
