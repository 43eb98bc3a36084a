"""What is asked for, before anything is done: requests that cannot be carried out are refused in words.

Refusal is for entries not sent yet and for changes by hand. For a fill that exists nothing is refused but what is no
number: it is protected, or it is exited.
"""

from decimal import Decimal

from grodtd.domain.bracket import Bracket, ExitState
from grodtd.domain.capabilities import Capabilities, StopOrders
from grodtd.domain.errors import Refused
from grodtd.domain.events import BracketRequested, LevelsChangeRequested
from grodtd.domain.ids import client_order_id
from grodtd.domain.money import plain
from grodtd.domain.orders import Leg
from grodtd.domain.policy import Policy
from grodtd.execution.coverage import is_through
from grodtd.execution.levels import change_stop, is_looser, round_level
from grodtd.execution.refusal import Refusal
from grodtd.execution.terms import Terms


def entry_id(request: BracketRequested) -> str:
    """Return the client order id of a bracket's entry: its owner's, else the one that follows from the bracket's."""
    return request.entry_client_order_id or client_order_id(request.bracket_id, Leg.ENTRY.value, 1)


def check_name(held: Bracket | None, request: BracketRequested) -> None:
    """Refuse a name that a bracket bears (`held`): asked twice (`duplicate_id`), or another position (`id_taken`)."""
    if held is None:
        return
    if is_of(held, request):
        raise Refused(f"bracket {held.bracket_id} looks after this already ({held.phase.value})", code="duplicate_id")
    raise Refused(
        f"bracket {held.bracket_id} is another position ({held.side.value} {plain(held.entry_qty_wanted)} "
        f"{held.symbol}), so this one is NOT looked after: give it a bracket_id of its own",
        code="id_taken",
    )


def is_of(held: Bracket, request: BracketRequested) -> bool:
    """Tell whether a bracket began with the very facts of `request`; one that is still to be sized fits any size."""
    quantity = request.quantity or held.entry_qty_wanted
    if (held.symbol, held.side, held.entry_qty_wanted) != (request.symbol, request.side, quantity):
        return False
    entry = next((order for order in held.orders if order.leg is Leg.ENTRY), None)
    if entry is None:
        return False
    if request.entry is not None:
        wanted = (entry_id(request), request.entry.order_type, request.entry.limit_px, request.entry.trigger_px)
        return (entry.client_order_id, entry.order_type, entry.limit_px, entry.stop_px) == wanted
    if request.entry_client_order_id:
        return request.entry_client_order_id in (entry.client_order_id, *entry.past_ids)
    return any(execution.px == request.filled_px for execution in entry.executions[:1])


def check_entry(
    event: BracketRequested,
    policy: Policy,
    capabilities: Capabilities,
    paused: str,
    active: int,
    opposite: Bracket | None,
) -> None:
    """Refuse what may be refused: an entry that has not filled yet. `opposite` is open on its symbol's other side."""
    if paused:
        raise Refused(f"new entries are paused: {paused}", code="entries_paused")
    if opposite is not None:
        raise Refused(
            f"bracket {opposite.bracket_id} is a {opposite.side.value} of {event.symbol}: a {event.side.value} would "
            "take from its position, not open one of its own; get out of it first, or wait for its end",
            code="opposite",
        )
    limit = policy.bracket_orders.max_active_brackets
    if active >= limit:
        full = Refusal(
            "bracket_orders.max_active_brackets",
            f"{active} brackets are active",
            str(limit),
            "an entry after one of them has ended",
        )
        raise Refused(full.text, code="too_many")
    synthetic = capabilities.stop_orders is StopOrders.NONE and not capabilities.native_oco
    if synthetic and not policy.protection.allow_synthetic:
        raise Refused(
            f"{capabilities.name} has no stop orders: nothing would protect the position while this program "
            "is down; set protection.allow_synthetic to accept that",
            code="unprotected",
        )
    stop_px, target_px = event.stop_px, event.target_px
    if stop_px is not None and target_px is not None and (target_px - stop_px) * event.side.sign <= 0:
        raise Refused(
            f"stop {stop_px} and target {target_px} are the wrong way round for a {event.side.value}",
            code="bad_levels",
        )


def check_quantities(event: BracketRequested) -> None:
    """Refuse what is no quantity or no price: nobody could protect it."""
    what = f"bracket {event.bracket_id}"
    if event.entry is not None and (event.filled_qty or event.entry_client_order_id):
        raise Refused(f"{what}: an entry to be sent has not filled, and has no other id than ours", code="bad_entry")
    sized = event.entry is not None and event.quantity == 0
    if not (event.quantity.is_finite() and event.quantity > 0) and not sized:
        raise Refused(f"{what}: quantity {event.quantity} is not a positive number", code="bad_quantity")
    if not (event.filled_qty.is_finite() and event.filled_qty >= 0):
        raise Refused(f"{what}: filled quantity {event.filled_qty} is not a number of units", code="bad_quantity")
    if event.filled_qty and not (event.filled_px is not None and event.filled_px.is_finite()):
        raise Refused(f"{what}: {event.filled_qty} filled at {event.filled_px}: give the price", code="bad_price")


def levels_wanted(
    bracket: Bracket, terms: Terms, event: LevelsChangeRequested
) -> tuple[Decimal | None, Decimal | None]:
    """Return the levels a change by hand leads to, on the tick. Raises Refused for one that is not made."""
    what = f"bracket {bracket.bracket_id}"
    side, stop_px, target_px = bracket.side, bracket.stop_px, bracket.target_px
    if bracket.levels is None or stop_px is None:
        raise Refused(f"{what} has no levels yet: nothing has filled", code="not_open")
    if bracket.exits is ExitState.LEAVE:
        raise Refused(f"{what} is on its way out ({bracket.exit_reason}): its levels are over", code="leaving")
    for px in (event.stop_px, event.target_px):
        if px is not None and not (px.is_finite() and (px > 0 or bracket.levels.entry_px <= 0)):
            raise Refused(f"{what}: {px} is no price", code="bad_levels")
    tick = terms.instrument.tick_size
    if event.stop_px is not None:
        stop_px = change_stop(side, stop_px, event.stop_px, tick)
        if is_looser(side, bracket.stop_px or stop_px, stop_px):
            if not event.allow_loosen:
                raise Refused(
                    f"stop {event.stop_px} is looser than {bracket.stop_px}: a stop is never loosened, "
                    "except by name (allow_loosen) with a reason",
                    code="looser",
                )
            if not event.reason:
                raise Refused("loosening a stop needs a reason: it is kept in the journal", code="no_reason")
    if event.target_px is not None:
        target_px = round_level(side, event.target_px, tick)
    if target_px is not None and is_through(side, target_px, stop_px):
        raise Refused(
            f"stop {stop_px} and target {target_px} are the wrong way round for a {side.value}", code="bad_levels"
        )
    return stop_px, target_px
