"""The runner: a turn around a broker. Facts come in from callers, the broker's stream and the timer; each is
journalled and decided in one synchronous step, and its commands leave when the journal has made them durable.

One event loop, no threads, the injected clock. Callers reach it as `ports.Core` and `ports.Views`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket
from grodtd.domain.events import Event, LinkStatus, TimerFired
from grodtd.domain.market import Quote
from grodtd.domain.notes import Note
from grodtd.domain.orders import ExecutionReport
from grodtd.domain.outcome import Outcome
from grodtd.ports import Broker, Clock, Journal
from grodtd.runtime.dispatcher import Dispatcher
from grodtd.runtime.turn import Turn

NS = 1_000_000_000


class Runner:
    """Runs one engine against one broker account."""

    def __init__(self, turn: Turn, broker: Broker, journal: Journal, clock: Clock) -> None:
        """`turn` must write to `journal`. Nothing runs before `start`."""
        self.turn, self.broker, self.journal, self.clock = turn, broker, journal, clock
        self.dispatcher = Dispatcher(broker, clock, self._deliver, self._orders_of)
        self._followers: list[asyncio.Queue[Note | None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._listener: asyncio.Task[None] | None = None
        self._committed = 0
        self._commit: asyncio.Task[None] | None = None

    async def start(self, *facts: Event) -> None:
        """Fold in what the engine lives under (policies, instruments, abilities), then listen to the broker."""
        for fact in facts:
            self._take(fact)
        await self._durable()
        self._listener = asyncio.get_running_loop().create_task(self._listen(), name="broker events")

    async def stop(self) -> None:
        """Stop listening and sending. What rests at the venue stays there."""
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        await self.dispatcher.stop()
        for queue in self._followers:
            queue.put_nowait(None)

    # -- ports.Core -----------------------------------------------------------------------------------------

    async def handle(self, event: Event) -> Outcome:
        """Take one fact; return when it is durable, its commands on their way. Raises what the engine refuses."""
        outcome = self._take(event)
        if outcome.journal:
            await self._durable()
        return outcome

    # -- ports.Views ----------------------------------------------------------------------------------------

    def brackets(self) -> Sequence[Bracket]:
        """Every bracket still known, in the order they began."""
        return tuple(self.turn.engine.brackets())

    async def follow(self, bracket_id: str | None = None) -> AsyncIterator[Note]:
        """Decisions as they are made, until the runner stops."""
        queue: asyncio.Queue[Note | None] = asyncio.Queue()
        self._followers.append(queue)
        try:
            while (note := await queue.get()) is not None:
                if bracket_id is None or note.bracket_id == bracket_id:
                    yield note
        finally:
            self._followers.remove(queue)

    # -- the step -------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> Outcome:
        outcome = self.turn.take(event)
        for command in outcome.commands:
            self.dispatcher.send(command, self._durable_since(self.turn.sequence))
        if self._followers:
            for note in outcome.notes:
                for queue in self._followers:
                    queue.put_nowait(note)
        self._arm_timer()
        return outcome

    def _deliver(self, event: Event) -> None:
        self._take(event)

    def _durable_since(self, sequence: int) -> Callable[[], Awaitable[None]]:
        async def wait() -> None:
            if self._committed < sequence:
                await self._durable()

        return wait

    async def _durable(self) -> None:
        """Return when everything taken so far is durable. Callers share commits that are under way."""
        sequence = self.turn.sequence
        while self._committed < sequence:
            if self._commit is None:
                self._commit = asyncio.get_running_loop().create_task(self._commit_once())
            await asyncio.shield(self._commit)

    async def _commit_once(self) -> None:
        sequence = self.turn.sequence
        try:
            await self.journal.commit()
            self._committed = sequence
        finally:
            self._commit = None

    async def _listen(self) -> None:
        async for event in self.broker.events():
            now_ns = self.clock.now_ns()
            if isinstance(event, ExecutionReport | Quote | LinkStatus):
                self._take(replace(event, ts_received_ns=now_ns))

    def _orders_of(self, bracket_id: str) -> list[str]:
        bracket = self.turn.bracket(bracket_id)
        if bracket is None:
            return []
        return [order.client_order_id for order in bracket.orders]

    # -- time -----------------------------------------------------------------------------------------------

    def _arm_timer(self) -> None:
        due_ns = self.turn.engine.next_deadline_ns
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_ns is not None:
            wait_s = max(0.0, (due_ns - self.clock.now_ns()) / NS)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now_ns = self.clock.now_ns()
        self._take(TimerFired(now_ns, now_ns))
