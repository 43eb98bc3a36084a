"""What the venue refuses, one check each. `Refused` means nothing happened; its `code` is a stable word."""

import re
from decimal import Decimal

from grodtd.domain.capabilities import Capabilities, ClientIdFormat, ReduceOnly, StopOrders
from grodtd.domain.errors import Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.money import is_multiple, plain
from grodtd.domain.orders import NewOrder, OrderType, Side, TimeInForce
from grodtd.venue.book import Book
from grodtd.venue.orders import IMMEDIATE, STOP_TYPES, closing_qty

CODES = (
    "bad_id",
    "bad_lot",
    "bad_order",
    "bad_tick",
    "duplicate_id",
    "expired",
    "halted",
    "insufficient_inventory",
    "min_notional",
    "price_band",
    "reduce_only",
    "too_late",
    "unknown_order",
    "unknown_symbol",
    "unsupported",
    "would_trigger",
)
"""Every code the simulated venue refuses with."""

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def id_pattern(id_format: ClientIdFormat) -> re.Pattern[str]:
    """Return the pattern a client order id must match in full.

    >>> (
    ...     bool(id_pattern(ClientIdFormat(max_length=8)).fullmatch("B7.stop3")),
    ...     bool(id_pattern(ClientIdFormat(max_length=8)).fullmatch("B7.stop33")),
    ... )
    (True, False)
    """
    if id_format.uuid:
        return UUID
    return re.compile(f"(?:{id_format.characters}){{1,{id_format.max_length}}}")


def check_kind(order: NewOrder, capabilities: Capabilities) -> None:
    """Refuse what does not make an order (`bad_order`), or makes one this venue has not (`unsupported`)."""
    order_type = order.order_type
    is_stop = order_type in STOP_TYPES
    has_limit = order_type is OrderType.LIMIT or order_type is OrderType.STOP_LIMIT
    if is_stop is (order.stop_px is None) or has_limit is (order.limit_px is None):
        raise Refused(
            f"{order.client_order_id}: a {order_type} order with stop price {order.stop_px} and limit price "
            f"{order.limit_px}; give the prices its type has, and no other",
            code="bad_order",
        )
    if is_stop:
        if order.time_in_force in IMMEDIATE:
            raise Refused(
                f"{order.client_order_id}: a stop rests, so it cannot be {order.time_in_force}; use gtc or day",
                code="unsupported",
            )
        here = capabilities.stop_orders
        if here is StopOrders.NONE or (here is StopOrders.LIMIT and order_type is OrderType.STOP):
            raise Refused(
                f"{order.client_order_id}: {capabilities.name} has no {order_type} orders (stop_orders: {here})",
                code="unsupported",
            )
    if order.time_in_force is TimeInForce.GTC and order_type is not OrderType.MARKET and not capabilities.gtc:
        raise Refused(
            f"{order.client_order_id}: at {capabilities.name} an order lives for a day, so it cannot be gtc; use day",
            code="unsupported",
        )
    if order.reduce_only and capabilities.reduce_only is ReduceOnly.NONE:
        raise Refused(f"{order.client_order_id}: {capabilities.name} knows no reduce-only orders", code="unsupported")


def check_time(order: NewOrder, capabilities: Capabilities, now_ns: int) -> None:
    """Refuse an order that arrives later than it said it may (`expired`), where the venue supports that."""
    if order.valid_until_ns is not None and capabilities.supports_valid_until and now_ns > order.valid_until_ns:
        raise Refused(
            f"{order.client_order_id}: arrived at {now_ns}, valid until {order.valid_until_ns}; dropped",
            code="expired",
        )


def check_steps(order: NewOrder, instrument: Instrument) -> None:
    """Refuse prices off the tick (`bad_tick`) and quantities off the lot (`bad_lot`)."""
    for px in (order.stop_px, order.limit_px):
        if px is not None and (px <= 0 or not is_multiple(px, instrument.tick_size)):
            raise Refused(
                f"{order.client_order_id}: price {plain(px)} is no positive multiple of the tick "
                f"{plain(instrument.tick_size)}; round it",
                code="bad_tick",
            )
    if order.quantity <= 0 or not is_multiple(order.quantity, instrument.lot_size):
        raise Refused(
            f"{order.client_order_id}: quantity {plain(order.quantity)} is no positive multiple of the lot "
            f"{plain(instrument.lot_size)}; round it down",
            code="bad_lot",
        )


def check_value(order: NewOrder, leaves_qty: Decimal, book: Book) -> None:
    """Refuse an order whose open part is worth too little (`min_notional`).

    Valued at its limit, else its stop, else the last price; a market order before any price is let through.
    """
    minimum = book.instrument.min_notional
    if not minimum:
        return
    px = order.limit_px or order.stop_px or book.last_px
    if px is not None and leaves_qty * px * book.instrument.contract_multiplier < minimum:
        raise Refused(
            f"{order.client_order_id}: {plain(leaves_qty)} at {plain(px)} is worth less than the smallest order, "
            f"{plain(minimum)}; add to it or leave it",
            code="min_notional",
        )


def check_price(order: NewOrder, book: Book, capabilities: Capabilities) -> None:
    """Refuse prices far from the market (`price_band`) and a stop already through it (`would_trigger`)."""
    band = capabilities.price_band
    last_px = book.last_px if band is not None else None
    if band is not None and last_px is not None:
        for px in (order.stop_px, order.limit_px):
            if px is not None and abs(px - last_px) > band * last_px:
                raise Refused(
                    f"{order.client_order_id}: price {plain(px)} is more than {plain(band * 100)} % from the last "
                    f"price {plain(last_px)}",
                    code="price_band",
                )
    if order.stop_px is None or book.bid is None or book.ask is None:
        return
    px = book.bid if order.side is Side.SELL else book.ask
    if px <= order.stop_px if order.side is Side.SELL else px >= order.stop_px:
        raise Refused(
            f"{order.client_order_id}: the market is at {plain(px)}, through the stop at {plain(order.stop_px)}; "
            "treat it as hit",
            code="would_trigger",
        )


def claims(order: NewOrder, capabilities: Capabilities) -> bool:
    """Tell whether a resting `order` holds units of the position for itself alone."""
    if capabilities.locks_inventory and order.side is Side.SELL:
        return True
    return order.reduce_only and capabilities.reduce_only is ReduceOnly.COUNTED


def check_position(
    order: NewOrder, more_qty: Decimal, position: Decimal, claimed: Decimal, capabilities: Capabilities
) -> None:
    """Refuse what the position does not carry (`insufficient_inventory`, `reduce_only`).

    `more_qty` is what the order would claim beyond what it claims already; `claimed` what resting orders of its
    side hold now.
    """
    if claims(order, capabilities):
        free = closing_qty(position, order.side) - claimed
        if more_qty > free:
            locked = capabilities.locks_inventory and order.side is Side.SELL
            raise Refused(
                f"{order.client_order_id}: needs {plain(more_qty)} of a position of {plain(position)}, of which "
                f"{plain(claimed)} is held by resting orders; cancel or shrink one first",
                code="insufficient_inventory" if locked else "reduce_only",
            )
    elif order.reduce_only and order.order_type is OrderType.MARKET and not closing_qty(position, order.side):
        raise Refused(
            f"{order.client_order_id}: reduce-only, and the position of {plain(position)} leaves nothing to reduce",
            code="reduce_only",
        )
