"""The runner: a turn around a broker. Facts come in from callers, the broker's stream and the timer; each is
journalled and decided in one synchronous step, and its commands leave when the journal has made them durable.

One event loop, no threads, the injected clock. Callers reach it as `ports.Core` and `ports.Views`.

Life: `start` folds in what the engine lives under, holds everything back, compares itself with the venue, and only
then lets commands go (L5). While it runs it compares itself again, every so often and whenever the link comes back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, OrderState
from grodtd.domain.errors import GrodtdError, Refused
from grodtd.domain.events import BracketRequested, Event, LinkStatus, RequestUnknown, TimerFired
from grodtd.domain.market import Quote
from grodtd.domain.notes import Note
from grodtd.domain.orders import FINAL_STATUSES, ExecutionReport, OrderReport
from grodtd.domain.outcome import NOTHING_HAPPENED, Outcome
from grodtd.execution import snapshot
from grodtd.ports import Broker, Clock, Journal
from grodtd.runtime.clocks import VenueClock
from grodtd.runtime.dispatcher import Dispatcher
from grodtd.runtime.governor import GovernedReads, Governor
from grodtd.runtime.reconciler import Findings, Reconciler
from grodtd.runtime.recovery import SNAPSHOT_EVERY, SnapshotKeeper
from grodtd.runtime.turn import Turn

NS = 1_000_000_000


def _untold(event: Event, error: Exception) -> None:
    """Nobody listens."""


class Runner:
    """Runs one engine against one broker account."""

    def __init__(
        self,
        turn: Turn,
        broker: Broker,
        journal: Journal,
        clock: Clock,
        *,
        governor: Governor | None = None,
        request_timeout_s: float = 2.0,
        reconcile_every_s: float = 5.0,
        commit_retry_s: float = 1.0,
        snapshots: SnapshotKeeper | None = None,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        """`turn` must write to `journal`. Nothing runs before `start`.

        `snapshots` keeps the engine's state every `snapshot_every` records; None: a restart folds the whole journal.
        """
        self.turn, self.broker, self.journal, self.clock = turn, broker, journal, clock
        governor = governor or Governor()
        self.dispatcher = Dispatcher(
            broker, clock, self._deliver, self._orders_of, governor=governor, timeout_s=request_timeout_s
        )
        self.reconciler = Reconciler(GovernedReads(broker, governor), clock, self.brackets, self._corrects)
        self.link_up = True
        self._downs = 0
        self.journal_error: str = ""
        """Why nothing can be made durable at present; empty when it can."""
        self.fenced: str = ""
        """Why this instance may not act any more (its lease was taken over); empty while it may."""
        self.ready = asyncio.Event()
        """Set once the first reconciliation succeeded."""
        self.last_quote_ns = 0
        self.bad_quotes = 0
        """Quotes that were no numbers: nobody was told of them."""
        self.last_report_ns = 0
        self.link_ns = 0
        """When the connection last came up."""
        self.untold_ns = 0
        """When a comparison found an order filled or ended that the stream, silent since, has not told; 0: all told."""
        self.compared_ns = 0
        """When the last comparison was answered in full."""
        self._caught_up = False
        """Whether a comparison was answered since the start or the last broken link: nothing found by it is silence."""
        self.last_findings: Findings | None = None
        self.mishaps: list[Exception] = []
        """Errors of ours while a fact was taken in: each one is a defect, told through `on_mishap`."""
        self._on_mishap: Callable[[Event, Exception], None] = _untold
        self.observers: list[Callable[[Event, Outcome, int], None]] = []
        """Told of every fact taken, what it led to, and the journal's last sequence: bars, watching, logs."""
        self._reconcile_every_s, self._commit_retry_s = reconcile_every_s, commit_retry_s
        self._followers: list[asyncio.Queue[Note | None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._committed = turn.sequence
        self._commit: asyncio.Task[None] | None = None
        self._compare = asyncio.Event()
        self._dead = False
        self.snapshot_error: str = ""
        """Why the last snapshot could not be kept; empty when it was. A restart then folds more, and loses nothing."""
        self.snapshot_failed_ns = 0
        """When that was."""
        self._snapshots, self._snapshot_every = snapshots, snapshot_every
        self._snapshot: asyncio.Task[None] | None = None

    async def start(self, *facts: Event) -> None:
        """Fold in what the engine lives under, then listen, compare and act. Returns when the first facts are durable.

        Orders that were on their way when the last process ended are of unknown fate: the engine is told so.
        """
        for fact in facts:
            self._take(fact)
        self.dispatcher.hold()
        for bracket in self.brackets():
            for order in bracket.orders:
                if order.state is OrderState.SENT:
                    now_ns = self.clock.now_ns()
                    why = "sent by a process that ended before the answer"
                    self._take(RequestUnknown(order.client_order_id, "submit", why, "", now_ns, now_ns))
        await self._durable()
        loop = asyncio.get_running_loop()
        self._compare.set()
        self._tasks = [
            loop.create_task(self._listen(), name="broker events"),
            loop.create_task(self._keep_comparing(), name="reconciler"),
        ]

    async def stop(self) -> None:
        """Stop listening, comparing and sending. What rests at the venue stays there."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.dispatcher.stop()
        if self._snapshot is not None:
            await self._snapshot
        for queue in self._followers:
            queue.put_nowait(None)

    @property
    def clock_off(self) -> str:
        """Why the computer's clock forbids new risk, in words; empty when it does not."""
        return self.clock.off if isinstance(self.clock, VenueClock) else ""

    @property
    def clock_off_s(self) -> float | None:
        """The venue's clock less the computer's, seconds, when last measured; None: it tells none, or not yet."""
        if not isinstance(self.clock, VenueClock) or self.clock.skew_s is None:
            return None
        return -self.clock.skew_s

    @property
    def tasks(self) -> tuple["asyncio.Task[None]", ...]:
        """What runs between `start` and `stop`; one that ends by itself is a failure of the whole."""
        return tuple(self._tasks)

    def on_mishap(self, tell: Callable[[Event, Exception], None]) -> None:
        """Have errors of ours told: which fact, which error."""
        self._on_mishap = tell

    def abort(self) -> None:
        """Die where we stand, as a killed process does: nothing more is taken, sent or committed."""
        if self._timer is not None:
            self._timer.cancel()
        self._dead = True
        for task in (*self._tasks, *self.dispatcher.tasks()):
            task.cancel()
        for under_way in (self._commit, self._snapshot):
            if under_way is not None:
                under_way.cancel()

    # -- ports.Core -----------------------------------------------------------------------------------------

    async def handle(self, event: Event) -> Outcome:
        """Take one fact; return when it is durable, its commands on their way. Raises what the engine refuses.

        While nothing can be made durable, or the computer's clock is far off, new risk is refused: a request to look
        after an entry that has not filled.
        """
        if isinstance(event, BracketRequested) and not event.filled_qty:
            if self.journal_error:
                raise Refused(
                    f"the journal cannot be written ({self.journal_error}): no new entries", code="no_journal"
                )
            if self.clock_off:
                raise Refused(f"{self.clock_off}; no new entries until then", code="clock")
        try:
            outcome = self._take(event)
        except Refused:
            # "It exists already" must not be said of what a crash could still undo.
            await self._durable()
            raise
        if outcome.journal:
            await self._durable()
        return outcome

    def tell(self, fact: Event) -> None:
        """Hand in a fact nobody waits for, made in this house: its commands leave once it is durable."""
        self._deliver(fact)

    async def reconcile(self) -> Findings:
        """Compare with the venue now, and say what was found. First of all its clock, where ours follows it."""
        downs = self._downs
        unknown_time = await self.clock.keep(self.broker) if isinstance(self.clock, VenueClock) else ""
        if unknown_time:
            found = Findings(why=unknown_time)
        else:
            self._arm_timer()
            found = await self.reconciler.run_pass()
        self.last_findings = found
        if found.complete and not self.fenced and downs == self._downs:  # what was read before a break says nothing
            self.dispatcher.release()
            self.ready.set()
        if found.complete and downs == self._downs:
            self.compared_ns, self._caught_up = self.clock.now_ns(), True
        return found

    def compare_soon(self) -> None:
        """Compare with the venue as soon as nothing else is compared."""
        self._compare.set()

    async def keep_snapshot(self) -> None:
        """Keep the engine's state as it is now, so that a restart need not fold what led to it.

        Its values are frozen: they are put into bytes and written beside the loop while facts go on arriving.
        """
        state, turn = snapshot.snapshot(self.turn.engine), self.turn
        if self._snapshots is None or not turn.sequence:
            return
        turn.snapshot_seq = turn.sequence
        try:
            await self._snapshots.save_snapshot(
                lambda: snapshot.encode(state), seq=turn.sequence, ts_ns=turn.ts_ns, layout=snapshot.layout()
            )
            self.snapshot_error = ""
        except (OSError, GrodtdError) as error:  # whoever commits meets it too, and knows what follows from it
            self.snapshot_error, self.snapshot_failed_ns = str(error), self.clock.now_ns()
        finally:
            self._snapshot = None

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
        if self._dead:
            return NOTHING_HAPPENED
        outcome = self.turn.take(event)
        for command in outcome.commands:
            self.dispatcher.send(command, self._durable_since(self.turn.sequence))
        if self._followers:
            for note in outcome.notes:
                for queue in self._followers:
                    queue.put_nowait(note)
        for observe in self.observers:
            observe(event, outcome, self.turn.sequence)
        self._arm_timer()
        due = self.turn.sequence - self.turn.snapshot_seq >= self._snapshot_every
        if due and self._snapshots is not None and self._snapshot is None:
            self._snapshot = asyncio.get_running_loop().create_task(self.keep_snapshot(), name="snapshot")
        return outcome

    def _deliver(self, event: Event) -> None:
        """Take a fact nobody waits for. An error of ours must not stop the stream, the timer or a lane."""
        try:
            self._take(event)
        except Exception as error:  # noqa: BLE001 - the last resort: told, counted, and life goes on with stops in place
            self.mishaps.append(error)
            self._on_mishap(event, error)
            self._arm_timer(at_least_s=1.0)

    def _corrects(self, event: Event) -> bool:
        """Hand a reconciler's fact in; say whether it led to anything."""
        outcome = self._take(event)
        news = bool(outcome.commands or outcome.notes)
        of_orders = isinstance(event, ExecutionReport) or (
            isinstance(event, OrderReport) and event.status in FINAL_STATUSES
        )
        if news and of_orders and self._caught_up and not self.untold_ns:
            self.untold_ns = self.clock.now_ns()
        return news

    def _durable_since(self, sequence: int) -> Callable[[], Awaitable[None]]:
        async def wait() -> None:
            while self._committed < sequence:
                await self._durable()

        return wait

    async def _durable(self) -> None:
        """Return when everything taken so far is durable; callers share commits. Waits while the journal cannot."""
        sequence = self.turn.sequence
        while self._committed < sequence:
            if self.fenced:
                raise Refused(f"this instance may not act any more: {self.fenced}", code="fenced")
            if self._commit is None:
                self._commit = asyncio.get_running_loop().create_task(self._commit_once())
            await asyncio.shield(self._commit)

    async def _commit_once(self) -> None:
        sequence = self.turn.sequence
        try:
            await self.journal.commit()
            self._committed = sequence
            self.journal_error = ""
        except OSError as error:
            # Nothing may leave that is not durable (S6): what rests at the venue stays, and we try again.
            self.journal_error = str(error)
            await asyncio.sleep(self._commit_retry_s)
        except GrodtdError as error:
            # Another instance holds the account now: nothing of ours may be written or sent any more.
            self.fenced = str(error)
            self.dispatcher.hold()
        finally:
            self._commit = None

    async def _listen(self) -> None:
        async for event in self.broker.events():
            now_ns = self.clock.now_ns()
            if isinstance(event, Quote):
                if not (event.bid.is_finite() and event.ask.is_finite()):
                    self.bad_quotes += 1
                    continue
                self.last_quote_ns = now_ns
            elif isinstance(event, ExecutionReport):
                self.last_report_ns, self.untold_ns = now_ns, 0
            elif isinstance(event, LinkStatus):
                if event.up and not self.link_up:
                    self._compare.set()
                if not event.up:
                    # Nothing is sent on what we last knew: a comparison lets it go again (L5).
                    self.dispatcher.hold()
                    self._downs += 1
                    self.untold_ns, self._caught_up = 0, False
                else:
                    self.link_ns = now_ns
                self.link_up = event.up
            self._deliver(replace(event, ts_received_ns=now_ns))

    async def _keep_comparing(self) -> None:
        """Compare at the start until it succeeds, then every so often and when the link comes back."""
        while True:
            found = await self.reconcile()
            wait_s = self._reconcile_every_s if found.complete else 1.0
            self._compare.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._compare.wait()
            except TimeoutError:
                pass

    def _orders_of(self, bracket_id: str) -> list[str]:
        bracket = self.turn.bracket(bracket_id)
        if bracket is None:
            return []
        return [order.client_order_id for order in bracket.orders]

    # -- time -----------------------------------------------------------------------------------------------

    def _arm_timer(self, at_least_s: float = 0.0) -> None:
        due_ns = self.turn.engine.next_deadline_ns
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_ns is not None:
            wait_s = max(at_least_s, (due_ns - self.clock.now_ns()) / NS)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now_ns = self.clock.now_ns()
        self._deliver(TimerFired(now_ns, now_ns))
