"""Position size from risk: so many units that the stop, fees included, costs no more than was allowed.

    risk of q units = q x contract_multiplier x (|entry - stop| + fee_rate x (entry + stop))  [+ dust]
    allowed         = the smaller of equity x risk_per_trade and risk_money
    quantity        = the greatest multiple of the lot whose risk is within the allowed

Fees are those of both sides, the exit's at the stop. Where the entry's fee is taken out of the units, what is then left
between two lots cannot be sold; it is counted as lost, one lot at the stop's price (*dust*). Slippage and gaps are not
in it: a stop that is gapped costs more.

Work from the stop as rounded (`levels.plan_levels`): then the distance is the one that will be lost.
"""

from decimal import Decimal

import msgspec

from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import ONE, ZERO, ceil_to, divide, floor_to, plain
from grodtd.domain.orders import Side
from grodtd.domain.risk import SizingPolicy
from grodtd.execution.refusal import Refusal


class Size(msgspec.Struct, frozen=True):
    """How many units, and what they put at risk; money in the account's currency."""

    quantity: Decimal
    risk_money: Decimal
    allowed_money: Decimal
    allowed_by: str
    """The key the allowed money comes from: sizing.risk_per_trade or sizing.risk_money."""


def risk_of(quantity: Decimal, entry_px: Decimal, stop_px: Decimal, instrument: Instrument) -> Decimal:
    """Return the money lost when `quantity` units entered at `entry_px` leave at `stop_px`, fees included.

    The stop is on the losing side (`size` and `risk_checks.check` see to that); of no units it is 0.

    >>> risk_of(Decimal(100), Decimal(50), Decimal(48), Instrument("X", fee_rate=Decimal("0.001")))
    Decimal('209.800')
    """
    if quantity <= 0:
        return ZERO
    return quantity * _unit_risk(entry_px, stop_px, instrument) + _dust(stop_px, instrument)


def largest_quantity(allowed_money: Decimal, entry_px: Decimal, stop_px: Decimal, instrument: Instrument) -> Decimal:
    """Return the greatest multiple of the lot whose risk is within the allowed; 0 when a single lot is not.

    >>> largest_quantity(Decimal(1000), Decimal(50), Decimal("48.5"), Instrument("X"))
    Decimal('666')
    """
    unit = _unit_risk(entry_px, stop_px, instrument)
    room = allowed_money - _dust(stop_px, instrument)
    if room <= 0 or unit <= 0:
        return ZERO
    quantity = floor_to(divide(room, unit), instrument.lot_size)
    if risk_of(quantity, entry_px, stop_px, instrument) > allowed_money:  # the quotient's 28th digit was rounded up
        quantity -= instrument.lot_size
    return quantity if quantity > 0 else ZERO


def smallest_quantity(entry_px: Decimal, stop_px: Decimal, instrument: Instrument) -> Decimal:
    """Return the least that can be bought and, after a fee in units, still be sold at the stop: lot and min_notional.

    >>> smallest_quantity(Decimal(50), Decimal(40), Instrument("X", min_notional=Decimal(100)))
    Decimal('3')
    """
    px = min(entry_px, stop_px) * instrument.contract_multiplier
    kept = ceil_to(divide(instrument.min_notional, px), instrument.lot_size) if px > 0 else instrument.lot_size
    kept = max(kept, instrument.lot_size)
    if instrument.fee_asset is not FeeAsset.BASE:
        return kept
    return ceil_to(divide(kept, ONE - instrument.fee_rate), instrument.lot_size)


def size(
    side: Side,
    entry_px: Decimal,
    stop_px: Decimal,
    equity: Decimal | None,
    policy: SizingPolicy,
    instrument: Instrument,
) -> Size | Refusal:
    """Return the quantity of an entry, or why there is none and what would give one. Never raises.

    `equity` in the account's currency; None where nobody could tell: then only `risk_money` can size.

    >>> size(Side.BUY, Decimal(100), Decimal(98), Decimal(50_000), SizingPolicy(), Instrument("X")).quantity
    Decimal('250')
    """
    if not (entry_px.is_finite() and stop_px.is_finite() and entry_px > 0 and stop_px > 0):
        return Refusal("stop_px", f"entry {entry_px}, stop {stop_px}", "prices above zero", "an entry and a stop price")
    if (stop_px >= entry_px) if side is Side.BUY else (stop_px <= entry_px):
        where = "below" if side is Side.BUY else "above"
        return Refusal("stop_px", plain(stop_px), f"a stop {where} the entry {plain(entry_px)}", "such a stop")
    allowed = _allowed(equity, policy)
    if isinstance(allowed, Refusal):
        return allowed
    allowed_money, allowed_by = allowed
    quantity = largest_quantity(allowed_money, entry_px, stop_px, instrument)
    least = smallest_quantity(entry_px, stop_px, instrument)
    if quantity < least:
        needed = risk_of(least, entry_px, stop_px, instrument)
        return Refusal(
            allowed_by,
            f"{plain(least)} units, the least {instrument.symbol} can be traded in, risk {_money(needed)}",
            f"a risk of {_money(allowed_money)}",
            f"a nearer stop, or an allowed risk of {_money(needed)}",
        )
    return Size(quantity, risk_of(quantity, entry_px, stop_px, instrument), allowed_money, allowed_by)


def _allowed(equity: Decimal | None, policy: SizingPolicy) -> tuple[Decimal, str] | Refusal:
    fraction, money = policy.risk_per_trade, policy.risk_money
    if fraction is None and money is None:
        return Refusal(
            "sizing", "no quantity was given", "risk_per_trade or risk_money set", "a quantity, or one of the two keys"
        )
    if fraction is not None:
        if equity is None or not equity.is_finite() or equity <= 0:
            told = "not known" if equity is None else str(equity)
            return Refusal("sizing.risk_per_trade", f"equity is {told}", "equity above zero", "an account that says so")
        share = equity * fraction
        if money is None or share <= money:
            return share, "sizing.risk_per_trade"
    assert money is not None
    return money, "sizing.risk_money"


def _unit_risk(entry_px: Decimal, stop_px: Decimal, instrument: Instrument) -> Decimal:
    fees = instrument.fee_rate * (abs(entry_px) + abs(stop_px))
    return instrument.contract_multiplier * (abs(entry_px - stop_px) + fees)


def _dust(stop_px: Decimal, instrument: Instrument) -> Decimal:
    if instrument.fee_asset is not FeeAsset.BASE or not instrument.fee_rate:
        return ZERO
    return instrument.lot_size * abs(stop_px) * instrument.contract_multiplier


def _money(amount: Decimal) -> str:
    return plain(ceil_to(amount, Decimal("0.01")))
