"""DeltaQuantile: a pair far apart, but not the furthest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from duelgym.checks import positive_number
from duelgym.errors import SpecificationError
from duelgym_agents.exploration.bounds import gaps
from duelgym_agents.exploration.choice import check_samples, random_best
from duelgym_agents.exploration.rule import Selection


@dataclass(frozen=True)
class DeltaQuantile:
    """Ranks all ordered pairs by U_i - L_j and picks, among those near a rank, the one whose first has the largest U.

    A variant of DeltaUCB in ActiveUltraFeedback's code (2603.09692). Rank 0 is the widest gap, so quantile 0 with no
    window is DeltaUCB. Of n = n_candidates (n_candidates - 1) pairs, the window holds the ranks from
    floor(n (quantile - half_window)) up to but without floor(n (quantile + half_window)), and always one rank; pairs
    whose gap equals that at an end of the window are in it. Of pairs with the same first, the widest gap; ties are
    decided at random. Where all samples agree the gaps are differences of the mean.

    Args:
        width: of the bounds, in standard deviations (divisor n_samples - 1); positive and finite.
        quantile: which rank, as a share of all pairs, in [0, 1].
        half_window: to either side of the rank, as a share of all pairs, in [0, 1]; the window must lie in [0, 1].

    Raises:
        SpecificationError: if a setting is not such a number.
    """

    width: float = 1.0
    quantile: float = 0.05
    half_window: float = 0.0
    name: ClassVar[str] = "delta_quantile"
    reads: ClassVar[Literal["samples"]] = "samples"

    def __post_init__(self) -> None:
        positive_number("width", self.width)
        for name in ("quantile", "half_window"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise SpecificationError(f"{name} is {value!r}; it must be a number in [0, 1]")
        if not 0 <= self.quantile - self.half_window <= self.quantile + self.half_window <= 1:
            raise SpecificationError(
                f"half_window is {self.half_window!r}; around quantile {self.quantile!r} the window leaves [0, 1]: "
                "make it smaller"
            )

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return the pairs near the given rank.

        Raises:
            SpecificationError: if there are fewer than two samples (no deviation).
        """
        n_samples, batch, n_candidates = utilities.shape
        check_samples(self.name, n_samples, at_least=2)
        upper, gap = gaps(utilities, self.width)
        gap = gap.reshape(batch, -1)
        n_pairs = n_candidates * (n_candidates - 1)
        start = min(int(n_pairs * (self.quantile - self.half_window)), n_pairs - 1)
        last = max(int(n_pairs * (self.quantile + self.half_window)) - 1, start)
        ends = np.array([gap.shape[1] - 1 - start, gap.shape[1] - 1 - last])  # ranks counted from the narrowest
        widest, narrowest = np.partition(gap, ends, axis=1)[:, ends].T
        window = (gap <= widest[:, None]) & (gap >= narrowest[:, None])
        hopes = np.where(window, np.repeat(upper, n_candidates, axis=1), -np.inf)
        best = random_best(np.where(hopes == hopes.max(axis=1, keepdims=True), gap, -np.inf), rng)
        return Selection(np.stack(np.divmod(best, n_candidates), axis=1))
