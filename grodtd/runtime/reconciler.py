"""Compares what we believe with what the venue says. What it finds becomes facts for the engine, never edits.

One pass is O(pages): open orders and fills are asked for in bulk; only an order we believe alive that is not among the
open ones is asked for by id. Fills are handed in before states, so that quantities are right when a state is judged.
A pass that could not ask everything concludes nothing and says so.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.bracket import ENDED, Bracket, LegOrder, OrderState
from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import Event, OrderNotFound, PositionReported
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.orders import ExecutionReport, Fill, OrderReport, OrderStatus
from grodtd.ports import Clock
from grodtd.runtime.dispatcher import executions_of
from grodtd.runtime.governor import Reads

GIVEN = ":given"
"""End of the id of an execution that was handed in with a request: the venue lists it under another name."""
BUST_WINDOW_NS = 3_600_000_000_000
"""How long after its end a bracket's fills are still watched for busts."""
SURELY_MISSING_NS = 3_000_000_000
READ_BACK_NS = 60_000_000_000
"""Fills are asked for from this long before the last pass: a venue's reads lag."""


Unlisted = list[tuple[str, Decimal, Decimal | None]]
"""Execution id, quantity, price of what we booked and the venue does not list."""


@dataclass
class Findings:
    """What a pass came to."""

    complete: bool = False
    """Whether the venue answered everything."""
    why: str = ""
    facts: int = 0
    corrections: int = 0
    """Facts that changed something: what the stream had not told us."""
    orphans: list[OrderReport] = field(default_factory=list)
    """Open orders that bear an id of ours and belong to no living bracket."""


PAST_IDS = 3
"""So many of an order's former ids are asked about, the latest first."""
TRIES = 3
"""How often a question about one order is put before a comparison is given up."""


class Reconciler:
    """Runs passes over one account."""

    def __init__(
        self,
        broker: Reads,
        clock: Clock,
        brackets: Callable[[], Iterable[Bracket]],
        deliver: Callable[[Event], bool],
        *,
        timeout_s: float = 10.0,
        max_in_flight: int = 8,
    ) -> None:
        """`deliver` hands a fact to the engine and says whether it changed anything."""
        self._broker, self._clock, self._brackets, self._deliver = broker, clock, brackets, deliver
        self._timeout_s = timeout_s
        self._in_flight = asyncio.Semaphore(max_in_flight)
        self._missing: dict[str, int] = {}
        """Booked executions the last pass did not find listed, and since when."""
        self.since_ns = 0
        """Fills up to here are known."""
        self.passes = 0

    async def run_pass(self) -> Findings:
        """Ask, compare, hand in. Never raises for a venue that does not answer: `complete` is False then."""
        found = Findings()
        try:
            async with asyncio.timeout(self._timeout_s):
                asked_ns = self._clock.now_ns()
                open_orders = await self._broker.open_orders()
                fills = await self._broker.fills(self._fills_since_ns())
            believed = self._believed_alive()
            listed = {report.client_order_id for report in open_orders}
            missing = [cid for cid in believed if cid not in listed]
            answers = await asyncio.gather(*(self._ask(cid) for cid in missing))
            busts = await self._taken_back(fills, asked_ns)
            positions = await self._positions()
        except (Refused, NotSent, OutcomeUnknown, TimeoutError) as error:
            found.why = str(error) or f"no answer within {self._timeout_s} s"
            return found
        self._hand_in(found, open_orders, fills, believed, answers, positions, busts)
        self.since_ns = asked_ns
        self.passes += 1
        found.complete = True
        return found

    def _fills_since_ns(self) -> int:
        """Fills are read again over the life of every bracket open of late, so that one taken back is noticed."""
        recent_ns = self._clock.now_ns() - BUST_WINDOW_NS
        begun = [
            bracket.opened_ns
            for bracket in self._brackets()
            if bracket.closed_ns is None or bracket.closed_ns > recent_ns
        ]
        return max(0, min([self.since_ns, *begun]) - READ_BACK_NS)

    def _suspects(self, fills: list[Fill], asked_ns: int) -> list[tuple[LegOrder, str, Unlisted]]:
        """Orders of which we booked more than the venue has listed for a while, with their symbol."""
        listed: dict[str, dict[str, Decimal]] = {}
        for fill in fills:
            listed.setdefault(fill.client_order_id, {})[fill.exec_id] = fill.quantity
        missing: dict[str, int] = {}
        found = []
        for bracket in self._brackets():
            for order in bracket.orders:
                there: dict[str, Decimal] = {}
                for client_id in (order.client_order_id, *order.past_ids):
                    there.update(listed.get(client_id, {}))
                gone = _unlisted(order, there)
                if not gone:
                    continue
                key = order.client_order_id
                first_ns = missing[key] = self._missing.get(key, asked_ns)
                if asked_ns - first_ns >= SURELY_MISSING_NS:
                    found.append((order, bracket.symbol, gone))
        self._missing = missing
        return found

    async def _taken_back(self, fills: list[Fill], asked_ns: int) -> list[ExecutionReport]:
        """Busts nobody told us of: fills the venue no longer lists, and its own cumulative figure agrees.

        A list of fills may simply not reach back far enough; only both together say that a trade was undone.
        """
        found: list[ExecutionReport] = []
        for order, symbol, gone in self._suspects(fills, asked_ns):
            there = await self._there(order)
            total = sum((quantity for _, quantity, _ in gone), Decimal(0))
            if there is None or there.cum_qty + total != order.cum_qty:
                continue
            found.extend(
                ExecutionReport(
                    client_order_id=order.client_order_id,
                    status=OrderStatus.WORKING,
                    exec_id=f"missing:{ref_id}",
                    last_qty=quantity,
                    last_px=px,
                    exec_ref_id=ref_id,
                    reason="the venue no longer counts it",
                    symbol=symbol,
                    side=order.side,
                )
                for ref_id, quantity, px in gone
            )
        return found

    async def _there(self, order: LegOrder) -> OrderReport | None:
        """What the venue says of an order, by its id or one it bore before: a replacement may never have been taken."""
        for client_order_id in (order.client_order_id, *order.past_ids[: -PAST_IDS - 1 : -1]):
            _, _, there = await self._ask(client_order_id)
            if there is not None:
                return there
        return None

    def _believed_alive(self) -> dict[str, str]:
        """Ids of orders that may still fill as far as we know, with their bracket's id."""
        believed = {}
        for bracket in self._brackets():
            for order in bracket.orders:
                if order.alive:
                    believed[order.client_order_id] = bracket.bracket_id
                    if order.pending is not None:
                        believed[order.pending.client_order_id] = bracket.bracket_id
        return believed

    async def _ask(self, client_order_id: str) -> tuple[str, int, OrderReport | None]:
        """Ask about one order; a question without an answer is put again: one of many must not spoil them all."""
        for left in reversed(range(TRIES)):
            try:
                async with self._in_flight, asyncio.timeout(self._timeout_s):
                    asked_ns = self._clock.now_ns()
                    return client_order_id, asked_ns, await self._broker.order(client_order_id)
            except (NotSent, OutcomeUnknown, TimeoutError):
                if not left:
                    raise
        raise AssertionError("the last try answers or raises")

    async def _positions(self) -> list[PositionReported]:
        """Positions of symbols with an open bracket; the account's, not all of them ours.

        Where a fill we booked is missing from the venue's list it may have been undone: a position says nothing then.
        """
        doubtful = {
            bracket.symbol
            for bracket in self._brackets()
            for order in bracket.orders
            if order.client_order_id in self._missing
        }
        open_symbols = dict.fromkeys(bracket.symbol for bracket in self._brackets() if bracket.phase not in ENDED)
        symbols = [symbol for symbol in open_symbols if symbol not in doubtful]
        found = []
        for symbol in symbols:
            async with asyncio.timeout(self._timeout_s):
                asked_ns = self._clock.now_ns()
                quantity = await self._broker.position(symbol)
            found.append(PositionReported(symbol, quantity, asked_ns, self._clock.now_ns()))
        return found

    def _known(self) -> dict[str, Decimal]:
        """Booked executions, and working orders with the quantity we know: nothing about these is news."""
        known = {}
        for bracket in self._brackets():
            for order in bracket.orders:
                for execution in order.executions:
                    known[execution.exec_id] = execution.qty
                if order.state is OrderState.WORKING:
                    known[order.client_order_id] = order.cum_qty
        return known

    def _hand_in(
        self,
        found: Findings,
        open_orders: list[OrderReport],
        fills: list[Fill],
        believed: dict[str, str],
        answers: list[tuple[str, int, OrderReport | None]],
        positions: list[PositionReported],
        busts: list[ExecutionReport],
    ) -> None:
        now_ns = self._clock.now_ns()
        filled: dict[str, list[Fill]] = {}
        known = self._known()
        for fill in fills:
            if fill.exec_id in known:
                continue
            filled.setdefault(fill.client_order_id, []).append(fill)
        living = {bracket.bracket_id for bracket in self._brackets() if bracket.phase not in ENDED}
        facts: list[Event] = [report for own in filled.values() for report in executions_of(own, now_ns)]
        facts.extend(replace(bust, ts_event_ns=now_ns, ts_received_ns=now_ns) for bust in busts)
        for report in open_orders:
            named = parse_client_order_id(report.client_order_id)
            if known.get(report.client_order_id) == report.cum_qty:
                continue
            if report.client_order_id in believed or (named is not None and named[0] in living):
                facts.append(replace(report, ts_received_ns=now_ns))
            elif named is not None:
                found.orphans.append(report)
                facts.append(replace(report, ts_received_ns=now_ns))
        for client_order_id, asked_ns, answer in answers:
            if answer is not None:
                facts.append(replace(answer, ts_received_ns=now_ns))
            elif client_order_id not in filled:
                facts.append(OrderNotFound(client_order_id, asked_ns, now_ns, now_ns))
        facts.extend(replace(position, ts_received_ns=now_ns) for position in positions)
        for fact in facts:
            found.facts += 1
            found.corrections += self._deliver(fact)


def _unlisted(order: LegOrder, there: dict[str, Decimal]) -> Unlisted:
    """What an order has booked beyond the venue's list of its fills: (execution id, quantity, price)."""
    busted = {bust.ref_id for bust in order.busts}
    found: Unlisted = []
    excess = order.cum_qty - sum(there.values(), Decimal(0))
    for execution in order.executions:
        exec_id = execution.exec_id
        if exec_id.endswith(GIVEN):
            return []
        if exec_id not in there and exec_id not in busted:
            found.append((exec_id, execution.qty, execution.px))
            excess -= execution.qty
    if excess > 0:
        # A cumulative figure told us of more than any execution we know: it was taken back before we heard of it.
        found.append((f"{order.client_order_id}:{order.cum_qty}", excess, None))
    return found
