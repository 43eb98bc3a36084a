"""Every stop distance and every ratio of a grid at once: the exact levels of many entries, and one walk for all.

A stop stands at `multiplier` x ATR (at 12 digits, as the engine has it), rounded to the tick. In whole units that is
ceil((entry - d) / tick) with d the distance, and only floor(d) matters. floor(d) is taken in float64; where d comes
closer to a whole number than float64 and the ATR's twelfth digit can tell, it is worked out in Decimal instead.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from grodtd.domain.market import VolatilityReading
from grodtd.domain.orders import Side
from grodtd.domain.policy import AtrPolicy, Policy, RatioStrategy, policy_for
from grodtd.execution.levels import plan_levels
from grodtd.replay import kernels_loops as loops
from grodtd.replay.driver import Entry
from grodtd.replay.inputs import Inputs
from grodtd.replay.kernels import MODELS, UncoveredError, Walks, walks
from grodtd.replay.kernels_replay import holding, why_not
from grodtd.replay.prices import Floats, Ints
from grodtd.replay.volatility import AtrSeries
from grodtd.venue.bar_matching import FillModel

NEAR = 1e-11
"""How near to a whole number, as a share of itself, a distance is worked out exactly: the ATR has 12 digits."""
EXACT = 2**53


class Ground(NamedTuple):
    """What the walk needs of one side's entries, whatever their stops and ratios; m entries in order of time."""

    side: Side
    chosen: Ints
    """int64[m]: which of all the entries these are."""
    entry: Ints
    """int64[m]: their places in the walk."""
    px: Ints
    """int64[m]: entry prices in units, as a long sees them."""
    atr: Floats
    """float64[m], in units; NaN where there is none."""
    given_stop: Ints
    """int64[m]: the stop an entry brings; NEVER where it brings none."""
    given_target: Ints
    bar: Ints
    """int64[m]: the last bar the ATR of each may know."""
    series: AtrSeries

    def part(self, of: slice) -> "Ground":
        """Return some of these entries."""
        ints = (self.chosen, self.entry, self.px, self.given_stop, self.given_target, self.bar)
        chosen, entry, px, stop, target, bar = (array[of] for array in ints)
        return Ground(self.side, chosen, entry, px, self.atr[of], stop, target, bar, self.series)


def one_ratio(policies: Sequence[Policy], symbol: str) -> Decimal | None:
    """Return the ratio all these policies aim at, if it is one and the same whatever the market does."""
    found = set()
    for policy in policies:
        rule = policy.risk_reward
        if rule.strategy is not RatioStrategy.FIXED_RATIO:
            return None
        base = rule.symbol_specific_ratios.get(symbol, rule.base_ratio)
        found.add(min(max(base, rule.min_ratio), rule.max_ratio))
    return found.pop() if len(found) == 1 else None


def shares_a_walk(inputs: Inputs) -> str | None:
    """Say why settings that differ in stop distance and ratio alone cannot share a walk; None: they can."""
    reason = why_not(inputs)
    if reason is not None:
        return reason
    symbol = inputs.prices.symbol
    names = {entry.strategy for entry in inputs.entries}
    policies = [found for name in names if (found := policy_for(inputs.configuration.policies, name, symbol))]
    if any(policy.has_rules for policy in policies):
        return "its exits are more than a stop and one target"
    if policies and one_ratio(policies, symbol) is None:
        return "its ratio follows the market, or differs between strategies"
    if len({policy.atr for policy in policies}) > 1:
        return "its strategies measure stops differently"
    instrument = inputs.instrument
    if instrument.min_notional or any(holding(entry, instrument).sold != entry.quantity for entry in inputs.entries):
        return "something of an entry may stay unsold (fee_asset base, lot_size, min_notional)"
    return None


def grounds(inputs: Inputs, series: AtrSeries, entries: Sequence[Entry]) -> tuple[Walks, list[Ground]]:
    """Return the walks and, for each side that has entries, what all settings share. Raises: UncoveredError."""
    tick, symbol = inputs.instrument.tick_size, inputs.prices.symbol
    policies = inputs.configuration.policies
    given = {
        at: plan_levels(
            entry.side,
            entry.px,
            VolatilityReading(),
            policy_for(policies, entry.strategy, symbol) or policies["default"],
            inputs.instrument,
            entry.stop_px,
            entry.target_px,
        )
        for at, entry in enumerate(entries)
        if entry.stop_px is not None or entry.target_px is not None
    }
    if any(plan.stop_is_hit for plan in given.values()):
        raise UncoveredError("an entry's given stop counts as hit")
    prices = {entry.px for entry in entries} | {plan.levels.stop_px for plan in given.values()}
    prices |= {plan.levels.target_px for plan in given.values() if plan.levels.target_px is not None}
    over = walks(inputs.feed, tick, *prices)
    scale = float(inputs.bars.mid_unit / over.unit)
    found = []
    for side in Side:
        chosen = [at for at, entry in enumerate(entries) if entry.side is side]
        if not chosen:
            continue
        mine = [entries[at] for at in chosen]
        plans = [given.get(at) for at in chosen]

        def units(px: Decimal | None, sign: int = side.sign) -> int:
            return int(loops.NEVER) if px is None else sign * int(px / over.unit)

        bars = np.array([entry.reading_index for entry in mine], dtype=np.int64)
        atr = np.where(bars >= 0, series.atr[np.maximum(bars, 0)] * scale, np.nan)
        found.append(
            Ground(
                side,
                np.array(chosen, dtype=np.int64),
                over.place(np.array([entry.index for entry in mine], dtype=np.int64)),
                np.array([units(entry.px) for entry in mine], dtype=np.int64),
                np.where(atr > 0, atr, np.nan),
                np.array(
                    [units(p.levels.stop_px if p and p.levels.stop_given else None) for p in plans], dtype=np.int64
                ),
                np.array(
                    [units(p.levels.target_px if p and p.levels.target_given else None) for p in plans],
                    dtype=np.int64,
                ),
                bars,
                series,
            )
        )
    return over, found


def stops_of(ground: Ground, over: Walks, multiplier: Decimal, policy: AtrPolicy, tick: Decimal) -> Ints:
    """Return the stops of a ground's entries under one multiplier, int64[m], in units as a long sees them.

    Raises: UncoveredError - a stop would count as hit at once: no price is left below the entry.
    """
    unit, step = over.unit, int(tick / over.unit)
    distance = float(multiplier) * ground.atr
    whole = np.rint(distance)
    unsure = ~(np.abs(distance - whole) > NEAR * distance + 1e-9)  # NaN is unsure, too
    floored = np.where(unsure, 0, np.floor(distance)).astype(np.int64)
    for at in np.flatnonzero(unsure & (ground.given_stop == loops.NEVER)).tolist():
        atr_px = ground.series.reading(int(ground.bar[at])).atr_px
        exact = policy.fallback_percentage * abs(int(ground.px[at])) * unit if atr_px is None else multiplier * atr_px
        floored[at] = int(exact / unit)
    if policy.min_stop_percentage:
        share, of = policy.min_stop_percentage.as_integer_ratio()
        least = [abs(px) * share // of for px in ground.px.tolist()]  # Python's own integers: no product is too large
        floored = np.maximum(floored, np.array(least, dtype=np.int64))
    stop: Ints = -((floored - ground.px) // step) * step
    stop = np.where(stop >= ground.px, stop - max(policy.min_stop_ticks, 1) * step, stop)
    if ground.side is Side.BUY:
        stop = np.where(stop <= 0, step, stop)
    stop = np.where(ground.given_stop != loops.NEVER, ground.given_stop, stop)
    if bool((stop >= ground.px).any()):
        raise UncoveredError("a stop counts as hit at once: no price is left below its entry")
    return stop


class Walked(NamedTuple):
    """Exits of all settings of one walk: [stops, ratios, entries]."""

    at: Ints
    """int32: place of the exit in the walk; -1: open."""
    won: Ints
    """int64: price gained, units; 0 where open."""


def walk(
    over: Walks, ground: Ground, stops: Ints, ratios: Sequence[Decimal], tick: Decimal, model: FillModel, into: Walked
) -> None:
    """Fill `into` with the exits under every stop (int64[stops, m], widening) x ratio (rising).

    Raises: UncoveredError - the ratios have too many digits, or stops do not widen one after the other.
    """
    if bool((np.diff(stops, axis=0) > 0).any()):
        raise UncoveredError("stops do not widen with the multiplier (min_stop_ticks)")
    places = max(0, *(-int(ratio.normalize().as_tuple().exponent) for ratio in ratios))
    scale = 10**places
    most = int(np.abs(ground.px).max()) + int((ground.px - stops[-1]).max()) * int(max(ratios) + 1)
    step = int(tick / over.unit)
    if most * scale * step >= EXACT:
        raise UncoveredError("ratios or prices have more digits than the kernels compute with")
    if ground.side is Side.SELL and bool((-ground.px <= step).any()):
        raise UncoveredError("a short entered at one tick has no target below it")
    highest = int(loops.NEVER) if ground.side is Side.BUY else -step
    numerators = np.array([float(ratio * scale) for ratio in ratios])
    loops.sweep_exits(
        *over.of(ground.side),
        ground.entry,
        ground.px,
        np.ascontiguousarray(stops),
        numerators,
        float(scale),
        step,
        highest,
        ground.given_target,
        MODELS[model],
        into.at,
        into.won,
    )
