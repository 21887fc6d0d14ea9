"""From plain JSON to a simulator: a list, innermost first."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence

from duelgym.checks import check_settings
from duelgym.errors import SpecificationError, error_in_words
from duelgym.imports import imported
from duelgym.simulators.protocol import PreferenceSimulator
from duelgym.simulators.scorers import Scored

_INNERMOST = {
    "bradley_terry": "bradley_terry:BradleyTerry",
    "deterministic": "deterministic:Deterministic",
    "llm_judge": "llm_judge:LLMJudge",
}
_SCORERS = {"reward_model": "reward_model:RewardModel", "rubrics": "scorers:Rubrics"}
_WRAPPERS = {
    "drifting": "drifting:Drifting",
    "flip": "flip:Flip",
    "intransitive": "intransitive:Intransitive",
    "irrational": "irrational:Irrational",
    "length_bias": "length_bias:LengthBias",
    "mixture": "mixture:Mixture",
    "position_bias": "position_bias:PositionBias",
}
_ASKED = ("probability", "judgement", "specification")


def simulator_from_specification(specification: Sequence[Mapping[str, object]]) -> PreferenceSimulator:
    """Build the simulator that a JSON list describes, innermost first.

    For example ``[{"name": "bradley_terry", "temperature": 2.0}, {"name": "flip", "rate": 0.1}]``. The first object is
    one of ``bradley_terry``, ``deterministic``, ``llm_judge``, ``reward_model``, ``rubrics``; each further one wraps what
    stands before it: ``drifting``, ``flip``, ``intransitive``, ``irrational``, ``length_bias``, ``mixture``,
    ``position_bias``. The arguments are those of the classes of this package; ``reward_model`` and ``rubrics`` also take
    ``temperature`` (1.0).

    A simulator of one's own is ``package.module:CLASS``, a :class:`~duelgym.simulators.PreferenceSimulator` that calls itself
    by that name in its ``specification`` and compares equal if built alike. After the first place it is also given ``inner``,
    what stands before it; a frozen dataclass that derives from :class:`~duelgym.simulators.Wrapper` has all but what it changes.

    Raises:
        SpecificationError: on an empty list, an unknown name, arguments that the simulator does not take or lacks, a
            wrapper in the first place or anything else later; on a class of one's own that cannot be imported, is no
            simulator, or does not build itself again.
    """
    if not isinstance(specification, Sequence) or isinstance(specification, str) or not specification:
        raise SpecificationError(
            f"simulator is {specification!r}; it must be a list of one object or more, such as "
            '[{"name": "bradley_terry", "temperature": 1.0}]'
        )
    simulator: PreferenceSimulator | None = None
    for layer in specification:
        simulator = _wrapped(simulator, layer)
    assert simulator is not None  # the list is not empty
    return simulator


def _wrapped(inner: PreferenceSimulator | None, layer: object) -> PreferenceSimulator:
    if not isinstance(layer, Mapping):
        raise SpecificationError(f"simulator holds {layer!r}; it must be an object with a 'name'")
    settings = {str(key): value for key, value in layer.items()}
    name = settings.pop("name", None)
    if isinstance(name, str) and ":" in name:
        return _own(inner, name, settings)
    known = {**_INNERMOST, **_SCORERS, **_WRAPPERS}
    if not isinstance(name, str) or name not in known:
        raise SpecificationError(
            f"no simulator is called {name!r}; known: {', '.join(sorted(known))}; your own: package.module:CLASS"
        )
    if inner is None and name in _WRAPPERS:
        first = ", ".join(sorted({**_INNERMOST, **_SCORERS}))
        raise SpecificationError(f"{name!r} changes the answers of another simulator: put one of {first} before it")
    if inner is not None and name not in _WRAPPERS:
        raise SpecificationError(
            f"{name!r} answers by itself and can only be the first of a list; after it may come {', '.join(_WRAPPERS)}"
        )
    module, _, kind = known[name].partition(":")
    builder = getattr(importlib.import_module(f"duelgym.simulators.{module}"), kind)
    what = f"simulator {name!r}"
    if inner is not None:
        check_settings(what, builder, settings, supplied=("inner",))
        return builder(inner=inner, **settings)
    if name in _SCORERS:
        temperature = settings.pop("temperature", 1.0)
        check_settings(what, builder, settings, also=("temperature",))
        return Scored(builder(**settings), temperature)
    check_settings(what, builder, settings)
    return builder(**settings)


def own_simulators(specification: object) -> list[str]:
    """Return the names of simulators of somebody's own in a JSON list, whether or not it describes a simulator."""
    layers = specification if isinstance(specification, list) else []
    names = [layer.get("name") for layer in layers if isinstance(layer, Mapping)]
    return [name for name in names if isinstance(name, str) and ":" in name]


def _own(inner: PreferenceSimulator | None, name: str, settings: dict[str, object]) -> PreferenceSimulator:
    """Build a simulator of one's own, around what stands before it if anything does."""
    kind, what = imported("simulator", name), f"simulator {name!r}"
    # A specification can name whatever is importable: nothing is called but the class of a simulator.
    if not isinstance(kind, type) or not all(callable(getattr(kind, each, None)) for each in _ASKED):
        raise SpecificationError(
            f"{what} must be a class that has {', '.join(_ASKED)} and the rest of duelgym.simulators.PreferenceSimulator"
        )
    around = {} if inner is None else {"inner": inner}
    check_settings(what, kind, {**around, **settings})
    try:
        made = kind(**around, **settings)
        if not isinstance(made, PreferenceSimulator):
            raise SpecificationError(
                f"{what} lacks members of duelgym.simulators.PreferenceSimulator; derive from Wrapper"
            )
        *under, mine = json.loads(json.dumps(made.specification()))
        again = kind(**around, **{key: value for key, value in mine.items() if key != "name"})
    except SpecificationError:
        raise
    except Exception as error:
        raise SpecificationError(f"making {what} failed: {error_in_words(error)}") from error
    if mine.get("name") != name or under != (inner.specification() if inner else []) or again != made:
        raise SpecificationError(
            f"{what} has the specification {made.specification()}, from which no equal one is built: it must end in its name and "
            "arguments, as that of a frozen dataclass derived from Wrapper does"
        )
    return made
