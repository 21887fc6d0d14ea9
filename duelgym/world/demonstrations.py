"""Demonstrations: answers to an instruction as authors of every quality and manner would write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelgym.world.instructions import Instruction, lowered, person_names
from duelgym.world.phrases import phrases
from duelgym.world.topics import Fact, Topic, topics

WORDS_AIMED_AT = 34
"""Most words that a careful author writes: what fits into 48 tokens of the embedded language model."""
_TONE_MANNERS = {
    "formal": {"formality": 1},
    "casual": {"formality": -1},
    "friendly": {"warmth": 1},
    "confident": {"confidence": 1},
    "cautious": {"confidence": -1},
}

_POLES = {
    "formality": {-1: "casual", 1: "formal"},
    "confidence": {-1: "cautious", 1: "bold"},
    "warmth": {-1: "blunt", 1: "warm"},
}


@dataclass(frozen=True)
class Author:
    """Who writes a demonstration.

    Attributes:
        formality: -1 casual, 0, 1 formal.
        confidence: -1 cautious, 0, 1 bold.
        warmth: -1 blunt, 0, 1 warm.
        detail: 0 brief, 1, 2 detailed.
        carelessness: from 0 (no slips but by accident) to 2; multiplies the chance of every slip.
    """

    formality: int
    confidence: int
    warmth: int
    detail: int
    carelessness: float


def draw_author(rng: np.random.Generator) -> Author:
    """Return a random author; manners and carelessness are independent of each other."""
    manners = rng.choice(3, size=3, p=(0.3, 0.4, 0.3)) - 1
    detail = int(rng.choice(3, p=(0.3, 0.4, 0.3)))
    return Author(int(manners[0]), int(manners[1]), int(manners[2]), detail, float(2 * rng.random() ** 1.5))


def demonstrate(
    instruction: Instruction, rng: np.random.Generator, author: Author | None = None, *, fault: str | None = None
) -> str:
    """Return one answer to an instruction.

    Args:
        instruction: what is asked.
        rng: all draws come from it.
        author: who answers; None draws one.
        fault: ``"false"``: every fact is stated falsely; ``"elsewhere"``: another topic is written about. From the same draws, all
            else stays much as it would have been.
    """
    return _Writer(instruction, draw_author(rng) if author is None else author, rng, fault).write()


class _Writer:
    """Writes one answer: decides which slips to make, says the facts, dresses them, and holds to the wishes."""

    def __init__(self, instruction: Instruction, author: Author, rng: np.random.Generator, fault: str | None) -> None:
        self.asked = instruction
        self.rng = rng
        self.mistaken = fault == "false"
        self.carelessness = author.carelessness
        self.toned = instruction.tone is not None and not self.slips(0.25)
        if self.toned and instruction.tone is not None:
            author = Author(**{**author.__dict__, **_TONE_MANNERS[instruction.tone]})
        self.author = author
        other = int(rng.integers(len(topics())))
        self.topic: Topic = topics()[other if self.slips(0.07) or fault == "elsewhere" else instruction.topic]
        self.on_topic = self.topic is topics()[instruction.topic]
        self.left = [int(k) for k in rng.permutation(len(self.topic.facts))]
        self.used: set[str] = set()
        self.tone_shown = not self.toned

    def slips(self, chance: float) -> bool:
        return bool(self.rng.random() < chance * self.carelessness)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def write(self) -> str:
        if self.slips(0.02):
            text = self.rambling()
        else:
            text = getattr(
                self, "_" + {"numbered": "facts", "bullets": "facts"}.get(self.asked.task, self.asked.task)
            )()
        if self.asked.no_exclamation and not self.slips(0.3):
            text = text.replace("!", ".")
        return self.cut_off(text) if self.slips(0.05) else text

    # What is said

    def fact(self, number: int | None = None) -> Fact:
        if number is None:
            number = self.left[0] if self.left else 0
        self.left = [other for other in self.left if other != number]
        return self.topic.facts[number]

    def value(self) -> int:
        slip, false = self.slips(0.14), 1 + int(self.rng.integers(2))
        return false if slip or self.mistaken else 0

    def statement(self, fact: Fact | None = None, value: int | None = None) -> str:
        fact = self.fact() if fact is None else fact
        return fact.statement(int(self.rng.integers(2)), self.value() if value is None else value)

    def count(self, asked: int) -> int:
        if not self.slips(0.13):
            return asked
        return self.pick([k for k in (1, 2, 3, 4) if k != asked])

    # How it is said

    def bank(self, kind: str) -> tuple[str, ...]:
        """Return the phrases of a kind that suit the author: those of one of the author's manners, or neutral ones."""
        banks = phrases()[kind]
        manners = [manner for manner in self.manners() if manner in banks]
        if manners and (self.toned or self.chance(0.75) or "neutral" not in banks):
            return banks[self.pick(manners)]
        return banks.get("neutral", ())

    def manners(self) -> list[str]:
        named = _POLES
        if self.toned and self.asked.tone is not None and self.chance(0.7):
            named = {axis: named[axis] for axis in _TONE_MANNERS[self.asked.tone]}
        return [poles[getattr(self.author, axis)] for axis, poles in named.items() if getattr(self.author, axis)]

    def phrase(self, kind: str) -> str:
        """Return a phrase that the answer does not hold yet, or nothing where none suits the author."""
        bank = [phrase for phrase in self.bank(kind) if phrase not in self.used]
        return self.filled(self.pick(bank)) if bank else ""

    def filled(self, phrase: str) -> str:
        self.used.add(phrase)
        text = phrase.replace("{topic}", self.pick(self.topic.names))
        return text[:1].upper() + text[1:] if phrase.startswith("{topic}") else text

    def in_tone(self, kind: str) -> str:
        """Return a phrase of the tone asked for."""
        assert self.asked.tone is not None
        ((axis, sign),) = _TONE_MANNERS[self.asked.tone].items()
        return self.filled(self.pick(phrases()[kind][_POLES[axis][sign]]))

    def polite(self, kind: str) -> str:
        """Return a greeting or a farewell: these have no neutral form, so an author without manners uses anyone's."""
        return self.phrase(kind) or self.pick([phrase for bank in phrases()[kind].values() for phrase in bank])

    def filler(self) -> str:
        return self.filled(self.pick(phrases()["filler"]["any"]))

    def sentence(self, statement: str, *, lead: float = 0.35, tail: float = 0.2) -> str:
        """Return a statement, perhaps with a beginning or an end that shows the author's manner.

        The first sentence of an author who minds the tone asked for always has a beginning in that tone.
        """
        if not self.tone_shown:
            self.tone_shown = True
            return f"{self.in_tone('lead')} {lowered(statement)}"
        if self.toned:
            lead, tail = 2 * lead, 2 * tail
        if self.asked.limit is not None:
            lead, tail = 0.3 * lead, 0.3 * tail
        if self.chance(lead) and (beginning := self.phrase("lead")):
            return f"{beginning} {lowered(statement)}"
        if self.chance(tail) and (end := self.phrase("tail")):
            return statement.removesuffix(".") + end + "."
        if self.author.warmth == 1 and not self.asked.no_exclamation and self.chance(0.25):
            return statement.removesuffix(".") + "!"
        return statement

    def dress(self, body: list[str], *, separator: str = " ", opening: float = 0.3, closing: float = 0.25) -> str:
        """Return body sentences with an opening, further details and a closing, as many as author and wishes allow."""
        detail = self.author.detail
        before, after = [], []
        if self.slips(0.05):
            before.append(self.filled(self.pick(phrases()["rude"]["any"])))
        if self.chance(max(opening * (0.4 + 0.6 * detail), 0.6 * self.toned * (opening > 0))):
            before.append(self.phrase("opening"))
        extras = int(self.rng.choice(3, p=((0.9, 0.1, 0.0), (0.55, 0.4, 0.05), (0.1, 0.6, 0.3))[detail]))
        for _ in range(extras):
            after.append(self.phrase("more"))
        if self.slips(0.06):
            after.append(self.filler())
        if self.chance(closing * (0.4 + 0.6 * detail)):
            after.append(self.phrase("closing"))
        before, after = [p for p in before if p], [p for p in after if p]
        if self.asked.keyword is not None and not self.slips(0.3):
            after.append(self.pick(phrases()["keyword"]["any"]).replace("{word}", self.asked.keyword))
        if self.asked.question_end and not self.slips(0.25):
            after.append(self.phrase("closing_question"))
        if self.slips(0.06):
            body = [*body, self.pick(body)]
        return self.fit(before, body, after, separator)

    def fit(self, before: list[str], body: list[str], after: list[str], separator: str) -> str:
        """Return the whole answer, without optional parts where it would be too long or too many sentences."""
        limit = self.asked.limit if self.asked.limit is not None and not self.slips(0.3) else None
        if self.asked.one_sentence and not self.slips(0.25):
            before, body, after = [], body[:1], []
        most = min(limit or WORDS_AIMED_AT, WORDS_AIMED_AT)
        wanted = (self.asked.keyword is not None) + self.asked.question_end
        while len(_join(before, body, after, separator).split()) > most and not self.slips(0.03):
            if len(after) > wanted:
                after = (
                    after[1:] if self.chance(0.5) else after[: len(after) - wanted - 1] + after[len(after) - wanted :]
                )
            elif before:
                before = before[:-1]
            elif len(body) > 1 and self.asked.task in ("explain", "question"):
                body = body[:-1]
            else:
                break
        return _join(before, body, after, separator)

    def rambling(self) -> str:
        return " ".join(self.filler() for _ in range(2 + int(self.rng.integers(3))))

    def cut_off(self, text: str) -> str:
        pieces = text.split(" ")
        kept = max(2, int(len(pieces) * self.rng.uniform(0.4, 0.9)))
        return " ".join(pieces[:kept]).rstrip(".,!?:")

    # The tasks

    def _facts(self) -> str:
        assert self.asked.count is not None
        task = self.asked.task
        if self.slips(0.12):
            task = self.pick([form for form in ("facts", "numbered", "bullets") if form != task])
        n = self.count(self.asked.count)
        marks = {"facts": [""] * n, "numbered": [f"{k + 1}. " for k in range(n)], "bullets": ["- "] * n}[task]
        lead = {0: 0.15, 1: 0.3, 2: 0.45}[self.author.detail] / max(1, n - 1)
        body = [mark + self.sentence(self.statement(), lead=lead, tail=0.15) for mark in marks]
        return self.dress(body, separator=" " if task == "facts" else "\n")

    def _reasons(self) -> str:
        assert self.asked.count is not None
        beginnings = phrases()["reason"]["any"]
        body = []
        for _ in range(self.count(self.asked.count)):
            statement = self.statement()
            body.append(
                f"{self.pick(beginnings)} {lowered(statement)}"
                if self.tone_shown and self.chance(0.6)
                else self.sentence(statement)
            )
        return self.dress(body)

    def _explain(self) -> str:
        n = 1 + int(self.rng.choice(3, p=((0.7, 0.3, 0.0), (0.3, 0.5, 0.2), (0.1, 0.5, 0.4))[self.author.detail]))
        return self.dress([self.sentence(self.statement()) for _ in range(n)])

    def _question(self) -> str:
        fact = self.fact(self.asked.fact if self.on_topic else None)
        value = self.value()
        if self.author.detail == 0 and self.tone_shown and self.chance(0.5):
            answer = fact.values[value]
            return self.dress([answer[:1].upper() + answer[1:] + "."], opening=0.2)
        body = [self.sentence(self.statement(fact, value))]
        if self.author.detail == 2 and self.chance(0.4):
            body.append(self.statement())
        return self.dress(body)

    def _check(self) -> str:
        fact = self.fact(self.asked.fact if self.on_topic else None)
        says_right = (self.asked.value == 0) != (self.slips(0.15) or self.mistaken)
        if says_right:
            body = [self.phrase("right")]
            value = self.asked.value if self.on_topic and self.asked.value is not None else 0
            repeats = self.author.detail > 0
        else:
            body, value, repeats = [self.phrase("wrong")], self.value(), self.author.detail > 0 or self.chance(0.7)
            if value == 0 and self.asked.value == 0:
                value = 1 + int(self.rng.integers(2))
        if repeats:
            statement = self.statement(fact, value)
            body.append(
                f"{self.pick(phrases()['truth']['any'])} {lowered(statement)}" if self.chance(0.5) else statement
            )
        return self.dress([part for part in body if part], opening=0.0)

    def _headline(self) -> str:
        statement = self.statement().removesuffix(".")
        frame = self.pick(phrases()["headline"]["any"])
        return _title(frame.replace("{fact}", statement).replace("{topic}", self.pick(self.topic.names)))

    def _note(self) -> str:
        assert self.asked.person is not None
        person = _addressed(self.asked.person)
        greeting = self.polite("greeting")
        greeting = greeting.replace(
            "{person_name}", person[:1].upper() + person[1:] if greeting.startswith("{person_name}") else person
        )
        body = self.dress([self.sentence(self.statement())], opening=0.3)
        signed = f"{self.polite('signoff')} {self.pick(person_names())}"
        lines = [greeting, body, signed]
        if self.slips(0.12):
            lines.pop(self.pick([0, 2]))
        return "\n".join(line.strip() for line in lines)

    def _quiz(self) -> str:
        fact, value = self.fact(), self.value()
        answer = fact.values[value]
        lines = [f"Question: {fact.question}", f"Answer: {answer[:1].upper() + answer[1:]}."]
        if self.author.detail == 2:
            lines[1] = f"Answer: {self.sentence(self.statement(fact, value), lead=0.4, tail=0.3)}"
        elif self.author.detail == 1 and self.chance(0.6) and (more := self.phrase("more")):
            lines[1] += f" {more}"
        return "\n".join(lines[:1] if self.slips(0.1) else lines)

    def _compare(self) -> str:
        assert self.asked.other is not None
        first = self.sentence(self.statement())
        second = self.pick(topics()[self.asked.other].facts)
        body = [first, self.sentence(self.statement(second))]
        return self.dress(body[:1] if self.slips(0.12) else body)

    def _myth(self) -> str:
        fact = self.fact()
        belief = lowered(fact.statement(int(self.rng.integers(2)), 1 + int(self.rng.integers(2))))
        truth = f"{self.pick(phrases()['truth']['any'])} {lowered(self.statement(fact, self.value()))}"
        if not self.tone_shown:
            truth = truth.removesuffix(".") + self.in_tone("tail") + "."
        body = [f"{self.pick(phrases()['myth']['any'])} {belief}", truth]
        return self.dress(body[:1] if self.slips(0.12) else body)

    def _rewrite(self) -> str:
        fact = self.fact(self.asked.fact if self.on_topic else None)
        statement = self.statement(fact, self.value())
        return self.dress([self.sentence(statement, lead=0.6, tail=0.6)], opening=0.3, closing=0.2)

    def _dialogue(self) -> str:
        fact, value = self.fact(), self.value()
        names = person_names()
        first, second = self.pick(names), self.pick(names)
        answer = fact.values[value]
        reply = (
            self.sentence(self.statement(fact, value))
            if self.author.detail or not self.tone_shown
            else answer[:1].upper() + answer[1:] + "."
        )
        if self.author.detail == 2 and (opening := self.phrase("closing")):
            reply += f" {opening}"
        lines = [f"{first}: {fact.question}", f"{second}: {reply}"]
        return "\n".join(lines[:1] if self.slips(0.1) else lines)

    def _post(self) -> str:
        body = self.dress([self.sentence(self.statement())], closing=0.1)
        own = "#" + "".join(word[:1].upper() + word[1:] for word in self.topic.name.replace("'", "").split())
        tags = [own] if self.chance(0.6) else [own, self.pick(phrases()["hashtag"]["any"])]
        return body if self.slips(0.15) else f"{body} {' '.join(tags)}"


def _join(before: list[str], body: list[str], after: list[str], separator: str) -> str:
    if separator == " ":
        return " ".join([*before, *body, *after])
    parts = [" ".join(before), *body, " ".join(after)]
    return separator.join(part for part in parts if part)


def _title(text: str) -> str:
    small = {"a", "an", "the", "of", "in", "on", "to", "and", "or", "by", "at", "for", "with", "is", "are"}
    cased = [w if k and w in small else w[:1].upper() + w[1:] for k, w in enumerate(text.split(" "))]
    return " ".join(cased)


def _addressed(person: str) -> str:
    """Return how a note begins to somebody: "Aunt Rosa" as she is, "my neighbour" without the possessive."""
    first, _, rest = person.partition(" ")
    return rest if first in ("my", "a", "an", "the", "your", "our") and rest else person
