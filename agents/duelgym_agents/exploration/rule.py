"""What an exploration rule is: sampled utilities, features or a posterior in, pairs out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from jaxtyping import Float32, Int64

from duelgym_agents.exploration.posterior import LinearPosterior


@dataclass(frozen=True)
class Selection:
    """The pairs of one batch, and what it took to find them.

    Attributes:
        pairs: positions (first shown, second shown), which differ.
        retries: over the whole batch, how often a draw had to be repeated.
        fallbacks: for how many prompts its definition led nowhere (retries used up, nothing uncertain), and the rule did what its
            docstring says instead. Scores that happen to tie, where one is drawn, are none.
    """

    pairs: Int64[np.ndarray, "batch 2"]
    retries: int = 0
    fallbacks: int = 0


class ExplorationRule(Protocol):
    """A pure function of sampled utilities and a generator. Settings are fields of a frozen dataclass.

    ``reads`` says what the rule looks at, so that nothing else is computed:

    * ``"nothing"``: only the shape; ``n_samples`` may be 0.
    * ``"mean"``: one utility per candidate; ``n_samples`` must be 1.
    * ``"samples"``: several joint samples of all candidates' utilities, each under one epistemic index.

    There are at least two candidates. Within a sample one index scores all prompts of the batch, so a rule may also pick a batch's pairs jointly.
    Rules that need more than utilities say so by another ``reads``: see :class:`FeatureRule` and
    :class:`PosteriorRule`.
    """

    @property
    def name(self) -> str:
        """What tables and agents call the rule."""
        ...

    @property
    def reads(self) -> Literal["nothing", "mean", "samples"]:
        """What the rule looks at."""
        ...

    def __call__(
        self, utilities: Float32[np.ndarray, "n_samples batch n_candidates"], rng: np.random.Generator
    ) -> Selection:
        """Return one pair per prompt."""
        ...


class FeatureRule(Protocol):
    """As :class:`ExplorationRule`, but a function of the candidates' features.

    The reward model gives them by a method ``features`` (:class:`~duelgym_agents.exploration.posterior.GivesFeatures`).
    """

    @property
    def name(self) -> str:
        """What tables and agents call the rule."""
        ...

    @property
    def reads(self) -> Literal["features"]:
        """What the rule looks at."""
        ...

    def __call__(
        self, features: Float32[np.ndarray, "batch n_candidates feature"], rng: np.random.Generator
    ) -> Selection:
        """Return one pair per prompt."""
        ...


class PosteriorRule(Protocol):
    """As :class:`ExplorationRule`, but a function of the features, mean and covariance of a linear reward model.

    The reward model gives them by a method ``posterior`` (:class:`~duelgym_agents.exploration.posterior.GivesPosterior`).
    """

    @property
    def name(self) -> str:
        """What tables and agents call the rule."""
        ...

    @property
    def reads(self) -> Literal["posterior"]:
        """What the rule looks at."""
        ...

    def __call__(self, posterior: LinearPosterior, rng: np.random.Generator) -> Selection:
        """Return one pair per prompt."""
        ...


AnyRule: TypeAlias = ExplorationRule | FeatureRule | PosteriorRule
