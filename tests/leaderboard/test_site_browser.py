"""The leaderboard's page in headless Chromium: on a phone and a wide screen, light and dark, with its script and without."""

import pytest
from bench.test_page_browser import chromium
from made_up_board import ENTRIES, HOSTILE, write_leaderboard

from duelgym_bench.leaderboard.site import write_site

driver = pytest.importorskip("playwright.sync_api", reason="needs the dev extra's Playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the dev extra's axe-core")

WIDTHS = (360, 1440)
SCREENS = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
SEEN_THROUGH = """[...document.querySelectorAll("tbody th")].filter(
  (each) => getComputedStyle(each).position === "sticky" && getComputedStyle(each).backgroundColor === "rgba(0, 0, 0, 0)").length"""
FITS = "[document.documentElement.scrollWidth, innerWidth]"
OPEN = "document.querySelectorAll('details').forEach((each) => (each.open = true))"
# To whatever reads the page aloud a picture is one image; axe would walk through thousands of its shapes all the same.
EMPTY = "document.querySelectorAll('figure svg > *').forEach((each) => each.remove())"
RANKING, SUBMISSIONS = "#ranking-2026-q3", "#submissions-table"


@pytest.fixture(scope="module")
def browser():
    with driver.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write_site(write_leaderboard(tmp_path_factory.mktemp("leaderboard"))).as_uri()


@pytest.fixture
def show(browser, address):
    """Open the page; at the end nothing may have been asked for but the page, and nothing said on the console."""
    contexts, asked, said = [], [], []

    def opened(width=1440, scheme="light", *, script=True):
        screen = {"width": width, "height": 900}
        context = browser.new_context(viewport=screen, color_scheme=scheme, java_script_enabled=script)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert (set(asked), said) == ({address}, [])


def names(page, table):
    """The agents of the rows that are shown, those under a title of their own left out."""
    return page.locator(f"{table} tbody:first-of-type tr:visible th b").all_inner_texts()


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_nothing_sticks_out_and_axe_finds_no_violation(show, width, scheme):
    page = show(width, scheme)
    page.evaluate(OPEN)
    assert page.evaluate(FITS) == [width, width]
    assert page.evaluate(SEEN_THROUGH) == 0, "numbers that scroll beneath a name would show through it"
    page.evaluate(EMPTY)
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20


@pytest.mark.parametrize("width", WIDTHS)
def test_without_its_script_the_page_is_whole(show, width):
    page = show(width, "dark", script=False)
    assert names(page, RANKING) == [agent for _, agent, _ in ENTRIES]
    assert page.locator("button:visible, input:visible, select:visible").count() == 0
    assert page.locator("#ranking figure svg:visible").count() == 3
    page.locator("summary").click()
    assert page.locator("#ranking-2026-q2").is_visible()
    assert page.evaluate(FITS) == [width, width]


def test_columns_sort_both_ways_and_what_says_nothing_goes_last(show):
    page = show()
    best = [agent for _, agent, _ in ENTRIES]
    area, agent, drop = (
        page.locator(f"{RANKING} thead").get_by_role("button", name=name).first
        for name in ("Mean area", "Agent", "Drop")
    )
    head = page.locator(f"{RANKING} th", has=page.get_by_role("button", name="Mean area"))
    assert head.get_attribute("aria-sort") == "descending" and names(page, RANKING) == best
    area.click()
    assert head.get_attribute("aria-sort") == "ascending" and names(page, RANKING) == best[::-1]
    agent.press("Enter")
    assert head.get_attribute("aria-sort") is None and names(page, RANKING) == sorted(best)
    drop.click()
    rest = page.locator(f"{RANKING} tbody").nth(1).locator("tr")
    assert "must lose" in rest.first.inner_text() and rest.count() == 7, "rows stay in their part of the table"
    texts = page.locator(f"{SUBMISSIONS} thead").get_by_role("button", name="Area").first
    for falling in (True, False):
        texts.click()
        shown = page.locator(f"{SUBMISSIONS} tbody td:nth-child(4)").all_inner_texts()
        assert shown[-2:] == ["-", "-"] and shown[:-2] == sorted(shown[:-2], reverse=falling)


def test_rows_are_filtered_by_text_and_status_and_counted(show):
    page = show(360)
    ranking, submissions = (page.locator(f".filter[data-table='{table[1:]}']") for table in (RANKING, SUBMISSIONS))
    count = submissions.get_by_role("status")
    assert count.inner_text() == "10 of 10 rows"
    submissions.get_by_label("Status").select_option("replayed")
    assert (names(page, SUBMISSIONS), count.inner_text()) == (["curious-passive"], "1 of 10 rows")
    submissions.get_by_label("Status").select_option("")
    submissions.get_by_label("Filter").fill("EXAMPLE-lab")
    assert len(names(page, SUBMISSIONS)) == 4 and count.inner_text() == "4 of 10 rows"
    submissions.get_by_label("Filter").fill("<script>")
    assert names(page, SUBMISSIONS) == ["passive-plus"] and page.get_by_text(HOSTILE).first.is_visible()
    ranking.get_by_label("Status").select_option("limit")
    assert page.locator(f"{RANKING} tbody tr:visible").count() == 3, "two limits under their title"
    assert ranking.get_by_role("status").inner_text() == "2 of 14 rows"


def test_the_keyboard_reaches_everything_and_focus_is_seen(show):
    page = show()
    focused = "[document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == ["Skip to the ranking", "solid"] and page.get_by_text("Skip to").is_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#ranking .filter') !== null")
    figure = page.locator("#ranking figure").first
    figure.locator(".wide").press("End")
    assert figure.locator("output").inner_text().startswith("3 200 labels")
    page.locator("button[data-agent]").first.click()
    assert figure.locator("svg:visible [data-agent='0']:visible").count() == 0
