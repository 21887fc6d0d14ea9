"""From plain JSON to a generator or an encoder."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from duelgym.checks import check_settings
from duelgym.errors import SpecificationError
from duelgym.generators.protocol import CandidateGenerator, Encoder

_GENERATORS = {
    "transformers": ("duelgym.generators.hugging_face", "TransformersGenerator"),
    "endpoint": ("duelgym.generators.endpoint", "EndpointGenerator"),
    "recorded": ("duelgym.generators.recorded", "RecordedGenerator"),
}
_ENCODERS = {
    "transformers": ("duelgym.generators.encoder", "TransformersEncoder"),
    "endpoint": ("duelgym.endpoints.embeddings", "EndpointEncoder"),
}


def generator_from_specification(specification: str | Mapping[str, object], **defaults: object) -> CandidateGenerator:
    """Build the generator that plain JSON describes.

    Args:
        specification: a model's directory, hub name or ``"embedded"``; or an object with the name of a generator
            (``transformers``, where there is none; ``endpoint``; ``recorded``) and its arguments, such as
            ``{"model": "my-model", "temperature": 0.8}`` or ``{"name": "recorded", "pool": "my-pool"}``.
        **defaults: arguments for generators that take them and are not given them.

    Raises:
        SpecificationError: on an unknown name, or arguments that the generator does not take or cannot do without.
        DuelgymError: as the generator itself.
    """
    if isinstance(specification, str):
        specification = {"name": "transformers", "model": specification}
    return _build("generator", _GENERATORS, specification, defaults)


def live_generator(
    specification: str | Mapping[str, object],
    *,
    encoder: str | Mapping[str, object] | None = None,
    max_new_tokens: int | None = None,
) -> CandidateGenerator:
    """Build a generator whose embeddings come from an encoder, where one is given.

    Args:
        specification: as for :func:`generator_from_specification`.
        encoder: as for :func:`encoder_from_specification`; None: the generator's own embeddings.
        max_new_tokens: for generators that take it and are not given it.
    """
    from duelgym.generators.encoder import Reencoded

    defaults: dict[str, object] = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
    if encoder is None:
        return generator_from_specification(specification, **defaults)
    embedding = encoder_from_specification(encoder)
    generator = generator_from_specification(specification, **defaults, encoder=embedding)
    takes_it = "encoder" in inspect.signature(type(generator)).parameters
    return generator if takes_it else Reencoded(generator, embedding)


def encoder_from_specification(specification: str | Mapping[str, object]) -> Encoder:
    """Build the encoder that plain JSON describes: a model's directory or hub name, or an object as for generators.

    Raises:
        SpecificationError: on an unknown name (known: ``transformers``, ``endpoint``), or wrong arguments.
        DuelgymError: as the encoder itself.
    """
    if isinstance(specification, str):
        specification = {"name": "transformers", "model": specification}
    return _build("encoder", _ENCODERS, specification, {})


def _build(
    what: str, known: Mapping[str, tuple[str, str]], specification: object, defaults: Mapping[str, object]
) -> Any:
    if not isinstance(specification, Mapping):
        raise SpecificationError(
            f"{what} is {specification!r}; give a model's directory or hub name, or an object with a 'name'"
        )
    arguments = {str(key): value for key, value in specification.items()}
    name = arguments.pop("name", "transformers")
    if not isinstance(name, str) or name not in known:
        raise SpecificationError(f"no {what} is called {name!r}; known: {', '.join(known)}")
    module, kind = known[name]
    builder = getattr(importlib.import_module(module), kind)
    taken = inspect.signature(builder).parameters
    arguments = {key: value for key, value in defaults.items() if key in taken} | arguments
    check_settings(f"{what} {name!r}", builder, arguments)
    return builder(**arguments)
