"""Embeddings of texts by a language model from the transformers library: mean pooled, of unit length."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from duelgym.errors import PoolError
from duelgym.pools.splits import shorten

_COUNTED = 1024
_NO_LIMIT = 10**6  # tokenizers without a maximum report one with thirty digits


@dataclass(frozen=True)
class Encoded:
    """Embeddings and how they came about.

    Attributes:
        embeddings: one unit vector per text, zero for a text without tokens.
        truncated: whether the text was longer than the encoder's maximum and lost its end.
        record: encoder, revision and pooling as plain JSON, for the pool's manifest.
    """

    embeddings: Float32[np.ndarray, "texts dim"]
    truncated: Bool[np.ndarray, " texts"]
    record: dict[str, Any]


def encode_texts(
    texts: Sequence[str],
    *,
    encoder: str,
    revision: str | None = None,
    max_tokens: int | None = None,
    batch_size: int = 32,
) -> Encoded:
    """Embed texts: mean of the last hidden layer over the tokens that are not padding, divided by its length.

    A text without a single token (the empty one, where the tokenizer adds nothing) gets the zero vector.

    Args:
        texts: each is embedded alone.
        encoder: folder or hub name of a transformers model with a tokenizer and safetensors weights.
        revision: commit, tag or branch of a hub model.
        max_tokens: texts are cut here, special tokens included; None is the encoder's own maximum.
        batch_size: texts at a time.

    Raises:
        PoolError: if torch or transformers is not installed, the encoder cannot be loaded, ``max_tokens`` is too
            small, or a text is not Unicode.
    """
    try:
        import torch
        import transformers  # noqa: F401 (loaded below; here only to see whether it is installed)
    except ImportError:
        raise PoolError(
            "an encoder needs torch and transformers; install them with: pip install 'duelgym[llm]'"
        ) from None
    from tqdm import tqdm

    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            message = f"not valid Unicode (a lone surrogate), so no encoder can read it: {shorten(text)}"
            raise PoolError(message) from None
    tokenizer, model = _load(encoder, revision)
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    model.eval()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = "right"
    smallest = tokenizer.num_special_tokens_to_add() + 1
    if max_tokens is not None and max_tokens < smallest:
        raise PoolError(f"max tokens is {max_tokens}; this encoder needs at least {smallest}")
    own = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", _NO_LIMIT))
    limit = min(own, _NO_LIMIT if max_tokens is None else max_tokens)

    lengths = np.empty(len(texts), np.int64)
    for start in tqdm(range(0, len(texts), _COUNTED), desc="counting tokens", disable=None, delay=2):
        counted = tokenizer(list(texts[start : start + _COUNTED]), verbose=False)["input_ids"]
        lengths[start : start + _COUNTED] = [len(ids) for ids in counted]
    order = np.argsort(lengths, kind="stable")  # texts of like length together waste little padding
    embeddings = np.empty((len(texts), model.config.hidden_size), np.float32)
    with tqdm(total=len(texts), desc="embedding", unit="text", disable=None, delay=2) as progress:
        for start in range(0, len(texts), batch_size):
            batch = order[start : start + batch_size]
            tokens = tokenizer(
                [texts[position] for position in batch],
                padding=True,
                truncation=limit < _NO_LIMIT,
                max_length=limit if limit < _NO_LIMIT else None,
                return_tensors="pt",
            )
            if tokens["input_ids"].shape[1] == 0:  # nothing but empty texts, and a tokenizer that adds nothing
                embeddings[batch] = 0
                progress.update(len(batch))
                continue
            with torch.inference_mode():
                hidden = model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
                embeddings[batch] = torch.nn.functional.normalize(pooled, dim=1).numpy()
            progress.update(len(batch))
    return Encoded(embeddings, lengths > limit, _record(encoder, model.config, limit))


def _load(encoder: str, revision: str | None) -> tuple[Any, Any]:
    """Return tokenizer and model, without the library's progress bar, which is not silent outside a terminal."""
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        # Weights in other formats than safetensors are pickles: code from a stranger.
        model = AutoModel.from_pretrained(encoder, revision=revision, use_safetensors=True, dtype=torch.float32)
        return AutoTokenizer.from_pretrained(encoder, revision=revision), model
    except Exception as error:  # a damaged folder can make the library raise nearly anything, SafetensorError for one
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PoolError(f"encoder {encoder!r} cannot be loaded: {reason}") from None
    finally:
        if shown:
            logging.enable_progress_bar()


def _record(encoder: str, config: Any, limit: int) -> dict[str, Any]:
    """Return what identifies the encoder: the commit of a hub model, the weights' hash of a local one."""
    record = {"name": encoder, "pooling": "mean over tokens", "normalised": True, "max_tokens": limit}
    weights = Path(encoder) / "model.safetensors"
    if Path(encoder).is_dir():
        record["name"] = Path(encoder).resolve().name
        if weights.is_file():
            with weights.open("rb") as file:
                record["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        record["commit"] = getattr(config, "_commit_hash", None)
    return record
