"""Claims, recomputed from what the logs recommend; no agent is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from jaxtyping import Float64

from duelgym_bench.assessment import Assessment
from duelgym_bench.leaderboard.failures import Failure
from duelgym_bench.leaderboard.records import SUBMISSION, Claims

TOLERANCE = 1e-9


def claims_of(assessment: Assessment, curves: Sequence[Float64[np.ndarray, " checkpoints"]]) -> Claims:
    """Return what the curves of all seeds of an environment show."""
    return Claims(
        area=float(np.mean(assessment.areas(curves))), win_rate=float(np.mean([curve[-1] for curve in curves]))
    )


def claim_failures(env: str, claimed: Claims, recomputed: Claims) -> list[Failure]:
    """Return where claims differ from what the logs show."""
    mine: Mapping[str, float] = asdict(recomputed)
    return [
        Failure(
            f"{SUBMISSION}, field runs.{env}.claims.{name}",
            f"claims {value!r}, the logs show {mine[name]!r}",
            "claim what the logs show",
        )
        for name, value in asdict(claimed).items()
        if not abs(value - mine[name]) <= TOLERANCE
    ]
