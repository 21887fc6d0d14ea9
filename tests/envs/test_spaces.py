"""String spaces."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duelgym.envs import Unicode, UnicodeTuple


@given(st.text())
def test_any_string_is_inside(text):
    assert Unicode().contains(text)
    assert UnicodeTuple(2).contains((text, ""))


def test_what_is_no_string_is_outside():
    assert not Unicode().contains(np.str_("cut off in silence"))
    assert not Unicode().contains(b"bytes") and not Unicode().contains(None)
    assert not UnicodeTuple(2).contains(("one",)) and not UnicodeTuple(1).contains(["list"])


def test_samples_are_inside_seeded_and_round_trip():
    for make in (Unicode, lambda: UnicodeTuple(3)):
        space, twin = make(), make()
        space.seed(3), twin.seed(3)
        sample = space.sample()
        assert sample == twin.sample() and sample in space
        assert space.from_jsonable(space.to_jsonable([sample])) == [sample]
        assert space == twin and hash(space) == hash(twin)
    assert UnicodeTuple(2) != UnicodeTuple(3)
