"""A generator and a scorer that need no model; processes of their own import them by name."""

from __future__ import annotations

import sys
import time

import numpy as np

from duelgym.errors import SpecificationError
from duelgym.generators.protocol import Responses
from duelgym.pools.recording import record_pool

WORDS = ("plum", "sage", "", "rye")
PROMPTS = [f"name {count} plants" for count in range(40)]


class Babbler:
    """Two words a response, drawn from the generator given; longer prompts than ``context`` are refused."""

    embedding_dim = 3

    def __init__(self, pause: float = 0.0, context: int = 100, **settings: object) -> None:
        self.pause, self.context, self.settings = pause, context, settings

    def generate(self, prompts, n, *, rng):
        (prompt,) = prompts
        if len(prompt) > self.context:
            raise SpecificationError(f"prompt 0 has {len(prompt)} letters, more than the context of {self.context}")
        time.sleep(self.pause)
        words = rng.integers(len(WORDS), size=(n, 2))
        return Responses(
            texts=(tuple(" ".join(WORDS[word] for word in pair).strip() for pair in words.tolist()),),
            finish_reasons=(tuple("length" if pair[0] == 0 else "stop" for pair in words.tolist()),),
            n_tokens=(words > 0).sum(axis=1)[None],
            prompt_embeddings=rng.uniform(-1, 1, (1, 3)).astype(np.float32),
            candidate_embeddings=rng.uniform(-1, 1, (1, n, 3)).astype(np.float32),
            clipped=1,
        )

    def specification(self):
        return {"name": "babbler", "settings": self.settings}


class Letters:
    """Scores: how many letters, and how many spaces."""

    attributes = ("letters", "spaces")

    def score(self, prompts, responses):
        return np.array([[[len(text), text.count(" ")] for text in line] for line in responses], float)

    def specification(self):
        return {"name": "letters"}


def record(out: str, *, pause: float = 0.0, **changes):
    settings = {
        "generator": Babbler(pause),
        "scorer": Letters(),
        "prompts": PROMPTS,
        "n": 5,
        "seed": 3,
        "workers": 0,
        **changes,
    }
    return record_pool(out, **settings)


if __name__ == "__main__":
    record(sys.argv[1], pause=float(sys.argv[2]), workers=int(sys.argv[3]))
