"""The tables of a pool of the embedded world, on pools whose figures are known."""

import numpy as np
import pytest

from duelgym.errors import SpecificationError
from duelgym.metrics.calibration import win_rates
from duelgym.pools import write_pool
from duelgym.simulators.attributes import Population
from duelgym.simulators.populations import attribute_raters
from duelgym.testing import make_pool
from duelgym.world.corpus import demonstrations
from duelgym.world.report import N_RATERS, report
from duelgym.world.reward_model import SHARPNESS
from duelgym.world.rubric import ATTRIBUTES, CRITERIA, mark
from duelgym.world.samples import rates

N_PROMPTS, EACH = 40, 6
POPULATION = Population(ATTRIBUTES[:4], ATTRIBUTES[4:], (1.0,) * 8, 0.6)


@pytest.fixture(scope="module")
def material():
    """Prompts, answers to them, and their marks."""
    stream, shown = demonstrations(np.random.default_rng(4), each=EACH, kept=True), {}
    while len(shown) < N_PROMPTS:
        demonstration = next(stream)
        shown[demonstration.instruction.text] = demonstration.responses
    marks = [[[mark(p, a).attributes[k] for k in ATTRIBUTES] for a in answers] for p, answers in shown.items()]
    return list(shown), list(shown.values()), np.array(marks)


@pytest.fixture
def pool_of(material, tmp_path):
    """Make a pool of given utilities: ``pool_of(utilities, population=…)``."""

    def make(utilities, population=POPULATION):
        prompts, answers, _ = material
        rng = np.random.default_rng(0)
        return write_pool(
            tmp_path / "pool",
            name="small world",
            prompts=prompts,
            candidate_names=[f"sample {k}" for k in range(EACH)],
            texts=answers,
            prompt_embeddings=rng.standard_normal((N_PROMPTS, 4)),
            candidate_embeddings=rng.standard_normal((N_PROMPTS, EACH, 4)),
            utilities=utilities,
            attributes=ATTRIBUTES,
            raters=population.specification(),
        )

    return make


def _tables(text):
    """Return the tables as {first cell: other cells}, each with its head."""
    tables = []
    for section in text.split("\n\n"):
        head, line, *rows = ([cell.strip() for cell in row.strip("|").split("|")] for row in section.split("\n"))
        assert set(line) == {"---"} and all(len(row) == len(head) for row in (line, *rows))
        tables.append((head, {row[0]: row[1:] for row in rows}))
    return tables


def test_a_reward_model_that_is_the_rubric_is_right_and_calibrated(pool_of, material):
    """Its scores are 2 m / s, the log-odds of the labels it would be trained on: no error at all, and 1.000 agreement."""
    prompts, answers, marks = material
    spread = np.sqrt(np.var(marks, axis=1, ddof=1).mean(axis=0))
    text = report(pool_of(SHARPNESS * marks / spread))
    (rubric_head, rubric), (head, agreement), (_, raters) = _tables(text)
    assert rubric_head == ["criterion", "met, where raised", "raised by"] and tuple(rubric) == tuple(CRITERIA)
    expected = rates(prompts, answers)
    assert all(rubric[name] == [f"{met:.3f}", f"{raised:.2f}"] for name, (met, raised) in expected.items())
    assert tuple(agreement) == ATTRIBUTES and len(head) == 4 + 5
    first, second = np.triu_indices(marks.shape[1], k=1)
    ties = (marks[:, first] == marks[:, second]).mean(axis=(0, 1))
    for (accuracy, tied, error, *cells), share in zip(agreement.values(), ties, strict=True):
        assert (accuracy, tied, error) == ("1.000", f"{share:.2f}", "0.000")
        assert any(cells) and all(len(set(cell.split(" → "))) == 1 for cell in cells)
    assert tuple(raters) == ("favourite rate", "tied pairs", "oracle", "rater-blind", "rater-blind share")


def test_a_reward_model_turned_round_is_wrong_and_a_shy_one_underconfident(pool_of, material):
    marks = material[2]
    scores = SHARPNESS * marks / np.sqrt(np.var(marks, axis=1, ddof=1).mean(axis=0))
    scores[..., 0] *= -1.0
    scores[..., 4] *= 1e-3  # always about 0.50, whatever the label: one bin, and its error is all there is
    agreement = _tables(report(pool_of(scores)))[1][1]
    assert agreement["helpful"][0] == "0.000" and float(agreement["helpful"][2]) > 0.1
    assert agreement["true"][0] == "1.000" and agreement["true"][2] == "0.000"
    accuracy, _, error, lowest, *others = agreement["detail"]
    predicted, label = lowest.split(" → ")
    assert accuracy == "1.000" and predicted == "0.50" and others == [""] * 4
    assert float(error) == pytest.approx(float(label) - 0.5, abs=0.006) and float(label) > 0.6


def test_raters_who_agree_need_not_be_asked(pool_of):
    """With one liked attribute and no taste all raters have the same order: the rater-blind policy takes all there is."""
    utilities = np.random.default_rng(1).standard_normal((N_PROMPTS, EACH, len(ATTRIBUTES)))
    raters = _tables(report(pool_of(utilities, Population(ATTRIBUTES[:1], (), (1.0,), 1.0))))[2][1]
    assert raters["rater-blind share"] == ["1.000"] * 3 and raters["oracle"] == raters["rater-blind"]
    assert raters["tied pairs"] == ["0.000"] * 3


def test_raters_of_opposite_taste_cannot_be_guessed(pool_of):
    """With one taste of either sign, and both weighed alike, no guess is worth anything to both halves."""
    utilities = np.random.default_rng(1).standard_normal((N_PROMPTS, EACH, len(ATTRIBUTES)))
    mean, least, most = _tables(report(pool_of(utilities, Population((), ATTRIBUTES[4:5], (1.0,), 1.0))))[2][1][
        "rater-blind share"
    ]
    assert float(most) < 0.3 and float(least) > -0.3 and abs(float(mean)) < 0.1


def test_figures_of_raters_by_hand(pool_of):
    pool = pool_of(np.random.default_rng(2).standard_normal((N_PROMPTS, EACH, len(ATTRIBUTES))))
    head, raters = _tables(report(pool))[2]
    assert head == [f"over {N_RATERS} raters", "mean", "least", "most"]
    rows = pool.split("assess", 0)
    every = POPULATION.standardised(pool.utilities(np.arange(N_PROMPTS)), ATTRIBUTES)
    oracles = []
    for number in range(N_RATERS):
        rater = attribute_raters(pool, number).draw(np.random.default_rng(0))
        u = rater.weights.utilities(every)[rows] / rater.scale
        oracles.append(win_rates(u, temperature=1.0).max(axis=1).mean())
    assert raters["oracle"] == [f"{figure:.3f}" for figure in (np.mean(oracles), min(oracles), max(oracles))]
    # Scales are set on half of the pairs, so that over all of them the rate is near 0.70 only.
    assert all(abs(float(cell) - 0.70) < 0.03 for cell in raters["favourite rate"])
    assert all(float(b) <= float(o) for b, o in zip(raters["rater-blind"], raters["oracle"], strict=True))


def test_a_part_of_the_pool_is_drawn_by_the_seed(pool_of, material):
    pool = pool_of(material[2])
    part = report(pool, n_prompts=25, each=4, seed=1)
    assert part == report(pool, n_prompts=25, each=4, seed=1) != report(pool, n_prompts=25, each=4, seed=2)
    assert part.split("\n\n")[2] == report(pool).split("\n\n")[2]  # raters are reported on the whole pool


def test_other_pools_are_refused_in_one_line(tmp_path):
    with pytest.raises(SpecificationError, match="has attributes utility; the world's are helpful, true") as refused:
        report(make_pool(tmp_path / "pool"))
    assert "\n" not in str(refused.value)
