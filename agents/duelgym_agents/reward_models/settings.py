"""Settings of the reward models that learn by replay: the same names everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from duelgym.checks import finite_number, flag, positive_number, whole_number
from duelgym.errors import SpecificationError

LABELS_OF_STEPS = 32


@dataclass(frozen=True)
class LearningSettings:
    """How weights learn from the duels in a buffer.

    Args:
        learning_rate: step size of Adam.
        steps: optimiser steps for every 32 informative labels (neither skipped nor of a candidate with itself), 32 being the
            published batch: they are taken after each batch, in proportion to their number, with parts of a step carried
            over, so that how much is learnt from a label does not depend on how many are asked at once.
        minibatch_size: duels in one step, drawn from the buffer with replacement, the same for all particles.
        regularizer: lambda in sum over duels of cross-entropy + lambda ||weights - anchor||^2.
        regularizer_half_life: after how many informative duels lambda halves, again and again; None keeps it.
        anchor: ``"init"`` holds the weights near the initial ones (the ensemble's loss), ``"zero"`` near zero (the point
            model's loss).
        buffer_capacity: how many of the latest duels are learnt from.

    Raises:
        SpecificationError: if a value is not of its kind or out of range.
    """

    learning_rate: float = 1e-3
    steps: int = 5
    minibatch_size: int = 128
    regularizer: float = 10.0
    regularizer_half_life: float | None = None
    anchor: Literal["init", "zero"] = "init"
    buffer_capacity: int = 3200

    def __post_init__(self) -> None:
        positive_number("learning_rate", self.learning_rate)
        whole_number("steps", self.steps, 0)
        whole_number("minibatch_size", self.minibatch_size)
        finite_number("regularizer", self.regularizer, low=0)
        if self.regularizer_half_life is not None:
            positive_number("regularizer_half_life", self.regularizer_half_life)
        one_of("anchor", self.anchor, ("init", "zero"))
        whole_number("buffer_capacity", self.buffer_capacity)

    def steps_after(self, before: int, labels: int) -> int:
        """Return the optimiser steps to take after a batch.

        Args:
            before: informative labels of all earlier batches.
            labels: those of this batch.
        """
        return (before + labels) * self.steps // LABELS_OF_STEPS - before * self.steps // LABELS_OF_STEPS

    def pull(self, *, added: int, kept: int) -> float:
        """Return what the regulariser weighs against a mean over duels: lambda over the number of duels in the buffer.

        With a half-life h lambda is regularizer 2^(-n / h).

        Args:
            added: n, the number of informative duels ever seen.
            kept: duels in the buffer, at least 1.
        """
        half_life = self.regularizer_half_life
        return self.regularizer * (1.0 if half_life is None else 2.0 ** (-added / half_life)) / kept


@dataclass(frozen=True)
class ReplaySettings(LearningSettings):
    """How a network of dense layers learns from the embeddings of duels in its buffer.

    Dwaracherla et al. (2024) fix ``buffer_capacity`` and the form of the regulariser, and leave the rest open. Where they
    do, the values are those of a public descendant (oat: two layers of 128, Adam at 1e-3, five steps of 128 duels a
    batch), the same for every agent and tuned for none. A batch of oat's has 128 labels, though: five steps for 32 draw a
    label four times as often. That learns faster from the first few thousand labels, where tuning chooses 5 too, and
    fits the buffer too closely later. The regulariser has no such source: 10 is somewhat below the 1 / (2 variance) = 32
    that would make it the log density from which the weights of a layer of 128 inputs are drawn.

    Args:
        hidden_sizes: width of each hidden layer.
        features: ``"concat"`` shows the network the candidate and the prompt; ``"interaction"`` also their
            elementwise product, which means something only where one encoder embedded both.
        rest: see :class:`LearningSettings`.

    Raises:
        SpecificationError: if a value is not of its kind or out of range.
    """

    hidden_sizes: tuple[int, ...] = (128, 128)
    features: Literal["concat", "interaction"] = "concat"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden_sizes", layer_sizes("hidden_sizes", self.hidden_sizes))  # JSON gives a list
        one_of("features", self.features, ("concat", "interaction"))


@dataclass(frozen=True)
class NetworkSettings(ReplaySettings):
    """Settings of an ensemble of MLPs; with one particle it is the point model.

    Args:
        n_particles: networks in the ensemble; Dwaracherla et al. (2024) have 10.
        bootstrap: whether each particle learns from a random half of the duels, each counted twice (double or
            nothing, Owen and Eckles 2012), rather than from all.
        rest: see :class:`ReplaySettings`.
    """

    n_particles: int = 10
    bootstrap: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("n_particles", self.n_particles)
        flag("bootstrap", self.bootstrap)

    @property
    def n_samples(self) -> int:
        """Samples that rules get: every particle once."""
        return self.n_particles


def layer_sizes(name: str, value: object) -> tuple[int, ...]:
    """Return the widths of a network's hidden layers.

    Raises:
        SpecificationError: if they are not one or more positive whole numbers.
    """
    if not isinstance(value, (tuple, list)) or not value:
        raise SpecificationError(f"{name} is {value!r}; it must be one or more whole numbers, such as [128, 128]")
    return tuple(whole_number(f"{name}[{place}]", size) for place, size in enumerate(value))


def one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a value that is not among the allowed ones.

    Raises:
        SpecificationError: naming them.
    """
    if value not in allowed:
        raise SpecificationError(f"{name} is {value!r}; it must be {' or '.join(map(repr, allowed))}")
