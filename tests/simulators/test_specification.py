"""JSON to simulators and back."""

import copy
import json
import pickle
import subprocess
import sys

import pytest
from own_parts import Tiring

from duelgym.errors import SpecificationError
from duelgym.simulators import (
    BradleyTerry,
    Flip,
    PositionBias,
    Scored,
    check_own,
    simulator_from_specification,
)

BT = {"name": "bradley_terry", "temperature": 2.0}
LAYERS = [
    {"name": "flip", "rate": 0.1},
    {"name": "position_bias", "shift": -0.5},
    {"name": "length_bias", "strength": 1.0},
    {"name": "intransitive", "strength": 1.0},
    {"name": "irrational", "skip_below": None, "tie_within": 0.25},
    {"name": "drifting", "factor": 2.0, "queries": 100},
    {"name": "mixture", "raters": 4},
]


def test_the_first_is_the_innermost():
    simulator = simulator_from_specification([BT, LAYERS[0], LAYERS[1]])
    assert simulator == PositionBias(Flip(BradleyTerry(2.0), 0.1), -0.5)


@pytest.mark.parametrize(
    "specification",
    [
        [BT],
        [{"name": "deterministic"}],
        *([BT, layer] for layer in LAYERS),
        [BT, *LAYERS],
        [{"name": "rubrics", "temperature": 0.5}],
    ],
    ids=lambda specification: specification[-1]["name"] + str(len(specification)),
)
def test_round_trip(specification):
    simulator = simulator_from_specification(specification)
    written = json.dumps(simulator.specification())
    assert written == json.dumps(specification)
    again = simulator_from_specification(json.loads(written))
    assert again == simulator == pickle.loads(pickle.dumps(simulator)) == copy.deepcopy(simulator)
    assert hash(again) == hash(simulator)


def test_whole_numbers_and_fractions_are_written_alike():
    first, second = (
        simulator_from_specification([{"name": "bradley_terry", "temperature": t}, {"name": "flip", "rate": r}])
        for t, r in [(1, 0), (1.0, 0.0)]
    )
    assert json.dumps(first.specification()) == json.dumps(second.specification())


def test_utilities_come_from_a_scorer_or_from_elsewhere():
    scored = simulator_from_specification([{"name": "rubrics"}, *LAYERS])
    assert isinstance(simulator_from_specification([{"name": "rubrics"}]), Scored)
    assert scored.scorer is not None and scored.scorer.specification() == {"name": "rubrics"}
    assert simulator_from_specification([BT, *LAYERS]).scorer is None
    assert scored.needs_lengths and scored.n_raters == 4 and not scored.symmetric and not scored.needs_texts


@pytest.mark.parametrize(
    ("specification", "words"),
    [
        ([], "list of one object or more"),
        ("bradley_terry", "list of one object or more"),
        ([BT, 3], "an object with a 'name'"),
        (
            [BT, {"name": "noise"}],
            "no simulator is called 'noise'; known: bradley_terry, deterministic, drifting, flip",
        ),
        ([{"name": "flip", "rate": 0.1}], "'flip' changes the answers of another simulator: put one of bradley_terry"),
        ([BT, BT], "'bradley_terry' answers by itself and can only be the first"),
        ([BT, {"name": "flip"}], "simulator 'flip' was given []; it takes 'rate' (missing)"),
        ([BT, {"name": "flip", "rate": 0.1, "inner": BT}], "it takes 'rate'"),
        ([{"name": "deterministic", "temperature": 1.0}], "it takes nothing"),
        ([{"name": "rubrics", "weights": 1}], "it takes 'temperature'"),
        ([{"name": "rubrics", "temperature": 0}], "temperature is 0"),
        ([{"name": "reward_model", "temperature": 1.0}], "it takes 'model' (missing), 'revision', 'head'"),
        ([BT, {"name": "mixture", "raters": 2}, {"name": "mixture", "raters": 2}], "a mixture already"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_one_line(specification, words):
    with pytest.raises(SpecificationError) as caught:
        simulator_from_specification(specification)
    assert words in str(caught.value) and "\n" not in str(caught.value)


OWN = {"name": "own_parts:Tiring", "after": 7}


def test_a_simulator_of_ones_own_stands_in_any_place_and_is_logged_by_its_name():
    simulator = simulator_from_specification([BT, LAYERS[0], OWN, LAYERS[1]])
    assert simulator == PositionBias(Tiring(Flip(BradleyTerry(2.0), 0.1), 7), -0.5)
    assert simulator.specification() == [BT, LAYERS[0], OWN, LAYERS[1]]
    assert simulator_from_specification([BT, {"name": "own_parts:Tiring"}]).specification()[1] == {**OWN, "after": 100}
    listed = {"name": "own_parts:Listed", "after": 100, "weights": [1.0, 2.0]}
    assert json.loads(json.dumps(simulator_from_specification([BT, listed]).specification())) == [BT, listed]
    first = {"name": "own_parts:Certain", "temperature": 1.0}
    assert simulator_from_specification([first, OWN]).specification() == [first, OWN]
    check_own("the log", [BT, OWN, first], ["own_parts:Certain", "own_parts:Tiring"])
    for nothing in (None, "os:system", [3, {"name": 4}, BT]):
        check_own("the log", nothing, [])
    with pytest.raises(
        SpecificationError, match=r"the log was made with .*; if it is your own, .* add --simulator own_parts:Tiring"
    ):
        check_own("the log", [BT, OWN, first], ["own_parts:Certain"])


@pytest.mark.parametrize(
    ("specification", "words"),
    [
        ([BT, {"name": "absent_module:Rater"}], "cannot be imported: ModuleNotFoundError"),
        ([{"name": "os:system", "command": "true"}], "simulator 'os:system' must be a class that has probability"),
        ([{"name": "collections:OrderedDict"}], "must be a class that has probability, judgement, specification"),
        ([OWN], "changes the answers of another simulator: put one before it"),
        ([BT, {**OWN, "before": 3}], "given ['after', 'before']; it takes 'after'"),
        ([BT, {**OWN, "inner": 3}], "given ['after', 'inner']; it takes 'after'"),
        ([BT, {"name": "own_parts:Alias"}], "simulator 'own_parts:Alias' calls itself 'own_parts:Tiring'"),
        (
            [BT, {"name": "own_parts:Uncovering"}],
            "has the specification [{'name': 'own_parts:Uncovering', 'after': 100}]",
        ),
        ([BT, {"name": "own_parts:Leaving"}], "making simulator 'own_parts:Leaving' failed: SystemExit: 3"),
        ([BT, {"name": "own_parts:Half"}], "lacks members of duelgym.simulators.PreferenceSimulator"),
        ([BT, {"name": "own_parts:Forgetful", "after": 3}], "from which no equal one is built"),
        ([BT, {"name": "own_parts:Tiring", "after": {3}}], "making simulator 'own_parts:Tiring' failed: TypeError"),
    ],
    ids=str,
)
def test_what_is_no_simulator_of_ones_own_is_said_in_one_line(specification, words):
    with pytest.raises(SpecificationError) as caught:
        simulator_from_specification(specification)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_building_them_all_brings_nothing_heavy():
    code = (
        "import sys, json; from duelgym.simulators import simulator_from_specification as build; "
        "build(json.loads(sys.argv[1])); build([{'name': 'rubrics'}]); "
        "build([{'name': 'reward_model', 'model': '.'}]); print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([BT, *LAYERS])], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
