"""Recipe of the embedded reward model: a bidirectional transformer with one head an attribute, trained on rubric-labelled pairs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float64

from duelgym.world.corpus import demonstrations
from duelgym.world.rubric import ATTRIBUTES, mark
from duelgym.world.training import byte_pair_tokenizer, fit, initialise, length_sorted_batches, save_half

if TYPE_CHECKING:
    import torch

VOCABULARY = 3072
CONTEXT = 192
EACH = 4
SHARPNESS = 2.0
_SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")


def train_reward_model(
    out: Path,
    *,
    steps: int = 5000,
    seed: int = 1,
    threads: int = 2,
    tokenizer_texts: int = 30_000,
    extra: Path | None = None,
    batch: int = 8,
    chunk: int = 1024,
    spread_prompts: int = 2000,
) -> dict[str, Any]:
    """Train the embedded reward model and write it in transformers format (``AutoModelForSequenceClassification``).

    BERT with 6 layers of width 192 (2.9 million parameters, a tokenizer of its own; Devlin et al. 2019) and one output for each of
    :data:`~duelgym.world.rubric.ATTRIBUTES`. For two answers to one prompt and attribute k with rubric values a and b, the label
    is that of a Bradley-Terry rater, P(first) = 1 / (1 + exp(-2 (a - b) / s_k)), where s_k is the standard deviation of the attribute between
    answers to one prompt; the loss is the cross-entropy to that probability, over all pairs of 4 answers and all attributes. The
    last two answers are the second once more, with every fact stated falsely and about another topic: pairs that differ in truth
    or topic and in little else.

    Args:
        out: directory to write.
        steps: batches of prompts with 4 answers each.
        seed: of material, weights and order.
        threads: for torch.
        tokenizer_texts: answers from which the tokenizer is learnt.
        extra: JSON Lines of ``{"prompt": …, "responses": […]}``, for instance of the language model's own answers; every second
            batch is then made of them.
        batch: prompts in a batch.
        chunk: prompts that are sorted by length together.
        spread_prompts: prompts on whose answers the constants s_k are measured.

    Returns:
        the constants s_k and ``parameters``.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.set_num_threads(threads)
    material, order, weights, scale_rng = np.random.default_rng(seed).spawn(4)
    stream = ((d.instruction.text, d.responses) for d in demonstrations(material, each=2, twins=("false", "elsewhere")))
    sample = islice(stream, tokenizer_texts // EACH)
    tokenizer = byte_pair_tokenizer(
        (text for prompt, responses in sample for text in (prompt, *responses)),
        size=VOCABULARY,
        special=_SPECIAL,
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=CONTEXT,
    )
    _pair_template(tokenizer)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        num_hidden_layers=6,
        num_attention_heads=6,
        intermediate_size=576,
        max_position_embeddings=CONTEXT,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(ATTRIBUTES)),
        label2id={name: k for k, name in enumerate(ATTRIBUTES)},
    )
    with torch.random.fork_rng():
        model = BertForSequenceClassification(config)
    initialise(model, int(weights.integers(2**63)))
    spread = attribute_spread(islice(demonstrations(scale_rng, each=EACH), spread_prompts))
    first, second = torch.triu_indices(EACH, EACH, offset=1)

    def batches(source: Iterator[tuple[str, tuple[str, ...]]]) -> Iterator[list[tuple[str, tuple[str, ...]]]]:
        while True:
            fresh = list(islice(source, chunk))
            lengths = [len(prompt) + max(map(len, responses)) for prompt, responses in fresh]
            shuffled = order.permutation(-(-len(fresh) // batch)).tolist()
            for rows in length_sorted_batches(lengths, batch, shuffled):
                yield [fresh[k] for k in rows]

    sources = [batches(stream)] + ([batches(_recorded(extra, order))] if extra is not None else [])

    def batch_loss(step: int) -> torch.Tensor:
        asked = next(sources[step % len(sources)])
        pairs = [(prompt, response) for prompt, responses in asked for response in responses]
        values = torch.tensor([[mark(*pair).attributes[name] for name in ATTRIBUTES] for pair in pairs])
        encoded = tokenizer(
            [p for p, _ in pairs], [r for _, r in pairs], padding=True, truncation=True, return_tensors="pt"
        )
        scores = model(**encoded).logits.float().view(len(asked), EACH, -1)
        values = (values / torch.tensor(spread)).view(len(asked), EACH, -1)
        target = torch.sigmoid(SHARPNESS * (values[:, first] - values[:, second])).float()
        return torch.nn.functional.binary_cross_entropy_with_logits(scores[:, first] - scores[:, second], target)

    fit(
        model,
        batch_loss,
        steps=steps,
        learning_rate=2e-3,
        describe="reward model",
        report=lambda step: _line(agreement(model, tokenizer, seed=step)),
    )
    model.eval()
    save_half(model, tokenizer, out)
    return {
        "spread": dict(zip(ATTRIBUTES, spread.tolist(), strict=True)),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def attribute_spread(shown: Any) -> Float64[np.ndarray, " attributes"]:
    """Return the standard deviation of each attribute between answers to one prompt, pooled over prompts."""
    variances = []
    for demonstration in shown:
        values = [mark(demonstration.instruction.text, response).attributes for response in demonstration.responses]
        variances.append(np.var([[value[name] for name in ATTRIBUTES] for value in values], axis=0, ddof=1))
    return np.sqrt(np.mean(variances, axis=0))


def agreement(model: Any, tokenizer: Any, *, seed: int, n_prompts: int = 200) -> dict[str, float]:
    """Return for every attribute how often model and rubric agree which of two answers has more of it, on held-out prompts.

    Pairs that the rubric finds equal are left out.
    """
    rng = np.random.default_rng([seed, 0xA66])
    shown = list(islice(demonstrations(rng, each=EACH, kept=True), n_prompts))
    pairs = [(d.instruction.text, response) for d in shown for response in d.responses]
    values = np.array([[mark(*pair).attributes[name] for name in ATTRIBUTES] for pair in pairs])
    scores = score(model, tokenizer, pairs)
    return pairwise_accuracy(scores.reshape(n_prompts, EACH, -1), values.reshape(n_prompts, EACH, -1))


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
            encoded = tokenizer(
                [pairs[k][0] for k in rows],
                [pairs[k][1] for k in rows],
                padding=True,
                truncation=True,
                return_tensors="pt",
            )
            scores[rows] = model(**encoded).logits.float().numpy()
    return scores


def _line(shares: dict[str, float]) -> str:
    return "agreement with the rubric " + " ".join(f"{name} {share:.3f}" for name, share in shares.items())


def _recorded(path: Path, rng: np.random.Generator) -> Iterator[tuple[str, tuple[str, ...]]]:
    import json

    entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    while True:
        for k in rng.permutation(len(entries)):
            chosen = rng.permutation(len(entries[k]["responses"]))[:EACH]
            yield entries[k]["prompt"], tuple(entries[k]["responses"][c] for c in chosen)


def _pair_template(tokenizer: Any) -> None:
    """Make the tokenizer write ``[CLS] prompt [SEP] response [SEP]`` with segment numbers."""
    from tokenizers.processors import TemplateProcessing

    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
