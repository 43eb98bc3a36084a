"""What losing a leg leads to. The legs are not alike: a lost target never touches the stop; a lost stop climbs.

The ladder of a lost stop, each step bounded in time and visible: sent again after a delay that doubles; after
`stop_retry_attempts` watched here as a local stop (while we keep trying); after `local_stop_s` of that, out at
market. A stop refused because it would trigger at once is a stop that was hit: out at once.
"""

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, ExitState, LegOrder, OrderState
from grodtd.domain.events import RequestRefused
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import Leg, TimeInForce
from grodtd.domain.policy import NS_PER_S, Plan
from grodtd.execution.order_lifecycle import OrderFact
from grodtd.execution.terms import Step, Terms

WOULD_TRIGGER = "would_trigger"
SETTLED_NS = 30 * NS_PER_S
"""A stop that stood this long before it was lost starts the ladder from the bottom."""
MAX_DOUBLINGS = 6


def backoff_ns(first_ns: int, failures: int) -> int:
    """Return the wait after the `failures`-th failure: `first_ns`, doubled each time, at most 64-fold.

    >>> backoff_ns(500, 1), backoff_ns(500, 3), backoff_ns(500, 50)
    (500, 2000, 32000)
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
    return replace(bracket, exits=ExitState.LEAVE, exit_reason=exit_reason, exit_attempts=0, local_stop_until_ns=None)


def demote(step: Step, bracket: Bracket, why: str) -> Bracket:
    """Fall back to the plan every venue with stops can carry: the stop rests, the target is watched here."""
    if bracket.plan in (Plan.STOP_RESTING, Plan.SYNTHETIC):
        return bracket
    step.tell(NoteKind.DEMOTED, Severity.WARNING, was=bracket.plan.value, now=Plan.STOP_RESTING.value, why=why)
    return replace(
        bracket,
        plan=Plan.STOP_RESTING,
        plan_reason=f"the stop rests at the venue, the target is watched here: {why}",
    )


def leg_lost(step: Step, bracket: Bracket, terms: Terms, before: LegOrder, after: LegOrder, fact: OrderFact) -> Bracket:
    """Return the bracket after one of its living orders ended without being filled whole.

    Returns it unchanged where the end was asked for.
    """
    leg = after.leg
    if leg is Leg.ENTRY:
        step.tell(NoteKind.ENTRY_ENDED, status=after.state.value, cum_qty=after.cum_qty, reason=after.reason)
        return bracket
    if leg is Leg.STOP:
        return _stop_lost(step, bracket, terms, before, after, fact)
    if leg is Leg.TARGET:
        return _target_lost(step, bracket, terms, before, after, fact)
    swept = after.time_in_force is TimeInForce.IOC and after.state in (OrderState.CANCELED, OrderState.EXPIRED)
    if swept or after.state is OrderState.LOST:
        return bracket  # took what was there within its collar; the next attempt is wider
    wait_ns = backoff_ns(terms.exit_retry_ns, bracket.exit_attempts)
    return replace(bracket, exit_retry_at_ns=step.now_ns + wait_ns)


def _stop_lost(
    step: Step, bracket: Bracket, terms: Terms, before: LegOrder, after: LegOrder, fact: OrderFact
) -> Bracket:
    if before.cancel_wanted or bracket.exits is ExitState.LEAVE:
        return bracket
    code = refusal_code(fact)
    if after.linked_id and _sibling_ended(bracket, after):
        return bracket  # the pair is over because its other leg filled
    if after.state is OrderState.REJECTED and code == WOULD_TRIGGER:
        if after.linked_id:
            return demote(step, bracket, "the venue refused the pair: a leg would trigger at once")
        return leave(step, bracket, "stop", "the stop would have triggered at once: the market is through it")
    if after.state is OrderState.LOST:
        step.tell(NoteKind.STOP_LOST, Severity.WARNING, client_order_id=after.client_order_id, status="lost")
        return bracket
    settled = step.now_ns - before.sent_ns > SETTLED_NS
    failures = 1 if settled else bracket.stop_failures + 1
    refused = after.state is OrderState.REJECTED
    step.tell(
        NoteKind.STOP_REFUSED if refused else NoteKind.STOP_LOST,
        Severity.WARNING if failures < 2 else Severity.ALARM,
        client_order_id=after.client_order_id,
        status=after.state.value,
        reason=after.reason or code,
        failures=failures,
    )
    bracket = replace(bracket, stop_failures=failures)
    if refused and after.linked_id:
        return demote(step, bracket, f"the venue refused the pair: {after.reason or code}")
    if not refused and failures == 1:
        return bracket  # taken away once, by somebody or by the end of a day: put back at once
    bracket = replace(bracket, stop_retry_at_ns=step.now_ns + backoff_ns(terms.stop_retry_ns, failures))
    if failures > terms.policy.protection.stop_retry_attempts and bracket.local_stop_until_ns is None:
        bracket = replace(bracket, local_stop_until_ns=step.now_ns + terms.local_stop_ns)
        step.tell(
            NoteKind.LOCAL_STOP,
            Severity.ALARM,
            stop_px=bracket.stop_px,
            seconds=terms.policy.protection.local_stop_s,
        )
    return bracket


def _target_lost(
    step: Step, bracket: Bracket, terms: Terms, before: LegOrder, after: LegOrder, fact: OrderFact
) -> Bracket:
    if bracket.exits is ExitState.LEAVE or before.cancel_wanted:
        return bracket
    if after.linked_id:
        if _sibling_ended(bracket, after):
            return bracket
        return demote(step, bracket, f"the venue dropped the target ({after.state.value})")
    if bracket.exits is ExitState.TAKE and after.state is not OrderState.REJECTED:
        return bracket  # what could be taken at the target was taken
    failures = bracket.target_failures + 1
    step.tell(
        NoteKind.TARGET_LOST,
        Severity.WARNING,
        client_order_id=after.client_order_id,
        status=after.state.value,
        reason=after.reason or refusal_code(fact),
        failures=failures,
    )
    bracket = replace(
        bracket,
        target_failures=failures,
        target_retry_at_ns=step.now_ns + backoff_ns(terms.stop_retry_ns, failures),
    )
    if failures >= terms.policy.bracket_orders.retry_attempts:
        return demote(step, bracket, f"the target was lost {failures} times")
    return bracket


def _sibling_ended(bracket: Bracket, order: LegOrder) -> bool:
    """Whether the linked leg has filled at least in part: then the venue ended this one."""
    for other in bracket.orders:
        if other.client_order_id == order.linked_id:
            return other.cum_qty > 0 or not other.alive
    return False
