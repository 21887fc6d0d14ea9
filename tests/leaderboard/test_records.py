"""The leaderboard's own files: schemas that say what the dataclasses say, records that are read strictly, a page that is up to date."""

import json
from pathlib import Path

import pytest
from leaderboard_home import ROUND

from duelgym_bench.leaderboard.board import Board
from duelgym_bench.leaderboard.check import check
from duelgym_bench.leaderboard.failures import RefusedError
from duelgym_bench.leaderboard.records import Round, Submission, read_record, schema, write_record
from duelgym_bench.leaderboard.site import PAGE, site
from duelgym_bench.leaderboard.site_files import read_leaderboard

LEADERBOARD = Path(__file__).parent.parent.parent / "leaderboard"


@pytest.mark.parametrize(("name", "record"), [("submission", Submission), ("round", Round), ("board", Board)])
def test_schemas_are_those_of_the_dataclasses(name, record):
    written = (LEADERBOARD / f"{name}.schema.json").read_text()
    assert written == schema(record)
    assert json.loads(written)["additionalProperties"] is False


def test_the_page_is_that_of_the_files():
    assert site(read_leaderboard(LEADERBOARD)) == (LEADERBOARD / PAGE).read_text(encoding="utf-8")


def test_a_submission_of_the_first_round_passes_its_check():
    folder = LEADERBOARD / "submissions" / "readme--ten-lines--20261122"
    assert check(folder, LEADERBOARD).submission.repeats == "bitwise"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"name": 1, "name": 2}', "field 'name' twice"),
        ("[1]", "Input should be an object"),
        ("﻿{}", "not the JSON it must be"),
        ('{"queries": 1e999}', "too large"),
        ('{"queries": NaN}', "NaN is no number"),
        ("[" * 100_000, "nests too deeply"),
        ('{"queries": ' + "9" * 5000 + "}", "4300 digits"),
        ('{"name": "\\ud800"}', "surrogates not allowed"),
    ],
)
def test_what_is_no_plain_json_is_refused(tmp_path, text, says):
    (tmp_path / "round.json").write_text(text)
    with pytest.raises(RefusedError, match="round.json") as refused:
        read_record(tmp_path / "round.json", Round)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("schema", True, "valid integer"),
        ("opened", "2026-02-31", "day is out of range"),
        ("name", "A b", "must be lower-case letters and digits"),
        ("name", "a--b", "with single hyphens between them"),
        ("duelgym", "0\u202e1", "must be one line of text"),
        ("queries", "1600", "valid integer"),
        ("queries", 0, "greater than or equal to 1"),
        ("ids", ["AlpacaEvalDuel-v0"], "'LLMDuel-v0' or 'SyntheticDuel-v0'"),
        ("salt", "ab", "must be 64 hexadecimal digits"),
        ("more", 1, "is no field of this format; remove it"),
        ("seeds", None, "valid integer"),
    ],
)
def test_a_field_that_is_not_what_it_must_be_is_named(tmp_path, field, value, says):
    path = tmp_path / "round.json"
    write_record(path, ROUND)
    assert read_record(path, Round) == ROUND
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(RefusedError) as refused:
        read_record(path, Round)
    failure = refused.value.failures[0]
    assert failure.where.startswith(f"round.json, field {field}") and says in str(failure)
