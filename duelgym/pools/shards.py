"""One prompt's recorded responses, and how they come about from the seed and the prompt alone."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, Shaped

from duelgym.errors import DuelgymError, PoolError
from duelgym.pools.splits import prompt_hash, shorten
from duelgym.pools.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from duelgym.generators.protocol import CandidateGenerator
    from duelgym.simulators.scorers import Scorer


@dataclass(frozen=True)
class Shard:
    """What is recorded of one prompt.

    Attributes:
        texts: the responses.
        prompt_embedding: in [-1, 1].
        candidate_embeddings: likewise.
        utilities: scores of the responses.
        n_tokens: length of each response, -1 where it is not known.
        finished: whether each response ended by itself.
        clipped: how many embedding values were cut off at -1 or 1.
    """

    texts: tuple[str, ...]
    prompt_embedding: Float32[np.ndarray, " prompt_dim"]
    candidate_embeddings: Float32[np.ndarray, "n candidate_dim"]
    utilities: Float64[np.ndarray, "n attributes"]
    n_tokens: Int64[np.ndarray, " n"]
    finished: Bool[np.ndarray, " n"]
    clipped: int

    def to_bytes(self) -> bytes:
        """Return the shard as a safetensors file."""
        out = io.BytesIO()
        arrays: dict[str, Shaped[np.ndarray, " ..."]] = {
            "texts": np.frombuffer(json.dumps(self.texts).encode(), np.uint8),
            "prompt_embedding": self.prompt_embedding,
            "candidate_embeddings": self.candidate_embeddings,
            "utilities": self.utilities,
            "n_tokens": self.n_tokens,
            "finished": self.finished.astype(np.uint8),
            "clipped": np.array([self.clipped], np.int64),
        }
        write_tensors(out, arrays)
        return out.getvalue()

    @classmethod
    def read(cls, path: Path) -> Shard:
        """Read a shard.

        Raises:
            PoolError: if it is damaged.
        """
        try:
            arrays = {name: tensor.rows(0, tensor.shape[0]) for name, tensor in read_tensors(path).items()}
            texts = tuple(json.loads(arrays.pop("texts").tobytes()))
            clipped = int(arrays.pop("clipped")[0])
            return cls(texts, finished=arrays.pop("finished").astype(bool), clipped=clipped, **arrays)
        except (PoolError, ValueError, LookupError, TypeError):
            raise PoolError(f"{path}: damaged; remove it, and the same command records its prompt again") from None


@dataclass(frozen=True)
class Recipe:
    """How every prompt is recorded; it can be sent to another process.

    Attributes:
        generator: gives the responses.
        scorer: gives their utilities.
        n: responses to each prompt.
        seed: of all randomness, together with the prompt's own text.
    """

    generator: CandidateGenerator
    scorer: Scorer
    n: int
    seed: int

    def record(self, prompt: str) -> bytes:
        """Return the shard of one prompt. It depends on no other prompt, nor on when or where it is recorded.

        Raises:
            PoolError: naming the prompt, if generator or scorer fail or give what cannot be stored.
        """
        try:
            return self._record(prompt).to_bytes()
        except Exception as error:  # a model can raise nearly anything; the other prompts' shards are kept
            reason = str(error) if isinstance(error, DuelgymError) else f"{type(error).__name__}: {error}"
            raise PoolError(f"prompt {shorten(prompt)} cannot be recorded: {reason}") from error

    def _record(self, prompt: str) -> Shard:
        rng = np.random.default_rng([self.seed, int.from_bytes(prompt_hash(prompt))])
        responses = self.generator.generate([prompt], self.n, rng=rng)
        (texts,), (reasons,) = responses.texts, responses.finish_reasons
        scores = np.asarray(self.scorer.score([prompt], [texts]), np.float64)
        for what, found, expected in (
            ("texts", (len(texts),), (self.n,)),
            ("embeddings", responses.candidate_embeddings.shape[:2], (1, self.n)),
            ("scores", scores.shape, (1, self.n, len(self.scorer.attributes))),
        ):
            if found != expected:
                raise PoolError(f"{what} have shape {found}, expected {expected}")
        for what, array in (
            ("prompt embedding", responses.prompt_embeddings),
            ("response embeddings", responses.candidate_embeddings),
        ):
            if not (np.abs(array) <= 1).all():
                raise PoolError(f"the {what} must lie in [-1, 1], without NaN")
        if not np.isfinite(scores).all():
            raise PoolError("the scores hold a NaN or infinite number")
        return Shard(
            texts=tuple(texts),
            prompt_embedding=responses.prompt_embeddings[0].astype(np.float32),
            candidate_embeddings=responses.candidate_embeddings[0].astype(np.float32),
            utilities=scores[0],
            n_tokens=responses.n_tokens[0].astype(np.int64),
            finished=np.array([reason == "stop" for reason in reasons], bool),
            clipped=int(responses.clipped),
        )
