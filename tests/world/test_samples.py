"""How often criteria are met."""

import pytest

from duelgym.errors import SpecificationError
from duelgym.world.rubric import CRITERIA
from duelgym.world.samples import rates, samples

ABOUT, LIST = "Tell me a little about octopuses.", "List two facts about octopuses."
HEARTS, ARMS = "An octopus has three hearts.", "An octopus has eight arms."


def test_rates_by_hand():
    """Four answers: one is off topic, one is cut off; of the two to the list, one has the right count."""
    shares = rates([ABOUT, LIST], [(HEARTS, "I like it."), (f"{HEARTS} {ARMS}", "An octopus has three hearts")])
    assert tuple(shares) == tuple(CRITERIA)
    assert shares["on_topic"] == (3 / 4, 1.0)
    assert shares["complete"] == (3 / 4, 1.0)
    assert shares["count"] == (1 / 2, 1 / 2)
    assert shares["tone"] == (0.0, 0.0)
    assert shares["polite"] == (1.0, 1.0)


def test_no_answers_and_unequal_lengths():
    assert rates([], []) == dict.fromkeys(CRITERIA, (0.0, 0.0))
    with pytest.raises(ValueError, match="shorter"):
        rates([ABOUT, LIST], [(HEARTS,)])


@pytest.mark.parametrize("n", [0, -3])
def test_no_samples_are_refused(n):
    with pytest.raises(SpecificationError, match=f"n is {n}; it must be at least 1"):
        samples(None, n=n, temperature=1.0, top_p=1.0, seed=0)
