"""Questions whose responses are generated when they are asked."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from duelgym.agent import Contexts
from duelgym.checks import whole_number
from duelgym.errors import SpecificationError
from duelgym.generators.protocol import CandidateGenerator, Questions
from duelgym.generators.replay import ShuffledPasses, permuted_candidates
from duelgym.pools.splits import prompt_hash

N_ASSESSMENT = 64
"""Prompts held out for assessment, where there are at least five times as many."""

KEPT_QUESTIONS = 1024
"""How many questions' texts are kept at least; more only if one batch holds more."""

_Texts = tuple[str, tuple[str, ...]]


class _LiveStream:
    """Shuffled passes over the prompts; for every question fresh responses in random order."""

    def __init__(self, source: LiveQuestions, rng: np.random.Generator) -> None:
        order, self._candidates, self._generation = rng.spawn(3)
        self._source = source
        self._passes = ShuffledPasses(source.asked_rows, order)
        self.clipped = 0

    def draw(self, n: int) -> Questions:
        questions, clipped = self._source.generated(self._passes.take(n), self._candidates, self._generation)
        self.clipped += clipped
        return questions


class LiveQuestions:
    """Prompts in shuffled passes, each answered N times by a generator at the moment when it is asked about.

    Query t's responses follow from the seed and t alone, however many questions are drawn at a time: exactly so for what is
    random, up to rounding for what the generator computes from it (a language model's matrix products depend in their
    last digits on what is computed beside them). Assessment prompts are held out by hash: those whose sha256 is smallest.

    A question's ``prompt_id`` is unique to its prompt and responses; modulo the number of prompts it is the prompt's place
    among them. ``candidate_ids`` are 0 to N - 1 in the order shown. Texts are kept for the last 1 024 questions.

    Args:
        generator: answers the prompts.
        prompts: at least two different ones.
        n_candidates: N, at least 1.
        n_assessment: prompts to hold out; None: 64, or a fifth of the prompts where there are fewer than 320.

    Raises:
        SpecificationError: if a number is out of its range, or the prompts are too few or not all different.
    """

    def __init__(
        self,
        generator: CandidateGenerator,
        prompts: Sequence[str],
        *,
        n_candidates: int,
        n_assessment: int | None = None,
    ) -> None:
        whole_number("n_candidates", n_candidates)
        if n_assessment is not None:
            whole_number("n_assessment", n_assessment)
        if len(set(prompts)) < max(2, len(prompts)):
            raise SpecificationError(
                f"{len(prompts)} prompts were given, {len(set(prompts))} of them different; give at least two, each once"
            )
        held_out = max(1, min(N_ASSESSMENT, len(prompts) // 5)) if n_assessment is None else int(n_assessment)
        if held_out >= len(prompts):
            raise SpecificationError(
                f"n_assessment is {held_out} of {len(prompts)} prompts; leave at least one to ask about"
            )
        self.generator = generator
        self.prompts = tuple(prompts)
        self.prompt_dim = self.candidate_dim = generator.embedding_dim
        self.n_candidates = int(n_candidates)
        self.n_assessment = held_out
        self.n_folds = 1
        by_hash = sorted(range(len(prompts)), key=lambda row: prompt_hash(prompts[row]))
        self._assessed = np.array(sorted(by_hash[:held_out]), dtype=np.int64)
        self.asked_rows: Int64[np.ndarray, " rows"] = np.array(sorted(by_hash[held_out:]), dtype=np.int64)
        self._kept: OrderedDict[int, _Texts] = OrderedDict()
        self._last_assessment: tuple[str, Questions, dict[int, _Texts]] | None = None

    def stream(self, rng: np.random.Generator) -> _LiveStream:
        """Return the questions of one episode."""
        return _LiveStream(self, rng)

    def assessment(self, rng: np.random.Generator) -> Questions:
        """Return every held-out prompt once; the last set drawn is kept, since an episode asks for it again and again."""
        state = repr(rng.bit_generator.state)
        if self._last_assessment is None or self._last_assessment[0] != state:
            questions, _ = self.generated(self._assessed, rng, rng)
            texts = {int(prompt_id): self._kept.pop(int(prompt_id)) for prompt_id in questions.prompt_ids}
            self._last_assessment = (state, questions, texts)
        return self._last_assessment[1]

    def generated(
        self, rows: Int64[np.ndarray, " batch"], order: np.random.Generator, rng: np.random.Generator
    ) -> tuple[Questions, int]:
        """Return new questions about some of the prompts, and how many values of their embeddings were clipped.

        Args:
            rows: which prompts.
            order: draws the order in which the responses are shown.
            rng: draws the responses.
        """
        n = self.n_candidates
        shown = permuted_candidates(len(rows), n, n, order)
        responses = self.generator.generate([self.prompts[row] for row in rows], n, rng=rng)
        prompt_ids = np.empty(len(rows), dtype=np.int64)
        for position, (row, texts) in enumerate(zip(rows.tolist(), responses.texts, strict=True)):
            prompt_ids[position] = self._remember(row, texts)
        while len(self._kept) > max(KEPT_QUESTIONS, len(rows)):
            self._kept.popitem(last=False)
        features = responses.candidate_embeddings[np.arange(len(rows))[:, None], shown]
        return Questions(prompt_ids, shown, (responses.prompt_embeddings, features)), responses.clipped

    def contexts(self, questions: Questions, *, texts: bool = False) -> Contexts:
        """Return the embeddings that the questions hold, and their texts."""
        if questions.features is None:
            raise SpecificationError(
                "these questions carry no embeddings; they come from a pool, not from LiveQuestions"
            )
        prompts, candidates = questions.features
        prompt_texts = candidate_texts = None
        if texts:
            both = [
                self.texts(int(p), ids) for p, ids in zip(questions.prompt_ids, questions.candidate_ids, strict=True)
            ]
            prompt_texts, candidate_texts = tuple(p for p, _ in both), tuple(c for _, c in both)
        return Contexts(prompts.copy(), candidates.copy(), prompt_texts, candidate_texts)

    def texts(self, prompt_id: int, candidate_ids: Int64[np.ndarray, " n"]) -> tuple[str, tuple[str, ...]]:
        """Return the prompt and the named responses as strings.

        Raises:
            SpecificationError: if the question is none of those that are kept.
        """
        prompt, responses = self._found(int(prompt_id))
        return prompt, tuple(responses[int(candidate)] for candidate in candidate_ids)

    def fingerprint(self, questions: Questions) -> bytes:
        """Return a hash of the prompts and responses as texts, in the order shown."""
        digest = hashlib.sha256()
        for prompt_id, ids in zip(questions.prompt_ids, questions.candidate_ids, strict=True):
            prompt, responses = self.texts(int(prompt_id), ids)
            digest.update(_digest(prompt, responses))
        return digest.digest()

    def _remember(self, row: int, responses: tuple[str, ...]) -> int:
        """Keep a question's texts, and return its number."""
        # Below 2^53, which JSON readers of every language hold exactly.
        unique = int.from_bytes(_digest(self.prompts[row], responses)[:8], "big") % (2**53 // len(self.prompts))
        prompt_id = unique * len(self.prompts) + row
        self._kept[prompt_id] = (self.prompts[row], responses)
        self._kept.move_to_end(prompt_id)
        return prompt_id

    def _found(self, prompt_id: int) -> _Texts:
        if prompt_id in self._kept:
            return self._kept[prompt_id]
        if self._last_assessment is not None and prompt_id in self._last_assessment[2]:
            return self._last_assessment[2][prompt_id]
        raise SpecificationError(
            f"the texts of question {prompt_id} are not kept: only those of the last {KEPT_QUESTIONS} questions and the last "
            "assessment are; ask for texts sooner, or record a pool"
        )


def _digest(prompt: str, responses: Sequence[str]) -> bytes:
    digest = hashlib.sha256()
    for text in (prompt, *responses):
        digest.update(prompt_hash(text))
    return digest.digest()
