"""What a round's runs are: the public ones that a submission brings, and the ranked ones that maintainers make."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from duelgym_bench.leaderboard.records import Round
from duelgym_bench.plan import Plan

ON_POOL = "LLMDuel-v0"
"""The environment whose ranked runs are on the round's pool; the others draw their questions from the seed."""


def reads_texts(environments: Collection[str], round: Round) -> bool:
    """Return whether an entry is of the text track, as is one that leaves an environment of its round out.

    Args:
        environments: those on which it runs.
        round: on what agents are compared.
    """
    return set(environments) != set(round.ids)


def public_plan(round: Round, env: str, agents: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Return the plan of runs on public seeds.

    Args:
        round: on what agents are compared.
        env: one of the round's ids.
        agents: factory -> settings that replace its defaults.
    """
    return _plan(round, env, {}, agents, salt="")


def ranked_plan(round: Round, env: str, agents: Mapping[str, Mapping[str, Any]], *, salt: str, pool: Path) -> Plan:
    """Return the plan of ranked runs, whose seeds come from the salt.

    Args:
        round: on what agents are compared.
        env: one of the round's ids.
        agents: factory -> settings that replace its defaults.
        salt: of the round.
        pool: the round's pool.
    """
    if env != ON_POOL:
        return _plan(round, env, {}, agents, salt=salt)
    return _plan(round, "PoolDuel-v0", {"pool": str(pool.resolve())}, agents, salt=salt)


def _plan(
    round: Round, env: str, env_kwargs: Mapping[str, Any], agents: Mapping[str, Mapping[str, Any]], *, salt: str
) -> Plan:
    return Plan(
        env=env,
        env_kwargs=env_kwargs,
        agents=tuple(agents),
        queries=round.queries,
        seeds=round.seeds,
        batch=round.batch,
        command=f"round {round.name}",
        title=f"{round.name}: {env}",
        settings={agent: settings for agent, settings in agents.items() if settings},
        salt=salt,
    )
