"""Coverage: what is open, what is committed to exits, what is protected. Pure arithmetic over a bracket's orders.

open_qty      = entry fills - base-asset fees - exit fills (+ remedial buys) - what hands elsewhere took
protected_qty = quantity covered by a valid stop, or by a marketable exit already on its way
"""

from decimal import Decimal

import msgspec

from grodtd.domain.bracket import ALIVE, Bracket, LegOrder, OrderState
from grodtd.domain.capabilities import SiblingOnPartial
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.money import ZERO, divide, floor_to
from grodtd.domain.orders import Leg, Side, TimeInForce
from grodtd.domain.policy import Plan
from grodtd.execution.terms import Terms

RESTING = frozenset({OrderState.WORKING, OrderState.CANCELLING, OrderState.REPLACING})
"""States in which the venue is known to hold the order."""


class Coverage(msgspec.Struct, gc=False):
    """A bracket's quantities at one instant, units. Built by `measure`."""

    entry_qty: Decimal = ZERO
    """Entry fills, gross."""
    open_qty: Decimal = ZERO
    """Net position of the bracket; negative: too much was sold."""
    external_qty: Decimal = ZERO
    """What of the position our fills left was taken out elsewhere; `open_qty` is without it."""
    sellable_qty: Decimal = ZERO
    """What of `open_qty` an order can trade: floored to the lot, 0 below the minimum notional."""
    committed_qty: Decimal = ZERO
    """What exits that may still fill could take from the position, a linked pair counted once; without the
    targets of a reduce-only pair, which the venue trims."""
    going_qty: Decimal = ZERO
    """Part of `committed_qty` that is already asked to go: cancels and reductions under way."""
    target_qty: Decimal = ZERO
    """Leaves of targets, resting or travelling."""
    stop_qty: Decimal = ZERO
    """Leaves of stops, acknowledged or not."""
    resting_qty: Decimal = ZERO
    """Leaves of acknowledged stops, whatever their price."""
    protected_qty: Decimal = ZERO
    """Leaves of acknowledged stops at or tighter than the level in force, and of marketable exits."""
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


def untold_fee(order: LegOrder, rate: Decimal) -> Decimal:
    """Return the base-asset fee to expect on what a snapshot says was bought and no execution has explained yet.

    `rate` is the instrument's, a fraction. Without it the exits would be too large by the fee until the fills come.

    >>> from grodtd.domain.orders import OrderType
    >>> entry = LegOrder(Leg.ENTRY, "E1", Side.BUY, OrderType.LIMIT, Decimal(30), reported_cum=Decimal(30))
    >>> untold_fee(entry, Decimal("0.001"))
    Decimal('0.030')
    """
    told = sum((execution.qty for execution in order.executions), ZERO)
    return (order.reported_cum - told) * rate if order.reported_cum > told else ZERO


def is_valid_stop(order: LegOrder, bracket: Bracket) -> bool:
    """Whether a stop order stands at or tighter than the bracket's level; a worse price is no cover (S4)."""
    level_px = bracket.stop_px if bracket.held_stop_px is None else bracket.held_stop_px
    if order.stop_px is None or level_px is None:
        return False
    if bracket.side is Side.BUY:
        return order.stop_px >= level_px
    return order.stop_px <= level_px


def is_through(side: Side, px: Decimal, stop_px: Decimal) -> bool:
    """Whether the market at `px` is at or through the stop of a bracket of `side`."""
    return px <= stop_px if side is Side.BUY else px >= stop_px


def measure(bracket: Bracket, terms: Terms) -> Coverage:
    """Add a bracket's orders up.

    `sellable_qty` values the position at the stop in force: the price an exit is most likely to need.
    """
    cover = Coverage()
    position = ZERO
    before: LegOrder | None = None
    for order in bracket.orders:
        if order.executions or order.reported_cum:
            position += _moved(order, terms, cover)
        if order.state in ALIVE:
            if order.leg is Leg.ENTRY:
                cover.entry_alive = True
            else:
                cover.exits_alive = True
                _add_living(cover, order, before, bracket, terms)
        before = order
    open_qty = position if bracket.side is Side.BUY else -position
    if bracket.external_qty and open_qty > 0:
        cover.external_qty = _smaller(bracket.external_qty, open_qty)
        open_qty -= cover.external_qty
    cover.open_qty = open_qty
    if open_qty > 0:
        px = bracket.stop_px or entry_px(bracket) or bracket.last_px
        if px:
            cover.sellable_qty = terms.instrument.sellable(open_qty, px)
        else:  # nobody told at what price it filled: its value cannot be too small then
            cover.sellable_qty = floor_to(open_qty, terms.instrument.lot_size)
    return cover


def _add_living(cover: Coverage, order: LegOrder, before: LegOrder | None, bracket: Bracket, terms: Terms) -> None:
    """Count an exit that may still fill; `before` is the order that stands before it in the bracket."""
    leaves = surely = order.leaves_qty
    leaving = leaves if order.cancel_wanted or (order.linked_id and venue_ends(bracket, order)) else ZERO
    if order.pending is not None:
        surely = _smaller(order.quantity, order.pending.quantity) - order.cum_qty
        leaving = leaves - surely if order.pending.quantity < order.quantity else ZERO
    leg = order.leg
    if leg is Leg.STOP:
        cover.stop_qty += leaves
        cover.committed_qty += leaves
        cover.going_qty += leaving
        if order.state in RESTING:
            cover.resting_qty += surely
            if is_valid_stop(order, bracket):
                cover.protected_qty += surely
    elif leg is Leg.TARGET:
        cover.target_qty += leaves
        if order.time_in_force is TimeInForce.IOC:
            cover.protected_qty += leaves
        if before is not None and order.linked_id == before.client_order_id and before.state in ALIVE:
            # A pair stands side by side, the stop first, and counts once; cancelling either leg ends it.
            stop_qty = before.leaves_qty
            pair_qty = _pair_qty(before, order, terms.capabilities.sibling_on_partial)
            cover.committed_qty += pair_qty - stop_qty
            if before.cancel_wanted:
                cover.going_qty += pair_qty - stop_qty
            elif leaving:
                cover.going_qty += pair_qty
        elif bracket.plan is not Plan.PAIR_REDUCE_ONLY:
            cover.committed_qty += leaves
            cover.going_qty += leaving
    elif leg is Leg.EXIT:
        cover.committed_qty += leaves
        cover.going_qty += leaving
        cover.protected_qty += leaves
    else:
        cover.remedy_qty += leaves


def _moved(order: LegOrder, terms: Terms, cover: Coverage) -> Decimal:
    """Return the units an order that filled moved the position by; an entry's are noted in `cover`, too."""
    moved = signed_fill(order)
    if order.leg is Leg.ENTRY:
        cover.entry_qty += order.cum_qty
        if terms.base_fee_rate and order.side is Side.BUY:
            moved -= untold_fee(order, terms.base_fee_rate)
    return moved


def venue_ends(bracket: Bracket, order: LegOrder) -> bool:
    """Whether the venue is ending a leg by itself, because the one it is linked with has filled."""
    for other in bracket.orders:
        if other.client_order_id == order.linked_id:
            return other.state not in ALIVE and other.cum_qty > 0
    return False


def _pair_qty(stop: LegOrder, target: LegOrder, on_partial: SiblingOnPartial) -> Decimal:
    """Return what a linked pair may still sell: its larger leg.

    Once a leg has filled in part, the venue may have resized the other one to it, or cancelled the other one: what we
    believe of that one is merely old news.
    """
    stop_qty, target_qty = stop.leaves_qty, target.leaves_qty
    if on_partial is SiblingOnPartial.RESIZE:
        return _smaller(stop_qty, target_qty)
    if on_partial is SiblingOnPartial.CANCEL:
        if target.cum_qty:
            return target_qty
        if stop.cum_qty:
            return stop_qty
    return stop_qty if stop_qty > target_qty else target_qty


def _smaller(one: Decimal, other: Decimal) -> Decimal:
    return one if one < other else other


def entry_px(bracket: Bracket) -> Decimal:
    """Average price of the entry fills whose price we know; 0 when there are none."""
    quantity = value = ZERO
    for order in bracket.orders:
        if order.leg is Leg.ENTRY and (order.executions or order.reported_cum):
            quantity += order.cum_qty - order.unpriced_qty
            value += order.value
    return divide(value, quantity) if quantity else ZERO
