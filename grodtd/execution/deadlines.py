"""When a bracket wants to be looked at though nothing happens: waits it keeps, answers it is owed."""

from msgspec.structs import replace

from grodtd.domain.bracket import ALIVE, ENDED, Bracket, OrderState, Phase
from grodtd.execution.naked_window import next_alarm_ns
from grodtd.execution.terms import Terms


def next_deadline_ns(bracket: Bracket, terms: Terms, now_ns: int) -> int | None:
    """When this bracket wants to be looked at even if nothing happens; None: never.

    A deadline that is past is due at once; of a frozen bracket, which may not be able to meet it, once it thaws.
    """
    if bracket.phase in ENDED and bracket.phase is not Phase.RELEASED:
        return None
    due_ns: int | None = None
    for at_ns in (
        bracket.stop_retry_at_ns,
        bracket.target_retry_at_ns,
        bracket.exit_retry_at_ns,
        bracket.local_stop_until_ns,
        bracket.closed_until_ns,
        next_alarm_ns(bracket, terms),
    ):
        if at_ns is not None and at_ns > now_ns and (due_ns is None or at_ns < due_ns):
            due_ns = at_ns
    # Only a timer acts on these, and clears or renews them: one that is past already is owed all the same.
    for at_ns in (bracket.entry_deadline_ns, bracket.reconcile_at_ns, bracket.leave_at_ns, bracket.move_at_ns):
        if at_ns is None or (bracket.frozen_reason and at_ns <= now_ns):
            continue
        if due_ns is None or at_ns < due_ns:
            due_ns = at_ns
    for order in bracket.orders:
        state = order.state
        if state not in ALIVE:
            continue
        if state is OrderState.WORKING and not order.cancel_wanted and order.missed_ns is None:
            at_ns = order.amend_retry_at_ns
            if at_ns is None or at_ns <= now_ns:
                continue
        else:
            at_ns = order.asked_ns + terms.requery_ns
        if due_ns is None or at_ns < due_ns:
            due_ns = at_ns
    return due_ns


def without_past_waits(bracket: Bracket, now_ns: int) -> Bracket:
    """Drop waits that are over."""
    stop, target, leaving = bracket.stop_retry_at_ns, bracket.target_retry_at_ns, bracket.exit_retry_at_ns
    if stop is not None and stop <= now_ns:
        bracket = replace(bracket, stop_retry_at_ns=None)
    if target is not None and target <= now_ns:
        bracket = replace(bracket, target_retry_at_ns=None)
    if leaving is not None and leaving <= now_ns:
        bracket = replace(bracket, exit_retry_at_ns=None)
    return bracket
