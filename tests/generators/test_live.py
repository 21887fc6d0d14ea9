"""Questions answered when they are asked: by a stand-in that draws letters, so that all is exact."""

import pickle
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import SpecificationError
from duelgym.generators import Questions, QuestionSource, QuestionStream, Responses
from duelgym.generators.live import KEPT_QUESTIONS, LiveQuestions

PROMPTS = [f"prompt {number}" for number in range(30)]


class Letters:
    """Ten random letters a response; its embedding spells them."""

    embedding_dim = 10

    def __init__(self):
        self.calls = []

    def generate(self, prompts, n, *, rng):
        self.calls.append(len(prompts))
        codes = rng.integers(26, size=(len(prompts), n, 10))
        texts = tuple(tuple("".join(string.ascii_lowercase[c] for c in one) for one in line) for line in codes)
        reasons = tuple(("stop",) * n for _ in prompts)
        embeddings = (codes / 25).astype(np.float32)
        about = np.array([[len(prompt) / 100] * 10 for prompt in prompts], np.float32)
        return Responses(texts, reasons, np.full((len(prompts), n), 10), about, embeddings, len(prompts))

    def specification(self):
        return {"name": "letters"}


def _source(**kwargs):
    return LiveQuestions(Letters(), PROMPTS, **{"n_candidates": 4, **kwargs})


def _spelt(embedding):
    return "".join(string.ascii_lowercase[round(float(x) * 25)] for x in embedding)


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 2**31))
def test_it_does_not_matter_how_many_are_drawn_at_a_time(sizes, seed):
    whole = _source().stream(np.random.default_rng(seed)).draw(sum(sizes))
    stream = _source().stream(np.random.default_rng(seed))
    parts = [stream.draw(n) for n in sizes]
    assert np.concatenate([part.prompt_ids for part in parts]).tolist() == whole.prompt_ids.tolist()
    assert np.array_equal(np.concatenate([part.candidate_ids for part in parts]), whole.candidate_ids)
    assert np.array_equal(np.concatenate([part.features[1] for part in parts]), whole.features[1])


def test_a_batch_is_one_call_and_clips_are_counted():
    source = _source()
    assert isinstance(source, QuestionSource)
    stream = source.stream(np.random.default_rng(0))
    assert isinstance(stream, QuestionStream)
    stream.draw(8), stream.draw(1)
    assert source.generator.calls == [8, 1] and stream.clipped == 9


def test_texts_embeddings_and_positions_belong_together():
    source = _source()
    questions = source.stream(np.random.default_rng(2)).draw(50)
    contexts = source.contexts(questions, texts=True)
    for row in range(50):
        assert contexts.candidate_texts[row] == tuple(_spelt(e) for e in contexts.candidates[row])
        assert sorted(questions.candidate_ids[row]) == [0, 1, 2, 3]
        prompt, texts = source.texts(int(questions.prompt_ids[row]), questions.candidate_ids[row][:2])
        assert texts == contexts.candidate_texts[row][:2] and prompt == contexts.prompt_texts[row]
        assert PROMPTS[questions.prompt_ids[row] % 30] == prompt
    assert len({tuple(ids) for ids in questions.candidate_ids}) > 10  # the order shown is drawn too
    assert questions.prompt_ids.min() >= 0 and questions.prompt_ids.max() < 2**53


def test_prompts_come_in_passes_and_those_assessed_are_never_asked():
    source = _source(n_assessment=5)
    rows = source.stream(np.random.default_rng(0)).draw(75).prompt_ids % 30
    held_out = set((source.assessment(np.random.default_rng(1)).prompt_ids % 30).tolist())
    for start in (0, 25, 50):
        assert sorted(rows[start : start + 25]) == sorted(set(range(30)) - held_out)
    assert rows[:25].tolist() != rows[25:50].tolist() and len(held_out) == 5


def test_assessment_prompts_follow_from_the_texts_alone():
    forwards, backwards = _source(), LiveQuestions(Letters(), PROMPTS[::-1], n_candidates=4)
    held_out = [
        {source.prompts[i % 30] for i in source.assessment(np.random.default_rng(0)).prompt_ids}
        for source in (forwards, backwards)
    ]
    assert held_out[0] == held_out[1] and len(held_out[0]) == 30 // 5
    assert LiveQuestions(Letters(), [f"p{i}" for i in range(400)], n_candidates=2).n_assessment == 64


def test_the_assessment_is_generated_once_and_its_texts_outlast_the_questions():
    source = _source()
    first = source.assessment(np.random.default_rng(4))
    source.stream(np.random.default_rng(0)).draw(KEPT_QUESTIONS + 10)
    assert source.assessment(np.random.default_rng(4)) is first and len(source.generator.calls) == 2
    assert len(source.contexts(first, texts=True).candidate_texts) == 6
    assert source.assessment(np.random.default_rng(5)).prompt_ids.tolist() != first.prompt_ids.tolist()


def test_what_is_forgotten_says_so_and_memory_is_bounded():
    source = _source()
    stream = source.stream(np.random.default_rng(0))
    first = stream.draw(1)
    for _ in range(3):
        last = stream.draw(KEPT_QUESTIONS // 2)
    assert len(source._kept) == KEPT_QUESTIONS
    assert source.texts(int(last.prompt_ids[0]), np.arange(4))
    with pytest.raises(SpecificationError, match="not kept"):
        source.texts(int(first.prompt_ids[0]), np.arange(4))
    assert len(source.contexts(stream.draw(2 * KEPT_QUESTIONS), texts=True).prompt_texts) == 2 * KEPT_QUESTIONS


def test_the_fingerprint_tells_texts_and_orders_apart():
    source = _source()
    questions = source.stream(np.random.default_rng(0)).draw(3)
    turned = Questions(questions.prompt_ids, questions.candidate_ids[:, ::-1], questions.features)
    same = _source().stream(np.random.default_rng(0))
    assert source.fingerprint(questions) == source.fingerprint(questions.rows(slice(0, 3)))
    assert source.fingerprint(questions) != source.fingerprint(turned)
    other = _source()
    same = other.stream(np.random.default_rng(0)).draw(3)
    assert other.fingerprint(same) == source.fingerprint(questions)


def test_contexts_are_fresh_and_pickles_go_on():
    source = _source()
    stream = source.stream(np.random.default_rng(0))
    questions = stream.draw(2)
    source.contexts(questions).candidates[:] = 0
    assert source.contexts(questions).candidates.any()
    copied_source, copied_stream = pickle.loads(pickle.dumps((source, stream)))
    assert copied_source.texts(int(questions.prompt_ids[0]), np.arange(4)) == source.texts(
        int(questions.prompt_ids[0]), np.arange(4)
    )
    assert np.array_equal(copied_stream.draw(5).features[1], stream.draw(5).features[1])


@pytest.mark.parametrize(
    ("prompts", "kwargs", "words"),
    [
        (PROMPTS, {"n_candidates": 0}, "n_candidates is 0"),
        (PROMPTS, {"n_candidates": True}, "n_candidates is True"),
        (PROMPTS, {"n_candidates": 2, "n_assessment": 0}, "n_assessment is 0"),
        (PROMPTS, {"n_candidates": 2, "n_assessment": 30}, "leave at least one"),
        (["one"], {"n_candidates": 2}, "at least two"),
        (["one", "two", "one"], {"n_candidates": 2}, "2 of them different"),
    ],
)
def test_bad_arguments_say_what_is_allowed(prompts, kwargs, words):
    with pytest.raises(SpecificationError, match=words):
        LiveQuestions(Letters(), prompts, **kwargs)


def test_questions_of_a_pool_are_refused():
    with pytest.raises(SpecificationError, match="carry no embeddings"):
        _source().contexts(Questions(np.zeros(1, np.int64), np.zeros((1, 4), np.int64)))
