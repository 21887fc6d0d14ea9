"""What is kept from training, and the streams of demonstrations."""

from itertools import islice

import numpy as np
import pytest

from duelgym.world.corpus import demonstrations, draw_prompts, held_out
from duelgym.world.instructions import draw_instruction
from duelgym.world.rubric import mark


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


def _with_twins(*twins):
    return list(islice(demonstrations(np.random.default_rng(3), each=2, twins=twins), 200))


def test_a_twin_is_the_last_answer_with_every_fact_stated_falsely():
    shown = _with_twins("false")
    assert shown == _with_twins("false") and all(len(d.responses) == 3 for d in shown)
    assert [d.responses[:2] for d in shown] == [d.responses for d in _with_twins()]
    assert np.mean([d.responses[1] != d.responses[2] for d in shown]) > 0.8  # the others were false, or state nothing
    for d in shown:
        # A verdict on a claim of another topic comes with a fact that is true: one statement in three, as verdicts count twice.
        most = 1 / 3 if d.instruction.task == "check" else 0.0
        assert mark(d.instruction.text, d.responses[2]).attributes["true"] <= most
    longer = [
        len(twin.split()) - len(answer.split())
        for d in shown
        for _, answer, twin in [d.responses]
        if d.instruction.task != "check"  # another verdict is another answer
    ]
    assert np.mean([abs(gap) <= 2 for gap in longer]) > 0.95  # limits on words may drop a sentence


def test_a_twin_is_the_last_answer_about_another_topic():
    shown = _with_twins("false", "elsewhere")
    assert [d.responses[:3] for d in shown] == [d.responses for d in _with_twins("false")]
    marks = [[mark(d.instruction.text, d.responses[k]) for k in (1, 3)] for d in shown]
    off = [
        there.met["on_topic"] is False
        for (_, there), d in zip(marks, shown, strict=True)
        if d.instruction.task != "check"
    ]
    assert np.mean(off) > 0.9  # a rare other topic is the same one, and a verdict fits any claim
    same = [here.attributes[name] == there.attributes[name] for here, there in marks for name in ("true", "clean")]
    assert np.mean(same) > 0.9
