"""Unselected answers of a language model, with the rubric's marks."""

from __future__ import annotations

import numpy as np

from duelgym.errors import SpecificationError
from duelgym.generators.specification import generator_from_specification
from duelgym.world.corpus import draw_prompts
from duelgym.world.rubric import CRITERIA, mark


def samples(model: str | None, *, n: int, temperature: float, top_p: float, seed: int) -> str:
    """Return Markdown: n instructions that the model was not trained on, one answer to each, and what the rubric finds missing.

    Args:
        model: a model directory or hub name; None: the embedded model.
        n: how many.
        temperature: of sampling.
        top_p: likewise.
        seed: of instructions and answers; another temperature gets the same instructions.

    Raises:
        SpecificationError: if n is not positive.
    """
    if n < 1:
        raise SpecificationError(f"n is {n}; it must be at least 1")
    prompt_rng, answer_rng = np.random.default_rng(seed).spawn(2)
    prompts = draw_prompts(n, prompt_rng)
    generator = generator_from_specification({"model": model or "embedded", "temperature": temperature, "top_p": top_p})
    answers = generator.generate(prompts, 1, rng=answer_rng)
    entries = []
    for prompt, (answer,), (reason,) in zip(prompts, answers.texts, answers.finish_reasons, strict=True):
        missed = [name for name in CRITERIA if mark(prompt, answer).met[name] is False]
        verdict = f"misses {', '.join(missed)}" if missed else "meets every criterion"
        quoted = "\n".join(f"> {line}" if line else ">" for line in answer.split("\n"))
        end = " (cut off at the token limit)" if reason == "length" else ""
        entries.append(f"**{prompt}**\n\n{quoted}\n\n{verdict}{end}\n")
    return "\n".join(entries)


def rates(prompts: list[str], responses: list[tuple[str, ...]]) -> dict[str, tuple[float, float]]:
    """Return for every criterion in how many answers it is met, of those whose prompt raises it, and how many that is of all."""
    raised, met, total = dict.fromkeys(CRITERIA, 0), dict.fromkeys(CRITERIA, 0), 0
    for prompt, answers in zip(prompts, responses, strict=True):
        for answer in answers:
            total += 1
            for name, good in mark(prompt, answer).met.items():
                raised[name] += good is not None
                met[name] += bool(good)
    return {name: (met[name] / max(1, raised[name]), raised[name] / max(1, total)) for name in CRITERIA}
