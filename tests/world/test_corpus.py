"""What is kept from training, and the streams of demonstrations."""

from itertools import islice

import numpy as np
import pytest

from duelgym.world.corpus import demonstrations, draw_prompts, held_out
from duelgym.world.instructions import draw_instruction


def test_one_prompt_in_eight_is_held_out():
    rng = np.random.default_rng(0)
    kept = [held_out(text) for text in {draw_instruction(rng).text for _ in range(3000)}]
    assert abs(np.mean(kept) - 1 / 8) < 4 * np.sqrt(1 / 8 * 7 / 8 / len(kept))


def test_what_is_held_out_by_hand():
    # sha256 of "abc" begins with ba, that of "7" with 79, that of "" with e3; of "39" with 0b.
    assert not any(map(held_out, ("abc", "7", ""))) and held_out("39")


@pytest.mark.parametrize("kept", [False, True])
def test_demonstrations_are_of_the_side_asked_for(kept):
    shown = list(islice(demonstrations(np.random.default_rng(1), each=3, kept=kept), 40))
    assert all(held_out(d.instruction.text) == kept and len(d.responses) == 3 for d in shown)
    assert all(isinstance(response, str) and response for d in shown for response in d.responses)
    assert shown == list(islice(demonstrations(np.random.default_rng(1), each=3, kept=kept), 40))
    assert shown != list(islice(demonstrations(np.random.default_rng(2), each=3, kept=kept), 40))


def test_prompts_are_different_held_out_and_grow_at_the_end():
    prompts = draw_prompts(60, np.random.default_rng(5))
    assert len(prompts) == len(set(prompts)) == 60 and all(map(held_out, prompts))
    assert draw_prompts(40, np.random.default_rng(5)) == prompts[:40]
