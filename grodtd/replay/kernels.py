"""Exits of many entries over arrays of one symbol's prices: what the engine would do, without its orders.

Prices are whole `unit`s, int64, so every level and every touch is exact. `Walks` holds what the loops read of a feed;
`fixed_exits` answers entries with a stop and one target each. The meaning is DESIGN section 9's, and a differential
test holds it against the engine, exit for exit.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import numpy as np

from grodtd.domain.orders import Side
from grodtd.replay import kernels_loops as loops
from grodtd.replay.feed import Feed
from grodtd.replay.prices import Bools, Ints, Ohlc
from grodtd.venue.bar_matching import FillModel

MODELS = {
    FillModel.PESSIMISTIC: loops.PESSIMISTIC,
    FillModel.OPTIMISTIC: loops.OPTIMISTIC,
    FillModel.PATH: loops.PATH,
}
LARGEST = 2**52
"""Prices beyond this many units are left to the engine: float64 must hold them, and int64 their products."""


class UncoveredError(Exception):
    """The kernels have no answer to this; `str()` says why, and the caller lets the engine answer."""


class Walk(NamedTuple):
    """One side's prices as a long sees them, int64[n] each, and their block index, as the loops take them."""

    open: Ints
    high: Ints
    low: Ints
    tops: Ints
    bottoms: Ints
    starts: Ints


@dataclass(frozen=True, eq=False)
class Walks:
    """A feed's prices for the loops, in whole `unit`s of their own, which may be finer than the feed's."""

    feed: Feed
    unit: Decimal

    @cached_property
    def factor(self) -> int:
        """How many of our units make one of the feed's."""
        return int(self.feed.unit / self.unit)

    @cached_property
    def kept(self) -> Ints | None:
        """Indices of the feed that may trade, int64; None: all."""
        return None if self.feed.trusted is None else np.flatnonzero(self.feed.trusted)

    def of(self, side: Side) -> Walk:
        """Return what a bracket of entry side `side` gets out at. A short's are negated: `mirrored`."""
        return self._long if side is Side.BUY else self._short

    def closes(self, side: Side) -> Ints:
        """Return the closes a bracket of entry side `side` gets out at, as a long sees them."""
        return self._units(self.feed.exit_side(side).close) * side.sign

    @cached_property
    def _long(self) -> Walk:
        prices = self.feed.bid
        return _indexed(self._units(prices.open), self._units(prices.high), self._units(prices.low))

    @cached_property
    def _short(self) -> Walk:
        prices: Ohlc = self.feed.ask
        return _indexed(-self._units(prices.open), -self._units(prices.low), -self._units(prices.high))

    def _units(self, prices: Ints) -> Ints:
        chosen = prices if self.kept is None else prices[self.kept]
        return chosen if self.factor == 1 else chosen * self.factor

    def place(self, index: Ints) -> Ints:
        """Turn indices of the feed into places in the walk: the last one kept at or before each."""
        return index if self.kept is None else self.kept.searchsorted(index, "right") - 1

    def index(self, place: int) -> int:
        """Turn a place in the walk into the feed's index."""
        return place if self.kept is None else int(self.kept[place])


def walks(feed: Feed, *others: Decimal) -> Walks:
    """Return a feed's prices in the coarsest power of ten that writes its unit and all `others` exactly.

    Raises: UncoveredError - a price needs more digits than the loops compute with.

    >>> from grodtd.replay.prices import Ohlc
    >>> prices = np.array([61178, 61190])
    >>> feed = Feed("X", prices, Decimal("0.01"), *[Ohlc(prices, prices, prices, prices)] * 2)
    >>> walks(feed, Decimal("0.05")).unit, walks(feed, Decimal("611.7825")).unit
    (Decimal('0.01'), Decimal('0.0001'))
    """
    places = min(int(value.normalize().as_tuple().exponent) for value in (feed.unit, *others))
    unit = min(feed.unit, Decimal(1).scaleb(places))
    factor = int(feed.unit / unit)
    sides = (feed.bid,) if feed.ask is feed.bid else (feed.bid, feed.ask)
    largest = max((max(int(side.high.max()), -int(side.low.min())) for side in sides if len(feed)), default=0)
    if largest * factor > LARGEST:
        raise UncoveredError(f"prices in steps of {unit} have more digits than the kernels compute with")
    return Walks(feed, unit)


def _indexed(opened: Ints, high: Ints, low: Ints) -> Walk:
    opened, high, low = (np.ascontiguousarray(each) for each in (opened, high, low))
    return Walk(opened, high, low, *block_index(high, low))


def block_index(high: Ints, low: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the layers' maxima and minima and where each layer begins, as `kernels_loops.first_touch` takes them."""
    sizes, count = [], len(high)
    while count > 1:
        count = (count + (1 << loops.SHIFT) - 1) >> loops.SHIFT
        sizes.append(count)
    layers = np.array(sizes or [len(high)], dtype=np.int64)
    tops, bottoms = np.empty(int(layers.sum()), dtype=np.int64), np.empty(int(layers.sum()), dtype=np.int64)
    if len(high):
        loops.build_index(high, low, layers, tops, bottoms)
    starts = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(layers)))
    return tops, bottoms, starts


class FixedExits(NamedTuple):
    """How entries with one stop and one target ended, an item an entry."""

    at: Ints
    """int64: place of the exit in the walk; -1: open at the end."""
    px: Ints
    """int64: its price, as a long sees it; 0 where open."""
    by: Ints
    """int64: `kernels_loops.OPEN`, `BY_STOP` or `BY_TARGET`."""
    doubtful: Bools
    """bool: its bar's open was through neither level and both were touched, so only the fill model decided."""


def fixed_exits(walk: Walk, entry: Ints, stop: Ints, target: Ints, model: FillModel) -> FixedExits:
    """Exit entries at a stop or a target each, int64[m]; exits are looked for from the bar after `entry` on.

    Levels are as a long sees them: a short's come negated. No target: `kernels_loops.NEVER`; a stop of NEVER counts
    as hit already, and its bracket is out at the next open.
    """
    count = len(entry)
    found = FixedExits(
        np.empty(count, dtype=np.int64),
        np.empty(count, dtype=np.int64),
        np.empty(count, dtype=np.int64),
        np.empty(count, dtype=np.bool_),
    )
    loops.fixed_exits(*walk, entry, stop, target, MODELS[model], *found)
    return found
