"""The README's snippets and commands run as printed."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from quick_commands import give

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
    assert run.endswith("--queries 640 --seeds 4 --out runs/mine")
    _run(run.replace("--queries 640 --seeds 4", "--queries 64 --seeds 1"), tmp_path)
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


@pytest.mark.usefixtures("quick_references")
def test_what_one_adds_oneself_runs_as_printed_with_a_smaller_budget(tmp_path):
    """The files of docs/extending.md, each made of the blocks below its name, and its commands."""
    page = (ROOT / "docs" / "extending.md").read_text()
    for block in re.finditer(r"```(?:python|json|toml)\n(.*?)```", page, flags=re.S):
        name = re.findall(r"`(\w+\.(?:py|json|toml))`", page[: block.start()])[-1]
        with (tmp_path / name).open("a") as file:
            file.write(block[1])
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
