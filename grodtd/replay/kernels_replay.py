"""A replay by the kernels instead of the engine: the same lives, so the same rows, without orders and a journal.

Levels are planned by the very code the engine plans them with (`execution.levels`); what a bar does to them is the
kernels' part. `why_not` says what they do not cover: the caller then uses the engine, or says so.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from grodtd.config.loading import Configuration
from grodtd.domain.bracket import Bracket, Levels, Phase
from grodtd.domain.errors import DataError
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ZERO, floor_to
from grodtd.domain.orders import ExecutionReport, OrderStatus, Side
from grodtd.domain.policy import Plan, Policy, policy_for
from grodtd.execution.levels import plan_levels
from grodtd.replay import kernels_loops as loops
from grodtd.replay.columns import Progress
from grodtd.replay.driver import Entry, Life, entry_fee
from grodtd.replay.feed import Feed
from grodtd.replay.folder import prepare_batch
from grodtd.replay.inputs import Inputs, ReplayOptions
from grodtd.replay.kernels import UncoveredError, Walks, fixed_exits, walks
from grodtd.replay.kernels_rules import Clock, Follower, Holding, parts_of, rules_uncovered, with_targets
from grodtd.replay.outputs import write
from grodtd.replay.prices import Ints
from grodtd.replay.run import Replayed, run_batch
from grodtd.replay.run import _atr_series as atr_series_of
from grodtd.replay.run import _readings as readings
from grodtd.replay.volatility import AtrSeries
from grodtd.runtime.turn import Sink
from grodtd.venue.bar_matching import FillModel

STOP, TARGET = "stop", "target"


def replay_fast_to(
    out: Path, options: ReplayOptions, configuration: Configuration, progress: Progress | None = None
) -> Replayed:
    """Replay into the folder `out` without the engine: exits.csv, summary.json, report.html, and no journal.

    The rows are the engine's, to the byte. An older run's journal goes: it would tell of other brackets.

    Raises: DataError, ConfigError - the input; DataError - the kernels do not cover it (leave out --fast).
    """
    if options.limits:
        raise DataError("--fast does not cover this replay: entries are held to limits (--limits); leave out --fast")
    batch = prepare_batch(options, configuration, progress)
    try:
        replayed = run_batch(batch, None, progress, drive_fast)
    except UncoveredError as reason:
        raise DataError(f"--fast does not cover this replay: {reason}; leave out --fast") from None
    out.mkdir(parents=True, exist_ok=True)
    for leftover in out.glob("journal.db*"):
        leftover.unlink()
    write(out, replayed)
    return replayed


class Planned(NamedTuple):
    """An entry and the levels it begins with."""

    entry: Entry
    policy: Policy
    levels: Levels
    stop_is_hit: bool
    holding: Holding


def why_not(inputs: Inputs) -> str | None:
    """Say what of this replay the kernels do not cover; None: they cover it all."""
    instrument, symbol = inputs.instrument, inputs.prices.symbol
    if inputs.options.limits:
        return "entries are held to limits (--limits)"
    reading = readings(inputs) if instrument.min_notional else None
    for entry in inputs.entries:
        policy = policy_for(inputs.configuration.policies, entry.strategy, symbol)
        if policy is None:
            return f"entry {entry.bracket_id}: strategy {entry.strategy!r} is not configured"
        reason = rules_uncovered(policy, inputs.prices)
        if reason is not None:
            return f"policy {policy.name}: {reason}"
        if not holding(entry, instrument).sold:
            return f"entry {entry.bracket_id}: nothing of it can be sold (lot_size)"
        if reading is not None and not _is_worth_orders(_planned(inputs, reading, entry), instrument):
            return f"entry {entry.bracket_id}: a part of it may be worth less than an order must be (min_notional)"
    return None


def holding(entry: Entry, instrument: Instrument) -> Holding:
    """Return what an entry brings, and what of it can be sold."""
    fee, asset = entry_fee(instrument, entry.quantity, entry.px)
    net = entry.quantity - (fee if asset is FeeAsset.BASE else ZERO)
    return Holding(net, floor_to(net, instrument.lot_size))


def _is_worth_orders(plan: Planned, instrument: Instrument) -> bool:
    """Whether each part is worth an order at the lowest price it may leave at: a long's stop, a short's target."""
    side, levels = plan.entry.side, plan.levels
    parts = parts_of(side, plan.holding, levels, plan.policy, instrument)
    for px, quantity in parts:
        lowest = levels.stop_px if side is Side.BUY else px
        if plan.stop_is_hit or lowest is None or not instrument.sellable(quantity, lowest):
            return False
    return True


def drive_fast(
    inputs: Inputs,
    feed: Feed,
    reading: Callable[[str, int], VolatilityReading],
    entries: Sequence[Entry],
    model: FillModel,
    sink: Sink | None = None,
    progress: Progress | None = None,
) -> list[Life]:
    """Replay entries as `run.drive` does, lives in order of entry; nothing is journalled.

    Raises: UncoveredError - `why_not` says what, or prices have too many digits.
    """
    reason = why_not(inputs)
    if reason is not None or sink is not None:
        raise UncoveredError(reason or "a journal is kept by the engine")
    ordered = sorted(entries, key=lambda entry: (entry.index, entry.order))
    plans = [_planned(inputs, reading, entry) for entry in ordered]
    if progress is not None:
        progress("replaying", 0.5)
    over = walks(feed, inputs.instrument.tick_size, *_levels_of(plans))
    lives: dict[str, Life] = {}
    for side in Side:
        chosen = [plan for plan in plans if plan.entry.side is side]
        ruled = [plan for plan in chosen if plan.policy.has_rules and not plan.stop_is_hit]
        plain = [plan for plan in chosen if not plan.policy.has_rules or plan.stop_is_hit]
        if plain:
            lives |= _fixed(over, side, plain, inputs.instrument, model)
        if ruled:
            lives |= _ruled(over, side, ruled, inputs, model)
    if progress is not None:
        progress("replaying", 1.0)
    return [lives[entry.bracket_id] for entry in ordered]


def _planned(inputs: Inputs, reading: Callable[[str, int], VolatilityReading], entry: Entry) -> Planned:
    policy = policy_for(inputs.configuration.policies, entry.strategy, inputs.prices.symbol)
    assert policy is not None
    known = reading(entry.strategy, entry.reading_index)
    plan = plan_levels(entry.side, entry.px, known, policy, inputs.instrument, entry.stop_px, entry.target_px)
    levels = with_targets(plan.levels, policy)
    return Planned(entry, policy, levels, plan.stop_is_hit, holding(entry, inputs.instrument))


def _levels_of(plans: Sequence[Planned]) -> set[Decimal]:
    """Return every price that must be a whole number of units: levels off the tick are a given one's alone."""
    levels = {plan.levels.stop_px for plan in plans} | {plan.entry.px for plan in plans}
    return levels | {plan.levels.target_px for plan in plans if plan.levels.target_px is not None}


def _fixed(
    over: Walks, side: Side, plans: Sequence[Planned], instrument: Instrument, model: FillModel
) -> dict[str, Life]:
    unit, sign = over.unit, side.sign

    def units(px: Decimal | None) -> int:
        return int(loops.NEVER) if px is None else sign * int(px / unit)

    entry = over.place(np.array([plan.entry.index for plan in plans], dtype=np.int64))
    stop = _ints(int(loops.NEVER) if plan.stop_is_hit else units(plan.levels.stop_px) for plan in plans)
    target = _ints(units(plan.levels.target_px) for plan in plans)
    found = fixed_exits(over.of(side), entry, stop, target, model)
    lives = {}
    columns = (each.tolist() for each in found)
    for plan, at, px, by, doubtful in zip(plans, *columns, strict=True):
        life = begun(plan, instrument.symbol)
        if at >= 0:
            index = over.index(at)
            if doubtful:
                life.ambiguous_at.append(index)
            reason = TARGET if by == loops.BY_TARGET else STOP
            leave(life, index, sign * px * unit, reason, instrument, plan.holding.sold)
            _end(life, plan)
        lives[plan.entry.bracket_id] = life
    return lives


def _ruled(over: Walks, side: Side, plans: Sequence[Planned], inputs: Inputs, model: FillModel) -> dict[str, Life]:
    instrument, unit, sign = inputs.instrument, over.unit, side.sign
    clock = Clock(inputs.prices, instrument, over.feed.time_ns)
    series: dict[str, AtrSeries] = {}

    def atr_of(strategy: str) -> AtrSeries:
        if not series:
            series.update(atr_series_of(inputs))
        return series[strategy]

    follower = Follower(over, side, instrument, model, clock, atr_of)
    lives = {}
    for plan in plans:
        life = begun(plan, instrument.symbol)
        entry = plan.entry
        exits, moves = follower.follow(entry.index, plan.holding, plan.levels, plan.policy, entry.strategy)
        for found in exits:
            if found.doubtful:
                life.ambiguous_at.append(found.bar)
            leave(life, found.bar, sign * found.px * unit, found.reason, instrument, found.quantity)
        if sum((found.quantity for found in exits), ZERO) == plan.holding.sold:
            _end(life, plan)
        life.stop_history += [(bar, sign * stop * unit) for bar, stop in moves]
        lives[plan.entry.bracket_id] = life
    return lives


def _end(life: Life, plan: Planned) -> None:
    """What could not be sold, if anything, is left for good."""
    if plan.holding.sold != plan.entry.quantity:
        life.bracket = replace(life.bracket, phase=Phase.RESIDUE)


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)


def begun(plan: Planned, symbol: str) -> Life:
    """Return the life of a bracket that holds its whole position."""
    entry, levels = plan.entry, plan.levels
    bracket = Bracket(
        entry.bracket_id,
        symbol,
        entry.side,
        entry.strategy,
        "",
        Plan.NATIVE_OCO,
        "",
        entry.quantity,
        phase=Phase.OPEN,
        levels=levels,
        stop_px=levels.stop_px,
        target_px=levels.target_px,
    )
    return Life(entry, bracket, told_index=entry.index)


def leave(
    life: Life, index: int, px: Decimal, reason: str, instrument: Instrument, quantity: Decimal | None = None
) -> None:
    """Sell `quantity` units (None: everything) at a price, and what that costs."""
    sold = life.entry.quantity if quantity is None else quantity
    fee = sold * px * instrument.contract_multiplier * instrument.fee_rate
    report = ExecutionReport("", OrderStatus.FILLED, last_qty=sold, last_px=px, fee=fee)
    life.exits.append((index, report, reason))
    life.exit_index = index
