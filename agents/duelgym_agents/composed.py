"""An agent is a reward model and an exploration rule."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import PREFERENCE_NONE, Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.exploration import ExplorationRule
from duelgym_agents.reward_models import RewardModel
from duelgym_agents.state import entry, generator_from_array, generator_to_array, with_prefix, without_prefix

_COUNTED = ("retries", "fallbacks", "self_duels", "repeated_pairs", "unanswered")


class RewardModelAgent:
    """Asks what its rule picks from its model's utilities, and recommends the candidate of highest mean utility.

    The rule has a random stream of its own: two agents with one seed and one rule that ignores utilities ask the
    same pairs, whatever their models. A copy (``copy.deepcopy``) continues exactly as the original would.

    Args:
        model: learns utilities.
        rule: picks pairs.
        n_samples: samples of the model given to rules that read samples.
        rng: the rule's random stream; the agent keeps it.
    """

    def __init__(self, model: RewardModel, rule: ExplorationRule, *, n_samples: int, rng: np.random.Generator) -> None:
        self._model = model
        self._rule = rule
        self._n_samples = n_samples
        self._rng = rng
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._asked: set[int] = set()

    def select_pairs(self, contexts: Contexts) -> Int64[np.ndarray, "batch 2"]:
        """Return the pairs (first shown, second shown) that the rule picks; nothing that it does not read is computed."""
        batch, n_candidates, _ = contexts.candidates.shape
        if self._rule.reads == "nothing":
            utilities = np.empty((0, batch, n_candidates), dtype=np.float32)
        elif self._rule.reads == "mean":
            utilities = self._model.mean(contexts)[None]
        else:
            utilities = self._model.sample_utilities(contexts, self._n_samples, self._rng)
        selection = self._rule(_finite(utilities), self._rng)
        self._counts["retries"] += selection.retries
        self._counts["fallbacks"] += selection.fallbacks
        return selection.pairs

    def observe(
        self, contexts: Contexts, pairs: Int64[np.ndarray, "batch 2"], preferences: Int8[np.ndarray, " batch"]
    ) -> None:
        """Count what was asked, and let the model learn from the answers."""
        self._counts["unanswered"] += int(np.count_nonzero(preferences == PREFERENCE_NONE))
        for prompt, candidates, (first, second) in zip(contexts.prompts, contexts.candidates, pairs, strict=True):
            if first == second:
                self._counts["self_duels"] += 1
                continue
            question = _question(prompt, candidates[first], candidates[second])
            self._counts["repeated_pairs"] += question in self._asked
            self._asked.add(question)
        self._model.update(contexts, pairs, preferences)

    def recommend(self, contexts: Contexts) -> Int64[np.ndarray, " batch"]:
        """Return the position of the highest mean utility; among equals the lowest position."""
        return _finite(self._model.mean(contexts)).argmax(axis=1)

    def sample_utilities(
        self, contexts: Contexts, n_samples: int, rng: np.random.Generator
    ) -> Float32[np.ndarray, "n_samples batch n_candidates"]:
        """Return joint samples of the candidates' utilities."""
        return self._model.sample_utilities(contexts, n_samples, rng)

    def counters(self) -> dict[str, int]:
        """Return what happened so far, over all queries.

        ``retries`` and ``fallbacks`` of the rule, ``self_duels`` and ``unanswered`` queries, and ``repeated_pairs``:
        the same prompt with the same two candidates, in either order, as in an earlier query.
        """
        return dict(self._counts)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return all that the agent's future depends on."""
        return {
            **with_prefix("model", self._model.state_dict()),
            "rng": generator_to_array(self._rng),
            "counts": np.array([self._counts[name] for name in _COUNTED], dtype=np.int64),
            "asked": np.fromiter(sorted(self._asked), dtype=np.uint64, count=len(self._asked)),
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if it is the state of another agent, or of one with other settings.
        """
        self._model.load_state_dict(without_prefix("model", state))
        generator_from_array(self._rng, entry(state, "rng"))
        counts = entry(state, "counts", (len(_COUNTED),)).tolist()
        self._counts = dict(zip(_COUNTED, counts, strict=True))
        self._asked = set(entry(state, "asked", (None,)).tolist())


def _question(
    prompt: Float32[np.ndarray, " prompt_dim"],
    first: Float32[np.ndarray, " candidate_dim"],
    second: Float32[np.ndarray, " candidate_dim"],
) -> int:
    """Return 64 bits that name a prompt and an unordered pair of its candidates (contexts carry no ids)."""
    digest = blake2b(prompt.tobytes(), digest_size=8)
    for features in sorted([first.tobytes(), second.tobytes()]):
        digest.update(features)
    return int.from_bytes(digest.digest(), "little")


def _finite(utilities: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    if not np.isfinite(utilities).all():
        raise SpecificationError("the reward model's utilities are not finite; lower its learning_rate")
    return utilities
