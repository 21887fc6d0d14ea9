from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym_agents.reward_models.buffer import DuelBuffer, LabelledDuels


def numbered(numbers):
    numbers = np.asarray(numbers, np.float32)
    return LabelledDuels(
        np.repeat(numbers[:, None], 2, 1),
        np.broadcast_to(numbers[:, None, None], (len(numbers), 2, 3)),
        numbers,
        numbers[:, None],
    )


@settings(max_examples=60)
@given(st.integers(1, 7), st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_buffer_keeps_the_latest_duels(capacity, sizes):
    buffer = DuelBuffer(capacity=capacity, prompt_dim=2, candidate_dim=3, mark_dim=1)
    start = 0
    for size in sizes:
        buffer.add(numbered(np.arange(start, start + size)))
        start += size
    latest = set(range(max(0, start - capacity), start))
    assert len(buffer) == len(latest)
    pieces = [piece.targets for piece in buffer.pieces(3)]
    assert sorted(target for piece in pieces for target in piece) == sorted(latest)
    assert all(len(piece) <= 3 for piece in pieces)
    if latest:
        drawn = buffer.draw(200, np.random.default_rng(0))
        assert set(drawn.targets.tolist()) == latest
        assert np.array_equal(drawn.prompts[:, 1], drawn.targets)
        assert np.array_equal(drawn.candidates[:, 1, 2], drawn.targets)
        assert np.array_equal(drawn.marks[:, 0], drawn.targets)
