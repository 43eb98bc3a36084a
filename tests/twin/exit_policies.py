"""What a policy does to an open trade, worked out the slow way: trail, break even, lock in, scale out, time out.

Everything is looked at again from the entry on at every close, in plain loops; nothing is remembered but the stop. The
letters go on where those of `brute_force` end: how the text is read where it leaves room.

  AA The best price since entry begins at the entry price, so a stop 5 behind the best price stands 5 behind the entry
     from the first close on, even if no bar ever came back to the entry.
  AB `atr` hangs from the best price of the bar that closes; every other method from the best since entry. With quotes
     as they come there are no bars to hang from: `atr` then hangs from the best since entry, too.
  AC Without an ATR at the entry the initial risk is `multiplier` ATRs. The current ATR is the latest one known since
     the entry's; a bar without one changes nothing.
  AD Of several candidates the nearest wins; of equal ones break-even, then a lock, then the trail gives its name.
  AE Break-even counts money: an entry fee taken in units makes the units that are left dearer.
  AF A scale-out step takes its fraction of what the entry brought (fee taken off, dust included), floored to the lot;
     the last part takes what is left over. A step of nothing is none.
     Where a part runs, the ratio's (or a given) target is nobody's, and its column is empty.
  AG `after` counts from the time of the bar filled in: out at the close of the first bar that begins so much later.
  AH Not in profit: the exit side's close is at the entry price or worse, fees not counted.
  AI Without a calendar a session ends before prices pause for 4 hours, and a weekend begins where they do for 47.
  AJ With quotes as they come, a move that came too soon after the last one is made when that is old enough, from the
     best price until then, before the next quote; one at that very moment comes after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

HOUR_NS = 3_600_000_000_000
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class ExitRules:
    """An exit policy, flat; as it stands here it does nothing."""

    on: str = "bar_close"
    step_ticks: int = 1
    min_interval_s: Decimal = Decimal(1)
    trail: str | None = None
    amount: Decimal = Decimal(3)
    trail_atr: str = "entry"
    activate_at_r: Decimal = Decimal(0)
    activate_px: Decimal | None = None
    break_even_at_r: Decimal | None = None
    offset_ticks: int = 0
    plus_fees: bool = True
    locks: tuple[tuple[Decimal, Decimal], ...] = ()
    """(at R, lock R)."""
    steps: tuple[tuple[Decimal, str, Decimal], ...] = ()
    """(fraction, "r" or "px", value)."""
    rest: str = "target"
    after_bars: int | None = None
    after_s: int | None = None
    unprofitable_after_bars: int | None = None
    at_session_end: bool = False
    before_weekend: bool = False


@dataclass(frozen=True)
class Closes:
    """Of bars, or quotes in bars, by index: which bar it is in, whether it closes it, a session, the week."""

    bar: Sequence[int]
    of_bar: Sequence[bool]
    of_session: Sequence[bool]
    of_week: Sequence[bool]
    atrs: Sequence[Decimal | None]
    """The usable ATR of the last bar that is closed after each index."""


def closes_of(times_ns: Sequence[int], bar: Sequence[int], length_ns: int, atrs: Sequence[Decimal | None]) -> Closes:
    """Find where bars and sessions end by looking at the row that follows; `length_ns`: of a bar, 0 for quotes (AI)."""
    of_bar, of_session, of_week = [], [], []
    for index, time_ns in enumerate(times_ns):
        last = index + 1 == len(times_ns)
        pause_ns = 0 if last else times_ns[index + 1] - time_ns - length_ns
        of_bar.append(last or bar[index + 1] != bar[index])
        of_session.append(pause_ns >= 4 * HOUR_NS)
        of_week.append(pause_ns >= 47 * HOUR_NS)
    return Closes(bar, of_bar, of_session, of_week, atrs)


def in_new_york(closes: Closes, times_ns: Sequence[int]) -> Closes:
    """Return the same with sessions as New York holds them; the last row of all must not be one's last."""
    dates = [date_in_new_york(time_ns) for time_ns in times_ns]
    apart = [(after - before).days for before, after in pairwise(dates)]
    return replace(
        closes, of_session=[days > 0 for days in apart] + [False], of_week=[days > 2 for days in apart] + [False]
    )


def date_in_new_york(time_ns: int) -> date:
    """Return the date it was there."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, NEW_YORK).date()


def target_parts(trade: Any, brought: Decimal, rules: ExitRules, config: Any) -> list[tuple[Decimal, Decimal]]:
    """Return (price, quantity) of every target, near to far; what has no target is left out."""
    long, sellable = trade.long, trade.sellable
    risk = abs(trade.entry_price - trade.levels.stop)
    wanted: list[tuple[Decimal, Decimal]] = []
    for fraction, kind, value in rules.steps:
        gain = value * risk if kind == "r" else None
        price = value if gain is None else trade.entry_price + (gain if long else -gain)
        wanted.append((to_tick(price, config.tick, up=long), fraction))
    rest = 1 - sum(fraction for _, fraction in wanted)
    runs = rules.rest == "run" or trade.levels.target is None
    if rest and not runs:
        wanted.append((trade.levels.target, rest))
    wanted.sort(key=lambda part: part[0], reverse=not long)
    parts: list[tuple[Decimal, Decimal]] = []
    left = sellable
    for number, (price, fraction) in enumerate(wanted, 1):
        takes_rest = number == len(wanted) and not (rest and runs)
        quantity = left if takes_rest else min(left, to_tick(brought * fraction, config.lot, up=False))
        left -= quantity
        if quantity:
            parts.append((price, quantity))
    return parts


def to_tick(value: Decimal, tick: Decimal, *, up: bool) -> Decimal:
    """Return the first multiple of `tick` at or above `value`, or at or below it."""
    whole = Fraction(value) / Fraction(tick)
    return (-(-whole // 1) if up else whole // 1) * tick


def time_is_up(trade: Any, bars: Sequence[Any], index: int, closes: Closes, rules: ExitRules) -> str | None:
    """Say why a trade must leave at the close of this bar (or with this quote); None: it need not."""
    if rules.after_s is not None:
        held_ns = bars[index].time_ns - bars[trade.entry_index].time_ns
        if held_ns >= rules.after_s * 1_000_000_000:
            return "time"
    if closes.of_bar[index]:
        held = closes.bar[index] - closes.bar[trade.entry_index]
        if rules.after_bars is not None and held >= rules.after_bars:
            return "time"
        if rules.unprofitable_after_bars is not None and held >= rules.unprofitable_after_bars:
            close = trade.exit_side(bars[index]).close
            if close <= trade.entry_price if trade.long else close >= trade.entry_price:
                return "time"
    if rules.at_session_end and closes.of_session[index]:
        return "session"
    return "session" if rules.before_weekend and closes.of_week[index] else None


def ratchet(trade: Any, bars: Sequence[Any], index: int, closes: Closes, rules: ExitRules, config: Any) -> None:
    """Move a trade's stop after this bar closed, or this quote came, if the rules say so."""
    if rules.on == "bar_close" and not closes.of_bar[index]:
        return
    now_ns = bars[index].time_ns
    at_ns = trade.moved_ns + int(rules.min_interval_s * 1_000_000_000) if trade.moved_ns else now_ns
    if rules.on == "quote" and now_ns < at_ns:
        trade.due_ns = at_ns
        return
    move(trade, bars, index, closes, rules, config, now_ns)


def overdue(trade: Any, bars: Sequence[Any], index: int, closes: Closes, rules: ExitRules, config: Any) -> None:
    """Make the move that waited until now, before the quote `index` is looked at (AJ)."""
    if trade.due_ns is not None and trade.due_ns <= bars[index].time_ns:
        move(trade, bars, index - 1, closes, rules, config, trade.due_ns)


def move(
    trade: Any, bars: Sequence[Any], index: int, closes: Closes, rules: ExitRules, config: Any, now_ns: int
) -> None:
    """Move the stop to the nearest place any rule asks for, knowing prices up to and with `index`."""
    trade.due_ns = None
    long, risk = trade.long, abs(trade.entry_price - trade.levels.stop)
    if trade.levels.wrong_side:
        return
    best: tuple[Decimal, str] | None = None
    for price, why in asked_for(trade, bars, index, closes, rules, config, risk):
        level = to_tick(price, config.tick, up=long)
        if best is None or (level > best[0] if long else level < best[0]):
            best = level, why
    if best is None or best[0] <= 0:
        return
    nearer = best[0] - trade.stop if long else trade.stop - best[0]
    if nearer >= rules.step_ticks * config.tick:
        trade.stop, trade.stop_reason = best
        trade.moved_ns = now_ns


def asked_for(
    trade: Any, bars: Sequence[Any], index: int, closes: Closes, rules: ExitRules, config: Any, risk: Decimal
) -> list[tuple[Decimal, str]]:
    """Return every stop the rules ask for now, not rounded, with its name (AD)."""
    entry, toward = trade.entry_price, 1 if trade.long else -1
    best, latest = entry, None
    for at in range(trade.entry_index + 1, index + 1):
        prices = trade.exit_side(bars[at])
        extreme = prices.high if trade.long else prices.low
        best = max(best, extreme) if trade.long else min(best, extreme)
        if closes.bar[at] == closes.bar[index]:
            nearer = latest is None or (extreme > latest if trade.long else extreme < latest)
            latest = extreme if nearer else latest
    won = (best - entry) * toward
    found = []
    if rules.break_even_at_r is not None and won >= rules.break_even_at_r * risk:
        fee = Fraction(config.fee_rate) if rules.plus_fees else Fraction(0)
        paid = fee * Fraction(entry)  # for each unit that is left (AE)
        if config.fee_asset == "base":
            paid /= 1 - fee
        free = (Fraction(entry) + toward * paid) / (1 - toward * fee) + toward * rules.offset_ticks * Fraction(
            config.tick
        )
        found.append((free, "breakeven"))
    for at_r, lock_r in rules.locks:
        if won >= at_r * risk:
            found.append((entry + toward * lock_r * risk, "lock"))
    active = won >= rules.activate_at_r * risk
    if rules.activate_px is not None and won < (rules.activate_px - entry) * toward:
        active = False
    if rules.trail is not None and active:
        own_bar = rules.trail == "atr" and rules.on == "bar_close" and latest is not None
        behind = latest if own_bar else best
        found.append((behind - toward * distance(trade, behind, index, closes, rules, config, risk), "trail"))
    return found


def distance(
    trade: Any, behind: Decimal, index: int, closes: Closes, rules: ExitRules, config: Any, risk: Decimal
) -> Decimal:
    """Return how far behind a price the stop trails."""
    if rules.trail == "percent":
        return rules.amount * behind
    if rules.trail == "distance":
        return rules.amount
    if rules.trail == "ticks":
        return rules.amount * config.tick
    atr = trade.levels.atr if trade.levels.atr is not None else risk / config.multiplier
    if rules.trail_atr == "current":
        for at in range(trade.entry_index + 1, index + 1):
            known = closes.atrs[at] if closes.of_bar[at] or rules.on == "quote" else None
            atr = atr if known is None else known
    return rules.amount * atr
