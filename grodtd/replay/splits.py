"""Splits in unadjusted prices: noticed and told, never altered; adjusted when the operator supplies them.

A stop carried across a split is hit by it, and an ATR that contains one is many times too wide: recorded trades come
out wrong without a sign of it. So each price that leaps by nearly a simple ratio is a warning.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from grodtd.domain.errors import DataError
from grodtd.domain.money import plain
from grodtd.replay.columns import BadRow, complaint, read_table, require
from grodtd.replay.exact import MOST_UNITS
from grodtd.replay.prices import Bars, Ints, Ohlc, bars_of, iso_ms

FORWARD = tuple(Fraction(*ratio) for ratio in ((3, 2), (2, 1), (3, 1), (4, 1), (5, 1), (7, 1), (10, 1), (20, 1)))
RATIOS = (*FORWARD, *(1 / ratio for ratio in FORWARD))
"""Price before over price after, forward and reverse."""

TOLERANCE = 0.03
"""Nearness: AAPL opened 2.2% beside 4:1 in 2020. 5% would take its crash of September 2000 (1.9:1) for a split."""

MORE_DECIMALS = 4
"""An adjusted price that no decimal writes exactly (a seventh) is rounded this many places finer, half to even."""


@dataclass(frozen=True, slots=True)
class SplitWarning:
    """A leap near a simple ratio, at or within one bar."""

    bar_index: int
    time_ns: int
    """The bar's `time`."""
    ratio: Fraction
    """Of the price before to the price after, as a split would have it: 7 for 7:1, 1/10 for a reverse 1:10."""
    text: str
    """For a person: when, from where to where, near which ratio, what to do."""


@dataclass(frozen=True, slots=True)
class Split:
    """One split as the operator gives it: prices before `date_ns` are divided by `ratio`, volume multiplied."""

    date_ns: int
    ratio: Fraction


def detect(bars: Bars) -> list[SplitWarning]:
    """Find bars that open at nearly a simple ratio to the close before, or close so to their own open.

    Two-sided bars are judged by their mid.
    """
    opens, closes, unit = bars.mid.open, bars.mid.close, bars.mid_unit
    found = []
    for start, end, within in ((closes[:-1], opens[1:], False), (opens, closes, True)):
        leaps = start / end
        for ratio in RATIOS:
            for place in np.flatnonzero(np.abs(leaps / float(ratio) - 1) <= TOLERANCE):
                bar = int(place) + (0 if within else 1)
                time_ns = int(bars.time_ns[bar])
                when = iso_ms(time_ns)
                before, after = plain(int(start[place]) * unit), plain(int(end[place]) * unit)
                leap = f"goes from {before} to {after}" if within else f"opens at {after} after a close of {before}"
                text = (
                    f"{when[:10] if bars.daily else when}: {bars.symbol} {leap}, near a {label(ratio)} split; "
                    "prices are used as they are, --splits FILE adjusts them"
                )
                found.append(SplitWarning(bar, time_ns, ratio, text))
    return sorted(found, key=lambda warning: warning.bar_index)


def touching(warnings: Iterable[SplitWarning], first_bar: int, last_bar: int) -> list[SplitWarning]:
    """Return the warnings after `first_bar`, up to and including `last_bar`.

    With a bracket's entry and exit bar: those its position went through. With the bar `period` before the last one its
    ATR knows, and that one: those its ATR contains.
    """
    return [warning for warning in warnings if first_bar < warning.bar_index <= last_bar]


def label(ratio: Fraction) -> str:
    """Write a ratio as traders do.

    >>> label(Fraction(7)), label(Fraction(1, 10)), label(Fraction(3, 2))
    ('7:1', '1:10', '3:2')
    """
    return f"{ratio.numerator}:{ratio.denominator}"


def read_splits(path: str | Path, symbol: str) -> list[Split]:
    """Read `date,ratio[,symbol]`: the splits of one symbol, oldest first; a row without a symbol is for any.

    `date` is the first session at the new price (or a moment, ISO 8601 UTC); `ratio` is 7:1, 7, 3:2, 1:10.

    Raises: DataError - whoever supplied the file corrects it; the message lists `file:line: what`.
    """
    table = read_table(path)
    require(table, ("date", "ratio"), "date,ratio[,symbol]")
    dates, dates_ok = table.times("date")
    bad, found = list(table.bad), dict[int, Split]()
    for row, line in enumerate(table.lines.tolist()):
        if "symbol" in table.frame.columns and table.text("symbol", row) not in ("", symbol):
            continue
        cell, date_ns = table.text("ratio", row), int(dates[row])
        ratio = _ratio(cell)
        if not dates_ok[row]:
            bad.append(BadRow(line, f"date {table.text('date', row)!r} is not ISO 8601"))
        elif ratio is None:
            bad.append(BadRow(line, f"ratio {cell!r} is not like 7:1 or 7, both above 0"))
        elif date_ns in found:
            bad.append(BadRow(line, f"a second split of {symbol} on {table.text('date', row)}"))
        else:
            found[date_ns] = Split(date_ns, ratio)
    if bad:
        raise complaint(table.path, bad, can_skip=False)
    return [found[date_ns] for date_ns in sorted(found)]


def _ratio(cell: str) -> Fraction | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?))?", cell)
    new, old = (Fraction(match[1]), Fraction(match[2] or "1")) if match else (Fraction(0), Fraction(1))
    return new / old if new > 0 and old > 0 else None


def adjust(bars: Bars, splits: Sequence[Split]) -> Bars:
    """Return the bars on the basis of their last day: prices divided by every later split, volume multiplied.

    Exact where decimals can be (halves, quarters, tenths): the unit gets up to four decimals finer. Where they cannot
    (sevenths), rounded half to even there, so high stays at or above low. `tick` stays the file's. A split after the
    last bar is not applied: it is not on these prices' basis. `adjustments` says it in words.

    Raises: DataError - so many digits that they cannot be kept exactly.
    """
    spans = _factors(bars, splits)
    sides = [bars.bid, bars.ask] if bars.two_sided else [bars.bid]
    arrays = [array for side in sides for array in (side.open, side.high, side.low, side.close)]
    finest = max([1, *(factor.denominator for _, factor in spans)]) * 10**MORE_DECIMALS
    if max(int(array.max()) for array in arrays) * finest > MOST_UNITS:
        raise DataError(f"{bars.path}: prices have too many digits to be adjusted for splits exactly; round them")
    places = next((p for p in range(MORE_DECIMALS) if _is_exact(arrays, spans, p)), MORE_DECIMALS)
    adjusted = [_divided(array, spans, places) for array in arrays]
    volume = None if bars.volume is None else bars.volume.copy()
    if volume is not None:
        for span, factor in spans:
            volume[span] *= float(factor)
    return bars_of(
        bars.symbol,
        bars.time_ns,
        Ohlc(*adjusted[:4]),
        Ohlc(*adjusted[4:]) if bars.two_sided else None,
        unit=bars.unit.scaleb(-places),
        interval_ns=bars.interval_ns,
        tick=bars.tick,
        volume=volume,
        lines=bars.lines,
        path=bars.path,
        sha256=bars.sha256,
    )


def adjustments(bars: Bars, splits: Iterable[Split]) -> list[str]:
    """Say in words what `adjust` does with each split.

    >>> from decimal import Decimal
    >>> flat = Ohlc(*[np.array([4, 2])] * 4)
    >>> days = bars_of("X", np.array([0, 86_400_000_000_000]), flat, unit=Decimal(1), interval_ns=86_400_000_000_000)
    >>> adjustments(days, [Split(86_400_000_000_000, Fraction(2))])
    ['2:1 split of 1970-01-02: 1 bars before it adjusted, prices divided by 2, volume multiplied']
    """
    remarks = []
    for split in splits:
        name = f"{label(split.ratio)} split of {iso_ms(split.date_ns)[:10]}"
        before = int(np.count_nonzero(bars.time_ns < split.date_ns))
        if split.date_ns > bars.time_ns[-1]:
            remarks.append(f"{name}: after the last bar, not applied")
        elif not before:
            remarks.append(f"{name}: no bar before it, nothing to adjust")
        else:
            remarks.append(
                f"{name}: {before:,} bars before it adjusted, prices divided by {split.ratio}, volume multiplied"
            )
    return remarks


def _factors(bars: Bars, splits: Sequence[Split]) -> list[tuple[slice, Fraction]]:
    """Stretches of bars, and what their prices are divided by: every split after them."""
    applied = sorted((split for split in splits if split.date_ns <= bars.time_ns[-1]), key=lambda split: split.date_ns)
    bounds = [0, *bars.time_ns.searchsorted([split.date_ns for split in applied]).tolist()]
    factors = [Fraction(1)]
    for split in reversed(applied):
        factors.insert(0, factors[0] * split.ratio)
    return [
        (slice(first, end), factor)
        for first, end, factor in zip(bounds[:-1], bounds[1:], factors[:-1], strict=True)
        if first < end
    ]


def _is_exact(arrays: Sequence[Ints], spans: Sequence[tuple[slice, Fraction]], places: int) -> bool:
    scale = 10**places
    return all(
        not ((array[span] * (factor.denominator * scale)) % factor.numerator).any()
        for span, factor in spans
        for array in arrays
    )


def _divided(array: Ints, spans: Sequence[tuple[slice, Fraction]], places: int) -> Ints:
    scale = 10**places
    adjusted: Ints = array * scale
    for span, factor in spans:
        quotient, rest = np.divmod(array[span] * (factor.denominator * scale), factor.numerator)
        half = 2 * rest - factor.numerator
        adjusted[span] = quotient + ((half > 0) | ((half == 0) & (quotient % 2 == 1)))
    return adjusted
