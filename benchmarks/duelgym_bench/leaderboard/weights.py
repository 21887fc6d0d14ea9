"""Pretrained weights that lie outside a submission: which file belongs to which, as their hashes say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from duelgym_bench.files import sha256_of
from duelgym_bench.leaderboard.failures import Failure, refuse
from duelgym_bench.leaderboard.records import SUBMISSION, Submission


def weights_of(submissions: Sequence[Submission], given: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """Return name of a submission -> the files that it names by hash, which its agent alone may read.

    Args:
        submissions: those whose agents are to run.
        given: files; what lies in a submission's own ``agent/`` need not be among them.

    Raises:
        RefusedError: if one is no file, or is named by no submission; or if a submission names weights that are not there.
    """
    alone = "give every file by itself, with its own hash in the submission"
    refuse([Failure(str(path), "is no file", alone) for path in given if not path.is_file()])
    hashes = {path: sha256_of(path) for path in given}
    named = {one.name: {each.sha256 for each in one.pretrained} for one in submissions}
    failures = [
        Failure(str(path), f"has sha256 {found}, which no submission that runs names in pretrained", "leave it out")
        for path, found in hashes.items()
        if not any(found in names for names in named.values())
    ]
    for one in submissions:
        there = {*hashes.values(), *one.code.values()}
        failures += [
            Failure(
                f"{one.name}/{SUBMISSION}, field pretrained",
                f"names {each.name} with sha256 {each.sha256}, which was not given",
                "give that file with --readable, or leave the submission out",
            )
            for each in one.pretrained
            if each.sha256 not in there
        ]
    refuse(failures)
    return {name: tuple(path for path, found in hashes.items() if found in names) for name, names in named.items()}
