"""Agents by name: named ones, compositions, policies and one's own."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import numpy as np

from duelgym.agent import Agent, AgentFactory
from duelgym.checks import finite_number
from duelgym.errors import DuelgymError, SpecificationError, error_in_words
from duelgym.imports import imported_factory
from duelgym_agents.catalogue import known, reward_model_named, rule_named
from duelgym_agents.composed import RewardModelAgent
from duelgym_agents.exploration import AnyRule
from duelgym_agents.named import AGENTS, AgentSpec
from duelgym_agents.policies.rule import LearnedPairs

__all__ = [
    "AGENTS",
    "AgentSpec",
    "agent_factory",
    "composition",
    "make_agent",
    "own_modules",
    "parts_of",
]

_OTHERS = (
    "; any composition: rule+reward_model, either of which may be your own, package.module:NAME; a trained policy: sb3:PATH; "
    "your own: package.module:factory"
)
_TRAINED, _LEARNS = "sb3:", "belief"
_OF_AGENT = ("pessimism",)


def parts_of(name: str) -> tuple[str, str] | None:
    """Return the names of the rule and the reward model that an agent is composed of; None for ``package.module:factory``.

    Nothing of one's own is imported, so that a report of somebody else's runs imports none of their agents.

    Raises:
        SpecificationError: if a name without ``+`` and ``:`` is no named agent's.
    """
    if name.startswith(_TRAINED):
        return name, _LEARNS
    if "+" in name:
        rule, _, model = name.partition("+")
        return rule, model
    if ":" in name:
        return None
    spec = AGENTS[known("agent", name, AGENTS, _OTHERS)]
    return spec.rule.name, spec.reward_model


def own_modules(name: str) -> tuple[str, ...]:
    """Return the modules of one's own that an agent's name tells to import, in order."""
    if name.startswith(_TRAINED):
        return ()
    return tuple(dict.fromkeys(part.partition(":")[0] for part in name.split("+") if ":" in part))


def composition(name: str) -> AgentSpec | None:
    """Return what a named agent, ``rule+reward_model`` or ``sb3:PATH`` is composed of; None for ``package.module:factory``.

    The policy of ``sb3:PATH`` is the rule; its file is not read. A rule or reward model of one's own is imported.

    Raises:
        SpecificationError: if there is no such agent, rule or reward model.
    """
    parts = parts_of(name)
    if parts is None:
        return None
    if name in AGENTS:
        return AGENTS[name]
    rule_name, model_name = parts
    kind = reward_model_named(model_name)
    if name.startswith(_TRAINED):
        rule: AnyRule = LearnedPairs(name.removeprefix(_TRAINED))
        doc = "A policy trained by reinforcement learning on the belief that its reward model keeps."
    else:
        rule = rule_named(rule_name)
        doc = f"Rule {rule_name} with reward model {model_name}, both with default settings."
    return AgentSpec(name, rule, kind.name, kind.settings, as_published=False, doc=doc)


def agent_factory(name: str) -> AgentFactory:
    """Return the factory of an agent.

    Args:
        name: of a named agent; ``rule+reward_model``, such as ``infomax+epinet``; ``sb3:PATH``, a policy trained on a
            belief (:mod:`duelgym_agents.policies`), or a shipped one, ``sb3:belief-ppo``; or ``package.module:factory``.
            A rule or reward model of one's own is ``package.module:NAME``, as :func:`~duelgym_agents.catalogue.rule_named`
            and :func:`~duelgym_agents.catalogue.reward_model_named` read it. For what is one's own the current directory is
            put on the import path, as on a command line.

    Raises:
        SpecificationError: if there is no such agent, module or factory, or if importing it fails.
    """
    spec = composition(name)
    return imported_factory("agent", name) if spec is None else partial(_compose, spec)


def make_agent(
    name: str,
    reward_model: str | None = None,
    *,
    prompt_dim: int,
    candidate_dim: int,
    n_candidates: int,
    batch_size: int,
    budget: int,
    seed: int,
    **settings: object,
) -> Agent:
    """Return a fresh agent: ``make_agent("ee2024-infomax", …)`` or ``make_agent("infomax", "epinet", …)``.

    Args:
        name: as for :func:`agent_factory` or, with a reward model beside it, of a rule.
        reward_model: name of a kind of reward model.
        prompt_dim: features of a prompt.
        candidate_dim: features of a candidate.
        n_candidates: candidates per prompt.
        batch_size: prompts per batch.
        budget: queries of the whole run.
        seed: the agent's own, at least 0.
        settings: replace fields of the reward model's or the rule's settings (``learning_rate``, ``temperature``, …);
            ``pessimism`` is of every composed agent.

    Raises:
        SpecificationError: on an unknown name or setting, or if a custom factory fails or returns no agent.
    """
    if reward_model is not None:
        name = f"{name}+{reward_model}"
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
        called = isinstance(error, TypeError) and parts_of(name) is None  # as a rule's class is, which is no factory
        hint = "; a rule or reward model of your own is one side of rule+reward_model" if called else ""
        raise SpecificationError(f"making agent {name!r} failed: {error_in_words(error)}{hint}") from error
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
    """Build a composed agent from its specification and the settings that replace its own."""
    del batch_size, budget  # these agents take any of each
    of_model = {field.name for field in fields(spec.settings)}  # type: ignore[arg-type]
    of_rule = {field.name for field in fields(spec.rule)}  # type: ignore[arg-type]
    if both := sorted(of_model & of_rule | (of_model | of_rule) & set(_OF_AGENT)):
        raise SpecificationError(
            f"agent {spec.name!r}: {', '.join(both)} would be a setting of two parts; rename it in yours"
        )
    allowed = of_model | of_rule | set(_OF_AGENT)
    unknown = sorted(set(settings) - allowed)
    if unknown:
        raise SpecificationError(
            f"agent {spec.name!r} has no setting {', '.join(unknown)}; it has: {', '.join(sorted(allowed))}"
        )
    of_network = replace(spec.settings, **{key: settings[key] for key in settings if key in of_model})  # type: ignore[type-var]
    rule = replace(spec.rule, **{key: settings[key] for key in settings if key in of_rule})  # type: ignore[type-var]
    if isinstance(rule, LearnedPairs):
        rule.policy.check(n_candidates)  # what cannot be read or used is refused before anything is asked
    pessimism = finite_number("pessimism", settings.get("pessimism", 0.0), low=0)
    rule_seed, model_seed = np.random.SeedSequence(seed).spawn(2)
    model = reward_model_named(spec.reward_model).build(
        of_network, prompt_dim=prompt_dim, candidate_dim=candidate_dim, rng=np.random.default_rng(model_seed)
    )
    rng = np.random.default_rng(rule_seed)
    return RewardModelAgent(model, rule, n_samples=of_network.n_samples, rng=rng, pessimism=pessimism)
