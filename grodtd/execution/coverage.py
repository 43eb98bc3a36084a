"""Coverage: what is open, what is committed to exits, what is protected. Pure arithmetic over a bracket's orders.

open_qty      = entry fills - base-asset fees - exit fills (+ remedial buys)
protected_qty = quantity covered by a valid stop, or by a marketable exit already on its way
"""

from decimal import Decimal

import msgspec

from grodtd.domain.bracket import Bracket, ExitState, LegOrder, OrderState
from grodtd.domain.capabilities import SiblingOnPartial
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.money import ZERO
from grodtd.domain.orders import Leg, OrderType, Side
from grodtd.domain.policy import Plan
from grodtd.execution.terms import Terms

RESTING = frozenset({OrderState.WORKING, OrderState.CANCELLING, OrderState.REPLACING})
"""States in which the venue is known to hold the order."""


class Coverage(msgspec.Struct):
    """A bracket's quantities at one instant, units. Built by `measure`."""

    entry_qty: Decimal = ZERO
    """Entry fills, gross."""
    open_qty: Decimal = ZERO
    """Net position of the bracket; negative: too much was sold."""
    sellable_qty: Decimal = ZERO
    """What of `open_qty` an order can trade: floored to the lot, 0 below the minimum notional."""
    committed_qty: Decimal = ZERO
    """What exits that may still fill could take from the position, a linked pair counted once; without the
    targets of a reduce-only pair, which the venue trims."""
    target_qty: Decimal = ZERO
    """Leaves of resting or travelling targets."""
    protected_qty: Decimal = ZERO
    """Leaves of acknowledged stops at or tighter than the level in force, and of marketable exits."""
    going_qty: Decimal = ZERO
    """Part of `committed_qty` that is already asked to go: cancels and reductions under way."""
    stop_qty: Decimal = ZERO
    """Leaves of stops, acknowledged or not."""
    remedy_qty: Decimal = ZERO
    """Leaves of remedial orders."""
    entry_alive: bool = False
    exits_alive: bool = False

    @property
    def naked_qty(self) -> Decimal:
        """What ought to be protected and is not."""
        gap = self.sellable_qty - self.protected_qty
        return gap if gap > 0 else ZERO


def signed_fill(order: LegOrder) -> Decimal:
    """Units the order moved the position by, a sell's negative, base-asset fees taken off.

    A buy brings its quantity less the fee, a sell takes its quantity and the fee. An entry's fee always makes the
    position smaller (DESIGN section 1: entry fills - base-asset fees), so long and short stay mirrors.
    """
    fee = order.fees(FeeAsset.BASE) if order.executions else ZERO
    if order.side is Side.BUY:
        return order.cum_qty - fee
    return fee - order.cum_qty if order.leg is Leg.ENTRY else -(order.cum_qty + fee)


def is_valid_stop(order: LegOrder, bracket: Bracket) -> bool:
    """Whether a stop order stands at or tighter than the bracket's level; a worse price is no cover (S4)."""
    if order.stop_px is None or bracket.stop_px is None:
        return False
    if bracket.side is Side.BUY:
        return order.stop_px >= bracket.stop_px
    return order.stop_px <= bracket.stop_px


def measure(bracket: Bracket, terms: Terms) -> Coverage:
    """Add a bracket's orders up.

    `sellable_qty` values the position at the stop in force: the price an exit is most likely to need.
    """
    cover = Coverage()
    position = ZERO
    stops = exits = targets = linked = ZERO
    for order in bracket.orders:
        leg = order.leg
        if order.executions or order.reported_cum:
            position += signed_fill(order)
            if leg is Leg.ENTRY:
                cover.entry_qty += order.cum_qty
        if not order.alive:
            continue
        if leg is Leg.ENTRY:
            cover.entry_alive = True
            continue
        cover.exits_alive = True
        leaves = order.leaves_qty
        if order.cancel_wanted and not (leg is Leg.TARGET and order.linked_id):
            cover.going_qty += leaves
        elif order.pending is not None and order.pending.quantity < order.quantity:
            cover.going_qty += min(order.quantity - order.pending.quantity, leaves)
        if leg is Leg.STOP:
            stops += leaves
            if order.state in RESTING and is_valid_stop(order, bracket):
                cover.protected_qty += leaves
            if order.linked_id:
                linked += leaves
        elif leg is Leg.TARGET:
            targets += leaves
            if order.linked_id:
                # Stops come before their targets in `orders`. A pair counts once: the target stands for both.
                # Where the venue resizes the sibling of a partial fill, the larger figure is merely old news.
                resized = terms.capabilities.sibling_on_partial is SiblingOnPartial.RESIZE
                paired = max(leaves, linked) if resized else min(leaves, linked)
                paired = min(paired, linked)
                linked -= paired
                stops -= paired
            if bracket.exits is ExitState.TAKE:
                cover.protected_qty += leaves
        elif leg is Leg.EXIT:
            exits += leaves
            cover.protected_qty += leaves if order.order_type is not OrderType.STOP else ZERO
        else:
            cover.remedy_qty += leaves
    cover.open_qty = position if bracket.side is Side.BUY else -position
    cover.target_qty = targets
    cover.stop_qty = stops
    cover.committed_qty = stops + exits + (ZERO if bracket.plan is Plan.PAIR_REDUCE_ONLY else targets)
    if cover.open_qty > 0:
        px = bracket.stop_px or (bracket.levels.entry_px if bracket.levels else None) or entry_px(bracket)
        cover.sellable_qty = terms.instrument.sellable(cover.open_qty, px) if px else ZERO
    return cover


def entry_px(bracket: Bracket) -> Decimal:
    """Average price of the entry fills so far; 0 when nothing filled."""
    quantity = value = ZERO
    for order in bracket.orders:
        if order.leg is Leg.ENTRY and (order.executions or order.reported_cum):
            quantity += order.cum_qty
            value += order.value
    return value / quantity if quantity else ZERO
