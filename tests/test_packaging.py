"""Wheels as users get them: built, installed into a fresh environment, imported from elsewhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECTS = {"duelgym": ROOT, "duelgym_agents": ROOT / "agents", "duelgym_bench": ROOT / "benchmarks"}
FOLDERS = {name: project / name for name, project in PROJECTS.items()}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheels")
    for project in PROJECTS.values():
        command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(project)]
        subprocess.run(command, check=True, capture_output=True)
    return {path.name.partition("-")[0]: path for path in out.glob("*.whl")}


def _tracked(folder):
    listed = subprocess.run(["git", "ls-files", "--", "."], cwd=folder, capture_output=True, text=True, check=True)
    return {f"{folder.name}/{line}" for line in listed.stdout.splitlines()}


@pytest.mark.parametrize("name", PROJECTS)
def test_every_tracked_file_is_in_the_wheel_and_nothing_else(wheels, name):
    with zipfile.ZipFile(wheels[name]) as wheel:
        inside = {entry for entry in wheel.namelist() if ".dist-info/" not in entry}
        assert any(entry.endswith("licenses/LICENSE") for entry in wheel.namelist())
    assert (ROOT / ".git").exists(), "this test compares with what git tracks"
    assert _tracked(FOLDERS[name]) <= inside
    assert all(entry.startswith(f"{name}/") for entry in inside)
    assert f"{name}/py.typed" in inside


def test_source_distributions_hold_their_own_package_only(tmp_path):
    import tarfile

    for name, project in PROJECTS.items():
        command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(tmp_path), str(project)]
        subprocess.run(command, check=True, capture_output=True)
        with tarfile.open(next(tmp_path.glob(f"{name}-*.tar.gz"))) as archive:
            tops = {Path(member).parts[1] for member in archive.getnames()}
        assert name in tops and not tops & (set(PROJECTS) | {"agents", "benchmarks", "tests", "leaderboard"}) - {name}


def test_installed_wheels_work_from_another_directory(wheels, tmp_path):
    """A fresh environment with our wheels; their dependencies are lent by the one that runs the tests."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", *map(str, wheels.values())]
    subprocess.run(install, check=True, capture_output=True)
    site = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    lent = Path(sys.modules["numpy"].__file__).parent.parent
    # Behind our own wheels on the path, and without its .pth files, which would point at the checkout.
    (Path(site) / "lent.pth").write_text(f"{lent}\n")
    code = (
        "import duelgym, duelgym_agents, duelgym_bench, gymnasium as gym, numpy as np\n"
        "env = gym.make('SyntheticDuel-v0'); env.reset(seed=0); env.step(np.array([0, 1]))\n"
        "from duelgym_agents.registry import AGENTS; import duelgym_bench.cli\n"
        "print(duelgym.__file__, duelgym_agents.__file__, duelgym_bench.__file__, len(AGENTS))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-c", code], cwd="/", env=environment, capture_output=True, text=True, check=True
    )
    *files, count = done.stdout.split()
    assert all(Path(file).is_relative_to(venv) for file in files) and int(count) >= 6
    for command in ("duelgym", "duelgym-bench"):
        shown = subprocess.run(
            [str(venv / "bin" / command), "--help"], cwd="/", env=environment, capture_output=True, text=True
        )
        assert shown.returncode == 0 and f"usage: {command}" in shown.stdout
