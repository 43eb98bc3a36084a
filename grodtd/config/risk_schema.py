"""`risk_limits.yaml`: limits of the whole account on new entries, and the outside risk system that may be asked.

They are no policy's and no strategy's: what one strategy loses, another must not lose again.
"""

from datetime import time
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator

from grodtd.config.block import Block, Unset
from grodtd.config.fields import Calendar, Duration, Kind, Number, Symbol, format_duration, key
from grodtd.domain.risk import AdvisorSettings, OnSilence, RiskLimits

LIMITS, ADVISOR = RiskLimits(), AdvisorSettings()
OF_EQUITY = "fraction of equity"


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise ValueError("")
    return value


Url = Annotated[str, AfterValidator(_http_url), Kind("an http or https address without a password in it", str)]


class RiskSettings(msgspec.Struct, frozen=True):
    """What `risk_limits.yaml` says, checked."""

    limits: RiskLimits = RiskLimits()
    advisor: AdvisorSettings = AdvisorSettings()


class RiskAdvisor(Block):
    """An outside risk system that is asked before each entry, and what its silence means."""

    url: Url | None = key(ADVISOR.url, "Where each entry is posted to, and allowed or denied; null asks nobody.")
    timeout_s: Number = key(
        ADVISOR.timeout_s, "How long its answer is waited for; the entry waits as long.", "seconds", gt=0, le=30
    )
    on_silence: OnSilence = key(
        ADVISOR.on_silence,
        "What no answer, an error or an answer that makes no sense means for the entry.",
        strict=False,
    )


class RiskLimitsBlock(Block):
    """Limits of the whole account on new entries. What exists is protected, and exits are sent, whatever they say."""

    max_trade_risk: Number | None = key(
        LIMITS.max_trade_risk,
        "Most one entry may lose at its stop, fees included; null: no limit.",
        OF_EQUITY,
        gt=0,
        le=1,
    )
    max_symbol_risk: Number | None = key(
        LIMITS.max_symbol_risk,
        "Most all brackets of one symbol may lose at their stops: three entries in one stock are one bet.",
        OF_EQUITY,
        gt=0,
        le=1,
    )
    max_open_risk: Number | None = key(
        LIMITS.max_open_risk,
        "Most all brackets together may lose at their stops: on a bad day all of them are hit.",
        OF_EQUITY,
        gt=0,
        le=1,
    )
    max_order_notional: Number | None = key(
        LIMITS.max_order_notional,
        "Most one entry may be worth: a slipped finger, or a stop so near that the size explodes.",
        "quote currency",
        gt=0,
        le=1_000_000_000_000,
    )
    max_day_loss: Number | None = key(
        LIMITS.max_day_loss,
        "Once the day's closed trades have lost so much of what it began with, no entry until trade_exit.day_rolls_at.",
        "fraction of the day's first equity",
        gt=0,
        le=1,
    )
    day_calendar: Calendar | None = key(
        LIMITS.day_calendar,
        "The day ends with this market's session instead of at trade_exit.day_rolls_at: XNYS is New York, FX the "
        "currency market. Holidays and weekends belong to the next session.",
    )
    max_consecutive_losses: int | None = key(
        LIMITS.max_consecutive_losses,
        "Losing brackets in a row after which entries pause; one that wins begins the count anew. null: never.",
        "brackets",
        ge=1,
        le=1_000,
    )
    cool_down: Duration = key(
        format_duration(LIMITS.cool_down_s), "How long they pause, from the end of the latest loss."
    )
    collar_bps: Number | None = key(
        LIMITS.collar_bps,
        "How far an entry's price may be from the last good quote, either way: further is a typing error.",
        "basis points of the price",
        gt=0,
        le=10_000,
    )
    quote_max_age_s: Number = key(
        LIMITS.quote_max_age_s,
        "An older quote is stale: an entry is not priced by it.",
        "seconds",
        gt=0,
        le=86_400,
    )
    duplicate_within_s: Number = key(
        LIMITS.duplicate_within_s,
        "The same symbol, side, quantity and strategy again so soon is one request sent twice; 0: only its id tells.",
        "seconds",
        ge=0,
        le=3_600,
    )
    allowed_symbols: Annotated[dict[Symbol, bool], Unset] = key(
        {}, "Symbols entries are allowed in: once one is listed, only those that say true. Empty: every instrument."
    )
    advisor: RiskAdvisor = RiskAdvisor()


def to_risk(block: RiskLimitsBlock, day_rolls_at: time) -> RiskSettings:
    """Turn the checked block into the domain's limits; `day_rolls_at` is trade_exit's, UTC."""
    values = block.model_dump()
    advisor, symbols = values.pop("advisor"), values.pop("allowed_symbols")
    limits = RiskLimits(
        cool_down_s=values.pop("cool_down"),
        allowed_symbols=tuple(symbol for symbol, yes in symbols.items() if yes) if symbols else None,
        day_rolls_at_s=day_rolls_at.hour * 3_600 + day_rolls_at.minute * 60,
        **values,
    )
    return RiskSettings(limits, AdvisorSettings(**advisor))
