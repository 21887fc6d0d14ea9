"""Responses sampled by an OpenAI-compatible server."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from duelgym.checks import positive_number, whole_number
from duelgym.endpoints.chat import CHAT_ROUTE, Choice, read_choices
from duelgym.endpoints.checks import model_name
from duelgym.endpoints.client import REFUSALS, Endpoint, UnusableAnswer, run_all
from duelgym.endpoints.embeddings import EMBEDDINGS_ROUTE
from duelgym.errors import EndpointError, GeneratorError, SpecificationError
from duelgym.generators.checks import check_request
from duelgym.generators.protocol import Encoder, Responses
from duelgym.generators.specification import encoder_from_specification

_SUSPICIOUS = 4
"""From this many answers on, all being equal is an error."""


class EndpointGenerator:
    """Responses sampled by a server's ``/v1/chat/completions``: vLLM, llama.cpp, ``transformers serve`` and others.

    Every prompt is one user message. n choices are asked for at once; what the server does not give, one by one. Each
    request carries a seed from the generator given, but whether the same seed gives the same text again is up to the
    server: record a pool where results must be exact. A failure ends the call, and the answers that it had already
    received are thrown away.

    ``transformers serve --continuous-batching`` keeps the temperature and top_p of the first request it ever got for a
    model (a judge's 0, say) and ignores those of all later ones: give each setting a server of its own.

    Args:
        url: as in :class:`duelgym.endpoints.Endpoint`, like the settings below that are not named here.
        model: the model's name on that server.
        temperature: of sampling; above 0 and at most 2.
        top_p: in (0, 1].
        max_new_tokens: where a response is cut off.
        encoder: what embeds prompts and responses, or plain JSON that describes it;
            ``{"name": "endpoint", "model": "…", "embedding_dim": 768}`` is the ``/v1/embeddings`` of this server, asked
            with these settings unless others are given.
        ask_n: whether to ask for n choices at once. Servers count tokens by request, so that ``n_tokens`` is known only
            where each response has a request of its own; and some servers refuse n above 1 (the refusal is accepted, at
            the price of a request for every prompt).

    Raises:
        SpecificationError: if an argument is out of its range, or there is no encoder.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = 48,
        encoder: Encoder | Mapping[str, object] | str | None = None,
        ask_n: bool = True,
        concurrency: int = 8,
        timeout: float = 60.0,
        retries: int = 4,
        backoff: float = 0.5,
        api_key_env: str | None = None,
    ) -> None:
        self._endpoint = Endpoint(url, timeout, retries, backoff, concurrency, api_key_env)
        self._model = model_name(model)
        self._sampling = {
            "temperature": positive_number("temperature", temperature, most=2.0),
            "top_p": positive_number("top_p", top_p, most=1.0),
            "max_new_tokens": whole_number("max_new_tokens", max_new_tokens),
        }
        if not isinstance(ask_n, bool):
            raise SpecificationError(f"ask_n is {ask_n!r}; it must be true or false")
        self._ask_n = ask_n
        self._encoder = _encoder(encoder, self._endpoint)
        self.embedding_dim = self._encoder.embedding_dim

    def generate(self, prompts: Sequence[str], n: int, *, rng: np.random.Generator) -> Responses:
        """Return n responses to each prompt.

        ``n_tokens`` is what the server counted (with or without the token that ends a response), -1 where it did not.

        Raises:
            GeneratorError: if there is no prompt, an empty one, or n is below 1.
            EndpointError: if a prompt got no usable answers, or at least 4 that are all equal; names the prompt.
        """
        check_request(prompts, n)
        for i, prompt in enumerate(prompts):
            if not isinstance(prompt, str) or not prompt.strip():
                raise GeneratorError(f"prompt {i} is {prompt!r}; it must be text that is not empty")
        names = [f"prompt {i} ({prompt[:40]!r})" for i, prompt in enumerate(prompts)]
        # Seeds of 31 bits: servers keep them in signed 32.
        seeds = rng.integers(0, 2**31 - 1, size=(len(prompts), 1 + n)).tolist()
        answers: list[list[Choice]] = [[] for _ in prompts]
        if self._ask_n and n > 1:
            answers = self._run([(prompt, n, own[0]) for prompt, own in zip(prompts, seeds, strict=True)], names)
        rest = [(row, i) for row, given in enumerate(answers) for i in range(len(given), n)]
        singles = self._run([(prompts[row], 1, seeds[row][1 + i]) for row, i in rest], [names[row] for row, _ in rest])
        for (row, _), given in zip(rest, singles, strict=True):
            answers[row] += given
        for name, given in zip(names, answers, strict=True):
            self._refuse_identical(name, given)
        texts = tuple(tuple(choice.text for choice in given) for given in answers)
        prompt_embeddings, candidate_embeddings, clipped = self._encoder.embed(prompts, texts)
        return Responses(
            texts,
            tuple(tuple(choice.finish_reason for choice in given) for given in answers),
            np.array([[choice.n_tokens for choice in given] for given in answers], dtype=np.int64),
            prompt_embeddings,
            candidate_embeddings,
            clipped,
        )

    def specification(self) -> dict[str, object]:
        """Return every setting; a server's model has no revision, so what it ran is the server's word."""
        return {
            "name": "endpoint",
            "model": self._model,
            **self._sampling,
            "ask_n": self._ask_n,
            "encoder": self._encoder.specification(),
            **self._endpoint.settings(),
        }

    def _run(self, requests: Sequence[tuple[str, int, int]], names: Sequence[str]) -> list[list[Choice]]:
        jobs = [functools.partial(self._ask, *request) for request in requests]
        return run_all(jobs, names, self._endpoint.concurrency)

    def _ask(self, prompt: str, n: int, seed: int, stop: threading.Event) -> list[Choice]:
        """Return up to n choices; none where the server refuses n above 1."""

        def read(answer: Any) -> list[Choice]:
            choices = read_choices(answer)
            if len(choices) > n:
                raise UnusableAnswer(f"{len(choices)} choices, asked for {n}")
            return choices

        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": self._sampling["temperature"],
            "top_p": self._sampling["top_p"],
            "max_tokens": self._sampling["max_new_tokens"],
            "seed": seed,
            "n": n,
        }
        try:
            return self._endpoint.post(CHAT_ROUTE, body, read, stop)
        except EndpointError as error:
            # What is wrong with more than n shows again in the single requests that follow.
            if n > 1 and error.status in REFUSALS:
                return []
            raise

    def _refuse_identical(self, name: str, given: Sequence[Choice]) -> None:
        if len(given) >= _SUSPICIOUS and len({choice.text for choice in given}) == 1:
            raise EndpointError(
                f"{name}: POST {self._endpoint.address(CHAT_ROUTE)} gave {len(given)} identical answers, "
                f"{given[0].text[:40]!r}, at temperature {self._sampling['temperature']:g}; the server probably decodes "
                "greedily and ignores the temperature (`transformers serve` does unless the model's "
                "generation_config.json says do_sample: true, or if its first request was at temperature 0)"
            )


def _encoder(given: Encoder | Mapping[str, object] | str | None, endpoint: Endpoint) -> Encoder:
    if isinstance(given, Encoder):
        return given
    if given is None:
        raise SpecificationError(
            "encoder is None; give an encoder, or "
            f'{{"name": "endpoint", "model": "…", "embedding_dim": 768}} to use the server\'s {EMBEDDINGS_ROUTE}'
        )
    if isinstance(given, Mapping) and given.get("name") == "endpoint":
        given = {**endpoint.settings(), **given}
    return encoder_from_specification(given)
