"""The search space of tuning: every setting, its range, and what is drawn from it."""

import dataclasses
import json

import numpy as np
import pytest

from duelgym_agents.catalogue import REWARD_MODELS, RULES
from duelgym_agents.named import AGENTS
from duelgym_agents.registry import composition
from duelgym_bench.search_space import Range, configuration, search_space


def test_every_field_of_the_search_space_is_a_setting_whose_default_it_covers():
    for kind, parts in (
        ("reward_model", {name: model.settings for name, model in REWARD_MODELS.items()}),
        ("rule", RULES),
    ):
        for name, part in parts.items():
            fields = {field.name for field in dataclasses.fields(part)}
            space = search_space(kind, name)
            assert space is not None if fields else space is None, f"{kind}.{name}"
            for setting, within in (space or {}).items():
                assert setting in fields, f"{kind}.{name}.{setting}"
                default = getattr(part, setting)
                if within.scale == "choices":
                    assert json.loads(json.dumps(default)) in list(within.values)
                else:
                    assert within.scale in ("log", "uniform")
                    low, high = within.values
                    assert low <= default <= high


def test_no_section_is_of_something_that_does_not_exist():
    from duelgym_bench.search_space import _sections

    assert set(_sections()) == {"reward_model", "rule"}
    assert set(_sections()["reward_model"]) == set(REWARD_MODELS) and set(_sections()["rule"]) <= set(RULES)


@pytest.mark.parametrize("name", [*AGENTS, *(f"{rule}+{model}" for rule in RULES for model in REWARD_MODELS)])
def test_every_agent_accepts_every_configuration(name):
    spec = composition(name)
    for k in range(20):
        settings = configuration(spec, k)
        for part in (spec.settings, spec.rule):
            own = {field.name for field in dataclasses.fields(part)}
            made = dataclasses.replace(part, **{key: value for key, value in settings.items() if key in own})
            if k == 0:
                assert made == part
        assert json.loads(json.dumps(settings)) == settings
    assert len({json.dumps(configuration(spec, k)) for k in range(20)}) > 15


def test_ranges_by_hand():
    assert Range("log", (1e-4, 1e-2)).at(0.5) == 1e-3
    assert Range("log", (0.1, 100.0)).at(0.0) == 0.1
    assert Range("uniform", (0.05, 0.5)).at(0.5) == 0.275
    assert [Range("choices", (1, 5, 20)).at(position) for position in (0.0, 0.34, 0.99)] == [1, 5, 20]


def test_draws_fill_a_range():
    """The logarithms of 2 000 learning rates are uniform: their deciles lie within .04 of where they should."""
    spec = composition("passive+point")
    rates = [configuration(spec, k)["learning_rate"] for k in range(1, 2001)]
    positions = (np.log10(rates) + 4) / 2
    np.testing.assert_allclose(np.quantile(positions, np.arange(0.1, 1, 0.1)), np.arange(0.1, 1, 0.1), atol=0.04)


def test_agents_that_share_a_setting_try_the_same_values_of_it():
    for k in range(5):
        linear, passive = (configuration(composition(f"{rule}+bayesian_linear"), k) for rule in ("infomax", "passive"))
        assert linear == passive
        point, prior = (configuration(composition(f"boltzmann+{name}"), k) for name in ("point", "randomised_prior"))
        assert point == {name: prior[name] for name in point}
    assert configuration(composition("passive+epinet"), 1) != configuration(composition("passive+epinet"), 2)


def test_products_are_not_tried_where_dimensions_differ():
    spec = composition("passive+point")
    assert {configuration(spec, k)["features"] for k in range(20)} == {"concat", "interaction"}
    assert {configuration(spec, k, alike=False)["features"] for k in range(20)} == {"concat"}
