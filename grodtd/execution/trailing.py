"""Where a stop may move to: trailing, break-even and profit locks. They ratchet: a stop only ever comes nearer.

All of it follows from one number, the best exit-side price since entry (the highest bid of a long, the lowest ask of
a short), so a restart needs no more than that. Distances are in prices per unit, R is the initial risk per unit.
"""

from decimal import Decimal
from typing import NamedTuple

from grodtd.domain.bracket import Bracket, Levels
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import ONE, ceil_to, divide, floor_to
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy, TrailAtr, TrailingPolicy, TrailMethod
from grodtd.execution.levels import is_looser, round_level
from grodtd.execution.terms import Terms

STOP, TRAIL, BREAKEVEN, LOCK = "stop", "trail", "breakeven", "lock"
"""Why a stop stands where it does: what its exit is called."""
_BY_ATR = (TrailMethod.ATR, TrailMethod.CHANDELIER)


class Move(NamedTuple):
    """A better stop: where, and why."""

    stop_px: Decimal
    why: str


def better(side: Side, one: Decimal, other: Decimal) -> Decimal:
    """Return the price a bracket of `side` would rather leave at.

    >>> better(Side.SELL, Decimal(90), Decimal(95))
    Decimal('90')
    """
    return max(one, other) if side is Side.BUY else min(one, other)


def gain(side: Side, entry_px: Decimal, px: Decimal) -> Decimal:
    """Return how far `px` is to the winning side of the entry; negative: to the losing side."""
    return px - entry_px if side is Side.BUY else entry_px - px


def at_r(side: Side, levels: Levels, r: Decimal) -> Decimal:
    """Return the price `r` initial risks to the winning side of the entry."""
    return levels.entry_px + side.sign * r * levels.risk


def break_even_px(side: Side, entry_px: Decimal, policy: Policy, instrument: Instrument) -> Decimal:
    """Return the price at which the trade costs nothing, off the tick: fees of both sides in, if asked.

    Long: what the exit brings, exit (1 - fee), is what each unit cost, entry (1 + fee); where the entry's fee was taken
    in units, those left cost entry / (1 - fee). A short is the mirror.

    >>> from grodtd.domain.policy import BreakEvenPolicy
    >>> stock = Instrument("X", tick_size=ONE, fee_rate=Decimal("0.01"))
    >>> round(break_even_px(Side.BUY, Decimal(100), Policy(break_even=BreakEvenPolicy(ONE)), stock), 4)
    Decimal('102.0202')
    """
    rule, fee = policy.break_even, instrument.fee_rate
    px = entry_px
    if rule.plus_fees and fee:
        paid = divide(fee, ONE - fee) if instrument.fee_asset is FeeAsset.BASE else fee
        px = entry_px * divide(ONE + side.sign * paid, ONE - side.sign * fee)
    return px + side.sign * rule.offset_ticks * instrument.tick_size


def trail_distance(rule: TrailingPolicy, levels: Levels, tick: Decimal, best_px: Decimal, atr_px: Decimal) -> Decimal:
    """Return how far behind `best_px` the stop follows; `atr_px` is the one the rule asks for."""
    if rule.method in _BY_ATR:
        return rule.amount * atr_px
    if rule.method is TrailMethod.PERCENT:
        return rule.amount * abs(best_px)
    return rule.amount * tick if rule.method is TrailMethod.TICKS else rule.amount


def trail_atr(bracket: Bracket, policy: Policy) -> Decimal:
    """Return the ATR a bracket's stop trails by: at entry or the latest one known.

    Without any, what stands in for it: the initial risk is `multiplier` ATRs by definition of the first stop.
    """
    levels = bracket.levels
    assert levels is not None
    if policy.trailing.atr is TrailAtr.CURRENT and bracket.atr_px is not None:
        return bracket.atr_px
    return levels.atr_px if levels.atr_px is not None else divide(levels.risk, policy.atr.multiplier)


def is_active(bracket: Bracket, policy: Policy, best_px: Decimal) -> bool:
    """Tell whether the best price since entry has reached what a trailing stop waits for."""
    levels, rule = bracket.levels, policy.trailing
    assert levels is not None
    won = gain(bracket.side, levels.entry_px, best_px)
    if won < rule.activate_at_r * levels.risk:
        return False
    return rule.activate_px is None or won >= gain(bracket.side, levels.entry_px, rule.activate_px)


def wanted(bracket: Bracket, terms: Terms, latest_px: Decimal | None = None) -> Move | None:
    """Return where the stop moves to, given the best price since entry; None where it stays.

    `latest_px` is the best price of the bar that closed: what the method `atr` hangs from, while every other hangs from
    the best since entry; None: no bar closed, `atr` hangs from the best since entry, too. The nearest of all candidates
    wins; it must be `step_ticks` nearer than the stop in force. On the tick, rounded towards the market, as every stop
    is.
    """
    levels, policy, stop_px, best_px = bracket.levels, terms.policy, bracket.stop_px, bracket.best_px
    if levels is None or stop_px is None or best_px is None or not levels.risk:
        return None
    side, tick = bracket.side, terms.instrument.tick_size
    found: Move | None = None
    for px, why in _candidates(bracket, terms, levels, best_px, latest_px if latest_px is not None else best_px):
        level = round_level(side, px, tick)
        if found is None or is_looser(side, level, found.stop_px):
            found = Move(level, why)
    if found is None or found.stop_px <= 0 < levels.entry_px:
        return None
    step = max(policy.ratchet.step_ticks, 1) * tick
    return found if gain(side, stop_px, found.stop_px) >= step else None


def _candidates(
    bracket: Bracket, terms: Terms, levels: Levels, best_px: Decimal, latest_px: Decimal
) -> list[tuple[Decimal, str]]:
    """Return what each rule asks for now, off the tick."""
    side, policy, instrument = bracket.side, terms.policy, terms.instrument
    won = gain(side, levels.entry_px, best_px)
    found = []
    rule = policy.break_even
    if rule.at_r is not None and won >= rule.at_r * levels.risk:
        found.append((break_even_px(side, levels.entry_px, policy, instrument), BREAKEVEN))
    found += [(at_r(side, levels, lock.lock_r), LOCK) for lock in policy.profit_lock if won >= lock.at_r * levels.risk]
    trail = policy.trailing
    if trail.method is not None and is_active(bracket, policy, best_px):
        from_px = latest_px if trail.method is TrailMethod.ATR else best_px
        distance = trail_distance(trail, levels, instrument.tick_size, from_px, trail_atr(bracket, policy))
        found.append((from_px - side.sign * distance, TRAIL))
    return found


def next_move_px(bracket: Bracket, terms: Terms) -> Decimal | None:
    """Return the nearest favourable price at which the stop would move; None where no price moves it.

    For watching quotes, which come on the tick: from this price on `wanted` has an answer, short of it it has none.
    """
    levels, policy, stop_px = bracket.levels, terms.policy, bracket.stop_px
    if levels is None or stop_px is None or not levels.risk:
        return None
    side, instrument = bracket.side, terms.instrument
    tick = instrument.tick_size
    step = max(policy.ratchet.step_ticks, 1) * tick
    goal = stop_px + side.sign * step
    prices = []
    rule = policy.break_even
    if rule.at_r is not None:
        level = round_level(side, break_even_px(side, levels.entry_px, policy, instrument), tick)
        if not is_looser(side, goal, level):
            prices.append(at_r(side, levels, rule.at_r))
    for lock in policy.profit_lock:
        level = round_level(side, at_r(side, levels, lock.lock_r), tick)
        if not is_looser(side, goal, level):
            prices.append(at_r(side, levels, lock.at_r))
    trail = policy.trailing
    if trail.method is not None:
        # A candidate is rounded towards the market: it reaches the goal as soon as it is past the tick before it.
        before = goal - side.sign * tick
        if trail.method is TrailMethod.PERCENT:
            px = divide(before, ONE - side.sign * trail.amount)
        else:
            px = before + side.sign * trail_distance(trail, levels, tick, levels.entry_px, trail_atr(bracket, policy))
        px = floor_to(px, tick) + tick if side is Side.BUY else ceil_to(px, tick) - tick
        first = at_r(side, levels, trail.activate_at_r)
        px = better(side, px, first)
        if trail.activate_px is not None:
            px = better(side, px, trail.activate_px)
        prices.append(px)
    if not prices:
        return None
    return min(prices) if side is Side.BUY else max(prices)
