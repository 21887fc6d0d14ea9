"""``python -m duelgym_agents.policies.train``: train a policy, write it, and say how it compares."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from duelgym.checks import whole_number
from duelgym.errors import DuelgymError, SpecificationError, one_line
from duelgym_agents.policies.files import load_policy
from duelgym_agents.policies.recipe import Recipe, compare

_PROGRAM = "python -m duelgym_agents.policies.train"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 (refused, with the reason in one line), 2 (usage) or 130 (interrupted)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = vars(_parser().parse_args(given))
    try:
        _train(**options, command=f"{_PROGRAM} {shlex.join(given)}")
    except (DuelgymError, OSError) as error:
        print(f"{_PROGRAM}: error: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{_PROGRAM}: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Train a policy to choose pairs from a belief: PPO over many hidden raters of SyntheticDuel-v0. Its reward "
        "is what each label adds to the win rate of the recommended candidate.",
        epilog=f"example: {_PROGRAM} --out my-policy.safetensors --timesteps 262144 --seed 1; then the agent is "
        "sb3:my-policy.safetensors",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="safetensors file to write")
    parser.add_argument(
        "--timesteps", type=int, default=Recipe.timesteps, metavar="T", help="queries in all (default %(default)s)"
    )
    parser.add_argument(
        "--n-candidates", type=int, default=Recipe.n_candidates, metavar="N", help="of a prompt (default %(default)s)"
    )
    parser.add_argument(
        "--utility",
        default=Recipe.utility,
        metavar="U",
        help="of the hidden raters, as the environment's (default %(default)s)",
    )
    parser.add_argument(
        "--budget", type=int, default=Recipe.budget, metavar="Q", help="queries of a rater (default %(default)s)"
    )
    parser.add_argument("--gamma", type=float, default=Recipe.gamma, help="above 0, at most 1 (default %(default)s)")
    parser.add_argument(
        "--width", type=int, default=Recipe.width, metavar="W", help="of the policy's layers (default %(default)s)"
    )
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=Recipe.learning_rate,
        metavar="R",
        help="at the start (default %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=Recipe.seed, metavar="S", help="of everything drawn (default %(default)s)"
    )
    parser.add_argument(
        "--raters", type=int, default=32, metavar="K", help="hidden raters of the final table (default %(default)s)"
    )
    return parser


def _train(*, out: Path, raters: int, command: str, **settings: float | str) -> None:
    try:
        from duelgym_agents.policies.ppo import train
        from duelgym_agents.policies.stable_baselines import save_policy
    except ImportError:
        raise SpecificationError("training needs Stable-Baselines3: pip install 'duelgym-agents[sb3]'") from None
    torch.set_num_threads(1)  # of small networks: more threads are slower, and round otherwise
    recipe = Recipe(**settings)  # type: ignore[arg-type]
    whole_number("raters", raters)
    if out.is_dir() or not out.parent.is_dir():
        raise SpecificationError(f"--out is {out}; it must be a file in a directory that is there")
    begun = time.monotonic()
    save_policy(out, train(recipe), {"command": command, "recipe": asdict(recipe)})
    print(f"{out}: trained in {time.monotonic() - begun:.0f} s\n")
    print(f"Win rate of the recommended candidate, mean of {raters} hidden raters not met in training:\n")
    print(f"{'pairs by':<10}{'no label':>10}{f'mean of {recipe.budget}':>14}{f'after {recipe.budget}':>14}")
    for name, (before, mean, after) in compare(recipe, load_policy(str(out)), n_raters=raters).items():
        print(f"{name:<10}{before:>10.3f}{mean:>14.3f}{after:>14.3f}")


if __name__ == "__main__":
    sys.exit(main())
