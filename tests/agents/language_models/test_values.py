"""Ensembles on a language model against the library's own model; padding changes nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from worded_duels import BOTH, contexts_of, teach

from duelgym.agent import Contexts
from duelgym.generators.encoder import TransformersEncoder
from duelgym.generators.projection import unprojected
from duelgym_agents.reward_models import LinearHeads, LinearHeadSettings
from duelgym_agents.reward_models.language_model.lora import Adapters
from duelgym_agents.reward_models.language_model.reader import pieces


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
    model, sizes = build(kind, tokens_at_once=300, steps=7), []
    read = model._reader.hidden

    def noted(weights, rows, network=None):
        sizes.append(len(rows) * max(map(len, rows)))
        return read(weights, rows, network)

    monkeypatch.setattr(model._reader, "hidden", noted)
    model.mean(contexts)
    teach(model, np.random.default_rng(6), longest=6)
    assert 150 < max(sizes) <= 300
