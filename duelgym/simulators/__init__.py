"""Preference simulators: from a pair of responses to the probability that the first is preferred."""

from duelgym.simulators.bradley_terry import BradleyTerry, win_probability
from duelgym.simulators.protocol import Duels, PreferenceSimulator
from duelgym.simulators.specification import simulator_from_specification

__all__ = ["BradleyTerry", "Duels", "PreferenceSimulator", "simulator_from_specification", "win_probability"]
