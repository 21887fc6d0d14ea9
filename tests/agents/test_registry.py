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
from duelgym_agents.registry import AGENTS, agent_factory, composition, make_agent, own_modules, parts_of


def test_named_agents_are_what_the_papers_pair_and_ablations_say_so():
    table = {name: (spec.reward_model, spec.rule.name, spec.as_published) for name, spec in AGENTS.items()}
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
        ("number", "is a int, no function; write package.module:factory"),
    ],
)
def test_bad_custom_factories_are_one_line_errors(custom_module, attribute, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        make(f"{custom_module}:{attribute}")
    assert "\n" not in str(caught.value)


def test_a_module_that_does_not_exist_is_a_one_line_error(custom_module):
    with pytest.raises(SpecificationError, match="cannot be imported: ModuleNotFoundError"):
        make("no_such_module_of_agents:factory")


def test_a_rule_and_a_reward_model_of_ones_own_stand_on_either_side():
    for name, like in (
        ("infomax+own_parts:LINEAR", {"prior_scale": 0.5}),
        ("own_parts:BestAndNext+bayesian_linear", {}),
        ("own_parts:BestAndNext+own_parts:LINEAR", {"prior_scale": 0.5}),
    ):
        rule, model = name.split("+")
        assert parts_of(name) == (rule, model)
        spec = composition(name)
        assert (spec.name, spec.reward_model, spec.as_published) == (name, model, False)
        agents = make(name, seed=3), make_agent(rule, model, **dimensions(), seed=3)
        if rule == "infomax":
            agents = (*agents, make("infomax+bayesian_linear", seed=3, **like))
        asked = [agent.select_pairs(contexts_of(np.random.default_rng(0))) for agent in agents]
        assert all((pairs == asked[0]).all() for pairs in asked)


def test_settings_reach_parts_of_ones_own():
    contexts = contexts_of(np.random.default_rng(0))
    agent = make("own_parts:BestAndNext+own_parts:LINEAR", ahead=2, prior_scale=2.0)
    assert agent._model.settings.prior_scale == 2.0
    pairs = agent.select_pairs(contexts)
    assert ((pairs[:, 1] - pairs[:, 0]) % contexts.candidates.shape[1] == 2).all()
    with pytest.raises(SpecificationError, match="has no setting behind; it has: ahead, "):
        make("own_parts:BestAndNext+own_parts:LINEAR", behind=2)


def test_a_name_says_what_it_is_made_of_without_importing_anything():
    assert parts_of("double_thompson+absent:MODEL") == ("double_thompson", "absent:MODEL")
    assert parts_of("absent:factory") is None and parts_of("sb3:a+b.zip") == ("sb3:a+b.zip", "belief")
    assert parts_of("ee2024-infomax") == ("infomax", "ensemble")
    assert own_modules("lab.rules:A+lab.models:B") == ("lab.rules", "lab.models") and own_modules("lab:f") == ("lab",)
    assert own_modules("sb3:PATH") == own_modules("ee2024-infomax") == own_modules("infomax+epinet") == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_parts:NeedsArguments+point", "cannot be made without arguments: TypeError"),
        ("own_parts:LINEAR+point", "is a RewardModelKind; it must be a frozen dataclass with name, reads and __call__"),
        ("passive+own_parts:BestAndNext", "is a type; it must be a RewardModelKind"),
        ("passive+own_parts:BARE", "settings: a frozen dataclass"),
        ("own_parts:Uncallable+point", "is a Uncallable; it must be a frozen dataclass with name, reads and __call__"),
        ("own_parts:Clashing+bayesian_linear", "prior_scale would be a setting of two parts; rename it in yours"),
        ("own_parts:BestAndNext", "a rule or reward model of your own is one side of rule+reward_model"),
        ("own_parts:LINEAR", "is a RewardModelKind, no function; write package.module:factory"),
        ("own_parts:Absent+point", "exploration rule 'own_parts:Absent' cannot be imported: AttributeError"),
        ("passive+absent_module:MODEL", "reward model 'absent_module:MODEL' cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_is_no_rule_or_reward_model_is_refused_in_one_line(name, words):
    with pytest.raises(SpecificationError) as caught:
        make(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_answers_of_the_wrong_shape_are_refused_with_the_right_one():
    contexts = contexts_of(np.random.default_rng(0))
    with pytest.raises(
        SpecificationError, match=r"rule 'passive' must return a Selection with pairs of shape \(5, 2\)"
    ):
        make("own_parts:ThreeAtOnce+point").select_pairs(contexts)
    with pytest.raises(
        SpecificationError, match=r"Flat gives utilities of shape \(1, 5\); rules read .*: \(1, 5, \d+\)"
    ):
        make("greedy+own_parts:FLAT").select_pairs(contexts)
