"""Gaussian features in place of language: candidates drawn afresh for every question."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym.generators.protocol import Questions

FEATURE_SCALE = 4.0
"""Standard deviations that fill the observation's range: features are clipped at ±4 and divided by 4."""

N_ASSESSMENT = 256
"""Held-out questions of each hidden rater."""


class _GaussianStream:
    def __init__(self, generator: GaussianFeatures, rng: np.random.Generator) -> None:
        self._generator = generator
        self._rng = rng
        self._drawn = 0
        self.clipped = 0

    def draw(self, n: int) -> Questions:
        questions = self._generator.sample(n, self._rng, first_id=self._drawn)
        self._drawn += n
        self.clipped += count_clipped(questions)
        return questions


class GaussianFeatures:
    """Prompt x ~ N(0, I); candidate = sqrt(share)·x + sqrt(1 - share)·z with z ~ N(0, I), each in d dimensions.

    Candidates are exchangeable draws, so their order carries nothing and needs no permutation.

    Args:
        dimension: d, at least 1.
        n_candidates: N, at least 1.
        prompt_share: share of a candidate's variance that it has in common with all candidates of its prompt, in [0, 1).

    Raises:
        SpecificationError: if an argument is out of its range.
    """

    def __init__(self, *, dimension: int, n_candidates: int, prompt_share: float) -> None:
        for name, value in (("dimension", dimension), ("n_candidates", n_candidates)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise SpecificationError(f"{name} is {value!r}; it must be a whole number of at least 1")
        if not isinstance(prompt_share, (int, float)) or not 0 <= prompt_share < 1:
            raise SpecificationError(f"prompt_share is {prompt_share!r}; it must lie in [0, 1)")
        self.prompt_dim = self.candidate_dim = int(dimension)
        self.n_candidates = int(n_candidates)
        self.n_folds = 1
        self._shared, self._own = np.float32(np.sqrt(prompt_share)), np.float32(np.sqrt(1 - prompt_share))

    def sample(self, n: int, rng: np.random.Generator, *, first_id: int = 0) -> Questions:
        """Draw n questions, numbered from ``first_id``."""
        d = self.prompt_dim
        draws = rng.standard_normal((n, 1 + self.n_candidates, d), dtype=np.float32)
        prompts, candidates = draws[:, 0], self._shared * draws[:, :1] + self._own * draws[:, 1:]
        return Questions(
            np.arange(first_id, first_id + n, dtype=np.int64),
            np.tile(np.arange(self.n_candidates, dtype=np.int64), (n, 1)),
            (_shown(prompts), _shown(candidates)),
        )

    def stream(self, rng: np.random.Generator) -> _GaussianStream:
        """Return the questions of one episode."""
        return _GaussianStream(self, rng)

    def assessment(self, rng: np.random.Generator) -> Questions:
        """Return 256 questions drawn apart from those that are asked."""
        return self.sample(N_ASSESSMENT, rng)

    def contexts(self, questions: Questions, *, texts: bool = False) -> Contexts:
        """Return the features that the questions hold."""
        prompts, candidates = _features(questions)
        prompt_texts = candidate_texts = None
        if texts:
            both = [self.texts(int(p), c) for p, c in zip(questions.prompt_ids, questions.candidate_ids, strict=True)]
            prompt_texts, candidate_texts = tuple(p for p, _ in both), tuple(c for _, c in both)
        return Contexts(prompts.copy(), candidates.copy(), prompt_texts, candidate_texts)

    def texts(self, prompt_id: int, candidate_ids: Int64[np.ndarray, " n"]) -> tuple[str, tuple[str, ...]]:
        """Return names: these responses are points, not language."""
        return f"synthetic prompt {prompt_id}", tuple(f"response {int(c)} to prompt {prompt_id}" for c in candidate_ids)

    def fingerprint(self, questions: Questions) -> bytes:
        """Return the bytes of the features, which no pool's hash vouches for."""
        prompts, candidates = _features(questions)
        n = len(questions)
        joined = np.concatenate([prompts.reshape(n, -1), candidates.reshape(n, -1)], axis=1)
        return joined.astype("<f4").tobytes()


def _shown(values: Float32[np.ndarray, ...]) -> Float32[np.ndarray, ...]:
    return np.clip(values / np.float32(FEATURE_SCALE), -1.0, 1.0)


def count_clipped(questions: Questions) -> int:
    """Return how many feature values were clipped at the edge of the observation's range."""
    return sum(int(np.count_nonzero(np.abs(part) == 1.0)) for part in _features(questions))


def _features(
    questions: Questions,
) -> tuple[Float32[np.ndarray, "batch d"], Float32[np.ndarray, "batch n_candidates d"]]:
    if questions.features is None:
        raise SpecificationError("these questions carry no features; they come from a pool, not from GaussianFeatures")
    return questions.features
