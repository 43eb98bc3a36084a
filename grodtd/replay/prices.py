"""Bars and quotes as arrays: exact integers in the file's own price unit, times in nanoseconds.

`unit` is the smallest power of ten that writes every price exactly, so 611.78 is the integer 61178 in units of
0.01 and nothing is lost to binary fractions. `px` turns units back into a `Decimal`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grodtd.domain.orders import Side
from grodtd.replay.spill import empty

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Flags = NDArray[np.bool_]

DAY_NS = 86_400_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_ms(time_ns: int) -> str:
    """Write a time as ISO 8601 with milliseconds and Z (what is finer is cut off).

    >>> iso_ms(1_402_315_200_123_999_999)
    '2014-06-09T12:00:00.123Z'
    """
    moment = EPOCH + timedelta(milliseconds=time_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


@dataclass(frozen=True, eq=False, slots=True)
class Ohlc:
    """One side's open, high, low and close, int64[n] each, in price units."""

    open: Ints
    high: Ints
    low: Ints
    close: Ints

    def __post_init__(self) -> None:
        """Lock the arrays: many readers share them."""
        for array in (self.open, self.high, self.low, self.close):
            array.setflags(write=False)

    def row(self, index: int) -> tuple[int, int, int, int]:
        """Open, high, low and close of one bar, in units."""
        return int(self.open[index]), int(self.high[index]), int(self.low[index]), int(self.close[index])


class _InUnits:
    """Conversions between whole units and Decimal prices, for whatever has a `unit`."""

    unit: Decimal

    def px(self, units: int) -> Decimal:
        """Return a price of whole units as a Decimal, exactly, quote currency."""
        return int(units) * self.unit

    def floor_units(self, px: Decimal) -> int:
        """Units at or just below `px`: market <= px exactly when market units <= this."""
        return int((px / self.unit).to_integral_value(ROUND_FLOOR))

    def ceil_units(self, px: Decimal) -> int:
        """Units at or just above `px`: market >= px exactly when market units >= this."""
        return int((px / self.unit).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, eq=False, kw_only=True)
class Bars(_InUnits):
    """A symbol's bars in time order; bar i covers [time_ns[i], end_ns[i]). One-sided: `ask` is `bid`."""

    symbol: str
    path: str
    """Where they came from, as the user wrote it."""
    sha256: str
    """Of the file's bytes as they lie on disk, hex."""
    time_ns: Ints
    """int64[n], each bar's open (or session date), strictly rising."""
    end_ns: Ints
    """int64[n], min(time + interval, next time), exclusive."""
    interval_ns: int
    """The most common spacing of `time_ns`."""
    unit: Decimal
    tick: Decimal
    """The price step the file's own prices show; `unit` may be finer after an adjustment."""
    bid: Ohlc
    ask: Ohlc
    volume: Floats | None = None
    lines: Ints
    """int64[n], the line of the file (header: line 1) each bar stands in; rows from 1 for Parquet."""

    def __post_init__(self) -> None:
        """Lock the arrays: many readers share them."""
        for array in (self.time_ns, self.end_ns, self.lines):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def two_sided(self) -> bool:
        """Whether bid and ask are known apart."""
        return self.ask is not self.bid

    @property
    def daily(self) -> bool:
        """Whether a bar is a day or longer, and so labelled by its session's date."""
        return self.interval_ns >= DAY_NS

    @cached_property
    def mid(self) -> Ohlc:
        """The mid of each of O, H, L, C in `mid_unit`s: bid + ask where there are two sides, exactly."""
        if not self.two_sided:
            return self.bid
        bid, ask = self.bid, self.ask
        return Ohlc(bid.open + ask.open, bid.high + ask.high, bid.low + ask.low, bid.close + ask.close)

    @property
    def mid_unit(self) -> Decimal:
        """What one integer of `mid` is worth, quote currency: half a unit where there are two sides."""
        return self.unit / 2 if self.two_sided else self.unit

    def exit_side(self, side: Side) -> Ohlc:
        """What a bracket of entry side `side` gets out at: a long sells to the bid, a short buys the ask."""
        return self.bid if side is Side.BUY else self.ask

    def entry_side(self, side: Side) -> Ohlc:
        """What a bracket of entry side `side` gets in at: a long buys the ask, a short sells to the bid."""
        return self.ask if side is Side.BUY else self.bid

    def index_at(self, time_ns: int) -> int | None:
        """Index of the bar that covers a time; None when no bar does."""
        index = int(self.time_ns.searchsorted(time_ns, "right")) - 1
        return index if index >= 0 and time_ns < self.end_ns[index] else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Quotes(_InUnits):
    """A symbol's best bid and ask in time order; several quotes may share a time."""

    symbol: str
    path: str
    sha256: str
    """Of the file's bytes as they lie on disk, hex."""
    time_ns: Ints
    """int64[n], never falling."""
    unit: Decimal
    tick: Decimal
    """The price step the file's prices show."""
    bid: Ints
    ask: Ints
    lines: Ints
    """int64[n], the line of the file (header: line 1) each quote stands in; rows from 1 for Parquet."""

    def __post_init__(self) -> None:
        """Lock the arrays: many readers share them."""
        for array in (self.time_ns, self.bid, self.ask, self.lines):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.time_ns)

    @cached_property
    def crossed(self) -> Flags:
        """bool[n]: bid above ask; such a quote triggers nothing."""
        return self.bid > self.ask

    @cached_property
    def crossed_count(self) -> int:
        """How many quotes are crossed."""
        return int(np.count_nonzero(self.crossed))

    def exit_side(self, side: Side) -> Ints:
        """What a bracket of entry side `side` gets out at: a long sells to the bid, a short buys the ask."""
        return self.bid if side is Side.BUY else self.ask

    def entry_side(self, side: Side) -> Ints:
        """What a bracket of entry side `side` gets in at: a long buys the ask, a short sells to the bid."""
        return self.ask if side is Side.BUY else self.bid

    def last_index(self, time_ns: int) -> int | None:
        """Index of the last quote at or before a time; None outside the quotes' span."""
        if not len(self) or not self.time_ns[0] <= time_ns <= self.time_ns[-1]:
            return None
        return int(self.time_ns.searchsorted(time_ns, "right")) - 1


def covered_until(time_ns: Ints, interval_ns: int) -> Ints:
    """Return each bar's exclusive end: `interval_ns` after its open, cut at the next bar's open.

    >>> covered_until(np.array([0, 60, 100, 300]), 60).tolist()
    [60, 100, 160, 360]
    """
    end: Ints = empty(len(time_ns))
    np.add(time_ns, np.int64(interval_ns), out=end)
    np.minimum(end[:-1], time_ns[1:], out=end[:-1])
    return end


def bars_of(
    symbol: str,
    time_ns: Ints,
    bid: Ohlc,
    ask: Ohlc | None = None,
    *,
    unit: Decimal,
    interval_ns: int,
    tick: Decimal | None = None,
    volume: Floats | None = None,
    lines: Ints | None = None,
    path: str = "",
    sha256: str = "",
) -> Bars:
    """Return bars from arrays that are clean already: times rise strictly, prices are whole `unit`s.

    `interval_ns` is a bar's length; `ask` None: one-sided; `tick` None: the unit; `lines` None: as in a CSV.
    """
    return Bars(
        symbol=symbol,
        path=path,
        sha256=sha256,
        time_ns=time_ns,
        end_ns=covered_until(time_ns, interval_ns),
        interval_ns=interval_ns,
        unit=unit,
        tick=unit if tick is None else tick,
        bid=bid,
        ask=bid if ask is None else ask,
        volume=volume,
        lines=np.arange(2, len(time_ns) + 2) if lines is None else lines,
    )
