"""What the recipes share."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from duelgym.world.corpus import CHAT_TEMPLATE, END, PAD, USER
from duelgym.world.training import byte_pair_tokenizer, fit, initialise, length_sorted_batches


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(1, 9), st.randoms(use_true_random=False))
def test_batches_hold_every_example_once_and_sorted(lengths, size, random):
    order = list(range(-(-len(lengths) // size)))
    random.shuffle(order)
    batches = length_sorted_batches(lengths, size, order)
    assert sorted(k for batch in batches for k in batch) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches) and sum(len(batch) < size for batch in batches) <= 1
    in_rank = [batches[order.index(k)] for k in range(len(order))]
    ranked = [lengths[k] for batch in in_rank for k in batch]
    assert ranked == sorted(lengths)


def test_batches_by_hand():
    assert length_sorted_batches([5, 1, 4, 2, 3], 2, [2, 0, 1]) == [[0], [1, 3], [4, 2]]
    assert length_sorted_batches([5, 1, 4, 2, 3], 2, range(5)) == [[1, 3], [4, 2], [0]]  # more than there are batches


def test_tokenizer_round_trip():
    tokenizer = byte_pair_tokenizer(
        iter(["bees make honey"] * 3), size=270, special=(PAD, END), eos_token=END, chat_template=CHAT_TEMPLATE
    )
    text = "Bees make honey, déjà vu 🐝\n- yes"
    assert len(tokenizer) <= 270
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(f"bees{END}")[-1] == tokenizer.eos_token_id and tokenizer.pad_token_id == 0
    assert len(tokenizer.encode("honey")) < len(tokenizer.encode("yenoh"))  # merged, as seen in training
    shown = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert shown == f"{USER}Hi<|assistant|>"


def test_initial_weights_come_from_the_seed_alone():
    def drawn(seed):
        model = torch.nn.Sequential(torch.nn.Linear(40, 50), torch.nn.LayerNorm(50))
        initialise(model, seed)
        return model

    state = torch.get_rng_state()
    first = drawn(3)
    torch.manual_seed(9)
    again, other = drawn(3), drawn(4)
    torch.set_rng_state(state)
    assert torch.equal(first[0].weight, again[0].weight) and not torch.equal(first[0].weight, other[0].weight)
    assert first[0].weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not first[0].bias.any() and not first[1].bias.any() and (first[1].weight == 1).all()


def test_fit_learns_a_line_and_repeats_itself():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 3, generator=generator)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3
    begin = torch.nn.Linear(3, 1)
    initialise(begin, 1)

    def trained():
        model, steps, reported = copy.deepcopy(begin), [], []

        def loss(step):
            steps.append(step)
            assert model.training
            return torch.nn.functional.mse_loss(model(x).float(), y)

        def report(step):
            assert not model.training
            reported.append(step)
            return "well"

        fit(model, loss, steps=150, learning_rate=0.3, describe="line", report=report, report_every=50)
        assert steps == list(range(150)) and reported == [49, 99, 149]
        return model

    model, again = trained(), trained()
    assert torch.nn.functional.mse_loss(model(x), y).item() < 0.01 < torch.nn.functional.mse_loss(begin(x), y).item()
    assert torch.equal(model.weight, again.weight)
