"""What each picture of a report shows: curves over the number of labels or over areas, and the levels that stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from jaxtyping import Float64, Int64

from duelgym_bench.curves import ORACLE, AgentSummary, Summary, is_replica
from duelgym_bench.statistics import AREA_START, Interval
from duelgym_bench.table import decimals

if TYPE_CHECKING:
    from duelgym_bench.scored import Results

PictureName = Literal["curves", "common_learner", "regret", "profile", "power_law"]
PICTURES: tuple[PictureName, ...] = get_args(PictureName)
_LABELS = "labels (log scale)"


@dataclass(frozen=True)
class Axis:
    """The horizontal axis of a picture.

    Attributes:
        label: what it measures.
        places: where the points of all curves stand, rising.
        names: what each place is called where it is read out.
        logarithmic: whether it is.
        zero: whether the first place stands for no label at all, which a logarithm has no place for.
        measured_to: beyond here curves are a guess; None where they are not.
        steps: whether curves keep a value until the next place.
    """

    label: str
    places: Float64[np.ndarray, " places"]
    names: tuple[str, ...]
    logarithmic: bool = True
    zero: bool = False
    measured_to: float | None = None
    steps: bool = False


@dataclass(frozen=True)
class Picture:
    """What one picture shows.

    Attributes:
        heading: its title, after the environment's.
        axis: the horizontal axis.
        ylabel: what the vertical axis measures, with its unit.
        curves: agent -> curve over the axis' places.
        says: agent -> what is written after its name.
        references: name -> value, drawn as level lines.
        points: agent -> (places, values), drawn as dots beside the curve.
    """

    heading: str
    axis: Axis
    ylabel: str
    curves: Mapping[str, Interval]
    says: Mapping[str, str]
    references: Mapping[str, float] = field(default_factory=dict)
    points: Mapping[str, tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]] = field(
        default_factory=dict
    )


def picture(name: PictureName, results: Results, summary: Summary) -> Picture | None:
    """Return what the picture of that name shows; None where there is nothing to show."""
    agents = [agent for agent in summary.agents if not is_replica(agent.agent, results.baseline)]
    shown = {
        "curves": _curves,
        "common_learner": _common_learner,
        "regret": _regret,
        "profile": _profile,
        "power_law": _power_law,
    }[name](agents, results, summary)
    return shown if shown.curves else None


def _curves(agents: list[AgentSummary], results: Results, summary: Summary) -> Picture:
    return over_labels(
        "win rate by number of labels",
        "win rate against a random other response",
        {agent.agent: agent.win for agent in agents},
        summary.checkpoints,
        _levels(summary),
    )


def _common_learner(agents: list[AgentSummary], results: Results, summary: Summary) -> Picture:
    return over_labels(
        "win rate of a common learner on each agent's labels",
        "win rate of the common learner",
        {agent.agent: agent.common for agent in agents if agent.common is not None},
        summary.checkpoints,
        _levels(summary),
    )


def _regret(agents: list[AgentSummary], results: Results, summary: Summary) -> Picture:
    asked = np.maximum(summary.checkpoints, 1)
    curves = {
        agent.agent: Interval(*(of / asked for of in (average.value, average.low, average.high)))
        for agent in agents
        if summary.budget and (average := agent.regret.get("average")) is not None
    }
    return over_labels(
        "average regret per label, over the labels so far",
        "average regret per label (win probability)",
        curves,
        summary.checkpoints,
        dict(results.references.regrets) or {ORACLE: 0.0},
        from_zero=False,
    )


def _profile(agents: list[AgentSummary], results: Results, summary: Summary) -> Picture:
    several = agents if summary.n_seeds > 1 else []
    return profile(
        {agent.agent: agent.profile for agent in several},
        {agent.agent: decimals(float(agent.area_iqm.value)) for agent in several},
        summary.thresholds,
    )


def _power_law(agents: list[AgentSummary], results: Results, summary: Summary) -> Picture:
    counts = summary.checkpoints[summary.checkpoints > 0].astype(float)
    places = np.geomspace(min(AREA_START, summary.budget or 1), 10 * max(summary.budget, 1), 41)
    fits = {agent.agent: fit for agent in agents if (fit := agent.fit) is not None}
    return Picture(
        "power law fitted; beyond the last label a guess",
        Axis(_LABELS, places, tuple(map(_count, places.round().astype(int).tolist())), measured_to=summary.budget),
        "win rate against a random other response",
        {name: Interval(*(fit(places) for _ in range(3))) for name, fit in fits.items()},
        {name: f"b = {decimals(float(fit.b.value))}" for name, fit in fits.items()},
        _levels(summary),
        points={agent.agent: (counts, agent.win.value[-len(counts) :]) for agent in agents if agent.agent in fits},
    )


def profile(
    curves: Mapping[str, Interval], says: Mapping[str, str], thresholds: Float64[np.ndarray, " thresholds"]
) -> Picture:
    """Return the picture of performance profiles.

    Args:
        curves: agent -> share of its runs whose area is above each threshold.
        says: agent -> what is written after its name.
        thresholds: the areas.
    """
    names = tuple(f"area above {decimals(float(threshold))}" for threshold in thresholds)
    axis = Axis("area under win rate (0 = .5, 1 = the oracle)", thresholds, names, logarithmic=False, steps=True)
    return Picture("share of runs with a larger area", axis, "share of runs", curves, says)


def over_labels(
    heading: str,
    ylabel: str,
    curves: Mapping[str, Interval],
    counts: Int64[np.ndarray, " checkpoints"],
    references: Mapping[str, float],
    *,
    from_zero: bool = True,
) -> Picture:
    """Return a picture of curves over the number of labels.

    Args:
        heading: its title, after the environment's.
        ylabel: what the vertical axis measures, with its unit.
        curves: agent -> curve over the checkpoints.
        counts: the checkpoints.
        references: name -> value.
        from_zero: whether the curves have a value where nothing was asked.
    """
    keep = (counts > 0) | from_zero
    first = counts[counts > 0][:1]
    # No label at all stands at half the first number of labels.
    places = np.where(counts > 0, counts, first[0] / 2 if len(first) else 1.0)[keep]
    axis = Axis(_LABELS, places, tuple(map(_count, counts[keep].tolist())), zero=bool(counts[keep][0] == 0))
    return Picture(
        heading,
        axis,
        ylabel,
        {name: Interval(*(part[keep] for part in (of.value, of.low, of.high))) for name, of in curves.items()},
        {name: decimals(float(of.value[-1])) for name, of in curves.items()},
        references,
    )


def _levels(summary: Summary) -> dict[str, float]:
    return {reference.name: float(reference.win.value) for reference in summary.references}


def _count(labels: int) -> str:
    return f"{labels:,} label{'s' * (labels != 1)}".replace(",", " ")
