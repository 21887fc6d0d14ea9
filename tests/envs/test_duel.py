"""The single environment: gymnasium's demands, and ours."""

import json
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from global_streams import left_alone
from gymnasium.utils.env_checker import check_env, data_equivalence
from hypothesis import given, settings
from hypothesis import strategies as st

from duelgym.agent import PREFERENCE_NONE
from duelgym.envs.registration import IDS
from duelgym.errors import SpecificationError


def test_the_tests_cover_every_registered_id():
    in_files_of_their_own = {
        "LLMDuel-v0",
        "LLMDuelLive-v0",
        "PoolDuel-v0",
    }  # test_llm_duel.py, test_live.py, test_pool_duel.py
    assert set(IDS) == {"SyntheticDuel-v0", "AlpacaEvalDuel-v0"} | in_files_of_their_own


@pytest.mark.parametrize("text", [False, True])
def test_gymnasium_checker_finds_nothing(env_id_and_kwargs, text):
    env_id, kwargs = env_id_and_kwargs
    env = gym.make(env_id, text=text, **kwargs)
    check_env(env.unwrapped)  # warnings are errors here
    rebuilt = gym.make(env.spec)
    first, second = env.reset(seed=5), rebuilt.reset(seed=5)
    assert data_equivalence(first, second)


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_every_render_mode_shows_something_from_the_first_moment(env_id_and_kwargs, mode):
    env_id, kwargs = env_id_and_kwargs
    env = gym.make(env_id, render_mode=mode, **kwargs)
    env.reset(seed=1)
    frames = [env.render()]
    env.step(np.array([1, 3]))
    frames.append(env.render())
    if mode == "ansi":
        assert all(frames) and "was preferred" in frames[1] and "candidate 3" in frames[1]
    else:
        assert all(frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3 for frame in frames)
        assert not np.array_equal(frames[0][-8:], frames[1][-8:])  # the pair is marked below


def test_what_is_rendered_is_the_question_that_was_answered(pool_path):
    env = gym.make("AlpacaEvalDuel-v0", pool=str(pool_path), render_mode="ansi")
    env.reset(seed=1)
    prompt, responses = env.unwrapped.texts()
    env.step(np.array([2, 0]))
    shown = env.render()
    assert prompt in shown and responses[2] in shown and responses[0] in shown


@pytest.mark.parametrize(
    "bad",
    [[0, 16], [-1, 0], [0.0, 1.0], [True, False], [0], [0, 1, 2], [[0, 1]], [[0], [1, 2]], 3, "01", None],
    ids=repr,
)
def test_bad_actions_are_refused_and_cost_nothing(bad):
    env, twin = gym.make("SyntheticDuel-v0").unwrapped, gym.make("SyntheticDuel-v0").unwrapped
    env.reset(seed=0), twin.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction):
        env.step(bad)
    assert data_equivalence(env.step([3, 1]), twin.step([3, 1]))
    assert env.session.queries == 1


def test_a_pair_of_one_candidate_is_a_fair_coin_that_costs_and_is_counted():
    env = gym.make("SyntheticDuel-v0", budget=2000).unwrapped
    env.reset(seed=0)
    won = sum(int(env.step([4, 4])[0]["preference"]) for _ in range(2000))
    assert abs(won - 1000) < 3 * np.sqrt(500)
    assert env.session.self_duels == env.session.queries == 2000


def test_reward_is_minus_the_average_regret():
    env = gym.make("SyntheticDuel-v0").unwrapped
    env.reset(seed=3)
    utilities = env.asked.utilities[0]
    order = np.argsort(-utilities)
    sigma = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    best, other = order[0], order[5]
    _, reward, terminated, truncated, _ = env.step([other, best])
    assert reward == pytest.approx(-(sigma(utilities[best] - utilities[other]) - 0.5) / 2)
    assert type(reward) is float and terminated is False and truncated is False
    assert env.step([0, 0])[0]["preference"] in (0, 1)


def test_the_best_against_itself_has_no_regret_and_zero_mode_says_nothing():
    for reward, expected in (("regret", None), ("zero", 0.0)):
        env = gym.make("SyntheticDuel-v0", reward=reward).unwrapped
        env.reset(seed=3)
        best, worst = int(np.argmax(env.asked.utilities)), int(np.argmin(env.asked.utilities))
        assert env.step([best, best])[1] == 0.0
        value = env.step([worst, worst])[1]
        assert value == 0.0 if expected is not None else value < 0.0


def test_the_budget_truncates_and_nothing_follows_without_a_reset():
    env = gym.make("SyntheticDuel-v0", budget=3).unwrapped
    env.reset(seed=0)
    flags = [env.step([0, 1])[2:4] for _ in range(3)]
    assert flags == [(False, False), (False, False), (False, True)]
    with pytest.raises(gym.error.ResetNeeded):
        env.step([0, 1])


def test_no_preference_at_reset_and_no_utility_in_info(env_id_and_kwargs):
    env_id, kwargs = env_id_and_kwargs
    observation, info = gym.make(env_id, **kwargs).reset(seed=0)
    assert observation["preference"] == PREFERENCE_NONE
    assert set(info) == {"prompt_id", "candidate_ids", "queries", "self_duels", "clipped"}


@settings(max_examples=50)
@given(st.data())
def test_contexts_are_equal_under_any_two_action_sequences(data):
    pair = st.tuples(st.integers(0, 3), st.integers(0, 3))
    first, second = (data.draw(st.lists(pair, min_size=5, max_size=5)) for _ in range(2))
    seed = data.draw(st.integers(0, 2**31))
    seen = []
    for actions in (first, second):
        env = gym.make("SyntheticDuel-v0", n_candidates=4, dimension=3).unwrapped
        observations = [env.reset(seed=seed)[0], *(env.step(np.array(action))[0] for action in actions)]
        seen.append([(o["prompt"].tobytes(), o["candidates"].tobytes()) for o in observations])
    assert seen[0] == seen[1]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), shown=st.permutations([1, 4]))
def test_the_favourite_wins_whatever_the_order_shown(pool_path, seed, shown):
    winners = []
    for pair in ([1, 4], list(shown)):
        env = gym.make("AlpacaEvalDuel-v0", pool=str(pool_path)).unwrapped
        env.reset(seed=seed)
        winners.append(pair[int(env.step(np.array(pair))[0]["preference"])])
    assert winners[0] == winners[1]


def test_label_noise_of_a_query_does_not_depend_on_earlier_pairs(pool_path):
    outcomes = []
    for first_pair in ([0, 1], [5, 2]):
        env = gym.make("AlpacaEvalDuel-v0", pool=str(pool_path)).unwrapped
        env.reset(seed=11)
        env.step(np.array(first_pair))
        outcomes.append([int(env.step(np.array([0, 1]))[0]["preference"]) for _ in range(50)])
    assert outcomes[0] == outcomes[1]


def test_prompts_come_in_shuffled_passes_and_candidates_are_permuted(pool_path):
    env = gym.make("AlpacaEvalDuel-v0", pool=str(pool_path)).unwrapped
    _, info = env.reset(seed=0)
    n = len(env.problem.pool.split("learn", 0))
    ids, orders = [info["prompt_id"]], [tuple(info["candidate_ids"])]
    for _ in range(2 * n - 1):
        info = env.step([0, 1])[4]
        ids.append(info["prompt_id"])
        orders.append(tuple(info["candidate_ids"]))
    assert sorted(ids[:n]) == sorted(ids[n:]) == env.problem.pool.split("learn", 0).tolist()
    assert ids[:n] != ids[n:]
    assert len(set(orders)) > n  # 6! orders: nearly all differ
    first_places = np.bincount([order[0] for order in orders], minlength=6)
    assert first_places.min() > 0  # no candidate is bound to a place


def test_a_subset_of_candidates_is_fresh_for_every_question(pool_path):
    env = gym.make("AlpacaEvalDuel-v0", pool=str(pool_path), n_candidates=2).unwrapped
    _, info = env.reset(seed=0)
    subsets = {frozenset(env.step([0, 1])[4]["candidate_ids"].tolist()) for _ in range(200)}
    assert len(subsets) == 15 and info["candidate_ids"].shape == (2,)


def test_the_assessment_prompts_are_never_asked_about(pool_path):
    env = gym.make("AlpacaEvalDuel-v0", pool=str(pool_path), fold=2).unwrapped
    _, info = env.reset(seed=0)
    asked = {info["prompt_id"]} | {env.step([0, 1])[4]["prompt_id"] for _ in range(300)}
    held_out = set(env.session.assessment().questions.prompt_ids.tolist())
    assert held_out and not asked & held_out
    assert not (asked | held_out) & set(env.problem.pool.split("tune").tolist())


def test_pickled_after_a_step_it_goes_on_identically(env_id_and_kwargs):
    env_id, kwargs = env_id_and_kwargs
    env = gym.make(env_id, **kwargs).unwrapped
    env.reset(seed=4)
    env.step([0, 1])
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(5):
        assert data_equivalence(env.step([2, 3]), copy.step([2, 3]))
    assert data_equivalence(env.reset(), copy.reset())


_ROLLOUT = """
import hashlib, sys, json, gymnasium as gym, duelgym, numpy as np
env = gym.make(sys.argv[1], **json.loads(sys.argv[2])).unwrapped
digest, (observation, info) = hashlib.sha256(), env.reset(seed=17)
for t in range(200):
    for key in sorted(observation):
        digest.update(np.asarray(observation[key]).tobytes())
    observation, reward, *_ = env.step([t % 5, (t * 7) % 5])
    digest.update(np.float64(reward).tobytes())
print(digest.hexdigest())
"""


def test_same_seed_fresh_process_equal_bytes(env_id_and_kwargs):
    import json

    env_id, kwargs = env_id_and_kwargs
    command = [sys.executable, "-c", _ROLLOUT, env_id, json.dumps(kwargs)]
    digests = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(digests) == 1 and len(digests.pop()) == 65


def test_global_random_state_is_neither_read_nor_set(env_id_and_kwargs):
    env_id, kwargs = env_id_and_kwargs
    results = []
    for poison in (1, 2):
        with left_alone(poison):
            env = gym.make(env_id, **kwargs).unwrapped
            results.append([env.reset(seed=9), *(env.step([0, 1]) for _ in range(5))])
    assert data_equivalence(results[0], results[1])


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"budget": 0}, "budget is 0"),
        ({"budget": 2.5}, "budget is 2.5"),
        ({"reward": "utility"}, "known: regret, zero"),
        ({"n_candidates": 0}, "n_candidates is 0"),
        ({"dimension": -1}, "dimension is -1"),
        ({"prompt_share": 1.0}, "[0, 1)"),
        ({"utility": "cubic"}, "known: random_features, mlp, linear"),
        ({"temperature": 0.0}, "positive finite"),
        ({"temperature": float("nan")}, "positive finite"),
        ({"temperature": 1.0, "simulator": [{"name": "bradley_terry", "temperature": 1.0}]}, "not both"),
        ({"simulator": [{"name": "oracle"}]}, "no simulator is called 'oracle'"),
        ({"simulator": []}, "list of one object"),
        ({"simulator": [5]}, "an object with a 'name'"),
        ({"simulator": [{"name": ["bradley_terry"]}]}, "no simulator is called ['bradley_terry']"),
        ({"simulator": [{"name": "bradley_terry", "tau": 1}]}, "it takes 'temperature'"),
        ({"rater": -1}, "rater is -1"),
        ({"rater": {"weights": [1.0]}}, "rater is"),
        ({"utility": "linear", "rater": {"weights": ["a"]}}, "16 numbers"),
        ({"utility": "linear", "rater": {"weights": [[1], [2, 3]]}}, "16 numbers"),
        ({"colour": "red"}, "colour: not an argument of this environment; it takes budget, dimension"),
        ({"text": "no"}, "text is 'no'; it must be True or False"),
        ({"simulator": [{"name": "rubrics"}]}, "simulator is rubrics, and one of these reads texts"),
        ({"simulator": [{"name": "deterministic"}, {"name": "length_bias", "strength": 1.0}]}, "candidates are points"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(kwargs, words):
    with pytest.raises(SpecificationError) as caught:
        gym.make("SyntheticDuel-v0", **kwargs)
    assert words in str(caught.value)


def test_the_pool_id_says_how_to_get_a_pool_and_which_raters_it_has(pool_path):
    with pytest.raises(SpecificationError, match="duelgym pool import alpaca-eval"):
        gym.make("AlpacaEvalDuel-v0")
    with pytest.raises(SpecificationError, match="holds one rater"):
        gym.make("AlpacaEvalDuel-v0", pool=str(pool_path), rater=3)
    with pytest.raises(SpecificationError, match="allows 1 to 6"):
        gym.make("AlpacaEvalDuel-v0", pool=str(pool_path), n_candidates=7)


def test_a_fixed_rater_is_the_same_for_every_seed_and_a_drawn_one_is_not():
    def utilities_of_one_question(seed, **kwargs):
        env = gym.make("SyntheticDuel-v0", dimension=4, **kwargs).unwrapped
        env.reset(seed=seed)
        fixed = env.problem.generator.sample(8, np.random.default_rng(0))
        return env.session.judged(fixed).utilities

    same = [utilities_of_one_question(seed, rater=7) for seed in (0, 1)]
    assert np.array_equal(*same)
    assert not np.allclose(*(utilities_of_one_question(seed) for seed in (0, 1)))
    assert not np.allclose(same[0], utilities_of_one_question(0, rater=8))


def test_numpy_numbers_are_numbers():
    given = {"rater": np.int64(7), "temperature": np.float32(2.0), "dimension": np.int32(4)}
    one, other = (
        gym.make("SyntheticDuel-v0", **arguments).unwrapped.problem.specification
        for arguments in (given, {name: value.item() for name, value in given.items()})
    )
    assert json.dumps(one) == json.dumps(other)


def test_a_linear_rater_by_its_weights():
    env = gym.make("SyntheticDuel-v0", dimension=2, utility="linear", rater={"weights": [1.0, -2.0]}).unwrapped
    observation, _ = env.reset(seed=0)
    expected = 4.0 * observation["candidates"].astype(np.float64) @ [1.0, -2.0]
    assert np.allclose(env.asked.utilities[0], expected)


@pytest.mark.parametrize("utility", ["random_features", "mlp", "linear"])
def test_synthetic_favourites_win_seventy_per_cent(utility):
    rates = []
    for seed in range(5):
        env = gym.make("SyntheticDuel-v0", utility=utility).unwrapped
        env.reset(seed=seed)
        judged = env.session.judged(env.problem.generator.sample(2000, np.random.default_rng(1)))
        p = judged.probability(np.zeros(2000, dtype=int), np.ones(2000, dtype=int))
        rates.append(np.maximum(p, 1 - p).mean())
    assert np.mean(rates) == pytest.approx(0.70, abs=0.01)


def test_features_are_clipped_at_a_documented_scale_and_counted():
    from duelgym.generators.gaussian import GaussianFeatures, count_clipped

    generator = GaussianFeatures(dimension=50, n_candidates=40, prompt_share=0.5)
    questions = generator.sample(200, np.random.default_rng(0))
    clipped = count_clipped(questions)
    expected = 200 * 41 * 50 * 6.334e-5  # P(|z| > 4)
    assert abs(clipped - expected) < 5 * np.sqrt(expected)
    assert np.abs(questions.features[1]).max() == 1.0


def test_texts_are_of_what_is_named_or_of_what_is_shown(pool_path):
    env = gym.make("AlpacaEvalDuel-v0", pool=str(pool_path)).unwrapped
    _, info = env.reset(seed=0)
    assert env.texts() == env.texts(info["prompt_id"], info["candidate_ids"])
    with pytest.raises(SpecificationError, match="or neither"):
        env.texts(3)


def test_a_single_candidate_is_allowed():
    env = gym.make("SyntheticDuel-v0", n_candidates=1).unwrapped
    env.reset(seed=0)
    assert env.step([0, 0])[1] == 0.0


def test_the_qualified_id_needs_no_import():
    code = "import gymnasium as gym; print(gym.make('duelgym:SyntheticDuel-v0').spec.id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "SyntheticDuel-v0"
