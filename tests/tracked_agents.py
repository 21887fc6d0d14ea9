"""An agent that is tracked, and trackers: one that keeps what it is told, and some that fail."""

import json

import numpy as np


class Constant:
    """Compares and recommends the first two; says how often it was asked."""

    def __init__(self, **rest):
        self.calls = 0

    def select_pairs(self, contexts):
        self.calls += 1
        return np.tile([0, 1], (len(contexts), 1))

    def observe(self, contexts, pairs, preferences):
        pass

    def recommend(self, contexts):
        return np.zeros(len(contexts), dtype=np.int64)

    def counters(self):
        return {"calls": np.int64(self.calls)}

    def state_dict(self):
        return {"calls": np.array(self.calls)}

    def load_state_dict(self, state):
        self.calls = int(state["calls"])


class Seen:
    """A tracker that keeps what it is told in a file, and fails where its class says."""

    fails = ""

    def __init__(self, run):
        self.path = run.directory / "seen.jsonl"
        self.told(project=run.project, group=run.group, name=run.name, config=run.config, after=run.after)

    def told(self, **what):
        with self.path.open("a") as file:
            file.write(json.dumps(what) + "\n")

    def log(self, t, values):
        if self.fails == f"log {t}":
            raise OSError("no space\nleft")
        self.told(t=t, **values)
        values.clear()

    def close(self, *, finished):
        if self.fails == "close":
            raise SystemExit(3)
        self.told(finished=finished)


class FailsToLog(Seen):
    fails = "log 16"


class FailsToClose(Seen):
    fails = "close"


def refused(run):
    raise ConnectionError("no network")


def nothing(run):
    return object()
