"""What every generator asks of a call."""

from __future__ import annotations

from collections.abc import Sequence

from duelgym.checks import whole_number
from duelgym.errors import GeneratorError


def check_request(prompts: Sequence[str], n: int) -> None:
    """Refuse a call for nothing.

    Raises:
        GeneratorError: if there is no prompt, ``prompts`` is a string, or n is not a whole number from 1.
    """
    if isinstance(prompts, str) or len(prompts) == 0:
        raise GeneratorError(f"prompts is {prompts!r}; give a list of at least one prompt")
    whole_number("n", n, error=GeneratorError)
