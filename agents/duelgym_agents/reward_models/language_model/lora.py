"""An ensemble of low-rank adapters on one language model that is frozen once it has learnt from the first labels."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models.language_model.linear_heads import LinearHeads
from duelgym_agents.reward_models.language_model.reader import TextReader, TokenRow
from duelgym_agents.reward_models.language_model.settings import LoRASettings
from duelgym_agents.reward_models.language_model.weights import Layout
from duelgym_agents.state import entry


class AdaptedNetwork:
    """A reader's network with an adapter beside every linear layer: W x becomes W x + B A x alpha / rank.

    Args:
        reader: whose network; it stays as it is.
        rank: of B A.
        alpha: see above.

    Attributes:
        network: with the adapters; without weights, as the reader's.
        layout: of one adapter's weights.

    Raises:
        SpecificationError: if peft is not installed, or cannot adapt the model.
    """

    def __init__(self, reader: TextReader, *, rank: int, alpha: float) -> None:
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError:
            raise SpecificationError(
                "lora needs peft and transformers; install them with: pip install 'duelgym-agents[llm]'"
            ) from None
        network = copy.deepcopy(reader.network)
        names = {weight: name for name, weight in network.named_parameters()}
        config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear")  # type: ignore[arg-type]
        try:
            # The library draws initial weights, which are not used, and tells what it has noticed about GPT-2's layers.
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
                self.network = inject_adapter_in_model(config, network)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise SpecificationError(f"lora cannot adapt {type(network).__name__}: {reason}") from None
        weights = dict(self.network.named_parameters())
        self.layout = Layout({name: weight.shape for name, weight in weights.items() if weight not in names})
        self._renamed = {names[weight]: name for name, weight in weights.items() if weight in names}

    def renamed(self, body: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the body's weights by their names beside the adapters."""
        return {self._renamed[name]: weight for name, weight in body.items()}

    def draw(self, rng: np.random.Generator) -> Float32[np.ndarray, " adapter"]:
        """Return an adapter that changes nothing yet: B is 0, and A uniform with variance 1 / (3 inputs), as LoRA's code has it."""
        parts = [
            rng.uniform(-1.0, 1.0, shape.numel()) / shape[1] ** 0.5 if ".lora_A." in name else np.zeros(shape.numel())
            for name, shape in self.layout.shapes.items()
        ]
        return np.concatenate(parts).astype(np.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> AdaptedNetwork:
        return self


class Adapters:
    """Particles with an adapter and a head each on one frozen body; the weights are the adapters', then the heads'."""

    def __init__(
        self, reader: TextReader, adapted: AdaptedNetwork, body: Float32[torch.Tensor, " body"], n_particles: int
    ) -> None:
        self.n_passes = n_particles
        self.body = body
        self._reader = reader
        self._adapted = adapted

    def hidden(
        self, weights: Float32[torch.Tensor, " weights"], rows: Sequence[TokenRow]
    ) -> Float32[torch.Tensor, "rows hidden"]:
        """Return the frozen body's hidden states, without adapters."""
        return self._reader.hidden(self._reader.layout.named(self.body), rows)

    def utilities(
        self, weights: Float32[torch.Tensor, " weights"], rows: Sequence[TokenRow]
    ) -> Float32[torch.Tensor, "n_particles rows"]:
        """Return each head's product with the hidden states under its adapter."""
        layout, k = self._adapted.layout, self.n_passes
        adapters, heads = weights[: k * layout.size].view(k, -1), weights[k * layout.size :].view(k, -1)
        body = self._adapted.renamed(self._reader.layout.named(self.body))
        hidden = [self._reader.hidden(body | layout.named(each), rows, self._adapted.network) for each in adapters]
        return torch.stack([states @ head for states, head in zip(hidden, heads, strict=True)])

    def __deepcopy__(self, memo: dict[int, Any]) -> Adapters:
        return self  # the body is never written to


class LoRAEnsemble(LinearHeads):
    """The LoRA ensemble of Zhang et al. (2024, 2401.16635): an adapter and a head for each particle on one frozen body.

    On the first labels it is :class:`LinearHeads`; the paper's "subset of the data" for body and heads is those. Then the
    body is frozen, each particle gets an adapter (Hu et al. 2022) on all linear layers, which changes nothing at first,
    and adapters and heads learn. Every particle takes a pass of its own.

    Args:
        settings: see :class:`LoRASettings`.
        prompt_dim: not used.
        candidate_dim: not used.
        rng: draws heads, adapters and minibatches; the model keeps it.

    Raises:
        SpecificationError: if peft is not installed, or cannot adapt the model.
        GeneratorError: as :class:`LinearHeads`.
    """

    name: ClassVar[str] = "lora"
    settings: LoRASettings

    def __init__(
        self, settings: LoRASettings, *, prompt_dim: int, candidate_dim: int, rng: np.random.Generator
    ) -> None:
        super().__init__(settings, prompt_dim=prompt_dim, candidate_dim=candidate_dim, rng=rng)
        self._adapted = AdaptedNetwork(self._reader, rank=settings.rank, alpha=settings.alpha)

    def update(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Learn as :class:`LinearHeads` does; after the batch that completes the tuning labels the body is frozen."""
        super().update(contexts, pairs, preferences)
        if self._particles is self._shared and self._replay.added >= self.settings.tuning_labels:
            body, heads = self._shared.parts(self._weights.values)
            adapters = [self._adapted.draw(self._replay.rng) for _ in range(self.settings.n_particles)]
            drawn = torch.from_numpy(np.concatenate(adapters)).to(self._reader.device)
            self._freeze(body.clone(), drawn, heads.flatten())

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, anchor, optimiser, buffer and random state, and once it is frozen the body."""
        frozen = self._particles
        return super().state_dict() | ({"body": frozen.body.cpu().numpy()} if isinstance(frozen, Adapters) else {})

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave, from before the freeze or after it.

        Raises:
            SpecificationError: if the state is not that of a model with equal settings.
        """
        body_size, k = self._reader.layout.size, self.settings.n_particles
        heads = torch.zeros(k * self._reader.hidden_dim, device=self._reader.device)
        if "body" in state:
            body = torch.tensor(entry(state, "body", (body_size,)), device=self._reader.device)
            self._freeze(body, heads.new_zeros(k * self._adapted.layout.size), heads)
        elif self._particles is not self._shared:
            self._particles, self._learning_rate = self._shared, self.settings.learning_rate
            self._weights = self._start(heads.new_zeros(body_size), heads)
        super().load_state_dict(state)

    def _freeze(
        self,
        body: Float32[torch.Tensor, " body"],
        adapters: Float32[torch.Tensor, " adapters"],
        heads: Float32[torch.Tensor, " heads"],
    ) -> None:
        """Go on with adapters and heads alone."""
        self._particles = Adapters(self._reader, self._adapted, body, self.settings.n_particles)
        self._weights = self._start(adapters, heads)
        self._learning_rate = self.settings.adapter_learning_rate
        self._latest = None
