"""One symbol at the venue: its last prices, and the orders that rest there, indexed so that an idle quote is cheap."""

from decimal import Decimal
from heapq import heapify, heappop, heappush

from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.money import ZERO
from grodtd.domain.orders import Side
from grodtd.venue.orders import VenueOrder, WaitsFor

Entry = tuple[Decimal, int, VenueOrder]
"""(key, rank, order): reached when key <= the heap's threshold; the rank is unique, so orders are never compared."""

SELL_STOPS, SELL_LIMITS, BUY_STOPS, BUY_LIMITS = range(4)


class Book:
    """The orders and prices of one symbol. `bid` and `ask` are None until a sound quote came (and in bar mode)."""

    __slots__ = (
        "_heaps",
        "_ranks",
        "_unranked",
        "ask",
        "ask_left",
        "bid",
        "bid_left",
        "claimed",
        "close_px",
        "groups",
        "halted",
        "instrument",
        "marketable",
        "working",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bid: Decimal | None = None
        self.ask: Decimal | None = None
        self.bid_left: Decimal | None = None
        self.ask_left: Decimal | None = None
        self.close_px: Decimal | None = None
        self.halted = False
        self.claimed = {Side.BUY: ZERO, Side.SELL: ZERO}
        """Units of the position that resting orders of that side hold for themselves."""
        self.working: dict[int, VenueOrder] = {}
        """Every open order by arrival number."""
        self.groups: dict[str, list[VenueOrder]] = {}
        """Open orders by bracket."""
        self.marketable: dict[int, VenueOrder] = {}
        """Orders the next price decides, whatever it is."""
        self._unranked: dict[int, VenueOrder] = {}  # not in a heap yet: a replay on bars never builds the heaps
        self._heaps: tuple[list[Entry], ...] = ([], [], [], [])
        self._ranks = 0

    @property
    def last_px(self) -> Decimal | None:
        """The middle of the last quote or of the last bar's close; None before any."""
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        return self.close_px

    def take_quote(self, quote: Quote) -> bool:
        """Make `quote` the market; False, and nothing changed, when it is crossed, zero or not a number."""
        bid, ask = quote.bid, quote.ask
        if not (bid.is_finite() and ask.is_finite() and ZERO < bid <= ask):
            return False
        self.bid, self.ask = bid, ask
        self.bid_left, self.ask_left = quote.bid_qty, quote.ask_qty
        return True

    def take_close(self, bid_px: Decimal, ask_px: Decimal) -> None:
        """Remember a bar's close as the last price; between bars no quote is known."""
        self.bid = self.ask = self.bid_left = self.ask_left = None
        self.close_px = bid_px if bid_px is ask_px else (bid_px + ask_px) / 2

    def add(self, order: VenueOrder) -> None:
        """Let `order` rest here."""
        self.working[order.seq] = order
        group = self.groups.get(order.group)
        if group is None:
            self.groups[order.group] = [order]
        else:
            group.append(order)
        self.rest(order)

    def rest(self, order: VenueOrder) -> None:
        """Index an open order by the price it waits for; call again when that has changed."""
        order.rank = 0
        if order.waits_for is WaitsFor.ANY_PX:
            self._unranked.pop(order.seq, None)
            self.marketable[order.seq] = order
        else:
            self._unranked[order.seq] = order

    def remove(self, order: VenueOrder) -> None:
        """Forget an order that ended or moves to another place in the queue."""
        order.rank = 0
        seq = order.seq
        del self.working[seq]
        if self._unranked.pop(seq, None) is None and self.marketable:
            self.marketable.pop(seq, None)
        group = self.groups[order.group]
        group.remove(order)
        if not group:
            del self.groups[order.group]

    def reached(self) -> list[VenueOrder]:
        """Return, by arrival, the orders the quote decides. Those it does not end must `rest` again."""
        bid, ask = self.bid, self.ask
        assert bid is not None
        assert ask is not None
        if self._unranked:
            self._rank()
        hits = list(self.marketable.values()) if self.marketable else []
        for heap, threshold in zip(self._heaps, (-bid, bid, ask, -ask), strict=True):
            while heap and heap[0][0] <= threshold:
                _, rank, order = heappop(heap)
                if order.rank == rank:
                    order.rank = 0
                    hits.append(order)
        if len(hits) > 1:
            hits.sort(key=_arrival)
        return hits

    def _rank(self) -> None:
        for order in self._unranked.values():
            self._ranks += 1
            order.rank = self._ranks
            request = order.request
            sell = request.side is Side.SELL
            if order.waits_for is WaitsFor.STOP_PX:
                px, which = request.stop_px, SELL_STOPS if sell else BUY_STOPS
            else:
                px, which = request.limit_px, SELL_LIMITS if sell else BUY_LIMITS
            assert px is not None
            heap = self._heaps[which]
            heappush(heap, (-px if which in (SELL_STOPS, BUY_LIMITS) else px, order.rank, order))
        self._unranked.clear()
        for heap in self._heaps:  # entries of orders that ended or moved: swept when they are the many
            if len(heap) > 64 and len(heap) > 3 * len(self.working):
                heap[:] = [entry for entry in heap if entry[2].rank == entry[1]]
                heapify(heap)


def _arrival(order: VenueOrder) -> int:
    return order.seq
