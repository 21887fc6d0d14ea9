"""A plan as its run directory holds it: written, read again, joined with another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from duelgym.errors import SpecificationError
from duelgym_bench.files import write_atomically
from duelgym_bench.locks import is_unused
from duelgym_bench.plan import Plan, Task, check_directories

PLAN = "plan.json"


def save_plan(plan: Plan, out: Path) -> Plan:
    """Write the plan into a run directory, or join the one that is there; return what the directory now holds.

    Raises:
        SpecificationError: as :func:`joined_plan`.
    """
    joined = joined_plan(plan, out)
    if not (out / PLAN).exists() or joined != load_plan(out):
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / PLAN, json.dumps(asdict(joined), indent=1) + "\n")
    return joined


def joined_plan(plan: Plan, out: Path) -> Plan:
    """Return a plan together with what its run directory holds already.

    An existing plan may be repeated (which resumes it), widened by seeds and agents, or given another title; anything else
    is refused.

    Raises:
        SpecificationError: naming what differs.
    """
    if (out / PLAN).exists():
        there = load_plan(out)
        for name in ("env", "env_kwargs", "queries", "batch", "tuning", "salt"):
            if getattr(there, name) != getattr(plan, name):
                raise SpecificationError(
                    f"{out} holds runs with {name} {getattr(there, name)!r}, not {getattr(plan, name)!r}; give a new --out"
                )
        agents = there.agents + tuple(agent for agent in plan.agents if agent not in there.agents)
        check_directories(agents)
        settings = _joined_settings(plan, there, out)
        by_hand = (*there.by_hand, *(agent for agent in plan.by_hand if agent not in there.settings))
        plan = replace(plan, agents=agents, seeds=max(plan.seeds, there.seeds), settings=settings, by_hand=by_hand)
        if plan == replace(there, command=plan.command):
            return there
        return replace(plan, command="\n".join(filter(None, (there.command, plan.command))))
    if not is_unused(out):
        raise SpecificationError(f"{out} is not empty and holds no {PLAN}; give a new --out")
    return plan


def _joined_settings(plan: Plan, there: Plan, out: Path) -> dict[str, Mapping[str, Any]]:
    """Return the settings of two plans that are joined.

    Raises:
        SpecificationError: if an agent that both name has other settings in one than in the other.
    """
    known = {Task(agent, 0).configured for agent in there.agents}
    for agent in sorted(known & set(plan.agents)):
        mine, theirs = (
            json.dumps(of.settings[agent], sort_keys=True) if agent in of.settings else "its defaults"
            for of in (plan, there)
        )
        if mine != theirs:
            raise SpecificationError(
                f"{out} holds runs of {agent!r} with {theirs}, not {mine}; give the settings it has, or a new --out"
            )
    added = {agent: settings for agent, settings in plan.settings.items() if agent not in known}
    return {**there.settings, **added}


def load_plan(out: Path) -> Plan:
    """Read the plan of a run directory.

    Raises:
        SpecificationError: if there is none, or it cannot be read.
    """
    path = out / PLAN
    try:
        fields = json.loads(path.read_text())
        names = {name: tuple(fields[name]) for name in ("agents", "by_hand") if name in fields}
        return Plan(**{**fields, **names})
    except FileNotFoundError:
        raise SpecificationError(f"{out} holds no {PLAN}; make runs with 'duelgym-bench run … --out {out}'") from None
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise SpecificationError(f"{path} cannot be read ({error}); it was not written by this version") from None
