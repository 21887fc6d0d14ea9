"""The leaderboard's page: every figure of its files, nothing else, and nothing of what strangers write as markup."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html import escape
from html.parser import HTMLParser

import pytest
from made_up_board import (
    CHECKPOINTS,
    ENTRIES,
    HASH,
    HOSTILE,
    LIMITS,
    TRIVIAL,
    ZERO_QUERY,
    round_record,
    write_leaderboard,
)

from duelgym_bench.leaderboard.board import Board
from duelgym_bench.leaderboard.decisions import Decision, read_decisions
from duelgym_bench.leaderboard.failures import RefusedError
from duelgym_bench.leaderboard.records import read_record
from duelgym_bench.leaderboard.site import write_site
from duelgym_bench.leaderboard.site_files import read_leaderboard
from duelgym_bench.leaderboard.site_pictures import sheet
from duelgym_bench.leaderboard.site_table import ranking, row_names
from duelgym_bench.table import decimals

NEWEST = "rounds/2026-q3/board.json"
REPLAYED = "submissions/solo--curious-passive--20261009/submission.json"
SOLO = "submissions/solo--passive-plus--20260901/submission.json"


class Page(HTMLParser):
    """Tags with their attributes, the texts of tables' cells by table and row, and what scripts and styles hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.tables, self.inside, self._cell = [], {}, {}, None
        self._open, self._rows = None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        if tag == "table":
            self._rows = self.tables.setdefault(given.get("id", given["class"]), [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
            self._cell = True
        elif tag in ("script", "style"):
            self._open = "readouts" if given.get("id") else tag

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False
        elif tag in ("script", "style"):
            self._open = None

    def handle_data(self, data):
        if self._open:
            self.inside[self._open] = self.inside.get(self._open, "") + data
        elif self._cell:
            self._rows[-1][-1] += data


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A leaderboard with its page."""
    made = write_leaderboard(tmp_path_factory.mktemp("leaderboard"))
    write_site(made)
    return made


@pytest.fixture(scope="module")
def text(root):
    return (root / "site" / "index.html").read_text()


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture
def copy(root, tmp_path):
    """A copy of the leaderboard, to damage."""
    return shutil.copytree(root, tmp_path / "leaderboard")


def said(estimate, *, signed=False):
    return f"{decimals(estimate.value, signed=signed)} [{decimals(estimate.low)} {decimals(estimate.high)}]"


def edit(path, change):
    """Change a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_page_is_equal_to_the_byte_on_another_day_and_with_another_hash_seed(copy, text):
    (copy / "site" / "index.html").unlink()
    code = (
        "import sys, time; time.time = lambda: 4e9\nfrom pathlib import Path\n"
        "from duelgym_bench.leaderboard.site import write_site\nprint(write_site(Path(sys.argv[1])))"
    )
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    given = [sys.executable, "-c", code, str(copy)]
    done = subprocess.run(
        given, capture_output=True, text=True, env=os.environ | {"PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(copy / "site" / "index.html")
    assert (copy / "site" / "index.html").read_text() == text


def test_the_ranking_has_every_figure_of_the_board(root, page):
    board = read_record(root / NEWEST, Board)
    rows = [cells for cells in page.tables["ranking-2026-q3"][2:] if len(cells) > 1]
    assert len(rows) == len(board.rows) == len(ENTRIES) + len(TRIVIAL) + len(ZERO_QUERY) + len(LIMITS)
    for cells, row in zip(rows, board.rows, strict=True):
        rank, name, area, *figures = cells
        assert rank == (str(row.rank) if row.rank else "")
        assert area == said(row.area)
        for on in row.on.values():
            of_area, win_rate, labels, *figures = figures
            assert (of_area, win_rate, labels) == (said(on.area), said(on.win_rate), on.labels or "-")
        drop, seconds, files = figures
        if row.kind == "entry":
            team, agent, _ = row.name.split("--")
            assert name.startswith(f"{agent} {team} 2026-09-01verified")
            assert ("not shown to beat trivial" in name) == (row.above_trivial is False) == (team == "late-night-labs")
            assert (drop, files) == (said(row.drop, signed=True), "submission logs")
        else:
            assert (name, drop, files) == (row.name, "-", "-")
        assert seconds == ("-" if row.seconds_per_query is None else "0.7 s" if row.area.value > 0.7 else "3.1 ms")
    assert [cells[0] for cells in rows[:6]] == ["1", "1", "3", "3", "5", "6"]
    apart = [cells[0] for cells in page.tables["ranking-2026-q3"] if len(cells) == 1]
    assert ["trivial" in apart[0], "limits" in apart[1]] == [True, True] and len(apart) == 2


def test_all_ordered_pairs_are_shown_and_counted(root, page, text):
    board = read_record(root / NEWEST, Board)
    rows = page.tables["pairs"][1:7]
    for k, cells in enumerate(rows):
        assert cells[0].startswith(f"#{k + 1} {ENTRIES[k][1]} (")
        assert cells[1:] == ["-" if j == k else decimals(board.improvement[k][j]) for j in range(6)]
    assert "all 30 ordered pairs of 6 entries in round 2026-q3" in text


def test_pictures_have_every_checkpoint_and_every_profile(root, page):
    board = read_record(root / NEWEST, Board)
    llm, synthetic, profile, *older = json.loads(page.inside["readouts"])
    asked = [row for row in board.rows if row.profile]
    assert len(asked) == 10 and len(older) == 2
    for picture, env in ((llm, "LLMDuel-v0"), (synthetic, "SyntheticDuel-v0")):
        assert picture["at"] == [f"{n:,} labels".replace(",", " ") for n in CHECKPOINTS]
        texts = [curve["text"] for curve in picture["curves"].values()]
        assert texts == [[said(point) for point in row.on[env].curve] for row in asked]
    texts = [curve["text"] for curve in profile["curves"].values()]
    assert texts == [[decimals(share) for share in row.profile] for row in asked]
    assert set(older[0]["curves"]).isdisjoint(llm["curves"])


def test_captions_say_seeds_intervals_and_round(text):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert len(captions) == 5
    for caption, of in zip(captions, ["2026-q3"] * 3 + ["2026-q2"] * 2, strict=True):
        assert caption.startswith(f"Round {of}: 20 seeds") and "intervals" in caption


def test_submissions_have_their_status_and_claims(page):
    rows = {cells[0].split(" 2026")[0]: cells for cells in reversed(page.tables["submissions-table"][2:])}
    assert len(page.tables["submissions-table"][2:]) == 10
    assert rows["curious-passive solo"][1:8] == [
        "replayed",
        "2026-q4",
        ".590",
        ".756",
        ".590",
        ".756",
        "21 ms 8 cores, x86-64; accelerator: none",
    ]
    assert rows["texts-alone example-lab"][1:7] == ["reported", "2026-q4", ".620", ".770", "-", "-"]
    assert rows["double-ts-epinet example-lab"][1] == "verified"
    assert f"starts from org/encoder at {'4' * 40}" in rows["pair-entropy example-lab"][8]


def test_an_edited_submission_is_no_longer_replayed(copy):
    path = copy / REPLAYED
    assert read_leaderboard(copy).submissions[path.parent.name].status == "replayed"
    path.write_text(path.read_text() + "\n")
    assert read_leaderboard(copy).submissions[path.parent.name].status == "reported"


def test_open_and_closed_rounds_say_what_binds_them(text, page):
    opened, closed = round_record("2026-q4", "2026-10-01", None), round_record("2026-q3", "2026-07-01", "2026-09-30")
    assert text.index('id="ranking"') < text.index('id="open-2026-q4"') < text.index('id="round-2026-q2"')
    for shown in (opened.salt_sha256, closed.salt, closed.salt_sha256, HASH[::-1]):
        assert shown in text
    assert hashlib.sha256(b"2026-q4").hexdigest() not in text, "the open round's salt is a secret"
    for env in opened.ids:
        assert f"--env {env} --agents my_agent:make_agent --queries 3200 --batch-size 32 --seeds 20" in text
    assert "duelgym-bench site" in text and "&quot;numpy&quot;: &quot;2.3.4&quot;" in text
    assert ("details", {"class": "round", "id": "round-2026-q2"}) in page.tags


def test_nothing_that_strangers_write_is_markup(text, page):
    assert HOSTILE not in text and "<script>alert" not in text and "<b>six" not in text
    assert text.count(escape(HOSTILE)) == 2 and "&lt;b&gt;six&lt;/b&gt;" in text
    links = [given["href"] for tag, given in page.tags if tag == "a"]
    assert len(links) > 30 and all(re.fullmatch(r"#[a-z0-9-]+|\.\./[A-Za-z0-9./-]+", link) for link in links)
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids)) and {link[1:] for link in links if link[0] == "#"} <= set(ids)
    names = {name for _, given in page.tags for name in given}
    assert not {name for name in names if name.startswith("on") or name in ("style", "srcdoc", "action", "src")}


def test_only_this_style_sheet_and_this_script_may_be_used(page):
    (policy,) = (given["content"] for tag, given in page.tags if given.get("http-equiv"))
    hashes = [
        base64.b64encode(hashlib.sha256(page.inside[tag].encode()).digest()).decode() for tag in ("script", "style")
    ]
    script, style = (f"'sha256-{each}'" for each in hashes)
    assert policy == f"default-src 'none'; script-src {script}; style-src {style}; img-src data:"


def test_a_leaderboard_without_closed_rounds_says_so(copy):
    for folder in ("submissions", "rounds/2026-q2", "rounds/2026-q3"):
        shutil.rmtree(copy / folder)
    for name in ("rounds/2026-q2.json", "rounds/2026-q3.json", "replayed.json"):
        (copy / name).unlink()
    shown = write_site(copy).read_text()
    assert "No round has closed yet" in shown and "Round 2026-q4 is open" in shown and "<table" not in shown


def _rename(root):
    (root / SOLO).parent.rename(root / "submissions" / "solo--other--20260901")


def _add_open_board(root):
    (root / "rounds" / "2026-q4").mkdir()
    shutil.copy(root / NEWEST, root / "rounds" / "2026-q4")


def _touch(root, name, content=""):
    (root / name).write_text(content)


def _board(change):
    return lambda root: edit(root / NEWEST, change)


def _round(**fields):
    return lambda root: edit(root / "rounds" / "2026-q3.json", lambda content: content.update(fields))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda root: _touch(root, SOLO, "{"), "passive-plus--20260901/submission.json: is not the JSON"),
        (lambda root: edit(root / SOLO, lambda content: content.update(rank=1)), "field rank: is no field"),
        (
            lambda root: edit(root / SOLO, lambda content: content.update(about="x")),
            "submission.json: has changed since it was ranked",
        ),
        (
            lambda root: edit(root / REPLAYED, lambda content: content.update(round="none")),
            "field round: is none, of which",
        ),
        (lambda root: (root / SOLO).unlink(), "passive-plus--20260901/submission.json: cannot be read"),
        (lambda root: shutil.rmtree((root / SOLO).parent), "lack solo--passive-plus--20260901, which has been ranked"),
        (_rename, "solo--other--20260901: is the submission solo--passive-plus"),
        (lambda root: _touch(root, "submissions/notes.txt"), "submissions/notes.txt/submission.json: cannot be read"),
        (lambda root: _touch(root, "replayed.json", '{"a": "b"}'), "replayed.json, field a: "),
        (lambda root: _touch(root, "replayed.json", json.dumps({"a": HASH})), "replayed.json, field a.[key]: "),
        (
            lambda root: _touch(root, "replayed.json", json.dumps({"nobody--at-all--20260901": HASH})),
            "lack nobody--at-all--20260901, which",
        ),
        (lambda root: (root / NEWEST).unlink(), "rounds/2026-q3/board.json: cannot be read"),
        (_add_open_board, "rounds/2026-q4/board.json: ranks a round that is open"),
        (_board(lambda board: board.update(round="2026-q2")), "board.json: is the board of 2026-q2"),
        (_board(lambda board: board["rows"].append(board["rows"][-1])), "has a row twice"),
        (_board(lambda board: board["rows"].reverse()), "in another order"),
        (_board(lambda board: board["improvement"].pop()), "has no improvement for each pair of its 6 entries"),
        (_board(lambda board: board["rows"][0].update(rank=None)), "of kind entry that lacks a rank"),
        (_board(lambda board: board["rows"][-1].update(rank=1)), "of kind limit that has a rank"),
        (_board(lambda board: board["rows"][0].update(on={})), "on no environment"),
        (
            _board(lambda board: board["rows"][0]["on"]["LLMDuel-v0"]["curve"].pop()),
            "curve does not fit the checkpoints",
        ),
        (_board(lambda board: board["rows"][0]["profile"].pop()), "profile does not fit the thresholds"),
        (_board(lambda board: board["rows"][0]["area"].update(value="high")), "field rows.0.area.value: "),
        (_round(salt=None), "has only one of closed and salt"),
        (_round(salt="0" * 64), "reveals a salt of another hash"),
        (_round(name="2026-q9"), "2026-q3.json: is the round 2026-q9"),
        (
            lambda root: _touch(root, "decisions.md", "# Decisions\n\nmore\n- 2026-02-30: x\n"),
            "decisions.md, line 3: is 'more'",
        ),
        (lambda root: (root / "decisions.md").unlink(), "decisions.md: cannot be read"),
    ],
)
def test_damaged_files_are_named_and_nothing_is_written(copy, damage, reason):
    before = (copy / "site" / "index.html").stat().st_mtime_ns
    damage(copy)
    with pytest.raises(RefusedError) as refused:
        write_site(copy)
    assert reason in str(refused.value) and all("\n" not in str(each) for each in refused.value.failures)
    assert (copy / "site" / "index.html").stat().st_mtime_ns == before


def test_all_that_is_damaged_is_told_at_once(copy):
    _touch(copy, SOLO, "{")
    _touch(copy, "decisions.md", "- 2026-01-01 no colon\n- 2026-13-01: no month\n")
    with pytest.raises(RefusedError) as refused:
        read_leaderboard(copy)
    assert [each.where for each in refused.value.failures] == [SOLO, "decisions.md, line 1", "decisions.md, line 2"]


def test_decisions_are_shown_newest_first(tmp_path):
    path = tmp_path / "decisions.md"
    path.write_text("# Decisions\n\n- 2026-01-02: b\n- 2026-01-03: c: d\n- 2026-01-02: a\n")
    assert read_decisions(path) == (
        Decision("2026-01-03", "c: d"),
        Decision("2026-01-02", "b"),
        Decision("2026-01-02", "a"),
    )


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="is no folder"):
        write_site(tmp_path / "none")


def test_an_entry_may_lack_an_environment(copy):
    def lack(board):
        del board["rows"][0]["on"]["SyntheticDuel-v0"]

    edit(copy / NEWEST, lack)
    shown = read_leaderboard(copy)
    board = shown.closed[0].board
    names = row_names(board, shown.submissions)
    table = ranking(shown.closed[0], shown.submissions, names, sheet(board, names, 0))
    first, second = Page(table).tables["ranking-2026-q3"][2:4]
    assert first[6:9] == ["-", "-", "-"] and "-" not in second[6:9]
