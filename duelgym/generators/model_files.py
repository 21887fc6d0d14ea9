"""A language model's files: where they are, whether they are complete, what identifies them. No weights are read here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from duelgym.assets import LANGUAGE_MODEL
from duelgym.errors import GeneratorError

EMBEDDED = "embedded"
"""Name of the language model that comes with the package."""
DTYPES = ("float32", "bfloat16", "float16")
"""Kinds of numbers in which a model may compute."""

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
_HASHED_WHOLE_BYTES = 256 * 2**20
_HASHED_END_BYTES = 2**20
_LOADING = threading.RLock()


def model_place(model: object, revision: object) -> Path | str:
    """Return the directory of a local model, or the name of one on the hub."""
    if not isinstance(model, str) or not model:
        raise GeneratorError(f"model is {model!r}; give a directory, a hub name, or {EMBEDDED!r}")
    if revision is not None and not isinstance(revision, str):
        raise GeneratorError(f"revision is {revision!r}; give a commit of 40 hex digits, or none for a directory")
    path = LANGUAGE_MODEL if model == EMBEDDED else Path(model).expanduser()
    if path.is_dir():
        if revision is not None:
            raise GeneratorError(
                f"model {model!r} is a directory here, which has no revision (given: {revision!r}); leave revision= out, or give "
                "a hub name of which no directory is here"
            )
        return path
    if model == EMBEDDED or not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", model):
        raise GeneratorError(f"model: {path} is not a directory; give one that holds a model, or a hub name")
    if not isinstance(revision, str) or not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise GeneratorError(
            f"model {model!r} is no directory here, and as a hub name it needs revision=, a commit of 40 hex digits "
            f"(given: {revision!r}), so that it stays the same"
        )
    return model


def model_config(place: Path | str, revision: str | None) -> dict[str, Any]:
    """Return a model's configuration, after checking that the directory is complete and brings no code."""
    if isinstance(place, Path):
        if not (place / "config.json").is_file():
            raise GeneratorError(f"{place}: no config.json; give a directory that save_pretrained has written")
        if not any((place / name).is_file() for name in _TOKENIZER_FILES):
            raise GeneratorError(f"{place}: no tokenizer (tokenizer.json); save the model's tokenizer there too")
        if not any(place.glob("*.safetensors")):
            raise GeneratorError(
                f"{place}: no weights (*.safetensors); other formats are not read, since they can hold code"
            )
        names = ("config.json", "tokenizer_config.json")
        found = [_read_json(place / name) for name in names if (place / name).is_file()]
    else:
        found = [_from_hub(place, revision)]
    if any("auto_map" in part for part in found):
        raise GeneratorError(
            f"{place}: the model brings code of its own (auto_map in its configuration), which is never run"
        )
    return found[0]


def architecture(config: dict[str, Any]) -> str | None:
    """Return the class that a configuration was saved for, such as ``"LlamaForCausalLM"``; None where it does not say."""
    kinds = config.get("architectures")
    return str(kinds[0]) if isinstance(kinds, list) and kinds else None


def check_device(device: object) -> None:
    """Refuse what is no name of a device.

    Raises:
        GeneratorError: naming it.
    """
    if not isinstance(device, str) or not re.fullmatch(r"[a-z]+(:\d+)?", device):
        raise GeneratorError(f"device is {device!r}; give 'cpu', 'cuda', 'cuda:1', 'mps' or the like")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise GeneratorError(f"{path}: not a JSON object; restore the file")
    return content


def _from_hub(name: str, revision: str | None) -> dict[str, Any]:
    with quiet_library():
        from transformers import PreTrainedConfig

        try:
            return PreTrainedConfig.get_config_dict(name, revision=revision)[0]
        except Exception as error:  # network, hub and parser each raise their own
            raise GeneratorError(f"model {name!r} cannot be had from the hub: {one_line(error)}") from None


def weights_sha256(directory: Path) -> str:
    """Return a hash over the configuration and weights; of a file above 256 MB its size and its two ends count."""
    digest = hashlib.sha256((directory / "config.json").read_bytes())
    for path in sorted(directory.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            if size <= _HASHED_WHOLE_BYTES:
                digest.update(hashlib.file_digest(file, "sha256").digest())
                continue
            digest.update(file.read(_HASHED_END_BYTES))
            file.seek(-_HASHED_END_BYTES, 2)
            digest.update(file.read(_HASHED_END_BYTES))
    return digest.hexdigest()


@contextlib.contextmanager
def quiet_library() -> Iterator[None]:
    """Import the libraries or say how to get them, and keep their progress bars and reports away; one thread at a time."""
    try:
        import torch  # noqa: F401 (here only to see whether it is installed)
        from transformers.utils import logging
    except ImportError:
        raise GeneratorError(
            "a language model needs torch and transformers; install them with: pip install 'duelgym[llm]'"
        ) from None
    with _LOADING:  # what is kept away is kept away from the whole process
        shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity(logging.CRITICAL)
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if shown:
                logging.enable_progress_bar()


def one_line(error: BaseException) -> str:
    """Return what an error of another library says, on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__
