"""Answers of all four kinds, drawn from one uniform each; and what a session asks of its simulator."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.agent import PREFERENCE_FIRST, PREFERENCE_NONE, PREFERENCE_SECOND, PREFERENCE_TIE
from duelgym.envs.duel import DuelEnv
from duelgym.envs.problems import Problem, build_problem
from duelgym.envs.session import DuelSession, drawn_preferences
from duelgym.errors import GeneratorError, SpecificationError
from duelgym.generators import GaussianFeatures, PoolReplay
from duelgym.pools import CandidatePool
from duelgym.simulators import Duels
from duelgym.simulators.raters import SyntheticRaters

BT = {"name": "bradley_terry", "temperature": 1.0}


class Hesitant:
    """States the same for every pair."""

    symmetric = True
    follows_utility = False
    has_judgement = False
    needs_texts = False

    def __init__(self, first, skip, tie):
        self.first, self.neither = first, (skip, tie)

    def probability(self, duels):
        ahead = duels.candidate_ids[:, 0] < duels.candidate_ids[:, 1]
        return np.where(ahead, self.first, 1.0 - self.first)

    def undecided(self, duels):
        return np.tile(self.neither, (len(duels.prompt_ids), 1))

    def judgement(self, duels):
        raise NotImplementedError

    def specification(self):
        return [{"name": "hesitant"}]


def _problem(simulator):
    generator = GaussianFeatures(dimension=2, n_candidates=3, prompt_share=0.5)
    return Problem(generator, SyntheticRaters(generator, "linear"), simulator, {"problem": "test"})


def _duels(n, ids=(0, 1)):
    return Duels(np.zeros(n, dtype=np.int64), np.tile(ids, (n, 1)), None, np.arange(n))


class Uniforms:
    """A generator that gives what it was told to."""

    def __init__(self, *values):
        self.values = np.array(values)

    def random(self, n):
        return self.values[:n]


def test_one_uniform_decides_by_hand():
    """Skip below 0.2, tie below 0.5; of the rest the favourite has 0.7, so it wins below 0.5 + 0.7 * 0.5."""
    uniforms = Uniforms(0.0, 0.199, 0.2, 0.499, 0.5, 0.849, 0.851, 0.999)
    expected = [PREFERENCE_NONE] * 2 + [PREFERENCE_TIE] * 2 + [PREFERENCE_FIRST] * 2 + [PREFERENCE_SECOND] * 2
    simulator = Hesitant(0.7, 0.2, 0.3)
    assert drawn_preferences(simulator, _duels(8), uniforms).tolist() == expected
    mirrored = drawn_preferences(simulator, _duels(8, (1, 0)), uniforms).tolist()
    assert mirrored == [{0: 1, 1: 0}.get(answer, answer) for answer in expected]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_every_uniform_gets_an_answer_that_was_possible(first, skip, share, uniform):
    tie = (1.0 - skip) * share
    answer = int(drawn_preferences(Hesitant(first, skip, tie), _duels(1), Uniforms(uniform))[0])
    assert {0: first > 0 and skip + tie < 1, 1: first < 1 and skip + tie < 1, 2: skip > 0, 3: tie > 0}[answer]


def test_skips_and_ties_reach_the_observation_and_cost_a_query():
    env = DuelEnv(_problem(Hesitant(0.6, 0.25, 0.25)), budget=400, reward="zero")
    env.reset(seed=0)
    seen, truncated = [], False
    while not truncated:
        observation, _, _, truncated, info = env.step([0, 1])
        assert env.observation_space.contains(observation)
        seen.append(int(observation["preference"]))
    assert len(seen) == info["queries"] == 400
    counts = np.bincount(seen, minlength=4)
    assert abs(counts - 400 * np.array([0.3, 0.2, 0.25, 0.25])).max() < 3 * np.sqrt(400 * 0.25)


def test_deciding_always_is_bit_for_bit_what_no_hesitation_gives():
    answers = []
    for simulator in ([BT], [BT, {"name": "irrational"}]):
        session = DuelSession.seeded(build_problem("synthetic", {"simulator": simulator}), budget=500, seed=4)
        answers.append(session.answer(session.ask(500), np.tile([2, 7], (500, 1)))[0])
    assert np.array_equal(*answers)


@pytest.mark.parametrize("wrong", [(1.2, 0, 0), (float("nan"), 0, 0), (0.5, -0.1, 0), (0.5, 0, 2.0), (0.5, 0.6, 0.6)])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(SpecificationError, match="probabilities go from 0 to 1"):
        drawn_preferences(Hesitant(*wrong), _duels(1), Uniforms(0.5))


def test_a_failing_simulator_costs_nothing():
    """The endpoint is down: the query was not asked, and asked again it is the same one."""
    answers = []
    for fails in (True, False):
        simulator = Hesitant(0.5, 0.0, 0.0)
        session = DuelSession.seeded(_problem(simulator), budget=64, seed=1)
        asked, pairs = session.ask(64), np.tile([0, 1], (64, 1))
        if fails:
            simulator.neither = (float("nan"), 0.0)
            with pytest.raises(SpecificationError):
                session.answer(asked, pairs)
            assert session.queries == 0
            simulator.neither = (0.0, 0.0)
        answers.append(session.answer(asked, pairs)[0])
    assert np.array_equal(*answers)


def test_regret_of_those_who_cannot_score_is_refused():
    problem = _problem(Hesitant(0.5, 0.0, 0.0))
    rng = np.random.default_rng(0)
    with pytest.raises(SpecificationError, match="hesitant simulator cannot score pairs: give reward='zero'"):
        DuelSession(problem, budget=10, reward="regret", rng=rng)
    session = DuelSession(problem, budget=10, reward="zero", rng=rng)
    for score in (lambda judged: judged.win_rates(), lambda judged: judged.regrets(np.zeros((256, 2), dtype=np.int64))):
        with pytest.raises(SpecificationError, match="cannot score pairs, so there are no win rates"):
            score(session.assessment())


def test_a_mixture_needs_raters_who_differ(pool_path):
    mixture = [BT, {"name": "mixture", "raters": 3}]
    for problem, arguments in [("synthetic", {"rater": 2}), ("alpaca_eval", {"pool": str(pool_path)})]:
        session = DuelSession.seeded(build_problem(problem, {"simulator": mixture, **arguments}), budget=8, seed=0)
        with pytest.raises(SpecificationError, match="a mixture of 3 raters needs raters who differ"):
            session.ask(1)


@pytest.mark.parametrize("n_raters", [2, 7])
def test_a_mixture_through_gymnasium_single_and_vector_alike(n_raters):
    kwargs = {"simulator": [BT, {"name": "mixture", "raters": n_raters}], "budget": 64}
    one, many = gym.make("SyntheticDuel-v0", **kwargs), gym.make_vec("SyntheticDuel-v0", num_envs=8, **kwargs)
    one.reset(seed=3)
    many.reset(seed=3)
    for step in range(8):
        pairs = [[(step + row) % 16, (3 * row + 1) % 16] for row in range(8)]
        single = [one.step(pair)[:2] for pair in pairs]
        observation, rewards, *_ = many.step(np.array(pairs))
        assert [int(shown["preference"]) for shown, _ in single] == observation["preference"].tolist()
        assert [reward for _, reward in single] == rewards.tolist()
        assert min(rewards) >= -0.5 and max(rewards) < 0


def test_the_first_of_a_mixture_is_whom_others_would_ask():
    rates = []
    for simulator in ([BT], [BT, {"name": "mixture", "raters": 4}]):
        session = DuelSession.seeded(build_problem("synthetic", {"simulator": simulator}), budget=8, seed=6)
        asked = session.ask(8)
        rates.append(asked.utilities if asked.all_utilities is None else asked.all_utilities[:, :, 0])
    assert np.array_equal(*rates)


def test_lengths_come_from_the_pool_without_reading_a_text(pool_path, monkeypatch):
    pool = CandidatePool.open(pool_path)
    problem = build_problem(
        "alpaca_eval", {"pool": str(pool_path), "simulator": [BT, {"name": "length_bias", "strength": 1}]}
    )
    session = DuelSession.seeded(problem, budget=40, seed=0)
    asked, pairs = session.ask(40), np.tile([0, 1], (40, 1))
    texts = [
        problem.generator.texts(int(prompt), ids[:2])[1]
        for prompt, ids in zip(asked.questions.prompt_ids, asked.questions.candidate_ids, strict=True)
    ]
    monkeypatch.setattr(PoolReplay, "texts", lambda *_: pytest.fail("a text was read"))
    lengths = session._lengths(asked, pairs)
    assert lengths.tolist() == [[len(first), len(second)] for first, second in texts]
    session.answer(asked, pairs)
    assert pool.characters(np.array([0])).shape == (1, 6)


@pytest.mark.parametrize(
    "make", [lambda: gym.make("SyntheticDuel-v0"), lambda: gym.make_vec("SyntheticDuel-v0", num_envs=2)]
)
def test_after_a_generator_failed_the_episode_begins_anew(make, monkeypatch):
    """The label was given, so a second try would ask about another question than the one shown."""
    env = make()
    env.reset(seed=0)
    inner = env.unwrapped
    pairs = [3, 1] if hasattr(inner, "texts") else [[3, 1]] * 2

    def fails(batch):
        raise GeneratorError("the server is down")

    with monkeypatch.context() as patch:
        patch.setattr(inner._session, "ask", fails)
        with pytest.raises(GeneratorError):
            env.step(pairs)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(pairs)
    env.reset(seed=0)
    env.step(pairs)
