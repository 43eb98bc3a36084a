"""Brackets that ended long ago and were dropped from memory: of each its name and its end are kept, the journal has it
all.

The name is never free again: a venue that remembers ids for ever would take a new order of that name for the old one.
A fill that comes all the same moved the account's position behind everybody's back: it is told loudly, once.
"""

from collections.abc import Iterable

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.errors import Refused
from grodtd.domain.notes import Note, NoteKind, Severity
from grodtd.domain.orders import ExecutionReport
from grodtd.execution.terms import Step

EARLIEST_NS = 3_600_000_000_000
"""Nothing is dropped sooner after its end: busts and late fills are looked for that long (`runtime.reconciler`)."""
CLOCKS_APART_NS = 60_000_000_000
"""Our clock told the end, the venue's tells its fills: the bracket's own last fill may seem to come after its end."""


def may_forget(bracket: Bracket, now_ns: int) -> bool:
    """Tell whether a bracket is over for good: it ended, no order of its may still fill, and some time has passed."""
    ended_ns = bracket.closed_ns
    over = bracket.phase in ENDED and not any(order.alive for order in bracket.orders)
    return over and ended_ns is not None and now_ns - ended_ns >= EARLIEST_NS


def due_to_forget(brackets: Iterable[Bracket], now_ns: int, *, kept_ns: int, kept_most: int) -> tuple[str, ...]:
    """Return the names of ended brackets to drop: those over for longer than `kept_ns`, and all but the latest ones.

    At most `kept_most` ended brackets stay, save those that may not be dropped yet.
    """
    ended = [(bracket.closed_ns or 0, bracket) for bracket in brackets if bracket.phase in ENDED]
    ended.sort(key=lambda pair: pair[0])
    too_many = len(ended) - kept_most
    return tuple(
        bracket.bracket_id
        for place, (ended_ns, bracket) in enumerate(ended)
        if may_forget(bracket, now_ns) and (place < too_many or now_ns - ended_ns > kept_ns)
    )


def check_forgotten(bracket_id: str, forgotten: dict[str, int]) -> None:
    """Refuse the name of a bracket that was dropped."""
    if bracket_id in forgotten:
        raise Refused(
            f"{bracket_id} was a bracket that has ended (grodtd explain {bracket_id} tells it from the journal), so "
            "this one is NOT looked after: give it a bracket_id of its own",
            code="id_taken",
        )


def unexplained(bracket_id: str, ended_ns: int, fact: ExecutionReport) -> Note | None:
    """Return the alarm about a fill, or a fill taken back, of a bracket that was dropped; None where it is old news.

    `ended_ns`: when the bracket ended. What happened before is in its books; a venue lists it for a long time.
    """
    if not fact.exec_id or not fact.last_qty or fact.ts_event_ns <= ended_ns + CLOCKS_APART_NS:
        return None
    step = Step(fact.ts_received_ns, bracket_id)
    step.tell(
        NoteKind.UNEXPLAINED_FILL,
        Severity.ALARM,
        client_order_id=fact.client_order_id,
        what="was taken back" if fact.exec_ref_id else "filled",
        side=None if fact.side is None else fact.side.value,
        quantity=fact.last_qty,
        symbol=fact.symbol,
        px=fact.last_px,
    )
    return step.notes[0]
