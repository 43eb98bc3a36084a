"""The configuration's shape: one strict model a block, mirroring `domain/policy.py` and `domain/instrument.py`.

Unknown keys are errors, every value is read exactly, and each key says its unit, its bounds and why it is there:
the error messages, the comments in `configs/` and the table in `docs/CONFIGURATION.md` all come from here.
The built-in defaults are those of the domain's own policies, so they are written down once.
"""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from grodtd.config.fields import (
    Condition,
    Deadline,
    Duration,
    Factor,
    Number,
    Ratio,
    RiskMultiple,
    StepPlace,
    StrategyName,
    Symbol,
    TimeOfDay,
    format_duration,
    key,
    parse_place,
    parse_r,
)
from grodtd.domain.policy import (
    AtrMethod,
    AtrPolicy,
    BracketOrdersPolicy,
    BreakEvenPolicy,
    LockStep,
    MarketConditionPolicy,
    Plan,
    Policy,
    ProtectionPolicy,
    RatchetOn,
    RatchetPolicy,
    RatioStrategy,
    Rest,
    RiskRewardPolicy,
    ScaleOutPolicy,
    ScaleStep,
    TimeExitPolicy,
    TrailAtr,
    TrailingPolicy,
    TrailMethod,
)
from grodtd.domain.risk import SizingPolicy

RR, ATR, ORDERS, GUARD = RiskRewardPolicy(), AtrPolicy(), BracketOrdersPolicy(), ProtectionPolicy()
CONDITION, SIZE = MarketConditionPolicy(), SizingPolicy()
RATCHET, TRAIL, EVEN = RatchetPolicy(), TrailingPolicy(), BreakEvenPolicy()
SCALE, TIME = ScaleOutPolicy(), TimeExitPolicy()


def _nothing_set(value: Any) -> Any:
    """A block whose keys are all commented out is an empty one."""
    return {} if value is None else value


Unset = BeforeValidator(_nothing_set)
Fraction = Annotated[Number, Field(gt=0, le=1)]
LockedRisks = Annotated[Number, Field(gt=-1, lt=100)]


class Block(BaseModel):
    """Keys that belong together. Values are checked strictly: no text for numbers, no unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_block(cls, value: Any) -> Any:
        return _nothing_set(value)


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


class Protection(Block):
    """Bounds of the ladder a lost stop climbs, and of the waits that safety asks for."""

    plan: Plan | None = key(
        GUARD.plan,
        "Where the two exits rest, if you insist; null chooses the safest the venue is capable of.",
        strict=False,
    )
    allow_synthetic: bool = key(
        GUARD.allow_synthetic,
        "Accept a venue without stop orders: nothing rests there, so a dead process means no stop.",
    )
    stop_retry_attempts: int = key(
        GUARD.stop_retry_attempts,
        "How often a refused stop is sent again before the next rung.",
        "attempts",
        ge=0,
        le=100,
    )
    stop_retry_delay_s: Number = key(
        GUARD.stop_retry_delay_s,
        "First wait before a refused stop is sent again; doubles each time. The position is naked meanwhile.",
        "seconds",
        gt=0,
        le=60,
    )
    local_stop_s: Number = key(
        GUARD.local_stop_s,
        "How long a stop the venue refused may be watched from here before we leave at market.",
        "seconds",
        ge=0,
        le=3_600,
    )
    exit_collar_bps: Number = key(
        GUARD.exit_collar_bps,
        "How far through the last price the first marketable exit may go; doubles each time, then market.",
        "basis points of the price",
        ge=0,
        le=10_000,
    )
    exit_collar_attempts: int = key(
        GUARD.exit_collar_attempts, "Exits sent with a collar before one goes at market.", "attempts", ge=0, le=100
    )
    stop_limit_bps: Number = key(
        GUARD.stop_limit_bps,
        "How far beyond the stop its limit stands, on venues that have stop-limits only: further fills more surely.",
        "basis points of the price",
        ge=0,
        le=10_000,
    )
    exit_retry_delay_s: Number = key(
        GUARD.exit_retry_delay_s, "Wait between two attempts to get out.", "seconds", gt=0, le=60
    )
    cancel_requery_s: Number = key(
        GUARD.cancel_requery_s,
        "A request without a final answer is asked about again after this long.",
        "seconds",
        gt=0,
        le=60,
    )
    clock_skew_s: Number = key(
        GUARD.clock_skew_s, "How far the venue's clock may differ from ours.", "seconds", ge=0, le=60
    )
    read_lag_s: Number = key(
        GUARD.read_lag_s,
        "How old the venue's answers may be: 'no such order' counts only after this long.",
        "seconds",
        ge=0,
        le=300,
    )
    other_stop_type_after: int = key(
        GUARD.other_stop_type_after,
        "After so many failures of a stop one attempt is made with the other type (stop-limit); 0: never.",
        "failures",
        ge=0,
        le=100,
    )
    max_denied_stops: int = key(
        GUARD.max_denied_stops,
        "When the venue denies knowing so many stops it held, no more are sent until it admits one: they may all rest.",
        "orders",
        ge=1,
        le=10,
    )
    naked_alarm_s: Number = key(
        GUARD.naked_alarm_s,
        "A position without its whole protection for this long is an alarm; again at 4, 9, 16 ... times that.",
        "seconds",
        gt=0,
        le=60,
    )
    max_stops: int = key(
        GUARD.max_stops,
        "More additive stops than this on one bracket are merged where the venue can amend.",
        "orders",
        ge=1,
        le=1_000,
    )
    rearm_at_open_s: int = key(
        GUARD.rearm_at_open_s,
        "Where orders live for a day: stops are armed again so long after the next open, or (negative) before it.",
        "seconds",
        ge=-43_200,
        le=3_600,
    )


class Ratchet(Block):
    """How stops move, whatever moves them: trailing, break-even, profit locks. They only ever move nearer."""

    on: RatchetOn = key(
        RATCHET.on,
        "When stops may move: at each bar's close, as a replay over bars would have it, or with every quote.",
        strict=False,
    )
    step_ticks: int = key(
        RATCHET.step_ticks,
        "A stop moves by at least so many ticks: more spares the venue requests, less follows closer.",
        "ticks",
        ge=1,
        le=100_000,
    )
    min_interval_s: Number = key(
        RATCHET.min_interval_s,
        "No two moves of one stop closer together than this, twice as far for each of its stops where a venue cannot "
        "amend; the best price in between is not forgotten.",
        "seconds",
        ge=0,
        le=3_600,
    )


class Trailing(Block):
    """A stop that follows the best price since entry."""

    method: TrailMethod | None = key(
        TRAIL.method,
        "What the distance behind the best price is measured in; chandelier stays ATRs behind the best price since "
        "entry, so it tightens by itself when the ATR falls. null does not trail.",
        strict=False,
    )
    amount: Number = key(
        TRAIL.amount,
        "The distance: ATRs (atr, chandelier), a fraction of the price (percent: 0.02 is two per cent), price units "
        "(distance) or whole ticks (ticks).",
        "as the method says",
        gt=0,
        le=1_000_000,
    )
    atr: TrailAtr = key(
        TRAIL.atr,
        "Which ATR atr and chandelier measure with: the one the bracket began with, or that of the latest bar.",
        strict=False,
    )
    activate_at_r: Number = key(
        TRAIL.activate_at_r,
        "Begin once the best price is so many initial risks in profit; 0 begins at once.",
        "initial risks",
        ge=0,
        le=100,
    )
    activate_px: Number | None = key(
        TRAIL.activate_px,
        "Begin once the best price has reached this one, too; null asks for no price.",
        "quote currency",
        gt=0,
        le=1_000_000_000,
    )


class BreakEven(Block):
    """Move the stop to where the trade costs nothing, once it has gone well."""

    at_r: Number | None = key(
        EVEN.at_r,
        "Initial risks in profit at which the stop moves to break-even; null never moves it there.",
        "initial risks",
        gt=0,
        le=100,
    )
    offset_ticks: int = key(
        EVEN.offset_ticks, "So many ticks beyond break-even, to the winning side.", "ticks", ge=0, le=100_000
    )
    plus_fees: bool = key(EVEN.plus_fees, "Count the fees of entry and exit in, so that the exit pays for both.")


class ScaleOut(Block):
    """Targets in steps, each with a quantity of its own; the stop is always for what is open."""

    steps: Annotated[dict[StepPlace, Fraction | None], Unset] = key(
        {},
        "What fraction of the position is sold where: so many initial risks in profit (1R), or at a price (px 105.20). "
        "Fractions sum to 1 at most; null drops a step that is set elsewhere.",
        "fraction of the position",
    )
    rest: Rest = key(
        SCALE.rest,
        "What no step takes goes to the ratio's target, or runs without one until a stop, a time or a signal ends it.",
        strict=False,
    )


class TimeExit(Block):
    """When a trade has had its time."""

    after_bars: int | None = key(
        TIME.after_bars,
        "Leave at the close of so many bars after the entry bar; null counts none.",
        "bars",
        ge=1,
        le=100_000,
    )
    after: Deadline | None = key(TIME.after_s, "Leave so long after the first fill; null waits.")
    unprofitable_after_bars: int | None = key(
        TIME.unprofitable_after_bars,
        "Leave at the close of so many bars after the entry bar, or of any later one, that is not in profit; null "
        "waits.",
        "bars",
        ge=1,
        le=100_000,
    )
    at_session_end: bool = key(
        TIME.at_session_end,
        "Leave before the market closes: the instrument's calendar says when. Without one it never does "
        "live, and a replay goes by the gaps in its prices.",
    )
    before_weekend: bool = key(
        TIME.before_weekend,
        "Leave at the end of the last session before the market is closed for two days or more.",
    )
    session_end_lead_s: Number = key(
        TIME.session_end_lead_s,
        "How long before the session's end to leave, live; a replay leaves at the close of the session's last bar.",
        "seconds",
        ge=0,
        le=86_400,
    )


class PolicyBlock(Block):
    """One exit policy; as a strategy, only the keys that differ from `trade_exit` itself."""

    risk_reward: RiskReward = RiskReward()
    atr: Atr = Atr()
    bracket_orders: BracketOrders = BracketOrders()
    protection: Protection = Protection()
    sizing: Sizing = Sizing()
    ratchet: Ratchet = Ratchet()
    trailing: Trailing = Trailing()
    break_even: BreakEven = BreakEven()
    profit_lock: Annotated[dict[RiskMultiple, LockedRisks | None], Unset] = key(
        {},
        "At so many initial risks in profit (the name) the stop moves to so many of them (the value): 2: 1 locks 1R "
        "in at 2R. Below the name; null drops a lock that is set elsewhere.",
        "initial risks",
    )
    scale_out: ScaleOut = ScaleOut()
    time_exit: TimeExit = TimeExit()


class TradeExit(PolicyBlock):
    """The exit policy of every bracket, and where strategies differ from it."""

    day_rolls_at: TimeOfDay = key(
        "00:00",
        "When a day ends and its loss counts anew; with risk_limits.day_calendar it ends with a session instead.",
        "UTC",
    )
    strategies: Annotated[dict[StrategyName, PolicyBlock], Unset] = key(
        {}, "Policies by name, each with only the keys that differ from trade_exit; a bracket names the one it wants."
    )
    symbols: Annotated[dict[Symbol, PolicyBlock], Unset] = key(
        {}, "What differs for one symbol, whichever strategy its bracket names; it wins over the strategy's own keys."
    )


def to_policy(name: str, block: PolicyBlock) -> Policy:
    """Turn one checked policy into the domain's, whose names carry their units throughout."""
    atr = block.atr.model_dump()
    orders = block.bracket_orders.model_dump()
    ratio = block.risk_reward.model_dump()
    condition = MarketConditionPolicy(**ratio.pop("market_condition"))
    time_exit = block.time_exit.model_dump()
    after = time_exit.pop("after")
    return Policy(
        name=name,
        risk_reward=RiskRewardPolicy(market_condition=condition, **ratio),
        atr=AtrPolicy(interval_s=atr.pop("interval"), **atr),
        bracket_orders=BracketOrdersPolicy(
            timeout_s=orders.pop("timeout_seconds"), retry_delay_s=orders.pop("retry_delay_seconds"), **orders
        ),
        protection=ProtectionPolicy(**block.protection.model_dump()),
        sizing=SizingPolicy(**block.sizing.model_dump()),
        ratchet=RatchetPolicy(**block.ratchet.model_dump()),
        trailing=TrailingPolicy(**block.trailing.model_dump()),
        break_even=BreakEvenPolicy(**block.break_even.model_dump()),
        profit_lock=tuple(
            LockStep(at_r, lock_r)
            for at_r, lock_r in sorted((parse_r(name), lock_r) for name, lock_r in locks(block).items())
        ),
        scale_out=ScaleOutPolicy(_steps(block.scale_out), block.scale_out.rest),
        time_exit=TimeExitPolicy(after_s=None if after is None else Decimal(after), **time_exit),
    )


def locks(block: PolicyBlock) -> dict[str, Decimal]:
    """Return the profit locks that are in force, as they are written."""
    return {name: lock_r for name, lock_r in block.profit_lock.items() if lock_r is not None}


def steps(block: ScaleOut) -> dict[str, Decimal]:
    """Return the scale-out steps that are in force, as they are written."""
    return {name: fraction for name, fraction in block.steps.items() if fraction is not None}


def _steps(block: ScaleOut) -> tuple[ScaleStep, ...]:
    """In order of R, then of price: a policy is the same however its file is ordered."""
    placed = [(parse_place(name), fraction) for name, fraction in steps(block).items()]
    placed.sort(key=lambda step: (step[0].px is not None, step[0].at_r or step[0].px))
    return tuple(ScaleStep(fraction, place.at_r, place.px) for place, fraction in placed)
