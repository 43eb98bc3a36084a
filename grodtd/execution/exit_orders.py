"""How orders are made: the orders a rule decides on become commands, and are remembered with the bracket.

Every function takes and returns the bracket (a frozen value) and writes its commands on the step's sheet. What an
order says stands in `new_orders`, what is asked about it later in `order_changes`.
"""

from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, LegOrder
from grodtd.domain.commands import SubmitOco, SubmitOrder
from grodtd.domain.ids import client_order_id
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import Leg, NewOrder
from grodtd.domain.policy import Plan
from grodtd.domain.risk import EntryTerms
from grodtd.execution.new_orders import marketable, resting, stop_order, target_order, valid_until
from grodtd.execution.terms import Step, Terms


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


def uses_pair(bracket: Bracket, terms: Terms, quantity: Decimal, px: Decimal | None) -> bool:
    """Whether new cover of `quantity` comes as a linked pair: a short's target may be worth too little for one."""
    if bracket.plan is not Plan.NATIVE_OCO or px is None:
        return False
    return terms.instrument.sellable(quantity, px) > 0
