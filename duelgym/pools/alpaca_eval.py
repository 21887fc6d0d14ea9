"""From AlpacaEval's own folders to a pool.

Every response in AlpacaEval was judged against the same response of one baseline model, so the logit of the judge's
probability is the utility of a Bradley-Terry model with the baseline at 0 (Dubois et al. 2023, 2024, whose judge
gives a probability from its token log-probabilities). Candidates were never judged against each other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from duelgym.errors import PoolError
from duelgym.pools.encoding import encode_texts
from duelgym.pools.files import refuse_existing
from duelgym.pools.pool import CandidatePool
from duelgym.pools.splits import NEAR_DUPLICATE_COSINE, prompt_hash, shorten
from duelgym.pools.tensors import read_tensors
from duelgym.pools.writing import write_pool

BASELINE = "gpt4_1106_preview"
JUDGE = "weighted_alpaca_eval_gpt4_turbo"
CLIP = 1e-9
MOST_LACKING = 0.05
LICENCE = (
    "AlpacaEval data: CC BY-NC 4.0; Dubois et al. 2023 (AlpacaFarm) and 2024 (length-controlled AlpacaEval), "
    "https://github.com/tatsu-lab/alpaca_eval"
)
RULE = (
    f"a model that lacks more than {MOST_LACKING:.0%} of the instructions that any model has is left out; "
    "then an instruction that any remaining model lacks is left out"
)


# Of the prompts, of the responses, and how they were made (plain JSON).
Embeddings = tuple[
    Float[np.ndarray, "prompts prompt_dim"], Float[np.ndarray, "prompts models candidate_dim"], dict[str, Any]
]


@dataclass(frozen=True)
class Results:
    """What AlpacaEval's folders hold, after the incomplete was left out.

    Attributes:
        models: names, sorted.
        instructions: sorted by the sha256 of the text.
        outputs: for each instruction the models' responses.
        preferences: the judge's, in [1, 2]: 1 + the probability that the response beats the baseline's.
        report: what was left out, by name, and why; plain JSON.
    """

    models: tuple[str, ...]
    instructions: tuple[str, ...]
    outputs: tuple[tuple[str, ...], ...]
    preferences: Float64[np.ndarray, "prompts models"]
    report: dict[str, Any]


def import_alpaca_eval(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    embeddings: str | os.PathLike[str] | None = None,
    index: str | os.PathLike[str] | None = None,
    encoder: str | None = None,
    revision: str | None = None,
    max_tokens: int | None = None,
    assess_prompts: Sequence[str] | None = None,
    clip: float = CLIP,
    near_duplicate_cosine: float = NEAR_DUPLICATE_COSINE,
    name: str = "alpaca-eval",
) -> CandidatePool:
    """Import AlpacaEval's results as a pool.

    Args:
        source: a folder with ``results/<model>/model_outputs.json`` and the annotations of GPT-4-turbo beside them,
            or the ``results`` folder itself.
        out: the pool to make; must not exist.
        embeddings: safetensors file with ``prompt_embeddings`` (prompts, dim) and ``response_embeddings``
            (prompts, models, dim); needs ``index``.
        index: JSON file with ``instructions`` and ``generators``, the order of the two axes.
        encoder: folder or hub name of a transformers encoder, instead of ``embeddings`` and ``index``.
        revision: commit, tag or branch of a hub encoder.
        max_tokens: the encoder cuts texts here; None is its own maximum.
        assess_prompts: see :func:`duelgym.pools.write_pool`.
        clip: the judge's probability is clipped to [clip, 1 - clip] before its logit is taken.
        near_duplicate_cosine: see :func:`duelgym.pools.write_pool`.
        name: of the pool.

    Raises:
        PoolError: if anything is missing, damaged or contradictory, naming the file.
        OSError: if a file cannot be read or written.
    """
    if encoder is None and embeddings is not None and index is not None:
        embed = partial(_embeddings_from_file, Path(embeddings), Path(index))
    elif encoder is not None and embeddings is None and index is None:
        embed = partial(_embeddings_from_encoder, encoder, revision, max_tokens)
    else:
        raise PoolError("give either an encoder, or a file of embeddings together with its index")
    if not 0 < clip < 0.5:
        raise PoolError(f"clip is {clip!r}; it must lie strictly between 0 and 0.5")
    refuse_existing(Path(out))
    results = read_results(source)
    prompt_embeddings, candidate_embeddings, record = embed(results)
    return write_pool(
        out,
        name=name,
        prompts=results.instructions,
        candidate_names=results.models,
        texts=results.outputs,
        prompt_embeddings=prompt_embeddings,
        candidate_embeddings=candidate_embeddings,
        utilities=utilities_of(results.preferences, clip=clip),
        reference={"name": BASELINE, "utility": 0.0},
        assess_prompts=assess_prompts,
        near_duplicate_cosine=near_duplicate_cosine,
        generator={"name": "the language models named in candidate_names"},
        encoder=record,
        licence=LICENCE,
        provenance={"source": "AlpacaEval", "judge": JUDGE, "baseline": BASELINE, "clip": clip, **results.report},
    )


def utilities_of(preferences: Float64[np.ndarray, " ..."], *, clip: float) -> Float64[np.ndarray, " ..."]:
    """Return the logit of ``preferences - 1``, with the probability clipped to [clip, 1 - clip]; in nats."""
    chance = np.clip(preferences - 1, clip, 1 - clip)
    return np.log(chance) - np.log1p(-chance)


def read_results(source: str | os.PathLike[str]) -> Results:
    """Read all models' outputs and annotations and leave out what is incomplete.

    Raises:
        PoolError: naming the file, if one is missing, not JSON, contradicts itself or holds a value that cannot be.
    """
    from tqdm import tqdm

    folder = Path(source)
    folder = folder / "results" if (folder / "results").is_dir() else folder
    if not folder.is_dir():
        raise PoolError(f"{folder} is not a folder; name the one that holds AlpacaEval's results/<model>/")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    names = [name for name in names if name != BASELINE]
    if not names:
        raise PoolError(f"{folder} holds no model folders; name the one that holds AlpacaEval's results/<model>/")
    answers: dict[str, dict[str, tuple[str, float]]] = {}
    reasons: dict[str, dict[str, int]] = {}
    for name in tqdm(names, desc="reading", unit="model", disable=None, delay=2):
        answers[name], lacking = _read_model(folder / name)
        if lacking:
            reasons[name] = dict(lacking)

    union = set().union(*answers.values())
    lacks = {name: len(union) - len(answers[name]) for name in names}
    models = tuple(name for name in names if lacks[name] <= MOST_LACKING * len(union))
    complete = union.intersection(*(answers[name] for name in models))
    if not models or not complete:
        raise PoolError(f"{folder}: no instruction has an answer and an annotation from every model; nothing to import")
    instructions = tuple(sorted(complete, key=prompt_hash))
    report = {
        "rule": RULE,
        "models_left_out": {name: lacks[name] for name in names if name not in models},
        "prompts_left_out": {
            prompt: [name for name in models if prompt not in answers[name]]
            for prompt in sorted(union - complete, key=prompt_hash)
        },
        "unusable_entries": reasons,
    }
    return Results(
        models=models,
        instructions=instructions,
        outputs=tuple(tuple(answers[name][prompt][0] for name in models) for prompt in instructions),
        preferences=np.array([[answers[name][prompt][1] for name in models] for prompt in instructions]),
        report=report,
    )


def _embeddings_from_encoder(
    encoder: str, revision: str | None, max_tokens: int | None, results: Results
) -> Embeddings:
    """Embed every prompt and every response, each alone."""
    n_prompts, n_models = len(results.instructions), len(results.models)
    texts = [*results.instructions, *(text for responses in results.outputs for text in responses)]
    encoded = encode_texts(texts, encoder=encoder, revision=revision, max_tokens=max_tokens)
    record = {
        **encoded.record,
        "truncated_prompts": int(encoded.truncated[:n_prompts].sum()),
        "truncated_responses": int(encoded.truncated[n_prompts:].sum()),
    }
    return encoded.embeddings[:n_prompts], encoded.embeddings[n_prompts:].reshape(n_prompts, n_models, -1), record


def _embeddings_from_file(embeddings: Path, index: Path, results: Results) -> Embeddings:
    """Pick embeddings out of a file, in the order of the results; a missing prompt or model is refused by name."""
    order = _read_json(index)
    names: dict[str, dict[str, int]] = {}
    for axis in ("instructions", "generators"):
        listed = order.get(axis) if isinstance(order, dict) else None
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            listed = []
        if not listed or len(set(listed)) != len(listed):
            raise PoolError(
                f"{index}: {axis!r} must be a list of different names, the order of an axis of the embeddings"
            )
        names[axis] = {name: position for position, name in enumerate(listed)}
    for axis, wanted in (("instructions", results.instructions), ("generators", results.models)):
        for name in wanted:
            if name not in names[axis]:
                raise PoolError(f"{index}: {axis!r} lacks {shorten(name)}; embed it too, or leave it out of the source")
    tensors = read_tensors(embeddings)
    shape = (len(names["instructions"]), len(names["generators"]))
    for label, leading in (("prompt_embeddings", shape[:1]), ("response_embeddings", shape)):
        found = tensors[label].shape if label in tensors else None
        if found is None or len(found) != len(leading) + 1 or found[:-1] != leading:
            expected = ", ".join(map(str, leading))
            raise PoolError(f"{embeddings}: {label} has shape {found}; {index.name} asks for ({expected}, dim)")
    rows = np.array([names["instructions"][prompt] for prompt in results.instructions])
    columns = np.array([names["generators"][model] for model in results.models])
    with embeddings.open("rb") as file:
        record = {"source": "file", "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    return tensors["prompt_embeddings"].take(rows), tensors["response_embeddings"].take(rows)[:, columns], record


def _read_model(folder: Path) -> tuple[dict[str, tuple[str, float]], Counter[str]]:
    """Return (output, preference) by instruction, and counts of what made other entries unusable."""
    outputs_file = folder / "model_outputs.json"
    annotations_file = folder / JUDGE / "annotations.json"
    for file in (outputs_file, annotations_file):
        if not file.is_file():
            raise PoolError(f"{file} is missing; add it, or remove the folder {folder.name} to go without this model")
    outputs = _by_instruction(_read_json(outputs_file), "output", outputs_file)
    annotations = _read_json(annotations_file)
    preferences = _by_instruction(annotations, "preference", annotations_file)
    judged = _by_instruction(annotations, "output_2", annotations_file)
    for baseline in (entry.get("generator_1", BASELINE) for entry in annotations):
        if baseline != BASELINE:
            raise PoolError(
                f"{annotations_file}: judged against {baseline!r}, not {BASELINE}; utilities need one baseline: "
                f"remove the folder {folder.name} or annotate it again"
            )
    answers: dict[str, tuple[str, float]] = {}
    lacking: Counter[str] = Counter()
    for instruction in outputs.keys() | preferences.keys():
        output, preference = outputs.get(instruction), preferences.get(instruction)
        if output is None:
            lacking["no output"] += 1
        elif preference is None:
            lacking["no annotation" if instruction not in preferences else "null preference"] += 1
        elif judged[instruction] not in (None, output):
            lacking["judged on another output"] += 1
        elif not isinstance(output, str):
            raise PoolError(
                f"{outputs_file}: output is {output!r} for {shorten(instruction)}; it must be a string or null"
            )
        elif isinstance(preference, bool) or not isinstance(preference, int | float) or not 1 <= preference <= 2:
            raise PoolError(
                f"{annotations_file}: preference is {preference!r} for {shorten(instruction)}; "
                "it must lie in 1 to 2, or be null"
            )
        else:
            answers[instruction] = (output, float(preference))
    return answers, lacking


def _by_instruction(entries: Any, field: str, file: Path) -> dict[str, Any]:
    """Return one field by instruction; the same instruction twice must say the same."""
    values: dict[str, Any] = {}
    for entry in _objects(entries, file):
        instruction, value = entry.get("instruction"), entry.get(field)
        if not isinstance(instruction, str):
            raise PoolError(f"{file}: an entry has no 'instruction'; each needs one")
        if instruction in values and values[instruction] != value:
            raise PoolError(f"{file}: {shorten(instruction)} is there twice with different {field!r}; remove one entry")
        values[instruction] = value
    return values


def _objects(entries: Any, file: Path) -> Iterable[Mapping[str, Any]]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PoolError(f"{file}: must be a JSON list of objects, as AlpacaEval writes it")
    return entries


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise PoolError(f"{path}: not valid JSON ({error}); it may be cut short: fetch it again") from None
