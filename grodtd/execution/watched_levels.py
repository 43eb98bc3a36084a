"""Which of a bracket's levels are watched here, because nothing at the venue watches them for us."""

from decimal import Decimal

from grodtd.domain.bracket import Bracket, ExitState, OrderState, Phase
from grodtd.domain.orders import Leg, OrderType
from grodtd.domain.policy import Plan
from grodtd.execution.ladder import stops_denied, target_given_up
from grodtd.execution.terms import Terms

_LOCAL_TARGET = (Plan.STOP_RESTING, Plan.SYNTHETIC)


def watched_levels(bracket: Bracket, terms: Terms, now_ns: int) -> tuple[Decimal | None, Decimal | None]:
    """Return the stop and the target of a bracket that the venue does not watch for us.

    A stop is watched here when the plan says so, and whenever it is not known to rest or to be on its way: refused,
    its fate unknown, or gone while we swap it. Of a stop-limit the limit is watched: a market beyond it ran past.
    """
    if bracket.phase is not Phase.OPEN or bracket.closed_until_ns is not None:
        return None, None
    stop_px = target_px = None
    resting = sure = True
    alive = target = False
    for order in bracket.orders:
        if order.leg is Leg.STOP and order.alive:
            alive = True
            resting = resting and order.state is OrderState.WORKING
            sure = sure and order.state is not OrderState.UNSURE
            if order.order_type is OrderType.STOP_LIMIT:
                stop_px = order.limit_px
        elif order.leg is Leg.TARGET and order.alive:
            target = True
    if bracket.exits is not ExitState.GUARD:
        return (stop_px if alive and resting else bracket.stop_px), None
    refused = bracket.stop_retry_at_ns is not None or bracket.local_stop_until_ns is not None
    refused = refused or stops_denied(bracket, terms)
    if refused or not alive or not sure:
        stop_px = bracket.stop_px
    if bracket.plan in _LOCAL_TARGET and not (target or bracket.frozen_reason or target_given_up(bracket, terms)):
        retry_at_ns = bracket.target_retry_at_ns
        if retry_at_ns is None or now_ns >= retry_at_ns:
            target_px = bracket.target_px
    return stop_px, target_px
