"""A bracket's life: from a request, through fills, to an end nothing can undo unseen.

Every fact is booked first, whatever it means (`booking`); then the bracket is settled: `classify` names what its
quantities mean, and `TABLE` gives the next phase and the rule that writes the commands. The exits of an open position
are the one-cancels-other machine's business (`oco_emulator`).

Beside the table there is one state-triggered move: an open bracket whose exits leave for good is EXITING.
"""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum, auto

from msgspec.structs import replace

from grodtd.domain.bracket import ENDED, Bracket, Execution, ExitState, LegOrder, OrderState, Phase
from grodtd.domain.commands import Reconcile
from grodtd.domain.errors import Surprise
from grodtd.domain.events import BarsClosed, BracketRequested, FlattenRequested
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.money import ZERO
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import Leg, OrderType
from grodtd.domain.policy import NS_PER_S, Plan, seconds_ns
from grodtd.execution import exit_orders, exit_rules, order_changes
from grodtd.execution.booking import take_in
from grodtd.execution.coverage import Coverage, entry_px, measure
from grodtd.execution.deadlines import without_past_waits
from grodtd.execution.first_levels import fix_levels
from grodtd.execution.ladder import STOP_HIT, leave
from grodtd.execution.market_hours import open_again
from grodtd.execution.naked_window import close_window, time_window
from grodtd.execution.oco_emulator import OCOEmulator, Touch
from grodtd.execution.order_lifecycle import GIVEN, OrderFact
from grodtd.execution.requests import entry_id
from grodtd.execution.terms import Step, Terms

EXTERNAL = "external"
"""Exit reason of a bracket whose position was closed by hands elsewhere."""
RECONCILE_AGAIN_NS = 30 * NS_PER_S
"""A frozen bracket asks to be reconciled again after this long."""


class Meaning(StrEnum):
    """What a bracket's quantities mean."""

    UNFILLED = auto()
    """Nothing filled; the entry may."""
    NEVER_FILLED = auto()
    """Nothing filled, and nothing can."""
    UNPRICED = auto()
    """Something filled, and nobody told at what price: its levels cannot be set yet."""
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
    TAKEN = auto()
    """Nothing is open because it was closed elsewhere, and nothing can fill."""
    OVERSOLD = auto()
    """More was sold than was held."""
    REMEDYING = auto()
    """The excess is being bought back."""


P, M = Phase, Meaning
EXITS = (Leg.STOP, Leg.TARGET, Leg.EXIT)
Rule = Callable[[Step, Bracket, Terms, Coverage, Touch], Bracket]
_EXITS = OCOEmulator()


def nothing(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Nothing is owed."""
    return bracket


def ask_price(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """A report's cumulative quantity overtook its fill: ask for the entry, now and again, until a price is known."""
    if bracket.stop_retry_at_ns is not None and step.now_ns < bracket.stop_retry_at_ns:
        return bracket
    for order in bracket.orders:
        if order.leg is Leg.ENTRY:
            order_changes.ask(step, bracket, order)
    return replace(bracket, stop_retry_at_ns=step.now_ns + terms.requery_ns)


def guard(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Let the exits do what the position needs; a bracket that leaves wants no more of its entry."""
    bracket = _EXITS.step(step, bracket, terms, cover, touch)
    if bracket.exits is ExitState.LEAVE and cover.entry_alive:
        bracket = order_changes.cancel_all(step, bracket, Leg.ENTRY)
    return bracket


def reopen(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """A fill came after the end: the position is real, so it is guarded again."""
    step.tell(NoteKind.REOPENED, Severity.WARNING, open_qty=cover.open_qty, was=bracket.phase.value)
    if bracket.exit_reason == EXTERNAL:
        bracket = replace(bracket, exit_reason="")
    # The level in force stays; what trails begins at the price it finds: the best one before the end may lie far off.
    bracket = replace(bracket, best_px=bracket.stop_px, move_at_ns=None)
    return guard(step, bracket, terms, cover, touch)


def cancel_rest(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Nothing is open: whatever could still fill is asked to go, the entry included."""
    return order_changes.cancel_all(step, bracket)


def hold_off(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """The excess is being bought back: everything but that goes."""
    return order_changes.cancel_all(step, bracket, Leg.ENTRY, *EXITS)


def leave_dust(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Too little to sell by itself: an exit that is alive may take it, until the market is through the stop."""
    if touch is Touch.STOP or bracket.exits is ExitState.LEAVE:
        bracket = order_changes.cancel_all(step, bracket, Leg.ENTRY)
    elif cover.committed_qty - cover.going_qty <= cover.open_qty:
        return bracket
    legs = (Leg.TARGET, Leg.EXIT) if cover.stop_qty <= cover.open_qty else EXITS
    return order_changes.cancel_all(step, bracket, *legs)


def neutralise(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Both legs filled all the same: everything else is asked to go, and the excess is bought back, once."""
    bracket = hold_off(step, bracket, terms, cover, touch)
    remedied = sum((order.cum_qty for order in bracket.orders if order.leg is Leg.REMEDY), ZERO)
    oversold_qty = remedied - cover.open_qty
    if oversold_qty > bracket.oversold_qty:
        step.tell(NoteKind.OVERSOLD, Severity.ALARM, open_qty=cover.open_qty, remedy_qty=_excess(bracket, terms, cover))
        bracket = replace(bracket, oversold_qty=oversold_qty, incidents=bracket.incidents + 1)
    if bracket.exit_retry_at_ns is not None and step.now_ns < bracket.exit_retry_at_ns:
        return bracket  # the buy-back was refused; the next attempt has its time
    return exit_orders.place_remedy(step, bracket, terms, _excess(bracket, terms, cover))


def end_as_residue(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Say what is left, and what it is worth; never try for ever."""
    px = bracket.stop_px or entry_px(bracket)
    value = cover.open_qty * px * terms.instrument.contract_multiplier
    step.tell(NoteKind.RESIDUE, Severity.WARNING, open_qty=cover.open_qty, value=value, px=px)
    return _ended(step, bracket, cover)


def close(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """Everything is done: nothing open, nothing that could still fill."""
    bracket = _ended(step, bracket, cover)
    twice_qty = bracket.external_qty - cover.external_qty
    if twice_qty > 0:
        step.tell(NoteKind.EXIT_AFTER_HAND, Severity.ALARM, quantity=twice_qty)
    step.tell(NoteKind.CLOSED, entry_qty=cover.entry_qty, naked_ns=bracket.naked_ns)
    return bracket


def close_taken(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
    """The position was closed elsewhere, and nothing of ours is left that could fill."""
    step.tell(NoteKind.EXTERNALLY_CLOSED, Severity.WARNING, quantity=cover.external_qty)
    return _ended(step, bracket, cover)


def _ended(step: Step, bracket: Bracket, cover: Coverage) -> Bracket:
    return replace(
        close_window(step, bracket, cover),
        closed_ns=step.now_ns,
        exits=ExitState.GUARD,
        stop_retry_at_ns=None,
        target_retry_at_ns=None,
        exit_retry_at_ns=None,
        local_stop_until_ns=None,
        closed_until_ns=None,
        entry_deadline_ns=None,
    )


TABLE: dict[tuple[Phase, Meaning], tuple[Phase, Rule]] = {
    (P.WAITING, M.UNFILLED): (P.WAITING, nothing),
    (P.WAITING, M.NEVER_FILLED): (P.CLOSED, close),
    (P.WAITING, M.UNPRICED): (P.WAITING, ask_price),
    (P.WAITING, M.HELD): (P.OPEN, guard),
    (P.WAITING, M.DUST): (P.WAITING, nothing),  # the first piece is too small to protect alone
    (P.WAITING, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.OPEN, M.UNFILLED): (P.WAITING, nothing),  # the only fill was busted
    (P.OPEN, M.HELD): (P.OPEN, guard),
    (P.OPEN, M.DUST): (P.OPEN, leave_dust),
    (P.OPEN, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.OPEN, M.FLAT_BUSY): (P.CLOSING, cancel_rest),
    (P.OPEN, M.FLAT): (P.CLOSED, close),
    (P.OPEN, M.TAKEN): (P.EXTERNALLY_CLOSED, close_taken),
    (P.OPEN, M.OVERSOLD): (P.CLOSING, neutralise),  # both legs filled before either cancel arrived
    (P.EXITING, M.HELD): (P.EXITING, guard),
    (P.EXITING, M.DUST): (P.EXITING, leave_dust),
    (P.EXITING, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.EXITING, M.FLAT_BUSY): (P.CLOSING, cancel_rest),
    (P.EXITING, M.FLAT): (P.CLOSED, close),
    (P.EXITING, M.TAKEN): (P.EXTERNALLY_CLOSED, close_taken),  # a sale refused again and again: it is gone
    (P.EXITING, M.OVERSOLD): (P.CLOSING, neutralise),
    (P.CLOSING, M.FLAT_BUSY): (P.CLOSING, cancel_rest),  # a late acknowledgement: ask that one to go, too
    (P.CLOSING, M.FLAT): (P.CLOSED, close),
    (P.CLOSING, M.TAKEN): (P.EXTERNALLY_CLOSED, close_taken),
    (P.CLOSING, M.HELD): (P.OPEN, reopen),  # the entry filled once more before its cancel arrived
    (P.CLOSING, M.DUST): (P.CLOSING, cancel_rest),
    (P.CLOSING, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.CLOSING, M.OVERSOLD): (P.CLOSING, neutralise),  # the fill beat our cancel
    (P.CLOSING, M.REMEDYING): (P.CLOSING, hold_off),
    (P.CLOSED, M.FLAT): (P.CLOSED, nothing),
    (P.CLOSED, M.UNPRICED): (P.WAITING, ask_price),  # the entry was given up for dead, and had filled
    (P.CLOSED, M.HELD): (P.OPEN, reopen),  # a fill after "cancelled", or a busted exit
    (P.CLOSED, M.FLAT_BUSY): (P.CLOSING, cancel_rest),  # an order given up for dead came to life
    (P.CLOSED, M.DUST): (P.CLOSING, cancel_rest),
    (P.CLOSED, M.UNSELLABLE): (P.RESIDUE, end_as_residue),  # a late fill too small to sell
    (P.CLOSED, M.OVERSOLD): (P.CLOSING, neutralise),
    (P.RESIDUE, M.UNSELLABLE): (P.RESIDUE, nothing),
    (P.RESIDUE, M.HELD): (P.OPEN, reopen),
    (P.RESIDUE, M.DUST): (P.CLOSING, cancel_rest),
    (P.RESIDUE, M.FLAT_BUSY): (P.CLOSING, cancel_rest),
    (P.RESIDUE, M.FLAT): (P.CLOSED, close),  # a bust took the rest away
    (P.RESIDUE, M.OVERSOLD): (P.CLOSING, neutralise),
    (P.EXTERNALLY_CLOSED, M.TAKEN): (P.EXTERNALLY_CLOSED, nothing),
    (P.EXTERNALLY_CLOSED, M.HELD): (P.OPEN, reopen),  # the entry filled once more after its end
    (P.EXTERNALLY_CLOSED, M.FLAT_BUSY): (P.CLOSING, cancel_rest),  # a stop given up for dead came to life
    (P.EXTERNALLY_CLOSED, M.FLAT): (P.CLOSED, close),  # it was our own exit, heard late; or it sold once more
    (P.EXTERNALLY_CLOSED, M.DUST): (P.CLOSING, cancel_rest),
    (P.EXTERNALLY_CLOSED, M.UNSELLABLE): (P.RESIDUE, end_as_residue),
    (P.EXTERNALLY_CLOSED, M.OVERSOLD): (P.CLOSING, neutralise),
}
"""(phase now, what the quantities mean) -> (phase next, rule). A missing row is a Surprise."""


def classify(bracket: Bracket, terms: Terms, cover: Coverage) -> Meaning:
    """Name what a bracket's quantities mean. All the ifs of the life are here."""
    open_qty = cover.open_qty
    alive = cover.entry_alive or cover.exits_alive
    if cover.sellable_qty > 0:
        return M.UNPRICED if bracket.levels is None and bracket.exits is not ExitState.LEAVE else M.HELD
    if open_qty > 0:
        return M.DUST if alive else M.UNSELLABLE
    if open_qty < 0:
        if cover.entry_alive:
            return M.FLAT_BUSY  # a fill of the entry may be on its way to us: its last word comes first
        excess = _excess(bracket, terms, cover)
        if excess > 0:
            return M.OVERSOLD
        if cover.remedy_qty > 0:
            return M.REMEDYING
        return M.FLAT_BUSY if alive else M.UNSELLABLE
    if alive:
        untouched = not cover.entry_qty and not cover.exits_alive and bracket.phase in _YOUNG
        return M.UNFILLED if untouched else M.FLAT_BUSY
    if cover.external_qty and bracket.exit_reason == EXTERNAL:
        return M.TAKEN
    return M.FLAT if cover.entry_qty or bracket.phase is not P.WAITING else M.NEVER_FILLED


_YOUNG = frozenset({P.WAITING, P.OPEN})


def _excess(bracket: Bracket, terms: Terms, cover: Coverage) -> Decimal:
    """Units sold too much that nothing alive buys back."""
    px = bracket.last_px or bracket.stop_px or ZERO
    return terms.instrument.sellable(-cover.open_qty - cover.remedy_qty, px)


class BracketOrderManager:
    """Opens brackets, books facts into them and settles them. Stateless: a bracket is a value that goes through."""

    def open(self, step: Step, terms: Terms, request: BracketRequested, plan: Plan, plan_reason: str) -> Bracket:
        """Begin a bracket for a fill that exists or for an entry order to come; the caller settles it.

        An entry that is ours is sent.
        """
        filled = request.filled_qty > 0
        timeout_ns = seconds_ns(terms.policy.bracket_orders.timeout_s)
        bracket = Bracket(
            bracket_id=request.bracket_id,
            symbol=request.symbol,
            side=request.side,
            strategy=request.strategy,
            policy_fingerprint=terms.fingerprint,
            plan=plan,
            plan_reason=plan_reason,
            entry_qty_wanted=request.quantity,
            orders=() if request.entry is not None else (_entry(step, request),),
            given_stop_px=request.stop_px,
            given_target_px=request.target_px,
            reading=request.reading,
            entry_deadline_ns=step.now_ns + timeout_ns if request.filled_qty < request.quantity else None,
            # Of an entry to come the price says nothing yet: a breakout's stop may well be above it.
            last_px=request.last_px if filled else None,
            last_px_ns=step.now_ns,
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
        if request.entry is not None:
            return exit_orders.place_entry(step, bracket, terms, request.entry, entry_id(request))
        return bracket

    def fact(self, step: Step, bracket: Bracket, terms: Terms, fact: OrderFact) -> Bracket:
        """Book a fact about one of the bracket's orders, and settle.

        Raises Surprise, with nothing changed, when a machine has no row for it.
        """
        return self.settle(step, take_in(step, bracket, terms, fact), terms)

    def touched(self, step: Step, bracket: Bracket, terms: Terms, touch: Touch, px: Decimal) -> Bracket:
        """The market reached a level watched here."""
        if touch is Touch.MOVE:
            return self.settle(step, exit_rules.quoted(step, bracket, terms, px), terms)
        return self.settle(step, replace(bracket, last_px=px, last_px_ns=step.now_ns), terms, touch)

    def bars(self, step: Step, bracket: Bracket, terms: Terms, event: BarsClosed) -> Bracket:
        """Bars closed: the trade's own rules have their say."""
        return self.settle(step, exit_rules.bars_closed(step, bracket, terms, event), terms)

    def timer(self, step: Step, bracket: Bracket, terms: Terms) -> Bracket:
        """A deadline of this bracket has come: see what is owed now."""
        if bracket.phase in ENDED and bracket.phase is not Phase.RELEASED:
            return bracket
        now_ns = step.now_ns
        bracket = without_past_waits(bracket, now_ns)
        if bracket.entry_deadline_ns is not None and now_ns >= bracket.entry_deadline_ns:
            bracket = replace(bracket, entry_deadline_ns=None)
            if any(order.leg is Leg.ENTRY and order.alive for order in bracket.orders):
                step.tell(NoteKind.ENTRY_TIMED_OUT, Severity.WARNING)
                bracket = order_changes.cancel_all(step, bracket, Leg.ENTRY)
        if bracket.reconcile_at_ns is not None and now_ns >= bracket.reconcile_at_ns:
            bracket = self.ask_to_reconcile(step, bracket)
        return self.settle(step, exit_rules.on_time(step, bracket, terms), terms)

    def ask_to_reconcile(self, step: Step, bracket: Bracket) -> Bracket:
        """Ask for a frozen bracket to be compared with the venue, now and again until it was."""
        step.commands.append(Reconcile(bracket.bracket_id))
        return replace(bracket, reconcile_at_ns=step.now_ns + RECONCILE_AGAIN_NS)

    def flatten(self, step: Step, bracket: Bracket, terms: Terms, fact: FlattenRequested) -> Bracket:
        """Somebody wants out, now: the entry's rest and the resting exits go, what is open is sold."""
        if fact.last_px is not None:
            bracket = replace(bracket, last_px=fact.last_px, last_px_ns=step.now_ns)
        bracket = leave(step, bracket, fact.exit_reason, fact.reason or "asked for")
        bracket = order_changes.cancel_all(step, bracket, Leg.ENTRY)
        return self.settle(step, bracket, terms)

    def change_levels(
        self, step: Step, bracket: Bracket, stop_px: Decimal | None, target_px: Decimal | None, reason: str
    ) -> Bracket:
        """Put other levels in force, as somebody asked by hand; the caller has checked them, and settles."""
        step.tell(
            NoteKind.LEVELS_CHANGED,
            stop_px=stop_px,
            was_stop_px=bracket.stop_px,
            target_px=target_px,
            was_target_px=bracket.target_px,
            reason=reason or None,
        )
        bracket = replace(bracket, denied_stops=0)  # a hand wants one sent, whatever may rest
        if target_px != bracket.target_px:
            bracket = replace(bracket, target_failures=0, target_retry_at_ns=None)
            if bracket.rungs:
                bracket = exit_rules.move_target(bracket, target_px)
        if stop_px != bracket.stop_px:
            bracket = replace(bracket, stop_why=STOP_HIT, held_stop_px=None)
        return replace(bracket, stop_px=stop_px, target_px=target_px)

    def reduced_elsewhere(self, step: Step, bracket: Bracket, terms: Terms, quantity: Decimal) -> Bracket:
        """Hands elsewhere took `quantity` units out of the position; the caller settles."""
        left = measure(bracket, terms).open_qty - quantity
        step.tell(NoteKind.REDUCED_ELSEWHERE, Severity.WARNING, quantity=quantity, open_qty=left)
        exit_reason = bracket.exit_reason if left else EXTERNAL
        return replace(
            bracket,
            external_qty=bracket.external_qty + quantity,
            exit_reason=exit_reason,
            stop_retry_at_ns=None,  # what was refused for want of those units may pass now
            exit_retry_at_ns=None,
        )

    def release(self, step: Step, bracket: Bracket, terms: Terms, reason: str, keep_orders: bool) -> Bracket:
        """Hand the position back: our exits go unless they are to stay. Facts are still booked.

        An entry of ours goes in any case: what it filled from now on nobody would protect.
        """
        step.tell(NoteKind.RELEASED, Severity.WARNING, reason=reason, keep_orders=str(keep_orders).lower())
        if not keep_orders:
            bracket = order_changes.cancel_all(step, bracket, *EXITS)
        if any(order.leg is Leg.ENTRY and parse_client_order_id(order.client_order_id) for order in bracket.orders):
            bracket = order_changes.cancel_all(step, bracket, Leg.ENTRY)
        bracket = close_window(step, bracket, Coverage())
        bracket = replace(bracket, frozen_reason="", reconcile_at_ns=None, closed_until_ns=None)
        return replace(bracket, phase=Phase.RELEASED, closed_ns=step.now_ns)

    def settle(self, step: Step, bracket: Bracket, terms: Terms, touch: Touch = Touch.NONE) -> Bracket:
        """Bring a bracket whose facts are booked to where its tables want it, and time its naked window.

        Raises Surprise, with nothing changed, when a table has no row.
        """
        bracket = order_changes.chase(step, bracket, terms)
        if bracket.phase is Phase.RELEASED:
            return bracket
        bracket = open_again(step, bracket)
        if bracket.levels is None:
            bracket = fix_levels(step, bracket, terms)
        cover = measure(bracket, terms)
        if bracket.rungs:
            bracket = exit_rules.next_target(bracket, terms, cover)
        meaning = classify(bracket, terms, cover)
        row = TABLE.get((bracket.phase, meaning))
        if bracket.frozen_reason and meaning is not M.HELD:
            row = bracket.phase, nothing  # what is held stays guarded; all else waits for the reconciliation
        if row is None:
            raise Surprise("bracket", bracket.phase, meaning.name, bracket.bracket_id)
        phase, rule = row
        orders = bracket.orders
        bracket = rule(step, bracket, terms, cover, touch)
        if phase is Phase.OPEN and bracket.exits is ExitState.LEAVE:
            phase = Phase.EXITING
        if phase is not bracket.phase:
            bracket = replace(bracket, phase=phase, closed_ns=bracket.closed_ns if phase in ENDED else None)
        if bracket.held_stop_px is not None:
            bracket = exit_rules.held_again(bracket)
        return time_window(step, bracket, terms, cover if bracket.orders is orders else measure(bracket, terms))


def _entry(step: Step, request: BracketRequested) -> LegOrder:
    client_id = entry_id(request)
    executions: tuple[Execution, ...] = ()
    if request.filled_qty > 0:
        assert request.filled_px is not None
        executions = (
            Execution(f"{client_id}{GIVEN}", request.filled_qty, request.filled_px, request.fee, request.fee_asset),
        )
    return LegOrder(
        leg=Leg.ENTRY,
        client_order_id=client_id,
        side=request.side,
        order_type=OrderType.LIMIT,
        quantity=request.quantity,
        state=OrderState.FILLED if request.filled_qty >= request.quantity else OrderState.WORKING,
        reported_cum=request.filled_qty,
        executions=executions,
        sent_ns=step.now_ns,
    )
