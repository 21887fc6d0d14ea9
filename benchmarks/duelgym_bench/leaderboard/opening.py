"""Opening a round: a secret, a pool that follows from it, and the hashes of both for everybody."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

import duelgym
from duelgym.pools import CandidatePool
from duelgym_bench.leaderboard.check import read_round
from duelgym_bench.leaderboard.decisions import decide
from duelgym_bench.leaderboard.failures import Failure, refuse
from duelgym_bench.leaderboard.records import Round, RoundPool, refused_fields, salt_hash, write_record
from duelgym_bench.leaderboard.round_pool import record_round_pool

IDS = ("LLMDuel-v0", "SyntheticDuel-v0")


def read_salt(path: Path, root: Path) -> str:
    """Read a round's secret.

    Args:
        path: a file of 64 hexadecimal digits, outside the leaderboard.
        root: of the leaderboard.

    Raises:
        RefusedError: if it is not such a file, or lies where it would be published.
    """
    check_private(path, root)
    try:
        salt = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        salt = ""
    if not re.fullmatch(r"[0-9a-f]{64}", salt):
        refuse([Failure(str(path), "does not hold 64 hexadecimal digits", "name the file that 'round new' wrote")])
    return salt


def new_round(
    root: Path,
    name: str,
    *,
    salt_file: Path,
    pool: Path,
    day: str,
    queries: int,
    batch: int,
    seeds: int,
    prompts: int,
    candidates: int,
    jobs: int,
) -> Round:
    """Open a round: draw its salt, record its pool, and publish the hashes of both.

    Args:
        root: of the leaderboard.
        name: of the round.
        salt_file: where the secret is kept; drawn where there is none. Killed, the same call goes on from it.
        pool: where the pool is recorded, outside the repository while the round is open.
        day: YYYY-MM-DD.
        queries: budget of every run.
        batch: queries between updates.
        seeds: seed indices; at least 2.
        prompts: of the pool.
        candidates: responses to each.
        jobs: processes.

    Raises:
        RefusedError: if there is such a round, or something does not fit.
    """
    path = root / "rounds" / f"{name}.json"
    if path.exists():
        refuse([Failure(path.name, "is there already", "a round is opened once: give another name")])
    if seeds < 2 or batch < 1 or queries % batch:
        what = f"{seeds} seeds, {queries} queries in batches of {batch}"
        refuse([Failure(name, what, "give two seeds at least, and queries that are a multiple of the batch")])
    for private in (salt_file, pool):
        check_private(private, root)
    try:
        draft = Round(
            schema=1,
            name=name,
            opened=day,
            closed=None,
            ids=IDS,  # type: ignore[arg-type]
            queries=queries,
            batch=batch,
            seeds=seeds,
            salt_sha256="0" * 64,  # it and the pool's follow, after all else is known to be right: recording takes long
            salt=None,
            pool=RoundPool(sha256="0" * 64, prompts=prompts, candidates=candidates),
            duelgym=duelgym.__version__,
        )
    except ValidationError as error:
        raise refused_fields(path.name, Round, error) from None
    if not salt_file.exists():
        salt_file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(salt_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
    salt = read_salt(salt_file, root)
    for other in sorted(path.parent.glob("*.json")):
        if read_round(root, other.stem).salt_sha256 == salt_hash(salt):
            refuse(
                [Failure(str(salt_file), f"is the salt of round {other.stem}", "name a new file: a salt serves once")]
            )
    recorded = record_round_pool(pool, salt, name=f"round-{name}", prompts=prompts, candidates=candidates, jobs=jobs)
    held = RoundPool(sha256=recorded.sha256, prompts=recorded.n_prompts, candidates=recorded.n_candidates)
    made = replace(draft, salt_sha256=salt_hash(salt), pool=held)
    path.parent.mkdir(parents=True, exist_ok=True)
    decide(root, day, f"Round {name} opened.")
    write_record(path, made)  # last: killed before, the same call goes on
    return made


def check_private(path: Path, root: Path) -> None:
    """Check that a secret lies outside the repository that holds the leaderboard.

    Raises:
        RefusedError: if it does not.
    """
    if path.resolve().is_relative_to(root.resolve().parent):
        refuse([Failure(str(path), "lies beside the leaderboard, where it would be published", "keep it elsewhere")])


def opened_round(root: Path, name: str, salt_file: Path, pool: Path) -> tuple[Round, str]:
    """Return an open round and its salt, once salt and pool are known to be its own.

    Raises:
        RefusedError: if one is not, or the round is closed or of another version.
        PoolError: if the pool is damaged.
    """
    round, salt = read_round(root, name), read_salt(salt_file, root)
    if round.closed is not None:
        refuse([Failure(f"round {name}", f"was closed on {round.closed}", "open another")])
    if round.duelgym != duelgym.__version__:
        what = f"is bound to duelgym {round.duelgym}; this is {duelgym.__version__}"
        refuse([Failure(f"round {name}", what, "install that version")])
    if salt_hash(salt) != round.salt_sha256:
        refuse([Failure(str(salt_file), f"is not the salt of round {name}", "name the file that 'round new' wrote")])
    opened = CandidatePool.open(pool)
    if opened.sha256 != round.pool.sha256:
        refuse([Failure(str(pool), f"is not the pool of round {name}", "name the pool that 'round new' recorded")])
    opened.verify()
    return round, salt
