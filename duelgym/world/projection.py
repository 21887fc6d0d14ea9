"""Recipe of the projection: from the language model's hidden states to the 64 features that agents see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32

from duelgym.assets import TEMPERATURE, TOP_P
from duelgym.errors import SpecificationError
from duelgym.generators.projection import Projection

if TYPE_CHECKING:
    from duelgym.generators.language_model import LanguageModel

CLIPPED_AT = 4.0
N_PROMPTS = 400
EACH = 16


def fit_projection(model: LanguageModel, *, dim: int = 64, pooling: str = "last", seed: int = 11) -> Projection:
    """Return the whitened principal components of how answers to one prompt differ, without any label.

    The components are those of hidden states minus their mean over the prompt's answers, each scaled to unit variance; a
    feature of 1 stands 4 such standard deviations from the mean over all answers. Prompts are drawn as for pools, but are others.

    Args:
        model: whose hidden states.
        dim: features, at most the number of hidden units.
        pooling: as the generator's; with ``"both"``, half of the features are components of the last token's hidden states, half
            of the means over tokens.
        seed: of prompts and answers.
    """
    prompts, answers = hidden_states(model, pooling=pooling, seed=seed)
    del prompts
    if pooling != "both":
        return whitened_within_prompts(answers, dim)
    last, mean = (
        whitened_within_prompts(part, size)
        for part, size in zip(np.split(answers, 2, axis=2), (dim - dim // 2, dim // 2), strict=True)
    )
    matrix = np.zeros((last.hidden_dim + mean.hidden_dim, dim), np.float32)
    matrix[: last.hidden_dim, : last.embedding_dim] = last.matrix
    matrix[last.hidden_dim :, last.embedding_dim :] = mean.matrix
    return Projection(matrix, np.concatenate([last.offset, mean.offset]), CLIPPED_AT)


def whitened_within_prompts(answers: Float[np.ndarray, "prompts each hidden"], dim: int) -> Projection:
    """Return the projection that fits these hidden states.

    Raises:
        SpecificationError: if there are more features than directions in which answers differ.
    """
    centred = (answers - answers.mean(axis=1, keepdims=True)).reshape(-1, answers.shape[2]).astype(np.float64)
    degrees = answers.shape[0] * (answers.shape[1] - 1)
    variances, vectors = np.linalg.eigh(centred.T @ centred / degrees)
    if not 1 <= dim <= np.count_nonzero(variances > 1e-9 * variances[-1]):
        raise SpecificationError(
            f"dim is {dim}; answers differ in {np.count_nonzero(variances > 1e-9 * variances[-1])} directions only"
        )
    variances, vectors = variances[::-1][:dim], vectors[:, ::-1][:, :dim]
    # An eigenvector's sign is arbitrary: its largest entry is made positive, so that machines agree.
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(dim)])
    matrix = vectors * signs / np.sqrt(variances)
    offset = answers.reshape(-1, answers.shape[2]).mean(axis=0)
    return Projection(matrix.astype(np.float32), offset.astype(np.float32), CLIPPED_AT)


def hidden_states(
    model: LanguageModel, *, pooling: str, seed: int, n_prompts: int = N_PROMPTS, each: int = EACH
) -> tuple[Float32[np.ndarray, "prompts hidden"], Float32[np.ndarray, "prompts each hidden"]]:
    """Return pooled hidden states of instructions and of the model's answers to them."""
    from tqdm import tqdm

    from duelgym.generators.reading import pooled
    from duelgym.generators.sampling import sample
    from duelgym.world.corpus import draw_prompts

    prompt_rng, rng = np.random.default_rng(seed).spawn(2)
    prompts = draw_prompts(n_prompts, prompt_rng)
    tokens = model.prompt_tokens(prompts, room=48)
    asked, answered = [], []
    block = 8
    for start in tqdm(range(0, n_prompts, block), desc="hidden states", disable=None, leave=False):
        some = tokens[start : start + block]
        sampled = sample(
            model.model,
            some,
            np.full(len(some), each),
            rng.integers(2**63, size=len(some) * each),
            ends=model.ends,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            max_new_tokens=48,
        )
        asked.append(pooled(sampled.prompt_last, sampled.prompt_mean, pooling))
        answered.append(pooled(sampled.last, sampled.mean, pooling).reshape(len(some), each, -1))
    return np.concatenate(asked), np.concatenate(answered)
