"""The named agents: a reward model, an exploration rule, and the settings of both."""

from __future__ import annotations

import difflib
import importlib
import sys
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from duelgym.agent import Agent, AgentFactory
from duelgym.errors import DuelgymError, SpecificationError
from duelgym_agents.composed import RewardModelAgent
from duelgym_agents.exploration import AnyRule, Boltzmann, DoubleThompson, Infomax, Passive
from duelgym_agents.reward_models import MLPEnsemble, NetworkSettings

POINT = NetworkSettings(n_particles=1, anchor="zero")
ENSEMBLE = NetworkSettings(n_particles=10, anchor="init")


@dataclass(frozen=True)
class AgentSpec:
    """One named agent.

    Attributes:
        name: as given on command lines.
        rule: exploration rule with its default settings.
        settings: of the reward model.
        as_published: whether the paper pairs this rule with this reward model. Effects of rules are read off
            agents of equal reward model, not off these rows.
        doc: what it is, what the paper leaves open and what was chosen.
    """

    name: str
    rule: AnyRule
    settings: NetworkSettings
    as_published: bool
    doc: str

    @property
    def reward_model(self) -> Literal["point", "ensemble"]:
        """Which of the two reward models it learns."""
        return "point" if self.settings.n_particles == 1 else "ensemble"

    @property
    def rule_name(self) -> str:
        """Which rule it asks by, whatever the reward model."""
        return self.rule.name


_OPEN = (
    "In the manner of Dwaracherla et al. (2024), who leave open network size, optimiser, learning rate, steps, "
    "minibatch and regulariser: see NetworkSettings for what was chosen, untuned and equal for all agents."
)

AGENTS: dict[str, AgentSpec] = {
    spec.name: spec
    for spec in (
        AgentSpec(
            "ee2024-passive",
            Passive(),
            POINT,
            as_published=True,
            doc=f"Uniform pairs, point MLP held near zero. {_OPEN}",
        ),
        AgentSpec(
            "ee2024-boltzmann",
            Boltzmann(),
            POINT,
            as_published=True,
            doc=f"Odds exp(utility / temperature), point MLP held near zero; temperature open, 1 chosen. {_OPEN}",
        ),
        AgentSpec(
            "ee2024-infomax",
            Infomax(),
            ENSEMBLE,
            as_published=True,
            doc=f"Largest variance of the win probability; the number of samples is open, each particle once. {_OPEN}",
        ),
        AgentSpec(
            "ee2024-double_thompson",
            DoubleThompson(),
            ENSEMBLE,
            as_published=True,
            doc=f"Favourites of two particles; the number of retries is open, 30 chosen. {_OPEN}",
        ),
        AgentSpec(
            "passive-ensemble",
            Passive(),
            ENSEMBLE,
            as_published=False,
            doc=f"Uniform pairs with the reward model of infomax and double Thompson. {_OPEN}",
        ),
        AgentSpec(
            "boltzmann-ensemble",
            Boltzmann(),
            ENSEMBLE,
            as_published=False,
            doc=f"Boltzmann on the mean of the ensemble that infomax and double Thompson use. {_OPEN}",
        ),
    )
}


def agent_factory(name: str) -> AgentFactory:
    """Return the factory of a named agent, or the one that ``package.module:factory`` names.

    The current directory is put on the import path, as on a command line.

    Raises:
        SpecificationError: if there is no such agent, module or factory, or if importing it fails.
    """
    if ":" in name:
        return _imported_factory(name)
    if name not in AGENTS:
        close = difflib.get_close_matches(name, AGENTS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise SpecificationError(
            f"no agent is called {name!r}; {hint}known: {', '.join(AGENTS)}; your own: package.module:factory"
        )
    return partial(_compose, AGENTS[name])


def make_agent(
    name: str,
    *,
    prompt_dim: int,
    candidate_dim: int,
    n_candidates: int,
    batch_size: int,
    budget: int,
    seed: int,
    **settings: object,
) -> Agent:
    """Return a fresh agent, named as for :func:`agent_factory`.

    Args:
        name: of a registered agent, or ``package.module:factory``.
        prompt_dim: features of a prompt.
        candidate_dim: features of a candidate.
        n_candidates: candidates per prompt.
        batch_size: prompts per batch.
        budget: queries of the whole run.
        seed: the agent's own, at least 0.
        settings: replace fields of the reward model's or the rule's settings (``learning_rate``, ``temperature``, …).

    Raises:
        SpecificationError: on an unknown name or setting, or if a custom factory fails or returns no agent.
    """
    factory = agent_factory(name)
    try:
        agent = factory(
            prompt_dim=prompt_dim,
            candidate_dim=candidate_dim,
            n_candidates=n_candidates,
            batch_size=batch_size,
            budget=budget,
            seed=seed,
            **settings,
        )
    except DuelgymError:
        raise
    except (Exception, SystemExit) as error:
        raise SpecificationError(f"making agent {name!r} failed: {_one_line(error)}") from error
    if not isinstance(agent, Agent):
        raise SpecificationError(
            f"agent {name!r} is a {type(agent).__name__}; it must have the methods select_pairs, observe and recommend"
        )
    return agent


def _compose(
    spec: AgentSpec,
    *,
    prompt_dim: int,
    candidate_dim: int,
    n_candidates: int,
    batch_size: int,
    budget: int,
    seed: int,
    **settings: object,
) -> Agent:
    """Build a registered agent from its specification and the settings that replace its own."""
    del n_candidates, batch_size, budget  # these agents take any number of each
    of_model = {field.name for field in fields(spec.settings)}
    of_rule = {field.name for field in fields(spec.rule)}  # type: ignore[arg-type]
    unknown = sorted(set(settings) - of_model - of_rule)
    if unknown:
        allowed = ", ".join(sorted(of_model | of_rule))
        raise SpecificationError(f"agent {spec.name!r} has no setting {', '.join(unknown)}; it has: {allowed}")
    network = replace(spec.settings, **{key: settings[key] for key in settings if key in of_model})  # type: ignore[arg-type]
    rule = replace(spec.rule, **{key: settings[key] for key in settings if key in of_rule})  # type: ignore[type-var]
    rule_seed, model_seed = np.random.SeedSequence(seed).spawn(2)
    model = MLPEnsemble(
        network, prompt_dim=prompt_dim, candidate_dim=candidate_dim, rng=np.random.default_rng(model_seed)
    )
    return RewardModelAgent(model, rule, n_samples=network.n_particles, rng=np.random.default_rng(rule_seed))


def _imported_factory(name: str) -> AgentFactory:
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:
        raise SpecificationError(f"agent {name!r} cannot be imported: {_one_line(error)}") from error
    if not callable(factory):
        raise SpecificationError(f"agent {name!r} is not a function; write package.module:factory")
    return factory


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
