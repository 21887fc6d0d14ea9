"""What ensembles on a language model refuse, in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tiny_models import make_model
from worded_duels import BOTH, agent_of, contexts_of, teach

from duelgym.agent import Contexts
from duelgym.errors import GeneratorError, SpecificationError
from duelgym_agents.reward_models import LoRASettings
from duelgym_bench.plan import Plan, check_plan


@pytest.mark.parametrize("kind", BOTH)
def test_contexts_without_texts_are_refused_in_one_line(kind, tiny):
    blind = Contexts(np.zeros((2, 2), np.float32), np.zeros((2, 4, 3), np.float32))
    agent = agent_of(kind, tiny)
    for call in (
        lambda: agent.select_pairs(blind),
        lambda: agent.observe(blind, np.array([[0, 1], [1, 2]]), np.array([0, 1], np.int8)),
        lambda: agent.recommend(blind),
    ):
        with pytest.raises(SpecificationError, match=rf"^{kind} reads texts, .*use an environment with texts"):
            call()


def test_environments_of_points_are_refused_before_anything_runs():
    plan = Plan("SyntheticDuel-v0", {}, ("infomax+linear_heads",), 32, 1, 32, "", "")
    with pytest.raises(SpecificationError, match=r"'infomax\+linear_heads' reads texts.*SyntheticDuel-v0 are points"):
        check_plan(plan)


def test_a_text_longer_than_the_context_is_refused_with_its_place(build):
    contexts = contexts_of(np.random.default_rng(0), batch=2)
    texts = contexts.candidate_texts[0], ("sea", "sea", "octopus " * 300, "sea")
    long = Contexts(contexts.prompts, contexts.candidates, contexts.prompt_texts, texts)
    with pytest.raises(GeneratorError, match="prompt 1 has .* more than the 256 of .*context"):
        build("linear_heads").mean(long)


def test_models_that_cannot_be_used_are_refused(build, tmp_path, tiny):
    with pytest.raises(GeneratorError, match="is not a directory"):
        build("linear_heads", model=str(tmp_path / "nothing"))
    with pytest.raises(GeneratorError, match="as a hub name it needs revision="):
        build("linear_heads", model="someone/something")
    folder = make_model(tmp_path / "coded")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "code.Model"}}))
    with pytest.raises(GeneratorError, match="code of its own"):
        build("lora", model=str(folder))


def test_a_missing_library_is_named(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    build("linear_heads")
    with pytest.raises(SpecificationError, match=r"pip install 'duelgym-agents\[llm\]'"):
        build("lora")


@pytest.mark.parametrize("kind", BOTH)
def test_a_state_of_other_settings_is_refused(kind, build):
    model = build(kind)
    teach(model, np.random.default_rng(0), batches=2)
    with pytest.raises(SpecificationError, match="has shape"):
        build(kind, n_particles=4).load_state_dict(model.state_dict())
    with pytest.raises(SpecificationError, match="no 'lengths'"):
        build(kind).load_state_dict({name: a for name, a in model.state_dict().items() if name != "lengths"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tokens_at_once", 0),
        ("n_particles", 0),
        ("bootstrap", 1),
        ("learning_rate", 0.0),
        ("anchor", "start"),
        ("tuning_labels", 0),
        ("rank", 1.5),
        ("alpha", -1.0),
        ("adapter_learning_rate", float("nan")),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(SpecificationError, match=f"{name} is .*; it must be"):
        LoRASettings(**{name: value})


def test_the_catalogue_needs_neither_transformers_nor_peft():
    code = "import sys, duelgym_agents.catalogue; print(sorted({'transformers', 'peft'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
