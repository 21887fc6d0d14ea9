"""Reward models: they learn utilities from duels and say how sure they are. They know nothing of rules."""

from __future__ import annotations

from duelgym_agents.reward_models.ensemble import MLPEnsemble
from duelgym_agents.reward_models.protocol import RewardModel
from duelgym_agents.reward_models.settings import NetworkSettings

__all__ = ["MLPEnsemble", "NetworkSettings", "RewardModel"]
