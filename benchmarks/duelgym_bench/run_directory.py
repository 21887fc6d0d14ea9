"""The files of one run, and whether it is finished."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from duelgym.errors import LogError
from duelgym.rounds import read_members
from duelgym_bench.files import sha256_of, write_atomically

SCHEMA = 1


@dataclass(frozen=True)
class RunDirectory:
    """One agent on one seed: where its logs lie."""

    path: Path

    @property
    def queries(self) -> Path:
        """The log of every query, written by the environment's side."""
        return self.path / "queries.jsonl.gz"

    @property
    def recommendations(self) -> Path:
        """Per checkpoint, the chosen candidate of every assessment prompt."""
        return self.path / "recommendations.jsonl.gz"

    @property
    def common(self) -> Path:
        """The same for the common learner, fitted to the first logged labels."""
        return self.path / "common_learner.jsonl.gz"

    @property
    def timings(self) -> Path:
        """Wall times, memory and what agents report of themselves: shown, never ranked or compared."""
        return self.path / "timings.jsonl"

    @property
    def state(self) -> Path:
        """The agent's arrays at the last checkpoint of an unfinished run."""
        return self.path / "state.safetensors"

    @property
    def done(self) -> Path:
        """Written last, with the hashes of the logs."""
        return self.path / "done.json"

    def logs(self, *, tuning: bool) -> tuple[Path, ...]:
        """Return the files that a finished run has; a run for tuning has no common learner's."""
        return (self.queries, self.recommendations, *(() if tuning else (self.common,)))

    def finish(self, *, tuning: bool) -> None:
        """Mark the run as finished and drop what only resuming needs, and what a kill left half written."""
        for torn in self.path.glob(".*.tmp"):
            torn.unlink()
        hashes = {path.name: sha256_of(path) for path in self.logs(tuning=tuning)}
        write_atomically(self.done, json.dumps(hashes, indent=1) + "\n")
        self.state.unlink(missing_ok=True)

    def finished(self) -> bool:
        """Return whether the run is finished; its logs are checked by :meth:`verify`."""
        return self.done.exists()

    def verify(self, *, tuning: bool) -> None:
        """Check the logs against the hashes that were written when the run finished.

        Raises:
            LogError: naming a file that is missing or changed.
        """
        try:
            hashes = json.loads(self.done.read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise LogError(
                f"{self.done}: cannot be read ({error}); repeat the command that made it to finish the run"
            ) from None
        for path in self.logs(tuning=tuning):
            if not path.exists():
                raise LogError(f"{path}: missing; delete {self.path} and repeat the command that made it")
            if hashes.get(path.name) != sha256_of(path):
                raise LogError(
                    f"{path}: changed since the run finished (sha256 differs); delete {self.path} and repeat the command that made it"
                )


@dataclass(frozen=True)
class Recommendations:
    """What an agent would deploy: prompt identifiers, and per checkpoint the chosen candidate of each."""

    prompt_ids: tuple[int, ...]
    chosen: dict[int, tuple[int, ...]]


def recommendation_header(prompt_ids: list[int]) -> str:
    """Return the first line of a recommendation log."""
    return json.dumps({"schema": SCHEMA, "prompts": prompt_ids}, separators=(",", ":")) + "\n"


def recommendation_line(t: int, candidate_ids: list[int]) -> str:
    """Return the line of one checkpoint."""
    return json.dumps({"t": t, "candidates": candidate_ids}, separators=(",", ":")) + "\n"


def read_recommendations(path: Path) -> Recommendations:
    """Read a recommendation log.

    Raises:
        LogError: naming the line that is not what it must be.
    """
    lines = "".join(read_members(path).texts).splitlines()
    number = 0
    try:
        schema, prompts = _whole_numbers(json.loads(lines[0]), "schema", "prompts")
        if schema != SCHEMA:
            raise LogError(f"{path}, line 1: schema {schema}; this version reads schema {SCHEMA}")
        chosen: dict[int, tuple[int, ...]] = {}
        for number, line in enumerate(lines[1:], start=1):
            t, candidates = _whole_numbers(json.loads(line), "t", "candidates")
            if len(candidates) != len(prompts) or t in chosen:
                raise LogError(f"{path}, line {number + 1}: a checkpoint twice, or not one candidate for every prompt")
            chosen[t] = candidates
    except LogError:
        raise
    except (LookupError, TypeError, ValueError, RecursionError):
        raise LogError(f"{path}, line {number + 1}: not a line of recommendations") from None
    return Recommendations(prompts, chosen)


def _whole_numbers(record: object, name: str, other: str) -> tuple[int, tuple[int, ...]]:
    """Return the one whole number and the several that a line consists of; ``int`` would round, and read strings.

    Raises:
        TypeError: if they are not that, or not all that the line consists of.
    """
    if not isinstance(record, dict) or set(record) != {name, other} or not isinstance(record[other], list):
        raise TypeError
    if any(type(value) is not int or abs(value) >= 2**63 for value in (record[name], *record[other])):
        raise TypeError
    return record[name], tuple(record[other])
