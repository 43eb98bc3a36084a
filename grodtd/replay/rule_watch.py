"""When an exit rule next has something to say about a bracket: found by array search, so idle bars cost nothing.

Rules are told of closed bars. Of bars each index closes one; of quotes the last one of each `--bar-interval` does,
and where the policy moves stops by quote, every one counts. The search may stop at a bar too many, never at one too
few: whether a stop really moves is decided by the engine, exactly.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from grodtd.domain.bracket import Bracket
from grodtd.domain.orders import Side
from grodtd.domain.policy import RatchetOn, TrailAtr, TrailMethod
from grodtd.execution.levels import is_looser, round_level
from grodtd.execution.terms import Terms
from grodtd.execution.trailing import at_r, break_even_px, trail_atr
from grodtd.replay.feed import BLOCK_GROWTH, FIRST_BLOCK, Feed
from grodtd.replay.prices import Bools, Floats, Ints

_ALMOST = 1e-6
"""How much too early a search may stop, in units of price: more than float64 loses, less than a tick."""


@dataclass(frozen=True, eq=False)
class Calendar:
    """Where bars and sessions of a feed end. `session_last` and `weekend_last` are None where there are no sessions."""

    bar_of: Ints
    """int64[n]: which bar each index is in, counted from 0; of one that is not looked at, that of the one before it."""
    closes: Bools
    """bool[n]: the last index of its bar."""
    session_last: Bools | None = None
    """bool[n]: the last index of its session."""
    weekend_last: Bools | None = None
    """bool[n]: the last one before a weekend."""

    @cached_property
    def ends(self) -> Ints:
        """int64[bars]: the index that closes each bar."""
        return np.flatnonzero(self.closes)

    @cached_property
    def is_bars(self) -> bool:
        """Whether each index is a bar of its own."""
        return bool(self.closes.all())


class RuleWatch:
    """Finds the next index at which a bracket's rules act, or may."""

    def __init__(self, feed: Feed, calendar: Calendar) -> None:
        """Watch `feed`, whose bars and sessions end as `calendar` says."""
        self.feed, self.calendar = feed, calendar

    def tells(self, terms: Terms, index: int) -> bool:
        """Whether the index is one the rules are told of: the close of a bar, or any where quotes move stops."""
        return terms.policy.ratchet.on is RatchetOn.QUOTE or bool(self.calendar.closes[index])

    def session_ends(self, terms: Terms, index: int) -> bool:
        """Whether the bracket's policy leaves at the end of this index, by session or weekend."""
        rule, calendar = terms.policy.time_exit, self.calendar
        if rule.at_session_end and calendar.session_last is not None and calendar.session_last[index]:
            return True
        return bool(rule.before_weekend and calendar.weekend_last is not None and calendar.weekend_last[index])

    def next(
        self, bracket: Bracket, terms: Terms, entry_index: int, after: int, until: int, atr: Floats | None
    ) -> int | None:
        """Return the first index after `after` and before `until` that the rules must be told of; None: none.

        `atr`: float64[n], the ATR after each index in the feed's unit, where the stop trails by the current one.
        """
        found = [at for at in self._times(bracket, terms, entry_index, after) if at is not None]
        end = min([until, *(at + 1 for at in found)])
        searched = (
            self._unprofitable(bracket, terms, entry_index, after, end),
            self._moves(bracket, terms, after, end, atr),
        )
        found += [at for at in searched if at is not None]
        first = min(found, default=until)
        return first if first < until else None

    def _times(self, bracket: Bracket, terms: Terms, entry_index: int, after: int) -> list[int | None]:
        rule, calendar = terms.policy.time_exit, self.calendar
        found: list[int | None] = []
        if rule.after_bars is not None:
            found.append(self._end_of_bar(int(calendar.bar_of[entry_index]) + rule.after_bars, after))
        if bracket.leave_at_ns is not None:
            found.append(self._from(int(self.feed.time_ns.searchsorted(bracket.leave_at_ns)), after))
        if rule.at_session_end:
            found.append(_next_true(calendar.session_last, after))
        if rule.before_weekend:
            found.append(_next_true(calendar.weekend_last, after))
        return found

    def _end_of_bar(self, bar: int, after: int) -> int | None:
        """Return the first close after `after` of this bar or a later one; None: there is none."""
        ends = self.calendar.ends
        at = max(bar, int(ends.searchsorted(after, "right")))
        return int(ends[at]) if at < len(ends) else None

    def _from(self, index: int, after: int) -> int | None:
        """Return the first index to be looked at that is neither before `index` nor at or before `after`."""
        return self.feed.next_trusted(max(index - 1, after))

    def _unprofitable(self, bracket: Bracket, terms: Terms, entry_index: int, after: int, end: int) -> int | None:
        limit, levels = terms.policy.time_exit.unprofitable_after_bars, bracket.levels
        if limit is None or levels is None:
            return None
        first = self._end_of_bar(int(self.calendar.bar_of[entry_index]) + limit, after)
        if first is None:
            return None
        closes = self.feed.exit_side(bracket.side).close
        entry = float(levels.entry_px / self.feed.unit)
        begin, size = first, FIRST_BLOCK
        while begin < end:
            stop = min(begin + size, end)
            close = closes[begin:stop]
            hit = close <= entry + _ALMOST if bracket.side is Side.BUY else close >= entry - _ALMOST
            hit = hit & self.calendar.closes[begin:stop]
            at = int(hit.argmax())
            if hit[at]:
                return begin + at
            begin, size = stop, size * BLOCK_GROWTH
        return None

    def _moves(self, bracket: Bracket, terms: Terms, after: int, end: int, atr: Floats | None) -> int | None:
        """Return the first index whose best price may move the stop."""
        levels, best_px, stop_px = bracket.levels, bracket.best_px, bracket.stop_px
        if levels is None or best_px is None or stop_px is None or not levels.risk:
            return None
        if self.feed.trusted is not None or not self.calendar.is_bars:
            return self._each_told(terms, after, end)
        sign, side, unit = bracket.side.sign, bracket.side, self.feed.unit
        tick, policy = terms.instrument.tick_size, terms.policy
        goal = stop_px + sign * max(policy.ratchet.step_ticks, 1) * tick
        reached = []  # prices whose being reached moves the stop, in units towards profit
        rule = policy.break_even
        if rule.at_r is not None:
            level = round_level(side, break_even_px(side, levels.entry_px, policy, terms.instrument), tick)
            if not is_looser(side, goal, level):
                reached.append(at_r(side, levels, rule.at_r))
        reached += [
            at_r(side, levels, lock.at_r)
            for lock in policy.profit_lock
            if not is_looser(side, goal, round_level(side, at_r(side, levels, lock.lock_r), tick))
        ]
        trail = policy.trailing
        active = at_r(side, levels, trail.activate_at_r)
        if trail.activate_px is not None:
            active = max(active, trail.activate_px) if sign > 0 else min(active, trail.activate_px)
        prices = self.feed.exit_side(side)
        extreme = prices.high if sign > 0 else prices.low
        best = sign * float(best_px / unit)
        goal_units = sign * float((goal - sign * tick) / unit) - _ALMOST
        begin, size = after + 1, FIRST_BLOCK
        while begin < end:
            stop = min(begin + size, end)
            latest = sign * extreme[begin:stop].astype(np.float64)
            sofar = np.maximum(np.maximum.accumulate(latest), best)
            hit = np.zeros(len(latest), dtype=np.bool_)
            for px in reached:
                hit |= sofar >= sign * float(px / unit) - _ALMOST
            if trail.method is not None:
                from_px = latest if trail.method is TrailMethod.ATR else sofar
                distance = self._distance(bracket, terms, from_px, None if atr is None else atr[begin:stop])
                hit |= (from_px - distance > goal_units) & (sofar >= sign * float(active / unit) - _ALMOST)
            at = int(hit.argmax())
            if hit[at]:
                return begin + at
            best = float(sofar[-1])
            begin, size = stop, size * BLOCK_GROWTH
        return None

    def _distance(self, bracket: Bracket, terms: Terms, from_px: Floats, atr: Floats | None) -> Floats | float:
        trail, unit = terms.policy.trailing, self.feed.unit
        if trail.method in (TrailMethod.ATR, TrailMethod.CHANDELIER):
            entry_atr = float(trail_atr(bracket, terms.policy) / unit)
            if trail.atr is TrailAtr.CURRENT and atr is not None:
                return float(trail.amount) * np.where(atr > 0, atr, 0.0)  # unknown: looked at bar by bar
            return float(trail.amount) * entry_atr
        if trail.method is TrailMethod.PERCENT:
            return float(trail.amount) * np.abs(from_px)
        if trail.method is TrailMethod.TICKS:
            return float(trail.amount * terms.instrument.tick_size / unit)
        return float(trail.amount / unit)

    def _each_told(self, terms: Terms, after: int, end: int) -> int | None:
        """Quotes: every one the rules are told of."""
        if terms.policy.ratchet.on is RatchetOn.QUOTE:
            at = self.feed.next_trusted(after)
        else:
            at = _next_true(self.calendar.closes, after)
        return at if at is not None and at < end else None


def _next_true(flags: Bools | None, after: int) -> int | None:
    if flags is None:
        return None
    rest = flags[after + 1 :]
    at = int(rest.argmax()) if len(rest) else 0
    return after + 1 + at if len(rest) and rest[at] else None


def calendar_of_bars(count: int, session_last: Bools | None = None, weekend_last: Bools | None = None) -> Calendar:
    """Return the calendar of `count` bars: each index closes one."""
    return Calendar(np.arange(count, dtype=np.int64), np.ones(count, dtype=np.bool_), session_last, weekend_last)


def calendar_of_quotes(
    time_ns: Ints,
    interval_ns: int,
    trusted: Bools | None = None,
    session_last: Bools | None = None,
    weekend_last: Bools | None = None,
) -> Calendar:
    """Return the calendar of quotes in bars of `interval_ns` since the epoch; a bar nothing was quoted in is none.

    `trusted`: bool[n], None: all are. The others are in no bar and close none.
    """
    kept = np.ones(len(time_ns), dtype=np.bool_) if trusted is None else trusted
    starts = time_ns[kept] // interval_ns
    last = np.ones(len(starts), dtype=np.bool_)
    last[:-1] = starts[1:] != starts[:-1]
    closes = np.zeros(len(time_ns), dtype=np.bool_)
    closes[kept] = last
    before: Ints = np.cumsum(closes) - closes
    return Calendar(
        np.maximum(before - ~kept, 0) if trusted is not None else before, closes, session_last, weekend_last
    )
