"""Weights in one flat tensor: by name, and as something that learns and is cheap to copy."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from duelgym_agents.reward_models.optimiser import AnchoredAdam


class Layout:
    """Where each of some named weights lies in a flat tensor."""

    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        self.shapes = dict(shapes)
        self._sizes = [shape.numel() for shape in self.shapes.values()]
        self.size = sum(self._sizes)

    def named(self, flat: Float32[torch.Tensor, " weights"]) -> dict[str, torch.Tensor]:
        """Return views of the flat tensor, by name."""
        parts = zip(self.shapes.items(), flat.split(self._sizes), strict=True)
        return {name: part.view(shape) for (name, shape), part in parts}


class TrainedWeights:
    """Weights with their optimiser. Copies share memory until one of them learns.

    Args:
        values: where they start; changed in place by :meth:`step`.
        anchor: what the regulariser holds them near.
    """

    def __init__(self, values: Float32[torch.Tensor, " weights"], anchor: Float32[torch.Tensor, " weights"]) -> None:
        self.values = values
        self._optimiser = AnchoredAdam(values, anchor)
        self._sharers: weakref.WeakSet[TrainedWeights] = weakref.WeakSet([self])

    def step(self, gradient: Float32[torch.Tensor, " weights"], *, pull: float, learning_rate: float) -> None:
        """Take one step of Adam; ``gradient`` is the loss's, and is overwritten."""
        self._keep_apart()
        self._optimiser.step(gradient, pull=pull, learning_rate=learning_rate)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, anchor and moments."""
        return self._optimiser.state_dict()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave."""
        self._keep_apart()
        self._optimiser.load_state_dict(state)

    def __deepcopy__(self, memo: dict[int, Any]) -> TrainedWeights:
        twin = copy.copy(self)
        self._sharers.add(twin)
        return twin

    def _keep_apart(self) -> None:
        """Leave those that share this memory alone with it; copies that are gone by now do not count."""
        if len(self._sharers) > 1:
            self._sharers.discard(self)
            self._sharers = weakref.WeakSet([self])
            self.values, self._optimiser = copy.deepcopy((self.values, self._optimiser))
