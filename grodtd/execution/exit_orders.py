"""How exits are made: the orders a rule decides on become commands, and are remembered with the bracket.

Every function takes and returns the bracket (a frozen value) and writes its commands on the step's sheet.
"""

from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, LegOrder, OrderState
from grodtd.domain.capabilities import Amend, ReduceOnly, StopOrders
from grodtd.domain.commands import CancelOrder, QueryOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.ids import client_order_id
from grodtd.domain.money import ceil_to, floor_to
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import Leg, NewOrder, OrderType, Side, TimeInForce
from grodtd.domain.policy import NS_PER_S, Plan
from grodtd.execution.order_lifecycle import ask_cancel, ask_replace
from grodtd.execution.terms import Step, Terms

VALID_FOR_NS = 5 * NS_PER_S
"""How long a request stays good where the venue can drop late ones (DESIGN section 6)."""
BPS = Decimal(10_000)


def with_order(bracket: Bracket, old: LegOrder, new: LegOrder) -> Bracket:
    """Put `new` in the place of `old`."""
    if new is old:
        return bracket
    return replace(bracket, orders=tuple(new if order is old else order for order in bracket.orders))


def _leg(leg: Leg, order: NewOrder, now_ns: int, linked_id: str = "") -> LegOrder:
    return LegOrder(
        leg=leg,
        client_order_id=order.client_order_id,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        stop_px=order.stop_px,
        limit_px=order.limit_px,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        linked_id=linked_id,
        sent_ns=now_ns,
        asked_ns=now_ns,
        valid_until_ns=order.valid_until_ns,
    )


def valid_until(terms: Terms, now_ns: int) -> int | None:
    """Until when the venue may still take a request sent now; None where it cannot tell."""
    return now_ns + VALID_FOR_NS if terms.capabilities.supports_valid_until else None


def _reduces(terms: Terms) -> bool:
    return terms.capabilities.reduce_only is not ReduceOnly.NONE


def stop_order(bracket: Bracket, terms: Terms, client_id: str, quantity: Decimal, now_ns: int) -> NewOrder:
    """Describe a stop for `quantity` at the level in force; a stop-limit where the venue has nothing better."""
    side = bracket.side.opposite
    stop_px = bracket.stop_px
    assert stop_px is not None
    limit_px = None
    order_type = OrderType.STOP
    if terms.capabilities.stop_orders is StopOrders.LIMIT:
        order_type = OrderType.STOP_LIMIT
        limit_px = collared(side, stop_px, terms.policy.protection.stop_limit_bps, terms.instrument.tick_size)
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=side,
        order_type=order_type,
        quantity=quantity,
        stop_px=stop_px,
        limit_px=limit_px,
        reduce_only=_reduces(terms),
        valid_until_ns=valid_until(terms, now_ns),
    )


def target_order(
    bracket: Bracket, terms: Terms, client_id: str, quantity: Decimal, now_ns: int, *, at_once: bool
) -> NewOrder:
    """Describe a limit at the target: resting, or (`at_once`) taking what is there and no more."""
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=bracket.side.opposite,
        order_type=OrderType.LIMIT,
        quantity=quantity,
        limit_px=bracket.target_px,
        time_in_force=TimeInForce.IOC if at_once else TimeInForce.GTC,
        reduce_only=_reduces(terms),
        valid_until_ns=valid_until(terms, now_ns),
    )


def collared(side: Side, px: Decimal, bps: Decimal, tick: Decimal) -> Decimal:
    """Return the worst price a marketable order may trade at: `bps` beyond `px`, rounded outwards, never below a tick.

    >>> collared(Side.SELL, Decimal(100), Decimal(50), Decimal("0.01"))
    Decimal('99.50')
    """
    if side is Side.SELL:
        return max(floor_to(px * (1 - bps / BPS), tick), tick)
    return ceil_to(px * (1 + bps / BPS), tick)


def place_stop(step: Step, bracket: Bracket, terms: Terms, quantity: Decimal) -> Bracket:
    """Send one more stop, for `quantity`."""
    generation = bracket.stop_generation + 1
    order = stop_order(bracket, terms, client_order_id(bracket.bracket_id, "stop", generation), quantity, step.now_ns)
    step.commands.append(SubmitOrder(bracket.bracket_id, order))
    step.tell(
        NoteKind.STOP_GROWN if bracket.stop_generation else NoteKind.STOP_PLACED,
        client_order_id=order.client_order_id,
        quantity=quantity,
        stop_px=order.stop_px,
    )
    leg = _leg(Leg.STOP, order, step.now_ns)
    return replace(bracket, orders=(*bracket.orders, leg), stop_generation=generation)


def place_pair(step: Step, bracket: Bracket, terms: Terms, quantity: Decimal) -> Bracket:
    """Send a stop and a target the venue links, each for `quantity`."""
    stop_generation, target_generation = bracket.stop_generation + 1, bracket.target_generation + 1
    stop_id = client_order_id(bracket.bracket_id, "stop", stop_generation)
    target_id = client_order_id(bracket.bracket_id, "target", target_generation)
    stop = stop_order(bracket, terms, stop_id, quantity, step.now_ns)
    target = target_order(bracket, terms, target_id, quantity, step.now_ns, at_once=False)
    step.commands.append(SubmitOco(bracket.bracket_id, stop, target))
    step.tell(
        NoteKind.STOP_GROWN if bracket.stop_generation else NoteKind.STOP_PLACED,
        client_order_id=stop_id,
        quantity=quantity,
        stop_px=stop.stop_px,
        target_px=target.limit_px,
        linked_id=target_id,
    )
    legs = (
        _leg(Leg.STOP, stop, step.now_ns, target_id),
        _leg(Leg.TARGET, target, step.now_ns, stop_id),
    )
    return replace(
        bracket,
        orders=(*bracket.orders, *legs),
        stop_generation=stop_generation,
        target_generation=target_generation,
    )


def place_target(step: Step, bracket: Bracket, terms: Terms, quantity: Decimal, *, at_once: bool) -> Bracket:
    """Send a limit at the target, resting or at once."""
    generation = bracket.target_generation + 1
    client_id = client_order_id(bracket.bracket_id, "target", generation)
    order = target_order(bracket, terms, client_id, quantity, step.now_ns, at_once=at_once)
    step.commands.append(SubmitOrder(bracket.bracket_id, order))
    step.tell(
        NoteKind.TARGET_PLACED,
        client_order_id=client_id,
        quantity=quantity,
        target_px=order.limit_px,
        time_in_force=order.time_in_force.value,
    )
    leg = _leg(Leg.TARGET, order, step.now_ns)
    return replace(bracket, orders=(*bracket.orders, leg), target_generation=generation)


def marketable(bracket: Bracket, terms: Terms, side: Side, client_id: str, quantity: Decimal, now_ns: int) -> NewOrder:
    """Describe an order that trades now: a limit in a collar round the last price, wider each attempt, then market.

    Without a known price there is nothing to put a collar round: market at once. A collar never blocks an exit.
    """
    protection = terms.policy.protection
    limit_px = None
    if bracket.last_px is not None and bracket.exit_attempts < protection.exit_collar_attempts:
        bps = protection.exit_collar_bps * 2**bracket.exit_attempts
        limit_px = collared(side, bracket.last_px, bps, terms.instrument.tick_size)
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=side,
        order_type=OrderType.MARKET if limit_px is None else OrderType.LIMIT,
        quantity=quantity,
        limit_px=limit_px,
        time_in_force=TimeInForce.GTC if limit_px is None else TimeInForce.IOC,
        reduce_only=_reduces(terms) and side is not bracket.side,
        valid_until_ns=valid_until(terms, now_ns),
    )


def place_exit(step: Step, bracket: Bracket, terms: Terms, quantity: Decimal) -> Bracket:
    """Send the marketable exit, attempt `exit_attempts` + 1."""
    generation = bracket.exit_generation + 1
    client_id = client_order_id(bracket.bracket_id, "exit", generation)
    order = marketable(bracket, terms, bracket.side.opposite, client_id, quantity, step.now_ns)
    step.commands.append(SubmitOrder(bracket.bracket_id, order))
    step.tell(
        NoteKind.EXIT_SENT,
        client_order_id=client_id,
        quantity=quantity,
        limit_px=order.limit_px,
        attempt=bracket.exit_attempts + 1,
        exit_reason=bracket.exit_reason,
    )
    leg = _leg(Leg.EXIT, order, step.now_ns)
    return replace(
        bracket,
        orders=(*bracket.orders, leg),
        exit_generation=generation,
        exit_attempts=bracket.exit_attempts + 1,
        exit_retry_at_ns=None,
    )


def place_remedy(step: Step, bracket: Bracket, terms: Terms, quantity: Decimal) -> Bracket:
    """Buy back (for a short: sell) what was sold too much."""
    generation = bracket.remedy_generation + 1
    client_id = client_order_id(bracket.bracket_id, "remedy", generation)
    order = marketable(bracket, terms, bracket.side, client_id, quantity, step.now_ns)
    step.commands.append(SubmitOrder(bracket.bracket_id, order))
    leg = _leg(Leg.REMEDY, order, step.now_ns)
    return replace(
        bracket,
        orders=(*bracket.orders, leg),
        remedy_generation=generation,
        exit_attempts=bracket.exit_attempts + 1,
        exit_retry_at_ns=None,
    )


def cancel(step: Step, bracket: Bracket, order: LegOrder) -> Bracket:
    """Ask for an order's end; where the venue does not know it yet, as soon as it does."""
    if not order.alive or order.state is OrderState.CANCELLING:
        return bracket
    if order.state is OrderState.WORKING and not order.cancel_wanted:
        step.commands.append(CancelOrder(bracket.bracket_id, order.client_order_id))
        step.tell(NoteKind.CANCEL_ASKED, client_order_id=order.client_order_id, quantity=order.leaves_qty)
        return with_order(bracket, order, ask_cancel(order, step.now_ns))
    if order.cancel_wanted:
        return bracket
    return with_order(bracket, order, replace(order, cancel_wanted=True, asked_ns=0))


def cancel_all(step: Step, bracket: Bracket, *legs: Leg) -> Bracket:
    """Ask for the end of every living order of `legs` (all exits and the entry when none are named)."""
    for order in bracket.orders:
        if order.alive and (not legs or order.leg in legs):
            bracket = cancel(step, bracket, order)
    return bracket


def can_amend(terms: Terms, order: LegOrder, quantity: Decimal, stop_px: Decimal | None) -> bool:
    """Whether the venue can turn a working order into one of `quantity` (chain total) at `stop_px` in one step."""
    amend = terms.capabilities.amend
    if order.state is not OrderState.WORKING or order.cancel_wanted or amend is Amend.NONE or order.linked_id:
        return False
    if amend is Amend.QUANTITY_DOWN_ONLY:
        return quantity < order.quantity and stop_px == order.stop_px
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


def shrink(step: Step, bracket: Bracket, terms: Terms, leg: Leg, excess: Decimal) -> Bracket:
    """Take `excess` units off the leg's resting orders, newest first: amend where the venue can, else cancel.

    A stop cancelled here is placed again, smaller, once its end is certain: where nothing can be amended there is
    no other way.
    """
    step.tell(NoteKind.EXITS_SHRUNK, leg=leg.value, excess=excess)
    for order in reversed(bracket.orders):
        if excess <= 0:
            break
        if order.leg is not leg or not order.alive:
            continue
        leaves = order.leaves_qty
        if leaves > excess and can_amend(terms, order, order.quantity - excess, order.stop_px):
            return amend(
                step,
                bracket,
                terms,
                order,
                order.quantity - excess,
                stop_px=order.stop_px,
                limit_px=order.limit_px,
            )
        bracket = cancel(step, bracket, order)
        excess -= leaves
    return bracket


def chase(step: Step, bracket: Bracket, terms: Terms) -> Bracket:
    """Do what is owed to orders whose answer is overdue: cancel when wanted, ask again, query the unknown."""
    for order in bracket.orders:
        if not order.alive:
            continue
        overdue = step.now_ns - order.asked_ns >= terms.requery_ns
        state = order.state
        if state is OrderState.WORKING:
            if order.cancel_wanted and (overdue or not order.asked_ns):
                step.commands.append(CancelOrder(bracket.bracket_id, order.client_order_id))
                bracket = with_order(bracket, order, ask_cancel(order, step.now_ns))
        elif overdue:
            step.commands.append(QueryOrder(bracket.bracket_id, order.client_order_id))
            if state is OrderState.CANCELLING:
                step.commands.append(CancelOrder(bracket.bracket_id, order.client_order_id))
            elif order.pending is not None:
                step.commands.append(QueryOrder(bracket.bracket_id, order.pending.client_order_id))
            asked = step.now_ns or 1
            bracket = with_order(bracket, order, replace(order, asked_ns=asked))
    return bracket


def uses_pair(bracket: Bracket) -> bool:
    """Whether new cover comes as a linked pair."""
    return bracket.plan is Plan.NATIVE_OCO and bracket.target_px is not None
