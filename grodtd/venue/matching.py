"""How prices meet orders: quote by quote, or bar by bar. Nothing else fills an order."""

from decimal import Decimal

from grodtd.domain.market import Bar
from grodtd.domain.money import ZERO, floor_to
from grodtd.domain.orders import OrderStatus, Side, TimeInForce
from grodtd.venue.bar_matching import STOP, FillModel, match_exit_bar
from grodtd.venue.book import Book
from grodtd.venue.desk import Desk, Reports
from grodtd.venue.orders import VenueOrder, WaitsFor


def meet_quote(desk: Desk, book: Book, order: VenueOrder, out: Reports) -> None:
    """Let one open order meet the book's quote: trigger, fill, rest again or end.

    A sell meets the bid, a buy the ask, and gets that price: its limit or better. Volume is what the quote offers
    less what it gave to earlier orders, in whole lots.
    """
    sell = order.request.side is Side.SELL
    px = book.bid if sell else book.ask
    assert px is not None
    if order.waits_for is WaitsFor.STOP_PX:
        stop_px = order.request.stop_px
        assert stop_px is not None
        if px > stop_px if sell else px < stop_px:
            return
        order.triggered = True
        order.settle_wait()
        if order.request.limit_px is not None:
            desk.report(order, out, "triggered")
    limit_px = order.request.limit_px
    if limit_px is not None and (px < limit_px if sell else px > limit_px):
        _rest_or_end(desk, book, order, out)
        return
    left = book.bid_left if sell else book.ask_left
    given = _fill(desk, order, px, left, out)
    if left is not None:
        if sell:
            book.bid_left = left - given
        else:
            book.ask_left = left - given
    if order.open:
        _rest_or_end(desk, book, order, out)


def _fill(desk: Desk, order: VenueOrder, px: Decimal, left: Decimal | None, out: Reports) -> Decimal:
    """Fill what may and can be filled at `px`; return how much that was."""
    before = order.cum_qty
    leaves = order.quantity - before
    allowed = desk.allowed_qty(order)
    quantity = allowed
    if left is not None and left < allowed:
        quantity = floor_to(left, desk.books[order.request.symbol].instrument.lot_size)
    if quantity < leaves and order.request.time_in_force is TimeInForce.FOK:
        return ZERO
    if quantity > 0:
        desk.execute(order, quantity, px, out)
    if allowed < leaves and quantity == allowed and order.open:
        reason = "reduce_only" if order.request.reduce_only else "inventory"
        desk.finish(order, OrderStatus.CANCELED, reason, out)
    return order.cum_qty - before


def _rest_or_end(desk: Desk, book: Book, order: VenueOrder, out: Reports) -> None:
    if order.immediate:
        desk.finish(order, OrderStatus.CANCELED, order.request.time_in_force.value, out)
    else:
        book.rest(order)


def meet_bar(desk: Desk, group: list[VenueOrder], bid: Bar, ask: Bar, model: FillModel, out: Reports) -> None:
    """Let one bracket's open orders meet a bar: sells the bid bar, buys the ask bar; fills are whole.

    Orders that take any price, and those that may not rest, meet the open. Sells are then taken as a long's exits
    and buys as a short's: stops and limits in `match_exit_bar`'s order. Once the stops had their turn, nothing of
    that side is matched on this bar any more. The side whose first order arrived earlier goes first.
    """
    exits: dict[Side, tuple[list[VenueOrder], list[VenueOrder]]] = {}  # by the orders' side: stops, limits
    for order in tuple(group):
        if not order.open:
            continue
        side = order.request.side
        if order.waits_for is WaitsFor.ANY_PX:
            _meet_px(desk, order, bid.open if side is Side.SELL else ask.open, out)
            continue
        if side not in exits:
            exits[side] = [], []
        exits[side][order.waits_for is WaitsFor.LIMIT_PX].append(order)
    for side, (stops, limits) in exits.items():
        _meet_exits(desk, side.opposite, stops, limits, bid if side is Side.SELL else ask, model, out)


def meet_close(desk: Desk, order: VenueOrder, bid: Bar, ask: Bar, out: Reports) -> None:
    """Let an order that waits for any price meet the bar's close."""
    if order.open:
        _meet_px(desk, order, bid.close if order.request.side is Side.SELL else ask.close, out)


def _meet_px(desk: Desk, order: VenueOrder, px: Decimal, out: Reports) -> None:
    limit_px = order.request.limit_px
    if limit_px is None or (px >= limit_px if order.request.side is Side.SELL else px <= limit_px):
        _fill(desk, order, px, None, out)
    if order.open:
        _rest_or_end(desk, desk.books[order.request.symbol], order, out)


def _stop_px(order: VenueOrder) -> Decimal:
    assert order.request.stop_px is not None
    return order.request.stop_px


def _limit_px(order: VenueOrder) -> Decimal:
    assert order.request.limit_px is not None
    return order.request.limit_px


def _meet_exits(
    desk: Desk,
    side: Side,
    stops: list[VenueOrder],
    limits: list[VenueOrder],
    bar: Bar,
    model: FillModel,
    out: Reports,
) -> None:
    """Let the exits of one position meet its side of a bar; `side` is the position's."""
    sell = side is Side.BUY
    if len(stops) > 1:
        stops.sort(key=_stop_px, reverse=sell)
    if len(limits) > 1:
        limits.sort(key=_limit_px, reverse=not sell)
    stop_px = _stop_px(stops[0]) if stops else None
    for index, px in match_exit_bar(side, stop_px, [_limit_px(o) for o in limits], bar, model):
        if index != STOP:
            if limits[index].open:
                _fill(desk, limits[index], px, None, out)
            continue
        for order in stops:
            level = _stop_px(order)
            if order.open and (bar.low <= level if sell else bar.high >= level):
                gapped = bar.open <= level if sell else bar.open >= level
                _trigger_on_bar(desk, order, bar.open if gapped else level, out)


def _trigger_on_bar(desk: Desk, order: VenueOrder, px: Decimal, out: Reports) -> None:
    """Fill a stop at the price that triggered it; a stop-limit the price is beyond rests as a limit."""
    order.triggered = True
    order.settle_wait()
    limit_px = order.request.limit_px
    if limit_px is not None:
        desk.report(order, out, "triggered")
        if px < limit_px if order.request.side is Side.SELL else px > limit_px:
            desk.books[order.request.symbol].rest(order)
            return
    _fill(desk, order, px, None, out)
