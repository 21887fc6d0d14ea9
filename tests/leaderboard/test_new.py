"""Submissions made from runs: what fits is written and checked, what does not fit is refused with the command that makes it fit."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from leaderboard_home import DESCRIBED, FACTORY, ROUND, refused

from duelgym.errors import LogError, SpecificationError
from duelgym_bench.cli import main
from duelgym_bench.files import sha256_of
from duelgym_bench.leaderboard.new import new
from duelgym_bench.leaderboard.records import SUBMISSION, Submission, read_record, write_record
from duelgym_bench.plan import Task
from duelgym_bench.plan_directory import load_plan, save_plan
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.scores import score_run
from duelgym_bench.statistics import area

SYNTHETIC, LLM = ROUND.ids


@pytest.fixture
def runs(made, tmp_path):
    """A copy of the runs, which a test may spoil."""
    return {env: shutil.copytree(out, tmp_path / "runs" / env) for env, out in made.runs.items()}


@pytest.fixture
def root(home):
    """A leaderboard without submissions."""
    shutil.rmtree(home.root / "submissions")
    return home.root


def refusals(root, runs, code, **more):
    """Return what is refused, once nothing is left behind."""
    failures = refused(new, root, DESCRIBED, list(runs.values()), code=code, **more)
    assert not (root / "submissions").exists() or not any((root / "submissions").iterdir())
    return failures


def test_claims_are_a_report_s(made):
    submission = read_record(made.submission / SUBMISSION, Submission)
    for env, out in made.runs.items():
        plan = load_plan(out)
        scored = [score_run(plan, out, task) for task in plan.tasks()]
        win = [run.win.mean(axis=1) for run in scored]
        best = [plan.session(k).assessment().win_rates().max(axis=1).mean() for k in range(plan.seeds)]
        mine = area(np.mean(win, axis=0)[None], np.array([np.mean(best)]), scored[0].checkpoints)
        assert submission.runs[env].claims.area == pytest.approx(float(mine[0]), abs=1e-12)
        assert submission.runs[env].claims.win_rate == pytest.approx(sum(w[-1] for w in win) / len(win), abs=1e-12)


def test_what_is_filled_in(made):
    submission = read_record(made.submission / SUBMISSION, Submission)
    assert (submission.factory, submission.settings, submission.repeats) == (FACTORY, {}, "bitwise")
    assert submission.code == {"tasteful_agent.py": sha256_of(made.code)}
    spent = []
    for env, out in made.runs.items():
        for index, files in enumerate(submission.runs[env].files):
            run = RunDirectory(out / "runs" / Task(FACTORY, index).name)
            assert (files.queries, files.recommendations) == (sha256_of(run.queries), sha256_of(run.recommendations))
            seconds = json.loads(run.timings.read_text().splitlines()[-1])["seconds"]
            spent.append((seconds["select"] + seconds["learn"]) / ROUND.queries)
    assert submission.compute.seconds_per_query == pytest.approx(sum(spent) / len(spent))
    assert submission.runs[SYNTHETIC].pool_sha256 is None and submission.runs[LLM].pool_sha256 is not None


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("import torch.nn as nn", "statistically"),
        ("def f():\n    from transformers import AutoModel", "statistically"),
        ("import numpy", "bitwise"),
        ("from . import torch_free", "bitwise"),
        ("import torchless", "bitwise"),
    ],
)
def test_how_exactly_an_agent_repeats_itself_is_guessed(made, root, text, repeats, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "helper.py").write_text(text + "\n")
    (tmp_path / "package" / "data.bin").write_bytes(b"\0")
    code = [made.code, tmp_path / "package"]
    only = replace(DESCRIBED, agent="helped")
    submission = new(root, only, list(made.runs.values()), code=code, round_name=ROUND.name).submission
    assert submission.repeats == repeats and set(submission.code) == {"tasteful_agent.py", "package/helper.py"}


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("queries", 192, "has queries 192; round 2026-spring has 96"),
        ("seeds", 3, "has seeds 3; round 2026-spring has 2"),
        ("batch", 64, "has batch 64; round 2026-spring has 32"),
        ("env_kwargs", {"dimension": 2}, "has env_kwargs {'dimension': 2}; round 2026-spring has {}"),
        ("salt", "secret", "has salt 'secret'; round 2026-spring has ''"),
    ],
)
def test_runs_of_another_plan(root, made, tmp_path, name, value, what):
    out = tmp_path / "other"
    save_plan(replace(load_plan(made.runs[SYNTHETIC]), **{name: value}), out)
    (failure,) = refusals(root, {**made.runs, SYNTHETIC: out}, [made.code])
    assert (failure.where, failure.what) == (str(out), what)
    assert failure.cure == (
        f"run: duelgym-bench run --env {SYNTHETIC} --agents {FACTORY} --queries 96 --seeds 2 --batch-size 32 --out DIR"
    )


def test_an_environment_without_runs(root, runs, made):
    del runs[LLM]
    (failure,) = refusals(root, runs, [made.code])
    assert (failure.where, failure.what) == (LLM, "has no runs") and f"--env {LLM} " in failure.cure


def test_settings_are_the_same_everywhere(root, made, tmp_path):
    out = tmp_path / "tuned"
    save_plan(replace(load_plan(made.runs[LLM]), settings={FACTORY: {"rate": 0.5}}), out)
    (failure,) = refusals(root, {**made.runs, LLM: out}, [made.code])
    assert (failure.where, failure.what) == (str(out), "has runs of other settings")


def test_an_environment_with_runs_twice(root, runs, made):
    runs["again"] = made.runs[LLM]
    assert [failure.what for failure in refusals(root, runs, [made.code])] == ["has runs in several directories"]


def test_agents_are_told_apart(root, runs, made):
    for out in runs.values():
        plan = load_plan(out)
        save_plan(replace(plan, agents=(*plan.agents, "ee2024-passive", "ee2024-passive@1")), out)
    (failure,) = refusals(root, runs, [made.code])
    assert (failure.what, failure.cure) == (f"has runs of ee2024-passive, {FACTORY}", "name one with --agent")
    for name in ("ee2024-passive@1", "ee2024-passive#mine", "passive+lab:MODEL"):
        (failure,) = refusals(root, runs, [made.code], agent=name)
        assert (
            failure.where == name and "no factory of one name" in failure.what and "functools.partial" in failure.cure
        )
    assert new(root, DESCRIBED, list(runs.values()), code=[made.code], agent=FACTORY).submission.factory == FACTORY


def test_unfinished_and_changed_runs(root, runs, made):
    run = RunDirectory(runs[LLM] / "runs" / Task(FACTORY, 1).name)
    run.timings.unlink()
    assert refusals(root, runs, [made.code])[0].where == str(run.timings)
    run.queries.write_bytes(b"")
    with pytest.raises(LogError, match="changed since the run finished"):
        new(root, DESCRIBED, list(runs.values()), code=[made.code])
    with pytest.raises(SpecificationError, match=r"holds no plan\.json"):
        new(root, DESCRIBED, [root], code=[made.code])


@pytest.mark.parametrize(
    ("field", "value"),
    [("team", "<script>"), ("team", "two--dashes"), ("agent", "Über"), ("date", "2026-02-30"), ("about", "a\nb")],
)
def test_what_people_give_is_checked(root, made, field, value):
    described = replace(DESCRIBED, **{field: value})
    (failure,) = refused(new, root, described, list(made.runs.values()), code=[made.code])
    assert failure.where == f"submission.json, field {field}" and not any((root / "submissions").iterdir())


def test_code_that_is_missing_damaged_or_doubled(root, made, tmp_path):
    runs, where = list(made.runs.values()), (root, DESCRIBED)
    (failure,) = refused(new, *where, runs)
    assert failure.where == "submission.json, field factory"
    assert failure.what == f"is {FACTORY}, which is not in agent/"
    (failure,) = refused(new, *where, runs, code=[tmp_path / "nowhere.py"])
    assert failure.what == "does not exist"
    (failure,) = refused(new, *where, runs, code=[made.code, made.code])
    assert failure.what == "has the name of another file of --code"
    (tmp_path / "tasteful_agent.py").write_text("def :")
    (failure,) = refused(new, *where, runs, code=[tmp_path / "tasteful_agent.py"])
    assert failure.what.startswith("is no Python")
    assert not any((root / "submissions").iterdir())


def test_the_round_is_the_only_open_one(root, made):
    runs = list(made.runs.values())
    write_record(root / "rounds" / "2025-old.json", replace(ROUND, name="2025-old", closed="2025-12-31"))
    assert new(root, DESCRIBED, runs, code=[made.code]).round == ROUND
    (failure,) = refused(new, root, DESCRIBED, runs, code=[made.code])
    assert (failure.where, failure.what) == (made.submission.name, "exists already")
    write_record(root / "rounds" / "2026-autumn.json", replace(ROUND, name="2026-autumn"))
    (failure,) = refused(new, root, DESCRIBED, runs, code=[made.code])
    assert (failure.what, failure.cure) == ("open rounds: 2026-autumn, 2026-spring", "name one with --round")


def test_the_command_line_from_runs_to_a_checked_submission(root, made, capsys):
    given = ["submission", "new", "--leaderboard", str(root), "--code", str(made.code), "--round", ROUND.name]
    given += [
        "--team",
        "example-lab",
        "--name",
        "taste",
        "--contact",
        "a@b.org",
        "--licence",
        "MIT",
        "--about",
        "A mean.",
    ]
    given += ["--date", "2026-03-01"]
    for out in made.runs.values():
        given += ["--from", str(out)]
    assert main(given) == 0
    folder = root / "submissions" / made.submission.name
    said = capsys.readouterr().out
    assert said.startswith(f"wrote {folder}\n") and f"duelgym-bench submission replay {folder}" in said
    assert read_record(folder / SUBMISSION, Submission).compute.cpu
    assert main(["submission", "check", str(folder), "--leaderboard", str(root)]) == 0
    found = "files, hashes, logs and claims agree; status reported"
    assert capsys.readouterr().out == f"ok {folder.name}: {found}\n"
    assert main(given) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["submission", "check", str(folder.parent / "<script>"), "--leaderboard", str(root), "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["ok"]
    with pytest.raises(SystemExit, match="2"):
        main(["submission", "check"])
    assert "usage" in capsys.readouterr().err
