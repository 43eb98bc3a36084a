"""Breadth first through every interleaving of an engine and a small venue.

A state of the world is a value: one bracket, the venue, and every message on its way. From each state every choice
is tried: a request arrives, is lost, is late, is refused; an answer or any pushed report arrives, in any order, once
or twice; units fill; the price moves; a level watched here is touched; a timer fires. Mischief and price moves are
rationed, so the walk ends. After every step the engine's view and the venue's truth are checked; where nothing more
is bound to happen the bracket must be covered or ended, and agree with the venue to the unit.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from grodtd.domain.bracket import ALIVE, ENDED, Bracket, OrderState, Phase
from grodtd.domain.capabilities import Capabilities
from grodtd.domain.commands import CancelOrder, Command, QueryOrder, Reconcile, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.events import (
    BracketRequested,
    CapabilitiesLearned,
    Event,
    FlattenRequested,
    InstrumentsLoaded,
    LevelsChangeRequested,
    OrderNotFound,
    PoliciesLoaded,
    RequestNotSent,
    RequestUnknown,
    TimerFired,
)
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import NewOrder, OrderReport, OrderStatus, Side
from grodtd.domain.policy import Plan, Policy, ProtectionPolicy
from grodtd.execution import bracket_order_manager, deadlines, exit_rules, oco_emulator, order_lifecycle
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.invariants import loosened, overcommitted, stuck, violations
from grodtd.execution.new_orders import VALID_FOR_NS
from grodtd.execution.trigger_book import TriggerBook
from grodtd.execution.watched_levels import watched_levels
from tests.walks.small_venue import HIGH, LOW, MID, NOW, PX, QTY, Order, Reports, Venue, carry_out, exec_id, refused

LONG_AGO_NS = 300 * 1_000_000_000
"""Older than any wait: times before that are all the same."""
STOP_PX, TARGET_PX, ENTRY_PX = Decimal(90), Decimal(110), Decimal(100)
MIRROR = {LOW: Decimal(115), MID: Decimal(100), HIGH: Decimal(80)}
ONE_LEG = (Plan.STOP_RESTING, Plan.SYNTHETIC)
STOCK = Instrument("X", tick_size=Decimal(1))
POLICY = Policy(protection=ProtectionPolicy(allow_synthetic=True))
HOUR_NS = 3_600_000_000_000


class World(NamedTuple):
    """Everything there is, at one instant."""

    bracket: Bracket
    venue: Venue
    lane: tuple[Command, ...] = ()
    """Commands waiting for their turn: one request at a time is on its way."""
    answer: tuple[Event, ...] = ()
    """The answer to the last request, on its way back; the lane waits for it."""
    late: tuple[tuple[Command, int], ...] = ()
    """Requests without an answer that may still arrive, and until when."""
    mischief: int = 0
    """How often the world may still misbehave."""
    moves: int = 0
    """How often the price may still move."""
    by_hand: int = 0
    """How often somebody may still interfere."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What is walked: a venue's abilities, a plan, and how much may go wrong."""

    name: str
    capabilities: Capabilities
    plan: Plan
    side: Side = Side.BUY
    entry_qty: int = 2
    filled_qty: int = 0
    """What of the entry is filled at the start."""
    mischief: int = 1
    moves: int = 1
    by_hand: int = 0
    evils: tuple[str, ...] = ()
    """The kinds of mischief allowed; empty: none."""
    instrument: Instrument = STOCK
    policy: Policy = POLICY
    strict: bool = True
    """Whether overselling is impossible whatever happens; False where the venue itself breaks its word."""
    lawless: bool = False
    """Whether the venue fills what it had ended, or takes in what it had dropped: then only the end counts."""
    reorder: bool = False
    """Whether pushed reports overtake each other freely; else that is mischief ("overtake")."""


@dataclass
class Walk:
    """What a walk saw."""

    states: int = 0
    steps: int = 0
    quiet: int = 0
    rows: set[tuple[str, str, str]] = field(default_factory=set)
    """(machine, state, meaning) of every table row that was used."""
    witness: dict[tuple[str, str, str], tuple[World, str]] = field(default_factory=dict)
    phases: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


class Broken(Exception):
    """An assertion of the walk failed: what, and the way there."""


class Host:
    """An engine that takes one bracket out of a state of the world and puts it back."""

    def __init__(self, setting: Setting) -> None:
        self.engine = Engine()
        self.setting = setting
        policy = replace(setting.policy, protection=replace(setting.policy.protection, plan=setting.plan))
        for event in (
            PoliciesLoaded({"default": policy}),
            InstrumentsLoaded((setting.instrument,)),
            CapabilitiesLearned(setting.capabilities),
        ):
            self.engine.process(event)
        self.untold: list[str] = []
        """Kinds of notes that ought to have been told and were not."""
        self.px = PX if setting.side is Side.BUY else MIRROR
        self.stop_px, self.target_px = (STOP_PX, TARGET_PX) if setting.side is Side.BUY else (TARGET_PX, STOP_PX)

    def begin(self) -> tuple[Bracket, tuple[Command, ...]]:
        setting = self.setting
        filled = QTY[setting.filled_qty]
        outcome = self.engine.process(
            BracketRequested(
                "B",
                "X",
                setting.side,
                QTY[setting.entry_qty],
                entry_client_order_id="B.entry1",
                filled_qty=filled,
                filled_px=ENTRY_PX if setting.filled_qty else None,
                stop_px=self.stop_px,
                target_px=self.target_px,
                account_qty=filled * setting.side.sign,
                ts_received_ns=NOW,
            )
        )
        bracket = self.engine.bracket("B")
        assert bracket is not None
        assert bracket.plan is setting.plan, bracket.plan_reason
        return bracket, outcome.commands

    def take(self, bracket: Bracket, event: Event) -> tuple[Bracket, tuple[Command, ...]]:
        engine = self.engine
        engine._brackets = {"B": bracket}
        outcome = engine.process(event)
        after = engine._brackets["B"]
        if after.phase is not bracket.phase or after.incidents != bracket.incidents:
            told = {note.kind for note in outcome.notes}
            self.untold += [kind for kind in _worth_telling(bracket, after) if kind not in told]
        return after, outcome.commands

    def due_ns(self, bracket: Bracket) -> int | None:
        return deadlines.next_deadline_ns(bracket, self.engine.terms(bracket), NOW)

    def fire(self, bracket: Bracket, due_ns: int) -> tuple[Bracket, tuple[Command, ...]]:
        """Fire the timer at `due_ns`, then shift time back to the present."""
        self.engine._due = {"B": due_ns}
        self.engine._deadlines = [(due_ns, "B")]
        bracket, commands = self.take(bracket, TimerFired(due_ns, due_ns))
        return shifted(bracket, due_ns - NOW), tuple(_moved(command, due_ns - NOW) for command in commands)

    def quote(self, bracket: Bracket, price: int) -> Quote | None:
        """The quote that touches a level of the bracket at this price; None when none does."""
        terms = self.engine.terms(bracket)
        stop_px, target_px = watched_levels(bracket, terms, NOW)
        move_px = exit_rules.watched_px(bracket, terms)
        if stop_px is target_px is move_px is None:
            return None
        book = TriggerBook()
        book.watch("X", "B", bracket.side, oco_emulator.Touch.STOP, stop_px)
        book.watch("X", "B", bracket.side, oco_emulator.Touch.TARGET, target_px)
        book.watch("X", "B", bracket.side, oco_emulator.Touch.MOVE, move_px)
        quote = Quote("X", self.px[price], self.px[price], NOW, NOW)
        if not book.touched(quote):
            return None
        self.engine._book = book
        self.engine._watching = {"B": None}
        return quote


def _worth_telling(before: Bracket, after: Bracket) -> list[str]:
    """The turns of a bracket's life nobody may miss."""
    kinds = []
    if after.phase in (Phase.CLOSED, Phase.RESIDUE):
        kinds.append(NoteKind.CLOSED if after.phase is Phase.CLOSED else NoteKind.RESIDUE)
    if before.phase in (Phase.CLOSING, *ENDED) and after.phase in (Phase.OPEN, Phase.EXITING):
        kinds.append(NoteKind.REOPENED)
    if after.incidents > before.incidents:
        kinds.append(NoteKind.OVERSOLD)
    return kinds


def shifted(bracket: Bracket, by_ns: int) -> Bracket:
    """Return a bracket as it is `by_ns` later, told in times relative to that instant; long ago is long ago."""

    def back(at_ns: int) -> int:
        return max(at_ns - by_ns, NOW - LONG_AGO_NS)

    def maybe(at_ns: int | None) -> int | None:
        return None if at_ns is None else back(at_ns)

    orders = tuple(
        replace(
            order,
            sent_ns=back(order.sent_ns),
            asked_ns=back(order.asked_ns),
            pending_sent_ns=back(order.pending_sent_ns),
            valid_until_ns=maybe(order.valid_until_ns),
            missed_ns=maybe(order.missed_ns),
            amend_retry_at_ns=maybe(order.amend_retry_at_ns),
            pending=None if order.pending is None else _older(order.pending, by_ns),
        )
        for order in bracket.orders
    )
    return replace(
        bracket,
        orders=orders,
        exit_retry_at_ns=maybe(bracket.exit_retry_at_ns),
        stop_failed_ns=back(bracket.stop_failed_ns),
        stop_retry_at_ns=maybe(bracket.stop_retry_at_ns),
        target_retry_at_ns=maybe(bracket.target_retry_at_ns),
        local_stop_until_ns=maybe(bracket.local_stop_until_ns),
        entry_deadline_ns=maybe(bracket.entry_deadline_ns),
        last_px_ns=back(bracket.last_px_ns),
        filled_ns=0,
        moved_ns=back(bracket.moved_ns) if bracket.moved_ns else 0,
        move_at_ns=maybe(bracket.move_at_ns),
        naked_since_ns=maybe(bracket.naked_since_ns),
        naked_ns=0,
        opened_ns=0,
        closed_ns=maybe(bracket.closed_ns),
    )


def _older(order: NewOrder, by_ns: int) -> NewOrder:
    return order if order.valid_until_ns is None else replace(order, valid_until_ns=order.valid_until_ns - by_ns)


def _moved(command: Command, by_ns: int) -> Command:
    if isinstance(command, SubmitOrder | ReplaceOrder):
        return replace(command, order=_older(command.order, by_ns))
    if isinstance(command, SubmitOco):
        return replace(command, stop=_older(command.stop, by_ns), target=_older(command.target, by_ns))
    return command


class Walker:
    """Walks one setting. `limit` is a safety net: a walk that grows beyond it fails."""

    def __init__(self, setting: Setting, *, limit: int = 400_000) -> None:
        self.setting = setting
        self.host = Host(setting)
        self.limit = limit
        self.rule = setting.capabilities.sibling_on_partial
        self.late_ns = VALID_FOR_NS + int(setting.capabilities.late_bound_s) * 1_000_000_000

    # ---------------------------------------------------------------- the search

    def run(self) -> Walk:
        walk = Walk()
        begin = self.first()
        came_from: dict[World, tuple[World, str] | None] = {begin: None}
        self._came_from = came_from
        queue = deque([begin])
        leads_to: dict[World, list[World]] = {}
        quiet: list[World] = []
        with recorded(walk):
            while queue:
                world = queue.popleft()
                bound = False
                for label, after, must in self.choices(world):
                    walk.steps += 1
                    bound = bound or must
                    leads_to.setdefault(after, []).append(world)
                    if after in came_from:
                        continue
                    came_from[after] = (world, label)
                    self.check(world, after, label)
                    queue.append(after)
                if not bound:
                    self.check_quiet(world)
                    quiet.append(world)
                walk.phases.add(world.bracket.phase)
                if len(came_from) > self.limit:
                    raise Broken(f"{self.setting.name}: more than {self.limit} states")
        walk.states, walk.quiet = len(came_from), len(quiet)
        self._check_all_end(came_from, leads_to, quiet)
        return walk

    def first(self) -> World:
        setting = self.setting
        bracket, commands = self.host.begin()
        entry = Order(
            "B.entry1",
            setting.entry_qty,
            "entry",
            ENTRY_PX,
            setting.filled_qty,
            (1,) * setting.filled_qty,
            status=OrderStatus.FILLED if setting.filled_qty == setting.entry_qty else OrderStatus.WORKING,
            leg="entry",
            fresh=False,
        )
        return World(
            bracket,
            Venue((entry,)),
            commands,
            mischief=setting.mischief,
            moves=setting.moves,
            by_hand=setting.by_hand,
        )

    def path(self, world: World) -> list[str]:
        """The choices that led to a state."""
        labels = []
        step = self._came_from.get(world)
        while step is not None:
            world, label = step
            labels.append(label)
            step = self._came_from[world]
        return labels[::-1]

    # ---------------------------------------------------------------- what may happen

    def choices(self, world: World) -> Iterator[tuple[str, World, bool]]:
        """(what happens, the world after it, whether it is bound to happen sooner or later)."""
        yield from self._deliveries(world)
        yield from self._requests(world)
        yield from self._venue(world)
        yield from self._market(world)
        yield from self._people(world)
        yield from self._time(world)

    def _told(self, world: World, *facts: Event) -> World:
        bracket, lane = world.bracket, world.lane
        for fact in facts:
            bracket, commands = self.host.take(bracket, fact)
            lane += commands
        return world._replace(bracket=bracket, lane=lane)

    def _deliveries(self, world: World) -> Iterator[tuple[str, World, bool]]:
        if world.answer:
            yield f"answer {_short(world.answer)}", self._told(world._replace(answer=()), *world.answer), True
        stream = world.venue.stream
        for index, report in enumerate(stream):
            if report in stream[:index]:
                continue
            rest: Reports = stream[:index] + stream[index + 1 :]
            kept = world._replace(venue=world.venue._replace(stream=rest))
            if index and not self.setting.reorder:
                if not self._may(world, "overtake"):
                    break
                kept = _evil(kept)
            yield f"report {_short((report,))}", self._told(kept, report), not index
            if self._may(world, "twice"):
                yield f"report {_short((report,))} and again", self._told(_evil(world), report), False

    def _requests(self, world: World) -> Iterator[tuple[str, World, bool]]:
        for index, (command, until_ns) in enumerate(world.late):
            rest = world.late[:index] + world.late[index + 1 :]
            venue, _ = carry_out(world.venue, command, self.rule)
            if isinstance(command, SubmitOrder) and venue is not world.venue:
                taken = venue.find(command.order.client_order_id)
                venue = venue.say(taken) if taken is not None and taken.open else venue
            assert until_ns > NOW
            yield f"late {_name(command)}", world._replace(venue=venue, late=rest), False
        if world.answer or not world.lane:
            return
        command, *others = world.lane
        assert not isinstance(command, Reconcile), "a reconciliation was asked for"
        sent = world._replace(lane=tuple(others))
        venue, answer = carry_out(world.venue, command, self.rule)
        yield _name(command), sent._replace(venue=venue, answer=answer), True
        evil = _evil(sent)
        if isinstance(command, QueryOrder):
            if self._may(world, "unknown"):
                yield f"{_name(command)} unanswered", evil, False
            asked = world.venue.find(command.client_order_id)
            if self._may(world, "stale") and asked is not None and asked.fresh:
                missing = OrderNotFound(command.client_order_id, NOW, NOW, NOW)
                yield f"{_name(command)} not found yet", evil._replace(answer=(missing,)), False
            return
        unknown = tuple(
            RequestUnknown(fact.client_order_id, fact.verb, "", fact.replacement_id, NOW, NOW)
            for fact in refused(command, "")
        )
        if self._may(world, "unknown"):
            yield f"{_name(command)} lost", evil._replace(answer=unknown), False
            yield f"{_name(command)} unheard", evil._replace(venue=venue, answer=unknown), False
        if self._may(world, "silence"):  # the process died between the wire and the answer
            yield f"{_name(command)} and silence", evil._replace(venue=venue), False
            yield f"{_name(command)} never left", evil, False
        if self._may(world, "undead"):
            late = (*world.late, (command, NOW + 20 * self.late_ns))
            yield f"{_name(command)} wanders", evil._replace(answer=unknown, late=late), False
        if self._may(world, "late"):
            late = (*world.late, (command, _valid_until(command) or NOW + self.late_ns))
            yield f"{_name(command)} travels on", evil._replace(answer=unknown, late=late), False
        if self._may(world, "half") and isinstance(command, SubmitOco):
            for leg in (command.stop, command.target):
                half, _ = carry_out(world.venue, SubmitOrder("B", leg), self.rule)
                yield f"half of {_name(command)}", evil._replace(venue=half, answer=unknown), False
        if self._may(world, "refuse") and not isinstance(command, CancelOrder):
            yield f"{_name(command)} refused", evil._replace(answer=refused(command, "busy")), False
        if self._may(world, "refuse_cancel") and isinstance(command, CancelOrder):
            yield f"{_name(command)} refused", evil._replace(answer=refused(command, "unknown_order")), False
        if self._may(world, "not_sent"):
            facts = tuple(
                RequestNotSent(fact.client_order_id, fact.verb, "", fact.replacement_id, NOW, NOW)
                for fact in refused(command, "")
            )
            yield f"{_name(command)} not sent", evil._replace(answer=facts), False
        if self._may(world, "thin") and isinstance(command, SubmitOrder):
            for thin in range(int(command.order.quantity)):
                venue, answer = carry_out(world.venue, command, self.rule, thin)
                yield f"{_name(command)} {thin} at once", evil._replace(venue=venue, answer=answer), False

    def _venue(self, world: World) -> Iterator[tuple[str, World, bool]]:
        venue = world.venue
        for order in venue.orders:
            if self._may(world, "bust"):
                for index, size in enumerate(order.fills):
                    if size > 0:
                        busted = _evil(world)._replace(venue=venue.bust(order, index))
                        yield f"{exec_id(order, index)} busted", busted, False
            if not order.open:
                ended = order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED)
                if ended and order.cum < order.quantity and self._may(world, "ghost"):
                    yield f"{order.cid} fills 1 after its end", _evil(world)._replace(venue=venue.ghost(order)), False
                continue
            if order.kind == "entry":
                yield f"{order.cid} fills 1", world._replace(venue=venue.fill(order, 1, self.rule)), False
                if self._may(world, "entry_ends"):
                    for status in (OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED):
                        yield f"{order.cid} {status}", _evil(world)._replace(venue=venue.end(order, status)), False
                continue
            if _is_ready(order, venue.price):
                for quantity in dict.fromkeys((order.leaves, 1)):
                    filled = venue.fill(order, quantity, self.rule)
                    yield f"{order.cid} fills {quantity}", world._replace(venue=filled), True
            if self._may(world, "yank"):
                for status in (OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED):
                    if order.triggered or status is not OrderStatus.REJECTED:
                        yanked = _evil(world)._replace(venue=venue.end(order, status))
                        yield f"{order.cid} yanked: {status}", yanked, False
            if self._may(world, "leak") and order.linked:
                sibling = venue.find(order.linked)
                if sibling is not None and sibling.open:  # the link fails: both legs fill
                    both = venue.put(order._replace(linked="")).put(sibling._replace(linked=""))
                    yield f"{order.cid} unlinked", _evil(world)._replace(venue=both), False

    def _market(self, world: World) -> Iterator[tuple[str, World, bool]]:
        if world.moves:
            for price in (LOW, MID, HIGH):
                if price != world.venue.price:
                    moved = world._replace(venue=world.venue.move(price), moves=world.moves - 1)
                    yield f"price {('low', 'mid', 'high')[price + 1]}", moved, False
        quote = self.host.quote(world.bracket, world.venue.price)
        if quote is not None:
            touched = self._told(world, quote)
            if touched == world and self._sellable(world.venue.position):
                self._fail(world, "quote", ["a level was touched, and nothing came of it"])
            yield "quote", touched, True

    def _people(self, world: World) -> Iterator[tuple[str, World, bool]]:
        bracket = world.bracket
        if not world.by_hand or bracket.phase in ENDED:
            return
        meddled = world._replace(by_hand=world.by_hand - 1)
        last_px = self.host.px[world.venue.price]
        yield "flatten", self._told(meddled, FlattenRequested("B", last_px=last_px, ts_received_ns=NOW)), False
        if bracket.levels is not None and bracket.exits is not oco_emulator.E.LEAVE:
            closer = bracket.side.sign * Decimal(2)
            change = LevelsChangeRequested(
                "B", self.host.stop_px + closer, self.host.target_px - closer, ts_received_ns=NOW
            )
            yield "move levels", self._told(meddled, change), False

    def _time(self, world: World) -> Iterator[tuple[str, World, bool]]:
        """Timers fire when nothing else is on its way; early ones are mischief."""
        due_ns = self.host.due_ns(world.bracket)
        if due_ns is None:
            return
        idle = not (world.lane or world.answer or world.venue.stream or self._restless(world))
        waits = due_ns - NOW
        if not idle and not self._may(world, "timer"):
            return
        bracket, commands = self.host.fire(world.bracket, due_ns)
        late = tuple((_moved(c, waits), until - waits) for c, until in world.late if until - waits > NOW)
        lane = tuple(_moved(command, waits) for command in world.lane) + commands
        known = world.venue._replace(orders=tuple(order._replace(fresh=False) for order in world.venue.orders))
        after = (world if idle else _evil(world))._replace(bracket=bracket, late=late, lane=lane, venue=known)
        yield f"{waits / 1e9:g} s pass", after, idle and waits < HOUR_NS // 2

    def _restless(self, world: World) -> bool:
        """Whether something at the venue or in the market is bound to happen."""
        venue = world.venue
        ready = any(order.open and order.kind != "entry" and _is_ready(order, venue.price) for order in venue.orders)
        return ready or self.host.quote(world.bracket, venue.price) is not None

    def _may(self, world: World, evil: str) -> bool:
        return world.mischief > 0 and evil in self.setting.evils

    # ---------------------------------------------------------------- what must hold

    def check(self, before: World, world: World, label: str) -> None:
        """At every step: the engine's view is sane, and the venue's truth is safe."""
        bracket, venue = world.bracket, world.venue
        terms = self.host.engine.terms(bracket)
        broken = list(violations(bracket, terms))
        if self.setting.lawless:
            broken = [what for what in broken if not what.startswith("S")]
        if bracket.frozen_reason:
            broken.append(f"surprised: {bracket.frozen_reason}")
        if self.host.untold:
            broken.append(f"not told: {', '.join(self.host.untold)}")
            self.host.untold.clear()
        if (bracket.phase in ENDED) is (bracket.closed_ns is None):
            broken.append(f"it is {bracket.phase}, and closed_ns is {bracket.closed_ns}")
        if label != "move levels" and loosened(before.bracket, bracket):
            broken.append("S4 the stop was loosened")
        if self.setting.strict:
            if bracket.incidents:
                broken.append("an incident was recorded")
            if self.setting.plan in ONE_LEG and overcommitted(bracket, terms) > 0:
                broken.append(f"S2 {overcommitted(bracket, terms)} more may sell than is open")
            if venue.position < 0:
                broken.append(f"S1 {-venue.position} oversold at the venue")
            if venue.committed > max(venue.position, 0):
                broken.append(f"S2 {venue.committed} may still sell at the venue, {venue.position} is open")
        if broken:
            self._fail(before, label, broken)

    def check_quiet(self, world: World) -> None:
        """Nothing more is bound to happen: covered or ended, nothing owed, and of one mind with the venue."""
        bracket, venue = world.bracket, world.venue
        terms = self.host.engine.terms(bracket)
        broken = list(stuck(bracket, terms))
        broken += self._disagreements(bracket, venue)
        position = venue.position
        if bracket.phase in (Phase.CLOSED, Phase.RESIDUE):
            working = [o.cid for o in venue.orders if o.open]
            coming = [_name(command) for command, _ in world.late if carry_out(venue, command, self.rule)[0] != venue]
            if working or (coming and not self.setting.lawless):
                broken.append(f"ended, and {working} work and {coming} may come")
        elif self._sellable(position) and self.setting.plan is not Plan.SYNTHETIC and venue.stops < position:
            broken.append(f"{position} open and {venue.stops} covered at the venue")
        if position < 0 and self.setting.instrument.sellable(QTY[-position], self.host.stop_px):
            broken.append(f"{-position} oversold, and nobody buys it back")
        if position == 0 and venue.committed and not self.setting.capabilities.native_oco:
            broken.append(f"flat, and {venue.committed} may still sell")
        if bracket.plan in (Plan.PAIR_REDUCE_ONLY, Plan.NATIVE_OCO) and bracket.phase is Phase.OPEN:
            targets = sum(order.leaves for order in venue.orders if order.leg == "target")
            if targets != position and self._sellable(position):
                broken.append(f"{position} open and {targets} in targets")
        if venue.price == LOW and self._sellable(position):
            broken.append("the price went through the stop, and we hold on")
        if broken:
            self._fail(world, "quiet", broken)

    def _sellable(self, position: int) -> bool:
        return bool(self.setting.instrument.sellable(QTY[max(position, 0)], self.host.stop_px))

    def _disagreements(self, bracket: Bracket, venue: Venue) -> list[str]:
        found = []
        known = {}
        for order in bracket.orders:
            for cid in (order.client_order_id, *order.past_ids):
                known[cid] = order
        for there in venue.orders:
            here = known.get(there.cid)
            if here is None:
                found.append(f"{there.cid} is unknown here")
            elif int(here.cum_qty) != there.cum or here.alive != there.open:
                found.append(
                    f"{there.cid} filled {there.cum} and is {there.status} there, {here.cum_qty} and {here.state} here"
                )
        for order in bracket.orders:
            if order.state in ALIVE and venue.find(order.client_order_id) is None:
                found.append(f"{order.client_order_id} is {order.state} here and unknown there")
            if order.state is OrderState.UNSURE:
                found.append(f"{order.client_order_id} is still unsure")
        return found

    def _check_all_end(
        self, came_from: dict[World, tuple[World, str] | None], leads_to: dict[World, list[World]], quiet: list[World]
    ) -> None:
        """From every state some quiet one can be reached: nothing goes round for ever."""
        reached = set(quiet)
        queue = deque(quiet)
        while queue:
            for before in leads_to.get(queue.popleft(), ()):
                if before not in reached:
                    reached.add(before)
                    queue.append(before)
        for world in came_from:
            if world not in reached:
                self._fail(world, "round and round", ["no quiet state can be reached"])

    def _fail(self, world: World, label: str, broken: list[str]) -> None:
        path = " > ".join([*self.path(world), label])
        raise Broken(f"{self.setting.name}: {'; '.join(broken)}\n  way: {path}")


class recorded:  # noqa: N801 - reads as a verb: `with recorded(walk):`
    """Notes every table row a walk uses."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk

    def __enter__(self) -> None:
        self._tables = [
            (order_lifecycle, "order"),
            (oco_emulator, "exits"),
            (bracket_order_manager, "bracket"),
        ]
        self._plain = [module.TABLE for module, _ in self._tables]
        for module, name in self._tables:
            module.TABLE = Noting(module.TABLE, name, self.walk.rows)

    def __exit__(self, *_: object) -> None:
        for (module, _), table in zip(self._tables, self._plain, strict=True):
            module.TABLE = table


class Noting(dict):
    """A table that remembers which of its rows were looked up."""

    def __init__(self, rows, name, seen) -> None:
        super().__init__(rows)
        self.name, self.seen = name, seen

    def get(self, key, default=None):
        row = super().get(key, default)
        if row is not None:
            self.seen.add((self.name, str(key[0]), str(key[1])))
        return row


def _valid_until(command: Command) -> int | None:
    if isinstance(command, SubmitOrder | ReplaceOrder):
        return command.order.valid_until_ns
    return command.stop.valid_until_ns if isinstance(command, SubmitOco) else None


def _is_ready(order: Order, price: int) -> bool:
    """Whether an open exit is bound to fill at this price."""
    return order.triggered if order.kind == "stop" else order.kind == "now" or price == HIGH


def _evil(world: World) -> World:
    return world._replace(mischief=world.mischief - 1)


def _name(command: Command) -> str:
    if isinstance(command, SubmitOrder):
        return f"send {command.order.client_order_id}({command.order.quantity})"
    if isinstance(command, SubmitOco):
        return f"send {command.stop.client_order_id}+{command.target.client_order_id}({command.stop.quantity})"
    if isinstance(command, ReplaceOrder):
        new = command.order
        return f"change {command.client_order_id}->{new.client_order_id}({new.quantity})"
    if isinstance(command, CancelOrder):
        return f"cancel {command.client_order_id}"
    return f"ask {getattr(command, 'client_order_id', '')}"


def _short(facts: tuple[Event, ...]) -> str:
    words = []
    for fact in facts:
        name = getattr(fact, "client_order_id", "")
        if isinstance(fact, OrderReport) or hasattr(fact, "status"):
            words.append(f"{name} {fact.status} {fact.cum_qty}")
        else:
            words.append(f"{name} {type(fact).__name__} {getattr(fact, 'code', '')}".strip())
    return ", ".join(words)
