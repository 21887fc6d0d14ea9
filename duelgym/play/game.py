"""The game: a few queries to a hidden rater, then choices without asking, and what they were worth."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from duelgym.agent import PREFERENCE_FIRST, PREFERENCE_NONE, PREFERENCE_SECOND, PREFERENCE_TIE
from duelgym.envs.problems import Problem
from duelgym.envs.session import DuelSession
from duelgym.errors import SpecificationError
from duelgym.generators import GaussianFeatures
from duelgym.metrics.judged import Judged
from duelgym.play.passive import passive_choices

LETTERS = "abcdefghijklmnop"
"""Names of the responses shown; q is for leaving."""

_LONGEST = 1500
_PASSIVE_STREAM = 0x9A55
_RULES = """\
A hidden rater compares responses by a taste of its own, and not always surely.
You may ask it {queries} times which of two responses it prefers. After that you say, for {finals} prompts and without
asking, which response it would like best. The score is how often your choices win."""


class Stopped(Exception):  # noqa: N818 (leaving is no error)
    """The player left the game."""


@dataclass(frozen=True)
class Score:
    """Mean win rates, on the prompts that were chosen on, against another response of the same prompt.

    Attributes:
        choices: how many prompts were chosen on.
        queries: how many labels were asked for.
        person: of the player's choices.
        passive: of a learner that asked as often about random pairs.
        uniform: of a random choice.
        oracle: of the rater's own favourites.
    """

    choices: int
    queries: int
    person: float
    passive: float
    uniform: float
    oracle: float


class Game:
    """One game of one player.

    Args:
        problem: what is asked, and who answers.
        seed: of the episode: questions, rater and label noise.
        queries: how many the player may ask.
        finals: on how many held-out prompts the player chooses; fewer where there are not as many.
        ask: shows a line and returns what the player answers; raises EOFError at the end of the input.
        show: shows lines.
        width: of the terminal, in characters.

    Raises:
        SpecificationError: if the problem has no texts, cannot be scored, shows fewer than 2 or more than 16
            candidates, or a number is out of range.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        queries: int,
        finals: int,
        ask: Callable[[str], str],
        show: Callable[[str], None],
        width: int = 80,
    ) -> None:
        if isinstance(problem.generator, GaussianFeatures):
            raise SpecificationError(
                "there is nothing to read here: candidates are points, not language; play another id"
            )
        if not problem.simulator.has_judgement:
            name = problem.simulator.specification()[0]["name"]
            raise SpecificationError(
                f"the {name} simulator cannot score, so there is nothing to win; play with another"
            )
        n_candidates = problem.generator.n_candidates
        if not 2 <= n_candidates <= len(LETTERS):
            raise SpecificationError(f"{n_candidates} candidates are shown; a game needs 2 to {len(LETTERS)}")
        for name, value, least in (("queries", queries, 0), ("finals", finals, 1)):
            if value < least:
                raise SpecificationError(f"{name} is {value}; it must be at least {least}")
        self._problem = problem
        self._seed = seed
        self._queries = queries
        self._ask = ask
        self._show = show
        self._width = max(40, width)
        self._letters = LETTERS[:n_candidates]
        self._session = DuelSession.seeded(problem, budget=max(1, queries), seed=seed)
        held_out = self._session.assessment().questions
        self._finals = self._session.judged(held_out.rows(slice(0, finals)))

    def play(self) -> Score | None:
        """Play to the end, or until the player leaves; return the score, if there is one."""
        self._show(_RULES.format(queries=self._queries, finals=len(self._finals.questions)))
        try:
            while self._session.queries < self._queries and self._query():
                pass
            choices = self._choices()
        except (Stopped, EOFError, KeyboardInterrupt):
            self._show(
                f"\nStopped after {self._session.queries} queries. Without the choices at the end there is no score."
            )
            return None
        score = self._score(np.array(choices, dtype=np.int64))
        self._show(_told(score))
        return score

    def _query(self) -> bool:
        """Ask about one pair; return whether the player wants to go on asking."""
        number = self._session.queries + 1
        asked = self._session.ask(1)
        self._show(f"\n--- Query {number} of {self._queries} ---")
        self._show_question(asked, 0)
        while True:
            answer = self._ask("Compare which two (such as ab)? s: skip this prompt, f: finish asking, q: quit > ")
            word = "".join(answer.lower().replace(",", " ").split())
            if word == "q":
                raise Stopped
            if word == "f":
                return False
            if word == "s":  # a candidate against itself: a query that tells nothing
                self._session.answer(asked, np.zeros((1, 2), dtype=np.int64))
                self._show("Skipped; that was a query, too.")
                return True
            if len(word) == 2 and set(word) <= set(self._letters) and word[0] != word[1]:
                break
            self._show(
                f"Please answer with two different letters from {self._letters[0]} to {self._letters[-1]}, or s, f, q."
            )
        pair = np.array([[self._letters.index(letter) for letter in word]], dtype=np.int64)
        preferences, _ = self._session.answer(asked, pair)
        self._show(
            {
                PREFERENCE_FIRST: f"The rater preferred {word[0]} to {word[1]}.",
                PREFERENCE_SECOND: f"The rater preferred {word[1]} to {word[0]}.",
                PREFERENCE_NONE: "The rater gave no answer.",
                PREFERENCE_TIE: "The rater found them equal.",
            }[int(preferences[0])]
        )
        return True

    def _choices(self) -> list[int]:
        """Return the player's choice on every final prompt."""
        choices: list[int] = []
        for row in range(len(self._finals.questions)):
            self._show(f"\n--- Choice {row + 1} of {len(self._finals.questions)} ---")
            self._show_question(self._finals, row)
            while True:
                word = self._ask("Which one would the rater like best? q: quit > ").strip().lower()
                if word == "q":
                    raise Stopped
                if len(word) == 1 and word in self._letters:
                    break
                self._show(f"Please answer with one letter from {self._letters[0]} to {self._letters[-1]}, or q.")
            choices.append(self._letters.index(word))
        return choices

    def _score(self, choices: Int64[np.ndarray, " finals"]) -> Score:
        rates = self._finals.win_rates()
        rows = np.arange(len(choices))
        queries = self._session.queries
        passive = passive_choices(
            self._problem,
            self._finals.questions,
            queries=queries,
            seed=self._seed,
            rng=np.random.default_rng([self._seed, _PASSIVE_STREAM]),
        )
        return Score(
            choices=len(choices),
            queries=queries,
            person=float(rates[rows, choices].mean()),
            passive=float(rates[rows, passive].mean()),
            uniform=float(rates.mean()),
            oracle=float(rates[rows, self._finals.winners()].mean()),
        )

    def _show_question(self, judged: Judged, row: int) -> None:
        ids = judged.questions
        prompt, responses = self._problem.generator.texts(int(ids.prompt_ids[row]), ids.candidate_ids[row])
        self._show(self._wrapped("Prompt: ", prompt))
        for letter, response in zip(self._letters, responses, strict=True):
            self._show(self._wrapped(f"  {letter}  ", response))

    def _wrapped(self, label: str, text: str) -> str:
        """Return a text within the terminal's width, without anything that could steer the terminal."""
        readable = "".join(c if c.isprintable() or c == "\n" else " " for c in text.expandtabs(4))
        if len(readable) > _LONGEST:
            readable = f"{readable[:_LONGEST]} … ({len(readable) - _LONGEST} more characters)"
        lines = [
            piece
            for line in readable.strip().split("\n")
            for piece in textwrap.wrap(line, max(20, self._width - len(label))) or [""]
        ]
        return label + f"\n{' ' * len(label)}".join(lines if any(lines) else ["(empty)"])


def _told(score: Score) -> str:
    rows: Sequence[tuple[str, float]] = (
        ("your choices", score.person),
        (f"passive: a learner after {score.queries} random pairs", score.passive),
        ("a random choice", score.uniform),
        ("the rater's own favourites", score.oracle),
    )
    verdict = "You beat passive." if score.person > score.passive else "Passive was at least as good."
    lines = [f"{label:<44}{value:>6.1%}" for label, value in rows]
    head = f"\nHow often each wins against another response to the same prompt ({score.choices} prompts):"
    return "\n".join([head, *(f"  {line}" for line in lines), verdict])
