"""What tuning tries: for each reward model and rule the settings that are searched, and how far (``search_space.toml``).

Configuration 0 of an agent is its defaults. In configuration k every searched setting is drawn by itself (random search,
Bergstra and Bengio 2012) from a seed made of the setting's name and k alone. So agents that share a setting with equal
bounds try the same values of it in the same order, whatever else they differ in, and more configurations only add to
fewer.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from duelgym.errors import SpecificationError
from duelgym_agents.named import AgentSpec
from duelgym_bench.plan import derived_seed

FILE = Path(__file__).with_name("search_space.toml")
Kind = Literal["reward_model", "rule"]


@dataclass(frozen=True)
class Range:
    """What one setting may be.

    Attributes:
        scale: ``"log"`` or ``"uniform"`` between two numbers, or ``"choices"``.
        values: lowest and highest, or the choices.
    """

    scale: str
    values: tuple[Any, ...]

    def at(self, position: float) -> Any:
        """Return the value at a position in [0, 1); numbers are rounded to three significant digits."""
        if self.scale == "choices":
            return self.values[int(position * len(self.values))]
        low, high = self.values
        if self.scale == "log":
            low, high = math.log(low), math.log(high)
        value = low + position * (high - low)
        return float(f"{math.exp(value) if self.scale == 'log' else value:.3g}")


def search_space(kind: Kind, name: str) -> dict[str, Range] | None:
    """Return setting -> range of a reward model or rule; None where the file has no section for it."""
    sections = _sections()[kind]
    if name not in sections:
        return None
    section = dict(sections[name])
    space = (search_space(kind, section.pop("like")) if "like" in section else None) or {}
    for setting, one in section.items():
        ((scale, values),) = one.items()
        space[setting] = Range(scale, tuple(values))
    return space


def configuration(spec: AgentSpec, k: int, *, alike: bool = True) -> dict[str, Any]:
    """Return configuration k of a composed agent: a value, plain JSON, of every setting that is searched.

    Args:
        spec: the agent.
        k: 0 for its defaults, or which draw, from 1.
        alike: whether prompts and candidates have equally many features; where not, their product, which
            ``features="interaction"`` shows, does not exist and is not tried.

    Raises:
        SpecificationError: if its reward model has no section in the file of search spaces.
    """
    of_model = search_space("reward_model", spec.reward_model)
    if of_model is None:
        raise SpecificationError(
            f"agent {spec.name!r} cannot be tuned: {FILE.name} has no section for the reward model {spec.reward_model!r}"
        )
    of_rule = search_space("rule", spec.rule_name) or {}
    if k == 0:
        defaults = {name: getattr(spec.settings, name) for name in of_model}
        defaults |= {name: getattr(spec.rule, name) for name in of_rule}
        return json.loads(json.dumps(defaults))  # tuples become lists, as in the files that record them
    return {name: _drawn(name, k, one, alike) for name, one in {**of_model, **of_rule}.items()}


def _drawn(name: str, k: int, within: Range, alike: bool) -> Any:
    if not alike and within.scale == "choices":
        within = Range("choices", tuple(value for value in within.values if value != "interaction"))
    return within.at(derived_seed("configuration", name, k) / 2**63)


@cache
def _sections() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    return tomllib.loads(FILE.read_text())
