"""Runs: what they leave, how they are scored from their logs alone, widened, and refused where something was changed."""

import gzip
import json
import shutil

import gymnasium as gym
import numpy as np
import pytest
from failing_agents import Learner
from quick_commands import bench
from small_runs import LEARNER, RESUMABLE, directory, logs, run

from duelgym import Contexts
from duelgym.errors import LogError
from duelgym.rounds import read_queries
from duelgym.testing import make_pool
from duelgym_bench.locks import alone
from duelgym_bench.plan import Task
from duelgym_bench.plan_directory import load_plan
from duelgym_bench.scores import score, score_run


@pytest.fixture(scope="module")
def results(finished):
    return score(finished)


def test_a_run_leaves_its_logs_and_nothing_else(finished):
    folder = directory(finished, LEARNER).path
    names = {"queries.jsonl.gz", "recommendations.jsonl.gz", "common_learner.jsonl.gz", "timings.jsonl", "done.json"}
    assert {path.name for path in folder.iterdir()} == names
    last = json.loads((folder / "timings.jsonl").read_text().splitlines()[-1])
    assert last["t"] == 160 and set(last["seconds"]) == {"select", "simulate", "learn", "assess"}


def test_two_agents_that_decide_alike_leave_the_same_logs(finished):
    assert logs(finished, LEARNER)[1:] == logs(finished, RESUMABLE)[1:]


def test_scores_agree_with_a_rollout_by_hand(finished, results):
    """The learner's cumulative regret, gaps, bits and win rates, recomputed here with the environment alone."""
    plan = load_plan(finished)
    scored = next(r for r in results.runs if r.agent == LEARNER and r.seed_index == 1)
    env = gym.make("SyntheticDuel-v0", **plan.env_kwargs, budget=160).unwrapped
    observation, _ = env.reset(seed=plan.env_seed(1))
    agent = Learner(candidate_dim=4, seed=plan.agent_seed(Task(LEARNER, 1)))
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
    plan, agent = load_plan(finished), LEARNER
    log = read_queries(directory(finished, agent).queries)
    duels = score_run(plan, finished, Task(agent, 0)).duels
    assert [duel.query for duel in duels] == [10, 100, 160]
    for duel in duels:
        prompt, (first, second) = log.prompt_ids[duel.query - 1], log.candidate_ids[duel.query - 1]
        assert (duel.prompt, duel.first.text) == (f"synthetic prompt {prompt}", f"response {first} to prompt {prompt}")
        assert duel.second.text == f"response {second} to prompt {prompt}"
        assert duel.preference == log.preferences[duel.query - 1]
    assert score_run(plan, finished, Task(agent, 1)).duels == ()


def test_a_learner_beats_uniform_choice_and_the_supervised_reference_beats_it(results):
    """Learns: by more than .1 over the .5 of a uniform choice, on a linear utility with 160 labels."""
    final = np.mean([run.win[-1].mean() for run in results.runs])
    supervised = np.mean([wins.mean() for wins in results.references.supervised])
    oracle = np.mean([wins.mean() for wins in results.references.oracle])
    assert 0.6 < final < supervised <= oracle


def test_report_writes_everything_names_it_and_refuses_a_baseline_that_did_not_run_before_it_scores(home, finished):
    done = bench(home, "report", finished, "--jobs", 1)
    assert done.stdout.strip().splitlines()[-1] == f"report: {finished / 'report.html'}"
    for name in ("report.html", "curves.svg", "curves.png", "results.json", "results.csv", "seeds.csv"):
        assert (finished / name).stat().st_size > 0
    before = (finished / "results.json").stat().st_mtime_ns
    refused = bench(home, "report", finished, "--baseline", "nobody", check=False)
    words = "'nobody' is not among the agents; there are runs of my_agents:Learner"
    assert refused.returncode == 1 and words in refused.stderr
    assert (finished / "results.json").stat().st_mtime_ns == before


@pytest.mark.usefixtures("quick_references")
def test_a_pool_may_have_moved_but_must_be_the_same(home, finished, tmp_path):
    there, moved, other, out = (tmp_path / name for name in ("there", "moved", "other", "out"))
    make_pool(there), make_pool(other, seed=1)
    kwargs = ["--env", "PoolDuel-v0", "--env-kwargs", json.dumps({"pool": str(there)}), "--seeds", 1, "--jobs", 1]
    bench(home, "run", *kwargs, "--agents", LEARNER, "--queries", 32, "--batch-size", 8, "--no-check", "--out", out)
    there.rename(moved)
    for arguments, words in (
        ([out], f"the pool of these runs was {there}, which is not there; name its place with --pool DIR"),
        ([out, "--pool", other], "the run is of another plan or pool"),
        ([finished, "--pool", moved], "were made on no pool; leave it out"),
    ):
        refused = bench(home, "report", *arguments, "--jobs", 1, check=False)
        assert refused.returncode == 1 and words in refused.stderr
    assert LEARNER in bench(home, "report", out, "--pool", moved, "--jobs", 1).stdout


def test_widening_keeps_what_is_there_and_another_plan_is_refused(home, finished, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    before = logs(out, LEARNER)
    run(home, LEARNER, out, "--title", "mine", seeds=3)
    plan = load_plan(out)
    assert plan.seeds == 3 and len(plan.agents) == 2 and logs(out, LEARNER) == before
    run(home, LEARNER, out, seeds=3)
    assert load_plan(out) == plan and plan.title == "mine"
    run(home, LEARNER, out, "--title", "yours")
    plan = load_plan(out)
    assert plan.title == "yours" and plan.seeds == 3
    assert [line.split()[-1] for line in plan.command.split("\n")] == ["whole", "mine", "yours"]
    done = run(home, LEARNER, out, queries=320, check=False)
    assert done.returncode == 1 and "queries 160, not 320" in done.stderr


def test_a_second_command_changes_nothing_while_the_first_one_runs(home, finished, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    before = (out / "plan.json").read_bytes()
    with alone(out):
        refused = run(home, LEARNER, out, seeds=3, check=False)
    assert refused.returncode == 1 and "another duelgym-bench run is writing here" in refused.stderr
    assert (out / "plan.json").read_bytes() == before


def test_a_run_directory_that_is_something_else_is_left_alone(home, tmp_path):
    (tmp_path / "letters.txt").write_text("keep me")
    done = run(home, LEARNER, tmp_path, check=False)
    assert done.returncode == 1 and "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda run: run.queries.write_bytes(run.queries.read_bytes()[:-9]), "queries.jsonl.gz: changed"),
        (lambda run: run.recommendations.unlink(), "recommendations.jsonl.gz: missing"),
        (lambda run: (run.path.parent / "stranger--000").mkdir(), "stranger--000: not a run of this plan"),
        (lambda run: run.done.unlink(), "is not finished"),
        (
            lambda run: shutil.copy(run.path.parent / "my_agents+Learner--001" / "queries.jsonl.gz", run.queries),
            "changed",
        ),
    ],
)
@pytest.mark.usefixtures("quick_references")
def test_a_directory_that_is_not_whole_is_refused_by_name(finished, tmp_path, tamper, words):
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    tamper(directory(out, LEARNER))
    with pytest.raises(LogError) as caught:
        score(out)
    assert words in str(caught.value)


@pytest.mark.usefixtures("quick_references")
def test_a_forged_preference_does_not_survive_even_with_new_hashes(finished, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(finished, out)
    folder = directory(out, LEARNER)
    lines = gzip.decompress(folder.queries.read_bytes()).decode().splitlines()
    record = json.loads(lines[50])
    lines[50] = json.dumps(record | {"preference": 1 - record["preference"]})
    folder.queries.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    folder.finish(tuning=False)
    with pytest.raises(LogError, match="line 51: query 49 logs preference"):
        score(out)
