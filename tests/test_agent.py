"""What agents see, and where they are made."""

import subprocess
import sys

import numpy as np
import pytest

import duelgym_agents
from duelgym import Contexts, SpecificationError
from duelgym_agents.registry import make_agent

PROMPTS, CANDIDATES = np.zeros((3, 5), np.float32), np.zeros((3, 4, 6), np.float32)


@pytest.mark.parametrize(
    ("prompts", "candidates", "words"),
    [
        (
            PROMPTS.astype(float),
            CANDIDATES,
            r"prompts must be a float32 array with 2 axes, not float64 of shape \(3, 5\)",
        ),
        (PROMPTS, CANDIDATES[0], r"candidates must be a float32 array with 3 axes, not float32 of shape \(4, 6\)"),
        (PROMPTS, CANDIDATES.tolist(), "candidates must be a float32 array with 3 axes, not list"),
        (PROMPTS[:2], CANDIDATES, "there are 2 prompts and candidates of 3"),
    ],
)
def test_contexts_of_another_type_or_shape_are_refused(prompts, candidates, words):
    with pytest.raises(SpecificationError, match=words):
        Contexts(prompts, candidates)


def test_a_batch_is_as_long_as_its_prompts():
    assert len(Contexts(PROMPTS, CANDIDATES)) == 3


def test_agents_are_made_from_the_package_and_rules_alone_wait_for_no_torch():
    assert duelgym_agents.make_agent is make_agent
    with pytest.raises(AttributeError, match="no attribute 'make_agents'"):
        duelgym_agents.make_agents
    code = "import sys, duelgym_agents, duelgym_agents.exploration; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
