"""Embeddings by a model that reads what another has written, and generators by their JSON."""

import numpy as np
import pytest
import tiny_models
import torch

from duelgym.errors import GeneratorError, SpecificationError
from duelgym.generators import CandidateGenerator, Encoder
from duelgym.generators.encoder import Reencoded, TransformersEncoder
from duelgym.generators.hugging_face import TransformersGenerator
from duelgym.generators.recorded import RecordedGenerator
from duelgym.generators.specification import encoder_from_specification, generator_from_specification, live_generator

PROMPTS = ["Write about the moon.", "Bread?"]
RESPONSES = [["The moon goes round.", ""], ["Bread is made of flour, water and salt.", "Yes."]]


@pytest.mark.parametrize("pooling", ["last", "mean", "both"])
def test_each_text_is_read_after_its_prompt(tiny_model, pooling):
    encoder = TransformersEncoder(tiny_model, pooling=pooling, batch_size=3)
    assert isinstance(encoder, Encoder) and encoder.embedding_dim == (width := 64 if pooling == "both" else 32)
    prompt_embeddings, embeddings, cut = encoder.embed(PROMPTS, RESPONSES)
    assert prompt_embeddings.shape == (2, width) and embeddings.shape == (2, 2, width) and cut >= 0
    generator = TransformersGenerator(tiny_model, pooling=pooling, max_new_tokens=1)
    own = generator.generate(PROMPTS, 1, rng=np.random.default_rng(0)).prompt_embeddings
    assert np.allclose(prompt_embeddings, own, atol=1e-5)  # the generator's own embedding of a prompt
    model = generator.language_model
    read = model.prompt_tokens(PROMPTS, room=0)
    for row, column in ((0, 0), (1, 0), (1, 1)):
        tokens = model.response_tokens(RESPONSES[row][column], row, room=0)
        with torch.inference_mode():
            hidden = model.model.base_model(torch.tensor([read[row] + tokens])).last_hidden_state[0].numpy()
        last, mean = hidden[-1], hidden[len(read[row]) :].mean(axis=0)
        expected = np.concatenate({"last": [last], "mean": [mean], "both": [last, mean]}[pooling])
        expected = np.clip(expected / (4 * np.sqrt(np.mean(expected**2))), -1, 1)
        assert np.allclose(embeddings[row, column], expected, atol=1e-5)


def test_an_empty_response_embeds_as_its_prompt(tiny_model):
    prompt_embeddings, embeddings, _ = TransformersEncoder(tiny_model).embed(PROMPTS, RESPONSES)
    assert np.allclose(embeddings[0, 1], prompt_embeddings[0], atol=1e-6)


def test_what_does_not_fit_is_named(tiny_model):
    encoder = TransformersEncoder(tiny_model)
    with pytest.raises(GeneratorError, match="prompt 1 has .* more than the 256"):
        encoder.embed(PROMPTS, [["short"], ["bread " * 300]])
    with pytest.raises(GeneratorError, match="equally many"):
        encoder.embed(PROMPTS, [["one"], ["one", "two"]])
    with pytest.raises(GeneratorError, match="batch_size is 0"):
        TransformersEncoder(tiny_model, batch_size=0)


def test_generators_by_their_json(tiny_model, pool_path):
    by_path = generator_from_specification(tiny_model, max_new_tokens=7)
    by_dict = generator_from_specification(
        {"model": tiny_model, "temperature": 0.5, "max_new_tokens": 9}, max_new_tokens=7
    )
    assert by_path == TransformersGenerator(tiny_model, max_new_tokens=7)
    assert by_dict == TransformersGenerator(tiny_model, max_new_tokens=9, temperature=0.5)
    recorded = generator_from_specification({"name": "recorded", "pool": str(pool_path)}, max_new_tokens=7)
    assert isinstance(recorded, RecordedGenerator)
    assert encoder_from_specification(tiny_model) == TransformersEncoder(tiny_model)


def test_an_encoder_takes_the_place_of_a_generators_own_embeddings(tiny_model, pool_path, tmp_path):
    other = str(tiny_models.make_model(tmp_path / "other", hidden=16, seed=4))
    generator = live_generator({"name": "recorded", "pool": str(pool_path)}, encoder=other)
    assert isinstance(generator, Reencoded) and isinstance(generator, CandidateGenerator)
    assert generator.embedding_dim == 16
    prompts = generator.generator.prompts[:2]
    responses = generator.generate(prompts, 3, rng=np.random.default_rng(0))
    expected = TransformersEncoder(other).embed(prompts, responses.texts)
    assert np.array_equal(responses.candidate_embeddings, expected[1]) and responses.clipped == expected[2]
    assert generator.specification()["encoder"]["model"] == "other"


def test_recorded_responses_embedded_anew_answer_the_same_prompts(tiny_model, pool_path):
    recorded = live_generator({"name": "recorded", "pool": str(pool_path)})
    anew = live_generator({"name": "recorded", "pool": str(pool_path)}, encoder=tiny_model)
    assert anew.prompts == recorded.prompts and live_generator(tiny_model, encoder=tiny_model).prompts is None


@pytest.mark.parametrize(
    ("specification", "words"),
    [
        (5, "give a model's directory"),
        ({"name": "oracle"}, "known: transformers, endpoint, recorded"),
        ({"name": ["recorded"]}, "no generator is called"),
        ({"name": "recorded"}, "it takes 'pool'"),
        ({"model": "x", "tau": 1}, "given ['model', 'tau']"),
    ],
    ids=str,
)
def test_bad_specifications_say_what_is_allowed(specification, words):
    with pytest.raises(SpecificationError) as caught:
        generator_from_specification(specification)
    assert words in str(caught.value)
