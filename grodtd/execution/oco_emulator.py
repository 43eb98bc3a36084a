"""The two exits as one-cancels-other, on venues that have such a thing and on those that do not.

The machine speaks of the exits of one open position. Whatever the plan, one rule is never broken: what may still
sell never adds up to more than what is open (reduce-only pairs excepted, which the venue trims). So a target is
taken by cancelling the stop, waiting for its *final* filled quantity, and only then selling what is left.

All the ifs are in `classify`; `TABLE` is the machine, keyed (what the exits are doing, what the facts now mean).
"""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum, auto

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, ExitState, LegOrder, OrderState
from grodtd.domain.capabilities import Amend
from grodtd.domain.errors import Surprise
from grodtd.domain.money import ZERO, floor_to
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import Leg, TimeInForce
from grodtd.domain.policy import Plan
from grodtd.execution import exit_orders, order_changes
from grodtd.execution.coverage import Coverage
from grodtd.execution.ladder import STOP_HIT, leave, stops_denied
from grodtd.execution.scale_out import Part, parts, rung_px
from grodtd.execution.terms import Step, Terms


class Touch(StrEnum):
    """What the market did to a level watched here."""

    NONE = auto()
    MOVE = auto()
    """It reached a price at which the stop comes nearer."""
    TARGET = auto()
    STOP = auto()


class Trigger(StrEnum):
    """What the facts, taken together, mean for the exits."""

    SETTLED = auto()
    """Every unit is committed to a stop, none to more than one."""
    SHORT = auto()
    """Units without an exit."""
    WAITING = auto()
    """Units without an exit, and the next attempt is not due yet."""
    EXCESS = auto()
    """More may still sell than is open."""
    LONELY = auto()
    """Units whose only exit is a target: its stop is gone."""
    TARGET_SHORT = auto()
    """The stop is in place; the resting target is missing or too small."""
    TARGET_EXCESS = auto()
    """The resting target is larger than what is open."""
    MISPRICED = auto()
    """A resting exit does not stand at the level in force."""
    TOUCHED = auto()
    """The market reached a target watched here."""
    CROSSED = auto()
    """The market went through a stop watched here."""
    EXHAUSTED = auto()
    """The venue refused the stop for as long as we are willing to watch it ourselves."""
    BUSY = auto()
    """Orders that must end first are still alive."""
    CLEAR = auto()
    """Nothing of ours may sell any more: the way is free."""
    SELLING = auto()
    """The order that takes us out is on its way."""
    MISSED = auto()
    """It ended, and units are left."""
    TAKEN = auto()
    """It sold all this target was for; the others go on."""
    REFUSED = auto()
    """The exit was refused, the next attempt is not due yet, and nothing guards meanwhile."""


E, T = ExitState, Trigger
Rule = Callable[[Step, Bracket, Terms, Coverage], Bracket]


def nothing(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Nothing is owed."""
    return bracket


def cover_rest(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Protect the units that have no exit: an additional stop (or linked pair); merged by amending when it must be."""
    missing = cover.sellable_qty - cover.committed_qty
    assert bracket.stop_px is not None
    stops = [order for order in bracket.orders if order.leg is Leg.STOP and order.alive]
    alone = terms.instrument.sellable(missing, bracket.stop_px)
    if not alone or len(stops) >= terms.policy.protection.max_stops:
        for order in stops:
            total = order.quantity + missing
            if order_changes.can_amend(terms, order, total, order.stop_px, step.now_ns):
                step.tell(NoteKind.STOP_GROWN, client_order_id=order.client_order_id, quantity=missing)
                return order_changes.amend(
                    step, bracket, terms, order, total, stop_px=order.stop_px, limit_px=order.limit_px
                )
    if not alone:
        # Too small to stand alone, and nothing here can grow: the newest stop makes room for one that holds both.
        return order_changes.cancel(step, bracket, stops[-1]) if stops else bracket
    if bracket.rungs and bracket.plan is Plan.NATIVE_OCO:
        return _cover_parts(step, bracket, terms, cover, alone)
    if exit_orders.uses_pair(bracket, terms, alone, bracket.target_px):
        return exit_orders.place_pair(step, bracket, terms, alone, bracket.target_px)
    return exit_orders.place_stop(step, bracket, terms, alone)


def _cover_parts(step: Step, bracket: Bracket, terms: Terms, cover: Coverage, missing: Decimal) -> Bracket:
    """Protect `missing` units by one linked pair a target, and a stop alone for what has none (or too little)."""
    alone = missing
    for part in parts(bracket, terms, cover):
        lacking = min(part.quantity - _in_targets(bracket, part.rung), alone)
        lacking = floor_to(lacking, terms.instrument.lot_size)
        if lacking > 0 and exit_orders.uses_pair(bracket, terms, lacking, part.px):
            bracket = exit_orders.place_pair(step, bracket, terms, lacking, part.px, part.rung)
            alone -= lacking
    return exit_orders.place_stop(step, bracket, terms, alone) if alone > 0 else bracket


def _in_targets(bracket: Bracket, rung: int) -> Decimal:
    """Units that a target of this rung may still sell."""
    return sum((o.leaves_qty for o in bracket.orders if o.leg is Leg.TARGET and o.rung == rung and o.alive), ZERO)


def shrink_exits(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Take off what is committed beyond what is open: a partial exit shrinks its sibling, it never kills it."""
    excess = cover.committed_qty - cover.going_qty - cover.sellable_qty
    if bracket.plan is Plan.PAIR_REDUCE_ONLY and terms.capabilities.amend is Amend.NONE:
        return order_changes.renew_smaller(step, bracket, terms, cover)
    if lonely_targets(bracket):  # the stop is the last to go
        return cancel_lonely(step, bracket, terms, cover)
    return order_changes.shrink(step, bracket, terms, Leg.STOP, excess)


def cancel_lonely(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """A target whose stop is gone guards nothing: it makes room for a stop."""
    for order in lonely_targets(bracket):
        bracket = order_changes.cancel(step, bracket, order)
    return bracket


def place_target(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Rest the target beside the stop, for what is open and not yet in a target."""
    bracket = replace(bracket, target_retry_at_ns=None)
    for part in _targets_missing(bracket, terms, cover):
        bracket = exit_orders.place_target(step, bracket, terms, part.quantity, part.px, part.rung, at_once=False)
    return bracket


def shrink_target(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Take the resting target down to what is open."""
    for part in parts(bracket, terms, cover):
        excess = _in_targets(bracket, part.rung) - part.quantity
        if excess > 0:
            bracket = order_changes.shrink(step, bracket, terms, Leg.TARGET, excess, part.rung)
    return bracket


def reprice(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Move resting exits to the levels in force: in one step where the venue can, else cancel and place again."""
    for index in range(len(bracket.orders)):
        order = bracket.orders[index]  # as it is now: a pair's second leg went with its first
        if not is_mispriced(order, bracket, step.now_ns):
            continue
        stop_px = bracket.stop_px if order.leg is Leg.STOP else None
        limit_px = rung_px(bracket, order.rung) if order.leg is Leg.TARGET else None
        if order_changes.can_amend(terms, order, order.quantity, stop_px or limit_px, step.now_ns):
            bracket = order_changes.amend(
                step, bracket, terms, order, order.quantity, stop_px=stop_px, limit_px=limit_px
            )
        else:
            bracket = order_changes.cancel(step, bracket, order)
    return bracket


def begin_take(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """The target was touched: the stop goes first. With no stop resting (synthetic) we sell at once."""
    step.tell(NoteKind.TARGET_TOUCHED, target_px=bracket.target_px, last_px=bracket.last_px)
    bracket = replace(bracket, take_generation=bracket.target_generation, taking_px=bracket.target_px)
    if not cover.committed_qty:
        return take(step, bracket, terms, cover)
    return _make_room(step, bracket, terms, cover)


def _make_room(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Ask so much of the stop to go as the target is to sell: all of it, or the stop of the others stays."""
    staying = cover.sellable_qty - _take_qty(bracket, terms, cover)
    if not staying:
        return order_changes.cancel_all(step, bracket, Leg.STOP, Leg.TARGET)
    return order_changes.shrink(step, bracket, terms, Leg.STOP, cover.committed_qty - cover.going_qty - staying)


def _take_qty(bracket: Bracket, terms: Terms, cover: Coverage) -> Decimal:
    """Units the target at hand is for: all that is open, or its own part where the rest can stand alone."""
    if not bracket.rungs:
        return cover.sellable_qty
    part = next((p.quantity for p in parts(bracket, terms, cover) if p.px is not None and p.quantity > 0), ZERO)
    assert bracket.stop_px is not None
    rest_stands = terms.instrument.sellable(cover.sellable_qty - part, bracket.stop_px) > 0
    return part if rest_stands else cover.sellable_qty


def take(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """The stop is finally gone: sell what it left, at the target or better, now or not at all."""
    rung = next((part.rung for part in parts(bracket, terms, cover) if part.px is not None and part.quantity > 0), 0)
    quantity = _take_qty(bracket, terms, cover)
    return exit_orders.place_target(step, bracket, terms, quantity, bracket.target_px, rung, at_once=True)


def go_on(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """One target of several is sold out: what is left has its stop, or gets it again."""
    step.tell(NoteKind.TARGET_TAKEN, open_qty=cover.open_qty)
    return _stop_back(step, bracket, terms, cover)


def _stop_back(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    if bracket.plan is Plan.SYNTHETIC or cover.committed_qty >= cover.sellable_qty:
        return bracket
    return cover_rest(step, bracket, terms, cover)


def protect_again(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """The price fell back before we sold everything: the stop returns for what is left."""
    step.tell(NoteKind.TARGET_MISSED, open_qty=cover.open_qty)
    return _stop_back(step, bracket, terms, cover)


def stop_was_hit(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """The market is through a stop that is watched here: get out."""
    step.tell(NoteKind.STOP_CROSSED, stop_px=bracket.stop_px, last_px=bracket.last_px)
    return get_out(step, leave(step, bracket, STOP_HIT, "the market is through the stop watched here"), terms, cover)


def ladder_ends(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """The venue would not take a stop in all that time: get out."""
    return get_out(step, leave(step, bracket, STOP_HIT, "the venue refused the stop too often"), terms, cover)


def get_out(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Ask every resting exit to go; with none left, sell."""
    if not cover.exits_alive:
        return exit_orders.place_exit(step, bracket, terms, cover.sellable_qty)
    return order_changes.cancel_all(step, bracket, Leg.STOP, Leg.TARGET)


def sell(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Send the marketable exit for what is open: wider than the last one, in the end at market."""
    return exit_orders.place_exit(step, bracket, terms, cover.sellable_qty)


def rearm(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """The venue refused the exit: the stop goes back until the next attempt, once an attempt."""
    step.tell(NoteKind.STOP_RESTORED, Severity.WARNING, quantity=cover.sellable_qty, stop_px=bracket.stop_px)
    bracket = replace(bracket, rearmed=bracket.exit_attempts)
    return exit_orders.place_stop(step, bracket, terms, cover.sellable_qty)


def make_way(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """What rests in the target's way goes first: a stop that was given up for dead may have come alive."""
    if cover.sellable_qty == _take_qty(bracket, terms, cover):
        return clear_way(step, bracket, terms, cover)
    return _make_room(step, bracket, terms, cover)


def clear_way(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Whatever rests goes first: a stop that was given up for dead may have come alive."""
    for index in range(len(bracket.orders)):
        order = bracket.orders[index]  # as it is now: a pair's second leg went with its first
        if order.leg is Leg.STOP or (order.leg is Leg.TARGET and order.time_in_force is not TimeInForce.IOC):
            bracket = order_changes.cancel(step, bracket, order)
    return bracket


def recall(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """The sale on its way is too large: what rests beside it goes, else it is asked back."""
    cleared = clear_way(step, bracket, terms, cover)
    return order_changes.cancel_all(step, bracket, Leg.TARGET, Leg.EXIT) if cleared is bracket else cleared


TABLE: dict[tuple[ExitState, Trigger], tuple[ExitState, Rule]] = {
    (E.GUARD, T.SETTLED): (E.GUARD, nothing),
    (E.GUARD, T.SHORT): (E.GUARD, cover_rest),
    # The stop was refused, denied too often, or died with the day; or others are going, and one comes for them all.
    (E.GUARD, T.WAITING): (E.GUARD, nothing),
    (E.GUARD, T.EXCESS): (E.GUARD, shrink_exits),
    (E.GUARD, T.LONELY): (E.GUARD, cancel_lonely),  # the target filled in part, and the venue dropped its stop
    (E.GUARD, T.TARGET_SHORT): (E.GUARD, place_target),
    (E.GUARD, T.TARGET_EXCESS): (E.GUARD, shrink_target),  # the stop filled in part
    (E.GUARD, T.MISPRICED): (E.GUARD, reprice),
    (E.GUARD, T.TOUCHED): (E.TAKE, begin_take),
    (E.GUARD, T.CROSSED): (E.LEAVE, stop_was_hit),
    (E.GUARD, T.EXHAUSTED): (E.LEAVE, ladder_ends),
    (E.TAKE, T.BUSY): (E.TAKE, make_way),  # the stop may still fill while its cancel travels
    (E.TAKE, T.CLEAR): (E.TAKE, take),
    (E.TAKE, T.SELLING): (E.TAKE, nothing),
    (E.TAKE, T.EXCESS): (E.TAKE, recall),  # the entry was busted while the sale travelled
    (E.TAKE, T.MISSED): (E.GUARD, protect_again),
    (E.TAKE, T.TAKEN): (E.GUARD, go_on),
    (E.TAKE, T.CROSSED): (E.LEAVE, stop_was_hit),  # fell from the target through the stop while we swapped
    (E.LEAVE, T.BUSY): (E.LEAVE, get_out),
    (E.LEAVE, T.CLEAR): (E.LEAVE, sell),
    (E.LEAVE, T.SELLING): (E.LEAVE, nothing),
    (E.LEAVE, T.EXCESS): (E.LEAVE, recall),  # a bust; or a stop that was given up for dead came alive
    (E.LEAVE, T.REFUSED): (E.LEAVE, rearm),
    (E.LEAVE, T.WAITING): (E.LEAVE, nothing),  # the next attempt has its time; the stop we put back may rest
}
"""(what the exits do, what the facts mean) -> (what they do next, the rule that writes the commands)."""


def classify(bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch, now_ns: int) -> Trigger:
    """Name what the facts mean for the exits of an open, sellable position."""
    state = bracket.exits
    if state is E.GUARD:
        return _classify_guard(bracket, terms, cover, touch, now_ns)
    if state is E.TAKE:
        return _classify_take(bracket, terms, cover, touch)
    return _classify_leave(bracket, cover, now_ns)


def _classify_guard(bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch, now_ns: int) -> Trigger:
    if touch is Touch.STOP:
        return T.CROSSED
    frozen = bool(bracket.frozen_reason)  # then the stop is kept and grown, and all else waits
    if touch is Touch.TARGET and not frozen:
        return T.TOUCHED
    if bracket.closed_until_ns is not None:
        return T.WAITING
    open_qty, committed_qty = cover.sellable_qty, cover.committed_qty
    if bracket.plan is Plan.SYNTHETIC and committed_qty <= open_qty:
        return T.SETTLED  # both levels are watched here
    if cover.target_qty and cover.stop_qty < open_qty and lonely_targets(bracket) and not frozen:
        return T.LONELY
    if committed_qty < open_qty:
        if stops_denied(bracket, terms):
            return T.WAITING
        if bracket.local_stop_until_ns is not None and now_ns >= bracket.local_stop_until_ns:
            return T.EXHAUSTED
        if bracket.stop_retry_at_ns is None or now_ns >= bracket.stop_retry_at_ns:
            return T.WAITING if _stop_going(bracket) else T.SHORT
        return T.MISPRICED if _any_mispriced(bracket, now_ns) and not frozen else T.WAITING
    if frozen:
        return T.SETTLED
    if committed_qty - cover.going_qty > open_qty:
        return T.EXCESS
    if bracket.plan is Plan.PAIR_REDUCE_ONLY and bracket.target_px is not None and not _target_going(bracket):
        if cover.target_qty and _targets_too_large(bracket, terms, cover):
            return T.TARGET_EXCESS
        due = bracket.target_retry_at_ns is None or now_ns >= bracket.target_retry_at_ns
        if due and open_qty <= cover.protected_qty and _targets_missing(bracket, terms, cover):
            return T.TARGET_SHORT
    return T.MISPRICED if _any_mispriced(bracket, now_ns) else T.SETTLED


def _classify_take(bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Trigger:
    if touch is Touch.STOP:
        return T.CROSSED
    sent = bracket.target_generation > bracket.take_generation
    selling = any(o.leg is Leg.TARGET and o.alive and o.time_in_force is TimeInForce.IOC for o in bracket.orders)
    resting = any(o.leg is Leg.TARGET and o.alive and o.time_in_force is not TimeInForce.IOC for o in bracket.orders)
    staying = cover.sellable_qty - _take_qty(bracket, terms, cover) if bracket.rungs and not sent else ZERO
    if resting or (cover.stop_qty > staying and not (bracket.rungs and sent)):
        return T.BUSY
    if selling or (cover.exits_alive and not bracket.rungs):
        return _selling(cover)
    if bracket.frozen_reason:
        return T.MISSED
    if not sent:
        return T.CLEAR
    return T.TAKEN if bracket.rungs and bracket.target_px != bracket.taking_px else T.MISSED


def _classify_leave(bracket: Bracket, cover: Coverage, now_ns: int) -> Trigger:
    if any(order.leg is Leg.EXIT and order.alive for order in bracket.orders):
        return _selling(cover)
    if bracket.exit_retry_at_ns is not None and now_ns < bracket.exit_retry_at_ns:
        # A stop that was hit would be refused again; any other reason to leave is no reason to stand bare.
        restorable = bracket.exit_reason != STOP_HIT and bracket.rearmed < bracket.exit_attempts
        resting = bracket.plan is not Plan.SYNTHETIC and bracket.closed_until_ns is None
        return T.REFUSED if restorable and resting and not cover.exits_alive else T.WAITING
    return T.BUSY if cover.exits_alive else T.CLEAR


def _selling(cover: Coverage) -> Trigger:
    return T.EXCESS if cover.committed_qty - cover.going_qty > cover.open_qty else T.SELLING


def is_mispriced(order: LegOrder, bracket: Bracket, now_ns: int) -> bool:
    """Whether a resting exit that nobody is changing stands at another price than the level in force."""
    if order.state is not OrderState.WORKING or order.cancel_wanted:
        return False
    if order.leg is Leg.STOP:
        mispriced = order.stop_px != bracket.stop_px
    else:
        mispriced = order.leg is Leg.TARGET and order.limit_px != rung_px(bracket, order.rung)
    if not mispriced or order.amend_retry_at_ns is None or order.amend_refused:
        return mispriced
    return now_ns >= order.amend_retry_at_ns


def _any_mispriced(bracket: Bracket, now_ns: int) -> bool:
    return any(is_mispriced(order, bracket, now_ns) for order in bracket.orders)


def _targets_missing(bracket: Bracket, terms: Terms, cover: Coverage) -> list[Part]:
    """Return what is open, stands in no target, and is enough to make one: one part a target."""
    found = []
    for part in parts(bracket, terms, cover):
        if part.px is not None:
            quantity = terms.instrument.sellable(part.quantity - _in_targets(bracket, part.rung), part.px)
            if quantity > 0:
                found.append(part._replace(quantity=quantity))
    return found


def _targets_too_large(bracket: Bracket, terms: Terms, cover: Coverage) -> bool:
    return any(_in_targets(bracket, part.rung) > part.quantity for part in parts(bracket, terms, cover))


def lonely_targets(bracket: Bracket) -> list[LegOrder]:
    """Return the resting targets that nobody asked to go, the venue neither, and that no living stop stands beside.

    The targets of a reduce-only pair are not: they commit nothing, so their stop comes back beside them.
    """
    if bracket.plan is Plan.PAIR_REDUCE_ONLY:
        return []
    lonely = []
    for order in bracket.orders:
        if order.leg is Leg.TARGET and order.alive and not order.cancel_wanted:
            sibling = order_changes.linked(bracket, order)
            if sibling is None or not (sibling.alive or sibling.cum_qty):
                lonely.append(order)
    return lonely


def _stop_going(bracket: Bracket) -> bool:
    """Whether a stop's cancel is on its way and its answer may come any moment.

    What is sent about a bracket waits for it all the same, so stops that are cancelled to be moved come back as one.
    """
    return any(
        order.leg is Leg.STOP and order.state is OrderState.CANCELLING and order.cancels == 1 and not order.answer_lost
        for order in bracket.orders
    )


def _target_going(bracket: Bracket) -> bool:
    """Whether a resting target is being cancelled or resized already: its answer comes first."""
    return any(
        order.leg is Leg.TARGET and order.alive and (order.cancel_wanted or order.pending is not None)
        for order in bracket.orders
    )


class OCOEmulator:
    """The pair of exits of one open position. Stateless: the state is the bracket's own `exits`."""

    def step(self, step: Step, bracket: Bracket, terms: Terms, cover: Coverage, touch: Touch) -> Bracket:
        """Return the bracket after its exits reacted; commands and decisions are on `step`.

        Raises Surprise, with nothing changed, when the table has no row.
        """
        trigger = classify(bracket, terms, cover, touch, step.now_ns)
        row = TABLE.get((bracket.exits, trigger))
        if row is None:
            raise Surprise("one-cancels-other", bracket.exits, trigger.name, bracket.bracket_id)
        state, rule = row
        after = rule(step, bracket, terms, cover)
        return after if after.exits is state else replace(after, exits=state)
