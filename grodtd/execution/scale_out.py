"""Several targets for one position: what each still has to sell, and where.

Nearest first. Each rung's quantity is its fraction of what the entry brought, floored to the lot; the last one takes
what is left over, so nothing remains unsold. A rung too small to be an order of its own is sold with the next.
The stop is always for what is open: if it sells a part, the farthest targets shrink first.
"""

from decimal import Decimal
from typing import NamedTuple

from grodtd.domain.bracket import Bracket, Levels, Rung
from grodtd.domain.instrument import Instrument
from grodtd.domain.money import ONE, ZERO, floor_to
from grodtd.domain.orders import Leg, Side
from grodtd.domain.policy import Rest, ScaleOutPolicy
from grodtd.execution.coverage import Coverage, signed_fill
from grodtd.execution.levels import round_level
from grodtd.execution.terms import Terms


class Part(NamedTuple):
    """What one rung still has to sell of what is open now, units; `px` None: it has no target."""

    rung: int
    px: Decimal | None
    quantity: Decimal


def plan_rungs(side: Side, levels: Levels, policy: ScaleOutPolicy, tick: Decimal) -> tuple[Rung, ...]:
    """Return the targets of a trade, nearest first; empty where one target takes everything.

    A step on the losing side of the entry is reached already: it sells at once, as any such target does.

    >>> from grodtd.domain.policy import ScaleStep
    >>> d = Decimal
    >>> halves = ScaleOutPolicy((ScaleStep(d("0.5"), at_r=d(1)),))
    >>> [str(rung.px) for rung in plan_rungs(Side.BUY, Levels(d(100), d(90), d(115)), halves, d(1))]
    ['110', '115']
    """
    if policy.is_plain:
        return ()
    rungs = []
    for step in policy.steps:
        px = step.px
        if px is None:
            assert step.at_r is not None
            px = levels.entry_px + side.sign * step.at_r * levels.risk
        rungs.append(Rung(step.fraction, round_level(side, px, tick)))
    left = ONE - sum((rung.fraction for rung in rungs), ZERO)
    if left > 0:
        rungs.append(Rung(left, levels.target_px if policy.rest is Rest.TARGET else None))
    return tuple(sorted(rungs, key=lambda rung: (rung.px is None, side.sign * (rung.px or ZERO))))


def allocate(
    rungs: tuple[Rung, ...], quantity: Decimal, instrument: Instrument, stop_px: Decimal | None = None
) -> list[Decimal]:
    """Divide `quantity` among the rungs; the parts sum to it exactly.

    Each part is worth an order at its target and at `stop_px`, where the stop may have to sell it alone.

    >>> thirds = (Rung(Decimal("0.33"), Decimal(110)), Rung(Decimal("0.67"), None))
    >>> [str(part) for part in allocate(thirds, Decimal(10), Instrument("X", tick_size=ONE, lot_size=ONE))]
    ['3', '7']
    """
    parts, left, carried = [], quantity, ZERO
    for rung in rungs[:-1]:
        part = floor_to(quantity * rung.fraction, instrument.lot_size) + carried
        part, carried = (part, ZERO) if _stands_alone(part, rung.px, instrument, stop_px) else (ZERO, part)
        part = min(part, left)
        parts.append(part)
        left -= part
    last = rungs[-1]
    if left and parts and not _stands_alone(left, last.px, instrument, stop_px):
        with_part = max(index for index, part in enumerate(parts) if part or not index)
        parts[with_part] += left
        left = ZERO
    return [*parts, left]


def _stands_alone(quantity: Decimal, px: Decimal | None, instrument: Instrument, stop_px: Decimal | None) -> bool:
    prices = [at for at in (px, stop_px) if at is not None]
    if not prices:
        return quantity >= instrument.lot_size
    return quantity > 0 and instrument.sellable(quantity, min(prices)) > 0


def parts(bracket: Bracket, terms: Terms, cover: Coverage) -> list[Part]:
    """Return what each target still has to sell, nearest first; with one target, all that is open."""
    open_qty = cover.sellable_qty
    if not bracket.rungs:
        return [Part(0, bracket.target_px, open_qty)]
    brought, sold = ZERO, [ZERO] * len(bracket.rungs)
    for order in bracket.orders:
        if order.leg is Leg.ENTRY:
            brought += abs(signed_fill(order))
        elif order.leg is Leg.TARGET:
            sold[order.rung] += order.cum_qty
    found, left = [], open_qty
    stop_px = bracket.levels.stop_px if bracket.levels is not None else None
    wholes = allocate(bracket.rungs, brought, terms.instrument, stop_px)
    for index, (rung, whole) in enumerate(zip(bracket.rungs, wholes, strict=True)):
        quantity = min(max(whole - sold[index], ZERO), left)
        left -= quantity
        found.append(Part(index, rung.px, quantity))
    if left:  # more is open than the plan foresaw: the last one takes it
        found[-1] = found[-1]._replace(quantity=found[-1].quantity + left)
    return found


def next_part(bracket: Bracket, terms: Terms, cover: Coverage) -> Part | None:
    """Return the nearest target that still has something to sell; None when none has."""
    for part in parts(bracket, terms, cover):
        if part.px is not None and part.quantity > 0:
            return part
    return None


def rung_px(bracket: Bracket, rung: int) -> Decimal | None:
    """Return where a rung's target stands now."""
    return bracket.rungs[rung].px if bracket.rungs else bracket.target_px
