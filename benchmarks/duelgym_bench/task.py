"""One run: the loop in which an agent asks, an environment answers, and everything is logged."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from jaxtyping import Int64

import duelgym  # noqa: F401  (registers the ids)
from duelgym.agent import Agent, Contexts
from duelgym.envs.session import checked_pairs
from duelgym.errors import DuelgymError, SpecificationError, error_in_words
from duelgym.generators import Questions
from duelgym.metrics import Judged
from duelgym.rounds import MemberLog, QueryWriter, header_of, read_queries
from duelgym.saving import state_bytes
from duelgym_agents.registry import own_modules
from duelgym_bench.common import CommonLearner, write_common_curve
from duelgym_bench.files import sha256_of, write_atomically
from duelgym_bench.isolation.process import IsolationError
from duelgym_bench.plan import Plan, Task, derived_seed, make_agent
from duelgym_bench.run_directory import RunDirectory, recommendation_header, recommendation_line
from duelgym_bench.tracking import Tracking, live_scores
from duelgym_bench.uncertainty import HeldOutDuels

ASSESSMENT_CHUNK = 64
PARTS = ("select", "simulate", "learn", "assess")
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_task(
    plan: Plan,
    task: Task,
    out: Path,
    learner: CommonLearner | None,
    progress: Callable[[int], None],
    track: Sequence[str] = (),
    agent: Agent | None = None,
) -> None:
    """Run one agent on one seed, from the start or from where it stopped.

    A run that was stopped goes on from its last checkpoint (or from the start, for an agent without ``state_dict``):
    questions already in the log are put again, the log confirms that the answers are the same, and then writing
    goes on. So no query is lost, and none is counted twice.

    Args:
        plan: what is run.
        task: which agent and seed.
        out: directory of all runs.
        learner: the common learner; None in tuning and in runs that are only compared, which do without.
        progress: is told how many queries have been answered since it was last told.
        track: names of trackers, which show each checkpoint while the run goes on.
        agent: the task's agent, fresh, where it was made elsewhere (:func:`duelgym_bench.isolation.agent.isolated_agent`).

    Raises:
        DuelgymError: in one line, if the agent fails or the log does not agree.
    """
    directory = RunDirectory(out / "runs" / task.name)
    if directory.finished():
        progress(plan.queries)
        return
    problem = plan.problem(task.seed_index)
    code: dict[str, str] = {}  # what a process of its own imports is not in this one
    if agent is None:
        agent = make_agent(plan, task, problem)
        code = _code_of(task)
    resumed = directory.recommendations.exists()  # an executor that holds the run has made its query log
    directory.path.mkdir(parents=True, exist_ok=True)
    env: Any = gym.make_vec(
        plan.env,
        num_envs=plan.batch,
        budget=plan.queries,
        reward="zero",
        text=bool(getattr(agent, "needs_texts", False)),
        **plan.problem_kwargs(task.seed_index),
    ).unwrapped
    with (
        contextlib.closing(env),
        Tracking(track, plan, task, out, resumed=resumed) as tracking,
        contextlib.ExitStack() as opened,
    ):
        _Run(plan, task, directory, env, agent, progress, tracking, opened, code).run()
    if learner is not None:
        write_common_curve(plan, task.seed_index, directory, learner)
    directory.finish(tuning=learner is None)


class _Run:
    def __init__(
        self,
        plan: Plan,
        task: Task,
        directory: RunDirectory,
        env: Any,
        agent: Any,
        progress: Callable[[int], None],
        tracking: Tracking,
        opened: contextlib.ExitStack,
        code: Mapping[str, str],
    ) -> None:
        self.plan, self.task, self.directory, self.env, self.agent = plan, task, directory, env, agent
        self.progress, self.tracking = progress, tracking
        seed = plan.env_seed(task.seed_index)
        self.observation, _ = env.reset(seed=seed)
        header = header_of(
            env.problem, env_id=plan.env, budget=plan.queries, batch=plan.batch, seed=seed, seed_index=task.seed_index
        )
        self.queries = opened.enter_context(contextlib.closing(QueryWriter(directory.queries, header, env.problem)))
        self.recommendations = opened.enter_context(MemberLog(directory.recommendations))
        self.judged: Judged = env.session.assessment()
        self.held_out: Questions = self.judged.questions
        self.duels = self._held_out_duels()
        self.recommendations.write(recommendation_header(self.held_out.prompt_ids.tolist()))
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.code = code

    def run(self) -> None:
        checkpoints = self.plan.checkpoints()
        t = self._resume(checkpoints)
        self._keep_timings(t)
        if t == 0:
            self._assess(0)
        while t < self.plan.queries:
            self._batch()
            t += self.plan.batch
            if t in checkpoints:
                self._assess(t)
                if t < self.plan.queries:
                    self._save(t)

    def _batch(self) -> None:
        contexts, started = self._contexts(), time.perf_counter()
        pairs = self._legal_pairs(contexts)
        selected = time.perf_counter()
        preferences = self._step(pairs)
        simulated = time.perf_counter()
        with self._blamed("observe()"):
            self.agent.observe(contexts, pairs, preferences)
        self.seconds["select"] += selected - started
        self.seconds["simulate"] += simulated - selected
        self.seconds["learn"] += time.perf_counter() - simulated
        self.progress(self.plan.batch)

    def _step(self, pairs: Int64[np.ndarray, "batch 2"]) -> np.ndarray:
        asked = self.env.asked.questions
        self.observation, *_ = self.env.step(pairs)
        preferences = self.observation["preference"].astype(np.int8)
        self.queries.write(asked, pairs, preferences)
        return preferences

    def _contexts(self) -> Contexts:
        seen = self.observation
        return Contexts(seen["prompt"], seen["candidates"], seen.get("prompt_text"), seen.get("candidate_texts"))

    def _assess(self, t: int) -> None:
        started = time.perf_counter()
        generator, positions = self.env.problem.generator, []
        with self._blamed("copying it for assessment"):
            fork = copy.deepcopy(self.agent)  # what assessing changes is thrown away: other checkpoints, same queries
        for start in range(0, len(self.held_out), ASSESSMENT_CHUNK):
            part = self.held_out.rows(slice(start, start + ASSESSMENT_CHUNK))
            contexts = generator.contexts(part, texts=bool(getattr(self.agent, "needs_texts", False)))
            with self._blamed("recommend()"):
                best = np.asarray(fork.recommend(contexts))
            if (
                best.shape != (len(part),)
                or best.dtype.kind not in "iu"
                or best.min() < 0
                or best.max() >= generator.n_candidates
            ):
                raise SpecificationError(
                    f"{self._who()}: recommend() must return {len(part)} positions from 0 to {generator.n_candidates - 1}"
                )
            positions.append(best.astype(np.int64))
        recommended = np.concatenate(positions)
        chosen = np.take_along_axis(self.held_out.candidate_ids, recommended[:, None], axis=1)[:, 0]
        self.recommendations.write(recommendation_line(t, chosen.tolist()))
        reported = self._held_out_scores(fork, t)
        self.seconds["assess"] += time.perf_counter() - started
        with self._blamed("counters()"):
            counters = dict(self.agent.counters()) if hasattr(self.agent, "counters") else {}
            line = json.dumps(
                {
                    "t": t,
                    "seconds": {part: round(value, 4) for part, value in self.seconds.items()},
                    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                    "counters": counters,
                    **({"code": self.code} if self.code else {}),
                    **reported,
                },
                default=float,  # numpy's numbers
            )
        self.tracking.log({**json.loads(line), **live_scores(self.judged, recommended)})
        with self.directory.timings.open("a") as file:
            file.write(line + "\n")

    def _held_out_duels(self) -> HeldOutDuels | None:
        if self.plan.tuning or not hasattr(self.agent, "sample_utilities"):
            return None
        rng = np.random.default_rng(derived_seed("held-out duels", self.plan.env, self.task.seed_index))
        texts = bool(getattr(self.agent, "needs_texts", False))
        return HeldOutDuels.drawn(self.judged, self.env.problem.generator, rng, texts=texts)

    def _held_out_scores(self, fork: Any, t: int) -> dict[str, dict[str, float]]:
        if self.duels is None:
            return {}
        rng = np.random.default_rng(derived_seed("sampled utilities", self.task.seed_index, t))
        with self._blamed("sample_utilities()"):
            return self.duels.scores(fork, rng)

    def _save(self, t: int) -> None:
        if not hasattr(self.agent, "state_dict"):
            return
        with self._blamed("state_dict()"):
            state = state_bytes(self.agent.state_dict(), {"t": str(t)})
        write_atomically(self.directory.state, state)

    def _resume(self, checkpoints: tuple[int, ...]) -> int:
        """Bring agent, environment and logs to the last checkpoint that was saved; return its query count."""
        if not self.directory.state.exists():
            return 0
        from safetensors import safe_open

        logged = read_queries(self.directory.queries)
        with safe_open(self.directory.state, framework="numpy") as file:
            t = int(file.metadata()["t"])
            state: Mapping[str, np.ndarray] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        assessed = sum(1 for count in checkpoints if count <= t)
        if t not in checkpoints or t > len(logged) or assessed > self.recommendations.pending:
            return 0  # the state outlived the logs, as a power cut can leave it
        with self._blamed("load_state_dict()"):
            self.agent.load_state_dict(state)
        for start in range(0, t, self.plan.batch):
            self._step(logged.pairs[start : start + self.plan.batch])
            self.progress(self.plan.batch)
        self.recommendations.skip(assessed)
        return t

    def _keep_timings(self, t: int) -> None:
        """Keep the lines up to the checkpoint from which the run goes on, and count from there."""
        if not self.directory.timings.exists():
            return
        kept = []
        for text in self.directory.timings.read_text().splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # torn by a kill
            if line["t"] <= t and t > 0:
                kept.append(text + "\n")
                self.seconds = dict(line["seconds"])
        write_atomically(self.directory.timings, "".join(kept))

    def _legal_pairs(self, contexts: Contexts) -> Int64[np.ndarray, "batch 2"]:
        with self._blamed("select_pairs()"):
            answer = np.asarray(self.agent.select_pairs(contexts))
        try:
            return checked_pairs(answer, batch=self.plan.batch, n_candidates=self.env.n_candidates)
        except gym.error.InvalidAction as error:
            raise SpecificationError(f"{self._who()}: select_pairs() gave no legal pairs: {error}") from None

    @contextlib.contextmanager
    def _blamed(self, what: str) -> Iterator[None]:
        """Name the agent, in one line, in whatever goes wrong inside it."""
        try:
            yield
        except IsolationError:  # says all that
            raise
        except DuelgymError as error:
            raise SpecificationError(f"{self._who()}: {what} refused: {error}") from error
        except (Exception, SystemExit) as error:
            raised = f"{error_in_words(error)} ({_place(error)})"
            raise SpecificationError(f"{self._who()}: {what} raised {raised}") from error

    def _who(self) -> str:
        return self.task.described


@functools.cache  # a process imports a module once, whatever becomes of the file while it runs one task after another
def _sha256_of_module(name: str) -> str | None:
    path = getattr(sys.modules.get(name), "__file__", None)
    return sha256_of(Path(path)) if path and Path(path).is_file() else None


def _code_of(task: Task) -> dict[str, str]:
    """Return module -> sha256 of the files of one's own that making the agent imported."""
    found = {name: _sha256_of_module(name) for name in own_modules(task.factory)}
    return {name: sha256 for name, sha256 in found.items() if sha256 is not None}


def _place(error: BaseException) -> str:
    """Return file and line where it was raised or, where that is a library's, which of the agent's lines called it."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((each for each in reversed(frames) if "site-packages" not in each.filename), frames[-1])
    return f"{Path(last.filename).name}:{last.lineno}"


def limit_threads() -> None:
    """Give this process, and those that it starts, one thread: sweeps run one process a core."""
    for name in THREAD_LIMITS:
        os.environ[name] = "1"
    import torch

    torch.set_num_threads(1)
