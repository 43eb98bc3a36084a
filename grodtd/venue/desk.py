"""The venue's own bookkeeping: every change of an order goes through here, and is reported from here."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from grodtd.domain.capabilities import Capabilities, ClientIdScope, ReduceOnly, SiblingOnPartial
from grodtd.domain.errors import Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.money import floor_to
from grodtd.domain.orders import ExecutionReport, Fill, NewOrder, OrderReport, OrderStatus, Side
from grodtd.venue.account import Account, fee_of
from grodtd.venue.book import Book
from grodtd.venue.checks import claims, id_pattern
from grodtd.venue.orders import VenueOrder, bracket_of, closing_qty

Reports = list[ExecutionReport]


class Desk:
    """Orders, books and the account of one simulated venue. `now_ns` is set by whoever calls in."""

    __slots__ = (
        "_execs",
        "_id_pattern",
        "_seq",
        "account",
        "any_claims",
        "books",
        "by_id",
        "capabilities",
        "history",
        "now_ns",
    )

    def __init__(self, capabilities: Capabilities, instruments: Iterable[Instrument], cash: Decimal) -> None:
        self.capabilities = capabilities
        self.books = {instrument.symbol: Book(instrument) for instrument in instruments}
        self.account = Account(cash)
        self.by_id: dict[str, VenueOrder | OrderReport] = {}
        """What each id stands for: its order, or the last word on an id that was replaced."""
        self.history: list[VenueOrder] = []
        self.any_claims = capabilities.locks_inventory or capabilities.reduce_only is ReduceOnly.COUNTED
        self.now_ns = 0
        self._seq = 0
        self._execs = 0
        self._id_pattern = id_pattern(capabilities.client_id_format)

    # ---------------------------------------------------------------- finding

    def book(self, symbol: str) -> Book:
        """Return a symbol's book. Raises `Refused` (`unknown_symbol`)."""
        book = self.books.get(symbol)
        if book is None:
            raise Refused(f"{symbol} is not traded here", code="unknown_symbol")
        return book

    def find_open(self, client_order_id: str, verb: str) -> VenueOrder:
        """Return an open order. Raises `Refused`: `unknown_order`, or `too_late` when it has ended."""
        order = self.by_id.get(client_order_id)
        if order is None:
            raise Refused(f"cannot {verb} {client_order_id}: no such order", code="unknown_order")
        if isinstance(order, VenueOrder) and order.open:
            return order
        raise Refused(f"cannot {verb} {client_order_id}: it is {order.status}", code="too_late")

    def check_id(self, client_order_id: str) -> None:
        """Refuse an id in use (`duplicate_id`) or of the wrong form (`bad_id`)."""
        scope = self.capabilities.client_id_scope
        if scope is not ClientIdScope.NONE:
            holder = self.by_id.get(client_order_id)
            if holder is not None and (
                scope is ClientIdScope.FOREVER or (isinstance(holder, VenueOrder) and holder.open)
            ):
                raise Refused(
                    f"{client_order_id}: an order of that id is {holder.status}; query it", code="duplicate_id"
                )
        if not self._id_pattern.fullmatch(client_order_id):
            raise Refused(f"{client_order_id!r} is no client order id here", code="bad_id")

    def next_seq(self) -> int:
        """Return the next arrival number."""
        self._seq += 1
        return self._seq

    def next_exec_id(self) -> str:
        """Return the next execution's id: X1, X2, ..."""
        self._execs += 1
        return f"X{self._execs}"

    # ---------------------------------------------------------------- changing

    def admit(self, request: NewOrder, book: Book, out: Reports) -> VenueOrder:
        """Let a checked order in and report it WORKING; a pair claims units once both legs are in."""
        order = VenueOrder(
            request, self.next_seq(), bracket_of(request.client_order_id), request.quantity, changed_ns=self.now_ns
        )
        order.settle_wait()
        self.by_id[request.client_order_id] = order
        self.history.append(order)
        book.add(order)
        self.report(order, out)
        return order

    def report(self, order: VenueOrder, out: Reports, reason: str = "") -> None:
        """Report an order's status as it is now."""
        request = order.request
        now_ns = self.now_ns
        out.append(
            ExecutionReport(
                client_order_id=request.client_order_id,
                status=order.status,
                cum_qty=order.cum_qty,
                reason=reason,
                symbol=request.symbol,
                side=request.side,
                ts_event_ns=now_ns,
                ts_received_ns=now_ns,
            )
        )

    def allowed_qty(self, order: VenueOrder) -> Decimal:
        """Return how much of an order may trade now: what reduces the position or is in the inventory, in lots."""
        leaves = order.quantity - order.cum_qty
        request = order.request
        if request.reduce_only or (self.capabilities.locks_inventory and request.side is Side.SELL):
            closing = closing_qty(self.account.position(request.symbol), request.side)
            if closing < leaves:
                return floor_to(closing, self.book(request.symbol).instrument.lot_size)
        return leaves

    def execute(self, order: VenueOrder, quantity: Decimal, px: Decimal, out: Reports) -> None:
        """Fill `quantity` (> 0, at most `allowed_qty`) at `px`, and do to its linked leg what the venue does then."""
        request = order.request
        book = self.books[request.symbol]
        instrument = book.instrument
        order.cum_qty += quantity
        order.value += quantity * px
        order.changed_ns = self.now_ns
        full = order.cum_qty >= order.quantity
        if full:
            order.status = OrderStatus.FILLED
            order.open = False
            book.remove(order)
        fee, fee_asset = fee_of(instrument, request.side, quantity, px)
        exec_id = self.next_exec_id()
        fill = Fill(
            exec_id,
            request.client_order_id,
            request.symbol,
            request.side,
            quantity,
            px,
            fee,
            fee_asset,
            order.cum_qty,
            self.now_ns,
        )
        self.account.book(fill, order, instrument)
        out.append(
            ExecutionReport(
                client_order_id=request.client_order_id,
                status=order.status,
                cum_qty=order.cum_qty,
                exec_id=exec_id,
                last_qty=quantity,
                last_px=px,
                fee=fee,
                fee_asset=fee_asset,
                symbol=request.symbol,
                side=request.side,
                ts_event_ns=self.now_ns,
                ts_received_ns=self.now_ns,
            )
        )
        if order.link is not None:
            self._tell_sibling(order, quantity, full=full, out=out)
        self.reclaim(order)

    def finish(self, order: VenueOrder, status: OrderStatus, reason: str, out: Reports, *, alone: bool = False) -> None:
        """End an open order, and its linked leg with it unless it ends `alone`."""
        order.status = status
        order.open = False
        order.reason = reason
        order.changed_ns = self.now_ns
        self.books[order.request.symbol].remove(order)
        self.report(order, out, reason)
        if order.link is not None and not alone:
            sibling = order.link.other(order)
            if sibling.open:
                self.finish(sibling, OrderStatus.CANCELED, "oco", out, alone=True)
        self.reclaim(order)

    def _tell_sibling(self, order: VenueOrder, quantity: Decimal, *, full: bool, out: Reports) -> None:
        assert order.link is not None
        sibling = order.link.other(order)
        if not sibling.open:
            return
        policy = SiblingOnPartial.CANCEL if full else self.capabilities.sibling_on_partial
        if policy is SiblingOnPartial.RESIZE:
            sibling.quantity = max(sibling.quantity - quantity, sibling.cum_qty)
            sibling.changed_ns = self.now_ns
            if sibling.quantity > sibling.cum_qty:
                self.report(sibling, out, "resized")
                return
            policy = SiblingOnPartial.CANCEL
        if policy is SiblingOnPartial.CANCEL:
            self.finish(sibling, OrderStatus.CANCELED, "oco", out, alone=True)

    def reclaim(self, order: VenueOrder) -> None:
        """Bring what an order (or its pair) claims of the position up to date."""
        if not self.any_claims or not claims(order.request, self.capabilities):
            return
        link = order.link
        if link is None:
            more = order.leaves_qty - order.claimed
            order.claimed += more
        else:
            more = max(link.stop.leaves_qty, link.target.leaves_qty) - link.claimed
            link.claimed += more
        self.books[order.request.symbol].claimed[order.request.side] += more

    def shed(self, symbol: str, out: Reports) -> None:
        """Cancel the newest resting sells that have no inventory behind them any more."""
        if not self.capabilities.locks_inventory:
            return
        book = self.books[symbol]
        for order in reversed(list(book.working.values())):
            if book.claimed[Side.SELL] <= closing_qty(self.account.position(symbol), Side.SELL):
                return
            if order.open and order.request.side is Side.SELL:
                self.finish(order, OrderStatus.CANCELED, "inventory", out)

    def bust(self, exec_id: str, out: Reports) -> None:
        """Take an execution back. Raises `Refused` (`unknown_order`) when there is none of that id that counts."""
        booking = self.account.bookings.get(exec_id)
        if booking is None or booking.busted:
            raise Refused(f"cannot bust {exec_id}: no such execution counts", code="unknown_order")
        fill, order = booking.fill, booking.order
        self.account.undo(booking, self.books[fill.symbol].instrument)
        order.cum_qty -= fill.quantity
        order.value -= fill.quantity * fill.px
        order.changed_ns = self.now_ns
        request = order.request
        out.append(
            ExecutionReport(
                client_order_id=request.client_order_id,
                status=order.status,
                cum_qty=order.cum_qty,
                exec_id=self.next_exec_id(),
                last_qty=fill.quantity,
                last_px=fill.px,
                fee=fill.fee,
                fee_asset=fill.fee_asset,
                exec_ref_id=exec_id,
                symbol=fill.symbol,
                side=fill.side,
                ts_event_ns=self.now_ns,
                ts_received_ns=self.now_ns,
            )
        )
        self.reclaim(order)
        self.shed(fill.symbol, out)

    def rename(self, order: VenueOrder, request: NewOrder, out: Reports) -> None:
        """Let a replacement take over: the old id gets its last word, the chain goes on under the new one."""
        old_id = order.request.client_order_id
        order.changed_ns = self.now_ns
        if request.client_order_id != old_id:
            status, order.status = order.status, OrderStatus.REPLACED
            reason = f"replaced by {request.client_order_id}"
            self.by_id[old_id] = msgspec.structs.replace(order.snapshot(), reason=reason)
            self.report(order, out, reason)
            order.status = status
            self.by_id[request.client_order_id] = order
        order.request = request
        order.quantity = request.quantity
        order.settle_wait()
