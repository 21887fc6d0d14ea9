"""What ``duelgym pool info`` shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from duelgym.errors import PoolError
from duelgym.metrics.calibration import (
    TIED_SHARE_WARNING,
    bits_per_label,
    favourite_rate,
    reference_win_rates,
    single_utility,
    tied_share,
    win_rates,
    zero_query_win_rates,
)
from duelgym.pools.pool import CandidatePool

LARGE_GROUP_WARNING = 0.1
_WIDTH = 160
_POLICIES = {
    "oracle": "oracle (best of all)",
    "longest": "longest response",
    "best_column": "best single column",
    "first_column": "first column",
    "uniform": "uniform",
}


def pool_figures(pool: CandidatePool) -> dict[str, Any]:
    """Return sizes, splits and texts, and what the pool's own rater makes hard, or how its attributes spread.

    Everything is plain JSON.
    """
    figures: dict[str, Any] = {
        "name": pool.name,
        "sha256": pool.sha256,
        "prompts": pool.n_prompts,
        "candidates": pool.n_candidates,
        "prompt_dim": pool.prompt_dim,
        "candidate_dim": pool.candidate_dim,
        "attributes": list(pool.attributes),
        "raters": pool.raters is not None,
        "reference": pool.reference,
        "generator": pool.manifest["generator"],
        "encoder": pool.manifest["encoder"],
        "simulator": pool.manifest["simulator"],
        "scorer": pool.manifest["provenance"].get("scorer"),
        "licence": pool.manifest["licence"],
        "splits": {
            "tune": _size(pool, "tune", 0),
            "learn": [_size(pool, "learn", fold) for fold in range(pool.n_folds)],
            "assess": [_size(pool, "assess", fold) for fold in range(pool.n_folds)],
        },
        "largest_near_duplicate_group": pool.manifest["splits"]["largest_near_duplicate_group"],
    }
    rows = np.arange(pool.n_prompts)
    figures |= _text_figures(pool, rows)
    if len(pool.attributes) > 1:
        figures["by_attribute"] = _attribute_figures(pool.utilities(rows), pool.attributes)
    elif pool.n_candidates > 1:
        utilities, characters = single_utility(pool.utilities(rows)), pool.characters(rows)
        figures["tied_share"] = tied_share(utilities)
        figures["by_temperature"] = []
        for temperature in (pool.temperature / 2, pool.temperature, pool.temperature * 2):
            rates = win_rates(utilities, temperature=temperature)
            entry: dict[str, Any] = {
                "temperature": temperature,
                "favourite_rate": favourite_rate(utilities, temperature=temperature),
                "bits_per_label": bits_per_label(utilities, temperature=temperature),
                "against_sample": zero_query_win_rates(rates, utilities, characters),
            }
            if pool.reference is not None:
                rates = reference_win_rates(
                    utilities, reference_utility=pool.reference["utility"], temperature=temperature
                )
                entry["against_reference"] = zero_query_win_rates(rates, utilities, characters)
            figures["by_temperature"].append(entry)
    return figures


def _text_figures(pool: CandidatePool, rows: Int64[np.ndarray, " rows"]) -> dict[str, Any]:
    """Return how many responses repeat another of their prompt, how many are empty, and how they ended."""
    from tqdm import tqdm

    repeated = 0
    for row in tqdm(rows.tolist(), desc="texts", disable=None, delay=2, leave=False):
        responses = pool.texts(row).candidates
        repeated += len(responses) - len(set(responses))
    characters, tokens, finished = pool.characters(rows), pool.n_tokens(rows), pool.finished(rows)
    known = tokens is not None and bool((tokens >= 0).any())
    return {
        "duplicate_share": repeated / characters.size,
        "empty_share": float((characters == 0).mean()),
        "mean_characters": float(characters.mean()),
        "mean_tokens": float(tokens[tokens >= 0].mean()) if tokens is not None and known else None,
        "finished_share": None if finished is None else float(finished.mean()),
    }


def _attribute_figures(
    utilities: Float64[np.ndarray, "prompts candidates attributes"], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Return for each attribute its mean, its spread between and within prompts, and its tied pairs."""
    figures = []
    for attribute, name in enumerate(names):
        values = utilities[:, :, attribute]
        figures.append(
            {
                "name": name,
                "mean": float(values.mean()),
                "between_prompts": float(values.mean(axis=1).std()),
                "within_prompts": float(np.sqrt(values.var(axis=1).mean())),
                "tied_share": tied_share(values) if values.shape[1] > 1 else None,
            }
        )
    return figures


def warnings_about(figures: dict[str, Any]) -> list[str]:
    """Return what the maker of a pool should know, one line each."""
    lines = []
    if figures.get("tied_share", 0) > TIED_SHARE_WARNING:
        lines.append(
            f"{figures['tied_share']:.1%} of all pairs are exactly tied (more than {TIED_SHARE_WARNING:.0%}): labels of "
            "such pairs are coin flips; clip utilities less"
        )
    if len(figures["attributes"]) > 1 and not figures["raters"]:
        lines.append(
            f"the pool has {len(figures['attributes'])} attributes and documents no raters who combine them: no environment "
            "plays it; record it with --raters, or with a simulator of one utility"
        )
    group = figures["largest_near_duplicate_group"]
    if group is not None and group > max(2, LARGE_GROUP_WARNING * figures["prompts"]):
        lines.append(
            f"{group} of {figures['prompts']} prompts hang together as near-duplicates and share one part of the split; "
            "raise the near-duplicate cosine or use another encoder"
        )
    return lines


def format_figures(figures: dict[str, Any]) -> str:
    """Return the figures as text for a terminal."""
    splits = figures["splits"]
    reference = figures["reference"]
    lines = [
        f"name        {figures['name']}",
        f"sha256      {figures['sha256']}",
        f"prompts     {figures['prompts']} x {figures['candidates']} candidates",
        f"embeddings  {figures['prompt_dim']} (prompt), {figures['candidate_dim']} (candidate)",
        f"responses   {_responses_line(figures)}",
        f"attributes  {', '.join(figures['attributes'])}",
        *(f"{part:<10}  {_one_line(figures[part])}" for part in ("generator", "encoder", "scorer") if figures[part]),
        f"simulator   {_one_line(figures['simulator'] or 'none of its own: attributes are combined by raters')}",
        f"reference   {reference['name'] if reference else 'none'}",
        f"licence     {figures['licence'] or 'not stated'}",
        f"splits      tune {splits['tune']}",
    ]
    for fold, (learn, assess) in enumerate(zip(splits["learn"], splits["assess"], strict=True)):
        lines.append(f"            fold {fold}: learn {learn}, assess {assess}")
    if "by_attribute" in figures:
        return "\n".join([*lines, "", *_attribute_lines(figures["by_attribute"])])
    if "by_temperature" not in figures:
        return "\n".join([*lines, "no figures of difficulty: they need two candidates"])
    columns = figures["by_temperature"]
    lines += [
        f"tied pairs  {figures['tied_share']:.2%}",
        "",
        "What depends on the temperature, at half of it, at it, at twice it:",
    ]

    def row(label: str, values: list[float], digits: str = ".3f") -> str:
        return f"  {label:<34}" + "".join(f"{value:>10{digits}}" for value in values)

    lines += [
        row("temperature", [column["temperature"] for column in columns], ".4g"),
        row("favourite of a random pair wins", [column["favourite_rate"] for column in columns]),
        row("bits a label can carry at most", [column["bits_per_label"] for column in columns]),
    ]
    tables = {"against_sample": "win rate against a uniform other response, no query asked"}
    if reference:
        tables["against_reference"] = f"win rate against {reference['name']}, no query asked"
    for key, title in tables.items():
        lines.append(f"  {title}")
        lines += [row(f"  {label}", [column[key][policy] for column in columns]) for policy, label in _POLICIES.items()]
    return "\n".join(lines)


def _responses_line(figures: dict[str, Any]) -> str:
    parts = [f"{figures['mean_characters']:.0f} characters on average"]
    if figures["mean_tokens"] is not None:
        parts.append(f"{figures['mean_tokens']:.1f} tokens")
    if figures["finished_share"] is not None:
        parts.append(f"{1 - figures['finished_share']:.1%} cut at the length limit")
    parts.append(f"{figures['empty_share']:.1%} empty")
    parts.append(f"{figures['duplicate_share']:.1%} repeat another of their prompt")
    return ", ".join(parts)


def _attribute_lines(figures: list[dict[str, Any]]) -> list[str]:
    width = max(20, *(len(entry["name"]) + 2 for entry in figures))
    lines = [
        "Attributes: mean, spread (standard deviation) between prompts' means and within prompts, tied pairs",
        f"  {'':<{width}}{'mean':>10}{'between':>10}{'within':>10}{'tied':>10}",
    ]
    for entry in figures:
        values = "".join(f"{entry[field]:>10.3f}" for field in ("mean", "between_prompts", "within_prompts"))
        tied = "" if entry["tied_share"] is None else f"{entry['tied_share']:>10.2%}"
        lines.append(f"  {entry['name']:<{width}}{values}{tied}")
    return lines


def _one_line(value: object) -> str:
    """Return a piece of JSON cut to a readable length; all of it is in pool.json."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _size(pool: CandidatePool, part: str, fold: int) -> int:
    try:
        return len(pool.split(part, fold))
    except PoolError:
        return 0
