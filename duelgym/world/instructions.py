"""Instructions: drawn as data, worded in many ways, and read back from their wording."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from duelgym.errors import SpecificationError
from duelgym.world.topics import topics, topics_by_name

COUNTS = ("one", "two", "three")
TONES = ("formal", "casual", "friendly", "confident", "cautious")
LIMITS = (15, 20, 25, 30, 35, 40)
LISTS = ("facts", "numbered", "bullets", "reasons")
ABOUT_A_FACT = ("question", "check", "rewrite")
_CLAUSES = ("audience", "tone", "limit", "keyword", "question_end", "no_exclamation", "one_sentence")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Instruction:
    """What is asked for; :attr:`text` is how it is worded, and says all of it.

    Attributes:
        text: the prompt.
        task: one of the keys of ``material/instructions.toml``.
        topic: number of the topic.
        other: number of the topic to compare with.
        count: how many facts or reasons, 1 to 3.
        fact: which fact of the topic is asked about, quoted or doubted.
        value: which of the fact's values is quoted: 0 is the true one.
        tone: one of :data:`TONES`.
        audience: for whom.
        person: to whom a note is addressed.
        limit: most words allowed.
        keyword: a word to be used.
        question_end: whether the answer must end with a question.
        no_exclamation: whether exclamation marks are forbidden.
        one_sentence: whether the answer must be a single sentence.
    """

    text: str
    task: str
    topic: int
    other: int | None = None
    count: int | None = None
    fact: int | None = None
    value: int | None = None
    tone: str | None = None
    audience: str | None = None
    person: str | None = None
    limit: int | None = None
    keyword: str | None = None
    question_end: bool = False
    no_exclamation: bool = False
    one_sentence: bool = False


def draw_instruction(rng: np.random.Generator) -> Instruction:
    """Return a random instruction: a task about a topic, worded in one of many ways, with up to two further wishes."""
    material = _material()
    task = _choice(rng, tuple(material["tasks"]))
    topic = int(rng.integers(len(topics())))
    drawn = Instruction("", task, topic)
    if task == "compare":
        drawn = replace(drawn, other=(topic + 1 + int(rng.integers(len(topics()) - 1))) % len(topics()))
    if task in LISTS:
        drawn = replace(drawn, count=1 + int(rng.choice(3, p=(0.2, 0.45, 0.35))))
    if task in ABOUT_A_FACT:
        # A doubted claim is true half of the time; a sentence to be rewritten always.
        value = 0 if task != "check" or rng.random() < 0.5 else 1 + int(rng.integers(2))
        drawn = replace(drawn, fact=int(rng.integers(len(topics()[topic].facts))), value=value)
    if task == "rewrite":
        drawn = replace(drawn, tone=_choice(rng, TONES))
    if task == "note":
        drawn = replace(drawn, person=_choice(rng, material["values"]["person"]))
    core, wishes = _core(drawn, rng), _wishes(drawn, rng)
    ended = core[-1] in "?."
    for wish in wishes:
        drawn = replace(drawn, **_wish(wish, drawn, rng))
    inline, sentences = "", ""
    for wish in wishes:
        wordings = material["clauses"][f"{wish}_sentence"]
        at_once = material["clauses"].get(f"{wish}_inline")
        if at_once and not ended and rng.random() < 0.6:
            inline += _fill(_choice(rng, at_once), drawn)
        else:
            sentences += " " + _fill(_choice(rng, wordings), drawn)
    return replace(drawn, text=core + inline + ("" if ended else ".") + sentences)


@lru_cache(maxsize=4096)
def parse_instruction(text: str) -> Instruction:
    """Return what an instruction of this world asks for.

    Raises:
        SpecificationError: if the text is not worded in one of this world's ways.
    """
    found: dict[str, Any] = {}
    inline: dict[str, Any] = {}
    rest = _peel(text, found, "sentence")
    candidates = [rest]
    if rest.endswith("."):
        shorter = _peel(rest[:-1], inline, "inline")
        if inline:
            candidates.insert(0, shorter)
        candidates.append(rest[:-1])
    for core in candidates:
        for task, pattern in _cores():
            match = pattern.fullmatch(core)
            values = None if match is None else _values(task, match.groupdict())
            if values is not None:
                wishes = found if core in (rest, rest[:-1]) else {**found, **inline}
                return Instruction(**{"text": text, "task": task, **values, **wishes})
    raise SpecificationError(
        f"{text[:80]!r} is not an instruction of the embedded world: rubrics can only score those; "
        "for other prompts use a reward model or a judge as the simulator"
    )


@cache
def _material() -> dict[str, Any]:
    file = files("duelgym.world") / "material" / "instructions.toml"
    return tomllib.loads(file.read_text("utf-8"))


def person_names() -> tuple[str, ...]:
    """Return first names for letters and dialogues."""
    return tuple(_material()["values"]["name"])


def _choice(rng: np.random.Generator, options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def _core(drawn: Instruction, rng: np.random.Generator) -> str:
    pattern = _choice(rng, _material()["tasks"][drawn.task])
    slots: dict[str, str] = {"topic": _choice(rng, topics()[drawn.topic].names)}
    if drawn.other is not None:
        slots["other"] = _choice(rng, topics()[drawn.other].names)
    if drawn.count is not None:
        plural = "" if drawn.count == 1 else "s"
        slots |= {"count": COUNTS[drawn.count - 1], "facts": f"fact{plural}", "reasons": f"reason{plural}"}
    if drawn.fact is not None and drawn.value is not None:
        fact = topics()[drawn.topic].facts[drawn.fact]
        statement = fact.statement(int(rng.integers(2)), drawn.value).removesuffix(".")
        slots["question"] = fact.question
        slots["statement"] = statement if drawn.task == "rewrite" else lowered(statement)
    return _SLOT.sub(lambda slot: slots.get(slot.group(1)) or str(getattr(drawn, slot.group(1))), pattern)


def _wishes(drawn: Instruction, rng: np.random.Generator) -> list[str]:
    possible = [wish for wish in _CLAUSES if not (wish == "tone" and drawn.tone)]
    if drawn.task not in ("explain", "question", "check", "note", "myth"):
        possible = [wish for wish in possible if wish not in ("question_end", "one_sentence", "keyword")]
    if drawn.task in ("headline", "post", "quiz", "dialogue", "rewrite"):
        possible = [wish for wish in possible if wish != "limit"]
    if drawn.task in ("headline", "quiz"):
        possible.remove("tone")
    if drawn.task in ("note", "myth"):
        possible.remove("one_sentence")
    number = int(rng.choice(3, p=(0.4, 0.42, 0.18)))
    chosen = [possible[int(k)] for k in rng.permutation(len(possible))[:number]]
    if "one_sentence" in chosen:
        # Either would need a second sentence.
        chosen = [wish for wish in chosen if wish not in ("question_end", "keyword")]
    return sorted(chosen, key=_CLAUSES.index)


def _wish(wish: str, drawn: Instruction, rng: np.random.Generator) -> dict[str, Any]:
    values = _material()["values"]
    match wish:
        case "audience":
            return {"audience": _choice(rng, values["audience"])}
        case "tone":
            return {"tone": _choice(rng, TONES)}
        case "limit":
            # At least ten words for every fact asked for, and ten for the rest.
            least = 10 + 10 * (drawn.count or 1 + (drawn.task in ("compare", "myth", "note")))
            return {"limit": int(_choice(rng, [limit for limit in LIMITS if limit >= least]))}
        case "keyword":
            return {"keyword": _choice(rng, values["keyword"])}
    return {wish: True}


def _fill(clause: str, drawn: Instruction) -> str:
    slots = {"word": drawn.keyword, "audience": drawn.audience, "tone": drawn.tone, "limit": drawn.limit}
    return _SLOT.sub(lambda slot: str(slots[slot.group(1)]), clause)


def lowered(sentence: str) -> str:
    """Return a sentence with a small first letter, unless it begins with a name of a thing that is always capitalised."""
    first = sentence.split(" ", 1)[0]
    return (
        sentence
        if first.rstrip(".,") in _proper_words() or (len(first) > 1 and first.isupper())
        else sentence[:1].lower() + sentence[1:]
    )


@cache
def _proper_words() -> frozenset[str]:
    """Return the words that in the middle of the material's sentences are always capitalised."""
    inside = set()
    for topic in topics():
        for fact in topic.facts:
            for sentence in (*(fact.statement(w, v) for w in range(2) for v in range(3)), f"x {topic.name}"):
                inside |= {word.rstrip(".,") for word in sentence.split(" ")[1:]}
    return frozenset(word for word in inside if word[:1].isupper() and word[:1].lower() + word[1:] not in inside)


def _regex(pattern: str) -> re.Pattern[str]:
    parts = _SLOT.split(pattern)
    # What has few values is spelt out: names that hold an "and" make "... {topic} and {other}" ambiguous otherwise.
    few = {
        "topic": _any_topic(),
        "other": _any_topic(),
        "facts": "facts?",
        "reasons": "reasons?",
        "count": "|".join(COUNTS),
    }
    named = [f"(?P<{part}>{few.get(part, '.+')})" if k % 2 else re.escape(part) for k, part in enumerate(parts)]
    return re.compile("".join(named))


@cache
def _any_topic() -> str:
    return "|".join(re.escape(name) for name in sorted(topics_by_name(), key=len, reverse=True))


@cache
def _cores() -> tuple[tuple[str, re.Pattern[str]], ...]:
    # Longer wordings first: "{question}" alone would swallow every other question.
    patterns = [(task, pattern) for task, several in _material()["tasks"].items() for pattern in several]
    patterns.sort(key=lambda both: -len(_SLOT.sub("", both[1])))
    return tuple((task, _regex(pattern)) for task, pattern in patterns)


@cache
def _clauses(form: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    found = []
    for wish in _CLAUSES:
        for pattern in _material()["clauses"].get(f"{wish}_{form}", ()):
            begin = "" if form == "inline" else " "
            found.append((pattern, wish, re.compile("(?P<rest>.+)" + re.escape(begin) + _regex(pattern).pattern)))
    # Longer wordings first: " in words meant for ..." ends like " for ...".
    found.sort(key=lambda entry: -len(_SLOT.sub("", entry[0])))
    return tuple((wish, regex) for _, wish, regex in found)


def _peel(text: str, found: dict[str, Any], form: str) -> str:
    """Return a text without the wishes at its end, which are added to ``found``."""
    for wish, pattern in _clauses(form):
        match = pattern.fullmatch(text)
        if match is None or wish in found:
            continue
        value = _wished(wish, match.groupdict())
        if value is not None:
            found.update(value)
            return _peel(match["rest"], found, form)
    return text


def _wished(wish: str, groups: Mapping[str, str]) -> dict[str, Any] | None:
    values = _material()["values"]
    match wish:
        case "audience":
            return {"audience": groups["audience"]} if groups["audience"] in values["audience"] else None
        case "tone":
            return {"tone": groups["tone"]} if groups["tone"] in TONES else None
        case "limit":
            return {"limit": int(groups["limit"])} if groups["limit"].isdecimal() else None
        case "keyword":
            return {"keyword": groups["word"]} if groups["word"] in values["keyword"] else None
    return {wish: True}


@cache
def _statements() -> dict[str, tuple[int, int, int]]:
    """Return topic, fact and value of every statement, without its full stop, in both spellings of its first letter."""
    found = {}
    for t, topic in enumerate(topics()):
        for f, fact in enumerate(topic.facts):
            for value in range(3):
                for wording in range(2):
                    sentence = fact.statement(wording, value).removesuffix(".")
                    found[sentence] = found[lowered(sentence)] = (t, f, value)
    return found


@cache
def _questions() -> dict[str, tuple[int, int]]:
    return {fact.question: (t, f) for t, topic in enumerate(topics()) for f, fact in enumerate(topic.facts)}


def _values(task: str, groups: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what the slots of a matched wording mean, or None where one of them means nothing."""
    values: dict[str, Any] = {}
    for name in ("topic", "other"):
        if name in groups:
            if groups[name] not in topics_by_name():
                return None
            values[name] = topics_by_name()[groups[name]]
    if "count" in groups:
        if groups["count"] not in COUNTS:
            return None
        values["count"] = COUNTS.index(groups["count"]) + 1
    if "tone" in groups:
        if groups["tone"] not in TONES:
            return None
        values["tone"] = groups["tone"]
    if "person" in groups:
        if groups["person"] not in _material()["values"]["person"]:
            return None
        values["person"] = groups["person"]
    if "question" in groups:
        if groups["question"] not in _questions():
            return None
        values["topic"], values["fact"] = _questions()[groups["question"]]
        values["value"] = 0
    if "statement" in groups:
        if groups["statement"] not in _statements():
            return None
        values["topic"], values["fact"], values["value"] = _statements()[groups["statement"]]
    return values if "topic" in values else None


def vocabulary() -> tuple[str, ...]:
    """Return the audiences, persons and keywords that instructions name."""
    values = _material()["values"]
    return (*values["audience"], *values["person"], *values["keyword"])
