"""What the tests of isolated agents share."""

import shutil

import isolated_agents
import pytest

from duelgym.errors import SpecificationError
from duelgym_bench.isolation.agent import IsolatedAgent
from duelgym_bench.isolation.launch import Isolation


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """A directory with the agents of these tests, readable for everybody as installed code is."""
    folder = tmp_path_factory.mktemp("code")
    folder.chmod(0o755)
    shutil.copy(isolated_agents.__file__, folder)
    (folder / "lock").touch(0o644)
    return folder


@pytest.fixture(scope="module")
def enclosed(code):
    """An isolation with namespaces, where this machine lends any."""
    isolation = Isolation(code=(code,), namespaces="required")
    try:
        IsolatedAgent("isolated_agents:Taste", {"candidate_dim": 4}, isolation).close()
    except SpecificationError as error:
        pytest.skip(str(error))
    return isolation


@pytest.fixture(params=["with namespaces", "without"])
def isolation(request, code):
    """Either kind of isolation."""
    if request.param == "without":
        return Isolation(code=(code,), namespaces="off")
    return request.getfixturevalue("enclosed")
