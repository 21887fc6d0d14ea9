"""What stands beside every curve: policies that ask nothing, the supervised reference, the oracle, bits per label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from duelgym.envs.problems import Problem
from duelgym.errors import LogError
from duelgym.generators import PoolReplay
from duelgym.metrics import Judged, bits_per_label
from duelgym.metrics.judged import judge
from duelgym.simulators.attributes import AttributeRaters
from duelgym_bench.curves import ORACLE, SUPERVISED
from duelgym_bench.plan import Plan, derived_seed
from duelgym_bench.scored import References
from duelgym_bench.supervised import supervised_choice, supervised_label

Table = Float64[np.ndarray, "prompts n_candidates"]
N_BLIND_PAIRS = 32
"""Pairs of raters with opposite tastes, over whom the rater-blind policy averages."""
PerPrompt = Float64[np.ndarray, " prompts"]


@dataclass(frozen=True)
class SeedReferences:
    """The references of one seed.

    Attributes:
        values: ``"win"``, ``"regret"`` and, where the pool has one, ``"reference"`` -> policy -> value per prompt.
        bits_per_label: mean over 512 random pairs.
    """

    values: Mapping[str, Mapping[str, PerPrompt]]
    bits_per_label: float


def outcome_tables(held_out: Judged, problem: Problem) -> dict[str, Table]:
    """Return what recommending each candidate is worth: ``"win"``, ``"regret"`` and maybe win against ``"reference"``."""
    wins = held_out.win_rates()
    batch, n = wins.shape
    regret = np.stack([held_out.regrets(np.full((batch, 2), column))[:, 0] for column in range(n)], axis=1)
    tables = {"win": wins, "regret": regret}
    reference = problem.pool.reference if problem.pool is not None else None
    if reference is not None:
        tables["reference"] = held_out.reference_win_rates(float(reference["utility"]))
    return tables


def prompt_group(plan: Plan, seed_index: int) -> str:
    """Return the name under which runs share their assessment prompts."""
    kwargs = plan.problem_kwargs(seed_index)
    if "fold" not in kwargs:
        return f"seed {seed_index}"
    return "all" if kwargs.get("split") == "all" else f"fold {kwargs['fold']}"


def seed_references(plan: Plan, seed_index: int) -> SeedReferences:
    """Return what stands beside the curves for one seed."""
    session = plan.session(seed_index)
    problem = session.problem
    held_out = session.assessment()
    if not np.all(np.diff(held_out.questions.prompt_ids) > 0):
        raise LogError("assessment prompts are not in ascending order, so runs of a fold cannot be paired by prompt")
    tables = outcome_tables(held_out, problem)
    choices: dict[str, Int64[np.ndarray, " prompts"]] = {
        ORACLE: np.argmax(tables["win"], axis=1),
        SUPERVISED: supervised_choice(plan, seed_index),
        "constant index": np.zeros(len(held_out.questions), dtype=np.int64),
    }
    if isinstance(problem.generator, PoolReplay):
        characters = problem.generator.pool.characters(held_out.questions.prompt_ids)
        shown = np.take_along_axis(characters, held_out.questions.candidate_ids, axis=1)
        choices["longest answer"] = np.argmax(shown, axis=1)
    if isinstance(problem.raters, AttributeRaters):
        choices["rater-blind"] = rater_blind_choice(held_out, problem.raters, seed_index)
    every = np.arange(len(held_out.questions))
    values = {
        metric: {"uniform": table.mean(axis=1)} | {name: table[every, chosen] for name, chosen in choices.items()}
        for metric, table in tables.items()
    }
    return SeedReferences(values, _bits(session.ask(512), seed_index))


def rater_blind_choice(held_out: Judged, raters: AttributeRaters, seed_index: int) -> Int64[np.ndarray, " prompts"]:
    """Return what wins most on average over 64 raters of the population, for one who knows all but the rater."""
    rng = np.random.default_rng(derived_seed("rater-blind", seed_index))
    questions, simulator = held_out.questions, held_out.simulator
    mixed = getattr(simulator, "n_raters", 1) > 1
    total = np.zeros(questions.candidate_ids.shape)
    for _ in range(N_BLIND_PAIRS):
        both = [raters.scaled(weights).utilities(questions) for weights in raters.population.opposed(rng)]
        if mixed:
            each = np.stack(both, axis=2)
            total += judge(simulator, questions, each.mean(axis=2), each).win_rates()
        else:
            total += sum(judge(simulator, questions, utilities).win_rates() for utilities in both)
    return np.argmax(total, axis=1)


def merged(plan: Plan, seeds: Sequence[SeedReferences]) -> References:
    """Return the references of all seeds, given in the order of their indices.

    Seeds of one fold share prompts, but not the order of candidates, nor always which are shown or who judges them: each
    has values of its own.
    """

    def of_metric(metric: str) -> dict[str, tuple[PerPrompt, ...]]:
        return {name: tuple(seed.values[metric][name] for seed in seeds) for name in seeds[0].values[metric]}

    wins = of_metric("win")
    oracle, supervised = wins.pop(ORACLE), wins.pop(SUPERVISED)
    return References(
        policies=wins,
        policies_reference=of_metric("reference") if "reference" in seeds[0].values else None,
        oracle=oracle,
        supervised=supervised,
        supervised_label=supervised_label(plan),
        bits_per_label=float(np.mean([seed.bits_per_label for seed in seeds])),
        regrets={name: float(np.mean([values.mean() for values in of])) for name, of in of_metric("regret").items()},
    )


def _bits(asked: Judged, seed_index: int) -> float:
    batch, n = asked.questions.candidate_ids.shape
    if n == 1:
        return 0.0
    pairs = np.argsort(np.random.default_rng(seed_index).random((batch, n)), axis=1)
    return bits_per_label(asked.probability(pairs[:, 0], pairs[:, 1]))
