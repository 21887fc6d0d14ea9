"""Fitting the common learner to a log, and choosing its features and regulariser on prompts that reports never assess.

Those are a pool's ``tune`` prompts, halves of its learning prompts where it keeps none, or questions drawn afresh. Where every
prompt is for a report to use, as where a language model answers live or a pool is asked about with ``split="all"``,
nothing is chosen, and the learner is :data:`UNTUNED`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int8

from duelgym.envs.problems import build_problem
from duelgym.envs.registration import IDS
from duelgym.envs.session import DuelSession
from duelgym.errors import LogError
from duelgym.generators import GaussianFeatures, PoolReplay
from duelgym.rounds import MemberLog, read_queries
from duelgym_agents.reward_models.feature_map import FeatureMap
from duelgym_bench.files import write_atomically
from duelgym_bench.learner import REGULARIZERS, best_of_n, fit_logistic
from duelgym_bench.plan import Plan, derived_seed, tuning_arguments
from duelgym_bench.run_directory import RunDirectory, recommendation_header, recommendation_line

SETTINGS = "common_learner.json"
TUNING_SEEDS = 3


@dataclass(frozen=True)
class CommonLearner:
    """The one learner of a set of runs.

    Attributes:
        features: which ones, as in :class:`~duelgym_agents.reward_models.feature_map.FeatureMap`.
        regularizer: as in :func:`~duelgym_bench.learner.fit_logistic`.
        chosen_by: how both were chosen, in words.
    """

    features: str
    regularizer: float
    chosen_by: str

    @classmethod
    def load(cls, out: Path) -> CommonLearner | None:
        """Return what was chosen for a set of runs, or None."""
        path = out / SETTINGS
        try:
            return cls(**json.loads(path.read_text())) if path.exists() else None
        except (ValueError, TypeError) as error:
            raise LogError(f"{path} cannot be read ({error}); it was not written by this version") from None


UNTUNED = CommonLearner("fourier", 1.0, "nothing: these runs leave no prompts to choose it on")
"""The learner where none can be chosen: what the ``ee2024`` suite's tuning prompts chose."""


def tuning_session(plan: Plan, index: int) -> DuelSession:
    """Return an episode for tuning, on prompts that reports never assess and a seed that they never use."""
    problem = build_problem(IDS[plan.env], tuning_arguments(plan.env, plan.env_kwargs))
    seed = replace(plan, tuning=True).env_seed(index)
    return DuelSession.seeded(problem, budget=plan.queries, seed=seed)


def tune_common_learner(plan: Plan, out: Path) -> CommonLearner:
    """Choose features and regulariser by the win rate that passive labels give, and write the choice down.

    Labels: uniform pairs, at a fifth of the budget and at the whole (at most 1 280), on three tuning seeds. Without prompts
    to choose on it is :data:`UNTUNED`.
    """
    learner = _chosen(plan) if _has_prompts_apart(plan) else UNTUNED
    write_atomically(out / SETTINGS, json.dumps(learner.__dict__, indent=1) + "\n")
    return learner


def _has_prompts_apart(plan: Plan) -> bool:
    """Return whether there are questions for tuning on prompts that reports of a plan do not assess."""
    generator, split = plan.problem(0).generator, plan.env_kwargs.get("split", "learn")
    if isinstance(generator, PoolReplay):
        return split == "learn" or (split == "within_learn" and generator.has_tune)
    return isinstance(generator, GaussianFeatures)


def _chosen(plan: Plan) -> CommonLearner:
    sizes = sorted({max(plan.batch, min(plan.queries // 5, 640)), min(plan.queries, 1280)})
    scores: dict[tuple[str, float], list[float]] = {}
    for index in range(TUNING_SEEDS):
        session = tuning_session(plan, index)
        generator = session.problem.generator
        rng = np.random.default_rng(derived_seed("tune-pairs", index))
        asked, held_out = session.ask(sizes[-1]), session.assessment()
        n = generator.n_candidates
        keys = rng.random((sizes[-1], n))
        pairs = np.argsort(keys, axis=1)[:, :2] if n > 1 else np.zeros((sizes[-1], 2), dtype=np.int64)
        preferences, _ = session.answer(asked, pairs)
        wins = held_out.win_rates()
        contexts = generator.contexts(asked.questions.only(pairs))
        assessed = generator.contexts(held_out.questions)
        for kind in ("interaction", "fourier"):
            features = FeatureMap.measured(assessed, kind)
            chosen, candidates = features(contexts), features(assessed)
            differences = chosen[:, 0] - chosen[:, 1]
            for regularizer in REGULARIZERS:
                for size in sizes:
                    weights = fit_logistic(differences[:size], preferences[:size], regularizer)
                    best = best_of_n(weights, candidates)
                    scores.setdefault((kind, regularizer), []).append(float(np.mean(wins[np.arange(len(best)), best])))
    kind, regularizer = max(scores, key=lambda key: float(np.mean(scores[key])))
    return CommonLearner(kind, regularizer, f"win rate of passive labels ({sizes}) on {TUNING_SEEDS} tuning seeds")


def write_common_curve(plan: Plan, seed_index: int, directory: RunDirectory, learner: CommonLearner) -> None:
    """Fit the common learner to the first q logged labels of a run, for every checkpoint q, and log what it recommends."""
    session = plan.session(seed_index)
    generator = session.problem.generator
    held_out = session.assessment().questions
    assessed = generator.contexts(held_out)
    features = FeatureMap.measured(assessed, learner.features)
    log = read_queries(directory.queries)
    blocks: list[Float32[np.ndarray, "duels features"]] = []
    for start in range(0, len(log), plan.batch):
        questions = session.ask(plan.batch).questions
        both = features(generator.contexts(questions.only(log.pairs[start : start + plan.batch])))
        blocks.append(both[:, 0] - both[:, 1])
    differences = np.concatenate(blocks)
    preferences: Int8[np.ndarray, " duels"] = log.preferences
    candidates = features(assessed)
    directory.common.unlink(missing_ok=True)
    weights = np.zeros(candidates.shape[2])
    with MemberLog(directory.common) as out:
        out.write(recommendation_header(held_out.prompt_ids.tolist()))
        for t in plan.checkpoints():
            if t > 0:
                weights = fit_logistic(differences[:t], preferences[:t], learner.regularizer, weights)
            best = best_of_n(weights, candidates)
            ids = np.take_along_axis(held_out.candidate_ids, best[:, None], axis=1)[:, 0]
            out.write(recommendation_line(t, ids.tolist()))
