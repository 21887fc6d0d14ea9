"""The page in headless Chromium: values can be read out, agents switched, nothing is fetched and nothing sticks out."""

import dataclasses
import html
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from simulated_results import HOSTILE, hostile, simulated

from duelgym_bench.curves_summary import summarise
from duelgym_bench.duels import Duel, Response
from duelgym_bench.report import write_report
from duelgym_bench.suite_directory import SavedSuite
from duelgym_bench.suite_page import suite_page
from duelgym_bench.suite_report import suite_tables
from duelgym_bench.table import whole, with_interval

AGENTS = ["passive", "boltzmann", "thompson", "passive-ensemble", "my.agent:build"]
# One page a frame, driven and read by the page around them; the last may run no script.
FRAMES = {
    "wide": ("report/report.html", 1440),
    "narrow": ("report/report.html", 360),
    "hostile": ("hostile/report.html", 360),
    "suite": ("suite.html", 360),
    "plain": ("report/report.html", 360),
}
DRIVER = """
const results = {};
const act = (name, what) => { try { results[name] = what(); } catch (error) { results[name] = String(error.stack); } };
addEventListener("load", () => {
  const frame = (name) => document.getElementById(name);
  const inside = (name) => frame(name).contentDocument;
  // Where a picture has the points of an agent's curve, read from the path that matplotlib drew.
  const drawn = (svg, agent) => svg.querySelector(`[data-agent="${agent}"][id$="-line"] path`).getAttribute("d")
    .match(/[ML] [^ML]+/g).map((point) => point.slice(2).trim().split(" ").map(Number));
  const pointer = (name, svg, kind, [x, y], pointerType = "mouse") => {
    const box = svg.getBoundingClientRect(), unit = box.width / svg.viewBox.baseVal.width;
    const at = { clientX: box.left + unit * x, clientY: box.top + unit * y, pointerType, bubbles: true };
    svg.dispatchEvent(new (frame(name).contentWindow.PointerEvent)(kind, at));
  };
  const rows = (figure) => [...figure.querySelectorAll("output tr")].map((row) => [...row.cells].map((c) => c.textContent).slice(1));
  const read = (figure) => ({
    hidden: figure.querySelector("output").hidden,
    at: figure.querySelector("output b")?.textContent,
    rows: rows(figure),
    near: figure.querySelector("output .near th")?.textContent,
  });
  const dots = (svg) => [...svg.querySelectorAll(".guide circle")].map((dot) => [+dot.getAttribute("cx"), +dot.getAttribute("cy")]);
  const shown = (name, agent) => {
    const view = frame(name).contentWindow;
    const parts = [...inside(name).querySelectorAll(`[data-agent="${agent}"]:not(button)`)];
    const seen = (part) => { const style = view.getComputedStyle(part); return style.visibility !== "hidden" && style.display !== "none"; };
    return [parts.filter(seen).length, parts.length];
  };
  const figures = (name) => [...inside(name).querySelectorAll("figure[data-plot]")];
  const press = (figure, form, key) => figure.querySelector(form).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));

  act("controls", () => Object.fromEntries(["wide", "plain"].map((name) => {
    const seen = (selector) => [...inside(name).querySelectorAll(selector)].filter((each) => each.getClientRects().length).length;
    return [name, { switches: seen(".switches"), outputs: seen("output"), pictures: seen("figure svg")}];
  })));
  act("hover", () => figures("wide").map((figure) => {
    const svg = figure.querySelector(".wide svg"), points = drawn(svg, 2), k = points.length - 3;
    pointer("wide", svg, "pointermove", [points[k][0] + 2, points[k][1] + 1]);
    const output = figure.querySelector("output").getBoundingClientRect(), box = svg.getBoundingClientRect();
    const inPicture = output.left >= box.left && output.right <= box.right && output.top >= box.top && output.bottom <= box.bottom;
    const result = { ...read(figure), dots: dots(svg), points: [0, 1, 2, 3, 4].map((agent) => drawn(svg, agent)[k]), inPicture };
    pointer("wide", svg, "pointerleave", [0, 0]);
    return { ...result, cleared: read(figure).hidden };
  }));
  act("before", () => [0, 1].map((agent) => shown("wide", agent)));
  act("switched", () => {
    const buttons = [...inside("wide").querySelectorAll('button[data-agent="0"]')];
    buttons[0].click();
    const figure = figures("wide")[0], svg = figure.querySelector(".wide svg");
    pointer("wide", svg, "pointermove", drawn(svg, 2)[3]);
    return { pressed: buttons.map((b) => b.getAttribute("aria-pressed")), parts: [0, 1].map((agent) => shown("wide", agent)),
             agents: rows(figure).map((row) => row[0]) };
  });
  act("every", () => [1, 2].map(() => {
    inside("wide").querySelector("button[data-every]").click();
    return [0, 1, 2, 3, 4].map((agent) => shown("wide", agent)[0]);
  }));
  act("keys", () => {
    const figure = figures("narrow")[0];
    return ["ArrowLeft", "ArrowLeft", "ArrowDown", "Home", "ArrowLeft", "End", "ArrowUp", "Escape"].map((key) => {
      press(figure, ".narrow", key);
      return read(figure);
    });
  });
  act("touch", () => {
    const figure = figures("narrow")[1], svg = figure.querySelector(".narrow svg");
    pointer("narrow", svg, "pointerdown", drawn(svg, 1)[1], "touch");
    pointer("narrow", svg, "pointerleave", [0, 0], "touch");
    return { ...read(figure), dots: dots(svg), points: [0, 1, 2, 3, 4].map((agent) => drawn(svg, agent)[1]) };
  });
  act("hostile", () => {
    const figure = figures("hostile")[0];
    press(figure, ".narrow", "End");
    return { ...read(figure), markup: figure.querySelectorAll("output script").length };
  });
  act("suite", () => {
    return [...figures("suite")].map((figure) => {
      press(figure, ".narrow", "End");
      return read(figure);
    });
  });
  act("widths", () => Object.fromEntries([...document.querySelectorAll("iframe")].map((each) => {
    const page = each.contentDocument;
    page.querySelectorAll("details").forEach((one) => (one.open = true));
    return [each.id, [page.documentElement.scrollWidth, each.contentWindow.innerWidth]];
  })));
  act("fetched", () => [...document.querySelectorAll("iframe")].map((each) =>
    each.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name)).flat());
  document.getElementById("results").textContent = JSON.stringify(results);
});
"""


def chromium():
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("DUELGYM_TEST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip(f"no {names[0]} is on the path; set DUELGYM_TEST_CHROMIUM to where one is")


def with_duels(results):
    """Give the runs of the first seed one duel of long texts without a space to break at."""
    responses = [Response(text, 0.5, 1, None) for text in ("x" * 3000, f"{HOSTILE}\N{RIGHT-TO-LEFT OVERRIDE}")]
    duel = Duel(10, "why?" * 300, *responses, 2, 0.5, 0)
    runs = (dataclasses.replace(run, duels=(duel,)) if run.seed_index == 0 else run for run in results.runs)
    return dataclasses.replace(results, runs=tuple(runs))


@pytest.fixture(scope="module")
def summary():
    return summarise(with_duels(simulated()), n_resamples=50)


@pytest.fixture(scope="module")
def seen(tmp_path_factory, summary):
    """What one Chromium saw and said of all the pages."""
    folder = tmp_path_factory.mktemp("pages")
    results = with_duels(simulated())
    write_report(results, folder / "report", summary)
    write_report(with_duels(hostile()), folder / "hostile", summarise(hostile(), n_resamples=20))
    suite = SavedSuite("a suite", "", "dimension", {"d=2": 2, "d=64": 64}, {})
    summaries = dict.fromkeys(suite.values, summary)
    found = suite_tables(summaries, results.baseline, suite.varies)
    (folder / "suite.html").write_text(suite_page(suite, summaries, results, found, "caption"))
    frames = "".join(
        f'<iframe id="{name}" src="{path}" style="width:{width}px;height:900px;border:0"'
        f"{' sandbox=allow-same-origin' * (name == 'plain')}></iframe>"
        for name, (path, width) in FRAMES.items()
    )
    outer = f'<!doctype html><meta charset="utf-8"><script>{DRIVER}</script>{frames}<pre id="results"></pre>'
    (folder / "outer.html").write_text(outer)
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files"]
    options += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=20000"]
    command = [chromium(), *options, "--dump-dom", (folder / "outer.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    found = re.search(r'<pre id="results">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-3000:]
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found[1])), said


def close_to(dots, points):
    """Whether both are the same points in whatever order; what is read out is rounded to a ten-thousandth of the axes."""
    return np.allclose(sorted(dots), sorted(points), atol=0.1)


def test_hovering_reads_out_the_nearest_checkpoint_in_every_picture(seen, summary):
    results, _ = seen
    agents = {agent.agent: agent for agent in summary.agents}
    for told, values in zip(results["hover"][:3], ("win", "common", None), strict=True):
        assert told["at"] == "1 280 labels" and told["near"] == "thompson"
        assert not told["hidden"] and told["inPicture"] and told["cleared"]
        assert close_to(told["dots"], told["points"])
        assert sorted(name for name, _ in told["rows"]) == sorted(AGENTS)
        if values is not None:
            expected = {name: with_interval(getattr(agents[name], values)[4]) for name in AGENTS}
            assert dict(told["rows"]) == expected
    profile, law = results["hover"][3:]
    for told, at in ((profile, "area above "), (law, " labels")):
        assert at in told["at"] and not told["hidden"] and told["inPicture"] and told["cleared"]
        assert sorted(name for name, _ in told["rows"]) == sorted(AGENTS)
    assert [name for name, _ in results["hover"][0]["rows"]] == sorted(
        AGENTS, key=lambda name: -agents[name].win.value[4]
    )


def test_a_button_switches_an_agent_in_every_picture_and_among_the_duels(seen):
    results, _ = seen
    # In each of five pictures band and line, twice, two parts of the label, twice; in one of them dots, twice; one duel.
    whole = 5 * 8 + 2 + 1
    assert results["before"] == [[whole, whole]] * 2
    switched = results["switched"]
    assert switched["pressed"] == ["false", "false"]
    assert switched["parts"] == [[0, whole], [whole, whole]]
    assert sorted(switched["agents"]) == sorted(set(AGENTS) - {"passive"})
    assert results["every"] == [[whole] * 5, [0] * 5]


def test_arrow_keys_and_touch_read_values_too(seen):
    results, _ = seen
    *steps, last = results["keys"]
    assert [step["at"] for step in steps] == [
        f"{n} labels" for n in ("6 400", "3 200", "3 200", "0", "0", "6 400", "6 400")
    ]
    assert [step["near"] for step in steps] == ["thompson"] * 2 + ["boltzmann"] * 4 + ["thompson"]
    assert last["hidden"] and not any(step["hidden"] for step in steps)
    touch = results["touch"]
    assert (touch["at"], touch["near"], touch["hidden"]) == ("32 labels", "boltzmann", False)
    assert close_to(touch["dots"], touch["points"])


def test_names_stay_text_and_a_suite_is_read_out_by_its_values(seen, summary):
    results, _ = seen
    ((name, text),) = results["hostile"]["rows"]
    assert name == HOSTILE and text.startswith(".533 [") and results["hostile"]["markup"] == 0
    agents = [agent for agent in summary.agents if agent.agent in AGENTS]
    areas, labels = results["suite"]
    assert areas["at"] == labels["at"] == "dimension 64"
    assert dict(areas["rows"]) == {agent.agent: with_interval(agent.area) for agent in agents}
    costs = {agent.agent: agent.queries_to["25%"] for agent in agents}
    assert dict(labels["rows"]) == {name: whole(cost) for name, cost in costs.items() if np.isfinite(cost.value)} != {}


def test_without_its_script_the_page_is_whole_and_still(seen):
    results, _ = seen
    assert results["controls"] == {
        "wide": {"switches": 2, "outputs": 0, "pictures": 5},
        "plain": {"switches": 0, "outputs": 0, "pictures": 5},
    }


def test_nothing_sticks_out_is_fetched_or_fails(seen):
    results, said = seen
    assert set(results["widths"]) == set(FRAMES)
    assert all(width <= frame for width, frame in results["widths"].values()), results["widths"]
    assert [frame for _, frame in results["widths"].values()] == [width for _, width in FRAMES.values()]
    assert results["fetched"] == []
    assert not [line for line in said if "frame is sandboxed" not in line]
