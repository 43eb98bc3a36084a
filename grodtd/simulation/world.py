"""One seeded history: a market, a user, a venue, a link full of faults, and our real runtime in the middle of it.

Three acts. Chaos: prices move, entries come, everything goes wrong. Calm: faults stop; within a minute all must be as
it should. End: the price goes through every stop; everything must be closed. The checkers look at the venue alone.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from grodtd.domain.bracket import ExitState, OrderState, Phase
from grodtd.domain.capabilities import Capabilities, StopOrders
from grodtd.domain.errors import GrodtdError
from grodtd.domain.events import CapabilitiesLearned, InstrumentsLoaded, PoliciesLoaded, RiskLimitsLoaded, RunStarted
from grodtd.domain.orders import ExecutionReport, Leg, OrderStatus
from grodtd.execution.coverage import measure
from grodtd.runtime.runner import Runner
from grodtd.simulation.checkers import Safety
from grodtd.simulation.faults import Fault, Faults
from grodtd.simulation.link import Eyes, Link
from grodtd.simulation.liveness import Liveness, LocalView
from grodtd.simulation.market import Market, streets_of
from grodtd.simulation.process import Disk, Process
from grodtd.simulation.session import Session
from grodtd.simulation.strategies import LIMITS, POLICIES
from grodtd.simulation.truth import Books, ids_of, orders_of
from grodtd.simulation.user import User
from grodtd.simulation.virtual_time import run_virtually
from grodtd.venue.profiles import PROFILES
from grodtd.venue.venue import SimulatedVenue, VenueCommand

NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * NS
STEP_S = 0.25
LEAST_FAULTS = 20
"""Faults a history must have; chaos goes on until they struck."""
CHAOS_AT_MOST_S = 400.0
FENCED_WITHIN_S = 20.0
"""How long an instance that lost the account may take to end."""
SETTLED_S = 15.0
"""So long after the last fault a process has compared, and looks at prices again."""
NEW_UNDERWAY = (OrderState.SENT, OrderState.UNSURE, OrderState.REPLACING)
"""States of orders of which a request may be on its way that makes a new one at the venue."""
UNDERWAY_S = 3.0
"""At the end of the calm, what the last tick set going arrives before both sides are compared: also a stop's move that
waited for its interval, two seconds where a stop is cancelled and placed again."""


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
    simulated_s: float = 0.0
    log: list[str] = field(default_factory=list)


class Wall:
    """The computer's clock: wrong by `skew_s`."""

    def __init__(self, world: "World") -> None:
        """Begin right."""
        self._world, self.skew_s = world, 0.0

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, it says."""
        return self._world.now_ns + int(self.skew_s * NS)


class World(Eyes):
    """One history in the making."""

    chaos_s, calm_s, end_s = 120.0, 45.0, 40.0
    """Lengths of the three acts."""
    clean = False
    """Whether computers' clocks are right from the beginning."""

    def __init__(self, seed: int, profile: str, disk: Disk) -> None:
        """Everything is drawn from `seed`."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self.rng = Random(f"{seed}/{profile}")
        self.capabilities: Capabilities = PROFILES[profile]
        self.history = History(seed, profile)
        self.faults = Faults(self.rng)
        self.disk, self.disk_full_until = disk, 0.0
        self.streets = streets_of(self.capabilities, self.rng)
        self.instruments = {symbol: street.instrument for symbol, street in self.streets.items()}
        self.venue = SimulatedVenue(self.capabilities, self.instruments.values(), cash=Decimal(10**7))
        self.books = Books(self.venue, self.instruments)
        self.link = Link(self.venue, self.faults, self.rng, lambda: self.now_ns, self)
        self.safety, self.liveness = Safety(self.books, self.link), Liveness(self.books)
        self.market = Market(self.streets, self.link, self.faults)
        self.user = User(self.rng, self.books, self.link, self.streets, self.log)
        self.wall = Wall(self)
        self.process: Process | None = None
        self.fenced: list[tuple[float, Process]] = []
        """Instances that lost the account, and by when they must have ended."""
        self._link_until = self._dead_until = self._wall_until = 0.0
        self._left_s = 0.0
        """When the last process left the account."""

    @property
    def runner(self) -> Runner | None:
        """The runner of the process that lives, if one does."""
        return self.process.runner if self.process is not None else None

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self._loop.time() if self._loop is not None else 0.0

    @property
    def now_ns(self) -> int:
        """The venue's clock."""
        return BEGIN_NS + int(self.now_s * NS)

    def log(self, what: str) -> None:
        """Remember a line for `--trace`."""
        self.history.log.append(f"{self.now_s:9.3f}  {what}")

    async def live(self) -> History:
        """Play all three acts."""
        self._loop = asyncio.get_running_loop()
        if not self.clean:
            self._set_wall(self.rng.uniform(-5, 5), Fault.SKEW)
        for street in self.streets.values():
            self.market.quote(street)
        await self._boot()
        self._plan()
        while self.now_s < self.chaos_s or (not self.clean and self._too_calm()):
            await self._tick()
        self.faults.calm = True
        self._mend()
        began, until = self.now_s, self.now_s + self.calm_s
        while self.now_s < until:
            await self._tick()
            if began + SETTLED_S < self.now_s < until - UNDERWAY_S:
                self.liveness.quoted({symbol: street.sides() for symbol, street in self.streets.items()})
        await asyncio.sleep(UNDERWAY_S)
        self.books.touched()
        views, unresolved = self._views()
        self.books.read(self.disk.records)
        self.liveness.converged(views, unresolved)
        self.safety.check_commitments(even_disturbed=True)
        until = self.now_s + self.end_s
        while self.now_s < until:
            for street in self.streets.values():
                street.mid -= street.mid * Decimal("0.006") * street.side.sign
            await self._tick()
        self.liveness.ended(self._views()[0])
        if self.process is not None:
            self.process.terminate()
            await asyncio.sleep(6)
        return self._told()

    def _too_calm(self) -> bool:
        return self.faults.counted < LEAST_FAULTS and self.now_s < CHAOS_AT_MOST_S

    def _told(self) -> History:
        history, positions = self.history, self.books.positions.values()
        history.faults, history.violations = self.faults.seen, self.books.violations
        history.brackets, history.records = len(positions), len(self.disk.records)
        history.naked_s = [s for p in positions for s in (*p.stretches, p.naked_s) if s]
        history.simulated_s = self.now_s
        return history

    # -- the world turns ------------------------------------------------------------------------------------

    def boundary(self, kind: str) -> None:
        """Our process is about to write, commit or send; a scripted world may kill it here."""

    def _plan(self) -> None:
        self.user.make_plans()

    async def _tick(self) -> None:
        await asyncio.sleep(STEP_S)
        self.user.act(self.now_s)
        self._move_market()
        await self._trouble()
        self._recover()
        if self.process is None and self.now_s >= self._dead_until:
            await self._boot()
        runner = self.runner
        if runner is not None and self.process is not None and not self.process.over and runner.ready.is_set():
            await self._hand_over(runner)
        self.books.touched()
        self.link.remember(self.venue.open_orders())
        self.liveness.pass_time(
            STEP_S,
            {symbol: self._can_act(symbol) for symbol in self.streets},
            {symbol: street.sides() for symbol, street in self.streets.items()},
        )

    async def _hand_over(self, runner: Runner) -> None:
        if self.process is not None:  # it may have died while its turn was coming
            self.user.whole_trades.pass_on(self.process.door)
        await self.user.hand_over(runner)

    def _can_act(self, symbol: str) -> bool:
        """Whether our process could do something about a symbol, if it wanted."""
        blind = self.capabilities.stop_orders is StopOrders.NONE and self.link.silent_until_ns > self.now_ns
        return (
            self.link.up
            and self.process is not None
            and not self.process.over
            and self.disk_full_until <= self.now_s
            and self.link.locked_out_until_ns <= self.now_ns
            and not self.streets[symbol].halted_until_s
            and not blind
        )

    def _move_market(self) -> None:
        for street in self.streets.values():
            told = self.market.move(street)
            if told:
                self.log(told)

    # -- trouble --------------------------------------------------------------------------------------------

    async def _trouble(self) -> None:
        """What goes wrong with the link, the venue, the disk, the clock and the processes by themselves."""
        strikes, uniform = self.faults.strikes, self.rng.uniform
        if self.link.up and strikes(Fault.LINK_DOWN):
            self._link_until = self.now_s + uniform(2, 25)
            self.log("link down")
            self.link.set_up(False)
        if strikes(Fault.DISK_FULL):
            self.disk_full_until = self.now_s + uniform(1, 8)
            self.log("disk full")
        if strikes(Fault.LOCKED_OUT):
            self.link.locked_out_until_ns = self.now_ns + int(uniform(3, 12) * NS)
            self.log("credentials refused")
        if strikes(Fault.FEED_SILENT):
            self.link.silent_until_ns = self.now_ns + int(uniform(5, 20) * NS)
            self.log("no quotes")
        if strikes(Fault.CLOCK_JUMP):
            step_s = self.rng.choice((-3600.0, 3600.0, uniform(-5, 5), uniform(-5, 5)))
            self._set_wall(self.wall.skew_s + step_s, None)
        self._trouble_at_venue()
        await self._trouble_with_processes()

    def _trouble_at_venue(self) -> None:
        kind = self.faults.tries(Fault.STOP_TAKEN, Fault.HAND_CANCEL, Fault.BUST, Fault.HAND_CLOSE, Fault.HALT)
        if kind is None:
            return
        done = False
        if kind in (Fault.STOP_TAKEN, Fault.HAND_CANCEL):
            done = self._take_a_stop(kind)
        elif kind is Fault.BUST:
            done = self._bust()
        elif kind is Fault.HAND_CLOSE:
            done = self.user.sell_by_hand()
        else:
            street = self.rng.choice(list(self.streets.values()))
            if not street.halted_until_s:
                street.halted_until_s = self.now_s + self.rng.uniform(4, 20)
                self.venue.halt(street.symbol)
                self.log(f"{street.symbol} is halted")
                done = True
        if done:
            self.faults.note(kind)

    def _take_a_stop(self, kind: Fault) -> bool:
        stops = [r for r in self.venue.open_orders() if ".stop" in r.client_order_id]
        if not stops:
            return False
        victim = self.rng.choice(stops)
        status = OrderStatus.CANCELED
        if kind is Fault.STOP_TAKEN:
            status = self.rng.choice((OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED))
        self.log(f"{kind}: {victim.client_order_id} {status.value}")
        self.link.spread(self.venue.yank(victim.client_order_id, status, "unsolicited", self.now_ns))
        return True

    def _bust(self) -> bool:
        fills = [fill for fill in self.venue.fills(0)[-3:] if self.books.of(fill.client_order_id) is not None]
        if not fills:
            return False
        victim = self.rng.choice(fills)
        self.log(f"bust {victim.exec_id} of {victim.client_order_id}")
        self.liveness.busted(victim.symbol)
        self.link.spread(self.venue.bust(victim.exec_id, self.now_ns))
        return True

    async def _trouble_with_processes(self) -> None:
        if self.process is None or self.process.over:
            return
        kind = self.faults.tries(Fault.KILL, Fault.TERMINATED, Fault.SECOND_INSTANCE, Fault.TAKEN_OVER)
        if kind is None:
            return
        if kind is Fault.KILL:
            self._kill()
        elif kind is Fault.TERMINATED:
            self.log("SIGTERM")
            self._dead_until = self.now_s + self.rng.uniform(0.2, 8)
            self.process.terminate()
        elif kind is Fault.SECOND_INSTANCE:
            await self._try_second()
        else:
            await self._take_over()
        self.faults.note(kind)

    async def _try_second(self) -> None:
        """Somebody starts a second instance while the first one renews its lease: it must be turned away."""
        try:
            self.disk.open(holder="second", now_ns=self.now_ns, alone=False)
        except GrodtdError as error:
            self.log(f"second instance turned away: {error}")
            return
        assert self.process is not None
        if self.process.renews:
            self.books.violated("F20", "a second instance got the lease while the first one held it")
        await self._take_over()  # the first one could not renew it, not knowing the time or with its disk full

    async def _take_over(self) -> None:
        """Another instance takes the account over from one that was thought dead, and is not."""
        assert self.process is not None
        self.log("another instance takes the account over; the first one lives on")
        first = self.process
        first.session.fenced = True
        self._left_s = self.now_s
        self.fenced.append((self.now_s + FENCED_WITHIN_S, first))
        self.process = None
        await self._boot(beside=True)

    def _set_wall(self, skew_s: float, kind: Fault | None) -> None:
        self.wall.skew_s = skew_s
        self.log(f"the computer's clock is off by {skew_s:.1f} s")
        if kind is not None:
            self.faults.note(kind)

    def _recover(self) -> None:
        """What was to last a while is over."""
        if self.now_s >= self._link_until and not self.link.up:
            self.log("link up")
            self.link.set_up(True)
        for street in self.streets.values():
            if street.halted_until_s and self.now_s >= street.halted_until_s:
                street.halted_until_s = 0.0
                self.venue.resume(street.symbol)
                self.log(f"{street.symbol} trades again")
        if abs(self.wall.skew_s) > 5 and self.now_s >= self._wall_until:
            if self._wall_until:
                self._set_wall(self.rng.uniform(-5, 5), None)
                self._wall_until = 0.0
            else:
                self._wall_until = self.now_s + 20
        if self.process is not None and self.process.over and self.process.ended:
            self._left_s = self.now_s
            self.process = None
        for due_s, process in self.fenced:
            if self.now_s >= due_s and not process.ended:
                self.books.violated("F20", f"an instance still runs {FENCED_WITHIN_S:.0f} s after it lost the account")
        self.fenced = [(due_s, process) for due_s, process in self.fenced if not process.ended and self.now_s < due_s]

    def _mend(self) -> None:
        self.log("calm")
        self._link_until = self._dead_until = self.disk_full_until = 0.0
        self.link.silent_until_ns = self.link.locked_out_until_ns = 0
        for street in self.streets.values():
            street.halted_until_s = min(street.halted_until_s, self.now_s)

    # -- our process ----------------------------------------------------------------------------------------

    async def _boot(self, *, beside: bool = False) -> None:
        if self.faults.strikes(Fault.CLOCK_FAR_OFF):
            self._set_wall(self.rng.choice((-1, 1)) * self.rng.uniform(15, 7200), None)
        journal = self.disk.open(holder="grodtd", now_ns=self.now_ns, alone=True)
        session = self.link.open_session(beside=beside)
        journal_ns = self.disk.records[-1].ts_ns if self.disk.records else 0
        process = Process(self, journal, journal_ns, session, self.wall, self.books.violated)
        now_ns = process.clock.now_ns()
        self.log(f"process starts with {process.runner.turn.sequence} records")
        self._left_behind(process)
        self.process = process
        await process.start(
            (
                RunStarted("simulation", ts_received_ns=now_ns),
                PoliciesLoaded(POLICIES, now_ns),
                RiskLimitsLoaded(LIMITS, now_ns),
                InstrumentsLoaded(tuple(self.instruments.values()), now_ns),
                CapabilitiesLearned(self.capabilities, now_ns),
            )
        )

    def _kill(self) -> None:
        self.log("kill -9")
        self.history.kills += 1
        self._dead_until = self.now_s + self.rng.uniform(0.2, 20)
        assert self.process is not None
        self._left_s = self.now_s
        self.process.kill()
        self.process = None

    def _left_behind(self, process: Process) -> None:
        """What the journal leaves open when a process begins, nobody knows the fate of: as good as a lost request (S3).

        The one before it may have known more, but had it not in the journal yet.
        """
        seconds = max(self._s3_wait_s - (self.now_s - self._left_s), 0.0)
        for bracket in process.runner.brackets():
            if any(o.state in NEW_UNDERWAY and o.leg is not Leg.ENTRY for o in bracket.orders):
                self.liveness.excuse(f"{bracket.bracket_id}.stop1", seconds)

    # -- what the checkers see ------------------------------------------------------------------------------

    def venue_reported(self, reports: list[ExecutionReport]) -> None:
        """Book and check what the venue did."""
        for report in reports:
            fill = f" {report.last_qty} at {report.last_px}" if report.last_qty else ""
            self.log(
                f"  venue: {report.client_order_id} {report.status.value} cum {report.cum_qty}{fill} {report.reason}"
            )
            position = self.books.of(report.client_order_id)
            of_entry = position is not None and report.client_order_id == position.entry_id
            if of_entry and fill and report.status is OrderStatus.WORKING and not self.faults.calm:
                self.faults.note(Fault.DRIBBLE)
        self.safety.reported(reports)

    def sending(self, session: Session, command: VenueCommand) -> None:
        """Check what leaves a process."""
        self.boundary("send")
        self.safety.sending(session, command, self.disk.records, self.now_ns)

    def arrived(self, command: VenueCommand) -> None:
        """Check what reaches the venue."""
        self.log(f"  arrives: {_shown(command)}")
        self.safety.arriving(command)

    def refused(self, what: str, why: str) -> None:
        """The link turned a request away."""
        self.log(f"  refused: {what}: {why}")

    def lost(self, command: VenueCommand, kind: Fault) -> None:
        """A request hangs: what it was about cannot be settled before the wait that S3 demands."""
        self.log(f"  {kind}: {_shown(command)}")
        self.liveness.excuse(ids_of(command)[0], self._s3_wait_s)

    @property
    def _s3_wait_s(self) -> float:
        """How long one lost request may keep a new one waiting at this venue."""
        if self.capabilities.supports_valid_until:
            return 10.0
        # Where ids are unique for ever an order is sent again at once, unless it is not wanted any more by then. It may
        # have left our process up to 5 s after it was decided on.
        return float(self.capabilities.late_bound_s) + 15.0

    def _views(self) -> tuple[dict[str, LocalView], list[str]]:
        """What our process believes, and which orders it does not know the fate of."""
        views: dict[str, LocalView] = {}
        unresolved: list[str] = []
        runner = self.runner
        for bracket in runner.brackets() if runner is not None else ():
            assert runner is not None
            exits = [order for order in bracket.orders if order.leg is not Leg.ENTRY and order.alive]
            unresolved += [o.client_order_id for o in exits if o.state in (OrderState.SENT, OrderState.UNSURE)]
            views[bracket.bracket_id] = LocalView(
                frozenset(order.client_order_id for order in exits),
                measure(bracket, runner.turn.engine.terms(bracket)).open_qty,
                bracket.stop_px,
                residue=bracket.phase is Phase.RESIDUE,
                guarded=bracket.phase is Phase.OPEN and bracket.exits is ExitState.GUARD,
            )
        return views, unresolved


def _shown(command: VenueCommand) -> str:
    text = ", ".join(
        f"{o.client_order_id} {o.side.value} {o.quantity} {o.order_type.value} {o.stop_px or ''} {o.limit_px or ''}"
        for o in orders_of(command)
    )
    return f"{type(command).__name__} {getattr(command, 'client_order_id', '')} {text}".strip()


def play(seed: int, profile: str, disk: Disk) -> History:
    """Play one history from beginning to end, in virtual time."""

    async def main() -> History:
        return await World(seed, profile, disk).live()

    return run_virtually(main())
