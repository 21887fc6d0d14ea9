"""Made-up duels of short texts, for agents that read them."""

import numpy as np

from duelgym.agent import Contexts
from duelgym_agents.registry import make_agent

WORDS = [
    "bread",
    "moon",
    "octopus",
    "kind",
    "brief",
    "water",
    "salt",
    "sea",
    "child",
    "note",
    "face",
    "dough",
    "yeast",
    "three",
    "hearts",
    "rises",
]
BOTH = ["linear_heads", "lora"]
DIMENSIONS = {"prompt_dim": 2, "candidate_dim": 3, "n_candidates": 4, "batch_size": 5, "budget": 100}


def sentence(rng, longest=12):
    return " ".join(rng.choice(WORDS, size=rng.integers(1, longest)))


def contexts_of(rng, batch=5, n_candidates=4, longest=12):
    texts = tuple(tuple(sentence(rng, longest) for _ in range(n_candidates)) for _ in range(batch))
    prompts = tuple(sentence(rng) for _ in range(batch))
    return Contexts(np.zeros((batch, 2), np.float32), np.zeros((batch, n_candidates, 3), np.float32), prompts, texts)


def teach(model, rng, batches=3, **shape):
    for _ in range(batches):
        contexts = contexts_of(rng, **shape)
        pairs = np.stack([rng.permutation(contexts.candidates.shape[1])[:2] for _ in range(len(contexts))])
        model.update(contexts, pairs, rng.integers(2, size=len(contexts)).astype(np.int8))


def equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(np.array_equal(array, theirs[name]) for name, array in ours.items())


def agent_of(kind, tiny, seed=0, rule="infomax", **changes):
    small = {"model": tiny, "steps": 7, "minibatch_size": 4} | ({"tuning_labels": 10} if kind == "lora" else {})
    return make_agent(f"{rule}+{kind}", **DIMENSIONS, seed=seed, **small | changes)
