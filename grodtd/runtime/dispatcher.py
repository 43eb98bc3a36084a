"""Carries the engine's intentions to the broker and brings the answers back as facts.

Order is kept per bracket: its next command is sent when the one before it was answered (or timed out). Brackets do
not wait for each other, nor do a bracket's exits for its entry: a fill can be heard of before the entry's own answer,
and is protected then. Questions change nothing at the venue: they have a lane of their own, so that no stop waits for
an answer. Up to `max_in_flight` orders are under way at once, and as many questions: those that are not answered take
no order's place. A command is sent only when the journal has made it durable (S6), and only while it is fresh: an order
decided long ago (a slow lane, a journal that was full) is told to the engine as never sent, so that it decides again
from what is true now.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.commands import (
    CancelOrder,
    Command,
    QueryOrder,
    Reconcile,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import (
    BracketReconciled,
    Event,
    OrderNotFound,
    RequestNotSent,
    RequestRefused,
    RequestUnknown,
)
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.orders import ExecutionReport, Fill, Leg, OrderReport, OrderStatus
from grodtd.execution.new_orders import VALID_FOR_NS
from grodtd.ports import Broker, Clock
from grodtd.runtime.governor import GovernedReads, Governor

Deliver = Callable[[Event], None]
Durable = Callable[[], Awaitable[None]]
Observe = Callable[[str, float, str], None]


def _unobserved(verb: str, seconds: float, outcome: str) -> None:
    """Nobody listens."""


class Dispatcher:
    """One lane a bracket, one for its questions, one for an entry of ours; a bounded number of requests in flight."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        deliver: Deliver,
        orders_of: Callable[[str], list[str]],
        *,
        governor: Governor | None = None,
        timeout_s: float = 5.0,
        max_in_flight: int = 16,
    ) -> None:
        """`deliver` hands a fact to the runner; `orders_of` names a bracket's orders for a reconciliation."""
        self._governor = governor or Governor()
        self._reads = GovernedReads(broker, self._governor)
        self._open = asyncio.Event()
        self._open.set()
        self._observe: Observe = _unobserved
        self._broker, self._clock, self._deliver, self._orders_of = broker, clock, deliver, orders_of
        self._timeout_s = timeout_s
        self._in_flight, self._asking = asyncio.Semaphore(max_in_flight), asyncio.Semaphore(max_in_flight)
        self._lanes: dict[str, deque[tuple[Command, Durable, int]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def send(self, command: Command, durable: Durable) -> None:
        """Queue a command in its lane; it leaves when `durable` has returned."""
        name = _lane_of(command)
        lane = self._lanes.setdefault(name, deque())
        if isinstance(command, QueryOrder) and self._waits(command):
            return  # it has not left yet: the venue cannot know of it
        once = isinstance(command, QueryOrder | Reconcile | CancelOrder)
        if once and any(waiting == command for waiting, _, _ in lane):
            return  # one answer serves both; a lane full of them would keep an order waiting until it is stale
        lane.append((command, durable, self._clock.now_ns()))
        if name not in self._tasks:
            self._tasks[name] = asyncio.get_running_loop().create_task(self._drain(name, lane), name=f"lane {name}")

    def _waits(self, query: QueryOrder) -> bool:
        """Whether the order asked about is still to be sent."""
        return any(
            query.client_order_id in _named(waiting)[0]
            for name in (query.bracket_id, f"{query.bracket_id} entry")
            for waiting, _, _ in self._lanes.get(name, ())
            if isinstance(waiting, SubmitOrder | SubmitOco)
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or under way."""
        return not self._tasks

    async def settle(self) -> None:
        """Return when every lane is empty."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values())

    def tasks(self) -> list[asyncio.Task[None]]:
        """What is under way."""
        return list(self._tasks.values())

    async def stop(self) -> None:
        """Drop what is queued and cancel what is under way; its outcome is unknown and found out at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def hold(self) -> None:
        """Send nothing until `release`: before a reconciliation nothing new is risked (L5)."""
        self._open.clear()

    def release(self) -> None:
        """Send again."""
        self._open.set()

    def observe(self, observe: "Observe") -> None:
        """Tell `observe(verb, seconds, outcome)` how long each request took."""
        self._observe = observe

    async def _drain(self, name: str, lane: deque[tuple[Command, Durable, int]]) -> None:
        try:
            while lane:
                command, durable, decided_ns = lane.popleft()
                await durable()
                await self._open.wait()
                asks = isinstance(command, QueryOrder | Reconcile)
                if not asks:  # each question is counted by itself
                    await self._governor.permit(command)
                async with self._asking if asks else self._in_flight:
                    stale = self._stale(command, decided_ns)
                    facts = stale or await self._carry_out(command)
                for fact in facts:
                    self._deliver(fact)
        except Refused:
            lane.clear()  # this instance was fenced off: what it had still to send is the other one's business
        finally:
            del self._tasks[name], self._lanes[name]

    def _stale(self, command: Command, decided_ns: int) -> list[Event]:
        """The facts of an order that waited too long to be sent; empty for one that may go."""
        if isinstance(command, CancelOrder | QueryOrder | Reconcile):
            return []
        now_ns = self._clock.now_ns()
        orders = (command.stop, command.target) if isinstance(command, SubmitOco) else (command.order,)
        late = now_ns - decided_ns > VALID_FOR_NS  # the wait for proof of death counts on it
        late = late or any(o.valid_until_ns is not None and now_ns > o.valid_until_ns for o in orders)
        if not late:
            return []
        ids, verb, replacement_id = _named(command)
        why = f"not sent: decided {(now_ns - decided_ns) / 1e9:.1f} s ago"
        return [RequestNotSent(cid, verb, why, replacement_id, now_ns, now_ns) for cid in ids]

    async def _carry_out(self, command: Command) -> list[Event]:
        if isinstance(command, QueryOrder):
            return await self._query(command.client_order_id) or []
        if isinstance(command, Reconcile):
            facts: list[Event] = []
            answers = [await self._query(client_order_id) for client_order_id in self._orders_of(command.bracket_id)]
            for answer in answers:
                facts.extend(answer or [])
            if None in answers:
                return facts  # not compared order by order: the bracket stays frozen, and the engine asks again
            now_ns = self._clock.now_ns()
            return [*facts, BracketReconciled(command.bracket_id, now_ns, now_ns)]
        ids, verb, replacement_id = _named(command)
        began_ns = self._clock.now_ns()

        def took(outcome: str) -> None:
            self._observe(verb, (self._clock.now_ns() - began_ns) / 1e9, outcome)

        try:
            async with asyncio.timeout(self._timeout_s):
                report = await self._request(command)
        except Refused as error:
            took("refused")
            now_ns = self._clock.now_ns()
            return [RequestRefused(cid, verb, error.code, str(error), replacement_id, now_ns, now_ns) for cid in ids]
        except NotSent as error:
            took("not_sent")
            now_ns = self._clock.now_ns()
            return [RequestNotSent(cid, verb, str(error), replacement_id, now_ns, now_ns) for cid in ids]
        except (OutcomeUnknown, TimeoutError) as error:
            took("unknown")
            now_ns = self._clock.now_ns()
            why = str(error) or f"no answer within {self._timeout_s} s"
            return [RequestUnknown(cid, verb, why, replacement_id, now_ns, now_ns) for cid in ids]
        took("done")
        if report is None:
            return []
        return [replace(report, ts_received_ns=self._clock.now_ns())]

    async def _request(self, command: SubmitOrder | SubmitOco | CancelOrder | ReplaceOrder) -> OrderReport | None:
        if isinstance(command, SubmitOrder):
            return await self._broker.submit(command.order)
        if isinstance(command, SubmitOco):
            await self._broker.submit_oco(command.stop, command.target)
            return None
        if isinstance(command, CancelOrder):
            return await self._broker.cancel(command.client_order_id)
        return await self._broker.replace(command.client_order_id, command.order)

    async def _query(self, client_order_id: str) -> list[Event] | None:
        """Look an order up by id and among the fills; None: no answer, so nothing is concluded."""
        asked_ns = self._clock.now_ns()
        try:
            async with asyncio.timeout(self._timeout_s):
                report = await self._reads.order(client_order_id)
                fills = [f for f in await self._reads.fills(0) if f.client_order_id == client_order_id]
        except (Refused, NotSent, OutcomeUnknown, TimeoutError):
            return None  # the engine's timer asks again
        now_ns = self._clock.now_ns()
        facts: list[Event] = list(executions_of(fills, now_ns))
        if report is not None:
            facts.append(replace(report, ts_received_ns=now_ns))
        elif not fills:
            facts.append(OrderNotFound(client_order_id, asked_ns, now_ns, now_ns))
        return facts


def executions_of(fills: list[Fill], now_ns: int) -> list[ExecutionReport]:
    """Turn an order's fills, oldest first, into the reports the stream would have brought."""
    reports = []
    cum_qty = Decimal(0)
    for fill in fills:
        # Not the cumulative figure of that moment: an execution it counted may have been taken back since.
        cum_qty += fill.quantity
        reports.append(
            ExecutionReport(
                client_order_id=fill.client_order_id,
                status=OrderStatus.WORKING,
                cum_qty=cum_qty,
                exec_id=fill.exec_id,
                last_qty=fill.quantity,
                last_px=fill.px,
                fee=fill.fee,
                fee_asset=fill.fee_asset,
                symbol=fill.symbol,
                side=fill.side,
                ts_event_ns=fill.ts_event_ns,
                ts_received_ns=now_ns,
            )
        )
    return reports


def _lane_of(command: Command) -> str:
    """Return the lane a command travels in: its bracket's, that of its questions, or of its entry."""
    if isinstance(command, QueryOrder | Reconcile):
        return f"{command.bracket_id} questions"
    if isinstance(command, SubmitOrder):
        client_order_id = command.order.client_order_id
    elif isinstance(command, CancelOrder):
        client_order_id = command.client_order_id
    else:
        return command.bracket_id
    named = parse_client_order_id(client_order_id)
    is_entry = named is not None and named[1] == Leg.ENTRY.value
    return f"{command.bracket_id} entry" if is_entry else command.bracket_id


def _named(command: SubmitOrder | SubmitOco | CancelOrder | ReplaceOrder) -> tuple[tuple[str, ...], str, str]:
    """Return the order ids a request is about, its verb, and the id of the replacement if it is one."""
    if isinstance(command, SubmitOrder):
        return (command.order.client_order_id,), "submit", ""
    if isinstance(command, SubmitOco):
        return (command.stop.client_order_id, command.target.client_order_id), "submit", ""
    if isinstance(command, CancelOrder):
        return (command.client_order_id,), "cancel", ""
    return (command.client_order_id,), "replace", command.order.client_order_id
