"""How a server and its model are named, checked."""

from __future__ import annotations

import urllib.parse

from duelgym.errors import SpecificationError


def model_name(value: object) -> str:
    """Return the value.

    Raises:
        SpecificationError: if it is not text, or is empty.
    """
    if not isinstance(value, str) or not value:
        raise SpecificationError(f"model is {value!r}; give the name by which the server knows it")
    return value


def base_url(value: object) -> str:
    """Return the value: an http or https address without password, query or fragment.

    Raises:
        SpecificationError: if it is not one. A password is not repeated.
    """
    text = value if isinstance(value, str) else ""
    try:
        parts = urllib.parse.urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise SpecificationError("url cannot be read; give one such as http://127.0.0.1:8000") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SpecificationError("url holds a password, query or fragment; give the key through api_key_env")
    if not valid or not text.isascii() or any(character.isspace() for character in text):
        raise SpecificationError(f"url is {value!r}; give one such as http://127.0.0.1:8000")
    return text
