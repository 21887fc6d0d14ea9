"""The leaderboard's page: one file made of the files of ``leaderboard/``, equal to the byte whenever they are equal."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from duelgym_bench.files import write_atomically
from duelgym_bench.leaderboard.site_files import Closed, Leaderboard, read_leaderboard
from duelgym_bench.leaderboard.site_pictures import plots, sheet
from duelgym_bench.leaderboard.site_table import BELOW_TRIVIAL, improvement, ranking, row_names, submitted_table
from duelgym_bench.leaderboard.site_text import count, decisions, definitions, how_to_submit, open_round, rules, sources
from duelgym_bench.page import SCRIPT, STYLE, document
from duelgym_bench.page_pictures import figure, readouts, switches
from duelgym_bench.table import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duelgym_bench.page_pictures import Plot

PAGE = Path("site") / "index.html"
_INTERVALS = (
    "95 % intervals: of means over environments Student's, from standard errors over seeds and assessment prompts; else both "
    "resampled together."
)
_HERE = Path(__file__).parent
_SCRIPT = SCRIPT + (_HERE / "site.js").read_text(encoding="utf-8")
_STYLE = STYLE + (_HERE / "site.css").read_text(encoding="utf-8")


def write_site(root: Path) -> Path:
    """Write the leaderboard's page, atomically; return its path.

    Nothing is computed but the page: every number stands in a file of the leaderboard.

    Args:
        root: the folder ``leaderboard/``.

    Raises:
        RefusedError: naming every file that is damaged, and whatever does not fit together.
    """
    shown = read_leaderboard(root)
    path = root / PAGE
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, site(shown))
    return path


def site(shown: Leaderboard) -> str:
    """Return the page."""
    rounds = _Rounds(shown)
    closed = [rounds.section(each, newest=each is shown.closed[0]) for each in shown.closed]
    return document(
        "duelgym leaderboard",
        _head(shown),
        *(
            closed[:1]
            or ['<section id="ranking"><h2>Ranking</h2>\n<p>No round has closed yet: nothing is ranked.</p></section>']
        ),
        *map(open_round, shown.open),
        _submissions(shown),
        how_to_submit(next(iter([*shown.open, *(each.round for each in shown.closed)]), None)),
        rules(),
        _older(closed[1:]),
        decisions(shown.decisions),
        sources(shown),
        readouts(rounds.drawn),
        style=_STYLE,
        script=_SCRIPT,
    )


class _Rounds:
    """The sections of closed rounds; pictures and agents are numbered through the page."""

    def __init__(self, shown: Leaderboard) -> None:
        self.shown = shown
        self.drawn: list[Plot] = []
        self.n_agents = 0

    def section(self, closed: Closed, *, newest: bool) -> str:
        """Return a round as HTML: its ranking, its pictures, its pairs."""
        of, board = closed.round, closed.board
        names = row_names(board, self.shown.submissions)
        drawn = sheet(board, names, self.n_agents)
        self.n_agents += len(drawn.styles)
        pictures = plots(board, of.ids, names, drawn)
        inline = "\n".join(
            figure(number, each, caption)
            for number, (each, caption) in enumerate(
                zip(pictures, _captions(closed), strict=True), start=len(self.drawn)
            )
        )
        self.drawn += pictures
        parts = [
            f"<p>{_summary(closed)}</p>",
            ranking(closed, self.shown.submissions, names, drawn),
            _reading(closed, names),
            f"<section>{switches(drawn, list(drawn.styles))}\n{inline}</section>",
            improvement(board, names),
        ]
        body = "\n".join(part for part in parts if part)
        if newest:
            return f'<section id="ranking"><h2>Round {of.name}</h2>\n{body}</section>'
        return f'<details class="round" id="round-{of.name}"><summary><h3>Round {of.name}</h3> <small>{of.closed}</small></summary>\n{body}</details>'


def _head(shown: Leaderboard) -> str:
    pages = {"ranking": "Ranking", **{f"open-{each.name}": f"Open: {each.name}" for each in shown.open}}
    pages |= {"submissions": "Submissions", "submit": "How to submit", "rules": "Rules"}
    pages |= {"older": "Older rounds"} if len(shown.closed) > 1 else {}
    pages |= {"decisions": "Decisions", "sources": "Sources"}
    links = "".join(f'<li><a href="#{place}">{text}</a></li>' for place, text in pages.items())
    return (
        '<a class="skip" href="#ranking">Skip to the ranking</a>\n<h1>Which agent needs the fewest preference labels?</h1>\n'
        "<p>The duelgym leaderboard. An agent chooses which two responses of a language model the next label shall compare, learns "
        "from it, and recommends. Ranked is what maintainers have run themselves, on prompts, raters and seeds that nobody "
        f'could know.</p>\n<nav aria-label="Sections"><ul>{links}</ul></nav>'
    )


def _summary(closed: Closed) -> str:
    of, entries = closed.round, sum(row.kind == "entry" for row in closed.board.rows)
    return (
        f"{entries} entr{'y' if entries == 1 else 'ies'} on {' and '.join(of.ids)}: {count(of.seeds)} seeds of {count(of.queries)} labels each. "
        f"Opened {of.opened}, closed {of.closed}."
    )


def _reading(closed: Closed, names: Mapping[str, str]) -> str:
    """Return how to read a round's figures as HTML."""
    baseline = printable(names.get(closed.board.baseline, closed.board.baseline))
    terms = {
        "Area": "under win rate against log labels: 0 is a win rate of .5, 1 the oracle's. The mean is over environments.",
        "Labels ratio": f"labels that {baseline} needs for its last level, divided by the labels that the agent needs for it.",
        "Drop": "area of the agent's public runs minus area of its ranked ones. The two pools differ, and so do all areas on them: look "
        "for one that drops more than others.",
        "Time": "to select and to learn, per query.",
        "Rank": "1 + the number of entries that are significantly better; who cannot be told apart shares one.",
        BELOW_TRIVIAL.capitalize(): "not significantly above every trivial row.",
        "In brackets": _INTERVALS,
    }
    return definitions({name: escape(text) for name, text in terms.items()})


def _captions(closed: Closed) -> list[str]:
    """Return what stands below each picture of a round."""
    of = closed.round
    seeds = f"{of.seeds} seed{'s' * (of.seeds != 1)}"
    curves = (
        f"Round {of.name}: {seeds}. Bands: {_INTERVALS} Level lines: limits, and policies that ask nothing. Beside each name: "
        "win rate after the last label."
    )
    several = f" on each of {len(of.ids)} environments" if len(of.ids) > 1 else ""
    profiles = f"Round {of.name}: {seeds}{several}, no intervals. Beside each name: mean area."
    return [*[curves] * len(of.ids), profiles]


def _submissions(shown: Leaderboard) -> str:
    table = submitted_table(shown) if shown.submissions else "<p>None yet.</p>"
    return (
        '<section id="submissions"><h2>Submissions</h2>\n<p>What public runs show, as submitted and checked. Their seeds are public, so '
        f"nothing here is ranked.</p>\n{table}</section>"
    )


def _older(rounds: list[str]) -> str:
    return f'<section id="older"><h2>Older rounds</h2>\n{"".join(rounds)}</section>' if rounds else ""
