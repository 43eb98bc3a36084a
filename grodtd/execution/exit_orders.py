"""How orders are made: the orders a rule decides on become commands, and are remembered with the bracket.

Every function takes and returns the bracket (a frozen value) and writes its commands on the step's sheet.
"""

from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.bracket import ALIVE, Bracket, LegOrder, OrderState
from grodtd.domain.capabilities import Amend, ReduceOnly, StopOrders
from grodtd.domain.commands import CancelOrder, QueryOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.ids import client_order_id
from grodtd.domain.money import ZERO, ceil_to, floor_to
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import Leg, NewOrder, OrderType, Side, TimeInForce
from grodtd.domain.policy import NS_PER_S, Plan, ProtectionPolicy
from grodtd.domain.risk import EntryTerms
from grodtd.execution.coverage import Coverage, venue_ends
from grodtd.execution.order_lifecycle import ask_cancel, ask_replace
from grodtd.execution.terms import Step, Terms

VALID_FOR_NS = 5 * NS_PER_S
"""How long a request stays good (DESIGN section 6): none leaves us later, and a venue that can drops later ones."""
BPS = Decimal(10_000)
FRESH_NS = 5 * NS_PER_S
"""A last price older than this is no price to put a collar round."""


def with_order(bracket: Bracket, old: LegOrder, new: LegOrder) -> Bracket:
    """Put `new` in the place of `old`."""
    if new is old:
        return bracket
    return replace(bracket, orders=tuple(new if order is old else order for order in bracket.orders))


def _leg(leg: Leg, order: NewOrder, now_ns: int, linked_id: str = "", rung: int = 0) -> LegOrder:
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
        rung=rung,
    )


def valid_until(terms: Terms, now_ns: int) -> int | None:
    """Until when the venue may still take a request sent now; None where it cannot tell."""
    return now_ns + VALID_FOR_NS if terms.capabilities.supports_valid_until else None


def resting(terms: Terms) -> TimeInForce:
    """How long a resting order is to live: for good, or for the day where the venue knows no more."""
    return TimeInForce.GTC if terms.capabilities.gtc else TimeInForce.DAY


def _reduces(terms: Terms) -> bool:
    return terms.capabilities.reduce_only is not ReduceOnly.NONE


def stop_order(bracket: Bracket, terms: Terms, client_id: str, quantity: Decimal, now_ns: int) -> NewOrder:
    """Describe a stop for `quantity` at the level in force.

    A stop-limit where the venue has nothing better, and once after it failed plain stops again (rule 2: another type).
    """
    side = bracket.side.opposite
    stop_px = bracket.stop_px
    assert stop_px is not None
    limit_px = None
    order_type = OrderType.STOP
    protection = terms.policy.protection
    other = 0 < protection.other_stop_type_after == bracket.stop_failures
    if other or terms.capabilities.stop_orders is StopOrders.LIMIT:
        order_type = OrderType.STOP_LIMIT
        limit_px = collared(side, stop_px, protection.stop_limit_bps, terms.instrument.tick_size)
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=side,
        order_type=order_type,
        quantity=quantity,
        stop_px=stop_px,
        limit_px=limit_px,
        time_in_force=resting(terms),
        reduce_only=_reduces(terms),
        valid_until_ns=valid_until(terms, now_ns),
    )


def target_order(
    bracket: Bracket,
    terms: Terms,
    client_id: str,
    quantity: Decimal,
    px: Decimal | None,
    now_ns: int,
    *,
    at_once: bool,
) -> NewOrder:
    """Describe a limit at a target's price: resting, or (`at_once`) taking what is there and no more."""
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=bracket.side.opposite,
        order_type=OrderType.LIMIT,
        quantity=quantity,
        limit_px=px,
        time_in_force=TimeInForce.IOC if at_once else resting(terms),
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


def collared_exit(
    side: Side, last_px: Decimal | None, age_ns: int, attempt: int, policy: ProtectionPolicy, tick: Decimal
) -> Decimal | None:
    """Return the limit of a marketable exit, wider with each `attempt` (from 0); None: at market.

    `last_px` is the last price on the exit side, `age_ns` old. Without a fresh one there is nothing to put a collar
    round, and after `exit_collar_attempts` the collar has had its chance: a collar never blocks an exit.

    >>> collared_exit(Side.SELL, Decimal(100), 0, 1, ProtectionPolicy(), Decimal("0.01"))
    Decimal('99.00')
    """
    if last_px is None or age_ns > FRESH_NS or attempt >= policy.exit_collar_attempts:
        return None
    return collared(side, last_px, policy.exit_collar_bps * 2**attempt, tick)


def place_entry(step: Step, bracket: Bracket, terms: Terms, asked: EntryTerms, client_id: str) -> Bracket:
    """Send the entry of a bracket that has no orders yet."""
    order = NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=bracket.side,
        order_type=asked.order_type,
        quantity=bracket.entry_qty_wanted,
        stop_px=asked.trigger_px,
        limit_px=asked.limit_px,
        time_in_force=resting(terms),
        valid_until_ns=valid_until(terms, step.now_ns),
    )
    step.commands.append(SubmitOrder(bracket.bracket_id, order))
    step.tell(
        NoteKind.ENTRY_SENT,
        client_order_id=client_id,
        order_type=order.order_type.value,
        quantity=order.quantity,
        limit_px=order.limit_px,
        trigger_px=order.stop_px,
        sized_by=asked.sized_by or None,
        equity=asked.equity,
        advice=asked.advice or None,
    )
    return replace(bracket, orders=(_leg(Leg.ENTRY, order, step.now_ns),))


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


def place_pair(
    step: Step, bracket: Bracket, terms: Terms, quantity: Decimal, px: Decimal | None, rung: int = 0
) -> Bracket:
    """Send a stop and a target (at `px`) the venue links, each for `quantity`."""
    stop_generation, target_generation = bracket.stop_generation + 1, bracket.target_generation + 1
    stop_id = client_order_id(bracket.bracket_id, "stop", stop_generation)
    target_id = client_order_id(bracket.bracket_id, "target", target_generation)
    stop = stop_order(bracket, terms, stop_id, quantity, step.now_ns)
    target = target_order(bracket, terms, target_id, quantity, px, step.now_ns, at_once=False)
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
        _leg(Leg.STOP, stop, step.now_ns, target_id, rung),
        _leg(Leg.TARGET, target, step.now_ns, stop_id, rung),
    )
    return replace(
        bracket,
        orders=(*bracket.orders, *legs),
        stop_generation=stop_generation,
        target_generation=target_generation,
    )


def place_target(
    step: Step,
    bracket: Bracket,
    terms: Terms,
    quantity: Decimal,
    px: Decimal | None,
    rung: int = 0,
    *,
    at_once: bool,
) -> Bracket:
    """Send a limit at a target's price, resting or at once."""
    generation = bracket.target_generation + 1
    client_id = client_order_id(bracket.bracket_id, "target", generation)
    order = target_order(bracket, terms, client_id, quantity, px, step.now_ns, at_once=at_once)
    step.commands.append(SubmitOrder(bracket.bracket_id, order))
    step.tell(
        NoteKind.TARGET_PLACED,
        client_order_id=client_id,
        quantity=quantity,
        target_px=order.limit_px,
        time_in_force=order.time_in_force.value,
    )
    leg = _leg(Leg.TARGET, order, step.now_ns, rung=rung)
    return replace(bracket, orders=(*bracket.orders, leg), target_generation=generation)


def marketable(bracket: Bracket, terms: Terms, side: Side, client_id: str, quantity: Decimal, now_ns: int) -> NewOrder:
    """Describe an order that trades now: a limit in a collar round the last price, wider each attempt, then market.

    Without a fresh price there is nothing to put a collar round: market at once. A collar never blocks an exit.
    """
    limit_px = collared_exit(
        side,
        bracket.last_px,
        now_ns - bracket.last_px_ns,
        bracket.exit_attempts,
        terms.policy.protection,
        terms.instrument.tick_size,
    )
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=side,
        order_type=OrderType.MARKET if limit_px is None else OrderType.LIMIT,
        quantity=quantity,
        limit_px=limit_px,
        time_in_force=resting(terms) if limit_px is None else TimeInForce.IOC,
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


def uses_pair(bracket: Bracket, terms: Terms, quantity: Decimal, px: Decimal | None) -> bool:
    """Whether new cover of `quantity` comes as a linked pair: a short's target may be worth too little for one."""
    if bracket.plan is not Plan.NATIVE_OCO or px is None:
        return False
    return terms.instrument.sellable(quantity, px) > 0
