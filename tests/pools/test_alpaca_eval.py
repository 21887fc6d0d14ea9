"""From AlpacaEval's folders to a pool: what is kept, what is left out, what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from duelgym.cli import main
from duelgym.errors import PoolError
from duelgym.metrics.calibration import favourite_rate, single_utility, tied_share
from duelgym.pools import CandidatePool
from duelgym.pools.alpaca_eval import import_alpaca_eval, read_results, utilities_of
from duelgym.pools.splits import prompt_hash


def test_utilities_by_hand() -> None:
    preferences = np.array([1.0, 1.25, 1.5, 1.9, 2.0])
    floor = math.log(1e-9 / (1 - 1e-9))
    expected = [floor, -math.log(3), 0.0, math.log(9), -floor]
    np.testing.assert_allclose(utilities_of(preferences, clip=1e-9), expected, atol=1e-12)


def test_import_keeps_texts_embeddings_and_utilities_together(tmp_path: Path, alpaca, capsys) -> None:
    assert main([*alpaca.write(tmp_path), "--out", str(tmp_path / "pool")]) == 0
    assert "40 prompts x 3 candidates" in capsys.readouterr().out
    pool = CandidatePool.open(tmp_path / "pool")
    assert pool.candidate_names == ("ant", "bee", "cat")
    assert pool.reference == {"name": "gpt4_1106_preview", "utility": 0.0}
    assert "CC BY-NC 4.0" in pool.manifest["licence"]
    prompts = [pool.texts(row).prompt for row in range(40)]
    assert prompts == sorted(alpaca.instructions, key=prompt_hash)
    scale = pool.manifest["embedding_scale"]
    for row in (0, 17, 39):
        source = alpaca.instructions.index(prompts[row])
        for column, model in enumerate(alpaca.models):
            entry = alpaca.entries[model, prompts[row]]
            assert pool.texts(row).candidates[column] == entry["output"]
            p = entry["preference"] - 1
            assert pool.utilities(np.array([row]))[0, column, 0] == pytest.approx(math.log(p / (1 - p)))
        np.testing.assert_allclose(
            scale * pool.candidate_embeddings(np.array([row]), np.array([[0, 1, 2]]))[0],
            alpaca.embeddings["response_embeddings"][source].astype(np.float32),
            rtol=1e-6,
        )


def test_two_imports_and_a_permuted_source_give_the_same_bytes(tmp_path: Path, alpaca) -> None:
    pools = []
    for name, order in (("one", list), ("two", list), ("reversed", lambda entries: entries[::-1])):
        (tmp_path / name).mkdir()
        arguments = alpaca.write(tmp_path / name, order)
        assert main([*arguments, "--out", str(tmp_path / f"pool-{name}")]) == 0
        pools.append(CandidatePool.open(tmp_path / f"pool-{name}"))
    assert pools[0].sha256 == pools[1].sha256 == pools[2].sha256


def test_permuted_embeddings_give_the_same_pool_but_for_their_hash(tmp_path: Path, alpaca) -> None:
    pools = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        assert main([*alpaca.write(tmp_path / name), "--out", str(tmp_path / f"pool-{name}")]) == 0
        pools.append(CandidatePool.open(tmp_path / f"pool-{name}"))
        order = np.random.default_rng(0).permutation(40)
        alpaca.instructions = [alpaca.instructions[place] for place in order]
        alpaca.embeddings = {key: array[order] for key, array in alpaca.embeddings.items()}
        alpaca.models = alpaca.models[::-1]
        alpaca.embeddings["response_embeddings"] = alpaca.embeddings["response_embeddings"][:, ::-1]
    assert pools[0].manifest["files"] == pools[1].manifest["files"]


def test_incomplete_models_and_prompts_are_left_out_by_the_rule(tmp_path: Path, alpaca, capsys) -> None:
    """Of 40 prompts 5 % are 2: bee lacks 2 and stays, cat lacks 3 and goes."""
    null, unjudged = alpaca.instructions[3], alpaca.instructions[8]
    alpaca.entries["bee", null]["preference"] = None
    alpaca.entries["bee", unjudged]["annotated"] = False
    for prompt in alpaca.instructions[20:23]:
        alpaca.entries["cat", prompt]["output"] = None
    assert main([*alpaca.write(tmp_path), "--out", str(tmp_path / "pool")]) == 0
    printed = capsys.readouterr().out
    pool = CandidatePool.open(tmp_path / "pool")
    assert pool.candidate_names == ("ant", "bee")
    assert pool.n_prompts == 38
    report = pool.manifest["provenance"]
    assert report["models_left_out"] == {"cat": 3}
    assert report["prompts_left_out"] == {null: ["bee"], unjudged: ["bee"]}
    assert report["unusable_entries"] == {
        "bee": {"null preference": 1, "no annotation": 1},
        "cat": {"no output": 3},
    }
    assert "models left out: 1: 'cat'" in printed
    assert "prompts left out: 2" in printed
    assert "more than 5%" in printed


def test_an_answer_judged_on_another_text_counts_as_lacking(tmp_path: Path, alpaca) -> None:
    alpaca.write(tmp_path)
    file = tmp_path / "results" / "ant" / "model_outputs.json"
    outputs = json.loads(file.read_text())
    outputs[0]["output"] = "changed after it was judged"
    file.write_text(json.dumps(outputs))
    results = read_results(tmp_path / "results")
    assert results.report["prompts_left_out"] == {alpaca.instructions[0]: ["ant"]}
    assert results.report["unusable_entries"] == {"ant": {"judged on another output": 1}}


def test_assessment_prompts_make_the_assessment_part(tmp_path: Path, alpaca, capsys) -> None:
    arguments = alpaca.write(tmp_path)
    chosen = alpaca.instructions[:4]
    (tmp_path / "assess.json").write_text(json.dumps(chosen))
    arguments += ["--assess-prompts", str(tmp_path / "assess.json")]
    assert main([*arguments, "--out", str(tmp_path / "pool")]) == 0
    pool = CandidatePool.open(tmp_path / "pool")
    assert {pool.texts(row).prompt for row in pool.split("assess")} == set(chosen)
    assert len(pool.split("learn")) == 36
    (tmp_path / "assess.json").write_text(json.dumps([*chosen, "What is love?"]))
    assert main([*arguments, "--out", str(tmp_path / "other")]) == 1
    assert "'What is love?' is not in the pool" in capsys.readouterr().err


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


OUTPUTS = "results/bee/model_outputs.json"
ANNOTATIONS = "results/bee/weighted_alpaca_eval_gpt4_turbo/annotations.json"
BAD_SOURCES = {
    "no annotations": (lambda root: (root / ANNOTATIONS).unlink(), "annotations.json is missing; add it, or remove"),
    "no outputs": (lambda root: (root / OUTPUTS).unlink(), "model_outputs.json is missing"),
    "cut short": (
        lambda root: (root / OUTPUTS).write_text('[{"instruction": "Wh'),
        "bee/model_outputs.json: not valid",
    ),
    "no list": (lambda root: (root / ANNOTATIONS).write_text("{}"), "bee/weighted.*must be a JSON list"),
    "above 2": (
        lambda root: edit(root / ANNOTATIONS, lambda rows: rows[1].update(preference=2.01)),
        "annotations.json: preference is 2.01 for 'What is 1 squared",
    ),
    "nan": (
        lambda root: edit(root / ANNOTATIONS, lambda rows: rows[1].update(preference=float("nan"))),
        "preference is nan",
    ),
    "text": (
        lambda root: edit(root / ANNOTATIONS, lambda rows: rows[1].update(preference="1.2")),
        "preference is '1.2'",
    ),
    "other baseline": (
        lambda root: edit(root / ANNOTATIONS, lambda rows: rows[0].update(generator_1="davinci")),
        "judged against 'davinci', not gpt4_1106_preview",
    ),
    "no instruction": (lambda root: edit(root / OUTPUTS, lambda rows: rows[0].pop("instruction")), "no 'instruction'"),
    "duplicate": (
        lambda root: edit(root / OUTPUTS, lambda rows: rows.append({**rows[0], "output": "else"})),
        "model_outputs.json: 'What is 0 squared.' is there twice with different 'output'",
    ),
    "not text": (
        lambda root: (
            edit(root / OUTPUTS, lambda rows: rows[0].update(output=5)),
            edit(root / ANNOTATIONS, lambda rows: rows[0].update(output_2=5)),
        ),
        "output is 5 for",
    ),
    "index lacks a model": (
        lambda root: edit(root / "index.json", lambda index: index["generators"].__setitem__(1, "bug")),
        "index.json: 'generators' lacks 'bee'",
    ),
    "index lacks a prompt": (
        lambda root: edit(root / "index.json", lambda index: index["instructions"].__setitem__(1, "why")),
        "index.json: 'instructions' lacks 'What is 1 squared.'",
    ),
    "index too long": (
        lambda root: edit(root / "index.json", lambda index: index["instructions"].append("why")),
        r"prompt_embeddings has shape \(40, 12\); index.json asks for \(41, dim\)",
    ),
    "index repeats": (
        lambda root: edit(root / "index.json", lambda index: index["generators"].append("bee")),
        "list of different names",
    ),
    "embeddings damaged": (
        lambda root: (root / "embeddings.safetensors").write_bytes(b"x" * 30),
        "not a safetensors file",
    ),
}


@pytest.mark.parametrize("case", BAD_SOURCES)
def test_bad_sources_are_refused_in_one_line(tmp_path: Path, alpaca, capsys, case: str) -> None:
    spoil, message = BAD_SOURCES[case]
    arguments = alpaca.write(tmp_path)
    spoil(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main([*arguments, "--out", str(tmp_path / "pool")]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    with pytest.raises(PoolError, match=message):
        raise PoolError(complaint)
    assert sorted(tmp_path.iterdir()) == before


def test_nan_embeddings_are_refused_naming_the_prompt(tmp_path: Path, alpaca, capsys) -> None:
    alpaca.embeddings["response_embeddings"][2, 1, 3] = np.nan
    assert main([*alpaca.write(tmp_path), "--out", str(tmp_path / "pool")]) == 1
    complaint = capsys.readouterr().err
    assert "candidate_embeddings has a NaN or infinite number for prompt 'What is 2 squared?'" in complaint


def test_arguments_that_exclude_each_other(tmp_path: Path, alpaca) -> None:
    alpaca.write(tmp_path)
    for given in ({}, {"embeddings": "x"}, {"index": "x"}, {"encoder": "x", "embeddings": "y", "index": "z"}):
        with pytest.raises(PoolError, match="either an encoder"):
            import_alpaca_eval(tmp_path, tmp_path / "pool", **given)
    with pytest.raises(PoolError, match=r"clip is 0\.5"):
        import_alpaca_eval(tmp_path, tmp_path / "pool", encoder="x", clip=0.5)
    for folder in (tmp_path / "absent", tmp_path / "results" / "ant" / "weighted_alpaca_eval_gpt4_turbo"):
        with pytest.raises(PoolError, match=r"name the one that holds AlpacaEval's results"):
            read_results(folder)


def test_the_real_data(real_data: Path, tmp_path: Path, capsys) -> None:
    embeddings = real_data / "alpaca_eval_minilm"
    pool = import_alpaca_eval(
        real_data / "alpaca_eval",
        tmp_path / "pool",
        embeddings=embeddings / "embeddings.safetensors",
        index=embeddings / "index.json",
    )
    assert (pool.n_prompts, pool.n_candidates, pool.candidate_dim) == (506, 55, 384)
    assert "gpt4_1106_preview" not in pool.candidate_names
    utilities = single_utility(pool.utilities(np.arange(506)))
    assert tied_share(utilities) < 0.05
    assert 3.5 < pool.temperature < 4.5
    assert favourite_rate(utilities, temperature=pool.temperature) == pytest.approx(0.7, abs=1e-5)
    assert main(["pool", "info", str(pool.path)]) == 0
    assert capsys.readouterr().err == ""
