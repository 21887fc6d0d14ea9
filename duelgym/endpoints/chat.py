"""What a chat completion must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duelgym.checks import is_unicode
from duelgym.endpoints.client import UnusableAnswer

CHAT_ROUTE = "/v1/chat/completions"


@dataclass(frozen=True)
class Choice:
    """One response of a chat completion.

    Attributes:
        text: the message's content; may be empty.
        finish_reason: ``"stop"`` or ``"length"``.
        n_tokens: completion tokens; -1 where the server does not say (usage counts all choices of an answer together,
            so it says only where there is one).
        top_logprobs: natural log-probability of each likely first token; None where the server gave none.
    """

    text: str
    finish_reason: str
    n_tokens: int
    top_logprobs: tuple[tuple[str, float], ...] | None


def read_choices(answer: object) -> list[Choice]:
    """Return the choices of a chat completion (parsed JSON), as many as there are.

    Raises:
        UnusableAnswer: if there is no choice, a content that is not text, or an ending other than stop and length.
    """
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    if not isinstance(answer, Mapping) or not isinstance(choices, list) or not choices:
        raise UnusableAnswer("no choices")
    tokens = -1
    usage = answer.get("usage")
    if len(choices) == 1 and isinstance(usage, Mapping):
        tokens = _count(usage.get("completion_tokens"))
    return [_read_choice(choice, tokens) for choice in choices]


def _read_choice(choice: Any, tokens: int) -> Choice:
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        raise UnusableAnswer("a choice without a message")
    text = message.get("content")
    if text is None:
        raise UnusableAnswer("a message without content (a reasoning model cut off? raise its tokens)")
    if not isinstance(text, str) or not is_unicode(text):
        raise UnusableAnswer("content that is not text")
    reason = choice.get("finish_reason")
    if reason not in ("stop", "length"):
        raise UnusableAnswer(f"finish_reason {repr(reason)[:40]}, neither 'stop' nor 'length'")
    return Choice(text, reason, tokens, _first_logprobs(choice.get("logprobs")))


def _first_logprobs(logprobs: Any) -> tuple[tuple[str, float], ...] | None:
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    first = content[0] if isinstance(content, list) and content else None
    top = first.get("top_logprobs") if isinstance(first, Mapping) else None
    if not isinstance(top, list) or not top:
        return None
    return tuple(_token(entry) for entry in top)


def _token(entry: Any) -> tuple[str, float]:
    token, value = (entry.get("token"), entry.get("logprob")) if isinstance(entry, Mapping) else (None, None)
    # Rounding may lift a certain token a little above 0; a comparison with nan is false.
    if (
        not isinstance(token, str)
        or isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not value <= 1e-3
    ):
        raise UnusableAnswer("log-probabilities that are not pairs of a token and a number up to 0")
    return token, float(value)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else -1
