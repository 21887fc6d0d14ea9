"""Sampling from a causal language model by Gumbel-max, its hidden states collected on the way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int64

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Sampled:
    """Sampled continuations of some prompts; a row is one (prompt, sample).

    Attributes:
        tokens: of each row, without the one that ends it.
        stopped: whether the model ended the row itself.
        last: last hidden layer at the row's last token; at the prompt's last token where the row has none.
        mean: mean of the last hidden layer over the row's tokens; as ``last`` where it has none.
        prompt_last: last hidden layer at each prompt's last token.
        prompt_mean: mean of the last hidden layer over each prompt's tokens.
    """

    tokens: list[list[int]]
    stopped: Bool[np.ndarray, " rows"]
    last: Float32[np.ndarray, "rows hidden"]
    mean: Float32[np.ndarray, "rows hidden"]
    prompt_last: Float32[np.ndarray, "prompts hidden"]
    prompt_mean: Float32[np.ndarray, "prompts hidden"]


class _Gumbel:
    """A logits processor whose argmax is a draw, and a listener at the output layer.

    argmax(log p + G) with G = -log E, E ~ Exp(1), is a draw from p (Gumbel 1954; Maddison et al. 2014). Every row has a
    generator of its own, so a row's noise does not depend on which rows stand beside it. At step t the listener has
    just heard the hidden state at the token chosen at step t - 1; one step more than there are tokens is run for the
    hidden state at the last.
    """

    def __init__(
        self,
        seeds: Int64[np.ndarray, " rows"],
        ends: Int[torch.Tensor, " ends"],
        *,
        temperature: float,
        top_p: float,
        max_new_tokens: int,
    ) -> None:
        import torch

        self._fill = _noise(seeds, ends.device)
        self._ends, self._temperature, self._top_p = ends, temperature, top_p
        self._max_new_tokens = max_new_tokens
        self._step = 0
        self._buffer: torch.Tensor | None = None
        self._heard: Any = None
        self.open = torch.ones(len(seeds), dtype=torch.bool, device=ends.device)
        self.n_tokens = torch.zeros(len(seeds), dtype=torch.int64, device=ends.device)
        self.first: Any = None
        self.last: Any = None
        self.total: Any = None

    def hear(self, module: Any, inputs: tuple[Any, ...]) -> None:
        """Keep the hidden state that the output layer is about to read."""
        self._heard = inputs[0][:, -1].float()

    def __call__(
        self, input_ids: Int[torch.Tensor, "rows length"], scores: Float[torch.Tensor, "rows vocabulary"]
    ) -> Float[torch.Tensor, "rows vocabulary"]:
        import torch

        step, self._step = self._step, self._step + 1
        if step > self._max_new_tokens:  # on some devices the library looks late whether all is done
            return scores
        if step == 0:
            self.first, self.last, self.total = self._heard, self._heard, torch.zeros_like(self._heard)
        else:
            self.open &= ~torch.isin(input_ids[:, -1], self._ends)
            written = self.open[:, None]
            self.last = torch.where(written, self._heard, self.last)
            self.total += torch.where(written, self._heard, 0.0)
            self.n_tokens += self.open
        if step == self._max_new_tokens:
            return scores
        if self._temperature != 1.0:
            scores = scores / self._temperature
        if self._top_p < 1.0:
            scores = _nucleus(scores, self._top_p)
        if self._buffer is None:
            # Single precision would give exactly 0 once in 2^23 draws on a processor, and so a token from nowhere.
            precise = torch.float64 if scores.device.type == "cpu" else torch.float32
            self._buffer = torch.ones_like(scores, dtype=precise)
        self._fill(self._buffer, torch.nonzero(self.open)[:, 0].tolist())
        return scores - self._buffer.float().clamp(min=torch.finfo(torch.float32).tiny).log()


def _noise(seeds: Int64[np.ndarray, " rows"], device: torch.device) -> Callable[[torch.Tensor, list[int]], None]:
    """Return a function that fills the named rows of an array with draws of Exp(1), each from the row's generator."""
    if device.type == "cpu":  # numpy's are several times faster here, and take all 64 bits of a seed
        rngs = [np.random.default_rng(int(seed)) for seed in seeds]

        def fill(buffer: torch.Tensor, rows: list[int]) -> None:
            array = buffer.numpy()
            for row in rows:
                rngs[row].standard_exponential(out=array[row])

        return fill
    import torch

    generators = [torch.Generator(device).manual_seed(int(seed)) for seed in seeds]

    def fill_on_device(buffer: torch.Tensor, rows: list[int]) -> None:
        for row in rows:
            buffer[row].exponential_(generator=generators[row])

    return fill_on_device


def _nucleus(scores: Float[torch.Tensor, "rows vocabulary"], top_p: float) -> Float[torch.Tensor, "rows vocabulary"]:
    """Return scores with all but the likeliest tokens that together reach top_p at minus infinity (Holtzman et al. 2020)."""
    ordered, order = scores.sort(dim=-1, descending=True)
    chances = ordered.softmax(dim=-1)
    dropped = chances.cumsum(dim=-1) - chances >= top_p
    return scores.masked_fill(dropped.scatter(-1, order, dropped), -float("inf"))


def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    repeats: Int64[np.ndarray, " prompts"],
    seeds: Int64[np.ndarray, " rows"],
    *,
    ends: Sequence[int],
    temperature: float,
    top_p: float,
    max_new_tokens: int,
) -> Sampled:
    """Continue each prompt as often as told; rows go through the prompts in order.

    A prompt is read once, whatever the number of its samples, where the model's cache allows it.

    Args:
        model: a causal language model of the transformers library.
        prompts: tokens of each prompt, at least one.
        repeats: samples of each prompt.
        seeds: one for each row.
        ends: tokens that end a response.
        temperature: logits are divided by it.
        top_p: share of the probability that is kept.
        max_new_tokens: longest response.
    """
    import torch
    from transformers import GenerationConfig

    device = model.device
    longest = max(len(prompt) for prompt in prompts)
    filler = int(ends[0]) if ends else 0
    ids = torch.tensor([[filler] * (longest - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device)
    counts = torch.as_tensor(repeats, device=device)
    settings = GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens + 1, eos_token_id=list(ends) or None, pad_token_id=filler
    )
    gumbel = _Gumbel(
        seeds,
        torch.tensor(ends, dtype=torch.int64, device=device),
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=max_new_tokens,
    )
    with torch.inference_mode():
        read, cache = _read(model, ids[:, :-1], mask[:, :-1])
        if cache is not None:
            cache.batch_select_indices(torch.repeat_interleave(torch.arange(len(prompts), device=device), counts))
        listening = model.get_output_embeddings().register_forward_pre_hook(gumbel.hear)
        try:
            written = model.generate(
                ids.repeat_interleave(counts, dim=0),
                attention_mask=mask.repeat_interleave(counts, dim=0),
                past_key_values=cache,
                generation_config=settings,
                logits_processor=[gumbel],
            )[:, longest:]
        finally:
            listening.remove()
        if written.shape[1] <= max_new_tokens:  # all have ended, the last of them after the listener last looked
            gumbel.open[:] = False
        lengths = gumbel.n_tokens
        means = torch.where((lengths > 0)[:, None], gumbel.total / lengths.clamp(min=1)[:, None], gumbel.last)
        prompt_last = gumbel.first[counts.cumsum(0) - counts]
        prompt_mean = (read + prompt_last) / mask.sum(dim=1, keepdim=True)
    return Sampled(
        tokens=[row[:n] for row, n in zip(written.tolist(), lengths.tolist(), strict=True)],
        stopped=~gumbel.open.cpu().numpy(),
        last=gumbel.last.cpu().numpy(),
        mean=means.cpu().numpy(),
        prompt_last=prompt_last.cpu().numpy(),
        prompt_mean=prompt_mean.cpu().numpy(),
    )


def _read(
    model: Any, ids: Int[torch.Tensor, "prompts length"], mask: Int[torch.Tensor, "prompts length"]
) -> tuple[Any, Any]:
    """Return the sum of hidden states over what is read, and the cache from which generation goes on.

    The cache is None where nothing is read, or where it cannot be handed to several samples (recurrent layers): then
    every row reads its prompt itself.
    """
    from transformers import DynamicCache

    if ids.shape[1] == 0:
        return 0.0, None
    cache = DynamicCache(config=model.config)
    inputs = {"input_ids": ids, "attention_mask": mask, "past_key_values": cache, "use_cache": True}
    reader = model.base_model
    if "position_ids" in inspect.signature(reader.forward).parameters:
        inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
    hidden = reader(**inputs).last_hidden_state.float()
    shared = all(hasattr(layer, "batch_select_indices") for layer in cache.layers)
    return (hidden * mask[:, :, None]).sum(dim=1), cache if shared else None
