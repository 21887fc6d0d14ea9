"""The log of every query: written by the environment's side, read back, replayed bit for bit."""

from duelgym.rounds.members import MemberLog, read_members
from duelgym.rounds.queries import QueryLog, QueryWriter, header_of, read_queries
from duelgym.rounds.record import RecordRounds
from duelgym.rounds.replay import ReplayReport, replay

__all__ = [
    "MemberLog",
    "QueryLog",
    "QueryWriter",
    "RecordRounds",
    "ReplayReport",
    "header_of",
    "read_members",
    "read_queries",
    "replay",
]
