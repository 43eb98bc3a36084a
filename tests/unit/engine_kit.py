"""A trade under an engine's care, for tests: facts in few words, intentions as sentences, and the same story mirrored.

    trade = Trade(STOPS, quantity=10, filled=0)
    assert trade.fills("entry1", 4) == ["send stop1: 4 stop 90"]

A mirrored trade tells the story of a long as that of a short: 200 - price for price, and back again in what comes out,
so one expectation serves both sides. After every fact the engine's own invariants are asked for.
"""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from grodtd.domain.capabilities import Amend, Capabilities, ReduceOnly, SiblingOnPartial, StopOrders
from grodtd.domain.commands import CancelOrder, QueryOrder, Reconcile, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.events import (
    BracketReconciled,
    BracketRequested,
    CapabilitiesLearned,
    EntriesResumed,
    FlattenRequested,
    InstrumentsLoaded,
    LevelsChangeRequested,
    OrderNotFound,
    PoliciesLoaded,
    PositionReported,
    ReleaseRequested,
    RequestNotSent,
    RequestRefused,
    RequestUnknown,
    TimerFired,
)
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.market import Quote
from grodtd.domain.money import ZERO, plain
from grodtd.domain.orders import ExecutionReport, OrderReport, OrderStatus, OrderType, Side, TimeInForce
from grodtd.domain.policy import Policy, ProtectionPolicy
from grodtd.execution.coverage import measure
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.invariants import violations

S = 1_000_000_000
MIRROR_AT = Decimal(200)
STATUS = OrderStatus

STOPS = Capabilities(name="stops")
"""Stop orders and nothing else."""
AMENDS = Capabilities(name="amends", amend=Amend.REPLACE)
PERP = Capabilities(name="perp", reduce_only=ReduceOnly.PER_ORDER, amend=Amend.REPLACE)
PAIRS = Capabilities(name="pairs", native_oco=True, sibling_on_partial=SiblingOnPartial.CANCEL)
NO_STOPS = Capabilities(name="no_stops", stop_orders=StopOrders.NONE)

both_sides = pytest.mark.parametrize("mirrored", [False, True], ids=["long", "short"])


def d(value):
    return None if value is None else Decimal(str(value))


class Trade:
    """One bracket `B`, long from 100 with a stop at 90 and a target at 110 unless said otherwise."""

    def __init__(
        self,
        capabilities=STOPS,
        *,
        quantity=10,
        filled=None,
        stop=90,
        target=110,
        last_px=None,
        mirrored=False,
        instrument=None,
        protection=None,
        policy=None,
        fee=0,
        sane=True,
        account=None,
    ):
        self.engine = Engine()
        self.mirrored = mirrored
        self.now_ns = 1_000 * S
        self.sane = sane
        """Whether the invariants are asked for after every fact."""
        self.notes = []
        self.side = Side.SELL if mirrored else Side.BUY
        self.fills_so_far = {}
        policy = policy or Policy(protection=protection or ProtectionPolicy(allow_synthetic=True))
        self.tell(PoliciesLoaded({"default": policy}))
        self.tell(InstrumentsLoaded((instrument or Instrument("X", tick_size=Decimal(1)),)))
        self.tell(CapabilitiesLearned(capabilities))
        filled = quantity if filled is None else filled
        self.first = self.request("B", quantity, filled, stop, target, last_px, fee, account)

    # ---------------------------------------------------------------- what happens

    def request(self, name, quantity, filled, stop=90, target=110, last_px=None, fee=0, account=None, side=None):
        return self.tell(
            BracketRequested(
                name,
                "X",
                side or self.side,
                d(quantity),
                entry_client_order_id=f"{name}.entry1",
                filled_qty=d(filled),
                filled_px=self.px(100) if filled else None,
                fee=d(fee),
                fee_asset=FeeAsset.BASE if fee else FeeAsset.QUOTE,
                stop_px=self.px(stop),
                target_px=self.px(target),
                last_px=self.px(last_px),
                account_qty=d(filled) * self.side.sign if account is None else d(account),
            )
        )

    def fills(self, name, quantity, px=None, *, status=None, exec_id=None, cum=None, fee=0, leaves=None):
        """`quantity` more units of an order fill; FILLED when that completes it, unless told otherwise."""
        order = self.order(name)
        done = self.fills_so_far.get(name, order.cum_qty if order else ZERO)
        cum = done + d(quantity) if cum is None else d(cum)
        self.fills_so_far[name] = max(done, cum)
        if status is None:
            whole = order is not None and cum >= order.quantity
            status = STATUS.FILLED if whole else STATUS.WORKING
        level = px if px is not None else {"stop": 90, "target": 110}.get(name.rstrip("0123456789"), 100)
        return self.tell(
            ExecutionReport(
                self.cid(name),
                status,
                cum,
                exec_id or f"{name}:{plain(cum)}",
                d(quantity),
                self.px(level),
                fee=d(fee),
                fee_asset=FeeAsset.BASE if fee else FeeAsset.QUOTE,
            )
        )

    def busts(self, name, quantity, exec_id, *, cum, status=STATUS.WORKING, bust_id=None):
        return self.tell(
            ExecutionReport(
                self.cid(name),
                status,
                d(cum),
                bust_id or f"bust {exec_id}",
                d(quantity),
                None,
                exec_ref_id=exec_id,
            )
        )

    def reports(self, name, status, cum=0, reason=""):
        """A change of status on the stream."""
        return self.tell(ExecutionReport(self.cid(name), status, d(cum), reason=reason))

    def acks(self, *names):
        words = []
        for name in names:
            words += self.reports(name, STATUS.WORKING, self.cum(name))
        return words

    def cancels(self, name, cum=None):
        return self.reports(name, STATUS.CANCELED, self.cum(name) if cum is None else cum)

    def answers(self, name, status, cum=0, px=None):
        """The venue answers a query, or a request, with the order as it is."""
        return self.tell(OrderReport(self.cid(name), status, d(cum), self.px(px)))

    def refuses(self, name, code="busy", verb="submit", new=""):
        return self.tell(RequestRefused(self.cid(name), verb, code, "", self.cid(new) if new else ""))

    def silence(self, name, verb="submit", new=""):
        return self.tell(RequestUnknown(self.cid(name), verb, "", self.cid(new) if new else ""))

    def not_sent(self, name, verb="submit", new=""):
        return self.tell(RequestNotSent(self.cid(name), verb, "", self.cid(new) if new else ""))

    def not_found(self, name, asked_ns=None):
        return self.tell(OrderNotFound(self.cid(name), self.now_ns if asked_ns is None else asked_ns))

    def account(self, quantity):
        """The account's position is read: `quantity` units of our side."""
        return self.tell(PositionReported("X", d(quantity) * self.side.sign, self.now_ns))

    def resumes(self):
        return self.tell(EntriesResumed("settled"))

    def quote(self, px):
        return self.tell(Quote("X", self.px(px), self.px(px)))

    def wait(self, seconds):
        """Let time pass, with every timer that comes due."""
        until_ns = self.now_ns + int(seconds * S)
        words = []
        while (due_ns := self.engine.next_deadline_ns) is not None and due_ns <= until_ns:
            assert due_ns > self.now_ns, "a timer asked for the past"
            self.now_ns = due_ns
            words += self.tell(TimerFired(due_ns, due_ns))
        self.now_ns = until_ns
        return words

    def flatten(self, last_px=None):
        return self.tell(FlattenRequested("B", last_px=self.px(last_px)))

    def release(self, **more):
        return self.tell(ReleaseRequested("B", "asked to", **more))

    def levels(self, stop=None, target=None, **more):
        return self.tell(LevelsChangeRequested("B", self.px(stop), self.px(target), **more))

    def reconciled(self):
        return self.tell(BracketReconciled("B"))

    def tell(self, event):
        """Hand any fact in; return the intentions as sentences."""
        outcome = self.engine.process(replace(event, ts_received_ns=self.now_ns))
        self.notes += outcome.notes
        bracket = self.engine.bracket("B")
        if bracket is not None and self.sane:
            assert not bracket.frozen_reason, bracket.frozen_reason
            assert violations(bracket, self.engine.terms(bracket)) == ()
        return [self.words(command) for command in outcome.commands]

    # ---------------------------------------------------------------- what came of it

    @property
    def bracket(self):
        return self.engine.bracket("B")

    @property
    def cover(self):
        return measure(self.bracket, self.engine.terms(self.bracket))

    @property
    def phase(self):
        return self.bracket.phase.value

    @property
    def open(self):
        return plain(self.cover.open_qty)

    def order(self, name):
        for order in self.bracket.orders:
            if self.cid(name) in (order.client_order_id, *order.past_ids):
                return order
        return None

    def state(self, name):
        order = self.order(name)
        return f"{order.state.value} {plain(order.cum_qty)}"

    def cum(self, name):
        order = self.order(name)
        return order.cum_qty if order else ZERO

    def told(self, kind):
        """The notes of a kind so far."""
        return [note for note in self.notes if note.kind.value == kind]

    # ---------------------------------------------------------------- words

    def cid(self, name):
        return name if "." in name else f"B.{name}"

    def px(self, value):
        if value is None:
            return None
        return MIRROR_AT - d(value) if self.mirrored else d(value)

    def _level(self, px):
        return plain(MIRROR_AT - px if self.mirrored else px)

    def words(self, command):
        if isinstance(command, SubmitOco):
            return f"send {self._order(command.stop)} | {self._order(command.target)}"
        if isinstance(command, SubmitOrder):
            return f"send {self._order(command.order)}"
        if isinstance(command, ReplaceOrder):
            return f"change {self._name(command.client_order_id)} into {self._order(command.order)}"
        if isinstance(command, CancelOrder):
            return f"cancel {self._name(command.client_order_id)}"
        if isinstance(command, QueryOrder):
            return f"ask {self._name(command.client_order_id)}"
        assert isinstance(command, Reconcile)
        return "reconcile"

    def _name(self, client_id):
        return client_id.removeprefix("B.")

    def _order(self, order):
        text = f"{self._name(order.client_order_id)}: {plain(order.quantity)}"
        if order.order_type is OrderType.MARKET:
            text += " at market"
        if order.stop_px is not None:
            text += f" stop {self._level(order.stop_px)}"
        if order.limit_px is not None:
            text += f" limit {self._level(order.limit_px)}"
        return text + (" now" if order.time_in_force is TimeInForce.IOC else "")
