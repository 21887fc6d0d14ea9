"""What the leaderboard's page says in words: open rounds, how to submit, rules, decisions, and where everything comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from duelgym_bench.leaderboard.site_grid import mark
from duelgym_bench.page import provenance
from duelgym_bench.table import printable

if TYPE_CHECKING:
    from duelgym_bench.leaderboard.decisions import Decision
    from duelgym_bench.leaderboard.records import Round
    from duelgym_bench.leaderboard.site_files import Closed, Leaderboard

REBUILD = "duelgym-bench site"
_RULES = (
    "An agent sees what the environment shows it and the labels of its queries, nothing else. Reading the environment, "
    "guessing seeds, or recognising prompts to look answers up is against the rules. So is an agent that brings along the "
    "reward model that judges, or one trained to answer as it does: it is public; ranked runs hide its files, and what an agent "
    "brings along only reading its code and weights finds.",
    "Seeds, budget and updates are the round's. Every run counts: a submission with a missing, torn or doubled run is refused, "
    "and so is one whose claims differ from what its logs say. Nothing is repaired.",
    "At most two entries per team and round; the maintainers' own, agents of the registry, are not counted. Weights that an agent "
    "starts from are named by hash, file by file, and its ranked runs get those files alone. An agent that runs on all environments "
    "never sees texts.",
    "Ranked runs are made by maintainers, from the submitted code, without network, on a pool and seeds that nobody could know: "
    "the hashes of pool and salt are published when a round opens, both themselves when it closes.",
    "Entries that cannot be told apart share a rank: 1 + the number of entries that are significantly better.",
)
_STATUSES = {
    "reported": "files are whole, and the claims are what the logs say. Not ranked.",
    "replayed": "every context and preference in the logs is, bit for bit, what the environment gives. Not ranked, since public "
    "seeds can be known.",
    "verified": "maintainers have run the code on a round's pool and seeds. Ranked.",
}


def open_round(shown: Round) -> str:
    """Return the announcement of an open round as HTML."""
    pool = f"{count(shown.pool.prompts)} prompts with {count(shown.pool.candidates)} candidates each"
    facts = {
        "Environments": ", ".join(shown.ids),
        "Runs": f"{count(shown.seeds)} seeds of {count(shown.queries)} labels, {count(shown.batch)} between updates",
        "Open since": shown.opened,
        "Version": f"duelgym {shown.duelgym}",
        "Pool of ranked runs": pool,
        "sha256 of the pool": shown.pool.sha256,
        "sha256 of the salt": shown.salt_sha256,
    }
    listed = definitions(
        {name: f"<code>{text}</code>" if "sha256" in name else escape(printable(text)) for name, text in facts.items()}
    )
    return (
        f'<section id="open-{shown.name}"><h2>Round {shown.name} is open</h2>\n<p>Its ranked runs are on a pool and seeds that nobody '
        f"knows yet; their hashes bind the maintainers.</p>\n{listed}</section>"
    )


def how_to_submit(shown: Round | None) -> str:
    """Return how to submit as HTML, in four steps.

    Args:
        shown: the open round, or else the last one; None where there is none.
    """
    named = f" --round {shown.name}" if shown and shown.closed else ""
    ids, sizes = (shown.ids, (shown.queries, shown.batch, shown.seeds)) if shown else (("ID",), ("T", "B", "S"))
    run = "\n".join(
        f"duelgym-bench run --env {env} --agents my_agent:make_agent --queries {sizes[0]} --batch-size {sizes[1]} "
        f"--seeds {sizes[2]} --out runs/{env}"
        for env in ids
    )
    new = (
        f"duelgym-bench submission new {' '.join(f'--from runs/{env}' for env in ids)} --code my_agent.py --team my-lab "
        f"--name my-agent --contact me@example.org --licence MIT --about 'The agent in a sentence.'{named}"
    )
    check = "duelgym-bench submission replay leaderboard/submissions/my-lab--my-agent--YYYYMMDD"
    steps = (
        f"Run the agent on the round's public seeds:<pre>{escape(run)}</pre>",
        f"Make the submission from the runs:<pre>{escape(new)}</pre>",
        f"Check it, and replay its logs:<pre>{escape(check)}</pre>",
        "Open a pull request that adds this folder alone.",
    )
    waiting = (
        "<p>No round is open: what is submitted to the last one is checked, replayed and shown without a rank.</p>"
    )
    listed = "".join(f"<li>{step}</li>" for step in steps)
    return f'<section id="submit"><h2>How to submit</h2>\n{waiting if named else ""}<ol>{listed}</ol></section>'


def rules() -> str:
    """Return rules and statuses as HTML."""
    statuses = definitions({mark(name, name): text for name, text in _STATUSES.items()})
    listed = "".join(f"<li>{rule}</li>" for rule in _RULES)
    return f'<section id="rules"><h2>Rules and statuses</h2>\n<ul>{listed}</ul>\n{statuses}</section>'


def definitions(terms: Mapping[str, str]) -> str:
    """Return terms and what they mean, both HTML, as a list."""
    return f"<dl>{''.join(f'<div><dt>{term}</dt><dd>{text}</dd></div>' for term, text in terms.items())}</dl>"


def decisions(shown: Sequence[Decision]) -> str:
    """Return the decisions as HTML."""
    items = "".join(f"<li><time>{each.date}</time> {escape(printable(each.text))}</li>" for each in shown)
    listed = f"<ul>{items}</ul>" if items else "<p>None yet.</p>"
    return f'<section id="decisions"><h2>Decisions</h2>\n{listed}</section>'


def sources(shown: Leaderboard) -> str:
    """Return, as HTML, the hashes and versions behind the page, and the command that makes it again."""
    facts = [_facts(each.round) | _board(each) for each in shown.closed] + [_facts(each) for each in shown.open]
    return f'<section id="sources">{provenance(REBUILD, *facts)}</section>'


def count(n: int) -> str:
    """Return a number with its thousands apart."""
    return f"{n:,}".replace(",", " ")


def _facts(of: Round) -> dict[str, object]:
    return {
        "round": of.name,
        "opened": of.opened,
        "closed": of.closed or "open",
        "duelgym": of.duelgym,
        "pool sha256": of.pool.sha256,
        "salt sha256": of.salt_sha256,
        "salt": of.salt or "secret until the round closes",
    }


def _board(of: Closed) -> dict[str, object]:
    return {"board.json sha256": of.board_sha256, "versions": of.board.versions}
