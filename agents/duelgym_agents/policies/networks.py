"""The networks that score pairs of candidates from a belief about them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float32
from torch import nn

from duelgym.checks import whole_number
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.settings import layer_sizes, one_of

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class AmongOthers(nn.Module):
    """Features of each candidate among the others, which follow the candidates when they are permuted.

    Mean and deviation go through one shared layer; its average and maximum over candidates are shown to each candidate
    beside its own in a second one (deep sets: Zaheer et al. 2017, 1703.06114, section 3.1). Both layers end in tanh.

    Args:
        width: features of each layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(2, width)
        self.among = nn.Linear(3 * width, width)

    def forward(
        self, belief: Float32[torch.Tensor, "batch n_candidates 2"]
    ) -> Float32[torch.Tensor, "batch n_candidates width"]:
        """Return the features."""
        own = torch.tanh(self.own(belief))
        pooled = torch.cat([own.mean(dim=1), own.amax(dim=1)], dim=1)
        return torch.tanh(self.among(torch.cat([own, pooled[:, None].expand(-1, own.shape[1], -1)], dim=2)))


class EquivariantPairs(nn.Module):
    """Scores of all pairs that follow the candidates when they are permuted, for any number of them.

    With the features h of each candidate among the others, the pair {i, j} scores a·(h_i + h_j) + Σ_k b_k v_ik v_jk, where
    v = V h: symmetric, so the order of a pair is nothing, and the second term tells likes from unlikes.

    Args:
        width: features of each layer.
    """

    name: ClassVar[str] = "equivariant"
    n_candidates: ClassVar[int | None] = None  # any

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = whole_number("width", width)
        self.features = AmongOthers(width)
        self.single = nn.Linear(width, 1, bias=False)
        self.vectors = nn.Linear(width, width, bias=False)
        self.signs = nn.Parameter(torch.zeros(width))

    def forward(self, belief: Float32[torch.Tensor, "batch n_candidates 2"]) -> Float32[torch.Tensor, "batch n_pairs"]:
        """Return the logit of every pair i < j, row by row as ``np.triu_indices`` counts them."""
        features = self.features(belief)
        single, vectors = self.single(features), self.vectors(features)
        both = single + single.transpose(1, 2) + (vectors * self.signs) @ vectors.transpose(1, 2)
        first, second = torch.triu_indices(features.shape[1], features.shape[1], offset=1)
        return both[:, first, second]

    def specification(self) -> dict[str, object]:
        """Return what :func:`build_network` makes the same architecture of."""
        return {"name": self.name, "width": self.width}


class FlatPairs(nn.Sequential):
    """A perceptron on the flattened belief about a fixed number of candidates: the actor of SB3's ``MlpPolicy``.

    Args:
        n_candidates: N, at least 2.
        hidden_sizes: width of each hidden layer.
        activation: between layers, ``"tanh"`` or ``"relu"``.
    """

    name: ClassVar[str] = "mlp"

    def __init__(self, n_candidates: int, hidden_sizes: Sequence[int], activation: str) -> None:
        n = whole_number("n_candidates", n_candidates, 2)
        one_of("activation", activation, sorted(ACTIVATIONS))
        sizes = (2 * n, *layer_sizes("hidden_sizes", hidden_sizes))
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
        super().__init__(*layers, nn.Linear(sizes[-1], n * (n - 1) // 2))
        self.n_candidates = n
        self._specification = {
            "name": self.name,
            "n_candidates": n,
            "hidden_sizes": list(sizes[1:]),
            "activation": activation,
        }

    def specification(self) -> dict[str, object]:
        """Return what :func:`build_network` makes the same architecture of."""
        return self._specification


PairNetwork = EquivariantPairs | FlatPairs
_ARCHITECTURES: dict[str, type[EquivariantPairs] | type[FlatPairs]] = {
    kind.name: kind for kind in (EquivariantPairs, FlatPairs)
}


def build_network(specification: object) -> PairNetwork:
    """Return a network without weights, which are still to be loaded (with ``assign=True``).

    Nothing is drawn: torch would initialise weights from its global random state.

    Raises:
        SpecificationError: if there is no such architecture, or it has other settings.
    """
    settings = dict(specification) if isinstance(specification, dict) else {}
    name = settings.pop("name", None)
    if not isinstance(name, str) or name not in _ARCHITECTURES:
        raise SpecificationError(f"the architecture is {specification!r}; known: {', '.join(_ARCHITECTURES)}")
    with torch.device("meta"):
        try:
            return _ARCHITECTURES[name](**settings)
        except (TypeError, RuntimeError):  # settings that it has not, or sizes beyond any memory
            raise SpecificationError(f"architecture {name!r} cannot be built with {settings}; write it anew") from None
