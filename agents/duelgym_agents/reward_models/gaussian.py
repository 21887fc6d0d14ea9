"""Gaussian beliefs about the weights of a logistic regression, updated online with the full covariance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Float64

from duelgym_agents.state import entry

# A label on a logit of this standard deviation tells its sign alone, and beyond it rounding would spoil the covariance.
_WIDEST = 1e6
_NEWTON_STEPS = 50
_TOLERANCE = 1e-8


class GaussianWeights:
    """N(mean, covariance) about the weights w, where P(first preferred) = sigmoid(x . w) and x is a difference of features.

    Each batch of labels is taken in by Laplace's approximation: the mean moves to the maximum of prior times
    likelihood, found by Newton's method; the information there, power p (1 - p) x x' summed over the batch, is added to
    the inverse covariance (Spiegelhalter and Lauritzen 1990, for a batch at a time). Both need only matrices of the
    batch's size (Woodbury), so a batch of B costs O(B d^2 + B^3). In float64, since thousands of updates follow one
    another.

    Args:
        dim: number of weights.
        variance: of each weight beforehand, where the mean is 0.
    """

    def __init__(self, dim: int, variance: float) -> None:
        self.mean: Float64[np.ndarray, " d"] = np.zeros(dim)
        self.covariance: Float64[np.ndarray, "d d"] = variance * np.eye(dim)

    def update(
        self,
        differences: Float32[np.ndarray, "duels d"],
        targets: Float32[np.ndarray, " duels"],
        power: float = 1.0,
    ) -> None:
        """Take a batch of labels in, of which there must be one; their order does not matter.

        Args:
            differences: features of the first shown minus those of the second. One so long that its logit deviates by
                more than a million is shortened to that, which leaves what its label tells.
            targets: probability that the first is preferred: 1, 0, or 0.5 for a tie.
            power: the likelihood's exponent; 1 is Bayes' rule, less learns more carefully.
        """
        x = differences.astype(np.float64)
        spread = self.covariance @ x.T
        wide = np.sqrt(np.einsum("bd,db->b", x, spread).clip(min=_WIDEST**2)) / _WIDEST
        x, spread = x / wide[:, None], spread / wide
        kernel = x @ spread
        before = x @ self.mean
        shifts = _most_probable(kernel, before, targets.astype(np.float64), power)
        self.mean = self.mean + spread @ shifts
        p = sigmoid(before + kernel @ shifts)
        root = np.sqrt(power * p * (1 - p))
        inner = np.eye(len(x)) + root[:, None] * kernel * root
        half = np.linalg.solve(np.linalg.cholesky(inner), root[:, None] * spread.T)
        self.covariance -= half.T @ half

    def sample(self, n_samples: int, rng: np.random.Generator) -> Float32[np.ndarray, "n_samples d"]:
        """Return independent draws of the weights."""
        try:
            root = np.linalg.cholesky(self.covariance)
        except np.linalg.LinAlgError:  # after extreme labels rounding may leave an eigenvalue that is not positive
            values, vectors = np.linalg.eigh(self.covariance)
            root = vectors * np.sqrt(np.maximum(values, 0))
        return (self.mean + rng.standard_normal((n_samples, len(root))) @ root.T).astype(np.float32)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return mean and covariance."""
        return {"mean": self.mean.copy(), "covariance": self.covariance.copy()}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray], dim: int) -> GaussianWeights:
        """Return the beliefs about ``dim`` weights that :meth:`state_dict` described.

        Raises:
            SpecificationError: if the state is of another number of weights.
        """
        weights = cls(dim, 1.0)
        weights.mean = entry(state, "mean", (dim,)).astype(np.float64)
        weights.covariance = entry(state, "covariance", (dim, dim)).astype(np.float64)
        return weights


def _most_probable(
    kernel: Float64[np.ndarray, "duels duels"],
    before: Float64[np.ndarray, " duels"],
    targets: Float64[np.ndarray, " duels"],
    power: float,
) -> Float64[np.ndarray, " duels"]:
    """Return a with a = power (targets - sigmoid(before + kernel a)), where the posterior is largest.

    In a the log posterior is -a' K a / 2 - power * cross-entropy(before + K a), which is concave; a Newton step that
    does not raise it is halved.
    """

    def log_posterior(shifts: Float64[np.ndarray, " duels"]) -> float:
        logits = before + kernel @ shifts
        return float(power * np.sum(targets * logits - np.logaddexp(0, logits)) - 0.5 * shifts @ kernel @ shifts)

    shifts = np.zeros_like(before)
    value = log_posterior(shifts)
    for _ in range(_NEWTON_STEPS):
        p = sigmoid(before + kernel @ shifts)
        rest = power * (targets - p) - shifts
        if np.abs(rest).max() < _TOLERANCE:
            break
        curvature = power * p * (1 - p)
        step, size = np.linalg.solve(np.eye(len(p)) + curvature[:, None] * kernel, rest), 1.0
        while size > _TOLERANCE:
            trial = log_posterior(shifts + size * step)
            if trial >= value:
                break
            size /= 2
        else:
            break
        shifts, value = shifts + size * step, trial
    return shifts


def sigmoid(logits: Float64[np.ndarray, " duels"]) -> Float64[np.ndarray, " duels"]:
    """Return 1 / (1 + exp(-logits)), which no logit makes overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * logits)
