"""A pool in place of a language model."""

import pickle

import numpy as np
import pytest

from duelgym.errors import GeneratorError, PoolError
from duelgym.generators import CandidateGenerator
from duelgym.generators.recorded import RecordedGenerator


@pytest.fixture
def generator(pool_path):
    return RecordedGenerator(pool_path)


def test_all_responses_come_in_the_pools_order(generator):
    assert isinstance(generator, CandidateGenerator) and generator.embedding_dim == 8
    rows = np.array([7, 3], dtype=np.int64)
    prompts = [generator.pool.texts(int(row)).prompt for row in rows]
    responses = generator.generate(prompts, 6, rng=np.random.default_rng(0))
    assert responses.texts == tuple(generator.pool.texts(int(row)).candidates for row in rows)
    assert np.array_equal(responses.prompt_embeddings, generator.pool.prompt_embeddings(rows))
    every = np.tile(np.arange(6), (2, 1))
    assert np.array_equal(responses.candidate_embeddings, generator.pool.candidate_embeddings(rows, every))
    assert responses.clipped == 0
    assert (responses.n_tokens == -1).all() and set(np.ravel(responses.finish_reasons)) == {"stop"}  # not recorded


def test_a_part_is_chosen_without_replacement_whatever_the_company(generator):
    prompts = generator.prompts[:40]
    whole = generator.generate(prompts, 3, rng=np.random.default_rng(1))
    rng = np.random.default_rng(1)
    parts = [generator.generate(part, 3, rng=rng) for part in (prompts[:1], prompts[1:9], prompts[9:])]
    assert sum((part.texts for part in parts), ()) == whole.texts
    recorded = [generator.pool.texts(row).candidates for row in range(40)]
    for line, texts, embeddings in zip(whole.texts, recorded, whole.candidate_embeddings, strict=True):
        assert set(line) <= set(texts)
        assert len({one.tobytes() for one in embeddings}) == 3
    places = {texts.index(line[0]) for line, texts in zip(whole.texts, recorded, strict=True)}
    assert len(places) > 3  # any column can come first


def test_pickled_it_answers_alike(generator):
    again = pickle.loads(pickle.dumps(generator))
    first, second = (g.generate(g.prompts[:2], 2, rng=np.random.default_rng(0)) for g in (generator, again))
    assert first.texts == second.texts and again.specification() == generator.specification()


def test_what_it_cannot_answer_is_named(generator, pool_path, tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(GeneratorError, match="'Who\\?' is not in pool 'made-up-0'"):
        generator.generate(["Who?"], 2, rng=rng)
    with pytest.raises(GeneratorError, match="n is 7; pool 'made-up-0' holds 6"):
        generator.generate(generator.prompts[:1], 7, rng=rng)
    with pytest.raises(GeneratorError, match="at least one prompt"):
        generator.generate([], 2, rng=rng)
    with pytest.raises(PoolError):
        RecordedGenerator(tmp_path)
    with pytest.raises(GeneratorError, match="pool is 5"):
        RecordedGenerator(5)
