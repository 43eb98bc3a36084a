"""Live bars out of quotes, as a chart would draw them, and when there is an ATR."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.market import Bar, Quote
from grodtd.domain.policy import AtrPolicy, Policy
from grodtd.runtime.bars import LiveBars, lengths_wanted

MINUTE = 60
NS = 1_000_000_000


def quote(second, bid, ask=None, symbol="X"):
    return Quote(symbol, Decimal(str(bid)), Decimal(str(bid if ask is None else ask)), round(second * NS))


def watching(*quotes, keep=10, **options):
    bars = LiveBars({MINUTE: keep}, **options)
    for one in quotes:
        bars.take(one)
    return bars


def drawn(bars, until_s, count=10, symbol="X"):
    """Return (minute, open, high, low, close) of each closed bar."""
    found = asyncio.run(bars.bars(symbol, MINUTE, count, round(until_s * NS)))
    return [(b.ts_event_ns // NS // MINUTE, *(float(px) for px in (b.open, b.high, b.low, b.close))) for b in found]


@pytest.mark.parametrize(
    ("told", "quotes", "until_s", "expected"),
    [
        (
            "two minutes, watched from the first second",
            [quote(0, 10), quote(20, 12), quote(40, 9), quote(59, 11), quote(60, 11), quote(119, 13)],
            120,
            [(0, 10, 12, 9, 11), (1, 11, 13, 11, 13)],
        ),
        ("the minute under way is not told", [quote(0, 10), quote(60, 11)], 119.9, [(0, 10, 10, 10, 10)]),
        ("over is over, quote or no quote", [quote(0, 10), quote(60, 11)], 120, [(0,) + (10,) * 4, (1,) + (11,) * 4]),
        (
            "come late into a minute, its range is not known",
            [quote(30, 10), quote(60, 11)],
            120,
            [(1, 11, 11, 11, 11)],
        ),
        (
            "the mid counts, not the bid",
            [quote(0, 10, 12), quote(30, 13, 14)],
            60,
            [(0, 11, 13.5, 11, 13.5)],
        ),
        (
            "crossed, zero and late quotes draw nothing",
            [quote(0, 10), quote(10, 99, 98), quote(20, 0), quote(60, 11), quote(59, 50), quote(70, 11.5)],
            120,
            [(0, 10, 10, 10, 10), (1, 11, 11.5, 11, 11.5)],
        ),
        (
            "a minute without a quote has no bar",
            [quote(0, 10), quote(180, 12)],
            240,
            [(0, 10, 10, 10, 10), (3, 12, 12, 12, 12)],
        ),
    ],
)
def test_quotes_draw_bars(told, quotes, until_s, expected):
    assert drawn(watching(*quotes), until_s) == expected, told


def test_a_recorded_market_goes_by_its_own_time():
    bars = watching(quote(0, 10), quote(60, 11), clocked=False)
    assert drawn(bars, until_s=1e9) == [(0, 10, 10, 10, 10)]


def test_what_the_connection_was_lost_in_is_left_out():
    bars = watching(quote(0, 10), quote(60, 11))
    bars.interrupted()
    for one in (quote(90, 20), quote(120, 12), quote(180, 13)):
        bars.take(one)
    assert drawn(bars, 240) == [(0,) + (10,) * 4, (2,) + (12,) * 4, (3,) + (13,) * 4]


def test_only_so_many_are_kept_and_given():
    bars = watching(*(quote(minute * 60, 10 + minute) for minute in range(8)), keep=5)
    assert [row[0] for row in drawn(bars, 480, count=100)] == [2, 3, 4, 5, 6, 7]
    assert [row[0] for row in drawn(bars, 480, count=2)] == [6, 7]


def test_history_comes_before_what_the_quotes_draw():
    bars = LiveBars({MINUTE: 10})
    bars.add_history(MINUTE, [Bar("X", minute * 60 * NS, *[Decimal(5)] * 4) for minute in range(3)])
    bars.take(quote(150, 7))  # minute 2 again, from its middle on: history knows it whole
    bars.take(quote(180, 8))
    assert [row[:2] for row in drawn(bars, 240)] == [(0, 5), (1, 5), (2, 5), (3, 8)]


def test_symbols_do_not_mix():
    bars = watching(quote(0, 10), quote(0, 20, symbol="Y"), quote(30, 21, symbol="Y"))
    assert drawn(bars, 60) == [(0, 10, 10, 10, 10)]
    assert drawn(bars, 60, symbol="Y") == [(0, 20, 21, 20, 21)]


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 50)), min_size=1, max_size=60))
def test_no_quote_of_a_whole_minute_is_outside_its_bar(steps):
    bars, second, seen = LiveBars({MINUTE: 1000}), 0, {}
    for step, px in [(0, 25), *steps]:
        second += step
        bars.take(quote(second, px))
        seen.setdefault(second // 60, []).append(px)
    assert drawn(bars, second + 60, count=1000) == [
        (minute, pxs[0], max(pxs), min(pxs), pxs[-1]) for minute, pxs in seen.items()
    ]


# ---------------------------------------------------------------- the ATR that can be had

POLICY = Policy(atr=AtrPolicy(period=3, interval_s=MINUTE))


@pytest.mark.parametrize(
    ("minutes", "have", "why"),
    [
        (0, 0, "not enough bars: have 0, need 4"),
        (3, 3, "not enough bars: have 3, need 4"),
        (4, 4, ""),
    ],
)
def test_four_closed_bars_make_an_atr_of_three(minutes, have, why):
    bars = LiveBars(lengths_wanted([POLICY]))
    for minute in range(minutes):
        bars.take(quote(minute * 60, 10))
        bars.take(quote(minute * 60 + 30, 12))
    warmth = bars.warmth("X", POLICY, minutes * 60 * NS)
    assert (warmth.bars, warmth.needed, warmth.why_no_atr) == (have, 4, why)
    assert warmth.atr_px == (None if why else Decimal(2))


def test_daily_bars_make_no_minutes():
    bars = watching(quote(0, 10), quote(60, 11), quote(120, 12))
    bars.coarse("X", 86_400)
    assert drawn(bars, 240) == []
    assert bars.warmth("X", POLICY, 240 * NS).why_no_atr == "the feed's bars are 86400 s long, atr.interval is 60 s"


def test_each_length_some_strategy_wants_is_kept_as_long_as_the_longest_needs():
    slow = Policy(atr=AtrPolicy(period=50, interval_s=MINUTE))
    hourly = Policy(atr=AtrPolicy(period=14, interval_s=3600))
    assert lengths_wanted([POLICY, slow, hourly]) == {MINUTE: 251, 3600: 143}


def test_a_reader_of_quotes_gets_its_own_symbols():
    async def story():
        bars = LiveBars({})
        reader = bars.quotes(["X"])
        first = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        bars.take(quote(1, 5, symbol="Y"))
        bars.take(quote(2, 6))
        assert (await first).bid == 6
        await reader.aclose()

    asyncio.run(story())


def test_a_quote_from_a_time_that_is_not_yet_is_of_no_bar():
    """A venue's clock slipped once: what comes after it still makes bars."""
    slip = Quote("X", Decimal(99), Decimal(99), 9_000 * NS, 30 * NS)
    bars = watching(quote(0, 10), slip, quote(59, 12), quote(60, 11), quote(119, 11))
    assert drawn(bars, 120) == [(0, 10, 12, 10, 12), (1, 11, 11, 11, 11)]
