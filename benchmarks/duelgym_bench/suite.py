"""Suites: experiments that together settle a question, written down as TOML; those of duelgym lie in ``suites/``.

A suite is a table of what a plan holds, and either one experiment or several. Keys at the top hold for all of them; ``[vary]``
makes one experiment of each value of an argument, and ``[[experiment]]`` changes what it names::

    title = "How does the number of labels grow with the dimension?"
    env = "SyntheticDuel-v0"
    agents = ["passive-ensemble", "ee2024-double_thompson"]
    queries = 6400
    seeds = 5

    [vary]
    argument = "dimension"
    values = [2, 8, 32, 128]

``argument`` is one of the environment's, ``batch`` or ``queries``. An experiment has a name, by which its directory goes.
The path of a ``pool`` begins at the directory of the suite's file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from duelgym.errors import SpecificationError
from duelgym_bench.plan import Plan
from duelgym_bench.table import span

SUITES = Path(__file__).with_name("suites")
_KEYS = {"env": str, "env_kwargs": dict, "agents": list, "queries": int, "seeds": int, "batch": int}
_DEFAULTS: dict[str, Any] = {"env_kwargs": {}, "batch": 32}
_NAME = re.compile(r"[a-z0-9][a-z0-9._=+-]*")


@dataclass(frozen=True)
class Experiment:
    """One plan of a suite.

    Attributes:
        name: of its directory.
        plan: what is run.
        value: of the argument that the suite varies; None where it varies none.
        own: the environment's arguments that it sets itself, beside those of all experiments.
    """

    name: str
    plan: Plan
    value: float | str | None = None
    own: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Suite:
    """Experiments that belong together.

    Attributes:
        name: of its file, without ``.toml``.
        title: printed in every figure.
        about: what it asks, in a sentence or two.
        varies: the argument whose values the experiments have; None where they differ otherwise.
        experiments: at least one.
    """

    name: str
    title: str
    about: str
    varies: str | None
    experiments: tuple[Experiment, ...]


def suite_names() -> list[str]:
    """Return the names of duelgym's own suites."""
    return sorted(file.stem for file in SUITES.glob("*.toml"))


def load_suite(name: str) -> Suite:
    """Read one of duelgym's suites by its name, or a file.

    Raises:
        SpecificationError: naming what is unknown, missing or not of its kind.
    """
    path = Path(name) if name.endswith(".toml") else SUITES / f"{name}.toml"
    if not path.is_file():
        raise SpecificationError(
            f"no suite is called {name!r}; known: {', '.join(suite_names())}; a suite of one's own is a file that ends in .toml"
        )
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecificationError(f"suite {name}: not TOML: {error}") from None
    return suite_of(table, path.stem, path.parent)


def suite_of(table: Mapping[str, Any], name: str, directory: Path = Path()) -> Suite:
    """Return the suite that a table of a TOML file describes.

    Args:
        table: what the file holds.
        name: of the suite.
        directory: of the file.

    Raises:
        SpecificationError: naming what is unknown, missing or not of its kind.
    """
    where = f"suite {name}"
    common = _checked(table, where, {**_KEYS, "title": str, "about": str, "vary": dict, "experiment": list})
    vary, listed = common.pop("vary", None), common.pop("experiment", None)
    title, about = common.pop("title", name), common.pop("about", "")
    if vary is not None and listed is not None:
        raise SpecificationError(f"{where}: has both [vary] and [[experiment]]; take one")
    if vary is not None:
        vary = _checked(vary, f"{where}, [vary]", {"argument": str, "values": list}, required=("argument", "values"))
        parts = [_varied(vary["argument"], value) for value in vary["values"]]
    else:
        parts = [(None, each) for each in ([{"name": name}] if listed is None else listed)]
    experiments = []
    for number, (value, part) in enumerate(parts, start=1):
        at = f"{where}, experiment {part.get('name', number) if isinstance(part, Mapping) else number}"
        own = _checked(part, at, {**_KEYS, "name": str}, required=("name",))
        joined = _DEFAULTS | common | own
        joined["env_kwargs"] = {**common.get("env_kwargs", {}), **own.get("env_kwargs", {})}
        if isinstance(pool := joined["env_kwargs"].get("pool"), str):
            joined["env_kwargs"]["pool"] = str((directory / pool).resolve())
        label = joined.pop("name")
        if not _NAME.fullmatch(label) or ".." in label:
            raise SpecificationError(
                f"{at}: a name has lower-case letters, digits and . _ = + - alone, since a directory has it"
            )
        for key in _KEYS:
            if key not in joined:
                raise SpecificationError(f"{at}: has no {key!r}, and the suite has none for all")
        heading = title if len(parts) == 1 else f"{title} ({label})"
        plan = Plan(**{**joined, "agents": tuple(joined["agents"])}, command="", title=heading)
        experiments.append(Experiment(label, plan, value, frozenset(own.get("env_kwargs", ()))))
    names = [experiment.name for experiment in experiments]
    twice = [label for label in names if names.count(label) > 1]
    if twice or not names:
        raise SpecificationError(
            f"{where}: " + (f"two experiments are called {twice[0]!r}" if twice else "has no experiment")
        )
    return Suite(name, title, about, vary and vary["argument"], tuple(experiments))


def resized(suite: Suite, *, queries: int | None, seeds: int | None, env_kwargs: Mapping[str, Any]) -> Suite:
    """Return the suite with other numbers of queries or seeds, and further arguments of the environment.

    Raises:
        SpecificationError: if experiments are told apart by what would be the same for all.
    """

    def changed(plan: Plan) -> Plan:
        return replace(
            plan,
            queries=plan.queries if queries is None else queries,
            seeds=plan.seeds if seeds is None else seeds,
            env_kwargs={**plan.env_kwargs, **env_kwargs},
        )

    if queries is not None and suite.varies == "queries":
        raise SpecificationError(f"suite {suite.name} varies the queries; leave --queries out")
    for experiment in suite.experiments:
        if own := sorted(experiment.own & env_kwargs.keys()):
            raise SpecificationError(
                f"experiment {experiment.name} of suite {suite.name} sets {', '.join(own)} itself; leave that out of --env-kwargs"
            )
    return replace(suite, experiments=tuple(replace(each, plan=changed(each.plan)) for each in suite.experiments))


def planned(suite: Suite, out: Path, *, command: str) -> dict[Path, Plan]:
    """Return directory -> plan of every experiment; a suite of a single one has no directories inside ``out``."""
    single = len(suite.experiments) == 1
    return {
        out if single else out / experiment.name: replace(experiment.plan, command=command)
        for experiment in suite.experiments
    }


def titled(suite: Suite, plans: Mapping[Path, Plan], held: Mapping[Path, Plan]) -> tuple[Suite, dict[Path, Plan]]:
    """Return a suite and its plans, with titles that say where sizes are not those that the suite asks for.

    Args:
        suite: as it is written.
        plans: directory -> plan of every experiment, in the suite's order.
        held: the same, each together with what its directory holds already.
    """
    asked = [experiment.plan for experiment in suite.experiments]
    named = {
        out: replace(plan, title=one.title + _resizing([one], [held[out]]))
        for one, (out, plan) in zip(asked, plans.items(), strict=True)
    }
    return replace(suite, title=suite.title + _resizing(asked, list(held.values()))), named


def _resizing(asked: Sequence[Plan], run: Sequence[Plan]) -> str:
    cut = []
    for name in ("queries", "seeds"):
        before, now = ([getattr(plan, name) for plan in plans] for plans in (asked, run))
        if now != before:
            cut.append(f"{name} = {span(now)}")
    return f", resized to {', '.join(cut)}" if cut else ""


def _varied(argument: str, value: Any) -> tuple[float | str | None, dict[str, Any]]:
    own = {argument: value} if argument in ("batch", "queries") else {"env_kwargs": {argument: value}}
    return value, {"name": f"{argument}={value}".lower(), **own}


def _checked(table: Any, where: str, keys: Mapping[str, type], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a copy of a table whose keys are known and whose values are of their kind."""
    if not isinstance(table, Mapping):
        raise SpecificationError(f"{where}: must be a table, and is {table!r}")
    for key, value in table.items():
        if key not in keys:
            raise SpecificationError(f"{where}: no key is called {key!r}; known: {', '.join(keys)}")
        if not isinstance(value, keys[key]) or isinstance(value, bool):
            raise SpecificationError(f"{where}: {key} is {value!r}; it must be of type {keys[key].__name__}")
    if not all(isinstance(agent, str) for agent in table.get("agents", ())):
        raise SpecificationError(f"{where}: agents is {table['agents']!r}; each must be a name")
    for key in required:
        if key not in table:
            raise SpecificationError(f"{where}: has no {key!r}")
    return dict(table)
