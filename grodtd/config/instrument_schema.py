"""Trading rules as `instruments.yaml` writes them, mirroring `domain/instrument.py`.

Tick and lot have no built-in default: a price step nobody stated is a guess, and a guess moves stops.
"""

from typing import Annotated

from pydantic import Field

from grodtd.config.block import Block, Unset
from grodtd.config.fields import Calendar, Number, Symbol, key
from grodtd.domain.instrument import FeeAsset, Instrument

RULES = Instrument("")


class InstrumentRules(Block):
    """One symbol's trading rules."""

    tick_size: Number = Field(
        description="Smallest price step: stops and targets are rounded to it.",
        json_schema_extra={"unit": "quote currency"},
        gt=0,
        le=1_000_000,
    )
    lot_size: Number = Field(
        description="Smallest quantity step: what is sold is floored to it.",
        json_schema_extra={"unit": "units"},
        gt=0,
        le=1_000_000,
    )
    min_notional: Number = key(
        RULES.min_notional,
        "Smallest order value the venue takes; 0 is no minimum. What is worth less cannot be sold.",
        "quote currency",
        ge=0,
        le=1_000_000,
    )
    fee_rate: Number = key(
        RULES.fee_rate,
        "Fee of each fill, as a fraction of its value (or of its quantity where taken in base).",
        "fraction",
        ge=0,
        lt=1,
    )
    fee_asset: FeeAsset = key(
        RULES.fee_asset, "Where the fee comes from: the money (quote) or the units bought (base).", strict=False
    )
    contract_multiplier: Number = key(
        RULES.contract_multiplier,
        "Money for one price unit and one quantity unit (50 for an E-mini future, 1 for shares and coins).",
        "money / (price x unit)",
        gt=0,
        le=1_000_000,
    )
    precision: int | None = key(
        RULES.precision,
        "Decimals the venue takes in a price, where that differs from the tick's own; null: those of the tick.",
        "decimals",
        ge=0,
        le=18,
    )
    calendar: Calendar | None = key(
        RULES.calendar,
        "Code of the trading calendar its sessions come from: XNYS is New York, FX the currency market (its days end "
        "at 17:00 New York); null trades around the clock.",
    )


class Instruments(Block):
    """Trading rules of every symbol; a live symbol that is not listed here is refused."""

    defaults: InstrumentRules | None = Field(
        None, description="Rules of every symbol below that has none of its own for a key."
    )
    symbols: Annotated[dict[Symbol, InstrumentRules], Unset] = key({}, "Rules by symbol.")


def to_instrument(symbol: str, rules: InstrumentRules) -> Instrument:
    """Turn one symbol's checked rules into the domain's instrument."""
    return Instrument(symbol=symbol, **rules.model_dump())
