"""Candidate pools: prompts with candidate responses, embeddings and utilities, frozen and hashed."""

from duelgym.pools.pool import CandidatePool, PromptTexts
from duelgym.pools.writing import write_pool

__all__ = ["CandidatePool", "PromptTexts", "write_pool"]
