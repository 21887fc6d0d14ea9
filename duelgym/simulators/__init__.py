"""Preference simulators: from a pair of responses to the probability that the first is preferred."""

from duelgym.simulators.bradley_terry import BradleyTerry, win_probability
from duelgym.simulators.deterministic import Deterministic
from duelgym.simulators.drifting import Drifting
from duelgym.simulators.flip import Flip
from duelgym.simulators.intransitive import Intransitive
from duelgym.simulators.irrational import Irrational
from duelgym.simulators.length_bias import LengthBias
from duelgym.simulators.mixture import Mixture
from duelgym.simulators.position_bias import PositionBias
from duelgym.simulators.protocol import Duels, PreferenceSimulator
from duelgym.simulators.reward_model import RewardModel
from duelgym.simulators.scorers import Rubrics, Scored, Scorer
from duelgym.simulators.specification import check_own, simulator_from_specification
from duelgym.simulators.wrapper import Wrapper

__all__ = [
    "BradleyTerry",
    "Deterministic",
    "Drifting",
    "Duels",
    "Flip",
    "Intransitive",
    "Irrational",
    "LengthBias",
    "Mixture",
    "PositionBias",
    "PreferenceSimulator",
    "RewardModel",
    "Rubrics",
    "Scored",
    "Scorer",
    "Wrapper",
    "check_own",
    "simulator_from_specification",
    "win_probability",
]
