"""What a choice was worth: win rates, regrets, ceilings, bits per label. All from the simulator's judgement."""

from duelgym.metrics.information import binary_entropy, bits_per_label
from duelgym.metrics.judged import Judged, judge

__all__ = ["Judged", "binary_entropy", "bits_per_label", "judge"]
