"""A problem: who generates the candidates, whose preferences are hidden, and who answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duelgym.errors import SpecificationError
from duelgym.generators import QuestionSource
from duelgym.pools import CandidatePool
from duelgym.simulators import BradleyTerry, PreferenceSimulator, simulator_from_specification
from duelgym.simulators.raters import RaterArgument, RaterPopulation
from duelgym.simulators.scorers import Scorer

SimulatorArgument = Sequence[Mapping[str, object]] | None


@dataclass(frozen=True)
class Problem:
    """Everything about an environment but its budget and the way it is shown.

    Attributes:
        generator: gives the candidates.
        raters: the population from which the seed draws the hidden rater.
        simulator: answers duels and judges choices.
        specification: the resolved arguments, plain JSON, equal exactly for comparable runs.
        pool: the recorded candidates, where there are any.

    Raises:
        SpecificationError: if the specification names another simulator.
    """

    generator: QuestionSource
    raters: RaterPopulation
    simulator: PreferenceSimulator
    specification: Mapping[str, object]
    pool: CandidatePool | None = None

    def __post_init__(self) -> None:
        named = self.specification.get("simulator", self.simulator.specification())
        if named != self.simulator.specification():
            raise SpecificationError(
                f"the problem's specification names the simulator {named}, and its simulator is "
                f"{self.simulator.specification()}, so that its logs could not be replayed; replace both"
            )


def answering_simulator(
    specification: SimulatorArgument, temperature: float | None, *, default: float
) -> PreferenceSimulator:
    """Return the simulator of a specification, or a Bradley-Terry rater of a temperature.

    Args:
        specification: names of layers with their settings, or None.
        temperature: of the Bradley-Terry rater.
        default: the temperature where neither is given.

    Raises:
        SpecificationError: if both are given, or a layer is unknown.
    """
    if specification is None:
        return BradleyTerry(default if temperature is None else temperature)
    if temperature is not None:
        raise SpecificationError("give temperature or simulator, not both: the specification holds its own temperature")
    return simulator_from_specification(specification)


def raters_by_text(scorer: Scorer, source: QuestionSource, rater: RaterArgument) -> RaterPopulation:
    """Return the raters whose utilities a reader of texts gives; loaded when first asked for."""
    from duelgym.simulators.text_raters import text_raters

    return text_raters(scorer, source, rater)
