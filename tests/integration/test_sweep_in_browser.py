"""A sweep's page in a real browser: Chromium, at a desktop's and a phone's width, light and dark.

The page is opened from disk. Whatever it writes to the console, throws or asks the network for fails the test.
"""

import re
import shutil

import pytest

from grodtd.replay.sweep import sweep
from grodtd.replay.sweep_report import write_page
from grodtd.replay.sweep_words import figure
from tests.integration.test_sweep import covered, job_in
from tests.twin.scenarios import bars_scenario

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser: pip install playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.timeout(300),
]
DESKTOP = {"viewport": {"width": 1400, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
GRIDS = {
    "two": "atr.multiplier: {from: 0.5, to: 12, step: 0.5}\nrisk_reward: {min_ratio: 0.1, max_ratio: 10, strategy: "
    "fixed_ratio, base_ratio: [3, 0.7, 1.5]}\n",
    "one": "atr.multiplier: [1, 2, 3]\n",
    "three": "atr.multiplier: [1, 2]\natr.period: [2, 5, 9]\nrisk_reward: {min_ratio: 0.1, max_ratio: 10, strategy: "
    "fixed_ratio, base_ratio: [3, 1.5]}\n",
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Write a page each for a wide grid of two axes, one axis, three axes."""
    folder, found = tmp_path_factory.mktemp("sweeps"), {}
    for name, grid in GRIDS.items():
        found[name] = sweep(job_in(folder / name, covered(bars_scenario(3)), grid), folder / f"{name}-out")
        write_page(folder / f"{name}.html", found[name])
    return folder, found


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, swept):
    """Open a page by name; at the end of the test, it must have been quiet."""
    opened = []

    def opener(name, device=None, **more):
        context = chromium.new_context(**((device or DESKTOP) | more))
        context.set_default_timeout(90_000)
        page, complaints = context.new_page(), []
        opened.append((context, complaints))
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda request: complaints.append(f"request: {request.url[:80]}"))
        page.goto((swept[0] / f"{name}.html").as_uri())
        return page

    yield opener
    for context, complaints in opened:
        assert [what for what in complaints if not re.match(r"request: (file:.*\.html|data:)", what)] == []
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", GRIDS)
def test_a_page_opens_quietly_and_fits_the_screen(open_page, name, device, scheme):
    page = open_page(name, device, color_scheme=scheme)
    width, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= screen
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in re.findall(r"\d+", paper)[:3]) > 600) == (scheme == "light")


def test_every_cell_of_the_map_shows_its_settings_figure(open_page, swept):
    page, found = open_page("two"), swept[1]["two"]
    cells = page.locator("#maps section", has_text="Expectancy").locator("tbody tr")
    across = len(found.job.grid.axes[0].values)
    shown = [row.split("\t")[1:] for row in cells.all_inner_texts()]
    assert (len(shown), len(shown[0])) == (3, across)
    for number, figures in found.figures.items():
        assert shown[number % 3][number // 3] == figure(figures.expectancy_r)
    assert page.locator("td.chosen").count() == 3


def test_a_map_wider_than_the_phone_moves_under_the_thumb_and_keeps_its_names(open_page):
    page = open_page("two", PHONE)
    scroll = page.locator("#maps .scroll").first
    assert scroll.evaluate("box => box.scrollWidth > box.clientWidth")
    name = scroll.locator("tbody th").first
    before = name.bounding_box()["x"]
    scroll.evaluate("box => { box.scrollLeft = 200; }")
    assert abs(name.bounding_box()["x"] - before) <= 2  # the space between cells


def test_the_axes_are_named_and_what_is_held_is_said(open_page):
    page = open_page("three")
    assert "atr.period →" in page.locator(".heat caption").first.inner_text()
    assert "Held: " in page.locator("#maps .note").first.inner_text()
    assert open_page("one").locator(".heat caption").first.inner_text() == "atr.multiplier →"


def test_the_page_moves_to_its_parts(open_page):
    page = open_page("two")
    for link in page.locator(".nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1
    page.locator(".nav a", has_text="Walk forward").click()
    playwright.expect(page.locator("#forward-title")).to_be_in_viewport()
