"""A language model as a generator: what it says, what it embeds, what it refuses."""

import copy
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from global_streams import left_alone
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.errors import GeneratorError
from duelgym.generators import CandidateGenerator
from duelgym.generators.hugging_face import TransformersGenerator
from duelgym.generators.projection import Projection

PROMPTS = ["Write about the moon.", "Bread?", "Explain to a child how bread is made. Be kind."]


def _generate(generator, prompts=PROMPTS, n=5, seed=0):
    return generator.generate(prompts, n, rng=np.random.default_rng(seed))


@pytest.fixture(scope="session")
def generator(tiny_model):
    return TransformersGenerator(tiny_model, max_new_tokens=10)


@pytest.fixture(scope="session")
def responses(generator):
    return _generate(generator)


def test_what_comes_back_has_the_promised_form(generator, responses):
    assert isinstance(generator, CandidateGenerator)
    assert len(responses.texts) == len(responses.finish_reasons) == 3
    assert all(len(line) == 5 for line in responses.texts)
    assert responses.n_tokens.shape == (3, 5) and responses.n_tokens.dtype == np.int64
    assert responses.prompt_embeddings.shape == (3, 32) and responses.candidate_embeddings.shape == (3, 5, 32)
    for values in (responses.prompt_embeddings, responses.candidate_embeddings):
        assert values.dtype == np.float32 and np.abs(values).max() <= 1
    cut = sum(int((np.abs(v) == 1).sum()) for v in (responses.prompt_embeddings, responses.candidate_embeddings))
    assert responses.clipped == cut
    assert len({text for line in responses.texts for text in line}) == 15  # samples differ
    assert not any("<|" in text for line in responses.texts for text in line)


def test_finish_reasons_and_counts_agree(responses):
    reasons = np.array(responses.finish_reasons)
    assert set(reasons.ravel()) <= {"stop", "length"}
    assert np.all(responses.n_tokens[reasons == "length"] == 10)
    assert np.all(responses.n_tokens <= 10)


def test_prompts_are_embedded_by_their_own_hidden_states(tiny_model):
    """Gathered on the way with padding and a shared cache; compared with a pass over each prompt alone."""
    for pooling in ("last", "mean", "both"):
        generator = TransformersGenerator(tiny_model, max_new_tokens=2, pooling=pooling)
        model = generator.language_model
        for tokens, got in zip(
            model.prompt_tokens(PROMPTS, room=0), _generate(generator).prompt_embeddings, strict=True
        ):
            with torch.inference_mode():
                hidden = model.model.base_model(torch.tensor([tokens])).last_hidden_state[0].numpy()
            taken = {"last": [hidden[-1]], "mean": [hidden.mean(axis=0)], "both": [hidden[-1], hidden.mean(axis=0)]}
            expected = np.concatenate(taken[pooling])
            assert np.allclose(got, np.clip(expected / (4 * np.sqrt(np.mean(expected**2))), -1, 1), atol=1e-5)


@settings(max_examples=8)
@given(batch_size=st.integers(1, 20), split=st.integers(1, 2))
def test_neither_batch_size_nor_company_changes_what_is_drawn(tiny_model, responses, batch_size, split):
    generator = TransformersGenerator(tiny_model, max_new_tokens=10, batch_size=batch_size)
    rng = np.random.default_rng(0)
    parts = [generator.generate(part, 5, rng=rng) for part in (PROMPTS[:split], PROMPTS[split:])]
    assert parts[0].texts + parts[1].texts == responses.texts
    together = np.concatenate([part.candidate_embeddings for part in parts])
    assert np.allclose(together, responses.candidate_embeddings, atol=1e-5)


def test_equal_seeds_give_equal_bytes_and_others_do_not(generator, responses):
    again = _generate(generator)
    assert again.texts == responses.texts
    assert again.candidate_embeddings.tobytes() == responses.candidate_embeddings.tobytes()
    assert _generate(generator, seed=1).texts != responses.texts


def test_torchs_global_state_is_neither_read_nor_set(tiny_model, responses):
    with left_alone(5):
        fresh = TransformersGenerator(tiny_model, max_new_tokens=10)
        assert _generate(fresh).texts == responses.texts


def test_pickles_and_copies_leave_the_weights_behind_and_load_them_again(generator, responses):
    for again in (pickle.loads(pickle.dumps(generator)), copy.deepcopy(generator)):
        assert again == generator and again.language_model._loaded is None
        assert _generate(again).candidate_embeddings.tobytes() == responses.candidate_embeddings.tobytes()
    assert len(pickle.dumps(generator)) < 10_000


def test_nothing_is_loaded_before_the_first_call(tiny_model):
    code = (
        "import sys; from duelgym.generators.hugging_face import TransformersGenerator as T; "
        f"print(T({tiny_model!r}).embedding_dim, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["32", "False", "False"]


def test_sampling_settings_of_the_model_are_ignored_and_its_end_is_honoured(tiny_model, tmp_path, responses):
    odd = {"do_sample": True, "temperature": 0.01, "repetition_penalty": 9.0, "top_k": 1, "max_length": 3}
    path = tiny_models.make_model(tmp_path / "odd", generation=odd)
    assert _generate(TransformersGenerator(str(path), max_new_tokens=10)).texts == responses.texts
    every = tiny_models.make_model(tmp_path / "every", generation={"eos_token_id": list(range(1, 300))})
    ended = _generate(TransformersGenerator(str(every), max_new_tokens=10))
    assert ended.n_tokens.max() <= 1 and set(np.ravel(ended.finish_reasons)) == {"stop"}


def test_an_empty_response_is_legal_and_embeds_as_its_prompt(tmp_path):
    path = tiny_models.make_model(tmp_path / "silent", generation={"eos_token_id": list(range(320))})
    for pooling in ("last", "mean"):
        silent = _generate(TransformersGenerator(str(path), pooling=pooling))
        assert set(np.ravel(silent.texts)) == {""} and not silent.n_tokens.any()
        assert set(np.ravel(silent.finish_reasons)) == {"stop"}
        if pooling == "last":
            assert np.allclose(silent.candidate_embeddings, silent.prompt_embeddings[:, None], atol=1e-6)


def test_top_p_near_nothing_is_greedy(tiny_model):
    greedy = _generate(TransformersGenerator(tiny_model, max_new_tokens=6, top_p=1e-6))
    cold = _generate(TransformersGenerator(tiny_model, max_new_tokens=6, temperature=1e-4), seed=9)
    assert greedy.texts == cold.texts
    assert all(len(set(line)) == 1 for line in greedy.texts)


def test_more_samples_than_fit_a_batch_are_the_same_samples(tiny_model):
    whole = _generate(TransformersGenerator(tiny_model, max_new_tokens=4, batch_size=100), n=30)
    parts = _generate(TransformersGenerator(tiny_model, max_new_tokens=4, batch_size=7), n=30)
    assert whole.texts == parts.texts


def test_a_projection_is_applied_and_named(tiny_model, tmp_path, generator, responses):
    rng = np.random.default_rng(3)
    projection = Projection(rng.standard_normal((32, 5)).astype(np.float32), np.zeros(32, np.float32), 40.0)
    projection.save(tmp_path / "p.safetensors")
    projected = TransformersGenerator(tiny_model, max_new_tokens=10, projection=str(tmp_path / "p.safetensors"))
    assert projected.embedding_dim == 5
    answered = _generate(projected)
    assert answered.texts == responses.texts and answered.candidate_embeddings.shape == (3, 5, 5)
    assert projected.specification()["projection"] == {"sha256": projection.sha256()}
    Projection(np.ones((31, 5), np.float32), np.zeros(31, np.float32), 1.0).save(tmp_path / "narrow.safetensors")
    with pytest.raises(GeneratorError, match="takes 31 hidden units, .* has 32"):
        TransformersGenerator(tiny_model, projection=str(tmp_path / "narrow.safetensors"))


def test_the_specification_is_plain_json_and_tells_models_and_settings_apart(tiny_model, tmp_path):
    first = TransformersGenerator(tiny_model).specification()
    assert json.loads(json.dumps(first)) == first
    assert first["model"] == "tiny" and first["temperature"] == 1.0 and first["max_new_tokens"] == 48
    other = tiny_models.make_model(tmp_path / "tiny", seed=1)
    assert TransformersGenerator(str(other)).specification()["sha256"] != first["sha256"]
    moved = shutil.copytree(tiny_model, tmp_path / "elsewhere" / "tiny")
    assert TransformersGenerator(str(moved)).specification() == first
    assert TransformersGenerator(tiny_model, top_p=0.9).specification() != first


def test_without_a_chat_template_prompts_are_given_plain(tmp_path, generator):
    path = tiny_models.make_model(tmp_path / "plain", chat_template=None)
    plain = TransformersGenerator(str(path)).language_model.prompt_tokens(["Bread?"], room=0)[0]
    framed = generator.language_model.prompt_tokens(["Bread?"], room=0)[0]
    assert framed[1:-1] == plain and len(framed) == len(plain) + 2


def _without(source, target, *names):
    shutil.copytree(source, target)
    for name in names:
        (target / name).unlink(missing_ok=True)
    return target


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["config.json"], "no config.json"),
        (["tokenizer.json"], "no tokenizer"),
        (["model.safetensors"], "no weights"),
    ],
)
def test_an_incomplete_directory_is_named_at_once(tiny_model, tmp_path, names, words):
    with pytest.raises(GeneratorError, match=words):
        TransformersGenerator(str(_without(tiny_model, tmp_path / "broken", *names)))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_a_models_own_is_refused(tiny_model, tmp_path, file):
    path = shutil.copytree(tiny_model, tmp_path / "foreign") / file
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModelForCausalLM": "own.Model"}}))
    with pytest.raises(GeneratorError, match="code of its own"):
        TransformersGenerator(str(path.parent))


def test_a_damaged_directory_is_one_line(tiny_model, tmp_path):
    for file, words in (
        ("model.safetensors", "model cannot be loaded"),
        ("tokenizer.json", "tokenizer cannot be loaded"),
    ):
        path = shutil.copytree(tiny_model, tmp_path / file)
        (path / file).write_bytes(b"nonsense")
        with pytest.raises(GeneratorError, match=words) as caught:
            _generate(TransformersGenerator(str(path)))
        assert "\n" not in str(caught.value)
    (tmp_path / "tokenizer.json" / "config.json").write_text("[1]")
    with pytest.raises(GeneratorError, match="not a JSON object"):
        TransformersGenerator(str(tmp_path / "tokenizer.json"))


def test_weights_that_lack_a_part_are_refused(tiny_model, tmp_path):
    from safetensors.numpy import load_file, save_file

    path = shutil.copytree(tiny_model, tmp_path / "partial")
    weights = load_file(path / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(GeneratorError, match=r"lack 'model\.norm\.weight'"):
        _generate(TransformersGenerator(str(path)))


def test_a_chat_template_that_fails_is_one_line(tmp_path):
    path = tiny_models.make_model(tmp_path / "angry", chat_template="{{ raise_exception('system turn wanted') }}")
    with pytest.raises(GeneratorError, match="chat template fails on prompt 0: system turn wanted"):
        _generate(TransformersGenerator(str(path)))


def test_a_chat_template_that_leaves_the_prompt_out_is_refused(tmp_path):
    path = tiny_models.make_model(
        tmp_path / "deaf", chat_template="{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    with pytest.raises(GeneratorError, match="chat template leaves out what the user says"):
        _generate(TransformersGenerator(str(path)))


def test_a_reward_model_writes_nothing(tmp_path):
    path = tiny_models.make_reward_model(tmp_path / "judge")
    with pytest.raises(GeneratorError, match="is a LlamaForSequenceClassification, which writes no text"):
        TransformersGenerator(str(path))


def test_loading_in_several_threads_is_silent(tiny_model):
    program = (
        "import sys, threading; from duelgym.generators.language_model import LanguageModel\n"
        "models = [LanguageModel(sys.argv[1], revision=None, device='cpu', dtype='float32') for _ in range(3)]\n"
        "threads = [threading.Thread(target=lambda m=m: m.model) for m in models]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; assert all(m._loaded for m in models)"
    )
    done = subprocess.run([sys.executable, "-c", program, tiny_model], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_a_prompt_longer_than_the_context_names_itself_and_the_cure(generator, tiny_model):
    long = "bread " * 400
    with pytest.raises(GeneratorError, match=r"prompt 1 has \d+ tokens.* 256 .*max_new_tokens"):
        _generate(generator, ["Bread?", long])
    fits = "Bread?"
    length = len(generator.language_model.prompt_tokens([fits], room=0)[0])
    exact = TransformersGenerator(tiny_model, max_new_tokens=256 - length)
    assert len(_generate(exact, [fits], n=1).texts[0]) == 1
    with pytest.raises(GeneratorError, match="context"):
        _generate(TransformersGenerator(tiny_model, max_new_tokens=257 - length), [fits], n=1)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 1.5}, "at most 1"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"device": 3}, "device is 3"),
        ({"dtype": "int8"}, "known: float32, bfloat16, float16"),
        ({"pooling": "max"}, "known: last, mean, both"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": 10**30}, "at most 1024"),
        ({"temperature": 10**400}, "temperature is 1000"),
        ({"projection": 5}, "projection is 5"),
        ({"revision": 5}, "revision is 5"),
        ({"projection": "nowhere.safetensors"}, "not a projection"),
    ],
    ids=str,
)
def test_bad_settings_say_what_is_allowed(tiny_model, kwargs, words):
    with pytest.raises(GeneratorError) as caught:
        TransformersGenerator(tiny_model, **kwargs)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("model", "revision", "words"),
    [
        ("./nowhere/at/all", None, "not a directory"),
        ("someone/model", None, "needs revision="),
        ("someone/model", "main", "40 hex digits"),
        ("someone/model", "0" * 40, "cannot be had from the hub"),
        ("", None, "give a directory"),
        (7, None, "model is 7"),
        (".", "0" * 40, "is a directory here, which has no revision"),
    ],
)
def test_what_is_no_model_is_refused(model, revision, words):
    with pytest.raises(GeneratorError) as caught:
        TransformersGenerator(model, revision=revision)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_device_that_is_not_there_is_one_line(tiny_model):
    with pytest.raises(GeneratorError, match="cannot be loaded on xpu:7"):
        _generate(TransformersGenerator(tiny_model, device="xpu:7"))


@pytest.mark.parametrize(
    ("prompts", "n", "words"),
    [
        ([], 2, "at least one prompt"),
        ("Bread?", 2, "give a list"),
        (["Bread?"], 0, "n is 0"),
        (["Bread?", 5], 2, "prompt 1 is '5'"),
        (["\ud800"], 2, "valid Unicode"),
    ],
    ids=repr,
)
def test_bad_requests_say_what_is_wrong(generator, prompts, n, words):
    with pytest.raises(GeneratorError) as caught:
        _generate(generator, prompts, n)
    assert words in str(caught.value)


def test_an_empty_prompt_without_a_template_has_no_tokens(tmp_path):
    path = tiny_models.make_model(tmp_path / "plain", chat_template=None)
    with pytest.raises(GeneratorError, match="prompt 0 has no tokens"):
        _generate(TransformersGenerator(str(path)), [""])
    assert Path(path).is_dir()
