"""What is traded: the steps, minima and fees an order in one symbol must respect."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from grodtd.domain.money import ONE, ZERO, floor_to

ALWAYS_OPEN = "24/7"
"""The calendar of a market that never closes."""
CURRENCIES = ("FX", "24/5")
"""The calendar of the currency market, in its two spellings."""


class FeeAsset(StrEnum):
    """Where the venue takes its fee: from the money side, or out of the coins themselves."""

    QUOTE = "quote"
    BASE = "base"


class Instrument(msgspec.Struct, frozen=True):
    """One symbol's trading rules. Prices are quote currency per unit, quantities are units (base)."""

    symbol: str
    tick_size: Decimal = Decimal("0.01")
    """Smallest price step, quote currency."""
    lot_size: Decimal = ONE
    """Smallest quantity step, units."""
    min_notional: Decimal = ZERO
    """Smallest order value the venue takes, quote currency; 0: no minimum."""
    fee_rate: Decimal = ZERO
    """Fee as a fraction of the traded value (or of the quantity when taken in base)."""
    fee_asset: FeeAsset = FeeAsset.QUOTE
    contract_multiplier: Decimal = ONE
    """Money per one price unit and one quantity unit (50 for an E-mini future)."""
    precision: int | None = None
    """Decimals the venue's wire format takes for prices; None: those of the tick."""
    calendar: str | None = None
    """Trading calendar code (XNYS, ...); None: trades around the clock."""

    def sellable(self, quantity: Decimal, px: Decimal) -> Decimal:
        """Return what of `quantity` an order at `px` could really trade: floored to the lot, 0 below the minimum.

        >>> Instrument("X", lot_size=Decimal("0.1"), min_notional=Decimal(10)).sellable(Decimal("2.97"), Decimal(5))
        Decimal('2.9')
        >>> Instrument("X", lot_size=Decimal("0.1"), min_notional=Decimal(10)).sellable(Decimal("1.97"), Decimal(5))
        Decimal('0')
        """
        if quantity <= 0:
            return ZERO
        floored = floor_to(quantity, self.lot_size)
        return ZERO if floored * px * self.contract_multiplier < self.min_notional else floored
