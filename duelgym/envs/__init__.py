"""The environments and the table of their ids."""

from duelgym.envs.belief import Belief
from duelgym.envs.duel import DuelEnv
from duelgym.envs.problems import Problem, build_problem
from duelgym.envs.spaces import Unicode, UnicodeTuple
from duelgym.envs.vector import DuelVectorEnv
from duelgym.envs.wrappers import DropText, FlattenDuel, PairIndex

__all__ = [
    "Belief",
    "DropText",
    "DuelEnv",
    "DuelVectorEnv",
    "FlattenDuel",
    "PairIndex",
    "Problem",
    "Unicode",
    "UnicodeTuple",
    "build_problem",
]
