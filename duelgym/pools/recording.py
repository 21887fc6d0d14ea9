"""Recording a pool: any generator, scored by any scorer, on any prompts; killed at any moment, it goes on."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duelgym.checks import positive_number, whole_number
from duelgym.errors import PoolError
from duelgym.pools.files import refuse_existing, sync_directory, write_whole
from duelgym.pools.material import check_extra_files, checked_choice
from duelgym.pools.pool import CandidatePool
from duelgym.pools.shards import Recipe, Shard
from duelgym.pools.splits import NEAR_DUPLICATE_COSINE, assign_explicit_groups, prompt_hash
from duelgym.pools.storage import STORAGES
from duelgym.pools.workers import recorded
from duelgym.pools.writing import UTILITY_DTYPES, write_pool

if TYPE_CHECKING:
    from duelgym.generators.protocol import CandidateGenerator
    from duelgym.simulators.scorers import Scorer

_HEADER = "recording.json"
_PACKAGES = ("duelgym", "numpy", "torch", "transformers", "tokenizers")


def record_pool(
    out: str | os.PathLike[str],
    *,
    generator: CandidateGenerator,
    scorer: Scorer,
    prompts: Sequence[str],
    n: int = 100,
    seed: int = 0,
    workers: int = 1,
    threads: int = 1,
    name: str = "recorded",
    temperature: float | None = None,
    embedding_storage: str = "int8",
    utility_dtype: str = "float16",
    assess_prompts: Sequence[str] | None = None,
    near_duplicate_cosine: float = NEAR_DUPLICATE_COSINE,
    raters: Mapping[str, Any] | None = None,
    extra_files: Mapping[str, bytes] | None = None,
    licence: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> CandidatePool:
    """Record n responses to every prompt, their embeddings and their scores, as a pool.

    A prompt's responses follow from the seed and its own text: not from the other prompts, the number of workers or
    interruptions, so the pool has the same bytes either way. What is finished lies in ``OUT.recording``, one file a
    prompt, until the pool is complete; the same call goes on from there, also with prompts added or taken out. Finished
    prompts that were taken out stay there when the pool is complete.
    Empty and repeated responses are kept.

    Args:
        out: the pool to make; must not exist.
        generator: gives responses and embeddings in [-1, 1], which are kept on that scale.
        scorer: gives every response its utility, or one number for each attribute.
        prompts: one string per row, all different.
        n: responses to each prompt, at least 2.
        seed: a whole number from 0.
        workers: processes; 0 records in this one. Equal bytes for any number of them from 1.
        threads: of each worker.
        name: see :func:`duelgym.pools.write_pool` for this and the following.
        temperature: likewise.
        embedding_storage: likewise.
        utility_dtype: likewise.
        assess_prompts: likewise.
        near_duplicate_cosine: likewise.
        raters: likewise.
        extra_files: likewise.
        licence: likewise.
        provenance: likewise; seed, scorer, package versions and the hash of the prompts are added to it.

    Raises:
        PoolError: if ``out`` exists, another process records it, the recording was begun with other settings, a prompt
            cannot be recorded (the finished ones are kept), or :func:`duelgym.pools.write_pool` refuses the material.
        OSError: if a file cannot be read or written.
    """
    from tqdm import tqdm

    out = Path(out)
    n, seed = whole_number("n", n, 2, error=PoolError), whole_number("seed", seed, 0, error=PoolError)
    workers = whole_number("workers", workers, 0, error=PoolError)
    threads = whole_number("threads", threads, error=PoolError)
    positive_number("near_duplicate_cosine", near_duplicate_cosine, most=1.0, error=PoolError)
    checked_choice(embedding_storage, "embedding_storage", STORAGES)
    checked_choice(utility_dtype, "utility_dtype", UTILITY_DTYPES)
    check_extra_files(extra_files or {})
    attributes = scorer.attributes  # refuses what is no reward model before anything is generated
    if temperature is not None:
        positive_number("temperature", temperature, error=PoolError)
        if len(attributes) > 1:
            raise PoolError(
                f"a temperature was given, but there are {len(attributes)} attributes: it belongs to each rater"
            )
    if assess_prompts is not None:
        assign_explicit_groups(prompts, assess_prompts)
    names = [prompt_hash(prompt).hex() for prompt in prompts]
    if not prompts or len(set(names)) != len(names):
        raise PoolError(f"{len(prompts)} prompts, {len(set(names))} of them different; give at least one, each once")
    made = _plain({"seed": seed, "scorer": _placeless(scorer.specification()), "versions": _versions()})
    header = {"generator": _plain(generator.specification()), "n": n, **made}
    made["prompts_sha256"] = hashlib.sha256("".join(names).encode()).hexdigest()
    with _work_directory(out, header) as work:
        files = {prompt: work / f"{key}.shard" for prompt, key in zip(prompts, names, strict=True)}
        if out.exists():
            return _finished(out, files.values(), made)
        waiting = [prompt for prompt, file in files.items() if not file.exists()]
        recipe = Recipe(generator, scorer, n, seed)
        with tqdm(
            total=len(prompts), initial=len(prompts) - len(waiting), desc="recording", unit="prompt", disable=None
        ) as bar:
            for prompt, shard in recorded(recipe, waiting, workers=workers, threads=threads):
                write_whole(files[prompt], shard)
                bar.update()
        shards = [Shard.read(file) for file in files.values()]
        shutil.rmtree(work / "pool", ignore_errors=True)  # of a recording that was killed just before its end
        write_pool(
            work / "pool",
            name=name,
            prompts=prompts,
            candidate_names=[f"sample {column:0{len(str(n - 1))}}" for column in range(n)],
            texts=[shard.texts for shard in shards],
            prompt_embeddings=np.stack([shard.prompt_embedding for shard in shards]),
            candidate_embeddings=np.stack([shard.candidate_embeddings for shard in shards]),
            utilities=np.stack([shard.utilities for shard in shards]),
            attributes=attributes,
            temperature=temperature,
            assess_prompts=assess_prompts,
            near_duplicate_cosine=near_duplicate_cosine,
            generator=header["generator"],
            licence=licence,
            provenance={**(provenance or {}), **made, "clipped_values": sum(shard.clipped for shard in shards)},
            embedding_storage=embedding_storage,
            embedding_scale=1.0,
            utility_dtype=utility_dtype,
            n_tokens=np.stack([shard.n_tokens for shard in shards]),
            finished=np.stack([shard.finished for shard in shards]),
            raters=raters,
            extra_files=extra_files,
        )
        refuse_existing(out)
        (work / "pool").rename(out)
        sync_directory(out.parent)
        return _finished(out, files.values(), made)


@contextlib.contextmanager
def _work_directory(out: Path, header: dict[str, Any]) -> Iterator[Path]:
    """Hold the directory of finished prompts, which must have been begun with the same header or not at all."""
    work = out.parent / f"{out.name}.recording"
    if not (work / _HEADER).exists():
        refuse_existing(out)
        work.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PoolError(f"{work}: another process is recording here; wait for it, or name another pool") from None
        except OSError:  # some network file systems lock no directories
            pass
        if not (work / _HEADER).exists():
            write_whole(work / _HEADER, json.dumps(header).encode())
        _check_header(work / _HEADER, header)
        try:
            yield work
        finally:
            if not any(work.glob("*.shard")):  # nothing is lost with it
                shutil.rmtree(work)
    finally:
        os.close(descriptor)


def _placeless(specification: dict[str, object]) -> dict[str, object]:
    """Return a scorer's specification without the folders above its model, which its hash identifies wherever it lies."""
    if "sha256" not in specification:
        return specification
    return {**specification, "model": Path(str(specification["model"])).name}


def _check_header(path: Path, header: dict[str, Any]) -> None:
    try:
        begun = json.loads(path.read_bytes())
    except ValueError:
        raise PoolError(f"{path}: damaged; remove {path.parent} to begin anew") from None
    different = [f"{key} was {then}, is {now}" for key, then, now in _differences(begun, header)]
    if different:
        raise PoolError(
            f"{path.parent} was begun with other settings: {'; '.join(different)}; go back to them, name another pool, "
            "or remove that directory to begin anew"
        )


def _differences(then: Any, now: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (where, then, now) for everything that differs between two pieces of plain JSON."""
    if isinstance(then, dict) and isinstance(now, dict):
        for field in sorted(then.keys() | now.keys()):
            yield from _differences(then.get(field), now.get(field), f"{key}.{field}" if key else field)
    elif then != now:
        yield key, json.dumps(then), json.dumps(now)


def _finished(out: Path, shards: Iterable[Path], made: Mapping[str, Any]) -> CandidatePool:
    """Open the pool, which may be that of a recording killed before it could clear up, and remove the shards that it holds."""
    pool = CandidatePool.open(out)
    if any(pool.manifest["provenance"].get(field) != value for field, value in made.items()):
        raise PoolError(
            f"{out} exists already and is not the pool of these prompts; move it away, and {out}.recording goes on"
        )
    for shard in shards:
        shard.unlink(missing_ok=True)
    return pool


def _plain(value: Any) -> Any:
    """Return a piece of JSON as it comes back from a file: tuples become lists."""
    return json.loads(json.dumps(value))


def _versions() -> dict[str, str]:
    """Return the versions of what decides the numbers, where it is installed."""
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
