"""The levels of a trade: its first stop and target, and how a stop may be moved later.

Rounding never works against the plan. A stop goes to the tick *towards* the entry, so the risk is never above
plan; a target goes *away* from it, so the reward is never below. For a long both mean up, for a short both
mean down (`round_level`); a level changed later is rounded the same way, which never loosens a stop.

Nothing here refuses a fill: what is wrong with a given level is said in a remark, and the plan is made
without it. `check_given` is for entries not yet sent, which may be refused.
"""

from decimal import Decimal

import msgspec

from grodtd.domain.bracket import Levels
from grodtd.domain.errors import Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ceil_to, floor_to, plain
from grodtd.domain.orders import Side
from grodtd.domain.policy import AtrPolicy, Policy
from grodtd.execution.risk_reward_calculator import BY_CONDITION, RatioDecision, RiskRewardCalculator, target_px


class LevelsDecision(msgspec.Struct, frozen=True):
    """The plan of a trade and how it came about. Prices in quote currency per unit."""

    levels: Levels
    ratio: RatioDecision | None
    """How the ratio was decided; None where the target was given."""
    stop_distance_px: Decimal
    """|entry - stop| before any rounding: multiplier x ATR, the fallback, the least, or the given distance."""
    remarks: tuple[str, ...] = ()
    """All that the bracket must say aloud, the ratio's remarks included; empty when all went to plan."""
    stop_is_hit: bool = False
    """The stop is at the entry or on its winning side: it counts as hit, so leave at once."""
    is_least: bool = False
    """The stop's distance is `min_stop_percentage`: what was computed is less."""


def plan_levels(
    side: Side,
    entry_px: Decimal,
    reading: VolatilityReading,
    policy: Policy,
    instrument: Instrument,
    given_stop_px: Decimal | None = None,
    given_target_px: Decimal | None = None,
) -> LevelsDecision:
    """Work out stop and target of a fill. Always answers: a fill is protected, or it is exited.

    Stop: as given, else `multiplier` x ATR away, else (no usable ATR) `fallback_percentage` of the entry
    away; what is computed is at least `min_stop_percentage` of the entry. Target: as given, else the policy's
    ratio x the stop's actual distance after rounding; none when the stop counts as hit. A given level that is
    no price (NaN, or not above zero) is left out, and said; a target on the losing side is one that is reached
    already, and said, too.

    >>> reading = VolatilityReading(atr_px=Decimal("1.23"), close_px=Decimal(100))
    >>> stock = Instrument("X", tick_size=Decimal("0.05"))
    >>> plan = plan_levels(Side.BUY, Decimal(100), reading, Policy(), stock)
    >>> plan.levels.stop_px, plan.levels.target_px, plan.stop_distance_px
    (Decimal('97.55'), Decimal('103.70'), Decimal('2.460'))
    """
    tick = instrument.tick_size
    remarks: list[str] = []
    if given_stop_px is not None and not _is_price(given_stop_px, entry_px):
        remarks.append(f"given stop {given_stop_px} is no price: left out, the policy's stop stands in")
        given_stop_px = None
    if given_target_px is not None:
        given_target_px = _given_target(side, entry_px, given_target_px, tick, remarks)

    atr_px = reading.atr_px
    if atr_px is not None and not (atr_px.is_finite() and atr_px > 0):
        atr_px = None
    is_least = False
    if given_stop_px is None:
        distance = _stop_distance(entry_px, atr_px, reading, policy.atr, remarks)
        least = policy.atr.min_stop_percentage * abs(entry_px)
        if distance < least:
            share = plain(policy.atr.min_stop_percentage)
            remarks.append(f"a stop {plain(distance)} away is too near: min_stop_percentage {share}, {plain(least)}")
            distance, is_least = least, True
        stop_px = _computed_stop(side, entry_px, distance, policy.atr.min_stop_ticks, tick, remarks)
    else:
        distance = abs(entry_px - given_stop_px)
        stop_px = _given_stop(side, entry_px, given_stop_px, tick, remarks)
    is_hit = not _is_beyond(side, stop_px, entry_px)

    decision: RatioDecision | None = None
    target = given_target_px
    if target is None:
        decision = RiskRewardCalculator(policy.risk_reward).ratio(instrument.symbol, reading)
        remarks += decision.remarks
        if not is_hit:
            target = _computed_target(side, entry_px, stop_px, decision.ratio, tick, remarks)
    levels = Levels(
        entry_px=entry_px,
        stop_px=stop_px,
        target_px=target,
        ratio=None if decision is None else decision.ratio,
        atr_px=atr_px,
        condition=reading.condition if decision is not None and policy.risk_reward.strategy in BY_CONDITION else None,
        factors=() if decision is None else decision.factors,
        fallback=given_stop_px is None and atr_px is None,
        stop_given=given_stop_px is not None,
        target_given=given_target_px is not None,
    )
    return LevelsDecision(levels, decision, distance, tuple(remarks), is_hit, is_least)


def check_given(side: Side, entry_px: Decimal, stop_px: Decimal | None, target_px: Decimal | None) -> None:
    """Look at given levels before the entry is sent; None is nothing to look at.

    Raises: Refused - a level is no price, or on the wrong side of `entry_px` (the caller gives another; no
    order was sent). Codes: `bad_stop`, `bad_target`.

    >>> check_given(Side.BUY, Decimal(100), Decimal(95), Decimal(110))
    """
    what = "long" if side is Side.BUY else "short"
    if stop_px is not None and not (_is_price(stop_px, entry_px) and _is_beyond(side, stop_px, entry_px)):
        where = "below" if side is Side.BUY else "above"
        raise Refused(
            f"stop {stop_px} of a {what} must be a price {where} its entry {plain(entry_px)}", code="bad_stop"
        )
    if target_px is not None and not (
        _is_price(target_px, entry_px) and _is_beyond(side.opposite, target_px, entry_px)
    ):
        where = "above" if side is Side.BUY else "below"
        raise Refused(
            f"target {target_px} of a {what} must be a price {where} its entry {plain(entry_px)}",
            code="bad_target",
        )


def round_level(side: Side, px: Decimal, tick: Decimal) -> Decimal:
    """Round a stop or a target to the tick, never against the plan: a long's up, a short's down.

    >>> [str(round_level(side, Decimal("97.541"), Decimal("0.05"))) for side in Side]
    ['97.55', '97.50']
    """
    return ceil_to(px, tick) if side is Side.BUY else floor_to(px, tick)


def is_looser(side: Side, current: Decimal, wanted: Decimal) -> bool:
    """Tell whether moving a stop from `current` to `wanted` would risk more: down for a long, up for a short.

    >>> is_looser(Side.BUY, Decimal(95), Decimal(94)), is_looser(Side.SELL, Decimal(105), Decimal(104))
    (True, False)
    """
    return wanted < current if side is Side.BUY else wanted > current


def change_stop(side: Side, current_stop: Decimal, wanted: Decimal, tick: Decimal) -> Decimal:
    """Return the level a stop moves to when `wanted` is asked for: rounded to the tick on its tighter side.

    Rounding never loosens: what is not looser than `current_stop` before rounding is not after. Whether
    `wanted` may be looser at all is not decided here (`is_looser`; only a named command may). Asked for what
    it is, a stop stays exactly where it is, also between ticks, where a venue has changed them since.

    >>> change_stop(Side.BUY, Decimal("97.50"), Decimal("98.312"), Decimal("0.05"))
    Decimal('98.35')
    """
    return current_stop if wanted == current_stop else round_level(side, wanted, tick)


def _is_price(px: Decimal, entry_px: Decimal) -> bool:
    """Tell whether `px` could be traded: finite, and above zero unless the entry itself was not."""
    return px.is_finite() and (px > 0 or entry_px <= 0)


def _is_beyond(side: Side, px: Decimal, entry_px: Decimal) -> bool:
    """Tell whether `px` is strictly on the losing side of an entry on `side`."""
    return px < entry_px if side is Side.BUY else px > entry_px


def _stop_distance(
    entry_px: Decimal,
    atr_px: Decimal | None,
    reading: VolatilityReading,
    policy: AtrPolicy,
    remarks: list[str],
) -> Decimal:
    if atr_px is not None:
        return policy.multiplier * atr_px
    why = reading.why_no_atr or "none was given"
    remarks.append(f"no ATR ({why}): the stop is fallback_percentage {plain(policy.fallback_percentage)} away")
    return policy.fallback_percentage * abs(entry_px)


def _computed_stop(
    side: Side, entry_px: Decimal, distance: Decimal, min_stop_ticks: int, tick: Decimal, remarks: list[str]
) -> Decimal:
    """Put the stop `distance` to the losing side, rounded towards the entry but never onto it."""
    is_long = side is Side.BUY
    stop_px = round_level(side, entry_px - distance if is_long else entry_px + distance, tick)
    if not _is_beyond(side, stop_px, entry_px):
        ticks = max(min_stop_ticks, 1)
        stop_px = stop_px - ticks * tick if is_long else stop_px + ticks * tick
        remarks.append(
            f"a stop {plain(distance)} away rounds onto the entry: moved {ticks} tick(s) to {plain(stop_px)}"
        )
    if is_long and stop_px <= 0 < entry_px:
        remarks.append(f"a stop {plain(distance)} away is not above zero: put at one tick, {plain(tick)}")
        stop_px = tick
        if stop_px >= entry_px:
            remarks.append(f"no price is left below the entry {plain(entry_px)}: the stop counts as hit")
    return stop_px


def _given_stop(side: Side, entry_px: Decimal, given_px: Decimal, tick: Decimal, remarks: list[str]) -> Decimal:
    """Take a given stop as it is, but for the tick: towards the entry, without reaching it."""
    if not _is_beyond(side, given_px, entry_px):
        what = "not below the entry of a long" if side is Side.BUY else "not above the entry of a short"
        remarks.append(f"given stop {plain(given_px)} is {what} at {plain(entry_px)}: it counts as hit")
        rounded = round_level(side, given_px, tick)
        return rounded if rounded > 0 else given_px
    stop_px = round_level(side, given_px, tick)
    if not _is_beyond(side, stop_px, entry_px):
        losing_tick = round_level(side.opposite, given_px, tick)
        if _is_price(losing_tick, entry_px):
            stop_px = losing_tick
        else:
            remarks.append(f"no price is left below the entry {plain(entry_px)}: the stop counts as hit")
    if stop_px == given_px:
        return given_px
    remarks.append(f"given stop {plain(given_px)} is between ticks of {plain(tick)}: rounded to {plain(stop_px)}")
    return stop_px


def _given_target(
    side: Side, entry_px: Decimal, given_px: Decimal, tick: Decimal, remarks: list[str]
) -> Decimal | None:
    """Take a given target as it is, but for the tick: away from the entry. None when it cannot be one."""
    if not _is_price(given_px, entry_px):
        remarks.append(f"given target {given_px} is no price: left out")
        return None
    if not _is_beyond(side.opposite, given_px, entry_px):
        what = "not above the entry of a long" if side is Side.BUY else "not below the entry of a short"
        remarks.append(f"given target {plain(given_px)} is {what} at {plain(entry_px)}: it is reached already")
    rounded = round_level(side, given_px, tick)
    if rounded == given_px:
        return given_px
    if rounded <= 0 < entry_px:
        rounded = tick
        if tick >= entry_px:
            remarks.append(f"given target {plain(given_px)} is less than a tick of {plain(tick)}: left out")
            return None
    remarks.append(f"given target {plain(given_px)} is between ticks of {plain(tick)}: rounded to {plain(rounded)}")
    return rounded


def _computed_target(
    side: Side, entry_px: Decimal, stop_px: Decimal, ratio: Decimal, tick: Decimal, remarks: list[str]
) -> Decimal | None:
    """Put the target at `ratio` x the actual stop distance; a short's not below the last price there is."""
    target = target_px(side, entry_px, stop_px, ratio, tick)
    if side is Side.BUY or target > 0 or entry_px <= 0:
        return target
    if tick >= entry_px:
        remarks.append(f"no price is left below the entry {plain(entry_px)}: no target")
        return None
    remarks.append(f"a target at {plain(target)} is not above zero: put at one tick, {plain(tick)}")
    return tick
