"""A model asked which response is better: its own probabilities, in both orders, kept on disk."""

import importlib.util
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from duelgym.errors import EndpointError, SpecificationError
from duelgym.simulators import Duels, PreferenceSimulator, simulator_from_specification
from duelgym.simulators.llm_judge import TEMPLATE, LLMJudge

SPEC = importlib.util.spec_from_file_location("openai_server", Path(__file__).parents[1] / "openai_server.py")
openai_server = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(openai_server)

TEXTS = (("What is bread?", "A kind of food.", "No."), ("Write about {first}.", "{second}", "{prompt} {}"))


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    server = openai_server.OpenAIServer(openai_server.make_model(tmp_path_factory.mktemp("model")))
    yield server
    server.close()


@pytest.fixture
def server(running):
    running.reset()
    return running


def _judge(server, **arguments):
    return LLMJudge(getattr(server, "url", server), "tiny", **{"backoff": 0.01, "timeout": 20.0, **arguments})


def _duels(texts=TEXTS):
    n = len(texts)
    pairs = np.tile(np.arange(2), (n, 1))
    return Duels(np.arange(n), pairs, None, np.arange(n), texts=tuple(texts))


def _logprobs(**tokens):
    top = [{"token": token, "logprob": math.log(p)} for token, p in tokens.items()]
    choice = {"message": {"content": "?"}, "finish_reason": "length", "logprobs": {"content": [{"top_logprobs": top}]}}
    return {"choices": [choice]}


def _shown_as_a(body):
    return body["messages"][0]["content"].split("Response A:\n\n")[1].split("\n\nResponse B:")[0]


def test_probability_is_the_share_of_the_letters(server):
    """As A: 0.6 against 0.2, so q = 0.75; as B: the other has 0.1 against 0.3, so q = 0.25."""
    server.alter = lambda answer, body: (
        _logprobs(**{"A": 0.5, " A": 0.1, "B\n": 0.2, "a": 0.1})
        if _shown_as_a(body) == TEXTS[0][1]
        else _logprobs(A=0.1, B=0.3, AB=0.5)
    )
    assert _judge(server).probability(_duels(TEXTS[:1])) == pytest.approx([(0.75 + 1 - 0.25) / 2], abs=1e-12)
    assert _judge(server, both_orders=False).probability(_duels(TEXTS[:1])) == pytest.approx([0.75], abs=1e-12)


def test_probability_is_truly_that_of_the_servers_model(server):
    import torch

    _, first, second = TEXTS[0]

    def ratio(question):
        chat = [{"role": "user", "content": question}]
        ids = server.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
        logits = server.model(torch.tensor([ids])).logits[0, -1].double()
        a, b = (float(logits[server.tokenizer.convert_tokens_to_ids(letter)]) for letter in "AB")
        return 1 / (1 + math.exp(b - a))

    questions = [
        TEMPLATE.replace("{prompt}", TEXTS[0][0]).replace("{first}", x).replace("{second}", y)
        for x, y in ((first, second), (second, first))
    ]
    expected = (ratio(questions[0]) + 1 - ratio(questions[1])) / 2
    assert expected != 0.5
    assert _judge(server).probability(_duels(TEXTS[:1])) == pytest.approx([expected], abs=1e-6)


def test_the_letter_of_the_reply_is_a_vote(server):
    server.lacks = {"logprobs"}
    letter = "A"
    server.alter = lambda answer, body: {
        "choices": [{"message": {"content": f" {letter}\n"}, "finish_reason": "length"}]
    }
    judge = _judge(server, logprobs="absent", both_orders=False)
    assert judge.probability(_duels()).tolist() == [1.0, 1.0]
    letter = "B"
    assert judge.probability(_duels()).tolist() == [0.0, 0.0]
    assert _judge(server, logprobs="absent").probability(_duels()).tolist() == [0.5, 0.5]
    assert all(body["temperature"] == 0.0 and "logprobs" not in body for body in server.asked())


def test_missing_logprobs_name_the_route_and_the_option(server):
    server.lacks = {"logprobs"}
    with pytest.raises(EndpointError, match=r"^duel \d .*/v1/chat/completions answered without log-prob.*'absent'"):
        _judge(server).probability(_duels())
    votes = _judge(server, logprobs="absent", both_orders=False).probability(_duels())
    assert set(votes) <= {0.0, 1.0}


def test_neither_letter_is_an_error_after_three_times(server):
    server.alter = lambda answer, body: _logprobs(The=0.9, A=0.04)
    with pytest.raises(EndpointError, match=r"asked 3 times, .*neither A nor B but '\?'"):
        _judge(server, both_orders=False).probability(_duels(TEXTS[:1]))
    assert [body["seed"] for body in server.asked()] == [0, 1, 2]


def test_a_letter_at_the_second_time_will_do(server):
    server.alter = lambda answer, body: _logprobs(A=0.9) if body["seed"] == 1 else _logprobs(The=0.9)
    assert _judge(server).probability(_duels(TEXTS[:1])) == [0.5]
    assert _judge(server, both_orders=False).probability(_duels(TEXTS[:1])) == [1.0]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8"), max_size=8)] * 3), min_size=1, max_size=3))
def test_both_orders_are_exactly_symmetric(server, texts):
    shown = _judge(server).probability(_duels(texts))
    turned = _judge(server).probability(_duels([(prompt, second, first) for prompt, first, second in texts]))
    assert np.all(shown + turned == 1.0)
    assert np.all((shown >= 0) & (shown <= 1))


def test_labels_come_as_often_as_stated(server, session_of):
    n, pair = 10_000, (1, 3)
    server.alter = lambda answer, body: _logprobs(A=0.5, B=0.2)
    session = session_of(_judge(server, both_orders=False))
    asked, pairs = session.ask(n), np.tile(pair, (n, 1))
    preferences, _ = session.answer(asked, pairs)
    p = 0.5 / 0.7
    assert abs(np.count_nonzero(preferences == 0) - n * p) <= 3 * math.sqrt(n * p * (1 - p))
    assert set(preferences.tolist()) == {0, 1}
    assert len(server.asked()) == 1


def test_an_environment_asks_it(server, pool_path):
    specification = _judge(server).specification()
    env = gym.make("AlpacaEvalDuel-v0", pool=str(pool_path), simulator=specification, reward="zero", budget=3)
    env.reset(seed=1)
    taken = [env.step(np.array([0, 1])) for _ in range(3)]
    assert all(observation["preference"] in (0, 1) and reward == 0 for observation, reward, *_ in taken)
    assert len(server.asked()) == 6
    with pytest.raises(SpecificationError, match="zero"):
        gym.make("AlpacaEvalDuel-v0", pool=str(pool_path), simulator=specification).reset(seed=1)


def test_equal_responses_are_a_fair_coin_asked_once(server):
    assert _judge(server).probability(_duels([("Why?", "So.", "So.")] * 3)).tolist() == [0.5] * 3
    assert len(server.asked()) == 1


def test_responses_with_braces_are_shown_as_they_are(server):
    _judge(server, both_orders=False).probability(_duels(TEXTS[1:]))
    (body,) = server.asked()
    assert body["messages"][0]["content"].startswith(
        "Somebody asked:\n\nWrite about {first}.\n\nResponse A:\n\n{second}\n\nResponse B:\n\n{prompt} {}\n\n"
    )


def test_answers_are_kept_whatever_the_url(server, tmp_path):
    cache = str(tmp_path / "made" / "later")
    first = _judge(server, cache=cache).probability(_duels())
    assert len(server.asked()) == 4
    again = _judge("http://127.0.0.1:9", cache=cache, retries=0).probability(_duels())
    np.testing.assert_array_equal(first, again)
    kept = sorted(Path(cache).iterdir())
    assert len(kept) == 4
    assert all(
        len(path.stem) == 64 and set(json.loads(path.read_text())) == {"request", "probability"} for path in kept
    )
    for other in ({"template": TEMPLATE + " "}, {"logprobs": "absent"}):
        with pytest.raises(EndpointError, match="refused"):
            _judge("http://127.0.0.1:9", cache=cache, retries=0, **other).probability(_duels())


def test_answers_before_a_failure_are_kept(server, tmp_path):
    server.faults = [b"garbage"]
    judge = _judge(server, cache=str(tmp_path), concurrency=1, both_orders=False)
    texts = [("Why?", f"Because {i}.", "So.") for i in range(3)]
    with pytest.raises(EndpointError, match=r"^duel 0 \(prompt 'Why\?'\): .*not JSON: 'garbage'"):
        judge.probability(_duels(texts))
    server.reset()
    judge.probability(_duels(texts[:2]))
    server.faults = [b"garbage"]
    with pytest.raises(EndpointError, match=r"^duel 2 "):
        judge.probability(_duels(texts))
    server.reset()
    judge.probability(_duels(texts))
    assert len(server.asked()) == 1


def test_many_may_share_a_cache(server, tmp_path):
    judge = _judge(server, cache=str(tmp_path))
    with ThreadPoolExecutor(4) as executor:
        answers = list(executor.map(judge.probability, [_duels()] * 4))
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("damage", ["cut", "other", "nan", "text", "directory"])
def test_a_damaged_cache_is_refused_with_the_cure(server, tmp_path, damage):
    judge = _judge(server, cache=str(tmp_path), both_orders=False)
    judge.probability(_duels(TEXTS[:1]))
    (path,) = tmp_path.iterdir()
    kept = json.loads(path.read_text())
    if damage == "cut":
        path.write_text(path.read_text()[:-5])
    elif damage == "other":
        path.write_text(json.dumps({**kept, "request": {**kept["request"], "model": "another"}}))
    elif damage == "nan":
        path.write_text(json.dumps({**kept, "probability": math.nan}))
    elif damage == "text":
        path.write_text("[]")
    else:
        path.unlink()
        path.mkdir()
    server.reset()
    with pytest.raises(EndpointError, match=rf"{path.name} is damaged; remove it"):
        judge.probability(_duels(TEXTS[:1]))
    assert server.requests == []


def test_a_cache_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/inside"):
        with pytest.raises(EndpointError, match=r"cannot be read \(Not a directory\); give another cache directory"):
            _judge(server, cache=str(tmp_path / place)).probability(_duels())
    assert server.requests == []


def test_it_conforms_and_is_plain(server):
    judge = _judge(server, cache="answers", api_key_env="SOME_KEY")
    assert isinstance(judge, PreferenceSimulator)
    specification = json.loads(json.dumps(judge.specification()))
    assert simulator_from_specification(specification) == judge
    assert (judge.symmetric, judge.follows_utility, judge.has_judgement, judge.needs_texts) == (
        True,
        False,
        False,
        True,
    )
    assert not _judge(server, both_orders=False).symmetric


def test_what_it_cannot_do_is_refused(server):
    with pytest.raises(SpecificationError, match="reward='zero'"):
        _judge(server).judgement(_duels())
    without = Duels(np.zeros(1, int), np.zeros((1, 2), int), None, np.zeros(1, int))
    with pytest.raises(SpecificationError, match="needs texts"):
        _judge(server).probability(without)
    assert len(_judge(server).probability(_duels([]))) == 0
    assert server.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"template": "{prompt} {first}"}, "template must hold"),
        ({"template": None}, "template must hold"),
        ({"both_orders": 1}, "both_orders is 1"),
        ({"logprobs": "maybe"}, "logprobs is 'maybe'"),
        ({"cache": ""}, "cache is ''"),
        ({"timeout": -1}, "timeout is -1"),
        ({"model": ""}, "model is ''"),
        ({"url": "nowhere"}, "url is 'nowhere'"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(SpecificationError, match=message):
        LLMJudge(**{"url": "http://127.0.0.1:1", "model": "tiny", **arguments})
