"""A venue in memory, synchronous and deterministic: commands and prices in, reports out. Time is a parameter."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from grodtd.domain.capabilities import Capabilities
from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Bar, Quote
from grodtd.domain.money import ZERO
from grodtd.domain.orders import Fill, NewOrder, OrderReport, OrderStatus, OrderType, TimeInForce
from grodtd.venue import amending
from grodtd.venue.bar_matching import FillModel
from grodtd.venue.book import Book
from grodtd.venue.checks import check_kind, check_position, check_price, check_steps, check_time, check_value
from grodtd.venue.desk import Desk, Reports
from grodtd.venue.matching import meet_bar, meet_close, meet_quote
from grodtd.venue.orders import STOP_TYPES, Link, VenueOrder

VenueCommand = SubmitOrder | SubmitOco | CancelOrder | ReplaceOrder
"""The commands a venue carries out; the others are the runtime's own."""


class SimulatedVenue:
    """One account at a venue with the given abilities.

    `cash` is in quote currency, `positions` in signed units. Every method that takes `now_ns` acts at that instant
    and stamps its reports with it; nothing travels here (see `latency`). Iteration follows arrival, so the same calls
    give the same reports.

    >>> from grodtd.domain.orders import Side
    >>> from grodtd.venue.profiles import MARGIN
    >>> venue = SimulatedVenue(MARGIN, [Instrument("X")], positions={"X": Decimal(10)})
    >>> stop = NewOrder("B7.stop1", "X", Side.SELL, OrderType.STOP, Decimal(10), stop_px=Decimal(90))
    >>> [r.status.value for r in venue.apply(SubmitOrder("B7", stop), now_ns=1)]
    ['working']
    >>> [(r.status.value, r.last_px) for r in venue.on_quote(Quote("X", Decimal(89), Decimal(91), 2))]
    [('filled', Decimal('89'))]
    """

    def __init__(
        self,
        capabilities: Capabilities,
        instruments: Iterable[Instrument],
        *,
        cash: Decimal = ZERO,
        positions: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.capabilities = capabilities
        self.bad_quotes = 0
        """Quotes that were crossed, zero or not a number: they triggered nothing."""
        self._desk = Desk(capabilities, instruments, cash)
        for symbol, quantity in (positions or {}).items():
            self.adjust_position(symbol, quantity, now_ns=0)

    # ---------------------------------------------------------------- commands

    def apply(self, command: VenueCommand, now_ns: int) -> Reports:
        """Carry out a command and report what happened, executions included.

        Raises: Refused - nothing happened; `code` is one of `checks.CODES`.
        """
        self._desk.now_ns = now_ns
        out: Reports = []
        if isinstance(command, SubmitOrder):
            self._submit(command.order, out)
        elif isinstance(command, SubmitOco):
            self._submit_oco(command.stop, command.target, out)
        elif isinstance(command, CancelOrder):
            order = self._desk.find_open(command.client_order_id, "cancel")
            self._desk.finish(order, OrderStatus.CANCELED, "", out)
        else:
            amending.replace(self._desk, command, out)
        return out

    def _submit(self, request: NewOrder, out: Reports) -> None:
        desk = self._desk
        book = self._check_new(request)
        check_position(
            request,
            request.quantity,
            desk.account.position(request.symbol),
            book.claimed[request.side],
            self.capabilities,
        )
        order = desk.admit(request, book, out)
        desk.reclaim(order)
        if book.bid is not None:
            meet_quote(desk, book, order, out)

    def _submit_oco(self, stop: NewOrder, target: NewOrder, out: Reports) -> None:
        desk = self._desk
        self._check_pair(stop, target)
        book = self._check_new(stop)
        self._check_new(target)
        larger = stop if stop.quantity > target.quantity else target
        check_position(
            larger,
            larger.quantity,
            desk.account.position(stop.symbol),
            book.claimed[stop.side],
            self.capabilities,
        )
        stop_order, target_order = desk.admit(stop, book, out), desk.admit(target, book, out)
        stop_order.link = target_order.link = Link(stop_order, target_order)
        desk.reclaim(stop_order)
        if book.bid is not None:
            meet_quote(desk, book, target_order, out)

    def _check_new(self, request: NewOrder) -> Book:
        # The id comes first: an order sent twice must learn that it exists, not that it is late.
        desk = self._desk
        capabilities = self.capabilities
        book = desk.book(request.symbol)
        desk.check_id(request.client_order_id)
        check_kind(request, capabilities)
        if book.halted:
            raise Refused(
                f"{request.client_order_id}: {request.symbol} is halted; try again when it trades", code="halted"
            )
        check_time(request, capabilities, desk.now_ns)
        check_steps(request, book.instrument)
        check_value(request, request.quantity, book)
        check_price(request, book, capabilities)
        return book

    def _check_pair(self, stop: NewOrder, target: NewOrder) -> None:
        names = f"{stop.client_order_id} with {target.client_order_id}"
        if not self.capabilities.native_oco:
            raise Refused(f"{names}: {self.capabilities.name} links no orders", code="unsupported")
        if (
            stop.client_order_id == target.client_order_id
            or stop.order_type not in STOP_TYPES
            or target.order_type is not OrderType.LIMIT
            or (stop.symbol, stop.side, stop.reduce_only) != (target.symbol, target.side, target.reduce_only)
        ):
            raise Refused(
                f"{names}: a pair is a stop and a limit of one symbol and side, each with its own id",
                code="bad_order",
            )

    # ---------------------------------------------------------------- prices

    def on_quote(self, quote: Quote, now_ns: int | None = None) -> Reports:
        """Match a quote, at its own time unless `now_ns` says otherwise.

        Crossed, zero and non-finite quotes trigger nothing and do not become the market. During a halt a quote is
        remembered but matches nothing. Raises `Refused` (`unknown_symbol`).
        """
        desk = self._desk
        book = desk.book(quote.symbol)
        out: Reports = []
        if not book.take_quote(quote):
            self.bad_quotes += 1
            return out
        if book.working and not book.halted:
            desk.now_ns = quote.ts_event_ns if now_ns is None else now_ns
            for order in book.reached():
                if order.open:
                    meet_quote(desk, book, order, out)
        return out

    def on_bar(
        self,
        bar: Bar,
        model: FillModel = FillModel.PESSIMISTIC,
        *,
        ask: Bar | None = None,
        brackets: Iterable[str] | None = None,
    ) -> Reports:
        """Match a bar, bracket by bracket, at the bar's time; `ask` is the other side of a two-sided bar.

        Market orders fill at the open; see `match_exit_bar` for the rest. `brackets` names the only ones this bar is
        shown to: a caller who knows which levels it can reach need not pay for the others. Between bars no quote is
        known, so an order sent then waits for the next bar. Raises `Refused` (`unknown_symbol`).
        """
        desk = self._desk
        book = desk.book(bar.symbol)
        book.take_close(bar.close, (ask or bar).close)
        out: Reports = []
        if not book.halted:
            desk.now_ns = bar.ts_event_ns
            groups = book.groups
            for name in list(groups) if brackets is None else brackets:
                group = groups.get(name)
                if group is not None:
                    meet_bar(desk, group, bar, ask or bar, model, out)
        return out

    def on_close(self, bar: Bar, *, ask: Bar | None = None, bracket: str | None = None) -> Reports:
        """Fill what waits for any price at the bar's close: exits by time, session or signal. Nothing else matches.

        `bracket` names the only one this is for; None: all.
        """
        desk = self._desk
        book = desk.book(bar.symbol)
        book.take_close(bar.close, (ask or bar).close)
        out: Reports = []
        if not book.halted:
            desk.now_ns = bar.ts_event_ns
            for order in list(book.marketable.values()):
                if bracket is not None and order.request.client_order_id.rpartition(".")[0] != bracket:
                    continue
                meet_close(desk, order, bar, ask or bar, out)
        return out

    # ---------------------------------------------------------------- what the venue does by itself

    def end_session(self, now_ns: int, symbol: str | None = None) -> Reports:
        """Close the session of one symbol, or of all: DAY orders expire."""
        desk = self._desk
        desk.now_ns = now_ns
        out: Reports = []
        for book in desk.books.values() if symbol is None else [desk.book(symbol)]:
            for order in list(book.working.values()):
                if order.open and order.request.time_in_force is TimeInForce.DAY:
                    desk.finish(order, OrderStatus.EXPIRED, "session closed", out)
        return out

    def halt(self, symbol: str) -> None:
        """Stop trading a symbol: new and changed orders are refused, resting ones sleep; cancels still work."""
        self._desk.book(symbol).halted = True

    def resume(self, symbol: str) -> None:
        """Trade a symbol again, from its next quote or bar on."""
        self._desk.book(symbol).halted = False

    def yank(self, client_order_id: str, status: OrderStatus, reason: str, now_ns: int) -> Reports:
        """End an open order unasked: CANCELED, EXPIRED, or REJECTED after all. Its linked leg ends with it.

        Raises: Refused - `unknown_order`, `too_late`.
        """
        if status not in (OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED):
            raise ValueError(f"an order is yanked to canceled, expired or rejected, not to {status}")
        self._desk.now_ns = now_ns
        out: Reports = []
        self._desk.finish(self._desk.find_open(client_order_id, "yank"), status, reason, out)
        return out

    def bust(self, exec_id: str, now_ns: int) -> Reports:
        """Take an execution back: units, money and fee return, `cum_qty` falls, an ended order stays ended.

        Where inventory is locked, resting sells that lost theirs are cancelled, newest first.
        Raises: Refused (`unknown_order`) - no execution of that id counts.
        """
        self._desk.now_ns = now_ns
        out: Reports = []
        self._desk.bust(exec_id, out)
        return out

    def adjust_position(self, symbol: str, quantity: Decimal, now_ns: int) -> Reports:
        """Move the position by signed `quantity` without a trade: a transfer, a split, a hand elsewhere."""
        desk = self._desk
        desk.book(symbol)
        desk.now_ns = now_ns
        desk.account.positions[symbol] = desk.account.position(symbol) + quantity
        out: Reports = []
        desk.shed(symbol, out)
        return out

    # ---------------------------------------------------------------- account truth

    def order(self, client_order_id: str) -> OrderReport | None:
        """Return an order as it is now; None when the id never arrived. Of a reused id the newest."""
        order = self._desk.by_id.get(client_order_id)
        return order.snapshot() if isinstance(order, VenueOrder) else order

    def open_orders(self) -> list[OrderReport]:
        """Return every order that may still fill, symbol by symbol."""
        return [order.snapshot() for book in self._desk.books.values() for order in book.working.values()]

    def history(self) -> list[OrderReport]:
        """Return every order ever taken in, by arrival; a chain of replaces is one, under its newest id."""
        return [order.snapshot() for order in self._desk.history]

    def fills(self, since_ns: int) -> list[Fill]:
        """Return the executions that count from `since_ns` on, oldest first; busted ones do not."""
        return [
            booking.fill
            for booking in self._desk.account.bookings.values()
            if not booking.busted and booking.fill.ts_event_ns >= since_ns
        ]

    def position(self, symbol: str) -> Decimal:
        """Return the account's signed position, units. Raises `Refused` (`unknown_symbol`)."""
        self._desk.book(symbol)
        return self._desk.account.position(symbol)

    def last_px(self, symbol: str) -> Decimal | None:
        """Return the middle of the last quote or of the last bar's close. Raises `Refused` (`unknown_symbol`)."""
        return self._desk.book(symbol).last_px

    def equity(self) -> Decimal:
        """Return cash plus positions at their last price, quote currency; a position without a price counts nothing."""
        desk = self._desk
        total = desk.account.cash
        for symbol, quantity in desk.account.positions.items():
            book = desk.books[symbol]
            total += quantity * (book.last_px or ZERO) * book.instrument.contract_multiplier
        return total

    def instruments(self, symbols: Iterable[str]) -> list[Instrument]:
        """Return the trading rules of symbols. Raises `Refused` (`unknown_symbol`)."""
        return [self._desk.book(symbol).instrument for symbol in symbols]
