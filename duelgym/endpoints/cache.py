"""Answers kept on disk, so that the same request is never paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from duelgym.errors import EndpointError


@dataclass(frozen=True)
class AnswerCache:
    """A directory of JSON files, each named by the sha256 of its request; threads and processes may share it.

    Args:
        directory: made when the first answer is kept.
    """

    directory: Path

    def get(self, request: Mapping[str, object]) -> float | None:
        """Return the probability kept for a request (plain JSON), or None where there is none.

        Raises:
            EndpointError: if the file cannot be read, is damaged or belongs to another request.
        """
        path = self._path(request)
        try:
            kept = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (IsADirectoryError, ValueError, RecursionError):
            raise _damaged(path) from None
        except OSError as error:
            raise EndpointError(f"{path} cannot be read ({error.strerror}); give another cache directory") from None
        value = kept.get("probability") if isinstance(kept, dict) else None
        if not isinstance(value, float) or not 0 <= value <= 1 or kept.get("request") != request:
            raise _damaged(path)
        return value

    def put(self, request: Mapping[str, object], probability: float) -> None:
        """Keep an answer; the file appears whole or not at all.

        Raises:
            EndpointError: if it cannot be written.
        """
        path = self._path(request)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("w", encoding="utf-8") as file:
                    file.write(json.dumps({"request": request, "probability": probability}, sort_keys=True))
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise EndpointError(f"{path} cannot be written ({error.strerror}); give another cache directory") from None

    def _path(self, request: Mapping[str, object]) -> Path:
        canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
        return self.directory / f"{hashlib.sha256(canonical.encode()).hexdigest()}.json"


def _damaged(path: Path) -> EndpointError:
    return EndpointError(f"{path} is damaged; remove it, and it will be asked for again")
