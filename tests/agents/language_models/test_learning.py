"""What ensembles on a language model learn from, with what weights, and when."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import make_model
from worded_duels import BOTH, WORDS, contexts_of, equal, teach

from duelgym.agent import Contexts
from duelgym_agents.reward_models import LinearHeadSettings, LoRAEnsemble, LoRASettings
from duelgym_agents.reward_models.language_model.duels import TextReplay
from duelgym_agents.reward_models.language_model.lora import Adapters


def test_adapters_change_nothing_at_first_and_then_learn_alone(build):
    model, contexts = build("lora", steps=0), contexts_of(np.random.default_rng(0))
    teach(model, np.random.default_rng(1), batches=1)
    before = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    shared = model.state_dict()["weights"]
    teach(model, np.random.default_rng(2), batches=1)  # the tenth label
    state = model.state_dict()
    assert np.array_equal(np.concatenate([state["body"], state["weights"][-48:]]), shared)
    assert model.sample_utilities(contexts, 3, np.random.default_rng(0)) == pytest.approx(before, abs=1e-6)

    learning = build("lora", steps=20)
    teach(learning, np.random.default_rng(1), batches=2)
    frozen, features = learning.state_dict(), learning.features(contexts)
    teach(learning, np.random.default_rng(3), batches=2)
    after = learning.state_dict()
    assert np.array_equal(after["body"], frozen["body"])
    assert np.array_equal(learning.features(contexts), features)
    moved = after["weights"] != frozen["weights"]
    assert moved.mean() > 0.99 and len(moved) == 3 * (model._adapted.layout.size + 16)
    adapters = after["weights"][:-48].reshape(3, -1)
    assert not np.array_equal(adapters[0], adapters[1])


def test_adapters_are_beside_every_linear_layer_and_drawn_as_stated(build):
    layout = build("lora", rank=4)._adapted.layout
    # Two layers; hidden 16, keys and values 8, inner 32: A is rank x inputs, B outputs x rank.
    per_layer = 4 * ((16 + 16) * 2 + (16 + 8) * 2 + (16 + 32) * 3)
    assert layout.size == 2 * per_layer
    drawn = layout.named(torch.from_numpy(build("lora", rank=4)._adapted.draw(np.random.default_rng(0))))
    for name, part in drawn.items():
        if ".lora_B." in name:
            assert not part.any()
        else:
            bound = part.shape[1] ** -0.5
            assert 0.9 * bound < float(part.abs().max()) <= bound and abs(float(part.mean())) < 0.2 * bound


def test_each_particle_begins_with_an_adapter_of_its_own(build):
    model = build("lora", steps=0)
    teach(model, np.random.default_rng(4), batches=2)  # frozen, and nothing learnt
    drawn = model.state_dict()["weights"][:-48].reshape(3, -1)
    assert all((drawn[one] != drawn[other]).mean() > 0.3 for one, other in [(0, 1), (0, 2), (1, 2)])  # B is 0 in all


def test_rates_are_the_bodys_first_and_the_adapters_later(build):
    model = build("lora", steps=7, learning_rate=1e-3, adapter_learning_rate=1e-5)
    steps = []
    for batch in range(4):
        before = model.state_dict()["weights"]
        teach(model, np.random.default_rng(batch), batches=1)
        after = model.state_dict()["weights"]
        steps.append(float(np.abs(after - before).max()) if len(after) == len(before) else None)
    # The first step of Adam from rest is the rate; the second batch brings the tenth label and the freeze.
    assert steps[0] == pytest.approx(1e-3, rel=0.05) and steps[1] is None
    assert steps[2] == pytest.approx(1e-5, rel=0.05) and steps[3] < 3e-5


def test_a_model_with_other_layers_and_no_chat_template_works(tmp_path):
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    folder = make_model(tmp_path / "llama", chat_template=None)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sizes = {"vocab_size": len(tokenizer), "n_positions": 128, "n_embd": 16, "n_layer": 1, "n_head": 2}
    with torch.random.fork_rng(devices=[]):
        GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=1)).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    chosen = LoRASettings(model=str(tmp_path / "gpt2"), tuning_labels=5, steps=7, minibatch_size=4)
    model = LoRAEnsemble(chosen, prompt_dim=2, candidate_dim=3, rng=np.random.default_rng(0))
    teach(model, np.random.default_rng(0))
    assert isinstance(model._particles, Adapters) and model.mean(contexts_of(np.random.default_rng(1))).shape == (5, 4)


@pytest.mark.parametrize("kind", BOTH)
def test_learns_which_word_is_liked(kind, build):
    """Half of all responses mention bread, and the rater likes those: after 192 labels at least 85 % of what is
    recommended does, where a uniform choice has 50 %."""
    rng = np.random.default_rng(0)
    others = WORDS[1:]

    def draw(batch):
        with_bread = np.stack([rng.permutation([True, True, False, False]) for _ in range(batch)])
        lines = [
            tuple(" ".join(rng.permutation([*rng.choice(others, 5), "bread" if liked else "moon"])) for liked in line)
            for line in with_bread
        ]
        empty = np.zeros((batch, 2), np.float32), np.zeros((batch, 4, 3), np.float32)
        return Contexts(*empty, ("note",) * batch, tuple(lines)), with_bread

    changes = {"learning_rate": 3e-3, "regularizer": 0.1, "steps": 8, "minibatch_size": 32}
    model = build(kind, **changes | ({"tuning_labels": 96, "adapter_learning_rate": 1e-2} if kind == "lora" else {}))
    held_out, liked = draw(100)
    shares = []
    for batch in range(7):
        shares.append(float(liked[np.arange(100), model.mean(held_out).argmax(axis=1)].mean()))
        if batch < 6:
            contexts, with_bread = draw(32)
            pairs = np.stack([rng.permutation(4)[:2] for _ in range(32)])
            gaps = 4.0 * (np.take_along_axis(with_bread, pairs, axis=1) @ np.array([1, -1]))
            model.update(contexts, pairs, (rng.random(32) > 1 / (1 + np.exp(-gaps))).astype(np.int8))
    assert shares[0] < 0.7 and shares[-1] >= 0.85, shares


def test_skips_and_self_duels_teach_nothing_and_ties_pull_together(build):
    contexts = contexts_of(np.random.default_rng(9), batch=3)
    model = build("linear_heads", regularizer=0.0, steps=640, learning_rate=3e-3)
    before = model.state_dict()
    model.update(contexts, np.array([[0, 1], [2, 2], [3, 3]]), np.array([2, 0, 3], np.int8))
    assert equal(model.state_dict(), before)
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    assert np.abs(samples[:, 2, 1] - samples[:, 2, 3]).max() > 0.1
    model.update(contexts, np.array([[0, 1], [2, 2], [3, 1]]), np.array([2, 0, 3], np.int8))
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    assert np.abs(samples[:, 2, 1] - samples[:, 2, 3]).max() < 0.05
    assert model._replay.added == 1


def test_skips_and_self_duels_owe_no_steps(build):
    contexts, model = contexts_of(np.random.default_rng(11), batch=4), build("linear_heads", steps=16)
    for steps in (0, 1, 1, 2):  # half a step for the one label of four that informs
        model.update(contexts, np.array([[0, 1], [1, 0], [2, 2], [3, 0]]), np.array([0, 2, 1, 2], np.int8))
        assert int(model.state_dict()["steps_done"]) == steps
    assert model._replay.added == 4


@settings(max_examples=40)
@given(st.integers(1, 7), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 2))
def test_the_buffer_keeps_the_latest_duels_and_restores_them(capacity, sizes, mark_dim):
    chosen = LinearHeadSettings(buffer_capacity=capacity, minibatch_size=200)
    replay, start = TextReplay(chosen, rng=np.random.default_rng(0), mark_dim=mark_dim), 0
    for size in sizes:
        rows = [np.full(1 + row % 3, row, np.int32) for row in range(2 * start, 2 * (start + size))]
        replay.add(rows, np.arange(start, start + size, dtype=np.float32))
        start += size
    other = TextReplay(chosen, rng=np.random.default_rng(1), mark_dim=mark_dim)
    other.load_state_dict(replay.state_dict())
    for each in (replay, other):
        drawn = each.draw()
        assert {duel.target for duel in drawn} == set(range(max(0, start - capacity), start))
        assert all(
            duel.first.tolist() == [2 * duel.target] * (1 + int(2 * duel.target) % 3)
            and duel.second[0] == 2 * duel.target + 1
            for duel in drawn
        )
    assert equal(replay.state_dict(), other.state_dict())
    assert replay.pull == pytest.approx(10.0 / min(capacity, start))


def test_the_regularisers_pull_by_hand():
    # lambda 8 halved twice in 20 duels of half-life 10, against a mean over 4 duels.
    assert LinearHeadSettings(regularizer=8.0, regularizer_half_life=10.0).pull(added=20, kept=4) == 0.5
