"""The text that the embedded models are trained on, and the prompts that are kept from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from duelgym.world.demonstrations import demonstrate
from duelgym.world.instructions import Instruction, draw_instruction

USER, ASSISTANT, END, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Demonstrations:
    """An instruction and some answers to it."""

    instruction: Instruction
    responses: tuple[str, ...]


def held_out(prompt: str) -> bool:
    """Whether a prompt is kept from training: one in eight is, by its hash. Pools are recorded on such prompts only."""
    return hashlib.sha256(prompt.encode()).digest()[0] < 32


def demonstrations(
    rng: np.random.Generator, *, each: int = 1, kept: bool = False, twins: Sequence[str] = ()
) -> Iterator[Demonstrations]:
    """Yield instructions with answers without end.

    Args:
        rng: all draws come from it.
        each: answers to every instruction, by different authors.
        kept: give the instructions that are held out, instead of the others.
        twins: faults (see :func:`demonstrate`) with which the last answer is given once more.
    """
    while True:
        instruction = draw_instruction(rng)
        if held_out(instruction.text) == kept:
            answers = [demonstrate(instruction, rng) for _ in range(each - 1)]
            seed = int(rng.integers(2**63))
            for fault in (None, *twins):
                answers.append(demonstrate(instruction, np.random.default_rng(seed), fault=fault))
            yield Demonstrations(instruction, tuple(answers))


def draw_prompts(n: int, rng: np.random.Generator) -> list[str]:
    """Return n different prompts that no embedded model was trained on: of some hundred thousand, so n cannot be much larger."""
    found: dict[str, None] = {}
    while len(found) < n:
        text = draw_instruction(rng).text
        if held_out(text):
            found[text] = None
    return list(found)
