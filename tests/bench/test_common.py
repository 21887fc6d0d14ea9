"""On which prompts the common learner and the supervised reference are chosen, and that reports say so."""

import pytest
from small_tuning import plan_of

from duelgym_bench import common
from duelgym_bench.common import UNTUNED, CommonLearner, tune_common_learner
from duelgym_bench.supervised import supervised_label

CHOSEN = CommonLearner("interaction", 3.0, "a test")


@pytest.fixture
def plan_on(pool_path, named_pool):
    """Return a plan on points, on a pool with or without ``tune`` prompts, or on responses that are made when asked for."""

    def made(what, split):
        if what == "points":
            return plan_of()
        if what == "live":
            generator = {"name": "recorded", "pool": str(pool_path)}
            return plan_of(env="LLMDuelLive-v0", env_kwargs={"generator": generator, "n_candidates": 4})
        kwargs = {"pool": str({"pool": pool_path, "named": named_pool}[what])}
        return plan_of(env="PoolDuel-v0", env_kwargs=kwargs | ({} if split is None else {"split": split}))

    return made


ASSESSED = "; among all these are prompts that are assessed"
UNASKED = "prompts that no agent is asked about"


@pytest.mark.parametrize(
    ("what", "split", "chosen", "supervised_on"),
    [
        ("points", None, True, UNASKED),
        ("pool", None, True, UNASKED),
        ("pool", "learn", True, UNASKED),
        ("pool", "within_learn", True, UNASKED + ASSESSED),
        ("pool", "tune", False, "tune prompts, which agents are asked about too" + ASSESSED),
        ("pool", "all", False, "tune prompts, which agents are asked about too" + ASSESSED),
        ("named", None, True, "the learning prompts themselves"),
        ("named", "within_learn", False, "the learning prompts themselves" + ASSESSED),
        ("named", "all", False, "the learning prompts themselves" + ASSESSED),
        ("live", None, False, "further responses to the learning prompts"),
    ],
)
def test_nothing_is_chosen_on_assessed_prompts_in_silence(
    plan_on, tmp_path, monkeypatch, what, split, chosen, supervised_on
):
    monkeypatch.setattr(common, "_chosen", lambda plan: CHOSEN)
    plan = plan_on(what, split)
    learner = tune_common_learner(plan, tmp_path)
    assert learner == (CHOSEN if chosen else UNTUNED) == CommonLearner.load(tmp_path)
    assert supervised_label(plan).endswith(f", given all learning utilities, chosen on {supervised_on}")


def test_tuning_prompts_are_none_that_reports_assess(plan_on):
    """What the table above relies on, from the episodes themselves."""
    for what in ("pool", "named"):
        plan = plan_on(what, None)
        n_folds = plan.problem(0).generator.n_folds
        reported = {row for k in range(n_folds) for row in plan.session(k).assessment().questions.prompt_ids.tolist()}
        tuned = common.tuning_session(plan, 0)
        used = {*tuned.ask(64).questions.prompt_ids.tolist(), *tuned.assessment().questions.prompt_ids.tolist()}
        assert used and reported and not used & reported
