"""``duelgym world …`` from the command line, with tiny models and little material."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import make_model

from duelgym.cli import main
from duelgym.generators.projection import Projection
from duelgym.pools import CandidatePool, write_pool
from duelgym.simulators.attributes import Population
from duelgym.testing import make_pool
from duelgym.world import language_model, projection, reward_model
from duelgym.world.corpus import demonstrations, draw_prompts
from duelgym.world.language_model import train_language_model
from duelgym.world.projection import hidden_states
from duelgym.world.report import report
from duelgym.world.reward_model import train_reward_model
from duelgym.world.rubric import ATTRIBUTES
from duelgym.world.samples import samples

speaker = partial(train_language_model, tokenizer_texts=300, batch=8, chunk=16, held_out=16)
judge = partial(train_reward_model, batch=2, chunk=4, spread_prompts=30, held_out=4)


def _run(*words):
    return main(["world", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def small(monkeypatch):
    """Less material than the recipes' own."""
    monkeypatch.setattr(language_model, "train_language_model", speaker)
    monkeypatch.setattr(reward_model, "train_reward_model", judge)
    monkeypatch.setattr(projection, "hidden_states", partial(hidden_states, n_prompts=8, each=4))


def test_prompts(tmp_path, capsys):
    out = tmp_path / "prompts.txt"
    out.write_text("what stood here before is replaced")
    assert _run("prompts", "--n", 30, "--seed", 5, "--out", out) == 0
    assert out.read_text("utf-8") == "".join(f"{prompt}\n" for prompt in draw_prompts(30, np.random.default_rng(5)))
    assert capsys.readouterr().out == f"{out}: 30 prompts\n"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("n", [0, -1])
@pytest.mark.parametrize("action", [["prompts", "--out", "prompts.txt"], ["samples"]])
def test_no_prompts_are_refused_and_nothing_is_written(action, n, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert _run(*action, "--n", n) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("duelgym: error: ") and f"n is {n}; it must be at least 1" in shown.err
    assert shown.err.count("\n") == 1 and not shown.out and not list(tmp_path.iterdir())


def test_a_place_that_is_not_there_is_one_line(tmp_path, capsys):
    assert _run("prompts", "--n", 2, "--out", tmp_path / "none" / "prompts.txt") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_samples(model, capsys):
    assert _run("samples", "--model", model, "--n", 2, "--temperature", 0.7, "--seed", 3) == 0
    assert capsys.readouterr().out == samples(str(model), n=2, temperature=0.7, top_p=0.95, seed=3) + "\n"


def test_projection(model, small, tmp_path, capsys):
    out = tmp_path / "projection.safetensors"
    assert _run("projection", "--model", model, "--out", out, "--dim", 5, "--pooling", "mean", "--seed", 2) == 0
    assert capsys.readouterr().out == f"{out}: 32 hidden units to 5 features\n"
    fitted = Projection.load(out)
    assert (fitted.hidden_dim, fitted.embedding_dim) == (32, 5)
    assert _run("projection", "--model", model, "--out", tmp_path / "last", "--dim", 5, "--seed", 2) == 0
    assert Projection.load(tmp_path / "last").sha256() != fitted.sha256()


def test_a_projection_to_too_many_features_is_refused(model, small, tmp_path, capsys):
    out = tmp_path / "projection.safetensors"
    assert _run("projection", "--model", model, "--out", out, "--dim", 33) == 1
    assert "dim is 33; answers differ in" in capsys.readouterr().err and not out.exists()


@pytest.fixture
def pool(tmp_path):
    stream, rng = demonstrations(np.random.default_rng(4), each=4, kept=True), np.random.default_rng(0)
    shown = {d.instruction.text: d.responses for d, _ in zip(stream, range(40), strict=False)}
    write_pool(
        tmp_path / "pool",
        name="small world",
        prompts=list(shown),
        candidate_names=[f"sample {k}" for k in range(4)],
        texts=list(shown.values()),
        prompt_embeddings=rng.standard_normal((len(shown), 4)),
        candidate_embeddings=rng.standard_normal((len(shown), 4, 4)),
        utilities=rng.standard_normal((len(shown), 4, len(ATTRIBUTES))),
        attributes=ATTRIBUTES,
        raters=Population(ATTRIBUTES[:4], ATTRIBUTES[4:], (1.0,) * 8, 0.6).specification(),
    )
    return CandidatePool.open(tmp_path / "pool")


def test_report(pool, capsys):
    assert _run("report", pool.path) == 0
    assert capsys.readouterr().out == report(pool) + "\n"


def test_raters_have_the_spread_of_the_pilot(pool, tmp_path, capsys):
    out = tmp_path / "raters.json"
    assert _run("raters", pool.path, "--out", out, "--liked-scale", 0.7) == 0
    assert capsys.readouterr().out == f"{out}: 8 attributes\n"
    population = Population.from_specification(json.loads(out.read_text()))
    assert population.names == ATTRIBUTES and len(population.liked) == 4 and population.liked_scale == 0.7
    values = pool.utilities(np.arange(pool.n_prompts))
    centred = values - values.mean(axis=1, keepdims=True)
    expected = np.sqrt((centred**2).sum(axis=(0, 1)) / (3 * pool.n_prompts))  # 4 answers have 3 degrees of freedom
    np.testing.assert_allclose(population.spread, expected, atol=6e-5)


def test_raters_of_another_pool_are_refused(tmp_path, capsys):
    make_pool(tmp_path / "pool")
    assert _run("raters", tmp_path / "pool", "--out", tmp_path / "raters.json") == 1
    assert "the world's are helpful, true" in capsys.readouterr().err and not (tmp_path / "raters.json").exists()


def test_a_report_on_another_pool_is_refused(tmp_path, capsys):
    make_pool(tmp_path / "pool")
    assert _run("report", tmp_path / "pool") == 1
    assert "the world's are helpful, true" in capsys.readouterr().err
    assert _run("report", tmp_path / "none") == 1
    assert capsys.readouterr().err.count("\n") == 1


def _recipe(name, out, *options):
    assert _run(name, "--out", out, "--steps", 2, "--seed", 3, "--threads", 1, *options) == 0
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("name", ["language-model", "reward-model"])
def test_recipes_write_what_they_train_and_how_it_went(name, small, tmp_path, capsys):
    if name == "language-model":
        train, options = speaker, ()
    else:
        _recipe("language-model", tmp_path / "base")
        train, options = partial(judge, tmp_path / "base"), ("--base", tmp_path / "base")
    weights = _recipe(name, tmp_path / "new" / "out", *options)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((tmp_path / "new" / "out" / "training.json").read_text()) == told
    assert told.pop("minutes") >= 0 and told.pop("steps") == 2 and told.pop("seed") == 3
    assert train(tmp_path / "again", steps=2, seed=3, threads=1) == told
    again = load_file(tmp_path / "again" / "model.safetensors")
    assert weights.keys() == again.keys() and all(torch.equal(weights[key], again[key]) for key in weights)
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("name", ["language-model", "reward-model"])
def test_no_steps_are_refused(name, tmp_path, capsys):
    options = ("--base", tmp_path) if name == "reward-model" else ()
    assert _run(name, "--out", tmp_path / "out", "--steps", 0, *options) == 1
    assert "--steps is 0; it must be at least 1" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [[], ["prompts"], ["projection", "--model", "x"], ["projection", "--model", "x", "--out", "y", "--pooling", "max"]],
)
def test_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as left:
        _run(*words)
    assert left.value.code == 2 and "usage: duelgym world" in capsys.readouterr().err
