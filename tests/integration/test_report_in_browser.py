"""The report in a real browser: Chromium, at a desktop's and a phone's width, light and dark.

Each page is opened from disk. Whatever it writes to the console, throws or asks the network for fails the test.
"""

import dataclasses
import re
import shutil
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from grodtd.replay.report import write_report
from tests.unit.report_kit import bracket, prices_of, report_of, walk

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser: pip install playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.timeout(300),
]

PATIENCE_MS = 90_000
"""Loading is slow on a busy machine; nothing here waits longer than it must."""

DESKTOP = {"viewport": {"width": 1400, "height": 900}}
TABLET = {"viewport": {"width": 820, "height": 1180}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DASH = "\u2013"
HOSTILE = "</script><img src=x onerror=alert(1)>&<b>\u2028"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Write the pages once: a long period with many brackets, a short one with one, hostile names, no entries."""
    folder = tmp_path_factory.mktemp("reports")
    long, short = walk(12_000), walk(500)
    many = [bracket(n, long[0], 20 + 190 * n, long[4], wins=n % 3 == 0, ambiguous=n % 7 == 0) for n in range(1, 61)]
    many[-1] = dataclasses.replace(many[-1], mae_r=Decimal(-80))
    one = [bracket(1, short[0], 100, short[4], wins=True)]
    stairs = [(int(short[0][100 + step]), one[0].stop_price + Decimal(step) / 100) for step in range(1, 9)]
    crowd = [bracket(n, long[0], 20 + 2 * n, long[4], wins=n % 2 == 0) for n in range(1, 5001)]
    named = [dataclasses.replace(one[0], bracket_id=HOSTILE, symbol=HOSTILE)]
    found = {
        "many": report_of(long, many),
        "one": report_of(short, one, stop_history={"E000001": stairs}),
        "crowd": report_of(long, crowd),
        "hostile": report_of(short, named, title=HOSTILE, symbol=HOSTILE, remarks=[HOSTILE]),
        "empty": report_of(short, []),
        "two": two_symbols(long, many, short),
    }
    for name, report in found.items():
        write_report(folder / f"{name}.html", report)
    return folder


def two_symbols(long, rows, short):
    """Sixty brackets on one symbol and three on another, whose prices stand elsewhere and have a digit more."""
    others = (short[0], *(side * 30 for side in short[1:]))
    more = [
        dataclasses.replace(bracket(n, others[0], 90 * n, others[4], wins=True), bracket_id=f"F{n:06d}", symbol="OTHER")
        for n in range(1, 4)
    ]
    facts = {"path": "x", "sha256": "0" * 64, "prices": 500, "interval_s": 60, "total_r": 1.5, "expectancy_r": 0.5}
    figures = [
        facts | {"symbol": symbol, "brackets": count, "count": count, "wins": 1, "pnl": 2.0}
        for symbol, count in (("OTHER", 3), ("TEST", 60))
    ]
    report = report_of(long, [*rows, *more], title="OTHER, TEST: 63 entries")
    prices = [prices_of(others, "OTHER"), *report.prices]
    return dataclasses.replace(report, prices=prices, summary={**report.summary, "by_symbol": figures})


@pytest.fixture(scope="module")
def chromium():
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page, and what it did that a report must not do."""

    page: object
    complaints: list[str] = field(default_factory=list)

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def expect(self, selector, **having):
        """Wait until what `selector` finds is as expected (the page's policy forbids waiting by expression)."""
        return playwright.expect(self.page.locator(selector, **having))


@pytest.fixture
def open_page(chromium, pages):
    """Open a page by name; at the end of the test, it must have been quiet."""
    opened = []

    def opener(name, device=None, **more):
        context = chromium.new_context(**((device or DESKTOP) | more))
        context.set_default_timeout(PATIENCE_MS)
        found = Opened(context.new_page())
        opened.append(found)
        found.page.on("console", lambda message: found.complaints.append(f"console: {message.text}"))
        found.page.on("pageerror", lambda error: found.complaints.append(f"error: {error}"))
        found.page.on("dialog", lambda dialog: found.complaints.append(f"dialog: {dialog.message}"))
        found.page.on("request", lambda request: found.complaints.append(f"request: {request.url[:80]}"))
        found.page.goto((pages / f"{name}.html").as_uri())
        for chart in ("prices", "equity", "distribution", "excursion"):
            found.expect(f"#{chart}-chart .main-svg").not_to_have_count(0)
        return found

    yield opener
    for found in opened:
        # the page itself is its only request; data: is what Plotly measures letters with
        outside = [what for what in found.complaints if not re.match(r"request: (file:.*\.html|data:|blob:)", what)]
        assert outside == []
        found.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
def test_a_report_opens_quietly_and_fits_the_screen(open_page, device, scheme):
    report = open_page("many", device, color_scheme=scheme)
    width, screen = report.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= screen
    paper = report.page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(int(part) for part in re.findall(r"\d+", paper)[:3])
    assert (lightness > 600) == (scheme == "light")


def test_choosing_a_row_zooms_the_chart_to_its_bracket(open_page):
    report = open_page("many")
    assert "bars a candle" in report.text("#readout")
    report.page.locator("#rows tbody tr", has_text="E000007").click()
    report.expect("#readout").not_to_contain_text("bars a candle")
    strip = report.text("#strip")
    # E000007 enters at bar 20 + 190 * 7 = 1350, 22:30 on the first day, and leaves ten minutes later
    assert "2014-01-06 22:30" in strip
    assert "2014-01-06 22:40" in strip
    assert "out, stop" in strip
    in_view = re.search(r"2014-01-06 (\d\d:\d\d) . 2014-01-06 (\d\d:\d\d)", report.text("#readout"))
    assert "21:30" <= in_view[1] < "22:30"
    assert "22:40" < in_view[2] <= "23:40"
    assert report.page.evaluate("location.hash") == "#bracket=E000007"
    report.page.locator("#next-bracket").click()
    report.expect("#strip h3").to_have_text("E000008")
    report.page.keyboard.press("Escape")
    report.expect("#strip").to_be_hidden()
    assert "bars a candle" in report.text("#readout")


def test_an_address_with_a_bracket_opens_on_it(open_page, chromium, pages):
    context = chromium.new_context(**DESKTOP)
    page = context.new_page()
    page.goto((pages / "many.html").as_uri() + "#bracket=E000030")
    page.wait_for_selector("#strip h3", timeout=PATIENCE_MS)
    assert page.locator("#strip h3").inner_text() == "E000030"
    context.close()


def test_the_chosen_bracket_shows_its_lines_and_the_stairs_of_its_stop(open_page):
    report = open_page("one")
    report.page.locator("#rows tbody tr").first.click()
    report.expect("#prices-chart .annotation").to_have_count(3)
    drawn = report.page.evaluate(
        """() => {
          const chart = document.querySelector("#prices-chart");
          const lines = chart.data.filter((trace) => trace.mode === "lines" && trace.line.dash === undefined);
          return {
            zones: chart.layout.shapes.map((zone) => [zone.x0, zone.x1]),
            lines: lines.map((trace) => [trace.x.filter((x) => x !== null), trace.y.filter((y) => y !== null)]),
          };
        }"""
    )
    assert drawn["zones"] == [[100, 110], [100, 110]]
    (stop_bars, stops), (target_bars, targets) = drawn["lines"]
    assert stop_bars == [*range(100, 109), 110]
    assert stops == sorted(stops)
    assert round(stops[-1] - stops[0], 2) == 0.08
    assert target_bars == [100, 110]
    assert len(set(targets)) == 1
    assert "moved to" in report.text("#strip")


def test_a_click_on_a_sign_in_the_chart_chooses_its_bracket(open_page):
    report = open_page("one")
    sign = report.page.locator("#prices-chart .scatterlayer .points path").first
    box = sign.bounding_box()
    report.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    report.expect("#strip h3").to_have_text("E000001")


def test_a_click_on_a_point_of_mae_and_mfe_chooses_its_bracket(open_page):
    report = open_page("one")
    report.page.locator("#excursion-chart").scroll_into_view_if_needed()
    box = report.page.locator("#excursion-chart .scatterlayer .points path").first.bounding_box()
    report.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    report.expect("#strip h3").to_have_text("E000001")


def test_an_excursion_of_eighty_r_does_not_push_the_others_into_a_corner(open_page):
    report = open_page("many")
    assert "Off the scale, drawn on its edge: 1." in report.text("#excursion-note")
    assert report.page.evaluate("document.querySelector('#excursion-chart').layout.xaxis.range[1]") < 2


def test_dragging_over_the_chart_zooms_and_the_whole_period_comes_back(open_page):
    report = open_page("many")
    whole = report.text("#readout")
    box = report.page.locator("#prices-chart").bounding_box()
    report.page.mouse.move(box["x"] + 300, box["y"] + 200)
    report.page.mouse.down()
    report.page.mouse.move(box["x"] + 420, box["y"] + 240, steps=6)
    report.page.mouse.up()
    report.page.mouse.move(10, 10)
    report.expect("#readout").not_to_have_text(whole)
    assert report.page.evaluate("document.querySelector('#prices-chart').layout.xaxis.range[0]") > 1000
    report.page.locator("#whole").click()
    report.expect("#readout").to_have_text(whole)


def test_the_table_filters_sorts_and_turns_pages(open_page):
    report = open_page("many")
    assert report.page.locator("#rows tbody tr").count() == 20
    assert f"1{DASH}20 of 60 exits" in report.text("#pager")
    report.page.get_by_role("button", name="Next", exact=True).click()
    assert f"21{DASH}40 of 60 exits" in report.text("#pager")
    report.page.locator("#filter-reason").select_option("target")
    assert f"1{DASH}20 of 20 exits, +30.00 R together" in report.text("#pager")
    assert all(text.startswith("target") for text in report.page.locator("#rows td.reason").all_inner_texts())
    report.page.locator("#filter-reason").select_option("")
    report.page.get_by_role("button", name="R", exact=True).click()
    assert set(report.page.locator("#rows td.r").all_inner_texts()) == {"\u22121.00"}
    assert report.page.locator("#rows th[data-key=r_multiple]").get_attribute("aria-sort") == "ascending"
    report.page.locator("a[data-remark=ambiguous]").click()
    assert "of 8 exits" in report.text("#pager")
    report.page.locator("#search").fill("e000014")
    assert f"1{DASH}1 of 1 exits" in report.text("#pager")
    report.page.locator("#search").fill("nobody")
    assert "No bracket fits" in report.text("#rows tbody")


def test_on_a_phone_rows_are_cards_and_a_tap_shows_the_bracket(open_page):
    report = open_page("many", PHONE)
    card = report.page.locator("#rows tbody tr", has_text="E000003")
    assert "in 2014-01-06 09:50 at" in card.inner_text().replace("\n", " ")
    card.tap()
    report.expect("#strip h3").to_have_text("E000003")
    report.expect("#prices-title").to_be_in_viewport()


def test_names_from_files_are_shown_as_written_and_never_run(open_page):
    report = open_page("hostile")
    report.page.locator("#rows tbody tr").first.click()
    report.expect("#strip").to_be_visible()
    assert report.text("h1").rstrip("\u2028") == HOSTILE.rstrip("\u2028")
    assert "<img src=x" in report.text("#strip h3")
    assert "<img src=x" in report.text(".warnings")
    assert report.page.locator("img").count() == 0


def test_five_thousand_brackets_stay_in_reach(open_page):
    report = open_page("crowd")
    assert "of 5,000 exits" in report.text("#pager")
    # signs that would cover each other are drawn as one: at most one of each of four kinds for each of 600 candles
    signs = report.page.evaluate("document.querySelectorAll('#prices-chart .scatterlayer .points path').length")
    assert 0 < signs <= 2_400
    report.page.locator("#search").fill("E004000")
    report.page.locator("#rows tbody tr").first.click()
    report.expect("#strip h3").to_have_text("E004000")
    assert "bars a candle" not in report.text("#readout")


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_several_symbols_have_a_chart_each_and_one_table(open_page, device):
    report = open_page("two", device)
    width, screen = report.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= screen
    assert "OTHER" in report.text("#symbols")
    marks = "[...document.querySelectorAll('#prices-chart .scatterlayer .points path')].length"
    report.expect("#market").to_have_value("0")
    report.expect("#readout").to_contain_text(f"{DASH} 2014-01-06 08:")  # 500 minutes
    own = report.page.evaluate(marks)
    assert own == 6  # an entry and an exit of each of three
    report.page.locator("#market").select_option("TEST")
    report.expect("#readout").to_contain_text(f"{DASH} 2014-01-14 0")
    report.page.locator("#filter-symbol").select_option("OTHER")
    assert "of 3 exits" in report.text("#pager")
    report.page.locator("#rows tbody tr").last.click()
    report.expect("#strip").to_contain_text("OTHER, ")
    report.expect("#market").to_have_value("0")
    low, high = report.page.evaluate("document.querySelector('#prices-chart').layout.yaxis.range")
    assert 2_000 < low < high < 4_000


def test_one_symbol_has_nothing_to_choose(open_page):
    report = open_page("one")
    report.expect("#market").to_be_hidden()
    assert report.page.locator("#filter-symbol").count() == 0


def test_a_replay_without_entries_says_so(open_page):
    report = open_page("empty")
    assert "No entries, so no brackets." in report.text("#rows tbody")
    assert "No closed bracket" in report.text("#equity-chart")


def test_on_paper_everything_is_light_and_as_wide_as_the_sheet(open_page):
    report = open_page("one", color_scheme="dark")
    # a printer takes the page as it is when the event returns
    width = report.page.evaluate(
        """() => {
          window.dispatchEvent(new Event("beforeprint"));
          return document.querySelector("#prices-chart .main-svg").clientWidth;
        }"""
    )
    assert 500 < width < 700  # 185 mm less the panel's border
    assert (
        report.page.evaluate("getComputedStyle(document.querySelector('.panel')).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    report.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    report.expect("#prices-chart .main-svg >> nth=0").to_have_css("width", re.compile(r"^1\d{3}"))
