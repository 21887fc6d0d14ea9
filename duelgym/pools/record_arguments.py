"""What ``duelgym pool record`` is told, and what it makes of it."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from duelgym.errors import PoolError

ASSESS_HELP = "JSON list: these are assessed, all others learned from"
COSINE_HELP = "prompts above this cosine stay in one part of the split (default %(default)g)"
_GENERATOR_SETTINGS = {
    "revision": (str, "commit of a hub model, 40 hex digits, which it needs so that it stays the same"),
    "max_new_tokens": (int, "longest response"),
    "temperature": (float, "of sampling"),
    "top_p": (float, "of sampling: the smallest set of tokens with this probability"),
    "pooling": (str, "of hidden states into an embedding: last, mean or both"),
    "projection": (str, "safetensors file that maps hidden states to embeddings, see 'duelgym world projection'"),
    "device": (str, "such as cpu or cuda:0"),
    "dtype": (str, "float32, bfloat16 or float16"),
    "batch_size": (int, "sequences at once"),
}


def add_record_arguments(record: argparse.ArgumentParser) -> None:
    """Add everything that a recording can be told."""
    record.add_argument(
        "--generator", required=True, metavar="NAME_OR_PATH_OR_JSON", help="a language model, or a generator's JSON"
    )
    record.add_argument(
        "--simulator",
        required=True,
        metavar="JSON_OR_PATH",
        help="what scores the responses: a reward model's folder, or a simulator's JSON (also in a .json file)",
    )
    record.add_argument("--prompts", required=True, metavar="FILE", help="one prompt a line, or .jsonl with 'prompt'")
    record.add_argument("--out", required=True, metavar="DIR", help="the pool to make; must not exist")
    record.add_argument("--n", type=int, default=100, help="responses to each prompt (default %(default)s)")
    record.add_argument("--seed", type=int, default=0, help="of all randomness (default %(default)s)")
    settings = record.add_argument_group("settings of the generator, which has its own defaults")
    for option, (kind, about) in _GENERATOR_SETTINGS.items():
        settings.add_argument(f"--{option.replace('_', '-')}", type=kind, help=about)
    record.add_argument(
        "--embedding-storage",
        choices=("int8", "float16", "float32"),
        default="int8",
        help="how embeddings are stored (default %(default)s)",
    )
    record.add_argument(
        "--utility-dtype",
        choices=("float16", "float32", "float64"),
        default="float16",
        help="how utilities are stored (default %(default)s)",
    )
    record.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes beside this one; any number from 1 gives the same bytes, 0 (in this process) its own (default %(default)s)",
    )
    record.add_argument("--threads", type=int, default=1, help="of each worker (default %(default)s)")
    record.add_argument(
        "--raters",
        metavar="FILE",
        help="JSON object that says how a model's several attributes combine in the population of raters: formula, liked, tastes, "
        "spread, liked_scale (see Population in duelgym/simulators/attributes.py); kept in pool.json",
    )
    record.add_argument("--assess-prompts", metavar="FILE", help=ASSESS_HELP)
    record.add_argument("--near-duplicate-cosine", type=float, default=0.95, metavar="COSINE", help=COSINE_HELP)
    record.add_argument("--licence", default="", metavar="TEXT", help="of prompts and responses")
    record.add_argument("--name", default="recorded", help="of the pool (default %(default)s)")


def generator_specification(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the generator's JSON with the settings of the command line in it."""
    text = arguments.generator
    given = {option: getattr(arguments, option) for option in _GENERATOR_SETTINGS}
    given = {option: value for option, value in given.items() if value is not None}
    if not text.lstrip().startswith("{"):
        return {"name": "transformers", "model": text, **given}
    specification = parsed_json(text, "--generator", dict)
    twice = sorted(specification.keys() & given.keys())
    if twice:
        raise PoolError(f"--generator and the command line both give {', '.join(twice)}; give each once")
    return {**specification, **given}


def simulator_specification(text: str) -> dict[str, Any]:
    """Return the one layer that scores texts; a path that is not a .json file names a reward model."""
    if text.endswith(".json"):
        layers = parsed_json(Path(text).read_text(), text, list)
    elif text.lstrip().startswith(("[", "{")):
        layers = parsed_json(text, "--simulator", list)
    else:
        layers = [{"name": "reward_model", "model": text}]
    if len(layers) != 1 or not isinstance(layers[0], dict) or "name" not in layers[0]:
        raise PoolError(
            "the simulator of a recording is a list of one object with a 'name': a pool keeps utilities, which a layer "
            "around it does not change; give such layers where the pool is played"
        )
    return dict(layers[0])


def canonical_command(arguments: argparse.Namespace) -> str:
    """Return the command without what does not change the pool."""
    words = ["duelgym", "pool", "record"]
    for option, value in vars(arguments).items():
        if value is not None and option not in ("run", "out", "workers"):
            words += [f"--{option.replace('_', '-')}", str(value)]
    return shlex.join(words)


def parsed_json(text: str, source: str, kind: type) -> Any:
    """Return what a piece of JSON says, which must be of the given kind.

    Raises:
        PoolError: if it is not JSON, or of another kind.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise PoolError(f"{source}: not valid JSON ({error})") from None
    if not isinstance(value, kind):
        raise PoolError(f"{source}: must be a JSON {'object' if kind is dict else 'list'}")
    return value
