"""Responses from a server: truly those of its model, complete, and one clear line where something is wrong."""

import datetime
import email.utils
import json
import pickle
import socket
import time

import numpy as np
import openai_server
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelgym.endpoints import Endpoint, EndpointEncoder
from duelgym.endpoints.client import _retry_after
from duelgym.errors import EndpointError, GeneratorError, SpecificationError
from duelgym.generators import CandidateGenerator, Encoder
from duelgym.generators.endpoint import EndpointGenerator
from duelgym.generators.specification import generator_from_specification

PROMPTS = ["What is bread?", "Write about the moon {briefly}."]
DIM = 32


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    server = openai_server.OpenAIServer(openai_server.make_model(tmp_path_factory.mktemp("model")))
    yield server
    server.close()


@pytest.fixture
def server(running):
    running.reset()
    return running


def _generator(server, **settings):
    encoder = settings.pop("encoder", {"name": "endpoint", "model": "tiny", "embedding_dim": DIM})
    settings = {"max_new_tokens": 4, "backoff": 0.01, "timeout": 20.0, **settings}
    return EndpointGenerator(getattr(server, "url", server), "tiny", encoder=encoder, **settings)


def _generate(server, prompts=PROMPTS, n=3, seed=5, **settings):
    return _generator(server, **settings).generate(prompts, n, rng=np.random.default_rng(seed))


class LocalEncoder:
    """Lengths of texts, as an encoder on this machine would give features."""

    embedding_dim = 1

    def embed(self, prompts, responses):
        lengths = [[[len(text) / 1000] for text in answers] for answers in responses]
        return np.zeros((len(prompts), 1), np.float32), np.array(lengths, np.float32), 3

    def specification(self):
        return {"name": "lengths"}


def test_responses_are_those_of_the_servers_model(server):
    responses = _generate(server)
    assert [len(row) for row in responses.texts] == [3, 3]
    assert all(len(body["messages"]) == 1 and body["messages"][0]["role"] == "user" for body in server.asked())
    for prompt, texts, reasons in zip(PROMPTS, responses.texts, responses.finish_reasons, strict=True):
        asked = next(body for body in server.asked() if body["messages"][0]["content"] == prompt)
        choices = server.chat(asked)["choices"]
        assert texts == tuple(choice["message"]["content"] for choice in choices)
        assert reasons == tuple(choice["finish_reason"] for choice in choices)
    assert len({*responses.texts[0], *responses.texts[1]}) == 6


def test_embeddings_are_the_servers_at_unit_length(server):
    responses = _generate(server)
    joined = f"{PROMPTS[1]}\n\n{responses.texts[1][2]}"
    for text, embedding in (
        (PROMPTS[0], responses.prompt_embeddings[0]),
        (joined, responses.candidate_embeddings[1, 2]),
    ):
        raw = np.array(server.embeddings({"model": "", "input": [text]})["data"][0]["embedding"])
        np.testing.assert_allclose(embedding, raw / np.linalg.norm(raw), atol=1e-6)
    assert responses.candidate_embeddings.shape == (2, 3, DIM)
    assert responses.candidate_embeddings.dtype == np.float32
    assert responses.clipped == 0


def test_a_seed_decides_everything(server):
    first, again, other = _generate(server), _generate(server, concurrency=1), _generate(server, seed=6)
    assert first.texts == again.texts
    np.testing.assert_array_equal(first.candidate_embeddings, again.candidate_embeddings)
    assert first.texts != other.texts


@pytest.mark.parametrize("ask_n", [True, False])
def test_two_prompts_at_once_are_as_two_in_a_row(server, ask_n):
    generator, rng = _generator(server, ask_n=ask_n), np.random.default_rng(5)
    together = _generate(server, ask_n=ask_n)
    singly = [generator.generate([prompt], 3, rng=rng) for prompt in PROMPTS]
    assert together.texts == singly[0].texts + singly[1].texts


def test_many_small_embedding_requests_are_put_together_in_order(server):
    whole = _generate(server)
    encoder = {"name": "endpoint", "model": "tiny", "embedding_dim": DIM, "batch_size": 3}
    parts = _generate(server, encoder=encoder)
    np.testing.assert_allclose(whole.candidate_embeddings, parts.candidate_embeddings, atol=1e-6)
    assert sorted(len(body["input"]) for body in server.asked("/v1/embeddings")) == [2, 3, 3, 8]


def test_n_is_asked_for_once_and_never_trusted(server):
    _generate(server, n=5)
    assert [body["n"] for body in server.asked()] == [5, 5]
    server.reset()
    server.lacks = {"n"}
    responses = _generate(server, n=5)
    assert sorted(body["n"] for body in server.asked()) == [1] * 8 + [5, 5]
    assert [len(set(texts)) for texts in responses.texts] == [5, 5]
    assert len({body["seed"] for body in server.asked()}) == 10


def test_a_server_that_refuses_n_is_asked_one_by_one(server):
    server.faults = [400]
    assert len(_generate(server, PROMPTS[:1], n=3).texts[0]) == 3
    assert [body["n"] for body in server.asked()] == [3, 1, 1, 1]


def test_tokens_are_counted_where_the_server_says(server):
    assert np.all(_generate(server).n_tokens == -1)
    counted = _generate(server, ask_n=False)
    cut = np.array(counted.finish_reasons) == "length"
    assert np.all(counted.n_tokens[cut] == 4)
    assert np.all((counted.n_tokens[~cut] >= 1) & (counted.n_tokens[~cut] <= 4))
    server.lacks = {"usage"}
    assert np.all(_generate(server, ask_n=False).n_tokens == -1)
    server.alter = lambda answer, body: {**answer, "usage": {"completion_tokens": 10**30}}
    assert np.all(_generate(server, ask_n=False).n_tokens == -1)


def test_identical_answers_are_refused_with_the_likely_cause(server):
    server.lacks = {"sampling"}
    with pytest.raises(EndpointError, match=r"prompt 0 .*4 identical answers.*do_sample: true"):
        _generate(server, n=4)
    assert len(set(_generate(server, n=3).texts[0])) == 1


def test_a_local_encoder_takes_the_place_of_the_route(server):
    server.lacks = {"embeddings"}
    responses = _generate(server, encoder=LocalEncoder())
    assert responses.candidate_embeddings[1, 1, 0] == np.float32(len(responses.texts[1][1]) / 1000)
    assert responses.clipped == 3
    assert server.asked("/v1/embeddings") == []


def test_missing_embeddings_name_the_route_and_the_cure(server):
    server.lacks = {"embeddings"}
    with pytest.raises(EndpointError, match=r"127.0.0.1:\d+/v1/embeddings answered 404 .*local encoder="):
        _generate(server)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[0].update(embedding=[1.0, 2.0]), "not lists of numbers, all equally long"),
        (lambda data: data[0].update(embedding="AAAA"), "not lists of numbers"),
        (lambda data: [row.update(embedding=[1.0]) for row in data], r"shape \(1,\), not embedding_dim=32"),
        (lambda data: [row.update(embedding=["1"] * DIM) for row in data], "not lists of numbers"),
        (lambda data: [row.update(embedding=[True] * DIM) for row in data], "not lists of numbers"),
        (lambda data: data[0].update(embedding=[0.0] * DIM), "zero or not finite"),
        (lambda data: data[0].update(embedding=[1e200] * DIM), "zero or not finite"),
        (lambda data: data[0].update(embedding=[float("nan")] * DIM), "zero or not finite"),
        (lambda data: data[0].update(index=0), "wrong indices"),
        (lambda data: data[0].update(index=[]), "wrong indices"),
        (lambda data: data.pop(), "7 embeddings to 8 texts"),
        (lambda data: data.__setitem__(0, 1), "no embeddings"),
    ],
)
def test_embeddings_that_cannot_be_used_are_refused(server, change, message):
    def alter(answer, body):
        if "data" in answer:
            change(answer["data"])
        return answer

    server.alter = alter
    with pytest.raises(EndpointError, match=f"/v1/embeddings answered .*{message}"):
        _generate(server)


def _choice(**fields):
    message = {"role": "assistant", "content": fields.pop("content", "text")}
    return {"choices": [{"message": message, "finish_reason": "stop", **fields}]}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>\n<b>Welcome</b>" + b"x" * 500, "not JSON: '<html> <b>Welcome</b>x{59}'; is it an OpenAI"),
        (b"\xff\xfe\x00garbage", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", r"no choices: '\[\]'"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": [7]}', "a choice without a message"),
        (_choice(content=None), "without content"),
        (_choice(content=["a"]), "not text"),
        (_choice(content="\ud83d"), "not text"),
        (_choice(finish_reason="content_filter"), "'content_filter', neither 'stop' nor 'length'"),
        (_choice(finish_reason=None), "None, neither"),
        ({"choices": 4 * _choice()["choices"]}, "4 choices, asked for 3"),
        (_choice(logprobs={"content": [{"top_logprobs": [{"token": "A", "logprob": "0"}]}]}), "log-probabilities"),
    ],
)
def test_garbage_is_refused_at_once_naming_prompt_url_and_what_came(server, answer, message):
    server.faults = [answer if isinstance(answer, bytes) else json.dumps(answer).encode()]
    with pytest.raises(
        EndpointError, match=rf"^prompt 0 \('What is bread\?'\): POST {server.url}/v1/chat/.*{message}"
    ) as told:
        _generate(server, PROMPTS[:1])
    assert "\n" not in str(told.value)
    assert len(server.asked()) == 1


def test_a_server_that_is_down_is_named(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(EndpointError, match=rf"http://127.0.0.1:{port}/v1/chat.*refused.*running.*attempt 3 of 3"):
        _generate(f"http://127.0.0.1:{port}", retries=2)


@pytest.mark.parametrize("fault", ["slow", "trickle"])
def test_a_slow_server_is_given_up_in_time(server, fault):
    server.faults = [fault] * 2
    start = time.monotonic()
    with pytest.raises(EndpointError, match=r"no whole answer within timeout=0.2 s.*attempt 2 of 2"):
        _generate(server, PROMPTS[:1], timeout=0.2, retries=1)
    assert time.monotonic() - start < 2.5


@pytest.mark.parametrize("fault", [408, 429, 500, 503, "cut", (503, {"Retry-After": "soon"})])
def test_passing_faults_change_nothing(server, fault):
    expected = _generate(server)
    server.reset()
    server.faults = [fault] * 3
    assert _generate(server).texts == expected.texts
    assert len(server.asked()) == 5


def test_faults_that_stay_are_told_with_the_last_answer(server):
    server.faults = [503] * 3
    with pytest.raises(EndpointError, match=r"answered 503 .*told to say 503.*attempt 3 of 3") as told:
        _generate(server, PROMPTS[:1], retries=2)
    assert told.value.status == 503
    assert pickle.loads(pickle.dumps(told.value)).status == 503


def test_a_retry_after_is_waited_for(server):
    server.faults = [(429, {"Retry-After": "0.4"})]
    start = time.monotonic()
    _generate(server, PROMPTS[:1])
    assert time.monotonic() - start >= 0.4


def test_a_retry_after_of_hours_is_an_error(server):
    server.faults = [(429, {"Retry-After": "7200"})]
    with pytest.raises(EndpointError, match="asks to wait 7200 s"):
        _generate(server, PROMPTS[:1])


def test_a_retry_after_may_be_a_date():
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    assert 58 <= _retry_after(email.utils.format_datetime(later, usegmt=True)) <= 60
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@given(st.one_of(st.text(), st.floats().map(str), st.datetimes().map(email.utils.format_datetime)))
def test_any_retry_after_is_a_wait_or_nothing(value):
    seconds = _retry_after(value)
    assert seconds is None or 0 <= seconds < float("inf")


def test_one_failed_prompt_ends_the_call(server):
    server.alter = lambda answer, body: {} if body.get("messages", [{}])[0].get("content") == PROMPTS[1] else answer
    with pytest.raises(EndpointError, match=r"^prompt 1 \('Write about the moon {briefly}\.'\): "):
        _generate(server)


def test_no_more_requests_at_once_than_allowed(server):
    server.lacks = {"n"}
    _generate(server, n=8, concurrency=3, max_new_tokens=1)
    assert 2 <= server.most_at_once <= 3


def test_the_key_is_sent_and_never_told(server, monkeypatch):
    monkeypatch.setenv("DUELGYM_TEST_KEY", "sk-very-secret\n")
    generator = _generator(server, api_key_env="DUELGYM_TEST_KEY")
    generator.generate(PROMPTS[:1], 2, rng=np.random.default_rng(0))
    assert {headers["Authorization"] for _, headers, _ in server.requests} == {"Bearer sk-very-secret"}
    for answer in (b"who is sk-very-secret?", b'{"echo": "sk-very-secret"}'):
        server.faults = [answer]
        with pytest.raises(EndpointError, match=r"\[key\]") as told:
            generator.generate(PROMPTS[:1], 2, rng=np.random.default_rng(0))
        assert "secret" not in str(told.value)
    assert "secret" not in f"{generator.specification()} {pickle.dumps(generator)} {generator.__dict__}"


@pytest.mark.parametrize("key", [None, "", "no\nkey", "schlüssel"])
def test_a_missing_key_is_told_by_its_name(server, monkeypatch, key):
    monkeypatch.delenv("DUELGYM_TEST_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("DUELGYM_TEST_KEY", key)
    with pytest.raises(EndpointError, match="DUELGYM_TEST_KEY") as told:
        _generate(server, api_key_env="DUELGYM_TEST_KEY")
    assert not key or key not in str(told.value)
    assert server.requests == []


def test_a_refused_key_says_where_to_put_one(server):
    server.faults = [401] * 2
    with pytest.raises(EndpointError, match="api_key_env names the environment variable"):
        _generate(server, PROMPTS[:1])


def test_redirects_are_not_followed(server):
    server.faults = [(302, {"Location": f"{server.url}/v1/embeddings"})]
    with pytest.raises(EndpointError, match="answered 302"):
        _generate(server, PROMPTS[:1])
    assert len(server.requests) == 1


def test_the_url_may_end_in_v1(server):
    assert _generate(f"{server.url}/v1/").texts == _generate(server).texts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"retries": -1}, "retries is -1"),
        ({"timeout": 0}, "timeout is 0"),
        ({"backoff": "1"}, "backoff is '1'"),
        ({"ask_n": 1}, "ask_n is 1"),
        ({"api_key_env": ""}, "api_key_env is ''"),
        ({"encoder": None}, r"encoder is None; .*/v1/embeddings"),
        ({"encoder": {"name": "endpoint", "model": "m"}}, "it takes 'url', 'model', 'embedding_dim'"),
        ({"encoder": {"name": "endpoint", "model": "m", "embedding_dim": 0}}, "embedding_dim is 0"),
        ({"encoder": {"name": "unknown"}}, "no encoder is called 'unknown'"),
        ({"encoder": 7}, "encoder is 7"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(SpecificationError, match=message):
        _generator("http://127.0.0.1:1", **settings)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://host:no", "http://a b", None])
def test_bad_urls_are_refused(url):
    with pytest.raises(SpecificationError, match="http://127.0.0.1:8000"):
        Endpoint(url)


@pytest.mark.parametrize("url", ["http://me:secret@host", "http://host?key=secret", "http://host#secret"])
def test_keys_in_urls_are_refused_and_not_repeated(url):
    with pytest.raises(SpecificationError, match="api_key_env") as told:
        Endpoint(url)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("prompts", "n", "message"),
    [
        ([], 1, "prompts is"),
        ("text", 1, "prompts is"),
        (["a", " "], 1, "prompt 1"),
        ([3], 1, "prompt 0"),
        (["a"], 0, "n is 0"),
    ],
)
def test_bad_prompts_are_refused_before_anything_is_asked(server, prompts, n, message):
    with pytest.raises(GeneratorError, match=message):
        _generate(server, prompts, n)
    assert server.requests == []


def test_it_conforms_and_is_plain(server):
    generator = _generator(server)
    assert isinstance(generator, CandidateGenerator)
    assert isinstance(EndpointEncoder(server.url, "tiny", DIM), Encoder)
    specification = json.loads(json.dumps(generator.specification()))
    again = generator_from_specification(specification)
    assert again.specification() == generator.specification()
    assert again.embedding_dim == generator.embedding_dim == DIM
    moved = pickle.loads(pickle.dumps(generator))
    assert moved.generate(PROMPTS, 2, rng=np.random.default_rng(0)).texts == _generate(server, n=2, seed=0).texts
