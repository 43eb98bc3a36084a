"""What an order says before it is sent: its type, its levels, how long it lives, and the collar round its price."""

from decimal import Decimal

from grodtd.domain.bracket import Bracket
from grodtd.domain.capabilities import ReduceOnly, StopOrders
from grodtd.domain.money import ceil_to, floor_to
from grodtd.domain.orders import NewOrder, OrderType, Side, TimeInForce
from grodtd.domain.policy import NS_PER_S, ProtectionPolicy
from grodtd.execution.terms import Terms

VALID_FOR_NS = 5 * NS_PER_S
"""How long a request stays good (DESIGN section 6): none leaves us later, and a venue that can drops later ones."""
BPS = Decimal(10_000)
FRESH_NS = 5 * NS_PER_S
"""A last price older than this is no price to put a collar round."""


def valid_until(terms: Terms, now_ns: int) -> int | None:
    """Until when the venue may still take a request sent now; None where it cannot tell."""
    return now_ns + VALID_FOR_NS if terms.capabilities.supports_valid_until else None


def resting(terms: Terms) -> TimeInForce:
    """How long a resting order is to live: for good, or for the day where the venue knows no more."""
    return TimeInForce.GTC if terms.capabilities.gtc else TimeInForce.DAY


def _reduces(terms: Terms) -> bool:
    return terms.capabilities.reduce_only is not ReduceOnly.NONE


def stop_order(bracket: Bracket, terms: Terms, client_id: str, quantity: Decimal, now_ns: int) -> NewOrder:
    """Describe a stop for `quantity` at the level in force.

    A stop-limit where the venue has nothing better, and once after it failed plain stops again (rule 2: another type).
    """
    side = bracket.side.opposite
    stop_px = bracket.stop_px
    assert stop_px is not None
    limit_px = None
    order_type = OrderType.STOP
    protection = terms.policy.protection
    other = 0 < protection.other_stop_type_after == bracket.stop_failures
    if other or terms.capabilities.stop_orders is StopOrders.LIMIT:
        order_type = OrderType.STOP_LIMIT
        limit_px = collared(side, stop_px, protection.stop_limit_bps, terms.instrument.tick_size)
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=side,
        order_type=order_type,
        quantity=quantity,
        stop_px=stop_px,
        limit_px=limit_px,
        time_in_force=resting(terms),
        reduce_only=_reduces(terms),
        valid_until_ns=valid_until(terms, now_ns),
    )


def target_order(
    bracket: Bracket,
    terms: Terms,
    client_id: str,
    quantity: Decimal,
    px: Decimal | None,
    now_ns: int,
    *,
    at_once: bool,
) -> NewOrder:
    """Describe a limit at a target's price: resting, or (`at_once`) taking what is there and no more."""
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=bracket.side.opposite,
        order_type=OrderType.LIMIT,
        quantity=quantity,
        limit_px=px,
        time_in_force=TimeInForce.IOC if at_once else resting(terms),
        reduce_only=_reduces(terms),
        valid_until_ns=valid_until(terms, now_ns),
    )


def collared(side: Side, px: Decimal, bps: Decimal, tick: Decimal) -> Decimal:
    """Return the worst price a marketable order may trade at: `bps` beyond `px`, rounded outwards, never below a tick.

    >>> collared(Side.SELL, Decimal(100), Decimal(50), Decimal("0.01"))
    Decimal('99.50')
    """
    if side is Side.SELL:
        return max(floor_to(px * (1 - bps / BPS), tick), tick)
    return ceil_to(px * (1 + bps / BPS), tick)


def collared_exit(
    side: Side, last_px: Decimal | None, age_ns: int, attempt: int, policy: ProtectionPolicy, tick: Decimal
) -> Decimal | None:
    """Return the limit of a marketable exit, wider with each `attempt` (from 0); None: at market.

    `last_px` is the last price on the exit side, `age_ns` old. Without a fresh one there is nothing to put a collar
    round, and after `exit_collar_attempts` the collar has had its chance: a collar never blocks an exit.

    >>> collared_exit(Side.SELL, Decimal(100), 0, 1, ProtectionPolicy(), Decimal("0.01"))
    Decimal('99.00')
    """
    if last_px is None or age_ns > FRESH_NS or attempt >= policy.exit_collar_attempts:
        return None
    return collared(side, last_px, policy.exit_collar_bps * 2**attempt, tick)


def marketable(bracket: Bracket, terms: Terms, side: Side, client_id: str, quantity: Decimal, now_ns: int) -> NewOrder:
    """Describe an order that trades now: a limit in a collar round the last price, wider each attempt, then market.

    Without a fresh price there is nothing to put a collar round: market at once. A collar never blocks an exit.
    """
    limit_px = collared_exit(
        side,
        bracket.last_px,
        now_ns - bracket.last_px_ns,
        bracket.exit_attempts,
        terms.policy.protection,
        terms.instrument.tick_size,
    )
    return NewOrder(
        client_order_id=client_id,
        symbol=bracket.symbol,
        side=side,
        order_type=OrderType.MARKET if limit_px is None else OrderType.LIMIT,
        quantity=quantity,
        limit_px=limit_px,
        time_in_force=resting(terms) if limit_px is None else TimeInForce.IOC,
        reduce_only=_reduces(terms) and side is not bracket.side,
        valid_until_ns=valid_until(terms, now_ns),
    )
