"""A language model that is asked which of two responses is better."""

from __future__ import annotations

import functools
import math
import re
import threading
from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from duelgym.endpoints.cache import AnswerCache
from duelgym.endpoints.chat import CHAT_ROUTE, read_choices
from duelgym.endpoints.checks import model_name
from duelgym.endpoints.client import Endpoint, UnusableAnswer, run_all
from duelgym.errors import EndpointError, SpecificationError
from duelgym.simulators.protocol import Duels

TEMPLATE = (
    "Somebody asked:\n\n{prompt}\n\nResponse A:\n\n{first}\n\nResponse B:\n\n{second}\n\n"
    "Which response is better? Reply with a single letter, A or B."
)

SMALLEST_MASS = 0.05
"""A judge that gives the letters A and B together less probability than this has not answered the question."""

_TIMES_ASKED = 3
_PLACEHOLDER = re.compile(r"\{(prompt|first|second)\}")


@dataclass(frozen=True)
class LLMJudge:
    """P(first preferred) from the letter with which a chat model answers, A for the first shown or B for the second.

    With ``logprobs="required"``: one question gives q = p_A / (p_A + p_B), where p_A and p_B sum the probabilities of the
    likely first tokens (up to 20) that are that letter, with or without space around it; the model is asked at
    temperature 1. With ``logprobs="absent"``, for servers that give none: q is 1 or 0, the letter of a reply at
    temperature 0, which overstates how sure the judge is. With ``both_orders``: P = (q(first shown as A) + 1 -
    q(first shown as B)) / 2, two questions a duel, and the order of showing does not matter; otherwise P = q.

    The judge has no ``judgement``: every answer costs time or money, so environments need ``reward="zero"``.

    Args:
        url: as in :class:`duelgym.endpoints.Endpoint`, like the settings below that are not named here.
        model: the model's name on that server.
        template: the question, holding ``{prompt}``, ``{first}`` and ``{second}``.
        both_orders: ask in both orders and average.
        logprobs: ``"required"`` or ``"absent"``.
        cache: directory in which answers are kept, whatever the url; None: every duel is asked anew.

    Raises:
        SpecificationError: if an argument is out of its range.
    """

    url: str
    model: str
    _: KW_ONLY
    template: str = TEMPLATE
    both_orders: bool = True
    logprobs: str = "required"
    cache: str | None = None
    concurrency: int = 8
    timeout: float = 60.0
    retries: int = 4
    backoff: float = 0.5
    api_key_env: str | None = None
    follows_utility = False
    has_judgement = False
    needs_texts = True

    def __post_init__(self) -> None:
        self._endpoint()
        model_name(self.model)
        names = _PLACEHOLDER.findall(self.template) if isinstance(self.template, str) else []
        if set(names) != {"prompt", "first", "second"}:
            raise SpecificationError("template must hold {prompt}, {first} and {second}")
        if not isinstance(self.both_orders, bool):
            raise SpecificationError(f"both_orders is {self.both_orders!r}; it must be true or false")
        if self.logprobs not in ("required", "absent"):
            raise SpecificationError(f"logprobs is {self.logprobs!r}; it must be 'required' or 'absent'")
        if self.cache is not None and (not isinstance(self.cache, str) or not self.cache):
            raise SpecificationError(f"cache is {self.cache!r}; give the path of a directory, or none")

    @property
    def symmetric(self) -> bool:
        """Whether both orders are asked; exactly so where the server's answers repeat or a cache keeps them."""
        return self.both_orders

    def probability(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Ask the judge; equal questions are asked once.

        Raises:
            EndpointError: if a question got no usable answer, naming the duel; or a cache file is damaged. Answers that
                came before are in the cache, where there is one.
        """
        if duels.texts is None:
            raise SpecificationError("the llm_judge simulator needs texts; this environment has none")
        if not duels.texts:
            return np.empty(0)
        asked = [self._request(*texts) for texts in duels.texts]
        swapped = [self._request(prompt, second, first) for prompt, first, second in duels.texts]
        names = [f"duel {i} (prompt {texts[0][:40]!r})" for i, texts in enumerate(duels.texts)]
        if not self.both_orders:
            return np.array(self._answers(asked, names))
        answers = np.array(self._answers(asked + swapped, names + names))
        as_a, as_b = np.split(answers, 2)
        # The favourite's number first, so that the two orders of a pair sum to 1 exactly.
        favourite = 0.5 + np.abs(as_a - as_b) / 2
        return np.where(as_a >= as_b, favourite, 1.0 - favourite)

    def judgement(self, duels: Duels) -> Float64[np.ndarray, " batch"]:
        """Refuse: scoring would ask the judge about every pair.

        Raises:
            SpecificationError: always.
        """
        raise SpecificationError("an llm_judge is asked, not scored against: it has no judgement; use reward='zero'")

    def specification(self) -> list[dict[str, object]]:
        """Return every setting; the key is not among them, only the name of its environment variable."""
        return [{"name": "llm_judge", **asdict(self)}]

    def _endpoint(self) -> Endpoint:
        return Endpoint(self.url, self.timeout, self.retries, self.backoff, self.concurrency, self.api_key_env)

    def _request(self, prompt: str, first: str, second: str) -> dict[str, Any]:
        given = {"prompt": prompt, "first": first, "second": second}
        # One pass, so that braces within a response stay what they are.
        question = _PLACEHOLDER.sub(lambda match: given[match[1]], self.template)
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 1,
            "temperature": 0.0,
        }
        if self.logprobs == "required":
            # At temperature 1 it does not matter whether a server reports them before or after the temperature.
            request |= {"temperature": 1.0, "logprobs": True, "top_logprobs": 20}
        return request

    def _answers(self, requests: Sequence[dict[str, Any]], names: Sequence[str]) -> list[float]:
        """Return q for each request, asking each different one once."""
        cache = AnswerCache(Path(self.cache)) if self.cache is not None else None
        questions = [request["messages"][0]["content"] for request in requests]
        first: dict[str, int] = {}
        for i, question in enumerate(questions):
            first.setdefault(question, i)
        order = list(first.values())
        jobs = [functools.partial(self._answer, requests[i], cache) for i in order]
        answers = run_all(jobs, [names[i] for i in order], self.concurrency)
        found = {questions[i]: answer for i, answer in zip(order, answers, strict=True)}
        return [found[question] for question in questions]

    def _answer(self, request: dict[str, Any], cache: AnswerCache | None, stop: threading.Event) -> float:
        kept = cache.get(request) if cache is not None else None
        if kept is not None:
            return kept
        answer = self._ask(request, stop)
        if cache is not None:
            cache.put(request, answer)
        return answer

    def _ask(self, request: dict[str, Any], stop: threading.Event) -> float:
        read = _read_logprobs if self.logprobs == "required" else _read_vote
        endpoint = self._endpoint()
        for attempt in range(_TIMES_ASKED):
            letters, reply = endpoint.post(CHAT_ROUTE, request | {"seed": attempt}, read, stop)
            mass = letters["A"] + letters["B"]
            if mass >= SMALLEST_MASS:
                return letters["A"] / mass
        raise EndpointError(
            f"POST {endpoint.address(CHAT_ROUTE)}: asked {_TIMES_ASKED} times, the judge answered neither A nor B but "
            f"{reply[:80]!r}; change template= or the model"
        )


def _read_logprobs(answer: Any) -> tuple[dict[str, float], str]:
    choice = read_choices(answer)[0]
    if choice.top_logprobs is None:
        raise UnusableAnswer(
            "without log-probabilities of the first token (logprobs: true, top_logprobs: 20); "
            "logprobs='absent' takes the letter of the reply instead"
        )
    letters = {"A": 0.0, "B": 0.0}
    for token, logprob in choice.top_logprobs:
        if token.strip() in letters:
            letters[token.strip()] += math.exp(min(logprob, 0.0))
    return letters, choice.text


def _read_vote(answer: Any) -> tuple[dict[str, float], str]:
    text = read_choices(answer)[0].text
    return {letter: float(text.strip() == letter) for letter in ("A", "B")}, text
