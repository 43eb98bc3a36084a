"""When a market is closed, as its calendar says, and what becomes of exits that live for a day (rule 10).

A DAY order dies at the close, and while the market is closed nothing can take its place: a position held over a close
stands without its stop. That is so by design of the venue, so it is told as such, not sounded as an alarm, and nothing
is sent in vain: the stop is armed again at the open, at the level then in force, which is never looser. A market that
opened beyond it refuses it or fills it: the ladder's way out. Both must say that the market is closed, the calendar
and the venue (an exit that ended unasked, or a refusal); without a calendar the ladder tries as it always does.
"""

from bisect import bisect_right

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, LegOrder, OrderState
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import TimeInForce
from grodtd.execution.terms import Step, Terms

HALTED = "halted"
"""The venue takes nothing now."""
ENDED_BY_VENUE = frozenset({OrderState.EXPIRED, OrderState.CANCELED})


def opens_next_ns(terms: Terms, now_ns: int) -> int | None:
    """Return when a market that is closed now opens again; None: it is open, or nobody knows.

    A clock that runs behind the venue's sees an order die before the close: so close to it counts as closed.
    """
    now_ns += terms.read_lag_ns
    opens_ns, ends_ns = terms.session_opens_ns, terms.session_ends_ns
    opening, end = bisect_right(opens_ns, now_ns), bisect_right(ends_ns, now_ns)
    if opening == len(opens_ns) or (end < len(ends_ns) and ends_ns[end] <= opens_ns[opening]):
        return None
    return opens_ns[opening]


def rearm_at_ns(terms: Terms, now_ns: int, *, order: LegOrder, code: str = "") -> int | None:
    """Return when to try again because an exit ended with its day, or was refused in a closed market; None: neither.

    `code` is the refusal's stable word. One refused before the open, where `rearm_at_open_s` is negative, waits for
    the open itself.
    """
    died = order.time_in_force is TimeInForce.DAY and order.state in ENDED_BY_VENUE
    if not (died or code == HALTED):
        return None
    open_ns = opens_next_ns(terms, now_ns)
    if open_ns is None:
        return None
    at_ns = open_ns + terms.rearm_after_ns
    return at_ns if at_ns > now_ns else open_ns


def hold_over_close(step: Step, bracket: Bracket, until_ns: int) -> Bracket:
    """Wait for the market to open: nothing is sent, nothing is watched, and that is told once."""
    if bracket.closed_until_ns is None:
        step.tell(NoteKind.MARKET_CLOSED, Severity.WARNING, stop_px=bracket.stop_px, until_ns=until_ns)
    return replace(
        bracket,
        closed_until_ns=until_ns,
        stop_failures=0,
        stop_retry_at_ns=None,
        local_stop_until_ns=None,
        covered=False,  # its next stop is on its way in the morning like the first one was
    )


def open_again(step: Step, bracket: Bracket) -> Bracket:
    """End the wait once the market opens; what is missing then is asked for as ever."""
    if bracket.closed_until_ns is None or step.now_ns < bracket.closed_until_ns:
        return bracket
    step.tell(NoteKind.MARKET_OPENS, stop_px=bracket.stop_px)
    return replace(bracket, closed_until_ns=None)
