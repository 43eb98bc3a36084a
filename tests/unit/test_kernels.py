"""The kernels' loops against a plain scan: first touches found by steps are the ones found bar by bar."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.instrument import Instrument
from grodtd.domain.market import VolatilityReading
from grodtd.domain.orders import Side
from grodtd.domain.policy import AtrPolicy, Policy
from grodtd.execution.levels import plan_levels
from grodtd.replay import kernels_loops as loops
from grodtd.replay.feed import Feed
from grodtd.replay.kernels import UncoveredError, fixed_exits, walks
from grodtd.replay.prices import Ohlc
from grodtd.replay.sweep_walk import Ground, stops_of
from grodtd.venue.bar_matching import FillModel, match_exit_bar

UNIT = Decimal("0.01")


def feed_of(rng, count: int, step: int = 5) -> Feed:
    close = 100_000 + np.cumsum(rng.integers(-step, step + 1, count))
    opened = np.concatenate((close[:1], close[:-1])) + rng.integers(-2, 3, count)
    high = np.maximum(opened, close) + rng.integers(0, 4, count)
    low = np.minimum(opened, close) - rng.integers(0, 4, count)
    side = Ohlc(opened, high, low, close)
    return Feed("X", np.arange(count, dtype=np.int64), UNIT, side, side)


@given(
    seed=st.integers(0, 2**32),
    count=st.sampled_from([1, 2, 15, 16, 17, 255, 256, 257, 1000, 4097, 5000]),
    far=st.sampled_from([3, 30, 300, 3000]),
    begin=st.floats(0, 1),
    end=st.floats(0, 1),
)
def test_a_touch_found_through_the_index_is_the_first_one(seed, count, far, begin, end):
    rng = np.random.default_rng(seed)
    walk = walks(feed_of(rng, count)).of(Side.BUY)
    begin, end = sorted((int(begin * count), int(end * count)))
    stop, target = 100_000 - int(rng.integers(0, far)), 100_000 + int(rng.integers(0, far))
    touched = [i for i in range(begin, end) if walk.low[i] <= stop or walk.high[i] >= target]
    found = loops.first_touch(walk.high, walk.low, *walk[3:], begin, end, stop, target)
    assert found == (touched[0] if touched else end)


@given(seed=st.integers(0, 2**32), model=st.sampled_from(FillModel), side=st.sampled_from(Side))
def test_exits_are_those_of_the_venues_own_matching(seed, model, side):
    rng = np.random.default_rng(seed)
    feed = feed_of(rng, 120, step=3)
    over = walks(feed)
    sign, count = side.sign, 40
    entry = rng.integers(0, 100, count)
    at = feed.bid.close[entry]
    stop, target = at - sign * rng.integers(1, 12, count), at + sign * rng.integers(-3, 12, count)
    found = fixed_exits(over.of(side), entry, sign * stop, sign * target, model)
    for k in range(count):
        bars = ((i, match_exit_bar(side, int(stop[k]), [int(target[k])], bar(feed, i), model)) for i in after(entry[k]))
        index, exits = next(((i, exits) for i, exits in bars if exits), (-1, []))
        assert found.at[k] == index
        if exits:
            assert (found.by[k] == loops.BY_STOP, sign * found.px[k]) == (exits[0][0] == -1, exits[0][1])


class bar:  # noqa: N801 - reads as what it is
    def __init__(self, feed: Feed, index: int):
        self.open, self.high, self.low, self.close = feed.bid.row(index)


def after(entry):
    return range(entry + 1, 120)


def test_prices_with_too_many_digits_are_left_to_the_engine():
    huge = np.array([2**51])
    side = Ohlc(huge, huge, huge, huge)
    feed = Feed("X", np.arange(1), UNIT, side, side)
    assert walks(feed).factor == 1
    with pytest.raises(UncoveredError, match="more digits"):
        walks(feed, Decimal("0.0001"))


class Reading:
    """An ATR series that knows one value, as a reading gives it."""

    def __init__(self, atr_px: Decimal | None):
        self.atr_px = atr_px

    def reading(self, index: int):
        return VolatilityReading(atr_px=self.atr_px)


@given(
    side=st.sampled_from(Side),
    entry=st.integers(500, 200_000),
    ticks=st.sampled_from([1, 5, 25]),
    hundredths=st.integers(0, 5_000),
    multiplier=st.sampled_from([Decimal(text) for text in ("0.5", "1", "1.1", "2.75", "3")]),
    min_ticks=st.sampled_from([1, 3]),
    least=st.sampled_from([Decimal(text) for text in ("0", "0.0033", "0.05", "0.333333333333333333")]),
)
def test_stops_over_arrays_stand_on_the_engines_tick(side, entry, ticks, hundredths, multiplier, min_ticks, least):
    """ATRs of whole hundredths, a float64's breadth too small: taken as they are, their stops are a tick off."""
    atr_px = Decimal(hundredths) / 100 or None
    policy = AtrPolicy(multiplier=multiplier, min_stop_ticks=min_ticks, min_stop_percentage=least)
    tick, one = ticks * UNIT, np.array([entry * side.sign])
    known = np.array([float("nan") if atr_px is None else np.nextafter(float(hundredths), 0.0)])
    never = np.array([loops.NEVER])
    over = walks(feed_of(np.random.default_rng(1), 20), tick)
    ground = Ground(side, np.zeros(1, np.int64), one, one, known, never, never, np.zeros(1, np.int64), Reading(atr_px))
    reading = VolatilityReading(atr_px=atr_px)
    plan = plan_levels(side, entry * UNIT, reading, Policy(atr=policy), Instrument("X", tick_size=tick))
    if plan.stop_is_hit:
        return
    stop = stops_of(ground, over, multiplier, policy, tick)
    assert int(stop[0]) * side.sign * over.unit == plan.levels.stop_px
