"""A utility that is a sum over blocks of features, whose parts are weighed by the labels: additive Gaussian process regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Int8, Int64

from duelgym.agent import Contexts
from duelgym.checks import finite_number, positive_number, whole_number
from duelgym_agents.reward_models.block_gaussian import BlockGaussian
from duelgym_agents.reward_models.exposure import Exposure
from duelgym_agents.reward_models.feature_blocks import FeatureBlocks
from duelgym_agents.reward_models.linear_in_features import LinearInFeatures
from duelgym_agents.reward_models.replay import informative
from duelgym_agents.state import with_prefix, without_prefix


@dataclass(frozen=True)
class AdditiveSettings:
    """Settings of :class:`AdditiveModel`; neither buffer nor steps, as :class:`~duelgym_agents.reward_models.linear.LinearSettings` says.

    Args:
        prior_scale: standard deviation, in logits, of the difference of two candidates of one prompt before any label,
            as a root mean square over the pairs of the first contexts.
        prior_strength: weight, in weights, of the first variances of the blocks against what the labels say of them.
        residual: variance of the part of a response's utility that no feature explains, times the information of one
            label; at least 0. Labels about one response share that part, so that together they tell no more than 1 /
            residual independent ones: see :class:`~duelgym_agents.reward_models.exposure.Exposure`.
        n_fourier: random Fourier features of each kernel.
        n_samples: samples that rules get.

    Raises:
        SpecificationError: if a value is not of its kind or out of range.
    """

    prior_scale: float = 1.0
    prior_strength: float = 10.0
    residual: float = 0.2
    n_fourier: int = 256
    n_samples: int = 30

    def __post_init__(self) -> None:
        positive_number("prior_scale", self.prior_scale)
        positive_number("prior_strength", self.prior_strength)
        finite_number("residual", self.residual, low=0)
        whole_number("n_fourier", self.n_fourier)
        whole_number("n_samples", self.n_samples)


class AdditiveModel(LinearInFeatures):
    """A utility that is linear and smooth in embeddings as they are and relative to the prompt's other candidates.

    Each block of :class:`~duelgym_agents.reward_models.feature_blocks.FeatureBlocks` has a prior variance of its own, learnt
    from the labels (:class:`~duelgym_agents.reward_models.block_gaussian.BlockGaussian`): in effect a logistic Gaussian
    process whose kernel is a weighted sum (Duvenaud, Nickisch and Rasmussen 2011). Features are scaled by the first
    contexts learnt from in which candidates differ, without their labels. Labels about a response that was asked about
    before count for less, so that beliefs stay open, and honest, where the features do not suffice. Nothing is
    forgotten. Skipped duels and self-duels are left out.

    Args:
        settings: see :class:`AdditiveSettings`.
        prompt_dim: features of a prompt embedding; unused.
        candidate_dim: features of a candidate embedding.
        rng: unused, since learning draws nothing.
    """

    needs_texts: ClassVar[bool] = False

    def __init__(
        self, settings: AdditiveSettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        del prompt_dim, rng
        self.settings = settings
        self._candidate_dim = candidate_dim
        self._begun: tuple[FeatureBlocks, BlockGaussian] | None = None
        self._exposure = Exposure(settings.residual)

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Take one batch of labels in; those before candidates first differed teach nothing."""
        features, weights = begun = self._or_begun_with(contexts)
        asked, targets = informative(pairs, preferences)
        if features.tell_nothing or not len(asked):
            return
        self._begun = begun
        shown = features(contexts)[asked[:, None], pairs[asked]]
        powers = self._exposure.take(contexts, asked, pairs[asked])
        weights.update(shown[:, 0] - shown[:, 1], targets, powers)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return features, beliefs and what was asked about; nothing before the first labels."""
        if self._begun is None:
            return {}
        features, weights = self._begun
        state = with_prefix("features", features.state_dict()) | with_prefix("weights", weights.state_dict())
        return state | with_prefix("exposure", self._exposure.state_dict())

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings and dimensions.
        """
        self._begun, self._exposure = None, Exposure(self.settings.residual)
        if state:
            features = FeatureBlocks.from_state(
                without_prefix("features", state), self._candidate_dim, self.settings.n_fourier, texts=self.needs_texts
            )
            weights = self._before_labels(features)
            weights.load_state_dict(without_prefix("weights", state))
            self._exposure.load_state_dict(without_prefix("exposure", state))
            self._begun = features, weights

    def _or_begun_with(self, contexts: Contexts) -> tuple[FeatureBlocks, BlockGaussian]:
        """Return features and beliefs or, before the first labels, those that these contexts would begin."""
        if self._begun is not None:
            return self._begun
        features = FeatureBlocks.measured(contexts, self.settings.n_fourier, texts=self.needs_texts)
        return features, self._before_labels(features)

    def _before_labels(self, features: FeatureBlocks) -> BlockGaussian:
        variances = self.settings.prior_scale**2 * features.shares
        return BlockGaussian(features.widths, variances, self.settings.prior_strength)


class AdditiveTextModel(AdditiveModel):
    """The same, with blocks for what one sees of a text before reading it: length and layout.

    Raises:
        SpecificationError: by every method that is given contexts without texts.
    """

    needs_texts: ClassVar[bool] = True
