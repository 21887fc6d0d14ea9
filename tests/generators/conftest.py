"""A tiny language model for everything that generates, made once."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_PATH = Path(__file__).resolve().parents[1] / "tiny_models.py"


@pytest.fixture(scope="session")
def tiny_models():
    """The module that makes tiny models."""
    spec = importlib.util.spec_from_file_location("tiny_models", _PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_model(tiny_models, tmp_path_factory):
    """Directory of a tiny language model."""
    return str(tiny_models.make_model(tmp_path_factory.mktemp("models") / "tiny"))
