"""What the leaderboard's page shows of a round: plain numbers, written once from the logs when the round closes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from duelgym_bench.leaderboard.records import STRICT, Line, Sha256, Slug, Version

Kind = Literal["entry", "trivial", "limit"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OnEnvironment:
    """A row's figures on one of the round's environments.

    Attributes:
        area: under win rate against log labels, 0 = a win rate of .5, 1 = the oracle's.
        win_rate: after the last label, in [0, 1].
        curve: win rate at each of the board's checkpoints; one value for what asks nothing.
        labels: the baseline's labels divided by its own at the baseline's last level, in words such as ``"3.6 [1.9 7.5]"`` or
            ``"not reached"``; None for what asks nothing.
        public_area: the area of the same agent's public runs; None without a submission.
    """

    area: Estimate
    win_rate: Estimate
    curve: tuple[Estimate, ...]
    labels: Line | None
    public_area: float | None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Row:
    """An entry, a trivial agent, or a policy that asks nothing.

    Attributes:
        name: of the entry's folder, or of the policy, such as ``"longest answer"``.
        track: ``"text"`` if the agent reads texts, and so runs only where there are some; tracks are ranked apart.
        kind: ``"entry"`` is ranked; ``"trivial"`` must lose; ``"limit"`` is the oracle or the supervised reference.
        submission: the sha256 of the ``submission.json`` that was run; None for what is no entry.
        rank: 1 + the number of entries of its track that are significantly better; None for what is no entry.
        area: mean over the environments it has figures on.
        drop: of the area, from public runs to the round's; positive: the agent did better where it could be known.
            None without public runs.
        seconds_per_query: selecting and learning; None for what asks nothing.
        above_trivial: whether it is significantly above every trivial row, on the environments that both have; None for what
            is no entry.
        profile: share of its runs whose area is above each of the board's thresholds; empty for what asks nothing.
        on: environment -> figures.
    """

    name: Line
    track: Literal["embedding", "text"]
    kind: Kind
    submission: Sha256 | None
    rank: Annotated[int, Field(ge=1)] | None
    area: Estimate
    drop: Estimate | None
    seconds_per_query: float | None
    above_trivial: bool | None
    profile: tuple[float, ...]
    on: dict[Line, OnEnvironment]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Board:
    """``rounds/NAME/board.json``: all that is shown of a closed round, best first.

    Attributes:
        schema: version of this format.
        round: name of the round.
        checkpoints: query counts of the curves.
        baseline: the row whose labels are divided by the others'.
        thresholds: areas at which profiles are given.
        rows: entries by area, then trivial rows by area, then limits.
        improvement: for each ordered pair of entries, in the order of rows: the probability that a run of the first has a
            larger area than an independent run of the second, on the environments that both have; .5 beside itself.
        versions: distribution -> version.
    """

    schema: Version
    round: Slug
    checkpoints: tuple[int, ...]
    baseline: Line
    thresholds: tuple[float, ...]
    rows: tuple[Row, ...]
    improvement: tuple[tuple[float, ...], ...]
    versions: dict[Line, Line]
