"""What rules share when they score pairs: differences of utilities, their spread, and the best of all pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Float64

from duelgym_agents.exploration.choice import random_best
from duelgym_agents.exploration.rule import Selection


def score_pairs(
    utilities: Float32[np.ndarray, "n_samples batch n_candidates"],
    score: Callable[[Float64[np.ndarray, "n_samples batch n_rivals"]], Float64[np.ndarray, "batch n_rivals"]],
) -> Float64[np.ndarray, "batch n_pairs"]:
    """Return a score for every pair i < j, row by row as ``np.triu_indices`` counts them.

    One candidate is set against all later ones at a time, so that no array of all pairs and samples is built.

    Args:
        utilities: sampled utilities.
        score: turns the differences u_i - u_j (log-odds of i beating j) of one i and all later j into their scores.
            The differences are its own to overwrite.
    """
    _, batch, n_candidates = utilities.shape
    wide = utilities.astype(np.float64)
    scores = np.empty((batch, n_candidates * (n_candidates - 1) // 2))
    start = 0
    for i in range(n_candidates - 1):
        stop = start + n_candidates - 1 - i
        scores[:, start:stop] = score(wide[:, :, i, None] - wide[:, :, i + 1 :])
        start = stop
    return scores


def random_best_pair(
    scores: Float[np.ndarray, "batch n_pairs"], n_candidates: int, rng: np.random.Generator
) -> Selection:
    """Return each prompt's pair of largest score, lower position first, drawn uniformly among equals.

    Scores measure disagreement: where the largest is 0 the samples agree on every pair, each pair is as good as
    any, and the prompt counts as a fallback.
    """
    first, second = np.triu_indices(n_candidates, k=1)
    best = random_best(scores, rng)
    agreed = int(np.count_nonzero(scores.max(axis=1) == 0))
    return Selection(np.stack([first[best], second[best]], axis=1), fallbacks=agreed)


def lead(differences: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return 2 sigmoid(difference) - 1, in [-1, 1]: how much more often i wins than loses. Overwrites its argument.

    Unlike the probability it is exactly antisymmetric in i and j, so that the order of a pair cannot break a tie.
    """
    differences *= 0.5
    return np.tanh(differences, out=differences)


def sample_variance(values: Float64[np.ndarray, n_samples * shape]) -> Float64[np.ndarray, "*shape"]:
    """Return the variance over samples with divisor n_samples - 1, exactly 0 where all samples agree."""
    centred = values - values[0]  # the mean alone would leave a rounding error where all samples agree
    centred -= centred.mean(axis=0)
    np.square(centred, out=centred)
    return centred.sum(axis=0) / (len(values) - 1)


def binary_entropy(leads: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return the entropy, in nats, of bits of probability (1 + lead) / 2; exactly 0 at -1 and 1."""
    rarer = 0.5 - 0.5 * np.abs(leads)
    likelier = 1.0 - rarer
    entropies = rarer * np.log(np.maximum(rarer, np.finfo(np.float64).tiny))  # 0 log 0 is 0
    np.log(likelier, out=rarer)
    rarer *= likelier
    entropies += rarer
    return np.negative(entropies, out=entropies)
