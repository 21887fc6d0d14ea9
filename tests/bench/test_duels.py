"""The duels of a report: what they say of a query by hand, and how their texts come onto a page."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from simulated_results import simulated

from duelgym.generators import Questions
from duelgym.metrics.judged import judge
from duelgym.rounds import QueryLog, RecordRounds, read_queries
from duelgym.rounds.replay import begin, replayed
from duelgym.simulators import BradleyTerry
from duelgym_bench.duels import duels_of, shown_queries
from duelgym_bench.page_duels import LONGEST_TEXT, duels_section, readable


@pytest.mark.parametrize(
    ("budget", "queries"),
    [(3, (3,)), (10, (10,)), (64, (10, 64)), (1000, (10, 100, 1000)), (6400, (10, 100, 1000, 6400))],
)
def test_which_queries_are_shown(budget, queries):
    assert shown_queries(budget) == queries


class Named:
    def texts(self, prompt_id, candidate_ids):
        return f"prompt {prompt_id}", tuple(f"answer {c}" for c in candidate_ids)


def by_hand(pair, preference=0):
    """Return the duel of the only query of a log: four candidates with utilities 0, 2, 1, 1 under unit temperature."""
    ids = np.array([[12, 10, 13, 11]])
    asked = judge(BradleyTerry(1.0), Questions(np.array([5]), ids), np.array([[0.0, 2.0, 1.0, 1.0]]))
    pairs = np.array([pair])
    log = QueryLog({}, np.array([5]), pairs, ids[:, pair], np.array([preference], np.int8), {}, None)
    (duel,) = duels_of(asked, log, 0, Named())
    return duel


def test_a_duel_by_hand():
    duel = by_hand([2, 0], preference=1)
    one, two = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-2))
    assert (duel.query, duel.prompt, duel.n_candidates, duel.preference) == (1, "prompt 5", 4, 1)
    assert (duel.first.text, duel.second.text) == ("answer 13", "answer 12")
    assert (duel.first.rank, duel.second.rank) == (2, 4)  # the two of utility 1 share second place
    assert (duel.first.utility, duel.second.utility) == (1.0, 0.0)
    assert duel.probability == pytest.approx(one)
    assert duel.first.win_rate == pytest.approx((one + 0.5 + (1 - one)) / 3)
    assert duel.second.win_rate == pytest.approx(((1 - two) + 2 * (1 - one)) / 3)
    assert by_hand([3, 3]).probability == 0.5 and by_hand([1, 3]).first.rank == 1


@pytest.mark.parametrize("source", ["LLMDuel-v0", "AlpacaEvalDuel-v0"])
def test_duels_are_those_that_the_environment_showed(source, pool_path, tmp_path):
    kwargs = {"pool": str(pool_path)} if source == "AlpacaEvalDuel-v0" else {}
    env = RecordRounds(gym.make(source, budget=24, text=True, **kwargs), tmp_path)
    observation, _ = env.reset(seed=3)
    seen = {}
    for query in range(1, 25):
        pair = [query % 5, (query * query) % 6]
        shown = [observation["candidate_texts"][side] for side in pair]
        prompt = observation["prompt_text"]
        observation, *_ = env.step(pair)
        seen[query] = (prompt, *shown, int(observation["preference"]))
    problem = env.unwrapped.problem
    env.close()
    log = read_queries(tmp_path / "episode-0000.queries.jsonl.gz")
    session = begin(log.header, problem)
    duels = [
        duel
        for start, asked in replayed(log, problem, session, "log")
        for duel in duels_of(asked, log, start, problem.generator)
    ]
    assert {d.query: (d.prompt, d.first.text, d.second.text, d.preference) for d in duels} == {
        query: seen[query] for query in (10, 24)
    }
    assert all((d.first.win_rate > d.second.win_rate) == (d.first.rank < d.second.rank) for d in duels)


def test_texts_keep_their_lines_and_lose_what_acts_on_the_page():
    text = "a\r\n\tb\N{NO-BREAK SPACE}c\N{LINE SEPARATOR}d\N{RIGHT-TO-LEFT OVERRIDE}e\x1b\ud800\0f"
    assert readable(text) == "a\n\tb c\nd\N{REPLACEMENT CHARACTER}e" + 3 * "\N{REPLACEMENT CHARACTER}" + "f"
    family = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}"
    assert readable(family) == family


def test_long_texts_are_cut_and_say_so():
    results = simulated()
    duel = by_hand([2, 0], preference=1)
    duel = replace(duel, prompt="<b>who?</b>", first=replace(duel.first, text="x" * (LONGEST_TEXT + 7)))
    duel = replace(duel, second=replace(duel.second, text="", utility=None))
    runs = tuple(replace(run, duels=(duel,)) if run.seed_index == 0 else run for run in results.runs)
    agents = list(dict.fromkeys(run.agent for run in runs))
    html = duels_section(replace(results, runs=runs), agents, "<!-- buttons -->")
    assert f'<pre dir="auto">{"x" * LONGEST_TEXT}</pre><p>(cut: 7 more characters)</p>' in html
    assert html.count("&lt;b&gt;who?&lt;/b&gt;") == html.count("Query 1<") == 1  # asked of every agent, shown once
    assert html.count("data-agent=") == len(agents) - 1 and "passive@1" not in html
    assert "Second, preferred: rank 4, win rate .219</p><p>(empty)</p>" in html
    assert "First: rank 2, win rate .500, utility 1.00</p>" in html
    assert "ranks 2 and 4 of 4; the first is better with probability .731; the second was preferred" in html
    assert duels_section(results, agents, "") == ""
