"""Trailing, break-even, locks, scale-out and time exits by the kernels: a bracket's rules as whole numbers.

Every level a rule may ask for is worked out once a bracket, by the code the engine uses; the loop only compares.
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property

import numpy as np

from grodtd.domain.bracket import Levels
from grodtd.domain.instrument import Instrument
from grodtd.domain.money import divide
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy, RatchetOn, Rest, TrailAtr, TrailMethod, seconds_ns
from grodtd.execution.levels import round_level
from grodtd.execution.scale_out import allocate, plan_rungs
from grodtd.execution.trailing import BREAKEVEN, LOCK, STOP, TRAIL, at_r, break_even_px, trail_distance
from grodtd.replay import kernels_loops as loops
from grodtd.replay.kernels import MODELS, Walks
from grodtd.replay.prices import Bars, Ints, Quotes
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
    by_atr = trail.method in (TrailMethod.ATR, TrailMethod.CHANDELIER)
    if by_atr and trail.atr is TrailAtr.CURRENT:
        return "trailing.atr is current"
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


class Follower:
    """Follows brackets of one side, one after the other."""

    def __init__(self, over: Walks, side: Side, instrument: Instrument, model: FillModel, clock: Clock) -> None:
        """Prepare the prices of that side."""
        self.over, self.side, self.instrument, self.clock = over, side, instrument, clock
        self.model = MODELS[model]
        self.walk, self.close = over.of(side), np.ascontiguousarray(over.closes(side))
        self.moves: Ints = np.empty((len(self.close), 2), dtype=np.int64)
        self.step = int(instrument.tick_size / over.unit)

    def _up(self, px: Decimal) -> int:
        """Units at or just beyond a price, to the winning side, as a long sees it."""
        units = px / self.over.unit * self.side.sign
        return int(units.to_integral_value(ROUND_CEILING))

    def follow(
        self, entry: int, quantity: Decimal, levels: Levels, policy: Policy
    ) -> tuple[list[Exit], list[tuple[int, int]]]:
        """Return a bracket's exits and its stop's moves as (bar, new stop in units, as a long sees it)."""
        side, tick, unit = self.side, self.instrument.tick_size, self.over.unit
        targets, quantities = self._parts(quantity, levels, policy)
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

    def _parts(self, quantity: Decimal, levels: Levels, policy: Policy) -> tuple[list[int], list[Decimal]]:
        """Return the targets near to far, NEVER for what has none, and what each sells."""
        rungs = plan_rungs(self.side, levels, policy.scale_out, self.instrument.tick_size)
        if not rungs:
            return [NEVER if levels.target_px is None else self._up(levels.target_px)], [quantity]
        shares = allocate(rungs, quantity, self.instrument)
        kept = [(rung.px, share) for rung, share in zip(rungs, shares, strict=True) if share]
        return [NEVER if px is None else self._up(px) for px, _ in kept], [share for _, share in kept]

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
