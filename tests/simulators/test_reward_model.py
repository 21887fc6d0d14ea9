"""A reward model in transformers' format: what it scores, what it refuses, and how it answers duels."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from duelgym.errors import DuelgymError, SpecificationError
from duelgym.simulators import RewardModel, Scorer, simulator_from_specification

PROMPTS = ["say something", "and again"]
RESPONSES = [["yes", "no no no", ""], ["maybe so", "never", "yes yes"]]
WORDS = ["say", "something", "and", "again", "yes", "no", "maybe", "so", "never"]


def _save(path, *, tokenizer=True, weights=True, **config):
    """Write a tiny BERT with random weights and a tokenizer of nine words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    settings = BertConfig(
        vocab_size=len(special) + len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        pad_token_id=0,
        **config,
    )
    kind = BertForSequenceClassification if weights else BertModel
    network, draws = kind(settings), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=draws))
    network.save_pretrained(path)
    if tokenizer:
        words = Tokenizer(models.WordLevel({word: k for k, word in enumerate(special + WORDS)}, unk_token="[UNK]"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        words.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        PreTrainedTokenizerFast(
            tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
        ).save_pretrained(path)
    return str(path)


def _configure(path, **changes):
    """Change a saved model's configuration; None takes a key out."""
    file = Path(path, "config.json")
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return _save(tmp_path_factory.mktemp("models") / "one", num_labels=1)


@pytest.fixture(scope="module")
def two_named(tmp_path_factory):
    return _save(tmp_path_factory.mktemp("models") / "named", id2label={0: "helpful", 1: "brief"})


def test_scores_are_the_models_own_logits(model):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    scorer = RewardModel(model)
    scores = scorer.score(PROMPTS, RESPONSES)
    assert isinstance(scorer, Scorer) and scorer.attributes == ("utility",)
    assert scores.shape == (2, 3, 1) and scores.dtype == np.float64 and len(np.unique(scores)) == 6
    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    for row, prompt in enumerate(PROMPTS):
        for column, response in enumerate(RESPONSES[row]):
            with torch.inference_mode():
                expected = float(network(**tokenizer(prompt, response, return_tensors="pt")).logits)
            assert scores[row, column, 0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_do_not_change_the_scores(model, batch_size):
    assert RewardModel(model, batch_size=batch_size).score(PROMPTS, RESPONSES) == pytest.approx(
        RewardModel(model).score(PROMPTS, RESPONSES), abs=1e-5
    )


def test_no_responses_and_no_prompts(model):
    assert RewardModel(model).score([], []).shape == (0, 0, 1)
    assert RewardModel(model).score(["yes"], [[]]).shape == (1, 0, 1)
    with pytest.raises(SpecificationError, match="give each prompt equally many"):
        RewardModel(model).score(PROMPTS, [["yes"], ["no", "no"]])


def test_named_labels_are_attributes_and_a_head_is_one_of_them(two_named):
    both = RewardModel(two_named)
    assert both.attributes == ("helpful", "brief")
    scores = both.score(PROMPTS, RESPONSES)
    brief = RewardModel(two_named, head="brief")
    assert brief.attributes == ("brief",)
    assert brief.score(PROMPTS, RESPONSES)[:, :, 0] == pytest.approx(scores[:, :, 1], abs=1e-6)
    assert np.abs(scores[:, :, 0] - scores[:, :, 1]).min() > 1e-4


def test_a_classifier_is_not_a_reward_model(tmp_path):
    path = _save(tmp_path / "two")
    with pytest.raises(SpecificationError) as caught:
        RewardModel(path).attributes
    assert "a classifier with 2 classes is not a reward model; name head=… to take one of LABEL_0, LABEL_1" in str(
        caught.value
    )
    assert RewardModel(path, head="LABEL_1").score(PROMPTS, RESPONSES).shape == (2, 3, 1)
    with pytest.raises(SpecificationError, match="head must be one of LABEL_0, LABEL_1"):
        RewardModel(path, head="good").score(PROMPTS, RESPONSES)
    exclusive = _save(
        tmp_path / "sentiment", id2label={0: "BAD", 1: "GOOD"}, problem_type="single_label_classification"
    )
    with pytest.raises(SpecificationError, match="is not a reward model; name head=… to take one of BAD, GOOD"):
        RewardModel(exclusive).score(PROMPTS, RESPONSES)


def test_what_does_not_fit_is_refused_not_cut(model):
    fits = " ".join(["no"] * 19)
    assert RewardModel(model).score(["say something"], [[fits]]).shape == (1, 1, 1)
    with pytest.raises(
        SpecificationError, match="response 1 to prompt 0 is 25 tokens long with its prompt; .* at most 24"
    ):
        RewardModel(model).score(["say something"], [["yes", fits + " no"]])
    with pytest.raises(SpecificationError, match="at most 6"):
        RewardModel(model, max_length=6).score(["say something"], [["yes no"]])


def test_a_chat_template_is_used_and_its_failure_named(model, tmp_path):
    path = tmp_path / "chat"
    shutil.copytree(model, path)
    template = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}"
    (path / "chat_template.jinja").write_text(template)
    plain, chat = (RewardModel(str(p)).score(PROMPTS, RESPONSES) for p in (model, path))
    assert chat.shape == plain.shape and np.abs(chat - plain).min() > 1e-6
    (path / "chat_template.jinja").write_text("{{ raise_exception('roles must be sung') }}")
    with pytest.raises(SpecificationError, match="its chat template fails: roles must be sung"):
        RewardModel(str(path)).score(PROMPTS, RESPONSES)


def test_directories_that_lack_something_say_what(model, tmp_path):
    cases = {
        "config.json": "no config.json",
        "tokenizer.json": "no tokenizer",
        "model.safetensors": "no weights (*.safetensors)",
    }
    for name, words in cases.items():
        path = tmp_path / name
        shutil.copytree(model, path)
        (path / name).unlink()
        with pytest.raises(DuelgymError) as caught:
            RewardModel(str(path)).score(PROMPTS, RESPONSES)
        assert words in str(caught.value) and "\n" not in str(caught.value)
    for part, name in (("tokenizer", "tokenizer.json"), ("weights", "model.safetensors")):
        path = shutil.copytree(model, tmp_path / part)
        (path / name).write_bytes(b"{}" * 9)
        with pytest.raises(SpecificationError) as caught:
            RewardModel(str(path)).score(PROMPTS, RESPONSES)
        assert f"its {part} cannot be loaded: " in str(caught.value) and "\n" not in str(caught.value)
    headless = _save(tmp_path / "headless", weights=False, num_labels=1)
    with pytest.raises(SpecificationError, match="is a BertModel, not a reward model"):
        RewardModel(headless).score(PROMPTS, RESPONSES)
    _configure(headless, architectures=None)
    with pytest.raises(
        SpecificationError, match="lacks weights .classifier.bias, classifier.weight.; it was not trained"
    ):
        RewardModel(headless).score(PROMPTS, RESPONSES)


@pytest.mark.parametrize(
    "config",
    [{"id2label": {}, "num_labels": 0}, {"id2label": {"a": "b"}}, {"id2label": [1]}, {"num_labels": "two"}],
    ids=str,
)
def test_labels_that_cannot_be_counted_are_refused(model, tmp_path, config):
    path = shutil.copytree(model, tmp_path / "odd")
    _configure(path, **{"id2label": None, **config})
    with pytest.raises(SpecificationError, match="names no labels"):
        _ = RewardModel(str(path)).attributes


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_chat_template_that_leaves_somebody_out_is_refused(model, tmp_path, role):
    path = shutil.copytree(model, tmp_path / "deaf")
    heard = {"user": "assistant", "assistant": "user"}[role]
    template = (
        f"{{% for m in messages %}}{{% if m['role'] == '{heard}' %}}{{{{ m['content'] }}}}{{% endif %}}{{% endfor %}}"
    )
    (path / "chat_template.jinja").write_text(template)
    with pytest.raises(SpecificationError, match=f"its chat template leaves out what the {role} says"):
        RewardModel(str(path)).score(PROMPTS, RESPONSES)


def test_a_head_that_is_not_there_is_told_before_anything_is_scored(model):
    with pytest.raises(SpecificationError, match="has no label 'x'"):
        _ = RewardModel(model, head="x").attributes


def test_code_of_its_own_is_refused(model, tmp_path):
    path = tmp_path / "coded"
    shutil.copytree(model, path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "theirs.Config"}}))
    with pytest.raises(DuelgymError, match="brings code of its own"):
        RewardModel(str(path)).score(PROMPTS, RESPONSES)


def test_scores_that_are_not_numbers_are_refused(model, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification

    path = tmp_path / "broken"
    shutil.copytree(model, path)
    network = AutoModelForSequenceClassification.from_pretrained(model)
    with torch.no_grad():
        network.classifier.bias.fill_(float("nan"))
    network.save_pretrained(path)
    with pytest.raises(SpecificationError, match="gave .nan. for response 0 to prompt 0; scores must be finite"):
        RewardModel(str(path)).score(PROMPTS, RESPONSES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "/no/such/place"}, "/no/such/place is not a directory"),
        ({"model": "somebody/model"}, "needs revision=, a commit of 40 hex digits (given: None)"),
        ({"model": "somebody/model", "revision": "main"}, "(given: 'main')"),
        ({"model": 3}, "model is 3"),
        ({"model": ".", "head": 1}, "head is 1"),
        ({"model": ".", "batch_size": 0}, "batch_size is 0"),
        ({"model": ".", "max_length": 0}, "max_length is 0"),
        ({"model": ".", "device": []}, "device is []"),
        ({"model": ".", "revision": 3}, "revision is 3"),
        ({"model": ".", "dtype": "int8"}, "known: float32, bfloat16, float16"),
    ],
    ids=str,
)
def test_arguments_that_mean_nothing_are_refused(arguments, words):
    with pytest.raises(DuelgymError) as caught:
        RewardModel(**arguments)
    assert words in str(caught.value)


def test_a_device_that_is_not_there_is_named(model):
    with pytest.raises(SpecificationError, match="device is 'warp'"):
        RewardModel(model, device="warp").score(PROMPTS, RESPONSES)


def test_pickles_and_copies_leave_the_weights_behind(model):
    scorer = RewardModel(model)
    before = len(pickle.dumps(scorer))
    scores = scorer.score(PROMPTS, RESPONSES)
    assert len(pickle.dumps(scorer)) == before < 1000
    again = pickle.loads(pickle.dumps(scorer))
    assert again == scorer and np.array_equal(again.score(PROMPTS, RESPONSES), scores)


def test_the_specification_names_the_weights(model, tmp_path):
    (layer,) = simulator_from_specification(
        [{"name": "reward_model", "model": model, "temperature": 0.5}]
    ).specification()
    assert {**layer, "sha256": None} == {"name": "reward_model", "model": model, "sha256": None, "temperature": 0.5}
    again = simulator_from_specification(json.loads(json.dumps([layer])))
    assert again.specification() == [layer]
    again.scorer.score(PROMPTS, RESPONSES)
    other = _save(tmp_path / "other", num_labels=1, hidden_act="relu")
    with pytest.raises(SpecificationError, match="has sha256 .*: give the model that is meant"):
        simulator_from_specification([{**layer, "model": other}]).scorer.score(PROMPTS, RESPONSES)


def test_as_a_simulator_its_rates_are_those_stated(model, session_of):
    simulator = simulator_from_specification([{"name": "reward_model", "model": model, "temperature": 0.5}])
    utilities = simulator.scorer.score(["say something"], [["yes", "no", "maybe so", "never"]])[0, :, 0]
    n, session = 10_000, session_of(simulator, utilities)
    for pair in [(0, 1), (2, 1), (3, 0)]:
        session.queries = 0
        preferences = session.answer(session.ask(n), np.tile(pair, (n, 1)))[0]
        p = 1 / (1 + np.exp(-(utilities[pair[0]] - utilities[pair[1]]) / 0.5))
        assert abs(np.mean(preferences == 0) - p) < 3 * np.sqrt(p * (1 - p) / n)
