"""What losing a leg leads to. The legs are not alike: a lost target never touches the stop; a lost stop climbs.

The ladder of a lost stop, each step bounded in time and visible: sent again after a delay that doubles; once as the
other stop type, after `other_stop_type_after` failures; after `stop_retry_attempts` watched here as a local stop (while
we keep trying); after `local_stop_s` of that, out at market. A stop refused because it would trigger at once is a stop
that was hit: out at once. Where the venue only says "not now" (a halt, a price band) or nothing left this house,
nothing is wrong with the stop: it is watched here and tried again, and never a reason to sell.
"""

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, ExitState, LegOrder, OrderState
from grodtd.domain.events import RequestNotSent, RequestRefused
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import Leg, TimeInForce
from grodtd.domain.policy import NS_PER_S, Plan
from grodtd.execution.coverage import RESTING
from grodtd.execution.exit_orders import with_order
from grodtd.execution.market_hours import HALTED, hold_over_close, rearm_at_ns
from grodtd.execution.order_changes import linked
from grodtd.execution.order_lifecycle import OrderFact
from grodtd.execution.terms import Step, Terms

STOP_HIT = "stop"
"""Exit reason of a bracket whose stop was hit, or given up: no stop is put back for it."""
WOULD_TRIGGER = "would_trigger"
UNSUPPORTED = "unsupported"
NO_INVENTORY = "insufficient_inventory"
NOT_NOW = frozenset({HALTED, "price_band"})
"""Refusals that time or the market lifts: they do not climb the ladder."""
SETTLED_NS = 120 * NS_PER_S
"""A stop not lost for this long starts the ladder from the bottom; longer than any wait between two attempts."""
MAX_DOUBLINGS = 4


def backoff_ns(first_ns: int, failures: int) -> int:
    """Return the wait after the `failures`-th failure: `first_ns`, doubled each time, at most 16-fold.

    >>> backoff_ns(500, 1), backoff_ns(500, 3), backoff_ns(500, 50)
    (500, 2000, 8000)
    """
    return int(first_ns * 2 ** min(max(failures, 1) - 1, MAX_DOUBLINGS))


def refusal_code(fact: OrderFact) -> str:
    """Return the stable word a refusal carries, from a refused request or a REJECTED report's reason."""
    if isinstance(fact, RequestRefused):
        return fact.code
    reason = getattr(fact, "reason", "")
    return reason.split(":", 1)[0].strip()


def leave(step: Step, bracket: Bracket, exit_reason: str, why: str) -> Bracket:
    """Decide, for good, to get out at market. The first reason stands."""
    if bracket.exits is ExitState.LEAVE:
        return bracket
    step.tell(NoteKind.LEAVING, Severity.WARNING, exit_reason=exit_reason, why=why)
    return replace(
        bracket,
        exits=ExitState.LEAVE,
        exit_reason=exit_reason,
        exit_attempts=0,
        rearmed=0,
        exit_retry_at_ns=None,
        stop_retry_at_ns=None,
        local_stop_until_ns=None,
        closed_until_ns=None,
    )


def demote(step: Step, bracket: Bracket, why: str) -> Bracket:
    """Fall back to the plan every venue with stops can carry: the stop rests, the target is watched here."""
    if bracket.plan in (Plan.STOP_RESTING, Plan.SYNTHETIC):
        return bracket
    step.tell(NoteKind.DEMOTED, Severity.WARNING, was=bracket.plan.value, now=Plan.STOP_RESTING.value, why=why)
    return replace(
        bracket,
        plan=Plan.STOP_RESTING,
        plan_reason=f"the stop rests at the venue, the target is watched here: {why}",
        target_failures=0,
        target_retry_at_ns=None,
    )


def leg_lost(step: Step, bracket: Bracket, terms: Terms, before: LegOrder, after: LegOrder, fact: OrderFact) -> Bracket:
    """Return the bracket after one of its living orders ended without being filled whole.

    Returns it unchanged where the end was asked for.
    """
    leg = after.leg
    if after.state is OrderState.LOST:
        step.tell(NoteKind.PROVEN_DEAD, Severity.WARNING, client_order_id=after.client_order_id, leg=leg.value)
    if leg is Leg.ENTRY:
        step.tell(NoteKind.ENTRY_ENDED, status=after.state.value, cum_qty=after.cum_qty, reason=after.reason or None)
        return bracket
    if leg is Leg.STOP:
        return _stop_lost(step, bracket, terms, before, after, fact)
    if leg is Leg.TARGET:
        return _target_lost(step, bracket, terms, before, after, fact)
    return _exit_lost(step, bracket, terms, after, fact)


def change_refused(
    step: Step, bracket: Bracket, terms: Terms, before: LegOrder, after: LegOrder, fact: OrderFact
) -> Bracket:
    """Return the bracket after the venue would not change an order, which stands as it was.

    A stop that would trigger at its new price was hit. What the venue cannot change at all is cancelled and placed
    again; anything else is asked for again later, the old order in place meanwhile.
    """
    code = refusal_code(fact)
    if isinstance(fact, RequestNotSent):
        return with_order(bracket, after, replace(after, amend_retry_at_ns=step.now_ns + terms.requery_ns))
    failures = after.amend_failures + 1
    step.tell(
        NoteKind.CHANGE_REFUSED,
        Severity.WARNING,
        client_order_id=after.client_order_id,
        reason=getattr(fact, "reason", "") or code,
        failures=failures,
    )
    wait_ns = backoff_ns(terms.stop_retry_ns, failures)
    refused = replace(
        after,
        amend_failures=failures,
        amend_refused=code == UNSUPPORTED,
        amend_retry_at_ns=step.now_ns + wait_ns,
    )
    bracket = with_order(bracket, after, refused)
    if code == WOULD_TRIGGER and after.leg is Leg.STOP:
        return leave(step, bracket, STOP_HIT, "the stop's new price is through the market already")
    return bracket


def _stop_lost(
    step: Step, bracket: Bracket, terms: Terms, before: LegOrder, after: LegOrder, fact: OrderFact
) -> Bracket:
    if before.cancel_wanted or bracket.exits is ExitState.LEAVE:
        return bracket
    code = refusal_code(fact)
    opens_ns = rearm_at_ns(terms, step.now_ns, order=after, code=code)
    if opens_ns is not None:
        return hold_over_close(step, bracket, opens_ns)
    if after.linked_id and _sibling_ended(bracket, after):
        return bracket  # the pair is over because its other leg filled
    refused = after.state is OrderState.REJECTED
    if refused and code == WOULD_TRIGGER:
        if after.linked_id:
            return demote(step, bracket, "the venue refused the pair: a leg would trigger at once")
        return leave(step, bracket, STOP_HIT, "the stop would have triggered at once: the market is through it")
    if isinstance(fact, RequestNotSent):
        return replace(bracket, stop_retry_at_ns=step.now_ns + terms.requery_ns)
    if after.state is OrderState.LOST:
        # That took its time already: the next one goes at once, unless the venue denies what it holds.
        return _denied(step, bracket, terms, after) if before.state in RESTING else bracket
    if code == NO_INVENTORY and bracket.denied_stops:
        return _denied(step, bracket, terms, after)  # something claims those units: the stop it denies
    settled = step.now_ns - bracket.stop_failed_ns > SETTLED_NS
    failures = 1 if settled else bracket.stop_failures + 1
    step.tell(
        NoteKind.STOP_REFUSED if refused else NoteKind.STOP_LOST,
        Severity.WARNING if failures < 2 else Severity.ALARM,
        client_order_id=after.client_order_id,
        status=after.state.value,
        reason=after.reason or code or None,
        failures=failures,
    )
    bracket = replace(bracket, stop_failures=failures, stop_failed_ns=step.now_ns)
    if refused and after.linked_id and code != HALTED:
        return demote(step, bracket, f"the venue refused the pair: {after.reason or code}")
    if not refused and failures == 1:
        return bracket  # taken away once, by somebody or by the end of a day: put back at once
    bracket = replace(bracket, stop_retry_at_ns=step.now_ns + backoff_ns(terms.stop_retry_ns, failures))
    if code in NOT_NOW:
        other_type_after = terms.policy.protection.other_stop_type_after
        return replace(bracket, stop_failures=min(failures, max(other_type_after - 1, 0)))
    if failures > terms.policy.protection.stop_retry_attempts and bracket.local_stop_until_ns is None:
        bracket = replace(bracket, local_stop_until_ns=step.now_ns + terms.local_stop_ns)
        step.tell(
            NoteKind.LOCAL_STOP,
            Severity.ALARM,
            stop_px=bracket.stop_px,
            seconds=terms.policy.protection.local_stop_s,
        )
    return bracket


def _denied(step: Step, bracket: Bracket, terms: Terms, stop: LegOrder) -> Bracket:
    """The venue does not know a stop it held: it may rest all the same, and so may each one sent in its place.

    After `max_denied_stops` none is sent any more: the stop is watched here until the venue admits one, or a hand
    moves the stop.
    """
    settled = step.now_ns - bracket.stop_failed_ns > SETTLED_NS
    denied = 1 if settled else bracket.denied_stops + 1
    limit = terms.policy.protection.max_denied_stops
    if denied >= limit > bracket.denied_stops:
        step.tell(NoteKind.STOPS_DENIED, Severity.ALARM, client_order_id=stop.client_order_id, denied=denied)
    return replace(bracket, denied_stops=denied, stop_failed_ns=step.now_ns)


def stops_denied(bracket: Bracket, terms: Terms) -> bool:
    """Whether the venue denied so many stops it held that sending another would only add to what may rest there."""
    return bracket.denied_stops > 0 and bracket.denied_stops >= terms.policy.protection.max_denied_stops


def _target_lost(
    step: Step, bracket: Bracket, terms: Terms, before: LegOrder, after: LegOrder, fact: OrderFact
) -> Bracket:
    if bracket.exits is ExitState.LEAVE or before.cancel_wanted:
        return bracket
    code = refusal_code(fact)
    opens_ns = rearm_at_ns(terms, step.now_ns, order=after, code=code)
    if opens_ns is not None:
        return replace(bracket, target_retry_at_ns=opens_ns)
    if after.linked_id:
        if _sibling_ended(bracket, after):
            return bracket
        return demote(step, bracket, f"the venue dropped the target ({after.state.value})")
    if after.time_in_force is TimeInForce.IOC and after.state in (OrderState.CANCELED, OrderState.EXPIRED):
        # What could be taken at the target was taken; a thin market there is not tried again at once. Where nothing at
        # all could be, again and again, each attempt leaves the stop out for nothing: it comes later and later.
        misses = 0 if after.cum_qty else bracket.target_misses + 1
        retry_at_ns = step.now_ns + backoff_ns(terms.stop_retry_ns, max(misses, 1))
        return replace(bracket, target_misses=misses, target_retry_at_ns=retry_at_ns)
    if isinstance(fact, RequestNotSent) or after.state is OrderState.LOST:
        return replace(bracket, target_retry_at_ns=step.now_ns + terms.requery_ns)
    failures = bracket.target_failures + (0 if code in NOT_NOW else 1)
    attempts = terms.policy.bracket_orders.retry_attempts
    step.tell(
        NoteKind.TARGET_LOST,
        Severity.WARNING if failures < attempts else Severity.ALARM,
        client_order_id=after.client_order_id,
        status=after.state.value,
        reason=after.reason or code or None,
        failures=failures,
    )
    bracket = replace(
        bracket,
        target_failures=failures,
        target_retry_at_ns=step.now_ns + backoff_ns(terms.stop_retry_ns, failures),
    )
    return demote(step, bracket, f"the target was lost {failures} times") if failures >= attempts else bracket


def target_given_up(bracket: Bracket, terms: Terms) -> bool:
    """Whether the target was refused so often that the stop alone guards, until somebody moves the target."""
    return bracket.target_failures >= terms.policy.bracket_orders.retry_attempts


def _exit_lost(step: Step, bracket: Bracket, terms: Terms, after: LegOrder, fact: OrderFact) -> Bracket:
    """The order that was to take us out (or to buy back) ended early: the next attempt is wider, or later."""
    if after.time_in_force is TimeInForce.IOC and after.state in (OrderState.CANCELED, OrderState.EXPIRED):
        return bracket  # took what was there within its collar; the next attempt is wider
    if isinstance(fact, RequestNotSent):
        return replace(bracket, exit_retry_at_ns=step.now_ns + terms.requery_ns)
    if after.state is OrderState.LOST:
        return bracket
    opens_ns = rearm_at_ns(terms, step.now_ns, order=after, code=refusal_code(fact))
    wait_ns = backoff_ns(terms.exit_retry_ns, bracket.exit_attempts) if opens_ns is None else opens_ns - step.now_ns
    step.tell(
        NoteKind.EXIT_REFUSED,
        Severity.ALARM,
        client_order_id=after.client_order_id,
        status=after.state.value,
        reason=after.reason or refusal_code(fact) or None,
        attempt=bracket.exit_attempts,
        wait_ns=wait_ns,
    )
    if opens_ns is not None and after.leg is Leg.EXIT:
        bracket = hold_over_close(step, bracket, opens_ns)
    return replace(bracket, exit_retry_at_ns=step.now_ns + wait_ns)


def _sibling_ended(bracket: Bracket, order: LegOrder) -> bool:
    """Whether the linked leg has filled at least in part, or is over: then the venue ended this one."""
    other = linked(bracket, order)
    return other is not None and (other.cum_qty > 0 or not other.alive)
