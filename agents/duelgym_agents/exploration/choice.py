"""What rules share when they choose: ties at random, two different candidates, refusal of what they cannot use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int64

from duelgym.errors import SpecificationError
from duelgym_agents.exploration.rule import Selection


def random_best(
    scores: Float[np.ndarray, "batch n_options"] | Bool[np.ndarray, "batch n_options"],
    rng: np.random.Generator,
    *,
    excluded: Int64[np.ndarray, " batch"] | None = None,
) -> Int64[np.ndarray, " batch"]:
    """Return the position of each row's largest score, drawn uniformly among equals.

    Args:
        scores: ``True`` beats ``False``.
        rng: draws one integer a row.
        excluded: one position per row that may not be chosen.

    Raises:
        SpecificationError: if a score is NaN.
    """
    if excluded is not None:
        scores = scores.copy()
        scores[np.arange(len(scores)), excluded] = -np.inf
    largest = scores.max(axis=1, keepdims=True)
    check_numbers(largest)  # of a row with a NaN the largest is NaN
    ties = scores == largest
    chosen = rng.integers(ties.sum(axis=1))  # which of the equals, counted from the first
    return (ties.cumsum(axis=1) > chosen[:, None]).argmax(axis=1)


def random_other(
    positions: Int64[np.ndarray, " batch"], n_candidates: int, rng: np.random.Generator
) -> Int64[np.ndarray, " batch"]:
    """Return for each position another one, uniformly over the ``n_candidates - 1`` others."""
    other = rng.integers(n_candidates - 1, size=len(positions))
    return other + (other >= positions)


def second_until_different(
    first: Int64[np.ndarray, " batch"],
    draw: Callable[[Int64[np.ndarray, " rows"]], Int64[np.ndarray, " rows"]],
    *,
    max_retries: int,
    n_candidates: int,
    rng: np.random.Generator,
) -> Selection:
    """Return pairs whose second candidate is drawn, and drawn afresh where it equals the first.

    Where the last retry met the same one too it is uniform over the others, and the prompt counts as a fallback.

    Args:
        first: the first candidates.
        draw: draws second candidates for the prompts of the given positions.
        max_retries: how often each may be drawn again.
        n_candidates: of every prompt.
        rng: draws the uniform ones.
    """
    second, retries = draw(np.arange(len(first))), 0
    for _ in range(max_retries):
        (equal,) = np.nonzero(second == first)
        if not len(equal):
            break
        retries += len(equal)
        second[equal] = draw(equal)
    (equal,) = np.nonzero(second == first)
    second[equal] = random_other(first[equal], n_candidates, rng)
    return Selection(np.stack([first, second], axis=1), retries=retries, fallbacks=len(equal))


def check_numbers(scores: Float[np.ndarray, "*shape"] | Bool[np.ndarray, "*shape"]) -> None:
    """Refuse what cannot be compared.

    Raises:
        SpecificationError: if a score is NaN.
    """
    if np.isnan(scores).any():
        raise SpecificationError(
            "a rule's scores are not numbers: the embeddings' scales are too far apart for float32; standardise them"
        )


def check_samples(rule: str, n_samples: int, *, at_least: int) -> None:
    """Refuse too few utility samples.

    Raises:
        SpecificationError: if there are fewer than ``at_least``.
    """
    if n_samples < at_least:
        cure = ": use an ensemble (n_particles >= 2)" if at_least > 1 else ""
        raise SpecificationError(f"{rule} was given {n_samples} utility sample(s); it needs at least {at_least}{cure}")


def check_mean(rule: str, n_samples: int) -> None:
    """Refuse more or less than the one utility per candidate that a rule reads.

    Raises:
        SpecificationError: if ``n_samples`` is not 1.
    """
    if n_samples != 1:
        raise SpecificationError(
            f"{rule} was given {n_samples} utility samples; it takes one: give it the mean over samples"
        )
