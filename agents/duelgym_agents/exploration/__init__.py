"""Exploration rules: pure functions from sampled utilities to pairs. They know nothing of reward models."""

from __future__ import annotations

from duelgym_agents.exploration.bald import BALD
from duelgym_agents.exploration.best_against_worst import BestAgainstWorst
from duelgym_agents.exploration.boltzmann import Boltzmann
from duelgym_agents.exploration.delta_quantile import DeltaQuantile
from duelgym_agents.exploration.delta_ucb import DeltaUCB
from duelgym_agents.exploration.double_thompson import DoubleThompson
from duelgym_agents.exploration.entropy_of_mean import EntropyOfMean
from duelgym_agents.exploration.greedy import Greedy
from duelgym_agents.exploration.infomax import Infomax
from duelgym_agents.exploration.infomax_logit import InfomaxLogit
from duelgym_agents.exploration.infomax_width import InfomaxWidth
from duelgym_agents.exploration.information_directed import InformationDirected
from duelgym_agents.exploration.marginal_thompson import MarginalThompson
from duelgym_agents.exploration.max_in_p import MaxInP
from duelgym_agents.exploration.max_min_lcb import MaxMinLCB
from duelgym_agents.exploration.particles_without_replacement import ParticlesWithoutReplacement
from duelgym_agents.exploration.passive import Passive
from duelgym_agents.exploration.reverse_double_thompson import ReverseDoubleThompson
from duelgym_agents.exploration.rucb import RUCB
from duelgym_agents.exploration.rule import ExplorationRule, Selection
from duelgym_agents.exploration.thompson_max_variance import ThompsonMaxVariance
from duelgym_agents.exploration.uniform_pair import UniformPair

__all__ = [
    "BALD",
    "RUCB",
    "BestAgainstWorst",
    "Boltzmann",
    "DeltaQuantile",
    "DeltaUCB",
    "DoubleThompson",
    "EntropyOfMean",
    "ExplorationRule",
    "Greedy",
    "Infomax",
    "InfomaxLogit",
    "InfomaxWidth",
    "InformationDirected",
    "MarginalThompson",
    "MaxInP",
    "MaxMinLCB",
    "ParticlesWithoutReplacement",
    "Passive",
    "ReverseDoubleThompson",
    "Selection",
    "ThompsonMaxVariance",
    "UniformPair",
]
