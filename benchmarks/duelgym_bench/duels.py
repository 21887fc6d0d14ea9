"""Duels to look at: which two responses some queries compared, their texts, and what the simulator thinks of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duelgym.metrics.judged import judge

if TYPE_CHECKING:
    from duelgym.generators import QuestionSource
    from duelgym.metrics import Judged
    from duelgym.rounds import QueryLog

SHOWN_QUERIES = (10, 100, 1000)
"""Which queries are shown, counted from 1; the budget's last joins them."""


@dataclass(frozen=True)
class Response:
    """One of the two responses of a duel.

    Attributes:
        text: as the rater read it; where responses are points rather than language, a name.
        win_rate: probability, in [0, 1], that it is better than a uniformly drawn other candidate.
        rank: place among the candidates by win rate, from 1; equals share the better place.
        utility: for the hidden rater (of several raters: their mean); None where there are no utilities.
    """

    text: str
    win_rate: float
    rank: int
    utility: float | None


@dataclass(frozen=True)
class Duel:
    """One query.

    Attributes:
        query: its number, from 1.
        prompt: its text.
        first: the response shown first.
        second: the response shown second.
        n_candidates: N, among which the two were chosen.
        probability: that the first is better, by the simulator's judgement; .5 for a response against itself.
        preference: the label: 0 first, 1 second, 2 none, 3 tie.
    """

    query: int
    prompt: str
    first: Response
    second: Response
    n_candidates: int
    probability: float
    preference: int


def shown_queries(budget: int) -> tuple[int, ...]:
    """Return the numbers of the queries that are shown, from 1 to the budget, each once."""
    return tuple(sorted({min(query, budget) for query in (*SHOWN_QUERIES, budget)}))


def duels_of(asked: Judged, log: QueryLog, start: int, source: QuestionSource) -> Iterator[Duel]:
    """Yield the duels to be shown of a batch that has just been replayed, while a live source still has its texts.

    Args:
        asked: the batch's questions.
        log: of the whole run, as long as the budget.
        start: the batch's first query, from 0.
        source: has the texts.
    """
    for query in shown_queries(len(log)):
        row = query - 1 - start
        if 0 <= row < len(asked.questions):
            yield _duel(asked, row, log, query, source)


def _duel(asked: Judged, row: int, log: QueryLog, query: int, source: QuestionSource) -> Duel:
    one = slice(row, row + 1)
    utilities, everybody = (
        None if values is None else values[one] for values in (asked.utilities, asked.all_utilities)
    )
    question = judge(asked.simulator, asked.questions.rows(one), utilities, everybody)
    pair, wins = log.pairs[query - 1], question.win_rates()[0]
    prompt, texts = source.texts(int(log.prompt_ids[query - 1]), log.candidate_ids[query - 1])
    first, second = (
        Response(
            text=text,
            win_rate=float(wins[position]),
            rank=1 + int(np.count_nonzero(wins > wins[position] + 1e-12)),  # equals are even only up to rounding
            utility=None if utilities is None else float(utilities[0, position]),
        )
        for text, position in zip(texts, pair, strict=True)
    )
    return Duel(
        query=query,
        prompt=prompt,
        first=first,
        second=second,
        n_candidates=len(wins),
        probability=0.5 if pair[0] == pair[1] else float(question.probability(pair[:1], pair[1:])[0]),
        preference=int(log.preferences[query - 1]),
    )
