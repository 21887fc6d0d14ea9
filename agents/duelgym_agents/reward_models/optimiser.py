"""Adam on one flat tensor of weights that are held near an anchor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch.optim.adam import adam

from duelgym_agents.state import entry


class AnchoredAdam:
    """Steps of Adam (Kingma and Ba 2015, with its betas of 0.9 and 0.999) on a loss + pull ||weights - anchor||^2.

    Args:
        parameters: changed in place by :meth:`step`.
        anchor: ``"init"``: the weights as they are now; ``"zero"``: zero; or other weights, which are kept.
    """

    def __init__(
        self,
        parameters: Float32[torch.Tensor, " weights"],
        anchor: Literal["init", "zero"] | Float32[torch.Tensor, " weights"],
    ) -> None:
        self._parameters = parameters
        if isinstance(anchor, str):
            anchor = parameters.clone() if anchor == "init" else torch.zeros_like(parameters)
        self._anchor = anchor
        self._first_moment = torch.zeros_like(parameters)
        self._second_moment = torch.zeros_like(parameters)
        self._steps_done = torch.zeros((), device=parameters.device)

    def step(self, gradient: Float32[torch.Tensor, " weights"], *, pull: float, learning_rate: float) -> None:
        """Take one step.

        Args:
            gradient: of the loss alone; it is overwritten.
            pull: of the anchor.
            learning_rate: the step size.
        """
        gradient.add_(self._parameters, alpha=2 * pull).sub_(self._anchor, alpha=2 * pull)
        adam(
            [self._parameters],
            [gradient],
            [self._first_moment],
            [self._second_moment],
            [],
            [self._steps_done],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, anchor and moments."""
        return {name: tensor.cpu().numpy().copy() for name, tensor in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is not that of as many weights.
        """
        for name, tensor in self._tensors().items():
            tensor.copy_(torch.tensor(entry(state, name, tuple(tensor.shape))))

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {
            "weights": self._parameters,
            "anchor": self._anchor,
            "first_moment": self._first_moment,
            "second_moment": self._second_moment,
            "steps_done": self._steps_done,
        }
