"""Runs as a user starts them: resumed after kills, refused in one line, scored from their logs alone."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from duelgym.errors import LogError
from duelgym.rounds import read_members, read_queries
from duelgym_bench.cli import main
from duelgym_bench.plan import Task, load_plan
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.scores import score, score_run

AGENTS = '''
import os, signal
from pathlib import Path
import numpy as np


class Learner:
    """Remembers a running sum of the preferred minus the other response."""

    def __init__(self, dim, seed):
        self.rng, self.weights, self.calls = np.random.default_rng(seed), np.zeros(dim), 0

    def select_pairs(self, contexts):
        self.calls += 1
        die("select", self.calls)
        scores = contexts.candidates @ self.weights + self.rng.gumbel(size=contexts.candidates.shape[:2])
        return np.argsort(-scores, axis=1)[:, :2]

    def observe(self, contexts, pairs, preferences):
        die("observe", self.calls)
        rows = np.arange(len(pairs))
        gap = contexts.candidates[rows, pairs[:, 0]] - contexts.candidates[rows, pairs[:, 1]]
        self.weights += (gap * (1 - 2.0 * preferences)[:, None]).sum(axis=0)

    def recommend(self, contexts):
        self.rng.random(7)  # must not matter: it is asked of a copy
        die("recommend", self.calls)
        return np.argmax(contexts.candidates @ self.weights, axis=1)


class Resumable(Learner):
    def state_dict(self):
        import json
        state = json.dumps(self.rng.bit_generator.state).encode()
        return {"weights": self.weights, "calls": np.array(self.calls), "rng": np.frombuffer(state, dtype=np.uint8)}

    def load_state_dict(self, state):
        import json
        self.weights, self.calls = state["weights"].copy(), int(state["calls"])
        self.rng.bit_generator.state = json.loads(state["rng"].tobytes())


def die(where, calls):
    """Kill this very process at the first point of the list that no earlier process died at."""
    if Path("kills").exists():
        points = Path("kills").read_text().split()
        if points and points[0] == f"{where}{calls}":
            Path("kills").write_text(" ".join(points[1:]))
            os.kill(os.getpid(), signal.SIGKILL)


def learner(*, candidate_dim, seed, **rest):
    return Learner(candidate_dim, seed)


def resumable(*, candidate_dim, seed, **rest):
    return Resumable(candidate_dim, seed)


class Mortal:
    """An agent of the registry that can be killed."""

    def __init__(self, agent):
        self.agent, self.calls = agent, 0

    def __getattr__(self, name):
        if name == "agent" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.agent, name)

    def select_pairs(self, contexts):
        self.calls += 1
        die("select", self.calls)
        return self.agent.select_pairs(contexts)


def thompson(**arguments):
    from duelgym_agents.registry import make_agent
    return Mortal(make_agent("ee2024-double_thompson", hidden_sizes=(8, 8), **arguments))


def broken(**rest):
    raise RuntimeError("no licence\\nfor this model")


def incomplete(**rest):
    return object()


class Illegal(Learner):
    def select_pairs(self, contexts):
        return np.full((len(contexts), 2), -1)


class Failing(Learner):
    def observe(self, contexts, pairs, preferences):
        if self.calls == 3:
            raise ZeroDivisionError("at the third batch")


class Uneven(Learner):
    def recommend(self, contexts):
        return [[0], [0, 1]]


class Leaving(Learner):
    def observe(self, contexts, pairs, preferences):
        raise SystemExit(0)


class Slow(Learner):
    def observe(self, contexts, pairs, preferences):
        import time

        time.sleep(0.5)


def uneven(*, candidate_dim, seed, **rest):
    return Uneven(candidate_dim, seed)


def leaving(*, candidate_dim, seed, **rest):
    return Leaving(candidate_dim, seed)


def slow(*, candidate_dim, seed, **rest):
    return Slow(candidate_dim, seed)


def illegal(*, candidate_dim, seed, **rest):
    return Illegal(candidate_dim, seed)


def failing(*, candidate_dim, seed, **rest):
    return Failing(candidate_dim, seed)
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    (folder / "my_agents.py").write_text(AGENTS)
    return folder


def start(home, *arguments, **settings):
    """Start a run as :func:`run` does, and do not wait for it."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}  # a killed command's semaphores are reported as leaked
    command = [sys.executable, "-m", "duelgym_bench.cli", *_run_arguments(*arguments, **settings)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=home, env=environment, text=True, **pipes)


def bench(home, *arguments, check=True):
    command = [sys.executable, "-m", "duelgym_bench.cli", *map(str, arguments)]
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def refusal(home, monkeypatch, capsys):
    """What a command says that is refused, given in this process, which saves starting one each time."""

    def of(*arguments):
        monkeypatch.chdir(home)
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        assert main(arguments) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    return of


def run(home, agents, out, *more, check=True, queries=160, seeds=1):
    return bench(home, *_run_arguments(agents, out, *more, queries=queries, seeds=seeds), check=check)


def _run_arguments(agents, out, *more, queries=160, seeds=1):
    kwargs = '{"dimension": 4, "n_candidates": 6, "utility": "linear"}'
    sizes = ["--queries", queries, "--seeds", seeds, "--batch-size", 8]
    settings = ["--env", "SyntheticDuel-v0", "--env-kwargs", kwargs, "--agents", agents, *sizes, "--jobs", 1]
    return [str(part) for part in ("run", *settings, "--out", out, *more)]


@pytest.fixture(scope="module")
def finished(home):
    run(home, "my_agents:learner,my_agents:resumable", "whole", seeds=2)
    return home / "whole"


def _logs(out, agent):
    folder = RunDirectory(out / "runs" / Task(agent, 0).name)
    return [path.read_bytes() for path in (folder.queries, folder.recommendations, folder.common)]


def test_a_run_leaves_its_logs_and_nothing_else(finished):
    folder = finished / "runs" / "my_agents+learner--000"
    names = {"queries.jsonl.gz", "recommendations.jsonl.gz", "common_learner.jsonl.gz", "timings.jsonl", "done.json"}
    assert {path.name for path in folder.iterdir()} == names
    last = json.loads((folder / "timings.jsonl").read_text().splitlines()[-1])
    assert last["t"] == 160 and set(last["seconds"]) == {"select", "simulate", "learn", "assess"}


def test_two_agents_that_decide_alike_leave_the_same_logs(finished):
    assert _logs(finished, "my_agents:learner")[1:] == _logs(finished, "my_agents:resumable")[1:]


@pytest.mark.parametrize("agent", ["my_agents:learner", "my_agents:resumable"])
def test_killed_and_resumed_logs_equal_the_uninterrupted_ones(home, finished, tmp_path, agent):
    (home / "kills").write_text("recommend0 select4 recommend10 observe20")
    out = tmp_path / "killed"
    refused = 0
    while (done := run(home, agent, out, check=False)).returncode != 0:
        assert "a process was killed" in done.stderr and len(done.stderr.strip().splitlines()) == 1
        refused += 1
        with RunDirectory(out / "runs" / Task(agent, 0).name).queries.open("ab") as log:
            log.write(b"\x1f\x8b\x08")  # as a kill in the middle of a write would leave it
    assert refused == 4
    (home / "kills").unlink()
    assert _logs(out, agent) == _logs(finished, agent)


def test_killing_the_command_ends_its_workers_and_meanwhile_no_second_one_writes(home, tmp_path):
    out = tmp_path / "out"
    log = RunDirectory(out / "runs" / Task("my_agents:slow", 0).name).queries
    first = start(home, "my_agents:slow", out)
    try:
        _wait(lambda: log.exists() and len(read_members(log).texts) >= 3)  # a member a batch
        second = run(home, "my_agents:slow", out, check=False)
        assert second.returncode == 1 and "another duelgym-bench run is writing here" in second.stderr
        assert len(second.stderr.strip().splitlines()) == 1
    finally:
        first.kill()
    first.communicate(timeout=20)  # returns when the last process that holds the other end of the pipe is gone
    assert len(read_queries(log)) < 160


def _wait(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_agent_of_the_registry_goes_on_from_its_state(home, tmp_path):
    agent = "my_agents:thompson"
    run(home, agent, tmp_path / "whole")
    (home / "kills").write_text("select12")
    assert run(home, agent, tmp_path / "killed", check=False).returncode == 1
    assert RunDirectory(tmp_path / "killed" / "runs" / Task(agent, 0).name).state.exists()
    run(home, agent, tmp_path / "killed")
    (home / "kills").unlink()
    assert _logs(tmp_path / "killed", agent) == _logs(tmp_path / "whole", agent)


def test_an_agent_that_is_not_deterministic_is_caught_when_it_resumes(home, tmp_path):
    out = tmp_path / "changed"
    (home / "kills").write_text("select15")
    assert run(home, "my_agents:learner", out, check=False).returncode == 1
    (home / "kills").unlink()
    source = home / "my_agents.py"
    source.write_text(AGENTS.replace("self.rng.gumbel(", "3 * self.rng.gumbel("))
    try:
        done = run(home, "my_agents:learner", out, check=False)
    finally:
        source.write_text(AGENTS)
    assert done.returncode == 1 and "not deterministic" in done.stderr


def test_scores_agree_with_a_rollout_by_hand(home, finished):
    """The learner's cumulative regret, gaps, bits and win rates, recomputed here with the environment alone."""
    import importlib.util

    import gymnasium as gym

    spec = importlib.util.spec_from_file_location("my_agents", home / "my_agents.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plan = load_plan(finished)
    scored = next(r for r in score(finished).runs if r.agent == "my_agents:learner" and r.seed_index == 1)
    env = gym.make("SyntheticDuel-v0", **plan.env_kwargs, budget=160).unwrapped
    observation, _ = env.reset(seed=plan.env_seed(1))
    agent = module.Learner(4, plan.agent_seed(Task("my_agents:learner", 1)))
    from duelgym import Contexts

    regret, gap, bits = 0.0, 0.0, 0.0
    for _ in range(20):
        prompts, candidates, asked = [], [], []
        twin = np.random.default_rng()
        twin.bit_generator.state = agent.rng.bit_generator.state
        keys = twin.gumbel(size=(8, 6))
        pairs = []
        for row in range(8):
            prompts.append(observation["prompt"]), candidates.append(observation["candidates"])
            pair = np.argsort(-(observation["candidates"] @ agent.weights + keys[row]))[:2]
            pairs.append(pair)
            p = float(env.asked.probability(*pair[:, None])[0])
            gap += abs(p - 0.5)
            bits += 1 + p * np.log2(p) + (1 - p) * np.log2(1 - p)
            observation, reward, *_ = env.step(pair)
            asked.append(int(observation["preference"]))
            regret -= reward
        contexts = Contexts(np.array(prompts), np.array(candidates))
        assert np.array_equal(agent.select_pairs(contexts), pairs)
        agent.observe(contexts, np.array(pairs), np.array(asked))
    assert scored.regret["average"][-1] == pytest.approx(regret)
    assert (scored.labels["gap"][-1], scored.labels["bits"][-1]) == (pytest.approx(gap), pytest.approx(bits))
    held_out = env.session.assessment()
    best = agent.recommend(env.problem.generator.contexts(held_out.questions))
    assert scored.win[-1] == pytest.approx(held_out.win_rates()[np.arange(len(best)), best])
    assert scored.checkpoints[0] == 0 and scored.checkpoints[-1] == 160


def test_scoring_brings_the_duels_of_the_first_seed(finished):
    plan, agent = load_plan(finished), "my_agents:learner"
    log = read_queries(RunDirectory(finished / "runs" / Task(agent, 0).name).queries)
    duels = score_run(plan, finished, Task(agent, 0)).duels
    assert [duel.query for duel in duels] == [10, 100, 160]
    for duel in duels:
        prompt, (first, second) = log.prompt_ids[duel.query - 1], log.candidate_ids[duel.query - 1]
        assert (duel.prompt, duel.first.text) == (f"synthetic prompt {prompt}", f"response {first} to prompt {prompt}")
        assert duel.second.text == f"response {second} to prompt {prompt}"
        assert duel.preference == log.preferences[duel.query - 1]
    assert score_run(plan, finished, Task(agent, 1)).duels == ()


def test_a_learner_beats_uniform_choice_and_the_supervised_reference_beats_it(finished):
    """Learns: by more than .1 over the .5 of a uniform choice, on a linear utility with 160 labels."""
    results = score(finished)
    final = np.mean([run.win[-1].mean() for run in results.runs])
    supervised = np.mean([wins.mean() for wins in results.references.supervised.values()])
    oracle = np.mean([wins.mean() for wins in results.references.oracle.values()])
    assert 0.6 < final < supervised <= oracle


def test_report_writes_everything_and_names_it(home, finished):
    done = bench(home, "report", finished, "--jobs", 1)
    assert done.stdout.strip().splitlines()[-1] == f"report: {finished / 'report.html'}"
    for name in ("report.html", "curves.svg", "curves.png", "results.json", "results.csv"):
        assert (finished / name).stat().st_size > 0


def test_report_refuses_a_baseline_that_did_not_run_before_it_scores(home, finished):
    before = (finished / "results.json").stat().st_mtime_ns
    done = bench(home, "report", finished, "--baseline", "nobody", check=False)
    assert (
        done.returncode == 1 and "'nobody' is not among the agents; there are runs of my_agents:learner" in done.stderr
    )
    assert (finished / "results.json").stat().st_mtime_ns == before


def test_widening_keeps_what_is_there_and_another_plan_is_refused(home, finished, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    before = _logs(out, "my_agents:learner")
    run(home, "my_agents:learner", out, seeds=3)
    plan = load_plan(out)
    assert plan.seeds == 3 and len(plan.agents) == 2 and _logs(out, "my_agents:learner") == before
    done = run(home, "my_agents:learner", out, queries=320, check=False)
    assert done.returncode == 1 and "queries 160, not 320" in done.stderr


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        ("ee2024-pasive", "ee2024-passive"),
        ("my_agents:nothing", "my_agents"),
        ("no_such_module:factory", "no_such_module"),
        ("my_agents:broken", "failed: RuntimeError: no licence for this model"),
        ("my_agents:incomplete", "must have the methods select_pairs"),
        ("my_agents:learner,my_agents:learner", "named twice"),
        ("my_agents:learner@x", "number of a replica"),
        (",", "names no agent"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(refusal, tmp_path, agents, words):
    assert words in refusal(*_run_arguments(agents, tmp_path / "out"))
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
        (["--env", "AlpacaEvalDuel-v0", "--env-kwargs", '{"pool": "nowhere"}'], "nowhere"),
        (["--jobs", 0], "--jobs is 0"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused_in_one_line(refusal, tmp_path, change, words):
    assert words in refusal(*_run_arguments("my_agents:learner", tmp_path / "out", *change))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("illegal", "gave no legal pairs"),
        ("failing", "observe() raised ZeroDivisionError: at the third batch"),
        ("uneven", "recommend() raised ValueError"),
        ("leaving", "observe() raised SystemExit: 0"),
    ],
)
def test_an_agent_that_fails_is_named_and_the_others_finish(home, tmp_path, agent, words):
    out = tmp_path / "out"
    done = run(home, f"my_agents:{agent},my_agents:learner", out, check=False)
    assert done.returncode == 1 and words in done.stderr and f"my_agents:{agent}" in done.stderr
    assert RunDirectory(out / "runs" / "my_agents+learner--000").finished()
    refused = bench(home, "report", out, check=False)
    assert refused.returncode == 1 and "is not finished" in refused.stderr


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda run: run.queries.write_bytes(run.queries.read_bytes()[:-9]), "queries.jsonl.gz: changed"),
        (lambda run: run.recommendations.unlink(), "recommendations.jsonl.gz: missing"),
        (lambda run: (run.path.parent / "stranger--000").mkdir(), "stranger--000: not a run of this plan"),
        (lambda run: run.done.unlink(), "is not finished"),
        (
            lambda run: shutil.copy(run.path.parent / "my_agents+learner--001" / "queries.jsonl.gz", run.queries),
            "changed",
        ),
    ],
)
def test_a_directory_that_is_not_whole_is_refused_by_name(finished, tmp_path, tamper, words):
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    tamper(RunDirectory(out / "runs" / "my_agents+learner--000"))
    with pytest.raises(LogError) as caught:
        score(out)
    assert words in str(caught.value)


def test_a_forged_preference_does_not_survive_even_with_new_hashes(finished, tmp_path):
    import gzip

    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    folder = RunDirectory(out / "runs" / "my_agents+learner--000")
    lines = gzip.decompress(folder.queries.read_bytes()).decode().splitlines()
    record = json.loads(lines[50])
    lines[50] = json.dumps(record | {"preference": 1 - record["preference"]})
    folder.queries.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    folder.finish(tuning=False)
    with pytest.raises(LogError, match="line 51: query 49 logs preference"):
        score(out)


def test_a_run_directory_that_is_something_else_is_left_alone(home, tmp_path):
    (tmp_path / "letters.txt").write_text("keep me")
    done = run(home, "my_agents:learner", tmp_path, check=False)
    assert done.returncode == 1 and "is not empty" in done.stderr
    assert [path.name for path in Path(tmp_path).iterdir()] == ["letters.txt"]
