"""How a recorded pool of the embedded world fares: rubric, reward model against rubric, raters. Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from duelgym.errors import SpecificationError
from duelgym.metrics.calibration import favourite_rate, tied_share, win_rates
from duelgym.pools import CandidatePool
from duelgym.simulators.attributes import AttributeRaters, Weights, member
from duelgym.simulators.populations import attribute_raters
from duelgym.world.reward_model import SHARPNESS, pairwise_accuracy
from duelgym.world.rubric import ATTRIBUTES, mark
from duelgym.world.samples import rates

N_RATERS = 32
_BINS = np.linspace(0.5, 1.0, 6)


def report(pool: CandidatePool, *, n_prompts: int = 400, each: int = 16, seed: int = 0) -> str:
    """Return the tables.

    Args:
        pool: recorded on prompts of the embedded world, with the embedded reward model.
        n_prompts: prompts on which the rubric is applied, drawn without repetition.
        each: answers to each of them.
        seed: of the draw.

    Raises:
        SpecificationError: if the pool's attributes are not the world's.
    """
    if pool.attributes != ATTRIBUTES:
        raise SpecificationError(
            f"pool {pool.name!r} has attributes {', '.join(pool.attributes)}; the world's are {', '.join(ATTRIBUTES)}"
        )
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(pool.n_prompts)[:n_prompts])
    columns = np.sort(np.argsort(rng.random((len(rows), pool.n_candidates)), axis=1)[:, :each], axis=1)
    recorded = [pool.texts(int(row)) for row in rows]
    prompts = [texts.prompt for texts in recorded]
    answers = [tuple(texts.candidates[c] for c in chosen) for texts, chosen in zip(recorded, columns, strict=True)]
    marks = np.array(
        [
            [[mark(p, a).attributes[name] for name in ATTRIBUTES] for a in several]
            for p, several in zip(prompts, answers, strict=True)
        ]
    )
    scores = np.take_along_axis(pool.utilities(rows), columns[:, :, None], axis=1)
    sections = [
        _rubric(rates(prompts, answers)),
        _reward_model(scores, marks),
        _raters(pool, attribute_raters(pool, None)),
    ]
    return "\n\n".join(sections)


def _rubric(shares: dict[str, tuple[float, float]]) -> str:
    lines = [f"| {name} | {met:.3f} | {raised:.2f} |" for name, (met, raised) in shares.items()]
    return _table("| criterion | met, where raised | raised by |", lines)


def _reward_model(
    scores: Float64[np.ndarray, "prompts candidates attributes"],
    marks: Float64[np.ndarray, "prompts candidates attributes"],
) -> str:
    accuracy = pairwise_accuracy(scores, marks)
    spread = np.sqrt(np.var(marks, axis=1, ddof=1).mean(axis=0))
    first, second = np.triu_indices(scores.shape[1], k=1)
    predicted = _sigmoid(scores[:, first] - scores[:, second])
    labelled = _sigmoid(SHARPNESS * (marks[:, first] - marks[:, second]) / spread)
    # Every pair is turned so that the model's favourite comes first.
    labelled = np.where(predicted >= 0.5, labelled, 1 - labelled)
    predicted = np.maximum(predicted, 1 - predicted)
    lines = []
    for k, name in enumerate(ATTRIBUTES):
        p, q = predicted[..., k].ravel(), labelled[..., k].ravel()
        cells, error = [], 0.0
        for low, high in pairwise(_BINS):
            inside = (p >= low) & ((p < high) | (high == 1.0))
            if not inside.any():
                cells.append("")
                continue
            cells.append(f"{p[inside].mean():.2f} → {q[inside].mean():.2f}")
            error += inside.mean() * abs(float(p[inside].mean() - q[inside].mean()))
        tied = float(np.mean(marks[:, first, k] == marks[:, second, k]))
        lines.append(f"| {name} | {accuracy[name]:.3f} | {tied:.2f} | {error:.3f} | " + " | ".join(cells) + " |")
    head = (
        "| attribute | agrees with the rubric | tied under it | calibration error | "
        + " | ".join(f"{low:.1f} to {high:.1f}" for low, high in pairwise(_BINS))
        + " |"
    )
    return _table(head, lines)


def _raters(pool: CandidatePool, raters: AttributeRaters) -> str:
    chosen = [raters.scaled(raters.population.weights(member(k))) for k in range(N_RATERS)]
    others = [raters.scaled(each) for k in range(N_RATERS) for each in raters.population.opposed(member(10_000 + k))]
    rows = pool.split("assess", 0)
    values = raters.population.standardised(pool.utilities(rows), pool.attributes)
    everything = raters.population.standardised(pool.utilities(np.arange(pool.n_prompts)), pool.attributes)
    guess = np.mean(
        [win_rates(_utilities(one.weights, one.scale, values), temperature=1.0) for one in others], axis=0
    ).argmax(axis=1)
    figures: dict[str, list[float]] = {
        "favourite rate": [],
        "tied pairs": [],
        "oracle": [],
        "rater-blind": [],
        "rater-blind share": [],
    }
    each = np.arange(len(rows))
    for one in chosen:
        u = _utilities(one.weights, one.scale, values)
        wins = win_rates(u, temperature=1.0)
        oracle, blind = float(wins.max(axis=1).mean()), float(wins[each, guess].mean())
        whole = _utilities(one.weights, one.scale, everything)
        figures["favourite rate"].append(favourite_rate(whole, temperature=1.0))
        figures["tied pairs"].append(tied_share(whole))
        figures["oracle"].append(oracle)
        figures["rater-blind"].append(blind)
        figures["rater-blind share"].append((blind - 0.5) / (oracle - 0.5))
    lines = [f"| {name} | {np.mean(v):.3f} | {np.min(v):.3f} | {np.max(v):.3f} |" for name, v in figures.items()]
    return _table(f"| over {N_RATERS} raters | mean | least | most |", lines)


def _utilities(
    weights: Weights, scale: float, values: Float64[np.ndarray, "prompts candidates attributes"]
) -> Float64[np.ndarray, "prompts candidates"]:
    return weights.utilities(values) / scale


def _sigmoid(values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    return 1 / (1 + np.exp(-values))


def _table(head: str, lines: Sequence[str]) -> str:
    return "\n".join([head, "|" + " --- |" * (head.count("|") - 1), *lines])
