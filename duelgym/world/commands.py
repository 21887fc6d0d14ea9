"""``duelgym world …``: the recipes of the embedded models, and samples to look at."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from duelgym.assets import TEMPERATURE, TOP_P
from duelgym.errors import SpecificationError
from duelgym.generators.reading import POOLINGS

_Subparsers = argparse._SubParsersAction


def add_parser(subparsers: _Subparsers[argparse.ArgumentParser]) -> None:
    """Add ``world`` to a command line."""
    text = "rebuild the embedded world: its prompts, models, features and raters"
    world = subparsers.add_parser("world", help=text, description=text)
    actions = world.add_subparsers(metavar="ACTION", required=True)
    _add_prompts(actions)
    _add_samples(actions)
    _add_projection(actions)
    _add_raters(actions)
    _add_report(actions)
    _add_recipe(actions, "language-model", 6500, run_language_model)
    reward = _add_recipe(actions, "reward-model", 3500, run_reward_model)
    reward.add_argument(
        "--base",
        required=True,
        metavar="DIR",
        help="the language model to begin from, of another seed than the one that answers",
    )


def _add_prompts(actions: _Subparsers[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "prompts",
        help="draw instructions that no embedded model was trained on",
        epilog="example: duelgym world prompts --n 1625 --seed 8 --out prompts.txt",
    )
    parser.add_argument("--n", type=int, default=1625, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=8, help="of the draw (default %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="text file, one prompt a line")
    parser.set_defaults(run=run_prompts)


def _add_samples(actions: _Subparsers[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "samples",
        help="print unselected answers of a language model with the rubric's marks, as Markdown",
        epilog="example: duelgym world samples --n 20 --temperature 0.5",
    )
    parser.add_argument("--model", default=None, metavar="DIR", help="a model directory (default: the embedded one)")
    parser.add_argument("--n", type=int, default=20, help="how many prompts, one answer each (default %(default)s)")
    parser.add_argument("--temperature", type=float, default=TEMPERATURE, help="of sampling (default %(default)s)")
    parser.add_argument("--top-p", type=float, default=TOP_P, help="of sampling (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of prompts and answers (default %(default)s)")
    parser.set_defaults(run=run_samples)


def _add_projection(actions: _Subparsers[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "projection",
        help="fit the projection from a language model's hidden states to the features that agents see",
        epilog="example: duelgym world projection --model language-model --out projection.safetensors",
    )
    parser.add_argument("--model", required=True, metavar="DIR", help="a model directory")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="safetensors file")
    parser.add_argument("--dim", type=int, default=64, help="features (default %(default)s)")
    parser.add_argument("--pooling", choices=POOLINGS, default="last", help="of hidden states (default %(default)s)")
    parser.add_argument("--seed", type=int, default=11, help="of prompts and answers (default %(default)s)")
    parser.set_defaults(run=run_projection)


def _add_raters(actions: _Subparsers[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "raters",
        help="document the population of raters, on the scale of a small pool recorded beforehand",
        epilog="example: duelgym world raters pilot --out raters.json",
    )
    parser.add_argument("pilot", metavar="DIR", help="a pool of the embedded world, recorded like the one to come")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON file for 'duelgym pool record'")
    parser.add_argument(
        "--liked-scale",
        type=float,
        default=0.4,
        help="weight of what all raters like beside that in which they differ (default %(default)s)",
    )
    parser.set_defaults(run=run_raters)


def _add_report(actions: _Subparsers[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "report",
        help="how often a recorded pool meets each criterion, how its reward model agrees with the rubric, and its raters",
        epilog="example: duelgym world report DIR",
    )
    parser.add_argument("pool", metavar="DIR", help="a pool of the embedded world")
    parser.set_defaults(run=run_report)


def _add_recipe(
    actions: _Subparsers[argparse.ArgumentParser], name: str, steps: int, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=f"train the embedded {name.replace('-', ' ')} from the project's own material",
        epilog=f"example: duelgym world {name} --out {name}" + (" --base base" if name == "reward-model" else ""),
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="model directory in transformers format")
    parser.add_argument("--steps", type=int, default=steps, help="batches (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of material, weights and order (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default %(default)s)")
    parser.set_defaults(run=run)
    return parser


def run_prompts(arguments: argparse.Namespace) -> None:
    """Write prompts.

    Raises:
        SpecificationError: if their number is not positive.
    """
    import numpy as np

    from duelgym.pools.files import write_whole
    from duelgym.world.corpus import draw_prompts

    if arguments.n < 1:
        raise SpecificationError(f"--n is {arguments.n}; it must be at least 1")
    prompts = draw_prompts(arguments.n, np.random.default_rng(arguments.seed))
    write_whole(arguments.out, "".join(f"{prompt}\n" for prompt in prompts).encode())
    print(f"{arguments.out}: {len(prompts)} prompts")


def run_language_model(arguments: argparse.Namespace) -> None:
    """Train the language model and report its held-out loss."""
    from duelgym.world.language_model import train_language_model

    _recipe(
        arguments,
        lambda: train_language_model(
            arguments.out, steps=arguments.steps, seed=arguments.seed, threads=arguments.threads
        ),
    )


def run_reward_model(arguments: argparse.Namespace) -> None:
    """Train the reward model and report what it was trained with."""
    from duelgym.world.reward_model import train_reward_model

    _recipe(
        arguments,
        lambda: train_reward_model(
            arguments.base,
            arguments.out,
            steps=arguments.steps,
            seed=arguments.seed,
            threads=arguments.threads,
        ),
    )


def run_projection(arguments: argparse.Namespace) -> None:
    """Fit the projection."""
    from duelgym.generators.language_model import LanguageModel
    from duelgym.world.projection import fit_projection

    model = LanguageModel(arguments.model, revision=None, device="cpu", dtype="float32")
    projection = fit_projection(model, dim=arguments.dim, pooling=arguments.pooling, seed=arguments.seed)
    projection.save(arguments.out)
    print(f"{arguments.out}: {projection.hidden_dim} hidden units to {projection.embedding_dim} features")


def run_raters(arguments: argparse.Namespace) -> None:
    """Write the population."""
    from duelgym.pools import CandidatePool
    from duelgym.pools.files import write_whole
    from duelgym.world.raters import population

    raters = population(CandidatePool.open(arguments.pilot), liked_scale=arguments.liked_scale)
    write_whole(arguments.out, (json.dumps(raters.specification(), indent=1) + "\n").encode())
    print(f"{arguments.out}: {len(raters.names)} attributes")


def run_report(arguments: argparse.Namespace) -> None:
    """Print the tables."""
    from duelgym.pools import CandidatePool
    from duelgym.world.report import report

    print(report(CandidatePool.open(arguments.pool)))


def run_samples(arguments: argparse.Namespace) -> None:
    """Print samples."""
    from duelgym.world.samples import samples

    print(
        samples(
            arguments.model,
            n=arguments.n,
            temperature=arguments.temperature,
            top_p=arguments.top_p,
            seed=arguments.seed,
        )
    )


def _recipe(arguments: argparse.Namespace, train: Callable[[], dict[str, object]]) -> None:
    from duelgym.pools.files import write_whole

    if arguments.steps < 1:
        raise SpecificationError(f"--steps is {arguments.steps}; it must be at least 1")
    begun = time.monotonic()
    report = train()
    report |= {"steps": arguments.steps, "seed": arguments.seed, "minutes": round((time.monotonic() - begun) / 60, 1)}
    write_whole(arguments.out / "training.json", (json.dumps(report, indent=1) + "\n").encode())
    print(json.dumps(report))
