"""The duel browser: what an agent asked about at a few queries, with texts, and what the simulator thinks of the two."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from duelgym_bench.curves import is_replica
from duelgym_bench.plots import agent_numbers
from duelgym_bench.table import decimals, printable

if TYPE_CHECKING:
    from duelgym_bench.duels import Duel, Response
    from duelgym_bench.scored import Results

LONGEST_TEXT = 1200
"""Characters of a text that are shown; what is left out is counted."""
_LABELS = ("the first was preferred", "the second was preferred", "no answer", "a tie")


def duels_section(results: Results, agents: Sequence[str], buttons: str) -> str:
    """Return the duels of the first seed as HTML, query by query; nothing where the results have none.

    Args:
        results: whose runs have the duels.
        agents: all agents, in the order that gives them numbers.
        buttons: that switch them on and off.
    """
    numbers = agent_numbers(agents, results.baseline)
    asked: dict[tuple[int, str], list[str]] = {}
    for run in results.runs:
        if not is_replica(run.agent, results.baseline):
            for duel in run.duels:
                shown = _duel(duel, run.agent, numbers[run.agent])
                asked.setdefault((duel.query, duel.prompt), []).append(shown)
    if not asked:
        return ""
    queries = "\n".join(
        f"<details><summary>Query {query:,}</summary>".replace(",", " ") + f"{_text(prompt)}{''.join(shown)}</details>"
        for (query, prompt), shown in sorted(asked.items(), key=lambda item: item[0][0])
    )
    return (
        "<section><h2>Duels: which two did the agent ask about?</h2>\n<p>The first seed, in which every agent meets the same "
        "prompts with the same candidates. Ranks, win rates against a random other candidate, and the probability that the first "
        "is better are the simulator's; agents are told the label alone.</p>\n"
        f"{buttons}\n{queries}</section>"
    )


def _duel(duel: Duel, agent: str, number: int) -> str:
    label = _LABELS[duel.preference]
    return (
        f'<details data-agent="{number}"><summary>{escape(printable(agent))} <small>ranks {duel.first.rank} and '
        f"{duel.second.rank} of {duel.n_candidates}; the first is better with probability {decimals(duel.probability)}; "
        f'{label}</small></summary><div class="pair">'
        f"{_response('First', duel.first, duel.preference == 0)}{_response('Second', duel.second, duel.preference == 1)}"
        "</div></details>"
    )


def _response(place: str, response: Response, won: bool) -> str:
    utility = "" if response.utility is None else f", utility {response.utility:.2f}"
    says = f"{place}{', preferred' * won}: rank {response.rank}, win rate {decimals(response.win_rate)}{utility}"
    return f"<div{' class=won' * won}><p>{says}</p>{_text(response.text)}</div>"


def _text(text: str) -> str:
    """Return a text with its lines, cut where it is long; its own direction ends with it."""
    if not text:
        return "<p>(empty)</p>"
    left_out = len(text) - LONGEST_TEXT
    note = f"<p>(cut: {left_out} more characters)</p>" if left_out > 0 else ""
    return f'<pre dir="auto">{escape(readable(text[:LONGEST_TEXT]))}</pre>{note}'


def readable(text: str) -> str:
    """Return ``text`` with its lines and joined characters, but without what acts on the text around it."""
    return "".join(map(_readable, text.replace("\r\n", "\n")))


def _readable(character: str) -> str:
    if character.isprintable() or character in "\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}":
        return character
    category = unicodedata.category(character)
    return " " if category == "Zs" else "\n" if category in ("Zl", "Zp") else "\N{REPLACEMENT CHARACTER}"
