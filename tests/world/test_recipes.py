"""The recipes, run for a few steps: what they write loads, and a seed decides it."""

from functools import partial

import numpy as np
import pytest
import torch
from global_streams import left_alone
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from duelgym.simulators.reward_model import RewardModel
from duelgym.world.corpus import ASSISTANT, USER, Demonstrations
from duelgym.world.instructions import parse_instruction
from duelgym.world.language_model import LONGEST, encode, train_language_model
from duelgym.world.reward_model import attribute_spread, pairwise_accuracy, score, train_reward_model
from duelgym.world.rubric import ATTRIBUTES
from duelgym.world.samples import samples

SMALL = {"threads": 1, "tokenizer_texts": 300}
# Three steps need no thousands of examples.
speaker = partial(train_language_model, batch=8, chunk=16, held_out=16, **SMALL)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    out = tmp_path_factory.mktemp("language")
    return out, speaker(out, steps=3, seed=0)


@pytest.fixture(scope="module")
def judge(language):
    return partial(train_reward_model, language[0], batch=2, chunk=4, spread_prompts=30, held_out=4, threads=1)


@pytest.fixture(scope="module")
def reward(tmp_path_factory, judge):
    out = tmp_path_factory.mktemp("reward")
    return out, judge(out, steps=2, seed=1)


def test_the_language_model_loads_and_speaks(language):
    out, report = language
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert model.dtype == torch.float16 and model.config.model_type == "llama"
    assert report["parameters"] == sum(p.numel() for p in model.parameters()) < 3_000_000
    assert (
        0 < report["held_out_loss"] < np.log(len(tokenizer)) + 0.5
    )  # hardly trained, but no worse than a uniform guess
    assert model.generation_config.do_sample and model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.padding_side == "left"
    shown = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], tokenize=False, add_generation_prompt=True
    )
    assert shown == f"{USER}Hello{ASSISTANT}"
    both = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}]
    spoken = tokenizer.apply_chat_template(both, return_dict=False)
    assert encode(tokenizer, "Hello", "Hi.") == (list(spoken), len(tokenizer.encode(shown)))
    assert sum(file.stat().st_size for file in out.iterdir()) < 8_000_000


def test_long_examples_are_cut(language):
    tokenizer = AutoTokenizer.from_pretrained(language[0])
    tokens, begin = encode(tokenizer, "Hello", "word " * 500)
    assert len(tokens) == LONGEST and begin < 10


@pytest.mark.parametrize("name", ["language", "reward"])
def test_a_seed_decides_the_weights(name, judge, language, reward, tmp_path):
    train, (first, report), steps, seed = (speaker, language, 3, 0) if name == "language" else (judge, reward, 2, 1)
    with left_alone(77):
        assert train(tmp_path / "again", steps=steps, seed=seed) == report
    train(tmp_path / "other", steps=1, seed=seed + 1)
    weights, again, other = (
        load_file(folder / "model.safetensors") for folder in (first, tmp_path / "again", tmp_path / "other")
    )
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert any(
        weights[name].shape != other[name].shape or not torch.equal(weights[name], other[name]) for name in weights
    )


def test_the_reward_model_loads_and_names_the_attributes(reward):
    out, report = reward
    model = AutoModelForSequenceClassification.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert tuple(model.config.id2label[k] for k in range(len(ATTRIBUTES))) == ATTRIBUTES
    assert model.config.label2id == {name: k for k, name in enumerate(ATTRIBUTES)}
    assert tuple(report["spread"]) == ATTRIBUTES and all(value > 0 for value in report["spread"].values())
    assert report["parameters"] == sum(p.numel() for p in model.parameters())
    assert set(report["held_out_agreement"]) == set(ATTRIBUTES)
    # What the environment feeds it is what it was trained on.
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    assert tokenizer.apply_chat_template(turns)["input_ids"] == encode(tokenizer, "Who?", "Me.")[0]
    np.testing.assert_allclose(
        RewardModel(str(out)).score(["Who?"], [["Me."]])[0],
        score(model.float(), tokenizer, [("Who?", "Me.")]),
        atol=1e-5,
    )


def test_scores_do_not_depend_on_the_company(reward):
    model = AutoModelForSequenceClassification.from_pretrained(reward[0], dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(reward[0])
    pairs = [("Who?", "Me."), ("Tell me a little about octopuses.", "An octopus has three hearts. " * 9), ("", "")]
    scores = score(model, tokenizer, pairs)
    assert scores.shape == (3, len(ATTRIBUTES)) and np.isfinite(scores).all()
    for pair, expected in zip(pairs, scores, strict=True):
        assert score(model, tokenizer, [pair])[0] == pytest.approx(expected, abs=1e-5)


def test_attribute_spread_by_hand():
    """Two answers of 5 and 10 words differ in detail; the standard deviation of a and b is |a - b| / sqrt 2."""
    instruction = parse_instruction("Tell me a little about octopuses.")
    short, long = "An octopus has three hearts.", "An octopus has three hearts. An octopus has eight arms."
    spread = dict(zip(ATTRIBUTES, attribute_spread([Demonstrations(instruction, (short, long))]), strict=True))
    gap = np.exp(-5 / 20) - np.exp(-10 / 20)
    assert spread["detail"] == pytest.approx(gap / np.sqrt(2))
    assert spread["true"] == spread["helpful"] == 0.0
    twice = [Demonstrations(instruction, (short, long)), Demonstrations(instruction, (short, short))]
    pooled = dict(zip(ATTRIBUTES, attribute_spread(twice), strict=True))
    assert pooled["detail"] == pytest.approx(gap / 2)  # the mean of the variances gap² / 2 and 0


def test_pairwise_accuracy_by_hand():
    """Scores 3 > 2 > 1 against values 1 = 1 > 0: both pairs that differ are right; reversed, wrong; equal scores are never right."""
    values = np.tile(np.array([1.0, 1.0, 0.0])[None, :, None], (1, 1, len(ATTRIBUTES)))
    scores = np.tile(np.array([3.0, 2.0, 1.0])[None, :, None], (1, 1, len(ATTRIBUTES)))
    scores[..., 1] *= -1
    scores[..., 2] = 0
    scores[0, :, 3] = [3.0, 0.5, 1.0]
    values[..., 4] = 7.0
    shares = pairwise_accuracy(scores, values)
    assert [shares[name] for name in ATTRIBUTES[:6]] == [1.0, 0.0, 0.0, 0.5, 0.0, 1.0]


def test_samples_show_instructions_answers_and_marks(language):
    shown = samples(str(language[0]), n=2, temperature=1.0, top_p=1.0, seed=4)
    assert shown == samples(str(language[0]), n=2, temperature=1.0, top_p=1.0, seed=4)
    prompts = [line for line in shown.split("\n") if line.startswith("**")]
    hotter = samples(str(language[0]), n=2, temperature=2.0, top_p=1.0, seed=4)
    assert len(prompts) == 2 and all(prompt in hotter for prompt in prompts) and hotter != shown
    assert shown.count("\nmisses ") + shown.count("\nmeets every criterion") == 2
