"""The README's snippets run as printed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from duelgym_agents.catalogue import REWARD_MODELS, RULES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.S)
COMMANDS = [
    line.removeprefix("$ ").partition("  #")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.S)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("$ ")
]
ENVIRONMENT = os.environ | {"PYTHONWARNINGS": "error", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def _run(arguments, folder):
    done = subprocess.run(arguments, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("snippet", PYTHON, ids=range(len(PYTHON)))
def test_python_snippets_run(snippet, tmp_path):
    _run([sys.executable, "-c", snippet], tmp_path)


def test_the_agent_of_ten_lines_runs_with_the_printed_commands_and_a_smaller_budget(tmp_path):
    (source,) = (snippet for snippet in PYTHON if "class Taste" in snippet)
    assert sum(1 for line in source.splitlines() if line.strip() and not line.startswith("import")) <= 10
    (tmp_path / "my_agent.py").write_text(source)
    (tmp_path / "check.py").write_text(
        "from duelgym.testing import check_agent\nfrom my_agent import Taste\ncheck_agent(Taste)\n"
    )
    _run([sys.executable, "check.py"], tmp_path)
    run, report = (command for command in COMMANDS if "runs/mine" in command)
    assert run.endswith("--queries 640 --seeds 4 --out runs/mine")
    _run(shlex.split(run.replace("--queries 640 --seeds 4", "--queries 64 --seeds 1")), tmp_path)
    shown = _run(shlex.split(report), tmp_path)
    assert "my_agent:Taste" in shown and shown.strip().endswith("runs/mine/report.html")


def test_the_commands_on_real_data_run_with_a_smaller_budget(tmp_path, real_data):
    """The import with the embeddings at hand (no encoder is downloaded here), then the printed run, shortened."""
    importing, info, run, report = (command for command in COMMANDS if "alpaca-eval" in command)
    (tmp_path / "pools").mkdir()
    (tmp_path / "alpaca_eval").symlink_to(real_data / "alpaca_eval")
    folder = real_data / "alpaca_eval_minilm"
    before, _, _ = importing.partition("--encoder")
    given = ["--embeddings", str(folder / "embeddings.safetensors"), "--index", str(folder / "index.json")]
    _run([*shlex.split(before), *given], tmp_path)
    assert "temperature" in _run(shlex.split(info), tmp_path)
    short = shlex.split(run.replace("--queries 6400", "--queries 64 --seeds 1"))
    _run(short, tmp_path)
    assert "longest answer" in _run(shlex.split(report), tmp_path)


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
