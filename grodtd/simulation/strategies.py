"""The exit policies of a simulated history: plain, trailing by quotes and by bars, in parts, locking in, out of time.

Small distances and short bars, so that in two minutes of wandering prices each of them moves stops and sells parts.
"""

from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.orders import Side
from grodtd.domain.policy import (
    AtrPolicy,
    BracketOrdersPolicy,
    BreakEvenPolicy,
    LockStep,
    Policy,
    ProtectionPolicy,
    RatchetOn,
    RatchetPolicy,
    Rest,
    ScaleOutPolicy,
    ScaleStep,
    TimeExitPolicy,
    TrailingPolicy,
    TrailMethod,
)
from grodtd.domain.risk import RiskLimits

_PLAIN = Policy(
    atr=AtrPolicy(interval_s=10),
    bracket_orders=BracketOrdersPolicy(timeout_s=Decimal(60)),
    protection=ProtectionPolicy(allow_synthetic=True),
)
_BY_QUOTE = RatchetPolicy(on=RatchetOn.QUOTE, step_ticks=2)
TRAIL = "trail"
TRAIL_SHARE = Decimal("0.012")
"""How far behind the best price the stops of `TRAIL` follow, a fraction of it."""

POLICIES: dict[str, Policy] = {
    "default": _PLAIN,
    TRAIL: replace(
        _PLAIN,
        name=TRAIL,
        ratchet=_BY_QUOTE,
        trailing=TrailingPolicy(method=TrailMethod.PERCENT, amount=TRAIL_SHARE),
        scale_out=ScaleOutPolicy(rest=Rest.RUN),
    ),
    "halves": replace(
        _PLAIN,
        name="halves",
        ratchet=_BY_QUOTE,
        break_even=BreakEvenPolicy(at_r=Decimal("0.5")),
        scale_out=ScaleOutPolicy(
            steps=(
                ScaleStep(Decimal("0.5"), at_r=Decimal("0.6")),
                ScaleStep(Decimal("0.25"), at_r=Decimal(1)),
            )
        ),
    ),
    "bars": replace(
        _PLAIN,
        name="bars",
        trailing=TrailingPolicy(method=TrailMethod.CHANDELIER, amount=Decimal("1.5")),
        time_exit=TimeExitPolicy(after_s=Decimal(70)),
    ),
    "locks": replace(
        _PLAIN,
        name="locks",
        ratchet=_BY_QUOTE,
        profit_lock=(LockStep(Decimal("0.4"), Decimal("0.1")), LockStep(Decimal("0.8"), Decimal("0.5"))),
    ),
}
"""By strategy; brackets are handed out to them in turn."""

LIMITS = RiskLimits(max_consecutive_losses=None, max_day_loss=None, duplicate_within_s=Decimal(0))
"""Wide enough that entries are sent: what the limits refuse is tried elsewhere."""


def least_stop_px(side: Side, best_px: Decimal, tick_size: Decimal) -> Decimal:
    """Return where a stop of `TRAIL` must have come to, given the best price: less its step and rounding."""
    ticks = _BY_QUOTE.step_ticks + 1
    return best_px - side.sign * (best_px * TRAIL_SHARE + ticks * tick_size)
