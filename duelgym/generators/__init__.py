"""Candidate generators: from a prompt to N responses and their embeddings."""

from duelgym.generators.gaussian import GaussianFeatures
from duelgym.generators.protocol import CandidateGenerator, Questions, QuestionStream
from duelgym.generators.replay import PoolReplay

__all__ = ["CandidateGenerator", "GaussianFeatures", "PoolReplay", "QuestionStream", "Questions"]
