"""The link to the simulated venue, with everything that goes wrong on links; what a process has of it is a `Session`.

The venue itself never lies; what is lost, late, doubled or stale is lost on the way. One `Link` outlives the processes
that use it: after a crash the next process opens a new session and nothing of the old one's stream is left.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from random import Random

from grodtd.domain.capabilities import ClientIdScope
from grodtd.domain.commands import ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.events import LinkStatus
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderReport
from grodtd.simulation.faults import Fault, Faults
from grodtd.simulation.session import Pushed, Session
from grodtd.venue.venue import SimulatedVenue, VenueCommand

NS = 1_000_000_000
READ_LAG_S = 1.4


class Eyes:
    """Who sees what happens at the venue's end: the world overrides these."""

    def venue_reported(self, reports: list[ExecutionReport]) -> None:
        """The venue did something."""

    def sending(self, session: Session, command: VenueCommand) -> None:
        """A command is about to leave a process."""

    def arrived(self, command: VenueCommand) -> None:
        """A command has reached the venue."""

    def lost(self, command: VenueCommand, kind: Fault) -> None:
        """A command, or its answer, is lost or late."""

    def refused(self, what: str, why: str) -> None:
        """The link turned a request away."""


class Link:
    """One account's connection. `now_ns` is the venue's clock."""

    def __init__(
        self,
        venue: SimulatedVenue,
        faults: Faults,
        rng: Random,
        now_ns: Callable[[], int],
        eyes: Eyes,
        rtt_s: float = 0.1,
    ) -> None:
        """`eyes` see each command as it is sent, lost and arriving, and all that the venue reports."""
        self.venue, self.faults, self.rng, self.now_ns, self.eyes = venue, faults, rng, now_ns, eyes
        self.rtt_s = rtt_s
        self.up = True
        self.silent_until_ns = 0
        """Until when no quote comes through."""
        self.locked_out_until_ns = 0
        """Until when every request is refused for its credentials."""
        self.sessions: list[Session] = []
        self.flying: dict[int, VenueCommand] = {}
        """Commands on their way that will arrive."""
        self._flights = 0
        self._snapshots: deque[tuple[int, list[OrderReport]]] = deque(maxlen=40)

    def open_session(self, *, beside: bool = False) -> Session:
        """Connect a process. The one before gets nothing more, unless this one opens `beside` it."""
        if not beside:
            for session in self.sessions:
                session.dead = True
        self.sessions = [session for session in self.sessions if not session.dead]
        self.sessions.append(Session(self))
        return self.sessions[-1]

    def take_off(self, command: VenueCommand) -> int:
        """Note that a command is on its way; returns what `arrive` wants to know."""
        self._flights += 1
        self.flying[self._flights] = command
        return self._flights

    def arrive(self, command: VenueCommand, flight: int = 0) -> None:
        """Let a command reach the venue. Raises Refused."""
        self.flying.pop(flight, None)
        self.eyes.arrived(command)
        self.spread(list(self.venue.apply(command, self.now_ns())))

    def is_taken(self, client_order_id: str) -> bool:
        """Whether the venue would turn away another order of that id, for ever."""
        forever = self.venue.capabilities.client_id_scope is ClientIdScope.FOREVER
        return forever and self.venue.order(client_order_id) is not None

    def is_over(self, order: NewOrder) -> bool:
        """Whether the venue would turn an order away that arrived now: too late, or under an id taken for ever."""
        until_ns = order.valid_until_ns if self.venue.capabilities.supports_valid_until else None
        return self.is_taken(order.client_order_id) or (until_ns is not None and until_ns < self.now_ns())

    def on_their_way(self, *, new_only: bool = False) -> Iterator[NewOrder]:
        """Orders under way that may still come to life: not too late, and not under an id that is taken for ever.

        `new_only`: without those that take the place of another, and so add nothing to what it may sell.
        """
        for command in self.flying.values():
            if isinstance(command, SubmitOrder) or (isinstance(command, ReplaceOrder) and not new_only):
                orders: tuple[NewOrder, ...] = (command.order,)
            elif isinstance(command, SubmitOco):
                orders = (command.stop, command.target)
            else:
                continue
            for order in orders:
                if not self.is_over(order):
                    yield order

    def spread(self, reports: list[ExecutionReport]) -> None:
        """The venue reports: the world sees it at once, a process when the stream brings it."""
        self.eyes.venue_reported(reports)
        for report in reports:
            for session in self.sessions:
                self._stream(session, report)

    def quote(self, quote: Quote) -> None:
        """Push a quote; it is lost while the link is down, or the feed silent."""
        if self.up and self.now_ns() >= self.silent_until_ns:
            for session in self.sessions:
                self._later(self.rtt_s / 2, session, quote)

    def set_up(self, up: bool) -> None:
        """Cut or mend the link."""
        self.up = up
        for session in self.sessions:
            session.link_changed()
            session.push(LinkStatus(up, "simulated", self.now_ns(), self.now_ns()))

    def _stream(self, session: Session, report: ExecutionReport) -> None:
        if not self.up:
            return  # nobody listens: what was said meanwhile is found out by asking
        delay_s = self.rtt_s / 2 * self.rng.uniform(0.8, 1.3)
        kind = self.faults.strikes(Fault.REPORT_DROPPED, Fault.REPORT_LATE, Fault.REPORT_TWICE)
        if kind is Fault.REPORT_DROPPED:
            return
        if kind is Fault.REPORT_LATE:
            delay_s = self.rng.uniform(0.5, 12.0)
        elif kind is Fault.REPORT_TWICE:
            self._later(self.rng.uniform(0.1, 5.0), session, report)
        self._later(delay_s, session, report)

    def _later(self, delay_s: float, session: Session, event: Pushed) -> None:
        asyncio.get_running_loop().call_later(delay_s, session.push, event)

    def stale_orders(self) -> list[OrderReport]:
        """Open orders, perhaps as they were a moment ago."""
        if self._snapshots and self.faults.strikes(Fault.STALE_READ):
            oldest = self.now_ns() - int(self.rng.uniform(0.1, READ_LAG_S) * NS)
            for at_ns, orders in self._snapshots:
                if at_ns >= oldest:
                    return orders
        return self.venue.open_orders()

    def remember(self, open_orders: list[OrderReport]) -> None:
        """Keep how things are now, for stale reads to come."""
        self._snapshots.append((self.now_ns(), open_orders))
