"""Material shared by the tests of pools."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from duelgym.pools import CandidatePool
from duelgym.pools.tensors import write_tensors
from duelgym.testing import make_pool

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_pool(tmp_path_factory: pytest.TempPathFactory) -> CandidatePool:
    return make_pool(tmp_path_factory.mktemp("pools") / "pool")


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = Path(os.environ.get("DUELGYM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "alpaca_eval").is_dir():
        pytest.skip(f"no AlpacaEval data at {folder}; set DUELGYM_TEST_DATA")
    return folder


class AlpacaTree:
    """AlpacaEval's layout with made-up answers, which a test changes before it is written."""

    def __init__(self, n_prompts: int = 40, models: tuple[str, ...] = ("ant", "bee", "cat")) -> None:
        rng = np.random.default_rng(5)
        self.instructions = [f"What is {number} squared?" for number in range(n_prompts)]
        self.models = models
        self.entries = {
            (model, prompt): {
                "output": f"{model} thinks it is {number * number}." + " Sure." * int(rng.integers(4)),
                "preference": float(rng.uniform(1, 2)),
            }
            for model in models
            for number, prompt in enumerate(self.instructions)
        }
        self.embeddings = {
            "prompt_embeddings": rng.standard_normal((n_prompts, 12)).astype(np.float16),
            "response_embeddings": rng.standard_normal((n_prompts, len(models), 6)).astype(np.float16),
        }

    def write(self, folder: Path, order: Callable[[list], list] = list) -> list[str]:
        """Write everything, entries in the given order; return the command line's arguments but ``--out``."""
        for model in [*self.models, "gpt4_1106_preview"]:
            outputs, annotations = [], []
            for prompt in order(self.instructions):
                entry = self.entries.get((model, prompt), {"output": "squared", "preference": 1.5})
                common = {"instruction": prompt, "dataset": "made-up"}
                outputs.append({**common, "output": entry["output"], "generator": model})
                annotation = {**common, "generator_1": "gpt4_1106_preview", "output_1": "squared"}
                annotation |= {"generator_2": model, "output_2": entry["output"], "preference": entry["preference"]}
                if entry.get("annotated", True):
                    annotations.append(annotation)
            judged = folder / "results" / model / "weighted_alpaca_eval_gpt4_turbo"
            judged.mkdir(parents=True)
            (judged.parent / "model_outputs.json").write_text(json.dumps(outputs))
            (judged / "annotations.json").write_text(json.dumps(annotations))
        with (folder / "embeddings.safetensors").open("wb") as out:
            write_tensors(out, self.embeddings)
        index = {"instructions": self.instructions, "generators": list(self.models)}
        (folder / "index.json").write_text(json.dumps(index))
        return ["pool", "import", "alpaca-eval", str(folder), *self.embedding_arguments(folder)]

    def embedding_arguments(self, folder: Path) -> list[str]:
        return ["--embeddings", str(folder / "embeddings.safetensors"), "--index", str(folder / "index.json")]


@pytest.fixture
def alpaca() -> AlpacaTree:
    return AlpacaTree()
