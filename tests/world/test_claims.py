"""Which facts a text states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.world.claims import Claim, claims, sentences, stated_value
from duelgym.world.topics import Fact, topics, topics_by_name

OCTOPUS, BEES = topics_by_name()["octopuses"], topics_by_name()["honey bees"]
GREAT_WALL = topics_by_name()["the Great Wall of China"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("An octopus has three hearts.", [(OCTOPUS, 0, 0, 0)]),
        ("An octopus has two hearts.", [(OCTOPUS, 0, 1, 0)]),
        ("Nine hearts pump blood through an octopus.", [(OCTOPUS, 0, 2, 0)]),
        ("An octopus has purple hearts.", []),  # two content words and no value
        ("Purple hearts pump blood through an octopus.", [(OCTOPUS, 0, None, 0)]),
        ("There is more about how the Great Wall was built out there.", []),  # one content word besides the topic's
        ("The Great Wall was built to keep out rabbits.", [(GREAT_WALL, 1, None, 0)]),
        ("Three hearts octopus through pump an blood.", []),  # scrambled
        ("Blood pump hearts through an octopus three.", []),
        ("Nectar make honey bees honey from.", []),
        ("1969. Honey bees make honey from nectar.", [(BEES, 0, 0, 1)]),  # a year is no list mark
        ("An octopus has hearts, three say.", [(OCTOPUS, 0, None, 0)]),  # not where the slot is
        ("How many hearts does an octopus have? Three.", [(OCTOPUS, 0, 0, 1)]),
        ("Question: How many hearts does an octopus have?\nAnswer: Nine!", [(OCTOPUS, 0, 2, 1)]),
        ("How many hearts does an octopus have? I forget.", [(OCTOPUS, 0, None, 1)]),
        ("How many hearts does an octopus have? A honey bee has four wings. Three.", [(BEES, 1, 0, 1)]),
        ("It seems that an octopus has three hearts, or so I think.", [(OCTOPUS, 0, 0, 0)]),
        ("1. An octopus has eight arms.\n2. Honey bees make honey from sand.", [(OCTOPUS, 1, 0, 0), (BEES, 0, 1, 1)]),
        ("Good morning! Have a nice day.", []),
        ("", []),
    ],
)
def test_by_hand(text, expected):
    assert claims(text) == [Claim(*claim) for claim in expected]


def test_sentences_by_hand():
    text = "Rosa: Is it so?  Yes!\n\n2) It is.\n- A dash\n* A star."
    assert sentences(text) == ["Is it so?", "Yes!", "It is.", "A dash", "A star."]
    assert sentences(" \n ") == []


def test_the_longest_value_is_the_one_that_is_stated():
    fact = Fact(("It is [small|very small|big].", "[Small|Very small|Big] it is."), ("small", "very small", "big"), "?")
    assert stated_value(fact, ["a", "very", "small", "one"]) == 1
    assert stated_value(fact, ["a", "small", "one"]) == 0
    assert stated_value(fact, ["smaller"]) is None
    assert stated_value(fact, []) is None


def test_every_statement_of_the_material_is_recognised():
    missed = set()
    for t, topic in enumerate(topics()):
        for f, fact in enumerate(topic.facts):
            for v in range(3):
                for w in range(2):
                    statement = fact.statement(w, v)
                    if claims(statement) != [Claim(t, f, v, 0)]:
                        missed.add(statement)
    assert not missed


def test_every_question_followed_by_a_bare_value_is_recognised():
    missed = set()
    for t, topic in enumerate(topics()):
        for f, fact in enumerate(topic.facts):
            for v in range(3):
                answer = f"{fact.values[v][:1].upper()}{fact.values[v][1:]}."
                if claims(f"{fact.question}\n{answer}") != [Claim(t, f, v, 1)]:
                    missed.add(fact.question)
    assert not missed


@given(st.text(max_size=200))
def test_any_text_is_read(text):
    found = claims(text)
    assert all(0 <= claim.sentence < len(sentences(text)) for claim in found)
    assert len({claim.sentence for claim in found}) == len(found)
