"""What must hold of a bracket after every event, as far as its own books can tell (RELIABILITY 2.2).

Pure and cheap enough to be asked after each event, in tests, simulations and a cautious live process. The venue's
truth has checks of its own elsewhere; these find a core that contradicts itself.
"""

from decimal import Decimal

from grodtd.domain.bracket import ALIVE, ENDED, IN_FLIGHT, Bracket, ExitState, LegOrder, OrderState, Phase
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.money import ZERO
from grodtd.domain.orders import Leg, TimeInForce
from grodtd.domain.policy import Plan
from grodtd.execution.coverage import Coverage, measure
from grodtd.execution.ladder import STOP_HIT, stops_denied
from grodtd.execution.levels import is_looser
from grodtd.execution.naked_window import is_naked
from grodtd.execution.terms import Terms

OVER = frozenset({Phase.CLOSED, Phase.RESIDUE, Phase.EXTERNALLY_CLOSED})


def violations(bracket: Bracket, terms: Terms) -> tuple[str, ...]:
    """Return what is wrong with a bracket, each with the name of the invariant it breaks; empty when nothing is.

    S1 nothing is oversold that is not recorded as an incident; S2 what may still sell beyond what is open is asked
    to go; S3 one living order an intent, every id once; S5 every order bears our name, and stands on the right side
    (S4 compares two moments: `loosened`). L1 what is open has its exit, or somebody was asked for one, or its next
    attempt has its time; L2 what nobody needs any more is asked to go. P: the phase says what the quantities say.
    A frozen or released bracket waits for somebody: only S1, S3 and S5 are asked of it.
    """
    cover = measure(bracket, terms)
    found: list[str] = []
    unexplained = cover.open_qty < 0 and not cover.entry_alive  # a living entry may have filled unheard
    if unexplained and not bracket.incidents and terms.instrument.sellable(-cover.open_qty, _px(bracket)):
        found.append(f"S1 oversold by {-cover.open_qty}, and no incident recorded")
    found += _identities(bracket)
    for order in bracket.orders:
        found += _strays(bracket, order)
    if bracket.frozen_reason or bracket.phase is Phase.RELEASED:
        return tuple(found)
    unexcused = _overcommitted(bracket, cover) - cover.going_qty
    if unexcused > 0:
        found.append(f"S2 {unexcused} more may sell than is open, and nobody asked it to go")
    found += _unprotected(bracket, terms, cover)
    found += _unwanted(bracket, cover)
    found += _misnamed(bracket, cover)
    return tuple(found)


def _unprotected(bracket: Bracket, terms: Terms, cover: Coverage) -> list[str]:
    """L1: every open unit has an exit, or one was asked for, or waits for its time."""
    if not cover.sellable_qty or bracket.phase in ENDED:
        return []
    if bracket.exits is ExitState.LEAVE:
        return _bare_leaving(bracket, cover)
    if bracket.levels is None:
        asked = bracket.stop_retry_at_ns is not None
        return [] if asked else [f"L1 {cover.open_qty} filled at an unknown price, and nobody was asked"]
    if bracket.closed_until_ns is not None:
        return []
    if bracket.exits is ExitState.TAKE:
        return [] if cover.exits_alive else ["L1 takes the target, and nothing was sent"]
    if bracket.plan is Plan.SYNTHETIC or bracket.stop_retry_at_ns is not None or cover.going_qty > 0:
        return []
    if stops_denied(bracket, terms):
        return []
    missing = cover.sellable_qty - cover.committed_qty
    return [f"L1 {missing} open units have no exit, and none was asked for"] if missing > 0 else []


def _bare_leaving(bracket: Bracket, cover: Coverage) -> list[str]:
    found = [] if bracket.exit_reason else ["L1 leaves without a reason"]
    if bracket.exit_retry_at_ns is None and not cover.exits_alive:
        found.append("L1 leaves, and nothing was sent")
    if bracket.exit_retry_at_ns is not None and not cover.exits_alive:
        restored = bracket.rearmed == bracket.exit_attempts or bracket.plan is Plan.SYNTHETIC
        restored = restored or bracket.closed_until_ns is not None
        if not restored and bracket.exit_reason != STOP_HIT:
            found.append("L1 waits to leave again, and its stop was not put back")
    return found


def _unwanted(bracket: Bracket, cover: Coverage) -> list[str]:
    """L2: what nobody needs any more is asked to go, and ended means ended."""
    found = []
    for order in bracket.orders:
        if not order.alive:
            continue
        if bracket.phase in OVER:
            found.append(f"L2 ended ({bracket.phase}), and {order.client_order_id} may still fill")
        elif not order.cancel_wanted and _unneeded(order, bracket, cover):
            found.append(f"L2 nobody needs {order.client_order_id} any more, and nobody asked it to go")
    if bracket.phase in OVER and bracket.naked_since_ns is not None:
        found.append(f"L2 ended ({bracket.phase}), and the naked window is open")
    return found


def _unneeded(order: LegOrder, bracket: Bracket, cover: Coverage) -> bool:
    if bracket.phase is Phase.CLOSING:
        return order.leg is not Leg.REMEDY or cover.open_qty >= 0
    return bracket.phase is Phase.EXITING and order.leg is Leg.ENTRY


def _misnamed(bracket: Bracket, cover: Coverage) -> list[str]:
    """P: what each phase says of the quantities."""
    phase, open_qty = bracket.phase, cover.open_qty
    alive = cover.entry_alive or cover.exits_alive
    true = {
        Phase.WAITING: alive or bracket.levels is None,
        Phase.OPEN: open_qty > 0,
        Phase.EXITING: open_qty > 0,
        Phase.CLOSING: not cover.sellable_qty and (alive or open_qty < 0),
        Phase.CLOSED: open_qty == 0,
        Phase.RESIDUE: open_qty != 0 and not cover.sellable_qty,
    }.get(phase, True)
    held = phase is Phase.WAITING and cover.sellable_qty > 0 and bracket.levels is not None
    return [f"P it is {phase} with {open_qty} open and {'orders' if alive else 'no order'} alive"] * (held or not true)


def overcommitted(bracket: Bracket, terms: Terms) -> Decimal:
    """Return S2's strong form as a figure: units that known and unknown orders may sell beyond what is open.

    Positive is a fault under every plan that rests one leg at a time, busts apart. Where a linked pair rests, a fill
    of one leg makes it positive until the venue's word on the sibling is in; `violations` asks that this is under
    way. Reduce-only pairs do not count: the venue trims them.
    """
    return _overcommitted(bracket, measure(bracket, terms))


def loosened(before: Bracket, after: Bracket) -> bool:
    """Whether a step loosened the stop: only a named command with a reason may do that (S4).

    It did when the level in force moved to the losing side, or a stop was asked for on the losing side of it.
    """
    if before.stop_px is None or after.stop_px is None:
        return before.stop_px is not None
    if is_looser(after.side, before.stop_px, after.stop_px):
        return True
    known = _stops_by_id(before)
    return any(
        client_id not in known and is_looser(after.side, after.stop_px, stop_px)
        for client_id, stop_px in _stops_by_id(after).items()
    )


def _stops_by_id(bracket: Bracket) -> dict[str, Decimal]:
    """Return every stop ever asked for that we still know the price of."""
    stops = {}
    for order in bracket.orders:
        if order.leg is Leg.STOP and order.stop_px is not None:
            stops[order.client_order_id] = order.stop_px
            if order.pending is not None and order.pending.stop_px is not None:
                stops[order.pending.client_order_id] = order.pending.stop_px
    return stops


def stuck(bracket: Bracket, terms: Terms) -> tuple[str, ...]:
    """Return what is owed by a bracket to which nothing more will happen by itself; empty when nothing is.

    Ask this only where every command is answered, every report is in and no timer is due.
    """
    if bracket.frozen_reason or bracket.phase in ENDED:
        return ()
    cover = measure(bracket, terms)
    found = []
    if is_naked(bracket, cover):
        found.append(f"{cover.sellable_qty - cover.protected_qty} of {cover.open_qty} open units are naked")
    if cover.open_qty < 0 and cover.remedy_qty <= 0:
        found.append(f"{-cover.open_qty} oversold units are not bought back")
    excess = _overcommitted(bracket, cover)
    if excess > 0:
        found.append(f"{excess} more may sell than is open")
    for order in bracket.orders:
        if order.state in IN_FLIGHT or order.state in (OrderState.CANCELLING, OrderState.REPLACING):
            found.append(f"{order.client_order_id} is {order.state} and nobody will answer")
        elif order.alive and order.cancel_wanted:
            found.append(f"{order.client_order_id} ought to be cancelled")
        elif order.alive and order.leg is Leg.STOP and order.stop_px != bracket.stop_px:
            found.append(f"{order.client_order_id} stands at {order.stop_px}, not at {bracket.stop_px}")
    if bracket.phase is Phase.CLOSING or bracket.phase is Phase.EXITING:
        found.append(f"it is {bracket.phase} for good")
    return tuple(found)


def _overcommitted(bracket: Bracket, cover: Coverage) -> Decimal:
    if bracket.plan is Plan.PAIR_REDUCE_ONLY:
        return ZERO  # the venue trims
    excess = cover.committed_qty - cover.open_qty if cover.open_qty > 0 else cover.committed_qty
    return excess if excess > 0 else ZERO


def _identities(bracket: Bracket) -> list[str]:
    """S3: every id names one order; of each kind that goes for the whole position only one lives."""
    found = []
    seen: set[str] = set()
    for order in bracket.orders:
        ids = [order.client_order_id, *order.past_ids]
        if order.pending is not None:
            ids.append(order.pending.client_order_id)
        for client_id in ids:
            if client_id in seen:
                found.append(f"S3 two orders bear the id {client_id}")
            seen.add(client_id)
    for leg in (Leg.ENTRY, Leg.EXIT):
        living = [order.client_order_id for order in bracket.orders if order.leg is leg and order.alive]
        if len(living) > 1:
            found.append(f"S3 {' and '.join(living)} live at once")
    taking = [o for o in bracket.orders if o.leg is Leg.TARGET and o.alive and o.time_in_force is TimeInForce.IOC]
    alone = bracket.plan is not Plan.PAIR_REDUCE_ONLY and not bracket.rungs  # of several, each sells its own part
    if len(taking) > 1 or (taking and alone and _stop_lives(bracket)):
        found.append(f"S3 {taking[0].client_order_id} sells while another exit lives")
    return found


def _stop_lives(bracket: Bracket) -> bool:
    return any(o.leg is Leg.STOP and o.state in ALIVE and not o.cancel_wanted for o in bracket.orders)


def _strays(bracket: Bracket, order: LegOrder) -> list[str]:
    """S5: our prefix, the leg's name, the right side of the market."""
    entry_side = order.leg in (Leg.ENTRY, Leg.REMEDY)
    if order.side is not (bracket.side if entry_side else bracket.side.opposite):
        return [f"S5 {order.client_order_id} is a {order.side}"]
    if order.leg is Leg.ENTRY:
        return []
    named = parse_client_order_id(order.client_order_id)
    if named is None or named[:2] != (bracket.bracket_id, order.leg.value):
        return [f"S5 {order.client_order_id} is no name for a {order.leg} of {bracket.bracket_id}"]
    return []


def _px(bracket: Bracket) -> Decimal:
    return bracket.last_px or bracket.stop_px or ZERO
