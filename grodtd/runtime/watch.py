"""Protects what fills in the account by other hands: a person, another program.

A rule names a symbol or the beginning of a client order id, and the strategy to protect with. A fill under a prefix is
an entry. A fill in a symbol is one only as far as the account then holds more, in the fill's direction, than brackets
look after: selling by hand what a bracket holds is no new short. The bracket is attached to the foreign order, so its
further fills are protected as they come; the order itself is left alone.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Protocol

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import Event
from grodtd.domain.ids import bracket_id_of_entry, parse_client_order_id
from grodtd.domain.money import ZERO
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import ExecutionReport, Fill, Leg, OrderStatus, Side
from grodtd.domain.outcome import Outcome
from grodtd.execution.coverage import signed_fill
from grodtd.ports import Broker, Core

ASK_AGAIN_S = 0.5
ASKED_TIMES = 8
TRY_AGAIN_S = 5.0
"""A venue's position may be older than its fill: it is asked for again before a fill counts as a reduction."""


class Protect(Protocol):
    """Opens a bracket: as the door's `protect_entry` and `protect_fill` do, with the position known to the account."""

    async def entry(
        self, client_order_id: str, symbol: str, side: Side, quantity: Decimal, bracket_id: str, strategy: str
    ) -> None:
        """Attach a bracket to an entry order, none of whose fills is booked yet. Raises: Refused."""
        ...

    async def fill(
        self, symbol: str, side: Side, quantity: Decimal, px: Decimal, bracket_id: str, strategy: str
    ) -> None:
        """Protect units that are held. Raises: Refused - an id that is taken, an unknown symbol."""
        ...


class Tell(Protocol):
    """Where the watcher says what it does: a logger's methods."""

    def info(self, event: str, **context: object) -> object:
        """Say what was done."""
        ...

    def error(self, event: str, **context: object) -> object:
        """Say what failed, while doing what."""
        ...


class Watcher:
    """Hand `observe` every fact the runner took; `run` protects what it finds, fill after fill in each symbol."""

    def __init__(
        self,
        core: Core,
        broker: Broker,
        brackets: Callable[[], Iterable[Bracket]],
        protect: Protect,
        tell: Tell,
        *,
        symbols: Mapping[str, str],
        prefixes: Mapping[str, str],
        since_ns: int = 0,
        begun_ns: int = 0,
        try_again_s: float = TRY_AGAIN_S,
        forgotten: Callable[[str], bool] = lambda bracket_id: False,  # noqa: ARG005 - nobody is
    ) -> None:
        """`symbols` and `prefixes` map to the strategy; fills before `since_ns`, by the venue's clock, are history.

        Of fills before `begun_ns`, when this process began, the one before may have protected some: the account says.
        `forgotten` tells the names of brackets that are over and no longer in memory: fills of theirs are nobody's.
        """
        self._core, self._broker, self._brackets, self._protect, self._tell = core, broker, brackets, protect, tell
        self._symbols, self._prefixes = dict(symbols), dict(prefixes)
        self._forgotten = forgotten
        self._found: asyncio.Queue[ExecutionReport] = asyncio.Queue()
        self._done: set[str] = set()
        self._since_ns, self._begun_ns, self._try_again_s = since_ns, begun_ns, try_again_s
        self._in_hand: dict[str, asyncio.Lock] = {}
        self._busy = 0
        self.failures: dict[str, str] = {}
        """Fills that could not be protected so far, by execution id, in words. They are tried again."""

    @property
    def watching(self) -> bool:
        """Whether there is any rule."""
        return bool(self._symbols or self._prefixes)

    @property
    def idle(self) -> bool:
        """Whether no fill waits, or is being looked after."""
        return self._found.empty() and not self._busy

    def observe(self, event: Event, outcome: Outcome, sequence: int) -> None:
        """Notice a fill that is nobody's yet."""
        if not isinstance(event, ExecutionReport) or not event.exec_id or event.last_qty <= 0:
            return
        if not outcome.journal or any(note.kind is NoteKind.UNEXPLAINED_FILL for note in outcome.notes):
            self.notice(event)

    def notice(self, report: ExecutionReport) -> None:
        """Queue a foreign fill if a rule is about it."""
        if report.exec_ref_id or report.last_px is None or report.side is None or report.exec_id in self._done:
            return
        if report.ts_event_ns < self._since_ns:
            return
        ours = parse_client_order_id(report.client_order_id)
        if self._rule(report) is not None and (ours is None or self._forgotten(ours[0])):
            self._done.add(report.exec_id)
            self._found.put_nowait(report)

    async def catch_up(self) -> None:
        """Notice fills that happened while nobody watched. Raises what the broker raises."""
        for fill in await self._broker.fills(self._since_ns):
            if self._bracket_of(fill.client_order_id) is None:
                self.notice(_report_of(fill))

    async def run(self) -> None:
        """Protect what happened before and what is noticed, for ever; what fails is told, and tried again later.

        Symbols do not wait for each other.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._catch_up())
            while True:
                report = await self._found.get()
                self._busy += 1
                tasks.create_task(self._take(report))

    async def _catch_up(self) -> None:
        while True:
            try:
                return await self.catch_up()
            except Exception as error:  # noqa: BLE001 - one unanswered question must not end the watch
                self._tell.error("watch_not_caught_up", error=str(error), note="asked again")
            await asyncio.sleep(self._try_again_s)

    async def _take(self, report: ExecutionReport) -> None:
        try:
            async with self._in_hand.setdefault(report.symbol, asyncio.Lock()):
                await self._look_after(report)
        except Exception as error:  # noqa: BLE001 - an error of ours, too, must not end the watch
            what = f"{report.client_order_id}: {report.last_qty} {report.symbol}"
            self.failures[report.exec_id] = f"{what} ({error})"
            self._tell.error("watched_fill_not_protected", order=report.client_order_id, what=what, error=str(error))
            asyncio.get_running_loop().call_later(self._try_again_s, self._found.put_nowait, report)
        else:
            self.failures.pop(report.exec_id, None)
        finally:
            self._busy -= 1

    async def _look_after(self, report: ExecutionReport) -> None:
        if self._bracket_of(report.client_order_id) is not None:
            await self._core.handle(report)  # its bracket came into being meanwhile, and books each fill once
            return
        rule = self._rule(report)
        assert rule is not None
        assert report.side is not None
        assert report.last_px is not None
        strategy, by_prefix = rule
        # Tried before, or heard of before this process began, and perhaps protected meanwhile: then the account knows
        # better than the order's name.
        named = by_prefix and report.exec_id not in self.failures and report.ts_event_ns >= self._begun_ns
        opened = report.last_qty if named else await self._opened(report, report.side, report.last_qty)
        if opened <= 0:
            self._tell.info(
                "watched_fill_reduces",
                order=report.client_order_id,
                symbol=report.symbol,
                quantity=str(report.last_qty),
            )
            return
        name = self._free_name(report.client_order_id)
        whole = opened == report.last_qty and await self._is_news(report, report.side)
        if not (whole and await self._attach(report, report.side, name, strategy)):
            await self._protect.fill(report.symbol, report.side, opened, report.last_px, name, strategy)
        self._tell.info(
            "watched_fill_protected",
            bracket=name,
            order=report.client_order_id,
            symbol=report.symbol,
            quantity=str(opened),
        )

    async def _is_news(self, report: ExecutionReport, side: Side) -> bool:
        """Whether all that an order filled is held and nobody's: a bracket attached to it books all its fills.

        Of an order of ours, or of one whose bracket is long over, only the late fill is. And what filled before we
        watched may have been sold since.
        """
        client_order_id = report.client_order_id
        if parse_client_order_id(client_order_id) or self._forgotten(bracket_id_of_entry(client_order_id)):
            return False
        if report.cum_qty <= report.last_qty:
            return True
        return await self._opened(report, side, report.cum_qty) == report.cum_qty

    async def _attach(self, report: ExecutionReport, side: Side, name: str, strategy: str) -> bool:
        """Attach a bracket to the order, and book the fill in it; False where only what is held is protected."""
        filled = max(report.cum_qty, report.last_qty)
        try:
            await self._protect.entry(report.client_order_id, report.symbol, side, filled, name, strategy)
        except Refused:
            return False  # entries are paused, or there are too many: the fill exists, so it is protected all the same
        await self._core.handle(report)
        return True

    async def _opened(self, report: ExecutionReport, side: Side, quantity: Decimal) -> Decimal:
        """How much of what filled opened a position nobody looks after, as far as the account says."""
        for attempt in range(ASKED_TIMES):
            if attempt:
                await asyncio.sleep(ASK_AGAIN_S)
            try:
                held = await self._broker.position(report.symbol)
            except (NotSent, OutcomeUnknown):
                continue
            opened = opened_by(quantity, side, held, self._looked_after(report.symbol))
            if opened > 0:
                return opened
        return ZERO

    def _looked_after(self, symbol: str) -> Decimal:
        """Signed units of a symbol in brackets."""
        total = ZERO
        for bracket in self._brackets():
            if bracket.symbol == symbol and bracket.phase not in ENDED:
                total += sum((signed_fill(order) for order in bracket.orders), ZERO)
                total -= bracket.external_qty * bracket.side.sign
        return total

    def _rule(self, report: ExecutionReport) -> tuple[str, bool] | None:
        """The strategy a fill is to be protected with, and whether its id said so."""
        fitting = [prefix for prefix in self._prefixes if report.client_order_id.startswith(prefix)]
        if fitting:
            return self._prefixes[max(fitting, key=len)], True
        strategy = self._symbols.get(report.symbol)
        return None if strategy is None else (strategy, False)

    def _bracket_of(self, client_order_id: str) -> Bracket | None:
        for bracket in self._brackets():
            for order in bracket.orders:
                if order.leg is Leg.ENTRY and order.client_order_id == client_order_id:
                    return bracket
        return None

    def _free_name(self, client_order_id: str) -> str:
        """A bracket id out of the order's that no bracket bears yet."""
        taken = {bracket.bracket_id for bracket in self._brackets()}
        name = bracket_id_of_entry(client_order_id)
        number = 2
        while name in taken or self._forgotten(name):
            ending = f"-{number}"
            name = bracket_id_of_entry(client_order_id)[-(24 - len(ending)) :] + ending
            number += 1
        return name


def opened_by(quantity: Decimal, side: Side, held: Decimal, looked_after: Decimal) -> Decimal:
    """Return how much of a fill opened a position nobody looks after.

    `held` is the account's signed position after the fill, `looked_after` that of all brackets together. A fill first
    closes what was held the other way; and what brackets hold already is not held twice.

    >>> opened_by(Decimal(20), Side.BUY, Decimal(5), Decimal(-15))  # 15 short, bought 20: 5 are a new long
    Decimal('5')
    >>> opened_by(Decimal(100), Side.SELL, Decimal(0), Decimal(100))  # what a bracket held was sold by hand
    Decimal('0')
    """
    after = held * side.sign
    beyond_zero = min(quantity, after)
    free = (held - looked_after) * side.sign
    return max(ZERO, min(beyond_zero, free))


def _report_of(fill: Fill) -> ExecutionReport:
    return ExecutionReport(
        client_order_id=fill.client_order_id,
        status=OrderStatus.WORKING,
        cum_qty=fill.cum_qty or fill.quantity,
        exec_id=fill.exec_id,
        last_qty=fill.quantity,
        last_px=fill.px,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        symbol=fill.symbol,
        side=fill.side,
        ts_event_ns=fill.ts_event_ns,
        ts_received_ns=fill.ts_event_ns,
    )
