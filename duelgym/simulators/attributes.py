"""Raters who weigh attributes: what all like, and tastes in which they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError
from duelgym.metrics.calibration import find_temperature

if TYPE_CHECKING:
    from duelgym.generators import Questions

FORMULA = "liked-and-tastes-1"
Attributes = Float64[np.ndarray, "batch n_candidates attributes"]


@dataclass(frozen=True)
class Weights:
    """What one rater cares about.

    With z the attributes, centred within the prompt and divided by their spread, L = Σ v_k z_k over the liked ones and
    t_j = tanh(z_j) over the tastes,

        u = -softplus(-L) + (Σ s_j t_j + Σ_{j<k} m_jk t_j t_k) / (1 + exp(-1 - L)).

    So what all like saturates: a response that has enough of it gains nothing by more, one that lacks it loses in proportion;
    tastes saturate too, interact, and count less the more a response lacks of what all like. With T the taste term in
    brackets, u rises in L everywhere if T is at least -4 (1 - 1/e), about -2.53; below that it falls where
    T < -(1 + exp(1 + L))² / (exp(1 + L) (1 + exp(L))), a stretch around L = 0.33 that has no upper end once T <= -e.

    Attributes:
        liked: v, at least 0.
        tastes: s, of either sign.
        interactions: m, one for each pair of tastes in the order of ``numpy.triu_indices``.
    """

    liked: Float64[np.ndarray, " liked"]
    tastes: Float64[np.ndarray, " tastes"]
    interactions: Float64[np.ndarray, " pairs"]

    def utilities(self, standardised: Attributes) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return u; attributes stand in the order liked, tastes."""
        n_liked = len(self.liked)
        liked = standardised[..., :n_liked] @ self.liked
        tastes = np.tanh(standardised[..., n_liked:])
        first, second = np.triu_indices(len(self.tastes), k=1)
        taste = tastes @ self.tastes + (tastes[..., first] * tastes[..., second]) @ self.interactions
        return -np.logaddexp(0.0, -liked) + taste / (1.0 + np.exp(-1.0 - liked))


@dataclass(frozen=True)
class Population:
    """Whom the seed draws from: v_k uniform in [0.5, 1.5] times ``liked_scale``, |s_j| uniform in [0.5, 1.5] with a random sign, m_jk normal with standard deviation 0.3.

    Attributes:
        liked: names of the attributes that all raters like.
        tastes: names of those in which they differ.
        spread: for each of these names, in that order, what it is divided by.
        liked_scale: weight of what all like beside the tastes.
    """

    liked: tuple[str, ...]
    tastes: tuple[str, ...]
    spread: tuple[float, ...]
    liked_scale: float

    @property
    def names(self) -> tuple[str, ...]:
        """All attributes, the liked ones first."""
        return self.liked + self.tastes

    def specification(self) -> dict[str, object]:
        """Return plain JSON from which :meth:`from_specification` builds an equal population."""
        return {
            "formula": FORMULA,
            "liked": list(self.liked),
            "tastes": list(self.tastes),
            "spread": dict(zip(self.names, self.spread, strict=True)),
            "liked_scale": self.liked_scale,
        }

    @classmethod
    def from_specification(cls, given: Mapping[str, Any]) -> Population:
        """Return the population that a pool documents.

        Raises:
            SpecificationError: if it is written for another formula, or is incomplete.
        """
        try:
            formula, liked, tastes = given["formula"], tuple(given["liked"]), tuple(given["tastes"])
            spread = tuple(float(given["spread"][name]) for name in liked + tastes)
            scale = float(given["liked_scale"])
        except (KeyError, TypeError, ValueError):
            raise SpecificationError(
                f"raters are described by {dict(given)!r}; a population of attribute raters has formula, liked, tastes, spread, liked_scale"
            ) from None
        if formula != FORMULA or not all(value > 0 for value in spread):
            raise SpecificationError(
                f"raters follow formula {formula!r} with spread {spread}; this version knows {FORMULA!r} and positive spreads"
            )
        return cls(liked, tastes, spread, scale)

    def weights(self, rng: np.random.Generator) -> Weights:
        """Return a random member."""
        liked = self.liked_scale * rng.uniform(0.5, 1.5, len(self.liked))
        tastes = rng.uniform(0.5, 1.5, len(self.tastes)) * rng.choice((-1.0, 1.0), len(self.tastes))
        n_pairs = len(self.tastes) * (len(self.tastes) - 1) // 2
        return Weights(liked, tastes, 0.3 * rng.standard_normal(n_pairs))

    def opposed(self, rng: np.random.Generator) -> tuple[Weights, Weights]:
        """Return a random member and the one with every taste turned round, which is as likely.

        Averages over such pairs have no taste of their own, where those over single members lean as chance has it.
        """
        one = self.weights(rng)
        return one, replace(one, tastes=-one.tastes)

    def named(self, given: Mapping[str, Any]) -> Weights:
        """Return the rater with weights by name, for example ``{"true": 1.0, "detail": -1.0}``; what is not named weighs nothing.

        Raises:
            SpecificationError: on an unknown name, a weight that is neither 0 nor of a size from 0.001 to 1 000, or a negative one
                for what all like.
        """
        weights = dict.fromkeys(self.names, 0.0)
        for name, weight in given.items():
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            valid = number and (weight == 0 or 1e-3 <= abs(weight) <= 1e3)
            if name not in weights or not valid or (name in self.liked and weight < 0):
                raise SpecificationError(
                    f"rater holds {name!r}: {weight!r}; give weights for {', '.join(self.liked)} (at least 0) and "
                    f"{', '.join(self.tastes)} (of either sign), each 0 or of a size from 0.001 to 1000"
                )
            weights[name] = float(weight)
        if not any(weights.values()):
            raise SpecificationError(f"rater is {dict(given)!r}; at least one weight must differ from 0")
        n_pairs = len(self.tastes) * (len(self.tastes) - 1) // 2
        return Weights(
            np.array([weights[name] for name in self.liked]),
            np.array([weights[name] for name in self.tastes]),
            np.zeros(n_pairs),
        )

    def standardised(self, values: Attributes, names: Sequence[str]) -> Attributes:
        """Return attributes in the population's order, centred within the prompt and divided by their spread.

        Args:
            values: of all the candidates of each prompt.
            names: of the last axis.
        """
        order = [names.index(name) for name in self.names]
        chosen = np.asarray(values, np.float64)[..., order]
        return (chosen - chosen.mean(axis=1, keepdims=True)) / np.array(self.spread)


@dataclass(frozen=True)
class AttributeRater:
    """A rater over attributes, scaled so that at temperature 1 it chooses a random pair's favourite 70 % of the time.

    Attributes:
        weights: what it cares about.
        scale: utilities are divided by it.
        values: gives the standardised attributes of questions, in the order shown.
    """

    weights: Weights
    scale: float
    values: Callable[[Questions], Attributes]

    def utilities(self, questions: Questions) -> Float64[np.ndarray, "batch n_candidates"]:
        """Return how much the rater likes each candidate, in the order shown."""
        return self.weights.utilities(self.values(questions)) / self.scale


@dataclass(frozen=True)
class AttributeRaters:
    """The raters over attributes among whom the seed draws one.

    Args:
        population: their distribution.
        values: gives the standardised attributes of questions.
        calibration: standardised attributes of pairs, (pairs, 2, attributes), on which each rater's scale is set.
        rater: None: drawn from the episode's seed; an integer: member of the population, the same for every seed; an object:
            weights by name.

    Raises:
        SpecificationError: on an unknown rater.
    """

    population: Population
    values: Callable[[Questions], Attributes]
    calibration: Float64[np.ndarray, "pairs 2 attributes"]
    rater: int | Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.rater, Mapping):
            self.population.named(self.rater)
        elif self.rater is not None and (
            isinstance(self.rater, bool) or not isinstance(self.rater, int) or self.rater < 0
        ):
            raise SpecificationError(
                f"rater is {self.rater!r}; give none, a whole number from 0, or weights by name such as {{'true': 1.0}}"
            )

    def draw(self, rng: np.random.Generator) -> AttributeRater:
        """Return the hidden rater of an episode."""
        if isinstance(self.rater, Mapping):
            return self.scaled(self.population.named(self.rater))
        return self.scaled(self.population.weights(rng if self.rater is None else member(self.rater)))

    def scaled(self, weights: Weights) -> AttributeRater:
        """Return a rater with its scale set."""
        return AttributeRater(weights, find_temperature(weights.utilities(self.calibration)), self.values)


def member(number: int) -> np.random.Generator:
    """Return the generator from which member ``number`` of any population is drawn."""
    return np.random.default_rng([number, 0xD0E1])
