"""`LLMDuelLive-v0`: any language model, asked while the episode runs."""

import json
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import tiny_models
from gymnasium.utils.env_checker import check_env, data_equivalence

from duelgym.envs.problems import build_problem
from duelgym.errors import DuelgymError, SpecificationError

PROMPTS = [
    f"Write {number} facts about the {topic}." for number in ("two", "five") for topic in ("moon", "sea", "octopus")
]


@pytest.fixture(scope="module")
def kwargs(tmp_path_factory):
    """Arguments of the id with a tiny language model, a tiny reward model and six prompts."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n")
    return {
        "generator": str(tiny_models.make_model(folder / "writer", chat_template=None)),
        "prompts": str(folder / "prompts.txt"),
        "simulator": [
            {"name": "reward_model", "model": str(tiny_models.make_reward_model(folder / "judge")), "temperature": 0.5}
        ],
        "max_new_tokens": 8,
        "n_candidates": 4,
        "budget": 24,
    }


@pytest.fixture
def make(kwargs):
    return lambda **others: gym.make("LLMDuelLive-v0", **{**kwargs, **others})


@pytest.mark.parametrize("text", [False, True])
def test_gymnasium_checker_finds_nothing(make, text):
    env = make(text=text)
    check_env(env.unwrapped)  # warnings are errors here
    assert data_equivalence(env.reset(seed=5), gym.make(env.spec).reset(seed=5))


@pytest.mark.parametrize("generator", ["embedded", {"model": "embedded", "temperature": 0.5}])
def test_the_embedded_model_has_the_recorded_settings_where_none_are_given(generator):
    made = build_problem("llm_duel_live", {"generator": generator}).specification["generator"]
    default = build_problem("llm_duel_live", {}).specification["generator"]
    assert made == {**default, "temperature": 0.8 if generator == "embedded" else 0.5}


def test_a_batch_of_four_is_the_single_environment_four_times(make, kwargs):
    single = make(text=True).unwrapped
    vector = gym.make_vec("LLMDuelLive-v0", num_envs=4, text=True, **kwargs).unwrapped
    pairs = np.random.default_rng(0).integers(0, 4, size=(24, 2))
    shown, info = single.reset(seed=21)
    batched, infos = vector.reset(seed=21)
    for start in range(0, 24, 4):
        answers, rewards = [], []
        for row in range(4):
            for key in ("prompt_text", "candidate_texts"):
                assert shown[key] == batched[key][row]
            for key in ("prompt", "candidates"):  # matrix products round as what stands beside them
                assert np.allclose(shown[key], batched[key][row], atol=1e-5)
            assert info["prompt_id"] == infos["prompt_id"][row]
            assert np.array_equal(info["candidate_ids"], infos["candidate_ids"][row])
            shown, reward, _, truncated, info = single.step(pairs[start + row])
            answers.append(int(shown["preference"]))
            rewards.append(reward)
        batched, reward, _, truncations, infos = vector.step(pairs[start : start + 4])
        assert batched["preference"].tolist() == answers and truncations.tolist() == [truncated] * 4
        assert np.allclose(reward, rewards, atol=1e-4)
    assert truncated


def test_the_generator_is_called_once_a_batch(kwargs, monkeypatch):
    from duelgym.generators.hugging_face import TransformersGenerator

    calls, generate = [], TransformersGenerator.generate

    def counted(self, prompts, n, *, rng):
        calls.append(len(prompts))
        return generate(self, prompts, n, rng=rng)

    monkeypatch.setattr(TransformersGenerator, "generate", counted)
    vector = gym.make_vec("LLMDuelLive-v0", num_envs=4, **kwargs)
    assert calls == []  # nothing before the first reset
    vector.reset(seed=0)
    vector.step(np.array([[0, 1]] * 4))
    assert calls == [4, 4]


def test_same_seed_same_episode_other_seed_another(make):
    def episode(seed):
        env = make(text=True).unwrapped
        shown = [env.reset(seed=seed)]
        return shown + [env.step([t % 4, (t + 1) % 4]) for t in range(5)]

    assert data_equivalence(episode(1), episode(1))
    assert not data_equivalence(episode(1), episode(2))


def test_pickled_after_a_step_it_goes_on_identically(make):
    env = make(text=True).unwrapped
    env.reset(seed=4)
    env.step([0, 1])
    data = pickle.dumps(env)
    assert len(data) < 200_000  # no weights
    copy = pickle.loads(data)
    assert copy.texts() == env.texts()
    for _ in range(3):
        assert data_equivalence(env.step([2, 3]), copy.step([2, 3]))
    assert np.array_equal(env.session.assessment().utilities, copy.session.assessment().utilities)


def test_returned_arrays_are_not_shared(make):
    env, twin = make(), make()
    observation, info = env.reset(seed=0)
    twin.reset(seed=0)
    for value in (observation["prompt"], observation["candidates"], observation["last_pair"], info["candidate_ids"]):
        value[...] = 0
    assert data_equivalence(env.step(np.array([0, 1])), twin.step(np.array([0, 1])))


def test_utilities_are_the_reward_models_of_the_texts_shown(make):
    env = make(text=True).unwrapped
    observation, _ = env.reset(seed=3)
    scorer = env.problem.simulator.scorer
    scores = scorer.score([observation["prompt_text"]], [observation["candidate_texts"]])[0, :, 0]
    assert np.allclose(env.asked.utilities[0], scores, atol=1e-4)
    best = int(np.argmax(scores))
    assert env.step([best, best])[1] == 0.0
    held_out = env.session.assessment()
    assert held_out.utilities.shape == (1, 4)  # a fifth of six prompts
    asked = {env.step([0, 1])[4]["prompt_id"] % 6 for _ in range(12)}
    assert len(asked) == 5 and not asked & set((held_out.questions.prompt_ids % 6).tolist())


def test_recorded_candidates_are_scored_anew(make, pool_path):
    generator = {"name": "recorded", "pool": str(pool_path)}
    env = make(generator=generator, prompts=None, n_candidates=6, text=True).unwrapped
    observation, _ = env.reset(seed=0)
    pool = env.problem.generator.generator.pool
    row = next(r for r in range(pool.n_prompts) if pool.texts(r).prompt == observation["prompt_text"])
    assert sorted(observation["candidate_texts"]) == sorted(pool.texts(row).candidates)


def test_nothing_heavy_before_the_first_reset(kwargs):
    code = (
        "import sys, json, gymnasium as gym, duelgym; env = gym.make('LLMDuelLive-v0', **json.loads(sys.argv[1])); "
        "print(env.observation_space['candidates'].shape, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, json.dumps(kwargs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(4, 32) False"


def test_the_specification_is_plain_json_without_paths(kwargs):
    arguments = {key: value for key, value in kwargs.items() if key != "budget"}
    specification = build_problem("llm_duel_live", arguments).specification
    assert json.loads(json.dumps(specification)) == specification
    assert specification["generator"]["max_new_tokens"] == 8
    assert specification["prompts"]["name"] == "prompts.txt" and specification["prompts"]["n"] == 6
    changed = arguments | {"generator": {"model": kwargs["generator"], "max_new_tokens": 9}}
    assert build_problem("llm_duel_live", changed).specification["generator"]["max_new_tokens"] == 9


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"prompts": "nowhere.txt"}, "one prompt a line"),
        ({"prompts": {"name": "x"}}, "one prompt a line"),
        ({"generator": "./nowhere"}, "not a directory"),
        ({"generator": {"name": "oracle"}}, "known: transformers"),
        ({"generator": None}, "generator is None"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"n_candidates": 0}, "n_candidates is 0"),
        ({"n_assessment": 6}, "leave at least one"),
        ({"simulator": [{"name": "bradley_terry", "temperature": 1.0}]}, "needs utilities"),
        ({"temperature": 2.0}, "not both"),
        ({"rater": 3}, "one rater"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(make, changed, words):
    with pytest.raises(DuelgymError) as caught:
        make(**changed)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_prompt_file_with_a_fault_names_the_line(make, tmp_path):
    (tmp_path / "p.txt").write_text("one\n\ntwo\n")
    with pytest.raises(DuelgymError, match="line 2"):
        make(prompts=str(tmp_path / "p.txt"))


def test_a_simulator_that_reads_texts_itself_needs_no_utilities(make):
    judge = [{"name": "llm_judge", "url": "http://127.0.0.1:9", "model": "nobody"}]
    env = make(simulator=judge, reward="zero").unwrapped
    env.reset(seed=0)
    assert env.asked.utilities is None
    with pytest.raises(SpecificationError, match="no raters"):
        make(simulator=judge, rater=1)
