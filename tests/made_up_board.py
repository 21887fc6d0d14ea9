"""A made-up leaderboard: two closed rounds and an open one, with boards like those that closing a round writes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from duelgym_bench.leaderboard.board import Board, Estimate, OnEnvironment, Row
from duelgym_bench.leaderboard.records import (
    Claims,
    Compute,
    EnvironmentRuns,
    Pretrained,
    Round,
    RoundPool,
    RunFiles,
    Submission,
    salt_hash,
    write_record,
)

IDS = ("LLMDuel-v0", "SyntheticDuel-v0")
CHECKPOINTS = (0, 32, 96, 320, 960, 3200)
THRESHOLDS = tuple(k / 20 for k in range(21))
HASH = "9f" * 32
HOSTILE = "<script>alert(1)</script> & \"quoted\" <a href='javascript:1'>javascript:alert(1)</a>"
# Of the newest closed round, best first: (team, agent, area).
ENTRIES = (
    ("example-lab", "double-ts-epinet", 0.712),
    ("north-institute", "infomax-ensemble", 0.704),
    ("example-lab", "pair-entropy", 0.655),
    ("a-team-with-a-rather-long-name", "optimism-with-a-long-name-too", 0.641),
    ("solo", "passive-plus", 0.548),
    ("late-night-labs", "always-curious", 0.478),
)
RANKS = (1, 1, 3, 3, 5, 6)
TRIVIAL = (("uniform pairs", 0.492), ("longest two", 0.489), ("first two", 0.486), ("same pair", 0.481))
ZERO_QUERY = (("longest answer", 0.21), ("constant index", 0.004))
LIMITS = (("oracle", 1.0), ("supervised reference", 0.83))


def estimate(value: float, half: float) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + 1.1 * half)


def row(name, kind, area, ids, rng, *, submission=None, rank=None, above=None, asks=True):
    """A row whose figures follow from its area, with a little noise."""
    on = {}
    for k, env in enumerate(ids):
        here = area + 0.05 * (k - 0.5)
        count = np.array(CHECKPOINTS) / (np.array(CHECKPOINTS) + 120)
        wins = 0.5 + 0.48 * here * (count + 0.15 * rng.standard_normal(len(count)) * count * 0.1)
        curve = tuple(estimate(float(win), 0.013) for win in (wins if asks else [0.5 + 0.45 * here]))
        ratio = "not reached" if area < 0.4 else f"{8 * area - 3:.1f} [{7 * area - 3:.1f} {10 * area - 3:.1f}]"
        on[env] = OnEnvironment(
            area=estimate(here, 0.024 if asks else 0.01),
            win_rate=curve[-1],
            curve=curve,
            labels=ratio if asks else None,
            public_area=here + 0.02 if kind == "entry" else None,
        )
    profile = tuple(float(np.clip(0.5 - 9 * (t - area), 0, 1)) for t in THRESHOLDS) if asks else ()
    return Row(
        name=name,
        track="embedding",
        kind=kind,
        submission=submission,
        rank=rank,
        area=estimate(area, 0.017 if asks else 0.01),
        drop=estimate(0.02, 0.03) if kind == "entry" else None,
        seconds_per_query=0.0031 + 0.7 * (area > 0.7) if asks else None,
        above_trivial=above,
        profile=profile,
        on=on,
    )


def submission(
    team, agent, date, round_name, ids, area, *, about="Pairs by expected information.", contact=""
) -> Submission:
    return Submission(
        schema=1,
        team=team,
        agent=agent,
        date=date,
        contact=contact or f"someone@{team}.example",
        licence="MIT",
        about=about,
        round=round_name,
        factory="my_agent:make_agent",
        settings={"n_particles": 20},
        repeats="bitwise",
        duelgym="0.1.0",
        pretrained=(Pretrained(name="org/encoder", revision="4" * 40, sha256=HASH),) if agent == "pair-entropy" else (),
        compute=Compute(cpu="8 cores, x86-64", accelerator="none", seconds_per_query=0.021),
        code={"my_agent.py": HASH},
        runs={
            env: EnvironmentRuns(
                pool_sha256=HASH if env == "LLMDuel-v0" else None,
                claims=Claims(area=area + 0.02, win_rate=0.5 + 0.45 * area),
                files=(RunFiles(queries=HASH, recommendations=HASH),) * 2,
            )
            for env in ids
        },
    )


def round_record(name, opened, closed, ids=IDS) -> Round:
    salt = hashlib.sha256(name.encode()).hexdigest()
    return Round(
        schema=1,
        name=name,
        opened=opened,
        closed=closed,
        ids=ids,
        queries=3200,
        batch=32,
        seeds=20,
        salt_sha256=salt_hash(salt),
        salt=salt if closed else None,
        pool=RoundPool(sha256=HASH[::-1], prompts=1400, candidates=8),
        duelgym="0.1.0",
    )


def write_submission(root: Path, made: Submission) -> str:
    """Write a submission; return the sha256 of its record."""
    folder = root / "submissions" / made.name
    folder.mkdir(parents=True)
    write_record(folder / "submission.json", made)
    return hashlib.sha256((folder / "submission.json").read_bytes()).hexdigest()


def write_closed(root: Path, of: Round, entries, date: str) -> Board:
    """Write a closed round, its submissions and its board."""
    rng = np.random.default_rng(0)
    rows = []
    for (team, agent, area), rank in zip(entries, RANKS, strict=False):
        text = {"about": HOSTILE, "contact": HOSTILE} if team == "solo" else {}
        made = submission(team, agent, date, of.name, of.ids, area, **text)
        digest = write_submission(root, made)
        above = area > 0.5
        rows.append(row(made.name, "entry", area, of.ids, rng, submission=digest, rank=rank, above=above))
    rows += [row(name, "trivial", area, of.ids, rng) for name, area in TRIVIAL]
    rows += [row(name, "trivial", area, of.ids, rng, asks=False) for name, area in ZERO_QUERY]
    rows += [row(name, "limit", area, of.ids, rng, asks=False) for name, area in LIMITS]
    areas = np.array([area for _, _, area in entries])
    chances = 1 / (1 + np.exp(-25 * (areas[:, None] - areas[None])))
    board = Board(
        schema=1,
        round=of.name,
        checkpoints=CHECKPOINTS,
        baseline="uniform pairs",
        thresholds=THRESHOLDS,
        rows=tuple(rows),
        improvement=tuple(tuple(map(float, line)) for line in chances),
        versions={"duelgym": "0.1.0", "duelgym-bench": "0.1.0", "numpy": "2.3.4"},
    )
    (root / "rounds" / of.name).mkdir(parents=True)
    write_record(root / "rounds" / f"{of.name}.json", of)
    write_record(root / "rounds" / of.name / "board.json", board)
    return board


def write_leaderboard(root: Path) -> Path:
    """Write all files of a leaderboard that its page is made of; return ``root``."""
    write_closed(root, round_record("2026-q3", "2026-07-01", "2026-09-30"), ENTRIES, "2026-09-01")
    older = round_record("2026-q2", "2026-04-01", "2026-06-30", IDS[1:])
    write_closed(root, older, [(team, agent, area - 0.1) for team, agent, area in ENTRIES[:2]], "2026-06-01")
    write_record(root / "rounds" / "2026-q4.json", round_record("2026-q4", "2026-10-01", None))
    replayed = submission("solo", "curious-passive", "2026-10-09", "2026-q4", IDS, 0.57)
    digests = {replayed.name: write_submission(root, replayed)}
    write_submission(root, submission("example-lab", "texts-alone", "2026-10-11", "2026-q4", IDS[:1], 0.6))
    (root / "replayed.json").write_text(json.dumps(digests))
    (root / "decisions.md").write_text(
        "# Decisions\n\n- 2026-07-01: Round 2026-q3 opens.\n"
        "- 2026-09-30: Round 2026-q3 closes; <b>six</b> entries are verified.\n"
        "- 2026-09-12: example-lab's third entry is refused: at most two per team and round.\n"
    )
    return root
