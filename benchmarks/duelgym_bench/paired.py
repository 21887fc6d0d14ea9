"""Which runs belong together: the same seeds and prompts for every agent, and the pairs of agents that are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from duelgym.errors import DuelgymError
from duelgym_bench.curves import is_replica
from duelgym_bench.scored import Results, RunScores


def aligned(results: Results) -> tuple[dict[str, list[RunScores]], dict[str, int]]:
    """Return each agent's runs in the order of seed indices, and the number of prompts of each group.

    Raises:
        DuelgymError: there are no runs of the baseline, or runs that do not fit together.
    """
    runs: dict[str, list[RunScores]] = {}
    for run in results.runs:
        runs.setdefault(run.agent, []).append(run)
    if results.baseline not in runs:
        raise DuelgymError(
            f"the baseline {results.baseline!r} is not among the agents ({', '.join(runs) or 'there are no runs'}); "
            "ratios and differences need it: run it on the same seeds"
        )
    for of in runs.values():
        of.sort(key=lambda run: run.seed_index)
    base = runs[results.baseline]
    for agent, of in runs.items():
        if [run.seed_index for run in of] != [run.seed_index for run in base]:
            raise DuelgymError(
                f"{agent} has runs on seed indices {[run.seed_index for run in of]}, {results.baseline} on "
                f"{[run.seed_index for run in base]}; comparisons are paired: finish the missing runs"
            )
        for run, other in zip(of, base, strict=True):
            same = np.array_equal(run.checkpoints, other.checkpoints) and run.prompt_group == other.prompt_group
            if not same or run.win.shape != other.win.shape:
                raise DuelgymError(
                    f"{agent} and {results.baseline} were assessed at different checkpoints or on different prompts "
                    f"at seed index {run.seed_index}; run both with the same settings"
                )
    sizes: dict[str, int] = {}
    for run in base:
        if sizes.setdefault(run.prompt_group, run.win.shape[1]) != run.win.shape[1]:
            raise DuelgymError(
                f"runs of prompt group {run.prompt_group!r} have different numbers of assessment prompts"
            )
        if not np.array_equal(run.checkpoints, base[0].checkpoints):
            raise DuelgymError(f"seed index {run.seed_index} was assessed at other checkpoints than the first one")
    return runs, sizes


def check_against(against: Sequence[str], agents: Iterable[str]) -> None:
    """Refuse to subtract an agent that is not there.

    Raises:
        DuelgymError: naming it, and those that are.
    """
    there = tuple(agents)
    for other in against:
        if other not in there:
            raise DuelgymError(f"{other!r} is not among the agents; there are runs of {', '.join(there)}")


def comparisons(
    runs: Mapping[str, Sequence[RunScores]], baseline: str, against: Sequence[str]
) -> list[tuple[str, str, str | None]]:
    """Return (agent, against, shared reward model): rule against passive first, then against the baseline and others."""
    check_against(against, runs)
    passive: dict[str, str] = {}
    for agent in (baseline, *runs):
        run = runs[agent][0]
        if run.rule == "passive" and run.reward_model is not None and not is_replica(agent, baseline):
            passive.setdefault(run.reward_model, agent)
    equal = []
    for agent, of in runs.items():
        model = of[0].reward_model
        if model in passive and of[0].rule != "passive":
            equal.append((agent, passive[model], model))
    done = {(agent, against) for agent, against, _ in equal}
    others = []
    for other in dict.fromkeys((baseline, *against)):
        later = (agent for agent in runs if other == baseline or not is_replica(agent, baseline))
        others += [(agent, other, None) for agent in later if agent != other and (agent, other) not in done]
    return [*equal, *others]
