"""A tiny language model for everything that generates, made once."""

import pytest
from tiny_models import make_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Directory of a tiny language model."""
    return str(make_model(tmp_path_factory.mktemp("models") / "tiny"))
