"""What the tests share: one thread, a made-up pool, and the real data where it is at hand."""

import contextlib
import os
from pathlib import Path
from types import SimpleNamespace

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

import duelgym  # noqa: E402, F401  (registers the ids)
from duelgym.testing import make_pool  # noqa: E402

ROOT = Path(__file__).parent.parent

# Neither a deadline nor a limit on drawing, since a first call loads torch and a machine may be busy. What gates a change
# draws the same examples each time; elsewhere they are new ones.
settings.register_profile(
    "duelgym", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("duelgym")


@pytest.fixture(scope="session")
def pool_path(tmp_path_factory):
    """A made-up pool: 120 prompts, 6 candidates, 8 features."""
    return make_pool(tmp_path_factory.mktemp("pools") / "made-up", n_prompts=120).path


@pytest.fixture(scope="session")
def real_data():
    """The folder of AlpacaEval's files and their embeddings."""
    folder = Path(os.environ.get("DUELGYM_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "alpaca_eval" / "results").is_dir():
        pytest.skip(f"AlpacaEval's files are not at {folder}; set DUELGYM_TEST_DATA to where they are")
    return folder


@pytest.fixture
def quick_references(monkeypatch):
    """Let reports be scored in this process, beside references of little skill, where these are not what is tested."""
    from duelgym_bench import perceptron, references, scores

    monkeypatch.setattr(scores, "workers", lambda jobs: contextlib.nullcontext(SimpleNamespace(map=map)))
    monkeypatch.setattr(perceptron, "MOST_STEPS", 20)
    monkeypatch.setattr(references, "N_BLIND_PAIRS", 2)


@pytest.fixture(params=["SyntheticDuel-v0", "AlpacaEvalDuel-v0"])
def env_id_and_kwargs(request, pool_path):
    """Every registered id, with the arguments that it cannot do without."""
    return request.param, ({"pool": str(pool_path)} if request.param == "AlpacaEvalDuel-v0" else {})
