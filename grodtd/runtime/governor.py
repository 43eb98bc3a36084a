"""The request governor: never more than so many requests in a window, with a part kept back for protection.

A venue that answers "too many requests" answers that to the stop, too. So ordinary requests stop short of the limit;
what protects (stops, exits, cancels that make room for them) may use all of it. Waiting follows the loop's time.
"""

import asyncio
from collections import deque
from decimal import Decimal
from typing import Protocol

from grodtd.domain.commands import CancelOrder, Command, QueryOrder, Reconcile, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.orders import Fill, OrderReport


class Governor:
    """Counts requests over a sliding window, in all and by bracket."""

    def __init__(
        self, *, limit: int = 100, per_bracket: int = 20, reserve: float = 0.3, window_s: float = 10.0
    ) -> None:
        """Allow `limit` requests a window, `per_bracket` of one bracket's; keep `reserve` of them for protection."""
        self._limit, self._per_bracket, self._window_s = limit, per_bracket, window_s
        self._ordinary = max(1, int(limit * (1 - reserve)))
        self._sent: deque[float] = deque()
        self._sent_by: dict[str, deque[float]] = {}
        self.waited = 0
        """Requests that had to wait."""

    async def permit(self, command: Command) -> None:
        """Return when the request may leave, and count it."""
        loop = asyncio.get_running_loop()
        limit = self._limit if is_protective(command) else self._ordinary
        while (wait_s := self._wait_s(command.bracket_id, limit, loop.time())) > 0:
            self.waited += 1
            await asyncio.sleep(wait_s)
        now = loop.time()
        self._sent.append(now)
        self._sent_by.setdefault(command.bracket_id, deque()).append(now)

    async def permit_read(self) -> None:
        """As `permit`, for a question that is about no bracket: it counts, and leaves the reserve alone."""
        loop = asyncio.get_running_loop()
        while (wait_s := self._wait_s("", self._ordinary, loop.time())) > 0:
            self.waited += 1
            await asyncio.sleep(wait_s)
        self._sent.append(loop.time())

    def _wait_s(self, bracket_id: str, limit: int, now: float) -> float:
        since = now - self._window_s
        while self._sent and self._sent[0] <= since:
            self._sent.popleft()
        own = self._sent_by.get(bracket_id)
        while own and own[0] <= since:
            own.popleft()
        if own is not None and not own:
            del self._sent_by[bracket_id]
        waits = [0.0]
        if len(self._sent) >= limit:
            waits.append(self._sent[len(self._sent) - limit] + self._window_s - now)
        if own and len(own) >= self._per_bracket:
            waits.append(own[len(own) - self._per_bracket] + self._window_s - now)
        return max(waits)


class Reads(Protocol):
    """What may be asked of a venue; `ports.Broker` is one."""

    async def order(self, client_order_id: str) -> OrderReport | None:
        """Look an order up."""
        ...

    async def open_orders(self) -> list[OrderReport]:
        """Every order of the account that may still fill."""
        ...

    async def fills(self, since_ns: int) -> list[Fill]:
        """The account's executions since then."""
        ...

    async def position(self, symbol: str) -> Decimal:
        """The account's signed position."""
        ...


class GovernedReads:
    """The same questions, each counted before it is put: a venue counts them too."""

    def __init__(self, reads: Reads, governor: Governor) -> None:
        """Put them to `reads`."""
        self._reads, self._governor = reads, governor

    async def order(self, client_order_id: str) -> OrderReport | None:
        """Look an order up."""
        await self._governor.permit_read()
        return await self._reads.order(client_order_id)

    async def open_orders(self) -> list[OrderReport]:
        """Every order of the account that may still fill."""
        await self._governor.permit_read()
        return await self._reads.open_orders()

    async def fills(self, since_ns: int) -> list[Fill]:
        """The account's executions since then."""
        await self._governor.permit_read()
        return await self._reads.fills(since_ns)

    async def position(self, symbol: str) -> Decimal:
        """The account's signed position."""
        await self._governor.permit_read()
        return await self._reads.position(symbol)


def is_protective(command: Command) -> bool:
    """Whether a request puts protection in place, takes us out, or makes room for that."""
    if isinstance(command, SubmitOco | ReplaceOrder | CancelOrder):
        return True
    if isinstance(command, SubmitOrder):
        named = parse_client_order_id(command.order.client_order_id)
        return named is not None and named[1] in ("stop", "exit", "remedy")
    assert isinstance(command, QueryOrder | Reconcile)
    return False
