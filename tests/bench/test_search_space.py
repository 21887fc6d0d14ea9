"""The search space of tuning: every setting, its range, and what is drawn from it."""

import dataclasses
import json

import numpy as np
import pytest

from duelgym.errors import SpecificationError
from duelgym_agents.catalogue import REWARD_MODELS, RULES
from duelgym_agents.named import AGENTS
from duelgym_agents.registry import composition
from duelgym_bench.search_space import Range, SearchSpace

SPACE = SearchSpace.read()


def test_every_field_of_the_search_space_is_a_setting_whose_default_it_covers():
    for kind, parts in (
        ("reward_model", {name: model.settings for name, model in REWARD_MODELS.items()}),
        ("rule", RULES),
    ):
        for name, part in parts.items():
            fields = {field.name for field in dataclasses.fields(part)}
            space = SPACE.of(kind, name)
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
    assert set(SPACE.sections["reward_model"]) == set(REWARD_MODELS) and set(SPACE.sections["rule"]) <= set(RULES)
    assert not SPACE.sections["agent"]


@pytest.mark.parametrize("name", [*AGENTS, *(f"{rule}+{model}" for rule in RULES for model in REWARD_MODELS)])
def test_every_agent_accepts_every_configuration(name):
    spec = composition(name)
    for k in range(20):
        settings = SPACE.configuration(name, k)
        for part in (spec.settings, spec.rule):
            own = {field.name for field in dataclasses.fields(part)}
            made = dataclasses.replace(part, **{key: value for key, value in settings.items() if key in own})
            if k == 0:
                assert made == part
        assert json.loads(json.dumps(settings)) == settings
    assert len({json.dumps(SPACE.configuration(name, k)) for k in range(20)}) > 15


def test_ranges_by_hand():
    assert Range("log", (1e-4, 1e-2)).at(0.5) == 1e-3
    assert Range("log", (0.1, 100.0)).at(0.0) == 0.1
    assert Range("uniform", (0.05, 0.5)).at(0.5) == 0.275
    assert [Range("choices", (1, 5, 20)).at(position) for position in (0.0, 0.34, 0.99)] == [1, 5, 20]


def test_draws_fill_a_range():
    """The logarithms of 2 000 learning rates are uniform: their deciles lie within .04 of where they should."""
    rates = [SPACE.configuration("passive+point", k)["learning_rate"] for k in range(1, 2001)]
    positions = (np.log10(rates) + 4) / 2
    np.testing.assert_allclose(np.quantile(positions, np.arange(0.1, 1, 0.1)), np.arange(0.1, 1, 0.1), atol=0.04)


def test_agents_that_share_a_setting_try_the_same_values_of_it():
    for k in range(5):
        linear, passive = (SPACE.configuration(f"{rule}+bayesian_linear", k) for rule in ("infomax", "passive"))
        assert linear == passive
        point, prior = (SPACE.configuration(f"boltzmann+{name}", k) for name in ("point", "randomised_prior"))
        assert point == {name: prior[name] for name in point}
    assert SPACE.configuration("passive+epinet", 1) != SPACE.configuration("passive+epinet", 2)


def test_products_are_not_tried_where_dimensions_differ():
    tried = {
        alike: {SPACE.configuration("passive+point", k, alike=alike)["features"] for k in range(20)}
        for alike in (True, False)
    }
    assert tried == {True: {"concat", "interaction"}, False: {"concat"}}


def _space(path, text):
    path.write_text(text)
    return SearchSpace.read(path)


def test_what_is_ones_own_is_searched_as_its_file_says(tmp_path):
    file = tmp_path / "space.toml"
    ranges = '[rule."own_parts:BestAndNext"]\nahead = { choices = [1, 2] }\n[agent."lab:f"]\nx = { uniform = [0, 1] }\n'
    space = _space(
        file,
        ranges + '[reward_model."own_parts:LINEAR"]\nlike = "bayesian_linear"\nfeatures = { choices = ["fourier"] }\n',
    )
    name = "own_parts:BestAndNext+own_parts:LINEAR"
    assert space.configuration(name, 0) == {
        "features": "interaction",
        "prior_scale": 0.5,
        "likelihood_power": 1.0,
        "n_samples": 10,
        "ahead": 1,
    } | {key: getattr(composition(name).settings, key) for key in ("features", "likelihood_power", "n_samples")}
    tried = [space.configuration(name, k) for k in range(1, 20)]
    assert {one["ahead"] for one in tried} == {1, 2} and {one["features"] for one in tried} == {"fourier"}
    assert tried[0]["prior_scale"] == SPACE.configuration("passive+bayesian_linear", 1)["prior_scale"]
    assert space.configuration("lab:f", 0) == {} and 0 <= space.configuration("lab:f", 1)["x"] <= 1
    assert space.configuration("passive+point", 3) == SPACE.configuration("passive+point", 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[rule", "is no TOML"),
        ("[rules.x]", "'rules' holds no sections; there are [KIND.NAME] with KIND reward_model, rule, agent"),
        ("rule = 3", "'rule' holds no sections"),
        ("[rule.x]\nlike = []", "like is []; it must be another section"),
        ("[rule]\nx = 3", 'section [rule."x"] is 3; it must be a table of settings'),
        ('[rule.x]\nlike = "y"', "like is 'y'; it must be another section of [rule]"),
        ('[rule.x]\nlike = "x"', "like is 'x'; it must be another section"),
        ("[rule.x]\nwidth = 3", "width is 3; it must be { log = [low, high] } above 0"),
        ("[rule.x]\nwidth = { log = [0, 1] }", "it must be { log = [low, high] } above 0"),
        ("[rule.x]\nwidth = { uniform = [2, 1] }", "it must be { log"),
        ("[rule.x]\nwidth = { choices = [] }", "it must be { log"),
        ("[rule.x]\nwidth = { log = [1, 2], uniform = [1, 2] }", "it must be { log"),
        ("[rule.x]\nwidth = { log = [1, inf] }", "it must be { log"),
    ],
)
def test_a_bad_search_space_is_refused_in_one_line(tmp_path, text, words):
    with pytest.raises(SpecificationError) as caught:
        _space(tmp_path / "space.toml", text)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(SpecificationError, match="does not exist; a search space is written like"):
        SearchSpace.read(tmp_path / "none.toml")


def test_an_agent_of_which_not_all_parts_have_ranges_is_refused(tmp_path):
    own, model = "own_parts:BestAndNext+own_parts:LINEAR", '[reward_model."own_parts:LINEAR"]\n'
    for space, name, words in (
        (SPACE, "lab:f", '--space FILE.toml with a section [agent."lab:f"], written like search_space.toml'),
        (SPACE, "passive+own_parts:LINEAR", 'with a section [reward_model."own_parts:LINEAR"]'),
        (_space(tmp_path / "a.toml", model), own, 'with a section [rule."own_parts:BestAndNext"]'),
        (
            _space(tmp_path / "b.toml", model + "width = { log = [1, 2] }"),
            "passive+own_parts:LINEAR",
            "has no setting width",
        ),
    ):
        with pytest.raises(SpecificationError) as caught:
            space.configuration(name, 0)
        assert words in str(caught.value)
