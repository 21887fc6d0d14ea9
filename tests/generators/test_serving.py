"""Against `transformers serve --continuous-batching` itself, on loopback and without the hub."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import openai_server
import pytest

from duelgym.errors import EndpointError
from duelgym.generators.endpoint import EndpointGenerator
from duelgym.simulators import Duels
from duelgym.simulators.llm_judge import LLMJudge


class LocalEncoder:
    """One feature, since this server has no embeddings."""

    embedding_dim = 1

    def embed(self, prompts, responses):
        n = len(responses[0])
        return np.zeros((len(prompts), 1), np.float32), np.zeros((len(prompts), n, 1), np.float32), 0

    def specification(self):
        return {"name": "zero"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    missing = [name for name in ("fastapi", "uvicorn", "openai") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install 'transformers[serving]'")
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="module")
def sampling_model(folder):
    return str(openai_server.make_model(folder / "sampling", do_sample=True))


@pytest.fixture(scope="module")
def url(folder):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--continuous-batching"]
    command += ["--cb-num-blocks", "256", "--cb-max-batch-tokens", "256"]  # else it takes a share of all memory
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log_path = folder / "log"
    with log_path.open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_until_healthy(process, f"http://127.0.0.1:{port}/health", log_path)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process, address, log_path):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, log_path.read_text()[-2000:]
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"not healthy after 90 s: {log_path.read_text()[-2000:]}")


def test_n_responses_come_although_n_is_ignored(url, sampling_model):
    generator = EndpointGenerator(url, sampling_model, max_new_tokens=8, encoder=LocalEncoder())
    responses = generator.generate(["What is bread?", "Write about the moon."], 6, rng=np.random.default_rng(0))
    assert [len(texts) for texts in responses.texts] == [6, 6]
    assert min(len(set(texts)) for texts in responses.texts) >= 2
    # One answer with one choice each, so that every response's tokens are known.
    assert np.all((responses.n_tokens >= 1) & (responses.n_tokens <= 8))
    cut = np.array(responses.finish_reasons) == "length"
    assert np.all(responses.n_tokens[cut] == 8)
    assert np.all(responses.n_tokens[~cut] < 8)


def test_no_embeddings_are_there(url, sampling_model):
    encoder = {"name": "endpoint", "model": sampling_model, "embedding_dim": 32}
    generator = EndpointGenerator(url, sampling_model, max_new_tokens=2, encoder=encoder)
    with pytest.raises(EndpointError, match="/v1/embeddings answered 404 .*local encoder="):
        generator.generate(["What is bread?"], 1, rng=np.random.default_rng(0))


def test_no_logprobs_are_there_but_votes(url, sampling_model):
    rows = np.zeros(1, dtype=np.int64)
    duels = Duels(rows, np.array([[0, 1]]), None, rows, texts=(("What is bread?", "A kind of food.", "No."),))
    with pytest.raises(EndpointError, match="/v1/chat/completions answered without log-prob.*logprobs='absent'"):
        LLMJudge(url, sampling_model).probability(duels)
    assert LLMJudge(url, sampling_model, logprobs="absent").probability(duels)[0] in (0.0, 0.5, 1.0)


def test_the_first_request_sets_the_temperature_for_all(url, folder):
    """What EndpointGenerator warns of; should this fail, the server has learned better and the warning can go."""
    model = str(openai_server.make_model(folder / "judged first"))
    rows = np.zeros(1, dtype=np.int64)
    duels = Duels(rows, np.array([[0, 1]]), None, rows, texts=(("What is bread?", "A kind of food.", "No."),))
    LLMJudge(url, model, logprobs="absent").probability(duels)
    generator = EndpointGenerator(url, model, max_new_tokens=4, encoder=LocalEncoder())
    with pytest.raises(EndpointError, match="4 identical answers.*first request was at temperature 0"):
        generator.generate(["What is bread?"], 4, rng=np.random.default_rng(0))


def test_a_model_without_do_sample_is_found_greedy(url, folder):
    model = str(openai_server.make_model(folder / "greedy", do_sample=False))
    generator = EndpointGenerator(url, model, max_new_tokens=4, encoder=LocalEncoder())
    with pytest.raises(EndpointError, match="4 identical answers.*do_sample: true"):
        generator.generate(["What is bread?"], 4, rng=np.random.default_rng(0))
