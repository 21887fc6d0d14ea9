"""The files of the leaderboard as dataclasses, from which their JSON schema is made, and strict reading of such files."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from duelgym_bench.files import write_atomically
from duelgym_bench.leaderboard.failures import Failure, RefusedError, capped

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SUBMISSION = "submission.json"
LARGEST_RECORD = 1 << 20
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _calendar_day(text: str) -> str:
    """Refuse what no calendar has.

    Raises:
        ValueError: saying so.
    """
    datetime.date.fromisoformat(text)
    return text


_DAY = r"^20\d\d-\d\d-\d\d$"
_SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_SHA256 = r"^[0-9a-f]{64}$"
_LINE = r"^[^\p{C}\p{Zl}\p{Zp}]*$"
_FACTORY = r"^([A-Za-z0-9_+.-]+|[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*)$"
_CODE_PATH = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}$"
_IN_WORDS = {
    _DAY: "a day, as YYYY-MM-DD",
    _SLUG: "lower-case letters and digits, with single hyphens between them",
    _SHA256: "64 hexadecimal digits, in lower case",
    _LINE: "one line of text, without control characters",
    _FACTORY: "a name in the registry, rule+reward_model, or module:factory",
    _CODE_PATH: "a path of at most eight names of letters, digits, '.', '_' and '-'",
}

Date = Annotated[str, Field(pattern=_DAY), AfterValidator(_calendar_day)]
Slug = Annotated[str, Field(pattern=_SLUG, max_length=64)]
Sha256 = Annotated[str, Field(pattern=_SHA256)]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=_LINE)]
Version = Annotated[int, Field(ge=1, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Share = Annotated[float, Field(ge=-1000.0, le=1000.0)]
Factory = Annotated[str, Field(pattern=_FACTORY, max_length=200)]
CodePath = Annotated[str, Field(pattern=_CODE_PATH)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Pretrained:
    """Weights that an agent starts from, named by hash."""

    name: Line
    revision: Line
    sha256: Sha256


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Compute:
    """What the runs were made on, as reported.

    Attributes:
        cpu: processor.
        accelerator: ``"none"``, or which.
        seconds_per_query: selecting and learning, the mean over all runs.
    """

    cpu: Line
    accelerator: Line
    seconds_per_query: Annotated[float, Field(ge=0.0, le=1e6)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RunFiles:
    """The sha256 of the logs of one seed."""

    queries: Sha256
    recommendations: Sha256


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Claims:
    """What the logs are said to show; recomputed, and refused where it differs by more than 1e-9.

    Attributes:
        area: mean over seeds of the area under win rate against log labels, 0 = a win rate of .5, 1 = the oracle's.
        win_rate: mean over seeds of the win rate after the last label, in [0, 1].
    """

    area: Share
    win_rate: Annotated[float, Field(ge=0.0, le=1.0)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EnvironmentRuns:
    """The runs on the public seeds of one environment, seed index 0 first."""

    pool_sha256: Sha256 | None
    claims: Claims
    files: Annotated[tuple[RunFiles, ...], Field(min_length=1, max_length=1000)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Submission:
    """``submission.json``: who, what, how, and what it is said to show.

    Attributes:
        schema: version of this format.
        team: part of the folder's name, as are agent and date.
        agent: likewise.
        date: of the submission, YYYY-MM-DD.
        contact: an address or a page.
        licence: of the agent's code, such as ``"MIT"``.
        about: the agent in a sentence.
        round: name of the round.
        factory: name in the registry, or ``module:factory`` with the module in ``agent/``.
        settings: replace the factory's defaults.
        repeats: whether the same code on the same seed gives the same pairs to the bit (agents of numpy), or only statistically.
        duelgym: version that made the runs.
        pretrained: weights that the agent starts from.
        compute: what the runs were made on.
        code: file in ``agent/`` -> sha256.
        runs: environment id -> its runs.
    """

    schema: Version
    team: Slug
    agent: Slug
    date: Date
    contact: Line
    licence: Line
    about: Line
    round: Slug
    factory: Factory
    settings: dict[Line, JsonValue]
    repeats: Literal["bitwise", "statistically"]
    duelgym: Line
    pretrained: tuple[Pretrained, ...]
    compute: Compute
    code: Annotated[dict[CodePath, Sha256], Field(max_length=200)]
    runs: Annotated[dict[Line, EnvironmentRuns], Field(min_length=1, max_length=16)]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.team}--{self.agent}--{self.date.replace('-', '')}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RoundPool:
    """The candidates that no agent could have seen.

    Attributes:
        sha256: of the pool's manifest, which holds that of every other file.
        prompts: how many.
        candidates: responses to each.
    """

    sha256: Sha256
    prompts: Count
    candidates: Count


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Round:
    """``rounds/NAME.json``: on what agents are compared, fixed before the first of them runs.

    Attributes:
        schema: version of this format.
        name: of the round.
        opened: YYYY-MM-DD.
        closed: likewise; None while it is open.
        ids: environments of the public runs; ranked runs are on the same, with seeds from the salt, and on the round's
            pool in place of a public one.
        queries: budget of every run.
        batch: queries between updates.
        seeds: seed indices, from 0, of public and of ranked runs alike.
        salt_sha256: of the salt, as hexadecimal digits.
        salt: the secret from which prompts, raters and seeds come, 64 hexadecimal digits; None while the round is open.
        pool: of ``LLMDuel-v0``.
        duelgym: version that the round is bound to.
    """

    schema: Version
    name: Slug
    opened: Date
    closed: Date | None
    ids: Annotated[tuple[Literal["LLMDuel-v0", "SyntheticDuel-v0"], ...], Field(min_length=1)]
    queries: Count
    batch: Count
    seeds: Count
    salt_sha256: Sha256
    salt: Sha256 | None
    pool: RoundPool
    duelgym: Line


Record = TypeVar("Record")


def schema(record: type[object]) -> str:
    """Return the JSON schema of a record, as the file that ``leaderboard/`` holds."""
    return json.dumps(TypeAdapter(record).json_schema(), indent=1) + "\n"


def write_record(path: Path, record: DataclassInstance) -> None:
    """Write a record, atomically."""
    write_atomically(path, json.dumps(asdict(record), indent=1, allow_nan=False) + "\n")


def read_record(path: Path, record: type[Record]) -> Record:
    """Read a record as it stands: an unknown, missing, doubled or ill-typed field is refused.

    Raises:
        RefusedError: naming the fields that are not what they must be.
    """
    where = path.name
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST_RECORD else None
    except OSError as error:
        raise RefusedError(Failure(where, f"cannot be read ({error.strerror})", "add the file")) from None
    if data is None:
        raise RefusedError(
            Failure(where, f"has more than {LARGEST_RECORD} bytes", "a record holds no runs: shorten it")
        )
    try:
        text = data.decode()
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
        text = json.dumps(content, ensure_ascii=False)
        text.encode()  # refuses lone surrogates
    except (ValueError, RecursionError) as error:
        reason = "it nests too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())[:200]
        raise RefusedError(
            Failure(where, f"is not the JSON it must be ({reason})", "write plain JSON in UTF-8")
        ) from None
    try:
        # From text, since JSON knows neither tuples nor dates: what is strict there is as strict as JSON can be.
        made: Record = TypeAdapter(record).validate_json(text)
    except ValidationError as error:
        raise refused_fields(where, record, error) from None
    return made


def refused_fields(where: str, record: type[object], error: ValidationError) -> RefusedError:
    """Return a record's fields that are not what they must be, as a refusal."""
    schema = getattr(record, "__name__", "").lower()
    return RefusedError(*capped([_failure(where, schema, dict(each)) for each in error.errors(include_url=False)]))


def salt_hash(salt: str) -> str:
    """Return what a round publishes of its salt when it opens."""
    return hashlib.sha256(salt.encode()).hexdigest()


def today() -> str:
    """Return the date as records have it."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, value in pairs:
        if name in record:
            raise ValueError(f"field {name!r} twice")
        record[name] = value
    return record


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _failure(where: str, schema: str, error: Mapping[str, Any]) -> Failure:
    field = ".".join(str(part)[:80] for part in error["loc"])
    kind = error["type"]
    given = (
        ""
        if kind in ("missing", "unexpected_keyword_argument")
        else f" (given: {json.dumps(error['input'], default=str)[:80]})"
    )
    words = _IN_WORDS.get(error.get("ctx", {}).get("pattern", ""))
    said = f"must be {words}" if words else str(error["msg"])[:200]
    what = {
        "missing": "is missing",
        "unexpected_keyword_argument": "is no field of this format",
    }.get(kind, f"{said}{given}")
    cure = "remove it" if kind == "unexpected_keyword_argument" else f"see {schema}.schema.json"
    return Failure(f"{where}, field {field}" if field else where, what, cure)
