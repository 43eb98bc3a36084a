"""The paper broker: the simulated venue behind the async port, on live or recorded quotes. No money, no keys.

Capability table (any `Capabilities` may be handed in; the profiles in `venue/profiles.py` are the usual ones):

| question | answer here |
|---|---|
| stop orders | as `stop_orders` says; triggered by the bid for sells, the ask for buys, at or through |
| linked pair | where `native_oco`: created whole or not at all; `sibling_on_partial` says what a partial fill does |
| reduce-only | none; checked at execution (per_order); or resting ones add up (counted) |
| inventory | where `locks_inventory`: a resting sell holds its units, a pair once |
| amend | in_place and replace: price and total; quantity_down_only: smaller only; none: refused |
| client ids | ours, as they are; unique for ever, while open, or never, as `client_id_scope` says |
| valid until | honoured where `supports_valid_until`, else not looked at |
| acknowledgement | in the answer to the request; also pushed, as are all fills, in order, each once |
| volume | what the quote offers, in whole lots; without sizes as much as anybody wants |
| fees | the instrument's; in base only on buys, out of what was bought |
| sessions | DAY orders end when `end_session` is called |
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from functools import partial
from typing import TypeVar

import msgspec

from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import NotSent
from grodtd.domain.events import LinkStatus
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, Fill, NewOrder, OrderReport
from grodtd.ports import Clock
from grodtd.venue.venue import SimulatedVenue, VenueCommand

Pushed = ExecutionReport | Quote | LinkStatus
Message = Callable[[], None]
Answer = TypeVar("Answer")


class PaperBroker:
    """`ports.Broker` over a `SimulatedVenue`, on one event loop, live or with virtual time.

    `latency_s` passes before a request arrives and again before its answer, or anything pushed, comes back; messages
    keep their order. With 0 everything happens at once, within the call; otherwise calls need a running loop. A caller
    that gives up waiting takes nothing back: the request arrives all the same, as with a real venue.
    """

    def __init__(self, venue: SimulatedVenue, clock: Clock, *, latency_s: float = 0.0) -> None:
        if latency_s < 0:
            raise ValueError(f"latency_s is {latency_s}: messages do not arrive before they are sent")
        self.venue = venue
        """The venue itself, to halt, bust or yank; hand what it reports to `deliver`."""
        self.capabilities = venue.capabilities
        self._clock = clock
        self._latency_s = latency_s
        self._closed = False
        self._queue: asyncio.Queue[Pushed | None] = asyncio.Queue()
        # Everything waits in lines of our own, since an event loop may run two timers of one instant in any order.
        self._outbound: deque[Message] = deque()
        self._inbound: deque[Message] = deque()
        now_ns = clock.now_ns()
        self._queue.put_nowait(LinkStatus(up=True, ts_event_ns=now_ns, ts_received_ns=now_ns))

    # ---------------------------------------------------------------- the port

    async def submit(self, order: NewOrder) -> OrderReport:
        """Send one order and return what became of it at once. Raises `Refused`, `NotSent` (closed)."""
        return await self._command(SubmitOrder("", order), order.client_order_id)

    async def submit_oco(self, stop: NewOrder, target: NewOrder) -> None:
        """Send a linked pair, both legs or none. Raises `Refused`, `NotSent` (closed)."""
        await self._command(SubmitOco("", stop, target), stop.client_order_id)

    async def cancel(self, client_order_id: str) -> OrderReport:
        """End an order. Raises `Refused` (`unknown_order`, `too_late`), `NotSent` (closed)."""
        return await self._command(CancelOrder("", client_order_id), client_order_id)

    async def replace(self, client_order_id: str, order: NewOrder) -> OrderReport:
        """Change an order in one step; the report is the new id's. Raises `Refused` (old as it was), `NotSent`."""
        return await self._command(ReplaceOrder("", client_order_id, order), order.client_order_id)

    async def order(self, client_order_id: str) -> OrderReport | None:
        """Look an order up; None when the id has not arrived yet."""
        report = await self._ask(lambda: self.venue.order(client_order_id))
        return None if report is None else self._received(report)

    async def open_orders(self) -> list[OrderReport]:
        """Return every order that may still fill."""
        return [self._received(report) for report in await self._ask(self.venue.open_orders)]

    async def fills(self, since_ns: int) -> list[Fill]:
        """Return the account's executions since then that count, oldest first."""
        return await self._ask(lambda: self.venue.fills(since_ns))

    async def position(self, symbol: str) -> Decimal:
        """Return the account's signed position. Raises `Refused` (`unknown_symbol`)."""
        return await self._ask(lambda: self.venue.position(symbol))

    async def equity(self) -> Decimal:
        """Return cash plus positions at their last price, quote currency."""
        return await self._ask(self.venue.equity)

    async def instruments(self, symbols: list[str]) -> list[Instrument]:
        """Return trading rules. Raises `Refused` (`unknown_symbol`)."""
        return await self._ask(lambda: self.venue.instruments(symbols))

    async def server_time_ns(self) -> int:
        """Return the venue's time: that of the clock handed in."""
        return await self._ask(self._clock.now_ns)

    async def events(self) -> AsyncIterator[Pushed]:
        """Yield what the venue pushes, in the order it arrives, until `close`. One consumer."""
        while (event := await self._queue.get()) is not None:
            yield event

    # ---------------------------------------------------------------- the world around it

    def feed(self, quote: Quote) -> None:
        """Let the market move: the venue matches the quote, then quote and reports are pushed."""
        self._push([quote, *self.venue.on_quote(quote, self._clock.now_ns())])

    def end_session(self, symbol: str | None = None) -> None:
        """Close the session of a symbol, or of all: DAY orders expire."""
        self.deliver(self.venue.end_session(self._clock.now_ns(), symbol))

    def deliver(self, reports: list[ExecutionReport]) -> None:
        """Push what a direct call to `venue` reported (a bust, an order it ended by itself)."""
        self._push([*reports])

    def close(self, reason: str = "closed") -> None:
        """Hang up: `events` ends after what is under way and a last LinkStatus; further requests raise `NotSent`."""
        if not self._closed:
            self._push([LinkStatus(up=False, reason=reason, ts_event_ns=self._clock.now_ns())])
            self._travel(self._inbound, lambda: self._queue.put_nowait(None))
            self._closed = True

    # ---------------------------------------------------------------- the wire

    async def _command(self, command: VenueCommand, client_order_id: str) -> OrderReport:
        def carry_out() -> OrderReport:
            self._push([*self.venue.apply(command, self._clock.now_ns())])
            report = self.venue.order(client_order_id)
            assert report is not None
            return report

        return self._received(await self._ask(carry_out))

    async def _ask(self, act: Callable[[], Answer]) -> Answer:
        """Do `act` when the request arrives, return its result when the answer does."""
        if self._closed:
            raise NotSent("the paper broker is closed; nothing was sent")
        if not self._latency_s:
            return act()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            try:
                settle = partial(answer.set_result, act())
            except Exception as error:  # noqa: BLE001 - whatever went wrong is for the caller, who waits for it
                settle = partial(answer.set_exception, error)
            self._travel(self._inbound, lambda: None if answer.done() else settle())

        self._travel(self._outbound, arrive)
        return await answer

    def _push(self, events: list[Pushed]) -> None:
        def arrive() -> None:
            for event in events:
                self._queue.put_nowait(msgspec.structs.replace(event, ts_received_ns=self._clock.now_ns()))

        self._travel(self._inbound, arrive)

    def _travel(self, line: deque[Message], message: Message) -> None:
        """Let a message take its time in line behind the earlier ones."""
        if not self._latency_s:
            message()
            return
        line.append(message)
        asyncio.get_running_loop().call_later(self._latency_s, _serve, line)

    def _received(self, report: OrderReport) -> OrderReport:
        return msgspec.structs.replace(report, ts_received_ns=self._clock.now_ns())


def _serve(line: deque[Message]) -> None:
    line.popleft()()
