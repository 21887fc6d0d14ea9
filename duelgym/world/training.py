"""What both recipes share: tokenizers, optimiser, schedule, and a progress line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def byte_pair_tokenizer(texts: Iterator[str], *, size: int, special: Sequence[str], **settings: Any) -> Any:
    """Return a byte-level BPE tokenizer in transformers format, trained on texts.

    Args:
        texts: what to train on.
        size: tokens in all, special ones and the 256 bytes included.
        special: tokens that are never split; the first one pads.
        **settings: of the transformers tokenizer, for example ``chat_template``.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=special[0], clean_up_tokenization_spaces=False, **settings
    )


def initialise(model: torch.nn.Module, seed: int, *, deviation: float = 0.02) -> None:
    """Draw a model's matrices anew from a normal distribution; gains become 1 and biases 0.

    The library draws initial weights from torch's global generator, whose state is nobody's argument.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, deviation, generator=generator)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)


def fit(
    model: torch.nn.Module,
    batch_loss: Callable[[int], torch.Tensor],
    *,
    steps: int,
    learning_rate: float = 3e-3,
    describe: str,
    report: Callable[[int], str] | None = None,
    report_every: int = 500,
) -> None:
    """Train with gradients clipped at norm 1; the rate rises over 2 % of the steps and falls by a cosine to 2 %.

    The matrices between embeddings and head are trained by Muon (Jordan et al. 2024; Liu et al. 2025 for the rate's scale, which is
    that of AdamW), which here needs about half the examples; everything else by AdamW (Loshchilov and Hutter 2019).

    Args:
        model: trained in place.
        batch_loss: step -> loss of that step's batch.
        steps: how many.
        learning_rate: the highest.
        describe: shown before the progress bar.
        report: step -> a line for the terminal, every ``report_every`` steps.
        report_every: see there.
    """
    import torch
    from tqdm import tqdm

    inner: list[torch.nn.Parameter] = []
    outer: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        edge = "embed" in name or name.startswith(("lm_head", "score"))
        (outer if edge or parameter.dim() != 2 else inner).append(parameter)
    optimizers = [
        torch.optim.Muon(inner, lr=learning_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outer, lr=learning_rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]
    warm = max(1, steps // 50)
    model.train()
    for step in tqdm(range(steps), desc=describe, disable=None, mininterval=1.0):
        done = min(1.0, step / steps)
        rate = min((step + 1) / warm, 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        batch_loss(step).backward()
        torch.nn.utils.clip_grad_norm_([*inner, *outer], 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if report is not None and (step + 1) % report_every == 0:
            model.eval()
            tqdm.write(f"step {step + 1}: {report(step)}")
            model.train()


def save_half(model: Any, tokenizer: Any, out: Path) -> None:
    """Write a model in float16 safetensors and its tokenizer, in transformers format."""
    import torch

    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.float16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def length_sorted_batches(lengths: Sequence[int], size: int, order: Sequence[int]) -> list[list[int]]:
    """Return batches of examples of about equal length: little padding. ``order`` shuffles the batches."""
    ranked = sorted(range(len(lengths)), key=lengths.__getitem__)
    batches = [ranked[start : start + size] for start in range(0, len(ranked), size)]
    return [batches[k] for k in order if k < len(batches)]
