"""Requests to a server: time-outs, retries, a limit on how many run at once."""

from __future__ import annotations

import concurrent.futures
import datetime
import email.utils
import functools
import hashlib
import http.client
import json
import math
import os
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from duelgym.checks import positive_number, whole_number
from duelgym.endpoints.checks import base_url
from duelgym.errors import EndpointError, SpecificationError

LONGEST_WAIT = 120.0
"""Seconds beyond which a server's Retry-After is an error rather than a wait."""

LARGEST_ANSWER = 64 * 2**20
"""Bytes beyond which an answer is refused."""

REFUSALS = frozenset({400, 404, 405, 422, 501})
"""Statuses by which servers say that they do not offer what was asked for."""

_LONGEST_BACKOFF = 30.0
_RETRIED = {408, 429}
_CURES = {
    401: "; api_key_env names the environment variable that holds the server's key",
    403: "; api_key_env names the environment variable that holds the server's key",
    404: "; check the url (what stands before /v1) and the model's name",
}

T = TypeVar("T")


class UnusableAnswer(Exception):  # noqa: N818
    """An answer lacks what is needed; its message completes "the server answered …"."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects would carry the key to another host, so they are errors."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask an OpenAI-compatible server.

    Args:
        url: what stands before ``/v1``, such as ``http://127.0.0.1:8000``; a trailing ``/v1`` may stay.
        timeout: seconds for one whole answer.
        retries: how often a request is repeated after a connection error, a time-out, or a status 408, 429 or 5xx.
        backoff: seconds before the first repetition, doubled for each further one up to 30, times a jitter in
            [0.5, 1]; a ``Retry-After`` of up to 120 s is waited for where it is longer.
        concurrency: how many requests run at once.
        api_key_env: name of the environment variable that holds the key; it is read for every request and kept nowhere.

    Raises:
        SpecificationError: if an argument is out of its range, or the url holds a password, query or fragment.
    """

    url: str
    timeout: float = 60.0
    retries: int = 4
    backoff: float = 0.5
    concurrency: int = 8
    api_key_env: str | None = None

    def __post_init__(self) -> None:
        base_url(self.url)
        positive_number("timeout", self.timeout, most=86_400.0)
        positive_number("backoff", self.backoff, most=LONGEST_WAIT)
        whole_number("retries", self.retries, 0)
        whole_number("concurrency", self.concurrency)
        if self.api_key_env is not None and (not isinstance(self.api_key_env, str) or not self.api_key_env):
            raise SpecificationError(f"api_key_env is {self.api_key_env!r}; give the name of an environment variable")

    def settings(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return asdict(self)

    def address(self, route: str) -> str:
        """Return the full address of a route such as ``/v1/chat/completions``."""
        return self.url.rstrip("/").removesuffix("/v1") + route

    def post(
        self, route: str, body: Mapping[str, object], read: Callable[[Any], T], stop: threading.Event | None = None
    ) -> T:
        """Send a JSON body and return what ``read`` makes of the JSON answer.

        The jitter comes from the hash of the body, so it is as random as the seed that the body carries.

        Args:
            route: such as ``/v1/chat/completions``.
            body: plain JSON.
            read: takes the parsed answer; raises UnusableAnswer where it lacks what is needed.
            stop: set when nobody waits for the answer any more; ends a wait between repetitions.

        Raises:
            EndpointError: if no usable answer came; names the address and the last thing that went wrong.
        """
        where = f"POST {self.address(route)}"
        sent = json.dumps(body).encode()
        jitter = np.random.default_rng(list(hashlib.sha256(sent).digest()))
        key = self._key()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.address(route), data=sent, headers=headers, method="POST")
        for attempt in range(self.retries + 1):
            failure, status, wait = "", None, None
            try:
                data = self._send(request)
            except urllib.error.HTTPError as error:
                status, wait = error.code, _retry_after(error.headers.get("Retry-After"))
                failure = f"answered {status} {_excerpt(_read_some(error), key)}{_CURES.get(status, '')}"
                if status in REFUSALS or (status not in _RETRIED and status < 500):
                    raise EndpointError(f"{where} {failure}", status=status) from None
            except (OSError, http.client.HTTPException) as error:
                failure = self._connection_failure(error, key)
            else:
                return _use(data, read, where, key)
            if wait is not None and wait > LONGEST_WAIT:
                raise EndpointError(f"{where} {failure}; it asks to wait {wait:.0f} s: try later", status=status)
            if attempt < self.retries:
                delay = min(self.backoff * 2.0**attempt, _LONGEST_BACKOFF) * jitter.uniform(0.5, 1.0)
                if (stop or threading.Event()).wait(max(delay, wait or 0.0)):
                    break
        raise EndpointError(f"{where} {failure} (attempt {attempt + 1} of {self.retries + 1})", status=status)

    def _send(self, request: urllib.request.Request) -> bytes:
        deadline = time.monotonic() + self.timeout
        with _opener().open(request, timeout=self.timeout) as response:
            parts, size = [], 0
            # The socket's time-out starts anew with every byte, so a trickle needs a deadline of its own.
            while part := response.read1(1 << 16):
                parts.append(part)
                size += len(part)
                if time.monotonic() > deadline:
                    raise TimeoutError
                if size > LARGEST_ANSWER:
                    raise EndpointError(f"POST {request.full_url} answered more than {LARGEST_ANSWER >> 20} MiB")
            missing = response.length
        if missing:
            raise http.client.IncompleteRead(b"", missing)
        return b"".join(parts)

    def _connection_failure(self, error: Exception, key: str | None) -> str:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return f"gave no whole answer within timeout={self.timeout:g} s; raise it or lower concurrency"
        what = _excerpt((str(reason) or type(reason).__name__).encode(), key)
        return f"failed: {what}; is the server running there?"

    def _key(self) -> str | None:
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise EndpointError(
                f"environment variable {self.api_key_env} (named by api_key_env) is unset, empty or no key; export it first"
            )
        return key


def run_all(jobs: Sequence[Callable[[threading.Event], T]], names: Sequence[str], concurrency: int) -> list[T]:
    """Run jobs in threads and return their results in order; the first failure ends all and is raised with its name.

    Args:
        jobs: each is called with an event that is set once nobody waits for it any more.
        names: of each job, such as ``"prompt 3"``.
        concurrency: how many run at once.

    Raises:
        EndpointError: of a job that failed, its message preceded by the job's name.
    """
    stop = threading.Event()
    executor = concurrent.futures.ThreadPoolExecutor(concurrency)
    try:
        futures = [executor.submit(job, stop) for job in jobs]
        concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
        for name, future in zip(names, futures, strict=True):
            error = future.exception() if future.done() else None
            if isinstance(error, EndpointError):
                raise EndpointError(f"{name}: {error}", status=error.status) from None
            if error is not None:
                raise error
        return [future.result() for future in futures]
    finally:
        stop.set()
        # Requests under way end by themselves within their time-out; waiting for them would delay the error.
        executor.shutdown(wait=False, cancel_futures=True)


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    # Reading the system's certificates takes longer than a short answer: once is enough.
    https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    return urllib.request.build_opener(_NoRedirects, https)


def _use(data: bytes, read: Callable[[Any], T], where: str, key: str | None) -> T:
    try:
        return read(json.loads(data))
    except UnusableAnswer as error:
        raise EndpointError(f"{where} answered {error}: {_excerpt(data, key)}") from None
    except (ValueError, RecursionError):
        raise EndpointError(
            f"{where} answered something that is not JSON: {_excerpt(data, key)}; is it an OpenAI-compatible server?"
        ) from None


def _retry_after(value: str | None) -> float | None:
    """Return seconds to wait: the header holds them, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date - datetime.datetime.now(date.tzinfo)).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _read_some(error: urllib.error.HTTPError) -> bytes:
    with error:
        try:
            return error.read(1 << 12)
        except (OSError, http.client.HTTPException):
            return b""


def _excerpt(data: bytes, key: str | None) -> str:
    text = " ".join(data[: 1 << 12].decode(errors="replace").split())
    if key is not None:
        text = text.replace(key, "[key]")
    return repr(text[:80])
