"""From scored runs to a board: areas over environments, ranks, and all else that the page shows of a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np

from duelgym_bench.aggregate import improvement
from duelgym_bench.curves import ORACLE, SUPERVISED, AgentSummary, ReferenceSummary, Summary
from duelgym_bench.curves_summary import reference_means, summarise
from duelgym_bench.leaderboard.board import Board, Estimate, Kind, OnEnvironment, Row
from duelgym_bench.leaderboard.plans import reads_texts
from duelgym_bench.leaderboard.ranked_runs import BASELINE, READS_TEXTS, Entrant
from duelgym_bench.leaderboard.ranking import Part, better, over_environments, ranks
from duelgym_bench.leaderboard.records import Round
from duelgym_bench.paired import aligned
from duelgym_bench.ratio import FINAL
from duelgym_bench.scored import Results
from duelgym_bench.statistics import N_RESAMPLES, Interval, Resamples, area, draw_resamples
from duelgym_bench.studentised import Mean
from duelgym_bench.table import format_ratio

N_THRESHOLDS = 60
LIMITS = (ORACLE, SUPERVISED)
_TEXT_POLICIES = (READS_TEXTS, "longest answer")


@dataclass(frozen=True)
class Scored:
    """One environment of a round.

    Attributes:
        results: its runs, of which there are two seeds at least.
    """

    results: Results

    @cached_property
    def summary(self) -> Summary:
        """Every number of a report."""
        return summarise(self.results)

    @cached_property
    def agents(self) -> dict[str, AgentSummary]:
        """Row -> figures of what has run."""
        return {agent.agent: agent for agent in self.summary.agents}

    @cached_property
    def policies(self) -> dict[str, ReferenceSummary]:
        """Row -> figures of what asks nothing."""
        return {policy.name: policy for policy in self.summary.references}

    @cached_property
    def _means(self) -> tuple[dict[str, Mean], Resamples]:
        """Return each row's area with all that its standard error needs."""
        runs, sizes = aligned(self.results)
        first = runs[self.results.baseline]
        groups, checkpoints = [run.prompt_group for run in first], first[0].checkpoints
        resamples = draw_resamples(groups, sizes, N_RESAMPLES, np.random.default_rng(0))
        policies = reference_means(self.results.references, first, resamples)
        oracle = policies[ORACLE]
        areas = {
            name: mean.formula(lambda win, oracle: (win - 0.5) / (oracle - 0.5), oracle)
            for name, mean in policies.items()
        }
        for name, of in runs.items():
            wins = Mean.over_prompts([run.win for run in of], resamples)
            areas[name] = wins.formula(lambda win, oracle: area(win, oracle, checkpoints), oracle)
        return areas, resamples

    def has(self, name: str) -> bool:
        """Return whether a row has figures here."""
        return name in self._means[0]

    def part(self, name: str, other: str | None = None) -> Part:
        """Return a row's area, or how much it is above another's."""
        means, resamples = self._means
        mean = means[name] if other is None else means[name] - means[other]
        return Part(float(mean.full[0]), float(mean.standard_error(resamples)), len(mean.by_seed))


def board(
    round: Round,
    scored: Mapping[str, Scored],
    entrants: Sequence[Entrant],
    public: Mapping[str, Mapping[str, Sequence[float]]],
    hashes: Mapping[str, str],
) -> Board:
    """Return a round's board.

    Args:
        round: the round.
        scored: environment -> its runs.
        entrants: all that have run.
        public: entry -> environment -> areas of its public runs, one a seed.
        hashes: entry -> sha256 of its ``submission.json``.
    """
    entries = [entrant for entrant in entrants if entrant.submission is not None]
    first = next(iter(scored.values()))
    policies = [name for name in first.policies if name not in LIMITS]
    trivial = [entrant.name for entrant in entrants if entrant.submission is None] + policies
    track = {entrant.name: "text" if reads_texts(entrant.environments, round) else "embedding" for entrant in entries}
    rank = {name: place for of in ("embedding", "text") for name, place in _ranks(scored, track, of).items()}
    areas = [of.agents[entrant.name].areas for of in scored.values() for entrant in entrants if of.has(entrant.name)]
    thresholds = np.linspace(min(map(np.min, areas)), max(map(np.max, areas)), N_THRESHOLDS)

    def row(name: str, kind: Kind) -> Row:
        here = {env: of for env, of in scored.items() if of.has(name)}
        ran = any(name in of.agents for of in here.values())
        claimed = public.get(name, {})
        return Row(
            name=name,
            track="text" if track.get(name) == "text" or name in _TEXT_POLICIES else "embedding",
            kind=kind,
            submission=hashes.get(name),
            rank=rank.get(name),
            area=over_environments([of.part(name) for of in here.values()]),
            drop=_drop(name, here, claimed) if claimed else None,
            seconds_per_query=_seconds(name, here) if ran else None,
            above_trivial=_above(name, here, trivial) if kind == "entry" else None,
            profile=_profile(name, here, thresholds) if ran else (),
            on={env: _on(name, of, claimed.get(env)) for env, of in here.items()},
        )

    def rows(names: Sequence[str], kind: Kind) -> list[Row]:
        return sorted((row(name, kind) for name in names), key=lambda row: (-row.area.value, row.name))

    ranked = rows([entrant.name for entrant in entries], "entry")
    return Board(
        schema=1,
        round=round.name,
        checkpoints=tuple(int(t) for t in first.summary.checkpoints),
        baseline=BASELINE,
        thresholds=tuple(thresholds.tolist()),
        rows=(*ranked, *rows(trivial, "trivial"), *rows([name for name in LIMITS if first.has(name)], "limit")),
        improvement=tuple(tuple(_improvement(scored, a.name, b.name) for b in ranked) for a in ranked),
        versions=dict(first.results.versions),
    )


def _ranks(scored: Mapping[str, Scored], tracks: Mapping[str, str], track: str) -> dict[str, int]:
    entries = [name for name, of in tracks.items() if of == track]
    return ranks(entries, {(a, b): _p_value(scored, a, b) for a, b in permutations(entries, 2)})


def _p_value(scored: Mapping[str, Scored], name: str, other: str) -> float:
    """Return the p-value of a row being above another, on the environments that both have."""
    return better([of.part(name, other) for of in scored.values() if of.has(name) and of.has(other)])


def _above(name: str, here: Mapping[str, Scored], trivial: Sequence[str]) -> bool:
    # To be above all, each at .05, needs no correction: the chance of a wrong "all" is at most that of the last one.
    return all(_p_value(here, name, other) <= 0.05 for other in trivial if any(of.has(other) for of in here.values()))


def _drop(name: str, here: Mapping[str, Scored], public: Mapping[str, Sequence[float]]) -> Estimate:
    parts = []
    for env, of in here.items():
        own, there = of.part(name), np.asarray(public[env])
        error = float(np.hypot(own.error, there.std(ddof=1) / np.sqrt(len(there)))) if len(there) > 1 else own.error
        parts.append(Part(float(there.mean()) - own.value, error, own.seeds))
    return over_environments(parts)


def _seconds(name: str, here: Mapping[str, Scored]) -> float:
    each = [of.agents[name].seconds_per_1000 for of in here.values()]
    return float(np.mean([seconds.get("select", 0.0) + seconds.get("learn", 0.0) for seconds in each])) / 1000


def _profile(name: str, here: Mapping[str, Scored], thresholds: np.ndarray) -> tuple[float, ...]:
    shares = [(of.agents[name].areas[:, None] > thresholds).mean(axis=0) for of in here.values()]
    return tuple(np.mean(shares, axis=0).tolist())


def _improvement(scored: Mapping[str, Scored], name: str, other: str) -> float:
    if name == other:
        return 0.5
    both = [(of.agents[name].areas, of.agents[other].areas) for of in scored.values() if of.has(name) and of.has(other)]
    even = [np.full((1, len(mine)), 1 / len(mine)) for mine, _ in both]
    each = [
        improvement(mine[None], theirs[None], weights)[0] for (mine, theirs), weights in zip(both, even, strict=True)
    ]
    return float(np.mean(each))


def _on(name: str, of: Scored, public: Sequence[float] | None) -> OnEnvironment:
    agent = of.agents.get(name)
    if agent is None:
        policy = of.policies[name]
        win, area = _estimate(policy.win), _estimate(policy.area)
        return OnEnvironment(area=area, win_rate=win, curve=(win,), labels=None, public_area=None)
    curve = tuple(_estimate(agent.win[k]) for k in range(len(of.summary.checkpoints)))
    ratio = of.summary.ratios.get(name)
    return OnEnvironment(
        area=_estimate(agent.area),
        win_rate=curve[-1],
        curve=curve,
        labels="1" if ratio is None else format_ratio(ratio[FINAL]),
        public_area=None if public is None else float(np.mean(public)),
    )


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=float(interval.value), low=float(interval.low), high=float(interval.high))
