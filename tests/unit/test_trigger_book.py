"""The trigger book against a loop over all brackets, under random adds, moves, removes, quotes, gaps and ties.

The loop knows nothing of heaps, groups or units: every level is a Decimal, every trail its own running best. After
each operation both are asked the same. `make simulate` plays millions of operations.
"""

import gc
import os
import tracemalloc
from dataclasses import dataclass
from decimal import Decimal
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.market import Quote
from grodtd.domain.orders import Side
from grodtd.domain.outcome import NOTHING_HAPPENED
from grodtd.execution.oco_emulator import Touch
from grodtd.execution.quote_scan import FAR, NO_TRAILS, Heads, scan
from grodtd.execution.trigger_book import SymbolBook, TriggerBook
from grodtd.replay.quote_walk import walk
from tests.unit.engine_kit import NO_STOPS, Trade

pytestmark = pytest.mark.hypothesis  # `make simulate` runs what bears this mark, at full length
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
OPERATIONS = 500_000 if THOROUGH else 20_000
"""In each of ten worlds: 200,000 in all, 5,000,000 in `make simulate`."""
STOP, TARGET, MOVE = Touch.STOP, Touch.TARGET, Touch.MOVE
LONG, SHORT = Side.BUY, Side.SELL


def d(text):
    return Decimal(str(text))


# ---------------------------------------------------------------- the loop


@dataclass(slots=True)
class Level:
    side: Side
    px: Decimal
    arrival: int
    best: Decimal | None = None
    """Of a trailing stop, which stays `px` behind it."""

    @property
    def stop_px(self):
        return self.px if self.best is None else self.best - self.side.sign * self.px


class Loop:
    """All brackets, asked one after the other."""

    def __init__(self):
        self.levels: dict[tuple[str, Touch], Level] = {}
        self.arrivals = 0

    def put(self, name, side, touch, px, best=None):
        known = self.levels.get((name, touch))
        if known is not None and known.best is None and best is None and known.px == px:
            return
        self.levels.pop((name, touch), None)
        if px is not None:
            self.arrivals += 1
            self.levels[name, touch] = Level(side, px, self.arrivals, best)

    def touched(self, bid, ask):
        if bid > ask or bid <= 0:
            return []
        stops, others = [], []
        for (name, touch), level in self.levels.items():
            px, sign = (bid, 1) if level.side is LONG else (ask, -1)
            if touch is STOP:
                if level.best is not None and sign * px > sign * level.best:
                    level.best = px
                if sign * px <= sign * level.stop_px:
                    stops.append((level.arrival, name, touch))
            elif sign * px >= sign * level.px:
                others.append((level.arrival, name, touch))
        hit = {name for _, name, _ in stops}
        return [row[1:] for row in sorted(stops)] + [row[1:] for row in sorted(others) if row[1] not in hit]


# ---------------------------------------------------------------- the world both live in


class World:
    """A random market, and brackets that come, move and go; one seed is one story."""

    def __init__(self, seed):
        self.rng = Random(seed)
        self.book, self.loop = SymbolBook(), Loop()
        self.tick = Decimal(self.rng.choice(["0.01", "0.25", "1", "0.00000001", "5"]))
        self.mid = 4000
        self.names = [f"B{i}" for i in range(self.rng.choice([3, 20, 60]))]
        self.side_of = {name: self.rng.choice([LONG, SHORT]) for name in self.names}
        self.levels_off_tick, self.quotes_off_tick = self.rng.choice([(0, 0), (0.1, 0), (0.02, 0.02)])
        self.unit = self.tick / 800 if self.quotes_off_tick else self.tick
        """All quotes are whole numbers of it."""
        self.drift = self.rng.choice([-1, 0, 0, 1])
        self.fired = self.quoted = 0

    def px(self, ticks, off_tick=None):
        """A price, now and then between two ticks."""
        ticks = max(ticks, 1)
        if self.rng.random() < (self.levels_off_tick if off_tick is None else off_tick):
            return (ticks + Decimal(self.rng.choice(["0.5", "0.3", "0.0625"]))) * self.tick
        return ticks * self.tick

    def quote(self):
        """Steps of a few ticks, a gap now and then, sometimes crossed, sometimes no price at all."""
        rng = self.rng
        self.mid += rng.randint(-3, 3) + (self.drift if rng.random() < 0.2 else 0)
        if rng.random() < 0.02:
            self.mid += rng.randint(-150, 150)
        self.mid = min(max(self.mid, 200), 8000)
        spread = rng.choice([0, 1, 1, 2, 30])
        bid, ask = (self.px(ticks, self.quotes_off_tick) for ticks in (self.mid, self.mid + spread))
        if rng.random() < 0.01:
            bid, ask = ask + 40 * self.tick, bid
        if rng.random() < 0.005:
            bid = rng.choice([Decimal(0), -bid])
        return bid, ask

    def change(self):
        """One bracket's levels: put, moved, taken away, made to trail."""
        rng, name = self.rng, self.rng.choice(self.names)
        side, away = self.side_of[name], rng.choice([1, 4, 20, 20, 80])
        touch = rng.choice([STOP, STOP, TARGET, MOVE])
        draw = rng.random()
        if draw < 0.3:
            self.watch(name, side, touch, None)
        elif draw < 0.55:
            best = self.px(self.mid + rng.choice([0, 0, 0, rng.randint(-20, 20)]))
            distance = self.px(rng.choice([away, rng.randint(1, 60)]))
            self.loop.put(name, side, STOP, distance, best)
            self.book.trail(name, side, distance, best)
        else:
            sign = side.sign if touch is not STOP else -side.sign
            self.watch(name, side, touch, self.px(self.mid + sign * rng.randint(0, away)))

    def watch(self, name, side, touch, px):
        self.loop.put(name, side, touch, px)
        self.book.watch(name, side, touch, px)

    def replaced(self, touched):
        """What an engine does with what was touched: mostly it is gone afterwards."""
        for name, touch in touched:
            if self.rng.random() < 0.8:
                self.watch(name, self.side_of[name], touch, None)

    def check(self):
        for name in self.names:
            level = self.loop.levels.get((name, STOP))
            assert self.book.stop_px(name) == (level.stop_px if level else None)
        told = [(name, touch, level.px) for (name, touch), level in self.loop.levels.items() if level.best is None]
        assert sorted((name, touch, px) for name, _, touch, px in self.book.levels()) == sorted(told)


def heard(bid, ask):
    return Quote("X", bid, ask)


@pytest.mark.timeout(1800 if THOROUGH else 120)
@pytest.mark.parametrize("seed", range(5))
def test_quotes_one_by_one_touch_what_a_loop_over_all_finds(seed):
    for number in range(10):
        world = World(seed * 1000 + number)
        for done in range(OPERATIONS // 10):
            if done % 50 == 0:
                world.check()
            if world.rng.random() < 0.3:
                world.change()
                continue
            bid, ask = world.quote()
            expected = world.loop.touched(bid, ask)
            assert list(world.book.touched(heard(bid, ask))) == expected
            world.replaced(expected)
            world.fired += bool(expected)
            world.quoted += 1
        assert 0 < world.fired < world.quoted  # neither always nor never


@pytest.mark.timeout(1800 if THOROUGH else 120)
@pytest.mark.parametrize("seed", range(5))
def test_arrays_touch_what_single_quotes_do(seed):
    """The same index and the same order, by numpy and compiled, in arrays of any length."""
    done = 0
    rng = Random(seed)
    while done < OPERATIONS:
        world = World(rng.random())
        for _ in range(200):
            for _ in range(rng.choice([1, 5, 30])):
                world.change()
            count = rng.choice([0, 1, 7, 40, 300])
            quotes = [world.quote() for _ in range(count)]
            bid, ask = (
                (np.array([int(px / world.unit) for px in side], dtype=np.int64) for side in zip(*quotes, strict=True))
                if quotes
                else (np.zeros(0, np.int64),) * 2
            )
            begin = 0
            while True:
                index, touched = world.book.first(bid[begin:], ask[begin:], world.unit, rng.choice([scan, walk]))
                for at in range(begin, min(begin + index, count)):
                    assert world.loop.touched(*quotes[at]) == []
                begin += index + 1
                done += index + 1
                if begin > count:
                    assert not touched
                    break
                expected = world.loop.touched(*quotes[begin - 1])
                assert expected
                assert list(touched) == expected
                assert list(world.book.touched(heard(*quotes[begin - 1]))) == expected  # once more is no more
                world.replaced(expected)
            world.check()


# ---------------------------------------------------------------- told as stories


@pytest.fixture
def book():
    return SymbolBook()


def touches(book, bid, ask=None):
    return list(book.touched(heard(d(bid), d(bid if ask is None else ask))))


def test_stops_go_before_targets_and_the_older_before_the_younger(book):
    book.watch("target", LONG, TARGET, d(90))
    book.watch("young", SHORT, STOP, d(80))
    book.watch("old", LONG, STOP, d(99))
    book.watch("young", SHORT, STOP, d(95))
    assert touches(book, 97) == [("old", STOP), ("young", STOP), ("target", TARGET)]


def test_at_one_price_the_older_goes_first_however_its_stop_came_there(book):
    book.trail("A", LONG, d(5), d(98))
    book.watch("B", LONG, STOP, d(95))
    book.trail("C", LONG, d(3), d(98))
    assert touches(book, 100) == []
    assert touches(book, 94) == [("A", STOP), ("B", STOP), ("C", STOP)]


def test_of_one_bracket_only_the_stop_counts_where_a_gap_reaches_both(book):
    book.watch("A", LONG, STOP, d(101))
    book.watch("A", LONG, TARGET, d(100))
    assert touches(book, "100.5") == [("A", STOP)]


@pytest.mark.parametrize(
    ("bid", "ask"), [("94", "93"), ("0", "100"), ("-1", "100")], ids=["crossed", "no bid", "negative"]
)
def test_a_quote_nobody_can_trust_touches_nothing_and_moves_no_trail(book, bid, ask):
    book.watch("A", LONG, STOP, d(95))
    book.trail("B", SHORT, d(1), d(200))
    assert touches(book, bid, ask) == []
    assert book.first(np.array([int(bid)]), np.array([int(ask)]), d(1)) == (1, ())
    assert book.stop_px("B") == 201


def test_a_market_off_the_tick_is_compared_exactly(book):
    book.watch("A", LONG, STOP, d("99.99"))
    assert touches(book, "99.990000000000000001") == []
    assert touches(book, "99.99") == [("A", STOP)]
    assert touches(book, "99.989999999999999999") == [("A", STOP)]


def test_a_market_between_two_levels_reaches_the_one_it_has_passed(book):
    for name, side, touch, passed, ahead in (("A", LONG, STOP, 100, 99), ("B", SHORT, STOP, 99, 100)):
        book.watch(f"{name} passed", side, touch, d(passed))
        book.watch(f"{name} ahead", side, touch, d(ahead))
    assert touches(book, "99.5") == [("A passed", STOP), ("B passed", STOP)]


def test_arrays_may_be_in_ticks_that_are_no_power_of_ten(book):
    book.watch("A", LONG, STOP, d("99.75"))
    book.trail("B", LONG, d("0.5"), d("100"))
    bid = np.array([402, 403, 401, 399])  # 100.5, 100.75, 100.25, 99.75
    assert book.first(bid, bid, d("0.25")) == (2, [("B", STOP)])
    assert book.stop_px("B") == d("100.25")


def test_arrays_go_on_where_a_quote_off_the_tick_has_lifted_a_trail(book):
    book.trail("A", LONG, d(5), d(100))
    assert touches(book, "103.3") == []
    bid = np.array([99, 98, 94])
    assert book.first(bid, bid, d(1)) == (1, [("A", STOP)])  # 98.3 is the stop


@pytest.mark.parametrize("look", [scan, walk])
def test_a_high_of_long_ago_is_not_forgotten(book, look):
    book.trail("A", LONG, d(40), d(100))
    bid = np.array([200] + [170] * 9999 + [160])
    assert book.first(bid, bid, d(1), look) == (10_000, [("A", STOP)])


def test_trails_that_have_seen_the_same_best_price_move_as_one(book):
    """A thousand of them: a new high is one number, and those that began lower have joined."""
    for i in range(1000):
        book.trail(f"B{i}", LONG, d(10 + i % 7), d(1000 - i))
    assert touches(book, 999) == []
    assert touches(book, 1500) == []
    assert len(book._longs.trails._waiting) == 0
    assert {book.stop_px(f"B{i}") for i in range(1000)} == {d(1490 - i) for i in range(7)}
    assert len(touches(book, 1489)) == 286  # those 10 behind, and those 11 behind


def test_after_a_quote_the_book_knows_again_where_idle_begins(book):
    """What was nearest and went away costs one look, not one a quote."""
    for name, distance, best in (("near", 2, 110), ("far", 9, 110), ("low", 20, 100)):
        book.trail(name, LONG, d(distance), d(best))
    book.watch("target", LONG, TARGET, d(150))
    assert (book._longs.low, book._longs.high) == (108, 100)  # from 100 on, the trail that began lowest moves
    book.watch("near", LONG, STOP, None)
    book.watch("low", LONG, STOP, None)
    touches(book, 105)
    assert (book._longs.low, book._longs.high) == (101, 110)
    book.watch("far", LONG, STOP, None)
    touches(book, 112)
    assert (book._longs.low, book._longs.high) == (103, 112)  # too near by now: nobody has looked
    touches(book, 103)
    assert (book._longs.low, book._longs.high) == (-d("Infinity"), 150)


def test_a_trail_of_no_distance_is_refused(book):
    with pytest.raises(ValueError, match="bracket A: a stop trails by more than 0, not by 0"):
        book.trail("A", LONG, d(0), d(100))


def test_what_was_taken_away_is_not_kept_for_ever(book):
    for i in range(20_000):
        book.watch("A", LONG, STOP, d(i + 1))
        book.watch("B", LONG, TARGET, d(200_000 - i))
        book.trail("C", SHORT, d(5), d(1000 + i % 100))
    assert len(book._longs.stops) + len(book._longs.targets) < 300
    assert len(book._shorts.trails._bests) < 300


def test_an_idle_quote_gives_the_same_nothing_every_time(book):
    book.watch("A", LONG, STOP, d(90))
    book.watch("A", LONG, TARGET, d(110))
    assert book.touched(heard(d(100), d(100))) is book.touched(heard(d(101), d(102)))


def test_a_symbol_nobody_watches_touches_nothing():
    quotes = np.array([1, 2, 3])
    assert TriggerBook().first("X", quotes, quotes, d(1)) == (3, ())
    assert TriggerBook().touched(heard(d(1), d(1))) == ()


@given(
    prices=st.lists(st.tuples(st.integers(-3, 40), st.integers(0, 45)), max_size=40),
    ahead=st.integers(0, 30),
    stop=st.integers(0, 30),
    target=st.integers(1, 45),
)
def test_compiled_and_not_compiled_walks_agree(prices, ahead, stop, target):
    """Also where the first quote fires, where all are untrusted, where there are none."""
    bid = np.array([9] * ahead + [bid for bid, _ in prices], dtype=np.int64)
    ask = np.array([9] * ahead + [ask for _, ask in prices], dtype=np.int64)
    long, short = Heads(stop, target, NO_TRAILS), Heads(-target - 3, FAR, NO_TRAILS)
    assert scan(bid, ask, long, short) == walk(bid, ask, long, short)


# ---------------------------------------------------------------- the engine hands quotes to it


def test_the_engine_counts_idle_quotes_as_it_hears_them_one_by_one():
    """Arrays say how many may be left out; the next one is an event, and changes what is watched."""
    trade = Trade(NO_STOPS)  # its stop at 90 and its target at 110 are watched here
    prices = np.array([100, 91, 109, 105, 90, 80])
    idle = trade.engine.idle_quotes("X", prices, prices, d(1), walk)
    outcomes = [trade.engine.process(heard(d(int(px)), d(int(px)))) for px in prices[: idle + 1]]
    assert idle == 4
    assert all(outcome is NOTHING_HAPPENED for outcome in outcomes[:-1])
    assert outcomes[-1].commands
    assert trade.engine.idle_quotes("X", prices, prices, d(1)) == len(prices)  # it is leaving: nothing is watched


def test_an_idle_quote_makes_no_objects():
    trade = Trade(NO_STOPS)
    quotes = [heard(d(91 + i % 18), d(92 + i % 18)) for i in range(1000)]
    process = trade.engine.process
    for quote in quotes:
        process(quote)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for quote in quotes:
        process(quote)
    grown = [
        line for line in tracemalloc.take_snapshot().compare_to(before, "filename") if "grodtd" in str(line.traceback)
    ]
    tracemalloc.stop()
    assert sum(line.size_diff for line in grown) == 0
