"""What an entry may risk: how it is sized, the account's limits, the outside system that may be asked; and the entry.

Fractions are of the account's equity (0.01 is one per cent); money is in the account's currency, which every traded
symbol's quote currency is taken to be. `None` switches a limit off.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from grodtd.domain.market import Quote
from grodtd.domain.orders import OrderType, Side


class SizingPolicy(msgspec.Struct, frozen=True):
    """How many units an entry without a quantity gets: as many as lose `risk_per_trade` at the stop, fees included."""

    risk_per_trade: Decimal | None = Decimal("0.01")
    """Fraction of equity lost when the stop is hit."""
    risk_money: Decimal | None = None
    """Money lost when the stop is hit; with both set, the smaller one counts."""


class RiskLimits(msgspec.Struct, frozen=True):
    """Limits of the whole account on new entries. Protection and exits are never held up by any of them."""

    max_trade_risk: Decimal | None = Decimal("0.02")
    """Fraction of equity one entry may lose at its stop."""
    max_symbol_risk: Decimal | None = Decimal("0.04")
    """Fraction of equity all brackets of one symbol may lose at their stops."""
    max_open_risk: Decimal | None = Decimal("0.10")
    """Fraction of equity all brackets may lose at their stops."""
    max_order_notional: Decimal | None = None
    """Money one entry may be worth: quantity x price x contract_multiplier."""
    max_day_loss: Decimal | None = Decimal("0.05")
    """Fraction of the equity a day began with; once so much is lost, no entry until the day rolls."""
    max_consecutive_losses: int | None = 5
    """Losing brackets in a row after which entries pause."""
    cool_down_s: int = 3600
    """How long they pause, from the end of the latest loss, seconds."""
    collar_bps: Decimal | None = Decimal(500)
    """How far an entry's price may be from the last good quote, either way, basis points."""
    quote_max_age_s: Decimal = Decimal(10)
    """A last good quote older than this is stale, seconds."""
    duplicate_within_s: Decimal = Decimal(5)
    """An entry like one accepted so recently is taken for the same one sent twice, seconds; 0: only the id counts."""
    allowed_symbols: tuple[str, ...] | None = None
    """None: every listed instrument."""
    day_rolls_at_s: int = 0
    """When a day ends, seconds after midnight UTC."""
    day_calendar: str | None = None
    """Market with whose session closes the days end instead, as far as they are told (`AccountDaysLoaded`)."""


class OnSilence(StrEnum):
    """What it means when the outside risk system does not answer, or not sensibly."""

    REFUSE = "refuse"
    ALLOW = "allow"


class AdvisorSettings(msgspec.Struct, frozen=True):
    """The outside risk system that is asked before each entry; `url` None: nobody is asked."""

    url: str | None = None
    timeout_s: Decimal = Decimal(2)
    on_silence: OnSilence = OnSilence.REFUSE


class EntryTerms(msgspec.Struct, frozen=True, gc=False):
    """An entry this program sends itself, and what it was judged by, so that a journal repeats the judgement.

    Prices in quote currency per unit, `equity` in the account's currency.
    """

    limit_px: Decimal | None = None
    """Buy no higher, sell no lower; None: whatever the market asks."""
    trigger_px: Decimal | None = None
    """A stop entry: it is sent to the venue at once, and buys (sells) only once the market has risen (fallen) here."""
    risk_per_trade: Decimal | None = None
    """Sizes an entry without a quantity in place of the policy's key: fraction of equity lost at the stop."""
    equity: Decimal | None = None
    """The account's value when it was asked for; None: it could not be told."""
    quote: Quote | None = None
    """The latest quote then, good or not; None: none was seen."""
    sized_by: str = ""
    """The key its quantity comes from; empty: it was given."""
    advice: str = ""
    """What the outside risk system said; empty: nobody was asked."""

    @property
    def order_type(self) -> OrderType:
        """How the order meets the market.

        >>> EntryTerms().order_type.value, EntryTerms(trigger_px=Decimal(101)).order_type.value
        ('market', 'stop')
        """
        if self.trigger_px is not None:
            return OrderType.STOP if self.limit_px is None else OrderType.STOP_LIMIT
        return OrderType.MARKET if self.limit_px is None else OrderType.LIMIT


class Accepted(msgspec.Struct, frozen=True):
    """An entry that passed, and what it puts at risk, money."""

    bracket_id: str
    symbol: str
    side: Side
    quantity: Decimal
    strategy: str
    risk_money: Decimal
    notional: Decimal
    ts_ns: int
    stop_px: Decimal | None = None
    """Where its stop would stand."""
