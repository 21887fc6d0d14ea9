"""Numbers as long tables, for pictures and tests of one's own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import numpy as np

from duelgym_bench.curves import Summary
from duelgym_bench.curves_summary import reference_wins
from duelgym_bench.scored import Results, RunScores
from duelgym_bench.statistics import Interval


def curves_csv(summary: Summary) -> str:
    """Return a long table: one line for each agent (or reference), quantity and checkpoint (none for areas and fits)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["agent", "quantity", "checkpoint", "mean", "low", "high", "seeds", "prompts"])
    for name, quantity, interval in _curves(summary):
        for k, checkpoint in enumerate(summary.checkpoints):
            at = interval[k] if interval.value.ndim else interval
            numbers = (repr(float(x)) for x in (at.value, at.low, at.high))
            writer.writerow([name, quantity, int(checkpoint), *numbers, summary.n_seeds, summary.n_prompts])
    for name, quantity, of in _scalars(summary):
        numbers = (repr(float(x)) for x in (of.value, of.low, of.high))
        writer.writerow([name, quantity, "", *numbers, summary.n_seeds, summary.n_prompts])
    return text.getvalue()


def seeds_csv(results: Results) -> str:
    """Return a long table: one line for each agent (or reference), quantity, seed and checkpoint (none for references).

    Win rates and simple regret are means over the seed's assessment prompts; seeds of one ``prompts`` have them in common.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["agent", "quantity", "checkpoint", "seed", "prompts", "value"])
    for run in results.runs:
        for quantity, values in _of_run(run):
            for checkpoint, value in zip(run.checkpoints.tolist(), values.tolist(), strict=True):
                writer.writerow([run.agent, quantity, checkpoint, run.seed_index, run.prompt_group, repr(value)])
    groups = {run.seed_index: run.prompt_group for run in results.runs}
    for name, wins in reference_wins(results.references).items():
        for seed, group in sorted(groups.items()):
            writer.writerow([name, "win", "", seed, group, repr(float(wins[seed].mean()))])
    return text.getvalue()


def _of_run(run: RunScores) -> Iterator[tuple[str, np.ndarray]]:
    over_prompts = {
        "win": run.win,
        "win_reference": run.win_reference,
        "common": run.common,
        "simple_regret": run.simple_regret,
    }
    for quantity, values in over_prompts.items():
        if values is not None:
            yield quantity, values.mean(axis=1)
    for quantity, kinds in (("regret", run.regret), ("accuracy", run.accuracy), ("excess_nll", run.excess_nll)):
        for kind, of in kinds.items():
            yield f"{kind}_{quantity}", of


def _scalars(summary: Summary) -> Iterator[tuple[str, str, Interval]]:
    for agent in summary.agents:
        yield agent.agent, "area", agent.area
        yield agent.agent, "area_iqm", agent.area_iqm
        for share, cost in agent.queries_to.items():
            yield agent.agent, f"queries_to_{share}", cost
        if agent.fit is not None:
            yield agent.agent, "fit_a", agent.fit.a
            yield agent.agent, "fit_b", agent.fit.b
        for k, threshold in enumerate(summary.thresholds):
            yield agent.agent, f"profile_above_{threshold:.4f}", agent.profile[k]
    for reference in summary.references:
        yield reference.name, "area", reference.area
    for difference in summary.differences:
        yield f"{difference.agent} - {difference.against}", "area_difference", difference.area
        yield f"{difference.agent} - {difference.against}", "probability_of_improvement", difference.improvement


def _curves(summary: Summary) -> Iterator[tuple[str, str, Interval]]:
    for agent in summary.agents:
        yield agent.agent, "win", agent.win
        if agent.win_reference is not None:
            yield agent.agent, "win_reference", agent.win_reference
        if agent.common is not None:
            yield agent.agent, "common", agent.common
        yield agent.agent, "simple_regret", agent.simple_regret
        for kind, regret in agent.regret.items():
            yield agent.agent, f"{kind}_regret", regret
        for kind, label in agent.labels.items():
            yield agent.agent, f"{kind}_per_label", label
        for kind, accuracy in agent.accuracy.items():
            yield agent.agent, f"{kind}_accuracy", accuracy
        for kind, excess in agent.excess_nll.items():
            yield agent.agent, f"{kind}_excess_nll", excess
    for reference in summary.references:
        yield reference.name, "win", reference.win
        if reference.win_reference is not None:
            yield reference.name, "win_reference", reference.win_reference
    for difference in summary.differences:
        yield f"{difference.agent} - {difference.against}", "win_difference", difference.win
