"""Levels watched here, per symbol, and which brackets a quote touches.

A sell-side exit (of a long) looks at the bid, a buy-side exit (of a short) at the ask. On each side, stops lie in one
heap, targets and prices at which a stop moves in another, and trailing stops in groups (`trail_groups`). An idle quote
is compared with the nearest price of each and makes no objects, however many brackets wait. Adding, moving and taking
away are O(log n).

Levels are kept as whole numbers of a power of ten that writes all of them exactly; a finer level makes it finer. So
a quote on or off the tick is compared exactly, one by one or as an array.
"""

from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from math import inf

from grodtd.domain.market import Quote
from grodtd.domain.orders import Side
from grodtd.execution.oco_emulator import Touch
from grodtd.execution.quote_scan import FAR, Heads, Ints, Scan, scan
from grodtd.execution.trail_groups import Trail, TrailGroups
from grodtd.execution.watch_heap import Heap, Watch, add, collect, pruned, top

Touched = Sequence[tuple[str, Touch]]
"""Which brackets' levels a quote is at or through, and which level: stops before others, the older first."""
_NOTHING: Touched = ()
_EXACT = Context(prec=1000)
"""Changes of unit lose no digit, whatever precision a program that embeds us has set."""
_FEW = 64
"""So many that were taken away may always lie about."""


class _Exits:
    """What one side waits for. Units are as a long sees them, a short's negated; `Decimal`s are market prices."""

    def __init__(self, side: Side) -> None:
        self.long = side is Side.BUY
        self.stops: Heap = []
        """By -level: the highest stop on top."""
        self.targets: Heap = []
        """By level: the lowest target, or price at which a stop moves, on top."""
        self.trails = TrailGroups()
        self.count = self.dead = 0
        self.low = self.high = self.beyond = self.fixed = self.distance = Decimal(0)
        """A price strictly between `low` and `high` reaches nothing and lifts nothing. A better one than `high`, short
        of `beyond`, only lifts trails: the nearest stays `distance` behind it, and of all other stops the nearest is
        `fixed`. Prices may lie too near to the market, never too far.
        """
        self.seen: Decimal | None = None
        """The best price of late, which `trails` is still to be told."""
        self.renew(0)

    def add_stop(self, units: int, watch: Watch) -> None:
        """Wait for one more stop at a level."""
        add(self.stops, -units, watch)
        px = watch.px
        if self.long:
            self.low, self.fixed = max(self.low, px), max(self.fixed, px)
        else:
            self.high, self.fixed = min(self.high, px), min(self.fixed, px)

    def add_target(self, units: int, watch: Watch) -> None:
        """Wait for one more target, or price to move at."""
        add(self.targets, units, watch)
        px = watch.px
        if self.long:
            self.high, self.beyond = min(self.high, px), min(self.beyond, px)
        else:
            self.low, self.beyond = max(self.low, px), max(self.beyond, px)

    def removed(self, watch: Watch) -> None:
        """Forget one; it lies about until it is met, or until half of what lies here was taken away."""
        watch.alive = False
        self.count -= 1
        self.dead += 1
        if isinstance(watch, Trail):
            self.trails.removed(watch)
        if self.dead > _FEW and self.dead > self.count:
            self.prune()

    def prune(self, factor: int = 1) -> None:
        """Drop what was taken away, and count prices in units `factor` times as fine."""
        self.stops, self.targets, self.dead = pruned(self.stops, factor), pruned(self.targets, factor), 0
        self.trails.prune(factor)

    def only_lifts(self, px: Decimal) -> bool:
        """Tell whether all that a trusted price does is to lift trails, and if so let it: O(1), however many trail."""
        if self.long:
            if not (self.high <= px < self.beyond and px > self.low):
                return False
            stop = _EXACT.subtract(px, self.distance)
            self.high, self.low = px, stop if stop > self.fixed else self.fixed
        else:
            if not (self.low >= px > self.beyond and px < self.high):
                return False
            stop = _EXACT.add(px, self.distance)
            self.low, self.high = px, stop if stop < self.fixed else self.fixed
        self.seen = px
        return True

    def reached(self, below: int, above: int, stops: list[Watch], others: list[Watch]) -> None:
        """Collect what a price reaches; `below` and `above` are the units it lies between, or twice itself."""
        collect(self.stops, -above, stops)
        collect(self.targets, below, others)
        if self.trails:
            self.trails.lift(below)
            self.trails.collect(above, stops)

    def renew(self, decimals: int) -> None:
        """Work out again which prices are idle, and which only lift trails; a unit is 10^-decimals."""
        stop, target = top(self.stops), top(self.targets)
        fixed = -stop if stop is not None else -inf
        beyond = target if target is not None else inf
        low, high = fixed, beyond
        trails = self.trails.bounds()
        if trails is not None:
            fixed = max(fixed, trails.fixed)
            low, high = max(fixed, trails.best - trails.distance), min(high, trails.best)
            beyond = min(beyond, trails.joins)
            self.distance = _EXACT.scaleb(Decimal(trails.distance), -decimals)
        sign = 1 if self.long else -1
        self.fixed, self.beyond, low_px, high_px = (
            _EXACT.scaleb(Decimal(sign * units), -decimals) for units in (fixed, beyond, low, high)
        )
        self.low, self.high = (low_px, high_px) if self.long else (high_px, low_px)

    def heads(self, step: int) -> Heads:
        """What a walk over prices in units of `step` compares with."""
        stop, target = top(self.stops), top(self.targets)
        return Heads(
            max(-stop // step, -FAR) if stop is not None else -FAR,
            min(-(-target // step), FAR) if target is not None else FAR,
            self.trails.as_arrays(step),
        )


class SymbolBook:
    """One symbol's watched levels: of a bracket a stop (at a level, or trailing), a target, a price to move at."""

    def __init__(self) -> None:
        """Begin empty."""
        self._stops: dict[str, Watch] = {}
        self._targets: dict[str, Watch] = {}
        self._moves: dict[str, Watch] = {}
        self._longs, self._shorts = _Exits(Side.BUY), _Exits(Side.SELL)
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
            return _EXACT.scaleb(Decimal(watch.side.sign * (watch.group.best - watch.distance)), -self._decimals)
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

    def _put(self, watch: Watch) -> _Exits:
        self._of(watch.touch)[watch.bracket_id] = watch
        exits = self._exits(watch.side)
        exits.count += 1
        return exits

    def _remove(self, watch: Watch) -> None:
        del self._of(watch.touch)[watch.bracket_id]
        self._exits(watch.side).removed(watch)

    def _exits(self, side: Side) -> _Exits:
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
        scaled = _EXACT.scaleb(px, self._decimals)
        units = int(scaled)
        if units == scaled:
            return units
        exponent = _EXACT.normalize(scaled).as_tuple().exponent
        assert isinstance(exponent, int), f"{px} is no price"
        self._decimals -= exponent
        self._longs.prune(10**-exponent)
        self._shorts.prune(10**-exponent)
        return int(_EXACT.scaleb(px, self._decimals))

    def _between(self, px: Decimal, exits: _Exits) -> tuple[int, int]:
        """Return the units a market price > 0 lies between; trails need it exactly, levels do not."""
        if exits.trails:
            self._tell_seen(exits)
            units = self._units(px)
            return units, units
        scaled = _EXACT.scaleb(px, self._decimals)
        units = int(scaled)
        return units, units if units == scaled else units + 1

    def _tell_seen(self, exits: _Exits) -> None:
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
