"""The hand-written material: enough of it, well-formed, and nothing said twice."""

import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from duelgym.world.phrases import phrases
from duelgym.world.topics import Fact, topics, topics_by_name, words

FACTS = [(topic, fact) for topic in topics() for fact in topic.facts]
STATEMENTS = [fact.statement(w, v) for _, fact in FACTS for w in range(2) for v in range(3)]
SLOT = re.compile(r"^[^][|]*\[[^][|]+\|[^][|]+\|[^][|]+\][^][|]*$")


def _repeated(texts):
    return [text for text, n in Counter(texts).items() if n > 1]


def test_a_fact_by_hand():
    fact = Fact(("A bee has [four|one] wings.", "[Four|One] wings has a bee."), ("four", "one", "ten"), "How many?")
    assert fact.frame(0) == "A bee has [four|one] wings."  # two values are no slot
    fact = Fact(
        ("A bee has [four|one|ten] wings.", "[Four|One|Ten] wings has a bee."), ("four", "one", "ten"), "How many?"
    )
    assert fact.statement() == "A bee has four wings." and fact.statement(1, 2) == "Ten wings has a bee."
    assert fact.frame(0) == "A bee has   wings."


def test_words_by_hand():
    assert words("It's 9 o'clock -- #Bees, well-known!") == ["it's", "9", "o'clock", "bees", "well", "known"]
    assert words(" \n") == []


def test_there_is_enough_of_it():
    assert len(topics()) >= 60
    assert all(len(topic.facts) >= 12 for topic in topics())


def test_the_documentation_counts_it_rightly():
    told = (Path(__file__).parents[2] / "docs" / "embedded-world.md").read_text()
    n_phrases = sum(len(bank) for banks in phrases().values() for bank in banks.values())
    assert f"{len(topics())} topics with {len(topics()[0].facts)} true facts each" in told
    assert f"{n_phrases:,} phrases".replace(",", " ") in told


def test_nothing_is_said_twice():
    assert _repeated(STATEMENTS) == []
    assert _repeated(fact.question for _, fact in FACTS) == []
    assert _repeated(name for topic in topics() for name in topic.names) == []
    assert _repeated(phrase for banks in phrases().values() for bank in banks.values() for phrase in bank) == []


def test_topics_are_found_by_each_of_their_names():
    assert all(topics()[topics_by_name()[name]] is topic for topic in topics() for name in topic.names)


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: topic.name)
def test_facts_are_well_formed(topic):
    assert topic.words and all(word == word.lower() for word in topic.words)
    for fact in topic.facts:
        assert all(SLOT.match(frame) for frame in fact.frames), fact
        assert len({tuple(words(value)) for value in fact.values}) == 3, fact
        assert fact.question[:1].isupper() and fact.question.endswith("?") and fact.question.count("?") == 1
        for w in range(2):
            for v in range(3):
                sentence = fact.statement(w, v)
                assert sentence.endswith(".") and sentence[:1].isupper() and "  " not in sentence, sentence
                assert " ".join(words(fact.values[v])) in " ".join(words(sentence)), (
                    "both wordings have the same values"
                )


def test_the_files_are_ascii():
    folder = files("duelgym.world") / "material"
    read = [folder / "phrases.toml", folder / "instructions.toml", *(folder / "topics").iterdir()]
    assert len(read) > 3
    assert [file.name for file in read if not file.read_bytes().isascii()] == []
