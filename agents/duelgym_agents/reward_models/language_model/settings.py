"""Settings of the reward models that read texts with a language model."""

from __future__ import annotations

from dataclasses import dataclass

from duelgym.checks import flag, positive_number, whole_number
from duelgym_agents.reward_models.settings import LearningSettings


@dataclass(frozen=True)
class LinearHeadSettings(LearningSettings):
    """Settings of :class:`LinearHeads`.

    Zhang et al. (2024) train 7 billion weights at 3e-6, cosine, for one epoch. The embedded model has 2.7 million, which
    want larger steps, and here labels keep coming, so the rate is constant: 3e-4, picked by eye among 1e-4, 3e-4 and 1e-3
    on two raters of ``LLMDuel-v0``; for a model of billions give a smaller one. Steps and minibatch are smaller than a
    network on embeddings has, since a step reads twice ``minibatch_size`` texts, forwards and backwards.

    Args:
        model: a directory in transformers' format, a hub name, or ``"embedded"``.
        revision: commit of a hub name, 40 hex digits.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, …
        tokens_at_once: tokens, padding included, in one pass of the model; memory follows from it, whatever N, the batch
            and the minibatch. A longer text goes alone.
        n_particles: heads; Zhang et al. have 3.
        bootstrap: whether each particle learns from a random half of the duels, each counted twice, rather than from all.
        rest: see :class:`LearningSettings`; ``anchor`` is that of the heads, the body is always held near the model as it
            was.
    """

    learning_rate: float = 3e-4
    steps: int = 4
    minibatch_size: int = 32
    model: str = "embedded"
    revision: str | None = None
    device: str = "cpu"
    tokens_at_once: int = 2048
    n_particles: int = 3
    bootstrap: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("tokens_at_once", self.tokens_at_once)
        whole_number("n_particles", self.n_particles)
        flag("bootstrap", self.bootstrap)

    @property
    def n_samples(self) -> int:
        """Samples that rules get: every particle once."""
        return self.n_particles


@dataclass(frozen=True)
class LoRASettings(LinearHeadSettings):
    """Settings of :class:`LoRAEnsemble`.

    Zhang et al. (2024) train adapters at 5e-5, 17 times the body's rate, and leave their rank open.

    Args:
        tuning_labels: informative duels (neither skipped nor of a candidate with itself) from which body and heads learn, at
            ``learning_rate``, before the body is frozen.
        rank: of each adapter's update of a weight matrix.
        alpha: that update is B A alpha / rank (Hu et al. 2022, section 4.1).
        adapter_learning_rate: step size of Adam for adapters and heads, once the body is frozen.
        rest: see :class:`LinearHeadSettings`; once the body is frozen, ``"init"`` is where heads and adapters were then.
    """

    tuning_labels: int = 320
    rank: int = 8
    alpha: float = 16.0
    adapter_learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("tuning_labels", self.tuning_labels)
        whole_number("rank", self.rank)
        positive_number("alpha", self.alpha)
        positive_number("adapter_learning_rate", self.adapter_learning_rate)
