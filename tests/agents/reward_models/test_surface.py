from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.reward_models import surface
from duelgym_agents.reward_models.surface import SURFACE_FEATURES, surface_features


def surface_of(response, prompt=""):
    """Return the features of one response by name."""
    contexts = Contexts(np.zeros((1, 2), np.float32), np.zeros((1, 1, 2), np.float32), (prompt,), ((response,),))
    return dict(zip(SURFACE_FEATURES, surface_features(contexts)[0, 0], strict=True))


def test_a_response_by_hand():
    response = 'Sure! Two ways:\n- **boil** the egg, or\n2) fry it. "Which" do YOU like?'
    counts = {
        "characters": len(response),
        "words": 14,  # sure two ways boil the egg or 2 fry it which do you like
        "lines": 3,
        "sentence_ends": 3,
        "digits": 1,
        "capitals": 6,  # S T W Y O U
        "commas": 1,
        "colons": 1,
        "question_marks": 1,
        "exclamation_marks": 1,
        "quotation_marks": 2,
        "markup": 2,
        "list_items": 2,
        "personal_pronouns": 1,
    }
    shares = {
        "distinct_words": 1.0,
        "prompt_words": 2 / 5,  # egg, fry; not how, to, an
        "word_length": 43 / 14,
        "finished": 1.0,
    }
    seen = surface_of(response, "How to fry an EGG")
    assert seen == pytest.approx({name: np.log1p(count) for name, count in counts.items()} | shares)


def test_list_items_begin_a_line_with_a_bullet_or_a_number():
    items = surface_of("1. one\n  * two\n\n\n\u2022 three\n12) four\n-five\n3.14 is pi\nnot - an item")
    assert np.expm1(items["list_items"]) == pytest.approx(4)


def test_thousands_of_empty_lines_are_read_at_once():
    assert surface_of("a" + "\n" * 200_000 + "b")["list_items"] == 0


def test_repeated_words_and_an_end_in_the_middle():
    seen = surface_of("so so so we stop here -", "")
    assert seen["distinct_words"] == pytest.approx(4 / 6)
    assert (seen["prompt_words"], seen["finished"]) == (0, 0)
    assert surface_of("Done. \n")["finished"] == 1


def test_an_empty_response_has_features():
    assert surface_of("", "anything") == pytest.approx(dict.fromkeys(SURFACE_FEATURES, 0.0) | {"lines": np.log(2)})


@given(st.text(), st.text())
def test_any_text_has_finite_features_and_shares_are_shares(response, prompt):
    seen = surface_of(response, prompt)
    assert np.isfinite(list(seen.values())).all()
    assert all(seen[name] >= 0 for name in SURFACE_FEATURES)
    assert max(seen[name] for name in ("distinct_words", "prompt_words", "finished")) <= 1


def test_prompts_and_candidates_keep_their_places():
    texts = (("a", "bb"), ("ccc", "dddd"), ("e f", "g"))
    contexts = Contexts(np.zeros((3, 2), np.float32), np.zeros((3, 2, 2), np.float32), ("", "", ""), texts)
    characters = np.expm1(surface_features(contexts)[..., 0])
    assert characters == pytest.approx(np.array([[1, 2], [3, 4], [3, 1]]))


def test_what_was_seen_before_is_the_same_and_memory_is_bounded(monkeypatch):
    known = {}
    monkeypatch.setattr(surface, "_KNOWN", known)
    monkeypatch.setattr(surface, "_MOST_KNOWN", 3)
    pairs = [("a b", "c"), ("a", "b c"), ("a b c", ""), ("", "a b c"), ("\ud800", "c")]
    first = [surface_of(*pair) for pair in pairs]
    for _ in range(2):
        for pair, features in zip(pairs, first, strict=True):
            assert surface_of(*pair) == features
            assert 0 < len(known) <= 3
    assert len({tuple(features.values()) for features in first}) == 5


def test_what_was_seen_before_was_seen_with_its_prompt():
    shares = [surface_of("boil the egg", prompt)["prompt_words"] for prompt in ("egg", "ham", "egg or ham", "egg")]
    assert shares == pytest.approx([1, 0, 1 / 3, 1])


def test_contexts_without_texts_are_refused():
    with pytest.raises(SpecificationError, match="the contexts carry none"):
        surface_features(Contexts(np.zeros((1, 2), np.float32), np.zeros((1, 3, 2), np.float32)))
