"""Agents in processes of their own: the same answers as in this process, and everything that should be out of reach."""

import ast
import contextlib
import copy
import os
import shutil
import socket
import subprocess
import sys

import isolated_agents
import numpy as np
import own_parts
import pytest

from duelgym import assets
from duelgym.agent import Contexts
from duelgym.errors import SpecificationError
from duelgym.testing import check_agent
from duelgym_agents.registry import make_agent
from duelgym_bench.common import CommonLearner
from duelgym_bench.isolation import launch
from duelgym_bench.isolation.agent import IsolatedAgent, isolated_agent
from duelgym_bench.isolation.launch import Isolation
from duelgym_bench.isolation.process import IsolationError
from duelgym_bench.plan import Plan, Task
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import run_task

SIZES = {"prompt_dim": 4, "candidate_dim": 4, "n_candidates": 6, "batch_size": 3, "budget": 30, "seed": 1}


def contexts(seed, texts=False):
    rng = np.random.default_rng(seed)
    prompts = rng.uniform(-1, 1, (3, 4)).astype(np.float32)
    candidates = rng.uniform(-1, 1, (3, 6, 4)).astype(np.float32)
    if not texts:
        return Contexts(prompts, candidates)
    shown = tuple(tuple(f"réponse \0 {row} {column} \ud800" for column in range(6)) for row in range(3))
    return Contexts(prompts, candidates, ("one", "", "drei\n"), shown)


@contextlib.contextmanager
def local_server():
    """Yield a socket of this machine that anybody can send to, and its name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.setblocking(False)
        server.bind("")  # the kernel finds a name that is free
        yield server, server.getsockname().decode()


def test_ten_lines_answer_as_in_this_process(isolation):
    here = isolated_agents.Taste(**SIZES)
    with IsolatedAgent("isolated_agents:Taste", SIZES, isolation) as there:
        assert bool(there.missing) == (isolation.namespaces == "off")
        for batch in range(5):
            shown, preferences = contexts(batch), np.array([batch % 4, 1, 0], dtype=np.int8)
            pairs = there.select_pairs(shown)
            assert pairs.dtype == np.int64 and np.array_equal(pairs, here.select_pairs(shown))
            there.observe(shown, pairs, preferences)
            here.observe(shown, pairs, preferences)
            assert np.array_equal(there.recommend(shown), here.recommend(shown))


def test_parts_of_ones_own_are_composed_in_there(tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    shutil.copy(own_parts.__file__, code)
    name = "own_parts:BestAndNext+own_parts:LINEAR"
    here, shown = make_agent(name, **SIZES), contexts(0)
    with IsolatedAgent(name, SIZES, Isolation(code=(code,))) as there:
        assert np.array_equal(there.select_pairs(shown), here.select_pairs(shown))


def test_what_copies_are_asked_is_thrown_away_with_them(isolation):
    with IsolatedAgent("isolated_agents:Taste", SIZES, isolation) as agent:
        twin = copy.deepcopy(agent)
        twin.recommend(contexts(0))
        assert twin.counters() == {"asked": 1, "alive": 2}
        assert agent.counters() == {"asked": 0, "alive": 2}
        del twin
        assert agent.counters() == {"asked": 0, "alive": 1}


def test_it_has_the_optional_members_that_the_agent_has(isolation):
    with IsolatedAgent("isolated_agents:Reader", SIZES, isolation) as agent:
        assert agent.needs_texts
        assert hasattr(agent, "counters")
        assert not any(hasattr(agent, name) for name in ("sample_utilities", "state_dict", "load_state_dict"))


def test_texts_arrive_as_they_are(isolation):
    shown, nothing = contexts(0, texts=True), np.zeros(3, dtype=np.int8)
    here = isolated_agents.Reader(**SIZES)
    here.observe(shown, np.zeros((3, 2), dtype=np.int64), nothing)
    with IsolatedAgent("isolated_agents:Reader", SIZES, isolation) as there:
        there.observe(shown, np.zeros((3, 2), dtype=np.int64), nothing)
        assert there.counters() == here.counters() != {"seen": 0}


def test_it_keeps_the_contract_of_agents(code):
    def factory(**sizes):
        return IsolatedAgent("isolated_agents:Taste", sizes, Isolation(code=(code,)))

    check_agent(factory)


def test_a_whole_run_of_a_torch_agent_is_the_same_to_the_bit(tmp_path):
    settings = {"ee2024-double_thompson": {"hidden_sizes": [8, 8], "steps": 2}}
    kwargs = {"dimension": 4, "n_candidates": 6, "utility": "linear"}
    plan = Plan("SyntheticDuel-v0", kwargs, tuple(settings), 64, 1, 16, "", "", settings)
    task = Task("ee2024-double_thompson", 0)
    learner = CommonLearner("response", 1.0, "")
    run_task(plan, task, tmp_path / "here", learner, lambda count: None)
    with isolated_agent(plan, task, plan.problem(0), Isolation()) as agent:
        run_task(plan, task, tmp_path / "there", learner, lambda count: None, agent=agent)
    here, there = (RunDirectory(tmp_path / where / "runs" / task.name) for where in ("here", "there"))
    assert here.finished() and there.finished()
    names = sorted(path.name for path in here.path.iterdir() if path.name != "timings.jsonl")
    assert names == sorted(path.name for path in there.path.iterdir() if path.name != "timings.jsonl")
    assert len(names) >= 3
    for name in names:
        assert (here.path / name).read_bytes() == (there.path / name).read_bytes(), name


def test_states_and_samples_cross_to_the_bit():
    arguments = {**SIZES, "hidden_sizes": [8, 8], "steps": 2}
    shown, preferences = contexts(0), np.array([0, 1, 0], dtype=np.int8)
    with IsolatedAgent("ee2024-double_thompson", arguments) as there:
        there.observe(shown, there.select_pairs(shown), preferences)
        state = there.state_dict()
        here = make_agent("ee2024-double_thompson", **arguments)
        here.load_state_dict(state)
        assert set(state) == set(here.state_dict())
        there.load_state_dict(state)
        for array, other in zip(state.values(), there.state_dict().values(), strict=True):
            assert array.dtype == other.dtype and array.tobytes() == other.tobytes()
        mine, its = (agent.sample_utilities(shown, 5, np.random.default_rng(3)) for agent in (here, there))
        assert mine.dtype == its.dtype and mine.tobytes() == its.tobytes()
        assert np.array_equal(here.select_pairs(shown), there.select_pairs(shown))
        with pytest.raises(SpecificationError, match="PCG64.*not from MT19937"):
            there.sample_utilities(shown, 5, np.random.Generator(np.random.MT19937(0)))


def test_nothing_is_within_reach(isolation, code, tmp_path, monkeypatch):
    monkeypatch.setenv("DUELGYM_TEST_SECRET", "salt")
    tmp_path.chmod(0o755)
    secret, hidden, link = tmp_path / "secret", code / "pool" / "utilities", tmp_path / "link"
    link.symlink_to(code)
    secret.write_text("the salt")
    hidden.parent.mkdir(exist_ok=True)
    hidden.write_text("the utilities")
    with socket.create_server(("127.0.0.1", 0)) as server, local_server() as (local, name):
        arguments = {
            "address": list(server.getsockname()),
            "name": name,
            "secret": str(secret),
            "hidden": str(link / "pool" / "utilities"),
            "pool": str(assets.POOL),
            "model": str(assets.REWARD_MODEL),
            "harness": os.getpid(),
            "outside": str(tmp_path / "trace"),
        }
        hiding = Isolation(code=(link,), hidden=(hidden.parent,), namespaces=isolation.namespaces)
        with IsolatedAgent("isolated_agents:Probe", SIZES | arguments, hiding) as agent:
            could = {name for name, count in agent.counters().items() if count}
        with pytest.raises(BlockingIOError):
            local.recv(1)
    if isolation.namespaces == "off":  # files and the list of processes are the user's, as ``missing`` says
        could -= {"write outside", "change its code", "set the kernel", "be root", "hide memory by a device"}
        could = {name for name in could if not name.startswith(("read", "see"))}
    else:
        assert not (tmp_path / "trace").exists()
    assert could == {"work in scratch", "compute", "wait for events", "talk to itself"}


def test_without_isolation_the_probe_reaches_everything(code, tmp_path):
    """Else it would prove nothing."""
    (tmp_path / "secret").write_text("the salt")
    with socket.create_server(("127.0.0.1", 0)) as server, local_server() as (_, name):
        arguments = {"address": list(server.getsockname()), "name": name, "harness": os.getpid()}
        arguments |= {"pool": str(assets.POOL), "model": str(assets.REWARD_MODEL)}
        arguments |= {file: str(tmp_path / "secret") for file in ("secret", "hidden", "outside")}
        script = f"import isolated_agents; print(isolated_agents.Probe(**{SIZES | arguments}).counters())"
        variables = os.environ | {"PYTHONPATH": str(code), "DUELGYM_TEST_SECRET": "salt"}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=True)
    could = {name for name, count in ast.literal_eval(done.stdout).items() if count}
    assert could >= {
        *("work in scratch", "compute", "connect", "send", "use local sockets", "change its code", "write outside"),
        *("read outside", "read what is hidden", "read the pool", "read passwords", "see the harness"),
        *("read the reward model", "signal the harness", "find a variable", "wait for events", "talk to itself"),
        *("send to a name", "send to a name by another type", "hide memory", "hide memory by sharing it"),
        *("hide memory by a device", "hide memory in a pipe", "hide memory in semaphores", "hide times of children"),
    }


def test_two_agents_live_side_by_side(code):
    isolation = Isolation(code=(code,))
    with (
        IsolatedAgent("isolated_agents:Taste", SIZES, isolation) as one,
        IsolatedAgent("isolated_agents:Hostile", SIZES | {"trick": "crash"}, isolation, who="the other") as other,
    ):
        shown, pairs = contexts(0), one.select_pairs(contexts(0))
        with pytest.raises(IsolationError, match=r"^the other: select_pairs\(\) .*killed by SIGSEGV$"):
            other.select_pairs(shown)
        assert np.array_equal(one.select_pairs(shown), pairs)
        with pytest.raises(IsolationError, match="killed by SIGSEGV"):  # it stays dead
            other.recommend(shown)
    with pytest.raises(IsolationError, match="has been closed"):
        one.recommend(shown)


def test_a_run_names_agent_and_seed(code, tmp_path):
    plan = Plan("SyntheticDuel-v0", {"n_candidates": 6}, ("isolated_agents:Hostile",), 6, 3, 3, "", "", {})
    plan.settings["isolated_agents:Hostile"] = {"trick": "exits_255"}
    task = Task("isolated_agents:Hostile", 2)
    with isolated_agent(plan, task, plan.problem(2), Isolation(code=(code,))) as agent:
        message = "^agent 'isolated_agents:Hostile' on seed index 2: deepcopy.. raised TypeError: cannot pickle"
        with pytest.raises(IsolationError, match=message):
            run_task(plan, task, tmp_path, None, lambda count: None, agent=agent)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("isolated_agents:Nobody", {}, "factory.. raised AttributeError: .*Nobody"),
        ("isolated_agents:Taste", {"candidate_dim": -1}, "factory.. raised ValueError: negative"),
        ("isolated_agents:contextlib", {}, "factory.. raised TypeError"),
        ("builtins:dict", {}, "factory.. raised TypeError: a dict has not the methods"),
        ("elsewhere:Taste", {}, "factory.. raised ModuleNotFoundError: No module named 'elsewhere'"),
    ],
)
def test_agents_that_cannot_be_made_are_refused(code, name, arguments, message):
    with pytest.raises(IsolationError, match=f"^agent '{name}': {message}"):
        IsolatedAgent(name, SIZES | arguments, Isolation(code=(code,)))


def test_what_is_not_there_or_not_readable_is_refused(code, tmp_path, monkeypatch):
    with pytest.raises(SpecificationError, match="needs .*absent, which cannot be found"):
        IsolatedAgent("isolated_agents:Taste", SIZES, Isolation(code=(tmp_path / "absent",)))
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SpecificationError, match=f"runs as nobody, who may not read .*; chmod -R o\\+rX {tmp_path}"):
        IsolatedAgent("isolated_agents:Taste", SIZES, Isolation(code=(code,), readable=(tmp_path,)))


def test_ranked_runs_can_insist_on_namespaces(code, monkeypatch):
    started = launch._started

    def refusing(task, seconds):
        if task["namespaces"]:
            raise launch._RefusedError("unshare: Operation not permitted")
        return started(task, seconds)

    def without_filter(task, seconds):
        return started(task | {"namespaces": False}, seconds)[0], ("a filter of system calls (none here)",)

    monkeypatch.setattr(launch, "_started", refusing)
    with pytest.raises(SpecificationError, match=r"in full; missing here: namespaces \(unshare: Operation not perm"):
        IsolatedAgent("isolated_agents:Taste", SIZES, Isolation(code=(code,), namespaces="required"))
    with IsolatedAgent("isolated_agents:Taste", SIZES, Isolation(code=(code,))) as agent:
        assert agent.missing[0].startswith("namespaces (unshare: Operation not permitted): the agent sees")
    monkeypatch.setattr(launch, "_started", without_filter)
    with pytest.raises(SpecificationError, match=r"in full; missing here: a filter of system calls \(none here\)"):
        IsolatedAgent("isolated_agents:Taste", SIZES, Isolation(code=(code,), namespaces="required"))
