"""Policies on disk: weights and JSON in one safetensors file, no code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64

from duelgym.errors import SpecificationError
from duelgym_agents.policies.networks import PairNetwork, build_network

FORMAT = 1
_KEY = "duelgym_policy"
_ASSETS = Path(__file__).parent / "assets"
_TRAIN = "python -m duelgym_agents.policies.train --out FILE"


class PairPolicy:
    """A trained actor: what probability it gives to each pair under a belief.

    Args:
        network: with its weights.
        record: how it came about, plain JSON: algorithm, gamma, command, seed.
    """

    def __init__(self, network: PairNetwork, record: Mapping[str, Any]) -> None:
        self.network = network.requires_grad_(False)
        self.record = dict(record)

    def logits(self, belief: Float32[np.ndarray, "batch n_candidates 2"]) -> Float64[np.ndarray, "batch n_pairs"]:
        """Return the logarithm, up to a constant, of the probability of every pair i < j as ``np.triu_indices`` counts them.

        Raises:
            SpecificationError: if it was trained for another number of candidates.
        """
        self.check(belief.shape[1])
        with torch.no_grad():
            return self.network(torch.from_numpy(np.ascontiguousarray(belief))).numpy().astype(np.float64)

    def check(self, n_candidates: int) -> None:
        """Refuse another number of candidates than it was trained for.

        Raises:
            SpecificationError: naming both.
        """
        if self.network.n_candidates not in (None, n_candidates):
            raise SpecificationError(
                f"this policy was trained for {self.network.n_candidates} candidates and is shown {n_candidates}; train one for "
                "that number, or an equivariant one, which takes any"
            )


def write_policy(path: str | os.PathLike[str], policy: PairPolicy) -> None:
    """Write a policy, whole or not at all; a file of that name is replaced."""
    from safetensors.torch import save

    described = {"format": FORMAT, "architecture": policy.network.specification(), "record": policy.record}
    weights = {name: tensor.contiguous() for name, tensor in policy.network.state_dict().items()}
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(save(weights, metadata={_KEY: json.dumps(described, sort_keys=True)}))
    partial.replace(path)


def load_policy(name: str) -> PairPolicy:
    """Read a policy; nothing in the file is run.

    Args:
        name: of a shipped policy, or the path of a file that ``save_policy`` or the training command wrote.

    Raises:
        SpecificationError: in one line, if there is no such file, or it holds no policy of this format.
    """
    from safetensors import SafetensorError, safe_open

    path = _ASSETS / f"{name}.safetensors" if name in _shipped() else Path(name)
    if not path.is_file():
        raise SpecificationError(
            f"there is no policy {name!r}; shipped: {', '.join(_shipped())}; or give a file that this wrote: {_TRAIN}"
        )
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {})[_KEY])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        known = described["format"] == FORMAT
        architecture, record = described["architecture"], dict(described["record"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        zipped = "a zip of Stable-Baselines3 holds pickled code, which is never run: " if _is_zip(path) else ""
        raise SpecificationError(
            f"{path} holds no policy: {zipped}write one by duelgym_agents.policies.stable_baselines.save_policy or {_TRAIN}"
        ) from None
    if not known:
        raise SpecificationError(
            f"{path} has format {described['format']!r}, this version reads {FORMAT}; train it anew"
        )
    network = build_network(architecture)
    wanted = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    if wanted != {key: tuple(tensor.shape) for key, tensor in weights.items()}:
        raise SpecificationError(f"{path} has not the weights of its architecture {architecture!r}; write it anew")
    if not all(tensor.dtype == torch.float32 and bool(tensor.isfinite().all()) for tensor in weights.values()):
        raise SpecificationError(f"{path} has weights that are not finite float32 numbers; train it anew")
    network.load_state_dict(weights, assign=True)
    return PairPolicy(network, record)


def _shipped() -> list[str]:
    return sorted(path.stem for path in _ASSETS.glob("*.safetensors"))


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"
