"""Every simulator, asked ten thousand times through the environment's session: labels come as often as it states."""

import numpy as np
import pytest

from duelgym.simulators import simulator_from_specification

N = 10_000
BT = {"name": "bradley_terry", "temperature": 0.8}
STACKS = {
    "bradley_terry": [BT],
    "deterministic": [{"name": "deterministic"}],
    "flip": [BT, {"name": "flip", "rate": 0.15}],
    "position_bias": [BT, {"name": "position_bias", "shift": 0.7}],
    "length_bias": [BT, {"name": "length_bias", "strength": 1.5}],
    "intransitive": [BT, {"name": "intransitive", "strength": 2.0}],
    "irrational": [BT, {"name": "irrational", "skip_below": 0.5, "tie_within": 0.2}],
    "drifting": [BT, {"name": "drifting", "factor": 20.0, "queries": N}],
    "mixture": [BT, {"name": "mixture", "raters": 5}],
    "flips of a certain rater": [{"name": "deterministic"}, {"name": "flip", "rate": 0.3}],
    "everything": [
        BT,
        {"name": "drifting", "factor": 3.0, "queries": N},
        {"name": "irrational", "skip_below": -0.4, "tie_within": 0.3},
        {"name": "intransitive", "strength": 0.5},
        {"name": "length_bias", "strength": -1.0},
        {"name": "mixture", "raters": 3},
        {"name": "flip", "rate": 0.1},
        {"name": "position_bias", "shift": -0.4},
    ],
}
PAIRS = [(0, 1), (1, 0), (2, 0), (1, 3), (3, 2), (2, 2)]


def _stated(simulator, session, asked, pairs):
    """Return the probability of first, second, skip and tie at each query, averaged over the raters."""
    duels = asked.duels(pairs, np.arange(N), None, None, session._lengths(asked, pairs))
    everybody = duels.utilities[:, :, None] if duels.all_utilities is None else duels.all_utilities
    total = np.zeros((N, 4))
    for rater in range(everybody.shape[2]):
        one = asked.duels(pairs, np.arange(N), None, None, duels.lengths)
        object.__setattr__(one, "utilities", everybody[:, :, rater])
        first = simulator.probability(one)
        neither = simulator.undecided(one) if hasattr(simulator, "undecided") else np.zeros((N, 2))
        decided = 1.0 - neither.sum(axis=1)
        total += np.column_stack([decided * first, decided * (1.0 - first), neither])
    return total / everybody.shape[2]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("name", STACKS)
def test_labels_come_as_often_as_stated(session_of, name, pair):
    simulator = simulator_from_specification(STACKS[name])
    session = session_of(
        simulator, spread=0.6 if simulator.specification()[-1]["name"] == "mixture" or name == "everything" else 0.0
    )
    asked, pairs = session.ask(N), np.tile(pair, (N, 1))
    preferences, _ = session.answer(asked, pairs)
    for code, p in enumerate(_stated(simulator, session, asked, pairs).T):
        given, error = np.count_nonzero(preferences == code), np.sqrt(np.sum(p * (1.0 - p)))
        assert abs(given - p.sum()) <= 3.0 * error, (
            f"{given} answers of kind {code}, stated {p.sum():.1f} ± {error:.1f}"
        )


@pytest.mark.parametrize("name", STACKS)
def test_batches_do_not_change_the_answers(session_of, name):
    simulator = simulator_from_specification(STACKS[name])
    answers = []
    for batch in (1, 12):
        session = session_of(simulator, spread=0.6, seed=5)
        pairs = np.array([(t % 4, t % 3) for t in range(48)])
        answers.append(
            np.concatenate([session.answer(session.ask(batch), pairs[t : t + batch])[0] for t in range(0, 48, batch)])
        )
    assert np.array_equal(*answers)


def test_a_mixture_asks_all_its_raters_and_each_seed_others(session_of):
    simulator = simulator_from_specification([{"name": "deterministic"}, {"name": "mixture", "raters": 40}])
    shares = []
    for seed in (1, 2):
        session = session_of(simulator, utilities=(0.0, 0.0, 0.0, 0.0), spread=1.0, seed=seed)
        asked = session.ask(N)
        shares.append(asked.probability(np.array([0] * N), np.array([1] * N))[0])
        preferences, _ = session.answer(asked, np.tile([0, 1], (N, 1)))
        assert abs(np.mean(preferences == 0) - shares[-1]) < 3 * np.sqrt(0.25 / N)
    assert shares[0] != shares[1] and all(0.2 < share < 0.8 and share * 40 == round(share * 40) for share in shares)
