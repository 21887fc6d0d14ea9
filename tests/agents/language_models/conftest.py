"""A tiny language model, and ensembles on it."""

import numpy as np
import pytest
from tiny_models import make_model

from duelgym_agents.reward_models import LinearHeads, LinearHeadSettings, LoRAEnsemble, LoRASettings


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(make_model(tmp_path_factory.mktemp("models") / "tiny", hidden=16))


@pytest.fixture(scope="module")
def build(tiny):
    """Make a model: small, fast, and for LoRA frozen after ten labels."""

    def make(kind, seed=0, **changes):
        model, chosen = {"linear_heads": (LinearHeads, LinearHeadSettings), "lora": (LoRAEnsemble, LoRASettings)}[kind]
        small = {"model": tiny, "steps": 13, "minibatch_size": 4} | ({"tuning_labels": 10} if kind == "lora" else {})
        return model(chosen(**small | changes), prompt_dim=2, candidate_dim=3, rng=np.random.default_rng(seed))

    return make
