"""Instructions say all that is asked for, and are read back exactly."""

import tomllib
from importlib.resources import files
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym.world.instructions import (
    TONES,
    Instruction,
    draw_instruction,
    lowered,
    parse_instruction,
    person_names,
    vocabulary,
)
from duelgym.world.topics import topics_by_name

MATERIAL = tomllib.loads((files("duelgym.world") / "material" / "instructions.toml").read_text("utf-8"))


def _drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_instruction(rng) for _ in range(n)]


def test_there_are_enough_wordings_and_none_twice():
    wordings = [wording for several in MATERIAL["tasks"].values() for wording in several]
    assert len(wordings) >= 150 and len(set(wordings)) == len(wordings)


@given(st.integers(0, 2**32))
def test_what_was_drawn_is_read_back(seed):
    drawn = draw_instruction(np.random.default_rng(seed))
    assert parse_instruction(drawn.text) == drawn


@pytest.mark.parametrize("wording", MATERIAL["tasks"]["compare"])
def test_names_that_hold_an_and_are_told_apart(wording):
    names = [name for name in topics_by_name() if " and " in name]
    assert len(names) >= 2
    for first, second in permutations(names[:8] + names[-2:], 2):
        if topics_by_name()[first] == topics_by_name()[second]:
            continue
        core = wording.replace("{topic}", first).replace("{other}", second)
        read = parse_instruction(core if core[-1] in "?." else f"{core}.")
        assert (read.task, read.topic, read.other) == ("compare", topics_by_name()[first], topics_by_name()[second])


def test_by_hand():
    bees, owls = topics_by_name()["honey bees"], topics_by_name()["owls and their habits"]
    text = "Compare honey bees with owls and their habits. Write for a judge. No more than 30 words."
    assert parse_instruction(text) == Instruction(text, "compare", bees, other=owls, audience="a judge", limit=30)
    text = "Quick question. How many wings does a honey bee have? Use the word 'door'. End with a question."
    assert parse_instruction(text) == Instruction(
        text, "question", bees, fact=1, value=0, keyword="door", question_end=True
    )
    text = "Is it true that a honey bee has ten wings?"
    assert parse_instruction(text) == Instruction(text, "check", bees, fact=1, value=2)
    text = "Make the following sound formal: A honey bee has four wings."
    assert parse_instruction(text) == Instruction(text, "rewrite", bees, fact=1, value=0, tone="formal")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Write me a poem.",
        "List five facts about honey bees.",
        "List two facts about dragons.",
        "Tell me a little about honey bees. Be rude.",
        "Tell me a little about honey bees. Use at most many words.",
        "Is it true that a honey bee has eleven wings?",
    ],
)
def test_what_is_no_instruction_is_refused_in_one_line(text):
    with pytest.raises(SpecificationError, match="is not an instruction of the embedded world") as refused:
        parse_instruction(text)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        assert parse_instruction(text).text == text
    except SpecificationError as refused:
        assert "is not an instruction of the embedded world" in str(refused)


def test_a_seed_decides_and_seeds_differ():
    assert _drawn(50, seed=3) == _drawn(50, seed=3)
    assert _drawn(50, seed=3) != _drawn(50, seed=4)


def test_every_task_and_wish_is_drawn_within_its_range():
    drawn = _drawn(1500)
    assert {d.task for d in drawn} == set(MATERIAL["tasks"])
    assert {d.tone for d in drawn} == {None, *TONES}
    assert {d.count for d in drawn} == {None, 1, 2, 3}
    assert all((d.other is not None) == (d.task == "compare") and d.other != d.topic for d in drawn)
    assert all((d.person is not None) == (d.task == "note") for d in drawn)
    assert all(d.limit is None or d.limit >= 5 + 10 * (d.count or 1) for d in drawn)
    assert not any(d.one_sentence and d.question_end for d in drawn)
    checked = [d.value == 0 for d in drawn if d.task == "check"]
    assert 0.3 < np.mean(checked) < 0.7
    assert all(d.value == 0 for d in drawn if d.task == "rewrite")


def test_vocabulary_and_names():
    assert {"a judge", "Aunt Rosa", "door"} <= set(vocabulary())
    assert "Tara" in person_names() and len(set(person_names())) == len(person_names())


def test_lowered_by_hand():
    assert lowered("A bee has four wings.") == "a bee has four wings."
    assert lowered("Kenya is a country in Africa.") == "Kenya is a country in Africa."
