"""Trailing, break-even, locks, scale-out and time exits by the kernels: a bracket's rules as whole numbers.

Every level a rule may ask for is worked out once a bracket, by the code the engine uses; the loop only compares.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property
from typing import NamedTuple

import numpy as np

from grodtd.domain.bracket import Levels
from grodtd.domain.instrument import Instrument
from grodtd.domain.money import divide
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy, RatchetOn, Rest, TrailAtr, TrailMethod, seconds_ns
from grodtd.execution.atr_calculator import twelve_digits
from grodtd.execution.levels import round_level
from grodtd.execution.scale_out import allocate, plan_rungs
from grodtd.execution.trailing import BREAKEVEN, LOCK, STOP, TRAIL, at_r, break_even_px, trail_distance
from grodtd.replay import kernels_loops as loops
from grodtd.replay.kernels import MODELS, Walk, Walks, block_index
from grodtd.replay.prices import Bars, Ints, Quotes
from grodtd.replay.volatility import AtrSeries
from grodtd.runtime.sessions import session_end_indices
from grodtd.venue.bar_matching import FillModel

TARGET, TIME, SESSION = "target", "time", "session"
KINDS = {
    None: loops.NO_TRAIL,
    TrailMethod.ATR: loops.FROM_BAR,
    TrailMethod.CHANDELIER: loops.FROM_BEST,
    TrailMethod.DISTANCE: loops.FROM_BEST,
    TrailMethod.TICKS: loops.FROM_BEST,
    TrailMethod.PERCENT: loops.PERCENT,
}
NEVER = int(loops.NEVER)
LARGEST_SHARE = 10**6
"""A percent trail's amount, as a fraction, may have this denominator."""


def rules_uncovered(policy: Policy, prices: Bars | Quotes) -> str | None:
    """Say what of a policy's rules the kernels do not cover; None: they cover them all."""
    if not policy.has_rules:
        return None
    if isinstance(prices, Quotes):
        return "its rules are told of quotes"
    if policy.moves_stop and policy.ratchet.on is RatchetOn.QUOTE:
        return "ratchet.on is quote"
    trail = policy.trailing
    if trail.method is TrailMethod.PERCENT and trail.amount.as_integer_ratio()[1] > LARGEST_SHARE:
        return "trailing.amount has too many digits"
    return None


class Clock:
    """Where trades' times end in one feed's bars."""

    def __init__(self, prices: Bars | Quotes, instrument: Instrument, time_ns: Ints) -> None:
        """Look at bars and the calendar of what is traded."""
        self.prices, self.instrument, self.time_ns = prices, instrument, time_ns

    @cached_property
    def _ends(self) -> tuple[Ints, Ints]:
        assert isinstance(self.prices, Bars)
        session, weekend = session_end_indices(self.instrument.calendar, self.time_ns, self.prices.interval_ns)
        return np.flatnonzero(session), np.flatnonzero(weekend)

    def deadline(self, policy: Policy, entry: int) -> tuple[int, str]:
        """Return the bar at whose close a trade's time or session is over, and which; NEVER: none is."""
        rule = policy.time_exit
        time = session = NEVER
        if rule.after_s is not None:
            due_ns = int(self.time_ns[entry]) + seconds_ns(rule.after_s)
            at = max(int(self.time_ns.searchsorted(due_ns)), entry + 1)
            time = at if at < len(self.time_ns) else NEVER
        asked = ((rule.at_session_end, 0), (rule.before_weekend, 1))
        for ends in (self._ends[which] for wanted, which in asked if wanted):
            place = int(ends.searchsorted(entry, "right"))
            session = min(session, int(ends[place]) if place < len(ends) else NEVER)
        return min(time, session), TIME if time <= session else SESSION


class Trail(NamedTuple):
    """How far a stop trails by the current ATR, bar by bar, and what the loop searches for its moves."""

    distances: Ints
    """int64[n], whole units at or below the distance; of the last ATR known. Empty: not by the current ATR."""
    reach: Ints
    reach_tops: Ints
    reach_bottoms: Ints
    known: Ints
    """int64: the bars after which an ATR is known, rising."""

    def known_from(self, entry: int) -> int:
        """Return the first bar after `entry` with an ATR of its own; NEVER: there is none."""
        at = int(self.known.searchsorted(entry, "right"))
        return int(self.known[at]) if at < len(self.known) else NEVER


NO_INTS = np.empty(0, dtype=np.int64)
AS_AT_ENTRY = Trail(NO_INTS, NO_INTS, NO_INTS, NO_INTS, NO_INTS)


def trail_of(series: AtrSeries, amount: Decimal, method: TrailMethod | None, walk: Walk, unit: Decimal) -> Trail:
    """Return how far `amount` x the ATR after each bar is, as the engine has it: by the ATR at 12 digits."""
    atr, scale = series.atr, series.bars.mid_unit
    known = np.flatnonzero(atr > 0)
    far = np.zeros(len(atr))
    far[known] = atr[known] * float(amount * scale / unit)
    distances = np.floor(far).astype(np.int64)
    # Where the product stands so near a whole number that float64 or the twelve digits decide, it is worked out.
    doubtful = known[np.abs(far - np.rint(far))[known] <= 1e-9 + far[known] * 1e-11]
    for bar in doubtful.tolist():
        exact = amount * twelve_digits(Decimal(float(atr[bar])) * scale) / unit
        distances[bar] = int(exact.to_integral_value(ROUND_FLOOR))
    latest = np.maximum.accumulate(np.where(atr > 0, np.arange(len(atr)), 0))
    distances = distances[latest]
    reach = np.ascontiguousarray(walk.high - distances if method is TrailMethod.ATR else -distances)
    return Trail(distances, reach, *block_index(reach, reach)[:2], known)


class Exit:
    """One exit of a life: at which bar, at what price (as a long sees it, units), how much, why."""

    __slots__ = ("bar", "doubtful", "px", "quantity", "reason")

    def __init__(self, bar: int, px: int, quantity: Decimal, reason: str, *, doubtful: bool) -> None:
        """Keep them."""
        self.bar, self.px, self.quantity, self.reason, self.doubtful = bar, px, quantity, reason, doubtful


def with_targets(levels: Levels, policy: Policy) -> Levels:
    """Return the levels as a bracket has them: a part that runs has no target."""
    if policy.scale_out.is_plain or policy.scale_out.rest is not Rest.RUN:
        return levels
    return Levels(**{name: getattr(levels, name) for name in levels.__struct_fields__} | {"target_px": None})


class Holding(NamedTuple):
    """What an entry brought."""

    net: Decimal
    """Units, its fee taken off where that is paid in units."""
    sold: Decimal
    """What of them can be sold: whole lots. The rest stays as dust."""


def parts_of(
    side: Side, holding: Holding, levels: Levels, policy: Policy, instrument: Instrument
) -> list[tuple[Decimal | None, Decimal]]:
    """Return each target (None: without one) and what it sells, near to far, as `scale_out.parts` divides it."""
    rungs = plan_rungs(side, levels, policy.scale_out, instrument.tick_size)
    if not rungs:
        return [(levels.target_px, holding.sold)]
    found, left = [], holding.sold
    for rung, share in zip(rungs, allocate(rungs, holding.net, instrument, levels.stop_px), strict=True):
        quantity = min(share, left)
        left -= quantity
        found.append((rung.px, quantity))
    if left:
        found[-1] = (found[-1][0], found[-1][1] + left)
    return [(px, quantity) for px, quantity in found if quantity]


class Follower:
    """Follows brackets of one side, one after the other."""

    def __init__(
        self,
        over: Walks,
        side: Side,
        instrument: Instrument,
        model: FillModel,
        clock: Clock,
        series: Callable[[str], AtrSeries],
    ) -> None:
        """Prepare the prices of that side; `series` gives the ATR under a strategy's policy."""
        self.over, self.side, self.instrument, self.clock, self.series = over, side, instrument, clock, series
        self._trails: dict[tuple[Decimal, TrailMethod | None, int], Trail] = {}
        self.model = MODELS[model]
        self.walk, self.close = over.of(side), np.ascontiguousarray(over.closes(side))
        self.moves: Ints = np.empty((len(self.close), 2), dtype=np.int64)
        self.step = int(instrument.tick_size / over.unit)

    def _up(self, px: Decimal) -> int:
        """Units at or just beyond a price, to the winning side, as a long sees it."""
        units = px / self.over.unit * self.side.sign
        return int(units.to_integral_value(ROUND_CEILING))

    @cached_property
    def _close_index(self) -> tuple[Ints, Ints]:
        return block_index(self.close, self.close)[:2]

    def _trail(self, policy: Policy, strategy: str) -> Trail:
        trail = policy.trailing
        if trail.method not in (TrailMethod.ATR, TrailMethod.CHANDELIER) or trail.atr is not TrailAtr.CURRENT:
            return AS_AT_ENTRY
        series = self.series(strategy)
        key = (trail.amount, trail.method, id(series))
        if key not in self._trails:
            self._trails[key] = trail_of(series, trail.amount, trail.method, self.walk, self.over.unit)
        return self._trails[key]

    def follow(
        self, entry: int, holding: Holding, levels: Levels, policy: Policy, strategy: str
    ) -> tuple[list[Exit], list[tuple[int, int]]]:
        """Return a bracket's exits and its stop's moves as (bar, new stop in units, as a long sees it)."""
        side, tick, unit = self.side, self.instrument.tick_size, self.over.unit
        targets, quantities = self._parts(holding, levels, policy)
        by_atr = self._trail(policy, strategy)
        ats, tos, names = self._steps(levels, policy)
        trail, distance, share, whole = policy.trailing, 0, 0, 1
        if trail.method is TrailMethod.PERCENT:
            share, whole = trail.amount.as_integer_ratio()
        elif trail.method is not None:
            atr_px = levels.atr_px if levels.atr_px is not None else divide(levels.risk, policy.atr.multiplier)
            behind = trail_distance(trail, levels, tick, levels.entry_px, atr_px)
            distance = int((behind / unit).to_integral_value(ROUND_FLOOR))
        active = self._up(at_r(side, levels, trail.activate_at_r))
        if trail.activate_px is not None:
            active = max(active, self._up(trail.activate_px))
        rule = policy.time_exit
        deadline, why_leave = self.clock.deadline(policy, entry)
        out = np.empty((len(targets) + 1, 5), dtype=np.int64)
        exits, moved = loops.one_life(
            *self.walk,
            self.close,
            entry,
            self._up(levels.entry_px),
            self._up(levels.stop_px),
            np.array(targets, dtype=np.int64),
            np.array(ats, dtype=np.int64),
            np.array(tos, dtype=np.int64),
            KINDS[trail.method],
            distance,
            share,
            whole,
            active,
            self.step * max(policy.ratchet.step_ticks, 1),
            self.step,
            NEVER if side is Side.BUY else 0,
            NEVER if rule.after_bars is None else entry + rule.after_bars,
            NEVER if rule.unprofitable_after_bars is None else entry + rule.unprofitable_after_bars,
            deadline,
            *(self._close_index if rule.unprofitable_after_bars is not None else (NO_INTS, NO_INTS)),
            by_atr.distances,
            by_atr.reach,
            by_atr.reach_tops,
            by_atr.reach_bottoms,
            by_atr.known_from(entry),
            self.model,
            out,
            self.moves,
        )
        found, before = [], 0
        for bar, px, gone, what, doubt in out[:exits].tolist():
            reason = _reason(what, names, why_leave)
            found.append(Exit(bar, px, sum(quantities[before:gone], Decimal(0)), reason, doubtful=bool(doubt)))
            before = gone
        return found, [(bar, stop) for bar, stop in self.moves[:moved].tolist()]

    def _parts(self, holding: Holding, levels: Levels, policy: Policy) -> tuple[list[int], list[Decimal]]:
        """Return the targets near to far, NEVER for what has none, and what each sells."""
        parts = parts_of(self.side, holding, levels, policy, self.instrument)
        return [NEVER if px is None else self._up(px) for px, _ in parts], [share for _, share in parts]

    def _steps(self, levels: Levels, policy: Policy) -> tuple[list[int], list[int], list[str]]:
        """Return where break-even and locks take hold, where they put the stop, and what they are called."""
        side, tick = self.side, self.instrument.tick_size
        found: list[tuple[int, int, str]] = []
        rule = policy.break_even
        if rule.at_r is not None:
            level = round_level(side, break_even_px(side, levels.entry_px, policy, self.instrument), tick)
            found.append((self._up(at_r(side, levels, rule.at_r)), self._up(level), BREAKEVEN))
        for lock in policy.profit_lock:
            level = round_level(side, at_r(side, levels, lock.lock_r), tick)
            found.append((self._up(at_r(side, levels, lock.at_r)), self._up(level), LOCK))
        return [at for at, _, _ in found], [to for _, to, _ in found], [name for _, _, name in found]


def _reason(what: int, names: Sequence[str], why_leave: str) -> str:
    if what == loops.AT_TARGET:
        return TARGET
    if what == loops.AT_TIME:
        return TIME
    if what == loops.AT_DEADLINE:
        return why_leave
    why = (what - loops.AT_STOP) // 10 - 1
    if why == loops.TRAILED:
        return TRAIL
    return names[why - loops.FIRST_WHY] if why else STOP
