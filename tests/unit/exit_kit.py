"""A trade at a simulated venue that answers at once, for tests of exit policies: quotes and bars come, exits happen.

    desk = Desk(STOPS_REST, trail(distance=5))
    desk.quotes(104, 107)
    assert desk.stop == "102 trail"

After every fact it is asked: no stop was loosened, what may still sell is no more than what is open, what is open is
covered, and every order is of whole lots, on the tick. A restarted desk goes on with an engine made anew.
"""

from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.bracket import ENDED
from grodtd.domain.commands import CancelOrder, QueryOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.events import (
    BarsClosed,
    BracketRequested,
    CapabilitiesLearned,
    FlattenRequested,
    InstrumentsLoaded,
    LevelsChangeRequested,
    OrderNotFound,
    PoliciesLoaded,
    RequestRefused,
    TimerFired,
)
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.money import plain
from grodtd.domain.orders import Leg, Side
from grodtd.domain.policy import Policy, ProtectionPolicy, RatchetOn, RatchetPolicy
from grodtd.execution.coverage import measure
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.invariants import violations
from grodtd.execution.levels import is_looser
from grodtd.execution.snapshot import decode, encode, restore, snapshot
from grodtd.venue.profiles import MARGIN, NO_STOPS, PERP, SPOT_LOCKED, SPOT_OCO
from grodtd.venue.venue import SimulatedVenue

S = 1_000_000_000
VENUES = {"stop_resting": MARGIN, "native_oco": SPOT_OCO, "pair_reduce_only": PERP, "synthetic": NO_STOPS}
"""A venue for each placement plan."""
SHORTS = ("stop_resting", "pair_reduce_only")
SPOT = SPOT_LOCKED


def d(value):
    return None if value is None else Decimal(str(value))


def by_quote(step_ticks=1, min_interval_s=0):
    return RatchetPolicy(RatchetOn.QUOTE, step_ticks, d(min_interval_s))


class Desk:
    """One bracket `B` for 10 units, long from 100 with a stop at 90 and a target at 130 unless said otherwise."""

    def __init__(
        self, venue, policy, *, quantity=10, stop=90, target=130, side=Side.BUY, instrument=None, atr=None, strict=True
    ):
        self.instrument = instrument or Instrument("X", tick_size=Decimal("0.5"))
        self.capabilities = VENUES[venue] if isinstance(venue, str) else venue
        position = d(quantity) * side.sign
        self.venue = SimulatedVenue(self.capabilities, [self.instrument], positions={"X": position})
        self.engine, self.side, self.strict = Engine(), side, strict
        self.facts, self.notes, self.sold, self.submitted = [], [], [], []
        self.now_ns = 1_000 * S
        self.stops = []
        policy = replace(policy, protection=ProtectionPolicy(allow_synthetic=True))
        self.tell(PoliciesLoaded({"default": policy}))
        self.tell(InstrumentsLoaded((self.instrument,)))
        self.tell(CapabilitiesLearned(self.capabilities))
        self.venue.on_quote(self._at(100), self.now_ns)
        self.tell(
            BracketRequested(
                "B",
                "X",
                side,
                d(quantity),
                entry_client_order_id="B.entry1",
                filled_qty=d(quantity),
                filled_px=d(100),
                stop_px=self.px(stop),
                target_px=self.px(target),
                last_px=d(100),
                account_qty=position,
                reading=None if atr is None else VolatilityReading(atr_px=d(atr), close_px=d(100)),
            )
        )

    # ---------------------------------------------------------------- what happens

    def px(self, value):
        """Tell a long's price, or its mirror for a short."""
        return None if value is None else d(value) if self.side is Side.BUY else 200 - d(value)

    def _at(self, px):
        return Quote("X", self.px(px), self.px(px), self.now_ns, self.now_ns)

    def quotes(self, *prices, every_s=1):
        for px in prices:
            self.wait(every_s)
            quote = self._at(px)
            self._reports(self.venue.on_quote(quote, self.now_ns))
            self.tell(quote)
        return self

    def bar(self, best, close=None, atr=None, bars=1):
        """A bar closed: its best price for the trade, its close."""
        self.wait(1)
        self._reports(self.venue.on_quote(self._at(best if close is None else close), self.now_ns))
        best, close = self.px(best), self.px(best if close is None else close)
        return self.tell(
            BarsClosed(
                "X",
                bid_high=best,
                bid_close=close,
                ask_low=best,
                ask_close=close,
                bars=bars,
                atr_px=d(atr),
                ts_event_ns=self.now_ns,
            )
        )

    def levels(self, stop=None, target=None, **more):
        return self.tell(LevelsChangeRequested("B", self.px(stop), self.px(target), **more))

    def flatten(self):
        return self.tell(FlattenRequested("B"))

    def wait(self, seconds):
        until_ns = self.now_ns + int(seconds * S)
        while (due_ns := self.engine.next_deadline_ns) is not None and due_ns <= until_ns:
            self.now_ns = max(due_ns, self.now_ns)
            self.tell(TimerFired(self.now_ns, self.now_ns))
        self.now_ns = until_ns
        return self

    def restart(self, how):
        """Go on with a new engine: from a snapshot, or from the journal's facts told again."""
        if how == "snapshot":
            self.engine = restore(decode(encode(snapshot(self.engine))))
        else:
            self.engine = Engine()
            for fact in self.facts:
                self.engine.process(fact)
        return self

    def tell(self, event):
        event = replace(event, ts_received_ns=self.now_ns)
        before = self.bracket
        outcome = self.engine.process(event)
        self.facts.append(event)
        self.notes += outcome.notes
        for command in outcome.commands:
            self._carry_out(command)
        loosened_by_hand = isinstance(event, LevelsChangeRequested) and event.allow_loosen
        self._check(before, loosened_by_hand)
        return self

    def _carry_out(self, command):
        orders = {SubmitOrder: ["order"], ReplaceOrder: ["order"], SubmitOco: ["stop", "target"]}.get(type(command), [])
        self.submitted += [getattr(command, name) for name in orders]
        if isinstance(command, QueryOrder):
            report = self.venue.order(command.client_order_id)
            self.tell(report if report is not None else OrderNotFound(command.client_order_id, self.now_ns))
        elif isinstance(command, SubmitOrder | SubmitOco | CancelOrder | ReplaceOrder):
            try:
                self._reports(self.venue.apply(command, self.now_ns))
            except Refused as refused:
                for name, verb, new in _refused(command):
                    self.tell(RequestRefused(name, verb, refused.code, str(refused), new))

    def _reports(self, reports):
        for report in reports:
            if report.last_qty:
                self.sold.append((self._told(report.last_px), report.last_qty))
            self.tell(report)

    # ---------------------------------------------------------------- what is always true

    def _check(self, before, loosened_by_hand):
        bracket = self.bracket
        if bracket is None or not self.strict:
            return
        assert not bracket.frozen_reason, bracket.frozen_reason
        assert violations(bracket, self.engine.terms(bracket)) == ()
        if before is not None and before.stop_px is not None and not loosened_by_hand:
            assert not is_looser(self.side, before.stop_px, bracket.stop_px), "a stop was loosened"
        for order in self.submitted:
            assert order.quantity > 0
            assert order.quantity % self.instrument.lot_size == 0
            for px in (order.stop_px, order.limit_px):
                assert px is None or px % self.instrument.tick_size == 0

    def settled(self):
        """Ask what must be true between facts, and at the end: covered, and every unit accounted for."""
        bracket = self.bracket
        cover = measure(bracket, self.engine.terms(bracket))
        assert sum(quantity for _, quantity in self.sold) + cover.open_qty == cover.entry_qty
        if bracket.phase not in ENDED:
            assert cover.protected_qty >= cover.sellable_qty or self.capabilities is NO_STOPS
        return True

    # ---------------------------------------------------------------- what came of it

    @property
    def bracket(self):
        return self.engine.bracket("B")

    @property
    def terms(self):
        return self.engine.terms(self.bracket)

    def _told(self, px):
        return plain(px if self.side is Side.BUY else 200 - px)

    @property
    def stop(self):
        return f"{self._told(self.bracket.stop_px)} {self.bracket.stop_why}"

    @property
    def phase(self):
        return self.bracket.phase.value

    @property
    def resting(self):
        """What rests at the venue: "stop 6 at 90", in long's prices, near to far from the entry."""
        words = []
        for order in self.bracket.orders:
            if order.alive and order.leg in (Leg.STOP, Leg.TARGET):
                px = order.stop_px if order.leg is Leg.STOP else order.limit_px
                words.append(f"{order.leg.value} {plain(order.leaves_qty)} at {self._told(px)}")
        return sorted(words)

    def told(self, kind):
        return [note for note in self.notes if note.kind.value == kind]


def _refused(command):
    if isinstance(command, SubmitOco):
        return [(leg.client_order_id, "submit", "") for leg in (command.stop, command.target)]
    if isinstance(command, SubmitOrder):
        return [(command.order.client_order_id, "submit", "")]
    if isinstance(command, CancelOrder):
        return [(command.client_order_id, "cancel", "")]
    return [(command.client_order_id, "replace", command.order.client_order_id)]


def policy(**blocks):
    return Policy(**blocks)
