"""Draws by Gumbel-max: the right distribution, of the right tokens."""

import numpy as np
import pytest
import torch

from duelgym.generators.sampling import _Gumbel, _nucleus, sample

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -9.0])


def _drawn(n, **settings):
    settings = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 4, **settings}
    gumbel = _Gumbel(np.arange(n), torch.tensor([99]), **settings)
    gumbel.hear(None, (torch.zeros(n, 1, 3),))
    return gumbel(torch.zeros(n, 1, dtype=torch.int64), LOGITS.repeat(n, 1)).argmax(dim=1).numpy()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax_at_any_temperature(temperature):
    n = 8_000
    shares = np.bincount(_drawn(n, temperature=temperature), minlength=5) / n
    expected = torch.softmax(LOGITS / temperature, dim=0).numpy()
    assert np.all(np.abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / n) + 1e-9)


def test_the_nucleus_is_the_fewest_tokens_that_reach_the_share():
    chances = torch.tensor([[0.1, 0.5, 0.25, 0.15], [0.97, 0.01, 0.01, 0.01]])
    for top_p, kept in (
        (0.5, [[1], [0]]),
        (0.74, [[1, 2], [0]]),
        (0.76, [[1, 2, 3], [0]]),
        (0.985, [[0, 1, 2, 3], [0, 1, 2]]),
    ):
        finite = torch.isfinite(_nucleus(chances.log(), top_p))
        if top_p == 0.985:  # which of three equals is kept is the sort's affair
            assert finite.sum(dim=1).tolist() == [4, 3]
        else:
            assert [torch.nonzero(row)[:, 0].tolist() for row in finite] == kept


def test_top_p_draws_from_the_nucleus_in_its_proportions():
    n = 5_000
    shares = np.bincount(_drawn(n, top_p=0.7), minlength=5) / n  # softmax: 0.64, 0.24, 0.09, …
    expected = torch.softmax(LOGITS[:2], dim=0).numpy()
    assert shares[2:].sum() == 0
    assert np.all(np.abs(shares[:2] - expected) < 4 * np.sqrt(expected * (1 - expected) / n))


def test_no_token_comes_from_nowhere():
    """Noise drawn in single precision would be infinite once in 2^23 draws: with these seeds, in the fourth and fifth step."""
    gumbel = _Gumbel(np.array([33, 37]), torch.tensor([99]), temperature=1.0, top_p=1.0, max_new_tokens=9)
    scores = torch.full((2, 100_000), -40.0)
    scores[:, 123] = 0.0
    for _ in range(5):
        gumbel.hear(None, (torch.zeros(2, 1, 3),))
        noisy = gumbel(torch.zeros(2, 1, dtype=torch.int64), scores)
        assert torch.isfinite(noisy).all() and (noisy.argmax(dim=1) == 123).all()


def test_a_rows_draw_does_not_depend_on_the_rows_beside_it():
    assert np.array_equal(_drawn(200)[:3], _drawn(3))


def test_hidden_states_are_those_of_the_texts_tokens():
    """Two rows by hand: the first ends after one token, the second is cut after two."""
    end = 1
    gumbel = _Gumbel(np.arange(2), torch.tensor([end]), temperature=1.0, top_p=1.0, max_new_tokens=2)
    fed = ([7, 7], [3, 4], [end, 5])  # the prompt's last token, the first tokens, what follows them
    for step, tokens in enumerate(fed):
        gumbel.hear(None, (torch.full((2, 1, 1), 10.0 * step) + torch.tensor([[[0.0]], [[1.0]]]),))
        gumbel(torch.tensor(tokens)[:, None], torch.zeros(2, 6))
    assert gumbel.first[:, 0].tolist() == [0.0, 1.0]
    assert gumbel.last[:, 0].tolist() == [10.0, 21.0]
    assert gumbel.total[:, 0].tolist() == [10.0, 32.0]
    assert gumbel.n_tokens.tolist() == [1, 2] and gumbel.open.tolist() == [False, True]


def _tiny(kind, **settings):
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, vocab_size=64, **settings)).eval()
    model.generation_config = GenerationConfig()
    for weights in model.parameters():
        if weights.ndim == 2:
            weights.data *= 6.0
    return model


_WIDTHS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.mark.parametrize(
    ("kind", "widths"),
    [
        ("llama", _WIDTHS | {"num_key_value_heads": 2}),
        ("mistral", _WIDTHS | {"num_key_value_heads": 2, "sliding_window": 4}),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 20}),
        ("lfm2", _WIDTHS | {"num_key_value_heads": 2, "layer_types": ["conv", "full_attention"]}),
    ],
)
def test_what_is_gathered_is_what_one_pass_over_the_finished_text_gives(kind, widths):
    """Left padding, learned positions, sliding windows, a cache that can be shared and one that cannot."""
    model = _tiny(kind, **widths)
    prompts, repeats, owners = [[5, 6, 7, 8, 9, 10, 11], [9], [3, 4]], np.array([3, 2, 4]), [0, 0, 0, 1, 1, 2, 2, 2, 2]
    sampled = sample(
        model, prompts, repeats, np.arange(9), ends=[1, 2, 3, 4], temperature=1.0, top_p=0.95, max_new_tokens=10
    )
    assert len({len(tokens) for tokens in sampled.tokens}) > 1  # some end early
    for row, (owner, tokens) in enumerate(zip(owners, sampled.tokens, strict=True)):
        prompt = prompts[owner]
        assert sampled.stopped[row] == (len(tokens) < 10) and not {1, 2, 3, 4} & set(tokens)
        with torch.inference_mode():
            hidden = model.base_model(torch.tensor([prompt + tokens])).last_hidden_state[0].numpy()
        own = hidden[len(prompt) :] if tokens else hidden[-1:]
        for got, expected in (
            (sampled.last[row], hidden[-1]),
            (sampled.mean[row], own.mean(axis=0)),
            (sampled.prompt_last[owner], hidden[len(prompt) - 1]),
            (sampled.prompt_mean[owner], hidden[: len(prompt)].mean(axis=0)),
        ):
            assert np.allclose(got, expected, atol=1e-4)
