"""The random states that belong to nobody, and that nothing may read or set."""

import contextlib
import random

import numpy as np
import torch


@contextlib.contextmanager
def left_alone(seed):
    """Seed the global random states, and check that what is done meanwhile leaves them as they are."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the very thing that must not matter)
    torch.manual_seed(seed)
    before = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # noqa: NPY002
    yield
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tobytes() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])
