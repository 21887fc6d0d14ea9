"""``duelgym pool``: import, record, info, verify."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duelgym.errors import PoolError
from duelgym.pools.record_arguments import (
    ASSESS_HELP,
    COSINE_HELP,
    add_record_arguments,
    canonical_command,
    generator_specification,
    parsed_json,
    simulator_specification,
)

if TYPE_CHECKING:
    from duelgym.pools.pool import CandidatePool

_SHOWN = 5
_EXAMPLES = {
    "pool": "duelgym pool info my-pool",
    "import": "duelgym pool import alpaca-eval alpaca_eval --out my-pool --encoder sentence-transformers/all-MiniLM-L6-v2",
    "record": "duelgym pool record --generator my-model --simulator my-reward-model --prompts prompts.txt --out my-pool",
    "info": "duelgym pool info my-pool --json",
    "verify": "duelgym pool verify my-pool",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``pool`` and its sub-commands to a command line."""
    pool = _command(subparsers, "pool", "candidate pools: make, describe and check them").add_subparsers(
        metavar="COMMAND", required=True
    )
    formats = _command(pool, "import", "make a pool from public data").add_subparsers(metavar="FORMAT", required=True)
    alpaca = _command(formats, "alpaca-eval", "from AlpacaEval's results folders", example=_EXAMPLES["import"])
    alpaca.add_argument("source", metavar="SRC", help="folder that holds results/<model>/, or the results folder")
    alpaca.add_argument("--out", required=True, metavar="DIR", help="the pool to make; must not exist")
    embeddings = alpaca.add_mutually_exclusive_group(required=True)
    embeddings.add_argument("--embeddings", metavar="FILE", help="safetensors with prompt_ and response_embeddings")
    embeddings.add_argument("--encoder", metavar="NAME_OR_PATH", help="transformers encoder: folder or hub name")
    alpaca.add_argument("--index", metavar="FILE", help="JSON that gives the order of both axes of --embeddings")
    alpaca.add_argument("--revision", help="commit, tag or branch of a hub encoder")
    alpaca.add_argument("--max-tokens", type=int, metavar="N", help="cut texts here (default: the encoder's maximum)")
    alpaca.add_argument("--assess-prompts", metavar="FILE", help=ASSESS_HELP)
    alpaca.add_argument("--clip", type=float, default=1e-9, help="probabilities are clipped here (default %(default)g)")
    alpaca.add_argument("--near-duplicate-cosine", type=float, default=0.95, metavar="COSINE", help=COSINE_HELP)
    alpaca.add_argument("--name", default="alpaca-eval", help="of the pool (default %(default)s)")
    alpaca.set_defaults(run=run_import_alpaca_eval)
    record = _command(
        pool,
        "record",
        "record a generator's responses as a pool; interrupted, the same command goes on where it stopped",
    )
    add_record_arguments(record)
    record.set_defaults(run=run_record)
    info = _command(pool, "info", "show what a pool holds and how hard it is")
    info.add_argument("directory", metavar="DIR")
    info.add_argument("--json", action="store_true", help="print one JSON object instead")
    info.set_defaults(run=run_info)
    verify = _command(pool, "verify", "check every file of a pool")
    verify.add_argument("directory", metavar="DIR")
    verify.set_defaults(run=run_verify)


def run_record(arguments: argparse.Namespace) -> None:
    """Record a pool and say what is in it."""
    from duelgym.generators.reading import projection_file
    from duelgym.generators.specification import generator_from_specification
    from duelgym.pools.figures import pool_figures
    from duelgym.pools.prompts import read_prompts
    from duelgym.pools.recording import record_pool
    from duelgym.simulators import simulator_from_specification

    prompts = read_prompts(arguments.prompts)
    assess_prompts = None if arguments.assess_prompts is None else _read_prompts(Path(arguments.assess_prompts))
    raters = (
        None if arguments.raters is None else parsed_json(Path(arguments.raters).read_text(), arguments.raters, dict)
    )
    generator = generator_specification(arguments)
    projection = generator.get("projection")
    layer = simulator_specification(arguments.simulator)
    scorer = getattr(simulator_from_specification([layer]), "scorer", None)
    if scorer is None:
        raise PoolError(
            f"simulator {layer['name']!r} scores no texts; name one that does, such as reward_model or rubrics"
        )
    _check_raters(raters, scorer.attributes)
    pool = record_pool(
        arguments.out,
        generator=generator_from_specification(generator),
        scorer=scorer,
        prompts=prompts,
        n=arguments.n,
        seed=arguments.seed,
        workers=arguments.workers,
        threads=arguments.threads,
        name=arguments.name,
        temperature=layer.get("temperature"),
        embedding_storage=arguments.embedding_storage,
        utility_dtype=arguments.utility_dtype,
        assess_prompts=assess_prompts,
        near_duplicate_cosine=arguments.near_duplicate_cosine,
        raters=raters,
        extra_files={"projection.safetensors": projection_file(projection).read_bytes()} if projection else None,
        licence=arguments.licence,
        provenance={"command": canonical_command(arguments)},
    )
    _warn(pool_figures(pool))
    left = Path(f"{Path(arguments.out)}.recording")
    if left.exists():
        print(f"{left}: keeps recorded prompts that are not in --prompts; remove it where they are not wanted")
    print(f"{arguments.out}: {pool.n_prompts} prompts x {pool.n_candidates} candidates")


def _check_raters(raters: dict[str, Any] | None, attributes: Sequence[str]) -> None:
    """Refuse, before hours of recording, raters that no environment could play; say where there are none."""
    from duelgym.simulators.attributes import Population

    if raters is not None:
        missing = [name for name in Population.from_specification(raters).names if name not in attributes]
        if missing:
            raise PoolError(f"raters judge by {', '.join(missing)}; the simulator gives {', '.join(attributes)}")
    elif len(attributes) > 1:
        print(
            f"warning: the simulator gives {len(attributes)} attributes, and without --raters no environment will play the pool; "
            "it serves to measure their spread ('duelgym world raters')",
            file=sys.stderr,
        )


def run_import_alpaca_eval(arguments: argparse.Namespace) -> None:
    """Import AlpacaEval's folders and say what was left out."""
    from duelgym.pools.alpaca_eval import import_alpaca_eval
    from duelgym.pools.figures import pool_figures

    assess_prompts = None if arguments.assess_prompts is None else _read_prompts(Path(arguments.assess_prompts))
    pool = import_alpaca_eval(
        arguments.source,
        arguments.out,
        embeddings=arguments.embeddings,
        index=arguments.index,
        encoder=arguments.encoder,
        revision=arguments.revision,
        max_tokens=arguments.max_tokens,
        assess_prompts=assess_prompts,
        clip=arguments.clip,
        near_duplicate_cosine=arguments.near_duplicate_cosine,
        name=arguments.name,
    )
    report = pool.manifest["provenance"]
    if report["models_left_out"] or report["prompts_left_out"]:
        print(f"rule: {report['rule']}")
    for what in ("models", "prompts"):
        left_out: dict[str, Any] = report[f"{what}_left_out"]
        print(f"{what} left out: {len(left_out)}{_names(left_out)}")
    for model, reasons in report["unusable_entries"].items():
        print(f"unusable entries of {model}: {', '.join(f'{count} {reason}' for reason, count in reasons.items())}")
    encoder = pool.manifest["encoder"]
    if "truncated_responses" in encoder:
        prompts, responses = encoder["truncated_prompts"], encoder["truncated_responses"]
        print(f"cut at the encoder's maximum: {prompts} prompts, {responses} responses")
    _warn(pool_figures(pool))
    print(
        f"{arguments.out}: {pool.n_prompts} prompts x {pool.n_candidates} candidates, temperature {pool.temperature:g}"
    )


def run_info(arguments: argparse.Namespace) -> None:
    """Print a pool's figures."""
    from duelgym.pools.figures import format_figures, pool_figures

    figures = pool_figures(_open(arguments.directory))
    print(json.dumps(figures, indent=1) if arguments.json else format_figures(figures))
    _warn(figures)


def run_verify(arguments: argparse.Namespace) -> None:
    """Check every file of a pool."""
    pool = _open(arguments.directory)
    pool.verify()
    print(f"ok {arguments.directory}: {len(pool.manifest['files'])} files, sha256 {pool.sha256}")


def _open(directory: str) -> CandidatePool:
    from duelgym.pools.pool import CandidatePool

    return CandidatePool.open(directory)


def _read_prompts(path: Path) -> list[str]:
    try:
        prompts = json.loads(path.read_bytes())
    except ValueError as error:
        raise PoolError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(prompts, list) or not all(isinstance(prompt, str) for prompt in prompts):
        raise PoolError(f"{path}: must be a JSON list of prompts")
    return prompts


def _names(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(repr(name[:60]) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more (all are in pool.json)" if len(names) > _SHOWN else ""
    return f": {shown}{more}" if names else ""


def _warn(figures: dict[str, Any]) -> None:
    from duelgym.pools.figures import warnings_about

    for line in warnings_about(figures):
        print(f"warning: {line}", file=sys.stderr)


def _command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    help_text: str,
    example: str | None = None,
) -> argparse.ArgumentParser:
    return subparsers.add_parser(
        name, help=help_text, description=help_text, epilog=f"example: {example or _EXAMPLES[name]}"
    )
