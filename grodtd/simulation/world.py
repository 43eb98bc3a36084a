"""One seeded history: a market, a user, a venue, a link full of faults, and our real runtime in the middle of it.

Three acts. Chaos: prices move, entries come, everything goes wrong. Calm: faults stop; within a minute all must be as
it should. End: the price goes through every stop; everything must be closed. The checkers look at the venue alone.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Protocol

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, OrderState, Phase
from grodtd.domain.capabilities import Capabilities, ClientIdScope
from grodtd.domain.commands import SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.events import (
    BracketRequested,
    CapabilitiesLearned,
    InstrumentsLoaded,
    PoliciesLoaded,
    RunStarted,
)
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.money import floor_to
from grodtd.domain.orders import ExecutionReport, Leg, NewOrder, OrderStatus, OrderType, Side, TimeInForce
from grodtd.domain.policy import BracketOrdersPolicy, Policy, ProtectionPolicy
from grodtd.ports import Journal, Record
from grodtd.runtime.clocks import LoopClock
from grodtd.runtime.recovery import Remembered, SnapshotKeeper, recover
from grodtd.runtime.runner import Runner
from grodtd.simulation.checkers import Checker, Position
from grodtd.simulation.faults import Fault, Faults
from grodtd.simulation.link import Link
from grodtd.simulation.virtual_time import run_virtually
from grodtd.venue.profiles import PROFILES, usual_instrument
from grodtd.venue.venue import SimulatedVenue, VenueCommand

NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * NS
SYMBOL = "SIM"
STEP_S = 0.25
ENTRIES_UNTIL_S = 140.0


SNAPSHOT_EVERY = 25
"""Records from one snapshot to the next: so often that most deaths are recovered from with one."""


class CrashableJournal(Journal, Remembered, SnapshotKeeper, Protocol):
    """A journal one process holds."""

    def crash(self) -> object:
        """Lose what was not committed."""
        ...


class Disk(Protocol):
    """What survives the processes that write to it. `bootstrap` hands in the one of `storage.memory`."""

    @property
    def records(self) -> list[Record]:
        """Everything committed so far, by any process."""
        ...

    def open(self) -> CrashableJournal:
        """Open it for the next process."""
        ...


@dataclass
class History:
    """What one seed came to."""

    seed: int
    profile: str
    faults: Counter[Fault] = field(default_factory=Counter)
    violations: list[tuple[str, str]] = field(default_factory=list)
    kills: int = 0
    naked_s: list[float] = field(default_factory=list)
    brackets: int = 0
    records: int = 0
    log: list[str] = field(default_factory=list)


class _SlowJournal:
    """A journal whose commits take a moment, so that a process can die in between, and whose disk can be full."""

    def __init__(self, inner: CrashableJournal, world: "World") -> None:
        self._inner, self._world = inner, world

    def append(self, records: Sequence[Record]) -> None:
        """Take records."""
        self._world.boundary("write")
        self._inner.append(records)

    async def commit(self) -> None:
        """Make them durable after a moment; fails while the disk is full."""
        await asyncio.sleep(0.001)
        if self._world.disk_full_until > self._world.now_s:
            raise OSError(28, "No space left on device")
        self._world.boundary("commit")
        await self._inner.commit()
        self._world.boundary("committed")

    async def save_snapshot(self, payload: Callable[[], bytes], *, seq: int, ts_ns: int, layout: int) -> None:
        """Keep the state after a record; fails while the disk is full."""
        await self.commit()
        self._world.boundary("snapshot")
        await self._inner.save_snapshot(payload, seq=seq, ts_ns=ts_ns, layout=layout)
        self._world.boundary("snapshot kept")

    def crash(self) -> object:
        """Lose what was not committed."""
        return self._inner.crash()


class World:
    """One history in the making."""

    chaos_s, calm_s, end_s = 180.0, 60.0, 60.0
    """Lengths of the three acts."""

    def __init__(self, seed: int, profile: str, disk: Disk, *, mutant: Callable[[Runner], None] | None = None) -> None:
        """Everything is drawn from `seed`. `mutant` spoils a fresh runner on purpose."""
        self.rng = Random(f"{seed}/{profile}")
        self.capabilities: Capabilities = PROFILES[profile]
        self.history = History(seed, profile)
        self.faults = Faults(self.rng)
        self.instrument = usual_instrument(self.capabilities, SYMBOL, min_notional=Decimal(5))
        self.disk, self._mutant = disk, mutant
        self.disk_full_until = 0.0
        self.venue = SimulatedVenue(self.capabilities, [self.instrument], cash=Decimal(10**7))
        self.checker = Checker(self.venue, self.instrument)
        self.mid = Decimal(100)
        self.runner: Runner | None = None
        self._journal: _SlowJournal | None = None
        self._wanted: list[BracketRequested] = []
        self._link_until = self._dead_until = 0.0
        protection = ProtectionPolicy(allow_synthetic=True)
        self.policy = Policy(
            bracket_orders=BracketOrdersPolicy(timeout_s=Decimal(60)),
            protection=protection,
        )

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return asyncio.get_running_loop().time()

    @property
    def now_ns(self) -> int:
        """The venue's clock."""
        return BEGIN_NS + int(self.now_s * NS)

    def log(self, what: str) -> None:
        """Remember a line for `--trace`."""
        self.history.log.append(f"{self.now_s:9.3f}  {what}")

    async def live(self) -> History:
        """Play all three acts."""
        self.clock = LoopClock(asyncio.get_running_loop(), BEGIN_NS)
        self.link = Link(
            self.venue,
            self.faults,
            self.rng,
            lambda: self.now_ns,
            self._venue_reported,
            self._arrived,
            self._lost,
            lambda: self.boundary("send"),
        )
        self.side = Side.BUY if self.capabilities.locks_inventory or self.rng.random() < 0.5 else Side.SELL
        self._quote()
        await self._boot()
        users = self._plan_entries()
        while self.now_s < self.chaos_s:
            await self._tick(users)
        self.faults.calm = True
        self._mend()
        while self.now_s < self.chaos_s + self.calm_s:
            await self._tick(users)
        self._check_converged()
        while self.now_s < self.chaos_s + self.calm_s + self.end_s:
            self.mid -= self.mid * Decimal("0.004") * self.side.sign
            await self._tick(users)
        self.checker.ended(self._residues())
        await self._shut_down()
        history = self.history
        history.faults, history.violations = self.faults.seen, self.checker.violations
        history.brackets, history.records = len(self.checker.positions), len(self.disk.records)
        history.naked_s = [s for p in self.checker.positions.values() for s in (*p.stretches, p.naked_s) if s]
        return history

    # -- the world turns ------------------------------------------------------------------------------------

    def boundary(self, kind: str) -> None:
        """Our process is about to write, commit or send; a scripted world may kill it here."""

    async def _tick(self, users: list[tuple[float, BracketRequested, NewOrder]]) -> None:
        await asyncio.sleep(STEP_S)
        while users and users[0][0] <= self.now_s:
            _, request, order = users.pop(0)
            self._enter(request, order)
        self._move_market()
        self._trouble()
        if self.now_s >= self._link_until and not self.link.up:
            self.log("link up")
            self.link.set_up(True)
        if self.runner is None and self.now_s >= self._dead_until:
            await self._boot()
        await self._hand_over()
        self.link.remember()
        live = self.link.up and self.runner is not None and self.disk_full_until <= self.now_s
        bid, ask = self._sides()
        self.checker.pass_time(STEP_S, live=live, bid=bid, ask=ask)

    def _sides(self) -> tuple[Decimal, Decimal]:
        tick = self.instrument.tick_size
        bid = floor_to(self.mid, tick)
        return bid, bid + 2 * tick

    def _move_market(self) -> None:
        kind = self.faults.strikes(Fault.PRICE_GAP, Fault.WHIPSAW)
        self.mid *= Decimal(str(round(1 + self.rng.gauss(0, 0.0012), 6)))
        if kind is Fault.PRICE_GAP:
            self.mid *= Decimal(str(round(1 + self.rng.choice((-1, 1)) * self.rng.uniform(0.01, 0.06), 6)))
            self.log(f"gap to {self.mid:.2f}")
        elif kind is Fault.WHIPSAW:
            here = self.mid
            for share in ("1.05", "0.95"):
                self.mid = here * Decimal(share)
                self._quote()
            self.mid = here
            self.log("whipsaw")
        self._quote()

    def _quote(self) -> None:
        bid, ask = self._sides()
        quote = Quote(SYMBOL, bid, ask, self.now_ns)
        if self.rng.random() < 0.5 and not self.faults.calm:
            quote = replace(quote, bid_qty=self._pieces(), ask_qty=self._pieces())
        self.link.spread(self.venue.on_quote(quote, self.now_ns))
        self.link.quote(quote)
        if self.faults.strikes(Fault.BAD_QUOTE):
            bad = self.rng.choice((replace(quote, bid=ask + 5, ask=bid), replace(quote, bid=Decimal(0))))
            self.link.quote(bad)

    def _pieces(self) -> Decimal:
        self.faults.note(Fault.DRIBBLE)
        return self.instrument.lot_size * self.rng.randint(1, 30)

    def _trouble(self) -> None:
        strikes = self.faults.strikes
        if self.link.up and strikes(Fault.LINK_DOWN):
            self._link_until = self.now_s + self.rng.uniform(2, 25)
            self.log("link down")
            self.link.set_up(False)
        if self.runner is not None and strikes(Fault.KILL):
            self._kill()
        if strikes(Fault.DISK_FULL):
            self.disk_full_until = self.now_s + self.rng.uniform(1, 8)
            self.log("disk full")
        kind = strikes(Fault.STOP_TAKEN, Fault.EXTERNAL_CANCEL)
        if kind:
            self._take_a_stop(kind)
        if strikes(Fault.BUST):
            self._bust()

    def _take_a_stop(self, kind: Fault) -> None:
        stops = [r for r in self.venue.open_orders() if ".stop" in r.client_order_id]
        if stops:
            victim = self.rng.choice(stops)
            status = self.rng.choice((OrderStatus.CANCELED, OrderStatus.EXPIRED))
            self.log(f"{kind}: {victim.client_order_id} {status.value}")
            self.link.spread(self.venue.yank(victim.client_order_id, status, "unsolicited", self.now_ns))

    def _bust(self) -> None:
        fills = self.venue.fills(0)
        if fills:
            victim = self.rng.choice(fills[-3:])
            self.log(f"bust {victim.exec_id} of {victim.client_order_id}")
            self.link.spread(self.venue.bust(victim.exec_id, self.now_ns))

    def _mend(self) -> None:
        self.log("calm")
        self._link_until = self._dead_until = self.disk_full_until = 0.0

    # -- the user -------------------------------------------------------------------------------------------

    def _plan_entries(self) -> list[tuple[float, BracketRequested, NewOrder]]:
        plans = []
        for n in range(self.rng.randint(2, 5)):
            at = self.rng.uniform(1, ENTRIES_UNTIL_S)
            quantity = self.instrument.lot_size * self.rng.randint(5, 120)
            kind = self.rng.choice((OrderType.MARKET, OrderType.LIMIT))
            order = NewOrder(f"user-{n}", SYMBOL, self.side, kind, quantity)
            request = BracketRequested(
                f"B{n}", SYMBOL, self.side, quantity, entry_client_order_id=order.client_order_id
            )
            plans.append((at, request, order))
        return sorted(plans, key=lambda plan: plan[0])

    def _enter(self, request: BracketRequested, order: NewOrder) -> None:
        bid, ask = self._sides()
        if order.order_type is OrderType.LIMIT:
            px = ask if self.side is Side.BUY else bid
            order = replace(order, limit_px=px, time_in_force=TimeInForce.GTC)
        self.checker.expect(Position(request.bracket_id, order.client_order_id, request.side))
        self.log(f"user enters {order.client_order_id} {order.quantity}")
        atr = (self.mid * Decimal("0.006")).quantize(Decimal("0.0001"))
        request = replace(request, reading=VolatilityReading(atr_px=atr, close_px=self.mid, bars=100))
        # The user asks for protection before his order can fill, as the door asks of him.
        self._wanted.append(request)
        asyncio.get_running_loop().call_later(0.5, self._send_entry, order)

    def _send_entry(self, order: NewOrder) -> None:
        try:
            self.link.spread(self.venue.apply(SubmitOrder("", order), self.now_ns))
        except Refused as error:
            self.log(f"entry refused: {error}")

    async def _hand_over(self) -> None:
        """Ask our process to look after entries, as soon as it lives."""
        runner = self.runner
        if runner is None or not self._wanted or not runner.ready.is_set():
            return
        for request in list(self._wanted):
            position = self.venue.position(SYMBOL)
            now_ns = self.clock.now_ns()
            asked = replace(request, account_qty=position, ts_event_ns=now_ns, ts_received_ns=now_ns)
            try:
                async with asyncio.timeout(1.0):
                    await runner.handle(asked)
            except TimeoutError:
                return
            except Refused as error:
                if error.code == "no_journal":
                    return
                self.log(f"refused {request.bracket_id}: {error}")
                if error.code != "duplicate_id":
                    self._wanted.remove(request)
                    self.checker.positions.pop(request.bracket_id, None)
                    continue
            self._wanted.remove(request)
            self.checker.positions[request.bracket_id].accepted = True
            self.log(f"looked after: {request.bracket_id}")

    # -- our process ----------------------------------------------------------------------------------------

    async def _boot(self) -> None:
        disk = self.disk.open()
        journal = _SlowJournal(disk, self)
        turn = recover(disk, journal.append)
        session = self.link.open_session()
        runner = Runner(turn, session, journal, self.clock, snapshots=journal, snapshot_every=SNAPSHOT_EVERY)
        if self._mutant is not None:
            self._mutant(runner)
        now_ns = self.clock.now_ns()
        facts = (
            RunStarted("simulation", ts_received_ns=now_ns),
            PoliciesLoaded({"default": self.policy}, now_ns),
            InstrumentsLoaded((self.instrument,), now_ns),
            CapabilitiesLearned(self.capabilities, now_ns),
        )
        runner.on_mishap(lambda event, error: self.checker.violated("ERROR", f"{error!r} at {event!r}"))
        self.log(f"process starts with {turn.sequence} records")
        self.runner, self._journal = runner, journal
        await runner.start(*facts)

    def _kill(self) -> None:
        self.log("kill -9")
        self.history.kills += 1
        self._dead_until = self.now_s + self.rng.uniform(0.2, 20)
        runner, journal = self.runner, self._journal
        self.runner = self._journal = None
        assert runner is not None
        assert journal is not None
        journal.crash()
        runner.abort()

    async def _shut_down(self) -> None:
        if self.runner is not None:
            await self.runner.stop()

    # -- what the checkers see ------------------------------------------------------------------------------

    def _venue_reported(self, reports: list[ExecutionReport]) -> None:
        for report in reports:
            fill = f" {report.last_qty} at {report.last_px}" if report.last_qty else ""
            self.log(
                f"  venue: {report.client_order_id} {report.status.value} cum {report.cum_qty}{fill} {report.reason}"
            )
        self.checker.reported(reports)

    def _arrived(self, command: VenueCommand) -> None:
        self.log(f"  arrives: {_shown(command)}")
        self.checker.arrived(command, self.disk.records, self.link.requests, self.now_ns)

    def _lost(self, command: VenueCommand) -> None:
        """A request hangs: what it was about cannot be settled before the wait that S3 demands."""
        ids = [getattr(command, name).client_order_id for name in ("order", "stop") if hasattr(command, name)]
        ids = ids or [getattr(command, "client_order_id", "")]
        self.log(f"  lost or late: {_shown(command)}")
        for client_id in ids:
            self.checker.excuse(client_id, self._s3_wait_s)

    @property
    def _s3_wait_s(self) -> float:
        """How long one lost request may keep a new one waiting at this venue."""
        if self.capabilities.supports_valid_until:
            return 10.0
        if self.capabilities.client_id_scope is ClientIdScope.FOREVER:
            return 6.0
        return float(self.capabilities.late_bound_s) + 10.0

    def _check_converged(self) -> None:
        local: dict[str, set[str]] = {}
        unresolved = []
        for bracket in self.runner.brackets() if self.runner else ():
            for order in bracket.orders:
                if order.leg is Leg.ENTRY or not order.alive:
                    continue
                local.setdefault(bracket.bracket_id, set()).add(order.client_order_id)
                if order.state in (OrderState.SENT, OrderState.UNSURE):
                    unresolved.append(order.client_order_id)
        self.checker.converged(local, unresolved)

    def _residues(self) -> dict[str, Decimal]:
        brackets: tuple[Bracket, ...] = tuple(self.runner.brackets()) if self.runner else ()
        return {b.bracket_id: Decimal(0) for b in brackets if b.phase is Phase.RESIDUE}


def _shown(command: VenueCommand) -> str:
    orders = [getattr(command, name) for name in ("order", "stop", "target") if hasattr(command, name)]
    text = ", ".join(
        f"{o.client_order_id} {o.side.value} {o.quantity} {o.order_type.value} {o.stop_px or ''} {o.limit_px or ''}"
        for o in orders
    )
    return f"{type(command).__name__} {getattr(command, 'client_order_id', '')} {text}".strip()


def play(seed: int, profile: str, disk: Disk, mutant: Callable[[Runner], None] | None = None) -> History:
    """Play one history from beginning to end, in virtual time."""

    async def main() -> History:
        return await World(seed, profile, disk, mutant=mutant).live()

    return run_virtually(main())
