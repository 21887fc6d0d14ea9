"""A problem: who generates the candidates, whose preferences are hidden, and who answers. Built from plain JSON."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from duelgym import assets
from duelgym.errors import PoolError, SpecificationError
from duelgym.generators import CandidateGenerator, GaussianFeatures, PoolReplay, QuestionSource
from duelgym.pools import CandidatePool
from duelgym.pools.splits import prompt_hash
from duelgym.simulators import BradleyTerry, PreferenceSimulator, simulator_from_specification
from duelgym.simulators.raters import RaterArgument, RaterPopulation, SyntheticRaters, pool_raters
from duelgym.simulators.scorers import Scorer

SimulatorArgument = Sequence[Mapping[str, object]] | None
EMBEDDED_REWARD_MODEL: Mapping[str, object] = {"name": "reward_model", "model": "embedded"}
EMBEDDED_PROBLEM = "llm_duel"
LLM_DUEL_SHA256 = ""
"""Of the pool's manifest, which holds the hash of every other file."""


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

    generator: QuestionSource
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
        raise SpecificationError("PoolDuel-v0 needs pool=DIR, a pool recorded with 'duelgym pool record'")
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
        generator = PoolReplay(pool, n_candidates=self.n_candidates, split=self.split, fold=self.fold)
        default = pool.temperature if len(pool.attributes) == 1 else 1.0
        answering = _simulator(self.simulator, self.temperature, default=default)
        scorer = getattr(answering, "scorer", None)
        raters = pool_raters(pool, self.rater) if scorer is None else _text_raters(scorer, generator, self.rater)
        specification = {
            "problem": name,
            "pool": {"name": pool.name, "sha256": pool.sha256},
            "split": self.split,
            "fold": int(self.fold),
            "n_candidates": generator.n_candidates,
            "rater": dict(self.rater) if isinstance(self.rater, Mapping) else self.rater,
            "simulator": answering.specification(),
        }
        return Problem(generator, raters, answering, specification, pool)


def _text_raters(scorer: Scorer, source: QuestionSource, rater: RaterArgument) -> RaterPopulation:
    from duelgym.simulators.text_raters import text_raters

    return text_raters(scorer, source, rater)


def _opened(pool: object) -> CandidatePool:
    if not isinstance(pool, (str, os.PathLike)):
        raise SpecificationError(f"pool is {pool!r}; it must be the directory of a pool")
    return CandidatePool.open(pool)


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


def llm_duel_live(
    *,
    generator: str | Mapping[str, object] = assets.GENERATOR,
    prompts: str | Path | None = None,
    encoder: str | Mapping[str, object] | None = None,
    max_new_tokens: int = 48,
    n_candidates: int = 16,
    n_assessment: int | None = None,
    rater: RaterArgument = None,
    simulator: SimulatorArgument = None,
    temperature: float | None = None,
) -> Problem:
    """Build the problem of ``LLMDuelLive-v0``: see :class:`duelgym.envs.DuelEnv` for the arguments."""
    from duelgym.generators.live import LiveQuestions
    from duelgym.generators.specification import live_generator

    answering = live_generator(generator, encoder=encoder, max_new_tokens=max_new_tokens)
    asked, named = _live_prompts(prompts, answering)
    source = LiveQuestions(answering, asked, n_candidates=n_candidates, n_assessment=n_assessment)
    if simulator is None:
        layer = (
            dict(EMBEDDED_REWARD_MODEL)
            if temperature is None
            else {**EMBEDDED_REWARD_MODEL, "temperature": temperature}
        )
        simulator, temperature = [layer], None
    judging = _simulator(simulator, temperature, default=1.0)
    specification = {
        "problem": "llm_duel_live",
        "generator": answering.specification(),
        "prompts": named,
        "n_candidates": source.n_candidates,
        "n_assessment": source.n_assessment,
        "rater": rater,
        "simulator": judging.specification(),
    }
    return Problem(source, _live_raters(judging, source, rater), judging, specification)


def _live_prompts(path: str | Path | None, generator: CandidateGenerator) -> tuple[list[str], dict[str, object]]:
    """Return the prompts to ask, and how the specification names them."""
    from duelgym.pools.prompts import read_prompts

    recorded = getattr(generator, "prompts", None)
    if path is None and recorded is not None:
        name, prompts = None, list(recorded)
    else:
        path = assets.PROMPTS if path is None else path
        if not isinstance(path, (str, os.PathLike)) or not Path(path).is_file():
            raise SpecificationError(
                f'prompts is {path!r}; it must be a file with one prompt a line, or .jsonl with a "prompt" a line'
            )
        name, prompts = Path(path).name, read_prompts(path)
    digest = hashlib.sha256(b"".join(map(prompt_hash, prompts)))
    return prompts, {"name": name, "n": len(prompts), "sha256": digest.hexdigest()}


def _live_raters(simulator: PreferenceSimulator, source: QuestionSource, rater: RaterArgument) -> RaterPopulation:
    """Return who has the utilities: a reader of texts, or nobody where the simulator itself reads them."""
    from duelgym.simulators.text_raters import NoUtilities

    scorer = getattr(simulator, "scorer", None)
    if scorer is not None:
        return _text_raters(scorer, source, rater)
    if not simulator.needs_texts or simulator.has_judgement:
        raise SpecificationError(
            f"simulator begins with {simulator.specification()[0]['name']!r}, which needs utilities, and live responses have "
            "none recorded; begin it with 'reward_model', 'rubrics' or 'llm_judge'"
        )
    if rater is not None:
        raise SpecificationError(f"rater is {rater!r}; this simulator reads the texts itself and has no raters")
    return NoUtilities()  # type: ignore[return-value]


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


PROBLEMS: Mapping[str, Callable[..., Problem]] = {
    "alpaca_eval": alpaca_eval,
    EMBEDDED_PROBLEM: llm_duel,
    "llm_duel_live": llm_duel_live,
    "pool": pool_duel,
    "synthetic": synthetic,
}


def _simulator(specification: SimulatorArgument, temperature: float | None, *, default: float) -> PreferenceSimulator:
    if specification is None:
        return BradleyTerry(default if temperature is None else temperature)
    if temperature is not None:
        raise SpecificationError("give temperature or simulator, not both: the specification holds its own temperature")
    return simulator_from_specification(specification)
