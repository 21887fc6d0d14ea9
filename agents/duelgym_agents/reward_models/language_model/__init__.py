"""Reward models that read texts with a language model; transformers and peft are imported when one is built."""

from __future__ import annotations

from duelgym_agents.reward_models.language_model.linear_heads import LinearHeads
from duelgym_agents.reward_models.language_model.lora import LoRAEnsemble
from duelgym_agents.reward_models.language_model.settings import LinearHeadSettings, LoRASettings

__all__ = ["LinearHeadSettings", "LinearHeads", "LoRAEnsemble", "LoRASettings"]
