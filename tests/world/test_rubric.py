"""Each criterion met and missed, by hand, and attributes in their ranges whatever is answered."""

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym.world.instructions import draw_instruction
from duelgym.world.phrases import phrases
from duelgym.world.rubric import ATTRIBUTES, CRITERIA, mark

ABOUT = "Tell me a little about octopuses."
ASKED = "Quick question. How many hearts does an octopus have?"
DOUBTED = "Is it true that an octopus has two hearts?"
LIST = "List two facts about octopuses."
NUMBERED = "Write a numbered list of two facts about octopuses."
BULLETS = "Use dashes to list two facts about octopuses."
COMPARE = "Compare octopuses with honey bees."
HEADLINE = "Write a newspaper headline about octopuses."
NOTE = "Write a short note to Grandma Lily about octopuses."
QUIZ = "Write a quiz question about octopuses and give the answer."
DIALOGUE = "Write two lines of dialogue about octopuses."
MYTH = "Correct a popular myth about octopuses."
POST = "Post something on octopuses and end with a hashtag."
HEARTS, ARMS, HONEY = "An octopus has three hearts.", "An octopus has eight arms.", "Honey bees make honey from nectar."
NO, YES = "The claim cannot be upheld.", "It is hereby confirmed as accurate."

MET_AND_MISSED = [
    ("on_topic", ABOUT, HEARTS, HONEY),
    ("on_topic", ABOUT, "I like octopuses.", "I like it."),
    ("on_topic", COMPARE, f"{HEARTS} {HONEY}", HEARTS),
    ("on_topic", ASKED, "Three.", "No idea."),
    ("on_topic", DOUBTED, NO, "Who knows?"),
    ("answers", ABOUT, HEARTS, "I like octopuses."),
    ("answers", COMPARE, f"{HEARTS} {HONEY}", f"{HEARTS} I like bees."),
    ("answers", ASKED, "Three.", ARMS),
    ("answers", ASKED, HEARTS, "I do not know."),
    ("answers", DOUBTED, NO, HEARTS),
    ("answers", "Make the following sound formal: An octopus has three hearts.", HEARTS, ARMS),
    ("true", ABOUT, HEARTS, "An octopus has two hearts."),
    ("true", ABOUT, f"{HEARTS} {ARMS}", f"{HEARTS} An octopus has four arms."),
    ("true", ASKED, "Three.", "Nine."),
    ("true", DOUBTED, NO, YES),
    (
        "true",
        MYTH,
        f"Many people believe that an octopus has two hearts. In fact, {HEARTS.lower()}",
        "I like octopuses.",
    ),
    ("count", LIST, f"{HEARTS} {ARMS}", HEARTS),
    ("count", NUMBERED, f"1. {HEARTS}\n2. {ARMS}", f"1. {HEARTS}\n2. {ARMS}\n3. Octopuses live in the sea."),
    ("count", LIST, f"{HEARTS} {ARMS}", f"{HEARTS} {HEARTS}"),
    ("format", NUMBERED, f"1. {HEARTS}\n2. {ARMS}", f"- {HEARTS}\n- {ARMS}"),
    ("format", NUMBERED, f"Look:\n1. {HEARTS}\n2. {ARMS}", f"2. {HEARTS}\n1. {ARMS}"),
    ("format", BULLETS, f"- {HEARTS}\n- {ARMS}", f"{HEARTS}\n{ARMS}"),
    ("format", LIST, f"{HEARTS} {ARMS}", f"- {HEARTS}\n- {ARMS}"),
    ("format", HEADLINE, "An Octopus Has Three Hearts", HEARTS),
    ("format", HEADLINE, "An Octopus Has Three Hearts", "An Octopus\nHas Three Hearts"),
    ("format", NOTE, f"Dear Grandma Lily,\n{HEARTS}\nYours, Tara", f"Dear Grandma Lily,\n{HEARTS}"),
    ("format", NOTE, f"Dear Grandma Lily,\n{HEARTS}\nYours, Tara", f"Dear Grandma Lily,\n{HEARTS}\nYours"),
    ("format", QUIZ, "Question: How many hearts does an octopus have?\nAnswer: Three.", "How many? Three."),
    ("format", DIALOGUE, "Ben: How many hearts does an octopus have?\nTara: Three.", "Ben: How many?"),
    ("format", MYTH, f"Many people believe that an octopus has two hearts. In fact, {HEARTS.lower()}", HEARTS),
    ("format", POST, f"{HEARTS} #Octopuses", HEARTS),
    ("tone", f"{ABOUT} Be formal.", "Let it be stated that an octopus has three hearts.", HEARTS),
    ("tone", f"{ABOUT} Be friendly.", "An octopus has three hearts!", "Definitely, an octopus has three hearts."),
    (
        "tone",
        f"{ABOUT} Be cautious.",
        "Perhaps, an octopus has three hearts.",
        "Certainly, an octopus has three hearts.",
    ),
    ("length", f"{ABOUT} Use at most 15 words.", HEARTS, f"{HEARTS} {ARMS} {HONEY}"),
    ("length", f"{ABOUT} Answer in a single sentence.", HEARTS, f"{HEARTS} {ARMS}"),
    ("wording", f"{ABOUT} Use the word 'door'.", f"{HEARTS} Keep the word door in mind.", f"{HEARTS} Doors."),
    ("wording", f"{ABOUT} End with a question.", f"{HEARTS} Did you know?", HEARTS),
    ("wording", f"{ABOUT} Do not use exclamation marks.", HEARTS, f"{HEARTS} Wow!"),
    ("no_repetition", ABOUT, f"{HEARTS} {ARMS}", f"{HEARTS} {ARMS} {HEARTS}"),
    ("no_repetition", ABOUT, HEARTS, "An octopus has three hearts. Three hearts pump blood through an octopus."),
    ("no_repetition", QUIZ, f"Question: How many hearts does an octopus have?\nAnswer: {HEARTS}", "The the the bees."),
    (
        "no_repetition",
        "Give two reasons why people find octopuses interesting.",
        f"For example, people enjoy hearing that {HEARTS} For example, people enjoy hearing that {ARMS}",
        "An octopus has three hearts and an octopus has three hearts.",
    ),
    (
        "no_repetition",
        "Tell me a little about the game of football.",
        "Here is a word about the game of football. There is more about the game of football.",
        "Here you see what I like. And here you see what I like most.",
    ),
    (
        "format",
        "Write a short note to the new student about octopuses.",
        f"It is so good to write to you, New student!\n{HEARTS}\nYours, Tara",
        f"Dear all,\n{HEARTS}\nYours, Tara",
    ),
    ("format", NOTE, f"Dear Grandma Lily,\n{HEARTS}\nYours, Tara", f"Grandma Lily, {HEARTS}\n{ARMS}\nYours, Tara"),
    ("format", ASKED, "1969. An octopus has three.", "1. An octopus has three."),
    (
        "wording",
        f"{NOTE} End with a question.",
        "Dear Lily,\nDid you know?\nYours, Tara",
        "Dear Lily?\nYes.\nYours, Tara",
    ),
    ("complete", HEADLINE, "An Octopus Has Three Hearts", "Breaking News: An Octopus Has"),
    ("complete", ABOUT, HEARTS, "An octopus has three"),
    ("complete", HEADLINE, "An Octopus Has Three Hearts", "An Octopus"),
    ("polite", ABOUT, HEARTS, f"What a foolish question. {HEARTS}"),
    ("readable", ABOUT, HEARTS, "An octopus has three hearrts."),
    ("readable", ABOUT, HEARTS, "..."),
]


@pytest.mark.parametrize(("name", "prompt", "met", "missed"), MET_AND_MISSED)
def test_met_and_missed_by_hand(name, prompt, met, missed):
    assert mark(prompt, met).met[name] is True
    assert mark(prompt, missed).met[name] is False


def test_every_criterion_is_tried_by_hand():
    assert {name for name, *_ in MET_AND_MISSED} == set(CRITERIA)


def test_what_is_not_asked_for_is_not_marked():
    not_raised = {name for name, good in mark(ABOUT, HEARTS).met.items() if good is None}
    assert not_raised == {"count", "tone", "length", "wording"}


def test_attributes_by_hand():
    """Five words, one of two facts: of what is asked of the form, count (2) fails, format (2) and length (1) are met."""
    marks = mark(f"{LIST} Use at most 25 words.", HEARTS)
    assert marks.attributes == pytest.approx(
        {
            "helpful": 1.0,
            "true": 1.0,
            "formed": 3 / 5,
            "clean": 1.0,
            "detail": 1 - exp(-5 / 20),
            "formality": 0.0,
            "directness": 1.0,
            "involvement": 0.0,
        }
    )
    marks = mark(ABOUT, "What a foolish question. I like octopuses")
    assert marks.attributes["helpful"] == pytest.approx(1 / 3)  # on topic (1), no fact (2)
    assert marks.attributes["true"] == 0.0
    assert marks.attributes["clean"] == pytest.approx(2 / 5)  # rude (2) and cut off (1)


def test_truth_is_a_share():
    assert mark(LIST, f"{HEARTS} An octopus has four arms.").attributes["true"] == 1 / 2
    assert mark(DOUBTED, f"{NO} {HEARTS}").attributes["true"] == 1.0
    assert mark(DOUBTED, f"{NO} An octopus has nine hearts.").attributes["true"] == pytest.approx(
        2 / 3
    )  # verdicts count twice
    assert mark(DOUBTED, f"{YES} {HEARTS}").attributes["true"] == pytest.approx(1 / 3)


def test_the_empty_answer():
    marks = mark(ABOUT, "")
    missed = {name for name, good in marks.met.items() if good is False}
    assert missed == {name for name in CRITERIA if name not in ("count", "tone", "length", "wording")}
    assert set(marks.attributes.values()) == {0.0}
    assert marks == mark(ABOUT, " \n ")


@pytest.mark.parametrize("phrase", phrases()["rude"]["any"])
def test_rudeness_is_noticed(phrase):
    assert mark(ABOUT, f"{phrase.replace('{topic}', 'how octopuses live')} {HEARTS}").met["polite"] is False


def test_other_prompts_are_refused():
    with pytest.raises(SpecificationError, match="rubrics can only score those"):
        mark("Write me a poem.", HEARTS)


def _in_range(marks):
    assert tuple(marks.attributes) == ATTRIBUTES and set(marks.met) == set(CRITERIA)
    low = dict.fromkeys(ATTRIBUTES[:5], 0.0)
    assert all(low.get(name, -1.0) <= value <= 1.0 for name, value in marks.attributes.items())


PROMPTS = [draw_instruction(np.random.default_rng(seed)).text for seed in range(40)]
PROMPTS += [ABOUT, ASKED, DOUBTED, LIST, NUMBERED, BULLETS, COMPARE, HEADLINE, NOTE, QUIZ, DIALOGUE, MYTH, POST]
PIECES = [
    HEARTS,
    ARMS,
    HONEY,
    NO,
    YES,
    "Many people believe that an octopus has two hearts.",
    "1. ",
    "- ",
    "\n",
    " ",
    "!",
    "Yours, Tara",
    "Ben: ",
    "#Bees",
    "?",
]


@given(st.sampled_from(PROMPTS), st.text(max_size=120))
def test_any_text_is_marked(prompt, response):
    _in_range(mark(prompt, response))


@given(st.sampled_from(PROMPTS), st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_any_mixture_is_marked(prompt, response):
    _in_range(mark(prompt, response))


def test_weights_and_owners_of_criteria():
    assert {owner for owner, _ in CRITERIA.values()} == set(ATTRIBUTES[:4])
    assert all(weight > 0 for _, weight in CRITERIA.values())
