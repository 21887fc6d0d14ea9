"""How fast `TransformersGenerator` answers prompts, embeddings included, as a share of a bare greedy `model.generate`.

Run: python benchmarks/performance/live_generation.py [--model DIR] [--n 100] [--tokens 48] [--threads 2]
Target: 0.85 at 100 responses of 48 tokens. Both write as many tokens in as many rows; the bare one neither samples nor embeds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from duelgym.generators.hugging_face import TransformersGenerator
from duelgym.generators.model_files import EMBEDDED

PROMPTS = (
    "Write three facts about octopuses.",
    "Explain to a child in two sentences how bread is made.",
    "Give a polite note about the moon, without a list.",
    "Name five things that a sailor needs on a long journey, and say briefly what each is good for.",
)


def main() -> None:
    """Print prompts per second of both and their ratio, medians over interleaved repetitions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=EMBEDDED, help="directory of a causal language model (default: the embedded one)"
    )
    parser.add_argument("--n", type=int, default=100, help="responses per prompt")
    parser.add_argument("--tokens", type=int, default=48, help="longest response")
    parser.add_argument("--threads", type=int, default=None, help="of torch")
    parser.add_argument("--repetitions", type=int, default=5)
    chosen = parser.parse_args()

    generator = TransformersGenerator(
        chosen.model, max_new_tokens=chosen.tokens, threads=chosen.threads, batch_size=chosen.n
    )
    rng = np.random.default_rng(0)
    generator.generate(PROMPTS[:1], chosen.n, rng=rng)
    times, longest = [], 0
    for repetition in range(chosen.repetitions * len(PROMPTS)):
        prompt = PROMPTS[repetition % len(PROMPTS)]
        started = time.perf_counter()
        responses = generator.generate([prompt], chosen.n, rng=rng)
        ours = time.perf_counter() - started
        written = int(responses.n_tokens.max()) + int(responses.n_tokens.max() < chosen.tokens)
        times.append((ours, _bare(generator, prompt, chosen.n, written)))
        longest = max(longest, written)
    seconds = np.array(times)
    ours, bare = np.median(seconds, axis=0)
    ratio = np.median(seconds[:, 1] / seconds[:, 0])
    print(
        f"{chosen.n} responses of up to {longest} tokens: {1 / ours:.2f} prompts/s with embeddings, "
        f"{1 / bare:.2f} prompts/s bare greedy generate, ratio {ratio:.2f}"
    )


def _bare(generator: TransformersGenerator, prompt: str, n: int, tokens: int) -> float:
    """Return the seconds that the library takes for n rows of the same length, with nothing of ours."""
    import torch

    model = generator.language_model.model
    ids = torch.tensor(generator.language_model.prompt_tokens([prompt], room=tokens) * n, device=model.device)
    with torch.inference_mode():
        started = time.perf_counter()
        written = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=tokens,
            eos_token_id=None,
            pad_token_id=0,
        )
        written.cpu()
    assert written.shape == (n, ids.shape[1] + tokens)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
