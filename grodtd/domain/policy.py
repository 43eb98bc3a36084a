"""A policy: everything a bracket needs to know to decide, as frozen values with a fingerprint.

The configuration layer builds these from YAML and environment; a bracket keeps the policy it began with.
Units are in the names; ratios and fractions are plain numbers (0.02 is two per cent).
"""

import hashlib
from decimal import Decimal
from enum import StrEnum

import msgspec

from grodtd.domain.money import ONE

NS_PER_S = 1_000_000_000


class RatioStrategy(StrEnum):
    """How the risk/reward ratio follows the market."""

    FIXED_RATIO = "fixed_ratio"
    MARKET_CONDITION = "market_condition"
    VOLATILITY_BASED = "volatility_based"
    ADAPTIVE_RATIO = "adaptive_ratio"


class AtrMethod(StrEnum):
    """How true ranges are averaged."""

    WILDER = "wilder"
    SMA = "sma"
    EMA = "ema"


class Plan(StrEnum):
    """Where the two exits rest (DESIGN section 4)."""

    NATIVE_OCO = "native_oco"
    STOP_RESTING = "stop_resting"
    PAIR_REDUCE_ONLY = "pair_reduce_only"
    SYNTHETIC = "synthetic"


class MarketConditionPolicy(msgspec.Struct, frozen=True):
    """Where trending, ranging and volatile markets part: see `execution/market_condition.py` for the formulas."""

    efficiency_period: int = 20
    """Bars the efficiency ratio is taken over."""
    trending_from: Decimal = Decimal("0.4")
    """An efficiency ratio from here on is a trend; a random walk of 20 bars has 0.2 on average."""
    percentile_window: int = 100
    """Latest ATR% values the present one is compared with, now included."""
    volatile_from: Decimal = Decimal("0.8")
    """Without a trend, an ATR% above at least this share of the earlier ones is a volatile market."""


class RiskRewardPolicy(msgspec.Struct, frozen=True):
    """Target distance = ratio x actual stop distance; the ratio's base, factors and bounds."""

    strategy: RatioStrategy = RatioStrategy.FIXED_RATIO
    base_ratio: Decimal = Decimal("1.5")
    min_ratio: Decimal = Decimal("1.0")
    max_ratio: Decimal = Decimal("3.0")
    volatility_factor: Decimal = ONE
    """Exponent on (median ATR% / ATR% now); 0 switches the effect off."""
    volatility_lookback: int = 100
    """Closed bars the median ATR% is taken over, now included."""
    market_condition: MarketConditionPolicy = MarketConditionPolicy()
    """How the condition is told from bars when nobody names one."""
    market_condition_factors: dict[str, Decimal] = {}
    symbol_specific_ratios: dict[str, Decimal] = {}


class AtrPolicy(msgspec.Struct, frozen=True):
    """The stop's distance from volatility, and what stands in for it when there is none."""

    period: int = 14
    multiplier: Decimal = Decimal("2.0")
    method: AtrMethod = AtrMethod.WILDER
    fallback_percentage: Decimal = Decimal("0.02")
    """Stop distance as a fraction of the entry price when no ATR is to be had, either side."""
    max_gap_bars: int | None = None
    """A hole of more than this many bars among those the ATR needs makes it unusable; None: off."""
    min_stop_ticks: int = 1
    """Ticks to the losing side when a computed stop rounds onto the entry."""
    interval_s: int = 3600
    """Length of live bars, seconds; replay uses the file's."""


class BracketOrdersPolicy(msgspec.Struct, frozen=True):
    """Counts and times of ordinary requests. None of them ever takes protection away."""

    max_active_brackets: int = 50
    timeout_s: Decimal = Decimal(3600)
    """An entry not filled by then is cancelled; what filled stays protected."""
    retry_attempts: int = 3
    retry_delay_s: Decimal = Decimal(5)


class ProtectionPolicy(msgspec.Struct, frozen=True):
    """Bounds of the ladder a lost stop climbs, and of the waits that safety asks for."""

    plan: Plan | None = None
    """A plan asked for by the operator; None: chosen from the venue's capabilities."""
    allow_synthetic: bool = False
    """Accept a venue without stop orders: nothing rests there, a dead process means no stop."""
    stop_retry_attempts: int = 3
    stop_retry_delay_s: Decimal = Decimal("0.5")
    """First wait before a refused stop is sent again; doubles each time."""
    local_stop_s: Decimal = Decimal(30)
    """How long a stop may be watched here, after the venue refused it, before we leave at market."""
    exit_collar_bps: Decimal = Decimal(50)
    """First marketable exit may be this far through the last price; doubles, then market."""
    exit_collar_attempts: int = 3
    """Collared attempts before the exit goes to market."""
    stop_limit_bps: Decimal = Decimal(200)
    """Where a venue has stop-limits only: how far beyond the stop its limit stands."""
    exit_retry_delay_s: Decimal = Decimal("0.5")
    cancel_requery_s: Decimal = Decimal(2)
    """A request without a final answer is asked about again after this long."""
    clock_skew_s: Decimal = Decimal("0.5")
    read_lag_s: Decimal = Decimal("1.5")
    """How old the venue's answers may be: 'not found' needs at least this age."""
    max_stops: int = 5
    """More additive stops than this on one bracket are merged when the venue can amend."""


class Policy(msgspec.Struct, frozen=True):
    """One strategy's exit policy, whole. Compare and log it by `fingerprint`."""

    name: str = "default"
    risk_reward: RiskRewardPolicy = RiskRewardPolicy()
    atr: AtrPolicy = AtrPolicy()
    bracket_orders: BracketOrdersPolicy = BracketOrdersPolicy()
    protection: ProtectionPolicy = ProtectionPolicy()

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when any value of the policy does.

        >>> Policy().fingerprint == Policy(atr=AtrPolicy(period=21)).fingerprint
        False
        """
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:12]


def seconds_ns(seconds: Decimal) -> int:
    """Convert seconds to whole nanoseconds.

    >>> seconds_ns(Decimal("1.5"))
    1500000000
    """
    return int(seconds * NS_PER_S)
