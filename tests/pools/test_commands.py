"""The command line: what it prints, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from duelgym import cli
from duelgym.cli import main
from duelgym.metrics.calibration import favourite_rate, single_utility
from duelgym.pools import CandidatePool, write_pool


def test_info_prints_every_figure(shared_pool: CandidatePool, capsys) -> None:
    assert main(["pool", "info", str(shared_pool.path)]) == 0
    printed = capsys.readouterr()
    for expected in (
        shared_pool.sha256,
        "40 x 6 candidates",
        "tied pairs  0.00%",
        "oracle",
        "longest response",
        "fold 4",
    ):
        assert expected in printed.out
    assert "win rate against the house answer" in printed.out
    assert printed.err == ""


def test_info_as_json(shared_pool: CandidatePool, capsys) -> None:
    assert main(["pool", "info", str(shared_pool.path), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    temperatures = [column["temperature"] for column in figures["by_temperature"]]
    assert temperatures == [shared_pool.temperature * factor for factor in (0.5, 1, 2)]
    utilities = single_utility(shared_pool.utilities(np.arange(40)))
    for column in figures["by_temperature"]:
        assert column["favourite_rate"] == favourite_rate(utilities, temperature=column["temperature"])
        assert column["against_sample"]["oracle"] > column["against_sample"]["uniform"] == pytest.approx(0.5)
    assert figures["by_temperature"][1]["favourite_rate"] == pytest.approx(0.7, abs=1e-5)
    assert figures["splits"]["tune"] == len(shared_pool.split("tune"))


def made_pool(path: Path, **changes) -> CandidatePool:
    rng = np.random.default_rng(0)
    return write_pool(
        path,
        **{
            "name": "odd",
            "prompts": [str(row) for row in range(20)],
            "candidate_names": ["a", "b", "c", "d"],
            "texts": [["x"] * 4] * 20,
            "prompt_embeddings": rng.standard_normal((20, 9)),
            "candidate_embeddings": rng.standard_normal((20, 4, 2)),
            "utilities": rng.standard_normal((20, 4)),
            **changes,
        },
    )


def test_info_warns_of_ties_and_of_prompts_too_much_alike(tmp_path: Path, capsys) -> None:
    utilities = np.random.default_rng(0).standard_normal((20, 4))
    utilities[:, 1] = utilities[:, 0]
    pool = made_pool(tmp_path / "pool", utilities=utilities, prompt_embeddings=np.ones((20, 3)))
    assert main(["pool", "info", str(pool.path)]) == 0
    warnings = capsys.readouterr().err.splitlines()
    assert [line[:8] for line in warnings] == ["warning:", "warning:"]
    assert "16.7% of all pairs are exactly tied" in warnings[0]
    assert "20 of 20 prompts hang together" in warnings[1]


def test_info_of_a_pool_with_several_attributes(tmp_path: Path, capsys) -> None:
    utilities = np.zeros((20, 4, 2))
    utilities[:, :, 0] = np.arange(4)  # the same within every prompt: mean 1.5, variance 1.25, no ties
    utilities[:10, :, 1] = 2  # the same for all responses of a prompt
    texts = [["x", "x", "", "four"]] * 20
    pool = made_pool(
        tmp_path / "pool",
        utilities=utilities,
        attributes=("brief", "kind"),
        texts=texts,
        generator={"name": "babbler"},
        n_tokens=np.tile([1, -1, 0, 2], (20, 1)),
        finished=np.tile([True, True, True, False], (20, 1)),
    )
    assert main(["pool", "info", str(pool.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("  brief", "  kind"))] == [
        ["brief", "1.500", "0.000", "1.118", "0.00%"],
        ["kind", "1.000", "1.000", "0.000", "100.00%"],
    ]
    assert (
        "responses   2 characters on average, 1.0 tokens, 25.0% cut at the length limit, 25.0% empty, "
        "25.0% repeat another of their prompt"
    ) in lines
    assert 'generator   {"name": "babbler"}' in lines
    assert main(["pool", "info", str(pool.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by_attribute"][1]["between_prompts"] == 1.0


def test_verify(shared_pool: CandidatePool, tmp_path: Path, capsys) -> None:
    assert main(["pool", "verify", str(shared_pool.path)]) == 0
    assert capsys.readouterr().out.startswith("ok ")
    pool = made_pool(tmp_path / "pool")
    (pool.path / "texts.jsonl.gz").write_bytes(b"")
    assert main(["pool", "verify", str(pool.path)]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("duelgym: error: ")
    assert "texts.jsonl.gz" in complaint
    assert complaint.count("\n") == 1


def test_wrong_usage_ends_with_2(capsys) -> None:
    for arguments in ([], ["pool"], ["pool", "info"], ["pool", "import", "alpaca-eval", "x", "--out", "y"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
    assert "usage: duelgym" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["pool"],
        ["pool", "info"],
        ["pool", "verify"],
        ["pool", "import", "alpaca-eval"],
        ["pool", "record"],
        ["play"],
    ],
)
def test_every_help_shows_an_example(words: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert end.value.code == 0
    assert "example: duelgym" in " ".join(capsys.readouterr().out.split())


def test_an_interrupt_ends_with_130_and_an_os_error_with_1(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def parser_that_raises(error: BaseException):
        def run(arguments: argparse.Namespace) -> None:
            raise error

        parser = argparse.ArgumentParser()
        parser.set_defaults(run=run)
        return lambda: parser

    monkeypatch.setattr(cli, "build_parser", parser_that_raises(KeyboardInterrupt()))
    assert main([]) == 130
    monkeypatch.setattr(cli, "build_parser", parser_that_raises(PermissionError(13, "Permission denied", "/x")))
    assert main([]) == 1
    assert "Traceback" not in (complaint := capsys.readouterr().err)
    assert "/x: permission denied" in complaint


def test_the_command_line_brings_nothing_heavy() -> None:
    program = """
import sys
import duelgym.cli, duelgym.testing
sys.exit(any(name in sys.modules for name in ("torch", "transformers", "tqdm", "safetensors", "matplotlib")))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_reader_that_is_gone_is_no_error_to_tell(pool_path):
    """As behind ``| head -1``: status 1 and silence, whether the output is flushed by the command or at the very end."""
    reading, writing = os.pipe()
    os.close(reading)
    code = f"import sys; from duelgym.cli import main; sys.exit(main(['pool', 'info', {str(pool_path)!r}]))"
    for unbuffered in ("", "1"):
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, env=environment)
        assert (done.returncode, done.stderr) == (1, b"")
    os.close(writing)
    closed = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, code], capture_output=True)
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, b"", b"")
