"""The configuration's shape: one strict model a block, mirroring `domain/policy.py` and `domain/instrument.py`.

Unknown keys are errors, every value is read exactly, and each key says its unit, its bounds and why it is there:
the error messages, the comments in `configs/` and the table in `docs/CONFIGURATION.md` all come from here.
The built-in defaults are those of the domain's own policies, so they are written down once.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from grodtd.config.block import Block, Unset
from grodtd.config.entry_schema import Atr, BracketOrders, RiskReward, Sizing
from grodtd.config.exit_schema import BreakEven, Ratchet, ScaleOut, TimeExit, Trailing, steps
from grodtd.config.fields import Number, RiskMultiple, StrategyName, Symbol, TimeOfDay, key, parse_place, parse_r
from grodtd.config.protection_schema import Protection
from grodtd.domain.policy import (
    AtrPolicy,
    BracketOrdersPolicy,
    BreakEvenPolicy,
    LockStep,
    MarketConditionPolicy,
    Policy,
    ProtectionPolicy,
    RatchetPolicy,
    RiskRewardPolicy,
    ScaleOutPolicy,
    ScaleStep,
    TimeExitPolicy,
    TrailingPolicy,
)
from grodtd.domain.risk import SizingPolicy

LockedRisks = Annotated[Number, Field(gt=-1, lt=100)]


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


def _steps(block: ScaleOut) -> tuple[ScaleStep, ...]:
    """In order of R, then of price: a policy is the same however its file is ordered."""
    placed = [(parse_place(name), fraction) for name, fraction in steps(block).items()]
    placed.sort(key=lambda step: (step[0].px is not None, step[0].at_r or step[0].px))
    return tuple(ScaleStep(fraction, place.at_r, place.px) for place, fraction in placed)
