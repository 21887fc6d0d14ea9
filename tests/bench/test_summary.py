"""Summaries of simulated results: numbers by hand, comparisons, pictures' curves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from simulated_results import AGENTS, CHECKPOINTS, simulated

from duelgym.errors import DuelgymError
from duelgym_bench.curves_summary import summarise
from duelgym_bench.pictures import picture
from duelgym_bench.report import table_text
from duelgym_bench.statistics import area_weights


def test_summary_by_hand():
    """Row 0 of the resamples is the data: values must equal plain means."""
    results = simulated()
    summary = summarise(results, n_resamples=50)
    by_name = {agent.agent: agent for agent in summary.agents}
    own = [run for run in results.runs if run.agent == "thompson"]
    other = [run for run in results.runs if run.agent == "passive-ensemble"]
    mean, against = (np.mean([run.win.mean(axis=1) for run in runs], axis=0) for runs in (own, other))
    thompson = by_name["thompson"]
    np.testing.assert_allclose(thompson.win.value, mean)
    np.testing.assert_allclose(thompson.win_reference.value, 0.8 * mean)
    np.testing.assert_allclose(thompson.common.value, 0.9 * mean)
    np.testing.assert_allclose(thompson.simple_regret.value, 1 - mean)
    np.testing.assert_allclose(thompson.regret["weak"].value, 0.8 * own[0].regret["average"])
    np.testing.assert_allclose(thompson.labels["gap"].value, [np.nan, *[0.2] * 6])
    np.testing.assert_allclose(thompson.accuracy["best"].value, own[0].accuracy["best"])
    assert float(thompson.accuracy_mean["random"].value) == pytest.approx(
        area_weights(CHECKPOINTS) @ own[0].accuracy["random"]
    )
    assert thompson.seconds_per_1000["learn"] == pytest.approx(5.4 / 6.4)
    assert (np.diff(mean) > 0).all()  # so that its isotonic fit is the curve itself
    log_labels = np.log([16, *CHECKPOINTS[1:]])
    for share, level in (("25%", 0.5 + 0.25 * 0.45), ("50%", 0.5 + 0.5 * 0.45)):
        labels = np.exp(np.interp(level, mean, log_labels)) if level <= mean[-1] else np.inf
        assert float(thompson.queries_to[share].value) == pytest.approx(labels)
    difference = next(d for d in summary.differences if d.agent == "thompson" and d.reward_model == "ensemble")
    assert difference.against == "passive-ensemble"
    np.testing.assert_allclose(difference.win.value, mean - against)
    longest = next(reference for reference in summary.references if reference.name == "longest answer")
    assert float(longest.area.value) == pytest.approx(0.18 / 0.45)
    assert (summary.n_seeds, summary.n_prompts, summary.budget) == (4, 60, 6400)


def test_comparisons_hold_the_reward_model_fixed_where_they_can():
    pairs = {(d.agent, d.against, d.reward_model) for d in summarise(simulated(), n_resamples=20).differences}
    assert pairs == {
        ("boltzmann", "passive", "point"),
        ("thompson", "passive-ensemble", "ensemble"),
        ("thompson", "passive", None),
        ("passive-ensemble", "passive", None),
        ("my.agent:build", "passive", None),
        ("passive@1", "passive", None),
    }


def test_others_can_be_subtracted_too_whatever_their_reward_models():
    plain = summarise(simulated(), n_resamples=20)
    summary = summarise(simulated(), against=["thompson", "passive"], n_resamples=20)
    more = [d for d in summary.differences if d.against == "thompson"]
    assert [d.agent for d in more] == [agent for agent in AGENTS if agent not in ("thompson", "passive@1")]
    before = [(d.agent, d.against, d.area.value) for d in plain.differences]
    assert [(d.agent, d.against, d.area.value) for d in summary.differences if d.against != "thompson"] == before
    win = {agent.agent: agent.win for agent in summary.agents}
    for each in more:
        assert each.win.value == pytest.approx(win[each.agent].value - win["thompson"].value)
    assert "agent minus thompson, whatever the reward model" in table_text(simulated(), summary)
    with pytest.raises(DuelgymError, match="'nobody' is not among the agents; there are runs of passive, "):
        summarise(simulated(), against=["nobody"], n_resamples=20)


def test_a_replica_is_checked_and_kept_out_of_the_pictures():
    results = simulated()
    summary = summarise(results, n_resamples=200)
    assert summary.check is not None
    assert f"check {summary.check.verdict}" in table_text(results)
    shown = picture("curves", results, summary)
    assert shown is not None
    assert list(shown.curves) == [agent for agent in AGENTS if agent != "passive@1"]
    without = dataclasses.replace(results, runs=tuple(run for run in results.runs if run.agent != "passive@1"))
    assert summarise(without, n_resamples=20).check is None


def test_every_picture_carries_the_references():
    results = simulated()
    summary = summarise(results, n_resamples=20)
    for name in ("curves", "common_learner"):
        assert picture(name, results, summary).references == {
            "oracle": pytest.approx(0.95),
            "supervised reference": pytest.approx(0.75),
            "uniform": pytest.approx(0.5),
            "longest answer": pytest.approx(0.68),
        }
    assert 0.0 in picture("regret", results, summary).references.values()


def test_any_agent_can_be_the_baseline():
    results = simulated()
    passive, other = (
        summarise(dataclasses.replace(results, baseline=name), n_resamples=50) for name in ("passive", "thompson")
    )
    assert set(passive.ratios) - set(other.ratios) == {"thompson"}
    assert set(other.ratios) - set(passive.ratios) == {"passive"}
    assert float(other.levels["final"].value) == float(
        next(agent for agent in other.agents if agent.agent == "thompson").win.value[-1]
    )
    assert other.check is None and ("passive", "thompson") in {(each.agent, each.against) for each in other.differences}


def test_profile_and_power_law_by_hand():
    results = simulated()
    summary = summarise(results, n_resamples=20)
    profile, law = (picture(name, results, summary) for name in ("profile", "power_law"))
    thompson = next(agent for agent in summary.agents if agent.agent == "thompson")
    above = [(thompson.areas > threshold).mean() for threshold in profile.axis.places]
    np.testing.assert_allclose(profile.curves["thompson"].value, above)
    assert max(value for agent in summary.agents for value in agent.areas) == profile.axis.places[-1]
    assert law.axis.measured_to == 6400 and law.axis.places[[0, -1]] == pytest.approx([32, 64_000])
    at = law.curves["thompson"].value[[0, -1]]
    np.testing.assert_allclose(at, 1 - 0.5 * (law.axis.places[[0, -1]] / thompson.fit.a.value) ** -thompson.fit.b.value)
    np.testing.assert_allclose(law.points["thompson"], [CHECKPOINTS[1:], thompson.win.value[1:]])
    one_seed = dataclasses.replace(results, runs=tuple(run for run in results.runs if run.seed_index == 0))
    assert picture("profile", one_seed, summarise(one_seed, n_resamples=20)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: dataclasses.replace(r, baseline="missing"), "'missing' is not among the agents"),
        (lambda r: dataclasses.replace(r, runs=()), "there are no runs"),
        (lambda r: dataclasses.replace(r, runs=r.runs[:-1]), "finish the missing runs"),
        (
            lambda r: dataclasses.replace(r, runs=(*r.runs[:-1], dataclasses.replace(r.runs[-1], prompt_group="x"))),
            "different prompts",
        ),
    ],
)
def test_runs_that_do_not_fit_together_are_refused(change, message: str):
    with pytest.raises(DuelgymError, match=message):
        summarise(change(simulated()))
