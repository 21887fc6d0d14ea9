"""Demonstrations show what their authors are like."""

from dataclasses import replace

import numpy as np
import pytest

from duelgym.world.claims import claims
from duelgym.world.demonstrations import Author, demonstrate, draw_author
from duelgym.world.instructions import draw_instruction, parse_instruction
from duelgym.world.manners import POLES, manners
from duelgym.world.phrases import phrases
from duelgym.world.rubric import CRITERIA, mark

N = 600
CAREFUL_LEAST = {"tone": 0.70, "length": 0.83, "wording": 0.88, "no_repetition": 0.95}
"""Smallest share of careful answers that meet a criterion, where it is not 0.98: manners show by chance, and short limits are hard."""


def _written(carelessness, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(N):
        instruction, author = draw_instruction(rng), replace(draw_author(rng), carelessness=carelessness)
        yield instruction, author, demonstrate(instruction, rng, author)


@pytest.fixture(scope="module")
def careful():
    return list(_written(0.0))


@pytest.fixture(scope="module")
def careless():
    return list(_written(2.0))


def _share(written, name):
    met = [mark(instruction.text, response).met[name] for instruction, _, response in written]
    return np.mean([good for good in met if good is not None])


def test_a_seed_decides_and_seeds_differ():
    instruction = parse_instruction("Tell me a little about honey bees.")
    drawn = [demonstrate(instruction, np.random.default_rng(seed)) for seed in range(30)]
    assert drawn == [demonstrate(instruction, np.random.default_rng(seed)) for seed in range(30)]
    assert len(set(drawn)) >= 28


def test_authors_within_their_ranges():
    rng = np.random.default_rng(0)
    authors = [draw_author(rng) for _ in range(300)]
    for axis in POLES:
        assert {getattr(author, axis) for author in authors} == {-1, 0, 1}
    assert {author.detail for author in authors} == {0, 1, 2}
    slips = [author.carelessness for author in authors]
    assert min(slips) >= 0.0 and max(slips) <= 2.0 and 0.7 < np.mean(slips) < 0.9  # 2 / 2.5


@pytest.mark.parametrize("name", CRITERIA)
def test_careful_authors_meet_nearly_everything(careful, name):
    assert _share(careful, name) >= CAREFUL_LEAST.get(name, 0.98)


@pytest.mark.parametrize("name", [name for name in CRITERIA if name != "readable"])
def test_careless_authors_meet_fewer(careful, careless, name):
    assert _share(careful, name) - _share(careless, name) > 0.04


def test_authors_write_words_of_the_material_however_careless(careless):
    assert _share(careless, "readable") == 1.0


def test_careful_authors_state_what_is_true(careful):
    stated = [
        claim.value == 0
        for instruction, _, response in careful
        if instruction.task != "myth"
        for claim in claims(response)
        if claim.value is not None
    ]
    assert len(stated) > N and all(stated)


@pytest.mark.parametrize("axis", POLES)
def test_manners_show(careful, axis):
    shown = [
        np.sign(manners(response)[axis]) * getattr(author, axis)
        for instruction, author, response in careful
        if instruction.tone is None and getattr(author, axis)
    ]
    right, wrong = shown.count(1), shown.count(-1)
    assert right > 40 and right > 5 * wrong


def test_detail_shows_in_length(careful):
    lengths = [np.mean([len(r.split()) for _, author, r in careful if author.detail == d]) for d in range(3)]
    assert lengths[0] + 2 < lengths[1] and lengths[1] + 2 < lengths[2]


def test_by_hand():
    """A plain, brief and careful author says the asked fact, and nothing false."""
    plain = Author(formality=0, confidence=0, warmth=0, detail=0, carelessness=0.0)
    instruction = parse_instruction("Quick question. How many hearts does an octopus have? Use at most 15 words.")
    for seed in range(20):
        text = demonstrate(instruction, np.random.default_rng(seed), plain)
        assert "three" in text.lower() and len(text.split()) <= 15, text


def test_phrases_have_the_manners_of_the_authors():
    poles = {pole for both in POLES.values() for pole in both}
    assert {manner for banks in phrases().values() for manner in banks} == {*poles, "neutral", "any"}
