"""Closed bars as facts, for brackets whose stops and times live by them: made from quotes, each side for itself.

A bar covers [n x interval, (n + 1) x interval) since the epoch and is told once it is over: when a quote of a later
one comes, or, where the market lives by our clock, when its end has passed. One that nothing was quoted in is none.
After a restart the bar under way is told of what was seen of it: a stop may move a little less, never more.

A bar's time is its start, where the market lives by our clock; of a recorded market it is when we saw its first quote,
as the fills in it are by our clock, too.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from grodtd.domain.events import BarsClosed
from grodtd.domain.market import Quote
from grodtd.domain.policy import NS_PER_S, Policy, TrailAtr
from grodtd.runtime.bars import AHEAD_NS

Living = Callable[[str], Iterable[tuple[str, Policy]]]
"""Brackets of a symbol that live by bars, with their policies."""
AtrNow = Callable[[str, Policy, int], Decimal | None]
"""A symbol's ATR under a policy, by the bars closed until a time; None: not known."""


class _Making:
    """The bar of one symbol and length that is being made."""

    __slots__ = ("ask", "ask_low", "begun_ns", "bid", "bid_high", "start_ns")

    def __init__(self, start_ns: int, begun_ns: int, quote: Quote) -> None:
        self.start_ns, self.begun_ns = start_ns, begun_ns
        self.bid_high = self.bid = quote.bid
        self.ask_low = self.ask = quote.ask

    def take(self, quote: Quote) -> None:
        self.bid, self.ask = quote.bid, quote.ask
        self.bid_high = max(self.bid_high, quote.bid)
        self.ask_low = min(self.ask_low, quote.ask)


class BarFacts:
    """Makes bars of quotes and says when they close. Plain and synchronous: whoever calls it hands the facts on."""

    def __init__(self, policies: Iterable[Policy], living: Living, atr_now: AtrNow, *, clocked: bool = True) -> None:
        """Make the bars these policies ask for, and those that a living bracket's own does.

        `clocked`: the market lives by our clock; a recorded one does not.
        """
        self._lengths_s = frozenset(policy.atr.interval_s for policy in policies if policy.wants_bars)
        self._living, self._atr_now, self._clocked = living, atr_now, clocked
        self._making: dict[tuple[str, int], _Making] = {}

    def take(self, quote: Quote, now_ns: int) -> list[BarsClosed]:
        """Let a quote take part; return the bars it shows to be over.

        A crossed one is passed over; so is one from a time that is not yet: it would end every bar until then.
        """
        lengths_s = self._lengths_s.union(policy.atr.interval_s for _, policy in self._living(quote.symbol))
        if not lengths_s or quote.bid <= 0 or quote.bid > quote.ask:
            return []
        ts_ns = quote.ts_event_ns or quote.ts_received_ns
        if self._clocked and ts_ns > now_ns + AHEAD_NS:
            return []
        closed: list[BarsClosed] = []
        for length_s in sorted(lengths_s):
            key = quote.symbol, length_s
            start_ns = ts_ns - ts_ns % (length_s * NS_PER_S)
            making = self._making.get(key)
            if making is None or start_ns > making.start_ns:
                if making is not None:
                    closed += self._told(quote.symbol, length_s, making, now_ns)
                self._making[key] = _Making(start_ns, now_ns, quote)
            elif start_ns == making.start_ns:
                making.take(quote)
        return closed

    def over(self, market_ns: int, now_ns: int) -> list[BarsClosed]:
        """Return the bars whose end has passed at `market_ns`, quote or no quote."""
        ended = [
            (key, making) for key, making in self._making.items() if making.start_ns + key[1] * NS_PER_S <= market_ns
        ]
        closed: list[BarsClosed] = []
        for key, making in ended:
            del self._making[key]
            closed += self._told(*key, making, now_ns)
        return closed

    def _told(self, symbol: str, length_s: int, making: _Making, now_ns: int) -> Iterator[BarsClosed]:
        """One fact for all, or one a bracket where they do not all trail by the same ATR."""
        living = [(name, policy) for name, policy in self._living(symbol) if policy.atr.interval_s == length_s]
        if not living:
            return
        end_ns = making.start_ns + length_s * NS_PER_S
        by_atr = {policy.atr if policy.trailing.atr is TrailAtr.CURRENT else None for _, policy in living}
        for name, policy in living if len(by_atr) > 1 else [("", living[0][1])]:
            current = policy.trailing.atr is TrailAtr.CURRENT
            yield BarsClosed(
                symbol,
                bid_high=making.bid_high,
                bid_close=making.bid,
                ask_low=making.ask_low,
                ask_close=making.ask,
                atr_px=self._atr_now(symbol, policy, end_ns) if current else None,
                interval_s=length_s,
                bracket_id=name,
                ts_event_ns=making.start_ns if self._clocked else making.begun_ns,
                ts_received_ns=now_ns,
            )
