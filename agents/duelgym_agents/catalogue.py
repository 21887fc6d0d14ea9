"""What agents are composed of: every exploration rule and every reward model, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from duelgym.errors import SpecificationError
from duelgym_agents import exploration
from duelgym_agents.exploration import AnyRule
from duelgym_agents.reward_models import (
    AdditiveModel,
    AdditiveSettings,
    AdditiveTextModel,
    BayesianLinear,
    BeliefSettings,
    DropoutSettings,
    Epinet,
    EpinetSettings,
    LaplaceSettings,
    LastLayerLaplace,
    LinearHeads,
    LinearHeadSettings,
    LinearSettings,
    LoRAEnsemble,
    LoRASettings,
    MCDropout,
    MLPEnsemble,
    NetworkSettings,
    OnlineBelief,
    PriorSettings,
    RandomisedPriorEnsemble,
    RewardModel,
)


class ModelSettings(Protocol):
    """Settings of a reward model: a frozen dataclass that says how many samples rules get."""

    @property
    def n_samples(self) -> int:
        """Samples that rules get."""
        ...


@dataclass(frozen=True)
class RewardModelKind:
    """One way to learn utilities.

    Attributes:
        name: as given on command lines.
        build: makes one, from settings, ``prompt_dim``, ``candidate_dim`` and ``rng``.
        settings: the defaults.
    """

    name: str
    build: Callable[..., RewardModel]
    settings: ModelSettings


REWARD_MODELS: dict[str, RewardModelKind] = {
    kind.name: kind
    for kind in (
        RewardModelKind("point", MLPEnsemble, NetworkSettings(n_particles=1, anchor="zero")),
        RewardModelKind("ensemble", MLPEnsemble, NetworkSettings()),
        RewardModelKind("randomised_prior", RandomisedPriorEnsemble, PriorSettings()),
        RewardModelKind("epinet", Epinet, EpinetSettings()),
        RewardModelKind("bayesian_linear", BayesianLinear, LinearSettings()),
        RewardModelKind("additive", AdditiveModel, AdditiveSettings()),
        RewardModelKind("additive_text", AdditiveTextModel, AdditiveSettings()),
        RewardModelKind("belief", OnlineBelief, BeliefSettings()),
        RewardModelKind("laplace", LastLayerLaplace, LaplaceSettings(anchor="zero")),
        RewardModelKind("mc_dropout", MCDropout, DropoutSettings(anchor="zero")),
        RewardModelKind("linear_heads", LinearHeads, LinearHeadSettings()),
        RewardModelKind("lora", LoRAEnsemble, LoRASettings()),
    )
}

_RULES: tuple[Callable[[], Any], ...] = (
    exploration.BALD,
    exploration.BatchBALD,
    exploration.BestAgainstWorst,
    exploration.Boltzmann,
    exploration.CoLSTIM,
    exploration.DeltaQuantile,
    exploration.DeltaUCB,
    exploration.DeterminantGreedy,
    exploration.DOptimal,
    exploration.DoubleThompson,
    exploration.EntropyOfMean,
    exploration.FeelGoodThompson,
    exploration.Greedy,
    exploration.Infomax,
    exploration.InfomaxLogit,
    exploration.InfomaxWidth,
    exploration.InformationDirected,
    exploration.KCentre,
    exploration.MarginalThompson,
    exploration.MaxInP,
    exploration.MaxMinLCB,
    exploration.ParticlesWithoutReplacement,
    exploration.Passive,
    exploration.ReverseDoubleThompson,
    exploration.RUCB,
    exploration.StagewiseDuel,
    exploration.ThompsonMaxVariance,
    exploration.ThompsonMaxWidth,
    exploration.UniformPair,
    exploration.VarianceAware,
)

RULES: dict[str, AnyRule] = {rule.name: rule for rule in (make() for make in _RULES)}
"""Every rule that an agent may ask by, with its default settings; the oracle reads what no agent sees."""


def rule_named(name: str) -> AnyRule:
    """Return a rule with its default settings.

    Raises:
        SpecificationError: if there is none of that name.
    """
    return RULES[known("exploration rule", name, RULES)]


def reward_model_named(name: str) -> RewardModelKind:
    """Return a kind of reward model.

    Raises:
        SpecificationError: if there is none of that name.
    """
    return REWARD_MODELS[known("reward model", name, REWARD_MODELS)]


def known(what: str, name: str, names: Iterable[str], also: str = "") -> str:
    """Return the name.

    Raises:
        SpecificationError: if it is not among the names, saying which is close and which there are.
    """
    names = tuple(names)
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise SpecificationError(f"no {what} is called {name!r}; {hint}known: {', '.join(names)}{also}")
