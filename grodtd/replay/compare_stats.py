"""What a sample of trades can show: confidence intervals, a paired test, the correction for testing several times.

Trades that are open at the same time share the market's moves, and counting each of them as news of its own makes
noise look certain. So the unit is a *block*: one trade where trades do not overlap, else twice as many consecutive
entries as are open together on average (with once as many, neighbouring blocks still share half their moves). Intervals
resample whole blocks, the test flips the sign of whole blocks.

- Interval: bias-corrected and accelerated bootstrap (BCa; Efron 1987, "Better bootstrap confidence intervals", JASA
  82:171-185), `LEVEL` = 95 %, `RESAMPLES` resamples of a seeded generator.
- Test: sign flips of the paired differences (Fisher 1935, "The design of experiments", section 21), two-sided. Under
  the hypothesis that two policies are alike, each block's difference may as well have come with the other sign. All
  sign patterns are counted up to `MOST_EXACT` blocks that differ; beyond, `FLIPS` random ones and the observed one.
- Correction: Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6:65-70.

Figures are float64: they are judged by, not traded on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from grodtd.replay.prices import Floats, Ints

LEVEL = 0.95
ALPHA = 0.05
"""A difference counts as shown when its p-value after Holm is at most this."""

RESAMPLES = 9_999
FLIPS = 19_999
MOST_EXACT = 14
"""Blocks up to which all 2^n sign patterns are counted."""

FEWEST_BLOCKS = 10
"""An interval from fewer blocks than this would promise more than resampling them can hold."""

CHUNK = 4_000_000
"""Numbers drawn at a time: keeps a long comparison in some 50 MB."""

NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval; an end that no resample bounds is None (a profit factor without losses)."""

    low: float | None
    high: float | None

    def holds(self, value: float) -> bool:
        """Tell whether `value` lies inside.

        >>> Interval(-0.1, 0.3).holds(0), Interval(0.1, None).holds(0)
        (True, False)
        """
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)


def ratio_of(sums: Floats) -> Floats:
    """Return the first column of float64[..., 2] over the second: a mean, a share, a profit factor.

    Infinite over nothing, not a number for nothing over nothing.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1], dtype=np.float64)


def block_length(entry_ns: Ints, exit_ns: Ints) -> int:
    """Return how many consecutive entries make a block. Both int64[n], ns since the epoch.

    >>> hours = np.array([0, 10, 20, 30])
    >>> block_length(hours, hours + 5), block_length(hours, hours + 15)
    (1, 4)
    """
    together = open_together(entry_ns, exit_ns)
    return 1 if together == 1 else 2 * together


def open_together(entry_ns: Ints, exit_ns: Ints) -> int:
    """Return how many trades are open at an entry on average, that one included, rounded up.

    Both int64[n], ns since the epoch. A trade that ends at the moment another begins does not overlap it.

    >>> hours = np.array([0, 10, 20, 30])
    >>> open_together(hours, hours + 5), open_together(hours, hours + 15)
    (1, 2)
    """
    if not len(entry_ns):
        return 1
    begun = np.searchsorted(np.sort(entry_ns), entry_ns, side="right")
    ended = np.searchsorted(np.sort(exit_ns), entry_ns, side="right")
    # What ends in the very moment it began counts as open in it.
    together = np.maximum(begun - ended, 1)
    return int(np.ceil(together.mean() - 1e-9))


def block_sums(values: Floats, length: int) -> Floats:
    """Add up float64[n, k] rows over consecutive blocks of `length` rows; the last block may be shorter.

    >>> block_sums(np.array([[1.0], [2.0], [3.0]]), 2).tolist()
    [[3.0], [3.0]]
    """
    return np.add.reduceat(values, np.arange(0, len(values), length), axis=0) if len(values) else values


def interval(sums: Floats, seed: int, resamples: int = RESAMPLES) -> Interval | None:
    """Return the BCa interval of a ratio of sums, float64[blocks, 2]: (sum of R, trades), (gross profit, gross loss).

    None below `FEWEST_BLOCKS` and where the ratio itself is undefined. The same seed draws the same blocks, so that
    policies over the same entries are resampled alike.
    """
    count = len(sums)
    whole = sums.sum(axis=0)
    observed = float(ratio_of(whole)) if count else np.nan
    if count < FEWEST_BLOCKS or not np.isfinite(observed):
        return None
    drawn = _resampled(sums, seed, resamples)
    drawn = np.sort(drawn[~np.isnan(drawn)])
    left_out = ratio_of(whole - sums)
    tail = (1 - LEVEL) / 2
    low, high = (_quantile(drawn, _bca(at, observed, drawn, left_out)) for at in (tail, 1 - tail))
    return Interval(low, high)


def _quantile(ordered: Floats, at: float) -> float | None:
    """One of the values themselves: between a number and infinity there is nothing to interpolate."""
    value = float(ordered[min(len(ordered) - 1, max(0, int(np.ceil(at * len(ordered))) - 1))])
    return value if np.isfinite(value) else None


def _bca(alpha: float, observed: float, drawn: Floats, left_out: Floats) -> float:
    """Return the quantile to read instead of `alpha`; plain `alpha` where no correction can be worked out."""
    below, upto = (int(np.searchsorted(drawn, observed, side=side)) for side in ("left", "right"))
    share = (below + upto) / 2 / len(drawn)
    if not 0 < share < 1:
        return alpha
    bias = NORMAL.inv_cdf(share)
    acceleration = 0.0
    if np.isfinite(left_out).all():
        away = left_out.mean() - left_out
        spread = float((away**2).sum())
        acceleration = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + NORMAL.inv_cdf(alpha)
    return NORMAL.cdf(bias + shifted / (1 - acceleration * shifted))


def _resampled(sums: Floats, seed: int, resamples: int) -> Floats:
    generator = np.random.default_rng(seed)
    count = len(sums)
    found = []
    left = resamples
    while left:
        now = min(left, max(1, CHUNK // count))
        chosen = generator.integers(0, count, (now, count))
        found.append(ratio_of(np.stack([column[chosen].sum(axis=1) for column in sums.T], axis=-1)))
        left -= now
    return np.concatenate(found)


def sign_flip_p(differences: Floats, seed: int) -> float:
    """Return the two-sided p-value of paired differences, float64[blocks], summing to this much by chance.

    1 where nothing differs. With n blocks that differ it is never below 2 / 2^n.

    >>> sign_flip_p(np.array([1.0, 2.0, 3.0]), seed=0), sign_flip_p(np.zeros(50), seed=0)
    (0.25, 1.0)
    """
    moved = differences[differences != 0]
    count = len(moved)
    if not count:
        return 1.0
    # A sum of floats depends on its order by some 1e-16 of its size: what is as large as observed must count.
    bar = abs(float(moved.sum())) - 1e-9 * float(np.abs(moved).sum())
    if count <= MOST_EXACT:
        patterns = np.arange(1 << count)[:, np.newaxis] >> np.arange(count) & 1
        return float((np.abs((2 * patterns - 1) @ moved) >= bar).mean())
    generator = np.random.default_rng(seed)
    as_large, left = 0, FLIPS
    while left:
        now = min(left, max(1, CHUNK // count))
        signs = generator.integers(0, 2, (now, count), dtype=np.int8) * 2 - 1
        as_large += int((np.abs(signs @ moved) >= bar).sum())
        left -= now
    return (as_large + 1) / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for having tested several times, in the order given.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[at]))
        corrected[at] = highest
    return corrected


def smallest_shown(sums: Floats) -> float | None:
    """Return about how large a mean difference must truly be for this many trades to show it four times in five.

    `sums` are float64[blocks, 2], (difference, trades) of each block. 2.8 standard errors: 1.96 for the test at 5 %,
    0.84 for a power of 80 %; the standard error is that of a ratio of sums (Cochran 1977, "Sampling techniques", 2.11).
    """
    blocks = len(sums)
    if blocks < FEWEST_BLOCKS:
        return None
    whole: NDArray[np.float64] = sums.sum(axis=0)
    rest = sums[:, 0] - whole[0] / whole[1] * sums[:, 1]
    error = float(np.sqrt(blocks / (blocks - 1) * (rest**2).sum())) / float(whole[1])
    return (NORMAL.inv_cdf(1 - ALPHA / 2) + NORMAL.inv_cdf(0.8)) * error
