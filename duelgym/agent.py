"""The contract between a query and whoever chooses it: what an agent sees, and what it must answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int8, Int64

from duelgym.errors import SpecificationError

PREFERENCE_FIRST = 0
PREFERENCE_SECOND = 1
PREFERENCE_NONE = 2
PREFERENCE_TIE = 3


@dataclass(frozen=True)
class Contexts:
    """A batch of prompts with their candidate responses, as an agent sees them.

    There are no identifiers: an agent cannot look an answer up. All embeddings lie in [-1, 1].

    Attributes:
        prompts: prompt embeddings.
        candidates: response embeddings, in the (permuted) order in which they are shown.
        prompt_texts: one string per prompt; only for agents with ``needs_texts = True``.
        candidate_texts: ``n_candidates`` strings per prompt; only for agents with ``needs_texts = True``.

    Raises:
        SpecificationError: if the embeddings are not float32 arrays of these shapes.
    """

    prompts: Float32[np.ndarray, "batch prompt_dim"]
    candidates: Float32[np.ndarray, "batch n_candidates candidate_dim"]
    prompt_texts: tuple[str, ...] | None = None
    candidate_texts: tuple[tuple[str, ...], ...] | None = None

    def __post_init__(self) -> None:
        for name, array, axes in (("prompts", self.prompts, 2), ("candidates", self.candidates, 3)):
            if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.ndim != axes:
                raise SpecificationError(
                    f"{name} must be a float32 array with {axes} axes, not {_described(array)}: "
                    "prompts are (batch, prompt_dim), candidates (batch, n_candidates, candidate_dim)"
                )
        if len(self.prompts) != len(self.candidates):
            raise SpecificationError(
                f"there are {len(self.prompts)} prompts and candidates of {len(self.candidates)}; each prompt needs its own"
            )

    def __len__(self) -> int:
        return len(self.prompts)


def _described(value: object) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


@runtime_checkable
class Agent(Protocol):
    """Chooses which two responses the next labels compare, and learns from the labels.

    It must be possible to copy an agent with ``copy.deepcopy``: runs assess a copy, which is then thrown away, so that
    nothing that ``recommend`` draws or remembers changes what is asked. :func:`duelgym.testing.check_agent` checks all of this.

    Optional members, each found by its presence:

    * ``needs_texts = True``: contexts carry texts (the text track).
    * ``sample_utilities(contexts, n_samples, rng)``: posterior samples ``(n_samples, batch, n_candidates)`` in log-odds, for
      any number of candidates from 2; one sample is one function for the whole batch. Enables joint NLL.
    * ``state_dict() -> Mapping[str, np.ndarray]`` and ``load_state_dict(mapping)``: enables resuming in mid-run. All that the
      agent's future depends on, its random stream too, as arrays of bool, whole numbers or floats.
    * ``counters() -> Mapping[str, int]``: what happened inside (fallbacks, retries); reported, never ranked.
    """

    def select_pairs(self, contexts: Contexts) -> Int64[np.ndarray, "batch 2"]:
        """Return for each prompt the positions (first shown, second shown) of the two responses to compare."""
        ...

    def observe(
        self,
        contexts: Contexts,
        pairs: Int64[np.ndarray, "batch 2"],
        preferences: Int8[np.ndarray, " batch"],
    ) -> None:
        """Learn from labels: 0 first preferred, 1 second preferred, 2 no answer, 3 tie."""
        ...

    def recommend(self, contexts: Contexts) -> Int64[np.ndarray, " batch"]:
        """Return for each prompt the position of the response that would be deployed (best of N)."""
        ...


@runtime_checkable
class AgentFactory(Protocol):
    """Builds an agent. A custom one is named on command lines as ``package.module:factory``."""

    def __call__(
        self,
        *,
        prompt_dim: int,
        candidate_dim: int,
        n_candidates: int,
        batch_size: int,
        budget: int,
        seed: int,
        **settings: object,
    ) -> Agent:
        """Return a fresh agent. ``seed`` is the agent's own: it says nothing about the environment's."""
        ...
