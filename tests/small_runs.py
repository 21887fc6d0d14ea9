"""Runs of the agents in ``failing_agents`` on a small synthetic environment: the commands, and the logs that they leave."""

from quick_commands import bench

from duelgym_bench.plan import Task
from duelgym_bench.run_directory import RunDirectory

LEARNER, RESUMABLE = "my_agents:Learner", "my_agents:Resumable"


def arguments(agents, out, *more, queries=160, seeds=1):
    """Return the arguments of ``duelgym-bench`` for a run: 20 batches of 8 by default, in one worker."""
    kwargs = '{"dimension": 4, "n_candidates": 6, "utility": "linear"}'
    sizes = ["--queries", queries, "--seeds", seeds, "--batch-size", 8]
    settings = ["--env", "SyntheticDuel-v0", "--env-kwargs", kwargs, "--agents", agents, *sizes, "--jobs", 1]
    return [str(part) for part in ("run", *settings, "--out", out, *more)]


def run(home, agents, out, *more, check=True, **sizes):
    """Run agents in this process; ``check``: they must finish."""
    return bench(home, *arguments(agents, out, *more, **sizes), check=check)


def directory(out, agent, seed_index=0):
    """Return the directory of one run."""
    return RunDirectory(out / "runs" / Task(agent, seed_index).name)


def logs(out, agent):
    """Return the bytes of the three logs of an agent's first run."""
    folder = directory(out, agent)
    return [path.read_bytes() for path in (folder.queries, folder.recommendations, folder.common)]
