"""Changing an order in one step, as FIX has it: `quantity` is the chain's total, `cum_qty` carries over."""

from grodtd.domain.capabilities import Amend, Capabilities
from grodtd.domain.commands import ReplaceOrder
from grodtd.domain.errors import Refused
from grodtd.domain.money import ZERO
from grodtd.domain.orders import NewOrder, OrderStatus
from grodtd.venue.book import Book
from grodtd.venue.checks import check_kind, check_position, check_price, check_steps, check_time, check_value
from grodtd.venue.desk import Desk, Reports
from grodtd.venue.matching import meet_quote
from grodtd.venue.orders import VenueOrder


def replace(desk: Desk, command: ReplaceOrder, out: Reports) -> None:
    """Replace an open order. Raises `Refused` with the old order as it was.

    The old id is reported REPLACED, the new one WORKING. A total at or below what has filled ends the chain FILLED
    at `cum_qty` (FIX D11, D12). Where the venue amends in place the order keeps its place in the queue.
    """
    order = desk.find_open(command.client_order_id, "replace")
    wanted = command.order
    book = desk.book(order.request.symbol)
    capabilities = desk.capabilities
    if wanted.client_order_id != order.request.client_order_id:
        desk.check_id(wanted.client_order_id)
    _check_change(order, wanted, capabilities)
    check_kind(wanted, capabilities)
    if book.halted:
        raise Refused(f"{wanted.client_order_id}: {wanted.symbol} is halted; try again when it trades", code="halted")
    check_time(wanted, capabilities, desk.now_ns)
    check_steps(wanted, book.instrument)
    if wanted.quantity > order.cum_qty:
        _check_open_part(desk, book, order, wanted)
        _carry_on(desk, book, order, wanted, out)
    else:
        desk.rename(order, wanted, out)
        order.quantity = order.cum_qty
        desk.finish(order, OrderStatus.FILLED, "replaced to what had filled", out)


def _check_change(order: VenueOrder, wanted: NewOrder, capabilities: Capabilities) -> None:
    """Refuse (`unsupported`) what this venue cannot change about an order."""
    held = order.request
    amend = capabilities.amend
    asked = ""
    if amend is Amend.NONE:
        asked = "change any order"
    elif (held.symbol, held.side, held.order_type, held.reduce_only) != (
        wanted.symbol,
        wanted.side,
        wanted.order_type,
        wanted.reduce_only,
    ):
        asked = "change an order's symbol, side, type or reduce-only mark"
    elif amend is Amend.QUANTITY_DOWN_ONLY and (
        wanted.quantity > order.quantity
        or (held.stop_px, held.limit_px, held.time_in_force) != (wanted.stop_px, wanted.limit_px, wanted.time_in_force)
    ):
        asked = "change anything but the quantity, and that only down"
    if asked:
        raise Refused(
            f"{wanted.client_order_id}: {capabilities.name} cannot {asked} (amend: {amend}); cancel and place anew",
            code="unsupported",
        )


def _check_open_part(desk: Desk, book: Book, order: VenueOrder, wanted: NewOrder) -> None:
    leaves_qty = wanted.quantity - order.cum_qty
    check_value(wanted, leaves_qty, book)
    if not order.triggered:
        check_price(wanted, book, desk.capabilities)
    if order.link is None:
        more_qty = leaves_qty - order.claimed
    else:
        more_qty = max(leaves_qty, order.link.other(order).leaves_qty) - order.link.claimed
    if more_qty > ZERO:
        position = desk.account.position(wanted.symbol)
        check_position(wanted, more_qty, position, book.claimed[wanted.side], desk.capabilities)


def _carry_on(desk: Desk, book: Book, order: VenueOrder, wanted: NewOrder, out: Reports) -> None:
    book.remove(order)
    desk.rename(order, wanted, out)
    if desk.capabilities.amend is Amend.REPLACE:
        order.seq = desk.next_seq()
    book.add(order)
    desk.report(order, out)
    desk.reclaim(order)
    if book.bid is not None:
        meet_quote(desk, book, order, out)
