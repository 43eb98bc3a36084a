"""A trade told in a trader's words: the real engine and a real simulated venue, and the wire between them in our hands.

The story is always told as that of a long: in at 100, stop 90, target 110. A short is the same story in a mirror
(buy for sell, 200 - price for price), so one script serves both sides and both must end alike.

Whatever a scenario does to the wire, after every fact the bracket's own books are checked (`invariants`) and the
account is watched: exits may never take more than was held, unless the scenario is about just that.
"""

import asyncio
from collections import deque
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from grodtd.domain.bracket import Phase
from grodtd.domain.commands import CancelOrder, QueryOrder, Reconcile, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.events import (
    BracketReconciled,
    BracketRequested,
    CapabilitiesLearned,
    EntriesPaused,
    FlattenRequested,
    InstrumentsLoaded,
    LevelsChangeRequested,
    OrderNotFound,
    PoliciesLoaded,
    ReleaseRequested,
    RequestRefused,
    RequestUnknown,
    RiskLimitsLoaded,
    SessionsLoaded,
    TimerFired,
)
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Bar, Quote, VolatilityReading
from grodtd.domain.money import plain
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import FINAL_STATUSES, NewOrder, OrderStatus, OrderType, Side, TimeInForce
from grodtd.domain.policy import NS_PER_S, Plan, Policy, ProtectionPolicy
from grodtd.domain.risk import EntryTerms, RiskLimits
from grodtd.execution.coverage import Coverage, measure
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.invariants import stuck, violations
from grodtd.replay.driver import refusals
from grodtd.runtime.dispatcher import executions_of
from grodtd.runtime.reconciler import Reconciler
from grodtd.runtime.refold import refold
from grodtd.runtime.turn import Turn
from grodtd.venue.bar_matching import FillModel
from grodtd.venue.profiles import IDEAL_REPLAY, MARGIN, MARGIN_DAY, NO_STOPS, PERP, SPOT_LOCKED, SPOT_OCO
from grodtd.venue.venue import SimulatedVenue

MIRROR_AT = Decimal(200)
BEGAN_NS = 1_700_000_000 * NS_PER_S
STEP_NS = 1_000_000
HOUR_NS = 3_600 * NS_PER_S
ENTRY_ID, BRACKET_ID = "E1", "B1"
RESTS_BOTH = (Plan.PAIR_REDUCE_ONLY, Plan.NATIVE_OCO)


def d(text):
    return None if text is None else Decimal(str(text))


class World(NamedTuple):
    """A venue, and the plan the engine is bound to choose there."""

    name: str
    capabilities: object
    plan: Plan
    shorts: bool = True
    """Whether one can be short there: a spot account sells only what it holds."""


MARGIN_WORLD = World("margin", MARGIN, Plan.STOP_RESTING)
SPOT_WORLD = World("spot_locked", SPOT_LOCKED, Plan.STOP_RESTING, shorts=False)
PERP_WORLD = World("perp", PERP, Plan.PAIR_REDUCE_ONLY)
OCO_WORLD = World("spot_oco", SPOT_OCO, Plan.NATIVE_OCO, shorts=False)
MARGIN_OCO_WORLD = World("margin_oco", replace(SPOT_OCO, name="margin_oco", locks_inventory=False), Plan.NATIVE_OCO)
MARGIN_DAY_WORLD = World("margin_day", MARGIN_DAY, Plan.STOP_RESTING)
PERP_DAY_WORLD = World("perp_day", replace(PERP, name="perp_day", gtc=False), Plan.PAIR_REDUCE_ONLY)
OCO_DAY_WORLD = World(
    "margin_oco_day", replace(SPOT_OCO, name="margin_oco_day", locks_inventory=False, gtc=False), Plan.NATIVE_OCO
)
BARE_WORLD = World("no_stops", NO_STOPS, Plan.SYNTHETIC)
REPLAY_WORLD = World("ideal_replay", IDEAL_REPLAY, Plan.NATIVE_OCO)

STOPS_REST = (MARGIN_WORLD, SPOT_WORLD, PERP_WORLD, OCO_WORLD, MARGIN_OCO_WORLD)
"""Venues at which a stop rests."""
EVERYWHERE = (*STOPS_REST, BARE_WORLD)
BOTH_REST = (PERP_WORLD, OCO_WORLD, MARGIN_OCO_WORLD)
STOP_ALONE = (MARGIN_WORLD, SPOT_WORLD)
DAY_ONLY = (MARGIN_DAY_WORLD, PERP_DAY_WORLD, OCO_DAY_WORLD)
"""Venues at which every order dies at the close."""


def at(*worlds):
    """Tell a scenario at each of the worlds, long and (where one can be) short. The test gets `begin`."""
    tellings = [(world, mirrored) for world in worlds for mirrored in (False, True) if world.shorts or not mirrored]
    return pytest.mark.parametrize(
        "begin",
        [partial(Story, world, mirrored) for world, mirrored in tellings],
        ids=[f"{world.name}-{'short' if mirrored else 'long'}" for world, mirrored in tellings],
    )


class Fate(NamedTuple):
    """What happens to the next request of a kind: 'lost', 'answer lost', 'late', 'held' or a refusal's code.

    Of a pair also 'stop alone' and 'target alone': half of it arrives.
    """

    kind: str
    what: str
    times: int


class Story:
    """One bracket B1, its entry E1, one account. Quantities and prices as the long's; words as a trader's."""

    def __init__(self, world, mirrored=False, *, protection=None, policy=None, overfill=False, held=0, **rules):
        self.world, self.mirrored, self.overfill = world, mirrored, overfill
        self.side = Side.SELL if mirrored else Side.BUY
        rules = {name: d(value) if type(value) in (int, str) else value for name, value in rules.items()}
        self.instrument = Instrument("X", **rules)
        self.venue = SimulatedVenue(
            world.capabilities, [self.instrument], positions={"X": self._signed(d(held))} if held else None
        )
        self.held_before = d(held)
        self.now_ns = BEGAN_NS
        self.records = []
        self.notes = []
        self.turn = Turn(Engine(), self.records.extend)
        self.outbox = deque()
        """Requests decided and not yet sent."""
        self.wire = deque()
        """Reports on their way to us."""
        self.sent = []
        """Every request that left the house, as 'verb id'."""
        self.late = []
        self.fates = []
        self.down = False
        self.reports_held = self.requests_held = False
        self.deaf = False
        """The stream of reports is dead, and nothing says so."""
        self.forgetful = False
        """The venue finds no order that has ended."""
        self.blind = False
        """The venue finds no order at all: asked for one, or to cancel one, it knows none."""
        self.refusals = []
        """Codes of what the venue refused of itself."""
        self._busy = False
        self.entry_id = ENTRY_ID
        protection = {"allow_synthetic": world.plan is Plan.SYNTHETIC, **(protection or {})}
        policy = replace(policy or Policy(), protection=ProtectionPolicy(**protection))
        for event in (
            PoliciesLoaded({"default": policy}, self.now_ns),
            InstrumentsLoaded((self.instrument,), self.now_ns),
            CapabilitiesLearned(world.capabilities, self.now_ns),
        ):
            self._fold(event)

    # ------------------------------------------------------------ what the trader does

    def enter(self, quantity=10, px=100, *, stop=90, target=110, atr=None):
        """Ask for protection, then send the entry, a limit. Without a stop it comes from `atr`."""
        self._request(quantity, stop, target, atr)
        lasts = TimeInForce.GTC if self.world.capabilities.gtc else TimeInForce.DAY
        entry = NewOrder(
            ENTRY_ID, "X", self.side, OrderType.LIMIT, d(quantity), limit_px=self.px(px), time_in_force=lasts
        )
        self._venue(SubmitOrder("", entry))
        return self

    def hold(self, quantity=10, px=100, **more):
        """Go in and be filled whole: the trade stands."""
        self.enter(quantity, px, **more)
        return self.price(px)

    def open(self, quantity=10, px=100, *, stop=90, target=110, market=100):
        """Have the whole trade opened: its entry, a limit, is ours to send. The market is at `market`."""
        self.entry_id = f"{BRACKET_ID}.entry1"
        self._fold(RiskLimitsLoaded(RiskLimits(), self._tick()))
        self.price(market, size=0)
        now_ns = self._tick()
        quote = Quote("X", self.px(market), self.px(market), now_ns, now_ns)
        self.take(
            BracketRequested(
                BRACKET_ID,
                "X",
                self.side,
                d(quantity),
                stop_px=self.px(stop),
                target_px=self.px(target),
                account_qty=self.venue.position("X"),
                entry=EntryTerms(self.px(px), equity=d(1_000_000), quote=quote),
                ts_event_ns=now_ns,
                ts_received_ns=now_ns,
            )
        )
        return self

    def cancel_entry(self):
        self._venue(CancelOrder("", self.entry_id))
        return self

    def entry_is(self, status):
        """The venue ends the entry by itself: 'expired', 'rejected'."""
        self._push(self.venue.yank(self.entry_id, OrderStatus(status), "venue", self._tick()))
        return self

    def flatten(self):
        self.take(FlattenRequested(BRACKET_ID, "by hand", ts_event_ns=self.now_ns, ts_received_ns=self.now_ns))
        return self

    def move_stop(self, px):
        """Bring the stop closer, by name."""
        now_ns = self._tick()
        self.take(LevelsChangeRequested(BRACKET_ID, stop_px=self.px(px), ts_event_ns=now_ns, ts_received_ns=now_ns))
        return self

    def trades_elsewhere(self, quantity):
        """Somebody moves the account's position by hand."""
        self._push(self.venue.adjust_position("X", self._signed(d(quantity)), self._tick()))
        return self

    def release(self):
        """Hand the position back: our exits go, it stays."""
        now_ns = self._tick()
        self.take(ReleaseRequested(BRACKET_ID, "by hand", ts_event_ns=now_ns, ts_received_ns=now_ns))
        return self

    def pause(self):
        """The kill switch: no new entries."""
        now_ns = self._tick()
        self.take(EntriesPaused("by hand", ts_event_ns=now_ns, ts_received_ns=now_ns))
        return self

    def others_order(self, client_order_id, quantity, px):
        """Somebody rests a limit of his own at the venue, on the exit side."""
        order = NewOrder(client_order_id, "X", self.side.opposite, OrderType.LIMIT, d(quantity), limit_px=self.px(px))
        self._venue(SubmitOrder("", order))
        return self

    def keeps_hours(self):
        """Tell the engine the market's hours: from an hour ago, six and a half hours each day."""
        opens_ns = tuple(BEGAN_NS + (24 * day - 1) * HOUR_NS for day in range(6))
        ends_ns = tuple(open_ns + 13 * HOUR_NS // 2 for open_ns in opens_ns)
        self.hours = opens_ns, ends_ns
        self._fold(SessionsLoaded("X", ends_ns, (), self.now_ns, opens_ns))
        return self

    def close(self):
        """The session ends: DAY orders die, and the market takes nothing."""
        self._go_to(min(end_ns for end_ns in self.hours[1] if end_ns > self.now_ns))
        self.venue.halt("X")
        self._push(self.venue.end_session(self._tick()))
        return self

    def reopen(self, px, *, seen=True):
        """The next session begins, at `px`."""
        open_ns = min(open_ns for open_ns in self.hours[0] if open_ns > self.now_ns)
        self._go_to(open_ns - 2 * STEP_NS)
        self.venue.resume("X")
        self.price(px, seen=seen)
        self._go_to(open_ns)
        return self.wait(1)

    def _go_to(self, at_ns):
        self.wait(d(at_ns - self.now_ns) / NS_PER_S)

    def _request(self, quantity, stop, target, atr):
        now_ns = self._tick()
        self.take(
            BracketRequested(
                BRACKET_ID,
                "X",
                self.side,
                d(quantity),
                ENTRY_ID,
                stop_px=self.px(stop),
                target_px=self.px(target),
                reading=VolatilityReading(atr_px=d(atr)),
                account_qty=self.venue.position("X"),
                ts_event_ns=now_ns,
                ts_received_ns=now_ns,
            )
        )

    # ------------------------------------------------------------ what the market does

    def price(self, px, size=None, *, offered=None, seen=True):
        """The market is at `px`, `size` units wanted there, and `offered` (else as many) offered.

        Not `seen`: the price feed does not tell us.
        """
        now_ns = self._tick()
        sizes = d(size), d(size if offered is None else offered)
        quote = Quote("X", self.px(px), self.px(px), now_ns, now_ns, *(sizes[::-1] if self.mirrored else sizes))
        self._push(self.venue.on_quote(quote))
        if seen:
            self.take(quote)
        return self

    def bar(self, open_px, high, low, close, model=FillModel.PESSIMISTIC):
        open_px, high, low, close = (self.px(px) for px in (open_px, high, low, close))
        bar = Bar("X", self._tick(), open_px, max(high, low), min(high, low), close)
        self._push(self.venue.on_bar(bar, model))
        return self

    def wait(self, seconds):
        """Let time pass, waking the engine when it asked to be woken."""
        until_ns = self.now_ns + int(d(seconds) * NS_PER_S)
        for _ in range(1000):
            due_ns = None if self.down else self.engine.next_deadline_ns
            if due_ns is None or due_ns > until_ns:
                self.now_ns = until_ns
                return self
            self.now_ns = max(self.now_ns, due_ns)
            self.take(TimerFired(self.now_ns, self.now_ns))
        raise AssertionError("the engine asks to be woken for ever")

    # ------------------------------------------------------------ what the venue and the wire do

    def next(self, kind, what, times=1):
        """Decide the fate of the next `times` requests: kind 'stop', 'target', 'exit', 'cancel', 'replace', 'pair'."""
        self.fates.append(Fate(kind, what, times))
        return self

    def hold_reports(self):
        self.reports_held = True
        return self

    def hold_requests(self):
        self.requests_held = True
        return self

    def deliver(self, order=None, *, twice=False):
        """Let what was held arrive; `order` rearranges the reports ('backwards' or indices)."""
        facts = list(self.wire)
        self.wire.clear()
        self.reports_held = self.requests_held = False
        if order == "backwards":
            facts.reverse()
        elif order is not None:
            facts = [facts[index] for index in order]
        for fact in facts * (2 if twice else 1):
            self.take(fact)
        self._pump()
        return self

    def send(self, count):
        """Let the first `count` requests that were held go out; the rest stay."""
        for _ in range(count):
            self._send(self.outbox.popleft())
        return self

    def entry_unknown(self):
        """Sending the entry had no answer."""
        self.take(RequestUnknown(ENTRY_ID, "submit", "no answer", "", self._tick(), self.now_ns))
        return self

    def drop_reports(self):
        """What was held is lost for ever."""
        self.wire.clear()
        self.reports_held = False
        return self

    def arrives_late(self):
        """Requests that were 'late' arrive at the venue now."""
        for command in self.late:
            self._venue(command)
        self.late.clear()
        return self

    def replay_reports(self):
        """Every report of the day comes again, as after a reconnect."""
        fills = self.venue.fills(0)
        for client_order_id in dict.fromkeys(fill.client_order_id for fill in fills):
            own = [fill for fill in fills if fill.client_order_id == client_order_id]
            for fact in executions_of(own, self._tick()):
                self.take(fact)
        for report in self.venue.history():
            self.take(replace(report, ts_received_ns=self.now_ns))
        return self

    def yank(self, leg, status, reason="venue"):
        """The venue ends the resting leg unasked."""
        for report in self.venue.open_orders():
            if f".{leg}" in report.client_order_id:
                self._push(self.venue.yank(report.client_order_id, OrderStatus(status), reason, self._tick()))
                return self
        raise AssertionError(f"no {leg} rests")

    def unlink(self):
        """The venue forgets that the two legs are a pair: both may fill."""
        for report in self.venue.open_orders():
            self.venue._desk.by_id[report.client_order_id].link = None
        return self

    # ------------------------------------------------------------ death and restart

    def kill(self):
        """The process dies: what it had not sent is not sent, what was on its way to it is lost."""
        self.down = True
        self.outbox.clear()
        self.wire.clear()
        self.reports_held = self.requests_held = False
        return self

    def restart(self):
        """Boot from the journal, then compare with the venue before anything else."""
        records = list(self.records)
        self.records = records[:]
        self.turn = Turn(refold(records, check=False).engine, self.records.extend, len(records))
        self.down = False
        return self.reconcile()

    def reconcile(self):
        """One pass of the real reconciler over this account."""
        self._tick()
        findings = asyncio.run(
            Reconciler(account := _Account(self), account, self.engine.brackets, self._found, timeout_s=60.0).run_pass()
        )
        assert findings.complete, findings.why
        self._pump()
        return self

    def notices(self):
        """Two comparisons with the venue, as far apart as they are in life."""
        return self.reconcile().wait(5).reconcile().wait(5)

    def _found(self, fact):
        return bool(self._fold(fact))

    # ------------------------------------------------------------ what is so

    @property
    def engine(self):
        return self.turn.engine

    @property
    def bracket(self):
        return self.engine.bracket(BRACKET_ID)

    @property
    def cover(self) -> Coverage:
        return measure(self.bracket, self.engine.terms(self.bracket))

    @property
    def position(self):
        """Units held for this trade, as the venue has it."""
        return self._signed(self.venue.position("X")) - self.held_before

    def resting(self):
        """Our exits at the venue, e.g. 'stop 10 @ 90, target 10 @ 110'; empty when nothing rests."""
        sums = {}
        for report in self.venue.open_orders():
            order = report.order
            if order.client_order_id == self.entry_id:
                continue
            leg = order.client_order_id.rpartition(".")[2].rstrip("0123456789")
            key = leg, self.px(order.stop_px if order.stop_px is not None else order.limit_px)
            sums[key] = sums.get(key, Decimal(0)) + order.quantity - report.cum_qty
        return ", ".join(
            f"{leg} {plain(quantity)}" + (f" @ {plain(px)}" if px is not None else "")
            for (leg, px), quantity in sorted(sums.items())
        )

    def trades(self):
        """What our exits traded, e.g. ['target 4 @ 110', 'stop 6 @ 90']."""
        return [
            f"{fill.client_order_id.rpartition('.')[2].rstrip('0123456789')} {plain(fill.quantity)}"
            f" @ {plain(self.px(fill.px))}"
            for fill in self.venue.fills(0)
            if fill.client_order_id != self.entry_id
        ]

    def told(self, kind, severity=None):
        """How often a note of a kind was told."""
        return sum(note.kind is kind and severity in (None, note.severity) for note in self.notes)

    @property
    def alarms(self):
        return [note for note in self.notes if note.severity is Severity.ALARM]

    # ------------------------------------------------------------ what must be so

    def guarded(self, quantity, *, stop=90, target=110):
        """`quantity` is held, known to be held, and guarded by what the venue's plan rests there, and by no more."""
        quantity = d(quantity)
        bracket, cover = self.bracket, self.cover
        assert bracket.plan is self.world.plan, bracket.plan_reason
        assert (self.position, cover.open_qty) == (quantity, quantity), (self.position, cover.open_qty)
        assert bracket.phase is Phase.OPEN, bracket.phase
        assert self.resting() == self.legs(quantity, stop, target), self.resting()
        assert (self.px(bracket.stop_px), self.px(bracket.target_px)) == (d(stop), d(target))
        if self.world.plan is not Plan.SYNTHETIC:
            assert cover.protected_qty == quantity, cover.protected_qty
            assert bracket.naked_since_ns is None
        return self.quiet()

    def legs(self, quantity, stop=90, target=110):
        """What rests for a position under the world's plan."""
        if self.world.plan is Plan.SYNTHETIC:
            return ""
        target_leg = f", target {plain(d(quantity))} @ {target}" if self.world.plan in RESTS_BOTH else ""
        return f"stop {plain(d(quantity))} @ {stop}{target_leg}"

    def over(self, *trades, phase=Phase.CLOSED):
        """The trade ended: nothing held, nothing of ours rests, the bracket closed once; `trades` as they were."""
        bracket = self.bracket
        assert (self.position, self.cover.open_qty) == (0, 0), (self.position, self.cover.open_qty)
        assert self.venue.open_orders() == [], self.resting()
        assert bracket.phase is phase, bracket.phase
        ended = NoteKind.EXTERNALLY_CLOSED if phase is Phase.EXTERNALLY_CLOSED else NoteKind.CLOSED
        assert self.told(ended) == 1
        if trades:
            assert self.trades() == list(trades), self.trades()
        assert (len(self.outbox), len(self.wire)) == (0, 0)
        return self

    def quiet(self):
        """Nothing is owed: every request is answered and nothing is stuck."""
        assert (len(self.outbox), len(self.wire)) == (0, 0)
        owed = stuck(self.bracket, self.engine.terms(self.bracket))
        assert owed == (), owed
        return self

    # ------------------------------------------------------------ the wire

    def take(self, fact):
        """Hand a fact to the engine and carry out what it decides."""
        if self.down:
            return
        self._fold(fact)
        self._pump()

    def _fold(self, fact):
        outcome = self.turn.take(fact)
        self.outbox.extend(outcome.commands)
        self.notes.extend(outcome.notes)
        if (bracket := self.bracket) is not None:
            wrong = violations(bracket, self.engine.terms(bracket))
            assert wrong == (), (wrong, fact)
        return outcome.journal

    def _pump(self):
        if self._busy:
            return
        self._busy = True
        try:
            while (self.outbox and not self.requests_held) or (self.wire and not self.reports_held):
                if self.wire and not self.reports_held:
                    self._fold(replace(self.wire.popleft(), ts_received_ns=self.now_ns))
                else:
                    self._send(self.outbox.popleft())
        finally:
            self._busy = False

    def _send(self, command):
        self.now_ns += STEP_NS
        if isinstance(command, QueryOrder):
            self.wire.extend(self._answer(command.client_order_id))
            return
        if isinstance(command, Reconcile):
            for order in self.bracket.orders:
                self.wire.extend(self._answer(order.client_order_id))
            self.wire.append(BracketReconciled(BRACKET_ID, self.now_ns, self.now_ns))
            return
        kind = _kind(command)
        self.sent.append(f"{kind} {_ids(command)[0].rpartition('.')[2]}")
        fate = self._fate(kind)
        if fate == "":
            self._venue(command)
        elif fate in ("lost", "late", "answer lost"):
            if fate == "late":
                self.late.append(command)
            elif fate == "answer lost":
                with suppress(Refused):
                    self.venue.apply(command, self.now_ns)  # it happened, and nobody heard of it
            self.wire.extend(self._facts(command, RequestUnknown, "no answer"))
        elif fate in ("stop alone", "target alone"):  # half of a pair arrives, and nobody says so
            half = command.stop if fate == "stop alone" else command.target
            self.venue.apply(SubmitOrder(command.bracket_id, half), self.now_ns)
            self.wire.extend(self._facts(command, RequestUnknown, "no answer"))
        elif fate == "held":
            self.late.append(command)
        else:
            self.wire.extend(self._facts(command, RequestRefused, fate, "as the scenario has it"))

    def _facts(self, command, fact, *words):
        verb = kind if (kind := _kind(command)) in ("cancel", "replace") else "submit"
        new = command.order.client_order_id if isinstance(command, ReplaceOrder) else ""
        return [fact(cid, verb, *words, new, self.now_ns, self.now_ns) for cid in _ids(command)]

    def _fate(self, kind):
        for index, fate in enumerate(self.fates):
            if fate.kind == kind:
                if fate.times == 1:
                    del self.fates[index]
                else:
                    self.fates[index] = fate._replace(times=fate.times - 1)
                return fate.what
        return ""

    def _venue(self, command):
        if self.blind and isinstance(command, CancelOrder):
            self._refused(command, Refused("no such order", code="unknown_order"))
            return
        try:
            reports = self.venue.apply(command, self.now_ns)
        except Refused as refused:
            self._refused(command, refused)
        else:
            self._push(reports)

    def _refused(self, command, refused):
        self.refusals.append(refused.code)
        self._push(refusals(command, refused, self.now_ns))

    def _push(self, reports):
        self.wire.extend(reports)
        if not self.overfill:
            assert self.position >= 0, "exits took more than was held"
        if self.down or self.deaf:
            self.wire.clear()
        self._pump()

    def look_up(self, client_order_id):
        """What the venue says of an order when asked for it."""
        report = self.venue.order(client_order_id)
        if self.blind or (self.forgetful and report is not None and report.status in FINAL_STATUSES):
            return None
        return report

    def _answer(self, client_order_id):
        """What the runtime makes of a query: the order's fills, then its state; not found only without either."""
        fills = [fill for fill in self.venue.fills(0) if fill.client_order_id == client_order_id]
        facts = executions_of(fills, self.now_ns)
        report = self.look_up(client_order_id)
        if report is not None:
            facts.append(report)
        elif not fills:
            facts.append(OrderNotFound(client_order_id, self.now_ns, self.now_ns, self.now_ns))
        return facts

    # ------------------------------------------------------------ the mirror and the clock

    def px(self, px):
        px = d(px)
        return px if px is None or not self.mirrored else MIRROR_AT - px

    def _signed(self, quantity):
        return -quantity if self.mirrored else quantity

    def _tick(self):
        self.now_ns += STEP_NS
        return self.now_ns


class _Account:
    """The account and the clock as the reconciler asks for them: answers at once, always true."""

    def __init__(self, story):
        self._story, self._venue = story, story.venue

    def now_ns(self):
        return self._story.now_ns

    async def open_orders(self):
        return [] if self._story.blind else self._venue.open_orders()

    async def fills(self, since_ns):
        return self._venue.fills(since_ns)

    async def order(self, client_order_id):
        return self._story.look_up(client_order_id)

    async def position(self, symbol):
        return self._venue.position(symbol)


def _kind(command):
    if isinstance(command, CancelOrder):
        return "cancel"
    if isinstance(command, ReplaceOrder):
        return "replace"
    if isinstance(command, SubmitOco):
        return "pair"
    return command.order.client_order_id.rpartition(".")[2].rstrip("0123456789")


def _ids(command):
    if isinstance(command, SubmitOco):
        return command.stop.client_order_id, command.target.client_order_id
    if isinstance(command, SubmitOrder):
        return (command.order.client_order_id,)
    return (command.client_order_id,)
