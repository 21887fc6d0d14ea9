"""Plans: checkpoints, seeds, folds, and the references that belong to them."""

from dataclasses import replace

import numpy as np
import pytest

from duelgym.errors import SpecificationError
from duelgym_bench.locks import alone
from duelgym_bench.plan import Plan, Task, check_plan, derived_seed, with_check
from duelgym_bench.plan_directory import load_plan, save_plan
from duelgym_bench.references import merged, prompt_group, seed_references


def _plan(**changes):
    fields = {
        "env": "SyntheticDuel-v0",
        "env_kwargs": {},
        "agents": ("a",),
        "queries": 6400,
        "seeds": 3,
        "batch": 32,
        "command": "",
        "title": "",
    }
    return Plan(**(fields | changes))


def test_each_run_has_one_directory_whatever_its_agent_is_called():
    assert Task("sb3:../policies/mine.safetensors", 7).name == "sb3+..+policies+mine.safetensors--007"


def test_checkpoints_are_log_spaced_multiples_of_the_batch():
    points = _plan().checkpoints()
    assert points == (0, 32, 64, 96, 128, 224, 320, 448, 640, 896, 1280, 2240, 3200, 4480, 6400)
    assert _plan(queries=32).checkpoints() == (0, 32)
    assert _plan(queries=40_000).checkpoints()[-1] == 40_000


def test_seeds_come_from_hashes_and_tell_nothing_of_each_other():
    plan = _plan()
    seeds = {plan.env_seed(index) for index in range(1000)} | {
        plan.agent_seed(Task("a", index)) for index in range(1000)
    }
    assert len(seeds) == 2000 and max(seeds) < 2**63
    assert plan.agent_seed(Task("a", 3)) == plan.agent_seed(Task("b", 3)) != plan.agent_seed(Task("a@1", 3))
    assert derived_seed("a", 1) == derived_seed("a", 1) != derived_seed("a", 2)


def test_folds_follow_the_seed_index(pool_path):
    plan = _plan(env="AlpacaEvalDuel-v0", env_kwargs={"pool": str(pool_path)}, seeds=7)
    assert [plan.problem_kwargs(index)["fold"] for index in range(7)] == [0, 1, 2, 3, 4, 0, 1]
    assert plan.problem_kwargs(3) != plan.env_kwargs
    fixed = _plan(env="AlpacaEvalDuel-v0", env_kwargs={"pool": str(pool_path), "fold": 2})
    assert fixed.problem_kwargs(4)["fold"] == 2


def test_a_judge_who_scores_nothing_is_refused_before_it_is_asked(pool_path):
    judge = {"name": "llm_judge", "url": "http://127.0.0.1:9/v1", "model": "judge"}
    kwargs = {"pool": str(pool_path), "simulator": [judge]}
    with pytest.raises(SpecificationError, match="llm_judge simulator cannot score pairs, so a run with it"):
        check_plan(_plan(env="AlpacaEvalDuel-v0", env_kwargs=kwargs, agents=("ee2024-passive",)))


def test_only_the_baseline_of_the_widened_plan_is_replicated():
    there = ("ee2024-passive", "ee2024-passive@1")
    assert with_check(("passive-ensemble",)) == ("passive-ensemble", "passive-ensemble@1")
    assert with_check(("passive-ensemble",), there) == ("passive-ensemble",)
    assert with_check(("ee2024-infomax",), there[:1]) == ("ee2024-infomax", "ee2024-passive@1")
    assert with_check(("ee2024-infomax",)) == ("ee2024-infomax",)


def test_seeds_of_one_fold_have_references_of_their_own(pool_path):
    """Subsets of candidates are drawn anew for every seed; a mean over the fold would hide how far its seeds lie apart."""
    plan = _plan(env="AlpacaEvalDuel-v0", env_kwargs={"pool": str(pool_path), "n_candidates": 2}, seeds=6)
    seeds = [seed_references(plan, index) for index in (0, 1, 5)]
    references = merged(plan, seeds)
    assert not np.array_equal(references.oracle[0], references.oracle[2])  # indices 0 and 5, both of fold 0
    for k, seed in enumerate(seeds):
        np.testing.assert_array_equal(references.oracle[k], seed.values["win"]["oracle"])
        np.testing.assert_array_equal(references.policies["longest answer"][k], seed.values["win"]["longest answer"])
    assert set(references.regrets) == {"oracle", "supervised reference", "uniform", "constant index", "longest answer"}
    assert references.regrets["oracle"] == 0.0 < references.regrets["uniform"]
    assert set(references.policies_reference) == set(references.regrets)


def test_a_split_without_folds_is_one_group_of_prompts(pool_path):
    plan = _plan(env="AlpacaEvalDuel-v0", env_kwargs={"pool": str(pool_path), "split": "all"})
    assert prompt_group(plan, 0) == prompt_group(plan, 1)


def test_a_title_stays_until_another_is_given_and_every_command_that_changed_something_is_kept(tmp_path):
    first = _plan(title="mine", command="first")
    save_plan(first, tmp_path)
    assert save_plan(replace(first, command="again with more jobs"), tmp_path) == first == load_plan(tmp_path)
    wider = save_plan(replace(first, seeds=4, agents=("b",), command="wider"), tmp_path)
    assert (wider.seeds, wider.agents, wider.title) == (4, ("a", "b"), "mine")
    save_plan(replace(first, title="yours", command="renamed"), tmp_path)
    plan = load_plan(tmp_path)
    assert plan == replace(wider, title="yours", command="first\nwider\nrenamed")
    assert save_plan(plan, tmp_path) == plan


def test_a_directory_with_a_lock_alone_is_taken(tmp_path):
    with alone(tmp_path):
        assert save_plan(_plan(), tmp_path) == load_plan(tmp_path)
    (tmp_path / "plan.json").rename(tmp_path / "letters.txt")
    with pytest.raises(SpecificationError, match="is not empty and holds no plan.json"):
        save_plan(_plan(), tmp_path)


def test_a_plan_that_cannot_be_read_says_so(tmp_path):
    with pytest.raises(SpecificationError, match="holds no plan.json"):
        load_plan(tmp_path)
    (tmp_path / "plan.json").write_text('{"env": 1')
    with pytest.raises(SpecificationError, match="cannot be read"):
        load_plan(tmp_path)
