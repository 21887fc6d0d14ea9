"""Who may import whom, and what may not be imported at all."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "duelgym": ROOT / "duelgym",
    "duelgym_agents": ROOT / "agents" / "duelgym_agents",
    "duelgym_bench": ROOT / "benchmarks" / "duelgym_bench",
}
PUBLIC = {
    "duelgym",
    "duelgym.agent",
    "duelgym.belief",
    "duelgym.checks",
    "duelgym.errors",
    "duelgym.generators.language_model",
    "duelgym.imports",
}
TRAINING = PACKAGES["duelgym_agents"] / "policies"


def _imports(path):
    """Yield (module, whether it is at the module's top level, outside TYPE_CHECKING)."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who imports whom"
            yield node.module, id(node) in top
            for alias in node.names:  # "from duelgym import simulators" imports a module too
                name = f"{node.module}.{alias.name}"
                if _is_ours(name):
                    yield name, id(node) in top


def _is_ours(module):
    package, *parts = module.split(".")
    place = PACKAGES[package].joinpath(*parts) if package in PACKAGES else None
    return place is not None and (place.is_dir() or place.with_suffix(".py").is_file())


def _modules(package):
    return sorted(PACKAGES[package].rglob("*.py"))


def _within(module, package):
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("duelgym", ("duelgym_agents", "duelgym_bench")), ("duelgym_agents", ("duelgym_bench",))],
)
def test_imports_go_one_way(package, forbidden):
    assert _modules(package)
    for path in _modules(package):
        for module, _ in _imports(path):
            assert not any(_within(module, name) for name in forbidden), f"{path} imports {module}"


def test_agents_see_only_what_is_public():
    for path in _modules("duelgym_agents"):
        used = {module for module, _ in _imports(path) if _within(module, "duelgym")}
        public = PUBLIC | ({"duelgym.envs"} if path == TRAINING / "environment.py" else set())
        assert used <= public, f"{path} imports {used - public}"


def test_rules_know_nothing_of_reward_models():
    for path in sorted((PACKAGES["duelgym_agents"] / "exploration").glob("*.py")):
        for module, _ in _imports(path):
            own = module.removeprefix("duelgym_agents.")
            assert not _within(module, "torch") and (own == module or own.startswith("exploration")), (
                f"{path}: {module}"
            )


@pytest.mark.parametrize("package", ["duelgym", "duelgym_bench"])
def test_heavy_packages_are_imported_where_they_are_needed(package):
    heavy = {"torch", "transformers", "matplotlib", "ray", "stable_baselines3"}
    if package == "duelgym":
        heavy |= {"safetensors", "tqdm"}
    for path in _modules(package):
        loaded = {module.partition(".")[0] for module, top in _imports(path) if top}
        assert not loaded & heavy, f"{path} imports {loaded & heavy} at its top"


def test_importing_duelgym_brings_nothing_heavy():
    code = (
        "import sys, duelgym; heavy = {'torch', 'transformers', 'matplotlib', 'safetensors', 'tqdm', 'scipy', 'pandas'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_code_comes_from_data():
    """No pickle, no torch.load, no foreign code: arrays are safetensors, the rest is JSON."""
    forbidden_modules = {"pickle", "cloudpickle", "joblib", "shelve", "marshal", "dill"}
    for package in PACKAGES:
        for path in _modules(package):
            loaded = {module.partition(".")[0] for module, _ in _imports(path)}
            assert not loaded & forbidden_modules, f"{path} imports {loaded & forbidden_modules}"
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
                    assert called != "torch.load", f"{path}:{node.lineno} calls torch.load"
                    for name in ("allow_pickle", "trust_remote_code"):
                        value = keywords.get(name)
                        assert value is None or getattr(value, "value", True) is False, f"{path}:{node.lineno}: {name}"


def test_no_global_random_state_is_touched():
    for package in PACKAGES:
        for path in _modules(package):
            if path == TRAINING / "ppo.py":
                continue  # Stable-Baselines3 draws from global states; there they are put back, as the policies' tests check
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    allowed = ("default_rng", "SeedSequence", "Generator", "PCG64")
                    legacy = called.startswith("np.random.") and not called.removeprefix("np.random.").startswith(
                        allowed
                    )
                    assert not legacy and called not in {"torch.manual_seed", "random.seed"}, (
                        f"{path}:{node.lineno}: {called}"
                    )


def test_every_module_is_short_enough_for_one_idea():
    for package in PACKAGES:
        for path in _modules(package):
            assert len(path.read_text().splitlines()) <= 400, f"{path} has more than 400 lines"
