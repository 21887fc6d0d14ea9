"""``duelgym pool record`` on a real, tiny language model and reward model, and on what cannot be recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from duelgym.cli import main
from duelgym.pools import CandidatePool
from duelgym.pools.shards import Shard
from duelgym.simulators.attributes import FORMULA

PROMPTS = [f"Write {count} facts about the octopus." for count in range(30)]


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """A folder with a language model, a reward model and prompts, and one prompt too long for the model."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    folder = tmp_path_factory.mktemp("recording")
    tiny_models.make_model(folder / "language", context=200)
    config = LlamaConfig.from_pretrained(folder / "language", num_labels=1, max_position_embeddings=300)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        LlamaForSequenceClassification(config).save_pretrained(folder / "reward")
    AutoTokenizer.from_pretrained(folder / "language", model_max_length=300).save_pretrained(folder / "reward")
    (folder / "prompts.txt").write_text("\n".join(PROMPTS))
    (folder / "long.jsonl").write_text("".join(json.dumps({"prompt": p}) + "\n" for p in (*PROMPTS[:2], "sea " * 250)))
    return folder


def words(folder: Path, out: Path, **changes: object) -> list[str]:
    options = {
        "generator": folder / "language",
        "simulator": folder / "reward",
        "prompts": folder / "prompts.txt",
        "out": out,
        "n": 3,
        "max-new-tokens": 6,
        "near-duplicate-cosine": 1,
        "licence": "CC0",
        **changes,
    }
    return ["pool", "record", *(str(word) for key, value in options.items() for word in (f"--{key}", value))]


def test_two_models_make_a_pool_with_equal_bytes_here_and_in_a_worker(material, tmp_path, capsys) -> None:
    assert main(words(material, tmp_path / "one", workers=0)) == 0  # tests run with one thread, like the workers
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'one'}: 30 prompts x 3 candidates\n")
    assert main(words(material, tmp_path / "two", workers=1)) == 0
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
    pool = CandidatePool.open(tmp_path / "one")
    assert (pool.attributes, pool.candidate_dim, pool.manifest["licence"]) == (("utility",), 32, "CC0")
    assert pool.manifest["generator"]["max_new_tokens"] == 6
    assert pool.n_tokens(np.arange(30)).max() <= 6
    command = pool.manifest["provenance"]["command"]
    assert "--max-new-tokens 6" in command and str(tmp_path) not in command
    assert "reward_model" in json.dumps(pool.manifest["provenance"]["scorer"])
    assert main(["pool", "info", str(pool.path)]) == 0
    printed = capsys.readouterr().out
    assert "scorer      {" in printed and "repeat another of their prompt" in printed


def test_settings_reach_the_generator_and_a_temperature_of_the_simulator_is_the_pools(material, tmp_path) -> None:
    generator = json.dumps({"name": "transformers", "model": str(material / "language"), "top_p": 0.5})
    simulator = material / "simulator.json"
    simulator.write_text(json.dumps([{"name": "reward_model", "model": str(material / "reward"), "temperature": 0.25}]))
    arguments = words(material, tmp_path / "pool", generator=generator, simulator=simulator, temperature=0.7, workers=0)
    assert main(arguments) == 0
    pool = CandidatePool.open(tmp_path / "pool")
    made = pool.manifest["generator"]
    assert (made["top_p"], made["temperature"], made["max_new_tokens"]) == (0.5, 0.7, 6)
    assert pool.temperature == 0.25
    again = words(material, tmp_path / "again", generator=json.dumps({"name": "recorded", "pool": str(pool.path)}))
    at = again.index("--max-new-tokens")
    del again[at : at + 2]
    assert main([*again, "--workers", "0"]) == 0
    assert CandidatePool.open(tmp_path / "again").texts(5) == pool.texts(5)


def test_attributes_without_raters_are_recorded_with_a_warning(material, tmp_path, capsys) -> None:
    """A pilot from which the raters' spreads are measured has none."""
    (tmp_path / "prompts.txt").write_text("List two facts about tomatoes.\nIntroduce the periodic table.\n")
    changes = {"prompts": tmp_path / "prompts.txt", "simulator": '[{"name": "rubrics"}]', "workers": 0}
    assert main(words(material, tmp_path / "pilot", **changes)) == 0
    complaints = capsys.readouterr().err
    assert complaints.startswith(
        "warning: the simulator gives 8 attributes, and without --raters"
    )  # before hours of work
    assert "8 attributes and documents no raters" in complaints


def test_raters_that_no_environment_could_play_are_refused_before_anything_is_recorded(
    material, tmp_path, capsys
) -> None:
    known = {"formula": FORMULA, "liked": ["beauty"], "tastes": [], "spread": {"beauty": 1.0}, "liked_scale": 1.0}
    for raters, complaint in [
        ({"a": 1}, "raters are described by {'a': 1}"),
        (known, "raters judge by beauty; the sim"),
    ]:
        (tmp_path / "raters.json").write_text(json.dumps(raters))
        assert main(words(material, tmp_path / "pool", raters=tmp_path / "raters.json")) == 1
        printed = capsys.readouterr().err
        assert complaint in printed and printed.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["raters.json"]


def test_a_prompt_too_long_is_one_line_and_costs_no_other(material, tmp_path, capsys) -> None:
    assert main(words(material, tmp_path / "pool", prompts=material / "long.jsonl", workers=0)) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and complaint.startswith("duelgym: error: prompt 'sea sea sea")
    kept = [Shard.read(file) for file in (tmp_path / "pool.recording").glob("*.shard")]
    assert [len(shard.texts) for shard in kept] == [3, 3]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"generator": "{"}, "--generator: not valid JSON"),
        ({"generator": '{"name": "nobody"}'}, "no generator is called 'nobody'"),
        ({"generator": '{"model": "x", "max_new_tokens": 3}'}, "both give max_new_tokens; give each once"),
        ({"simulator": '[{"name": "bradley_terry", "temperature": 1}]'}, "'bradley_terry' scores no texts"),
        ({"simulator": '[{"name": "rubrics"}, {"name": "flip", "rate": 0.1}]'}, "a list of one object"),
        ({"simulator": "{}"}, "--simulator: must be a JSON list"),
        ({"prompts": "absent.txt"}, "absent.txt"),
        ({"raters": "absent.json"}, "absent.json"),
        ({"projection": "absent.safetensors"}, "absent.safetensors"),
        ({"n": 1}, "n is 1"),
        (
            {"simulator": json.dumps([{"name": "reward_model", "model": "MATERIAL/reward", "head": "x"}])},
            "no label 'x'",
        ),
        ({"simulator": "MATERIAL/language"}, "is a LlamaForCausalLM, not a reward model"),
        ({"generator": "MATERIAL/reward"}, "is a LlamaForSequenceClassification, which writes no text"),
    ],
)
def test_what_cannot_be_recorded_is_one_line(material, tmp_path, capsys, changes, complaint: str) -> None:
    changes = {key: str(value).replace("MATERIAL", str(material)) for key, value in changes.items()}
    assert main(words(material, tmp_path / "pool", **changes)) == 1
    printed = capsys.readouterr().err
    assert complaint in printed and printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
