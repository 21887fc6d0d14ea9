"""Runs that are refused in one line, and agents that fail while the others' runs go on."""

import pytest
from quick_commands import bench
from small_runs import LEARNER, arguments, directory, run


def refusal(home, *given):
    """Return what a refused command says."""
    done = bench(home, *given, check=False)
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 1
    return line


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        ("ee2024-pasive", "ee2024-passive"),
        ("my_agents:nothing", "my_agents"),
        ("no_such_module:factory", "no_such_module"),
        ("my_agents:broken", "failed: RuntimeError: no licence for this model"),
        ("my_agents:incomplete", "must have the methods select_pairs"),
        ("my_agents:Learner,my_agents:Learner", "named twice"),
        ("my_agents:Learner@x", "number of a replica"),
        (",", "names no agent"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(home, tmp_path, agents, words):
    assert words in refusal(home, *arguments(agents, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--queries", 100], "multiple of the batch size"),
        (["--seeds", 0], "seeds is 0"),
        (["--env", "CartPole-v1"], "known: AlpacaEvalDuel-v0, "),
        (["--env-kwargs", "{"], "not JSON"),
        (["--env-kwargs", '{"colour": 1}'], "not an argument"),
        (["--env-kwargs", '{"budget": 1}'], "the harness sets it"),
        (["--env-kwargs", '{"n_candidates": 1}'], "nothing to choose; take n_candidates of at least 2"),
        (["--env", "AlpacaEvalDuel-v0", "--env-kwargs", '{"pool": "nowhere"}'], "nowhere"),
        (["--jobs", 0], "--jobs is 0"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_in_one_line(home, tmp_path, change, words):
    assert words in refusal(home, *arguments(LEARNER, tmp_path / "out", *change))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Illegal", "gave no legal pairs"),
        ("Failing", "observe() raised ZeroDivisionError: at the third batch (my_agents.py:"),
        ("Uneven", "recommend() raised ValueError"),
        ("Leaving", "observe() raised SystemExit: 0"),
        ("Wordy", "state_dict() refused: state_dict() holds 'notes' of type <U3; arrays of bool, int8"),
    ],
)
def test_an_agent_that_fails_is_named_and_the_others_finish(home, tmp_path, agent, words):
    out = tmp_path / "out"
    done = run(home, f"my_agents:{agent},{LEARNER}", out, check=False)
    assert done.returncode == 1 and words in done.stderr and f"my_agents:{agent}" in done.stderr
    assert directory(out, LEARNER).finished()
    refused = bench(home, "report", out, check=False)
    assert refused.returncode == 1 and "is not finished" in refused.stderr
