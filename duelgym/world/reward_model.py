"""Recipe of the embedded reward model: a language model of its own, taught on rubric-labelled pairs, one head an attribute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float64

from duelgym.errors import GeneratorError
from duelgym.generators.model_files import quiet_library
from duelgym.world.corpus import Demonstrations, demonstrations
from duelgym.world.language_model import CONTEXT, encode
from duelgym.world.rubric import ATTRIBUTES, mark
from duelgym.world.training import fit, length_sorted_batches, save_half

if TYPE_CHECKING:
    import torch

EACH = 4
SHARPNESS = 2.0
TWINS = ("false", "elsewhere")


def train_reward_model(
    base: str | Path,
    out: Path,
    *,
    steps: int = 3500,
    seed: int = 0,
    threads: int = 2,
    batch: int = 8,
    chunk: int = 1024,
    spread_prompts: int = 2000,
    held_out: int = 1000,
) -> dict[str, Any]:
    """Train the embedded reward model and write it in transformers format (``AutoModelForSequenceClassification``).

    A language model whose output layer gives way to one output for each of :data:`~duelgym.world.rubric.ATTRIBUTES`, read
    at the answer's end. For two answers to one prompt and attribute k with rubric values a and b, the label is that of a
    Bradley-Terry rater, P(first) = 1 / (1 + exp(-2 (a - b) / s_k)), where s_k is the standard deviation of the attribute between
    answers to one prompt; the loss is the cross-entropy to that probability, over all pairs of 4 answers and all attributes.
    The last two answers are the second once more, with every fact stated falsely and about another topic: pairs that differ in
    truth or topic and in little else.

    Args:
        base: directory of a language model of :func:`~duelgym.world.language_model.train_language_model`; of another seed than the
            one that answers, so that the judge's features are not the agents'. From random weights a topic's
            match is not learnt in thousands of steps.
        out: directory to write.
        steps: batches of prompts with 4 answers each.
        seed: of material, weights and order.
        threads: for torch.
        batch: prompts a step.
        chunk: prompts that are drawn at once and sorted by length.
        spread_prompts: from which the constants s_k are measured.
        held_out: prompts on which the model is compared with the rubric at the end.

    Returns:
        the constants s_k, ``parameters``, and on held-out prompts the share of pairs in the rubric's order, by attribute.

    Raises:
        GeneratorError: if ``base`` is no directory.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if not Path(base).is_dir():
        raise GeneratorError(
            f"base: {base} is not a directory; give a language model's, which 'duelgym world language-model' makes"
        )
    torch.set_num_threads(threads)
    material, order, weights, scale_rng = np.random.default_rng(seed).spawn(4)
    tokenizer = AutoTokenizer.from_pretrained(base)
    with torch.random.fork_rng(), quiet_library():  # which would report that the head is new
        model = AutoModelForSequenceClassification.from_pretrained(
            base,
            dtype=torch.float32,
            id2label=dict(enumerate(ATTRIBUTES)),
            label2id={name: k for k, name in enumerate(ATTRIBUTES)},
        )
    head = torch.Generator().manual_seed(int(weights.integers(2**63)))
    torch.nn.init.normal_(model.score.weight, 0.0, 0.02, generator=head)
    spread = attribute_spread(islice(demonstrations(scale_rng, each=EACH), spread_prompts))
    first, second = torch.triu_indices(EACH, EACH, offset=1)
    batches = _batches(demonstrations(material, each=EACH - len(TWINS), twins=TWINS), batch, chunk, order)

    def batch_loss(step: int) -> torch.Tensor:
        shown = next(batches)
        pairs = [(d.instruction.text, response) for d in shown for response in d.responses]
        values = torch.tensor(rubric_values(shown) / spread)
        scores = model(**_padded(tokenizer, pairs)).logits.view(len(shown), EACH, -1)
        target = torch.sigmoid(SHARPNESS * (values[:, first] - values[:, second])).float()
        return torch.nn.functional.binary_cross_entropy_with_logits(scores[:, first] - scores[:, second], target)

    fit(
        model,
        batch_loss,
        steps=steps,
        learning_rate=1e-3,
        describe="reward model",
        report=lambda step: _line(agreement(model, tokenizer, n_prompts=200)),
    )
    model.eval()
    agreed = agreement(model, tokenizer, n_prompts=held_out)
    save_half(model, tokenizer, out)
    return {
        "spread": dict(zip(ATTRIBUTES, spread.tolist(), strict=True)),
        "parameters": sum(p.numel() for p in model.parameters()),
        "held_out_agreement": agreed,
    }


def rubric_values(shown: Sequence[Demonstrations]) -> Float64[np.ndarray, "prompts each attributes"]:
    """Return the rubric's attributes of answers, equally many to every prompt."""
    marks = [[mark(d.instruction.text, response).attributes for response in d.responses] for d in shown]
    return np.array([[[value[name] for name in ATTRIBUTES] for value in several] for several in marks])


def attribute_spread(shown: Iterable[Demonstrations]) -> Float64[np.ndarray, " attributes"]:
    """Return the standard deviation of each attribute between answers to one prompt, pooled over prompts."""
    return np.sqrt(np.var(rubric_values(list(shown)), axis=1, ddof=1).mean(axis=0))


def agreement(model: Any, tokenizer: Any, *, n_prompts: int, seed: int = 0xA66) -> dict[str, float]:
    """Return for every attribute how often model and rubric agree which of two answers has more of it, on held-out prompts.

    Pairs that the rubric finds equal are left out.
    """
    shown = list(islice(demonstrations(np.random.default_rng(seed), each=EACH, kept=True), n_prompts))
    scores = score(model, tokenizer, [(d.instruction.text, response) for d in shown for response in d.responses])
    return pairwise_accuracy(scores.reshape(n_prompts, EACH, -1), rubric_values(shown))


def pairwise_accuracy(
    scores: Float[np.ndarray, "prompts candidates attributes"],
    values: Float[np.ndarray, "prompts candidates attributes"],
) -> dict[str, float]:
    """Return for every attribute the share of pairs, of those with different values, whose scores are in the same order."""
    first, second = np.triu_indices(values.shape[1], k=1)
    gaps, truth = scores[:, first] - scores[:, second], values[:, first] - values[:, second]
    differ = np.abs(truth) > 1e-9
    right = (np.sign(gaps) == np.sign(truth)) & differ
    shares = right.sum(axis=(0, 1)) / np.maximum(1, differ.sum(axis=(0, 1)))
    return dict(zip(ATTRIBUTES, shares.tolist(), strict=True))


def score(model: Any, tokenizer: Any, pairs: list[tuple[str, str]]) -> Float[np.ndarray, "pairs attributes"]:
    """Return the model's outputs for prompts with answers."""
    import torch

    scores = np.empty((len(pairs), len(ATTRIBUTES)), np.float32)
    with torch.inference_mode():
        for rows in length_sorted_batches([len(p) + len(r) for p, r in pairs], 128, range(len(pairs))):
            scores[rows] = model(**_padded(tokenizer, [pairs[k] for k in rows])).logits.float().numpy()
    return scores


def _batches(
    stream: Iterator[Demonstrations], batch: int, chunk: int, order: np.random.Generator
) -> Iterator[list[Demonstrations]]:
    while True:
        drawn = list(islice(stream, chunk))
        lengths = [len(d.instruction.text) + max(map(len, d.responses)) for d in drawn]
        shuffled = order.permutation(-(-len(drawn) // batch)).tolist()
        for rows in length_sorted_batches(lengths, batch, shuffled):
            yield [drawn[k] for k in rows]


def _padded(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> dict[str, torch.Tensor]:
    """Return conversations of one turn as a batch, padded on the right."""
    import torch

    rows = [torch.tensor(encode(tokenizer, prompt, response, longest=CONTEXT)[0]) for prompt, response in pairs]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
    return {"input_ids": ids, "attention_mask": (ids != tokenizer.pad_token_id).long()}


def _line(shares: dict[str, float]) -> str:
    return "agreement with the rubric " + " ".join(f"{name} {share:.3f}" for name, share in shares.items())
