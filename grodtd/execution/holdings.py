"""The account's position against what our brackets hold in a symbol: what hands elsewhere did (rule 8).

Not all of a position need be ours, so a larger one says nothing of ours was touched. A smaller one means that units we
would sell are gone. One reading proves nothing: a fill of ours may not have reached us, and a venue's answers lag.
Two readings, further apart than that lag, with the same figure and nothing of ours moving between, do.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from grodtd.domain.bracket import Bracket, OrderState, Phase
from grodtd.domain.money import ZERO
from grodtd.domain.orders import Leg, TimeInForce

Held = tuple[tuple[str, Decimal], ...]
"""Bracket id and the units it holds, signed, oldest bracket first; without those that hold nothing."""

_SHRINKABLE = frozenset({Phase.OPEN, Phase.EXITING})


class Doubt(msgspec.Struct, frozen=True, gc=False):
    """A reading that did not agree with what we hold: what it said, of which holdings, when it was asked for."""

    account_qty: Decimal
    held: Held
    asked_ns: int
    told: bool = False
    """Whether a second reading confirmed it and what follows was done."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What two agreeing readings mean."""

    gone: tuple[tuple[str, Decimal], ...] = ()
    """Bracket id and the units of it that are no longer there, newest bracket first."""
    flipped: bool = False
    """Whether the account stands on the other side of what we hold."""
    added_qty: Decimal = ZERO
    """Units on our side that no bracket holds."""


def in_motion(bracket: Bracket) -> bool:
    """Whether an order of the bracket may have done something we have not heard of: then no reading counts.

    One the venue refused a copy of is none, though its first copy's fate is still waited out: if that did fill, its
    fills are listed by the time of the second reading, and what we hold is another figure then.
    """
    if bracket.frozen_reason:
        return True
    return any(
        order.alive
        and not (order.state is OrderState.UNSURE and order.copy_refused)
        and (
            order.state is not OrderState.WORKING
            or order.leg in (Leg.EXIT, Leg.REMEDY)
            or order.time_in_force is TimeInForce.IOC
        )
        for order in bracket.orders
    )


def net_of(held: Held) -> Decimal:
    """Return what all brackets hold together, signed."""
    return sum((quantity for _, quantity in held), ZERO)


def judge(account_qty: Decimal, held: Held, brackets: Sequence[Bracket]) -> Verdict:
    """Say what the account's position means for brackets that hold `held`; of units gone the newest lose first.

    Only brackets that hold against the net are spared: an opposite position is no part of what is missing.
    """
    net = net_of(held)
    sign = 1 if net > 0 else -1
    ours, there = abs(net), account_qty * sign
    if not ours or there >= ours:
        return Verdict(added_qty=there - ours if ours else ZERO)
    missing = ours - there if there > 0 else ours
    if there < 0:  # the account crossed zero: everything on this side is gone
        missing = sum((quantity * sign for _, quantity in held if quantity * sign > 0), ZERO)
    gone = []
    for bracket, units in _newest_first(brackets, held, sign):
        if missing <= 0:
            break
        share = min(units, missing)
        gone.append((bracket.bracket_id, share))
        missing -= share
    return Verdict(gone=tuple(gone), flipped=there < 0)


def _newest_first(brackets: Sequence[Bracket], held: Held, sign: int) -> Iterable[tuple[Bracket, Decimal]]:
    units = dict(held)
    for bracket in reversed(brackets):
        own = units.get(bracket.bracket_id, ZERO) * sign
        if own > 0 and bracket.phase in _SHRINKABLE:
            yield bracket, own
