"""Features of responses in blocks, each scaled on unlabelled candidates: what an additive utility is a sum over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

from duelgym.agent import Contexts
from duelgym_agents.reward_models.fourier import FourierFeatures
from duelgym_agents.reward_models.surface import SURFACE_FEATURES, surface_features
from duelgym_agents.state import entry, with_prefix, without_prefix

# Distances within a prompt's answers are smaller than between prompts, and tastes change within them.
_RELATIVE_LENGTH = 0.5
# A batch of texts may hardly differ in a feature, in which later ones do: none is taken to deviate by less than this.
_LEAST_SURFACE = 0.2
# A variance below this, as a share or at all, is rounding.
_ROUNDING = 1e-12
_NOTHING = 1e-60
# Weights of the blocks beforehand. Few labels can only tell a direction: most is linear until the labels say otherwise.
_ON_EMBEDDINGS = {"relative": 8.0, "distance": 0.1, "relative_waves": 1.0, "waves": 1.0}
_ON_TEXTS = {"surface": 8.0, "surface_waves": 2.0}


@dataclass(frozen=True)
class FeatureBlocks:
    """Blocks of features, in each of which two candidates of one prompt lie 1 apart, as a root mean square.

    On embeddings: ``relative``, the embedding less the mean of its prompt's candidates; ``distance``, the length of
    that; ``relative_waves``, random Fourier features of it with half its median distance as length; ``waves``, the same
    of the embedding itself with its median distance. On texts also ``surface``, the surface features less their mean over
    the prompt's candidates and over their deviation, at least 0.2, and ``surface_waves``, Fourier features of those.

    Attributes:
        scale: what relative embeddings are multiplied with.
        relative_waves: of relative embeddings, scaled.
        waves: of embeddings.
        surface_scales: what surface features are multiplied with; None without texts.
        surface_waves: of surface features, scaled; None without texts.
        block_scales: what each block is multiplied with; 0 for one in which the candidates measured do not differ.
    """

    scale: float
    relative_waves: FourierFeatures
    waves: FourierFeatures
    surface_scales: Float32[np.ndarray, " surface"] | None
    surface_waves: FourierFeatures | None
    block_scales: Float64[np.ndarray, " blocks"]

    @classmethod
    def measured(cls, contexts: Contexts, n_fourier: int, *, texts: bool) -> FeatureBlocks:
        """Return the blocks whose scales suit these contexts; frequencies and phases are always the same draw."""
        rng = np.random.default_rng(0xFEA7)
        relative = _centred(contexts.candidates)
        scale = float(_inverse_deviations(_squares(relative).sum(), _squares(contexts.candidates).sum()))
        relative_waves = FourierFeatures.measured(_rows(relative * np.float32(scale)), n_fourier, rng, _RELATIVE_LENGTH)
        waves = FourierFeatures.measured(_rows(contexts.candidates), n_fourier, rng)
        surface_scales = surface_waves = None
        if texts:
            surface = _centred(surface_features(contexts))
            surface_scales = (1 / np.maximum(np.sqrt(_squares(surface)), _LEAST_SURFACE)).astype(np.float32)
            surface_waves = FourierFeatures.measured(_rows(surface * surface_scales), n_fourier, rng)
        n_blocks = len(_weights(texts))
        unscaled = cls(scale, relative_waves, waves, surface_scales, surface_waves, np.ones(n_blocks))
        blocks = unscaled._blocks(contexts)
        sizes = [float(_squares(block).sum()) for block in blocks]
        sizes[0] = sizes[1] = scale**2 * float(_squares(contexts.candidates).sum())  # of what was centred
        block_scales = np.array([_scale_of(block, size) for block, size in zip(blocks, sizes, strict=True)])
        if scale == 0:  # embeddings that differ by rounding alone have no waves either
            block_scales[: len(_ON_EMBEDDINGS)] = 0
        return replace(unscaled, block_scales=block_scales)

    def __call__(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates features"]:
        """Return the features of every candidate, block after block.

        Raises:
            SpecificationError: if texts are needed and the contexts carry none.
        """
        scaled = zip(self._blocks(contexts), self.block_scales, strict=True)
        return np.concatenate([block * np.float32(scale) for block, scale in scaled], axis=-1)

    @property
    def widths(self) -> tuple[int, ...]:
        """How many features each block has."""
        candidate_dim, n_fourier = self.waves.frequencies.shape
        on_embeddings = (candidate_dim, 1, n_fourier, n_fourier)
        return on_embeddings if self.surface_waves is None else (*on_embeddings, len(SURFACE_FEATURES), n_fourier)

    @property
    def shares(self) -> Float64[np.ndarray, " blocks"]:
        """What share of a difference's variance each block has beforehand; those in which candidates differ add up to 1."""
        weights = np.array(list(_weights(self.surface_waves is not None).values()))
        return weights / (weights[self.block_scales > 0].sum() or 1.0)

    @property
    def tell_nothing(self) -> bool:
        """Whether the candidates measured do not differ in any block."""
        return not self.block_scales.any()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return what was measured and drawn."""
        state = {"scale": np.array(self.scale), "block_scales": self.block_scales.copy()}
        state |= with_prefix("relative_waves", self.relative_waves.state_dict())
        state |= with_prefix("waves", self.waves.state_dict())
        if self.surface_scales is not None and self.surface_waves is not None:
            state |= {"surface_scales": self.surface_scales.copy()}
            state |= with_prefix("surface_waves", self.surface_waves.state_dict())
        return state

    @classmethod
    def from_state(
        cls, state: Mapping[str, np.ndarray], candidate_dim: int, n_fourier: int, *, texts: bool
    ) -> FeatureBlocks:
        """Return the blocks that :meth:`state_dict` described.

        Raises:
            SpecificationError: if the state is of other dimensions, or of other blocks.
        """

        def waves(name: str, dim: int) -> FourierFeatures:
            return FourierFeatures.from_state(without_prefix(name, state), dim, n_fourier)

        surface_dim = len(SURFACE_FEATURES)
        return cls(
            float(entry(state, "scale", ())),
            waves("relative_waves", candidate_dim),
            waves("waves", candidate_dim),
            entry(state, "surface_scales", (surface_dim,)).astype(np.float32) if texts else None,
            waves("surface_waves", surface_dim) if texts else None,
            entry(state, "block_scales", (len(_weights(texts)),)).astype(np.float64),
        )

    def _blocks(self, contexts: Contexts) -> list[Float32[np.ndarray, "batch n_candidates block"]]:
        relative = _centred(contexts.candidates) * np.float32(self.scale)
        distance = np.linalg.norm(relative, axis=-1, keepdims=True)
        blocks = [relative, distance, self.relative_waves(relative), self.waves(contexts.candidates)]
        if self.surface_scales is not None and self.surface_waves is not None:
            surface = _centred(surface_features(contexts)) * self.surface_scales
            blocks += [surface, self.surface_waves(surface)]
        return blocks


def _weights(texts: bool) -> dict[str, float]:
    return _ON_EMBEDDINGS | (_ON_TEXTS if texts else {})


def _centred(features: Float32[np.ndarray, "batch n_candidates d"]) -> Float32[np.ndarray, "batch n_candidates d"]:
    """Return the features less their mean over each prompt's candidates."""
    return features - features.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)


def _rows(features: Float32[np.ndarray, "batch n_candidates d"]) -> Float32[np.ndarray, "rows d"]:
    return features.reshape(-1, features.shape[-1])


def _squares(features: Float32[np.ndarray, "batch n_candidates d"]) -> Float64[np.ndarray, " d"]:
    return np.square(features, dtype=np.float64).mean(axis=(0, 1))


def _inverse_deviations(
    squares: Float64[np.ndarray, "*features"], sizes: Float64[np.ndarray, "*features"]
) -> Float64[np.ndarray, "*features"]:
    """Return 1 / sqrt(squares), or 0 where the squares are rounding beside the sizes of what was centred."""
    return np.where(squares > _ROUNDING * sizes + _NOTHING, np.maximum(squares, _NOTHING) ** -0.5, 0.0)


def _scale_of(block: Float32[np.ndarray, "batch n_candidates d"], size: float) -> float:
    """Return the scale that puts two candidates of a prompt 1 apart, or 0 if they differ by no more than rounding at a size."""
    n = block.shape[1]
    # Two of n candidates differ by 2 n / (n - 1) times their mean square distance from their mean.
    inverse = float(_inverse_deviations(_squares(_centred(block)).sum(), np.array(size)))
    return inverse * float(np.sqrt((n - 1) / (2 * n)))
