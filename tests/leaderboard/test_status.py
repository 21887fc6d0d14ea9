"""What a submission's status is, from a check to a closed round's board, and the list of those replayed."""

from dataclasses import replace

import pytest
from leaderboard_home import ROUND, refused

from duelgym_bench.leaderboard.board import Board, Estimate, Row
from duelgym_bench.leaderboard.check import check
from duelgym_bench.leaderboard.records import write_record
from duelgym_bench.leaderboard.status import record_replayed, status_of


def test_statuses(home):
    checked = check(home.submission, home.root)
    assert status_of(checked, home.root) == "reported"
    record_replayed(checked, home.root)
    first = (home.root / "replayed.json").read_text()
    record_replayed(checked, home.root)
    assert status_of(checked, home.root) == "replayed" and (home.root / "replayed.json").read_text() == first
    assert status_of(replace(checked, sha256="0" * 64), home.root) == "reported"

    closed = replace(checked, round=replace(ROUND, closed="2026-06-30"))
    (home.root / "rounds" / ROUND.name).mkdir()
    for rank, (name, sha256, status) in enumerate(
        [
            (checked.submission.name, checked.sha256, "verified"),
            (checked.submission.name, "0" * 64, "replayed"),
            ("other-lab--taste--20260301", checked.sha256, "replayed"),
        ],
        start=1,
    ):
        write_record(home.root / "rounds" / ROUND.name / "board.json", board_of(name, sha256, rank))
        assert status_of(closed, home.root) == status
        assert status_of(checked, home.root) == "replayed"


@pytest.mark.parametrize("text", ["[]", "{", '{"a": "b"}', '{"example-lab--taste--20260301": "b"}', '{"../x": 1}'])
def test_a_damaged_list_of_replayed_submissions_is_refused(home, text):
    checked = check(home.submission, home.root)
    (home.root / "replayed.json").write_text(text)
    (failure,) = refused(record_replayed, checked, home.root)[:1]
    assert failure.where.startswith("replayed.json") and (home.root / "replayed.json").read_text() == text


def board_of(name, sha256, rank):
    row = Row(
        name=name,
        track="embedding",
        kind="entry",
        submission=sha256,
        rank=rank,
        area=Estimate(value=0.5, low=0.4, high=0.6),
        drop=None,
        seconds_per_query=0.1,
        above_trivial=True,
        profile=(1.0,),
        on={},
    )
    return Board(
        schema=1,
        round=ROUND.name,
        checkpoints=(0,),
        baseline="passive",
        thresholds=(0.0,),
        rows=(row,),
        improvement=((0.5,),),
        versions={},
    )
