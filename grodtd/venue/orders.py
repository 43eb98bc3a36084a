"""An order as the venue holds it: one record for a whole chain of replaces, changed in place."""

from decimal import Decimal
from enum import Enum

import msgspec

from grodtd.domain.money import ZERO, divide
from grodtd.domain.orders import NewOrder, OrderReport, OrderStatus, OrderType, Side, TimeInForce

STOP_TYPES = (OrderType.STOP, OrderType.STOP_LIMIT)
IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)


class WaitsFor(Enum):
    """What an open order needs to happen to it next."""

    ANY_PX = "any price"
    """The next price decides it: a market order, a triggered stop, one that may not rest."""
    STOP_PX = "its stop price"
    LIMIT_PX = "its limit price"


class VenueOrder(msgspec.Struct, eq=False):
    """One chain: what was asked for last, and what became of it. Quantities in units, prices in quote currency."""

    request: NewOrder
    """The newest request; its client order id is the one that lives."""
    seq: int
    """Arrival number: earlier orders are served first."""
    group: str
    """The bracket's name, out of the client order id: a bar is matched group by group."""
    quantity: Decimal
    """Total of the chain, fills included; a linked leg's may have been cut since the request."""
    cum_qty: Decimal = ZERO
    value: Decimal = ZERO
    """Sum of price x quantity over the fills."""
    status: OrderStatus = OrderStatus.WORKING
    open: bool = True
    """Whether it may still fill."""
    triggered: bool = False
    """A stop whose price was reached: now a market order, or a limit order where it has a limit."""
    waits_for: WaitsFor = WaitsFor.ANY_PX
    """Follows from the request and `triggered`; `settle_wait` brings it up to date."""
    link: "Link | None" = None
    claimed: Decimal = ZERO
    """Units of the position it holds for itself alone; a linked leg's are in `link`."""
    rank: int = 0
    """Which entry of the book's price heaps is its own; 0: none."""
    reason: str = ""
    changed_ns: int = 0

    @property
    def leaves_qty(self) -> Decimal:
        """Units that may still fill."""
        return self.quantity - self.cum_qty if self.open else ZERO

    def settle_wait(self) -> None:
        """Work out `waits_for` after the request or `triggered` changed."""
        request = self.request
        if request.stop_px is not None and not self.triggered:
            self.waits_for = WaitsFor.STOP_PX
        elif request.limit_px is None or request.time_in_force in IMMEDIATE:
            self.waits_for = WaitsFor.ANY_PX
        else:
            self.waits_for = WaitsFor.LIMIT_PX

    @property
    def immediate(self) -> bool:
        """Whether it ends at the first price it meets, filled or not."""
        return self.request.time_in_force in IMMEDIATE

    def snapshot(self) -> OrderReport:
        """Return what a query is answered with."""
        request = self.request
        if request.quantity != self.quantity:
            request = msgspec.structs.replace(request, quantity=self.quantity)
        return OrderReport(
            client_order_id=request.client_order_id,
            status=self.status,
            cum_qty=self.cum_qty,
            avg_px=divide(self.value, self.cum_qty) if self.cum_qty else None,
            order=request,
            reason=self.reason,
            ts_event_ns=self.changed_ns,
            ts_received_ns=self.changed_ns,
        )


class Link(msgspec.Struct, eq=False):
    """A native pair: one cancels the other."""

    stop: VenueOrder
    target: VenueOrder
    claimed: Decimal = ZERO
    """Units of the position the pair holds, once for both legs."""

    def other(self, order: VenueOrder) -> VenueOrder:
        """Return the leg `order` is linked with."""
        return self.target if order is self.stop else self.stop


def bracket_of(client_order_id: str) -> str:
    """Return the group an order belongs to: its id up to the first dot, or all of a foreign id.

    >>> bracket_of("B7.stop3"), bracket_of("manual-1")
    ('B7', 'manual-1')
    """
    return client_order_id.partition(".")[0]


def closing_qty(position: Decimal, side: Side) -> Decimal:
    """Return how many units an order of `side` may trade before the signed `position` would turn over.

    >>> closing_qty(Decimal(5), Side.SELL), closing_qty(Decimal(5), Side.BUY)
    (Decimal('5'), Decimal('0'))
    """
    open_qty = position if side is Side.SELL else -position
    return open_qty if open_qty > 0 else ZERO
