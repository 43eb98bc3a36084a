"""What the replay driver walks over: prices of one symbol by index, the same for bars and for quotes.

A quote is a bar whose four prices are one: it meets levels exactly as DESIGN section 9 says for quotes.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from grodtd.domain.market import Bar
from grodtd.domain.orders import Side
from grodtd.replay.prices import Bars, Ints, Ohlc, Quotes

FIRST_BLOCK = 64
BLOCK_GROWTH = 4


@dataclass(frozen=True, eq=False)
class Feed:
    """Prices by index, exact integers in `unit`. `trusted` is None, or bool[n]: False where a quote is crossed."""

    symbol: str
    time_ns: Ints
    unit: Decimal
    bid: Ohlc
    ask: Ohlc
    trusted: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
    end_ns: Ints | None = None
    """int64[n], when each index is over: a bar's end; None: at its own time, as a quote is."""

    def __len__(self) -> int:
        return len(self.time_ns)

    @classmethod
    def of_bars(cls, bars: Bars) -> "Feed":
        """Walk over bars."""
        return cls(bars.symbol, bars.time_ns, bars.unit, bars.bid, bars.ask, end_ns=bars.end_ns)

    @classmethod
    def of_quotes(cls, quotes: Quotes) -> "Feed":
        """Walk over quotes; crossed ones are stepped over."""
        bid = Ohlc(quotes.bid, quotes.bid, quotes.bid, quotes.bid)
        ask = Ohlc(quotes.ask, quotes.ask, quotes.ask, quotes.ask)
        trusted = ~quotes.crossed if quotes.crossed_count else None
        return cls(quotes.symbol, quotes.time_ns, quotes.unit, bid, ask, trusted)

    def moment(self, index: int) -> tuple[int, int]:
        """Return when an index is over, and which of its time it is (several quotes may share one)."""
        if self.end_ns is not None:
            return int(self.end_ns[index]), 0
        time_ns = self.time_ns[index]
        return int(time_ns), index - int(self.time_ns.searchsorted(time_ns))

    def last_over(self, at_ns: int) -> int:
        """Return the last index that is over at a time; -1: none is."""
        return int((self.time_ns if self.end_ns is None else self.end_ns).searchsorted(at_ns, "right")) - 1

    def exit_side(self, side: Side) -> Ohlc:
        """What a bracket of entry side `side` gets out at."""
        return self.bid if side is Side.BUY else self.ask

    def bar(self, index: int) -> tuple[Bar, Bar]:
        """Return one index as a bid bar and an ask bar."""
        bid = self._bar(self.bid, index)
        return bid, bid if self.ask is self.bid else self._bar(self.ask, index)

    def _bar(self, prices: Ohlc, index: int) -> Bar:
        unit = self.unit
        return Bar(
            self.symbol,
            int(self.time_ns[index]),
            int(prices.open[index]) * unit,
            int(prices.high[index]) * unit,
            int(prices.low[index]) * unit,
            int(prices.close[index]) * unit,
        )

    def first_touch(self, side: Side, after: int, stop: int | None, target: int | None) -> int | None:
        """Return the first index after `after` at which a level is touched; None: never.

        `stop` and `target` are in units on the exit side, rounded so that touching is `<=`/`>=` exactly. An array
        search in growing blocks: idle bars never reach the engine.
        """
        prices = self.exit_side(side)
        begin, size, end = after + 1, FIRST_BLOCK, len(self)
        if stop is None and target is None:
            return begin if begin < end else None
        while begin < end:
            until = min(begin + size, end)
            low, high = prices.low[begin:until], prices.high[begin:until]
            if side is Side.BUY:
                hit = _either(low <= stop if stop is not None else None, high >= target if target is not None else None)
            else:
                hit = _either(high >= stop if stop is not None else None, low <= target if target is not None else None)
            if self.trusted is not None:
                hit &= self.trusted[begin:until]
            at = int(hit.argmax())
            if hit[at]:
                return begin + at
            begin, size = until, size * BLOCK_GROWTH
        return None

    def next_trusted(self, after: int) -> int | None:
        """Return the next index that may trade; None at the end."""
        if self.trusted is None:
            return after + 1 if after + 1 < len(self) else None
        rest = np.flatnonzero(self.trusted[after + 1 :])
        return after + 1 + int(rest[0]) if len(rest) else None

    def extremes(self, side: Side, after: int, before: int) -> tuple[int, int] | None:
        """Return lowest and highest exit-side price, in units, strictly between two indices; None: none lie there."""
        if before - after < 2:
            return None
        prices = self.exit_side(side)
        low, high = prices.low[after + 1 : before], prices.high[after + 1 : before]
        if self.trusted is not None:
            keep = self.trusted[after + 1 : before]
            low, high = low[keep], high[keep]
            if not len(low):
                return None
        return int(low.min()), int(high.max())


def _either(
    first: np.ndarray[tuple[int], np.dtype[np.bool_]] | None, second: np.ndarray[tuple[int], np.dtype[np.bool_]] | None
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if first is None:
        assert second is not None
        return second
    return first if second is None else first | second
