"""The CI recipe: a pull request that adds one folder is read as data; whatever else it touches, nothing is even copied."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAME = "a-lab--taste--20260301"
SUBMISSIONS = "leaderboard/submissions"


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def proposal(tmp_path):
    """A base checkout, a proposal that begins there, and a command that only says how it was called."""
    base, proposed, called = tmp_path / "base", tmp_path / "proposed", tmp_path / "called"
    (base / SUBMISSIONS / "old--one--20260101").mkdir(parents=True)
    (base / SUBMISSIONS / "old--one--20260101" / "submission.json").write_text("{}")
    git(base, "init", "-q")
    git(base, "add", "-A")
    git(base, "commit", "-qm", "base")
    git(tmp_path, "clone", "-q", str(base), str(proposed))
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "duelgym-bench"
    command.write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    command.chmod(0o755)

    def run(**files):
        for name, content in files.items():
            path = proposed / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git(proposed, "add", "-A")
        git(proposed, "commit", "-qm", "proposal")
        script = ROOT / "leaderboard" / "ci" / "untrusted"
        environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
        given = [str(base), str(proposed), git(base, "rev-parse", "HEAD")]
        done = subprocess.run([script, *given], cwd=tmp_path, env=environment, capture_output=True, text=True)
        return done, called.read_text().splitlines() if called.exists() else []

    run.base, run.proposed = base, proposed
    return run


def test_one_new_folder_is_checked_and_replayed_as_data(proposal):
    (proposal.proposed / SUBMISSIONS / NAME / "agent").mkdir(parents=True)
    (proposal.proposed / SUBMISSIONS / NAME / "link").symlink_to("/etc/passwd")
    done, called = proposal(
        **{f"{SUBMISSIONS}/{NAME}/submission.json": "{}", f"{SUBMISSIONS}/{NAME}/agent/a.py": "1/0"}
    )
    assert done.returncode == 0, done.stderr
    folder = f"{proposal.base}/{SUBMISSIONS}/{NAME}"
    assert called == [
        f"submission {action} {folder} --leaderboard {proposal.base}/leaderboard" for action in ("check", "replay")
    ]
    assert Path(folder, "link").is_symlink()


@pytest.mark.parametrize(
    "files",
    [
        {f"{SUBMISSIONS}/{NAME}/submission.json": "{}", "benchmarks/duelgym_bench/leaderboard/check.py": "pass"},
        {f"{SUBMISSIONS}/{NAME}/submission.json": "{}", f"{SUBMISSIONS}/b--c--20260301/submission.json": "{}"},
        {f"{SUBMISSIONS}/old--one--20260101/submission.json": '{"changed": 1}'},
        {f"{SUBMISSIONS}/old--one--20260101/more.json": "{}"},
        {f"{SUBMISSIONS}/A Lab--x--20260301/submission.json": "{}"},
        {f"{SUBMISSIONS}/{NAME}/new\nline": "{}"},
        {f"{SUBMISSIONS}/{NAME}": "a file"},
        {f"{SUBMISSIONS}/{NAME}/submission.json": "{}", ".github/workflows/submission.yml": "on: pull_request"},
        {"leaderboard/decisions.md": "- 2026-03-01: we won"},
    ],
)
def test_whatever_else_changes_is_refused_before_anything_is_copied(proposal, files):
    done, called = proposal(**files)
    assert done.returncode == 1 and done.stderr.startswith("refused: a pull request adds one ") and not called
    assert [path.name for path in (proposal.base / SUBMISSIONS).iterdir()] == ["old--one--20260101"]


def test_nobody_submits_as_the_maintainers(proposal):
    done, called = proposal(**{f"{SUBMISSIONS}/duelgym--taste--20260301/submission.json": "{}"})
    assert done.returncode == 1 and "refused: the team duelgym is the maintainers'" in done.stderr and not called


def test_a_removed_submission_is_refused(proposal):
    git(proposal.proposed, "rm", "-rq", SUBMISSIONS)
    done, called = proposal(**{f"{SUBMISSIONS}/{NAME}/submission.json": "{}"})
    assert done.returncode == 1 and not called


def test_strangers_get_neither_secrets_nor_a_token_that_writes():
    for name, trigger in (("submission", "pull_request:"), ("rerun", "workflow_dispatch:")):
        text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
        assert re.search(rf"^  {trigger}", text, re.MULTILINE) and "pull_request_target" not in text
        assert re.findall(r"^permissions:\n((?:  .*\n)+)", text, re.MULTILINE) == ["  contents: read\n"]
        assert "secrets." not in text and text.count("persist-credentials: false") == text.count("actions/checkout")
        # what a stranger wrote reaches a shell through the environment alone, never inside a command
        assert not re.search(r"run:.*\$\{\{", text)
    rerun = (ROOT / ".github" / "workflows" / "rerun.yml").read_text()
    lent = rerun.index("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
    assert lent < rerun.index("leaderboard/ci/maintainer")  # which insists on namespaces
    untrusted = (ROOT / ".github" / "workflows" / "submission.yml").read_text()
    assert "working-directory: base" in untrusted and "pip install -c constraints.txt . " in untrusted
