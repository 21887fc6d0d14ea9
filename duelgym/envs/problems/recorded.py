"""Problems on recorded candidates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from duelgym import assets
from duelgym.checks import whole_number
from duelgym.envs.problems.problem import Problem, SimulatorArgument, answering_simulator, raters_by_text
from duelgym.errors import PoolError, SpecificationError
from duelgym.generators import PoolReplay
from duelgym.pools import CandidatePool
from duelgym.simulators.populations import pool_raters
from duelgym.simulators.raters import RaterArgument

EMBEDDED_PROBLEM = "llm_duel"
LLM_DUEL_SHA256 = "c7dff696530a192fa82e9f24b5fcdb2847bb2a56fb99f1574d38c5e24a725c28"
"""Of the pool's manifest, which holds the hash of every other file."""


def alpaca_eval(
    *,
    pool: str | Path | None = None,
    split: str = "learn",
    fold: int = 0,
    n_candidates: int | None = None,
    rater: RaterArgument = None,
    simulator: SimulatorArgument = None,
    temperature: float | None = None,
) -> Problem:
    """Build the problem of ``AlpacaEvalDuel-v0``: see :class:`duelgym.envs.DuelEnv` for the arguments."""
    if pool is None:
        raise SpecificationError(
            "AlpacaEvalDuel-v0 needs pool=DIR, an imported pool; make one from AlpacaEval's public files with "
            "'duelgym pool import alpaca-eval SRC --out DIR --encoder NAME_OR_PATH'"
        )
    asked = _Replayed(split, fold, n_candidates, rater, simulator, temperature)
    return asked.problem("alpaca_eval", _opened(pool))


def pool_duel(
    *,
    pool: str | Path | None = None,
    split: str = "learn",
    fold: int = 0,
    n_candidates: int | None = None,
    rater: RaterArgument = None,
    simulator: SimulatorArgument = None,
    temperature: float | None = None,
) -> Problem:
    """Build the problem of ``PoolDuel-v0``: see :class:`duelgym.envs.DuelEnv` for the arguments."""
    if pool is None:
        raise SpecificationError(
            "PoolDuel-v0 needs pool=DIR; make a pool with 'duelgym pool record', or of your own data with duelgym.pools.write_pool"
        )
    asked = _Replayed(split, fold, n_candidates, rater, simulator, temperature)
    return asked.problem("pool", _opened(pool))


def llm_duel(
    *,
    split: str = "learn",
    fold: int = 0,
    n_candidates: int | None = None,
    rater: RaterArgument = None,
    simulator: SimulatorArgument = None,
    temperature: float | None = None,
) -> Problem:
    """Build the problem of ``LLMDuel-v0``: see :class:`duelgym.envs.DuelEnv` for the arguments.

    Raises:
        PoolError: if the embedded pool is not the one that this version is bound to.
    """
    opened = _opened(assets.POOL)
    if opened.sha256 != LLM_DUEL_SHA256:
        raise PoolError(
            f"the embedded pool has sha256 {opened.sha256}, but LLMDuel-v0 is bound to {LLM_DUEL_SHA256}; install duelgym again"
        )
    asked = _Replayed(split, fold, n_candidates, rater, simulator, temperature)
    return asked.problem(EMBEDDED_PROBLEM, opened)


@dataclass(frozen=True)
class _Replayed:
    """What may be said of any recorded problem."""

    split: str
    fold: int
    n_candidates: int | None
    rater: RaterArgument
    simulator: SimulatorArgument
    temperature: float | None

    def problem(self, name: str, pool: CandidatePool) -> Problem:
        """Return the problem on a pool; raters over several attributes are scaled for temperature 1."""
        whole_number("fold", self.fold, 0)
        generator = PoolReplay(pool, n_candidates=self.n_candidates, split=self.split, fold=self.fold)
        default = pool.temperature if len(pool.attributes) == 1 else 1.0
        answering = answering_simulator(self.simulator, self.temperature, default=default)
        scorer = getattr(answering, "scorer", None)
        raters = pool_raters(pool, self.rater) if scorer is None else raters_by_text(scorer, generator, self.rater)
        specification = {
            "problem": name,
            "pool": {"name": pool.name, "sha256": pool.sha256},
            "split": self.split,
            "fold": self.fold,
            "n_candidates": generator.n_candidates,
            "rater": dict(self.rater) if isinstance(self.rater, Mapping) else self.rater,
            "simulator": answering.specification(),
        }
        return Problem(generator, raters, answering, specification, pool)


def _opened(pool: object) -> CandidatePool:
    if not isinstance(pool, (str, os.PathLike)):
        raise SpecificationError(f"pool is {pool!r}; it must be the directory of a pool")
    return CandidatePool.open(pool)
