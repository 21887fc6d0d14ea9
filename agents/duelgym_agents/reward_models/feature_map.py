"""Fixed features of prompt and response, for reward models that are linear in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from duelgym.agent import Contexts
from duelgym_agents.state import entry

FeatureKind = Literal["response", "interaction", "fourier"]
KINDS = ("response", "interaction", "fourier")
N_FOURIER = 256


@dataclass(frozen=True)
class FeatureMap:
    """Features of (prompt, response): the response; its product with the prompt; random Fourier features of it.

    ``response`` has the first, ``interaction`` the first two (the first alone where dimensions differ), ``fourier`` all
    three, with frequencies for a squared-exponential kernel whose length is the median distance between responses
    (Rahimi and Recht 2007): two candidates' Fourier features have the inner product exp(-distance^2 / (2 length^2)),
    nearly. Each block has a mean squared length of 1, measured on contexts without labels.

    Attributes:
        kind: one of ``KINDS``.
        scale: what response embeddings are multiplied with.
        product_scale: what their elementwise products with the prompt's are multiplied with.
        frequencies: of the cosines.
        phases: of the cosines, in [0, 2 pi).
    """

    kind: str
    scale: float
    product_scale: float
    frequencies: Float32[np.ndarray, "candidate_dim fourier"]
    phases: Float32[np.ndarray, " fourier"]

    @classmethod
    def measured(cls, contexts: Contexts, kind: str) -> FeatureMap:
        """Return the map whose scales suit these contexts; frequencies and phases are always the same draw."""
        flat = contexts.candidates.reshape(-1, contexts.candidates.shape[-1])
        rng = np.random.default_rng(0xFEA7)
        first, second = rng.integers(len(flat), size=(512, 2)).T
        apart = first != second
        distances = np.linalg.norm(flat[first[apart]] - flat[second[apart]], axis=1)
        distance = float(np.median(distances)) if len(distances) else 0.0
        frequencies = rng.standard_normal((flat.shape[1], N_FOURIER)) / (distance or 1.0)
        product_scale = 1.0
        if contexts.prompts.shape[1] == flat.shape[1]:
            product_scale = _inverse_rms(contexts.candidates * contexts.prompts[:, None])
        return cls(
            kind,
            _inverse_rms(flat),
            product_scale,
            frequencies.astype(np.float32),
            rng.uniform(0, 2 * np.pi, N_FOURIER).astype(np.float32),
        )

    def __call__(self, contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates features"]:
        """Return the features of every candidate."""
        candidates = contexts.candidates
        root = np.float32(np.sqrt(candidates.shape[-1]))
        blocks = [candidates * np.float32(self.scale) / root]
        if self.kind != "response" and contexts.prompts.shape[1] == candidates.shape[-1]:
            blocks.append(candidates * contexts.prompts[:, None] * np.float32(self.product_scale) / root)
        if self.kind == "fourier":
            waves = np.cos(candidates @ self.frequencies + self.phases)
            blocks.append(waves * np.float32(np.sqrt(2 / N_FOURIER)))
        return np.concatenate(blocks, axis=-1)

    def width(self, prompt_dim: int) -> int:
        """Return how many features a candidate has."""
        candidate_dim = len(self.frequencies)
        multiplied = self.kind != "response" and prompt_dim == candidate_dim
        return candidate_dim * (1 + multiplied) + N_FOURIER * (self.kind == "fourier")

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return what was measured and drawn."""
        scales = np.array([self.scale, self.product_scale])
        return {"scales": scales, "frequencies": self.frequencies.copy(), "phases": self.phases.copy()}

    @classmethod
    def from_state(cls, kind: str, state: Mapping[str, np.ndarray], candidate_dim: int) -> FeatureMap:
        """Return the map that :meth:`state_dict` described.

        Raises:
            SpecificationError: if the state is of another number of features of a candidate.
        """
        scale, product_scale = entry(state, "scales", (2,)).tolist()
        frequencies = entry(state, "frequencies", (candidate_dim, N_FOURIER)).astype(np.float32)
        return cls(kind, scale, product_scale, frequencies, entry(state, "phases", (N_FOURIER,)).astype(np.float32))


def _inverse_rms(values: Float32[np.ndarray, ...]) -> float:
    return 1.0 / (float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) or 1.0)
