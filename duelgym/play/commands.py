"""``duelgym play``: a person duels in the terminal."""

from __future__ import annotations

import argparse
import io
import json
import secrets
import shutil
import sys
from typing import TYPE_CHECKING

from duelgym.errors import SpecificationError

if TYPE_CHECKING:
    from duelgym.envs.problems import Problem


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``play`` to a command line."""
    text = "ask a hidden rater about pairs of responses yourself, and see your score beside passive's"
    parser = subparsers.add_parser(
        "play", help=text, description=f"{text[0].upper()}{text[1:]}.", epilog="example: duelgym play LLMDuel-v0"
    )
    parser.add_argument("id", nargs="?", default="LLMDuel-v0", metavar="ID", help="environment (default %(default)s)")
    parser.add_argument("--pool", metavar="DIR", help="the pool, for ids that need one")
    parser.add_argument("--queries", type=int, default=10, metavar="T", help="labels to ask for (default %(default)s)")
    parser.add_argument("--candidates", type=int, default=4, metavar="N", help="responses shown (default %(default)s)")
    parser.add_argument("--finals", type=int, default=5, metavar="K", help="prompts to choose on (default %(default)s)")
    parser.add_argument("--seed", type=int, help="plays the same game again (default: a new one)")
    parser.add_argument("--env-kwargs", default="{}", metavar="JSON", help="further arguments of the environment")
    parser.set_defaults(run=run_play)


def run_play(arguments: argparse.Namespace) -> None:
    """Play one game."""
    from duelgym.play.game import Game

    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot write or show becomes a question mark
            stream.reconfigure(errors="replace")
    seed = secrets.randbits(31) if arguments.seed is None else arguments.seed
    if seed < 0:
        raise SpecificationError(f"seed is {seed}; it must be a whole number from 0")
    game = Game(
        _problem(arguments),
        seed=seed,
        queries=arguments.queries,
        finals=arguments.finals,
        ask=input,
        show=print,
        width=min(100, shutil.get_terminal_size().columns),
    )
    game.play()
    print(f"The same game again: --seed {seed}")


def _problem(arguments: argparse.Namespace) -> Problem:
    """Return the problem of the environment that was named."""
    from duelgym.envs.problems import build_problem
    from duelgym.envs.registration import IDS

    try:
        kwargs = json.loads(arguments.env_kwargs)
    except ValueError as error:
        raise SpecificationError(f"--env-kwargs: not valid JSON ({error})") from None
    if not isinstance(kwargs, dict):
        raise SpecificationError(f"--env-kwargs is {arguments.env_kwargs}; it must be a JSON object")
    if arguments.id not in IDS:
        raise SpecificationError(f"no environment is called {arguments.id!r}; known: {', '.join(IDS)}")
    if arguments.pool is not None:
        kwargs["pool"] = arguments.pool
    return build_problem(IDS[arguments.id], {"n_candidates": arguments.candidates, **kwargs})
