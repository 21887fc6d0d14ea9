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
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from duelgym.errors import SpecificationError
from duelgym_agents.registry import composition, own_modules, parts_of
from duelgym_bench.plan import derived_seed

FILE = Path(__file__).with_name("search_space.toml")
Kind = Literal["reward_model", "rule", "agent"]
_KINDS: tuple[Kind, ...] = get_args(Kind)


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


@dataclass(frozen=True)
class SearchSpace:
    """The settings that tuning searches.

    Attributes:
        sections: kind -> name -> setting -> range. Kinds are reward models, rules, and whole agents, which are those named as
            ``package.module:factory``.
    """

    sections: Mapping[str, Mapping[str, Mapping[str, Range]]]

    @classmethod
    def read(cls, more: Path | None = None) -> SearchSpace:
        """Read the search space of all that comes along.

        Args:
            more: a file of the same form, with sections for what is one's own, or in place of those that come along.

        Raises:
            SpecificationError: if there is no such file, or it has another form.
        """
        raw = tomllib.loads(FILE.read_text())
        try:
            own = {} if more is None else tomllib.loads(more.read_text())
        except FileNotFoundError:
            raise SpecificationError(f"{more} does not exist; a search space is written like {FILE}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SpecificationError(f"{more} is no TOML: {error}") from None
        for kind, sections in own.items():
            if kind not in _KINDS or not isinstance(sections, Mapping):
                raise SpecificationError(
                    f"{more}: {kind!r} holds no sections; there are [KIND.NAME] with KIND {', '.join(_KINDS)}"
                )
        merged = {kind: {**raw.get(kind, {}), **own.get(kind, {})} for kind in _KINDS}
        where = more or FILE
        return cls(
            {
                kind: {name: _ranges(where, kind, name, sections) for name in sections}
                for kind, sections in merged.items()
            }
        )

    def of(self, kind: Kind, name: str) -> Mapping[str, Range] | None:
        """Return setting -> range of a reward model, a rule or an agent; None where there is no section for it."""
        return self.sections[kind].get(name)

    def configuration(self, name: str, k: int, *, alike: bool = True) -> dict[str, Any]:
        """Return configuration k of an agent: a value, plain JSON, of every setting that is searched.

        Args:
            name: of the agent.
            k: 0 for its defaults, or which draw, from 1.
            alike: whether prompts and candidates have equally many features; where not, their product, which
                ``features="interaction"`` shows, does not exist and is not tried.

        Raises:
            SpecificationError: if there is no such agent, no section for it, or one of a setting that it does not have.
        """
        spec, space = composition(name), self._of_agent(name)
        if k:
            return {setting: _drawn(setting, k, one, alike) for setting, one in space.items()}
        if spec is None:
            return {}
        defaults = {each.name: getattr(part, each.name) for part in (spec.settings, spec.rule) for each in fields(part)}  # type: ignore[arg-type]
        if unknown := sorted(set(space) - set(defaults)):
            raise SpecificationError(
                f"agent {name!r} has no setting {', '.join(unknown)}, of which the search space has a range"
            )
        return json.loads(json.dumps({setting: defaults[setting] for setting in space}))  # tuples become lists

    def _of_agent(self, name: str) -> Mapping[str, Range]:
        parts = parts_of(name)
        if parts is None:
            return self._section("agent", name, name)
        rule, model = parts
        # A rule that comes along has a section if it has settings, which a test sees to; of one's own nothing is known.
        of_rule = self._section("rule", rule, name) if own_modules(rule) else self.of("rule", rule)
        return {**self._section("reward_model", model, name), **(of_rule or {})}

    def _section(self, kind: Kind, part: str, agent: str) -> Mapping[str, Range]:
        space = self.of(kind, part)
        if space is None:
            raise SpecificationError(
                f"agent {agent!r} cannot be tuned: there is no search space for {part!r}; give one as --space FILE.toml with a "
                f'section [{kind}."{part}"], written like {FILE.name} and empty if nothing is to be searched'
            )
        return space


def _ranges(where: Path, kind: str, name: str, sections: Mapping[str, Any]) -> dict[str, Range]:
    """Return the ranges of one section, those of the section that it is like among them."""
    said = f'{where}, section [{kind}."{name}"]'
    ranges: dict[str, Range] = {}
    section, seen = sections[name], [name]
    while True:
        if not isinstance(section, Mapping):
            raise SpecificationError(f"{said} is {section!r}; it must be a table of settings")
        ranges = {**{key: _range(said, key, one) for key, one in section.items() if key != "like"}, **ranges}
        other = section.get("like")
        if other is None:
            return ranges
        if not isinstance(other, str) or other not in sections or other in seen:
            raise SpecificationError(f"{said}: like is {other!r}; it must be another section of [{kind}]")
        section, seen = sections[other], [*seen, other]


def _range(said: str, setting: str, one: object) -> Range:
    """Return a range of a setting."""
    match one:
        case {"choices": [_, *_] as values, **rest} if not rest:
            return Range("choices", tuple(values))
        case {"log": [float() | int() as low, float() | int() as high], **rest} if (
            0 < low < high < math.inf and not rest
        ):
            return Range("log", (low, high))
        case {"uniform": [float() | int() as low, float() | int() as high], **rest} if (
            -math.inf < low < high < math.inf and not rest
        ):
            return Range("uniform", (low, high))
    raise SpecificationError(
        f"{said}: {setting} is {one!r}; it must be {{ log = [low, high] }} above 0, {{ uniform = [low, high] }} or "
        "{ choices = [a, b] }"
    )


def _drawn(name: str, k: int, within: Range, alike: bool) -> Any:
    if not alike and within.scale == "choices":
        within = Range("choices", tuple(value for value in within.values if value != "interaction"))
    return within.at(derived_seed("configuration", name, k) / 2**63)
