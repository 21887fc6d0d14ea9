"""Gymnasium environments in which each action asks for one preference label.

A prompt comes with N candidate responses of a language model; the action is a pair of them; the observation is which
one was preferred. ``import duelgym`` registers the ids, after which ``gymnasium.make("SyntheticDuel-v0")`` works.
"""

from duelgym.agent import Agent, Contexts
from duelgym.envs.registration import register_ids
from duelgym.errors import DuelgymError, LogError, PoolError, SpecificationError

__version__ = "0.1.0"
__all__ = ["Agent", "Contexts", "DuelgymError", "LogError", "PoolError", "SpecificationError", "__version__"]

register_ids()
