"""The rubric: named criteria that a program can check, for every instruction of the embedded world."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache, lru_cache

from duelgym.world.claims import Claim, claims, sentences, stated_value
from duelgym.world.instructions import Instruction, parse_instruction, person_names
from duelgym.world.manners import directness, involvement, lexicon, manners, rude
from duelgym.world.phrases import phrases
from duelgym.world.topics import topics, words

ATTRIBUTES = ("helpful", "true", "formed", "clean", "detail", "formality", "directness", "involvement")
"""What raters value: the first four are liked by all, in the other four they differ."""

CRITERIA = {
    "on_topic": ("helpful", 1.0),
    "answers": ("helpful", 2.0),
    "true": ("true", 1.0),
    "count": ("formed", 2.0),
    "format": ("formed", 2.0),
    "tone": ("formed", 1.0),
    "length": ("formed", 1.0),
    "wording": ("formed", 1.0),
    "no_repetition": ("clean", 1.0),
    "complete": ("clean", 1.0),
    "polite": ("clean", 2.0),
    "readable": ("clean", 1.0),
}
"""Criterion -> the attribute to which it belongs, and its weight there. Criteria that a prompt does not raise have no weight for it."""

_LIST_MARK = re.compile(r"^(?:\d[.)]|[-*])\s")
_SPEAKER = re.compile(r"^[A-Z][\w'-]*: \S")
_HASHTAG = re.compile(r"#\w+\s*$")
_TONES = {
    "formal": ("formality", 1),
    "casual": ("formality", -1),
    "friendly": ("warmth", 1),
    "confident": ("confidence", 1),
    "cautious": ("confidence", -1),
}


@dataclass(frozen=True)
class Marks:
    """How an answer fares.

    Attributes:
        met: for each criterion of :data:`CRITERIA` whether it is met; None where the prompt does not raise it.
        attributes: for each of :data:`ATTRIBUTES` a number: the first four in [0, 1] (weighted share of the criteria met), ``detail`` in
            [0, 1] (1 - exp(-words / 20)), ``formality`` in [-1, 1], ``directness`` and ``involvement`` in [0, 1] (see
            :mod:`~duelgym.world.manners`). An answer without words meets nothing and is 0 in all.
    """

    met: dict[str, bool | None]
    attributes: dict[str, float]


@lru_cache(maxsize=4096)
def mark(prompt: str, response: str) -> Marks:
    """Return which criteria an answer meets, and what it is like.

    Raises:
        SpecificationError: if the prompt is not an instruction of the embedded world.
    """
    reading = _Reading(parse_instruction(prompt), response)
    met = {name: getattr(reading, name)() for name in CRITERIA}
    if not reading.tokens:
        met = {name: None if good is None else False for name, good in met.items()}
    shares = {}
    for attribute in ATTRIBUTES[:4]:
        raised = [
            (met[name], weight)
            for name, (owner, weight) in CRITERIA.items()
            if owner == attribute and met[name] is not None
        ]
        total = sum(weight for _, weight in raised)
        shares[attribute] = sum(weight for good, weight in raised if good) / total if total else 1.0
    # Truth is a matter of degree: one false fact in three is better than three.
    shares["true"] = reading.truth()
    tastes = {
        "detail": 1 - math.exp(-len(response.split()) / 20),
        "formality": reading.manners["formality"],
        "directness": directness(response),
        "involvement": involvement(response),
    }
    return Marks(met, {**shares, **tastes})


class _Reading:
    """One answer, read with its instruction in mind; every public method is a criterion."""

    def __init__(self, asked: Instruction, response: str) -> None:
        self.asked = asked
        self.text = response.strip()
        self.lines = [line.strip() for line in self.text.split("\n") if line.strip()]
        self.tokens = words(self.text)
        self.sentences = sentences(self.text)
        self.claims = claims(self.text)
        self.manners = manners(self.text)

    def on_topic(self) -> bool:
        if self.asked.task == "check" and self._verdict() is not None:
            return True
        wanted = [self.asked.topic] if self.asked.other is None else [self.asked.topic, self.asked.other]
        return all(self._mentions(topic) for topic in wanted)

    def answers(self) -> bool:
        """Whether it says what was asked for: the fact in question, the verdict, or at least one fact about every topic named."""
        asked = self.asked
        if asked.task == "check":
            return self._verdict() is not None
        if asked.fact is not None:
            return (
                any((c.topic, c.fact) == (asked.topic, asked.fact) for c in self.claims)
                or self._short_answer() is not None
            )
        wanted = {asked.topic} if asked.other is None else {asked.topic, asked.other}
        return wanted <= {claim.topic for claim in self.claims}

    def true(self) -> bool:
        return self.truth() == 1.0

    def truth(self) -> float:
        """Return the share of statements that are true; 0 where nothing is stated that could be."""
        right = [claim.value == 0 for claim in self._asserted()]
        if self.asked.task == "check" and (verdict := self._verdict()) is not None:
            right += [verdict == (self.asked.value == 0)] * 2
        if self.asked.task == "question" and not right and (value := self._short_answer()) is not None:
            right.append(value == 0)
        return sum(right) / len(right) if right else 0.0

    def count(self) -> bool | None:
        if self.asked.count is None:
            return None
        marked = [line for line in self.lines if _LIST_MARK.match(line)]
        given = len(marked) if marked else len({(c.topic, c.fact) for c in self.claims})
        return given == self.asked.count

    def format(self) -> bool | None:
        numbered = [line for line in self.lines if re.match(r"\d\. ", line)]
        dashes = [line for line in self.lines if line.startswith("- ")]
        match self.asked.task:
            case "numbered":
                in_order = all(line.startswith(f"{k + 1}. ") for k, line in enumerate(numbered))
                return bool(numbered) and in_order and not dashes
            case "bullets":
                return bool(dashes) and not numbered
            case "facts" | "reasons" | "explain" | "question" | "check" | "compare" | "rewrite":
                return not numbered and not dashes
            case "headline":
                return len(self.lines) == 1 and not self.text.endswith(".") and len(self.tokens) <= 25
            case "note":
                return len(self.lines) >= 3 and self._greets() and self._signed()
            case "quiz":
                return (
                    len(self.lines) == 2
                    and self.lines[0].startswith("Question: ")
                    and self.lines[1].startswith("Answer: ")
                )
            case "dialogue":
                return len(self.lines) == 2 and all(_SPEAKER.match(line) for line in self.lines)
            case "myth":
                return self._myth() is not None and len(self.claims) >= 2
            case "post":
                return _HASHTAG.search(self.text) is not None
        return None

    def tone(self) -> bool | None:
        if self.asked.tone is None:
            return None
        axis, sign = _TONES[self.asked.tone]
        return sign * self.manners[axis] > 0.2

    def length(self) -> bool | None:
        asked = self.asked
        if asked.limit is None and not asked.one_sentence:
            return None
        within = asked.limit is None or len(self.text.split()) <= asked.limit
        return within and (not asked.one_sentence or len(self.sentences) == 1)

    def wording(self) -> bool | None:
        asked = self.asked
        wishes = []
        if asked.keyword is not None:
            wishes.append(asked.keyword.lower() in self.tokens)
        if asked.question_end:
            said = self.lines[:-1] if self._signed() else self.lines
            wishes.append(bool(said) and said[-1].endswith("?"))
        if asked.no_exclamation:
            wishes.append("!" not in self.text)
        return all(wishes) if wishes else None

    def no_repetition(self) -> bool:
        """Whether no sentence and no fact comes twice, no word three times in a row, and no five words in a row twice.

        Five words (a name of the topic is one) are compared within a sentence, and among the sentences that state no fact: different facts may be worded
        and introduced alike, an answer may take up its question, and a myth and its correction may differ in a word only.
        """
        bodies = [tuple(words(sentence)) for sentence in self.sentences]
        names = "|".join(sorted((" ".join(words(name)) for name in topics()[self.asked.topic].names), key=len)[::-1])
        said = [re.sub(names, "it", " ".join(body)).split() for body in bodies]
        stating = {claim.sentence for claim in self.claims}
        runs = [(k if k in stating else -1, *s[j : j + 5]) for k, s in enumerate(said) for j in range(len(s) - 4)]
        about = [(claim.topic, claim.fact) for claim in self._asserted()]
        stuck = any(len(set(self.tokens[k : k + 3])) == 1 for k in range(len(self.tokens) - 2))
        return not stuck and all(len(set(group)) == len(group) for group in (bodies, runs, about))

    def complete(self) -> bool:
        """Whether it ends as it should: a headline, which has no full stop, must tell a fact to its end."""
        if self.asked.task == "headline":
            return any(claim.value is not None for claim in self.claims)
        return self._signed() or self.text[-1:] in (".", "!", "?") or _HASHTAG.search(self.text) is not None

    def polite(self) -> bool:
        return not any(tuple(words(sentence)) in rude() for sentence in self.sentences)

    def readable(self) -> bool:
        return bool(self.tokens) and all(word in lexicon() for word in self.tokens)

    def _mentions(self, topic: int) -> bool:
        text = " ".join(self.tokens)
        named = any(re.search(rf"\b{re.escape(word)}\b", text) for word in topics()[topic].words)
        return named or any(claim.topic == topic for claim in self.claims) or self._short_answer() is not None

    def _greets(self) -> bool:
        """Whether the first line names the person who is written to, and does not tell a fact yet."""
        named = self.asked.person is not None and words(self.asked.person)[-1] in words(self.lines[0])
        return named and all(claim.sentence >= len(sentences(self.lines[0])) for claim in self.claims)

    def _signed(self) -> bool:
        """Whether it is a note that ends with a name."""
        last = self.lines[-1].split() if self.asked.task == "note" and self.lines else []
        return 0 < len(last) <= 6 and last[-1] in person_names()

    def _asserted(self) -> list[Claim]:
        """Return the claims without the false belief that an answer was asked to put right."""
        myth = self._myth() if self.asked.task == "myth" else None
        return [claim for claim in self.claims if claim is not myth]

    def _myth(self) -> Claim | None:
        text = self.text.lower()
        announced = any(beginning.lower() in text for beginning in phrases()["myth"]["any"])
        return self.claims[0] if announced and self.claims and self.claims[0].value in (1, 2) else None

    def _verdict(self) -> bool | None:
        for sentence in self.sentences[:2]:
            tokens = tuple(words(sentence))
            for verdict, kind in ((True, "right"), (False, "wrong")):
                if tokens in _openings(kind):
                    return verdict
        return None

    def _short_answer(self) -> int | None:
        """Return the value of the asked fact that a bare answer to a question gives."""
        if self.asked.task != "question" or self.asked.fact is None:
            return None
        return stated_value(topics()[self.asked.topic].facts[self.asked.fact], self.tokens)


@cache
def _openings(kind: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(words(part)) for bank in phrases()[kind].values() for p in bank for part in sentences(p))
