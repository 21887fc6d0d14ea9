"""Hidden raters: whose preferences an episode asks about, as utilities of what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64

from duelgym.errors import SpecificationError
from duelgym.metrics.calibration import find_temperature
from duelgym.simulators.attributes import member

if TYPE_CHECKING:
    from duelgym.generators import GaussianFeatures, Questions

RaterArgument = int | Mapping[str, object] | None
UTILITIES = ("random_features", "mlp", "linear")


@runtime_checkable
class Rater(Protocol):
    """Somebody whose preferences are asked about."""

    def utilities(self, questions: Questions) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return how much the rater likes each candidate, in the order shown."""
        ...


@runtime_checkable
class RaterPopulation(Protocol):
    """The raters among whom the seed draws one."""

    def draw(self, rng: np.random.Generator) -> Rater:
        """Return the hidden rater of an episode."""
        ...


@dataclass(frozen=True)
class SyntheticRater:
    """u(c) = a · g(W c + b): a linear, random-feature (g = cos) or two-layer tanh utility of the shown features."""

    layers: tuple[tuple[Float[np.ndarray, "_inputs _units"], Float[np.ndarray, " _units"]], ...]
    activation: str
    weights: Float[np.ndarray, " units"]

    def utilities(self, questions: Questions) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return u of every candidate's features."""
        assert questions.features is not None  # guaranteed by GaussianFeatures
        values = questions.features[1].astype(np.float64)
        for matrix, bias in self.layers:
            values = (np.cos if self.activation == "cos" else np.tanh)(values @ matrix + bias)
        return values @ self.weights


@dataclass(frozen=True)
class SyntheticRaters:
    """Raters over Gaussian features, each scaled so that it chooses a random pair's favourite 70 % of the time at temperature 1.

    ``random_features``: 128 cosine features with frequencies N(0, 2 I / d), a draw of a Gaussian process with a
    squared-exponential kernel of length sqrt(d / 2) (Rahimi and Recht 2007). ``mlp``: two hidden layers of 64 tanh
    units with Gaussian weights of variance 4/inputs. ``linear``: Gaussian weights.

    Args:
        generator: draws the questions; the scale is set on 1 024 pairs of its.
        utility: one of the three names.
        rater: None: drawn from the episode's seed; an integer: member of the population, the same for every seed;
            ``{"weights": [...]}``: a linear utility with these weights, in units of the features' standard deviation
            (4 times what is shown), not rescaled.

    Raises:
        SpecificationError: on an unknown utility or rater.
    """

    generator: GaussianFeatures
    utility: str
    rater: RaterArgument = None

    def __post_init__(self) -> None:
        if self.utility not in UTILITIES:
            raise SpecificationError(f"utility is {self.utility!r}; known: {', '.join(UTILITIES)}")
        if isinstance(self.rater, Mapping):
            try:
                given = np.asarray(self.rater.get("weights", []), dtype=np.float64)
            except (TypeError, ValueError):
                given = np.empty(0)
            expected = (self.generator.candidate_dim,)
            if set(self.rater) != {"weights"} or self.utility != "linear" or given.shape != expected:
                raise SpecificationError(
                    f"rater is {dict(self.rater)!r}; an object must be {{'weights': [{expected[0]} numbers]}} with utility='linear'"
                )
            if not np.all(np.isfinite(given)):
                raise SpecificationError("rater weights must be finite numbers")
        elif self.rater is not None and (
            isinstance(self.rater, bool) or not isinstance(self.rater, int) or self.rater < 0
        ):
            raise SpecificationError(
                f"rater is {self.rater!r}; give none, a whole number from 0, or {{'weights': [...]}}"
            )

    def draw(self, rng: np.random.Generator) -> SyntheticRater:
        """Return the hidden rater of an episode."""
        from duelgym.generators.gaussian import FEATURE_SCALE

        if isinstance(self.rater, Mapping):
            return SyntheticRater((), "none", FEATURE_SCALE * np.asarray(self.rater["weights"], dtype=np.float64))
        if self.rater is not None:
            rng = member(self.rater)
        drawn = self._unscaled(rng)
        pairs = drawn.utilities(self.generator.sample(1024, rng))
        # One candidate has no rival: its utility's scale means nothing.
        if pairs.shape[1] == 1:
            return drawn
        return SyntheticRater(drawn.layers, drawn.activation, drawn.weights / find_temperature(pairs[:, :2]))

    def _unscaled(self, rng: np.random.Generator) -> SyntheticRater:
        from duelgym.generators.gaussian import FEATURE_SCALE

        d = self.generator.candidate_dim
        if self.utility == "linear":
            return SyntheticRater((), "none", rng.standard_normal(d))
        if self.utility == "random_features":
            frequencies = FEATURE_SCALE * np.sqrt(2.0 / d) * rng.standard_normal((d, 128))
            phases = rng.uniform(0.0, 2.0 * np.pi, 128)
            return SyntheticRater(((frequencies, phases),), "cos", rng.standard_normal(128))
        first = FEATURE_SCALE * 2.0 / np.sqrt(d) * rng.standard_normal((d, 64)), np.zeros(64)
        second = 2.0 / np.sqrt(64) * rng.standard_normal((64, 64)), np.zeros(64)
        return SyntheticRater((first, second), "tanh", rng.standard_normal(64))
