"""A language model as a function of its weights: token rows in, hidden states out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64

from duelgym.generators.language_model import LanguageModel
from duelgym_agents.reward_models.language_model.weights import Layout

TokenRow = Int32[np.ndarray, " tokens"]


class TextReader:
    """Tokenizer and network of a causal language model, without the weights, which every call is given.

    A text is read as the model's own embeddings of candidates are: the prompt in the chat template where there is one,
    then the response, and the last layer's hidden state, after the final norm, at the last token. The network is in
    evaluation mode, so nothing drops out. Readers never change, and copies are the reader itself.

    Args:
        model: a directory in transformers' format, a hub name, or ``"embedded"``.
        revision: commit of a hub name, 40 hex digits.
        device: where weights and activations are.

    Attributes:
        network: the model's body. Its own weights are empty, so that none is used that was not given.
        layout: of the body's weights.
        device: where they must be.

    Raises:
        GeneratorError: if the model cannot be loaded, is incomplete, or brings code of its own.
    """

    def __init__(self, model: str, *, revision: str | None, device: str) -> None:
        self._language_model = LanguageModel(model, revision=revision, device=device, dtype="float32")
        whole = self._language_model.model
        self.network: torch.nn.Module = whole.base_model
        self.layout = Layout({name: weight.shape for name, weight in self.network.named_parameters()})
        self.hidden_dim = self._language_model.hidden_dim
        self.device = torch.device(device)
        self._pretrained: Float32[torch.Tensor, " weights"] | None = torch.cat(
            [weight.detach().flatten() for weight in self.network.parameters()]
        )
        _empty(whole)

    def pretrained(self) -> Float32[torch.Tensor, " weights"]:
        """Hand over the body's weights, flat; they are given once, and kept no longer."""
        weights, self._pretrained = self._pretrained, None
        assert weights is not None
        return weights

    def rows(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> list[TokenRow]:
        """Return the tokens of every (prompt, response), prompt by prompt.

        Raises:
            GeneratorError: naming the prompt, if it has no tokens or is with a response longer than the model's context.
        """
        model = self._language_model
        return [
            np.array(prompt + model.response_tokens(text, position, room=len(prompt)), dtype=np.int32)
            for position, (prompt, group) in enumerate(
                zip(model.prompt_tokens(prompts, room=0), responses, strict=True)
            )
            for text in group
        ]

    def hidden(
        self, weights: Mapping[str, torch.Tensor], rows: Sequence[TokenRow], network: torch.nn.Module | None = None
    ) -> Float32[torch.Tensor, "rows hidden"]:
        """Return each row's hidden state at its last token.

        Args:
            weights: by their names in the network.
            rows: at least one; read at once, so the caller sees to it that they are not too many.
            network: with adapters in it, in place of the reader's own.
        """
        lengths = torch.tensor([len(row) for row in rows])
        # Padding stands on the right, where a causal model's earlier tokens do not see it.
        ids = torch.zeros((len(rows), int(lengths.max())), dtype=torch.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.from_numpy(row)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        inputs = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device), "use_cache": False}
        output: Any = torch.func.functional_call(
            self.network if network is None else network, dict(weights), (), inputs
        )
        return output.last_hidden_state[torch.arange(len(rows)), lengths - 1]

    def __deepcopy__(self, memo: dict[int, Any]) -> TextReader:
        return self


def pieces(lengths: Sequence[int], most: int) -> Iterator[Int64[np.ndarray, " piece"]]:
    """Yield the positions of texts, shortest first, in pieces of at most ``most`` tokens, padding included; at least one text."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and lengths[order[stop]] * (stop + 1 - start) <= most:
            stop += 1
        yield order[start:stop]
        start = stop


def _empty(model: torch.nn.Module) -> None:
    """Take a model's weights away, and keep their shapes, which of them are one, and the buffers."""
    emptied: dict[torch.nn.Parameter, torch.nn.Parameter] = {}
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            if weight not in emptied:
                emptied[weight] = torch.nn.Parameter(weight.to("meta"), requires_grad=False)
            setattr(module, name, emptied[weight])
