"""Blocks that say how a trade is left: what moves the stop, scaling out, deadlines."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from grodtd.config.block import Block, Unset
from grodtd.config.fields import Deadline, Number, StepPlace, key
from grodtd.domain.policy import (
    BreakEvenPolicy,
    RatchetOn,
    RatchetPolicy,
    Rest,
    ScaleOutPolicy,
    TimeExitPolicy,
    TrailAtr,
    TrailingPolicy,
    TrailMethod,
)

RATCHET, TRAIL, EVEN = RatchetPolicy(), TrailingPolicy(), BreakEvenPolicy()
SCALE, TIME = ScaleOutPolicy(), TimeExitPolicy()
Fraction = Annotated[Number, Field(gt=0, le=1)]


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


def steps(block: ScaleOut) -> dict[str, Decimal]:
    """Return the scale-out steps that are in force, as they are written."""
    return {name: fraction for name, fraction in block.steps.items() if fraction is not None}
