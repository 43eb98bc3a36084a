"""From closed bars to the reading a bracket begins with: ATR, median ATR% and market condition, as its policy asks.

The form for live brackets; `replay/volatility.py` gives the same figures for every bar of a file.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from grodtd.domain.market import Bar, VolatilityReading
from grodtd.domain.policy import NS_PER_S, MarketConditionPolicy, Policy
from grodtd.execution.atr_calculator import ATRCalculator
from grodtd.execution.market_condition import ConditionReading, MarketConditionClassifier
from grodtd.execution.risk_reward_calculator import BY_CONDITION, BY_VOLATILITY

PERIODS_KEPT = 3
"""Wilder's average never quite forgets: after three periods under 5 % of its beginning are left."""


def condition_policy(policy: Policy) -> MarketConditionPolicy | None:
    """Return how a policy tells the market condition; None: its ratio does not ask for one.

    >>> condition_policy(Policy()) is None
    True
    """
    return policy.risk_reward.market_condition if policy.risk_reward.strategy in BY_CONDITION else None


def bars_wanted(policy: Policy) -> int:
    """Return how many closed bars a reading under `policy` is taken from.

    >>> bars_wanted(Policy())
    143
    """
    windows = [policy.risk_reward.volatility_lookback]
    by = condition_policy(policy)
    if by is not None:
        windows += [by.efficiency_period + 1, by.percentile_window]
    return policy.atr.period * PERIODS_KEPT + max(windows) + 1


def read_bars(policy: Policy, bars: Iterable[Bar], condition: str | None = None) -> VolatilityReading:
    """Return what closed bars of the policy's `atr.interval`, oldest first, say to a bracket that begins after them.

    `condition` is the one somebody named: it is taken, and the bars are not asked. Where the ratio follows a
    condition and nobody named one, the bars tell it, or why they cannot.
    """
    lookback = policy.risk_reward.volatility_lookback if policy.risk_reward.strategy in BY_VOLATILITY else 0
    calculator = ATRCalculator(policy.atr, lookback, policy.atr.interval_s * NS_PER_S)
    by = condition_policy(policy) if condition is None else None
    if by is None:
        for bar in bars:
            calculator.update(bar)
        return calculator.reading(condition)
    classifier = MarketConditionClassifier(by)
    for bar in bars:
        if calculator.update(bar):
            classifier.update(bar.close, calculator.exact_atr_px)
    return with_condition(calculator.reading(), classifier.reading())


def with_condition(reading: VolatilityReading, told: ConditionReading) -> VolatilityReading:
    """Put what the bars tell of the market's condition into a reading."""
    return replace(
        reading,
        condition=told.condition,
        efficiency_ratio=told.efficiency_ratio,
        atr_percentile=told.atr_percentile,
        why_no_condition=told.why_unknown,
    )
