"""Market condition: trending, ranging or volatile, from closed bars.

    efficiency ratio  |close now - close n bars ago| / sum of |close - close before| over those n bars
    ATR percentile    share of the earlier ATR% values in the window that lie below the present one

    trending   efficiency ratio >= trending_from: price goes somewhere
    volatile   else, ATR percentile >= volatile_from: much movement, no direction
    ranging    else

Direction is asked first: a market that runs one way in great steps is a trend, and widens its ATR by doing so.
Source of the efficiency ratio: Perry Kaufman, Smarter Trading (1995). A random walk of n bars has about 1 / sqrt(n).

A bar without a usable ATR (too few bars yet, a hole, a bad bar, a price that stands still) is a *break*: what came
before it no longer counts. Until efficiency_period + 1 bars and 20 ATR% values came after it the condition is unknown,
and the reading says so: nobody guesses.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

import msgspec

from grodtd.domain.money import ZERO, divide
from grodtd.domain.policy import MarketConditionPolicy
from grodtd.execution.atr_calculator import MIN_MEDIAN_VALUES as MIN_VALUES
from grodtd.execution.atr_calculator import twelve_digits


class MarketCondition(StrEnum):
    """What the bars can tell. Whoever asks for a bracket may name any other that has a factor."""

    TRENDING = "trending"
    RANGING = "ranging"
    VOLATILE = "volatile"


class ConditionReading(msgspec.Struct, frozen=True):
    """The condition, and the two figures it follows from; `condition` None: not known, `why_unknown` says why."""

    condition: MarketCondition | None = None
    efficiency_ratio: Decimal | None = None
    """0 to 1, at 12 significant digits."""
    atr_percentile: Decimal | None = None
    """0 to 1, at 12 significant digits."""
    why_unknown: str = ""


class MarketConditionClassifier:
    """The condition of one symbol, bar by bar: `update` with each closed bar, `reading` when a bracket begins.

    An update costs two binary searches in the window and a handful of sums, whatever the period. The state follows
    from the bars alone, and only from those of the last `percentile_window` and `efficiency_period`.

    >>> classifier = MarketConditionClassifier(MarketConditionPolicy(efficiency_period=2))
    >>> for close in range(100, 120):
    ...     classifier.update(Decimal(close), Decimal(1))
    >>> classifier.reading().condition
    <MarketCondition.TRENDING: 'trending'>
    """

    __slots__ = ("_closes", "_path", "_sorted", "_values", "policy")

    def __init__(self, policy: MarketConditionPolicy) -> None:
        self.policy = policy
        self._closes: deque[Decimal] = deque()
        self._path = ZERO  # sum of |steps| between the closes kept
        self._values: deque[Decimal] = deque()
        self._sorted: list[Decimal] = []

    def update(self, close_px: Decimal, atr_px: Decimal | None) -> None:
        """Take one closed bar in: its close and the ATR after it, quote currency; no ATR, or no price, is a break."""
        if atr_px is None or atr_px <= 0 or close_px <= 0:
            self._restart()
            return
        closes, values = self._closes, self._values
        if closes:
            self._path += abs(close_px - closes[-1])
        closes.append(close_px)
        if len(closes) > self.policy.efficiency_period + 1:
            self._path -= abs(closes[1] - closes.popleft())
        value = twelve_digits(divide(atr_px, close_px))
        values.append(value)
        insort(self._sorted, value)
        if len(values) > self.policy.percentile_window:
            del self._sorted[bisect_left(self._sorted, values.popleft())]

    def reading(self) -> ConditionReading:
        """Say what the bars so far tell."""
        closes, values = self._closes, self._values
        why = _why_unknown(len(closes), len(values), self.policy)
        if why:
            return ConditionReading(why_unknown=why)
        efficiency = _ratio(abs(closes[-1] - closes[0]), self._path)
        below = bisect_left(self._sorted, values[-1])
        return _judged(efficiency, _ratio(Decimal(below), Decimal(len(values) - 1)), self.policy)

    def _restart(self) -> None:
        self._closes.clear()
        self._path = ZERO
        self._values.clear()
        self._sorted.clear()


def condition_of(closes: Sequence[int], atr_pct: Sequence[Decimal], policy: MarketConditionPolicy) -> ConditionReading:
    """Return the condition from a stretch without a break, in one go; its last elements are the present.

    `closes` in any unit, exact; `atr_pct` ATR / close of the same bars, at 12 digits. More than the periods ask for
    does no harm.

    >>> condition_of([100, 101, 100, 101] * 6, [Decimal("0.01")] * 24, MarketConditionPolicy(efficiency_period=3))
    ... # doctest: +ELLIPSIS
    ConditionReading(condition=<MarketCondition.RANGING: 'ranging'>, efficiency_ratio=Decimal('0.333333333333'), ...
    """
    closes, values = closes[-policy.efficiency_period - 1 :], atr_pct[-policy.percentile_window :]
    why = _why_unknown(len(closes), len(values), policy)
    if why:
        return ConditionReading(why_unknown=why)
    path = sum(abs(after - before) for before, after in pairwise(closes))
    below = sum(value < values[-1] for value in values)
    efficiency = _ratio(Decimal(abs(closes[-1] - closes[0])), Decimal(path))
    return _judged(efficiency, _ratio(Decimal(below), Decimal(len(values) - 1)), policy)


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    """`part` of `whole`; nothing of nothing is 0: a price that did not move went nowhere."""
    return twelve_digits(divide(part, whole)) if whole else ZERO


def _why_unknown(closes: int, values: int, policy: MarketConditionPolicy) -> str:
    needed = max(policy.efficiency_period + 1, MIN_VALUES)
    have = max(closes, values)  # the same bars, each kept for as long as its period asks
    return "" if have >= needed else f"not enough bars with an ATR: have {have}, need {needed}"


def _judged(efficiency: Decimal, percentile: Decimal, policy: MarketConditionPolicy) -> ConditionReading:
    if efficiency >= policy.trending_from:
        condition = MarketCondition.TRENDING
    elif percentile >= policy.volatile_from:
        condition = MarketCondition.VOLATILE
    else:
        condition = MarketCondition.RANGING
    return ConditionReading(condition, efficiency, percentile)
