"""The link to the simulated venue, with everything that goes wrong on links. `ports.Broker` for the real runtime.

The venue itself never lies; what is lost, late, doubled or stale is lost on the way. One `Link` outlives the processes
that use it: after a crash the next process takes a new `session` and nothing of the old one's stream is left.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from grodtd.domain.capabilities import Capabilities
from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import LinkStatus
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, Fill, NewOrder, OrderReport
from grodtd.simulation.faults import Fault, Faults
from grodtd.venue.venue import SimulatedVenue, VenueCommand

Pushed = ExecutionReport | Quote | LinkStatus
NS = 1_000_000_000
LATE_S = (2.0, 14.0)
HANG_S = 60.0
"""How long a request without an answer hangs: longer than any caller waits."""
READ_LAG_S = 1.4


class Link:
    """One account's connection. `now_ns` is the venue's clock."""

    def __init__(
        self,
        venue: SimulatedVenue,
        faults: Faults,
        rng: Random,
        now_ns: Callable[[], int],
        on_venue: Callable[[list[ExecutionReport]], None],
        on_arrival: Callable[[VenueCommand], None],
        on_lost: Callable[[VenueCommand], None],
        on_send: Callable[[], None],
        rtt_s: float = 0.1,
    ) -> None:
        """`on_arrival` sees each command as it reaches the venue, `on_venue` all it reports, `on_lost` what hangs."""
        self.venue, self.faults, self._rng, self._now_ns = venue, faults, rng, now_ns
        self._on_venue, self._on_arrival, self.rtt_s = on_venue, on_arrival, rtt_s
        self.on_lost, self.on_send = on_lost, on_send
        self.up = True
        self.session: Session | None = None
        self._snapshots: deque[tuple[int, list[OrderReport], int]] = deque(maxlen=40)
        self.requests: deque[int] = deque()

    @property
    def capabilities(self) -> Capabilities:
        """The venue's."""
        return self.venue.capabilities

    def open_session(self) -> "Session":
        """Connect a process; the one before gets nothing more."""
        if self.session is not None:
            self.session.dead = True
        self.session = Session(self)
        return self.session

    def arrive(self, command: VenueCommand) -> None:
        """Let a command reach the venue. Raises Refused."""
        self._on_arrival(command)
        reports = self.venue.apply(command, self._now_ns())
        self.spread(list(reports))

    def spread(self, reports: list[ExecutionReport]) -> None:
        """The venue reports: the world sees it at once, the process when the stream brings it."""
        self._on_venue(reports)
        for report in reports:
            self._stream(report)

    def quote(self, quote: Quote) -> None:
        """Push a quote; it is lost while the link is down."""
        if self.up and self.session is not None:
            self._later(self.rtt_s / 2, self.session, quote)

    def set_up(self, up: bool) -> None:
        """Cut or mend the link."""
        self.up = up
        if self.session is not None:
            self.session.push(LinkStatus(up, "simulated", self._now_ns(), self._now_ns()))

    def _stream(self, report: ExecutionReport) -> None:
        session = self.session
        if session is None or not self.up:
            return  # nobody listens: what was said meanwhile is found out by asking
        delay_s = self.rtt_s / 2 * self._rng.uniform(0.8, 1.3)
        kind = self.faults.strikes(Fault.REPORT_DROPPED, Fault.REPORT_LATE, Fault.REPORT_TWICE)
        if kind is Fault.REPORT_DROPPED:
            return
        if kind is Fault.REPORT_LATE:
            delay_s = self._rng.uniform(0.5, 12.0)
        elif kind is Fault.REPORT_TWICE:
            self._later(self._rng.uniform(0.1, 5.0), session, report)
        self._later(delay_s, session, report)

    def _later(self, delay_s: float, session: "Session", event: Pushed) -> None:
        asyncio.get_running_loop().call_later(delay_s, session.push, event)

    def stale_orders(self) -> list[OrderReport]:
        """Open orders, perhaps as they were a moment ago."""
        if self._snapshots and self.faults.strikes(Fault.STALE_READ):
            oldest = self._now_ns() - int(self._rng.uniform(0.1, READ_LAG_S) * NS)
            for at_ns, orders, _ in self._snapshots:
                if at_ns >= oldest:
                    return orders
        return self.venue.open_orders()

    def remember(self) -> None:
        """Keep how things are now, for stale reads to come."""
        self._snapshots.append((self._now_ns(), self.venue.open_orders(), len(self.venue.fills(0))))


class Session:
    """One process's use of the link. Satisfies `ports.Broker`."""

    def __init__(self, link: Link) -> None:
        """Begin with an empty stream."""
        self._link = link
        self.capabilities = link.capabilities
        self.dead = False
        self._queue: asyncio.Queue[Pushed] = asyncio.Queue()

    def push(self, event: Pushed) -> None:
        """Hand an event to the process, unless it is gone."""
        if not self.dead:
            self._queue.put_nowait(event)

    async def events(self) -> AsyncIterator[Pushed]:
        """What the stream brings, as long as the process lives."""
        while True:
            yield await self._queue.get()

    async def submit(self, order: NewOrder) -> OrderReport:
        """Send one order."""
        if order.client_order_id.split(".")[-1].startswith("stop") and self._link.faults.strikes(Fault.STOP_REFUSED):
            await self._travel()
            raise Refused("stop prices are restricted just now", code="restricted")
        await self._request(
            SubmitOrder("", order),
            Fault.PLACE_LOST,
            Fault.PLACE_ACK_LOST,
            Fault.PLACE_LATE,
            Fault.BUSY,
        )
        return self._report(order.client_order_id)

    async def submit_oco(self, stop: NewOrder, target: NewOrder) -> None:
        """Send a linked pair; now and then only one leg comes to be, and no answer."""
        if self._link.faults.strikes(Fault.HALF_PAIR):
            await self._travel()
            leg = self._link._rng.choice((stop, target))  # noqa: SLF001 - one world
            self._link.on_lost(SubmitOco("", stop, target))
            with suppress(Refused):
                self._link.arrive(SubmitOrder("", leg))
            raise OutcomeUnknown("connection reset while the pair was being created")
        await self._request(
            SubmitOco("", stop, target),
            Fault.PLACE_LOST,
            Fault.PLACE_ACK_LOST,
            Fault.PLACE_LATE,
            Fault.BUSY,
        )

    async def cancel(self, client_order_id: str) -> OrderReport:
        """Ask for an order's end."""
        await self._request(
            CancelOrder("", client_order_id), Fault.CANCEL_LOST, Fault.CANCEL_ACK_LOST, Fault.CANCEL_LATE, Fault.BUSY
        )
        return self._report(client_order_id)

    async def replace(self, client_order_id: str, order: NewOrder) -> OrderReport:
        """Change an order in one step."""
        if self._link.faults.strikes(Fault.REPLACE_REFUSED):
            await self._travel()
            raise Refused("order cannot be modified now", code="restricted")
        await self._request(
            ReplaceOrder("", client_order_id, order), Fault.REPLACE_LOST, Fault.REPLACE_ACK_LOST, None, Fault.BUSY
        )
        return self._report(order.client_order_id)

    async def order(self, client_order_id: str) -> OrderReport | None:
        """Look an order up; a fresh one may not be found yet."""
        await self._read()
        report = self._link.venue.order(client_order_id)
        young = report is not None and self._link._now_ns() - report.ts_event_ns < READ_LAG_S * NS  # noqa: SLF001
        if young and self._link.faults.strikes(Fault.STALE_READ):
            return None
        return report

    async def open_orders(self) -> list[OrderReport]:
        """Every open order, perhaps a moment old."""
        await self._read()
        return self._link.stale_orders()

    async def fills(self, since_ns: int) -> list[Fill]:
        """The account's executions."""
        await self._read()
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
        await self._read()
        return self._link._now_ns()  # noqa: SLF001 - one world

    # -- the wire -------------------------------------------------------------------------------------------

    async def _travel(self) -> None:
        link = self._link
        if self.dead or not link.up:
            raise NotSent("the link is down")
        link.requests.append(link._now_ns())  # noqa: SLF001 - one world
        await asyncio.sleep(link.rtt_s / 2 * link._rng.uniform(0.8, 1.3))  # noqa: SLF001

    async def _read(self) -> None:
        await self._travel()
        if not self._link.up or self._link.faults.strikes(Fault.QUERY_FAILED):
            raise OutcomeUnknown("no answer")
        await asyncio.sleep(self._link.rtt_s / 2)

    async def _request(
        self, command: VenueCommand, lost: Fault, ack_lost: Fault, late: Fault | None, busy: Fault
    ) -> None:
        """Carry a command to the venue, or lose it, or its answer. Raises as the port says."""
        link = self._link
        kinds = [kind for kind in (lost, ack_lost, late, busy) if kind is not None]
        kind = link.faults.strikes(*kinds)
        if kind is not None and kind is not busy:
            link.on_lost(command)
        # What happens at the venue must happen even when the caller is killed or gives up waiting.
        done = asyncio.get_running_loop().create_future()
        await self._travel_start(command, kind, done, late)
        await done
        if kind is ack_lost or not link.up:
            await asyncio.sleep(HANG_S)
            raise OutcomeUnknown("no answer")
        await asyncio.sleep(link.rtt_s / 2)

    async def _travel_start(
        self, command: VenueCommand, kind: Fault | None, done: "asyncio.Future[None]", late: Fault | None
    ) -> None:
        link = self._link
        if self.dead or not link.up:
            raise NotSent("the link is down")
        link.on_send()
        link.requests.append(link._now_ns())  # noqa: SLF001 - one world
        loop = asyncio.get_running_loop()

        def arrive() -> None:
            try:
                link.arrive(command)
            except Refused as error:
                if not done.done():
                    done.set_exception(error)
                    done.exception()  # looked at: the caller may be gone
            else:
                if not done.done():
                    done.set_result(None)

        half_s = link.rtt_s / 2 * link._rng.uniform(0.8, 1.3)  # noqa: SLF001
        if kind is Fault.BUSY:
            loop.call_later(half_s, _refuse, done)
        elif kind in (Fault.PLACE_LOST, Fault.CANCEL_LOST, Fault.REPLACE_LOST):
            pass  # it hangs until the caller gives up
        elif kind is not None and kind is late:
            loop.call_later(link._rng.uniform(*LATE_S), arrive)  # noqa: SLF001
        else:
            loop.call_later(half_s, arrive)

    def _report(self, client_order_id: str) -> OrderReport:
        report = self._link.venue.order(client_order_id)
        if report is None:
            raise OutcomeUnknown(f"the answer does not name {client_order_id}")
        return replace(report)


def _refuse(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_exception(Refused("too many requests", code="busy"))
        done.exception()
