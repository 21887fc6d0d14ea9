"""The README's snippets and commands run as printed."""

import contextlib
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from quick_commands import give

from duelgym.pools.encoding import Encoded
from duelgym.testing import check_agent
from duelgym_agents.catalogue import REWARD_MODELS, RULES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.S)


def _commands(page):
    """Return the commands that a page prints."""
    return [
        line.removeprefix("$ ").partition("  #")[0].strip()
        for block in re.findall(r"```console\n(.*?)```", page, flags=re.S)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ ")
    ]


COMMANDS = _commands(README)


def _run(command, folder):
    """Run a printed command and return what it shows."""
    done = give(folder, *shlex.split(command))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_snippet_runs_in_a_process_of_its_own(tmp_path):
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", PYTHON[0]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


@pytest.mark.parametrize("snippet", PYTHON[1:], ids=range(1, len(PYTHON)))
def test_python_snippets_run(snippet, tmp_path):
    """In this process, which has imported duelgym: so those that need its ids must say so themselves."""
    assert "gym.make(" not in snippet or snippet.startswith("import duelgym\n")
    with contextlib.chdir(tmp_path):
        exec(compile(snippet, "README.md", "exec"), {"__name__": "__main__"})


@pytest.mark.usefixtures("quick_references")
def test_the_agent_of_ten_lines_runs_with_the_printed_commands_and_a_smaller_budget(tmp_path):
    (source,) = (snippet for snippet in PYTHON if "class Taste" in snippet)
    assert sum(1 for line in source.splitlines() if line.strip() and not line.startswith("import")) <= 10
    (tmp_path / "my_agent.py").write_text(source)
    defined = {}
    exec(compile(source, "README.md", "exec"), defined)
    check_agent(defined["Taste"])
    run, report = (command for command in COMMANDS if "runs/mine" in command)
    assert run.endswith("--queries 640 --seeds 5 --out runs/mine")
    _run(run.replace("--queries 640 --seeds 5", "--queries 64 --seeds 1"), tmp_path)
    shown = _run(report, tmp_path)
    assert "my_agent:Taste" in shown and shown.strip().endswith("runs/mine/report.html")


@pytest.mark.usefixtures("quick_references")
def test_the_commands_on_real_data_run_with_a_smaller_budget(tmp_path, real_data):
    """The import with the embeddings at hand (no encoder is downloaded here), then the printed run, shortened."""
    importing, info, run, report = (command for command in COMMANDS if "alpaca-eval" in command)
    (tmp_path / "pools").mkdir()
    (tmp_path / "alpaca_eval").symlink_to(real_data / "alpaca_eval")
    folder = real_data / "alpaca_eval_minilm"
    before, _, _ = importing.partition("--encoder")
    given = ["--embeddings", str(folder / "embeddings.safetensors"), "--index", str(folder / "index.json")]
    _run(shlex.join([*shlex.split(before), *given]), tmp_path)
    assert "temperature" in _run(info, tmp_path)
    _run(run.replace("--queries 6400", "--queries 64 --seeds 1"), tmp_path)
    assert "longest answer" in _run(report, tmp_path)


def _saved(page, folder):
    """Save the blocks of a page of docs as the files named above them; return the page."""
    page = (ROOT / "docs" / page).read_text()
    for block in re.finditer(r"```(?:python|jsonl?|toml)\n(.*?)```", page, flags=re.S):
        name = re.findall(r"`(\w+\.(?:py|jsonl?|toml))`", page[: block.start()])[-1]
        with (folder / name).open("a") as file:
            file.write(block[1])
    return page


@pytest.mark.usefixtures("quick_references")
def test_responses_of_ones_own_are_rated_or_judged_as_printed(tmp_path, monkeypatch, capsys):
    """The files and commands of docs/your-own-data.md, with more prompts, made-up embeddings and a smaller budget."""

    def encode(texts, *, encoder):
        assert encoder == "sentence-transformers/all-MiniLM-L6-v2"
        vectors = np.random.default_rng(0).standard_normal((len(texts), 16)).astype(np.float32)
        return Encoded(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.zeros(len(texts), bool), {})

    monkeypatch.setattr("duelgym.pools.encoding.encode_texts", encode)
    page = _saved("your-own-data.md", tmp_path)
    rows = tmp_path / "mine.jsonl"
    example = json.loads(rows.read_text())
    with rows.open("a") as file:
        for k in range(40):
            ratings = [(k + c * c) % 5 for c in range(3)]
            file.write(json.dumps(example | {"prompt": f"Question {k}, of {k * k}?", "ratings": ratings}) + "\n")
    own, info, run, report, label = map(shlex.split, _commands(page))

    def execute(python, script, *arguments):
        assert python == "python"
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        runpy.run_path(script, run_name="__main__")

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own", raising=False)
    execute(*own)
    assert "41 x 3 candidates" in _run(shlex.join(info), tmp_path)
    _run(shlex.join(run).replace("--queries 640 --seeds 5", "--queries 64 --seeds 1"), tmp_path)
    assert _run(shlex.join(report), tmp_path).startswith("mine  (untuned)")

    typed = iter(["1", "2", "=", "", "1", EOFError])  # the sixth question is not answered: the second batch is lost

    def answer(question):
        reply = next(typed)
        if reply is EOFError:
            raise EOFError
        return reply

    monkeypatch.setattr("builtins.input", answer)
    assert label[-1] == "200"
    label[-1] = "8"
    with pytest.raises(EOFError):
        execute(*label)
    typed = iter("1212")
    execute(*label)
    assert [json.loads(line)[2] for line in Path("labels.jsonl").read_text().splitlines()] == [
        [0, 1, 3, 2],
        [0, 1, 0, 1],
    ]
    assert capsys.readouterr().out.count("\n  ") == 41  # what it recommends for each prompt


@pytest.mark.usefixtures("quick_references")
def test_what_one_adds_oneself_runs_as_printed_with_a_smaller_budget(tmp_path):
    """The files of docs/extending.md, each made of the blocks below its name, and its commands."""
    page = _saved("extending.md", tmp_path)
    subprocess.run([sys.executable, "check.py"], cwd=tmp_path, check=True)
    shown = [
        _run(
            command.replace("--queries 640", "--queries 64")
            .replace("--seeds 5", "--seeds 1")
            .replace("--configurations 8 --seeds 3", "--configurations 2 --seeds 1"),
            tmp_path,
        )
        for command in _commands(page)
    ]
    assert [" ".join(command.split()[:2]) for command in _commands(page)] == [
        *("duelgym-bench run", "duelgym-bench report", "duelgym-bench run", "duelgym-bench tune"),
        *("duelgym-bench run", "duelgym-bench report", "duelgym-bench run"),
        *("duelgym-bench report", "duelgym replay"),
    ]
    assert "both with reward model bayesian_linear" in shown[1]
    assert "passive+lab:DIAGONAL: prior_scale=" in shown[3]
    assert "both with reward model lab:DIAGONAL" in shown[5] and "(tuned)" in shown[5]
    assert "64 queries reproduced, the whole budget" in shown[8]
    refused = give(tmp_path, "duelgym-bench", "report", "runs/tiring")
    assert refused.returncode == 1 and "add --simulator raters:Tiring" in refused.stderr


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    for command in COMMANDS:
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, flags=re.M)


def test_every_file_that_is_linked_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_rule_and_reward_model_is_listed():
    rows = {
        row.split("|")[1].strip(): set(re.findall(r"`(\w+)`", row))
        for row in README.splitlines()
        if row.startswith("| ")
    }
    assert rows["rules"] == set(RULES)
    assert rows["reward models"] - {"llm"} == set(REWARD_MODELS)
