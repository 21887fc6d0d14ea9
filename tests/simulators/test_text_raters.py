"""Raters who read: a scorer's number as a utility, or its attributes combined by the embedded world's raters."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from duelgym import assets
from duelgym.errors import SpecificationError
from duelgym.generators import Questions
from duelgym.metrics.calibration import favourite_rate
from duelgym.pools import write_pool
from duelgym.simulators.attributes import AttributeRaters, Population
from duelgym.simulators.populations import calibration_pairs
from duelgym.simulators.text_raters import NoUtilities, TextAttributes, TextRaters, text_raters

POPULATION = Population(("letters",), ("spaces",), (2.0, 0.5), 1.0)
WORDS = ("plum", "sage", "rye", "horseradish", "thyme and salt", "a", "oak", "spruce")
QUESTIONS = Questions(np.array([3, 1]), np.array([[0, 4, 2], [5, 6, 7]]))


@dataclass
class Letters:
    """Scores: how many letters, and how many spaces, times a factor; counts how often it is asked."""

    attributes: tuple = ("letters", "spaces")
    factor: float = 1.0
    name: str = "letters"
    asked: list = field(default_factory=list)

    def score(self, prompts, responses):
        self.asked.append(list(prompts))
        counts = {"letters": len, "spaces": lambda text: text.count(" ")}
        return self.factor * np.array([[[counts[a](t) for a in self.attributes] for t in line] for line in responses])

    def specification(self):
        return {"name": "letters", "model": self.name}


class Source:
    """Candidate c is the c-th word."""

    def texts(self, prompt_id, candidate_ids):
        return f"prompt {prompt_id}", tuple(WORDS[c] for c in candidate_ids)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A pool in the place of the embedded one, whose attributes are two like the scorer's."""
    rng = np.random.default_rng(2)
    letters, spaces = rng.integers(1, 9, (60, 12)), rng.integers(0, 4, (60, 12))
    pool = write_pool(
        tmp_path / "pool",
        name="embedded",
        prompts=[f"prompt {k}" for k in range(60)],
        candidate_names=[f"candidate {k}" for k in range(12)],
        texts=[["a" * a + " " * b for a, b in zip(*both, strict=True)] for both in zip(letters, spaces, strict=True)],
        prompt_embeddings=rng.standard_normal((60, 3)),
        candidate_embeddings=rng.standard_normal((60, 12, 3)),
        utilities=rng.standard_normal((60, 12, 2)),
        attributes=("spaces", "letters"),
        raters=POPULATION.specification(),
    )
    monkeypatch.setattr(assets, "POOL", tmp_path / "pool")
    return pool


def test_one_attribute_is_the_utility_read_in_one_call():
    scorer = Letters(("letters",), factor=0.5)
    rater = text_raters(scorer, Source(), None)
    assert isinstance(rater, TextRaters) and rater.draw(np.random.default_rng(0)) is rater
    assert rater.utilities(QUESTIONS).tolist() == [[2.0, 7.0, 1.5], [0.5, 1.5, 3.0]]
    assert scorer.asked == [["prompt 3", "prompt 1"]]


@pytest.mark.parametrize("rater", [1, -1, False, {"letters": 1.0}])
def test_one_attribute_has_one_rater(rater):
    with pytest.raises(SpecificationError, match="there is one rater: give 0 or leave it out") as refused:
        text_raters(Letters(("letters",)), Source(), rater)
    assert "\n" not in str(refused.value)
    assert text_raters(Letters(("letters",)), Source(), 0).rater == 0


def test_text_attributes_by_hand():
    """ "oak", "spruce", "a" have 3, 6, 1 letters; spaces 0, 0, 0: centred over those shown, divided by 2 and 0.5."""
    read = TextAttributes(Letters(), Source(), POPULATION)
    values = read(Questions(np.array([0]), np.array([[6, 7, 5]])))
    expected = [(3 - 10 / 3) / 2, (6 - 10 / 3) / 2, (1 - 10 / 3) / 2]
    assert values[0, :, 0] == pytest.approx(expected) and values[0, :, 1].tolist() == [0.0, 0.0, 0.0]


def test_the_same_questions_are_read_once_and_others_afresh():
    read = TextAttributes(Letters(), Source(), POPULATION)
    first = read(QUESTIONS)
    assert read(QUESTIONS) is first and len(read.scorer.asked) == 1
    turned = read(Questions(QUESTIONS.prompt_ids, QUESTIONS.candidate_ids[:, ::-1]))
    assert np.array_equal(turned, first[:, ::-1]) and len(read.scorer.asked) == 2


@pytest.mark.parametrize("rater", [None, 0, 5, {"letters": 1.0, "spaces": -1.0}])
def test_raters_of_any_scale_are_equally_sure(world, rater):
    """Columns 0 to 9 of the embedded pool's prompts are read; every rater chooses the favourite of their pairs 70 % of the time."""
    for seed in range(3):
        one, thousand = (
            text_raters(Letters(factor=factor), Source(), rater).draw(np.random.default_rng(seed))
            for factor in (1.0, 1000.0)
        )
        assert one.utilities(QUESTIONS) == pytest.approx(thousand.utilities(QUESTIONS), rel=1e-4)
        raters = text_raters(Letters(), Source(), rater)
        assert isinstance(raters, AttributeRaters) and raters.calibration.shape == (300, 2, 2)
        drawn = raters.draw(np.random.default_rng(seed))
        sure = drawn.weights.utilities(raters.calibration) / drawn.scale
        assert favourite_rate(sure, temperature=1.0) == pytest.approx(0.70, abs=1e-4)
        assert np.array_equal(drawn.utilities(QUESTIONS), one.utilities(QUESTIONS))


def test_the_spread_is_the_scorers_own_by_hand(world):
    raters = text_raters(Letters(), Source(), None)
    texts = [world.texts(row).candidates[:10] for row in range(world.n_prompts)]
    letters, spaces = ([[count(t) for t in line] for line in texts] for count in (len, lambda text: text.count(" ")))
    expected = [np.sqrt(np.mean([np.var(line, ddof=1) for line in counts])) for counts in (letters, spaces)]
    assert raters.population.spread == pytest.approx(expected)
    assert (raters.population.liked, raters.population.tastes) == (POPULATION.liked, POPULATION.tastes)


def test_the_embedded_model_has_the_pools_own_scale(world):
    scorer = Letters(name="embedded")
    raters = text_raters(scorer, Source(), 1)
    assert raters.population == POPULATION and raters.calibration is calibration_pairs(world) and not scorer.asked


def test_attributes_that_nothing_combines_are_refused(world, monkeypatch, tmp_path):
    with pytest.raises(SpecificationError, match="the simulator scores letters, commas, and nothing says") as refused:
        text_raters(Letters(("letters", "commas")), Source(), None)
    assert "\n" not in str(refused.value)
    monkeypatch.setattr(assets, "POOL", tmp_path / "none")
    with pytest.raises(SpecificationError, match="head=…"):
        text_raters(Letters(), Source(), None)


def test_an_unknown_rater_is_refused(world):
    with pytest.raises(SpecificationError, match="rater holds 'commas'"):
        text_raters(Letters(), Source(), {"commas": 1.0})


def test_who_compares_without_utilities_has_none():
    rater = NoUtilities()
    assert rater.draw(np.random.default_rng(0)) is rater and rater.utilities(QUESTIONS) is None
