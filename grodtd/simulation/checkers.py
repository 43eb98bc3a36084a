"""Safety, at every event: what is sent, what arrives, what the venue then does. Names as in docs/RELIABILITY.md.

S1 no oversell, S2 no overcommit, S3 one living order an intent, S4 no looser stop, S5 no strays, S6 durable before
sent, S8 governor, L5 comparison before action. The other promises need time: `liveness`.
"""

from collections import deque
from decimal import Decimal

from grodtd.domain.commands import ReplaceOrder, SubmitOco
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.money import ZERO
from grodtd.domain.orders import ExecutionReport, NewOrder
from grodtd.ports import Record
from grodtd.simulation.link import Link
from grodtd.simulation.session import Session
from grodtd.simulation.truth import Books, Position, ids_of, is_entry, orders_of
from grodtd.venue.venue import VenueCommand

NS = 1_000_000_000
WINDOW_NS = 10 * NS
REQUESTS = 101
"""Requests of one process in ten seconds: the governor's 100, and a question for the time."""
REQUESTS_OF_ONE = 20
"""Commands about one bracket in ten seconds."""
BUYING = ("entry", "remedy")
"""Legs on the side of the position itself."""
ALONE = ("exit",)
"""Legs of which the next may be sent only when the one before is certainly over."""


class Safety:
    """Watches one account."""

    def __init__(self, books: Books, link: Link) -> None:
        """Check `books` and what travels on `link`."""
        self.books, self._link = books, link
        self._named: set[str] = set()
        self._sent: dict[tuple[int, str], deque[int]] = {}

    # -- a command leaves a process -------------------------------------------------------------------------

    def sending(self, session: Session, command: VenueCommand, records: list[Record], now_ns: int) -> None:
        """Check a command that is about to leave."""
        books, shown = self.books, f"{type(command).__name__} {', '.join(ids_of(command))}"
        if not books.is_durable(command, records):
            who = " by an instance that was fenced off" if session.fenced else ""
            books.violated("S6", f"{shown} was sent{who} before its journal record was durable")
        if not session.compared:
            books.violated("L5", f"{shown} was sent before open orders and fills were read")
        if isinstance(command, SubmitOco):
            books.pairs[command.stop.client_order_id] = command.target.client_order_id
        for order in orders_of(command):
            self._check_alone(order)
            if is_entry(order.client_order_id):
                if order.client_order_id in self._named:
                    books.violated("S3", f"the entry {order.client_order_id} was sent a second time")
                self._named.add(order.client_order_id)
            elif order.client_order_id not in self._named:  # one sent again bears the level it was decided with
                self._named.add(order.client_order_id)
                self._check_level(order, command)
        self._check_rate(session, command, now_ns)

    def _check_alone(self, order: NewOrder) -> None:
        """S3 by name: the exit before this one is over, here and on its way."""
        named = parse_client_order_id(order.client_order_id)
        if named is not None and named[1] == "remedy":
            self._check_remedies(order)
        if named is None or named[1] not in ALONE:
            return
        rivals = {r.client_order_id for r in self.books.resting().get(named[0], [])}
        rivals.update(flying.client_order_id for flying in self._link.on_their_way())
        for rival in sorted(rivals - {order.client_order_id}):
            other = parse_client_order_id(rival)
            if other is not None and other[:2] == named[:2]:
                self.books.violated("S3", f"{order.client_order_id} was sent while {rival} may still fill")

    def _check_remedies(self, order: NewOrder) -> None:
        """S3 of buy-backs by quantity: each has an excess of its own; together they buy no more than was oversold."""
        position = self.books.of(order.client_order_id)
        if position is None or not self.books.ours(position):
            return
        buying = {
            flying.client_order_id: flying.quantity
            for flying in self._link.on_their_way()
            if self.books.of(flying.client_order_id) is position and flying.side is order.side
        }
        for report in self.books.resting().get(position.bracket_id, []):
            named = parse_client_order_id(report.client_order_id)
            if named is not None and named[1] == "remedy" and report.order is not None:
                buying[report.client_order_id] = report.order.quantity - report.cum_qty
        buying[order.client_order_id] = order.quantity
        if sum(buying.values(), ZERO) > max(-position.net, ZERO):
            names = ", ".join(buying)
            self.books.violated("S3", f"{names} buy back {sum(buying.values(), ZERO)}, {-position.net} is oversold")

    def _check_rate(self, session: Session, command: VenueCommand, now_ns: int) -> None:
        named = parse_client_order_id(ids_of(command)[0])
        for key, limit, whose in (
            ((id(session), ""), REQUESTS, "requests of one process"),
            ((id(session), named[0] if named else "?"), REQUESTS_OF_ONE, f"commands about {named and named[0]}"),
        ):
            times = session.requests if not key[1] else self._sent.setdefault(key, deque())
            if key[1]:
                times.append(now_ns)
            while times and times[0] <= now_ns - WINDOW_NS:
                times.popleft()
            if len(times) > limit:
                self.books.violated("S8", f"{len(times)} {whose} within 10 s")

    # -- it arrives -----------------------------------------------------------------------------------------

    def arriving(self, command: VenueCommand) -> None:
        """Check a command of ours that reaches the venue."""
        self.books.touched()
        for order in orders_of(command):
            position = self._owner(order)
            if position is not None and not is_entry(order.client_order_id) and not self._link.is_over(order):
                self._ratchet(order, position)
                if not isinstance(command, ReplaceOrder):
                    self._check_intent(order, position)

    def _owner(self, order: NewOrder) -> Position | None:
        """S5: ours, of a bracket that is, on its symbol and side."""
        client_id = order.client_order_id
        named = parse_client_order_id(client_id)
        position = self.books.positions.get(named[0]) if named else None
        if named is None or position is None:
            self.books.violated("S5", f"{client_id} belongs to no bracket")
            return None
        wanted = position.side if named[1] in BUYING else position.side.opposite
        if order.side is not wanted or order.symbol != position.symbol:
            self.books.violated("S5", f"{client_id} is a {order.side.value} of {order.symbol}")
        return position

    def _check_level(self, order: NewOrder, command: VenueCommand) -> None:
        """S4: no stop is decided on looser than what arrived before, or a named command set.

        Of several stops of one bracket that trail, one may still be on its way to a level the others have left: one
        that takes another's place is compared with that one.
        """
        position, stop_px = self.books.of(order.client_order_id), order.stop_px
        if position is None or stop_px is None or stop_px in position.forgiven:
            return
        old = self.books.venue.order(command.client_order_id) if isinstance(command, ReplaceOrder) else None
        replaced_px = old.order.stop_px if old is not None and old.order is not None else None
        if replaced_px is not None and (stop_px - replaced_px) * position.side.sign >= 0:
            return
        tightest = self.books.decided_at.get(order.client_order_id, position.tightest)
        if tightest is None or tightest in position.forgiven or (stop_px - tightest) * position.side.sign >= 0:
            return
        self.books.violated("S4", f"{order.client_order_id} at {stop_px} is looser than {tightest}")

    def _ratchet(self, order: NewOrder, position: Position) -> None:
        stop_px, best = order.stop_px, position.tightest
        if stop_px is None or stop_px in position.forgiven:
            return
        if best is None or (stop_px - best) * position.side.sign > 0:
            position.tightest = stop_px

    def _check_intent(self, order: NewOrder, position: Position) -> None:
        """S3 by quantity: with what rests and what is still on its way, no more may sell than is open."""
        if order.reduce_only or order.side is not position.side.opposite or not self.books.ours(position):
            return
        resting = self.books.resting().get(position.bracket_id, [])
        known = {report.client_order_id for report in resting} | {order.client_order_id}
        stops_of = {target: stop for stop, target in self.books.pairs.items()}
        late: dict[str, Decimal] = {}
        for flying in self._link.on_their_way(new_only=True):
            name = stops_of.get(flying.client_order_id, flying.client_order_id)  # a pair counts once
            if self.books.of(name) is position and flying.side is order.side and name not in known:
                late[name] = max(flying.quantity, late.get(name, ZERO))
        own = stops_of.get(order.client_order_id, order.client_order_id)
        late.pop(own, None)
        for command in self._link.flying.values():
            if isinstance(command, ReplaceOrder) and not self._link.is_over(command.order):
                old = next((r for r in resting if r.client_order_id == command.client_order_id), None)
                if old is not None and old.order is not None and command.order.quantity > old.order.quantity:
                    late[command.order.client_order_id] = command.order.quantity - old.order.quantity
        if not late:
            return
        total = self.books.committed(position, resting) + sum(late.values(), ZERO)
        if order.client_order_id not in {report.client_order_id for report in resting}:
            total += order.quantity
        if total > max(position.net, ZERO):
            names = ", ".join(late)
            self.books.violated(
                "S3", f"{order.client_order_id} arrived while {names} may still: {total} of {position.net}"
            )

    # -- the venue acts -------------------------------------------------------------------------------------

    def reported(self, reports: list[ExecutionReport]) -> None:
        """Check what the venue did."""
        for position in self.books.book(reports):
            if position.net < 0 and self.books.ours(position):
                self.books.violated("S1", f"{position.bracket_id} is oversold by {-position.net}")
        if reports:
            self.check_commitments()

    def check_commitments(self, *, even_disturbed: bool = False) -> None:
        """S2: what rests may not sell more than is open."""
        for bracket_id, orders in self.books.resting().items():
            position = self.books.positions[bracket_id]
            if position.keeps_orders or (position.disturbed and not even_disturbed):
                continue
            committed = self.books.committed(position, orders)
            if committed > max(position.net, ZERO):
                names = ", ".join(r.client_order_id for r in orders)
                self.books.violated("S2", f"{bracket_id}: {committed} may still sell, {position.net} is open ({names})")
