"""Exploration rules: pure functions from sampled utilities, features or a posterior to pairs. They know nothing of reward models."""

from __future__ import annotations

from duelgym_agents.exploration.bald import BALD
from duelgym_agents.exploration.batchbald import BatchBALD
from duelgym_agents.exploration.best_against_worst import BestAgainstWorst
from duelgym_agents.exploration.boltzmann import Boltzmann
from duelgym_agents.exploration.colstim import CoLSTIM
from duelgym_agents.exploration.d_optimal import DOptimal
from duelgym_agents.exploration.delta_quantile import DeltaQuantile
from duelgym_agents.exploration.delta_ucb import DeltaUCB
from duelgym_agents.exploration.diverse import DeterminantGreedy, KCentre
from duelgym_agents.exploration.double_thompson import DoubleThompson
from duelgym_agents.exploration.entropy_of_mean import EntropyOfMean
from duelgym_agents.exploration.feel_good import FeelGoodThompson
from duelgym_agents.exploration.greedy import Greedy
from duelgym_agents.exploration.infomax import Infomax
from duelgym_agents.exploration.infomax_logit import InfomaxLogit
from duelgym_agents.exploration.infomax_width import InfomaxWidth
from duelgym_agents.exploration.information_directed import InformationDirected
from duelgym_agents.exploration.marginal_thompson import MarginalThompson
from duelgym_agents.exploration.max_in_p import MaxInP
from duelgym_agents.exploration.max_min_lcb import MaxMinLCB
from duelgym_agents.exploration.oracle import Oracle
from duelgym_agents.exploration.particles_without_replacement import ParticlesWithoutReplacement
from duelgym_agents.exploration.passive import Passive
from duelgym_agents.exploration.posterior import GivesFeatures, GivesPosterior, LinearPosterior
from duelgym_agents.exploration.reverse_double_thompson import ReverseDoubleThompson
from duelgym_agents.exploration.rucb import RUCB
from duelgym_agents.exploration.rule import AnyRule, ExplorationRule, FeatureRule, PosteriorRule, Selection
from duelgym_agents.exploration.stages import StagewiseDuel, VarianceAware
from duelgym_agents.exploration.thompson_max_variance import ThompsonMaxVariance
from duelgym_agents.exploration.thompson_max_width import ThompsonMaxWidth
from duelgym_agents.exploration.uniform_pair import UniformPair

__all__ = [
    "BALD",
    "RUCB",
    "AnyRule",
    "BatchBALD",
    "BestAgainstWorst",
    "Boltzmann",
    "CoLSTIM",
    "DOptimal",
    "DeltaQuantile",
    "DeltaUCB",
    "DeterminantGreedy",
    "DoubleThompson",
    "EntropyOfMean",
    "ExplorationRule",
    "FeatureRule",
    "FeelGoodThompson",
    "GivesFeatures",
    "GivesPosterior",
    "Greedy",
    "Infomax",
    "InfomaxLogit",
    "InfomaxWidth",
    "InformationDirected",
    "KCentre",
    "LinearPosterior",
    "MarginalThompson",
    "MaxInP",
    "MaxMinLCB",
    "Oracle",
    "ParticlesWithoutReplacement",
    "Passive",
    "PosteriorRule",
    "ReverseDoubleThompson",
    "Selection",
    "StagewiseDuel",
    "ThompsonMaxVariance",
    "ThompsonMaxWidth",
    "UniformPair",
    "VarianceAware",
]
