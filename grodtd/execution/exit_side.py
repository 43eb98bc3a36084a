"""What one side of a market is waited on for: stops, targets and trails of all longs, or of all shorts, of a symbol.

It knows between which prices a quote is idle, so that most quotes are compared with two prices and no more.
"""

from decimal import Decimal
from math import inf

from grodtd.domain.orders import Side
from grodtd.execution.quote_scan import FAR, Heads
from grodtd.execution.trail_groups import Trail, TrailGroups
from grodtd.execution.watch_heap import EXACT, Heap, Watch, add, collect, pruned, top

_FEW = 64
"""So many that were taken away may always lie about."""


class ExitSide:
    """What one side waits for. Units are as a long sees them, a short's negated; `Decimal`s are market prices."""

    def __init__(self, side: Side) -> None:
        """Begin empty; `side` is that of the entries."""
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
            stop = EXACT.subtract(px, self.distance)
            self.high, self.low = px, stop if stop > self.fixed else self.fixed
        else:
            if not (self.low >= px > self.beyond and px < self.high):
                return False
            stop = EXACT.add(px, self.distance)
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
            self.distance = EXACT.scaleb(Decimal(trails.distance), -decimals)
        sign = 1 if self.long else -1
        self.fixed, self.beyond, low_px, high_px = (
            EXACT.scaleb(Decimal(sign * units), -decimals) for units in (fixed, beyond, low, high)
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
