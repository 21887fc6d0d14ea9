"""Wrappers that change how a duel is asked or shown, for clients that want plain spaces."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from jaxtyping import Float32, Int64

from duelgym.errors import SpecificationError

TEXT_KEYS = ("prompt_text", "candidate_texts")


def _dict_space(env: gym.Env[Any, Any], wrapper: str) -> spaces.Dict:
    if not isinstance(env.observation_space, spaces.Dict):
        raise SpecificationError(
            f"{wrapper} wraps a duel's Dict observation, not {env.observation_space}; put it inside"
        )
    return env.observation_space


class PairIndex(gym.ActionWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Turns the action into ``Discrete(N(N-1)/2)`` over unordered pairs i < j, so that DQN works and no pair is (i, i).

    Index 0 is (0, 1), 1 is (0, 2), …; the lower position is shown first.

    Raises:
        SpecificationError: if the action is not a duel's pair, or there are fewer than two candidates.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ActionWrapper.__init__(self, env)
        if not isinstance(env.action_space, spaces.MultiDiscrete):
            raise SpecificationError(f"PairIndex wraps a duel's MultiDiscrete action, not {env.action_space}")
        n = int(env.action_space.nvec[0])
        if n < 2:
            raise SpecificationError("PairIndex needs at least two candidates; with one there is no pair to choose")
        self.pairs: Int64[np.ndarray, "n_pairs 2"] = np.stack(np.triu_indices(n, k=1), axis=1)
        self.action_space = spaces.Discrete(len(self.pairs))

    def action(self, action: Any) -> Int64[np.ndarray, " 2"]:
        """Return the pair of an index; an index out of range is refused at no cost."""
        index = np.asarray(action)
        if index.dtype.kind not in "iu" or index.shape != () or not 0 <= int(index) < len(self.pairs):
            raise gym.error.InvalidAction(
                f"the action is {action!r}; it must be a whole number from 0 to {len(self.pairs) - 1}, the index of a pair"
            )
        return self.pairs[int(index)].copy()


class FlattenDuel(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Turns the observation into one float32 vector: gymnasium's flattening of the numeric fields.

    The order is that of the keys: candidates (N·d), last pair (2N, one-hot), preference (4, one-hot), prompt (d).
    Each number keeps the bounds that it has in its field: [-1, 1], wider where ``Belief`` is inside.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        numeric = {key: space for key, space in _dict_space(env, "FlattenDuel").items() if key not in TEXT_KEYS}
        self._numeric = spaces.Dict(numeric)
        flat = spaces.flatten_space(self._numeric)
        assert isinstance(flat, spaces.Box)  # every numeric field is flattened to a Box
        self.observation_space = spaces.Box(flat.low.astype(np.float32), flat.high.astype(np.float32), dtype=np.float32)

    def observation(self, observation: dict[str, Any]) -> Float32[np.ndarray, " features"]:
        """Return the vector."""
        numbers = {key: observation[key] for key in self._numeric}
        return np.asarray(spaces.flatten(self._numeric, numbers), dtype=np.float32)


class DropText(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Leaves the strings of a ``text=True`` observation away, for clients that cannot hold them."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        kept = {key: space for key, space in _dict_space(env, "DropText").items() if key not in TEXT_KEYS}
        self.observation_space = spaces.Dict(kept)

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Return the observation without its strings."""
        return {key: value for key, value in observation.items() if key not in TEXT_KEYS}
