"""Hostile submissions, 200 and more: each is refused with a reason, nothing else is raised, and nothing is written."""

import gzip
import io
import json
import os
import socket
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from leaderboard_home import ROUND, edit_log, lines_of, refused

from duelgym_bench.leaderboard.folder import LARGEST_FILE
from duelgym_bench.leaderboard.replay import replay

SYNTHETIC, LLM = ROUND.ids
TRIES = 10
FREE = {"contact", "licence", "about", "cpu", "accelerator", "settings", "pretrained", "compute"}
"""Fields in which people may write much of what is tried here."""
JUNK = [
    None,
    True,
    -1,
    1.5,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "<script>alert(1)</script>",
    "../../../etc/passwd",
    "/etc/passwd",
    "a\0b",
    "\ud800",
    "\u202egnp.exe",
    "x" * 100_000,
    [],
    [[]] * 3,
    {"__class__": "os.system"},
]


def snapshot(folder):
    """Return everything below a folder with what would tell that it was touched."""
    return {
        path: (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
        for path in [folder, *sorted(folder.rglob("*"))]
        for status in [path.lstat()]
    }


def pick(rng, options):
    return options[rng.integers(len(options))]


def a_log(home, rng):
    return home.log(pick(rng, ROUND.ids), int(rng.integers(2)), int(rng.integers(2)))


def a_file(home, rng):
    return pick(rng, [path for path in sorted(home.submission.rglob("*")) if path.is_file()])


def a_place(fields, rng):
    """Return a random container in submission.json, and a key of it that is not free text."""
    places = []

    def walk(value):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in FREE:
                places.append((value, key))
                if isinstance(inner, (dict, list)):
                    walk(inner)

    walk(fields)
    return pick(rng, places)


def flipped_bytes(home, rng):
    path = a_file(home, rng)
    data = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(len(data))] ^= int(rng.integers(1, 256))
    path.write_bytes(data)
    if path.name == "submission.json" and b"contact" in data and rng.random() < 0.5:
        path.write_bytes(data + b"x")


def cut_files(home, rng):
    path = pick(rng, [home.submission / "submission.json", a_log(home, rng)])
    path.write_bytes(path.read_bytes()[: -int(rng.integers(1, path.stat().st_size + 1))])
    if path.name != "submission.json":
        home.hash_again()


def junk_in_the_record(home, rng):
    def change(fields):
        container, key = a_place(fields, rng)
        junk = pick(rng, [each for each in JUNK if each != container[key]])
        container[key] = junk

    home.edit(change)


def fields_removed_and_added(home, rng):
    def change(fields):
        container, key = a_place(fields, rng)
        if rng.random() < 0.5:
            del container[key]
        elif isinstance(container, dict):
            container[pick(rng, ["__proto__", "x", "\ud800", "<b>", "", "a" * 5000])] = container[key]
        else:
            container.append(container[key])

    home.edit(change)


def other_json(home, rng):
    path = home.submission / "submission.json"
    text = path.read_text()
    path.write_bytes(
        pick(
            rng,
            [
                b"",
                b"null",
                b"[" * 200_000,
                b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
                b'{"schema":' + b"9" * 5000 + b"}",
                b'{"schema":1e999}',
                b'{"schema":NaN}',
                text.replace("{", '{"team": "example-lab",', 1).encode(),
                text.encode("utf-16"),
                b"\xef\xbb\xbf" + text.encode(),
                b"\xff\xfe\xfa" + text.encode(),
                text.encode() + b"\0",
                text.encode() + b" " * (1 << 20),
                b"{" + b",".join(b'"%d":1' % number for number in range(20_000)) + b"}",
            ],
        )
    )


def script_team(home, rng):
    name = pick(rng, ["<script>", "a--b", "-a", "A", "ä", "a b", "..", "a/b", "con\n", "\N{LATIN SMALL LETTER LONG S}"])
    home.edit(lambda fields: fields.update({pick(rng, ["team", "agent", "round"]): name}))


def paths_in_the_record(home, rng):
    name = pick(
        rng, ["../up.py", "/etc/passwd", "a/../b.py", "a//b.py", ".x.py", "a\\b.py", "a\0.py", "ä.py", "-rf/" * 9]
    )

    def change(fields):
        if rng.random() < 0.5:
            fields["code"][name] = "0" * 64
        else:
            fields["runs"][name] = fields["runs"].pop(LLM)

    home.edit(change)


def odd_names(home, rng):
    name = pick(
        rng,
        [
            *(
                b"\xff\xfe.py",
                "ä.py".encode(),
                "\u202eyp.x".encode(),
                b"a b.py",
                b"-rf.py",
                b"new\nline.py",
                b".py",
                b"a",
            ),
            *(b"a.PY", b"a.py.exe", b"a.so", b"a.pyc", b"a.sh", b"<script>.py", b"x" * 240 + b".exe", b"\x1b[2J.py"),
        ],
    )
    folder = os.fsencode(pick(rng, [home.submission, home.submission / "agent", home.submission / "runs"]))
    with open(os.path.join(folder, name), "wb"):  # noqa: PTH118, PTH123 (names that are no text)
        pass


def directories(home, rng):
    name = pick(
        rng,
        [
            "agent/.git",
            "runs/x/y/z",
            "runs/../x",
            "runs/LLMDuel-v0/\N{ARABIC-INDIC DIGIT ZERO}00",
            "agent/" + "a/" * 20,
            "tests",
            "runs/ä",
        ],
    )
    (home.submission / name).mkdir(parents=True)
    (home.submission / "agent" / "x.so").touch()


def links(home, rng):
    target = pick(
        rng, ["/etc/passwd", "/etc", "/proc/self/mem", "/dev/zero", ".", "..", "nowhere", str(home.code), "self.py"]
    )
    place = pick(rng, ["agent/self.py", "agent/dir", "runs/link", "link", "agent", "runs", "submission.json", "a log"])
    path = a_log(home, rng) if place == "a log" else home.submission / place
    if path.exists():
        path.rename(home.root / "moved")
    path.symlink_to(target)


def special_files(home, rng):
    path = pick(rng, [home.submission / "submission.json", home.log(), home.submission / "agent" / "x.py"])
    path.unlink(missing_ok=True)
    if rng.random() < 0.5:
        os.mkfifo(path)
    else:
        here = os.getcwd()  # noqa: PTH109
        os.chdir(path.parent)  # a socket's path has at most 108 bytes
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(here)


def archives(home, rng):
    held = io.BytesIO()
    if rng.random() < 0.5:
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("../../evil.py", "x")
    else:
        with tarfile.open(fileobj=held, mode="w:gz") as archive:
            archive.add(home.code, arcname="/etc/evil")
    name = pick(rng, ["a.zip", "a.tar.gz", "a.whl", "a.py", "a.txt", "LICENSE"])
    (home.submission / "agent" / name).write_bytes(held.getvalue())
    home.edit(lambda fields: fields["code"].update({name: "0" * 64}))
    home.hash_again()


def sparse_gigabyte(home, rng):
    path = pick(
        rng, [home.submission / "submission.json", a_log(home, rng), home.submission / "agent" / "a.safetensors"]
    )
    with path.open("ab") as file:
        file.truncate(pick(rng, [1_000_000_000, LARGEST_FILE + 1]))


def gzip_bombs(home, rng):
    squeezer = zlib.compressobj(wbits=31)
    zeros = pick(rng, [b"0", b"\n", b" ", b"["]) * (1 << 20)
    start, block = (squeezer.compress(zeros) + squeezer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    a_log(home, rng).write_bytes(start + block * (5_000_000 // len(block)))
    home.hash_again()


def many_members(home, rng):
    member = gzip.compress(pick(rng, [b"", b"\n", b"{}\n", b"[]\n", b"x"]), mtime=0)
    path = a_log(home, rng)
    path.write_bytes(pick(rng, [b"", path.read_bytes()]) + member * int(rng.integers(1, 2000)))
    home.hash_again()


def spoiled_lines(home, rng):
    def change(lines):
        number = int(rng.integers(len(lines)))
        line = lines[number]
        lines[number] = pick(
            rng,
            [
                "",
                "\n",
                line * 2,
                line[:-1] + " \n",
                line.replace("}", ',"note":"hello"}'),
                line.replace(":", ":-", 1),
                line.replace(":", ":1e3,", 1),
                line.replace(":0", ":NaN"),
                line.replace('"', "'"),
                "[" * 50_000 + "\n",
                '{"t":' * 20_000 + "\n",
                '{"t":' + "9" * 10_000 + "}\n",
                "null\n",
                '"\\ud800"\n',
                "\u2028" + line,
                line + "\0\n",
            ],
        )
        if lines[number] == line:
            del lines[number]

    edit_log(a_log(home, rng), change)
    home.hash_again()


def spoiled_values(home, rng):
    def change(lines):
        number = int(rng.integers(len(lines)))
        record = json.loads(lines[number])
        record.pop("versions", None)  # which may be anybody's
        key = pick(rng, list(record))
        record[key] = pick(rng, [junk for junk in JUNK if junk != record[key] and junk != "\ud800"])
        lines[number] = json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n"

    edit_log(a_log(home, rng), change)
    home.hash_again()


def swapped_lines(home, rng):
    def change(lines):
        first, second = rng.choice(len(lines), 2, replace=False)
        lines[first], lines[second] = lines[second], lines[first]

    edit_log(a_log(home, rng), change)
    home.hash_again()


def forged_answers(home, rng):
    def change(lines):
        number = int(rng.integers(1, len(lines)))
        record = json.loads(lines[number])
        name = pick(rng, ["prompt", "pair", "candidates", "preference"])
        record[name] = record[name][::-1] if isinstance(record[name], list) else 1 - record[name]
        lines[number] = json.dumps(record, separators=(",", ":")) + "\n"

    path = home.log(SYNTHETIC)
    before = lines_of(path)
    edit_log(path, change)
    assert lines_of(path) != before
    home.hash_again()


def flipped_characters(home, rng):
    def change(lines):
        number = int(rng.integers(2, len(lines)))  # whom an agent recommends before it asks counts for nothing
        place = int(rng.integers(len(lines[number]) - 1))
        other = pick(rng, [each for each in '0123456789,:[]{}" e.-' if each != lines[number][place]])
        lines[number] = lines[number][:place] + other + lines[number][place + 1 :]

    edit_log(home.log(SYNTHETIC, 0, int(rng.integers(2))), change)
    home.hash_again()


def bytes_that_are_no_text(home, rng):
    a_log(home, rng).write_bytes(
        gzip.compress(pick(rng, [b"\xff\xfe\n", b"\xed\xa0\x80\n", b"\0" * 100 + b"\n", b"x"]))
    )
    home.hash_again()


def logs_of_another_seed(home, rng):
    env = pick(rng, ROUND.ids)
    which = int(rng.integers(2))
    first = int(rng.integers(2))
    home.log(env, first, which).write_bytes(home.log(env, 1 - first, which).read_bytes())
    home.hash_again()


KINDS = [
    value for value in list(globals().values()) if getattr(value, "__code__", None) and value.__module__ == __name__
]
KINDS = [
    kind for kind in KINDS if kind.__code__.co_varnames[:2] == ("home", "rng") and not kind.__name__.startswith("a_")
]


def test_there_are_200():
    assert len(KINDS) * TRIES >= 200


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_hostile_submissions_are_refused(made, made_long, tmp_path, kind):
    for number in range(TRIES):
        home = (made_long if kind in (forged_answers, flipped_characters) else made).copy(tmp_path / str(number))
        kind(home, np.random.default_rng([number, *kind.__name__.encode()]))
        before = snapshot(tmp_path)
        failures = refused(replay, home.submission, home.root, jobs=1)
        assert all(len(str(failure)) < 1500 for failure in failures)
        assert snapshot(tmp_path) == before


def test_too_many_files_are_refused(home, monkeypatch):
    monkeypatch.setattr("duelgym_bench.leaderboard.folder.MOST_FILES", 100)
    (home.submission / "agent" / "many").mkdir()
    for number in range(100):
        (home.submission / "agent" / "many" / f"f{number}.py").touch()
    failures = refused(replay, home.submission, home.root, jobs=1)
    assert [failure.what for failure in failures] == ["holds more than 100 files or 500000000 bytes"]
    monkeypatch.setattr("duelgym_bench.leaderboard.folder.LARGEST_FOLDER", 1000)
    failures = refused(replay, home.submission, home.root, jobs=1)
    assert [failure.what for failure in failures] == ["holds more than 100 files or 1000 bytes"]


def test_reasons_are_counted_beyond_fifty(home):
    for number in range(60):
        (home.submission / "agent" / f"f{number:02d}.so").touch()
    failures = refused(replay, home.submission, home.root, jobs=1)
    assert len(failures) == 51 and failures[0].where == "agent/f00.so" and failures[-1].what == "10 more"
