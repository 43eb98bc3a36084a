"""Levels watched here, per symbol, and which brackets a quote touches.

A sell-side exit (of a long) looks at the bid, a buy-side exit (of a short) at the ask. On each side, stops lie in one
heap, targets and prices at which a stop moves in another, and trailing stops in groups (`trail_groups`). An idle quote
is compared with the nearest price of each and makes no objects, however many brackets wait. Adding, moving and taking
away are O(log n).

Levels are kept as whole numbers of a power of ten that writes all of them exactly; a finer level makes it finer. So
a quote on or off the tick is compared exactly, one by one or as an array.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from grodtd.domain.market import Quote
from grodtd.domain.orders import Side
from grodtd.execution.exit_side import ExitSide
from grodtd.execution.oco_emulator import Touch
from grodtd.execution.quote_scan import FAR, Ints, Scan, scan
from grodtd.execution.trail_groups import Trail
from grodtd.execution.watch_heap import EXACT, Watch

Touched = Sequence[tuple[str, Touch]]
"""Which brackets' levels a quote is at or through, and which level: stops before others, the older first."""
_NOTHING: Touched = ()


class SymbolBook:
    """One symbol's watched levels: of a bracket a stop (at a level, or trailing), a target, a price to move at."""

    def __init__(self) -> None:
        """Begin empty."""
        self._stops: dict[str, Watch] = {}
        self._targets: dict[str, Watch] = {}
        self._moves: dict[str, Watch] = {}
        self._longs, self._shorts = ExitSide(Side.BUY), ExitSide(Side.SELL)
        self._arrivals = 0
        self._decimals = 0
        """One unit is 10^-decimals."""

    # -- what is watched ------------------------------------------------------------------------------------

    def watch(self, bracket_id: str, side: Side, touch: Touch, px: Decimal | None) -> None:
        """Watch `px` for a bracket, in place of what was watched before; None stops watching.

        A price at which a stop moves is on the winning side, as a target is.
        """
        known = self._of(touch).get(bracket_id)
        if known is None:
            if px is None:
                return
        elif known.px == px and not isinstance(known, Trail):
            return
        if known is not None:
            self._remove(known)
        if px is None:
            return
        units = side.sign * self._units(px)
        watch = Watch(bracket_id, side, touch, px, self._next_arrival())
        exits = self._put(watch)
        if touch is Touch.STOP:
            exits.add_stop(units, watch)
        else:
            exits.add_target(units, watch)

    def trail(self, bracket_id: str, side: Side, distance_px: Decimal, best_px: Decimal) -> None:
        """Let a bracket's stop stay `distance_px` behind the best exit-side price, beginning with `best_px`.

        In place of the stop it had; the best price is that of trusted quotes handed in from now on. `distance_px` > 0.
        """
        if distance_px <= 0:
            raise ValueError(f"bracket {bracket_id}: a stop trails by more than 0, not by {distance_px}")
        known = self._stops.get(bracket_id)
        if known is not None:
            self._remove(known)
        exits = self._exits(side)
        self._tell_seen(exits)
        self._units(best_px)  # whatever makes the unit finer comes first: the distance is counted in the one that holds
        trail = Trail(bracket_id, side, distance_px, self._next_arrival(), self._units(distance_px))
        self._put(trail)
        exits.trails.add(trail, side.sign * self._units(best_px))
        exits.renew(self._decimals)

    def stop_px(self, bracket_id: str) -> Decimal | None:
        """Where a bracket's stop stands now, trailing or not; None: none is watched."""
        watch = self._stops.get(bracket_id)
        if isinstance(watch, Trail):
            self._tell_seen(self._exits(watch.side))
            assert watch.group is not None
            return EXACT.scaleb(Decimal(watch.side.sign * (watch.group.best - watch.distance)), -self._decimals)
        return watch.px if watch is not None else None

    def levels(self) -> Iterator[tuple[str, Side, Touch, Decimal]]:
        """All levels but those of trailing stops, the older first: bracket, its side, what a touch means, price."""
        found = [*self._stops.values(), *self._targets.values(), *self._moves.values()]
        for watch in sorted(found, key=_arrival):
            if not isinstance(watch, Trail):
                yield watch.bracket_id, watch.side, watch.touch, watch.px

    def _of(self, touch: Touch) -> dict[str, Watch]:
        if touch is Touch.STOP:
            return self._stops
        return self._targets if touch is Touch.TARGET else self._moves

    def _put(self, watch: Watch) -> ExitSide:
        self._of(watch.touch)[watch.bracket_id] = watch
        exits = self._exits(watch.side)
        exits.count += 1
        return exits

    def _remove(self, watch: Watch) -> None:
        del self._of(watch.touch)[watch.bracket_id]
        self._exits(watch.side).removed(watch)

    def _exits(self, side: Side) -> ExitSide:
        return self._longs if side is Side.BUY else self._shorts

    def _next_arrival(self) -> int:
        self._arrivals += 1
        return self._arrivals

    # -- quotes ---------------------------------------------------------------------------------------------

    def touched(self, quote: Quote) -> Touched:
        """Return the brackets whose watched level a quote is at or through: stops before targets, older first.

        A crossed quote, or one without a positive price, is not trusted and touches nothing.
        """
        bid, ask = quote.bid, quote.ask
        longs, shorts = self._longs, self._shorts
        if longs.low < bid < longs.high and shorts.low < ask < shorts.high:
            return _NOTHING
        if bid > ask or bid <= 0:
            return _NOTHING
        stops: list[Watch] = []
        others: list[Watch] = []
        if not (longs.low < bid < longs.high or longs.only_lifts(bid)):
            below, above = self._between(bid, longs)
            longs.reached(below, above, stops, others)
            longs.renew(self._decimals)
        if not (shorts.low < ask < shorts.high or shorts.only_lifts(ask)):
            below, above = self._between(ask, shorts)
            shorts.reached(-above, -below, stops, others)
            shorts.renew(self._decimals)
        return _in_order(stops, others)

    def first(self, bid: Ints, ask: Ints, unit: Decimal, scan: Scan = scan) -> tuple[int, Touched]:
        """Take quotes as arrays up to the first one that touches anything; return its index and what it touches.

        bid, ask: int64[n], prices in `unit`, in time order. Where nothing is touched: n, and nothing. What was taken
        has moved the trailing stops, the quote that touches included; those after it were not looked at. Taking that
        one again (by `touched`) gives the same. `scan`: how to look, `quote_walk.walk` is compiled.
        """
        longs, shorts = self._longs, self._shorts
        self._tell_seen(longs)
        self._tell_seen(shorts)
        step = self._units(unit)  # after what may make the unit finer
        index = scan(bid, ask, longs.heads(step), shorts.heads(step))
        taken = slice(0, index + 1)
        if longs.trails or shorts.trails:
            trusted = (bid[taken] <= ask[taken]) & (bid[taken] > 0)
            if trusted.any():
                longs.trails.lift(int(bid[taken].max(where=trusted, initial=0)) * step)
                shorts.trails.lift(-int(ask[taken].min(where=trusted, initial=FAR)) * step)
        stops: list[Watch] = []
        others: list[Watch] = []
        if index < len(bid):
            bid_units, ask_units = int(bid[index]) * step, int(ask[index]) * step
            longs.reached(bid_units, bid_units, stops, others)
            shorts.reached(-ask_units, -ask_units, stops, others)
        longs.renew(self._decimals)
        shorts.renew(self._decimals)
        return index, _in_order(stops, others)

    # -- units ----------------------------------------------------------------------------------------------

    def _units(self, px: Decimal) -> int:
        """Return a price in units; one that is no whole number of them makes the unit finer."""
        scaled = EXACT.scaleb(px, self._decimals)
        units = int(scaled)
        if units == scaled:
            return units
        exponent = EXACT.normalize(scaled).as_tuple().exponent
        assert isinstance(exponent, int), f"{px} is no price"
        self._decimals -= exponent
        self._longs.prune(10**-exponent)
        self._shorts.prune(10**-exponent)
        return int(EXACT.scaleb(px, self._decimals))

    def _between(self, px: Decimal, exits: ExitSide) -> tuple[int, int]:
        """Return the units a market price > 0 lies between; trails need it exactly, levels do not."""
        if exits.trails:
            self._tell_seen(exits)
            units = self._units(px)
            return units, units
        scaled = EXACT.scaleb(px, self._decimals)
        units = int(scaled)
        return units, units if units == scaled else units + 1

    def _tell_seen(self, exits: ExitSide) -> None:
        """Tell trails the best price they have not been told; it only lifts those that run, so no order is lost."""
        if exits.seen is not None:
            seen, exits.seen = self._units(exits.seen), None
            exits.trails.lift(seen if exits.long else -seen)


def _arrival(watch: Watch) -> int:
    return watch.arrival


def _in_order(stops: list[Watch], others: list[Watch]) -> Touched:
    """Stops first, then the others of brackets whose stop was not reached; the older first."""
    if not stops and not others:
        return _NOTHING
    hit = {watch.bracket_id for watch in stops}
    stops.sort(key=_arrival)
    others.sort(key=_arrival)
    return [(watch.bracket_id, watch.touch) for watch in stops] + [
        (watch.bracket_id, watch.touch) for watch in others if watch.bracket_id not in hit
    ]


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

    def symbols(self) -> Iterator[tuple[str, SymbolBook]]:
        """Symbols by name, with their books."""
        return iter(sorted(self._symbols.items()))

    def touched(self, quote: Quote) -> Touched:
        """Return what a quote touches; empty for most quotes."""
        book = self._symbols.get(quote.symbol)
        return book.touched(quote) if book is not None else _NOTHING

    def first(self, symbol: str, bid: Ints, ask: Ints, unit: Decimal, scan: Scan = scan) -> tuple[int, Touched]:
        """Return the first of a symbol's quotes that touches anything, and what: see `SymbolBook.first`."""
        book = self._symbols.get(symbol)
        return book.first(bid, ask, unit, scan) if book is not None else (len(bid), _NOTHING)
