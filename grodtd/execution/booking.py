"""Booking: what a fact about one order does to its bracket, before anybody asks what the bracket's quantities mean.

The order moves in its own table (`order_lifecycle`); here follows what the bracket owes at once: a question about
an unknown outcome, the same order once more where that is safe (rule 9), or a step up the ladder for a lost leg.
"""

from msgspec.structs import replace

from grodtd.domain.bracket import ALIVE, IN_FLIGHT, Bracket, LegOrder, OrderState
from grodtd.domain.capabilities import ClientIdScope
from grodtd.domain.errors import Surprise
from grodtd.domain.events import OrderNotFound, RequestNotSent, RequestRefused, RequestUnknown
from grodtd.domain.money import divide
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import ExecutionReport, Leg
from grodtd.execution.coverage import RESTING
from grodtd.execution.exit_orders import with_order
from grodtd.execution.ladder import STOP_HIT, WOULD_TRIGGER, change_refused, leave, leg_lost
from grodtd.execution.new_orders import VALID_FOR_NS
from grodtd.execution.order_changes import ask, linked, send_again
from grodtd.execution.order_lifecycle import OrderFact, apply, book
from grodtd.execution.terms import Step, Terms

DUPLICATE_ID = "duplicate_id"
SUBMIT = "submit"


def take_in(step: Step, bracket: Bracket, terms: Terms, fact: OrderFact) -> Bracket:
    """Return the bracket with a fact about one of its orders booked. The answer to a pair's request is about both legs.

    Raises Surprise, with nothing changed, when no order is known by that id or its table has no row.
    """
    order = _named(bracket, fact)
    if isinstance(fact, RequestRefused) and fact.code == DUPLICATE_ID:
        # The id exists there, so the order does: its state is asked for, not guessed.
        ask(step, bracket, order)
        return with_order(bracket, order, replace(order, asked_ns=step.now_ns))
    bracket = _take_in_one(step, bracket, terms, order, fact)
    if order.linked_id and isinstance(fact, RequestRefused | RequestUnknown | RequestNotSent) and fact.verb == SUBMIT:
        sibling = linked(bracket, order)
        if sibling is not None and sibling.state is OrderState.SENT:
            told = replace(fact, client_order_id=sibling.client_order_id)
            bracket = _take_in_one(step, bracket, terms, sibling, told)
    return bracket


def take_in_quantities(bracket: Bracket, fact: OrderFact) -> Bracket:
    """Return the bracket with a report's fills booked and no state moved: all a report without a row may do.

    Raises Surprise when no order is known by that id.
    """
    order = _named(bracket, fact)
    return with_order(bracket, order, book(order, fact))


def find(bracket: Bracket, client_order_id: str, replacement_id: str = "") -> LegOrder | None:
    """Return the order that is, was, or is about to be known under an id."""
    for order in bracket.orders:
        if order.client_order_id == client_order_id or client_order_id in order.past_ids:
            return order
        if order.pending is not None and order.pending.client_order_id == client_order_id:
            return order
    return find(bracket, replacement_id) if replacement_id else None


def is_proof(order: LegOrder, terms: Terms, fact: OrderNotFound) -> bool:
    """Whether 'not found' proves that an id is dead (rule 9 and S3).

    An order the venue never confirmed may arrive until `valid_until`; where there is none, until `late_bound_s` after
    the last moment it may have left us. And the answer may be `read_lag_s` old. One it did confirm is over when two
    answers, that far apart, agree: the fills that ended it would be seen by then.
    """
    pending = order.pending
    if pending is not None and fact.client_order_id == pending.client_order_id:
        valid_until_ns, sent_ns = pending.valid_until_ns, order.pending_sent_ns
    elif order.state in RESTING:
        return order.missed_ns is not None and fact.asked_ns >= order.missed_ns + terms.read_lag_ns
    else:
        valid_until_ns, sent_ns = order.valid_until_ns, order.sent_ns
    dead_from_ns = sent_ns + VALID_FOR_NS + terms.late_ns if valid_until_ns is None else valid_until_ns
    return fact.asked_ns >= dead_from_ns + terms.read_lag_ns


def _named(bracket: Bracket, fact: OrderFact) -> LegOrder:
    order = find(bracket, fact.client_order_id, getattr(fact, "replacement_id", ""))
    if order is None:
        raise Surprise("bracket", bracket.phase, "unknown_order", fact.client_order_id)
    return order


def _take_in_one(step: Step, bracket: Bracket, terms: Terms, before: LegOrder, fact: OrderFact) -> Bracket:
    after = apply(before, fact, proven_gone=type(fact) is OrderNotFound and is_proof(before, terms, fact))
    if after is not before:
        bracket = with_order(bracket, before, after)
        _tell(step, before, after, fact)
        if bracket.denied_stops and before.state is OrderState.LOST is not after.state and after.leg is Leg.STOP:
            bracket = replace(bracket, denied_stops=0)  # the venue admits it
    if after.state not in ALIVE:
        if before.state in ALIVE and after.state is not OrderState.FILLED:
            return leg_lost(step, bracket, terms, before, after, fact)
        return bracket
    if before.pending is not None and after.pending is None and after.client_order_id == before.client_order_id:
        if type(fact) is RequestRefused:
            ask(step, bracket, after)  # too late, or never possible: only the order itself can tell
        return bracket if type(fact) is OrderNotFound else change_refused(step, bracket, terms, before, after, fact)
    if type(fact) is RequestUnknown:
        return _outcome_unknown(step, bracket, before, after)
    if type(fact) is RequestRefused:
        return _request_refused(step, bracket, after, fact)
    if type(fact) is OrderNotFound and fact.client_order_id == after.client_order_id:
        return _not_found(step, bracket, terms, after, fact)
    return bracket


def _outcome_unknown(step: Step, bracket: Bracket, before: LegOrder, after: LegOrder) -> Bracket:
    """Nothing is concluded from silence: ask, at once."""
    if before.state is after.state and after.state in IN_FLIGHT:
        return bracket  # told twice, once for either leg of a pair
    step.tell(NoteKind.UNKNOWN_OUTCOME, Severity.WARNING, client_order_id=after.client_order_id)
    ask(step, bracket, after)
    return with_order(bracket, after, replace(after, asked_ns=step.now_ns, answer_lost=True))


def _request_refused(step: Step, bracket: Bracket, order: LegOrder, fact: RequestRefused) -> Bracket:
    if fact.verb != SUBMIT:
        ask(step, bracket, order)  # 'too late' and 'unknown' are no ends: what is it, then?
        return with_order(bracket, order, replace(order, asked_ns=step.now_ns))
    if order.state is not OrderState.UNSURE:
        return bracket
    # A second copy was refused. The first may still arrive, so its fate is waited out; the refusal counts all the same.
    bracket = with_order(bracket, order, replace(order, copy_refused=True))
    if fact.code == WOULD_TRIGGER and order.leg is Leg.STOP:
        return leave(step, bracket, STOP_HIT, "the stop would trigger at once: the market is through it")
    return bracket


def _not_found(step: Step, bracket: Bracket, terms: Terms, order: LegOrder, fact: OrderNotFound) -> Bracket:
    """Not proof yet: the timer asks again; where ids are unique for ever the same order may go again at once."""
    if order.missed_ns is None:
        missed = replace(order, missed_ns=fact.asked_ns, asked_ns=step.now_ns)
        bracket, order = with_order(bracket, order, missed), missed
    if terms.capabilities.client_id_scope is ClientIdScope.FOREVER:
        return send_again(step, bracket, terms, order)
    return bracket


def _tell(step: Step, before: LegOrder, after: LegOrder, fact: OrderFact) -> None:
    filled = after.cum_qty - before.cum_qty
    if filled:
        px = fact.last_px if type(fact) is ExecutionReport and fact.last_px is not None else None
        if px is None and after.value != before.value:
            px = divide(after.value - before.value, filled)
        step.tell(
            NoteKind.ENTRY_FILLED if after.leg is Leg.ENTRY else NoteKind.EXIT_FILLED,
            Severity.INFO if filled > 0 else Severity.WARNING,
            client_order_id=after.client_order_id,
            leg=after.leg.value,
            quantity=filled,
            px=px,
            cum_qty=after.cum_qty,
            leaves_qty=after.leaves_qty,
        )
    elif after.state is OrderState.WORKING and before.state not in RESTING:
        if after.leg is Leg.STOP:
            step.tell(NoteKind.STOP_RESTING, client_order_id=after.client_order_id, stop_px=after.stop_px)
        elif after.leg is Leg.TARGET:
            step.tell(NoteKind.TARGET_RESTING, client_order_id=after.client_order_id, target_px=after.limit_px)
