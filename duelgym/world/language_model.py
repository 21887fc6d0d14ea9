"""Recipe of the embedded language model: a small Llama with its own tokenizer, trained on demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duelgym.world.corpus import ASSISTANT, CHAT_TEMPLATE, END, PAD, USER, demonstrations
from duelgym.world.training import byte_pair_tokenizer, fit, initialise, length_sorted_batches, save_half

if TYPE_CHECKING:
    import torch

VOCABULARY = 3072
CONTEXT = 192
LONGEST = 128


def train_language_model(
    out: Path,
    *,
    steps: int = 6500,
    seed: int = 0,
    threads: int = 2,
    tokenizer_texts: int = 30_000,
    batch: int = 32,
    chunk: int = 2048,
    held_out: int = 2000,
) -> dict[str, Any]:
    """Train the embedded language model and write it in transformers format.

    A Llama with 6 layers of width 192 (2.7 million parameters; Touvron et al. 2023), trained on answers alone: prompts are read, not
    learnt. Every example is new.

    Args:
        out: directory to write.
        steps: batches of demonstrations.
        seed: of material, weights and order.
        threads: for torch.
        tokenizer_texts: demonstrations from which the tokenizer is learnt.
        batch: demonstrations in a batch.
        chunk: demonstrations that are sorted by length together, a multiple of ``batch``.
        held_out: instructions of the held-out loss.

    Returns:
        ``held_out_loss`` in nats a token on answers to instructions that were never trained on, and ``parameters``.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(threads)
    material, order, weights, held = np.random.default_rng(seed).spawn(4)
    stream = demonstrations(material)
    sample = islice(stream, tokenizer_texts)
    tokenizer = byte_pair_tokenizer(
        (text for shown in sample for text in (shown.instruction.text, *shown.responses)),
        size=VOCABULARY,
        special=(PAD, END, USER, ASSISTANT),
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=CONTEXT,
    )
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=448,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=pad,
        bos_token_id=None,
        eos_token_id=end,
    )
    with torch.random.fork_rng():
        model = LlamaForCausalLM(config)
    initialise(model, int(weights.integers(2**63)))
    model.generation_config = GenerationConfig(do_sample=True, temperature=1.0, eos_token_id=end, pad_token_id=pad)

    def examples(shown: Any, n: int) -> list[tuple[list[int], int]]:
        return [encode(tokenizer, d.instruction.text, d.responses[0]) for d in islice(shown, n)]

    def loss_of(shown: Sequence[tuple[list[int], int]]) -> tuple[torch.Tensor, int]:
        longest = max(len(ids) for ids, _ in shown)
        ids = torch.full((len(shown), longest), pad)
        answers = torch.zeros((len(shown), longest), dtype=torch.bool)
        for row, (tokens, begin) in enumerate(shown):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            answers[row, begin : len(tokens)] = True
        # Padding stands on the right and attention is causal, so no mask is needed.
        hidden = model.model(input_ids=ids[:, :-1]).last_hidden_state[answers[:, 1:]]
        targets = ids[:, 1:][answers[:, 1:]]
        return torch.nn.functional.cross_entropy(model.lm_head(hidden).float(), targets), len(targets)

    queue: list[list[tuple[list[int], int]]] = []

    def batch_loss(step: int) -> torch.Tensor:
        if not queue:
            fresh = examples(stream, chunk)
            shuffled = order.permutation(chunk // batch).tolist()
            queue.extend(
                [fresh[k] for k in rows]
                for rows in length_sorted_batches([len(ids) for ids, _ in fresh], batch, shuffled)
            )
        return loss_of(queue.pop())[0]

    kept = examples(demonstrations(held, kept=True), held_out)

    def held_out_loss() -> float:
        total, n_tokens = 0.0, 0
        with torch.inference_mode():
            for rows in length_sorted_batches([len(ids) for ids, _ in kept], batch, range(len(kept))):
                loss, n = loss_of([kept[k] for k in rows])
                total, n_tokens = total + float(loss) * n, n_tokens + n
        return total / n_tokens

    fit(
        model,
        batch_loss,
        steps=steps,
        describe="language model",
        report=lambda step: f"held-out loss {held_out_loss():.4f} nats a token",
    )
    model.eval()
    save_half(model, tokenizer, out)
    return {
        "held_out_loss": held_out_loss(),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def encode(tokenizer: Any, prompt: str, response: str, *, longest: int = LONGEST) -> tuple[list[int], int]:
    """Return the tokens of a conversation of one turn, and where the answer begins; cut off at ``longest`` tokens."""
    question = tokenizer.encode(f"{USER}{prompt}{ASSISTANT}", add_special_tokens=False)
    answer = tokenizer.encode(response, add_special_tokens=False)
    return [*question, *answer, tokenizer.eos_token_id][:longest], len(question)
