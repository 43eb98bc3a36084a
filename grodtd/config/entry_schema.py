"""Blocks that say where levels stand and how large a trade is: ratio, ATR, market condition, bracket orders, sizing."""

from typing import Annotated

from grodtd.config.block import Block, Unset
from grodtd.config.fields import Condition, Duration, Factor, Number, Ratio, Symbol, format_duration, key
from grodtd.domain.policy import (
    AtrMethod,
    AtrPolicy,
    BracketOrdersPolicy,
    MarketConditionPolicy,
    RatioStrategy,
    RiskRewardPolicy,
)
from grodtd.domain.risk import SizingPolicy

RR, ATR, ORDERS = RiskRewardPolicy(), AtrPolicy(), BracketOrdersPolicy()
CONDITION, SIZE = MarketConditionPolicy(), SizingPolicy()


class MarketCondition(Block):
    """How trending, ranging and volatile markets are told apart from bars, when nobody names the condition."""

    efficiency_period: int = key(
        CONDITION.efficiency_period,
        "Bars the efficiency ratio (net move / path) is taken over: fewer see short trends, more see lasting ones.",
        "bars",
        ge=2,
        le=1_000,
    )
    trending_from: Number = key(
        CONDITION.trending_from,
        "An efficiency ratio from here on is a trend. A random walk of n bars has about 1 / sqrt(n).",
        "fraction",
        gt=0,
        le=1,
    )
    percentile_window: int = key(
        CONDITION.percentile_window,
        "Latest ATR% values the present one is compared with, now included; fewer than 20 tell no condition.",
        "bars",
        ge=20,
        le=10_000,
    )
    volatile_from: Number = key(
        CONDITION.volatile_from,
        "Without a trend, an ATR% above at least this share of the earlier values is a volatile market; else ranging.",
        "fraction",
        gt=0,
        le=1,
    )


class RiskReward(Block):
    """Target distance = ratio x actual stop distance: the ratio's base, its factors and its bounds."""

    strategy: RatioStrategy = key(
        RR.strategy,
        "How the ratio follows the market: not at all, by the named condition, by volatility, or by both.",
        strict=False,
    )
    base_ratio: Ratio = key(
        RR.base_ratio,
        "Reward for each unit of risk, for symbols without a ratio of their own. Lies from min_ratio to max_ratio.",
        "reward / risk",
    )
    min_ratio: Ratio = key(
        RR.min_ratio,
        "No factor takes the ratio below this: a target too near pays less than its risk.",
        "reward / risk",
    )
    max_ratio: Ratio = key(
        RR.max_ratio, "No factor takes the ratio above this: a target too far is never reached.", "reward / risk"
    )
    volatility_factor: Number = key(
        RR.volatility_factor,
        "Exponent on (median ATR% / ATR% now) in volatility_based and adaptive_ratio; 0 switches the effect off.",
        "exponent",
        ge=0,
        le=10,
    )
    volatility_lookback: int = key(
        RR.volatility_lookback,
        "Closed bars the median ATR% is taken over, now included; with fewer than 20 values the factor is 1.",
        "bars",
        ge=20,
        le=10_000,
    )
    market_condition: MarketCondition = MarketCondition()
    market_condition_factors: Annotated[dict[Condition, Factor], Unset] = key(
        dict(RR.market_condition_factors),
        "What market_condition and adaptive_ratio multiply the ratio by, for each condition: the three that bars tell, "
        "and any other you name with a request. An unknown condition counts as 1, and the bracket says so.",
        "factor",
    )
    symbol_specific_ratios: Annotated[dict[Symbol, Ratio], Unset] = key(
        dict(RR.symbol_specific_ratios),
        "A symbol's own base ratio, in place of base_ratio. Lies from min_ratio to max_ratio.",
        "reward / risk",
    )


class Atr(Block):
    """The stop's distance from volatility, and what stands in when there is none."""

    period: int = key(
        ATR.period,
        "Bars the average true range is taken over: fewer follow the market faster, more are steadier.",
        "bars",
        ge=1,
        le=1_000,
    )
    multiplier: Number = key(
        ATR.multiplier, "Stop distance = multiplier x ATR: room for ordinary noise.", "ATRs", gt=0, le=100
    )
    method: AtrMethod = key(
        ATR.method, "How true ranges are averaged; wilder is the original and what charts show.", strict=False
    )
    fallback_percentage: Number = key(
        ATR.fallback_percentage,
        "Stop distance when no ATR is to be had, either side: a fraction of the entry price (0.02 is two per cent).",
        "fraction of the entry price",
        gt=0,
        lt=1,
    )
    max_gap_bars: int | None = key(
        ATR.max_gap_bars,
        "More missing bars than this in a row make the ATR unusable, and the fallback applies; null switches it off.",
        "bars",
        ge=0,
        le=100_000,
    )
    min_stop_ticks: int = key(
        ATR.min_stop_ticks,
        "Where a computed stop lies when it rounds onto the entry: so many ticks to the losing side.",
        "ticks",
        ge=1,
        le=1_000,
    )
    min_stop_percentage: Number = key(
        ATR.min_stop_percentage,
        "Least distance of a computed stop, before rounding: after hours without trades an ATR may be next to nothing, "
        "and any move then a multiple of the risk. 0: off.",
        "fraction of the entry price",
        ge=0,
        lt=1,
    )
    interval: Duration = key(
        format_duration(ATR.interval_s),
        "Length of the live bars the ATR is taken from; a replay uses the length of its file's bars.",
    )


class BracketOrders(Block):
    """Counts and times of ordinary requests. None of them ever takes protection away."""

    max_active_brackets: int = key(
        ORDERS.max_active_brackets,
        "A new bracket beyond this is refused before its entry is sent; a position that exists is always protected.",
        "brackets",
        ge=1,
        le=100_000,
    )
    timeout_seconds: Number = key(
        ORDERS.timeout_s,
        "An entry not filled by then is cancelled; what filled stays protected.",
        "seconds",
        gt=0,
        le=31_536_000,
    )
    retry_attempts: int = key(
        ORDERS.retry_attempts,
        "How often an ordinary request is sent again; protection has a ladder of its own (protection).",
        "attempts",
        ge=0,
        le=100,
    )
    retry_delay_seconds: Number = key(
        ORDERS.retry_delay_s,
        "First wait before an ordinary request is sent again; doubles each time, with jitter.",
        "seconds",
        gt=0,
        le=3_600,
    )


class Sizing(Block):
    """How many units an entry without a quantity gets: as many as lose the allowed risk at the stop, fees included."""

    risk_per_trade: Number | None = key(
        SIZE.risk_per_trade,
        "What an entry may lose at its stop. It sizes the position; risk_limits says what no entry may exceed.",
        "fraction of equity",
        gt=0,
        le=1,
    )
    risk_money: Number | None = key(
        SIZE.risk_money,
        "The same in money, for a fixed stake; with both set, the smaller one counts.",
        "quote currency",
        gt=0,
        le=1_000_000_000_000,
    )
