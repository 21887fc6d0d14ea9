"""How much memory sampling takes, at the size of a real problem."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MOST = 64.0
PROC = Path("/proc/self/clear_refs")

# The peak of resident memory while something runs, less what was resident before: this sees numpy's arrays, torch's
# tensors and what LAPACK takes for itself alike. The kernel forgets the peak when asked to; and glibc is told to give
# every large block back at once, so that no call hides in what an earlier one has left behind.
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from made_up_duels import LINEAR, ON_EMBEDDINGS, contexts_of, random_pairs

torch.set_num_threads(1)


def resident(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def megabytes(work):
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


# 76 megabytes of each, which must be seen for anything to be; at first a library's own code becomes resident too.
torch.ones(2 * 10**7)
print("numpy", megabytes(lambda: np.ones(10**7)))
print("torch", megabytes(lambda: torch.ones(2 * 10**7)))
shape = {"prompt_dim": 384, "candidate_dim": 384}
rng = np.random.default_rng(0)
contexts = contexts_of(rng, batch=32, n_candidates=100, **shape)
duels = contexts_of(rng, batch=800, n_candidates=2, **shape)
for name, kind in ON_EMBEDDINGS.items():
    of_features = ("interaction", "fourier" if name == "bayesian_linear" else "concat")
    for features in ("its own",) if name in ("additive", "belief") else of_features:
        # No steps: weights as they are take as much memory, and the buffer is full at once.
        changes = {} if name in LINEAR else {"steps": 0}
        changes |= {} if features == "its own" else {"features": features}
        model = kind.build(replace(kind.settings, **changes), rng=np.random.default_rng(0), **shape)
        for stage in ("fresh", "taught"):
            for _ in range(0 if stage == "fresh" else 1 if name in LINEAR else 4):
                model.update(duels, random_pairs(rng, duels), np.zeros(800, np.int8))
            model.mean(contexts)
            print(name, features, stage, megabytes(lambda: model.sample_utilities(contexts, 10, rng)), sep=", ")
"""


@pytest.mark.skipif(not PROC.exists(), reason="needs a kernel that tells the peak of resident memory, and forgets it")
def test_ten_samples_of_32_prompts_with_100_candidates_of_384_features_take_less_than_64_megabytes():
    at_once = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **at_once, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    taken = {what: float(megabytes) for what, megabytes in (line.rsplit(" ", 1) for line in ran.stdout.splitlines())}
    assert [taken.pop("numpy"), taken.pop("torch")] == pytest.approx([76.3, 76.3], abs=4)
    assert len(taken) == 32  # seven models with two sets of features and two with their own, before and after labels
    assert {what: megabytes for what, megabytes in taken.items() if megabytes > MOST} == {}
