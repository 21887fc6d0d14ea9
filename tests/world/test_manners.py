"""Manners read from words."""

from math import tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.world.manners import POLES, directness, involvement, manners
from duelgym.world.phrases import phrases
from duelgym.world.topics import topics

PLAIN = dict.fromkeys(POLES, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("Honey bees make honey from nectar.", {}),
        ("Honey bees make honey from nectar!", {"warmth": tanh(1 / 4)}),
        ("Honey bees make honey!! From nectar!", {"warmth": tanh(3 / 4)}),
        ("Bees don't sleep.", {"formality": -tanh(1 / 4)}),
        (
            "It's wild, folks, bees sleep.",
            {"formality": -tanh(3 / 4)},
        ),  # "it's", it's wild, wild folks: no more for "It's"
        ("Okay, bees sleep!", {"formality": -tanh(1 / 4)}),  # casual, not warm
        ("Okay, bees sleep. Bees make honey!", {"formality": -tanh(1 / 4), "warmth": tanh(1 / 4)}),
        ("The queen's hive.", {}),  # a possessive is no contraction
        # "" bees, bees sleep, sleep Certainly: as the first word of a sentence "Certainly" is bold, elsewhere it is nothing.
        ("Certainly, bees sleep.", {"confidence": tanh(1 / 4)}),
        ("Bees sleep certainly.", {}),
        ("Perhaps, bees sleep.", {"confidence": -tanh(1 / 4)}),
    ],
)
def test_by_hand(text, expected):
    assert manners(text) == pytest.approx({**PLAIN, **expected})


@pytest.mark.parametrize(("axis", "pole"), [(axis, pole) for axis, both in POLES.items() for pole in both])
def test_phrases_show_their_own_manner_and_never_the_opposite(axis, pole):
    sign = 1 if pole == POLES[axis][0] else -1
    bank = [phrase.replace("{topic}", "bees") for banks in phrases().values() for phrase in banks.get(pole, ())]
    shown = np.array([sign * manners(phrase)[axis] for phrase in bank])
    assert (shown > 0).mean() > 0.75 and not (shown < 0).any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.0),
        ("An octopus has three hearts.", 1.0),
        ("Three.", 1.0),  # a bare value
        ("Question: Which planet has rings that a telescope can show?", 9 / 10),  # the word "Question" is no fact
        ("My dear reader, an octopus has three hearts.", 4 / 8),  # "" my, my dear, dear reader, reader an: no facts
        ("Cheers, pal!", 0.0),
    ],
)
def test_directness_by_hand(text, expected):
    assert directness(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.0),
        ("An octopus has three hearts.", 0.0),
        ("I'm sure you know my friend", 3 / 6),
        ("We. You! Mine? Yours,", 1.0),
    ],
)
def test_involvement_by_hand(text, expected):
    assert involvement(text) == pytest.approx(expected)


def test_facts_have_no_manner():
    assert all(
        manners(fact.statement(w, v)) == PLAIN for t in topics() for fact in t.facts for w in (0, 1) for v in (0, 1)
    )


@given(st.text(max_size=200))
def test_any_text_is_within_range(text):
    read = manners(text)
    assert set(read) == set(POLES) and all(-1 <= value <= 1 for value in read.values())
    assert 0 <= directness(text) <= 1 and 0 <= involvement(text) <= 1
