"""Settings of the network reward models, shared by the point model and the ensemble."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from duelgym.errors import SpecificationError

_AT_LEAST_ONE = ("n_particles", "minibatch_size", "buffer_capacity")


@dataclass(frozen=True)
class NetworkSettings:
    """Settings of an ensemble of MLPs; with one particle it is the point model.

    Dwaracherla et al. (2024) fix ``n_particles`` (10), ``buffer_capacity`` and the form of the regulariser, and
    leave the rest open. Where they do, the values are those of a public descendant (oat: two layers of 128, Adam
    at 1e-3, five steps of 128 duels a batch), the same for every agent and tuned for none. Only the regulariser has
    no such source: 10 is somewhat below the 1 / (2 variance) = 32 that would make it the log density from which the
    weights of a layer of 128 inputs are drawn.

    Args:
        n_particles: networks in the ensemble.
        hidden_sizes: width of each hidden layer.
        learning_rate: step size of Adam.
        steps: optimiser steps after each batch of labels; each batch counts, however small it is.
        minibatch_size: duels in one step, drawn from the buffer with replacement, the same for all particles.
        regularizer: lambda in sum over duels of cross-entropy + lambda ||weights - anchor||^2.
        anchor: ``"init"`` holds each particle near its own initial weights (the ensemble's loss), ``"zero"`` holds
            weights near zero (the point model's loss).
        buffer_capacity: how many of the latest duels are learnt from.
        features: ``"concat"`` shows the network the candidate and the prompt; ``"interaction"`` also their
            elementwise product, which means something only where one encoder embedded both.

    Raises:
        SpecificationError: if a value is not of its kind or out of range.
    """

    n_particles: int = 10
    hidden_sizes: tuple[int, ...] = (128, 128)
    learning_rate: float = 1e-3
    steps: int = 5
    minibatch_size: int = 128
    regularizer: float = 10.0
    anchor: Literal["init", "zero"] = "init"
    buffer_capacity: int = 3200
    features: Literal["concat", "interaction"] = "concat"

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            _require(name, getattr(self, name), _is_count(getattr(self, name)), "an integer, at least 1")
        _require("steps", self.steps, self.steps == 0 or _is_count(self.steps), "an integer, at least 0")
        sizes = self.hidden_sizes
        valid = isinstance(sizes, (tuple, list)) and len(sizes) > 0 and all(_is_count(size) for size in sizes)
        _require("hidden_sizes", sizes, valid, "one or more integers, each at least 1, such as [128, 128]")
        object.__setattr__(self, "hidden_sizes", tuple(sizes))  # JSON gives a list
        rate, weight = self.learning_rate, self.regularizer
        _require("learning_rate", rate, _is_finite(rate) and rate > 0, "a positive finite number")
        _require("regularizer", weight, _is_finite(weight) and weight >= 0, "a finite number, at least 0")
        _require("anchor", self.anchor, self.anchor in ("init", "zero"), "'init' or 'zero'")
        features = self.features
        _require("features", features, features in ("concat", "interaction"), "'concat' or 'interaction'")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _require(name: str, value: object, valid: bool, allowed: str) -> None:
    if not valid:
        raise SpecificationError(f"{name} is {value!r}; it must be {allowed}")
