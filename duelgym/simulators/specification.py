"""From plain JSON to a simulator: a list, innermost first."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

from duelgym.checks import check_settings
from duelgym.errors import SpecificationError
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


def simulator_from_specification(specification: Sequence[Mapping[str, object]]) -> PreferenceSimulator:
    """Build the simulator that a JSON list describes, innermost first.

    For example ``[{"name": "bradley_terry", "temperature": 2.0}, {"name": "flip", "rate": 0.1}]``. The first object is
    one of ``bradley_terry``, ``deterministic``, ``llm_judge``, ``reward_model``, ``rubrics``; each further one wraps what
    stands before it: ``drifting``, ``flip``, ``intransitive``, ``irrational``, ``length_bias``, ``mixture``,
    ``position_bias``. The arguments are those of the classes of this package; ``reward_model`` and ``rubrics`` also take
    ``temperature`` (1.0).

    Raises:
        SpecificationError: on an empty list, an unknown name, arguments that the simulator does not take or lacks, a
            wrapper in the first place or anything else later.
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
    known = {**_INNERMOST, **_SCORERS, **_WRAPPERS}
    if not isinstance(name, str) or name not in known:
        raise SpecificationError(f"no simulator is called {name!r}; known: {', '.join(sorted(known))}")
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
