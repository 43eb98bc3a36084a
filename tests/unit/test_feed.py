"""Recorded quotes played back: in which order, at which pace, from where."""

import asyncio
import selectors
from decimal import Decimal

import pytest

from grodtd.domain.market import Bar, Quote
from grodtd.runtime.feed import FeedPlayer, Recording, let_pass, merged, quotes_of_bar

S = 1_000_000_000


class NoWaiting(selectors.SelectSelector):
    """Instead of waiting, moves the clock on."""

    now_s = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("nothing is due any more: something waits for ever")
        self.now_s += max(timeout, 0)
        return super().select(0)


def run(story):
    """Run an async test on a loop whose time jumps to the next timer."""
    clock = NoWaiting()
    loop = asyncio.SelectorEventLoop(clock)
    loop.time = lambda: clock.now_s
    try:
        return loop.run_until_complete(story(loop))
    finally:
        loop.close()


def quote(second, px=10, symbol="X"):
    return Quote(symbol, Decimal(px), Decimal(px), second * S)


def recording(*seconds, name="r", symbol="X"):
    return Recording(f"{name}.csv", name, len(seconds), iter([quote(s, symbol=symbol) for s in seconds]))


def played(speed, *seconds):
    """Play quotes of these seconds; return when each came, seconds after the start, rounded."""

    async def story(loop):
        came, marks = [], []

        async def settled():
            await asyncio.sleep(7)  # whatever follows from a quote takes its time

        player = FeedPlayer(
            recording(*seconds),
            lambda q: came.append((q.ts_event_ns // S, round(loop.time(), 6))),
            speed=Decimal(speed),
            settled=settled,
            mark=marks.append,
        )
        await player.run()
        assert player.state().ended
        assert marks[-1] == player.played == len(seconds)
        return came

    return run(story)


@pytest.mark.parametrize(
    ("told", "speed", "came"),
    [
        ("as recorded", "1", [(100, 0), (160, 60), (160, 60), (400, 300)]),
        ("sixty times as fast", "60", [(100, 0), (160, 1), (160, 1), (400, 5)]),
        ("half as fast", "0.5", [(100, 0), (160, 120), (160, 120), (400, 600)]),
        ("as fast as it is taken in", "Infinity", [(100, 0), (160, 7), (160, 14), (400, 21)]),
    ],
)
def test_the_pace(told, speed, came):
    assert played(speed, 100, 160, 160, 400) == came, told


@pytest.mark.parametrize(("speed", "waits"), [("60", True), ("Infinity", False)])
def test_a_paced_recording_waits_for_its_rows_until_it_is_over(speed, waits):
    async def story(loop):
        heard = []
        player = FeedPlayer(
            recording(100, 36_100),
            lambda _: heard.append(player.waits),
            speed=Decimal(speed),
            settled=lambda: asyncio.sleep(7),
            mark=lambda _: None,
        )
        heard.append(player.waits)
        await player.run()
        assert [*heard, player.waits] == [False, waits, waits, False]

    run(story)


def test_a_recording_that_breaks_off_does_not_wait():
    async def story(loop):
        def rows():
            yield quote(1)
            raise OSError("the disk is gone")

        broken = Recording("r.csv", "r", 2, rows())
        player = FeedPlayer(broken, lambda _: None, settled=lambda: asyncio.sleep(0), mark=lambda _: None)
        with pytest.raises(OSError, match="the disk is gone"):
            await player.run()
        assert (player.waits, player.ended) == (False, False)

    run(story)


def test_several_recordings_are_one_market_in_time_order():
    both = merged([recording(1, 5, 9, name="a"), recording(2, 5, 8, name="b", symbol="Y")])
    assert (both.source, both.name, both.total) == ("a.csv, b.csv", "a+b", 6)
    assert [(q.symbol, q.ts_event_ns // S) for q in both.quotes] == [
        ("X", 1),
        ("Y", 2),
        ("X", 5),
        ("Y", 5),
        ("Y", 8),
        ("X", 9),
    ]


@pytest.mark.parametrize(
    ("rows", "until_s", "past"),
    [(0, None, []), (2, None, [1, 2]), (0, 3, [1, 2]), (1, 4, [1, 2, 3]), (3, 2, [1, 2, 3]), (9, None, [1, 2, 3, 4])],
)
def test_the_past_is_let_by_and_nothing_is_lost(rows, until_s, past):
    market = recording(1, 2, 3, 4)
    seen = []
    until_ns = None if until_s is None else until_s * S
    assert let_pass(market, seen.append, rows=rows, until_ns=until_ns) == len(past)
    assert [q.ts_event_ns // S for q in seen] == past
    assert [q.ts_event_ns // S for q in (*seen, *market.quotes)] == [1, 2, 3, 4]


def bar(o, h, low, c):
    return Bar("X", 0, *map(Decimal, (o, h, low, c)))


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        (bar(10, 14, 9, 12), [10, 9, 14, 12]),
        (bar(10, 11, 5, 6), [10, 11, 5, 6]),
        (bar(10, 12, 8, 11), [10, 8, 12, 11]),  # as near as each other: the low first
        (bar(10, 10, 10, 10), [10, 10, 10, 10]),
    ],
)
def test_a_bar_goes_to_its_nearer_extreme_first(shape, path):
    quotes = quotes_of_bar(shape, shape, 60 * S)
    assert [q.bid for q in quotes] == path
    assert [q.ts_event_ns // S for q in quotes] == [0, 15, 30, 45]


def test_two_sides_of_a_bar_move_together():
    quotes = quotes_of_bar(bar(10, 14, 9, 12), bar(11, 15, 10, 13), 4)
    assert [(q.bid, q.ask) for q in quotes] == [(10, 11), (9, 10), (14, 15), (12, 13)]
