"""Gaussian beliefs about the weights of a logistic regression in blocks, whose sizes are learnt with the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Float64

from duelgym.errors import SpecificationError
from duelgym_agents.state import entry

# A label on a logit of this deviation tells little but its sign, and the nodes give its moments to 4 %; a longer
# difference is shortened to it.
_WIDEST = 6.0
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(31)


class BlockGaussian:
    """N(mean, covariance) about the weights w, where P(first preferred) = sigmoid(x . w) and x is a difference of features.

    Beforehand the weights of block b are N(0, 1 / precisions[b]). Labels are taken in one after the other by matching the
    mean and variance of each one's logit (assumed density filtering; Minka 2001, chapter 3), which needs a batch's own
    kernel matrix alone. What a label told is kept as a Gaussian factor of x . w. With every batch the precisions are set
    anew to the evidence of what was known before it (MacKay 1992, Bayesian interpolation: well-determined weights over
    their squared length), pulled towards the first ones by a gamma prior. In float64; a batch costs O(d^3).

    Where the prior is true, squared errors are 1.0 times the variance claimed if logits deviate by 2 beforehand, 1.2
    times if by 5 (160 labels on 6 weights).

    Args:
        widths: number of weights of each block.
        variances: of each block's weights beforehand; positive.
        strength: weight of the first precisions against the evidence, in weights.

    Attributes:
        precisions: 1 / variance of the weights of each block, at present.
        mean: of the weights.
        covariance: of the weights.
    """

    def __init__(self, widths: Sequence[int], variances: Float64[np.ndarray, " blocks"], strength: float) -> None:
        dim = sum(widths)
        self._block = np.repeat(np.arange(len(widths)), widths)
        self._variances = np.asarray(variances, dtype=np.float64)
        self._strength = strength
        self._information: Float64[np.ndarray, "d d"] = np.zeros((dim, dim))
        self._shift: Float64[np.ndarray, " d"] = np.zeros(dim)
        self.precisions: Float64[np.ndarray, " blocks"] = 1 / self._variances
        self._solve()

    def update(
        self,
        differences: Float32[np.ndarray, "duels d"],
        targets: Float32[np.ndarray, " duels"],
        powers: Float64[np.ndarray, " duels"],
    ) -> None:
        """Take a batch of labels in.

        Args:
            differences: features of the first shown minus those of the second. One so long that its logit deviates by
                more than 6 is shortened to that.
            targets: probability that the first is preferred: 1, 0, or 0.5 for a tie.
            powers: exponent of each label's likelihood; 1 is Bayes' rule, less learns more carefully.
        """
        x = differences.astype(np.float64)
        kernel = x @ self.covariance @ x.T
        long = np.sqrt(np.maximum(np.diag(kernel), _WIDEST**2)) / _WIDEST
        x, kernel = x / long[:, None], kernel / np.outer(long, long)
        weights, shifts = _matched(x @ self.mean, kernel, targets.astype(np.float64), powers)
        self._information += (x * weights[:, None]).T @ x
        self._shift += x.T @ shifts
        self._weigh()
        self._solve()

    def sample(self, n_samples: int, rng: np.random.Generator) -> Float32[np.ndarray, "n_samples d"]:
        """Return independent draws of the weights."""
        noise = torch.from_numpy(rng.standard_normal((len(self.mean), n_samples)))
        draws = torch.linalg.solve_triangular(self._root.mT, noise, upper=True).numpy()
        return (self.mean[:, None] + draws).T.astype(np.float32)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return what the labels told, and the precisions."""
        return {
            "information": self._information.copy(),
            "shift": self._shift.copy(),
            "precisions": self.precisions.copy(),
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if the state is of other blocks, or no state of beliefs at all.
        """
        dim = len(self._block)
        self._information = entry(state, "information", (dim, dim)).astype(np.float64)
        self._shift = entry(state, "shift", (dim,)).astype(np.float64)
        self.precisions = entry(state, "precisions", self.precisions.shape).astype(np.float64)
        try:
            self._solve()
        except torch.linalg.LinAlgError:
            raise SpecificationError(
                "the agent's saved precision is not positive definite, so it is damaged; start the run again"
            ) from None

    def _solve(self) -> None:
        precision = self._information + np.diag(self.precisions[self._block])
        self._root = torch.linalg.cholesky(torch.from_numpy(precision))
        self.covariance: Float64[np.ndarray, "d d"] = torch.cholesky_inverse(self._root).numpy()
        self.mean: Float64[np.ndarray, " d"] = self.covariance @ self._shift

    def _weigh(self) -> None:
        """Set the precisions by the beliefs as they were before the labels of this batch."""
        n_blocks = len(self.precisions)
        widths = np.bincount(self._block, minlength=n_blocks)
        open_ = self.precisions * np.bincount(self._block, np.diag(self.covariance), n_blocks)
        lengths = np.bincount(self._block, self.mean**2, n_blocks)
        self.precisions = (widths - open_ + self._strength) / (lengths + self._strength * self._variances)


def _matched(
    mean: Float64[np.ndarray, " duels"],
    kernel: Float64[np.ndarray, "duels duels"],
    targets: Float64[np.ndarray, " duels"],
    powers: Float64[np.ndarray, " duels"],
) -> tuple[Float64[np.ndarray, " duels"], Float64[np.ndarray, " duels"]]:
    """Return the Gaussian factors exp(-weight f^2 / 2 + shift f) of the logits f that match each label's moments in turn."""
    mean, kernel = mean.copy(), kernel.copy()
    weights, shifts = np.zeros_like(mean), np.zeros_like(mean)
    for i, (target, power) in enumerate(zip(targets, powers, strict=True)):
        variance = kernel[i, i]
        if variance <= 1e-12:  # two candidates whose features are equal
            continue
        logits = mean[i] + np.sqrt(variance) * _NODES
        told = power * (target * logits - np.logaddexp(0, logits))
        likelihood = np.exp(told - told.max())
        mass = _NODE_WEIGHTS * likelihood / (_NODE_WEIGHTS @ likelihood)
        matched_mean = mass @ logits
        # No label tells more than power / 4; where a logit is nearly certain, rounding of its variance would.
        least = 1 / (1 / variance + power / 4)
        matched_variance = np.clip(mass @ (logits - matched_mean) ** 2, least, variance)
        weights[i] = 1 / matched_variance - 1 / variance
        shifts[i] = matched_mean / matched_variance - mean[i] / variance
        along = kernel[:, i] / variance
        mean += along * (matched_mean - mean[i])
        kernel -= np.outer(along, along) * (variance - matched_variance)
    return weights, shifts
