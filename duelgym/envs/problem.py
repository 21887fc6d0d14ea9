"""A problem: who generates the candidates, whose preferences are hidden, and who answers. Built from plain JSON."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from duelgym.errors import SpecificationError
from duelgym.generators import CandidateGenerator, GaussianFeatures, PoolReplay
from duelgym.pools import CandidatePool
from duelgym.simulators import BradleyTerry, PreferenceSimulator, simulator_from_specification
from duelgym.simulators.raters import RaterArgument, RaterPopulation, SyntheticRaters, pool_raters

SimulatorArgument = Sequence[Mapping[str, object]] | None


@dataclass(frozen=True)
class Problem:
    """Everything about an environment but its budget and the way it is shown.

    Attributes:
        generator: gives the candidates.
        raters: the population from which the seed draws the hidden rater.
        simulator: answers duels and judges choices.
        specification: the resolved arguments, plain JSON, equal exactly for comparable runs.
        pool: the recorded candidates, where there are any.
    """

    generator: CandidateGenerator
    raters: RaterPopulation
    simulator: PreferenceSimulator
    specification: Mapping[str, object]
    pool: CandidatePool | None = None


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
    if not isinstance(pool, (str, os.PathLike)):
        raise SpecificationError(f"pool is {pool!r}; it must be the directory of a pool")
    opened = CandidatePool.open(pool)
    raters = pool_raters(opened, rater)
    answering = _simulator(simulator, temperature, default=opened.temperature)
    generator = PoolReplay(opened, n_candidates=n_candidates, split=split, fold=fold)
    specification = {
        "problem": "alpaca_eval",
        "pool": {"name": opened.name, "sha256": opened.sha256},
        "split": split,
        "fold": int(fold),
        "n_candidates": generator.n_candidates,
        "rater": rater,
        "simulator": answering.specification(),
    }
    return Problem(generator, raters, answering, specification, opened)


def synthetic(
    *,
    dimension: int = 16,
    n_candidates: int = 16,
    utility: str = "random_features",
    prompt_share: float = 0.5,
    rater: RaterArgument = None,
    simulator: SimulatorArgument = None,
    temperature: float | None = None,
) -> Problem:
    """Build the problem of ``SyntheticDuel-v0``: see :class:`duelgym.envs.DuelEnv` for the arguments."""
    generator = GaussianFeatures(dimension=dimension, n_candidates=n_candidates, prompt_share=prompt_share)
    raters = SyntheticRaters(generator, utility, rater)
    answering = _simulator(simulator, temperature, default=1.0)
    specification = {
        "problem": "synthetic",
        "dimension": generator.prompt_dim,
        "n_candidates": generator.n_candidates,
        "utility": utility,
        "prompt_share": prompt_share,
        "rater": rater,
        "simulator": answering.specification(),
    }
    return Problem(generator, raters, answering, specification)


def build_problem(name: str, arguments: Mapping[str, object]) -> Problem:
    """Build a problem by its name in :data:`PROBLEMS`, for example ``"synthetic"``.

    Raises:
        SpecificationError: on an unknown problem, or an argument that it does not take.
    """
    if name not in PROBLEMS:
        raise SpecificationError(f"no problem is called {name!r}; known: {', '.join(PROBLEMS)}")
    builder = PROBLEMS[name]
    allowed = inspect.signature(builder).parameters
    unknown = sorted(set(arguments) - set(allowed))
    if unknown:
        raise SpecificationError(
            f"{', '.join(unknown)}: not an argument of this environment; it takes {', '.join(sorted(allowed))}"
        )
    return builder(**arguments)


PROBLEMS: Mapping[str, Callable[..., Problem]] = {"alpaca_eval": alpaca_eval, "synthetic": synthetic}


def _simulator(specification: SimulatorArgument, temperature: float | None, *, default: float) -> PreferenceSimulator:
    if specification is None:
        return BradleyTerry(default if temperature is None else temperature)
    if temperature is not None:
        raise SpecificationError("give temperature or simulator, not both: the specification holds its own temperature")
    return simulator_from_specification(specification)
