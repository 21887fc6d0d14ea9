"""The problem of Gaussian features: no texts, no language model."""

from __future__ import annotations

from duelgym.envs.problems.problem import Problem, SimulatorArgument, answering_simulator
from duelgym.errors import SpecificationError
from duelgym.generators import GaussianFeatures
from duelgym.simulators.raters import RaterArgument, SyntheticRaters


def synthetic(
    *,
    dimension: int = 16,
    n_candidates: int = 16,
    utility: str = "random_features",
    prompt_share: float = 0.5,
    rater: RaterArgument = None,
    simulator: SimulatorArgument = None,
    temperature: float | None = None,
) -> Problem:
    """Build the problem of ``SyntheticDuel-v0``: see :class:`duelgym.envs.DuelEnv` for the arguments."""
    generator = GaussianFeatures(dimension=dimension, n_candidates=n_candidates, prompt_share=prompt_share)
    raters = SyntheticRaters(generator, utility, rater)
    answering = answering_simulator(simulator, temperature, default=1.0)
    reads_texts = (
        answering.needs_texts or getattr(answering, "scorer", None) or getattr(answering, "needs_lengths", False)
    )
    if reads_texts:
        names = ", ".join(str(layer["name"]) for layer in answering.specification())
        raise SpecificationError(
            f"simulator is {names}, and one of these reads texts; SyntheticDuel-v0's candidates are points: take an id with texts"
        )
    specification = {
        "problem": "synthetic",
        "dimension": generator.prompt_dim,
        "n_candidates": generator.n_candidates,
        "utility": utility,
        "prompt_share": prompt_share,
        "rater": rater,
        "simulator": answering.specification(),
    }
    return Problem(generator, raters, answering, specification)
