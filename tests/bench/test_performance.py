"""The scripts that measure speed and memory: what they count by hand, and that they see what they look for."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from duelgym.pools import tensors
from duelgym_agents.reward_models import NetworkSettings
from duelgym_agents.reward_models.network import StackedMLP
from duelgym_bench.common import SETTINGS, CommonLearner
from duelgym_bench.plan import Plan
from duelgym_bench.plan_directory import save_plan
from duelgym_bench.run_directory import RunDirectory
from duelgym_bench.task import run_task

PERFORMANCE = Path(__file__).parents[2] / "benchmarks" / "performance"
SMALL = NetworkSettings(n_particles=3, hidden_sizes=(4, 5), steps=2, minibatch_size=7)


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """As where one of them is started."""
    sys.path.insert(0, str(PERFORMANCE))
    yield
    sys.path.remove(str(PERFORMANCE))


def test_products_are_counted_as_by_hand():
    from products import evaluating, operations, training

    # 90 candidates of 6 features and 10 prompts of 8: 90·6·4 + 10·8·4 + 90·4·5 + 90·5 = 4 730 for each particle.
    assert operations(evaluating(SMALL, (6, 8), 10, 9)) == 2 * 3 * 4730
    # 14 candidates, 7 prompts: twice 14·6·4 + 7·8·4 = 560 and three times 14·4·5 + 14·5 = 350, in each of two steps
    # for every 32 labels.
    assert operations(training(SMALL, (6, 8), 32)) == 2 * 2 * 3 * (2 * 560 + 3 * 350)
    assert operations(training(SMALL, (6, 8), 240)) == 15 * 2 * 3 * (2 * 560 + 3 * 350)


def test_products_are_those_that_torch_counts():
    from products import evaluating, operations, training

    network = StackedMLP(n_particles=3, input_dims=(6, 8), hidden_sizes=(4, 5), rng=np.random.default_rng(0))
    with FlopCounterMode(display=False) as counted:
        network.utilities(torch.rand(10, 9, 6), torch.rand(10, 8))
    assert counted.get_total_flops() == operations(evaluating(SMALL, (6, 8), 10, 9))
    with FlopCounterMode(display=False) as counted:
        network.backward(torch.rand(7, 2, 6), torch.rand(7, 8), torch.rand(7))
    outer = 2 * 3 * 14 * 5  # back through the output, which has one column: torch counts no product
    assert counted.get_total_flops() + outer == operations(training(SMALL, (6, 8), 32)) / SMALL.steps


@pytest.mark.parametrize(("mapped", "status"), [(False, 0), (True, 1)])
def test_memory_that_grows_with_every_row_is_seen(monkeypatch, capsys, mapped, status):
    import pool_memory

    maps = {}

    def take(tensor, rows):
        name = (tensor.file.path, tensor.name)
        if name not in maps:
            maps[name] = np.memmap(tensor.file.path, tensor.dtype, "r", tensor.offset, tensor.shape)
        return maps[name][rows]

    if mapped:
        monkeypatch.setattr(tensors.StoredTensor, "take", take)
    monkeypatch.setattr(pool_memory, "MOST_GROWTH", 20e6)
    monkeypatch.setattr(sys, "argv", ["pool_memory.py", "--gigabytes", "0.6", "--steps", "300"])
    with pytest.raises(SystemExit) as ended:
        pool_memory.main()
    printed = capsys.readouterr().out
    assert ended.value.code == status, printed
    assert "yes" in printed and "0.60 GB" in printed


def test_an_exponent_is_that_of_a_power_law():
    from cost import exponent

    assert exponent((2, 4, 8, 16), [3 * size**1.5 for size in (2, 4, 8, 16)]) == "1.50 ± 0.00"
    # log2 times 0, 2, 2 at 0, 1, 2: slope 1, residuals 1/3, -2/3, 1/3 and one degree of freedom: sqrt((2/3) / 2) = 0.58.
    assert exponent((1, 2, 4), (1, 4, 4)) == "1.00 ± 0.58"
    assert exponent((1, 2), (1, 4)) == ""


def test_costs_are_those_between_checkpoints():
    from cost import costs

    def line(t, *seconds):
        return {"t": t, "seconds": dict(zip(("select", "simulate", "learn", "assess"), seconds, strict=True))}

    lines = [line(100, 1.0, 1.0, 1.0, 1.0), line(200, 9.0, 9.0, 9.0, 9.0), line(300, 1.2, 1.4, 1.6, 4.0)]
    assert costs(lines) == pytest.approx([1000, 2000, 3000, 6000, 1500])


def test_costs_are_measured_for_every_size(monkeypatch, capsys):
    import cost

    monkeypatch.setattr(cost, "SIZES", {"candidates": (2, 4), "features": (3,), "particles": (2,), "batch": (4,)})
    monkeypatch.setattr(cost, "QUERIES", (32, 64))
    monkeypatch.setattr(cost, "BATCHES", 2)
    monkeypatch.setattr(cost, "REPETITIONS", 1)
    monkeypatch.setattr(sys, "argv", ["cost.py"])
    with pytest.raises(SystemExit) as ended:
        cost.main()
    printed = capsys.readouterr().out
    rows = [line.split(" | ")[0].removeprefix("| ") for line in printed.splitlines() if line.startswith("| ")]
    tables = {"queries": ["64"], "candidates": ["2", "4"], "features": ["3"], "particles": ["2"], "batch": ["4"]}
    assert rows == [row for name, sizes in tables.items() for row in (name, "---", *sizes, "exponent", "upper decade")]
    assert ended.value.code == 0, printed


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A finished directory of two agents, one of which asks at random."""
    out = tmp_path_factory.mktemp("suite") / "runs"
    kwargs = {"n_candidates": 4, "dimension": 3}
    agents = ("ee2024-passive", "ee2024-infomax")
    settings = {"ee2024-infomax": {"n_particles": 2, "hidden_sizes": [5]}}
    plan = Plan("SyntheticDuel-v0", kwargs, agents, 64, 1, 32, command="", title="small", settings=settings)
    save_plan(plan, out)
    learner = CommonLearner("interaction", 1.0, "nobody")
    (out / SETTINGS).write_text(json.dumps(learner.__dict__))
    for task in plan.tasks():
        run_task(plan, task, out, learner, lambda _: None)
    return plan, out


def test_a_run_is_counted_from_its_settings(suite):
    from products import operations
    from suite_cost import read_runs

    passive, infomax = read_runs(*suite)
    assert not passive.products["select"] and operations(passive.products["learn"]) > 0
    # Two batches of 32 prompts with 4 candidates of 3 features: 128·3·5 + 32·3·5 + 128·5 for each of two particles.
    assert operations(infomax.products["select"]) == 2 * 2 * 2 * (1920 + 480 + 640)
    # Two updates of five steps of 128 duels: twice 256·3·5 + 128·3·5, and three times 256·5.
    assert operations(infomax.products["learn"]) == 2 * 5 * 2 * 2 * (2 * 5760 + 3 * 1280)
    # Assessed at 0, 32 and 64: 256 prompts, and the 128 of them that make 256 duels, two of each.
    assert operations(infomax.products["assess"]) == 3 * 2 * 2 * (256 + 128) * (4 * 15 + 15 + 4 * 5)


def test_wall_time_is_divided_among_what_it_was_spent_on(suite, monkeypatch, capsys):
    import suite_cost

    plan, out = suite
    for task in plan.tasks():  # as if the command had taken 20 s, of which 2 to choose the common learner
        run = RunDirectory(out / "runs" / task.name)
        seconds = {"select": 4.0, "simulate": 1.0, "learn": 2.0, "assess": 3.0}
        lines = [{"t": t, "seconds": seconds, "peak_rss_mb": mb} for t, mb in ((0, 90), (32, 100), (64, 107))]
        run.timings.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for path, time in ((run.timings, 1010), (run.common, 1012), (run.done, 1020)):
            os.utime(path, (time, time))
    os.utime(out / "plan.json", (1000, 1000))
    os.utime(out / SETTINGS, (1002, 1002))
    total = sum(
        suite_cost.operations(products) for run in suite_cost.read_runs(plan, out) for products in run.products.values()
    )
    asked = []

    def rates(products, jobs):
        asked.append(jobs)
        return suite_cost.Rates(total / 16, dict.fromkeys(products, total / 8))

    monkeypatch.setattr(suite_cost, "measured_rates", rates)

    def printed(*options):
        monkeypatch.setattr(sys, "argv", ["suite_cost.py", str(out), *options])
        with pytest.raises(SystemExit) as ended:
            suite_cost.main()
        return ended.value.code, capsys.readouterr().out

    status, text = printed("--jobs", "2")
    assert status == 0 and asked == [2]
    assert "the operations need             8.0 s (4.0 s at" in text
    assert "ratio                          2.50" in text  # 20 s where 16 s on two processes are needed
    assert "107 MB a process; grew in the last nine tenths of a run by 7 MB" in text
    shares = dict(line.split(" | ")[0:3:2] for line in text.splitlines() if line.endswith("|") and "%" in line)
    assert shares == {
        "| select": "20.0%",
        "| simulate": "5.0%",
        "| learn": "10.0%",
        "| assess": "15.0%",
        "| common learner": "10.0%",
        "| choosing the common learner, others waiting": "10.0%",
        "| starting and waiting": "30.0%",
    }
    assert printed("--jobs", "2", "--wall", "20.1")[0] == 1
    assert "took longer than 20 s on 1 processes" in printed("--jobs", "1")[0]
    RunDirectory(out / "runs" / "ee2024-infomax--000").done.unlink()
    assert "ee2024-infomax--000 is not finished" in printed()[0]


def test_a_model_whose_products_are_not_known_is_refused(suite):
    from dataclasses import replace

    from suite_cost import products_of

    from duelgym.errors import SpecificationError

    with pytest.raises(SpecificationError, match=r"'infomax\+epinet': operations are counted for point and ensemble"):
        products_of(replace(suite[0], agents=("infomax+epinet",)), 0)


def test_a_small_product_is_slower_than_a_large_one():
    from products import Product, matrix_product_rate, product_rate

    assert 0 < product_rate(Product(2, 64, 32, 1)) < matrix_product_rate() < 1e13
