"""Levels watched here, per symbol, and which brackets a quote touches.

A sell-side exit (of a long) looks at the bid, a buy-side exit (of a short) at the ask. Each of the four kinds of
level lies in its own ordered list, so an idle quote compares list heads and makes no objects.
"""

from bisect import bisect_left, insort
from decimal import Decimal

from grodtd.domain.market import Quote
from grodtd.domain.orders import Side
from grodtd.execution.oco_emulator import Touch

_Key = tuple[Decimal, int, str, Touch]


class SymbolBook:
    """One symbol's watched levels. Keys are (price, order of arrival, bracket id): ties go to the older bracket."""

    def __init__(self) -> None:
        """Begin empty."""
        self._falling: list[_Key] = []
        """Long stops: touched from the top when the bid falls to them."""
        self._rising: list[_Key] = []
        """Long targets: touched from the bottom when the bid rises to them."""
        self._ask_rising: list[_Key] = []
        """Short stops: touched when the ask rises to them."""
        self._ask_falling: list[_Key] = []
        """Short targets: touched when the ask falls to them."""
        self._where: dict[tuple[str, Touch], tuple[list[_Key], _Key]] = {}
        self._arrivals = 0

    def watch(self, bracket_id: str, side: Side, touch: Touch, px: Decimal | None) -> None:
        """Watch `px` for a bracket, in place of what was watched before; None stops watching.

        A price at which a stop moves is on the winning side, as a target is.
        """
        known = self._where.get((bracket_id, touch))
        if known is not None:
            if known[1][0] == px:
                return
            levels, key = known
            del levels[bisect_left(levels, key)]
            del self._where[(bracket_id, touch)]
        if px is None:
            return
        self._arrivals += 1
        key = (px, self._arrivals, bracket_id, touch)
        if touch is Touch.STOP:
            levels = self._falling if side is Side.BUY else self._ask_rising
        else:
            levels = self._rising if side is Side.BUY else self._ask_falling
        insort(levels, key)
        self._where[(bracket_id, touch)] = (levels, key)

    def touched(self, quote: Quote) -> list[tuple[str, Touch]]:
        """Return the brackets whose watched level a quote is at or through: stops before targets, older first.

        A crossed quote, or one without a positive price, is not trusted and touches nothing.
        """
        bid, ask = quote.bid, quote.ask
        if (
            not (self._falling and self._falling[-1][0] >= bid)
            and not (self._rising and self._rising[0][0] <= bid)
            and not (self._ask_rising and self._ask_rising[0][0] <= ask)
            and not (self._ask_falling and self._ask_falling[-1][0] >= ask)
        ):
            return []
        if bid > ask or bid <= 0:
            return []
        stops = self._falling[self._first_at_or_above(self._falling, bid) :]
        stops += self._ask_rising[: self._first_above(self._ask_rising, ask)]
        targets = self._rising[: self._first_above(self._rising, bid)]
        targets += self._ask_falling[self._first_at_or_above(self._ask_falling, ask) :]
        hit = {key[2] for key in stops}
        return [(key[2], key[3]) for key in sorted(stops, key=_arrival)] + [
            (key[2], key[3]) for key in sorted(targets, key=_arrival) if key[2] not in hit
        ]

    @staticmethod
    def _first_above(levels: list[_Key], px: Decimal) -> int:
        return bisect_left(levels, (px, 1 << 62, ""))

    @staticmethod
    def _first_at_or_above(levels: list[_Key], px: Decimal) -> int:
        return bisect_left(levels, (px, 0, ""))


def _arrival(key: _Key) -> int:
    return key[1]


class TriggerBook:
    """All symbols' watched levels."""

    def __init__(self) -> None:
        """Begin empty."""
        self._symbols: dict[str, SymbolBook] = {}

    def watch(self, symbol: str, bracket_id: str, side: Side, touch: Touch, px: Decimal | None) -> None:
        """Watch a level, or with None stop watching it."""
        book = self._symbols.get(symbol)
        if book is None:
            if px is None:
                return
            book = self._symbols[symbol] = SymbolBook()
        book.watch(bracket_id, side, touch, px)

    def touched(self, quote: Quote) -> list[tuple[str, Touch]]:
        """Return what a quote touches; empty for most quotes."""
        book = self._symbols.get(quote.symbol)
        return book.touched(quote) if book is not None else []
