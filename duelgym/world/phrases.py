"""Phrases by what they do and whose manner they show: the world's hand-written material beside its facts."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def phrases() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return kind -> manner -> phrases; kinds without manners have the one manner ``any``."""
    loaded = tomllib.loads((files("duelgym.world") / "material" / "phrases.toml").read_text("utf-8"))
    return {
        kind: {manner: tuple(phrases) for manner, phrases in banks.items()}
        if isinstance(banks, dict)
        else {"any": tuple(banks)}
        for kind, banks in loaded.items()
    }
