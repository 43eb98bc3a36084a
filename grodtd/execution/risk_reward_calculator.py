"""Risk/reward ratio: how many times its risk a trade aims at, the target that follows, and what came of it.

    ratio = base x the strategy's factors, clamped to [min_ratio, max_ratio]
    base  = symbol_specific_ratios[symbol], else base_ratio

    fixed_ratio        no factor
    market_condition   x market_condition_factors[condition]
    volatility_based   x (median ATR% / ATR% now) ^ volatility_factor       ATR% = ATR / close
    adaptive_ratio     both

A market calmer than usual (ATR% below its median) gets a wider target, a wilder one a nearer target. A factor
that cannot be known is 1.0, and the decision says so. Results of a trade are counted in R, multiples of the
initial risk (Van Tharp, Trade Your Way to Financial Freedom, 1998).
"""

from decimal import ROUND_DOWN, Context, Decimal
from typing import TypeGuard

import msgspec

from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ONE, ZERO, ceil_to, divide, floor_to, plain
from grodtd.domain.orders import Side
from grodtd.domain.policy import RatioStrategy, RiskRewardPolicy
from grodtd.execution.atr_calculator import MIN_MEDIAN_VALUES, twelve_digits

POWER = Context(prec=24, rounding=ROUND_DOWN, Emin=-99, Emax=99, traps=[])
"""For the volatility factor: twice the digits that are kept, and an absurd exponent ends at a huge or tiny
number, which the clamp then bounds, instead of an error."""

BY_CONDITION = frozenset({RatioStrategy.MARKET_CONDITION, RatioStrategy.ADAPTIVE_RATIO})
BY_VOLATILITY = frozenset({RatioStrategy.VOLATILITY_BASED, RatioStrategy.ADAPTIVE_RATIO})


class RatioDecision(msgspec.Struct, frozen=True):
    """A ratio and where it comes from, so that a person can follow it with a pencil."""

    ratio: Decimal
    base: Decimal
    base_from: str
    """The key it was read from: base_ratio, or symbol_specific_ratios.AAPL."""
    factors: tuple[tuple[str, Decimal], ...] = ()
    """What the base was multiplied with, in that order: (market_condition ... | volatility, factor)."""
    unclamped: Decimal = ZERO
    """base x factors."""
    clamped_to: str = ""
    """min_ratio or max_ratio when that bound was the answer; empty otherwise."""
    remarks: tuple[str, ...] = ()
    """What could not be known and counted as 1.0, in words."""


class RiskRewardCalculator:
    """One policy's ratio for any symbol and reading. Cheap to make; keeps nothing but the policy.

    >>> policy = RiskRewardPolicy(symbol_specific_ratios={"AAPL": Decimal("1.8")})
    >>> decision = RiskRewardCalculator(policy).ratio("AAPL", VolatilityReading())
    >>> decision.ratio, decision.base_from
    (Decimal('1.8'), 'symbol_specific_ratios.AAPL')
    """

    __slots__ = ("policy",)

    def __init__(self, policy: RiskRewardPolicy) -> None:
        self.policy = policy

    def ratio(self, symbol: str, reading: VolatilityReading) -> RatioDecision:
        """Decide the ratio of a bracket that begins under `reading`. Never fails: a fill waits for it.

        A fractional `volatility_factor` costs some 20 microseconds, everything else a few.

        >>> calm = VolatilityReading(Decimal(1), close_px=Decimal(100), median_atr_pct=Decimal("0.0125"))
        >>> policy = RiskRewardPolicy(strategy=RatioStrategy.VOLATILITY_BASED)
        >>> RiskRewardCalculator(policy).ratio("SPY", calm).ratio
        Decimal('1.875')
        """
        policy = self.policy
        base = policy.symbol_specific_ratios.get(symbol)
        if base is None:
            base, base_from = policy.base_ratio, "base_ratio"
        else:
            base_from = f"symbol_specific_ratios.{symbol}"
        if policy.strategy is RatioStrategy.FIXED_RATIO:
            ratio, clamped_to = self._clamp(base)
            return RatioDecision(ratio, base, base_from, (), base, clamped_to)
        factors: list[tuple[str, Decimal]] = []
        remarks: list[str] = []
        if policy.strategy in BY_CONDITION:
            factors.append((_condition_words(reading), self._condition_factor(reading, remarks)))
        if policy.strategy in BY_VOLATILITY:
            factors.append(("volatility", self._volatility_factor(reading, remarks)))
        unclamped = base
        for _, factor in factors:
            unclamped *= factor
        ratio, clamped_to = self._clamp(unclamped)
        return RatioDecision(ratio, base, base_from, tuple(factors), unclamped, clamped_to, tuple(remarks))

    def _clamp(self, unclamped: Decimal) -> tuple[Decimal, str]:
        if unclamped < self.policy.min_ratio:
            return self.policy.min_ratio, "min_ratio"
        if unclamped > self.policy.max_ratio:
            return self.policy.max_ratio, "max_ratio"
        return unclamped, ""

    def _condition_factor(self, reading: VolatilityReading, remarks: list[str]) -> Decimal:
        condition = reading.condition
        if not condition:
            why = f"unknown ({reading.why_no_condition})" if reading.why_no_condition else "not given"
            remarks.append(f"market condition {why}: factor 1.0")
            return ONE
        factor = self.policy.market_condition_factors.get(condition)
        if factor is None:
            known = ", ".join(sorted(self.policy.market_condition_factors)) or "there are none"
            remarks.append(f"market condition {condition!r} is not in market_condition_factors ({known}): factor 1.0")
            return ONE
        return factor

    def _volatility_factor(self, reading: VolatilityReading, remarks: list[str]) -> Decimal:
        exponent = self.policy.volatility_factor
        if not exponent:
            return ONE
        atr, close, median = reading.atr_px, reading.close_px, reading.median_atr_pct
        if _positive(atr) and _positive(close) and _positive(median):
            calm = divide(median * close, atr)
            return twelve_digits(calm if exponent == ONE else POWER.power(calm, exponent))
        if not _positive(atr):
            why = f"no ATR ({reading.why_no_atr or 'none was given'})"
        elif not _positive(close):
            why = "no close above zero to relate the ATR to"
        else:
            why = f"fewer than {MIN_MEDIAN_VALUES} ATR% values"
        remarks.append(f"{why}: volatility factor 1.0")
        return ONE


def _condition_words(reading: VolatilityReading) -> str:
    """Name the condition, and what told it: nothing more where somebody named it."""
    words = f"market_condition {reading.condition or 'unknown'}"
    if reading.efficiency_ratio is None or reading.atr_percentile is None:
        return words
    efficiency, percentile = (round(figure, 2) for figure in (reading.efficiency_ratio, reading.atr_percentile))
    return f"{words}: efficiency ratio {plain(efficiency)}, ATR percentile {plain(percentile)}"


def _positive(figure: Decimal | None) -> TypeGuard[Decimal]:
    return figure is not None and figure.is_finite() and figure > 0


def target_px(side: Side, entry_px: Decimal, stop_px: Decimal, ratio: Decimal, tick: Decimal) -> Decimal:
    """Return the target: `ratio` x the actual stop distance beyond the entry, to the tick *away* from it.

    Work from the stop as rounded: then reward / risk is never below `ratio`. `side` is the entry's. A short's
    target may come out at or below zero; `levels.plan_levels` sees to that.

    >>> target_px(Side.BUY, Decimal("100"), Decimal("97.55"), Decimal("1.5"), Decimal("0.05"))
    Decimal('103.70')
    >>> target_px(Side.SELL, Decimal("100"), Decimal("102.45"), Decimal("1.5"), Decimal("0.05"))
    Decimal('96.30')
    """
    distance = ratio * abs(entry_px - stop_px)
    if side is Side.BUY:
        return ceil_to(entry_px + distance, tick)
    return floor_to(entry_px - distance, tick)


def r_multiple(side: Side, entry_px: Decimal, initial_stop_px: Decimal, exit_px: Decimal) -> Decimal | None:
    """Return the result in multiples of the initial risk, before fees: sign x (exit - entry) / risk.

    None when the initial stop was not on the losing side of the entry: no risk was planned to measure by.

    >>> r_multiple(Side.BUY, Decimal(100), Decimal(98), Decimal(103))
    Decimal('1.5')
    >>> r_multiple(Side.SELL, Decimal(100), Decimal(102), Decimal(103))
    Decimal('-1.5')
    >>> r_multiple(Side.BUY, Decimal(100), Decimal(101), Decimal(103)) is None
    True
    """
    risk, won = entry_px - initial_stop_px, exit_px - entry_px
    if side is Side.SELL:
        risk, won = -risk, -won
    return divide(won, risk) if risk > 0 else None


def pnl(
    side: Side,
    entry_px: Decimal,
    exit_px: Decimal,
    quantity: Decimal,
    contract_multiplier: Decimal = ONE,
    quote_fees: Decimal = ZERO,
) -> Decimal:
    """Return the money made: sign x (exit - entry) x quantity x contract_multiplier - quote_fees.

    `quantity` is what was sold, units: a fee taken in base has reduced it already. `quote_fees` are those of
    both sides that belong to this quantity, quote currency like the result.

    >>> pnl(Side.SELL, Decimal(100), Decimal(97), Decimal(2), Decimal(50), Decimal("4.20"))
    Decimal('295.80')
    """
    won = exit_px - entry_px if side is Side.BUY else entry_px - exit_px
    return won * quantity * contract_multiplier - quote_fees
