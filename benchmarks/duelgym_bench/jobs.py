"""``--jobs``, which most commands have."""

from __future__ import annotations

import argparse
import os

from duelgym.errors import SpecificationError


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add ``--jobs``."""
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )


def check_jobs(options: argparse.Namespace) -> None:
    """Check the number that was given, if the command takes one.

    Raises:
        SpecificationError: if it is not positive.
    """
    if getattr(options, "jobs", 1) < 1:
        raise SpecificationError(f"--jobs is {options.jobs}; it must be at least 1")
