"""An agent is a reward model and an exploration rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass

import numpy as np
from jaxtyping import Float32, Int8, Int64

from duelgym.agent import PREFERENCE_NONE, Contexts
from duelgym.errors import SpecificationError
from duelgym_agents.exploration.posterior import GivesFeatures, GivesPosterior
from duelgym_agents.exploration.rule import AnyRule, Selection
from duelgym_agents.reward_models import RewardModel
from duelgym_agents.state import entry, generator_from_array, generator_to_array, name_of, with_prefix, without_prefix

_READS = ("nothing", "mean", "samples", "features", "posterior")
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
        pessimism: what is recommended has the highest mean utility less this many standard deviations over ``n_samples``
            samples (divisor n_samples - 1): a lower confidence bound, for deployment alone (Zhang et al. 2024,
            2401.16635). Samples are seen relative to their mean over the prompt's candidates, since what a sample adds to
            all of them is no doubt about which is best. The samples' random stream is the same for every
            recommendation, which thus depends on nothing but what was learnt. 0 is the mean.

    Raises:
        SpecificationError: if the rule reads what the model cannot give, or what no agent may see; or if there is
            pessimism, but fewer than two samples.
    """

    def __init__(
        self,
        model: RewardModel,
        rule: AnyRule,
        *,
        n_samples: int,
        rng: np.random.Generator,
        pessimism: float = 0.0,
    ) -> None:
        _check_fit(model, rule, n_samples)
        if pessimism and n_samples < 2:
            raise SpecificationError(
                f"pessimism is {pessimism}, and {type(model).__name__} would be sampled {n_samples} time(s), which tells no "
                "deviation; use an epistemic reward model, or 0"
            )
        parts = _described(rule), type(model).__name__, _described(getattr(model, "settings", None))
        self._described = ", ".join((*parts, f"{n_samples} samples", f"pessimism {pessimism}"))
        self._pessimism = pessimism
        self._model = model
        self._rule = rule
        self._n_samples = n_samples
        self._rng = rng
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._asked: set[int] = set()

    @property
    def needs_texts(self) -> bool:
        """Whether the model reads texts."""
        return bool(getattr(self._model, "needs_texts", False))

    def select_pairs(self, contexts: Contexts) -> Int64[np.ndarray, "batch 2"]:
        """Return the pairs (first shown, second shown) that the rule picks; nothing that it does not read is computed.

        A prompt with a single candidate leaves no choice: the pair is (0, 0).
        """
        selection = self._select(contexts)
        if not isinstance(selection, Selection) or np.shape(selection.pairs) != (len(contexts), 2):
            raise SpecificationError(
                f"rule {self._rule.name!r} must return a Selection with pairs of shape ({len(contexts)}, 2)"
            )
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
            question = name_of(prompt, *sorted((candidates[first], candidates[second]), key=np.ndarray.tobytes))
            self._counts["repeated_pairs"] += question in self._asked
            self._asked.add(question)
        self._model.update(contexts, pairs, preferences)

    def recommend(self, contexts: Contexts) -> Int64[np.ndarray, " batch"]:
        """Return the position of the highest mean utility, less any pessimism; among equals the lowest position."""
        scores = self._model.mean(contexts)
        if self._pessimism:
            samples = self._model.sample_utilities(contexts, self._n_samples, np.random.default_rng(0))
            deviation = (samples - samples.mean(axis=2, keepdims=True)).std(axis=0, ddof=1)
            scores = scores - np.float32(self._pessimism) * deviation
        return _finite(scores).argmax(axis=1)

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
            "described": np.frombuffer(self._described.encode(), dtype=np.uint8).copy(),
            "rng": generator_to_array(self._rng),
            "counts": np.array([self._counts[name] for name in _COUNTED], dtype=np.int64),
            "asked": np.fromiter(sorted(self._asked), dtype=np.uint64, count=len(self._asked)),
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state_dict` gave.

        Raises:
            SpecificationError: if it is the state of another agent, or of one with other settings.
        """
        described = entry(state, "described", (None,)).astype(np.uint8).tobytes().decode(errors="replace")
        if described != self._described:
            raise SpecificationError(f"the saved state is of an agent with {described}; this one has {self._described}")
        self._model.load_state_dict(without_prefix("model", state))
        generator_from_array(self._rng, entry(state, "rng"))
        counts = entry(state, "counts", (len(_COUNTED),)).tolist()
        self._counts = dict(zip(_COUNTED, counts, strict=True))
        self._asked = set(entry(state, "asked", (None,)).tolist())

    def _select(self, contexts: Contexts) -> Selection:
        rule, model = self._rule, self._model
        batch, n_candidates, _ = contexts.candidates.shape
        if n_candidates == 1:
            return Selection(np.zeros((batch, 2), dtype=np.int64))
        if rule.reads == "features":
            assert isinstance(model, GivesFeatures)  # checked when the agent was built
            return rule(_finite(model.features(contexts), "features"), self._rng)
        if rule.reads == "posterior":
            assert isinstance(model, GivesPosterior)
            return rule(model.posterior(contexts), self._rng)
        if rule.reads == "nothing":
            return rule(np.empty((0, batch, n_candidates), dtype=np.float32), self._rng)
        if rule.reads == "mean":
            n_samples, utilities = 1, model.mean(contexts)[None]
        else:
            n_samples, utilities = self._n_samples, model.sample_utilities(contexts, self._n_samples, self._rng)
        shape = (n_samples, batch, n_candidates)
        if utilities.shape != shape:
            raise SpecificationError(
                f"{type(model).__name__} gives utilities of shape {utilities.shape}; rules read (samples, batch, candidates): {shape}"
            )
        return rule(_finite(utilities), self._rng)


def _described(part: object) -> str:
    """Return a part with its settings; one that is no dataclass might show an address that differs in every process."""
    return repr(part) if is_dataclass(part) else type(part).__name__


def _check_fit(model: RewardModel, rule: AnyRule, n_samples: int) -> None:
    """Refuse a rule that reads what the model cannot give, or what is no agent's to read."""
    reads, name = str(rule.reads), type(model).__name__
    if reads == "features" and not isinstance(model, GivesFeatures):
        raise SpecificationError(
            f"rule {rule.name!r} reads features, which {name} does not give; use a reward model with a method features"
        )
    if reads == "posterior" and not isinstance(model, GivesPosterior):
        raise SpecificationError(
            f"rule {rule.name!r} reads a covariance, which {name} does not give; use a linear reward model, one with a "
            "method posterior"
        )
    if reads == "samples" and n_samples < 2:
        raise SpecificationError(
            f"rule {rule.name!r} compares samples, and {name} would give it {n_samples}; use an epistemic reward model, "
            "or at least 2 particles or samples"
        )
    if reads not in _READS:
        raise SpecificationError(
            f"rule {rule.name!r} reads {reads!r}, which no agent has; an agent's rule may read {', '.join(_READS)}"
        )


def _finite(values: Float32[np.ndarray, "*shape"], name: str = "utilities") -> Float32[np.ndarray, "*shape"]:
    if not np.isfinite(values).all():
        raise SpecificationError(
            f"the reward model's {name} are not finite; lower its learning_rate or, where it has none, "
            "standardise the embeddings"
        )
    return values
