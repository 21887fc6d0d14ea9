"""The supervised reference: what these features allow if all utilities of all learning prompts are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from duelgym.agent import Contexts
from duelgym.generators import GaussianFeatures, PoolReplay, QuestionSource
from duelgym.metrics import Judged
from duelgym_agents.reward_models.feature_map import KINDS, FeatureMap
from duelgym_bench.learner import best_of_n
from duelgym_bench.perceptron import perceptron_scores
from duelgym_bench.plan import Plan, derived_seed

PENALTIES = tuple(10.0**power for power in range(-3, 4))
N_SYNTHETIC = 1024


@dataclass(frozen=True)
class _Material:
    contexts: Contexts
    features: dict[str, Float32[np.ndarray, "batch n_candidates features"]]
    targets: dict[str, Float64[np.ndarray, "batch n_candidates"]]
    wins: Float64[np.ndarray, "batch n_candidates"]


def supervised_label(plan: Plan) -> str:
    """Return what the supervised reference of these runs is, in words."""
    generator, split = plan.problem(0).generator, plan.env_kwargs.get("split", "learn")
    chosen_on = "prompts that no agent is asked about"
    if isinstance(generator, PoolReplay):
        if not generator.has_tune:
            chosen_on = "the learning prompts themselves"
        elif split in ("tune", "all"):
            chosen_on = "tune prompts, which agents are asked about too"
        if split != "learn":
            chosen_on += "; among all these are prompts that are assessed"
    elif not isinstance(generator, GaussianFeatures):
        chosen_on = "further responses to the learning prompts"
    return (
        "best of a two-layer perceptron and ridge regressions of utility or win rate on response, interaction or random Fourier "
        f"features, given all learning utilities, chosen on {chosen_on}"
    )


def supervised_choice(plan: Plan, seed_index: int) -> Int64[np.ndarray, " prompts"]:
    """Return the position that the supervised reference recommends for every assessment prompt of a seed.

    The best of a perceptron and of ridge regressions with three feature sets, two targets and seven penalties, chosen on the
    pool's ``tune`` prompts (on fresh questions where questions are drawn afresh, which are about the learning prompts where a
    language model answers live; on the learning prompts themselves where the pool has no ``tune`` part).
    """
    session = plan.session(seed_index)
    held_out = session.assessment()
    generator = session.problem.generator
    if isinstance(generator, PoolReplay):
        learning = session.judged(generator.every("learn"))
        choosing = session.judged(generator.every("tune")) if generator.has_tune else learning
    else:
        fresh = np.random.default_rng(derived_seed("supervised", seed_index))
        learning = session.judged(generator.stream(fresh).draw(N_SYNTHETIC))
        choosing = session.judged(generator.stream(fresh).draw(N_SYNTHETIC // 4))
    contexts = generator.contexts(held_out.questions)
    maps = {kind: FeatureMap.measured(contexts, kind) for kind in KINDS}
    features = {kind: features(contexts) for kind, features in maps.items()}
    taught, tried = _material(generator, maps, learning), _material(generator, maps, choosing)
    value, chosen = _best(taught, tried, features)
    if taught.wins.shape[1] > 1:
        utilities = taught.targets.get("utility", taught.wins)
        rng = np.random.default_rng(derived_seed("perceptron", seed_index))
        scores, wanted = perceptron_scores(taught.contexts, utilities, (tried.contexts, contexts), rng=rng)
        if _mean_win(tried.wins, scores.argmax(axis=1)) > value:
            return wanted.argmax(axis=1)
    return chosen


def _material(generator: QuestionSource, maps: dict[str, FeatureMap], judged: Judged) -> _Material:
    contexts = generator.contexts(judged.questions)
    wins = judged.win_rates()
    targets = {"win rate": wins}
    if judged.utilities is not None:
        targets["utility"] = judged.utilities
    return _Material(contexts, {kind: features(contexts) for kind, features in maps.items()}, targets, wins)


def _best(
    learning: _Material, choosing: _Material, held_out: Mapping[str, Float32[np.ndarray, "batch n_candidates features"]]
) -> tuple[float, Int64[np.ndarray, " prompts"]]:
    """Return the best win rate of a ridge regression where it is chosen, and what that one recommends."""
    best = (-1.0, np.empty(0, dtype=np.int64))
    for kind, features in learning.features.items():
        # Differences within a prompt are all that a preference can tell, so prompts are centred away.
        centred = (features - features.mean(axis=1, keepdims=True)).reshape(-1, features.shape[2])
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        for target in learning.targets.values():
            wanted = (target - target.mean(axis=1, keepdims=True)).ravel()
            projected = vectors.T @ (centred.T @ wanted)
            for penalty in PENALTIES:
                weights = vectors @ (projected / (np.maximum(values, 0) + penalty * len(features) / 100))
                score = _mean_win(choosing.wins, best_of_n(weights, choosing.features[kind]))
                if score > best[0]:
                    best = (score, best_of_n(weights, held_out[kind]))
    return best


def _mean_win(wins: Float64[np.ndarray, "batch n_candidates"], chosen: Int64[np.ndarray, " batch"]) -> float:
    return float(np.mean(wins[np.arange(len(chosen)), chosen]))
