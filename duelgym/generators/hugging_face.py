"""Candidates sampled from a language model of the transformers library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np

from duelgym.checks import positive_number, whole_number
from duelgym.errors import GeneratorError
from duelgym.generators.checks import check_request
from duelgym.generators.language_model import LanguageModel
from duelgym.generators.model_files import EMBEDDED
from duelgym.generators.protocol import Responses
from duelgym.generators.reading import Reading, pooled


@dataclass(frozen=True)
class TransformersGenerator:
    """Samples N responses per prompt from a causal language model, with embeddings of its own hidden states.

    The weights are loaded at the first call. Prompts are put in the chat template where the tokenizer has one; remote code
    is never run. Sampling is Gumbel-max over temperature and top-p; of the model's generation settings only the tokens
    that end a response are honoured. Each (prompt, sample) has noise of its own from ``rng``, so ``batch_size`` and the
    company in which a prompt is answered change results by rounding alone (which now and then turns a close draw).

    Args:
        model: a directory in transformers' format, a hub name, or ``"embedded"``.
        revision: commit of a hub name, 40 hex digits.
        temperature: logits are divided by it; positive.
        top_p: only the likeliest tokens that together reach this share are drawn from; above 0, at most 1.
        max_new_tokens: longest response, in tokens.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, …
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        pooling: ``"last"``, ``"mean"`` or ``"both"``: see :class:`duelgym.generators.reading.Reading`.
        batch_size: sequences at once; memory follows from it, whatever N and the number of prompts.
        projection: a file of :meth:`duelgym.generators.projection.Projection.save`; None: hidden states are divided by 4
            times their root mean square.
        threads: of torch, for the whole process, set when the weights are loaded; None leaves them.

    Raises:
        GeneratorError: on a setting that is not allowed, or a model that is incomplete or brings code of its own.
    """

    model: str = EMBEDDED
    _: KW_ONLY
    revision: str | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 48
    device: str = "cpu"
    dtype: str = "float32"
    pooling: str = "last"
    batch_size: int = 100
    projection: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        positive_number("temperature", self.temperature, error=GeneratorError)
        positive_number("top_p", self.top_p, most=1.0, error=GeneratorError)
        whole_number("max_new_tokens", self.max_new_tokens, error=GeneratorError)
        whole_number("batch_size", self.batch_size, error=GeneratorError)
        _ = self._reading  # refuses what is wrong with the model now rather than at the first call

    @cached_property
    def _reading(self) -> Reading:
        model = LanguageModel(
            self.model, revision=self.revision, device=self.device, dtype=self.dtype, threads=self.threads
        )
        return Reading(model, pooling=self.pooling, projection=self.projection)

    @property
    def language_model(self) -> LanguageModel:
        """Tokenizer and weights, loaded when first asked for."""
        return self._reading.model

    @property
    def embedding_dim(self) -> int:
        """Features of an embedding, from the configuration or the projection alone."""
        return self._reading.embedding_dim

    def generate(self, prompts: Sequence[str], n: int, *, rng: np.random.Generator) -> Responses:
        """Return n responses to each prompt, with embeddings.

        ``n_tokens`` leaves out the token that ends a response, so the empty response has 0.

        Raises:
            GeneratorError: if there is no prompt, n is below 1, the model cannot be loaded, its chat template fails, or a
                prompt has no tokens or more than the context less ``max_new_tokens``.
        """
        from duelgym.generators.sampling import sample

        check_request(prompts, n)
        model = self._reading.model
        tokens = model.prompt_tokens(prompts, room=self.max_new_tokens)
        seeds = rng.integers(2**63, size=len(prompts) * n)
        texts, reasons, n_tokens = [], [], []
        hidden = np.empty((len(seeds), self._reading.hidden_dim), np.float32)
        prompt_hidden = np.empty((len(prompts), self._reading.hidden_dim), np.float32)
        for start in range(0, len(seeds), self.batch_size):
            rows = np.arange(start, min(start + self.batch_size, len(seeds)))
            asked, repeats = np.unique(rows // n, return_counts=True)
            sampled = sample(
                model.model,
                [tokens[prompt] for prompt in asked],
                repeats,
                seeds[rows],
                ends=model.ends,
                temperature=self.temperature,
                top_p=self.top_p,
                max_new_tokens=self.max_new_tokens,
            )
            texts += model.texts(sampled.tokens)
            reasons += ["stop" if stopped else "length" for stopped in sampled.stopped]
            n_tokens += [len(row) for row in sampled.tokens]
            hidden[rows] = pooled(sampled.last, sampled.mean, self.pooling)
            prompt_hidden[asked] = pooled(sampled.prompt_last, sampled.prompt_mean, self.pooling)
        candidates, cut = self._reading.embed(hidden)
        prompt_embeddings, prompt_cut = self._reading.embed(prompt_hidden)
        return Responses(
            texts=_in_lines(texts, n),
            finish_reasons=_in_lines(reasons, n),
            n_tokens=np.array(n_tokens, dtype=np.int64).reshape(-1, n),
            prompt_embeddings=prompt_embeddings,
            candidate_embeddings=candidates.reshape(len(prompts), n, -1),
            clipped=cut + prompt_cut,
        )

    def specification(self) -> dict[str, object]:
        """Return the model's identity (commit, or directory name and sha256 of its weights) and every setting."""
        return {
            "name": "transformers",
            **self._reading.record(),
            "temperature": float(self.temperature),
            "top_p": float(self.top_p),
            "max_new_tokens": self.max_new_tokens,
            "device": self.device,
            "dtype": self.dtype,
            "batch_size": self.batch_size,
            "threads": self.threads,
        }


def _in_lines(values: Sequence[str], n: int) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(values[start : start + n]) for start in range(0, len(values), n))
