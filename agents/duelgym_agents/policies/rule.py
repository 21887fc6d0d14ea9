"""The exploration rule that was learnt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from duelgym.belief import GaussianBelief
from duelgym.checks import flag
from duelgym_agents.exploration import LinearPosterior, Selection
from duelgym_agents.policies.files import PairPolicy, load_policy


@dataclass(frozen=True)
class LearnedPairs:
    """Asks the pair that a policy, trained by reinforcement learning, picks from each candidate's mean and deviation.

    What the policy is shown is what :class:`~duelgym.envs.Belief` shows, computed by the same code. The lower position
    is shown first. The policy is read when it is first needed.

    Args:
        file: of the policy, or the name of a shipped one.
        deterministic: whether to ask the likeliest pair, rather than draw one as in training.

    Raises:
        SpecificationError: if ``deterministic`` is neither True nor False; when read, if there is no such policy.
    """

    file: str
    deterministic: bool = False
    reads: ClassVar[Literal["posterior"]] = "posterior"

    def __post_init__(self) -> None:
        flag("deterministic", self.deterministic)

    @property
    def name(self) -> str:
        """What tables and agents call the rule."""
        return f"sb3:{self.file}"

    @cached_property
    def policy(self) -> PairPolicy:
        """The policy, read from its file."""
        return load_policy(self.file)

    def __call__(self, posterior: LinearPosterior, rng: np.random.Generator) -> Selection:
        """Return the pairs of the policy.

        Raises:
            SpecificationError: if the policy was trained for another number of candidates.
        """
        belief = GaussianBelief(posterior.mean.astype(np.float64), posterior.covariance.astype(np.float64))
        keys = self.policy.logits(belief.about(posterior.features))
        if not self.deterministic:
            keys = keys + rng.gumbel(size=keys.shape)  # the largest is a draw from the softmax
        first, second = np.triu_indices(posterior.features.shape[1], k=1)
        best = keys.argmax(axis=1)
        return Selection(np.stack([first[best], second[best]], axis=1))
