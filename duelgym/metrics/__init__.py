"""What a choice was worth, and a prediction: win rates, regrets, bits per label, excess NLL. All from the simulator's judgement."""

from duelgym.metrics.information import binary_entropy, bits_per_label
from duelgym.metrics.joint_nll import LabelGroups, excess_nll, marginal_groups, polyadic_groups
from duelgym.metrics.judged import Judged, judge

__all__ = [
    "Judged",
    "LabelGroups",
    "binary_entropy",
    "bits_per_label",
    "excess_nll",
    "judge",
    "marginal_groups",
    "polyadic_groups",
]
