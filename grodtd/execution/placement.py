"""Which plan a bracket gets, from what the venue can do, and why (DESIGN section 4)."""

from decimal import Decimal

from grodtd.domain.capabilities import Capabilities, ReduceOnly, StopOrders
from grodtd.domain.orders import Side
from grodtd.domain.policy import Plan, Policy


def possible(plan: Plan, capabilities: Capabilities) -> str:
    """Return why the venue cannot carry `plan`; an empty string when it can."""
    if plan is Plan.SYNTHETIC:
        return ""
    if plan is Plan.NATIVE_OCO:
        return "" if capabilities.native_oco else "the venue has no linked pair"
    if capabilities.stop_orders is StopOrders.NONE:
        return "the venue has no stop orders"
    if plan is Plan.PAIR_REDUCE_ONLY and capabilities.reduce_only is not ReduceOnly.PER_ORDER:
        return "the venue does not check reduce-only order by order"
    return ""


def choose_plan(
    capabilities: Capabilities,
    policy: Policy,
    *,
    side: Side,
    others_on_symbol: int,
    account_qty: Decimal | None,
    open_qty: Decimal,
) -> tuple[Plan, str]:
    """Return the plan and the reason, in words.

    `account_qty` is the account's signed position in the symbol, None when it is not known; a reduce-only pair
    needs it to be this bracket's alone, because the venue trims at account level.

    >>> choose_plan(Capabilities(), Policy(), side=Side.BUY, others_on_symbol=0, account_qty=None, open_qty=Decimal(1))
    (<Plan.STOP_RESTING: 'stop_resting'>, 'the stop rests at the venue, the target is watched here')
    """
    wished = policy.protection.plan
    if wished is not None:
        why_not = possible(wished, capabilities)
        if not why_not and wished is Plan.PAIR_REDUCE_ONLY:
            why_not = why_not_exclusive(side, others_on_symbol, account_qty, open_qty)
        if not why_not:
            return wished, f"asked for in protection.plan ({wished.value})"
    if capabilities.native_oco:
        return Plan.NATIVE_OCO, "the venue links stop and target itself"
    if capabilities.stop_orders is StopOrders.NONE:
        return Plan.SYNTHETIC, "the venue has no stop orders: nothing rests there, both levels are watched here"
    if capabilities.reduce_only is ReduceOnly.PER_ORDER:
        why_not = why_not_exclusive(side, others_on_symbol, account_qty, open_qty)
        if not why_not:
            return (
                Plan.PAIR_REDUCE_ONLY,
                "reduce-only is checked per order, and the account's position is this bracket's",
            )
        return Plan.STOP_RESTING, f"the stop rests at the venue, the target is watched here: {why_not}"
    return Plan.STOP_RESTING, "the stop rests at the venue, the target is watched here"


def why_not_exclusive(side: Side, others_on_symbol: int, account_qty: Decimal | None, open_qty: Decimal) -> str:
    """Return why a reduce-only pair is not safe now; empty when the symbol's position is this bracket's alone."""
    if others_on_symbol:
        return "another bracket is open on the symbol"
    if account_qty is None:
        return "the account's position is not known"
    if account_qty != side.sign * open_qty:
        return f"the account holds {account_qty}, not this bracket's {side.sign * open_qty}"
    return ""
