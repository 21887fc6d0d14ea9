"""Exploration rules: pure functions from sampled utilities to pairs. They know nothing of reward models."""

from __future__ import annotations

from duelgym_agents.exploration.boltzmann import Boltzmann
from duelgym_agents.exploration.double_thompson import DoubleThompson
from duelgym_agents.exploration.infomax import Infomax
from duelgym_agents.exploration.passive import Passive
from duelgym_agents.exploration.rule import ExplorationRule, Selection

__all__ = ["Boltzmann", "DoubleThompson", "ExplorationRule", "Infomax", "Passive", "Selection"]
