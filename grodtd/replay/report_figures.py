"""What the report's charts are drawn from: equity in R bracket by bracket with its drawdown, the distribution of R.

Figures are float64: they are looked at, not traded on. The numbers in words come from `summary.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grodtd.replay.prices import Floats, Ints
from grodtd.replay.summary import BracketResult

MOST_CURVE_POINTS = 3_000
"""Points of the equity curve in the page; a longer one keeps each stretch's first, lowest, highest and last."""

MOST_BINS = 40
BIN_WIDTHS_R = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)

EDGE = 1e-9
"""0.15 / 0.1 is 1.4999999999999998: a value on the edge of two bins goes up, whatever its binary fraction."""


@dataclass(frozen=True, eq=False, slots=True)
class EquityCurve:
    """Running sum of R in order of exit time. Arrays of equal length; empty without closed brackets."""

    time_ns: Ints
    """int64[n], exit times, never falling."""
    r: Floats
    """float64[n], sum of R so far."""
    peak: Floats
    """float64[n], highest `r` so far, never below zero."""
    bracket: Ints
    """int64[n], index of the bracket that made the step, in order of first appearance."""

    @property
    def max_drawdown_r(self) -> float:
        """Deepest fall below the peak, in R, as a number >= 0."""
        return float((self.peak - self.r).max()) if len(self.r) else 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Distribution:
    """How many brackets ended about each R. Bins are centred on multiples of `width`: -1 R is a bin of its own."""

    width: float
    centre: Floats
    """float64[n], R, rising in steps of `width`."""
    count: Ints
    """int64[n], brackets."""
    first_open: bool
    """The first bin also holds everything below it."""
    last_open: bool
    """The last bin also holds everything above it."""
    mean: float | None
    """Mean R of all; None without any."""


def equity_curve(brackets: Sequence[BracketResult]) -> EquityCurve:
    """Add up R bracket by bracket, at each one's last exit. What is open or has no R is left out."""
    steps = [
        (bracket.exit_time_ns, index, float(bracket.r_multiple))
        for index, bracket in enumerate(brackets)
        if bracket.exit_time_ns is not None and bracket.r_multiple is not None
    ]
    steps.sort(key=lambda step: step[:2])
    r = np.cumsum(np.array([step[2] for step in steps], dtype=np.float64))
    # A sum of thousands of floats is off by some 1e-13: to six decimals, as everywhere in the report, it is exact.
    r = np.round(r, 6)
    peak = np.maximum.accumulate(np.maximum(r, 0.0)) if steps else r
    time_ns, bracket = (np.array([step[place] for step in steps], dtype=np.int64) for place in (0, 1))
    return EquityCurve(time_ns, r, peak, bracket)


def thinned(curve: EquityCurve, most: int = MOST_CURVE_POINTS) -> EquityCurve:
    """Return a curve of at most about `most` points that looks the same: no peak and no trough is lost."""
    count = len(curve.r)
    if count <= most:
        return curve
    kept: set[int] = set()
    for stretch in np.array_split(np.arange(count), most // 4):
        part = curve.r[stretch]
        kept.update(int(stretch[at]) for at in (0, int(part.argmin()), int(part.argmax()), len(part) - 1))
    chosen: NDArray[np.int64] = np.array(sorted(kept), dtype=np.int64)
    return EquityCurve(curve.time_ns[chosen], curve.r[chosen], curve.peak[chosen], curve.bracket[chosen])


def distribution(brackets: Sequence[BracketResult]) -> Distribution:
    """Count closed brackets by R, in at most `MOST_BINS` + 3 bins; far outliers share the outermost ones."""
    known = [bracket.r_multiple for bracket in brackets if not bracket.is_open and bracket.r_multiple is not None]
    return histogram(np.array(known, dtype=np.float64))


def histogram(r: Floats) -> Distribution:
    """Count float64[n] R values.

    >>> found = histogram(np.array([-1.0, -1.0, 1.5]))
    >>> found.width, found.centre[[0, -1]].tolist(), found.count[[0, -1]].tolist()
    (0.1, [-1.0, 1.5], [2, 1])
    """
    if not len(r):
        return Distribution(BIN_WIDTHS_R[0], r, np.empty(0, dtype=np.int64), False, False, None)
    # The middle 98 % set the width, so that one bracket of 80 R does not squeeze all others into one bar.
    low, high = (float(edge) for edge in np.quantile(r, (0.01, 0.99), method="nearest"))
    low, high = min(low, 0.0), max(high, 0.0)
    width = next((width for width in BIN_WIDTHS_R if (high - low) / width <= MOST_BINS), 0.0)
    if not width:
        width = float(10.0 ** np.ceil(np.log10((high - low) / MOST_BINS)))
    bins = np.floor(r / width + 0.5 + EDGE).astype(np.int64)
    first, last = (int(np.floor(edge / width + 0.5 + EDGE)) - 1 + 2 * after for after, edge in enumerate((low, high)))
    inside = np.clip(bins, first, last)
    counted = np.bincount(inside - first, minlength=last - first + 1)
    used = np.flatnonzero(counted)
    start, end = int(used[0]), int(used[-1]) + 1
    return Distribution(
        width=width,
        centre=np.round(np.arange(first + start, first + end) * width, 10),
        count=counted[start:end].astype(np.int64),
        first_open=bool((bins < first).any()),
        last_open=bool((bins > last).any()),
        mean=float(r.mean()),
    )
