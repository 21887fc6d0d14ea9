"""Simulated results: six agents of known curves, and one whose names would be markup or control codes."""

from __future__ import annotations

import numpy as np

from duelgym_bench.scored import References, Results, RunScores

CHECKPOINTS = np.array([0, 32, 160, 640, 1280, 3200, 6400])
AGENTS = {
    "passive": ("passive", "point", 0.66),
    "boltzmann": ("boltzmann", "point", 0.70),
    "thompson": ("double_thompson", "ensemble", 0.73),
    "passive-ensemble": ("passive", "ensemble", 0.67),
    "my.agent:build": (None, None, 0.60),
    "passive@1": ("passive", "point", 0.66),
}
HOSTILE = "<script>alert(1)</script>"


def simulated(n_seeds: int = 4, n_prompts: int = 30) -> Results:
    rng = np.random.default_rng(0)
    folds = [f"fold {seed % 2}" for seed in range(n_seeds)]
    effect = {fold: rng.normal(0, 0.1, n_prompts) for fold in folds}
    runs = []
    for agent, (rule, model, top) in AGENTS.items():
        for seed, fold in enumerate(folds):
            mean = 0.5 + (top - 0.5) * CHECKPOINTS / (CHECKPOINTS + 400)
            noise = rng.normal(0, 0.02, (len(CHECKPOINTS), n_prompts))
            win = np.clip(mean[:, None] + effect[fold] + noise, 0, 1)
            regret = np.cumsum(np.diff(CHECKPOINTS, prepend=0) * (0.7 - mean))
            runs.append(
                RunScores(
                    agent=agent,
                    rule=rule,
                    reward_model=model,
                    seed_index=seed,
                    prompt_group=fold,
                    checkpoints=CHECKPOINTS,
                    win=win,
                    win_reference=win * 0.8,
                    common=win * 0.9,
                    simple_regret=1 - win,
                    regret={"average": regret, "strong": 1.2 * regret, "weak": 0.8 * regret},
                    counters={"self_duels": 0, "repeated_pairs": 64, "retries": 5, "fallbacks": 2},
                    seconds={"select": 1.0, "simulate": 2.0, "learn": 5.4, "assess": 3.0},
                    labels={"gap": 0.2 * CHECKPOINTS, "bits": 0.1 * CHECKPOINTS},
                    accuracy={} if rule is None else {"random": mean, "best": mean + 0.1},
                    excess_nll={} if rule is None else {"marginal": 1.2 - mean + 0.01 * seed, "dyadic": 12 - mean},
                )
            )

    def policy(height: float) -> list[np.ndarray]:
        return [np.full(n_prompts, height) for _ in folds]

    references = References(
        policies={"uniform": policy(0.5), "longest answer": policy(0.68)},
        policies_reference={"uniform": policy(0.4), "longest answer": policy(0.5)},
        oracle=policy(0.95),
        supervised=policy(0.75),
        supervised_label="ridge regression on all utilities",
        bits_per_label=0.2,
    )
    return Results(
        title="SyntheticDuel-v0",
        command="duelgym-bench run --env SyntheticDuel-v0",
        versions={"duelgym": "0.1.0"},
        specification={"budget": 6400},
        tuned=(),
        baseline="passive",
        runs=tuple(runs),
        references=references,
    )


def hostile() -> Results:
    """One seed, one agent, two checkpoints, nothing optional, and names that would be markup or control codes."""
    win = np.array([[0.4, 0.5, 0.6], [0.5, 0.5, 0.6]])
    run = RunScores(
        agent=HOSTILE,
        rule=None,
        reward_model=None,
        seed_index=0,
        prompt_group="seed 0",
        checkpoints=np.array([0, 64]),
        win=win,
        win_reference=None,
        common=None,
        simple_regret=1 - win,
        regret={"average": np.array([0.0, 20.0])},
        counters={"self_duels": 0, "repeated_pairs": 3},
        seconds={"select": 0.1, "learn": 0.1},
    )
    references = References({"uni|form": [np.full(3, 0.5)]}, None, [np.full(3, 0.9)], None, "", 0.1)
    title = "<b>$x_1$</b> \x1b[31m\N{CJK UNIFIED IDEOGRAPH-6F22} & co"
    return Results(title, f"run '{HOSTILE}'", {}, {"x": f"</pre>{HOSTILE}"}, (HOSTILE,), HOSTILE, (run,), references)
