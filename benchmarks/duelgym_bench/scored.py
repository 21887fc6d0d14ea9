"""What scoring a run's logs yields, and what statistics and reports start from: plain numbers, no paths, no agents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duelgym_bench.duels import Duel


@dataclass(frozen=True)
class RunScores:
    """One agent on one seed index.

    Attributes:
        agent: name, such as ``"ee2024-passive"``. ``"ee2024-passive@1"`` is a replica: the same agent with another
            seed of its own on the same environment seeds, for the check of passive against itself.
        rule: exploration rule; None for custom agents.
        reward_model: reward model; None for custom agents.
        seed_index: position of the environment's seed in the run's list of seeds.
        prompt_group: runs with an equal group share their assessment prompts (``"fold 3"``, ``"seed 7"``).
        checkpoints: query counts at which the agent was assessed, log-spaced, starting with 0.
        win: probability per assessment prompt, in [0, 1], that the recommendation beats a uniformly drawn other
            candidate.
        win_reference: the same against the pool's reference response, where it has one.
        common: ``win`` of the common learner fitted to the first logged labels, as many as the checkpoint says.
        simple_regret: regret of the recommendation, per assessment prompt, in win probability.
        regret: cumulative ``"average"``, ``"strong"`` and ``"weak"`` regret up to each checkpoint, in win probability.
        counters: ``self_duels`` and ``repeated_pairs`` (counted in the log), ``retries`` and ``fallbacks`` (as the
            agent reports them).
        seconds: wall time spent in ``select``, ``simulate``, ``learn`` and ``assess``.
        labels: what the queried pairs were, summed up to each checkpoint: ``"gap"``, how far from 1/2 the probability lies
            that the first is better, and ``"bits"``, the most that a label of such a pair can carry.
        excess_nll: ``"marginal"`` and ``"dyadic"`` excess negative log-likelihood at each checkpoint, in nats, as the run
            reports it; empty where it does not.
        accuracy: of the reward model at each checkpoint, in [0, 1], on ``"random"`` pairs and of the ``"best"`` against the
            rest, as the run reports it; empty where it does not.
        duels: queries to look at, in order; only of the first seed.
        code: module and sha256, as the run reports them, of each version of the agent's own modules that it ran with.
    """

    agent: str
    rule: str | None
    reward_model: str | None
    seed_index: int
    prompt_group: str
    checkpoints: Int64[np.ndarray, " checkpoints"]
    win: Float64[np.ndarray, "checkpoints prompts"]
    win_reference: Float64[np.ndarray, "checkpoints prompts"] | None
    common: Float64[np.ndarray, "checkpoints prompts"] | None
    simple_regret: Float64[np.ndarray, "checkpoints prompts"]
    regret: Mapping[str, Float64[np.ndarray, " checkpoints"]]
    counters: Mapping[str, float]
    seconds: Mapping[str, float]
    labels: Mapping[str, Float64[np.ndarray, " checkpoints"]] = field(default_factory=dict)
    excess_nll: Mapping[str, Float64[np.ndarray, " checkpoints"]] = field(default_factory=dict)
    accuracy: Mapping[str, Float64[np.ndarray, " checkpoints"]] = field(default_factory=dict)
    duels: tuple[Duel, ...] = ()
    code: frozenset[str] = frozenset()


@dataclass(frozen=True)
class References:
    """What stands beside every curve: policies that ask nothing, and ceilings; win rates per prompt, one array a seed index.

    Attributes:
        policies: zero-query policy (``"uniform"``, ``"constant index"``, ...) -> win per prompt of every seed.
        policies_reference: the same against the pool's reference response, where it has one; the oracle and the
            supervised reference may be among them.
        oracle: win of the best candidate.
        supervised: win of the supervised reference, which saw all learning utilities.
        supervised_label: what the supervised reference is.
        bits_per_label: mean bits, in [0, 1], that the label of a random pair can carry at most.
        regrets: name -> mean regret, in win probability, of a query whose two responses are that policy's choice.
    """

    policies: Mapping[str, Sequence[Float64[np.ndarray, " prompts"]]]
    policies_reference: Mapping[str, Sequence[Float64[np.ndarray, " prompts"]]] | None
    oracle: Sequence[Float64[np.ndarray, " prompts"]]
    supervised: Sequence[Float64[np.ndarray, " prompts"]] | None
    supervised_label: str
    bits_per_label: float
    regrets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """All scored runs of one environment, with what is needed to say where they came from.

    Attributes:
        title: name of the suite or environment.
        command: the command line that produced the runs.
        versions: distribution -> version.
        specification: the environment's full specification, plain JSON.
        tuned: the agents that run with settings chosen by tuning, rather than with their defaults.
        by_hand: the agents that run with settings chosen in some other way.
        baseline: agent name of the passive baseline.
        runs: one entry per agent and seed index.
        references: zero-query policies and ceilings.
    """

    title: str
    command: str
    versions: Mapping[str, str]
    specification: Mapping[str, object]
    tuned: tuple[str, ...]
    baseline: str
    runs: tuple[RunScores, ...]
    references: References
    by_hand: tuple[str, ...] = ()

    def settings_of(self, agent: str) -> str:
        """Return how an agent's settings were chosen: ``"tuned"``, ``"set by hand"``, or ``"untuned"``: its defaults."""
        return "tuned" if agent in self.tuned else "set by hand" if agent in self.by_hand else "untuned"

    @property
    def code(self) -> dict[str, list[str]]:
        """Agent -> module and sha256 of every version of its own modules that its runs report."""
        found: dict[str, set[str]] = {}
        for run in self.runs:
            found.setdefault(run.agent, set()).update(run.code)
        return {agent: sorted(each) for agent, each in found.items() if each}

    @property
    def changed(self) -> list[str]:
        """The agents of which a module had more than one version while the runs were made."""
        return [
            agent for agent, code in self.code.items() if len({each.partition(" ")[0] for each in code}) < len(code)
        ]

    @property
    def tuned_mark(self) -> str:
        """What :meth:`settings_of` says of all agents; ``"partly tuned"`` or ``"partly set by hand"`` where of some alone."""
        marks = {self.settings_of(run.agent) for run in self.runs}
        if len(marks) == 1:
            return marks.pop()
        return "partly tuned" if "tuned" in marks else "partly set by hand"
