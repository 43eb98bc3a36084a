"""What an entry may risk: how it is sized, the account's limits, and the outside system that may be asked.

Fractions are of the account's equity (0.01 is one per cent); money is in the account's currency, which every traded
symbol's quote currency is taken to be. `None` switches a limit off.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec


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


class OnSilence(StrEnum):
    """What it means when the outside risk system does not answer, or not sensibly."""

    REFUSE = "refuse"
    ALLOW = "allow"


class AdvisorSettings(msgspec.Struct, frozen=True):
    """The outside risk system that is asked before each entry; `url` None: nobody is asked."""

    url: str | None = None
    timeout_s: Decimal = Decimal(2)
    on_silence: OnSilence = OnSilence.REFUSE
