"""Fixed features of prompt and response, for reward models that are linear in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from duelgym.agent import Contexts
from duelgym_agents.reward_models.fourier import FourierFeatures
from duelgym_agents.state import entry

FeatureKind = Literal["response", "interaction", "fourier"]
KINDS = ("response", "interaction", "fourier")
N_FOURIER = 256


@dataclass(frozen=True)
class FeatureMap:
    """Features of (prompt, response): the response; its product with the prompt; random Fourier features of it.

    ``response`` has the first, ``interaction`` the first two (the first alone where dimensions differ), ``fourier`` all
    three, with a kernel whose length is the median distance between responses. Each block has a mean squared length of
    1, measured on contexts without labels.

    Attributes:
        kind: one of ``KINDS``.
        scale: what response embeddings are multiplied with.
        product_scale: what their elementwise products with the prompt's are multiplied with.
        waves: the random Fourier features.
    """

    kind: str
    scale: float
    product_scale: float
    waves: FourierFeatures

    @classmethod
    def measured(cls, contexts: Contexts, kind: str) -> FeatureMap:
        """Return the map whose scales suit these contexts; frequencies and phases are always the same draw."""
        flat = contexts.candidates.reshape(-1, contexts.candidates.shape[-1])
        waves = FourierFeatures.measured(flat, N_FOURIER, np.random.default_rng(0xFEA7))
        product_scale = 1.0
        if contexts.prompts.shape[1] == flat.shape[1]:
            product_scale = _inverse_rms(contexts.candidates * contexts.prompts[:, None])
        return cls(kind, _inverse_rms(flat), product_scale, waves)

    def __call__(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates features"]:
        """Return the features of every candidate."""
        candidates = contexts.candidates
        root = np.float32(np.sqrt(candidates.shape[-1]))
        blocks = [candidates * np.float32(self.scale) / root]
        if self.kind != "response" and contexts.prompts.shape[1] == candidates.shape[-1]:
            blocks.append(candidates * contexts.prompts[:, None] * np.float32(self.product_scale) / root)
        if self.kind == "fourier":
            blocks.append(self.waves(candidates))
        return np.concatenate(blocks, axis=-1)

    def width(self, prompt_dim: int) -> int:
        """Return how many features a candidate has."""
        candidate_dim = len(self.waves.frequencies)
        multiplied = self.kind != "response" and prompt_dim == candidate_dim
        return candidate_dim * (1 + multiplied) + N_FOURIER * (self.kind == "fourier")

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return what was measured and drawn."""
        return {"scales": np.array([self.scale, self.product_scale])} | self.waves.state_dict()

    @classmethod
    def from_state(cls, kind: str, state: Mapping[str, np.ndarray], candidate_dim: int) -> FeatureMap:
        """Return the map that :meth:`state_dict` described.

        Raises:
            SpecificationError: if the state is of another number of features of a candidate.
        """
        scale, product_scale = entry(state, "scales", (2,)).tolist()
        return cls(kind, scale, product_scale, FourierFeatures.from_state(state, candidate_dim, N_FOURIER))


def _inverse_rms(values: Float32[np.ndarray, ...]) -> float:
    return 1.0 / (float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) or 1.0)
