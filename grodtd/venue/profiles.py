"""Venues worth simulating, each the poor relation of a real one: what the engine can do there differs most.

| profile | like | what makes it hard |
|---|---|---|
| spot_locked | a coin exchange without pairs | a resting sell locks the coins, fees come out of the coins, no amends |
| spot_oco | a coin exchange with pairs | a partial fill of one leg ends the other, ids may come again, only shrinking |
| perp | perpetual futures | reduce-only is checked at execution, and on the whole account |
| margin | a stock broker | nothing stops a second exit from turning the position over, ids may be used again |
| margin_day | a stock broker without good-till-cancelled | every order dies at the close |
| no_stops | limit and market orders only | nothing guards while we are away |
| ideal_replay | no venue | what replay assumes: linked pairs, changed at will, no fees but the instrument's |
"""

from decimal import Decimal

from grodtd.domain.capabilities import (
    Amend,
    Capabilities,
    ClientIdScope,
    ReduceOnly,
    SiblingOnPartial,
    StopOrders,
)
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import ZERO

SPOT_LOCKED = Capabilities(name="spot_locked", locks_inventory=True, fee_asset=FeeAsset.BASE)

SPOT_OCO = Capabilities(
    name="spot_oco",
    native_oco=True,
    locks_inventory=True,
    amend=Amend.QUANTITY_DOWN_ONLY,
    sibling_on_partial=SiblingOnPartial.CANCEL,
    client_id_scope=ClientIdScope.WHILE_OPEN,
    supports_valid_until=True,
)

PERP = Capabilities(name="perp", reduce_only=ReduceOnly.PER_ORDER, amend=Amend.REPLACE, supports_valid_until=True)

MARGIN = Capabilities(
    name="margin", amend=Amend.REPLACE, client_id_scope=ClientIdScope.WHILE_OPEN, late_bound_s=Decimal(15)
)

MARGIN_DAY = Capabilities(
    name="margin_day", amend=Amend.REPLACE, client_id_scope=ClientIdScope.WHILE_OPEN, sessions=True, gtc=False
)

NO_STOPS = Capabilities(name="no_stops", stop_orders=StopOrders.NONE)

IDEAL_REPLAY = Capabilities(
    name="ideal_replay", native_oco=True, amend=Amend.IN_PLACE, sibling_on_partial=SiblingOnPartial.RESIZE
)

PROFILES = {profile.name: profile for profile in (SPOT_LOCKED, SPOT_OCO, PERP, MARGIN, NO_STOPS)}
"""The five for simulation, by name."""

FEE_RATES = {
    "spot_locked": Decimal("0.001"),
    "spot_oco": Decimal("0.001"),
    "perp": Decimal("0.0005"),
}
"""Usual fees as a fraction of value; the others take none."""


def usual_instrument(
    capabilities: Capabilities,
    symbol: str,
    *,
    tick_size: Decimal = Decimal("0.01"),
    lot_size: Decimal = Decimal("0.1"),
    min_notional: Decimal = ZERO,
) -> Instrument:
    """Return a symbol's trading rules with the fee a profile usually takes, in the asset it takes it in.

    >>> usual_instrument(SPOT_LOCKED, "COIN").fee_rate, usual_instrument(SPOT_LOCKED, "COIN").fee_asset.value
    (Decimal('0.001'), 'base')
    """
    return Instrument(
        symbol,
        tick_size=tick_size,
        lot_size=lot_size,
        min_notional=min_notional,
        fee_rate=FEE_RATES.get(capabilities.name, ZERO),
        fee_asset=capabilities.fee_asset,
    )
