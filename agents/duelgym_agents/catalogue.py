"""What agents are composed of: every exploration rule and every reward model, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Protocol

from duelgym.errors import SpecificationError, error_in_words
from duelgym.imports import imported
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

    Args:
        name: of :data:`RULES`; or ``package.module:NAME``, one's own: a frozen dataclass as in
            :mod:`duelgym_agents.exploration.rule`, of which every setting has a default, or an instance of one.

    Raises:
        SpecificationError: if there is none of that name, or what is imported is no rule.
    """
    if ":" not in name:
        return RULES[known("exploration rule", name, RULES)]
    found = imported("exploration rule", name)
    try:
        rule: Any = found() if isinstance(found, type) else found
    except Exception as error:
        raise SpecificationError(
            f"exploration rule {name!r} cannot be made without arguments: {error_in_words(error)}"
        ) from error
    if not is_dataclass(type(rule)) or not callable(rule) or not all(hasattr(rule, each) for each in ("name", "reads")):
        raise SpecificationError(
            f"exploration rule {name!r} is a {type(rule).__name__}; it must be a frozen dataclass with name, reads and "
            "__call__, as in duelgym_agents.exploration.rule"
        )
    return rule


def reward_model_named(name: str) -> RewardModelKind:
    """Return a kind of reward model.

    Args:
        name: of :data:`REWARD_MODELS`; or ``package.module:NAME``, one's own :class:`RewardModelKind`, which is then
            called by that name.

    Raises:
        SpecificationError: if there is none of that name, or what is imported is no kind of reward model.
    """
    if ":" not in name:
        return REWARD_MODELS[known("reward model", name, REWARD_MODELS)]
    kind = imported("reward model", name)
    if not isinstance(kind, RewardModelKind) or not is_dataclass(kind.settings):
        raise SpecificationError(
            f"reward model {name!r} is a {type(kind).__name__}; it must be a RewardModelKind (name, build, settings: a frozen "
            "dataclass) of duelgym_agents.catalogue"
        )
    return replace(kind, name=name)


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
