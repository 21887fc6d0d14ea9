"""A wrapper that writes the log of every episode, around single and vector environments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np

from duelgym.envs.duel import DuelEnv
from duelgym.envs.vector import DuelVectorEnv
from duelgym.errors import SpecificationError
from duelgym.metrics.judged import Judged
from duelgym.rounds.queries import QueryWriter, header_of


def RecordRounds(env: Any, directory: str | Path) -> Any:  # noqa: N802 (a wrapper's name, for both kinds)
    """Wrap an environment so that every episode is written to ``directory/episode-<number>.queries.jsonl.gz``.

    The first reset must be given a seed, since a log without one cannot be replayed; later episodes are seeded from it.

    Args:
        env: a duel environment, single or vector, wrapped or not.
        directory: made where it does not exist; it must not hold episodes yet.

    Raises:
        SpecificationError: if it is no duel environment, or the directory already holds episodes.
    """
    wrapper = _RecordVector if isinstance(env, gym.vector.VectorEnv) else _RecordSingle
    return wrapper(env, str(directory))


class _Recorder:
    """The writing that both wrappers share."""

    def __init__(self, env: DuelEnv | DuelVectorEnv, directory: str, batch: int) -> None:
        self.env = env
        self.batch = batch
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        if any(self.directory.glob("episode-*")):
            raise SpecificationError(f"{directory} already holds episodes; give a new directory")
        self.episodes = 0
        self.writer: QueryWriter | None = None
        self.seeds: np.random.Generator | None = None

    def reset(self, reset: Callable[..., Any], seed: Any, options: dict[str, Any] | None) -> Any:
        """Begin an episode and its log, with the seed given or else the next one drawn from the last one given."""
        if seed is None and self.seeds is None:
            raise SpecificationError(
                "RecordRounds needs reset(seed=...) the first time: a log without a seed has no replay"
            )
        chosen = seed if self.seeds is None or seed is not None else int(self.seeds.integers(2**31))
        result = reset(seed=chosen, options=options)
        if seed is not None:
            self.seeds = np.random.default_rng([int(seed), 0x10C])
        self._begin(int(chosen))
        return result

    def _begin(self, seed: int) -> None:
        self.close()
        spec = self.env.spec
        path = self.directory / f"episode-{self.episodes:04d}.queries.jsonl.gz"
        header = header_of(
            self.env.problem, env_id=spec.id if spec else None, budget=self.env.budget, batch=self.batch, seed=seed
        )
        self.writer = QueryWriter(path, header, self.env.problem)
        self.episodes += 1

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def write(self, asked: Judged) -> None:
        """Write the answers to the questions that were asked; whatever wrappers show, it is the environment's own."""
        assert self.writer is not None  # reset() opened it
        answer = self.env.last_answer
        pairs = np.asarray(answer["last_pair"], dtype=np.int64).reshape(self.batch, 2)
        preferences = np.asarray(answer["preference"], dtype=np.int8).reshape(self.batch)
        self.writer.write(asked.questions, pairs, preferences)


class _RecordSingle(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    def __init__(self, env: gym.Env[Any, Any], directory: str) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, directory=directory)
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.unwrapped, DuelEnv):
            raise SpecificationError(f"RecordRounds wraps a duel environment, not {env.unwrapped}")
        self._recorder = _Recorder(env.unwrapped, directory, 1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self._recorder.reset(self.env.reset, seed, options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        asked = cast("DuelEnv", self.env.unwrapped).asked
        result = self.env.step(action)
        self._recorder.write(asked)
        return result

    def close(self) -> None:
        self._recorder.close()
        super().close()


class _RecordVector(gym.vector.VectorWrapper, gym.utils.RecordConstructorArgs):
    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], directory: str) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, directory=directory)
        super().__init__(env)
        if not isinstance(env.unwrapped, DuelVectorEnv):
            raise SpecificationError(f"RecordRounds wraps a duel environment, not {env.unwrapped}")
        self._recorder = _Recorder(env.unwrapped, directory, env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self._recorder.reset(self.env.reset, seed, options)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        duel = cast("DuelVectorEnv", self.env.unwrapped)
        if duel.session.queries >= duel.budget:  # the next step begins a new episode by itself
            observation, info = self.reset()
            never = np.zeros(duel.num_envs, dtype=np.bool_)
            return observation, np.zeros(duel.num_envs), never, never.copy(), info
        asked = duel.asked
        result = self.env.step(actions)
        self._recorder.write(asked)
        return result

    def close(self, **kwargs: Any) -> None:
        self._recorder.close()
        super().close(**kwargs)
