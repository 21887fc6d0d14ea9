"""Sampled utilities scored in runs: against the simulator itself, in the logs' shadow, and in the report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym.metrics import binary_entropy
from duelgym.rounds import read_queries
from duelgym_bench.common import CommonLearner
from duelgym_bench.plan import Plan, Task
from duelgym_bench.plan_directory import load_plan, save_plan
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.scores import score_run
from duelgym_bench.task import run_task
from duelgym_bench.uncertainty import N_SAMPLES, HeldOutDuels, accuracy

AGENTS = """
import numpy as np


class Plain:
    def __init__(self, *, candidate_dim, seed, **rest):
        self.weights, self.rng = np.zeros(candidate_dim), np.random.default_rng(seed)

    def select_pairs(self, contexts):
        return np.argsort(self.rng.random(contexts.candidates.shape[:2]), axis=1)[:, :2]

    def observe(self, contexts, pairs, preferences):
        first, second = (contexts.candidates[np.arange(len(pairs)), side] for side in pairs.T)
        self.weights += (1 - 2.0 * preferences) @ (first - second)

    def recommend(self, contexts):
        return np.argmax(contexts.candidates @ self.weights, axis=1)


class Sampling(Plain):
    def sample_utilities(self, contexts, n_samples, rng):
        self.weights += 1  # must not matter: it is asked of a copy
        self.rng.random(3)
        return rng.standard_normal((n_samples, *contexts.candidates.shape[:2]))


class Wrong(Plain):
    def sample_utilities(self, contexts, n_samples, rng):
        return np.zeros((n_samples, len(contexts)))


class Endless(Plain):
    def sample_utilities(self, contexts, n_samples, rng):
        return np.full((n_samples, *contexts.candidates.shape[:2]), np.inf)
"""
LEARNERS = "ee2024-passive", "passive-ensemble"
KWARGS = {"dimension": 4, "n_candidates": 6, "utility": "linear"}


def plan_of(*agents, **changes):
    fields = {"queries": 64, "seeds": 1, "batch": 8, "command": "", "title": ""}
    return Plan(**{"env": "SyntheticDuel-v0", "env_kwargs": KWARGS, "agents": agents, **fields, **changes})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents")
    (folder / "sampling_agents.py").write_text(AGENTS)
    return folder


@pytest.fixture(autouse=True)
def importable(home, monkeypatch):
    monkeypatch.syspath_prepend(home)


def run(plan: Plan, out: Path) -> None:
    save_plan(plan, out)
    for task in plan.tasks():
        run_task(plan, task, out, CommonLearner("response", 1.0, ""), lambda _: None)


def folder_of(out: Path, agent: str) -> RunDirectory:
    return RunDirectory(out / "runs" / Task(agent, 0).name)


def reported(out: Path, agent: str) -> list[dict]:
    return [json.loads(line) for line in folder_of(out, agent).timings.read_text().splitlines()]


def duels_of(plan: Plan, seed_index: int = 0, draw: int = 0):
    session = plan.session(seed_index)
    held_out, generator = session.assessment(), session.problem.generator
    return held_out, HeldOutDuels.drawn(held_out, generator, np.random.default_rng(draw), texts=False)


class Knowing:
    """Looks the true utilities up, and is as sure of them as ``temperature`` is low; keeps what it was shown."""

    def __init__(self, held_out, contexts: Contexts, temperature: float):
        self.utilities = {
            candidate.tobytes(): utility / temperature
            for candidate, utility in zip(
                contexts.candidates.reshape(-1, contexts.candidates.shape[2]), held_out.utilities.ravel(), strict=True
            )
        }

    def sample_utilities(self, contexts, n_samples, rng):
        shown = [[self.utilities[candidate.tobytes()] for candidate in row] for row in contexts.candidates]
        return np.tile(np.array(shown), (n_samples, 1, 1))


def knowing(plan, temperature=1.0):
    session = plan.session(0)
    held_out = session.assessment()
    return Knowing(held_out, session.problem.generator.contexts(held_out.questions), temperature)


def test_whoever_knows_the_rater_scores_nothing_and_too_sure_a_one_more():
    plan = plan_of()
    _, duels = duels_of(plan)
    exact = duels.scores(knowing(plan), np.random.default_rng(0))["excess_nll"]
    sure = duels.scores(knowing(plan, 0.5), np.random.default_rng(0))["excess_nll"]
    assert exact == {"marginal": pytest.approx(0, abs=1e-9), "dyadic": pytest.approx(0, abs=1e-9)}
    assert sure["marginal"] > 0.01 and sure["dyadic"] > 0.1


def test_saying_half_lacks_the_bits_that_the_labels_carry():
    class Coin:
        def sample_utilities(self, contexts, n_samples, rng):
            return np.zeros((n_samples, *contexts.candidates.shape[:2]), dtype=np.float32)

    _, duels = duels_of(plan_of())
    lacking = np.log(2) * (1 - binary_entropy(duels.probabilities.ravel()))
    both = duels.groups["dyadic"]
    assert duels.scores(Coin(), np.random.default_rng(0))["excess_nll"] == {
        "marginal": pytest.approx(lacking.mean()),
        "dyadic": pytest.approx(np.mean(np.sum(both.labels * lacking[both.anchors], axis=1))),
    }


def test_accuracy_by_hand():
    # Right, wrong, equal (half), and a pair without an order, which does not count.
    assert accuracy(np.array([2.0, 0.1, 0.0, 5.0]), np.array([0.6, 0.4, 0.9, 0.5])) == pytest.approx(1.5 / 3)
    assert accuracy(np.array([1.0]), np.array([0.5])) == 0.5


def test_whoever_knows_the_rater_is_always_right_and_whoever_knows_nothing_half_the_time():
    class Coin:
        def sample_utilities(self, contexts, n_samples, rng):
            return np.zeros((n_samples, *contexts.candidates.shape[:2]), dtype=np.float32)

    class Contrary(Knowing):
        def sample_utilities(self, contexts, n_samples, rng):
            return -super().sample_utilities(contexts, n_samples, rng)

    plan = plan_of()
    held_out, duels = duels_of(plan)
    contexts = plan.session(0).problem.generator.contexts(held_out.questions)
    for agent, right in ((knowing(plan), 1.0), (Coin(), 0.5), (Contrary(held_out, contexts, 1.0), 0.0)):
        assert duels.scores(agent, np.random.default_rng(0))["accuracy"] == {"random": right, "best": right}


def test_the_mean_of_all_samples_decides_what_is_right():
    class Divided(Knowing):
        def sample_utilities(self, contexts, n_samples, rng):
            shares = np.where(np.arange(n_samples) < 0.4 * n_samples, -1, 1)  # the first ones are all wrong
            return shares[:, None, None] * super().sample_utilities(contexts, n_samples, rng)

    plan = plan_of()
    held_out, duels = duels_of(plan)
    contexts = plan.session(0).problem.generator.contexts(held_out.questions)
    told = duels.scores(Divided(held_out, contexts, 1.0), np.random.default_rng(0))["accuracy"]
    assert told == {"random": 1.0, "best": 1.0}


def test_the_best_meets_others_only():
    held_out, duels = duels_of(plan_of())
    assert duels.best_pairs.shape == duels.pairs.shape
    assert np.array_equal(duels.best_pairs[:, :, 0], np.tile(held_out.winners()[::3, None], (1, 3)))
    assert (duels.best_pairs[:, :, 1] != duels.best_pairs[:, :, 0]).all()
    assert (duels.best_probabilities > 0.5).all()
    assert all(len(set(row)) == 3 for row in duels.best_pairs[:, :, 1].tolist())
    assert np.bincount(duels.best_pairs[:, :, 1].ravel(), minlength=6).min() > 0.1 * duels.best_pairs[:, :, 1].size


def test_random_pairs_of_every_third_question():
    plan = plan_of()
    held_out, duels = duels_of(plan)
    _, again = duels_of(plan)
    _, other = duels_of(plan, draw=1)
    assert np.array_equal(duels.pairs, again.pairs) and not np.array_equal(duels.pairs, other.pairs)
    # 256 questions of 6 candidates, which give 3 duels each: a third of the questions is enough for 256 duels.
    assert duels.pairs.shape == (86, 3, 2) and np.array_equal(
        np.sort(duels.pairs.reshape(86, 6)), np.tile(range(6), (86, 1))
    )
    every = plan.session(0).problem.generator.contexts(held_out.questions)
    assert np.array_equal(duels.contexts.prompts, every.prompts[::3])
    assert np.array_equal(duels.contexts.candidates, every.candidates[::3])
    part = held_out.questions.rows(slice(None, None, 3))
    judged = plan.session(0).judged(part)
    for k in range(3):
        assert np.array_equal(duels.probabilities[:, k], judged.probability(*duels.pairs[:, k].T))
    assert np.bincount(duels.pairs[:, 0].ravel(), minlength=6).min() > 0.1 * duels.pairs[:, 0].size
    assert duels.groups["dyadic"].anchors.shape == (129, 2)


def test_where_nothing_can_be_compared_or_scored_there_are_no_duels():
    class Unscored:
        has_judgement = False

    _, alone = duels_of(plan_of(env_kwargs=KWARGS | {"n_candidates": 1}))
    held_out, duels = duels_of(plan_of())
    unscored = dataclasses.replace(held_out, simulator=Unscored())
    generator = plan_of().session(0).problem.generator
    assert duels is not None and alone is None
    assert HeldOutDuels.drawn(unscored, generator, np.random.default_rng(0), texts=False) is None


def test_being_scored_changes_no_query_and_no_recommendation(tmp_path):
    plain, sampling = "sampling_agents:Plain", "sampling_agents:Sampling"
    plan = plan_of(plain, sampling)
    run(plan, tmp_path)
    logs = [read_queries(folder_of(tmp_path, agent).queries) for agent in (plain, sampling)]
    assert np.array_equal(logs[0].pairs, logs[1].pairs)
    recommended = [folder_of(tmp_path, agent).recommendations.read_bytes() for agent in (plain, sampling)]
    assert recommended[0] == recommended[1]
    assert all("excess_nll" not in line for line in reported(tmp_path, plain))
    lines = reported(tmp_path, sampling)
    assert [line["t"] for line in lines] == list(plan.checkpoints())
    # Noise, the same at no two checkpoints, on the same duels.
    assert len({line["excess_nll"]["marginal"] for line in lines}) == len(lines)
    assert np.ptp([line["excess_nll"]["marginal"] for line in lines]) < 0.1 < lines[0]["excess_nll"]["marginal"]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Wrong", rf"sample_utilities\(\) refused: floats of shape \({N_SAMPLES}, 86, 6\) are needed, not float64 of"),
        ("Endless", "the sampled utilities are not all finite"),
    ],
)
def test_samples_that_are_none_are_refused_with_the_agents_name(tmp_path, agent, words):
    with pytest.raises(SpecificationError, match=words) as caught:
        run(plan_of(f"sampling_agents:{agent}"), tmp_path)
    assert f"'sampling_agents:{agent}' on seed index 0" in str(caught.value)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """The ensemble and the point model, 640 labels of uniform pairs."""
    out = tmp_path_factory.mktemp("runs") / "learnt"
    run(plan_of(*LEARNERS, queries=640, batch=32), out)
    return out


def scored(out: Path, agent: str):
    return score_run(load_plan(out), out, Task(agent, 0))


def test_labels_lower_the_excess_and_an_ensemble_knows_what_it_does_not_know(learnt):
    """Learns: a linear utility is known better after 640 labels; jointly the ensemble beats the point it is made of."""
    point, ensemble = (scored(learnt, agent).excess_nll for agent in LEARNERS)
    for curves in (point, ensemble):
        assert curves["marginal"][-1] < 0.2 * curves["marginal"][0]
        assert curves["dyadic"][-1] < 0.2 * curves["dyadic"][0]
    lines = reported(learnt, LEARNERS[0])
    assert point["dyadic"].tolist() == [line["excess_nll"]["dyadic"] for line in lines]
    assert point["dyadic"] / point["marginal"] == pytest.approx(10, rel=0.15)  # a point's joint is its marginals' sum
    assert (ensemble["dyadic"][:5] < 0.7 * point["dyadic"][:5]).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.pop("excess_nll"),
        lambda line: line["excess_nll"].pop("dyadic"),
        lambda line: line["excess_nll"].update(dyadic=float("nan")),
        lambda line: line.update(excess_nll="much"),
        lambda line: line.update(t=-1),
    ],
    ids=["of an earlier version", "half", "not finite", "no numbers", "a checkpoint missing"],
)
def test_what_a_run_does_not_report_is_not_shown(learnt, change):
    timings = folder_of(learnt, "passive-ensemble").timings
    before = timings.read_text()
    lines = [json.loads(text) for text in before.splitlines()]
    change(lines[2])
    timings.write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        run_scores = scored(learnt, "passive-ensemble")
    finally:
        timings.write_text(before)
    assert run_scores.excess_nll == {} and run_scores.seconds["learn"] > 0
