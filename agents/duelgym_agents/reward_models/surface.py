"""What one sees of a response's text before reading it: how long it is and how it is laid out."""

from __future__ import annotations

import re
from hashlib import blake2b

import numpy as np
from jaxtyping import Float32

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError

_WORD = re.compile(r"[^\W_]+")
_LIST_ITEM = re.compile(r"^[^\S\n]*(?:[-*\u2022]|\d+[.)])\s", re.MULTILINE)
_DIGIT = re.compile(r"\d")
_CAPITAL = re.compile(r"[A-Z]")
_SENTENCE_END = re.compile(r"[.!?]")
_MARKUP = re.compile(r"\*\*|[#`]")
# What was computed, by a hash of the texts, which are not kept: at most 40 MB.
_KNOWN: dict[bytes, Float32[np.ndarray, " surface"]] = {}
_MOST_KNOWN = 2**17
_PERSONAL = frozenset(("i", "me", "my", "we", "us", "our", "you", "your"))

SURFACE_FEATURES = (
    "characters",
    "words",
    "lines",
    "sentence_ends",
    "digits",
    "capitals",
    "commas",
    "colons",
    "question_marks",
    "exclamation_marks",
    "quotation_marks",
    "markup",
    "list_items",
    "personal_pronouns",
    "distinct_words",
    "prompt_words",
    "word_length",
    "finished",
)
"""Counts come first, as log(1 + count); the last four are shares in [0, 1], but for the mean characters of a word."""


def surface_features(contexts: Contexts) -> Float32[np.ndarray, "batch n_candidates surface"]:
    """Return the surface features of every response, in the order of ``SURFACE_FEATURES``.

    ``distinct_words`` is the share of words that differ, ``prompt_words`` the share of the prompt's words that occur,
    ``finished`` whether the last character ends a sentence. Words are lower-cased letters and digits, capitals those of A to Z; list items
    are lines that begin with -, *, a bullet, or a number and . or ).

    Raises:
        SpecificationError: if the contexts carry no texts.
    """
    if contexts.prompt_texts is None or contexts.candidate_texts is None:
        raise SpecificationError(
            "this reward model reads texts, and the contexts carry none; make them with texts=True"
        )
    both = zip(contexts.prompt_texts, contexts.candidate_texts, strict=True)
    return np.stack([[_known_features(response, prompt) for response in responses] for prompt, responses in both])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _known_features(response: str, prompt: str) -> Float32[np.ndarray, " surface"]:
    """Return the features, from memory where the same text was seen lately: pools come round again and again."""
    name = blake2b(f"{len(prompt)} {prompt}{response}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    if name not in _KNOWN:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[name] = _features(response, prompt)
    return _KNOWN[name]


def _features(response: str, prompt: str) -> Float32[np.ndarray, " surface"]:
    words, asked = _words(response), set(_words(prompt))
    distinct = set(words)
    counts = (
        len(response),
        len(words),
        1 + response.count("\n"),
        len(_SENTENCE_END.findall(response)),
        len(_DIGIT.findall(response)),
        len(_CAPITAL.findall(response)),
        response.count(","),
        response.count(":"),
        response.count("?"),
        response.count("!"),
        response.count('"'),
        len(_MARKUP.findall(response)),
        len(_LIST_ITEM.findall(response)),
        sum(word in _PERSONAL for word in words),
    )
    shares = (
        len(distinct) / max(1, len(words)),
        len(distinct & asked) / max(1, len(asked)),
        sum(map(len, words)) / max(1, len(words)),
        float(response.rstrip()[-1:] in (".", "!", "?")),
    )
    return np.array([*np.log1p(counts), *shares], dtype=np.float32)
