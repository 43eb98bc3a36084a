"""The comparison's page in a real browser: Chromium, at a desktop's and a phone's width, light and dark.

Each page is opened from disk. Whatever it writes to the console, throws or asks the network for fails the test.
"""

import dataclasses
import re
import shutil
from decimal import Decimal

import pytest

from grodtd.replay.compare import Skipped
from grodtd.replay.compare_report import write_page
from tests.unit.compare_kit import STEADY, TWO, compared

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser: pip install playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.timeout(300),
]
PATIENCE_MS = 90_000
DESKTOP = {"viewport": {"width": 1400, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
HOSTILE = "</script><img src=x>&<b>"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Two policies; eight with names a page must not choke on, one of which skipped a trade; no entries at all."""
    folder = tmp_path_factory.mktemp("pages")
    two = compared(folder, TWO)
    write_page(folder / "two.html", two)
    names = [f'"{HOSTILE}"', *(f"policy number {n} with a long name" for n in range(1, 8))]
    eight = compared(folder, "".join(f"{name}:\n{STEADY % (2 + n / 2)}" for n, name in enumerate(names)))
    last = eight.runs[-1]
    short = dataclasses.replace(
        last, rows=last.rows[1:], skipped=[Skipped(last.rows[0].bracket_id, "entries.csv:2", HOSTILE)]
    )
    write_page(folder / "eight.html", dataclasses.replace(eight, runs=[*eight.runs[:-1], short]))
    write_page(folder / "none.html", compared(folder, TWO, cycles=0))
    moved = {
        "E000001": [
            (row.entry_time_ns + 3_600_000_000_000, row.stop_price + Decimal("0.5")) for row in two.runs[0].rows[:1]
        ]
    }
    stairs = dataclasses.replace(two.runs[0], stop_history=moved)
    write_page(folder / "stairs.html", dataclasses.replace(two, runs=[stairs, two.runs[1]]))
    return folder


@pytest.fixture(scope="module")
def chromium():
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, pages):
    """Open a page by name; at the end of the test, it must have been quiet."""
    opened = []

    def opener(name, device=None, address="", **more):
        context = chromium.new_context(**((device or DESKTOP) | more))
        context.set_default_timeout(PATIENCE_MS)
        page, complaints = context.new_page(), []
        opened.append((context, complaints))
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: complaints.append(f"request: {request.url[:80]}"))
        page.goto((pages / f"{name}.html").as_uri() + address)
        for chart in ("prices", "expectancy", "difference", "equity", "distribution"):
            playwright.expect(page.locator(f"#{chart}-chart .main-svg")).not_to_have_count(0)
        return page

    yield opener
    for context, complaints in opened:
        outside = [what for what in complaints if not re.match(r"request: (file:.*\.html|data:|blob:)", what)]
        assert outside == []
        context.close()


def expect(page, selector, **having):
    return playwright.expect(page.locator(selector, **having))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["two", "eight"])
def test_a_comparison_opens_quietly_and_fits_the_screen(open_page, name, device, scheme):
    page = open_page(name, device, color_scheme=scheme)
    width, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= screen
    lightness = sum(map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]))
    assert (lightness > 600) == (scheme == "light")


def test_it_says_first_what_the_trades_can_show(open_page):
    page = open_page("two")
    told = page.locator("#verdicts").inner_text()
    assert "better" in page.locator("#verdicts .badge").inner_text()
    assert "With the same quantity: better than \u201ctight\u201d by +4.75\u00a0R a trade" in told
    assert "sized from its own stop" in told


def test_it_opens_on_the_trade_the_policies_disagree_about_most(open_page):
    page = open_page("two")
    strip = page.locator("#strip tbody tr")
    assert strip.count() == 2
    assert "stop" in strip.nth(0).inner_text()
    assert "target" in strip.nth(1).inner_text()
    drawn = page.evaluate(
        """() => document.querySelector("#prices-chart").data
          .filter((trace) => trace.mode === "markers").map((trace) => [trace.marker.symbol, trace.x.length])"""
    )
    assert [symbol for symbol, _ in drawn[:2]] == ["circle", "square"]  # one exit a policy, then the entry


def test_choosing_a_row_shows_that_trade_and_the_address_names_it(open_page):
    page = open_page("two")
    page.locator("#search").fill("E000007")
    page.locator("#rows tbody tr").first.click()
    expect(page, "#strip h3").to_have_text("E000007")
    assert page.evaluate("location.hash") == "#trade=E000007"
    expect(page, "#rows tbody tr.selected").to_have_count(1)
    page.keyboard.press("Escape")
    expect(page, "#strip").to_be_hidden()


def test_an_address_with_a_trade_opens_on_it(open_page):
    expect(open_page("two", address="#trade=E000011"), "#strip h3").to_have_text("E000011")


def test_the_keyboard_alone_chooses_trades_and_the_measure(open_page):
    page = open_page("two")
    page.locator("#rows tbody tr button").nth(2).focus()
    name = page.locator("#rows tbody tr button").nth(2).inner_text()
    page.keyboard.press("Enter")
    expect(page, "#strip h3").to_have_text(name)
    page.locator("[data-measure=own_r]").focus()
    page.keyboard.press("Space")
    expect(page, "[data-measure=own_r]").to_have_attribute("aria-pressed", "true")


def test_the_measure_changes_charts_and_table(open_page):
    page = open_page("two")
    mean = "document.querySelector('#expectancy-chart').data[1].x[0]"
    assert page.evaluate(mean) == pytest.approx(3.75, abs=0.1)
    page.locator("[data-measure=own_r]").click()
    expect(page, "[data-measure=reference_r]").to_have_attribute("aria-pressed", "false")
    assert page.evaluate(mean) == pytest.approx(1.5, abs=0.1)
    assert "+1.5" in page.locator("#rows tbody tr").first.inner_text()


def test_the_table_sorts_filters_and_turns_pages(open_page):
    page = open_page("two")
    assert "of 40 trades" in page.locator("#pager").inner_text()
    page.get_by_role("button", name="Next", exact=True).click()
    assert page.locator("#pager").inner_text().startswith("16")
    page.locator("#rows thead th[data-key=id] button").click()
    assert page.locator("#rows tbody th button").first.inner_text() == "E000040"
    page.locator("#only").select_option("skipped")
    assert "No trade fits" in page.locator("#rows tbody").inner_text()


def test_eight_policies_with_awkward_names_are_told_apart(open_page):
    page = open_page("eight")
    assert page.locator("img").count() == 0
    assert HOSTILE in page.locator("#figures thead").inner_text()
    colours = page.evaluate(
        "[...document.querySelectorAll('#legend .swatch')].map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert len(set(colours)) == 8
    page.locator("#only").select_option("skipped")
    assert "1 of 1 trades" in page.locator("#pager").inner_text()
    page.locator("#rows tbody tr").first.click()
    assert f"skipped this entry, entries.csv:2: {HOSTILE}" in page.locator("#strip").inner_text()


def test_a_stop_that_moved_is_drawn_as_a_staircase(open_page):
    page = open_page("stairs", address="#trade=E000001")
    expect(page, "#strip h3").to_have_text("E000001")
    assert "\u2192" in page.locator("#strip").inner_text()


def test_a_comparison_without_entries_says_so(open_page):
    page = open_page("none")
    assert "No entries, so no trades." in page.locator("#rows tbody").inner_text()
    assert "Nothing to compare" in page.locator("#verdicts").inner_text()
