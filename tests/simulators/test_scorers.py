"""The rubric as a scorer."""

import numpy as np
import pytest

from duelgym.errors import SpecificationError
from duelgym.simulators import Rubrics, Scorer
from duelgym.world.instructions import draw_instruction
from duelgym.world.rubric import ATTRIBUTES, mark


def test_rubrics_are_the_marks_of_the_world():
    prompts = [draw_instruction(np.random.default_rng(seed)).text for seed in range(3)]
    responses = [["Yes.", "", "I do not know. I do not know."]] * 3
    scores = Rubrics().score(prompts, responses)
    assert isinstance(Rubrics(), Scorer) and Rubrics().attributes == ATTRIBUTES
    assert scores.shape == (3, 3, len(ATTRIBUTES)) and np.isfinite(scores).all()
    for row in range(3):
        for column in range(3):
            expected = mark(prompts[row], responses[row][column]).attributes
            assert scores[row, column].tolist() == [expected[name] for name in ATTRIBUTES]


def test_rubrics_of_nothing_and_of_what_does_not_fit():
    assert Rubrics().score([], []).shape == (0, 0, len(ATTRIBUTES))
    with pytest.raises(SpecificationError, match="give each prompt equally many"):
        Rubrics().score(["one"], [["a"], ["b"]])
