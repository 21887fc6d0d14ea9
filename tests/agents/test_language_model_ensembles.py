from __future__ import annotations

import copy
import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import make_model

from duelgym.agent import Contexts
from duelgym.errors import GeneratorError, SpecificationError
from duelgym.generators.encoder import TransformersEncoder
from duelgym.generators.projection import unprojected
from duelgym.testing import check_agent
from duelgym_agents.registry import agent_factory, make_agent
from duelgym_agents.reward_models import LinearHeads, LinearHeadSettings, LoRAEnsemble, LoRASettings
from duelgym_agents.reward_models.language_model.duels import TextReplay
from duelgym_agents.reward_models.language_model.lora import Adapters
from duelgym_agents.reward_models.language_model.reader import pieces
from duelgym_bench.plan import Plan, check_plan

WORDS = [
    "bread",
    "moon",
    "octopus",
    "kind",
    "brief",
    "water",
    "salt",
    "sea",
    "child",
    "note",
    "face",
    "dough",
    "yeast",
    "three",
    "hearts",
    "rises",
]
DIMENSIONS = {"prompt_dim": 2, "candidate_dim": 3, "n_candidates": 4, "batch_size": 5, "budget": 100}
BOTH = ["linear_heads", "lora"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(make_model(tmp_path_factory.mktemp("models") / "tiny", hidden=16))


@pytest.fixture(scope="module")
def build(tiny):
    """Make a model: small, fast, and for LoRA frozen after ten labels."""

    def make(kind, seed=0, **changes):
        model, chosen = {"linear_heads": (LinearHeads, LinearHeadSettings), "lora": (LoRAEnsemble, LoRASettings)}[kind]
        small = {"model": tiny, "steps": 2, "minibatch_size": 4} | ({"tuning_labels": 10} if kind == "lora" else {})
        return model(chosen(**small | changes), prompt_dim=2, candidate_dim=3, rng=np.random.default_rng(seed))

    return make


def sentence(rng, longest=12):
    return " ".join(rng.choice(WORDS, size=rng.integers(1, longest)))


def contexts_of(rng, batch=5, n_candidates=4, longest=12):
    texts = tuple(tuple(sentence(rng, longest) for _ in range(n_candidates)) for _ in range(batch))
    prompts = tuple(sentence(rng) for _ in range(batch))
    return Contexts(np.zeros((batch, 2), np.float32), np.zeros((batch, n_candidates, 3), np.float32), prompts, texts)


def teach(model, rng, batches=3, **shape):
    for _ in range(batches):
        contexts = contexts_of(rng, **shape)
        pairs = np.stack([rng.permutation(contexts.candidates.shape[1])[:2] for _ in range(len(contexts))])
        model.update(contexts, pairs, rng.integers(2, size=len(contexts)).astype(np.int8))


def equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(np.array_equal(array, theirs[name]) for name, array in ours.items())


# --- values against the library's own model -----------------------------------------------------------------


class Reference:
    """The same arithmetic on a plain transformers model in double precision, each text read alone."""

    def __init__(self, folder, state):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.body = AutoModelForCausalLM.from_pretrained(folder).base_model.double().eval()
        self.names = [name for name, _ in self.body.named_parameters()]
        self.shapes = [weight.shape for _, weight in self.body.named_parameters()]
        size = sum(shape.numel() for shape in self.shapes)
        weights = torch.tensor(state["weights"], dtype=torch.float64)
        self.frozen = torch.tensor(state["body"], dtype=torch.float64) if "body" in state else None
        self.trained = weights.requires_grad_()
        self.cut = size if self.frozen is None else len(weights) - 3 * 16
        self.heads = self.trained[self.cut :].view(3, 16)

    def utility(self, particle, prompt, response, layout=None, scale=None):
        flat = self.trained[: self.cut] if self.frozen is None else self.frozen
        sizes = [shape.numel() for shape in self.shapes]
        named = {n: part.view(s) for n, s, part in zip(self.names, self.shapes, flat.split(sizes), strict=True)}
        if layout is not None:  # W + B A alpha / rank, in place of the layers beside one another
            adapter = layout.named(self.trained[: self.cut].view(3, -1)[particle])
            for name in adapter:
                if ".lora_A." in name:
                    product = adapter[name.replace(".lora_A.", ".lora_B.")] @ adapter[name]
                    whole = name.replace(".lora_A.default", "")
                    named[whole] = named[whole] + scale * product
        ids = self.tokenizer(f"<|user|>{prompt}<|assistant|>{response}", return_tensors="pt")["input_ids"]
        output = torch.func.functional_call(self.body, named, (), {"input_ids": ids})
        return self.heads[particle] @ output.last_hidden_state[0, -1]

    def number(self, *given):
        return self.utility(*given).item()


def test_utilities_are_heads_times_hidden_states_at_the_last_token(build, tiny):
    model, contexts = build("linear_heads"), contexts_of(np.random.default_rng(0), batch=3)
    reference = Reference(tiny, model.state_dict())
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    features = model.features(contexts)
    assert samples.shape == (3, 3, 4) and samples.dtype == np.float32 and features.shape == (3, 4, 16)
    for row, (prompt, responses) in enumerate(zip(contexts.prompt_texts, contexts.candidate_texts, strict=True)):
        for column, response in enumerate(responses):
            by_hand = [reference.number(particle, prompt, response) for particle in range(3)]
            assert samples[:, row, column] == pytest.approx(by_hand, abs=2e-5)
            assert features[row, column] @ reference.heads.detach().numpy().T == pytest.approx(by_hand, abs=2e-5)
    assert model.mean(contexts) == pytest.approx(samples.mean(axis=0), abs=1e-6)
    assert float(samples.std(axis=0).mean()) > 0.1  # heads start apart


def test_the_empty_response_is_read_at_the_prompts_last_token(build, tiny):
    model = build("linear_heads")
    contexts = Contexts(np.zeros((1, 2), np.float32), np.zeros((1, 2, 3), np.float32), ("moon",), (("", "sea"),))
    by_hand = [Reference(tiny, model.state_dict()).number(0, "moon", response) for response in ("", "sea")]
    assert model.sample_utilities(contexts, 3, np.random.default_rng(0))[0, 0] == pytest.approx(by_hand, abs=2e-5)


def test_the_embedded_model_is_the_default_and_read_as_its_own_embeddings_are():
    model = LinearHeads(LinearHeadSettings(), prompt_dim=2, candidate_dim=3, rng=np.random.default_rng(0))
    contexts = contexts_of(np.random.default_rng(1), batch=2)
    embedded = TransformersEncoder().embed(contexts.prompt_texts, contexts.candidate_texts)[1]
    assert unprojected(model.features(contexts))[0] == pytest.approx(embedded, abs=1e-5)


@pytest.mark.parametrize("anchor", ["init", "zero"])
@pytest.mark.parametrize("kind", BOTH)
def test_a_step_follows_the_gradient_of_the_loss(kind, anchor, build, tiny):
    # After one step from rest Adam's first moment is a tenth of the gradient. With one duel in the buffer every
    # minibatch is that duel: the loss is the particles' sum of cross-entropy, plus lambda ||weights - anchor||^2.
    changes = {"anchor": anchor, "regularizer": 0.7, "steps": 0, "buffer_capacity": 1}
    model = build(kind, **changes | ({"alpha": 6.0, "rank": 3} if kind == "lora" else {}))
    rng = np.random.default_rng(7)
    if kind == "lora":
        teach(model, rng, batches=2)
        assert isinstance(model._particles, Adapters)
    start = model._weights.values.clone()
    model._weights.values.add_(torch.from_numpy(0.05 * rng.standard_normal(len(start), dtype=np.float32)))
    before = model.state_dict()
    contexts = contexts_of(rng, batch=1)
    model.update(contexts, np.array([[3, 1]]), np.array([1], np.int8))
    model._step()

    reference = Reference(tiny, before)
    layout, scale = (model._adapted.layout, 6.0 / 3) if kind == "lora" else (None, None)
    held = start.double()
    if anchor == "zero":
        held[reference.cut :] = 0.0  # heads alone: the body is held near the model as it was
    loss = 0.7 * (reference.trained - held).square().sum()
    for particle in range(3):
        first, second = (
            reference.utility(particle, contexts.prompt_texts[0], contexts.candidate_texts[0][place], layout, scale)
            for place in (3, 1)
        )
        # The second was preferred: ce = -R' + ln(e^R + e^R').
        loss = loss - second + torch.logaddexp(first, second)
    (gradient,) = torch.autograd.grad(loss, reference.trained)
    assert float(gradient[: reference.cut].abs().max()) > 1e-2
    assert 10 * model.state_dict()["first_moment"] == pytest.approx(gradient.numpy(), rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("kind", BOTH)
def test_a_minibatch_in_pieces_has_the_same_gradient(kind, build):
    moments = []
    for tokens_at_once in (1, 150, 10**6):
        model = build(kind, tokens_at_once=tokens_at_once, bootstrap=True, minibatch_size=7)
        teach(model, np.random.default_rng(1), batches=1)
        moments.append(model.state_dict()["first_moment"])
    assert moments[1] == pytest.approx(moments[0], abs=1e-5) and moments[2] == pytest.approx(moments[0], abs=1e-5)


def test_a_bootstrapped_particle_learns_from_its_half_alone(build):
    model = build("linear_heads", bootstrap=True, steps=0, regularizer=0.0)
    teach(model, np.random.default_rng(2), batches=1)
    duel = next(duel for duel in model._replay._duels if 0 < (duel.marks > 0).sum() < 3)
    model._replay._duels = type(model._replay._duels)([duel], maxlen=9)
    model._step()
    of_heads = model.state_dict()["first_moment"][-48:].reshape(3, 16)
    assert [bool(np.abs(row).max() > 0) for row in of_heads] == (duel.marks > 0).tolist()


# --- padding ------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 200))
def test_pieces_hold_every_text_once_and_few_tokens(lengths, most):
    given_out = [piece.tolist() for piece in pieces(lengths, most)]
    assert sorted(place for piece in given_out for place in piece) == list(range(len(lengths)))
    for piece, following in zip(given_out, [*given_out[1:], []][: len(given_out)], strict=True):
        longest = max(lengths[place] for place in piece)
        assert len(piece) == 1 or len(piece) * longest <= most
        if following:  # nothing shorter comes later, and no piece is smaller than it must be
            next_length = lengths[following[0]]
            assert longest <= next_length and (len(piece) + 1) * next_length > most


@pytest.mark.parametrize("kind", BOTH)
def test_padding_does_not_change_utilities(kind, build):
    contexts = contexts_of(np.random.default_rng(3), batch=4, longest=40)
    answers = []
    for tokens_at_once in (1, 10**6):  # each text alone; all at once
        model = build(kind, tokens_at_once=tokens_at_once, steps=0)
        teach(model, np.random.default_rng(4), batches=2)
        answers.append(model.sample_utilities(contexts, 3, np.random.default_rng(0)))
        answers.append(model.features(contexts))
    assert isinstance(model._particles, Adapters) == (kind == "lora")
    assert answers[0] == pytest.approx(answers[2], abs=1e-5)
    assert answers[1] == pytest.approx(answers[3], abs=1e-5)


@pytest.mark.parametrize("kind", BOTH)
def test_no_more_tokens_are_read_at_once_than_allowed(kind, build, monkeypatch):
    contexts = contexts_of(np.random.default_rng(5), batch=6, n_candidates=9, longest=6)
    model, sizes = build(kind, tokens_at_once=300, steps=1), []
    read = model._reader.hidden

    def noted(weights, rows, network=None):
        sizes.append(len(rows) * max(map(len, rows)))
        return read(weights, rows, network)

    monkeypatch.setattr(model._reader, "hidden", noted)
    model.mean(contexts)
    teach(model, np.random.default_rng(6), longest=6)
    assert 150 < max(sizes) <= 300


# --- LoRA -----------------------------------------------------------------------------------------------------


def test_adapters_change_nothing_at_first_and_then_learn_alone(build):
    model, contexts = build("lora", steps=0), contexts_of(np.random.default_rng(0))
    teach(model, np.random.default_rng(1), batches=1)
    before = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    shared = model.state_dict()["weights"]
    teach(model, np.random.default_rng(2), batches=1)  # the tenth label
    state = model.state_dict()
    assert np.array_equal(np.concatenate([state["body"], state["weights"][-48:]]), shared)
    assert model.sample_utilities(contexts, 3, np.random.default_rng(0)) == pytest.approx(before, abs=1e-6)

    learning = build("lora", steps=3)
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


def test_rates_are_the_bodys_first_and_the_adapters_later(build):
    model = build("lora", steps=1, learning_rate=1e-3, adapter_learning_rate=1e-5)
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
    chosen = LoRASettings(model=str(tmp_path / "gpt2"), tuning_labels=5, steps=1, minibatch_size=4)
    model = LoRAEnsemble(chosen, prompt_dim=2, candidate_dim=3, rng=np.random.default_rng(0))
    teach(model, np.random.default_rng(0))
    assert isinstance(model._particles, Adapters) and model.mean(contexts_of(np.random.default_rng(1))).shape == (5, 4)


# --- what is learnt from ------------------------------------------------------------------------------------


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
    model = build("linear_heads", regularizer=0.0, steps=60, learning_rate=3e-3)
    before = model.state_dict()
    model.update(contexts, np.array([[0, 1], [2, 2], [3, 3]]), np.array([2, 0, 3], np.int8))
    assert equal(model.state_dict(), before)
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    assert np.abs(samples[:, 2, 1] - samples[:, 2, 3]).max() > 0.1
    model.update(contexts, np.array([[0, 1], [2, 2], [3, 1]]), np.array([2, 0, 3], np.int8))
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    assert np.abs(samples[:, 2, 1] - samples[:, 2, 3]).max() < 0.05
    assert model._replay.added == 1


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


# --- as agents ------------------------------------------------------------------------------------------------


def agent_of(kind, tiny, seed=0, rule="infomax", **changes):
    small = {"model": tiny, "steps": 1, "minibatch_size": 4} | ({"tuning_labels": 10} if kind == "lora" else {})
    return make_agent(f"{rule}+{kind}", **DIMENSIONS, seed=seed, **small | changes)


def play(agent, rng, batches=4):
    asked = []
    for _ in range(batches):
        contexts = contexts_of(rng)
        pairs = agent.select_pairs(contexts)
        agent.observe(contexts, pairs, rng.integers(2, size=5).astype(np.int8))
        asked.append(pairs)
    return np.concatenate(asked)


@pytest.mark.parametrize("kind", BOTH)
def test_agents_keep_the_contract_and_say_that_they_need_texts(kind, tiny):
    assert agent_of(kind, tiny).needs_texts is True
    assert make_agent("infomax", "ensemble", **DIMENSIONS, seed=0).needs_texts is False
    small = {"model": tiny, "steps": 1, "minibatch_size": 4} | ({"tuning_labels": 4} if kind == "lora" else {})
    check_agent(lambda **sizes: agent_factory(f"double_thompson+{kind}")(**sizes, **small))


@pytest.mark.parametrize("kind", BOTH)
def test_deployment_by_mean_and_by_lower_confidence_bound(kind, tiny):
    contexts = contexts_of(np.random.default_rng(1), batch=40)
    samples = agent_of(kind, tiny).sample_utilities(contexts, 3, np.random.default_rng(0)).astype(np.float64)
    mean, centred = samples.mean(axis=0), samples - samples.mean(axis=2, keepdims=True)
    deviation = np.sqrt(((centred - centred.mean(axis=0)) ** 2).mean(axis=0))
    best = mean.argmax(axis=1), (mean - 1.5 * deviation).argmax(axis=1)
    assert not np.array_equal(*best)
    assert np.array_equal(agent_of(kind, tiny).recommend(contexts), best[0])
    assert np.array_equal(agent_of(kind, tiny, pessimism=1.5).recommend(contexts), best[1])


@pytest.mark.parametrize("kind", BOTH)
def test_equal_seeds_give_equal_bytes_and_global_random_states_are_left_alone(kind, tiny):
    runs, states = [], []
    for poison, seed in ((1, 7), (2, 7), (3, 8)):
        random.seed(poison)
        np.random.seed(poison)  # noqa: NPY002
        torch.manual_seed(poison)
        before = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # noqa: NPY002
        agent = agent_of(kind, tiny, seed=seed)
        runs.append(play(agent, np.random.default_rng(2)))
        states.append(agent.state_dict())
        assert random.getstate() == before[0]
        assert np.random.get_state()[1].tobytes() == before[1]  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), before[2])
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])
    assert equal(states[0], states[1])


@pytest.mark.parametrize("batches", [1, 4])  # before the freeze and after it
@pytest.mark.parametrize("kind", BOTH)
def test_saved_and_restored_agent_continues_identically(kind, batches, tiny, tmp_path):
    agent = agent_of(kind, tiny, bootstrap=True)
    play(agent, np.random.default_rng(3), batches)
    assert all(type(array) is np.ndarray and array.dtype != object for array in agent.state_dict().values())
    np.savez(tmp_path / "state.npz", **agent.state_dict())
    fresh, further = agent_of(kind, tiny, seed=4, bootstrap=True), agent_of(kind, tiny, seed=5, bootstrap=True)
    play(further, np.random.default_rng(4), 3)  # frozen already
    contexts = contexts_of(np.random.default_rng(6))
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        for restored in (fresh, further):
            restored.sample_utilities(contexts, 3, np.random.default_rng(0))
            restored.load_state_dict(state)
            assert equal(restored.state_dict(), agent.state_dict())
    expected = agent.sample_utilities(contexts, 3, np.random.default_rng(0))
    pairs = play(agent, np.random.default_rng(5), 3)
    for restored in (fresh, further):
        assert np.array_equal(restored.sample_utilities(contexts, 3, np.random.default_rng(0)), expected)
        assert np.array_equal(play(restored, np.random.default_rng(5), 3), pairs)
        assert equal(restored.state_dict(), agent.state_dict())


@pytest.mark.parametrize("batches", [1, 4])
@pytest.mark.parametrize("kind", BOTH)
def test_a_copy_shares_memory_until_one_learns_and_disturbs_nothing(kind, batches, tiny):
    agent = agent_of(kind, tiny)
    play(agent, np.random.default_rng(6), batches)
    place, state = agent._model._weights.values.data_ptr(), agent.state_dict()
    throwaway = copy.deepcopy(agent)
    assert throwaway._model._weights.values.data_ptr() == place
    assert throwaway._model._reader is agent._model._reader
    play(throwaway, np.random.default_rng(7), 3)  # frozen by now, if LoRA
    assert equal(agent.state_dict(), state) and not equal(throwaway.state_dict(), state)

    second = copy.deepcopy(agent)
    ours, theirs = (play(each, np.random.default_rng(8), 2) for each in (agent, second))
    assert np.array_equal(ours, theirs) and equal(agent.state_dict(), second.state_dict())
    del second
    place = agent._model._weights.values.data_ptr()
    copy.deepcopy(agent)  # gone at once, as after an assessment: nothing is to be kept apart
    play(agent, np.random.default_rng(9), 1)
    assert agent._model._weights.values.data_ptr() == place


def test_utilities_are_read_once_until_something_is_learnt(build, monkeypatch):
    model, contexts, calls = build("linear_heads"), contexts_of(np.random.default_rng(0)), []
    read = model._reader.hidden
    monkeypatch.setattr(model._reader, "hidden", lambda *given: (calls.append(1), read(*given))[1])
    first = model.mean(contexts)
    n_calls = len(calls)
    samples = model.sample_utilities(contexts, 3, np.random.default_rng(0))
    samples += 1.0  # what is given out is the caller's
    assert len(calls) == n_calls and np.array_equal(model.mean(contexts), first)
    model.mean(contexts_of(np.random.default_rng(1)))
    assert len(calls) > n_calls
    teach(model, np.random.default_rng(2), batches=1)
    assert not np.array_equal(model.mean(contexts), first)


# --- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BOTH)
def test_contexts_without_texts_are_refused_in_one_line(kind, tiny):
    blind = Contexts(np.zeros((2, 2), np.float32), np.zeros((2, 4, 3), np.float32))
    agent = agent_of(kind, tiny)
    for call in (
        lambda: agent.select_pairs(blind),
        lambda: agent.observe(blind, np.array([[0, 1], [1, 2]]), np.array([0, 1], np.int8)),
        lambda: agent.recommend(blind),
    ):
        with pytest.raises(SpecificationError, match=rf"^{kind} reads texts, .*use an environment with texts"):
            call()


def test_environments_of_points_are_refused_before_anything_runs():
    plan = Plan("SyntheticDuel-v0", {}, ("infomax+linear_heads",), 32, 1, 32, "", "")
    with pytest.raises(SpecificationError, match=r"'infomax\+linear_heads' reads texts.*SyntheticDuel-v0 are points"):
        check_plan(plan)


def test_a_text_longer_than_the_context_is_refused_with_its_place(build):
    contexts = contexts_of(np.random.default_rng(0), batch=2)
    texts = contexts.candidate_texts[0], ("sea", "sea", "octopus " * 300, "sea")
    long = Contexts(contexts.prompts, contexts.candidates, contexts.prompt_texts, texts)
    with pytest.raises(GeneratorError, match="prompt 1 has .* more than the 256 of .*context"):
        build("linear_heads").mean(long)


def test_models_that_cannot_be_used_are_refused(build, tmp_path, tiny):
    with pytest.raises(GeneratorError, match="is not a directory"):
        build("linear_heads", model=str(tmp_path / "nothing"))
    with pytest.raises(GeneratorError, match="as a hub name it needs revision="):
        build("linear_heads", model="someone/something")
    folder = make_model(tmp_path / "coded")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "code.Model"}}))
    with pytest.raises(GeneratorError, match="code of its own"):
        build("lora", model=str(folder))


def test_a_missing_library_is_named(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    build("linear_heads")
    with pytest.raises(SpecificationError, match=r"pip install 'duelgym-agents\[llm\]'"):
        build("lora")


@pytest.mark.parametrize("kind", BOTH)
def test_a_state_of_other_settings_is_refused(kind, build):
    model = build(kind)
    teach(model, np.random.default_rng(0), batches=2)
    with pytest.raises(SpecificationError, match="has shape"):
        build(kind, n_particles=4).load_state_dict(model.state_dict())
    with pytest.raises(SpecificationError, match="no 'lengths'"):
        build(kind).load_state_dict({name: a for name, a in model.state_dict().items() if name != "lengths"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tokens_at_once", 0),
        ("n_particles", 0),
        ("bootstrap", 1),
        ("learning_rate", 0.0),
        ("anchor", "start"),
        ("tuning_labels", 0),
        ("rank", 1.5),
        ("alpha", -1.0),
        ("adapter_learning_rate", float("nan")),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(SpecificationError, match=f"{name} is .*; it must be"):
        LoRASettings(**{name: value})


def test_the_catalogue_needs_neither_transformers_nor_peft():
    code = "import sys, duelgym_agents.catalogue; print(sorted({'transformers', 'peft'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
