"""Numbers as long tables, for pictures and tests of one's own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from duelgym_bench.curves import Summary
from duelgym_bench.curves_summary import reference_wins
from duelgym_bench.scored import Results, RunScores
from duelgym_bench.statistics import Interval

Measured = TypeVar("Measured")


def curves_csv(summary: Summary) -> str:
    """Return a long table: one line for each agent (or reference), quantity and checkpoint (none for areas and fits)."""
    rows: list[Sequence[object]] = [
        ("agent", "quantity", "checkpoint", "mean", "low", "high", "seeds", "prompts"),
    ]
    for name, quantity, interval in _curves(summary):
        for k, checkpoint in enumerate(summary.checkpoints.tolist()):
            at = interval[k] if interval.value.ndim else interval
            rows.append((name, quantity, checkpoint, *_numbers(at), summary.n_seeds, summary.n_prompts))
    for name, quantity, of in _scalars(summary):
        rows.append((name, quantity, "", *_numbers(of), summary.n_seeds, summary.n_prompts))
    return _written(rows)


def seeds_csv(results: Results) -> str:
    """Return a long table: one line for each agent (or reference), quantity, seed and checkpoint (none for references).

    Win rates and simple regret are means over the seed's assessment prompts; seeds of one ``prompts`` have them in common.
    """
    rows: list[Sequence[object]] = [("agent", "quantity", "checkpoint", "seed", "prompts", "value")]
    for run in results.runs:
        for quantity, values in _of_run(run):
            for checkpoint, value in zip(run.checkpoints.tolist(), values.tolist(), strict=True):
                rows.append((run.agent, quantity, checkpoint, run.seed_index, run.prompt_group, value))
    groups = {run.seed_index: run.prompt_group for run in results.runs}
    for name, wins in reference_wins(results.references).items():
        for seed, group in sorted(groups.items()):
            rows.append((name, "win", "", seed, group, float(wins[seed].mean())))
    return _written(rows)


def _written(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _numbers(of: Interval) -> tuple[float, float, float]:
    return float(of.value), float(of.low), float(of.high)


def _named(
    plain: Mapping[str, Measured | None], by_kind: Mapping[str, Mapping[str, Measured]]
) -> Iterator[tuple[str, Measured]]:
    """Yield what there is under the names of these tables: ``win``, ``average_regret``."""
    for quantity, values in plain.items():
        if values is not None:
            yield quantity, values
    for quantity, kinds in by_kind.items():
        for kind, values in kinds.items():
            yield f"{kind}_{quantity}", values


def _of_run(run: RunScores) -> Iterator[tuple[str, np.ndarray]]:
    over_prompts = {
        "win": run.win,
        "win_reference": run.win_reference,
        "common": run.common,
        "simple_regret": run.simple_regret,
    }
    means = {quantity: None if values is None else values.mean(axis=1) for quantity, values in over_prompts.items()}
    yield from _named(means, {"regret": run.regret, "accuracy": run.accuracy, "excess_nll": run.excess_nll})


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
        plain = {
            "win": agent.win,
            "win_reference": agent.win_reference,
            "common": agent.common,
            "simple_regret": agent.simple_regret,
        }
        by_kind = {
            "regret": agent.regret,
            "per_label": agent.labels,
            "accuracy": agent.accuracy,
            "excess_nll": agent.excess_nll,
        }
        for quantity, interval in _named(plain, by_kind):
            yield agent.agent, quantity, interval
    for reference in summary.references:
        for quantity, interval in _named({"win": reference.win, "win_reference": reference.win_reference}, {}):
            yield reference.name, quantity, interval
    for difference in summary.differences:
        yield f"{difference.agent} - {difference.against}", "win_difference", difference.win
