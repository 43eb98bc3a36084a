"""The account an entry is judged by: the runner's broker asked for its value, and the latest quotes that came by."""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import TypeVar

from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import BracketRequested, Event
from grodtd.domain.market import Quote
from grodtd.domain.outcome import Outcome
from grodtd.domain.risk import Accepted
from grodtd.runtime.runner import Runner

T = TypeVar("T")


class LiveAccount:
    """`ports.Account` over a runner. It observes the runner from the moment it is made."""

    def __init__(self, runner: Runner, *, within_s: float = 2.0) -> None:
        """An answer that takes longer than `within_s` is none."""
        self._runner, self._within_s = runner, within_s
        self._quotes: dict[str, Quote] = {}
        runner.observers.append(self._observe)

    def weigh(self, request: BracketRequested) -> tuple[Accepted, str]:
        """Ask the engine what an entry comes to. Raises: Refused - also while nothing could be sent."""
        if not self._runner.link_up:
            raise Refused("the connection to the venue is down: no entry could be sent", code="link_down")
        if not self._runner.ready.is_set():
            raise Refused("the account was not compared with the venue yet: no new entries", code="not_compared")
        return self._runner.turn.engine.weigh(request)

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest quote, good or not."""
        return self._quotes.get(symbol)

    async def equity(self) -> Decimal | None:
        """Ask for the account's value; None where it cannot be told."""
        return await self._asked(self._runner.broker.equity())

    async def position(self, symbol: str) -> Decimal | None:
        """Ask for the account's signed position; None where it cannot be told."""
        return await self._asked(self._runner.broker.position(symbol))

    def _observe(self, event: Event, outcome: Outcome, sequence: int) -> None:
        if isinstance(event, Quote):
            self._quotes[event.symbol] = event

    async def _asked(self, answer: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(self._within_s):
                return await answer
        except (Refused, NotSent, OutcomeUnknown, TimeoutError):
            return None
