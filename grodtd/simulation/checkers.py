"""Checks against the venue's truth alone: what filled there, what rests there, what arrived there.

The names are those of docs/RELIABILITY.md: S1 no oversell, S2 no overcommit, S4 no looser stop, S5 no strays,
S6 durable before sent, S8 governor; L1 protection in time, L2 no orphan, L3 convergence, L4 termination.
"""

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from decimal import Decimal

from grodtd.domain.capabilities import ReduceOnly, StopOrders
from grodtd.domain.commands import ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import ZERO
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderReport, OrderType, Side
from grodtd.ports import Record
from grodtd.venue.venue import SimulatedVenue, VenueCommand

NS = 1_000_000_000
CLIENT_ID = re.compile(rb'"client_order_id":"([^"]+)"')
SLACK_S = 20.0
"""How long a unit may be without protection in chaos, before what lost requests cost is added."""
BUST_SLACK_S = 30.0
"""What a bust at a venue that locks inventory adds to it."""


@dataclass
class Position:
    """One bracket's truth."""

    bracket_id: str
    entry_id: str
    side: Side
    net: Decimal = ZERO
    """Units open, positive; negative: too much was sold."""
    entry_filled: Decimal = ZERO
    tightest: Decimal | None = None
    """The tightest stop that ever arrived."""
    busted: bool = False
    accepted: bool = False
    """Whether our process has taken it on."""
    naked_s: float = 0.0
    excuse_s: float = 0.0
    """What lost requests of the present stretch add to the time allowed."""
    stretches: list[float] = field(default_factory=list)


class Checker:
    """Watches one account at one venue."""

    def __init__(self, venue: SimulatedVenue, instrument: Instrument, request_limit: int = 120) -> None:
        """Watch `venue`; more than `request_limit` requests in ten seconds are too many."""
        self.venue, self.instrument, self._limit = venue, instrument, request_limit
        self.positions: dict[str, Position] = {}
        self.violations: list[tuple[str, str]] = []
        """(invariant, what happened)."""
        self._by_entry: dict[str, str] = {}
        self._pairs: dict[str, str] = {}
        self._journalled: set[str] = set()
        self._read = 0
        self.max_requests = 0
        self._since_bust_s = 1e9

    def expect(self, position: Position) -> None:
        """A bracket is going to be asked for."""
        self.positions[position.bracket_id] = position
        self._by_entry[position.entry_id] = position.bracket_id

    def violated(self, invariant: str, what: str) -> None:
        """Keep one violation."""
        self.violations.append((invariant, what))

    # -- at every venue event -------------------------------------------------------------------------------

    def arrived(self, command: VenueCommand, records: list[Record], requests: deque[int], now_ns: int) -> None:
        """A command of ours reached the venue."""
        while self._read < len(records):
            record = records[self._read]
            if record.kind == "command":
                self._journalled.update(match.decode() for match in CLIENT_ID.findall(record.payload))
            self._read += 1
        if isinstance(command, SubmitOco):
            orders = [command.stop, command.target]
            self._pairs[command.stop.client_order_id] = command.target.client_order_id
        elif isinstance(command, SubmitOrder | ReplaceOrder):
            orders = [command.order]
        else:
            orders = []
        for order in orders:
            self._check_order(order)
        while requests and requests[0] < now_ns - 10 * NS:
            requests.popleft()
        self.max_requests = max(self.max_requests, len(requests))
        if len(requests) > self._limit:
            self.violated("S8", f"{len(requests)} requests within 10 s")

    def _check_order(self, order: NewOrder) -> None:
        client_id = order.client_order_id
        if client_id not in self._journalled:
            self.violated("S6", f"{client_id} reached the venue before its journal record was durable")
        named = parse_client_order_id(client_id)
        position = self.positions.get(named[0]) if named else None
        if named is None or position is None:
            self.violated("S5", f"{client_id} belongs to no bracket")
            return
        wanted = position.side if named[1] == "remedy" else position.side.opposite
        if order.side is not wanted or order.symbol != self.instrument.symbol:
            self.violated("S5", f"{client_id} is a {order.side.value} of {order.symbol}")
        if named[1] == "stop" and order.stop_px is not None:
            best = position.tightest
            looser = best is not None and (order.stop_px - best) * position.side.sign < 0
            if looser:
                self.violated("S4", f"{client_id} at {order.stop_px} is looser than {best}")
            else:
                position.tightest = order.stop_px

    def reported(self, reports: list[ExecutionReport]) -> None:
        """The venue did something."""
        for report in reports:
            if report.last_qty <= 0:
                continue
            position = self._of(report.client_order_id)
            if position is None:
                continue
            fee = report.fee if report.fee_asset is FeeAsset.BASE else ZERO
            units = report.last_qty - fee if report.side is Side.BUY else -(report.last_qty + fee)
            if report.exec_ref_id:
                self._since_bust_s = 0.0
                units = -units
                position.busted = True
                if self.venue.capabilities.reduce_only is not ReduceOnly.NONE:
                    # The venue trims reduce-only orders by account: one bracket's bust moves what another may sell.
                    for other in self.positions.values():
                        other.busted = True
            position.net += units * position.side.sign
            if report.client_order_id == position.entry_id:
                position.entry_filled += -report.last_qty if report.exec_ref_id else report.last_qty
            if position.net < 0 and not position.busted:
                self.violated("S1", f"{position.bracket_id} is oversold by {-position.net} ({report.client_order_id})")
        self.check_commitments()

    def _of(self, client_id: str) -> Position | None:
        bracket_id = self._by_entry.get(client_id)
        if bracket_id is None:
            named = parse_client_order_id(client_id)
            bracket_id = named[0] if named else ""
        return self.positions.get(bracket_id)

    def check_commitments(self) -> None:
        """S2: what rests may not sell more than is open."""
        for bracket_id, orders in self._resting().items():
            position = self.positions[bracket_id]
            committed = ZERO
            linked = {self._pairs.get(r.client_order_id) for r in orders}
            for report in orders:
                assert report.order is not None
                if report.order.reduce_only or report.client_order_id in linked:
                    continue
                if report.order.side is position.side.opposite:
                    committed += report.order.quantity - report.cum_qty
            if committed > max(position.net, ZERO) and not position.busted:
                names = ", ".join(r.client_order_id for r in orders)
                self.violated("S2", f"{bracket_id}: {committed} may still sell, {position.net} is open ({names})")

    def _resting(self) -> dict[str, list[OrderReport]]:
        """Open exits at the venue by bracket."""
        found: dict[str, list[OrderReport]] = {}
        for report in self.venue.open_orders():
            named = parse_client_order_id(report.client_order_id)
            if named is not None and named[0] in self.positions:
                found.setdefault(named[0], []).append(report)
        return found

    # -- as time passes -------------------------------------------------------------------------------------

    def pass_time(self, seconds: float, *, live: bool, bid: Decimal, ask: Decimal) -> None:
        """L1: while our process lives and the link is up, no unit stays unprotected for too long."""
        resting = self._resting()
        self._since_bust_s += seconds if live else 0.0
        # Where inventory is locked, coins that one bracket's bust took away are missing to another's exit, until the
        # bust is noticed and the first one made smaller.
        locked = self.venue.capabilities.locks_inventory and self._since_bust_s < 2 * BUST_SLACK_S
        slack_s = SLACK_S + (BUST_SLACK_S if locked else 0.0)
        for position in self.positions.values():
            exit_px = bid if position.side is Side.BUY else ask
            open_qty = self.instrument.sellable(position.net, position.tightest or exit_px)
            covered = self._covered(position, resting.get(position.bracket_id, []), exit_px)
            if open_qty <= covered or not position.accepted:
                if position.naked_s:
                    position.stretches.append(position.naked_s)
                position.naked_s = position.excuse_s = 0.0
                continue
            if not live:
                continue
            position.naked_s += seconds
            if position.naked_s > slack_s + position.excuse_s:
                self.violated("L1", f"{position.bracket_id}: {open_qty - covered} naked for {position.naked_s:.1f} s")
                position.naked_s = 0.0

    def _covered(self, position: Position, orders: list[OrderReport], exit_px: Decimal) -> Decimal:
        covered = ZERO
        for report in orders:
            order = report.order
            assert order is not None
            leaves = order.quantity - report.cum_qty
            if order.order_type in (OrderType.STOP, OrderType.STOP_LIMIT):
                best = position.tightest
                if best is None or order.stop_px is None or (order.stop_px - best) * position.side.sign >= 0:
                    covered += leaves
            elif order.order_type is OrderType.MARKET:
                covered += leaves
        if self.venue.capabilities.stop_orders is StopOrders.NONE:
            through = position.tightest is None or (exit_px - position.tightest) * position.side.sign > 0
            return position.net if through else covered
        return covered

    def excuse(self, client_id: str, seconds: float) -> None:
        """A request about this order was lost: proof of its death takes that much longer (S3)."""
        position = self._of(client_id)
        if position is not None:
            position.excuse_s += seconds

    # -- at the end -----------------------------------------------------------------------------------------

    def converged(self, local_open: dict[str, set[str]], unresolved: list[str]) -> None:
        """L3: faults stopped a while ago; what we believe is what is, and every unit is covered."""
        resting = self._resting()
        if unresolved:
            self.violated("L3", f"still unresolved: {', '.join(unresolved)}")
        for bracket_id, position in self.positions.items():
            there = {report.client_order_id for report in resting.get(bracket_id, [])}
            here = local_open.get(bracket_id, set())
            if there != here:
                self.violated("L3", f"{bracket_id}: open there {sorted(there)}, here {sorted(here)}")
            if not position.accepted:
                continue
            open_qty = self.instrument.sellable(position.net, position.tightest or ZERO) if position.tightest else ZERO
            covered = self._covered(position, resting.get(bracket_id, []), Decimal(10**9) * position.side.sign)
            if open_qty > covered and self.venue.capabilities.stop_orders is not StopOrders.NONE:
                self.violated("L3", f"{bracket_id}: {open_qty} open, {covered} covered after the calm")

    def ended(self, residues: dict[str, Decimal]) -> None:
        """L4 and L2: the price went through every stop; nothing is open but reported residue, nothing rests."""
        resting = self._resting()
        for bracket_id, position in self.positions.items():
            if not position.accepted:
                continue
            left = position.net
            if left >= self.instrument.lot_size and bracket_id not in residues:
                self.violated("L4", f"{bracket_id}: {left} still open after the price went through its stop")
            if left <= -self.instrument.lot_size:
                self.violated("L4", f"{bracket_id}: {left} oversold at the end")
            if resting.get(bracket_id):
                names = ", ".join(report.client_order_id for report in resting[bracket_id])
                self.violated("L2", f"{bracket_id}: {names} still rest with nothing to protect")

    def counts(self) -> Counter[str]:
        """Violations by invariant."""
        return Counter(invariant for invariant, _ in self.violations)
