"""The table of registered ids."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

IDS = {
    "AlpacaEvalDuel-v0": "alpaca_eval",
    "LLMDuel-v0": "llm_duel",
    "LLMDuelLive-v0": "llm_duel_live",
    "PoolDuel-v0": "pool",
    "SyntheticDuel-v0": "synthetic",
}
"""Environment id -> problem. An id fixes spaces, scoring and defaults; changing any of these makes a new version."""


def register_ids() -> None:
    """Make every id known to ``gymnasium.make`` and ``gymnasium.make_vec``; a second call changes nothing."""
    for env_id, problem in IDS.items():
        if env_id not in registry:
            # Strings, so that a specification stays plain JSON and nothing is imported before it is needed.
            register(
                env_id,
                entry_point="duelgym.envs.duel:DuelEnv",
                vector_entry_point="duelgym.envs.vector:DuelVectorEnv",
                kwargs={"problem": problem},
            )
