"""Mean-pooled embeddings, on an encoder that the test makes itself."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from duelgym.cli import main
from duelgym.errors import PoolError
from duelgym.pools import CandidatePool
from duelgym.pools.encoding import encode_texts

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WORDS = ["what", "is", "squared", "thinks", "it", "sure", "ant", "bee", "cat", "?", ".", *"0123456789"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *(f"##{digit}" for digit in range(10))]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights and at most 12 tokens."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    transformers.BertTokenizer(str(folder / "vocab.txt"), model_max_length=12).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(VOCABULARY),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=12,
        )
        transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_embeddings_are_the_unit_mean_of_the_last_layer(encoder: Path) -> None:
    texts = ["what is 3 squared ?", "bee", "", "it is 9 ."]
    encoded = encode_texts(texts, encoder=str(encoder), batch_size=3)
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
    model = transformers.AutoModel.from_pretrained(encoder).eval()
    for text, embedding in zip(texts, encoded.embeddings, strict=True):  # one by one, so nothing is padded
        with torch.inference_mode():
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(embedding, (mean / mean.norm()).numpy(), atol=1e-6)
    assert encoded.embeddings.dtype == np.float32
    assert not encoded.truncated.any()
    assert encoded.record["name"] == "tiny"
    assert len(encoded.record["sha256"]) == 64


def test_texts_longer_than_the_encoder_takes_are_cut_and_counted(encoder: Path) -> None:
    """Twelve tokens, two of them special: the eleventh word is lost."""
    ten = " ".join(["ant"] * 10)
    encoded = encode_texts([ten, f"{ten} bee", f"{ten} cat cat"], encoder=str(encoder))
    assert encoded.truncated.tolist() == [False, True, True]
    np.testing.assert_allclose(encoded.embeddings[1:], encoded.embeddings[[0, 0]], atol=1e-6)
    shorter = encode_texts(["ant ant", "ant ant bee"], encoder=str(encoder), max_tokens=4)
    assert shorter.truncated.tolist() == [False, True]
    np.testing.assert_allclose(shorter.embeddings[0], shorter.embeddings[1], atol=1e-6)
    with pytest.raises(PoolError, match="max tokens is 2; this encoder needs at least 3"):
        encode_texts(["ant"], encoder=str(encoder), max_tokens=2)


def test_import_with_an_encoder(tmp_path: Path, alpaca, encoder: Path, capsys) -> None:
    alpaca.write(tmp_path)
    alpaca.entries["bee", alpaca.instructions[0]]["output"] = "changed"
    command = ["pool", "import", "alpaca-eval", str(tmp_path), "--encoder", str(encoder)]
    command += ["--near-duplicate-cosine", "0.99999"]
    assert main([*command, "--out", str(tmp_path / "one")]) == 0
    printed = capsys.readouterr()
    assert "cut at the encoder's maximum: 0 prompts," in printed.out
    assert main([*command, "--out", str(tmp_path / "two")]) == 0
    pool = CandidatePool.open(tmp_path / "one")
    assert pool.sha256 == CandidatePool.open(tmp_path / "two").sha256
    assert (pool.prompt_dim, pool.candidate_dim) == (16, 16)
    assert pool.manifest["encoder"]["name"] == "tiny"
    text = pool.texts(3)
    expected = encode_texts([text.prompt, *text.candidates], encoder=str(encoder)).embeddings
    scale = pool.manifest["embedding_scale"]
    np.testing.assert_allclose(scale * pool.prompt_embeddings(np.array([3]))[0], expected[0], atol=1e-6)
    responses = scale * pool.candidate_embeddings(np.array([3]), np.array([[0, 1, 2]]))[0]
    np.testing.assert_allclose(responses, expected[1:], atol=1e-6)


def test_an_encoder_cut_short_is_refused_in_one_line(tmp_path: Path, encoder: Path) -> None:
    damaged = Path(shutil.copytree(encoder, tmp_path / "cut"))
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(PoolError, match=r"cut' cannot be loaded") as refusal:
        encode_texts(["a"], encoder=str(damaged))
    assert "\n" not in str(refusal.value)


def test_unknown_encoders_and_broken_text_are_refused_in_one_line(tmp_path: Path, encoder: Path) -> None:
    with pytest.raises(PoolError, match=r"encoder .*absent' cannot be loaded") as refusal:
        encode_texts(["a"], encoder=str(tmp_path / "absent"))
    assert "\n" not in str(refusal.value)
    with pytest.raises(PoolError, match="not valid Unicode"):
        encode_texts([json.loads('"\\ud83d"')], encoder=str(encoder))


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(PoolError, match=r"pip install 'duelgym\[llm\]'"):
        encode_texts(["a"], encoder="x")
