"""A bracket's life: from a request, through fills, to an end nothing can undo unseen.

Every fact is booked first, whatever it means; then the bracket is settled: `classify` names what its quantities
mean, and `TABLE` gives the next phase and the rule that writes the commands. The exits of an open position are
the one-cancels-other machine's business (`oco_emulator`).

Beside the table there is one state-triggered move: an open bracket whose exits leave for good is EXITING.
"""

from collections.abc import Callable
from decimal import Decimal
from enum import Enum, auto

from msgspec.structs import replace

from grodtd.domain.bracket import (
    ALIVE,
    ENDED,
    Bracket,
    Execution,
    ExitState,
    LegOrder,
    OrderState,
    Phase,
)
from grodtd.domain.capabilities import ClientIdScope
from grodtd.domain.commands import QueryOrder, SubmitOrder
from grodtd.domain.errors import Surprise
from grodtd.domain.events import BracketRequested, FlattenRequested, OrderNotFound, RequestRefused
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ZERO, divide
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import ExecutionReport, Leg, NewOrder, OrderType, Side
from grodtd.domain.policy import Plan
from grodtd.execution import exit_orders
from grodtd.execution.coverage import RESTING, Coverage, entry_px, measure
from grodtd.execution.ladder import leave, leg_lost
from grodtd.execution.levels import plan_levels
from grodtd.execution.oco_emulator import OCOEmulator, Touch
from grodtd.execution.order_lifecycle import OrderFact, apply
from grodtd.execution.terms import Step, Terms

DUPLICATE_ID = "duplicate_id"


class Meaning(Enum):
    """What a bracket's quantities mean."""

    UNFILLED = auto()
    """Nothing filled; the entry may."""
    NEVER_FILLED = auto()
    """Nothing filled, and nothing can."""
    HELD = auto()
    """A position that can be sold."""
    DUST = auto()
    """Too little to sell by itself; more may come, or an order that can take it is alive."""
    UNSELLABLE = auto()
    """Too little to sell, and nothing will change that."""
    FLAT_BUSY = auto()
    """Nothing is open, but something may still fill."""
    FLAT = auto()
    """Nothing is open and nothing can fill."""
    OVERSOLD = auto()
    """More was sold than was held."""
    REMEDYING = auto()
    """The excess is being bought back."""


P, M = Phase, Meaning
Rule = Callable[[Step, Bracket, Terms, Coverage, Touch], Bracket]
_EXITS = OCOEmulator()


def nothing(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Nothing is owed."""
    return bracket


def guard(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Let the exits do what the position needs; a bracket that leaves wants no more of its entry."""
    bracket = _EXITS.step(step, bracket, terms, cover, touch)
    if bracket.exits is ExitState.LEAVE and cover.entry_alive:
        bracket = exit_orders.cancel_all(step, bracket, Leg.ENTRY)
    return bracket


def reopen(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """A fill came after the end: the position is real, so it is guarded again."""
    step.tell(NoteKind.REOPENED, Severity.WARNING, open_qty=cover.open_qty, was=bracket.phase.value)
    return guard(step, replace(bracket, closed_ns=None), terms, cover, touch)


def cancel_rest(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Nothing is open: whatever could still fill is asked to go, the entry included."""
    return exit_orders.cancel_all(step, bracket)


def neutralise(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Both legs filled all the same: everything else is asked to go, and the excess is bought back, once."""
    bracket = exit_orders.cancel_all(step, bracket, Leg.ENTRY, Leg.STOP, Leg.TARGET, Leg.EXIT)
    px = bracket.last_px or bracket.stop_px or ZERO
    excess = terms.instrument.sellable(-cover.open_qty, px) - cover.remedy_qty
    if bracket.exit_retry_at_ns is not None and step.now_ns < bracket.exit_retry_at_ns:
        return bracket
    step.tell(NoteKind.OVERSOLD, Severity.ALARM, open_qty=cover.open_qty, remedy_qty=excess)
    return replace(exit_orders.place_remedy(step, bracket, terms, excess), incidents=bracket.incidents + 1)


def end_as_residue(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Say what is left, and what it is worth; never try for ever."""
    px = bracket.stop_px or entry_px(bracket)
    value = cover.open_qty * px * terms.instrument.contract_multiplier
    step.tell(NoteKind.RESIDUE, Severity.WARNING, open_qty=cover.open_qty, value=value, px=px)
    return _ended(step, bracket)


def close(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Everything is done: nothing open, nothing that could still fill."""
    step.tell(NoteKind.CLOSED, entry_qty=cover.entry_qty, naked_ns=bracket.naked_ns)
    return _ended(step, bracket)


def _ended(step: Step, bracket: Bracket) -> Bracket:
    return replace(
        bracket,
        closed_ns=step.now_ns,
        exits=ExitState.GUARD,
        stop_retry_at_ns=None,
        target_retry_at_ns=None,
        exit_retry_at_ns=None,
        local_stop_until_ns=None,
    )


TABLE: dict[tuple[Phase, Meaning], tuple[Phase, Rule]] = {
    (P.WAITING, M.UNFILLED): (P.WAITING, nothing),
    (P.WAITING, M.NEVER_FILLED): (P.CLOSED, close),
    (P.WAITING, M.HELD): (P.OPEN, guard),
    (P.WAITING, M.DUST): (P.WAITING, nothing),  # the first piece is too small to protect alone
    (P.WAITING, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.OPEN, M.HELD): (P.OPEN, guard),
    (P.OPEN, M.DUST): (P.OPEN, nothing),
    (P.OPEN, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.OPEN, M.FLAT_BUSY): (P.CLOSING, cancel_rest),
    (P.OPEN, M.FLAT): (P.CLOSED, close),
    (P.OPEN, M.OVERSOLD): (P.CLOSING, neutralise),  # both legs filled before either cancel arrived
    (P.EXITING, M.HELD): (P.EXITING, guard),
    (P.EXITING, M.DUST): (P.EXITING, nothing),
    (P.EXITING, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.EXITING, M.FLAT_BUSY): (P.CLOSING, cancel_rest),
    (P.EXITING, M.FLAT): (P.CLOSED, close),
    (P.EXITING, M.OVERSOLD): (P.CLOSING, neutralise),
    (P.CLOSING, M.FLAT_BUSY): (P.CLOSING, cancel_rest),  # a late acknowledgement: ask that one to go, too
    (P.CLOSING, M.FLAT): (P.CLOSED, close),
    (P.CLOSING, M.HELD): (P.OPEN, reopen),  # the entry filled once more before its cancel arrived
    (P.CLOSING, M.DUST): (P.CLOSING, nothing),
    (P.CLOSING, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.CLOSING, M.OVERSOLD): (P.CLOSING, neutralise),  # the fill beat our cancel
    (P.CLOSING, M.REMEDYING): (P.CLOSING, cancel_rest),
    (P.CLOSED, M.FLAT): (P.CLOSED, nothing),
    (P.CLOSED, M.NEVER_FILLED): (P.CLOSED, nothing),
    (P.CLOSED, M.HELD): (P.OPEN, reopen),  # a fill after "cancelled", or a busted exit
    (P.CLOSED, M.FLAT_BUSY): (P.CLOSING, cancel_rest),  # an order given up for dead came to life
    (P.CLOSED, M.OVERSOLD): (P.CLOSING, neutralise),
    (P.RESIDUE, M.UNSELLABLE): (P.RESIDUE, nothing),
    (P.RESIDUE, M.HELD): (P.OPEN, reopen),
    (P.RESIDUE, M.FLAT): (P.CLOSED, close),
}
"""(phase now, what the quantities mean) -> (phase next, rule). A missing row is a Surprise."""


def classify(bracket: Bracket, terms: Terms, cover: Coverage) -> Meaning:
    """Name what a bracket's quantities mean. All the ifs of the life are here."""
    open_qty = cover.open_qty
    if open_qty < 0:
        px = bracket.last_px or bracket.stop_px or ZERO
        excess = terms.instrument.sellable(-open_qty, px)
        if excess > cover.remedy_qty:
            return M.OVERSOLD
        if excess:
            return M.REMEDYING
        return M.FLAT_BUSY if cover.entry_alive or cover.exits_alive else M.UNSELLABLE
    if cover.sellable_qty > 0:
        return M.HELD
    if open_qty > 0:
        return M.DUST if cover.entry_alive or cover.exits_alive else M.UNSELLABLE
    if cover.entry_alive or cover.exits_alive:
        return M.FLAT_BUSY if cover.entry_qty or cover.exits_alive or bracket.phase in _LATE else M.UNFILLED
    return M.FLAT if cover.entry_qty else M.NEVER_FILLED if bracket.phase in _EARLY else M.FLAT


_EARLY = frozenset({P.WAITING, P.CLOSED})
_LATE = frozenset({P.CLOSING, P.CLOSED, P.RESIDUE})


class BracketOrderManager:
    """Opens brackets, books facts into them and settles them. Stateless: a bracket is a value that goes through."""

    def open(self, step: Step, terms: Terms, request: BracketRequested, plan: Plan, plan_reason: str) -> Bracket:
        """Begin a bracket for a fill that exists or for an entry order to come."""
        entry_id = request.entry_client_order_id or f"{request.bracket_id}.entry1"
        filled = request.filled_qty > 0
        executions: tuple[Execution, ...] = ()
        if filled:
            assert request.filled_px is not None
            executions = (
                Execution(f"{entry_id}:given", request.filled_qty, request.filled_px, request.fee, request.fee_asset),
            )
        entry = LegOrder(
            leg=Leg.ENTRY,
            client_order_id=entry_id,
            side=request.side,
            order_type=OrderType.LIMIT,
            quantity=request.quantity,
            state=OrderState.FILLED if request.filled_qty >= request.quantity else OrderState.WORKING,
            reported_cum=request.filled_qty,
            executions=executions,
            sent_ns=step.now_ns,
        )
        timeout_s = terms.policy.bracket_orders.timeout_s
        bracket = Bracket(
            bracket_id=request.bracket_id,
            symbol=request.symbol,
            side=request.side,
            strategy=request.strategy,
            policy_fingerprint=terms.policy.fingerprint,
            plan=plan,
            plan_reason=plan_reason,
            entry_qty_wanted=request.quantity,
            orders=(entry,),
            given_stop_px=request.stop_px,
            given_target_px=request.target_px,
            reading=request.reading,
            entry_deadline_ns=step.now_ns + int(timeout_s * 1_000_000_000) if entry.alive else None,
            last_px=request.last_px,
            opened_ns=step.now_ns,
        )
        step.tell(
            NoteKind.BRACKET_OPENED,
            symbol=request.symbol,
            side=request.side.value,
            quantity=request.quantity,
            strategy=request.strategy,
            policy=bracket.policy_fingerprint,
        )
        step.tell(NoteKind.PLAN_CHOSEN, plan=plan.value, why=plan_reason)
        if filled:
            step.tell(NoteKind.ENTRY_FILLED, quantity=request.filled_qty, px=request.filled_px)
        return self.settle(step, bracket, terms)

    def fact(self, step: Step, bracket: Bracket, terms: Terms, fact: OrderFact) -> Bracket:
        """Book a fact about one of the bracket's orders, and settle.

        Raises Surprise, with nothing changed, when a machine has no row for it.
        """
        before = find(bracket, fact.client_order_id, getattr(fact, "replacement_id", ""))
        if before is None:
            raise Surprise("bracket", bracket.phase, "UNKNOWN_ORDER", fact.client_order_id)
        if isinstance(fact, RequestRefused) and fact.code == DUPLICATE_ID:
            step.commands.append(QueryOrder(bracket.bracket_id, before.client_order_id))
            return bracket  # the id exists there, so the order does: its state is asked for, not guessed
        after = apply(before, fact, proven_gone=self._proven(step, before, terms, fact))
        bracket = exit_orders.with_order(bracket, before, after)
        self._tell_fill(step, bracket, before, after, fact)
        if before.alive and not after.alive and after.state is not OrderState.FILLED:
            bracket = leg_lost(step, bracket, terms, before, after, fact)
        elif isinstance(fact, OrderNotFound) and after.state in (OrderState.UNSURE, OrderState.SENT):
            bracket = self._send_again(step, bracket, terms, after)
        elif isinstance(fact, RequestRefused) and fact.verb != "submit" and after.alive:
            step.commands.append(QueryOrder(bracket.bracket_id, after.client_order_id))
            bracket = exit_orders.with_order(bracket, after, replace(after, asked_ns=step.now_ns or 1))
        elif after.state is OrderState.UNSURE and before.state is not OrderState.UNSURE:
            step.tell(NoteKind.UNKNOWN_OUTCOME, Severity.WARNING, client_order_id=after.client_order_id)
            step.commands.append(QueryOrder(bracket.bracket_id, after.client_order_id))
        return self.settle(step, bracket, terms)

    def touched(self, step: Step, bracket: Bracket, terms: Terms, touch: Touch, px: Decimal) -> Bracket:
        """The market reached a level watched here."""
        return self.settle(step, replace(bracket, last_px=px), terms, touch)

    def timer(self, step: Step, bracket: Bracket, terms: Terms) -> Bracket:
        """A deadline of this bracket has come: see what is owed now."""
        if bracket.phase in ENDED and bracket.phase is not Phase.RELEASED:
            return bracket
        bracket = _without_past_waits(bracket, step.now_ns)
        if bracket.entry_deadline_ns is not None and step.now_ns >= bracket.entry_deadline_ns:
            bracket = replace(bracket, entry_deadline_ns=None)
            if any(order.leg is Leg.ENTRY and order.alive for order in bracket.orders):
                step.tell(NoteKind.ENTRY_TIMED_OUT, Severity.WARNING)
                bracket = exit_orders.cancel_all(step, bracket, Leg.ENTRY)
        return self.settle(step, bracket, terms)

    def flatten(self, step: Step, bracket: Bracket, terms: Terms, fact: FlattenRequested) -> Bracket:
        """Somebody wants out, now: the entry's rest and the resting exits go, what is open is sold."""
        if fact.last_px is not None:
            bracket = replace(bracket, last_px=fact.last_px)
        bracket = leave(step, bracket, fact.exit_reason, fact.reason or "asked for")
        bracket = exit_orders.cancel_all(step, bracket, Leg.ENTRY)
        return self.settle(step, bracket, terms)

    def release(self, step: Step, bracket: Bracket, terms: Terms, reason: str, keep_orders: bool) -> Bracket:
        """Hand the position back: our exits go unless they are to stay. Facts are still booked."""
        step.tell(NoteKind.RELEASED, Severity.WARNING, reason=reason, keep_orders=str(keep_orders).lower())
        if not keep_orders:
            bracket = exit_orders.cancel_all(step, bracket)
        return replace(bracket, phase=Phase.RELEASED, closed_ns=step.now_ns, naked_since_ns=None)

    def settle(self, step: Step, bracket: Bracket, terms: Terms, touch: Touch = Touch.NONE) -> Bracket:
        """Bring a bracket whose facts are booked to where its tables want it, and time its naked window."""
        bracket = exit_orders.chase(step, bracket, terms)
        if bracket.phase is Phase.RELEASED or bracket.phase is Phase.EXTERNALLY_CLOSED:
            return bracket
        if bracket.levels is None:
            bracket = self._plan(step, bracket, terms)
        cover = measure(bracket, terms)
        if bracket.frozen_reason:
            return _time_naked(step, _grow_frozen(step, bracket, terms, cover), terms)
        meaning = classify(bracket, terms, cover)
        row = TABLE.get((bracket.phase, meaning))
        if row is None:
            raise Surprise("bracket", bracket.phase, meaning.name, bracket.bracket_id)
        phase, rule = row
        bracket = rule(step, bracket, terms, cover, touch)
        if phase is Phase.OPEN and bracket.exits is ExitState.LEAVE:
            phase = Phase.EXITING
        if phase is not bracket.phase:
            bracket = replace(bracket, phase=phase)
        return _time_naked(step, bracket, terms, None if step.commands else cover)

    def _plan(self, step: Step, bracket: Bracket, terms: Terms) -> Bracket:
        """Fix the levels when the first unit has filled."""
        px = entry_px(bracket)
        if not px:
            return bracket
        decision = plan_levels(
            bracket.side,
            px,
            bracket.reading or VolatilityReading(why_no_atr="no bars were given"),
            terms.policy,
            terms.instrument,
            bracket.given_stop_px,
            bracket.given_target_px,
        )
        levels = decision.levels
        bracket = replace(bracket, levels=levels, stop_px=levels.stop_px, target_px=levels.target_px, reading=None)
        data = {
            "entry_px": px,
            "stop_px": levels.stop_px,
            "target_px": levels.target_px,
            "atr_px": levels.atr_px,
            "multiplier": None if levels.stop_given or levels.fallback else terms.policy.atr.multiplier,
            "fallback_percentage": terms.policy.atr.fallback_percentage if levels.fallback else None,
            "stop_distance_px": decision.stop_distance_px,
            "risk_px": levels.risk,
            "ratio": levels.ratio,
            "remarks": "; ".join(decision.remarks) or None,
        }
        step.tell(NoteKind.LEVELS_SET, **data)
        if decision.stop_is_hit:
            return leave(step, bracket, "stop", "the stop given is not on the losing side of the entry")
        if bracket.last_px is not None and _is_through(bracket.side, bracket.last_px, levels.stop_px):
            return leave(step, bracket, "stop", "the market is through the stop already")
        return bracket

    def _proven(self, step: Step, order: LegOrder, terms: Terms, fact: OrderFact) -> bool:
        """Whether 'not found' is old enough to be proof: rule 9 and S3."""
        if not isinstance(fact, OrderNotFound):
            return False
        if order.state in RESTING and order.pending is None:
            return fact.asked_ns >= order.asked_ns + terms.read_lag_ns
        dead_from_ns = order.valid_until_ns if order.valid_until_ns is not None else order.sent_ns + terms.late_ns
        return fact.asked_ns >= dead_from_ns + terms.read_lag_ns

    def _send_again(self, step: Step, bracket: Bracket, terms: Terms, order: LegOrder) -> Bracket:
        """Not found, and not yet proof: where ids are unique for ever the very same order may be sent again at once.

        Elsewhere nothing is sent until the first one is provably dead; the timer asks again.
        """
        forever = terms.capabilities.client_id_scope is ClientIdScope.FOREVER
        if not forever or order.state is not OrderState.UNSURE or order.linked_id or order.past_ids:
            return bracket
        if order.cancel_wanted:
            return bracket
        new = NewOrder(
            client_order_id=order.client_order_id,
            symbol=bracket.symbol,
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            stop_px=order.stop_px,
            limit_px=order.limit_px,
            time_in_force=order.time_in_force,
            reduce_only=order.reduce_only,
            valid_until_ns=exit_orders.valid_until(terms, step.now_ns),
        )
        step.commands.append(SubmitOrder(bracket.bracket_id, new))
        again = replace(order, sent_ns=step.now_ns, asked_ns=step.now_ns, valid_until_ns=new.valid_until_ns)
        return exit_orders.with_order(bracket, order, again)

    def _tell_fill(self, step: Step, bracket: Bracket, before: LegOrder, after: LegOrder, fact: OrderFact) -> None:
        filled = after.cum_qty - before.cum_qty
        if filled:
            px = fact.last_px if isinstance(fact, ExecutionReport) and fact.last_px is not None else None
            if px is None:
                px = divide(after.value - before.value, filled)
            kind = NoteKind.ENTRY_FILLED if after.leg is Leg.ENTRY else NoteKind.EXIT_FILLED
            step.tell(
                kind,
                client_order_id=after.client_order_id,
                leg=after.leg.value,
                quantity=filled,
                px=px,
                cum_qty=after.cum_qty,
                leaves_qty=after.leaves_qty,
            )
        elif before.state not in RESTING and after.state in RESTING:
            if after.leg is Leg.STOP:
                step.tell(NoteKind.STOP_RESTING, client_order_id=after.client_order_id, stop_px=after.stop_px)
            elif after.leg is Leg.TARGET:
                step.tell(NoteKind.TARGET_RESTING, client_order_id=after.client_order_id, target_px=after.limit_px)


def find(bracket: Bracket, client_order_id: str, replacement_id: str = "") -> LegOrder | None:
    """Return the order that is, was, or is about to be known under an id."""
    for order in bracket.orders:
        if order.client_order_id == client_order_id or client_order_id in order.past_ids:
            return order
        if order.pending is not None and order.pending.client_order_id == client_order_id:
            return order
    return find(bracket, replacement_id) if replacement_id else None


def next_deadline_ns(bracket: Bracket, terms: Terms, now_ns: int) -> int | None:
    """When after `now_ns` this bracket wants to be looked at even if nothing happens; None: never."""
    if bracket.phase in ENDED and bracket.phase is not Phase.RELEASED:
        return None
    due = [
        at
        for at in (
            bracket.entry_deadline_ns,
            bracket.stop_retry_at_ns,
            bracket.target_retry_at_ns,
            bracket.exit_retry_at_ns,
            bracket.local_stop_until_ns,
        )
        if at is not None and at > now_ns
    ]
    for order in bracket.orders:
        if order.state not in ALIVE:
            continue
        if order.state is not OrderState.WORKING or order.cancel_wanted:
            due.append(order.asked_ns + terms.requery_ns)
    return min(due) if due else None


def _grow_frozen(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """A frozen bracket still grows its stop; everything else waits for reconciliation."""
    if bracket.exits is ExitState.GUARD and cover.sellable_qty > cover.committed_qty:
        return _EXITS.step(step, bracket, terms, cover, Touch.NONE)
    return bracket


def _without_past_waits(bracket: Bracket, now_ns: int) -> Bracket:
    """Drop waits that are over."""
    stop, target, leaving = bracket.stop_retry_at_ns, bracket.target_retry_at_ns, bracket.exit_retry_at_ns
    if stop is not None and stop <= now_ns:
        bracket = replace(bracket, stop_retry_at_ns=None)
    if target is not None and target <= now_ns:
        bracket = replace(bracket, target_retry_at_ns=None)
    if leaving is not None and leaving <= now_ns:
        bracket = replace(bracket, exit_retry_at_ns=None)
    return bracket


def _is_through(side: Side, px: Decimal, stop_px: Decimal) -> bool:
    return px <= stop_px if side is Side.BUY else px >= stop_px


def _time_naked(step: Step, bracket: Bracket, terms: Terms, cover: Coverage | None = None) -> Bracket:
    """Open, or close, the bracket's naked window."""
    if cover is None:
        cover = measure(bracket, terms)
    naked_qty = cover.naked_qty
    if bracket.phase in ENDED:
        naked_qty = ZERO
    if naked_qty and bracket.naked_since_ns is None:
        return replace(bracket, naked_since_ns=step.now_ns)
    if not naked_qty and bracket.local_stop_until_ns is not None:
        bracket = replace(bracket, local_stop_until_ns=None)
    if not naked_qty and bracket.naked_since_ns is not None:
        window_ns = step.now_ns - bracket.naked_since_ns
        step.tell(NoteKind.COVERED, protected_qty=cover.protected_qty, naked_ns=window_ns)
        return replace(bracket, naked_since_ns=None, naked_ns=bracket.naked_ns + window_ns)
    return bracket
