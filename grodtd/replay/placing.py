"""Where an entry meets the prices: the bar or quote it is filled in, at what price, and what its ATR may know.

On bars: without a price an entry is filled at the close of the bar its time lies in (a buy at the ask, a sell at the
bid), and that bar counts for ATR; with a price, which must lie within that bar's range for its side, ATR ends with
the bar before.

On quotes: without a price it is filled at the last uncrossed quote at or before its time; a price must lie within
what its side was quoted at during the bar interval that holds the time. ATR knows the mid bars that have ended.
"""

from dataclasses import dataclass
from decimal import Decimal

from grodtd.domain.money import plain
from grodtd.domain.orders import Side
from grodtd.replay.prices import Bars, Quotes, iso_ms


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an entry meets the prices."""

    index: int
    """The bar or quote it is filled in; exits are looked for from the next one on."""
    fill_px: Decimal
    """Quote currency per unit; a price given may be finer than the file's unit, and is taken as it is."""
    atr_bar: int
    """The last bar (on quotes: mid bar) its ATR may know; -1: none."""


class NoPlaceError(ValueError):
    """The market offers no such fill; `str()` says why, for the person who supplied the entry."""


def place(
    time_ns: int, side: Side, price: Decimal | None, prices: Bars | Quotes, mid_bars: Bars | None = None
) -> Placed:
    """Find the place of one entry. `mid_bars` are needed with quotes: those `bars_from_quotes` makes of them.

    Raises: NoPlaceError - the time is outside the prices, or the price is one the market did not trade at.
    """
    if isinstance(prices, Bars):
        return _on_bars(time_ns, side, price, prices)
    assert mid_bars is not None, "quotes need their mid bars"
    return _on_quotes(time_ns, side, price, prices, mid_bars)


def _on_bars(time_ns: int, side: Side, price: Decimal | None, bars: Bars) -> Placed:
    index = bars.index_at(time_ns)
    if index is None:
        raise NoPlaceError(_outside("bars", time_ns, int(bars.time_ns[0]), int(bars.end_ns[-1])))
    traded = bars.entry_side(side)
    if price is None:
        return Placed(index, bars.px(int(traded.close[index])), index)
    low, high = bars.px(int(traded.low[index])), bars.px(int(traded.high[index]))
    _check_within(price, low, high, side, f"the bar of {iso_ms(int(bars.time_ns[index]))}")
    return Placed(index, price, index - 1)


def _on_quotes(time_ns: int, side: Side, price: Decimal | None, quotes: Quotes, mid_bars: Bars) -> Placed:
    index = quotes.last_index(time_ns)
    if index is None:
        raise NoPlaceError(_outside("quotes", time_ns, int(quotes.time_ns[0]), int(quotes.time_ns[-1])))
    atr_bar = int(mid_bars.end_ns.searchsorted(time_ns, "right")) - 1
    quoted = quotes.entry_side(side)
    if price is None:
        while quotes.crossed[index]:
            index -= 1
            if index < 0:
                raise NoPlaceError("every quote up to then is crossed: there is no price to fill at")
        return Placed(index, quotes.px(int(quoted[index])), atr_bar)
    start_ns = time_ns // mid_bars.interval_ns * mid_bars.interval_ns
    first, end = quotes.time_ns.searchsorted([start_ns, start_ns + mid_bars.interval_ns]).tolist()
    near = quoted[first:end][~quotes.crossed[first:end]]
    where = f"the bar interval from {iso_ms(start_ns)}"
    if not len(near):
        raise NoPlaceError(f"there is no quote in {where} to hold the price against")
    _check_within(price, quotes.px(int(near.min())), quotes.px(int(near.max())), side, f"the quotes of {where}")
    return Placed(index, price, atr_bar)


def _outside(what: str, time_ns: int, first_ns: int, end_ns: int) -> str:
    inside = ", and none covers that moment" if first_ns <= time_ns < end_ns else ""
    return f"time {iso_ms(time_ns)} is outside the {what}: they run from {iso_ms(first_ns)} to {iso_ms(end_ns)}{inside}"


def _check_within(price: Decimal, low: Decimal, high: Decimal, side: Side, where: str) -> None:
    if not low <= price <= high:
        raise NoPlaceError(f"price {plain(price)} for a {side} is outside {plain(low)} to {plain(high)}, {where}")
