"""What ``duelgym pool info`` shows."""

from __future__ import annotations

from typing import Any

import numpy as np

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
_POLICIES = {
    "oracle": "oracle (best of all)",
    "longest": "longest response",
    "best_column": "best single column",
    "first_column": "first column",
    "uniform": "uniform",
}


def pool_figures(pool: CandidatePool) -> dict[str, Any]:
    """Return sizes, splits and, where the pool has a rater of its own, what that rater makes hard; as plain JSON."""
    figures: dict[str, Any] = {
        "name": pool.name,
        "sha256": pool.sha256,
        "prompts": pool.n_prompts,
        "candidates": pool.n_candidates,
        "prompt_dim": pool.prompt_dim,
        "candidate_dim": pool.candidate_dim,
        "attributes": list(pool.attributes),
        "reference": pool.reference,
        "licence": pool.manifest["licence"],
        "splits": {
            "tune": _size(pool, "tune", 0),
            "learn": [_size(pool, "learn", fold) for fold in range(pool.n_folds)],
            "assess": [_size(pool, "assess", fold) for fold in range(pool.n_folds)],
        },
        "largest_near_duplicate_group": pool.manifest["splits"]["largest_near_duplicate_group"],
    }
    if len(pool.attributes) == 1 and pool.n_candidates > 1:
        rows = np.arange(pool.n_prompts)
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


def warnings_about(figures: dict[str, Any]) -> list[str]:
    """Return what the maker of a pool should know, one line each."""
    lines = []
    if figures.get("tied_share", 0) > TIED_SHARE_WARNING:
        lines.append(
            f"{figures['tied_share']:.1%} of all pairs are exactly tied (more than {TIED_SHARE_WARNING:.0%}): labels of "
            "such pairs are coin flips; clip utilities less"
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
        f"attributes  {', '.join(figures['attributes'])}",
        f"reference   {reference['name'] if reference else 'none'}",
        f"licence     {figures['licence'] or 'not stated'}",
        f"splits      tune {splits['tune']}",
    ]
    for fold, (learn, assess) in enumerate(zip(splits["learn"], splits["assess"], strict=True)):
        lines.append(f"            fold {fold}: learn {learn}, assess {assess}")
    columns = figures.get("by_temperature")
    if columns is None:
        return "\n".join([*lines, "no figures of difficulty: they need one attribute and two candidates"])
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


def _size(pool: CandidatePool, part: str, fold: int) -> int:
    try:
        return len(pool.split(part, fold))
    except PoolError:
        return 0
