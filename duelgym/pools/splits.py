"""Which prompts are for tuning, which for learning and which for assessment: decided by hash alone.

Every prompt has a group: -1 is ``tune``, and for fold f group f is ``assess`` while all other groups from 0 on are
``learn``. A prompt's group follows from its text (and from its near-duplicates' texts), never from its place in a
file, so adding a prompt moves no other but its near-duplicates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int8, Int64

from duelgym.errors import PoolError

TUNE = -1
N_GROUPS = 5
TUNE_SHARE = 0.2
CROSS_FITTED_BELOW = 2000
NEAR_DUPLICATE_COSINE = 0.95
_BLOCK = 2048


def prompt_hash(prompt: str) -> bytes:
    """Return the sha256 of a prompt's text in UTF-8 (lone surrogates, which some JSON files hold, included)."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()


def near_duplicate_keys(
    prompts: Sequence[str], embeddings: Float[np.ndarray, "prompts dim"], *, cosine: float = NEAR_DUPLICATE_COSINE
) -> list[bytes]:
    """Return for each prompt the smallest hash among the prompts that it hangs together with.

    Two prompts hang together if the cosine of their embeddings is above ``cosine``, or if a chain of such pairs
    joins them. A zero embedding is near nothing.

    Raises:
        PoolError: if the cosine is not in (0, 1].
    """
    from tqdm import tqdm

    if not 0 < cosine <= 1:
        raise PoolError(f"near-duplicate cosine is {cosine!r}; it must lie above 0 and be at most 1")
    hashes = [prompt_hash(prompt) for prompt in prompts]
    # Sorted by hash, so that rounding in the products cannot depend on the order of the prompts.
    order = sorted(range(len(prompts)), key=hashes.__getitem__)
    unit = np.asarray(embeddings, np.float32)[order]
    norms = np.linalg.norm(unit, axis=1, keepdims=True)
    unit = np.divide(unit, norms, out=np.zeros_like(unit), where=norms > 0)
    groups = np.arange(len(order))  # each prompt's group, named after its member with the smallest hash
    for first in tqdm(range(0, len(order), _BLOCK), desc="near-duplicates", disable=None, delay=2):
        for second in range(first, len(order), _BLOCK):
            near = unit[first : first + _BLOCK] @ unit[second : second + _BLOCK].T > cosine
            if first == second:
                np.fill_diagonal(near, False)
            for row in np.flatnonzero(near.any(axis=1)).tolist():
                joined = np.unique(np.append(groups[second : second + _BLOCK][near[row]], groups[first + row]))
                if len(joined) > 1:
                    groups[np.isin(groups, joined)] = joined[0]
    keys = [b""] * len(order)
    for position, prompt in enumerate(order):
        keys[prompt] = hashes[order[groups[position]]]
    return keys


def assign_groups(keys: Sequence[bytes]) -> Int8[np.ndarray, " prompts"]:
    """Return each prompt's group from its key: 20 % ``tune`` (-1), the rest evenly 0 to 4.

    The first eight bytes of a key are not used: a key is the smallest of several hashes, so they are biased.
    """
    groups = np.empty(len(keys), np.int8)
    for prompt, key in enumerate(keys):
        tune = int.from_bytes(key[8:16], "big") < TUNE_SHARE * 2**64
        groups[prompt] = TUNE if tune else int.from_bytes(key[16:24], "big") % N_GROUPS
    return groups


def assign_explicit_groups(prompts: Sequence[str], assess_prompts: Sequence[str]) -> Int8[np.ndarray, " prompts"]:
    """Return group 0 for the named assessment prompts and 1 (``learn``) for all others.

    Raises:
        PoolError: if an assessment prompt is not in the pool, or none or all prompts are named.
    """
    known, named = set(prompts), set(assess_prompts)
    for prompt in assess_prompts:
        if prompt not in known:
            raise PoolError(
                f"assessment prompt {shorten(prompt)} is not in the pool; take it out of the list, "
                "or see which prompts were left out for missing answers or annotations"
            )
    if not named or named == known:
        raise PoolError(
            f"{len(named)} of {len(known)} prompts are named for assessment; name one at least, leave one to learn from"
        )
    return np.array([0 if prompt in named else 1 for prompt in prompts], np.int8)


def select_part(
    groups: Int8[np.ndarray, " prompts"], part: str, fold: int, *, n_folds: int, explicit: bool
) -> Int64[np.ndarray, " rows"]:
    """Return the sorted row numbers of a part: ``tune``, ``learn``, ``assess`` or ``all``.

    Raises:
        PoolError: on an unknown part or fold, or where the part is empty.
    """
    if not isinstance(fold, int | np.integer) or not 0 <= fold < n_folds:
        raise PoolError(f"fold is {fold!r}; this pool has folds 0 to {n_folds - 1}")
    masks = {
        "tune": groups == TUNE,
        "learn": (groups >= 0) & (groups != fold),
        "assess": groups == fold,
        "all": np.ones(len(groups), bool),
    }
    if not isinstance(part, str) or part not in masks:
        raise PoolError(f"part is {part!r}; allowed are {', '.join(masks)}")
    rows = np.flatnonzero(masks[part]).astype(np.int64)
    if len(rows) == 0:
        if part == "tune" and explicit:
            raise PoolError(
                "this pool was made with explicit assessment prompts and has no 'tune' part; tune on another pool"
            )
        raise PoolError(
            f"part {part!r} of fold {fold} is empty: the pool has {len(groups)} prompts, too few or too alike to split "
            "by hash; use more prompts, or a higher near-duplicate cosine when making the pool"
        )
    return rows


def shorten(text: str, width: int = 60) -> str:
    """Return a text in quotes on one line, cut to a readable length."""
    return repr(text if len(text) <= width else text[: width - 1] + "…")
