"""Live bars: the last closed bars of each symbol, made from history and quotes, for the ATR of a new bracket.

A bar is made of mids, (bid + ask) / 2, and covers [n x interval, (n + 1) x interval) since the epoch. Crossed, zero and
late quotes make no bar. A bar whose beginning was not watched has seen too little of its range, and is left out; so is
one the connection was lost in. Too few bars mean no ATR: the fallback, which `status` and `explain` say.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from decimal import Decimal

import msgspec

from grodtd.domain.market import Bar, Quote
from grodtd.domain.policy import Policy
from grodtd.execution.volatility_reading import bars_wanted, read_bars

NS = 1_000_000_000
HALF = Decimal("0.5")
AHEAD_NS = 60 * NS
"""A quote whose time lies further ahead of our clock is of no bar: a venue's slip would end every bar until then."""


def lengths_wanted(policies: Iterable[Policy]) -> dict[int, int]:
    """Return, for each bar length in seconds that some policy uses, how many bars to keep."""
    wanted: dict[int, int] = {}
    for policy in policies:
        interval_s = policy.atr.interval_s
        wanted[interval_s] = max(wanted.get(interval_s, 0), bars_wanted(policy))
    return wanted


class Warmth(msgspec.Struct, frozen=True):
    """Whether there is an ATR for a symbol under a policy: `why_no_atr` is empty, and `atr_px` is it."""

    symbol: str
    strategy: str
    interval_s: int
    bars: int
    """Closed bars in a row, up to now."""
    needed: int
    atr_px: Decimal | None
    why_no_atr: str = ""
    condition: str | None = None
    """The market's, where the policy's ratio follows it and the bars tell it."""
    why_no_condition: str = ""


class _Series:
    """The bars of one symbol and length: the closed ones that are kept, and the one being made."""

    __slots__ = ("closed", "high", "interval_ns", "last", "low", "open", "start_ns", "symbol", "whole_from_ns")

    def __init__(self, symbol: str, interval_ns: int, keep: int) -> None:
        self.symbol, self.interval_ns = symbol, interval_ns
        self.closed: deque[Bar] = deque(maxlen=keep)
        self.start_ns = -1
        """When the bar being made began; -1: none is."""
        self.whole_from_ns = -1
        """Since when every quote was seen; -1: none yet."""
        self.open = self.high = self.low = self.last = Decimal(0)

    def take(self, mid: Decimal, ts_ns: int) -> None:
        start_ns = ts_ns - ts_ns % self.interval_ns
        if self.whole_from_ns < 0:
            self.whole_from_ns = ts_ns
        if start_ns == self.start_ns:
            if mid > self.high:
                self.high = mid
            elif mid < self.low:
                self.low = mid
            self.last = mid
        elif start_ns > self.start_ns:
            self.close()
            self.start_ns = start_ns
            self.open = self.high = self.low = self.last = mid

    def close(self) -> None:
        bar = self.made()
        if bar is not None and (not self.closed or bar.ts_event_ns > self.closed[-1].ts_event_ns):
            self.closed.append(bar)
        self.start_ns = -1

    def made(self) -> Bar | None:
        """The bar being made, if all of it was watched so far."""
        if self.start_ns < 0 or self.start_ns < self.whole_from_ns:
            return None
        return Bar(self.symbol, self.start_ns, self.open, self.high, self.low, self.last)

    def interrupt(self) -> None:
        self.start_ns = self.whole_from_ns = -1


class LiveBars:
    """`ports.MarketData` over the quotes that come by; `take` each of them.

    `lengths`: how many closed bars to keep, by length in seconds. `clocked`: the market lives by our clock, so a bar
    is over when its end has passed, quote or no quote; a recorded market's time is that of its last quote.
    """

    def __init__(self, lengths: Mapping[int, int], *, clocked: bool = True) -> None:
        self._lengths, self._clocked = dict(lengths), clocked
        self._series: dict[tuple[str, int], _Series] = {}
        self._by_symbol: dict[str, list[_Series]] = {}
        self._coarse_s: dict[str, int] = {}
        self._readers: list[tuple[frozenset[str], asyncio.Queue[Quote]]] = []
        self.market_ns = 0
        """Time of the latest quote, by the venue's clock."""
        self.last: dict[str, Quote] = {}
        """The last sound quote of each symbol."""

    def take(self, quote: Quote) -> None:
        """Let a quote take part. One that is crossed, not above zero or no number changes nothing."""
        bid, ask = quote.bid, quote.ask
        if not (bid.is_finite() and ask.is_finite()) or bid <= 0 or bid > ask:
            return
        self.last[quote.symbol] = quote
        ts_ns = quote.ts_event_ns or quote.ts_received_ns
        if self._clocked and 0 < quote.ts_received_ns < ts_ns - AHEAD_NS:
            return
        self.market_ns = max(self.market_ns, ts_ns)
        mid = (bid + ask) * HALF
        for series in self._by_symbol.get(quote.symbol) or self._begin(quote.symbol):
            series.take(mid, ts_ns)
        for symbols, queue in self._readers:
            if quote.symbol in symbols:
                queue.put_nowait(quote)

    def add_history(self, interval_s: int, bars: Iterable[Bar]) -> None:
        """Put closed bars of one of the lengths kept, oldest first, before what the quotes make."""
        for bar in bars:
            series = self._of(bar.symbol, interval_s)
            if series is not None and (not series.closed or bar.ts_event_ns > series.closed[-1].ts_event_ns):
                series.closed.append(bar)

    def coarse(self, symbol: str, interval_s: int) -> None:
        """Note that a symbol's quotes come out of bars of that length, seconds: shorter ones cannot be made of them."""
        self._coarse_s[symbol] = interval_s

    def interrupted(self) -> None:
        """Note that quotes were missed: the bars being made are no whole ones."""
        for series in self._series.values():
            series.interrupt()

    async def bars(self, symbol: str, interval_s: int, count: int, until_ns: int) -> list[Bar]:
        """Return the last `count` bars closed by `until_ns`, oldest first; none where they cannot be made."""
        return self.closed(symbol, interval_s, count, until_ns)

    def closed(self, symbol: str, interval_s: int, count: int, until_ns: int) -> list[Bar]:
        """As `bars`, without waiting."""
        series = self._series.get((symbol, interval_s))
        if series is None or self._too_coarse(symbol, interval_s):
            return []
        now_ns = until_ns if self._clocked else min(until_ns, self.market_ns)
        found = [bar for bar in series.closed if bar.ts_event_ns + series.interval_ns <= now_ns]
        current = series.made()
        if current is not None and current.ts_event_ns + series.interval_ns <= now_ns:
            found.append(current)
        return found[-count:]

    async def quotes(self, symbols: list[str]) -> AsyncIterator[Quote]:
        """Yield quotes of these symbols as they come."""
        queue: asyncio.Queue[Quote] = asyncio.Queue()
        reader = (frozenset(symbols), queue)
        self._readers.append(reader)
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.remove(reader)

    def warmth(self, symbol: str, policy: Policy, now_ns: int) -> Warmth:
        """Say whether a bracket that begins now would have an ATR, and if not, why."""
        interval_s = policy.atr.interval_s
        bars = self.closed(symbol, interval_s, bars_wanted(policy), now_ns)
        reading = read_bars(policy, bars)
        why = reading.why_no_atr
        if self._too_coarse(symbol, interval_s):
            why = f"the feed's bars are {self._coarse_s[symbol]} s long, atr.interval is {interval_s} s"
        return Warmth(
            symbol,
            policy.name,
            interval_s,
            reading.bars,
            policy.atr.period + 1,
            reading.atr_px,
            why,
            condition=reading.condition,
            why_no_condition=reading.why_no_condition,
        )

    def _too_coarse(self, symbol: str, interval_s: int) -> bool:
        return self._coarse_s.get(symbol, 0) > interval_s

    def _begin(self, symbol: str) -> list[_Series]:
        self._by_symbol[symbol] = [
            series for interval_s in self._lengths if (series := self._of(symbol, interval_s)) is not None
        ]
        return self._by_symbol[symbol]

    def _of(self, symbol: str, interval_s: int) -> _Series | None:
        keep = self._lengths.get(interval_s)
        if keep is None:
            return None
        key = (symbol, interval_s)
        if key not in self._series:
            self._series[key] = _Series(symbol, interval_s * NS, keep)
        return self._series[key]
