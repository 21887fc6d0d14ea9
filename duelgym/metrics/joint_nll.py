"""How well sampled utilities predict labels together: negative log-likelihood, as excess over the simulator's own.

A group is kappa anchor duels and how many labels of each are predicted together, tau labels in all. Under each sample the
labels' log-probabilities are summed; the log of the samples' mean likelihood is compared with the simulator's own
log-likelihood. Over labels that is a Kullback-Leibler divergence, in nats per group: 0 for the simulator, never below.

Marginal groups have one label, dyadic ones ten of two anchors (Osband et al. 2022, 2202.13509). A point prediction scores
the sum of its marginals; samples that disagree where the utility is not known score less, those that all err alike do not.

Labels are drawn anew for every repeat of an anchor. Copying one recorded label would reward samples that are sure of
opposite things. Their expectation is summed exactly, over the number of wins of each anchor: nothing is drawn but groups.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from duelgym.checks import whole_number
from duelgym.errors import SpecificationError


@dataclass(frozen=True)
class LabelGroups:
    """Which labels are predicted together.

    Attributes:
        anchors: positions of each group's duels.
        labels: how many labels of each anchor, at least 0.
    """

    anchors: Int64[np.ndarray, "groups kappa"]
    labels: Int64[np.ndarray, "groups kappa"]


def marginal_groups(n_duels: int) -> LabelGroups:
    """Return one group for each duel, with a single label of it (kappa = tau = 1)."""
    return LabelGroups(np.arange(n_duels)[:, None], np.ones((n_duels, 1), dtype=np.int64))


def polyadic_groups(n_duels: int, rng: np.random.Generator, *, kappa: int = 2, tau: int = 10) -> LabelGroups:
    """Return groups of kappa different duels, each duel in one group (fewer than kappa may be left over).

    Args:
        n_duels: duels there are, at least kappa.
        rng: draws who is grouped with whom and, tau times with replacement, an anchor whose label is predicted.
        kappa: anchors of a group; 2 is dyadic.
        tau: labels of a group.

    Raises:
        SpecificationError: if a number is too small.
    """
    whole_number("kappa", kappa)
    whole_number("tau", tau)
    whole_number("n_duels", n_duels, kappa)
    anchors = rng.permutation(n_duels)[: n_duels // kappa * kappa].reshape(-1, kappa)
    return LabelGroups(anchors, rng.multinomial(tau, np.full(kappa, 1 / kappa), size=len(anchors)))


def excess_nll(
    logits: Float[np.ndarray, "n_samples duels"], probabilities: Float64[np.ndarray, " duels"], groups: LabelGroups
) -> float:
    """Return the mean over groups of the expected excess negative log-likelihood, in nats per group.

    With few samples even a perfect posterior scores above 0: what is scored is their mixture.

    Args:
        logits: sampled log-odds that the first response of a duel is preferred; one sample is one function for all duels.
        probabilities: those of the simulator, in [0, 1].
        groups: which labels are predicted together; at least one group.

    Raises:
        SpecificationError: if logits are not finite, probabilities not in [0, 1], shapes disagree, or there is no group.
    """
    _check(logits, probabilities, groups)
    samples, weights = _distinct(logits)
    log_win, log_lose = -np.logaddexp(0, -samples), -np.logaddexp(0, samples)
    tiny = np.finfo(np.float64).tiny  # what never happens weighs nothing, but 0 times its logarithm must be 0
    true_win, true_lose = np.log(np.maximum([probabilities, 1 - probabilities], tiny))
    total = 0.0
    for labels in np.unique(groups.labels, axis=0):
        anchors = groups.anchors[(groups.labels == labels).all(axis=1)]
        wins = np.indices(labels + 1).reshape(len(labels), -1)
        losses = labels[:, None] - wins
        ways = np.array([math.prod(map(math.comb, labels, each)) for each in wins.T], dtype=np.float64)
        simulator = true_win[anchors] @ wins + true_lose[anchors] @ losses
        sampled = _log_mean_exp(log_win[:, anchors] @ wins + log_lose[:, anchors] @ losses, weights)
        total += float(np.sum(ways * np.exp(simulator) * (simulator - sampled)))
    return total / len(groups.anchors)


def _distinct(
    logits: Float[np.ndarray, "n_samples duels"],
) -> tuple[Float64[np.ndarray, "distinct duels"], Float64[np.ndarray, " distinct"]]:
    """Return every sample once, and its share: of a few particles, many samples were asked."""
    counts = Counter(sample.tobytes() for sample in logits)
    samples = np.frombuffer(b"".join(counts), dtype=logits.dtype).reshape(-1, logits.shape[1])
    return samples.astype(np.float64), np.array(list(counts.values())) / len(logits)


def _log_mean_exp(
    values: Float64[np.ndarray, "n_samples groups outcomes"], weights: Float64[np.ndarray, " n_samples"]
) -> Float64[np.ndarray, "groups outcomes"]:
    largest = values.max(axis=0)
    return largest + np.log(np.tensordot(weights, np.exp(values - largest), axes=1))


def _check(
    logits: Float[np.ndarray, "n_samples duels"], probabilities: Float64[np.ndarray, " duels"], groups: LabelGroups
) -> None:
    if logits.ndim != 2 or not len(logits) or probabilities.shape != logits.shape[1:]:
        raise SpecificationError(
            f"logits have shape {logits.shape}, probabilities {probabilities.shape}; they must be (n_samples, duels), with at "
            "least one sample, and (duels,)"
        )
    if not np.isfinite(logits).all():
        raise SpecificationError("sampled logits are not all finite, so they predict nothing; check the reward model")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise SpecificationError("the simulator's probabilities must go from 0 to 1")
    if not len(groups.anchors):
        raise SpecificationError("there is no group of labels to predict; give at least one")
