"""A causal language model from the transformers library: checked without its weights, loaded when first needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from duelgym.checks import whole_number
from duelgym.errors import GeneratorError
from duelgym.generators.model_files import (
    DTYPES,
    EMBEDDED,
    architecture,
    check_device,
    model_config,
    model_place,
    one_line,
    quiet_library,
    weights_sha256,
)
from duelgym.pools.splits import shorten

MOST_THREADS = 1024
_PROBE = "duck"
_HIDDEN_KEYS = ("hidden_size", "n_embd", "d_model", "dim")
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")


class LanguageModel:
    """Tokenizer and weights of one model. Copies and pickles leave the weights behind; they are loaded again when needed.

    Args:
        model: a directory in transformers' format, a hub name, or ``"embedded"``.
        revision: commit of a hub name, 40 hex digits: what a branch or tag points to can change.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, …
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        threads: of torch, for the whole process, set when the weights are loaded; None leaves them.

    Raises:
        GeneratorError: if the directory lacks configuration, tokenizer or weights, the model brings code of its own, a hub
            name has no revision, or a setting is not one of the allowed ones.
    """

    def __init__(
        self, model: str, *, revision: str | None, device: str, dtype: str, threads: int | None = None
    ) -> None:
        check_device(device)
        if dtype not in DTYPES:
            raise GeneratorError(f"dtype is {dtype!r}; known: {', '.join(DTYPES)}")
        if threads is not None:
            whole_number("threads", threads, most=MOST_THREADS, error=GeneratorError)
        self.name = model
        self._place = model_place(model, revision)
        self._revision = revision
        self._device, self._dtype, self._threads = device, dtype, threads
        self._config = model_config(self._place, revision)
        kind = architecture(self._config)
        if kind is not None and kind.endswith("Classification"):
            raise GeneratorError(f"{model} is a {kind}, which writes no text; give a causal language model")
        self._loaded: tuple[Any, Any, list[int]] | None = None

    @property
    def hidden_dim(self) -> int:
        """Units of a hidden state, from the configuration alone."""
        return int(self._configured(_HIDDEN_KEYS, required=True) or 0)

    @property
    def context(self) -> int | None:
        """Tokens that the model can read and write in all; None where its configuration sets no limit."""
        return self._configured(_CONTEXT_KEYS, required=False)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer."""
        return self._load()[0]

    @property
    def model(self) -> Any:
        """The model with its weights, in evaluation mode."""
        return self._load()[1]

    @property
    def ends(self) -> list[int]:
        """The tokens that end a response; none where the model has no such token."""
        return self._load()[2]

    def record(self) -> dict[str, object]:
        """Return what identifies the model: its commit, or its directory's name and a hash of its weights."""
        if isinstance(self._place, str):
            return {"model": self.name, "revision": self._revision}
        name = EMBEDDED if self.name == EMBEDDED else self._place.resolve().name
        return {"model": name, "sha256": weights_sha256(self._place)}

    def prompt_tokens(self, prompts: Sequence[str], *, room: int) -> list[list[int]]:
        """Return each prompt's tokens, in the model's chat template where it has one.

        Args:
            prompts: strings.
            room: tokens that must be left of the context.

        Raises:
            GeneratorError: naming a prompt that is no text, has no tokens or is too long, or a template that fails.
        """
        tokens = []
        for position, prompt in enumerate(prompts):
            ids = self._tokens(prompt, position)
            if not ids:
                raise GeneratorError(f"prompt {position} has no tokens; give a prompt that is not empty")
            if self.context is not None and len(ids) + room > self.context:
                raise GeneratorError(
                    f"prompt {position} has {len(ids)} tokens, and with {room} for the response that is more than the "
                    f"{self.context} of {self.name}'s context; shorten the prompt, or give a smaller max_new_tokens"
                )
            tokens.append(ids)
        return tokens

    def response_tokens(self, text: str, position: int, *, room: int) -> list[int]:
        """Return a response's tokens, without any that the tokenizer would add; ``room``: tokens of its prompt.

        Raises:
            GeneratorError: naming the prompt, if the response is no text or the two are longer than the context.
        """
        _check_text(text, f"a response to prompt {position}")
        ids = list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        if self.context is not None and len(ids) + room > self.context:
            raise GeneratorError(
                f"prompt {position} has {room} tokens and a response of {len(ids)}, more than the {self.context} of "
                f"{self.name}'s context; shorten them, or take another encoder"
            )
        return ids

    def texts(self, tokens: Sequence[Sequence[int]]) -> list[str]:
        """Return responses as strings, without special tokens."""
        return self.tokenizer.batch_decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _tokens(self, prompt: str, position: int) -> list[int]:
        _check_text(prompt, f"prompt {position}")
        tokenizer = self.tokenizer
        if not tokenizer.chat_template:
            return list(tokenizer(prompt, verbose=False)["input_ids"])
        text = self._templated(tokenizer, prompt, position)
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _templated(self, tokenizer: Any, prompt: str, position: int) -> str:
        try:
            message = [{"role": "user", "content": prompt}]
            return tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # a template is a program of the model's author: it can raise anything
            raise GeneratorError(
                f"{self.name}: the chat template fails on prompt {position}: {one_line(error)}; mend chat_template.jinja "
                "or take it away, and prompts are given plain"
            ) from None

    def _configured(self, keys: Sequence[str], *, required: bool) -> int | None:
        parts: list[Mapping[str, Any]] = [self._config, self._config.get("text_config") or {}]
        for part in parts:
            for key in keys:
                if isinstance(part.get(key), int):
                    return int(part[key])
        if required:
            raise GeneratorError(
                f"{self.name}: config.json has none of {', '.join(keys)}; is it a causal language model?"
            )
        return None

    def _load(self) -> tuple[Any, Any, list[int]]:
        if self._loaded is None:
            loaded = _load(self._place, self._revision, self._dtype, self._device, self._threads)
            if loaded[0].chat_template and _PROBE not in self._templated(loaded[0], _PROBE, 0):
                raise GeneratorError(
                    f"{self.name}: the chat template leaves out what the user says; mend chat_template.jinja or take it away, "
                    "and prompts are given plain"
                )
            self._loaded = loaded
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_loaded": None}


def _check_text(text: object, what: str) -> None:
    try:
        str.encode(text)  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        raise GeneratorError(f"{what} is {shorten(repr(text))}; it must be a string of valid Unicode") from None


def _load(
    place: Path | str, revision: str | None, dtype: str, device: str, threads: int | None
) -> tuple[Any, Any, list[int]]:
    with quiet_library():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

        if threads is not None:
            torch.set_num_threads(threads)
        common: dict[str, Any] = {"revision": revision} if isinstance(place, str) else {"local_files_only": True}
        try:
            tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, **common)
        except Exception as error:  # a damaged directory can make the library raise nearly anything
            raise GeneratorError(f"{place}: the tokenizer cannot be loaded: {one_line(error)}") from None
        try:
            both: Any = AutoModelForCausalLM.from_pretrained(
                place,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
                **common,
            )
            model, loaded = both[0].to(device), both[1]
        except Exception as error:
            raise GeneratorError(f"{place}: the model cannot be loaded on {device}: {one_line(error)}") from None
    if loaded["missing_keys"]:  # the library would fill them with random numbers
        raise GeneratorError(
            f"{place}: the weights lack {sorted(loaded['missing_keys'])[0]!r}; give a causal language model, saved whole"
        )
    if model.get_output_embeddings() is None:
        raise GeneratorError(f"{place}: {type(model).__name__} has no output layer to read hidden states from")
    end = model.generation_config.eos_token_id
    ends = [tokenizer.eos_token_id if end is None else end] if not isinstance(end, list) else end
    model.generation_config = GenerationConfig()  # its temperature, penalties and the like are not the caller's
    return tokenizer, model.eval(), [int(token) for token in ends if token is not None]
