"""From plain JSON to a simulator: a list, innermost first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from duelgym.errors import SpecificationError
from duelgym.simulators.bradley_terry import BradleyTerry
from duelgym.simulators.protocol import PreferenceSimulator

_INNERMOST = {"bradley_terry": BradleyTerry}


def simulator_from_specification(specification: Sequence[Mapping[str, object]]) -> PreferenceSimulator:
    """Build the simulator that a JSON list describes, for example ``[{"name": "bradley_terry", "temperature": 2.0}]``.

    Raises:
        SpecificationError: on an empty list, an unknown name, or arguments that the simulator does not take.
    """
    known = ", ".join(sorted(_INNERMOST))
    if not isinstance(specification, Sequence) or isinstance(specification, str) or len(specification) != 1:
        raise SpecificationError(
            f"simulator is {specification!r}; it must be a list of one object such as "
            '[{"name": "bradley_terry", "temperature": 1.0}]'
        )
    if not isinstance(specification[0], Mapping):
        raise SpecificationError(f"simulator holds {specification[0]!r}; it must be an object with a 'name'")
    layer = dict(specification[0])
    name = layer.pop("name", None)
    if not isinstance(name, str) or name not in _INNERMOST:
        raise SpecificationError(f"no simulator is called {name!r}; known: {known}")
    try:
        return _INNERMOST[name](**layer)  # type: ignore[arg-type]
    except TypeError:
        raise SpecificationError(f"simulator {name!r} was given {sorted(layer)}; it takes 'temperature'") from None
