"""A venue of two units and three prices, whose every choice is somebody else's: the walker tries them all.

Values only, so that a state of the world can be put in a set. Quantities are whole units (int); the price is below
the stop (LOW), above the target (HIGH), or between (MID). Nothing here is clever: an order is taken or refused,
fills, ends, and says so.
"""

from decimal import Decimal
from typing import NamedTuple

from grodtd.domain.capabilities import SiblingOnPartial
from grodtd.domain.commands import CancelOrder, Command, QueryOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.events import OrderNotFound, RequestRefused
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderReport, OrderStatus, OrderType, TimeInForce

LOW, MID, HIGH = -1, 0, 1
NOW = 1_000 * 1_000_000_000
"""The walk's present, nanoseconds: time is shifted back to it after every timer."""
PX = {LOW: Decimal(85), MID: Decimal(100), HIGH: Decimal(120)}
QTY = [Decimal(n) for n in range(12)]


class Order(NamedTuple):
    """One order as the venue holds it."""

    cid: str
    quantity: int
    kind: str
    """entry | stop | limit | now"""
    level: Decimal | None = None
    cum: int = 0
    fills: tuple[int, ...] = ()
    """Sizes of its executions, oldest first; negative: busted."""
    status: OrderStatus = OrderStatus.WORKING
    linked: str = ""
    reduce_only: bool = False
    triggered: bool = False
    past: tuple[str, ...] = ()
    leg: str = ""
    fresh: bool = True
    """Whether it came so lately that a lagging read may miss it."""

    @property
    def open(self) -> bool:
        return self.status is OrderStatus.WORKING

    @property
    def root(self) -> str:
        """The id the chain began with: its executions are named after it."""
        return self.past[0] if self.past else self.cid

    @property
    def leaves(self) -> int:
        return self.quantity - self.cum if self.open else 0


Reports = tuple[ExecutionReport, ...]


class Venue(NamedTuple):
    """All orders, the price, and what is on its way back."""

    orders: tuple[Order, ...]
    price: int = MID
    stream: Reports = ()

    # ---------------------------------------------------------------- reading

    def find(self, cid: str) -> Order | None:
        for order in self.orders:
            if order.cid == cid or cid in order.past:
                return order
        return None

    @property
    def position(self) -> int:
        """Units held: entry and buy-backs less exits."""
        return sum(o.cum if o.leg in ("entry", "remedy") else -o.cum for o in self.orders)

    @property
    def committed(self) -> int:
        """Units that open exits may still sell; a linked pair once, reduce-only ones not at all."""
        total = 0
        for order in self.orders:
            if order.leg in ("entry", "remedy") or not order.open or order.reduce_only:
                continue
            sibling = self.find(order.linked) if order.linked else None
            if sibling is not None and sibling.open:
                total += max(order.leaves, sibling.leaves) if order.leg == "stop" else 0
            else:
                total += order.leaves
        return total

    @property
    def stops(self) -> int:
        return sum(o.leaves for o in self.orders if o.leg == "stop")

    # ---------------------------------------------------------------- changing

    def put(self, order: Order) -> "Venue":
        return self._replace(orders=tuple(order if o.cid == order.cid else o for o in self.orders))

    def say(self, order: Order, *, cid: str = "", status: OrderStatus | None = None) -> "Venue":
        """Report a change of status on the stream."""
        report = ExecutionReport(
            cid or order.cid, status or order.status, QTY[order.cum], ts_event_ns=NOW, ts_received_ns=NOW
        )
        return self._replace(stream=(*self.stream, report))

    def end(self, order: Order, status: OrderStatus, *, alone: bool = False) -> "Venue":
        ended = order._replace(status=status)
        venue = self.put(ended).say(ended)
        sibling = self.find(order.linked) if order.linked and not alone else None
        return venue.end(sibling, OrderStatus.CANCELED, alone=True) if sibling is not None and sibling.open else venue

    def fill(self, order: Order, quantity: int, sibling_rule: SiblingOnPartial) -> "Venue":
        """Fill `quantity` of an order, and do to its linked leg what this venue does then."""
        if order.reduce_only:
            quantity = min(quantity, self.position)
            if quantity <= 0:
                return self.end(order, OrderStatus.CANCELED)
        cum = order.cum + quantity
        full = cum == order.quantity
        filled = order._replace(
            cum=cum, fills=(*order.fills, quantity), status=OrderStatus.FILLED if full else order.status
        )
        report = ExecutionReport(
            client_order_id=order.cid,
            status=filled.status,
            cum_qty=QTY[cum],
            exec_id=exec_id(order, len(order.fills)),
            last_qty=QTY[quantity],
            last_px=order.level or PX[self.price],
            ts_event_ns=NOW,
            ts_received_ns=NOW,
        )
        venue = self.put(filled)._replace(stream=(*self.stream, report))
        sibling = self.find(order.linked) if order.linked else None
        if sibling is None or not sibling.open:
            return venue
        if not full and sibling_rule is SiblingOnPartial.NONE:
            return venue
        if not full and sibling_rule is SiblingOnPartial.RESIZE and sibling.leaves > quantity:
            resized = sibling._replace(quantity=sibling.quantity - quantity)
            return venue.put(resized).say(resized)
        return venue.end(sibling, OrderStatus.CANCELED, alone=True)

    def bust(self, order: Order, index: int) -> "Venue":
        """Take an execution back; an order that ended stays ended."""
        size = order.fills[index]
        fills = (*order.fills[:index], -size, *order.fills[index + 1 :])
        after = order._replace(cum=order.cum - size, fills=fills)
        report = ExecutionReport(
            client_order_id=order.cid,
            status=order.status,
            cum_qty=QTY[after.cum],
            exec_id=f"bust {exec_id(order, index)}",
            last_qty=QTY[size],
            last_px=order.level or PX[self.price],
            exec_ref_id=exec_id(order, index),
            ts_event_ns=NOW,
            ts_received_ns=NOW,
        )
        return self.put(after)._replace(stream=(*self.stream, report))

    def ghost(self, order: Order) -> "Venue":
        """A fill of one unit nobody expects any more: the order had ended."""
        revived = order._replace(status=OrderStatus.WORKING)
        venue = self.put(revived).fill(revived, 1, SiblingOnPartial.NONE)
        filled = venue.find(order.cid)
        assert filled is not None
        return venue if not filled.open else venue.put(filled._replace(status=order.status))

    def move(self, price: int) -> "Venue":
        """Let the market move; stops it goes through are triggered."""
        orders = self.orders
        if price == LOW:
            orders = tuple(o._replace(triggered=True) if o.kind == "stop" and o.open else o for o in orders)
        return self._replace(price=price, orders=orders)


def exec_id(order: Order, index: int) -> str:
    """Name the execution of a chain."""
    return f"{order.root}:{index + 1}"


def snapshot(order: Order, cid: str) -> OrderReport:
    """What a query, or the answer to a request, says of an order."""
    status = order.status if cid == order.cid else OrderStatus.REPLACED
    return OrderReport(cid, status, QTY[order.cum], order.level, ts_event_ns=NOW, ts_received_ns=NOW)


def refused(command: Command, code: str) -> tuple[RequestRefused, ...]:
    """A definitive refusal, in the form the dispatcher hands it in."""
    if isinstance(command, SubmitOco):
        ids: tuple[str, ...] = (command.stop.client_order_id, command.target.client_order_id)
        verb, replacement = "submit", ""
    elif isinstance(command, SubmitOrder):
        ids, verb, replacement = (command.order.client_order_id,), "submit", ""
    elif isinstance(command, ReplaceOrder):
        ids, verb, replacement = (command.client_order_id,), "replace", command.order.client_order_id
    else:
        assert isinstance(command, CancelOrder)
        ids, verb, replacement = (command.client_order_id,), "cancel", ""
    return tuple(RequestRefused(cid, verb, code, "", replacement, NOW, NOW) for cid in ids)


Answer = tuple[object, ...]


def carry_out(venue: Venue, command: Command, rule: SiblingOnPartial, thin: int | None = None) -> tuple[Venue, Answer]:
    """Let a command arrive. `thin`: at most so many units are to be had at once (None: as many as wanted)."""
    if isinstance(command, SubmitOrder):
        return _submit(venue, command, rule, thin)
    if isinstance(command, SubmitOco):
        return _submit_pair(venue, command)
    if isinstance(command, CancelOrder):
        order = venue.find(command.client_order_id)
        if order is None:
            return venue, refused(command, "unknown_order")
        if not order.open or order.cid != command.client_order_id:
            return venue, refused(command, "too_late")
        venue = venue.end(order, OrderStatus.CANCELED)
        return venue, (_shown(venue, order.cid),)
    if isinstance(command, ReplaceOrder):
        return _replace(venue, command)
    assert isinstance(command, QueryOrder), command
    return venue, _look_up(venue, command.client_order_id)


def _submit(venue: Venue, command: SubmitOrder, rule: SiblingOnPartial, thin: int | None) -> tuple[Venue, Answer]:
    request = command.order
    why_not = _why_not(venue, request)
    if why_not:
        return venue, refused(command, why_not)
    order = _order(request)
    venue = venue._replace(orders=(*venue.orders, order))
    if order.kind != "now":
        return venue, (_shown(venue, order.cid),)
    marketable = request.order_type is OrderType.MARKET or order.leg != "target" or venue.price == HIGH
    quantity = order.quantity if thin is None else min(thin, order.quantity)
    if marketable and quantity:
        venue = venue.fill(order, quantity, rule)
    left = venue.find(order.cid)
    assert left is not None
    if left.open and request.time_in_force is TimeInForce.IOC:
        venue = venue.end(left, OrderStatus.CANCELED)
    return venue, (_shown(venue, order.cid),)


def _submit_pair(venue: Venue, command: SubmitOco) -> tuple[Venue, Answer]:
    for request in (command.stop, command.target):
        why_not = _why_not(venue, request)
        if why_not:
            return venue, refused(command, why_not)
    stop = _order(command.stop, command.target.client_order_id)
    target = _order(command.target, command.stop.client_order_id)
    return venue._replace(orders=(*venue.orders, stop, target)).say(stop).say(target), ()


def _replace(venue: Venue, command: ReplaceOrder) -> tuple[Venue, Answer]:
    order, request = venue.find(command.client_order_id), command.order
    if order is None or not order.open or order.cid != command.client_order_id:
        return venue, refused(command, "too_late")
    if request.stop_px is not None and venue.price == LOW:
        return venue, refused(command, "would_trigger")
    renamed = order._replace(
        cid=request.client_order_id,
        past=(*order.past, order.cid),
        quantity=int(request.quantity),
        level=request.stop_px or request.limit_px,
    )
    if renamed.quantity <= renamed.cum:
        renamed = renamed._replace(status=OrderStatus.FILLED, quantity=renamed.cum)
    orders = tuple(renamed if o.cid == order.cid else o for o in venue.orders)
    venue = venue._replace(orders=orders).say(renamed, cid=order.cid, status=OrderStatus.REPLACED).say(renamed)
    return venue, (snapshot(renamed, renamed.cid),)


def _look_up(venue: Venue, cid: str) -> Answer:
    order = venue.find(cid)
    if order is None:
        return (OrderNotFound(cid, NOW, NOW, NOW),)
    facts: list[object] = []
    cum = 0
    for index, size in enumerate(order.fills):
        if size < 0:
            continue
        cum += size
        facts.append(
            ExecutionReport(
                client_order_id=cid,
                status=OrderStatus.WORKING,
                cum_qty=QTY[cum],
                exec_id=exec_id(order, index),
                last_qty=QTY[size],
                last_px=order.level or PX[MID],
                ts_event_ns=NOW,
                ts_received_ns=NOW,
            )
        )
    return (*facts, snapshot(order, cid))


def _why_not(venue: Venue, request: NewOrder) -> str:
    if venue.find(request.client_order_id) is not None:
        return "duplicate_id"
    if request.stop_px is not None and venue.price == LOW:
        return "would_trigger"
    if request.order_type is OrderType.LIMIT and request.time_in_force is TimeInForce.GTC and venue.price == HIGH:
        return "" if request.reduce_only else "would_trigger"
    return ""


def _order(request: NewOrder, linked: str = "") -> Order:
    leg = request.client_order_id.rpartition(".")[2].rstrip("0123456789")
    if request.stop_px is not None:
        kind, level = "stop", request.stop_px
    elif request.order_type is OrderType.LIMIT and request.time_in_force is TimeInForce.GTC:
        kind, level = "limit", request.limit_px
    else:
        kind, level = "now", None
    return Order(
        request.client_order_id,
        int(request.quantity),
        kind,
        level,
        linked=linked,
        reduce_only=request.reduce_only,
        leg=leg,
    )


def _shown(venue: Venue, cid: str) -> OrderReport:
    order = venue.find(cid)
    assert order is not None
    return snapshot(order, cid)
