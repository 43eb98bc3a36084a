"""A venue far away, in virtual time: what is sent arrives later, and so does what comes back. No event loop."""

from collections import deque

import msgspec

from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco
from grodtd.domain.errors import Refused
from grodtd.domain.events import RequestRefused
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport
from grodtd.venue.venue import SimulatedVenue, VenueCommand

Answer = ExecutionReport | RequestRefused


class LatentVenue:
    """A `SimulatedVenue` at `latency_ns` each way. Messages keep their order; calls must not go back in time.

    >>> from decimal import Decimal
    >>> from grodtd.domain.commands import SubmitOrder
    >>> from grodtd.domain.instrument import Instrument
    >>> from grodtd.domain.orders import NewOrder, OrderType, Side
    >>> from grodtd.venue.profiles import MARGIN
    >>> far = LatentVenue(SimulatedVenue(MARGIN, [Instrument("X")]), latency_ns=50)
    >>> far.send(SubmitOrder("B7", NewOrder("B7.entry1", "X", Side.BUY, OrderType.MARKET, Decimal(1))), now_ns=0)
    >>> far.next_event_ns, far.advance(50), far.next_event_ns
    (50, [], 100)
    >>> [(r.status.value, r.ts_event_ns, r.ts_received_ns) for r in far.advance(100)]
    [('working', 50, 100)]
    """

    def __init__(self, venue: SimulatedVenue, latency_ns: int) -> None:
        if latency_ns < 0:
            raise ValueError(f"latency_ns is {latency_ns}: messages do not arrive before they are sent")
        self.venue = venue
        self.latency_ns = latency_ns
        self._outbound: deque[tuple[int, VenueCommand]] = deque()
        self._inbound: deque[tuple[int, Answer]] = deque()

    @property
    def next_event_ns(self) -> int | None:
        """When `advance` will next do something; None when nothing is under way."""
        times = [queue[0][0] for queue in (self._outbound, self._inbound) if queue]
        return min(times) if times else None

    def send(self, command: VenueCommand, now_ns: int) -> None:
        """Send a command; it takes effect `latency_ns` later."""
        self._outbound.append((now_ns + self.latency_ns, command))

    def on_quote(self, quote: Quote, now_ns: int | None = None) -> None:
        """Let the market move at the venue, after the commands that arrived by then."""
        at_ns = quote.ts_event_ns if now_ns is None else now_ns
        self._arrive(at_ns)
        self._return(self.venue.on_quote(quote, at_ns), at_ns)

    def advance(self, now_ns: int) -> list[Answer]:
        """Let time pass to `now_ns`; return what has come back by then, in order, stamped with its arrival."""
        self._arrive(now_ns)
        back: list[Answer] = []
        while self._inbound and self._inbound[0][0] <= now_ns:
            at_ns, answer = self._inbound.popleft()
            back.append(msgspec.structs.replace(answer, ts_received_ns=at_ns))
        return back

    def _arrive(self, now_ns: int) -> None:
        while self._outbound and self._outbound[0][0] <= now_ns:
            at_ns, command = self._outbound.popleft()
            try:
                self._return(self.venue.apply(command, at_ns), at_ns)
            except Refused as refused:
                self._return([refusal(command, refused, at_ns)], at_ns)

    def _return(self, answers: list[ExecutionReport] | list[RequestRefused], at_ns: int) -> None:
        self._inbound.extend((at_ns + self.latency_ns, answer) for answer in answers)


def refusal(command: VenueCommand, refused: Refused, at_ns: int) -> RequestRefused:
    """Put the venue's `Refused` into the fact the core takes in; a refused pair is told by its stop's id."""
    replacement_id = ""
    if isinstance(command, CancelOrder):
        verb, client_order_id = "cancel", command.client_order_id
    elif isinstance(command, ReplaceOrder):
        verb, client_order_id = "replace", command.client_order_id
        replacement_id = command.order.client_order_id
    else:
        order = command.stop if isinstance(command, SubmitOco) else command.order
        verb, client_order_id = "submit", order.client_order_id
    return RequestRefused(client_order_id, verb, refused.code, str(refused), replacement_id, at_ns, at_ns)
