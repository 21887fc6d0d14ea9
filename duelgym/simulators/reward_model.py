"""A reward model: any sequence classifier of transformers, read as a judge of responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from duelgym.assets import REWARD_MODEL
from duelgym.checks import whole_number
from duelgym.errors import SpecificationError
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
from duelgym.simulators.scorers import checked_shape

_PROBES = {"user": "duck", "assistant": "pond"}
"""What a chat template must hand on, by role."""


@dataclass(frozen=True)
class RewardModel:
    """Scores (prompt, response) with an ``AutoModelForSequenceClassification``; its logits are the attributes.

    With one label the logit is the utility. With several the labels' names (``id2label``) are attributes that a rater
    combines, unless ``head`` names the one that is the utility; labels without names of their own, and labels that exclude
    each other, are refused without it. Text goes through the tokenizer's chat template where there is one (a user's turn,
    an assistant's turn), else in as a pair of texts. Nothing is cut off: what does not fit the model is an error.

    Weights are loaded at the first score, kept by this object alone, and left behind by copies and pickles. Scores do not
    depend on what else is scored in the same call, up to floating-point rounding.

    Args:
        model: a directory in transformers' format, a hub name, or ``"embedded"``.
        revision: commit of a hub name, 40 hex digits.
        head: label whose logit alone is the utility.
        batch_size: how many texts the model reads at once, at least 1; it bounds the memory.
        max_length: longest text in tokens; None: what model and tokenizer allow.
        device: as torch names it.
        dtype: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        sha256: of a directory's configuration and weights, as :meth:`specification` gives it; None: not checked.

    Raises:
        GeneratorError: if there is no such model, or the device is no name of one; at first use, if it is incomplete or brings code of its own.
        SpecificationError: if another argument is not one of the allowed ones; at first use, if the model cannot be loaded,
            is another than ``sha256`` says, or was not trained to score.
    """

    model: str
    revision: str | None = None
    head: str | None = None
    batch_size: int = 32
    max_length: int | None = None
    device: str = "cpu"
    dtype: str = "float32"
    sha256: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        _ = self._place  # refuses a model that is not there now rather than at the first score
        if self.head is not None and not isinstance(self.head, str):
            raise SpecificationError(f"reward_model: head is {self.head!r}; it must be the name of a label")
        whole_number("reward_model: batch_size", self.batch_size)
        if self.max_length is not None:
            whole_number("reward_model: max_length", self.max_length)
        check_device(self.device)
        if self.dtype not in DTYPES:
            raise SpecificationError(f"reward_model: dtype is {self.dtype!r}; known: {', '.join(DTYPES)}")

    def __getstate__(self) -> dict[str, Any]:
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of what is scored; read from the configuration alone."""
        labels = self._labels
        if self.head is not None:
            return (self.head,)
        return labels if len(labels) > 1 else ("utility",)

    def score(
        self, prompts: Sequence[str], responses: Sequence[Sequence[str]]
    ) -> Float64[np.ndarray, "batch n attributes"]:
        """Return the logits.

        Raises:
            SpecificationError: if a text is longer than the model can read (naming it), or a score is not finite.
            DuelgymError: if the model cannot be used (see the class).
        """
        n, labels = checked_shape(prompts, responses), self._labels
        tokens = self._tokens(prompts, responses)
        logits = np.empty((len(tokens), len(labels)))
        # Texts of like length together: little padding, whatever the order given.
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]["input_ids"]))
        for start in range(0, len(order), self._rows_at_once):
            rows = order[start : start + self._rows_at_once]
            logits[rows] = self._logits([tokens[row] for row in rows])
        if not np.isfinite(logits).all():
            row = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            raise SpecificationError(
                f"reward model {self.model} gave {logits[row].tolist()} for response {row % n} to prompt {row // n}; "
                f"scores must be finite: try dtype 'float32' (now {self.dtype!r})"
            )
        if self.head is not None:
            logits = logits[:, [labels.index(self.head)]]
        return logits.reshape(len(prompts), n, len(self.attributes))

    def specification(self) -> dict[str, object]:
        """Return the name and all settings that are not their defaults; for a directory with the hash of its weights."""
        given = {
            part.name: getattr(self, part.name) for part in fields(self) if getattr(self, part.name) != part.default
        }
        if self._sha256 is not None:
            given["sha256"] = self._sha256
        return {"name": "reward_model", **given}

    @cached_property
    def _place(self) -> Path | str:
        return model_place(str(REWARD_MODEL) if self.model == EMBEDDED else self.model, self.revision)

    @cached_property
    def _sha256(self) -> str | None:
        return weights_sha256(self._place) if isinstance(self._place, Path) else None

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        """Names of the logits, once the configuration says that they are scores."""
        config = model_config(self._place, self.revision)
        kind = architecture(config)
        if kind is not None and "SequenceClassification" not in kind:
            raise SpecificationError(
                f"{self.model} is a {kind}, not a reward model; give a model for sequence classification"
            )
        try:
            named = config.get("id2label") or {}
            # transformers leaves its default of 2 unsaid
            unnamed = [f"LABEL_{k}" for k in range(int(config.get("num_labels", 2)))]
            labels = tuple(str(named[key]) for key in sorted(named, key=int)) or tuple(unnamed)
        except (AttributeError, LookupError, TypeError, ValueError):
            labels = ()
        if not labels:
            raise SpecificationError(
                f"{self.model}: its config.json names no labels (id2label, num_labels); give a reward model with at least one"
            )
        if self.head is not None and self.head not in labels:
            raise SpecificationError(
                f"reward model {self.model} has no label {self.head!r}; head must be one of {', '.join(labels)}"
            )
        nameless = all(label == f"LABEL_{k}" for k, label in enumerate(labels))
        exclusive = config.get("problem_type") == "single_label_classification"
        if len(labels) > 1 and self.head is None and (nameless or exclusive):
            raise SpecificationError(
                f"{self.model}: a classifier with {len(labels)} classes is not a reward model; name head=… to take one of "
                f"{', '.join(labels)} as the utility"
            )
        return labels

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = self._loaded("tokenizer", AutoTokenizer.from_pretrained)
        if tokenizer.chat_template is not None:
            written = self._templated(tokenizer, *_PROBES.values())
            lost = [role for role, probe in _PROBES.items() if probe not in written]
            if lost:
                raise SpecificationError(
                    f"reward model {self.model}: its chat template leaves out what the {lost[0]} says; mend it, or take it away"
                )
        return tokenizer

    @cached_property
    def _network(self) -> Any:
        import torch
        from transformers import AutoModelForSequenceClassification

        if self.sha256 not in (None, self._sha256):
            raise SpecificationError(
                f"reward model {self.model} has sha256 {self._sha256}, not {self.sha256}: give the model that is meant"
            )
        how = {"dtype": getattr(torch, self.dtype), "use_safetensors": True, "output_loading_info": True}
        network, report = self._loaded("weights", AutoModelForSequenceClassification.from_pretrained, **how)
        if report["missing_keys"]:
            raise SpecificationError(
                f"reward model {self.model} lacks weights ({', '.join(sorted(report['missing_keys'])[:3])}); it was not trained "
                "as a sequence classifier"
            )
        if network.config.pad_token_id is None:
            network.config.pad_token_id = self._tokenizer.pad_token_id
        try:
            return network.to(self.device).eval()
        except RuntimeError as error:
            raise SpecificationError(
                f"reward_model: device is {self.device!r}; torch says: {one_line(error)}"
            ) from None

    @cached_property
    def _rows_at_once(self) -> int:
        return self.batch_size if self._tokenizer.pad_token_id is not None else 1

    @cached_property
    def _longest(self) -> int:
        limits = [self.max_length, self._tokenizer.model_max_length]
        limits.append(getattr(self._network.config.get_text_config(), "max_position_embeddings", None))
        return min(limit for limit in limits if limit is not None)

    def _loaded(self, part: str, load: Any, **how: Any) -> Any:
        local = isinstance(self._place, Path)
        with quiet_library():
            try:
                return load(self._place, revision=self.revision, local_files_only=local, trust_remote_code=False, **how)
            except Exception as error:  # a damaged directory can make the library raise nearly anything
                raise SpecificationError(
                    f"reward model {self.model}: its {part} cannot be loaded: {one_line(error)}"
                ) from None

    def _tokens(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> list[Any]:
        """Return every (prompt, response) as token ids, none of them cut."""
        tokens = []
        for row, (prompt, answers) in enumerate(zip(prompts, responses, strict=True)):
            for column, answer in enumerate(answers):
                tokens.append(self._encoded(prompt, answer))
                length = len(tokens[-1]["input_ids"])
                if length > self._longest:
                    raise SpecificationError(
                        f"response {column} to prompt {row} is {length} tokens long with its prompt; reward model {self.model} "
                        f"reads at most {self._longest}: give shorter texts or another model"
                    )
        return tokens

    def _encoded(self, prompt: str, response: str) -> Any:
        if self._tokenizer.chat_template is None:
            return self._tokenizer(prompt, response, truncation=False, verbose=False)
        text = self._templated(self._tokenizer, prompt, response)
        return self._tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)

    def _templated(self, tokenizer: Any, prompt: str, response: str) -> str:
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        try:
            return tokenizer.apply_chat_template(turns, tokenize=False)
        except Exception as error:  # a template is a program that may fail in any way
            raise SpecificationError(f"reward model {self.model}: its chat template fails: {one_line(error)}") from None

    def _logits(self, tokens: list[Any]) -> Float64[np.ndarray, "rows labels"]:
        import torch

        padded = self._tokenizer.pad(tokens, padding=len(tokens) > 1, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            return self._network(**padded).logits.double().cpu().numpy()
