"""What the runs of a plan are worth: everything about a seed that is equal for all agents is made once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from duelgym.envs.problems import Problem
from duelgym.metrics import Judged
from duelgym.rounds import header_of
from duelgym_bench.plan import Plan
from duelgym_bench.scores import looked_up, recommended_positions
from duelgym_bench.statistics import area


@dataclass(frozen=True)
class Episode:
    """What is equal for all agents on a seed.

    Attributes:
        problem: the environment's.
        header: with which their query logs begin, as JSON gives it.
        held_out: the questions of assessment, by identity alone.
        wins: win rate of every candidate of each.
    """

    problem: Problem
    header: Mapping[str, Any]
    held_out: Judged
    wins: Float64[np.ndarray, "prompts n_candidates"]


class Assessment:
    """Win rates and areas of a plan's runs from their logs of recommendations.

    Args:
        plan: of the runs; its agents do not matter.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._episodes: dict[int, Episode] = {}

    def episode(self, seed_index: int) -> Episode:
        """Return what is equal for all agents on a seed."""
        if seed_index not in self._episodes:
            self._episodes[seed_index] = self._built(seed_index)
        return self._episodes[seed_index]

    def curve(self, seed_index: int, recommendations: Path) -> Float64[np.ndarray, " checkpoints"]:
        """Return the win rate at each checkpoint of a run.

        Args:
            seed_index: of the run.
            recommendations: its log.

        Raises:
            LogError: if the log is not one of the plan.
        """
        episode = self.episode(seed_index)
        chosen = recommended_positions(recommendations, episode.held_out, self.plan)
        return looked_up(episode.wins, chosen).mean(axis=1)

    def areas(self, curves: Sequence[Float64[np.ndarray, " checkpoints"]]) -> Float64[np.ndarray, " curves"]:
        """Return the area under each curve, 0 = a win rate of .5, 1 = the oracle's mean over all of the plan's seeds."""
        best = np.mean([self.episode(k).wins.max(axis=1).mean() for k in range(self.plan.seeds)])
        return area(np.stack(curves), np.full(len(curves), best), np.asarray(self.plan.checkpoints(), dtype=np.int64))

    def _built(self, seed_index: int) -> Episode:
        session = self.plan.session(seed_index)
        held_out = session.assessment()
        header = header_of(
            session.problem,
            env_id=self.plan.env,
            budget=self.plan.queries,
            batch=self.plan.batch,
            seed=self.plan.env_seed(seed_index),
            seed_index=seed_index,
        )
        return Episode(
            problem=session.problem,
            header=json.loads(json.dumps(header)),
            held_out=replace(held_out, questions=replace(held_out.questions, features=None)),  # which are many bytes
            wins=held_out.win_rates(),
        )
