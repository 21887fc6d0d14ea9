"""The registry: what the named agents are, which compositions exist, and factories of one's own."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import pytest
from made_up_agents import contexts_of, dimensions, fits, make
from made_up_duels import ON_EMBEDDINGS

from duelgym.errors import SpecificationError
from duelgym_agents.catalogue import RULES
from duelgym_agents.registry import AGENTS, agent_factory, make_agent


def test_named_agents_are_what_the_papers_pair_and_ablations_say_so():
    table = {name: (spec.reward_model, spec.rule_name, spec.as_published) for name, spec in AGENTS.items()}
    families = {name: [each for each in table if each.startswith(name)] for name in ("sea", "activeuf")}
    of_families = {*families["sea"], *families["activeuf"]}
    assert {name: repr(AGENTS[name].rule) for name in of_families} == {
        "sea-passive": "Passive()",
        "sea-ee": "ParticlesWithoutReplacement(max_retries=None)",
        "sea-bai": "ThompsonMaxVariance(variance_of='probability')",
        "sea-uncertainty": "InfomaxLogit()",
        "activeuf-random": "UniformPair(with_replacement=True)",
        "activeuf-infomax": "InfomaxWidth(width=1.0)",
        "activeuf-info_gain": "ThompsonMaxWidth(width=1.0)",
        "activeuf-dts": "MarginalThompson(width=1.0, max_retries=29)",
        "activeuf-drts": "ReverseDoubleThompson(width=1.0, max_retries=29)",
        "activeuf-delta_ucb": "DeltaUCB(width=1.0)",
        "activeuf-delta_quantile": "DeltaQuantile(width=1.0, quantile=0.05, half_window=0.0)",
        "activeuf-max_min_lcb": "MaxMinLCB(width=1.0, joint=False, plausible_only=False)",
    }
    assert {table[name][::2] for name in of_families} == {("ensemble", True)}
    assert {name: row for name, row in table.items() if name not in of_families} == {
        "ee2024-passive": ("point", "passive", True),
        "ee2024-boltzmann": ("point", "boltzmann", True),
        "ee2024-infomax": ("ensemble", "infomax", True),
        "ee2024-double_thompson": ("ensemble", "double_thompson", True),
        "passive-ensemble": ("ensemble", "passive", False),
        "boltzmann-ensemble": ("ensemble", "boltzmann", False),
        "additive-thompson": ("additive", "double_thompson", False),
        "additive-thompson-text": ("additive_text", "double_thompson", False),
        "ee2026-ide-full": ("randomised_prior", "infomax", True),
        "ee2026-ide": ("randomised_prior", "infomax", False),
        "apo": ("bayesian_linear", "d_optimal", True),
        "colstim": ("bayesian_linear", "colstim", True),
        "fgts-cdb": ("bayesian_linear", "feel_good_thompson", True),
        "vacdb": ("bayesian_linear", "vacdb", True),
        "stad": ("bayesian_linear", "stad", True),
    }
    ee2024 = ["ee2024-infomax", "ee2024-double_thompson", "passive-ensemble", "boltzmann-ensemble"]
    for names in (*families.values(), ee2024, ["ee2024-passive", "ee2024-boltzmann"]):
        settings = [AGENTS[name].settings for name in names]
        assert all(each == settings[0] for each in settings)  # within a paper rules differ, the reward model does not
    assert all(name == spec.name and spec.doc for name, spec in AGENTS.items())


def test_any_rule_goes_with_any_reward_model_that_gives_what_it_reads():
    for rule in RULES:
        for kind in ON_EMBEDDINGS:
            refused = pytest.raises(SpecificationError, match=rf"rule '{rule}'")
            with contextlib.nullcontext() if fits(rule, kind) else refused:
                agents = [make(f"{rule}+{kind}"), make_agent(rule, kind, **dimensions(), seed=0)]
                assert [agent.select_pairs(contexts_of(np.random.default_rng(0))).shape for agent in agents] == [
                    (5, 2)
                ] * 2


def test_unknown_rules_and_reward_models_are_refused_with_what_is_known():
    with pytest.raises(SpecificationError, match=r"no exploration rule is called 'infomx'; did you mean 'infomax'"):
        agent_factory("infomx+point")
    with pytest.raises(SpecificationError, match=r"no reward model is called 'oracle'; .*known: point, ensemble"):
        agent_factory("infomax+oracle")
    with pytest.raises(SpecificationError, match=r"no exploration rule is called 'oracle'"):
        agent_factory("oracle+point")


def test_unknown_names_and_settings_are_refused_with_what_is_known():
    with pytest.raises(SpecificationError, match=r"did you mean 'ee2024-infomax'.*passive-ensemble"):
        agent_factory("ee2024-infomx")
    with pytest.raises(SpecificationError, match=r"no setting temprature; it has: .*temperature"):
        make("ee2024-boltzmann", temprature=2.0)
    with pytest.raises(SpecificationError, match="no setting temperature"):
        make("ee2024-passive", temperature=2.0)
    with pytest.raises(SpecificationError, match="learning_rate is -1"):
        make("ee2024-passive", learning_rate=-1)


def test_settings_reach_the_rule_and_the_model():
    cold, warm = (make("ee2024-boltzmann", temperature=temperature, seed=1) for temperature in (1e-6, 1e6))
    contexts = contexts_of(np.random.default_rng(0))
    assert (cold.select_pairs(contexts)[:, 0] == cold.recommend(contexts)).all()
    assert not (warm.select_pairs(contexts)[:, 0] == warm.recommend(contexts)).all()
    assert len(make("ee2024-infomax", n_particles=3).sample_utilities(contexts, 3, np.random.default_rng(0))) == 3


@pytest.fixture
def custom_module(tmp_path, monkeypatch):
    """A module in the current directory, and an import path that is put back afterwards."""
    (tmp_path / "my_duel_agents.py").write_text(
        "class First:\n"
        "    def select_pairs(self, contexts): ...\n"
        "    def observe(self, contexts, pairs, preferences): ...\n"
        "    def recommend(self, contexts): ...\n"
        "def first(**arguments): return First()\n"
        "def wrong(**arguments): return 3\n"
        "def raises(**arguments): raise OSError('two\\nlines')\n"
        "number = 7\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_duel_agents"
    sys.modules.pop("my_duel_agents", None)


def test_custom_factories_are_imported_from_the_current_directory(custom_module):
    agent = make(f"{custom_module}:first")
    assert type(agent).__name__ == "First"


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("wrong", "is a int; it must have the methods select_pairs, observe and recommend"),
        ("raises", "making agent .* failed: OSError: two lines$"),
        ("absent", "cannot be imported: AttributeError"),
        ("number", "is not a function"),
    ],
)
def test_bad_custom_factories_are_one_line_errors(custom_module, attribute, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        make(f"{custom_module}:{attribute}")
    assert "\n" not in str(caught.value)


def test_a_module_that_does_not_exist_is_a_one_line_error(custom_module):
    with pytest.raises(SpecificationError, match="cannot be imported: ModuleNotFoundError"):
        make("no_such_module_of_agents:factory")
