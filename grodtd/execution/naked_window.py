"""The naked window: how long, and how loudly, something open stands without protection.

The window opens when what is open exceeds what is protected, and closes when that is over or nothing is open. The
clock runs while any deficit lasts. The first window of a bracket is the price of any entry (its stop is on its way)
and opens in silence; a later one is a warning; one that lasts is an alarm, again and again, at 1, 4, 9, 16 ... times
`naked_alarm_s`; its end is told, too.
Over a close that took the exits with it a position is exposed by design (`market_hours`): no window then.
A synthetic plan has its levels watched here and rests nothing by design: it is naked only while it leaves.
"""

from msgspec.structs import replace

from grodtd.domain.bracket import ENDED, Bracket, ExitState
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.policy import Plan
from grodtd.execution.coverage import Coverage
from grodtd.execution.terms import Step, Terms


def time_window(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Open or close the bracket's naked window, or raise its next alarm; `cover` is the bracket's as it stands."""
    naked = is_naked(bracket, cover)
    since_ns = bracket.naked_since_ns
    if since_ns is None:
        if naked:
            return _open(step, bracket, cover)
        if bracket.covered or not cover.sellable_qty or bracket.closed_until_ns is not None:
            return bracket if bracket.local_stop_until_ns is None else replace(bracket, local_stop_until_ns=None)
        return replace(bracket, covered=True)
    if naked:
        return _sound(step, bracket, terms, cover)
    if bracket.closed_until_ns is not None:
        return replace(close_window(step, bracket, Coverage()), covered=False)
    return close_window(step, bracket, cover)


def is_naked(bracket: Bracket, cover: Coverage) -> bool:
    """Whether something open is not protected now, and ought to be."""
    if cover.protected_qty >= cover.sellable_qty or bracket.phase in ENDED or bracket.closed_until_ns is not None:
        return False
    return bracket.plan is not Plan.SYNTHETIC or bracket.exits is not ExitState.GUARD


def close_window(step: Step, bracket: Bracket, cover: Coverage) -> Bracket:
    """Close the window, if one is open, and add it to the bracket's total."""
    if bracket.naked_since_ns is None:
        return bracket
    window_ns = step.now_ns - bracket.naked_since_ns
    if cover.sellable_qty:
        step.tell(NoteKind.COVERED, protected_qty=cover.protected_qty, naked_ns=window_ns)
    return replace(
        bracket,
        covered=True,
        naked_since_ns=None,
        naked_alarms=0,
        naked_ns=bracket.naked_ns + (window_ns if window_ns > 0 else 0),  # a clock may step back
        local_stop_until_ns=None,
    )


def next_alarm_ns(bracket: Bracket, terms: Terms) -> int | None:
    """When the next alarm is due if the window stays open; None without one."""
    if bracket.naked_since_ns is None:
        return None
    return bracket.naked_since_ns + terms.naked_alarm_ns * (bracket.naked_alarms + 1) ** 2


def _open(step: Step, bracket: Bracket, cover: Coverage) -> Bracket:
    # A stop on its way to a better price still rests at the old one: worth timing, not worth a warning.
    if bracket.covered and cover.resting_qty < cover.sellable_qty:
        step.tell(
            NoteKind.NAKED,
            Severity.WARNING,
            naked_qty=cover.sellable_qty - cover.protected_qty,
            open_qty=cover.open_qty,
            naked_ns=0,
        )
    return replace(bracket, naked_since_ns=step.now_ns)


def _sound(step: Step, bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    due_ns = next_alarm_ns(bracket, terms)
    if due_ns is None or step.now_ns < due_ns or bracket.naked_since_ns is None:
        return bracket
    step.tell(
        NoteKind.NAKED,
        Severity.ALARM,
        naked_qty=cover.sellable_qty - cover.protected_qty,
        open_qty=cover.open_qty,
        naked_ns=step.now_ns - bracket.naked_since_ns,
    )
    return replace(bracket, naked_alarms=bracket.naked_alarms + 1)
