"""A person at the terminal: what is asked, refused and scored."""

from __future__ import annotations

import dataclasses
import io
import sys

import gymnasium as gym
import numpy as np
import pytest

from duelgym.cli import main
from duelgym.envs.session import DuelSession
from duelgym.errors import SpecificationError
from duelgym.play.game import Game
from duelgym.play.passive import fitted_weights, passive_choices
from duelgym.simulators import BradleyTerry


@pytest.fixture
def problem(pool_path):
    return problem_of(pool_path)


def problem_of(pool_path, **arguments):
    return gym.make("AlpacaEvalDuel-v0", pool=str(pool_path), **{"n_candidates": 4, **arguments}).unwrapped.problem


def played(problem, answers, *, seed=3, queries=2, finals=3):
    """Play with these answers; return the score and everything that was shown."""
    waiting, shown = list(answers), []

    def ask(line):
        shown.append(line)
        if not waiting:
            raise EOFError
        answer = waiting.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    game = Game(problem, seed=seed, queries=queries, finals=finals, ask=ask, show=shown.append)
    score = game.play()
    assert not waiting
    return score, "\n".join(shown)


def test_the_player_sees_texts_and_the_preferences_of_the_episode(problem):
    session = DuelSession.seeded(problem, budget=2, seed=3)
    expected = []
    for pair, names in (((0, 1), "ab"), ((3, 2), "dc")):
        asked = session.ask(1)
        prompt, responses = problem.generator.texts(
            int(asked.questions.prompt_ids[0]), asked.questions.candidate_ids[0]
        )
        (preference,), _ = session.answer(asked, np.array([pair]))
        expected.append((prompt, responses, f"preferred {names[preference]} to {names[1 - preference]}."))
    _, shown = played(problem, ["ab", "D, c", "a", "b", "c"])
    for prompt, responses, verdict in expected:
        assert f"Prompt: {prompt}" in shown and verdict in shown
        for response in responses:
            assert response in " ".join(shown.split())


def test_the_score_by_hand(problem):
    session = DuelSession.seeded(problem, budget=2, seed=3)
    finals = session.assessment()
    rates = finals.win_rates()[:3]
    best, chosen = finals.winners()[:3], [2, 0, 3]
    score, shown = played(problem, ["ab", "ab", "c", "A", " d "])
    assert (score.choices, score.queries) == (3, 2)
    assert score.person == pytest.approx(rates[[0, 1, 2], chosen].mean())
    assert score.oracle == pytest.approx(rates[[0, 1, 2], best].mean())
    assert score.uniform == pytest.approx(0.5)
    assert f"your choices                                 {score.person:.1%}" in shown
    perfect, shown = played(problem, ["f", *("abcd"[position] for position in best)])
    assert perfect.person == perfect.oracle and perfect.queries == 0
    assert "You beat passive." in shown


def test_a_game_is_its_seed_and_answers(problem):
    answers = ["ab", "s", "c", "a", "d"]
    assert played(problem, answers) == played(problem, answers)
    assert played(problem, answers)[1] != played(problem, answers, seed=4)[1]


def test_bad_input_asks_again_and_costs_nothing(problem):
    score, shown = played(problem, ["", "abc", "aa", "ax", "1", "ba", "cd", "e", "ab", "", "a", "a", "a"])
    assert score.queries == 2
    assert shown.count("Please answer with two different letters from a to d, or s, f, q.") == 5
    assert shown.count("Please answer with one letter from a to d, or q.") == 3
    skipped, shown = played(problem, ["s", "s", "a", "a", "a"])
    assert skipped.queries == 2 and "preferred" not in shown.split("--- Query 1")[1].split("How often")[0]


@pytest.mark.parametrize("leaving", [["q"], ["ab", "ab", "a", "q"], ["ab"], [KeyboardInterrupt()]])
def test_leaving_is_polite(problem, leaving):
    score, shown = played(problem, leaving)
    assert score is None
    assert f"Stopped after {leaving.count('ab')} queries." in shown


def test_nothing_in_a_text_steers_the_terminal(problem, monkeypatch):
    nasty = "red\x1b[31m\x07 " + "word " * 400
    monkeypatch.setattr(problem.generator, "texts", lambda prompt, ids: (nasty, ("", "\n", "one\ntwo", nasty)))
    _, shown = played(problem, ["q"])
    assert not any(not (c.isprintable() or c == "\n") for c in shown)
    assert "  a  (empty)" in shown and "  c  one\n     two" in shown and "more characters)" in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_what_cannot_be_played_is_refused(problem, pool_path):
    synthetic = gym.make("SyntheticDuel-v0").unwrapped.problem
    with pytest.raises(SpecificationError, match="nothing to read here"):
        played(synthetic, [])
    with pytest.raises(SpecificationError, match="1 candidates are shown; a game needs 2 to 16"):
        played(problem_of(pool_path, n_candidates=1), [])
    cold = BradleyTerry(1.0)
    with pytest.raises(SpecificationError, match="so that its logs could not be replayed; replace both"):
        dataclasses.replace(problem, simulator=cold)
    both = {**problem.specification, "simulator": cold.specification()}
    asked = dataclasses.replace(problem, simulator=cold, specification=both)
    object.__setattr__(asked.simulator, "has_judgement", False)
    with pytest.raises(SpecificationError, match="the bradley_terry simulator cannot score"):
        played(asked, [])
    with pytest.raises(SpecificationError, match="queries is -1; it must be at least 0"):
        played(problem, [], queries=-1)
    with pytest.raises(SpecificationError, match="finals is 0"):
        played(problem, [], finals=0)


def test_weights_by_hand():
    """With prior precision 4 / 2² = 1 and one win over a difference of 1, w = 1 - σ(w)."""
    (weight,) = fitted_weights(np.array([[1.0]]), np.array([1.0]), spread=4.0)
    assert weight == pytest.approx(0.401058, abs=1e-6)
    assert weight == pytest.approx(1 - 1 / (1 + np.exp(-weight)))
    np.testing.assert_array_equal(fitted_weights(np.zeros((0, 3)), np.zeros(0), spread=1.0), 0)
    np.testing.assert_allclose(
        fitted_weights(np.array([[1.0], [1.0]]), np.array([0.5, 0.5]), spread=1.0), 0, atol=1e-12
    )


def test_passive_learns(pool_path):
    problem = problem_of(pool_path, n_candidates=6)
    won = {}
    for queries in (0, 300):
        rates = []
        for seed in range(4):
            finals = DuelSession.seeded(problem, budget=1, seed=seed).assessment()
            rng = np.random.default_rng(seed)
            chosen = passive_choices(problem, finals.questions, queries=queries, seed=seed, rng=rng)
            rates.append(finals.win_rates()[np.arange(len(chosen)), chosen].mean())
        won[queries] = np.mean(rates)
    assert abs(won[0] - 0.5) < 0.05
    assert won[300] > won[0] + 0.1


def command(pool_path, *words):
    return ["play", "AlpacaEvalDuel-v0", "--pool", str(pool_path), *words]


def test_the_command_plays_what_is_piped_in(pool_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("ab\nbd\na\nb\nc\n"))
    assert main(command(pool_path, "--queries", "2", "--finals", "3", "--seed", "7")) == 0
    printed = capsys.readouterr().out
    assert "passive: a learner after 2 random pairs" in printed
    assert printed.endswith("The same game again: --seed 7\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(command(pool_path)) == 0
    assert "Stopped after 0 queries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["play", "SyntheticDuel-v0"], "nothing to read here"),
        (["play", "NoDuel-v0"], "no environment is called 'NoDuel-v0'; known: "),
        (["play", "AlpacaEvalDuel-v0"], "needs pool=DIR"),
        (["play", "AlpacaEvalDuel-v0", "--env-kwargs", "{"], "not valid JSON"),
        (["play", "AlpacaEvalDuel-v0", "--env-kwargs", "[]"], "must be a JSON object"),
        (
            ["play", "AlpacaEvalDuel-v0", "--env-kwargs", '{"reward": "zero"}'],
            "reward: not an argument of this environment",
        ),
        (["play", "SyntheticDuel-v0", "--seed", "-1"], "seed is -1"),
    ],
)
def test_the_command_refuses_in_one_line(words, complaint, capsys):
    assert main(words) == 1
    printed = capsys.readouterr().err
    assert complaint in printed and printed.count("\n") == 1


def test_bytes_that_are_no_text_do_not_end_the_game(pool_path, monkeypatch):
    typed, shown = io.BytesIO(b"\xff\xe9\nab\nbd\na\nb\nc\n"), io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(typed, "utf-8"))
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, "ascii", write_through=True))
    sys.stdout.write("")
    assert main(command(pool_path, "--queries", "2", "--finals", "3", "--seed", "7")) == 0
    printed = shown.getvalue().decode()
    assert "Please answer with two different letters" in printed and "The same game again: --seed 7" in printed
