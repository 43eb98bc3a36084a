"""The daemon: one account's runner, market, watcher, feed and desk, plugged together; `bootstrap` hands the rest in.

journal and lease -> what they remember -> the account -> compare with it -> feed, watcher -> answer on the socket
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec

import grodtd
from grodtd.config.loading import Configuration
from grodtd.config.own_policy import own_policy
from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.errors import ConfigError, Refused
from grodtd.domain.events import (
    BarsClosed,
    BracketsForgotten,
    CapabilitiesLearned,
    Event,
    InstrumentsLoaded,
    LinkStatus,
    PoliciesLoaded,
    ReleaseRequested,
    RiskLimitsLoaded,
    RunStarted,
)
from grodtd.domain.market import Quote
from grodtd.domain.notes import Severity
from grodtd.domain.orders import ExecutionReport, Side
from grodtd.domain.outcome import Outcome
from grodtd.domain.policy import NS_PER_S, Policy, policies_for
from grodtd.execution.forgotten import due_to_forget
from grodtd.execution.trade_exit_service import TradeExitService
from grodtd.execution.volatility_reading import bars_wanted, read_bars
from grodtd.monitoring.explain import duration, explain, in_words
from grodtd.monitoring.logs import Logger
from grodtd.monitoring.status import alarm_of, as_data, bracket_data, bracket_status, status_of
from grodtd.monitoring.status_troubles import clock_off, snapshot_failed
from grodtd.monitoring.status_values import Alarm, Daemon, Situation
from grodtd.monitoring.step_log import StepLog
from grodtd.ports import Broker, Clock, Journal, RiskAdvisor
from grodtd.runtime.account import LiveAccount
from grodtd.runtime.bar_facts import BarFacts
from grodtd.runtime.bars import LiveBars, lengths_wanted
from grodtd.runtime.clocks import VenueClock
from grodtd.runtime.feed import FeedPlayer, Recording, let_pass
from grodtd.runtime.open_hours import is_closed
from grodtd.runtime.recovery import Remembered, SnapshotKeeper, recover
from grodtd.runtime.runner import Runner
from grodtd.runtime.sessions import SessionClock
from grodtd.runtime.silence import ORDERS, Heard, Lookout, Trouble, orders_silent, prices_silent
from grodtd.runtime.supervisor import Part, Supervisor
from grodtd.runtime.watch import Watcher
from grodtd.service.app import create_app
from grodtd.service.desk import Desk
from grodtd.service.server import SocketServer

WATCH_BACK_NS = 60_000_000_000
"""Fills are looked for from this long before the last thing the journal knows: a venue's reads lag."""
CLOSE_BARS_EVERY_S = 0.5
"""How often it is looked whether a bar is over, where no quote says so."""
SESSIONS_EVERY_S = 3600.0
"""How often it is looked whether the market's closes are to be told anew: soon enough after a machine slept."""
FORGET_EVERY_S = 60.0
"""How often it is looked whether ended brackets have been in memory for long enough."""
DAY_NS = 86_400_000_000_000
SETTLE_WITHIN_S = 1.0
ALARMS_KEPT = 50


class KeptJournal(Journal, Remembered, SnapshotKeeper, Protocol):
    """The daemon's journal: it remembers, and it is leased."""

    place: str

    @property
    def durable_seq(self) -> int:
        """The last record on disk."""
        ...

    @property
    def held(self) -> tuple[int, int]:
        """The lease's epoch, and when it ends unless it is renewed, ns since the epoch."""
        ...

    async def renew(self, now_ns: int) -> object:
        """Keep the lease."""
        ...

    async def close(self) -> None:
        """Write what waits, give the lease back."""
        ...


class PaperDesk(Protocol):
    """What a paper account lets happen beside trading."""

    created: bool
    """Whether it was made just now: what lived in an earlier one is lost."""

    def feed(self, quote: Quote) -> None:
        """Let the market move."""
        ...

    def bring(self, symbol: str, side: Side, quantity: Decimal, px: Decimal) -> list[ExecutionReport]:
        """Take in a position made elsewhere."""
        ...

    def place(self, feed: str) -> int:
        """How many rows of a feed were played."""
        ...

    def keep_place(self, feed: str, played: int) -> None:
        """Keep how far a feed is."""
        ...

    def close(self) -> None:
        """Let go of the account."""
        ...


class DaemonOptions(msgspec.Struct, frozen=True):
    """What `grodtd run` was told, beside the configuration."""

    state: Path
    """Folder of everything the daemon keeps: journal, paper account, socket."""
    socket: Path
    journal: str | Path
    feeds: tuple[Path, ...] = ()
    speed: Decimal = Decimal(1)
    begin_ns: int | None = None
    """What a feed recorded before this is history: the bars know it, nobody trades it."""


class LiveDaemon:
    """A daemon's parts. `run` it; it ends with SIGTERM, SIGINT, or an error it cannot go on after."""

    def __init__(
        self,
        configuration: Configuration,
        options: DaemonOptions,
        log: Logger,
        *,
        journal: KeptJournal,
        broker: Broker,
        paper: PaperDesk,
        clock: Clock,
        recording: Recording | None,
        fatal: tuple[type[Exception], ...],
        advisor: RiskAdvisor | None = None,
        wall: Clock | None = None,
    ) -> None:
        """Fold the journal: blocking work, before the loop is busy. Raises: the journal's errors.

        `wall`: the computer's clock, which the lease is kept by, as whoever opens the journal next has no other;
        None: `clock`, where that is no `VenueClock`.
        """
        self.configuration, self.options, self.log = configuration, options, log
        self.journal, self.broker, self.paper, self.clock, self.recording = journal, broker, paper, clock, recording
        self.wall = wall or clock
        self.begun_ns = self.wall.now_ns()
        turn = recover(journal, journal.append, lambda words: log.warning("recovery", remark=words))
        if isinstance(clock, VenueClock):
            clock.begin(turn.ts_ns)
        self.runner = Runner(
            turn, broker, journal, clock, snapshots=journal, snapshot_every=configuration.daemon.snapshot_every
        )
        # Brackets keep the policy they began with, whatever the configuration says by now.
        living = [turn.engine.terms(b).policy for b in self.runner.brackets() if b.phase not in ENDED]
        policies = [*configuration.policies.values(), *living]
        self.market = LiveBars(lengths_wanted(policies), clocked=recording is None)
        self.bar_facts = BarFacts(policies, turn.engine.living_by_bars, self._atr_now, clocked=recording is None)
        self.service = TradeExitService(
            self.runner,
            self.runner,
            self.market,
            clock,
            configuration.policies,
            account=LiveAccount(self.runner),
            advisor=advisor,
        )
        self.sessions = SessionClock(
            configuration.instruments.values(),
            policies,
            day_orders=not broker.capabilities.gtc,
            day_calendar=configuration.risk.limits.day_calendar,
        )
        self.supervisor = Supervisor(self.runner, journal, self.wall, log, fatal=fatal)
        self.alarms: deque[Alarm] = deque(maxlen=ALARMS_KEPT)
        self.listening_ns = clock.now_ns()
        self.lookout = Lookout(self.troubles, log, begun=self._trouble_begun, over=self._trouble_over)
        self.player: FeedPlayer | None = None
        self.played = 0 if recording is None else self._let_pass(recording)
        self.desk = Desk(
            self.service,
            self.runner,
            self.market,
            status=self.status,
            view=self.view,
            explain=self.explain,
            strategies=configuration.policies,
            own_policy=self.own_policy,
            stopping=lambda: self.supervisor.stopping,
            bring=paper.bring,
            journal=journal.place,
        )
        watch = configuration.brokers.watch
        self.watcher = Watcher(
            self.runner,
            broker,
            self.runner.brackets,
            self.desk,
            log,
            symbols=watch.symbols,
            prefixes=watch.client_id_prefixes,
            # Fills of the time nobody watched: since the last thing we know, or from now on in a new journal.
            since_ns=turn.ts_ns - WATCH_BACK_NS if turn.ts_ns else self.begun_ns,
            begun_ns=clock.now_ns(),
            forgotten=turn.engine.has_forgotten,
        )
        self.runner.observers += [self._see, StepLog(log, self._symbol_of), self.watcher.observe]
        self.app = create_app(self.desk, version=grodtd.__version__, on_fault=self.supervisor.fault)
        self.server = SocketServer(self.app, options.socket)

    async def run(self, ready: Callable[[], None]) -> None:
        """Run to the end; `ready` is called when the account was taken up and the socket answers.

        Raises: ConfigError, SocketTaken - nothing was done; PartFailed, a lost lease - what ended it.
        """
        loop, supervisor = asyncio.get_running_loop(), self.supervisor
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop, number.name)
        loop.set_exception_handler(self._stray)
        try:
            self.server.bind()
            await self.start()
            ready()
            await supervisor.run(self._parts())
        finally:
            with suppress(OSError):  # where it could not even begin; else the supervisor closed it, and told
                await self.journal.close()
            self.paper.close()
            self.server.close()

    # ---------------------------------------------------------------- what the desk shows

    def status(self) -> dict[str, Any]:
        """Say how things stand, as plain data."""
        runner, now_ns = self.runner, self.clock.now_ns()
        found = runner.last_findings
        symbols = dict.fromkeys([*(b.symbol for b in self.service.brackets()), *self.market.last])
        policies = self.configuration.policies
        situation = Situation(
            now_ns=now_ns,
            daemon=self._daemon(self.wall.now_ns()),
            brackets=runner.brackets(),
            terms_of=runner.turn.engine.terms,
            quotes=self.market.last,
            warmths=[
                self.market.warmth(symbol, policy, now_ns)
                for symbol in symbols
                for policy in policies_for(policies, symbol).values()
            ],
            compared=runner.ready.is_set(),
            compare_error="" if found is None or found.complete else found.why,
            link_up=runner.link_up,
            entries_paused=runner.turn.engine.entries_paused,
            stopping=self.supervisor.stopping,
            journal_error=runner.journal_error,
            last_quote_ns=runner.last_quote_ns,
            last_report_ns=runner.last_report_ns,
            orphans=[] if found is None else [report.client_order_id for report in found.orphans],
            alarms=tuple(self.alarms),
            faults=tuple(self.supervisor.faults),
            unprotected_fills=tuple(self.watcher.failures.values()),
            feed=None if self.player is None else self.player.state(),
            troubles=self.troubles(),
            snapshot_error=self.runner.snapshot_error,
            clock_off_s=self.runner.clock_off_s,
        )
        return as_data(status_of(situation))

    def troubles(self) -> list[Trouble]:
        """Say what is not as it should be and lasts: silent streams, a clock that is off, a snapshot that failed."""
        runner, settings, now_ns = self.runner, self.configuration.daemon, self.clock.now_ns()
        heard = Heard(
            now_ns=now_ns,
            begun_ns=self.listening_ns,
            link_up=runner.link_up,
            link_ns=runner.link_ns,
            report_ns=runner.last_report_ns,
            untold_ns=runner.untold_ns,
            compared_ns=runner.compared_ns,
            quote_ns=runner.last_quote_ns,
            feed_over=self.player is not None and self.player.ended,
            feed_waits=self.player is not None and self.player.waits,
        )
        open_now = [bracket for bracket in runner.brackets() if bracket.phase not in ENDED]
        return [
            *orders_silent(heard, open_now, float(settings.orders_silent_s)),
            *prices_silent(heard, open_now, self.market.last, float(settings.prices_silent_s), self._market_closed),
            *clock_off(runner.clock_off_s, runner.clock_off, float(settings.clock_warn_s)),
            *snapshot_failed(runner.snapshot_error, runner.snapshot_failed_ns),
        ]

    def view(self, bracket: Bracket) -> dict[str, Any]:
        """Say how one bracket stands, as plain data."""
        terms = self.runner.turn.engine.terms(bracket)
        quote = self.market.last.get(bracket.symbol)
        confirmed = self.runner.ready.is_set()
        return bracket_data(bracket_status(bracket, terms, self.clock.now_ns(), quote, confirmed=confirmed))

    def own_policy(self, strategy: str, symbol: str, settings: Mapping[str, str]) -> Policy:
        """Work out a policy for one bracket. Raises: ConfigError; Refused - this daemon could not carry it out."""
        known = self.configuration
        policy = own_policy(known, strategy, symbol, settings)
        if policy is None:
            names = ", ".join(sorted(name for name in known.policies if "@" not in name))
            raise Refused(f"no strategy named {strategy!r} is configured; known: {names}", code="unknown_strategy")
        if policy.atr.interval_s not in lengths_wanted(known.policies.values()):
            words = f"atr.interval: bars of {policy.atr.interval_s} s are not kept: a policy of trade_exit.yaml"
            raise ConfigError([f"{words} must ask for them when the daemon starts"])
        leaves = policy.time_exit.at_session_end or policy.time_exit.before_weekend
        if leaves and not self.sessions.knows_hours:
            words = "time_exit: no closing hours were read: a policy of trade_exit.yaml must leave by them"
            raise ConfigError([f"{words} when the daemon starts, in symbols with a calendar"])
        return policy

    async def explain(self, bracket_id: str) -> list[str]:
        """Tell a bracket's life out of the journal, read beside the loop: it may be long."""
        with suppress(OSError):  # what cannot be written cannot be told; status says why
            await self.journal.commit()
        lines = await asyncio.to_thread(lambda: list(explain(self.journal.read(), bracket_id)))
        if lines and self.runner.turn.engine.has_forgotten(bracket_id):
            lines.append(f"({bracket_id} is no longer in memory; this was read from the journal, {self.journal.place})")
        return lines

    def _daemon(self, now_ns: int) -> Daemon:
        epoch, expires_ns = self.journal.held
        return Daemon(
            version=grodtd.__version__,
            mode=self.configuration.brokers.use,
            account=f"{self.configuration.brokers.use} ({self.broker.capabilities.name})",
            pid=os.getpid(),
            uptime_s=round((now_ns - self.begun_ns) / 1e9, 1),
            config_fingerprint=self.configuration.fingerprint,
            journal=self.journal.place,
            last_seq=self.journal.durable_seq,
            lease_epoch=epoch,
            lease_s=round((expires_ns - now_ns) / 1e9, 1),
        )

    # ---------------------------------------------------------------- how it runs

    async def start(self) -> None:
        """Fold in what the engine lives under, listen to the account and compare with it; `run` does this first."""
        if isinstance(self.clock, VenueClock):
            await self.clock.keep(self.broker)  # what fails here is tried again before the first comparison
        known, now_ns = self.configuration, self.clock.now_ns()
        self.listening_ns = now_ns
        kind = known.brokers.use
        await self.runner.start(
            RunStarted(kind, config_fingerprint=known.fingerprint, version=grodtd.__version__, ts_received_ns=now_ns),
            PoliciesLoaded(known.policies, now_ns),
            RiskLimitsLoaded(known.risk.limits, now_ns),
            InstrumentsLoaded(tuple(known.instruments.values()), now_ns),
            CapabilitiesLearned(self.broker.capabilities, now_ns),
            *self.sessions.due(now_ns),
            *self._lost_with_the_account(now_ns),
        )

    def _parts(self) -> list[Part]:
        parts = [
            Part("api", self.server.run, last=True, stop=self.server.stop),
            Part("lookout", self.lookout.run, essential=False),
            Part("forgetting", self._forget, essential=False),
        ]
        if self.sessions.wanted:
            parts.append(Part("sessions", self._tell_sessions, essential=False))
        if self.recording is None:
            parts.append(Part("bars", self._close_bars, essential=False))
        if self.watcher.watching:
            parts.append(Part("watcher", self._watch, essential=False))
        if self.recording is not None:
            parts.append(Part("feed", self._play, essential=False, ends=True))
        return parts

    def _let_pass(self, recording: Recording) -> int:
        """Let what was played before, or lies before the time asked for, be history."""
        begin_ns = self.options.begin_ns
        rows = 0 if begin_ns is not None else self.paper.place(recording.name)
        played = let_pass(recording, self.market.take, rows=rows, until_ns=begin_ns)
        if played and played >= recording.total:
            note = "it was played to its end before; --from TIME plays it again from there"
            self.log.warning("feed_over", feed=recording.source, note=note)
        elif played:
            self.log.info("feed_goes_on", after_rows=played, feed=recording.source)
        return played

    def _lost_with_the_account(self, now_ns: int) -> list[ReleaseRequested]:
        """Brackets whose paper account is gone: nothing at the venue could ever end them."""
        if not self.paper.created:
            return []
        why = "the paper account it lived in is gone: a new one was made"
        return [
            ReleaseRequested(bracket.bracket_id, why, keep_orders=True, ts_event_ns=now_ns, ts_received_ns=now_ns)
            for bracket in self.runner.brackets()
            if bracket.phase not in ENDED
        ]

    def _see(self, event: Event, outcome: Outcome, sequence: int) -> None:
        if isinstance(event, Quote):
            self.market.take(event)
            self._tell_bars(self.bar_facts.take(event, self.clock.now_ns()))
        elif isinstance(event, LinkStatus) and not event.up:
            self.market.interrupted()
        for note in outcome.notes:
            alarm = alarm_of(note, in_words(note))
            if alarm is not None:
                self.alarms.append(alarm)

    def _trouble_begun(self, trouble: Trouble) -> None:
        severity = Severity.ALARM if trouble.serious else Severity.WARNING
        self.alarms.append(Alarm(self.clock.now_ns(), "", severity.value, trouble.words))
        if trouble.name == ORDERS:
            self.runner.compare_soon()

    def _trouble_over(self, trouble: Trouble) -> None:
        now_ns = self.clock.now_ns()
        lasted = duration(max(0, now_ns - trouble.since_ns)) if trouble.since_ns else ""
        words = f"over{f' after {lasted}' if lasted else ''}: {trouble.words}"
        self.alarms.append(Alarm(now_ns, "", Severity.INFO.value, words))

    def _market_closed(self, symbol: str) -> bool:
        """Whether nobody trades a symbol now; in a recorded market, whose time is not ours, that is not known."""
        instrument = self.configuration.instruments.get(symbol)
        if self.recording is not None or instrument is None or instrument.calendar is None:
            return False
        at_first_ns = int(float(self.configuration.daemon.prices_silent_s) * NS_PER_S)
        return is_closed(instrument.calendar, self.clock.now_ns(), at_first_ns=at_first_ns)

    def _atr_now(self, symbol: str, policy: Policy, until_ns: int) -> Decimal | None:
        bars = self.market.closed(symbol, policy.atr.interval_s, bars_wanted(policy), until_ns)
        return read_bars(policy, bars).atr_px

    def _tell_bars(self, closed: list[BarsClosed]) -> None:
        """Hand closed bars in, each after the fact at hand is done with."""
        for fact in closed:
            asyncio.get_running_loop().call_soon(self.runner.tell, fact)

    def _symbol_of(self, bracket_id: str) -> str:
        bracket = self.runner.turn.bracket(bracket_id)
        return "" if bracket is None else bracket.symbol

    def _stray(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        words = str(context.get("message", "in the loop"))
        self.supervisor.fault(words, context.get("exception") or RuntimeError("no exception told"))

    def forget_ended(self) -> None:
        """Drop from memory what has been over for as long as `daemon.kept` says; the journal keeps it."""
        kept, now_ns = self.configuration.daemon, self.clock.now_ns()
        kept_ns = kept.ended_kept_days * DAY_NS
        names = due_to_forget(self.runner.brackets(), now_ns, kept_ns=kept_ns, kept_most=kept.ended_kept)
        if names:
            self.log.info("brackets_forgotten", brackets=len(names), note="grodtd explain tells them from the journal")
            self.runner.tell(BracketsForgotten(names, now_ns, now_ns))

    async def _forget(self) -> None:
        await self.runner.ready.wait()  # what filled while nobody looked may have woken one of them
        while True:
            self.forget_ended()
            await asyncio.sleep(FORGET_EVERY_S)

    async def _tell_sessions(self) -> None:
        while True:
            await asyncio.sleep(SESSIONS_EVERY_S)
            try:
                for fact in await asyncio.to_thread(self.sessions.due, self.clock.now_ns()):
                    await self.runner.handle(fact)
            except ConfigError as error:  # what was told lasts for a month: time to mend it
                self.supervisor.fault("reading the exchange calendars", error)

    async def _close_bars(self) -> None:
        """Tell bars whose end has passed: by our clock, where the market lives by it."""
        while True:
            await asyncio.sleep(CLOSE_BARS_EVERY_S)
            now_ns = self.clock.now_ns()
            self._tell_bars(self.bar_facts.over(now_ns, now_ns))

    async def _watch(self) -> None:
        await self.runner.ready.wait()
        await self.watcher.run()

    async def _play(self) -> None:
        await self.runner.ready.wait()
        recording = self.recording
        assert recording is not None
        self.player = FeedPlayer(
            recording,
            self.paper.feed,
            speed=self.options.speed,
            settled=self._settled,
            mark=lambda rows: self.paper.keep_place(recording.name, rows),
            played=self.played,
        )
        await self.player.run()

    async def _settled(self) -> None:
        """Return when everything that followed from a quote has happened, or after a while all the same."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SETTLE_WITHIN_S
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while loop.time() < until_s:
            if self.runner.dispatcher.idle and self.watcher.idle:
                return
            await asyncio.sleep(0.0005)
