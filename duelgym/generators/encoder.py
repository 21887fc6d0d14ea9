"""Embeddings of prompts and responses by a language model that need not be the one that wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from duelgym.checks import whole_number
from duelgym.errors import GeneratorError
from duelgym.generators.language_model import LanguageModel
from duelgym.generators.model_files import EMBEDDED
from duelgym.generators.protocol import CandidateGenerator, Encoder, Responses
from duelgym.generators.reading import Reading, pooled


@dataclass(frozen=True)
class TransformersEncoder:
    """Reads (prompt, response) with a causal language model and takes its hidden states, as its own generator would.

    Args:
        model: a directory in transformers' format, a hub name, or ``"embedded"``.
        revision: commit of a hub name, 40 hex digits.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, …
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        pooling: ``"last"``, ``"mean"`` or ``"both"``: see :class:`duelgym.generators.reading.Reading`.
        batch_size: sequences at once.
        projection: a file of :meth:`duelgym.generators.projection.Projection.save`, or None.
        threads: of torch, for the whole process; None leaves them.

    Raises:
        GeneratorError: on a setting that is not allowed, or a model that is incomplete or brings code of its own.
    """

    model: str = EMBEDDED
    _: KW_ONLY
    revision: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    pooling: str = "last"
    batch_size: int = 32
    projection: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        whole_number("batch_size", self.batch_size, error=GeneratorError)
        _ = self._reading  # refuses what is wrong with the model now rather than at the first call

    @cached_property
    def _reading(self) -> Reading:
        model = LanguageModel(
            self.model, revision=self.revision, device=self.device, dtype=self.dtype, threads=self.threads
        )
        return Reading(model, pooling=self.pooling, projection=self.projection)

    @property
    def embedding_dim(self) -> int:
        """Features of an embedding, from the configuration or the projection alone."""
        return self._reading.embedding_dim

    def embed(
        self, prompts: Sequence[str], responses: Sequence[Sequence[str]]
    ) -> tuple[Float32[np.ndarray, "batch d"], Float32[np.ndarray, "batch n d"], int]:
        """Return embeddings of the prompts, of (prompt, response), both in [-1, 1], and how many values were cut off.

        Raises:
            GeneratorError: if prompts and responses do not fit together, or a text is too long for the context.
        """
        if len(prompts) != len(responses) or len({len(group) for group in responses}) != 1:
            raise GeneratorError(
                f"{len(prompts)} prompts came with responses in groups of {[len(group) for group in responses]}; give every "
                "prompt equally many"
            )
        model = self._reading.model
        read = model.prompt_tokens(prompts, room=0)
        rows = [
            (prompt, model.response_tokens(text, position, room=len(prompt)))
            for position, (prompt, group) in enumerate(zip(read, responses, strict=True))
            for text in group
        ]
        candidates, cut = self._reading.embed(self._hidden(rows))
        prompt_embeddings, prompt_cut = self._reading.embed(self._hidden([([], prompt) for prompt in read]))
        return prompt_embeddings, candidates.reshape(len(prompts), -1, self.embedding_dim), cut + prompt_cut

    def specification(self) -> dict[str, object]:
        """Return the model's identity (commit, or directory name and sha256 of its weights) and every setting."""
        return {
            "name": "transformers",
            **self._reading.record(),
            "device": self.device,
            "dtype": self.dtype,
            "batch_size": self.batch_size,
            "threads": self.threads,
        }

    def _hidden(self, rows: Sequence[tuple[list[int], list[int]]]) -> Float32[np.ndarray, "rows hidden"]:
        """Return the pooled hidden state of each (context, text); of the context's last token where the text is empty."""
        import torch

        model = self._reading.model.model
        states = np.empty((len(rows), self._reading.hidden_dim), np.float32)
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            longest = max(len(context) + len(text) for context, text in batch)
            ids = torch.zeros((len(batch), longest), dtype=torch.int64)
            mask = torch.zeros_like(ids)
            for row, (context, text) in enumerate(batch):
                length = len(context) + len(text)
                ids[row, :length] = torch.tensor(context + text)
                mask[row, :length] = 1
            # Padding stands on the right, where a causal model's earlier tokens do not see it.
            with torch.inference_mode():
                hidden = model.base_model(
                    input_ids=ids.to(model.device), attention_mask=mask.to(model.device), use_cache=False
                ).last_hidden_state.float()
            for row, (context, text) in enumerate(batch):
                stop = len(context) + len(text)
                last = hidden[row, stop - 1]
                mean = hidden[row, len(context) : stop].mean(dim=0) if text else last
                states[start + row] = pooled(last.cpu().numpy(), mean.cpu().numpy(), self.pooling)
        return states


@dataclass(frozen=True)
class Reencoded:
    """A generator's responses with another encoder's embeddings."""

    generator: CandidateGenerator
    encoder: Encoder

    @property
    def embedding_dim(self) -> int:
        """Features of the encoder's embeddings."""
        return self.encoder.embedding_dim

    def generate(self, prompts: Sequence[str], n: int, *, rng: np.random.Generator) -> Responses:
        """Return the generator's responses, embedded anew."""
        responses = self.generator.generate(prompts, n, rng=rng)
        prompt_embeddings, candidate_embeddings, clipped = self.encoder.embed(prompts, responses.texts)
        return replace(
            responses,
            prompt_embeddings=prompt_embeddings,
            candidate_embeddings=candidate_embeddings,
            clipped=clipped,
        )

    @property
    def prompts(self) -> list[str] | None:
        """The prompts that it can answer, where the generator answers only some."""
        return getattr(self.generator, "prompts", None)

    def specification(self) -> dict[str, object]:
        """Return the generator's specification with the encoder's under ``encoder``."""
        return {**self.generator.specification(), "encoder": self.encoder.specification()}
