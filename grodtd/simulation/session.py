"""One process's use of the link: `ports.Broker` for the real runtime, with requests that are lost, late or refused."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import LinkStatus
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, Fill, NewOrder, OrderReport
from grodtd.simulation.faults import Fault
from grodtd.simulation.truth import ids_of
from grodtd.venue.venue import VenueCommand

if TYPE_CHECKING:
    from grodtd.simulation.link import Link

Pushed = ExecutionReport | Quote | LinkStatus
NS = 1_000_000_000
LATE_S = (2.0, 14.0)
HANG_S = 60.0
"""How long a request without an answer hangs: longer than any caller waits."""
YOUNG_S = 1.4
"""An order younger than this may not be found yet."""
LOST = frozenset({Fault.PLACE_LOST, Fault.CANCEL_LOST, Fault.REPLACE_LOST})
LATE = frozenset({Fault.PLACE_LATE, Fault.CANCEL_LATE, Fault.REPLACE_LATE})
ACK_LOST = frozenset({Fault.PLACE_ACK_LOST, Fault.CANCEL_ACK_LOST, Fault.REPLACE_ACK_LOST})
PLACING = (Fault.PLACE_LOST, Fault.PLACE_ACK_LOST, Fault.PLACE_LATE, Fault.BUSY)
CANCELLING = (Fault.CANCEL_LOST, Fault.CANCEL_ACK_LOST, Fault.CANCEL_LATE, Fault.BUSY)
REPLACING = (Fault.REPLACE_LOST, Fault.REPLACE_ACK_LOST, Fault.REPLACE_LATE, Fault.BUSY)


class Session:
    """Satisfies `ports.Broker`."""

    def __init__(self, link: "Link") -> None:
        """Begin with an empty stream."""
        self._link = link
        self.capabilities = link.venue.capabilities
        self.dead = False
        self.fenced = False
        """Whether another instance has taken the account over."""
        self.requests: deque[int] = deque()
        """When each request of the last while was sent."""
        self._queue: asyncio.Queue[Pushed] = asyncio.Queue()
        self._compared: set[str] = set()

    @property
    def compared(self) -> bool:
        """Whether its process has read open orders and fills since it connected, or the link came back."""
        return self._compared >= {"orders", "fills"}

    def link_changed(self) -> None:
        """What was read before says nothing now."""
        self._compared.clear()

    def push(self, event: Pushed) -> None:
        """Hand an event to the process, unless it is gone."""
        if not self.dead:
            self._queue.put_nowait(event)

    async def events(self) -> AsyncIterator[Pushed]:
        """What the stream brings, as long as the process lives."""
        while True:
            yield await self._queue.get()

    # -- commands -------------------------------------------------------------------------------------------

    async def submit(self, order: NewOrder) -> OrderReport:
        """Send one order."""
        if ".stop" in order.client_order_id and self._link.faults.strikes(Fault.STOP_REFUSED):
            await self._travel()
            self._link.eyes.refused(order.client_order_id, Fault.STOP_REFUSED)
            raise Refused("stop prices are restricted just now", code="restricted")
        await self._request(SubmitOrder("", order), PLACING)
        return self._report(order.client_order_id)

    async def submit_oco(self, stop: NewOrder, target: NewOrder) -> None:
        """Send a linked pair; now and then only one leg comes to be, and no answer."""
        if self._link.faults.strikes(Fault.HALF_PAIR):
            pair = SubmitOco("", stop, target)
            self._leave(pair)
            await self._travel()
            self._link.eyes.lost(pair, Fault.HALF_PAIR)
            with suppress(Refused):
                self._link.arrive(SubmitOrder("", self._link.rng.choice((stop, target))))
            raise OutcomeUnknown("connection reset while the pair was being created")
        await self._request(SubmitOco("", stop, target), PLACING)

    async def cancel(self, client_order_id: str) -> OrderReport:
        """Ask for an order's end."""
        await self._request(CancelOrder("", client_order_id), CANCELLING)
        return self._report(client_order_id)

    async def replace(self, client_order_id: str, order: NewOrder) -> OrderReport:
        """Change an order in one step; now and then only its first half works."""
        kind = self._link.faults.strikes(Fault.REPLACE_REFUSED, Fault.REPLACE_HALF)
        if kind is not None:
            await self._travel()
            if kind is Fault.REPLACE_HALF:
                with suppress(Refused):
                    self._link.arrive(CancelOrder("", client_order_id))
            self._link.eyes.refused(order.client_order_id, kind)
            raise Refused("order cannot be modified now", code="restricted")
        await self._request(ReplaceOrder("", client_order_id, order), REPLACING)
        return self._report(order.client_order_id)

    # -- reads ----------------------------------------------------------------------------------------------

    async def order(self, client_order_id: str) -> OrderReport | None:
        """Look an order up; a fresh one may not be found yet."""
        await self._read()
        link = self._link
        report = link.venue.order(client_order_id)
        young = report is not None and link.now_ns() - report.ts_event_ns < YOUNG_S * NS
        return None if young and link.faults.strikes(Fault.STALE_READ) else report

    async def open_orders(self) -> list[OrderReport]:
        """Every open order, perhaps a moment old."""
        await self._read()
        self._compared.add("orders")
        return self._link.stale_orders()

    async def fills(self, since_ns: int) -> list[Fill]:
        """The account's executions."""
        await self._read()
        self._compared.add("fills")
        return self._link.venue.fills(since_ns)

    async def position(self, symbol: str) -> Decimal:
        """The account's signed position."""
        await self._read()
        return self._link.venue.position(symbol)

    async def equity(self) -> Decimal:
        """The account's value."""
        await self._read()
        return self._link.venue.equity()

    async def instruments(self, symbols: list[str]) -> list[Instrument]:
        """Trading rules."""
        await self._read()
        return self._link.venue.instruments(symbols)

    async def server_time_ns(self) -> int:
        """The venue's clock."""
        await self._travel()
        if not self._link.up:
            raise OutcomeUnknown("no answer")
        at_ns = self._link.now_ns()
        await asyncio.sleep(self._half_s())
        return at_ns

    # -- the wire -------------------------------------------------------------------------------------------

    def _half_s(self) -> float:
        return self._link.rtt_s / 2 * self._link.rng.uniform(0.8, 1.3)

    def _leave(self, command: VenueCommand | None = None) -> None:
        """Send something. Raises NotSent, or Refused where the credentials do not count just now."""
        link = self._link
        if self.dead or not link.up:
            raise NotSent("the link is down")
        if command is not None:
            link.eyes.sending(self, command)
        self.requests.append(link.now_ns())

    def _check_credentials(self) -> None:
        if self._link.now_ns() < self._link.locked_out_until_ns:
            raise Refused("invalid API key, IP or permissions", code="auth")

    async def _travel(self) -> None:
        self._leave()
        await asyncio.sleep(self._half_s())
        self._check_credentials()

    async def _read(self) -> None:
        await self._travel()
        if not self._link.up or self._link.faults.strikes(Fault.QUERY_FAILED):
            raise OutcomeUnknown("no answer")
        await asyncio.sleep(self._link.rtt_s / 2)

    async def _request(self, command: VenueCommand, kinds: tuple[Fault, ...]) -> None:
        """Carry a command to the venue, or lose it, or its answer. Raises as the port says."""
        link = self._link
        self._leave(command)
        if link.now_ns() < link.locked_out_until_ns:
            await asyncio.sleep(self._half_s())
            link.eyes.refused(ids_of(command)[0], Fault.LOCKED_OUT)
            raise Refused("invalid API key, IP or permissions", code="auth")
        kind = link.faults.strikes(*kinds)
        if kind is not None and kind is not Fault.BUSY:
            link.eyes.lost(command, kind)
        # What happens at the venue must happen even when the caller is killed or gives up waiting.
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fly(command, kind, done)
        await done
        if kind in ACK_LOST or not link.up:
            await asyncio.sleep(HANG_S)
            raise OutcomeUnknown("no answer")
        await asyncio.sleep(link.rtt_s / 2)

    def _fly(self, command: VenueCommand, kind: Fault | None, done: "asyncio.Future[None]") -> None:
        link, loop = self._link, asyncio.get_running_loop()
        if kind in LOST:
            return  # it hangs until the caller gives up
        if kind is Fault.BUSY:
            link.eyes.refused(ids_of(command)[0], Fault.BUSY)
            loop.call_later(self._half_s(), _refuse, done, Refused("too many requests", code="busy"))
            return
        flight = link.take_off(command)

        def arrive() -> None:
            try:
                link.arrive(command, flight)
            except Refused as error:
                _refuse(done, error)
            else:
                if not done.done():
                    done.set_result(None)

        loop.call_later(link.rng.uniform(*LATE_S) if kind in LATE else self._half_s(), arrive)

    def _report(self, client_order_id: str) -> OrderReport:
        report = self._link.venue.order(client_order_id)
        if report is None:
            raise OutcomeUnknown(f"the answer does not name {client_order_id}")
        return replace(report)


def _refuse(done: "asyncio.Future[None]", error: Refused) -> None:
    if not done.done():
        done.set_exception(error)
        done.exception()  # looked at: the caller may be gone
