"""The account at the venue: cash, positions, fees and every execution, so that nothing is created or lost."""

from decimal import Decimal

import msgspec

from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import ZERO
from grodtd.domain.orders import Fill, Side
from grodtd.venue.orders import VenueOrder


class Booking(msgspec.Struct, eq=False):
    """An execution, the order it belongs to, and whether it still counts."""

    fill: Fill
    order: VenueOrder
    busted: bool = False


class Account:
    """Cash in quote currency and signed positions in units."""

    __slots__ = ("bookings", "cash", "positions")

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.positions: dict[str, Decimal] = {}
        self.bookings: dict[str, Booking] = {}
        """Every execution by its id, oldest first."""

    def position(self, symbol: str) -> Decimal:
        """Return the signed position, units."""
        return self.positions.get(symbol, ZERO)

    def book(self, fill: Fill, order: VenueOrder, instrument: Instrument) -> None:
        """Count an execution."""
        self.bookings[fill.exec_id] = Booking(fill, order)
        self._move(fill, instrument, 1)

    def undo(self, booking: Booking, instrument: Instrument) -> None:
        """Take an execution back: units, money and fee return to where they came from."""
        booking.busted = True
        self._move(booking.fill, instrument, -1)

    def _move(self, fill: Fill, instrument: Instrument, times: int) -> None:
        units = fill.quantity if fill.side is Side.BUY else -fill.quantity
        money = -units * fill.px * instrument.contract_multiplier
        if fill.fee_asset is FeeAsset.BASE:
            units -= fill.fee
        else:
            money -= fill.fee
        self.positions[fill.symbol] = self.position(fill.symbol) + times * units
        self.cash += times * money


def fee_of(instrument: Instrument, side: Side, quantity: Decimal, px: Decimal) -> tuple[Decimal, FeeAsset]:
    """Return the fee of an execution and what it is taken in.

    A venue that takes fees in the base asset takes them out of what was bought; a sale brings no base, so its fee
    comes out of the money.

    >>> coin = Instrument("COIN", fee_rate=Decimal("0.001"), fee_asset=FeeAsset.BASE)
    >>> fee_of(coin, Side.BUY, Decimal(30), Decimal(100))
    (Decimal('0.030'), <FeeAsset.BASE: 'base'>)
    >>> fee_of(coin, Side.SELL, Decimal(30), Decimal(100))
    (Decimal('3.000'), <FeeAsset.QUOTE: 'quote'>)
    """
    rate = instrument.fee_rate
    if not rate:
        return ZERO, instrument.fee_asset
    if instrument.fee_asset is FeeAsset.BASE and side is Side.BUY:
        return quantity * rate, FeeAsset.BASE
    return quantity * px * instrument.contract_multiplier * rate, FeeAsset.QUOTE
