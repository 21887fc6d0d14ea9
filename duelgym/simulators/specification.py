"""From plain JSON to a simulator: a list, innermost first."""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Mapping, Sequence

from duelgym.checks import check_settings
from duelgym.errors import SpecificationError, error_in_words
from duelgym.imports import imported
from duelgym.simulators.protocol import PreferenceSimulator
from duelgym.simulators.scorers import Scored
from duelgym.simulators.wrapper import Wrapper

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
    by that name in its ``specification``. After the first place it is also given ``inner``,
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


def check_own(what: str, specification: object, own: Collection[str]) -> None:
    """Refuse to import simulators that a file names and the caller does not: it is data, and may be a stranger's.

    Args:
        what: names the file, such as ``"the log"``.
        specification: a JSON list, whether or not it describes a simulator.
        own: those that may be imported.

    Raises:
        SpecificationError: naming one that may not.
    """
    for layer in specification if isinstance(specification, Sequence) else ():
        name = layer.get("name") if isinstance(layer, Mapping) else None
        if isinstance(name, str) and ":" in name and name not in own:
            raise SpecificationError(
                f"{what} was made with the simulator {name!r}, which is no part of duelgym; if it is your own, or you trust it, "
                f"add --simulator {name}"
            )


def _own(inner: PreferenceSimulator | None, name: str, settings: dict[str, object]) -> PreferenceSimulator:
    """Build a simulator of one's own, around what stands before it if anything does."""
    kind, what = imported("simulator", name), f"simulator {name!r}"
    # A specification can name whatever is importable: nothing is called but the class of a simulator.
    if not isinstance(kind, type) or not all(callable(getattr(kind, each, None)) for each in _ASKED):
        raise SpecificationError(
            f"{what} must be a class that has {', '.join(_ASKED)} and the rest of duelgym.simulators.PreferenceSimulator"
        )
    around = {} if inner is None else {"inner": inner}
    if inner is None and issubclass(kind, Wrapper):
        raise SpecificationError(f"{what} changes the answers of another simulator: put one before it")
    check_settings(what, kind, settings, supplied=tuple(around))
    try:
        made = kind(**around, **settings)
        if not isinstance(made, PreferenceSimulator):
            raise SpecificationError(
                f"{what} lacks members of duelgym.simulators.PreferenceSimulator; derive from Wrapper"
            )
        *under, mine = _plain(made.specification())
        again = kind(**around, **{key: value for key, value in mine.items() if key != "name"})
        outer = _plain(inner.specification() if inner else [])
        equal = under == outer and _plain(again.specification()) == [*under, mine] and {*settings} <= {*mine}
    except SpecificationError:
        raise
    except (Exception, SystemExit) as error:
        raise SpecificationError(f"making {what} failed: {error_in_words(error)}") from error
    if mine.get("name") != name:
        raise SpecificationError(f"{what} calls itself {mine.get('name')!r} in its specification; give it by that name")
    if not equal:
        raise SpecificationError(
            f"{what} has the specification {[*under, mine]}, from which no equal one is built: behind that of what it stands "
            "around comes its own name with all its arguments, which a frozen dataclass derived from Wrapper has by itself"
        )
    return made


def _plain(specification: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return a specification as a log holds it."""
    return json.loads(json.dumps(specification))
