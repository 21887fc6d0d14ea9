"""Reward models: they learn utilities from duels and say how sure they are. They know nothing of rules."""

from __future__ import annotations

from duelgym_agents.reward_models.additive import AdditiveModel, AdditiveSettings, AdditiveTextModel
from duelgym_agents.reward_models.dropout import DropoutSettings, MCDropout
from duelgym_agents.reward_models.ensemble import MLPEnsemble
from duelgym_agents.reward_models.epinet import Epinet, EpinetSettings
from duelgym_agents.reward_models.language_model import LinearHeads, LinearHeadSettings, LoRAEnsemble, LoRASettings
from duelgym_agents.reward_models.laplace import LaplaceSettings, LastLayerLaplace
from duelgym_agents.reward_models.linear import BayesianLinear, LinearSettings
from duelgym_agents.reward_models.online_belief import BeliefSettings, OnlineBelief
from duelgym_agents.reward_models.protocol import RewardModel
from duelgym_agents.reward_models.randomised_prior import PriorSettings, RandomisedPriorEnsemble
from duelgym_agents.reward_models.settings import LearningSettings, NetworkSettings, ReplaySettings

__all__ = [
    "AdditiveModel",
    "AdditiveSettings",
    "AdditiveTextModel",
    "BayesianLinear",
    "BeliefSettings",
    "DropoutSettings",
    "Epinet",
    "EpinetSettings",
    "LaplaceSettings",
    "LastLayerLaplace",
    "LearningSettings",
    "LinearHeadSettings",
    "LinearHeads",
    "LinearSettings",
    "LoRAEnsemble",
    "LoRASettings",
    "MCDropout",
    "MLPEnsemble",
    "NetworkSettings",
    "OnlineBelief",
    "PriorSettings",
    "RandomisedPriorEnsemble",
    "ReplaySettings",
    "RewardModel",
]
