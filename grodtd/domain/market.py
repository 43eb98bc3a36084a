"""Market data nouns: a two-sided quote, a bar, and a volatility reading taken from bars."""

from decimal import Decimal

import msgspec

from grodtd.domain.orders import Side


class Quote(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Best bid and ask, quote currency per unit. A trade feed sends its price as both."""

    symbol: str
    bid: Decimal
    ask: Decimal
    ts_event_ns: int = 0
    ts_received_ns: int = 0
    bid_qty: Decimal | None = None
    ask_qty: Decimal | None = None
    """Available volume, units; None: as much as anybody wants."""

    def exit_px(self, entry_side: Side) -> Decimal:
        """The price a bracket of `entry_side` would get out at: a long sells to the bid, a short buys the ask."""
        return self.bid if entry_side is Side.BUY else self.ask

    @property
    def crossed(self) -> bool:
        """A bid above the ask: an untrustworthy quote that triggers nothing."""
        return self.bid > self.ask


class Bar(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Open, high, low and close over [time, time + interval); `ts_event_ns` is the bar's open."""

    symbol: str
    ts_event_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None


class VolatilityReading(msgspec.Struct, frozen=True, gc=False):
    """What the bars said when a bracket began: the facts its levels are computed from.

    `atr_px` None means no usable ATR (`why_no_atr` says why): the fallback percentage applies.
    """

    atr_px: Decimal | None = None
    close_px: Decimal | None = None
    """Last closed bar's close, quote currency: ATR% = atr_px / close_px."""
    median_atr_pct: Decimal | None = None
    """Median ATR% over the look-back, now included; None with fewer than 20 values."""
    bars: int = 0
    why_no_atr: str = ""
    condition: str | None = None
    """Market condition (trending, ranging, volatile): as somebody named it, else as the bars tell it."""
    efficiency_ratio: Decimal | None = None
    """|net move| / path over the last bars, 0 to 1; None: the condition was named, or is not known."""
    atr_percentile: Decimal | None = None
    """Share of the earlier ATR% values in the window that lie below the present one, 0 to 1."""
    why_no_condition: str = ""
    """Why the bars tell no condition; empty where none was asked of them."""
