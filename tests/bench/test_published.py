"""The published curves beside our own: numbers by hand, and what cannot be compared is refused."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def published(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import published

    return published


def agent(name, at_2000, at_40000):
    wins = [0.4, at_2000, at_40000]
    return {"agent": name, "win": {"value": wins, "low": [w - 0.01 for w in wins], "high": [w + 0.02 for w in wins]}}


@pytest.fixture
def directory(tmp_path):
    summary = {
        "checkpoints": [0, 2000, 40000],
        "n_seeds": 3,
        "n_prompts": 50,
        "agents": [agent("ee2024-passive", 0.5, 0.5), agent("ee2024-infomax", 0.5, 0.6)],
        "ratios": {"ee2024-infomax": {"final": {"median": [3.0, 3.0], "low": 1.5, "high": None}}},
    }
    results = {"baseline": "ee2024-passive", "summary": summary}
    (tmp_path / "results.json").write_text(json.dumps(results))
    return tmp_path


def run(published, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["published.py", *map(str, arguments)])
    return published.main()


def test_values_between_checkpoints_are_linear_in_log_labels(published, monkeypatch, directory, capsys):
    figure = directory / "figure.svg"
    assert run(published, monkeypatch, directory, "--figure", figure) == 0
    rows = {line.split("|")[1].strip(): line for line in capsys.readouterr().out.splitlines() if line.startswith("|")}
    own, theirs = rows["ee2024-infomax"].split("|"), rows["ee2024-infomax, published"].split("|")
    # log(5 000 / 2 000) / log(40 000 / 2 000) = .3059 of the way from .5 to .6.
    assert [own[k].strip() for k in (2, 3)] == [r".500 \[.490 .520\]", r".531 \[.521 .551\]"]
    assert own[8].strip() == r"3.00 \[1.50 n.r.\]"
    assert [theirs[k].strip() for k in (2, 7, 8)] == [".608", ".657", "7.2"]  # 28 900 / 4 000
    assert figure.read_bytes().startswith(b"<?xml") and b"#ffffff" in figure.read_bytes()


def test_fewer_labels_than_were_published_are_refused_not_made_up(published, monkeypatch, directory, capsys):
    file, whole = directory / "results.json", (directory / "results.json").read_text()
    for ends, words in (("2000, 38999", "from 2000 to 38999 labels"), ("2001, 40000", "from 2001 to 40000 labels")):
        file.write_text(whole.replace("2000, 40000", ends))
        with pytest.raises(SystemExit, match="2"):
            run(published, monkeypatch, directory)
        captured = capsys.readouterr()
        assert words in captured.err and not captured.out


def test_a_directory_without_a_report_is_refused(published, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(published, monkeypatch, tmp_path)
    assert "run 'duelgym-bench report' first" in capsys.readouterr().err
