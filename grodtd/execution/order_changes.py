"""What is asked about orders that are sent: that they go, or change, or go once more, or what became of them.

Every function takes and returns the bracket (a frozen value) and writes its commands on the step's sheet.
"""

from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.bracket import ALIVE, Bracket, LegOrder, OrderState
from grodtd.domain.capabilities import Amend
from grodtd.domain.commands import CancelOrder, QueryOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.ids import client_order_id
from grodtd.domain.money import ZERO
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import Leg, NewOrder, OrderType
from grodtd.execution.coverage import Coverage, venue_ends
from grodtd.execution.exit_orders import place_stop, with_order
from grodtd.execution.new_orders import collared, valid_until
from grodtd.execution.order_lifecycle import ask_cancel, ask_replace
from grodtd.execution.terms import Step, Terms


def cancel(step: Step, bracket: Bracket, order: LegOrder) -> Bracket:
    """Ask for an order's end; where the venue does not know it yet, as soon as it does (`chase`).

    Of a linked pair one leg is asked for, or none when one has filled: the venue ends the other with it, and is asked
    for that one only when it does not.
    """
    if order.cancel_wanted or not order.alive:
        return bracket
    if order.state is not OrderState.WORKING:
        return with_order(bracket, order, replace(order, cancel_wanted=True))
    sibling = linked(bracket, order)
    if sibling is None:
        return with_order(bracket, order, _send_cancel(step, bracket, order))
    if sibling.state is OrderState.FILLED:
        return with_order(bracket, order, _left_to_venue(step, order))
    bracket = with_order(bracket, order, _send_cancel(step, bracket, order))
    if sibling.cancel_wanted or sibling.state is not OrderState.WORKING:
        return bracket
    return with_order(bracket, sibling, _left_to_venue(step, sibling))


def _left_to_venue(step: Step, order: LegOrder) -> LegOrder:
    return replace(order, cancel_wanted=True, cancels=1, asked_ns=step.now_ns)


def _send_cancel(step: Step, bracket: Bracket, order: LegOrder) -> LegOrder:
    step.commands.append(CancelOrder(bracket.bracket_id, order.client_order_id))
    step.tell(NoteKind.CANCEL_ASKED, client_order_id=order.client_order_id, quantity=order.leaves_qty)
    return ask_cancel(order, step.now_ns)


def linked(bracket: Bracket, order: LegOrder) -> LegOrder | None:
    """Return the other leg of a native pair; None for an order that is in none."""
    if order.linked_id:
        for other in bracket.orders:
            if other.client_order_id == order.linked_id:
                return other
    return None


def cancel_all(step: Step, bracket: Bracket, *legs: Leg) -> Bracket:
    """Ask for the end of every living order of `legs` (of all when none are named)."""
    for index in range(len(bracket.orders)):
        order = bracket.orders[index]  # as it is now: a pair's second leg went with its first
        if order.alive and (not legs or order.leg in legs):
            bracket = cancel(step, bracket, order)
    return bracket


def can_amend(terms: Terms, order: LegOrder, quantity: Decimal, px: Decimal | None, now_ns: int) -> bool:
    """Whether the venue can turn a working order into one of `quantity` (chain total) at level `px` in one step."""
    amend = terms.capabilities.amend
    if order.state is not OrderState.WORKING or order.cancel_wanted or amend is Amend.NONE or order.linked_id:
        return False
    if order.amend_refused or (order.amend_retry_at_ns is not None and now_ns < order.amend_retry_at_ns):
        return False
    if amend is Amend.QUANTITY_DOWN_ONLY:
        return quantity < order.quantity and px == (order.limit_px if order.leg is Leg.TARGET else order.stop_px)
    return True


def amend(
    step: Step,
    bracket: Bracket,
    terms: Terms,
    order: LegOrder,
    quantity: Decimal,
    *,
    stop_px: Decimal | None,
    limit_px: Decimal | None,
) -> Bracket:
    """Change a working stop or target in one step; `quantity` is the chain's total."""
    if order.leg is Leg.STOP:
        generation = bracket.stop_generation + 1
        bracket = replace(bracket, stop_generation=generation)
    else:
        generation = bracket.target_generation + 1
        bracket = replace(bracket, target_generation=generation)
    if stop_px is not None and order.order_type is OrderType.STOP_LIMIT:
        limit_px = collared(order.side, stop_px, terms.policy.protection.stop_limit_bps, terms.instrument.tick_size)
    new = NewOrder(
        client_order_id=client_order_id(bracket.bracket_id, order.leg.value, generation),
        symbol=bracket.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=quantity,
        stop_px=stop_px,
        limit_px=limit_px,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        valid_until_ns=valid_until(terms, step.now_ns),
    )
    step.commands.append(ReplaceOrder(bracket.bracket_id, order.client_order_id, new))
    return with_order(bracket, order, ask_replace(order, new, step.now_ns))


def shrink(step: Step, bracket: Bracket, terms: Terms, leg: Leg, excess: Decimal, rung: int | None = None) -> Bracket:
    """Take `excess` units off the leg's resting orders (of one rung), newest first: amend if it can be, else cancel.

    A stop cancelled here is placed again, smaller, once its end is certain: where nothing can be amended there is
    no other way.
    """
    for order in reversed(bracket.orders):
        if excess <= 0:
            break
        if order.leg is not leg or not order.alive or order.cancel_wanted or order.pending is not None:
            continue
        if rung is not None and order.rung != rung:
            continue
        if venue_ends(bracket, order):
            continue
        step.tell(NoteKind.EXITS_SHRUNK, leg=leg.value, client_order_id=order.client_order_id, excess=excess)
        leaves = order.leaves_qty
        smaller = order.quantity - excess
        px = order.limit_px if leg is Leg.TARGET else order.stop_px
        if leaves > excess and can_amend(terms, order, smaller, px, step.now_ns):
            return amend(step, bracket, terms, order, smaller, stop_px=order.stop_px, limit_px=order.limit_px)
        bracket = cancel(step, bracket, order)
        excess -= leaves
    return bracket


def renew_smaller(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Shrink reduce-only stops that cannot be amended without a gap: the smaller one rests before the larger goes.

    Only where the venue trims exits itself: elsewhere two stops for the same units could both sell.
    """
    open_qty = cover.sellable_qty
    staying = cover.stop_qty - cover.going_qty
    for order in bracket.orders:
        if order.leg is not Leg.STOP or not order.alive or order.cancel_wanted:
            continue
        leaves = order.leaves_qty
        resting = leaves if order.state is OrderState.WORKING else ZERO
        if cover.protected_qty - cover.going_qty - resting >= open_qty:
            step.tell(NoteKind.EXITS_SHRUNK, leg=Leg.STOP.value, client_order_id=order.client_order_id, excess=leaves)
            return cancel(step, bracket, order)
        if staying - leaves < open_qty:
            return place_stop(step, bracket, terms, open_qty - (staying - leaves))
        return bracket  # the smaller one is on its way
    return bracket


def chase(step: Step, bracket: Bracket, terms: Terms) -> Bracket:
    """Do what is owed to orders whose answer is overdue: cancel when wanted, ask again, query the unknown."""
    for order in bracket.orders:
        state = order.state
        if state is OrderState.WORKING:
            if not order.cancel_wanted and order.missed_ns is None:
                continue
        elif state not in ALIVE:
            continue
        overdue = step.now_ns - order.asked_ns >= terms.requery_ns
        if state is OrderState.WORKING and order.cancel_wanted and (overdue or not order.cancels):
            bracket = with_order(bracket, order, _send_cancel(step, bracket, order))
        elif overdue:
            ask(step, bracket, order)
            asked = replace(order, asked_ns=step.now_ns)
            if state is OrderState.CANCELLING:  # the first request may be lost
                asked = _send_cancel(step, bracket, order)
            bracket = with_order(bracket, order, asked)
    return bracket


def ask(step: Step, bracket: Bracket, order: LegOrder) -> None:
    """Ask what became of an order, and of the replacement on its way."""
    step.commands.append(QueryOrder(bracket.bracket_id, order.client_order_id))
    if order.pending is not None:
        step.commands.append(QueryOrder(bracket.bracket_id, order.pending.client_order_id))


def send_again(step: Step, bracket: Bracket, terms: Terms, order: LegOrder) -> Bracket:
    """Send an order nobody found once more under the same id: where ids are unique for ever there can be only one.

    A linked pair goes again as a pair, when neither leg was found. An order we want gone is not sent again; nor is an
    entry: it was for the market of that moment, and entries may have been paused since.
    """
    if (
        order.leg is Leg.ENTRY
        or order.state is not OrderState.UNSURE
        or order.past_ids
        or order.cancel_wanted
        or order.copy_refused
    ):
        return bracket
    until = valid_until(terms, step.now_ns)
    again = replace(order, sent_ns=step.now_ns, asked_ns=step.now_ns, valid_until_ns=until, missed_ns=None)
    sibling = linked(bracket, order)
    if sibling is None:
        step.commands.append(SubmitOrder(bracket.bracket_id, _as_sent(bracket, again)))
        return with_order(bracket, order, again)
    if sibling.state is not OrderState.UNSURE or sibling.missed_ns is None or sibling.cancel_wanted:
        return bracket
    other = replace(sibling, sent_ns=step.now_ns, asked_ns=step.now_ns, valid_until_ns=until, missed_ns=None)
    stop, target = (again, other) if order.leg is Leg.STOP else (other, again)
    step.commands.append(SubmitOco(bracket.bracket_id, _as_sent(bracket, stop), _as_sent(bracket, target)))
    return with_order(with_order(bracket, order, again), sibling, other)


def _as_sent(bracket: Bracket, order: LegOrder) -> NewOrder:
    return NewOrder(
        client_order_id=order.client_order_id,
        symbol=bracket.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        stop_px=order.stop_px,
        limit_px=order.limit_px,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        valid_until_ns=order.valid_until_ns,
    )
