"""A round's pool: instructions, responses and utilities of the embedded world, all of which follow from the salt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from duelgym import assets
from duelgym.errors import SpecificationError
from duelgym.generators.reading import projection_file
from duelgym.generators.specification import generator_from_specification
from duelgym.pools import CandidatePool
from duelgym.pools.prompts import read_prompts
from duelgym.pools.recording import record_pool
from duelgym.simulators import simulator_from_specification
from duelgym.world.corpus import draw_prompts
from duelgym_bench.plan import derived_seed

_REWARD_MODEL = {"name": "reward_model", "model": "embedded"}


def round_prompts(salt: str, n: int) -> list[str]:
    """Return the instructions that a salt draws: of those that no embedded model was trained on, none of the public pool's."""
    public = set(read_prompts(assets.PROMPTS))
    drawn = draw_prompts(2 * n, np.random.default_rng(derived_seed("round prompts", salt)))
    new = [prompt for prompt in drawn if prompt not in public]
    if len(new) < n:
        raise SpecificationError(f"{n} prompts are too many: only {len(new)} of {2 * n} drawn are new; ask for fewer")
    return new[:n]


def record_round_pool(out: Path, salt: str, *, name: str, prompts: int, candidates: int, jobs: int) -> CandidatePool:
    """Record a round's pool as ``LLMDuel-v0``'s was, from the same models; killed, the same call goes on.

    Anyone can draw the prompts again once the salt is known. The responses they can sample again on a machine that
    computes alike; elsewhere arithmetic differs in the last bits, so it is the published files that count.

    Args:
        out: the pool to make, outside what is published while the round is open.
        salt: of the round.
        name: of the pool.
        prompts: how many.
        candidates: responses to each.
        jobs: processes.

    Raises:
        PoolError: as :func:`duelgym.pools.recording.record_pool` does.
    """
    embedded = CandidatePool.open(assets.POOL)
    scorer = getattr(simulator_from_specification([_REWARD_MODEL]), "scorer", None)
    assert scorer is not None
    return record_pool(
        out,
        generator=generator_from_specification(dict(assets.GENERATOR)),
        scorer=scorer,
        prompts=round_prompts(salt, prompts),
        n=candidates,
        seed=derived_seed("round responses", salt) % 2**32,
        workers=jobs,
        name=name,
        near_duplicate_cosine=embedded.manifest["splits"]["near_duplicate_cosine"],
        raters=embedded.manifest["raters"],
        extra_files={"projection.safetensors": projection_file("embedded").read_bytes()},
        licence="Apache-2.0",
        provenance={"round": name},
    )
