"""Pictures of the last query: public facts only, in text or pixels."""

from __future__ import annotations

import textwrap

import numpy as np
from jaxtyping import Float32, UInt8

from duelgym.agent import PREFERENCE_FIRST, PREFERENCE_NONE, PREFERENCE_SECOND, PREFERENCE_TIE

_VERDICTS = {
    PREFERENCE_FIRST: "the first was preferred",
    PREFERENCE_SECOND: "the second was preferred",
    PREFERENCE_NONE: "no answer",
    PREFERENCE_TIE: "a tie",
}
_WHITE, _GREY, _GREEN, _RED = (
    np.array(c, dtype=np.uint8) for c in ((255,) * 3, (160,) * 3, (0, 158, 115), (213, 94, 0))
)


def ansi(prompt: str, responses: tuple[str, str] | None, pair: tuple[int, int], preference: int, query: int) -> str:
    """Return the prompt, the two responses that were compared and who won; only the prompt before the first query."""
    lines = [f"Prompt: {_short(prompt)}"]
    if responses is None:
        lines.append("No query yet: choose two candidates to compare.")
        return "\n".join(lines)
    for place, position, text in zip(("first", "second"), pair, responses, strict=True):
        lines.append(f"  {place:>6} (candidate {position}): {_short(text)}")
    lines.append(f"Query {query}: {_VERDICTS[preference]}.")
    return "\n".join(lines)


def pixels(
    candidates: Float32[np.ndarray, "n_candidates d"], pair: tuple[int, int] | None, preference: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the candidates as columns of their features (blue below 0, orange above), the asked pair marked below.

    The mark is green under the preferred response and red under the other, grey where there was no answer.
    """
    column, row = max(2, 240 // len(candidates)), max(1, 160 // candidates.shape[1])
    values = np.clip(candidates.T / max(float(np.max(np.abs(candidates))), 1e-12), -1, 1)
    image = np.full((*values.shape, 3), 255.0)
    strength = np.abs(values)[..., None]
    image -= strength * np.where(values[..., None] > 0, (25.0, 130.0, 255.0), (255.0, 141.0, 77.0))
    picture = np.repeat(np.repeat(image.astype(np.uint8), row, axis=0), column, axis=1)
    strip = np.broadcast_to(_WHITE, (16, picture.shape[1], 3)).copy()
    if pair is not None:
        for place, position in enumerate(pair):
            colour = _GREY if preference > PREFERENCE_SECOND else (_GREEN if preference == place else _RED)
            strip[4:, position * column : (position + 1) * column] = colour
    return np.concatenate([picture, strip])


def _short(text: str) -> str:
    return textwrap.shorten(text, width=400, placeholder=" …") or "(empty)"
