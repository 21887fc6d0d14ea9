"""Where questions come from: generators that answer prompts N times, and the sources that environments draw from."""

from duelgym.generators.gaussian import GaussianFeatures
from duelgym.generators.protocol import (
    CandidateGenerator,
    Encoder,
    Questions,
    QuestionSource,
    QuestionStream,
    Responses,
)
from duelgym.generators.replay import PoolReplay

__all__ = [
    "CandidateGenerator",
    "Encoder",
    "GaussianFeatures",
    "PoolReplay",
    "QuestionSource",
    "QuestionStream",
    "Questions",
    "Responses",
]
