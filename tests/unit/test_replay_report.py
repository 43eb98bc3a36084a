"""The report's page as text, and what travels inside it. What a browser makes of it: tests/integration."""

import base64
import dataclasses
import hashlib
import json
import re
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser

import numpy as np
import plotly.offline
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.replay import report as page
from grodtd.replay.report import report_html, write_report
from grodtd.replay.report_figures import EquityCurve, distribution, equity_curve, histogram, thinned
from grodtd.replay.report_pack import PackedBars, column, deltas, pack_bars, pack_stops
from grodtd.replay.report_words import Facts, figures, warning_texts
from grodtd.replay.splits import SplitWarning
from grodtd.replay.summary import results, summarize
from tests.unit.report_kit import MINUTE_NS, bracket, prices_of, report_of, walk

HOSTILE = "</script><script>alert(1)</script>&\"'\u2028"
DTYPES = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<f8"}


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, text outside scripts, scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.scripts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script" and self.cdata_elem:
            self.scripts[-1] += data
        else:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    @property
    def data(self):
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def bars():
    return walk(500)


@pytest.fixture(scope="module")
def rows(bars):
    """Sixty brackets would not fit 500 bars: twenty, every third a winner, one still open."""
    made = [bracket(n, bars[0], 20 * n, bars[4], wins=n % 3 == 0) for n in range(1, 21)]
    still_open = {"exit_time_ns": None, "exit_price": None, "exit_reason": "open", "r_multiple": Decimal("0.5")}
    return [*made, bracket(21, bars[0], 450, bars[4], wins=True, **still_open)]


@pytest.fixture(scope="module")
def text(bars, rows):
    return report_html(report_of(bars, rows))


def unpacked(packed):
    return np.frombuffer(base64.b64decode(packed["text"]), dtype=DTYPES[packed["width"]])


def unpacked_bars(packed, scale):
    """Undo `PackedBars` as the page's script does."""
    opens, closes, highs, lows = (unpacked(packed[name]) for name in "ochl")
    found, close = [], packed["close_before"]
    for o, c, h, low in zip(opens, closes, highs, lows, strict=True):
        opened = close + int(o)
        close = opened + int(c)
        bar = (opened, max(opened, close) + int(h), min(opened, close) - int(low), close)
        found.append([Fraction(price, scale) for price in bar])
    return found


# ---------------------------------------------------------------- one file, nothing from outside


def test_nothing_is_loaded_from_anywhere(text):
    asked = ("src", "srcset", "data", "action", "poster", "formaction")
    for tag, attributes in Page(text).elements:
        assert not set(attributes) & set(asked), tag
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        assert re.match(r"#|data:,", attributes.get("href", "#")), attributes


def test_no_element_carries_a_script_or_a_style_of_its_own(text):
    for tag, attributes in Page(text).elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)


def test_only_the_two_scripts_named_by_their_hashes_run_and_no_request_is_allowed(text):
    found = Page(text)
    policy = next(attributes["content"] for _, attributes in found.elements if "http-equiv" in attributes)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    assert rules["img-src"] == "data: blob:"
    _, library, script = found.scripts
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (library, script)]
    assert rules["script-src"] == " ".join(f"'sha256-{value}'" for value in hashes)
    assert library == plotly.offline.get_plotlyjs()


def test_the_same_input_gives_the_same_bytes(bars, rows, tmp_path):
    for name in "ab":
        write_report(tmp_path / name, report_of(bars, rows))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_comes_from_files_is_text_and_never_markup(bars, rows):
    named = [dataclasses.replace(row, bracket_id=HOSTILE, symbol=HOSTILE) for row in rows[:1]]
    run = {"symbol": HOSTILE, "prices_path": HOSTILE, "entries_source": HOSTILE, "options": {HOSTILE: HOSTILE}}
    report = report_of(bars, named, run, title=HOSTILE, symbol=HOSTILE, remarks=[HOSTILE])
    html, plain = report_html(report), report_html(report_of(bars, rows[:1], {"options": {"a": "b"}}, remarks=["c"]))
    assert [tag for tag, _ in Page(html).elements] == [tag for tag, _ in Page(plain).elements]
    assert Page(html).data["ids"] == [HOSTILE]
    assert HOSTILE.removesuffix("\u2028") in Page(html).text
    assert "\u2028" not in Page(html).scripts[0]


@pytest.mark.parametrize("count", [0, 499])
def test_bars_of_unequal_length_are_the_callers_mistake(bars, rows, count):
    broken = report_of((*bars[:4], bars[4][:count]), rows)
    with pytest.raises(ValueError, match="open, high, low and close"):
        report_html(broken)


def test_no_bars_are_the_callers_mistake(bars):
    good = report_of(bars, [])
    none = dataclasses.replace(good, prices=[prices_of([side[:0] for side in bars])])
    with pytest.raises(ValueError, match="at least one bar"):
        report_html(none)


# ---------------------------------------------------------------- what travels inside


@given(st.lists(st.integers(-(2**45), 2**45), max_size=50))
def test_whole_numbers_travel_exactly(values):
    packed = column(np.array(values, dtype=np.int64))
    found = (packed["first"] + np.cumsum(unpacked(packed))) * packed["unit"]
    assert found.tolist() == values


@pytest.mark.parametrize(("steps", "width"), [([127, -128], 1), ([128], 2), ([-32_769], 4), ([2**31], 8), ([], 1)])
def test_a_column_is_as_narrow_as_its_widest_number(steps, width):
    assert deltas(np.array(steps, dtype=np.int64))["width"] == width


@given(st.integers(0, 5), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_prices_travel_exactly(precision, count, seed):
    draw = np.random.default_rng(seed)
    ticks = draw.integers(1, 10**7, (count, 4))
    ohlc = tuple(side / 10**precision for side in (ticks[:, 0], ticks.max(axis=1), ticks.min(axis=1), ticks[:, 3]))
    bars = PackedBars(np.arange(count), ohlc, precision)
    exact = [[Fraction(round(side[i] * 10**precision), 10**precision) for side in ohlc] for i in range(count)]
    assert unpacked_bars(bars.block(0), bars.scale) == exact


def test_a_mid_between_two_ticks_keeps_its_half():
    mid = np.array([1.319275])
    assert PackedBars(np.array([0]), (mid, mid, mid, mid), 5).scale == 10**6


def test_the_coarse_copy_keeps_every_extreme():
    time_ns, *ohlc = walk(7_001)
    bars = PackedBars(time_ns, tuple(ohlc), 2)
    step = bars.coarse_step()
    assert step == 3
    for start, (opened, high, low, close) in zip(
        range(0, 7_001, step), unpacked_bars(bars.coarse(), bars.scale), strict=True
    ):
        part = slice(start, start + step)
        assert float(opened) == ohlc[0][start]
        assert float(high) == ohlc[1][part].max()
        assert float(low) == ohlc[2][part].min()
        assert float(close) == ohlc[3][part][-1]


def test_where_room_is_short_the_brackets_surroundings_come_first():
    time_ns, *ohlc = walk(40_000)
    bars = PackedBars(time_ns, tuple(ohlc), 2)
    whole, left_out = pack_bars(bars, [], 10**7)
    assert (len(whole["blocks"]), left_out) == (157, 0)  # 40,000 bars in blocks of 256
    one_block = len(json.dumps(whole["blocks"]["80"]))
    budget = len(json.dumps(whole["coarse"])) + int(3.5 * one_block)
    # bar 20,500 lies at the begin of block 80, so what is left of it is in block 79
    small, left_out = pack_bars(bars, [(20_500, 20_510), (30_330, 30_340), (9_840, 9_850)], budget)
    assert list(small["blocks"]) == ["79", "80", "118"]
    assert left_out == 1
    assert len(json.dumps(small["blocks"])) <= budget


def test_a_page_of_many_bars_and_brackets_stays_below_its_limit(monkeypatch):
    bars = walk(60_000)
    rows = [bracket(n, bars[0], 20 + 29 * n, bars[4], wins=n % 2 == 0) for n in range(1, 2_001)]
    limit = len(plotly.offline.get_plotlyjs()) + 750_000
    monkeypatch.setattr(page, "PAGE_CHARS", limit)
    html = report_html(report_of(bars, rows))
    assert len(html) <= limit
    assert re.search(r"[\d,]+ of 2,000 brackets are drawn in coarse candles", Page(html).data["notes"]["prices"])


def test_exits_beyond_what_a_page_can_hold_are_counted_and_pointed_to(bars, rows, monkeypatch):
    monkeypatch.setattr(page, "MOST_ROWS", 5)
    found = Page(report_html(report_of(bars, rows)))
    assert len(found.data["rows"]["bracket"]) == 5
    assert "first 5 of 21 exits; exits.csv has them all" in found.text
    chosen = [index for index in found.data["equity"]["bracket"] if index is not None]
    assert sorted(chosen) == [0, 1, 2, 3, 4]
    assert len(found.data["equity"]["r"]) == 22  # zero, twenty closed brackets, the last bar


def test_a_moved_stop_travels_as_stairs_at_the_bars_it_moved_in(bars):
    moves = [(int(bars[0][at]) + 5, Decimal(px)) for at, px in ((10, "9.5"), (12, "9.5"), (15, "9.7"), (15, "9.8"))]
    assert pack_stops({"B": moves}, ["A", "B"], {"B": bars[0]}, 1_000) == ({"1": [10, 9.5, 15, 9.8]}, 0)
    assert pack_stops({"B": moves}, ["A", "B"], {"B": bars[0]}, 5) == ({}, 1)


def test_rows_travel_with_the_bars_they_lie_in(text, rows):
    found = Page(text).data
    columns = found["rows"]
    assert columns["entry_bar"][:3] == [20, 40, 60]
    assert columns["exit_bar"][:3] == [30, 50, 70]
    assert columns["exit_bar"][-1] is None
    assert [found["ids"][at] for at in columns["bracket"]] == [row.bracket_id for row in rows]
    assert [found["reasons"][at] for at in columns["reason"]] == [row.exit_reason for row in rows]
    assert columns["entry_price"] == [float(row.entry_price) for row in rows]


def test_a_bracket_that_left_in_parts_weighs_each_exit_by_its_quantity(bars):
    parts = [
        bracket(1, bars[0], 100, bars[4], wins=True, quantity=Decimal(3)),
        bracket(1, bars[0], 100, bars[4], wins=False, quantity=Decimal(1)),
    ]
    assert Page(report_html(report_of(bars, parts))).data["rows"]["weight"] == [0.75, 0.25]


# ---------------------------------------------------------------- figures


def test_the_equity_curve_tells_the_same_story_as_the_summary(rows):
    curve, summary = equity_curve(results(rows)), summarize(rows)
    assert len(curve.r) == summary.count == 20
    assert curve.r[-1] == float(summary.total_r)
    assert curve.max_drawdown_r == float(summary.max_drawdown_r)
    assert (np.diff(curve.time_ns) >= 0).all()
    assert (curve.peak >= curve.r).all()


def test_the_curve_goes_by_exit_time_not_by_entry(bars):
    slow = bracket(1, bars[0], 20, bars[4], wins=True, exit_time_ns=int(bars[0][400]))
    quick = bracket(2, bars[0], 40, bars[4], wins=False)
    curve = equity_curve(results([slow, quick]))
    assert curve.r.tolist() == [-1.0, 0.5]
    assert curve.bracket.tolist() == [1, 0]
    assert curve.max_drawdown_r == 1.0


@given(st.lists(st.floats(-5, 5), min_size=200, max_size=400))
def test_a_thinned_curve_loses_no_peak_and_no_trough(steps):
    r = np.cumsum(steps)
    curve = EquityCurve(np.arange(len(r)), r, np.maximum.accumulate(r), np.arange(len(r)))
    thin = thinned(curve, 100)
    assert len(thin.r) <= 104
    assert (thin.r[0], thin.r[-1], thin.r.min(), thin.r.max()) == (r[0], r[-1], r.min(), r.max())


def test_a_short_curve_is_left_as_it_is(rows):
    curve = equity_curve(results(rows))
    assert thinned(curve) is curve


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=300))
def test_every_bracket_is_counted_in_one_bin(values):
    found = histogram(np.array(values))
    assert found.count.sum() == len(values)
    assert len(found.count) <= 43
    assert found.count[0] > 0
    assert found.count[-1] > 0


@pytest.mark.parametrize("r", [-1.0, 0.0, 0.3, 1.5, 2.0])
def test_a_common_outcome_has_a_bin_of_its_own(r):
    found = histogram(np.array([-1.0] * 5 + [2.0] * 5 + [r] * 7))
    at = int(np.argmin(np.abs(found.centre - r)))
    assert found.centre[at] == pytest.approx(r)
    assert found.count[at] == 7 + 5 * (r in {-1.0, 2.0})


@pytest.mark.parametrize(("r", "centre"), [(0.15, 0.2), (0.35, 0.4), (-0.15, -0.1), (1.15, 1.2)])
def test_a_value_between_two_bins_goes_up(r, centre):
    found = histogram(np.array([-1.0] * 5 + [2.0] * 5 + [r] * 7))
    assert found.centre[int(found.count.argmax())] == pytest.approx(centre)


def test_one_bracket_of_eighty_r_does_not_squeeze_the_others():
    found = histogram(np.array([-1.0] * 150 + [1.5] * 149 + [80.0]))
    assert found.width == 0.1
    assert found.last_open
    assert not found.first_open


def test_open_brackets_and_those_without_r_are_in_no_curve(bars, rows):
    unmeasured = bracket(30, bars[0], 100, bars[4], wins=False, r_multiple=None)
    assert len(equity_curve(results([*rows, unmeasured])).r) == 20
    assert distribution(results([*rows, unmeasured])).count.sum() == 20


# ---------------------------------------------------------------- words


def facts_of(bars, rows, run=None, remarks=()):
    report = report_of(bars, rows, run)
    return Facts("T", int(bars[0][0]), int(bars[0][-1]), MINUTE_NS, 500, report.summary, tuple(remarks), "1")


def test_the_head_says_what_was_replayed_on_what(text):
    words = Page(text).text
    assert "2014-01-06 00:00 to 2014-01-06 08:19 UTC, 500 1-minute bars, 21 brackets" in words
    assert "Input SHA-256 555555555555" in words
    assert "Fill model pessimistic" in words


def test_daily_bars_are_dated_without_a_time(bars, rows):
    day_ns = 1440 * MINUTE_NS
    times = bars[0][0] + day_ns * np.arange(500, dtype=np.int64)
    words = Page(report_html(report_of((times, *bars[1:]), [], interval_ns=day_ns))).text
    assert "2014-01-06 to 2015-05-20 UTC, 500 daily bars, 0 brackets" in words


@pytest.mark.parametrize(
    "figure",
    [
        "Closed brackets 20 1 open at the end",
        "Win rate 30.0 % 6 won, 14 lost",
        "Expectancy \u22120.25 R win +1.50 R, loss \u22121.00 R",
        "Profit factor 0.64 gross 18.00 to \u221228.00",
        "Total \u22125.00 R best +1.50 R, worst \u22121.00 R",
        "P&L after fees \u221210.00 open: 3.00 marked",
        "Max drawdown \u22125.00 R below the highest so far",
        "Ambiguous exits 0 no fill hung on the model",
    ],
)
def test_each_key_figure_is_the_summarys(bars, rows, figure):
    assert figure in Page(figures(facts_of(bars, rows))).text


def test_a_run_without_brackets_has_dashes_for_figures(bars):
    words = Page(figures(facts_of(bars, []))).text
    assert "Win rate \u2013" in words
    assert "Profit factor \u2013" in words


def test_remarks_splits_fallbacks_and_missing_risk_are_told_once(bars, rows):
    split = SplitWarning(60, int(bars[0][60]), Fraction(7), "2014-06-09: opens at a seventh")
    touched = [f"E{n:06d}" for n in range(1, 11)]
    odd = [
        bracket(40, bars[0], 200, bars[4], wins=False, fallback=True, atr=None),
        bracket(41, bars[0], 210, bars[4], wins=False, r_multiple=None),
    ]
    run = {
        "split_warnings": [split],
        "split_brackets": {split: touched},
        "remarks": ["3 rows dropped"],
    }
    said = warning_texts(facts_of(bars, [*rows, *odd], run, ["3 rows dropped", split.text]))
    assert said == [
        "3 rows dropped",
        f"2014-06-09: opens at a seventh. Brackets it touches: {', '.join(touched[:8])} and 2 more.",
        "1 closed bracket (4.5\u00a0%) had no ATR: the stop is the fallback percentage.",
        "1 closed bracket planned no risk (stop on the wrong side, or at the entry): in no figure in R.",
    ]


def test_a_flood_of_warnings_is_cut_and_says_so(bars, rows):
    words = Page(report_html(report_of(bars, rows, remarks=[f"remark {n}" for n in range(5_000)]))).text
    assert "remark 99" in words
    assert "remark 100" not in words
    assert "4,900 more are in summary.json" in words


def test_a_clean_run_has_no_panel_of_warnings(text):
    assert "Before you trust these figures" not in Page(text).text


def test_exits_by_reason_and_the_three_fill_models_are_told(bars, rows):
    models = {"pessimistic": Decimal(-10), "optimistic": Decimal("4.5"), "path": None}
    words = Page(report_html(report_of(bars, rows, {"pnl_by_fill_model": models}))).text
    assert "stop 14 70.0 % \u221214.00 \u22121.00 \u221228.00" in words
    assert "target 6 30.0 % +9.00 +1.50 18.00" in words
    assert "pessimistic this report \u221210.00 \u2013" in words
    assert "optimistic 4.50 14.50" in words
    assert "path not worked out \u2013" in words


@pytest.mark.parametrize(
    ("model", "told"),
    [("pessimistic", "the stop comes first"), ("optimistic", "the target comes first"), ("path", "nearer extreme")],
)
def test_the_assumptions_say_what_the_fill_model_does(bars, rows, model, told):
    words = Page(report_html(report_of(bars, rows, {"fill_model": model}))).text
    assert f"then the {model} model: " in words
    assert told in words
