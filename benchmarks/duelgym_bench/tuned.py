"""What tuning chose: the file that ``duelgym-bench tune`` writes and ``duelgym-bench run --settings`` reads, and its table."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError
from duelgym_agents.registry import composition, own_modules
from duelgym_bench.files import write_atomically
from duelgym_bench.plan import Plan, Task
from duelgym_bench.scores import versions
from duelgym_bench.table import MISSING, WIDTH, Table, as_text, decimals, printable
from duelgym_bench.tune import Tried, TunedAgent

TUNED = "tuned.json"
MEASURE = "area under win rate against log labels from 32 to the budget, 0 = a win rate of .5, 1 = the oracle's"


@dataclass(frozen=True)
class Settings:
    """What a settings file says.

    Attributes:
        path: of the file.
        agents: agent -> settings that replace its defaults.
        problem: what they were chosen on, as :func:`problem_of` has it; None where the file does not say.
        by_hand: the agents of which the file does not hold what tuning tried.
    """

    path: Path
    agents: Mapping[str, Mapping[str, Any]]
    problem: object
    by_hand: tuple[str, ...]

    def of(self, agents: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the settings of those of the agents that the file has settings of.

        Raises:
            SpecificationError: if these are none.
        """
        chosen = {agent: self.agents[agent] for agent in agents if agent in self.agents}
        if not chosen:
            raise SpecificationError(
                f"{self.path} has settings for {', '.join(self.agents) or 'no agent'}, and so for none of {', '.join(agents)}"
            )
        return chosen

    def notes(self, plan: Plan) -> list[str]:
        """Return what a reader of the runs should know, a line each: agents left untuned, another environment."""
        untuned = [agent for agent in plan.agents if "@" not in agent and agent not in self.agents]
        notes = [f"{self.path} has no settings for {', '.join(untuned)}: untuned"] if untuned else []
        by_hand = [agent for agent in plan.agents if agent in self.by_hand]
        if by_hand:
            notes.append(f"{self.path} does not say how it chose the settings of {', '.join(by_hand)}: set by hand")
        if self.problem is not None and self.problem != problem_of(plan):
            notes.append(f"{self.path} was not made on this environment")
        return notes


def write_tuned(plan: Plan, agents: Sequence[TunedAgent], path: Path) -> None:
    """Write down what was chosen for every agent, all that was tried, and how; equal runs give equal bytes."""
    pool = plan.problem(0).pool
    content = {
        "environment": plan.env,
        "specification": problem_of(plan),
        "pool": None if pool is None else pool.sha256,
        "command": plan.command,
        "versions": versions(),
        "measure": MEASURE,
        "configurations": len(agents[0].tried),
        "seeds": plan.seeds,
        "queries": plan.queries,
        "batch": plan.batch,
        "agents": {agent.name: _recorded(agent) for agent in agents},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def problem_of(plan: Plan) -> object:
    """Return an environment's specification as plain JSON, whichever of its prompts are asked about."""
    whole = json.loads(json.dumps(plan.problem(0).specification))
    return {name: value for name, value in whole.items() if name not in ("split", "fold")}


def read_settings(path: Path) -> Settings:
    """Read a file of chosen settings; of what tuning writes, only each agent's ``settings`` are needed.

    Raises:
        SpecificationError: if it is missing or not such a file, or names an agent that does not exist.
    """
    try:
        content = json.loads(path.read_text())
        agents = {str(name): dict(one["settings"]) for name, one in content["agents"].items()}
    except FileNotFoundError:
        raise SpecificationError(f"{path} does not exist; 'duelgym-bench tune' writes such a file") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SpecificationError(
            f'{path} holds no settings ({type(error).__name__}: {error}); needed is {{"agents": {{NAME: {{"settings": {{…}}}}}}}}'
        ) from None
    for name in agents:
        if "@" in name:
            raise SpecificationError(
                f"{path}: {name!r} is a replica, which has the settings of {name.partition('@')[0]!r}"
            )
        factory = Task(name, 0).factory
        try:
            if not own_modules(factory):  # what is one's own is imported where it runs
                composition(factory)
        except SpecificationError as error:
            raise SpecificationError(f"{path}: {error}") from None
    by_hand = tuple(name for name in agents if "tried" not in content["agents"][name])
    return Settings(path, agents, content.get("specification"), by_hand)


def tuned_text(plan: Plan, agents: Sequence[TunedAgent]) -> str:
    """Return what was chosen as a table and one paragraph an agent, for a terminal."""
    rows = []
    for agent in agents:
        default, best = agent.tried[0], agent.tried[agent.chosen]
        gain = None if best.areas is None or default.areas is None else best.areas - default.areas
        rows.append((agent.name, str(agent.chosen), _mean(best.areas), _mean(default.areas), _mean(gain, signed=True)))
    table = Table(
        f"{plan.title}: the best of {len(agents[0].tried)} configurations of each agent",
        f"Mean and standard error over {plan.seeds} seeds of the {MEASURE} ({plan.queries} labels). Number 0 is the defaults. "
        "The best of several is flattered by chance: only runs on other seeds say how good it is.",
        ("agent", "chosen", "area", "of the defaults", "gain"),
        tuple(rows),
    )
    lines = [as_text(table)]
    for agent in agents:
        settings = ", ".join(
            f"{name}={json.dumps(value)}" for name, value in agent.tried[agent.chosen].settings.items()
        )
        lines.append(textwrap.fill(printable(f"{agent.name}: {settings}"), WIDTH, subsequent_indent="  "))
        lines += [
            textwrap.fill(printable(f"  configuration {k} failed: {one.failure}"), WIDTH, subsequent_indent="  ")
            for k, one in enumerate(agent.tried)
            if one.failure is not None
        ]
    return "\n".join(lines)


def _recorded(agent: TunedAgent) -> dict[str, object]:
    best = _score(agent.tried[agent.chosen])
    return {
        "settings": agent.tried[agent.chosen].settings,
        "configuration": agent.chosen,
        **best,
        "default_score": _score(agent.tried[0])["score"],
        "tried": [
            {"settings": one.settings, **_score(one), **({"failure": one.failure} if one.failure else {})}
            for one in agent.tried
        ],
    }


def _score(one: Tried) -> dict[str, float | None]:
    if one.areas is None:
        return {"score": None, "standard_error": None}
    error = _standard_error(one.areas)
    return {"score": round(one.score, 5), "standard_error": None if error is None else round(error, 5)}


def _standard_error(values: Float64[np.ndarray, " seeds"]) -> float | None:
    """Return the standard error of the mean; None for a single value."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


def _mean(values: Float64[np.ndarray, " seeds"] | None, *, signed: bool = False) -> str:
    if values is None:
        return "failed"
    error = _standard_error(values)
    text = decimals(float(values.mean()), signed=signed)
    return f"{text} ± {MISSING if error is None else decimals(error)}"
