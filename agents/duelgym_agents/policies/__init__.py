"""Policies trained by reinforcement learning to choose pairs from a belief, and how they become agents."""

from __future__ import annotations

from duelgym_agents.policies.environment import LearningProgress, belief_env
from duelgym_agents.policies.files import PairPolicy, load_policy
from duelgym_agents.policies.rule import LearnedPairs

__all__ = ["LearnedPairs", "LearningProgress", "PairPolicy", "belief_env", "load_policy"]
