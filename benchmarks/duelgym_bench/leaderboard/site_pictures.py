"""The pictures of a round: win rate by number of labels on each environment, and how areas vary from run to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from duelgym_bench.page_pictures import Plot, plot
from duelgym_bench.pictures import over_labels, profile
from duelgym_bench.plots import COLOURS, DASHES, INK, MUTED, Sheet, Style
from duelgym_bench.statistics import Interval
from duelgym_bench.table import decimals

if TYPE_CHECKING:
    from duelgym_bench.leaderboard.board import Board, Estimate, Row
    from duelgym_bench.pictures import Picture


def sheet(board: Board, names: Mapping[str, str], first: int) -> Sheet:
    """Return how a round's agents are drawn: entries in colours, trivial agents in thin grey, the baseline in ink.

    Args:
        board: of the round.
        names: row -> what it is called.
        first: number of the first agent on the page.
    """
    styles: dict[str, Style] = {}
    coloured = 0
    for row in board.rows:
        if not row.profile:
            continue
        dash = DASHES[(coloured + coloured // len(COLOURS)) % len(DASHES)]
        if row.name == board.baseline:
            styles[names[row.name]] = (INK, "-", 2.0)
        elif row.kind == "entry":
            styles[names[row.name]] = (COLOURS[coloured % len(COLOURS)], dash, 1.8)
            coloured += 1
        else:
            styles[names[row.name]] = (MUTED, DASHES[len(styles) % (len(DASHES) - 1) + 1], 1.2)
    return Sheet(board.round, styles, first=first)


def plots(board: Board, environments: Sequence[str], names: Mapping[str, str], drawn: Sheet) -> list[Plot]:
    """Draw a round's pictures.

    Args:
        board: of the round.
        environments: of the round, in order; after their curves comes the profile over all of them.
        names: row -> what it is called.
        drawn: what :func:`sheet` returns.
    """
    shown = [(f"{board.round}, {env}", _curves(board, env, names)) for env in environments]
    asked = {names[row.name]: row for row in board.rows if row.profile}
    shares = {name: _exact(row.profile) for name, row in asked.items()}
    areas = {name: decimals(row.area.value) for name, row in asked.items()}
    shown.append((board.round, profile(shares, areas, np.array(board.thresholds))))
    return [
        replace(plot(each, replace(drawn, title=title)), heading=f"{title}: {each.heading}") for title, each in shown
    ]


def _curves(board: Board, env: str, names: Mapping[str, str]) -> Picture:
    on = {names[row.name]: (row, row.on[env]) for row in board.rows if env in row.on}
    return over_labels(
        "win rate by number of labels",
        "win rate against a random other response",
        {name: _interval(figures.curve) for name, (row, figures) in on.items() if asks(row)},
        np.array(board.checkpoints),
        {name: figures.win_rate.value for name, (row, figures) in on.items() if not asks(row)},
    )


def asks(row: Row) -> bool:
    """Return whether a row is an agent, not a policy that asks nothing."""
    return bool(row.profile)


def _interval(curve: Sequence[Estimate]) -> Interval:
    return Interval(*(np.array([getattr(each, part) for each in curve]) for part in ("value", "low", "high")))


def _exact(values: Sequence[float]) -> Interval:
    return Interval(*(np.array(values),) * 3)
