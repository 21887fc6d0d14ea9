from __future__ import annotations

import contextlib
import copy
import random
import sys

import numpy as np
import pytest
import torch
from made_up_duels import ON_EMBEDDINGS

from duelgym.agent import Agent, Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.catalogue import RULES
from duelgym_agents.composed import RewardModelAgent
from duelgym_agents.exploration import Boltzmann, Infomax, Passive, Selection
from duelgym_agents.registry import AGENTS, agent_factory, composition, make_agent

SMALL = {"hidden_sizes": (16, 16), "prior_hidden_sizes": (8,), "steps": 13, "minibatch_size": 16}
# Each named agent of another kind, and each reward model once more: the rest differ in numbers.
AGENTS_HERE = [
    *(name for name in AGENTS if name.startswith("ee2024") or name.endswith("-ensemble")),
    *("sea-ee", "sea-bai", "activeuf-drts", "apo", "stad"),
    *(f"double_thompson+{kind}" for kind in ON_EMBEDDINGS if kind not in ("point", "ensemble")),
    "sb3:belief-ppo",
]


def make(name, n_candidates=6, seed=0, **settings):
    spec = composition(name)
    small = {key: value for key, value in SMALL.items() if spec is None or hasattr(spec.settings, key)}
    return make_agent(name, **dimensions(n_candidates), seed=seed, **{**small, **settings})


def dimensions(n_candidates=6):
    return {"prompt_dim": 3, "candidate_dim": 4, "n_candidates": n_candidates, "batch_size": 5, "budget": 100}


def contexts_of(rng, n_candidates=6, batch=5):
    prompts, candidates = rng.standard_normal((batch, 3)), rng.standard_normal((batch, n_candidates, 4))
    return Contexts((0.2 * prompts).astype(np.float32), (0.2 * candidates).astype(np.float32))


def play(agent, rng, batches, n_candidates=6):
    """Let the agent ask; the first candidate feature decides, with noise. Return all pairs."""
    asked = []
    for _ in range(batches):
        contexts = contexts_of(rng, n_candidates)
        pairs = agent.select_pairs(contexts)
        features = contexts.candidates[np.arange(5)[:, None], pairs, 0]
        preferences = (rng.random(5) > 1 / (1 + np.exp(-10 * (features[:, 0] - features[:, 1])))).astype(np.int8)
        agent.observe(contexts, pairs, preferences)
        asked.append(pairs)
    return np.concatenate(asked)


class FixedModel:
    """A reward model that says what it is told to, and notes what it was asked."""

    def __init__(self, utilities):
        self.utilities = np.asarray(utilities, np.float32)
        self.calls = []

    def update(self, contexts, pairs, preferences):
        self.calls.append("update")

    def sample_utilities(self, contexts, n_samples, rng):
        self.calls.append(f"sample {n_samples}")
        return np.repeat(self.utilities[None], n_samples, axis=0)

    def mean(self, contexts):
        self.calls.append("mean")
        return self.utilities


# --- every registered agent -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_candidates", [1, 2, 6])
@pytest.mark.parametrize("name", AGENTS_HERE)
def test_registered_agents_keep_the_contract(name, n_candidates):
    agent, rng = make(name, n_candidates), np.random.default_rng(1)
    assert isinstance(agent, Agent)
    for preferences in ([0, 1, 2, 3, 0], [2, 2, 2, 2, 2], [1, 1, 0, 0, 3]):
        contexts = contexts_of(rng, n_candidates)
        for array in (contexts.prompts, contexts.candidates):
            array.setflags(write=False)  # an agent may not write on what it is shown
        pairs = agent.select_pairs(contexts)
        assert pairs.shape == (5, 2)
        assert pairs.dtype == np.int64
        assert ((pairs >= 0) & (pairs < n_candidates)).all()
        assert (pairs[:, 0] != pairs[:, 1]).all() or n_candidates == 1
        agent.observe(contexts, pairs, np.array(preferences, np.int8))
        best = agent.recommend(contexts)
        assert best.shape == (5,)
        assert best.dtype == np.int64
        assert ((best >= 0) & (best < n_candidates)).all()
        samples = agent.sample_utilities(contexts, 4, np.random.default_rng(0))
        assert samples.shape == (4, 5, n_candidates)
        assert samples.dtype == np.float32
    counters = agent.counters()
    assert counters["unanswered"] == 6
    assert counters["self_duels"] == (15 if n_candidates == 1 else 0)


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_equal_seeds_give_equal_bytes_and_other_seeds_other_pairs(name):
    runs = [play(make(name, seed=seed), np.random.default_rng(2), 12) for seed in (7, 7, 8)]
    assert np.array_equal(runs[0], runs[1])
    draws = name not in ("apo", "stad")  # a linear posterior and an arg-max draw nothing
    assert np.array_equal(runs[0], runs[2]) != draws
    states = []
    for _ in range(2):
        agent = make(name, seed=7)
        play(agent, np.random.default_rng(2), 12)
        states.append(agent.state_dict())
    assert all(array.tobytes() == states[1][key].tobytes() for key, array in states[0].items())


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_saved_and_restored_agent_asks_the_same_next_hundred_pairs(name, tmp_path):
    settings = {"buffer_capacity": 32} if hasattr(composition(name).settings, "buffer_capacity") else {}
    agent = make(name, seed=3, **settings)
    play(agent, np.random.default_rng(4), 10)
    np.savez(tmp_path / "state.npz", **agent.state_dict())
    restored = make(name, seed=4, **settings)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        restored.load_state_dict(state)
    assert restored.counters() == agent.counters()
    ours, theirs = (play(each, np.random.default_rng(5), 20) for each in (agent, restored))
    assert len(ours) == 100
    assert np.array_equal(ours, theirs)
    assert restored.counters() == agent.counters()


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_a_copy_does_not_disturb_the_original(name):
    agent, undisturbed = make(name), make(name)
    for each in (agent, undisturbed):
        play(each, np.random.default_rng(6), 5)
    throwaway = copy.deepcopy(agent)
    play(throwaway, np.random.default_rng(7), 5)
    throwaway.recommend(contexts_of(np.random.default_rng(8)))
    assert np.array_equal(play(agent, np.random.default_rng(9), 5), play(undisturbed, np.random.default_rng(9), 5))


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_no_global_random_state_is_read_or_set(name):
    outcomes = []
    for poison in (1, 2):
        random.seed(poison)
        np.random.seed(poison)  # noqa: NPY002
        torch.manual_seed(poison)
        before = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # noqa: NPY002
        outcomes.append(play(make(name), np.random.default_rng(10), 6))
        assert random.getstate() == before[0]
        assert np.random.get_state()[1].tobytes() == before[1]  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), before[2])
    assert np.array_equal(*outcomes)


@pytest.mark.parametrize("name", AGENTS_HERE)
def test_huge_embeddings_do_no_harm(name):
    agent, rng = make(name), np.random.default_rng(11)
    play(agent, rng, 2)
    contexts = contexts_of(rng)
    pairs = agent.select_pairs(Contexts(contexts.prompts * 1e6, contexts.candidates * 1e6))
    assert (pairs[:, 0] != pairs[:, 1]).all()


# --- composition ------------------------------------------------------------------------------------------


def test_rules_get_what_they_read_and_nothing_else_is_computed():
    contexts = contexts_of(np.random.default_rng(0))
    for rule, expected in [(Passive(), []), (Boltzmann(), ["mean"]), (Infomax(), ["sample 4"])]:
        model = FixedModel(np.zeros((5, 6)))
        RewardModelAgent(model, rule, n_samples=4, rng=np.random.default_rng(0)).select_pairs(contexts)
        assert model.calls == expected


def test_passive_asks_the_same_pairs_whatever_the_reward_model():
    point, ensemble = make("ee2024-passive", seed=5), make("passive-ensemble", seed=5)
    assert np.array_equal(play(point, np.random.default_rng(0), 10), play(ensemble, np.random.default_rng(0), 10))


def test_recommends_the_highest_mean_and_the_first_among_equals():
    model = FixedModel([[0, 3, 1, 3], [2, 2, 2, 2], [0, 0, 0, 1]])
    agent = RewardModelAgent(model, Passive(), n_samples=1, rng=np.random.default_rng(0))
    assert agent.recommend(contexts_of(np.random.default_rng(0), 4, 3)).tolist() == [1, 0, 3]


def test_counters_by_hand():
    class Rule(Passive):
        def __call__(self, utilities, rng):
            return Selection(np.zeros((utilities.shape[1], 2), np.int64), retries=3, fallbacks=1)

    agent = RewardModelAgent(FixedModel(np.zeros((3, 4))), Rule(), n_samples=1, rng=np.random.default_rng(0))
    contexts = contexts_of(np.random.default_rng(0), 4, 3)
    agent.select_pairs(contexts)
    agent.observe(contexts, np.array([[0, 1], [2, 2], [0, 1]]), np.array([0, 1, 2], np.int8))
    # The first prompt again, its candidates in another order: (3, 2) are the candidates that were at (0, 1).
    turned = Contexts(contexts.prompts, contexts.candidates[:, ::-1])
    agent.observe(turned, np.array([[2, 3], [1, 1], [3, 1]]), np.array([0, 1, 1], np.int8))
    assert agent.counters() == {
        "retries": 3,
        "fallbacks": 1,
        "self_duels": 2,
        "repeated_pairs": 1,
        "unanswered": 1,
    }


def test_a_diverged_model_is_reported():
    agent = RewardModelAgent(
        FixedModel(np.full((5, 6), np.nan)), Boltzmann(), n_samples=1, rng=np.random.default_rng(0)
    )
    with pytest.raises(SpecificationError, match="not finite"):
        agent.select_pairs(contexts_of(np.random.default_rng(0)))


def test_ensemble_learns_a_linear_utility_from_random_pairs():
    """Best of 8 by the learned mean against a uniform candidate: 0.5 at the start, 0.75 or more after 1 280 labels."""
    rng = np.random.default_rng(0)
    direction = np.array([2.0, -1.0, 1.0, 0.5, 0, 0, 0, 0])

    def draw(batch):
        candidates = rng.standard_normal((batch, 8, 8))
        contexts = Contexts(
            (0.1 * rng.standard_normal((batch, 8))).astype(np.float32), (0.1 * candidates).astype(np.float32)
        )
        return contexts, candidates @ direction / np.sqrt(np.square(direction).sum())

    def win_rate(agent):
        chosen = assessed[1][np.arange(200), agent.recommend(assessed[0])]
        return float((1 / (1 + np.exp(assessed[1] - chosen[:, None]))).mean())

    assessed = draw(200)
    best = float((1 / (1 + np.exp(assessed[1] - assessed[1].max(axis=1, keepdims=True)))).mean())
    sizes = {"prompt_dim": 8, "candidate_dim": 8, "n_candidates": 8, "batch_size": 32, "budget": 1280}
    agent = make_agent("passive-ensemble", **sizes, seed=0)
    start = win_rate(agent)
    for _ in range(40):
        contexts, utilities = draw(32)
        pairs = agent.select_pairs(contexts)
        gap = np.take_along_axis(utilities, pairs, axis=1) @ [1, -1]
        agent.observe(contexts, pairs, (rng.random(32) > 1 / (1 + np.exp(-gap))).astype(np.int8))
    final = win_rate(agent)
    assert final > 0.9 * (best - 0.5) + 0.5
    assert final > start + 0.15


# --- registry ---------------------------------------------------------------------------------------------


def test_named_agents_are_what_the_papers_pair_and_ablations_say_so():
    table = {name: (spec.reward_model, spec.rule_name, spec.as_published) for name, spec in AGENTS.items()}
    families = {name: [each for each in table if each.startswith(name)] for name in ("sea", "activeuf")}
    of_families = {*families["sea"], *families["activeuf"]}
    assert {name: repr(AGENTS[name].rule) for name in of_families} == {
        "sea-passive": "Passive()",
        "sea-ee": "ParticlesWithoutReplacement(max_retries=None)",
        "sea-bai": "ThompsonMaxVariance(variance_of='probability')",
        "sea-uncertainty": "InfomaxLogit()",
        "activeuf-infomax": "InfomaxWidth(width=1.0)",
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
    gives_posterior = {"additive", "bayesian_linear", "belief", "laplace"}
    for rule in RULES.values():
        for kind in ON_EMBEDDINGS.values():
            fits = (kind.name in gives_posterior or rule.reads != "posterior") and (
                kind.name != "point" or rule.reads != "samples"
            )
            with contextlib.nullcontext() if fits else pytest.raises(SpecificationError, match=rf"rule '{rule.name}'"):
                agents = [make(f"{rule.name}+{kind.name}"), make_agent(rule.name, kind.name, **dimensions(), seed=0)]
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


def test_pessimism_recommends_what_is_surely_good_rather_than_perhaps_best():
    contexts = contexts_of(np.random.default_rng(0), n_candidates=3)

    class Torn(FixedModel):
        def sample_utilities(self, contexts, n_samples, rng):
            apart = np.array([0, 4, 0], np.float32)
            return np.stack([self.utilities + apart, self.utilities - apart])

    # Less the mean over candidates the samples are (-4, 11, -7) / 3 and (4, -5, 1) / 3: deviations 4/3, 8/3, 4/3 times
    # the root of 2. The means 1, 2, 0 change places where a pessimism of x makes 1 - 4/3 r x = 2 - 8/3 r x: at 0.53.
    model = Torn(np.tile([1.0, 2.0, 0.0], (5, 1)))
    for pessimism, best in [(0.0, 1), (0.52, 1), (0.54, 0), (1.0, 0)]:
        agent = RewardModelAgent(model, Infomax(), n_samples=2, rng=np.random.default_rng(0), pessimism=pessimism)
        assert (agent.recommend(contexts) == best).all()
    with pytest.raises(SpecificationError, match="pessimism is -1"):
        make("ee2024-infomax", pessimism=-1.0)
    with pytest.raises(SpecificationError, match=r"pessimism is 1\.0, and MLPEnsemble would be sampled 1 time"):
        make("ee2024-passive", pessimism=1.0)


def test_what_is_recommended_depends_on_nothing_but_what_was_learnt():
    contexts = contexts_of(np.random.default_rng(0), batch=50)
    agent = make("double_thompson+bayesian_linear", pessimism=1.0)
    before = agent.recommend(contexts)
    agent.select_pairs(contexts)  # which draws
    assert np.array_equal(agent.recommend(contexts), before)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ee2024-double_thompson", {}),
        ("ee2024-infomax", {"learning_rate": 0.5}),
        ("ee2024-infomax", {"pessimism": 1.0}),
        ("infomax_logit+ensemble", {}),
    ],
)
def test_the_state_of_another_agent_is_refused(name, settings):
    state = make("ee2024-infomax").state_dict()
    with pytest.raises(
        SpecificationError, match=r"the saved state is of an agent with Infomax\(\), MLPEnsemble, .*; this"
    ):
        make(name, **settings).load_state_dict(state)
    make("ee2024-infomax", seed=9).load_state_dict(state)  # its own settings, and of any seed


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
