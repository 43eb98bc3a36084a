"""A policy: everything a bracket needs to know to decide, as frozen values with a fingerprint.

The configuration layer builds these from YAML and environment; a bracket keeps the policy it began with.
Units are in the names; ratios and fractions are plain numbers (0.02 is two per cent).
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from grodtd.domain.money import ONE, ZERO
from grodtd.domain.risk import SizingPolicy

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
    min_stop_percentage: Decimal = ZERO
    """A computed stop is at least this fraction of the entry price away, before rounding; 0: any distance will do."""
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
    other_stop_type_after: int = 2
    """Failures of a stop after which one attempt is made with the other stop type; 0: never."""
    max_denied_stops: int = 2
    """Stops of one bracket the venue held and then denied knowing: beyond that none is sent until it admits one."""
    naked_alarm_s: Decimal = Decimal(2)
    """A position without its whole protection for this long is an alarm; again at 4, 9, 16 ... times that."""
    max_stops: int = 5
    """More additive stops than this on one bracket are merged when the venue can amend."""
    rearm_at_open_s: int = 0
    """Exits that died with their day are armed again so long after the next open; negative: before it."""


class TrailMethod(StrEnum):
    """What the distance of a trailing stop is measured in."""

    ATR = "atr"
    """ATRs behind the best price of each bar; where quotes move it, behind the best since entry."""
    CHANDELIER = "chandelier"
    """ATRs behind the best price since entry: tightens by itself when the ATR falls."""
    PERCENT = "percent"
    """A fraction of the best price."""
    DISTANCE = "distance"
    """Price units."""
    TICKS = "ticks"


class TrailAtr(StrEnum):
    """Which ATR a trailing stop is measured with."""

    ENTRY = "entry"
    CURRENT = "current"


class RatchetOn(StrEnum):
    """When a stop may move: at each bar's close, or with every quote."""

    BAR_CLOSE = "bar_close"
    QUOTE = "quote"


class RatchetPolicy(msgspec.Struct, frozen=True):
    """How stops move, whatever moves them: trailing, break-even, profit locks. They only ever move nearer."""

    on: RatchetOn = RatchetOn.BAR_CLOSE
    """At bar closes a live stop moves as a replay over bars says it would."""
    step_ticks: int = 1
    """A stop moves by at least so many ticks."""
    min_interval_s: Decimal = ONE
    """With quotes: no two moves closer together than this; what came between is not forgotten."""


class TrailingPolicy(msgspec.Struct, frozen=True):
    """A stop that follows the best price since entry."""

    method: TrailMethod | None = None
    """None: no trailing."""
    amount: Decimal = Decimal(3)
    """ATRs, a fraction of the price, price units or ticks, as the method says."""
    atr: TrailAtr = TrailAtr.ENTRY
    activate_at_r: Decimal = ZERO
    """Begin once the best price is so many initial risks in profit; 0: at once."""
    activate_px: Decimal | None = None
    """Begin once the best price has reached this one, too."""


class BreakEvenPolicy(msgspec.Struct, frozen=True):
    """Move the stop to where the trade costs nothing, once it has gone well."""

    at_r: Decimal | None = None
    """Initial risks in profit at which the stop moves; None: never."""
    offset_ticks: int = 0
    """Ticks beyond break-even, to the winning side."""
    plus_fees: bool = True
    """Count the fees of both sides in: the exit then pays for them."""


class LockStep(msgspec.Struct, frozen=True):
    """At `at_r` initial risks in profit the stop moves to `lock_r` of them."""

    at_r: Decimal
    lock_r: Decimal


class Rest(StrEnum):
    """What becomes of the part no scale-out step takes."""

    TARGET = "target"
    """It goes to the ratio's target."""
    RUN = "run"
    """It has no target: a stop, a time or a signal ends it."""


class ScaleStep(msgspec.Struct, frozen=True):
    """Sell `fraction` of the position at a price, or so many initial risks in profit."""

    fraction: Decimal
    at_r: Decimal | None = None
    px: Decimal | None = None


class ScaleOutPolicy(msgspec.Struct, frozen=True):
    """Targets in steps, each with a quantity of its own; the stop is always for what is open."""

    steps: tuple[ScaleStep, ...] = ()
    rest: Rest = Rest.TARGET

    @property
    def is_plain(self) -> bool:
        """Whether there is one target, for everything."""
        return not self.steps and self.rest is Rest.TARGET


class TimeExitPolicy(msgspec.Struct, frozen=True):
    """When a trade has had its time."""

    after_bars: int | None = None
    """Leave at the close of this bar after the entry bar."""
    after_s: Decimal | None = None
    """Leave so long after the first fill, seconds."""
    unprofitable_after_bars: int | None = None
    """Leave at the close of this bar after the entry bar, and any later one, that is not in profit."""
    at_session_end: bool = False
    before_weekend: bool = False
    """Leave at the end of the last session before the market is closed for two days or more."""
    session_end_lead_s: Decimal = Decimal(60)
    """How long before the session's end to leave, live; a replay leaves at the close of the session's last bar."""

    @property
    def counts_bars(self) -> bool:
        """Whether bars must be told."""
        return self.after_bars is not None or self.unprofitable_after_bars is not None


class Policy(msgspec.Struct, frozen=True):
    """One strategy's exit policy, whole. Compare and log it by `fingerprint`."""

    name: str = "default"
    risk_reward: RiskRewardPolicy = RiskRewardPolicy()
    atr: AtrPolicy = AtrPolicy()
    bracket_orders: BracketOrdersPolicy = BracketOrdersPolicy()
    protection: ProtectionPolicy = ProtectionPolicy()
    sizing: SizingPolicy = SizingPolicy()
    ratchet: RatchetPolicy = RatchetPolicy()
    trailing: TrailingPolicy = TrailingPolicy()
    break_even: BreakEvenPolicy = BreakEvenPolicy()
    profit_lock: tuple[LockStep, ...] = ()
    scale_out: ScaleOutPolicy = ScaleOutPolicy()
    time_exit: TimeExitPolicy = TimeExitPolicy()

    @property
    def moves_stop(self) -> bool:
        """Whether anything but a hand may move the stop."""
        return self.trailing.method is not None or self.break_even.at_r is not None or bool(self.profit_lock)

    @property
    def wants_bars(self) -> bool:
        """Whether its brackets must be told of closed bars."""
        at_close = self.moves_stop and self.ratchet.on is RatchetOn.BAR_CLOSE
        return at_close or self.trailing.atr is TrailAtr.CURRENT or self.time_exit.counts_bars

    @property
    def has_rules(self) -> bool:
        """Whether its exits are more than a stop and one target."""
        time = self.time_exit
        leaves = time.counts_bars or time.after_s is not None or time.at_session_end or time.before_weekend
        return leaves or self.moves_stop or not self.scale_out.is_plain

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when any value of the policy does.

        >>> Policy().fingerprint == Policy(atr=AtrPolicy(period=21)).fingerprint
        False
        """
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:12]


def policy_for(policies: Mapping[str, Policy], strategy: str, symbol: str) -> Policy | None:
    """Return the policy of a strategy in a symbol: the symbol's own (`strategy@symbol`), else the strategy's.

    None: no strategy has that name.

    >>> policies = {"default": Policy(), "default@AAPL": Policy(name="default@AAPL")}
    >>> policy_for(policies, "default", "AAPL").name, policy_for(policies, "default", "SPY").name
    ('default@AAPL', 'default')
    """
    if "@" in strategy:
        return None
    return policies.get(f"{strategy}@{symbol}") or policies.get(strategy)


def policies_for(policies: Mapping[str, Policy], symbol: str) -> dict[str, Policy]:
    """Return every strategy's policy for one symbol, by strategy."""
    return {name: policies.get(f"{name}@{symbol}") or policy for name, policy in policies.items() if "@" not in name}


def seconds_ns(seconds: Decimal) -> int:
    """Convert seconds to whole nanoseconds.

    >>> seconds_ns(Decimal("1.5"))
    1500000000
    """
    return int(seconds * NS_PER_S)
