"""BatchBALD: the pairs whose labels, taken together, say most about which sample is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import whole_number
from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.rule import Selection

# Pairs are scored so many at a time that the entropies of all strings of labels stay in cache: 128 KiB.
_PIECE = 2**15
# Nats: gains below are the rounding error of single-precision entropies, and would put candidates by position.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class BatchBALD:
    """Picks one pair per prompt, greedily, for the joint mutual information of the batch's labels and the sample.

    Kirsch, van Amersfoort and Gal 2019 (1906.08158). With a batch of one, or for the first prompt, it is BALD: the
    entropy of the mean probability less the mean entropy of the probabilities. For each later prompt it is that
    given the labels of the pairs already picked, averaged over ``n_strings`` strings of such labels, drawn from the
    samples in equal shares (the paper's Monte Carlo estimate of the joint entropy, conditioned step by step).

    The paper picks from a pool without constraint. Here each prompt needs exactly one pair; prompts are served in
    order, for which greedy choice still has half of the best joint information (Fisher, Nemhauser and Wolsey 1978).
    All labels together tell at most log(n_samples) nats: where few samples disagree strongly, the first prompts of a
    large batch use that up, and the gains of the rest are next to nothing. Give it many samples.

    Equals are decided at random; the lower position is shown first. Where no label would tell samples apart that the
    labels before it do not, the pair is uniform, and the prompt counts as a fallback.

    Args:
        n_strings: at least 1. The paper's number depends on memory; 64 are chosen.

    Raises:
        SpecificationError: if ``n_strings`` is not such an integer.
    """

    n_strings: int = 64
    name: ClassVar[str] = "batchbald"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        whole_number("n_strings", self.n_strings, 1)

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs, picked jointly.

        Raises:
            SpecificationError: if there are fewer than two samples (no disagreement).
        """
        n_samples, batch, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        first, second = np.triu_indices(n_candidates, k=1)
        # The sample that each string of labels is drawn from.
        truth = rng.permutation(n_samples)[np.arange(self.n_strings) % n_samples]
        beliefs = np.full((self.n_strings, n_samples), 1 / n_samples, dtype=np.float32)
        pairs = np.empty((batch, 2), dtype=np.int64)
        fallbacks = 0
        for prompt in range(batch):
            own = utilities[:, prompt]
            wins = _win_probabilities(own.take(first, axis=1) - own.take(second, axis=1))
            # No label drawn yet: all strings are the same empty one.
            gains = information(beliefs if prompt else beliefs[:1], wins)
            fallbacks += not gains.any()
            (best,) = random_best(gains[None], rng)
            pairs[prompt] = first[best], second[best]
            won = rng.random(self.n_strings) < wins[truth, best]
            beliefs *= np.where(won[:, None], wins[:, best], 1 - wins[:, best])
            beliefs /= beliefs.sum(axis=1, keepdims=True)
        return Selection(pairs, fallbacks=fallbacks)


def information(
    beliefs: Float32[np.ndarray, "n_strings n_samples"], wins: Float32[np.ndarray, "n_samples n_pairs"]
) -> Float32[np.ndarray, " n_pairs"]:
    """Return what the label of each pair tells about the sample, in nats, averaged over strings of earlier labels.

    Args:
        beliefs: probability of each sample given each string; rows sum to 1.
        wins: probability under each sample that the first of the pair wins.
    """
    gains = -(beliefs.mean(axis=0) @ _entropies(wins))
    step = max(1, _PIECE // len(beliefs))
    for start in range(0, wins.shape[1], step):
        piece = slice(start, start + step)
        gains[piece] += _entropies(beliefs @ wins[:, piece]).mean(axis=0)
    gains[gains < _ROUNDING] = 0
    return gains


def _win_probabilities(logits: Float32[np.ndarray, "n_samples n_pairs"]) -> Float32[np.ndarray, "n_samples n_pairs"]:
    """Return sigmoid(logits), clipped so that every label stays possible."""
    half = np.tanh(np.float32(0.5) * logits)
    half += 1
    half *= np.float32(0.5)
    return np.clip(half, np.float32(1e-6), np.float32(1 - 1e-6), out=half)


def _entropies(probabilities: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Return the entropies of coins, in nats; probabilities are neither 0 nor 1."""
    others = 1 - probabilities
    entropies = np.log(probabilities)
    entropies *= probabilities
    logs = np.log(others)
    logs *= others
    entropies += logs
    return np.negative(entropies, out=entropies)
