"""Which exits a bar reaches, in what order, at what price (DESIGN section 9, Matching).

A bar tells four prices but not their order, so a model orders the two ways a bar can hurt or help. These
functions know no orders and no quantities: the caller takes the exits in the order given, until nothing is left.
Prices may be `Decimal` or whole ticks as `int`, as long as one call uses one of them.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeVar

from grodtd.domain.orders import Side

Px = TypeVar("Px", int, Decimal)
Px_co = TypeVar("Px_co", int, Decimal, covariant=True)

STOP = -1
"""Index of the stop in what `match_exit_bar` returns; targets count from 0."""


class FillModel(StrEnum):
    """What a bar is taken to have done first, when it reached the stop and a target."""

    PESSIMISTIC = "pessimistic"
    """The stop, then targets."""
    OPTIMISTIC = "optimistic"
    """Targets near to far, then the stop for what is left."""
    PATH = "path"
    """Open, nearer extreme, farther extreme, close; on a tie the stop's side first."""


class BarPrices(Protocol[Px_co]):
    """What matching reads of a bar: `Bar` has it, and so has a named tuple of ticks."""

    @property
    def open(self) -> Px_co:
        """First price of the bar."""
        ...

    @property
    def high(self) -> Px_co:
        """Highest price."""
        ...

    @property
    def low(self) -> Px_co:
        """Lowest price."""
        ...


def match_exit_bar(
    side: Side, stop: Px | None, targets: Sequence[Px], bar: BarPrices[Px], model: FillModel
) -> list[tuple[int, Px]]:
    """Return the exits `bar` reaches as (`STOP` or the target's index, price), in the order they happen.

    `side` is the position's: a long (BUY) leaves at the bid, so hand in its bid bar; a short its ask bar.
    `targets` stand near to far. Touch is inclusive. A level the open is at or through fills at the open, the stop
    before any target; the rest fill at their level in the model's order. The stop is last in the list: it takes
    whatever is left then, and nothing follows it.

    >>> from grodtd.domain.market import Bar
    >>> d = Decimal
    >>> wide = Bar("X", 0, open=d(100), high=d(115), low=d(85), close=d(101))
    >>> match_exit_bar(Side.BUY, d(90), [d(110)], wide, FillModel.PESSIMISTIC)
    [(-1, Decimal('90'))]
    >>> match_exit_bar(Side.BUY, d(90), [d(105), d(110)], wide, FillModel.OPTIMISTIC)
    [(0, Decimal('105')), (1, Decimal('110')), (-1, Decimal('90'))]
    """
    open_px, high, low = bar.open, bar.high, bar.low
    if side is Side.BUY:
        if stop is not None and open_px <= stop:
            return [(STOP, open_px)]
        stopped = stop is not None and low <= stop
        if not targets or high < targets[0]:
            return [(STOP, stop)] if stopped and stop is not None else []
        exits = [(i, open_px) for i, px in enumerate(targets) if px <= open_px]
        inside = [(i, px) for i, px in enumerate(targets) if open_px < px <= high]
    else:
        if stop is not None and open_px >= stop:
            return [(STOP, open_px)]
        stopped = stop is not None and high >= stop
        if not targets or low > targets[0]:
            return [(STOP, stop)] if stopped and stop is not None else []
        exits = [(i, open_px) for i, px in enumerate(targets) if px >= open_px]
        inside = [(i, px) for i, px in enumerate(targets) if low <= px < open_px]
    if not stopped or stop is None:
        return exits + inside
    if not stop_comes_first(side, bar, model):
        exits += inside
    exits.append((STOP, stop))
    return exits


def stop_comes_first(side: Side, bar: BarPrices[Px], model: FillModel) -> bool:
    """Tell whether `model` takes the stop's side of the bar before the targets'.

    >>> from grodtd.domain.market import Bar
    >>> near_the_low = Bar("X", 0, *map(Decimal, ("87", "115", "85", "101")))
    >>> (
    ...     stop_comes_first(Side.BUY, near_the_low, FillModel.PATH),
    ...     stop_comes_first(Side.SELL, near_the_low, FillModel.PATH),
    ... )
    (True, False)
    """
    if model is FillModel.PATH:
        down, up = bar.open - bar.low, bar.high - bar.open
        return down <= up if side is Side.BUY else up <= down
    return model is FillModel.PESSIMISTIC


def is_ambiguous(side: Side, stop: Px | None, targets: Sequence[Px], bar: BarPrices[Px]) -> bool:
    """Tell whether only the model decides: the open is through no level, the stop and a target are both reached.

    `side` is the position's, `targets` stand near to far.

    >>> from grodtd.domain.market import Bar
    >>> wide = Bar("X", 0, *map(Decimal, ("100", "115", "85", "101")))
    >>> (
    ...     is_ambiguous(Side.BUY, Decimal(90), [Decimal(110)], wide),
    ...     is_ambiguous(Side.BUY, Decimal(90), [Decimal(120)], wide),
    ... )
    (True, False)
    """
    if stop is None or not targets:
        return False
    nearest = targets[0]
    if side is Side.BUY:
        return stop < bar.open < nearest and bar.low <= stop and bar.high >= nearest
    return nearest < bar.open < stop and bar.high >= stop and bar.low <= nearest
