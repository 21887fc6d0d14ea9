"""The problem of candidates that a language model samples when they are asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from duelgym import assets
from duelgym.envs.problems.problem import Problem, SimulatorArgument, answering_simulator, raters_by_text
from duelgym.errors import SpecificationError
from duelgym.generators import CandidateGenerator, QuestionSource
from duelgym.pools.splits import prompt_hash
from duelgym.simulators import PreferenceSimulator
from duelgym.simulators.raters import RaterArgument, RaterPopulation

EMBEDDED_REWARD_MODEL: Mapping[str, object] = {"name": "reward_model", "model": "embedded"}


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

    answering = live_generator(_completed(generator), encoder=encoder, max_new_tokens=max_new_tokens)
    asked, named = _live_prompts(prompts, answering)
    source = LiveQuestions(answering, asked, n_candidates=n_candidates, n_assessment=n_assessment)
    if simulator is None:
        layer = (
            dict(EMBEDDED_REWARD_MODEL)
            if temperature is None
            else {**EMBEDDED_REWARD_MODEL, "temperature": temperature}
        )
        simulator, temperature = [layer], None
    judging = answering_simulator(simulator, temperature, default=1.0)
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


def _completed(generator: str | Mapping[str, object]) -> str | Mapping[str, object]:
    """Return what was asked for; of the embedded model, with the settings of ``LLMDuel-v0`` where none are given."""
    given = {"model": generator} if isinstance(generator, str) else generator
    embedded = isinstance(given, Mapping) and given.get("model") == "embedded"
    return {**assets.GENERATOR, **given} if embedded else generator


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
        return raters_by_text(scorer, source, rater)
    if not simulator.needs_texts or simulator.has_judgement:
        raise SpecificationError(
            f"simulator begins with {simulator.specification()[0]['name']!r}, which needs utilities, and live responses have "
            "none recorded; begin it with 'reward_model', 'rubrics' or 'llm_judge'"
        )
    if rater is not None:
        raise SpecificationError(f"rater is {rater!r}; this simulator reads the texts itself and has no raters")
    return NoUtilities()  # type: ignore[return-value]
