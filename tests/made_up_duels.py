"""Made-up questions, raters and small reward models for the tests of reward models."""

from dataclasses import replace

import numpy as np

from duelgym.agent import Contexts
from duelgym_agents.catalogue import REWARD_MODELS

SMALL = {
    "hidden_sizes": (6, 5),
    "prior_hidden_sizes": (4,),
    "epinet_hidden_sizes": (5,),
    "index_dim": 4,
    "minibatch_size": 8,
    "steps": 27,  # five after each batch of six
    "n_fourier": 8,
}
# The others read texts; those that are language models are tested in agents/language_models.
ON_EMBEDDINGS = {name: kind for name, kind in REWARD_MODELS.items() if not getattr(kind.build, "needs_texts", False)}
# These have no buffer, no steps and no hidden layers.
LINEAR = ("additive", "bayesian_linear", "belief")
# Every reward model that is not a language model, and every setting that changes how one is computed.
VARIANTS = {
    **{name: (name, {}) for name in ON_EMBEDDINGS},
    "ensemble, bootstrap": ("ensemble", {"bootstrap": True}),
    "ensemble, half-life": ("ensemble", {"regularizer_half_life": 20.0}),
    "randomised_prior, three parts": ("randomised_prior", {"particles_add_point": True, "bootstrap": True}),
    "epinet, bootstrap": ("epinet", {"bootstrap": True}),
    "additive_text": ("additive_text", {}),
    "additive, no residual": ("additive", {"residual": 0.0}),
    "bayesian_linear, response": ("bayesian_linear", {"features": "response"}),
    "bayesian_linear, fourier": ("bayesian_linear", {"features": "fourier", "likelihood_power": 0.5}),
}


def model_of(kind, seed=0, *, prompt_dim=3, candidate_dim=4, **changes):
    """Return a small reward model of a kind."""
    settings = REWARD_MODELS[kind].settings
    small = {name: value for name, value in SMALL.items() if hasattr(settings, name)}
    small |= {"n_particles": 3} if kind in ("ensemble", "randomised_prior") else {}
    return REWARD_MODELS[kind].build(
        replace(settings, **{**small, **changes}),
        prompt_dim=prompt_dim,
        candidate_dim=candidate_dim,
        rng=np.random.default_rng(seed),
    )


def variant(name, **arguments):
    """Return a small reward model that is one of ``VARIANTS``."""
    kind, changes = VARIANTS[name]
    return model_of(kind, **{**changes, **arguments})


def contexts_of(rng, batch=6, n_candidates=5, prompt_dim=3, candidate_dim=4, scale=0.2):
    """Draw prompts and candidates; a candidate's text, which few models read, is the longer the larger its first feature."""
    draw = lambda *shape: (scale * rng.standard_normal(shape)).astype(np.float32)  # noqa: E731
    prompts, candidates = draw(batch, prompt_dim), draw(batch, n_candidates, candidate_dim)
    lengths = np.clip(20 + 10 * candidates[..., 0] / scale, 1, 40).astype(int)
    texts = tuple(tuple(" ".join(["word"] * length) for length in row) for row in lengths)
    return Contexts(prompts, candidates, ("why",) * batch, texts)


def rearranged(contexts, prompts=None, order=None):
    """Return some of the prompts, or their candidates in another order."""
    prompts = range(len(contexts)) if prompts is None else prompts
    order = range(contexts.candidates.shape[1]) if order is None else order
    return Contexts(
        contexts.prompts[list(prompts)],
        contexts.candidates[list(prompts)][:, list(order)],
        tuple(contexts.prompt_texts[prompt] for prompt in prompts),
        tuple(tuple(contexts.candidate_texts[prompt][candidate] for candidate in order) for prompt in prompts),
    )


def random_pairs(rng, contexts):
    return np.argsort(rng.random(contexts.candidates.shape[:2]), axis=1)[:, :2]


def teach(model, rng, batches=3, **shape):
    """Teach a model random answers to random pairs."""
    for _ in range(batches):
        contexts = contexts_of(rng, **shape)
        model.update(contexts, random_pairs(rng, contexts), rng.integers(2, size=len(contexts)).astype(np.int8))


def assert_same(state, other):
    """Check that two saved states are equal to the last bit."""
    assert state.keys() == other.keys()
    for name, array in state.items():
        assert array.tobytes() == other[name].tobytes(), name


def plain_utility(weights, candidate, prompt):
    """One network's utility, written out with plain numpy; weights as the network lays them out."""
    return float(plain_hidden(weights, candidate, prompt) @ weights[-1][0])


def plain_hidden(weights, candidate, prompt):
    """One network's last hidden layer, likewise."""
    hidden = candidate @ weights[0] + prompt @ weights[1] + weights[2][0]
    for matrix, bias in zip(weights[3:-1:2], weights[4:-1:2], strict=True):
        hidden = np.maximum(hidden, 0) @ matrix + bias[0]
    return np.maximum(hidden, 0)


def scaled(model, contexts):
    """Return prompts and candidates as a network reads them."""
    return model._replay._prompt_scaler(contexts.prompts), model._replay._candidate_scaler(contexts.candidates)


class Rater:
    """A hidden utility of one direction of the response, flat far out; it deviates by 1.5 logits within a prompt."""

    def __init__(self, rng, dim):
        direction = rng.standard_normal(dim)
        self._direction = direction / np.linalg.norm(direction)

    def utilities(self, contexts):
        return 2.4 * np.tanh(contexts.candidates @ self._direction / 0.2)

    def answers(self, rng, contexts, pairs):
        gaps = np.take_along_axis(self.utilities(contexts), pairs, axis=1) @ [1, -1]
        return (rng.random(len(pairs)) > 1 / (1 + np.exp(-gaps))).astype(np.int8)

    def win_rate(self, contexts, chosen):
        """Return the mean chance that the chosen candidates win against a uniform other one."""
        utilities = self.utilities(contexts)
        best = np.take_along_axis(utilities, chosen[:, None], axis=1)
        wins = (1 / (1 + np.exp(utilities - best))).sum(axis=1) - 0.5  # 0.5 is each one against itself
        return float(wins.mean()) / (utilities.shape[1] - 1)
