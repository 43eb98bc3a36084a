"""What the account has at risk and has lost: a fold over quotes, accepted entries and brackets, which `check` reads.

Hand in every quote (`quote`), every entry that was accepted (`accepted`) and every bracket whose orders or stop changed
(`observe`); in the same order that gives the same state, so a restart folds it again, or keeps it: it is plain data.
`observe` looks at where a bracket stands, not at what happened: told twice, or of several fills at once, it comes to
the same, and a busted fill takes its loss back. The engine keeps one, and hands it no quotes: those are not journaled,
so an entry's request carries its own.

Money is in the account's currency, taken to be every symbol's quote currency. A day ends at `day_rolls_at_s` (UTC), or
with a market's session where its closes are told (`days`); what lies between two sessions belongs to the next one.
"""

from bisect import bisect_right
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from grodtd.domain.bracket import ENDED, Bracket, LegOrder
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.market import Quote
from grodtd.domain.money import ZERO, divide
from grodtd.domain.orders import Leg
from grodtd.domain.policy import NS_PER_S
from grodtd.domain.risk import Accepted, RiskLimits
from grodtd.execution.coverage import entry_px, signed_fill
from grodtd.execution.sizing import risk_of

DAY_NS = 86_400 * NS_PER_S
DAYS_KEPT = 2
"""How long an ended bracket's result is remembered, should a bust wake it again."""


class OpenRisk(msgspec.Struct, frozen=True):
    """One bracket that may still lose money."""

    symbol: str
    risk_money: Decimal | None
    """Lost from here when its stop is hit and its entry fills up; None: nobody can tell yet."""
    planned_money: Decimal | None = None
    """The risk it was accepted with; None for one that was not asked for here."""
    planned_qty: Decimal = ZERO
    realised: Decimal = ZERO


class Ended(msgspec.Struct, frozen=True):
    """The result of a bracket that is over, and the day it ended."""

    realised: Decimal
    day: int


class RiskState(msgspec.Struct):
    """The account as the limits see it. Made by folding; read it, and change it by its methods only."""

    day_rolls_at_s: int = 0
    day_ends_ns: tuple[int, ...] = ()
    """Session closes that end days, oldest first; beyond them the clock does."""
    quotes: dict[str, Quote] = {}
    """The last good quote of each symbol."""
    doubts: dict[str, str] = {}
    """Why the quote that came after the last good one is none; absent where none did."""
    open: dict[str, OpenRisk] = {}
    ended: dict[str, Ended] = {}
    recent: list[Accepted] = []
    """Entries accepted lately, oldest first."""
    day: int = 0
    """Days since the epoch: as `day_rolls_at_s` cuts them, or the date of the session's close."""
    realised_today: Decimal = ZERO
    realised: Decimal = ZERO
    """Money made by everything observed so far."""
    consecutive_losses: int = 0
    last_loss_ns: int = 0
    limits: RiskLimits | None = None
    """What the account may risk; None: nobody told."""

    def live_under(self, limits: RiskLimits) -> None:
        """Take new limits; what was lost and what is open stays as it is."""
        if self.limits is None or self.limits.day_calendar != limits.day_calendar:
            self.day_ends_ns = ()
        self.limits, self.day_rolls_at_s = limits, limits.day_rolls_at_s

    def days(self, ends_ns: tuple[int, ...]) -> None:
        """Let days end with sessions: their closes, oldest first."""
        self.day_ends_ns = ends_ns

    def quote(self, quote: Quote) -> None:
        """Take a quote in: a good one is kept, one that is crossed or no price casts doubt on the one before."""
        why = why_not_good(quote)
        if why:
            self.doubts[quote.symbol] = why
        else:
            self.quotes[quote.symbol] = quote
            self.doubts.pop(quote.symbol, None)

    def accepted(self, entry: Accepted, remember_s: Decimal) -> None:
        """Count an entry that passed, from before it is sent; it is remembered as a recent one for `remember_s`."""
        self.roll(entry.ts_ns)
        since_ns = entry.ts_ns - int(remember_s * NS_PER_S)
        self.recent = [*(other for other in self.recent if other.ts_ns >= since_ns), entry]
        self.open[entry.bracket_id] = OpenRisk(entry.symbol, entry.risk_money, entry.risk_money, entry.quantity)

    def withdrawn(self, bracket_id: str) -> None:
        """Forget an accepted entry that came to nothing before a bracket of that name began."""
        self.open.pop(bracket_id, None)
        self.recent = [entry for entry in self.recent if entry.bracket_id != bracket_id]

    def observe(self, bracket: Bracket, instrument: Instrument, now_ns: int) -> None:
        """Take in where a bracket stands now: what it has won or lost, and what it can still lose."""
        self.roll(now_ns)
        name, realised = bracket.bracket_id, realised_pnl(bracket, instrument)
        before = self.ended.get(name)
        known = self.open.get(name)
        had = known.realised if known is not None else before.realised if before is not None else ZERO
        self.realised_today += realised - had
        self.realised += realised - had
        if bracket.phase not in ENDED:
            known = replace(known or OpenRisk(bracket.symbol, None), realised=realised)
            self.open[name] = replace(known, risk_money=open_risk(bracket, instrument, known))
            return
        self.open.pop(name, None)
        self.ended[name] = Ended(realised, self.day)
        if before is None and realised:
            self.consecutive_losses = self.consecutive_losses + 1 if realised < 0 else 0
            if realised < 0:
                self.last_loss_ns = now_ns

    def roll(self, now_ns: int) -> None:
        """Begin a new day when its time has come."""
        day = self._day(now_ns)
        if day > self.day:
            self.day, self.realised_today = day, ZERO
            self.ended = {name: end for name, end in self.ended.items() if end.day > day - DAYS_KEPT}

    def copied(self) -> "RiskState":
        """Return a state that stays as this one is now: what it holds is frozen, only its tables change."""
        tables = {"quotes": dict(self.quotes), "doubts": dict(self.doubts)}
        return replace(self, open=dict(self.open), ended=dict(self.ended), recent=list(self.recent), **tables)

    def next_day_ns(self, now_ns: int) -> int:
        """Return when the day that holds `now_ns` ends."""
        close_ns = self._close_ns(now_ns)
        if close_ns is not None:
            return close_ns
        rolls_ns = self.day_rolls_at_s * NS_PER_S
        return ((now_ns - rolls_ns) // DAY_NS + 1) * DAY_NS + rolls_ns

    def _close_ns(self, now_ns: int) -> int | None:
        index = bisect_right(self.day_ends_ns, now_ns)
        return self.day_ends_ns[index] if index < len(self.day_ends_ns) else None

    def _day(self, now_ns: int) -> int:
        close_ns = self._close_ns(now_ns)
        return (now_ns - self.day_rolls_at_s * NS_PER_S) // DAY_NS if close_ns is None else close_ns // DAY_NS

    def lost_today(self, now_ns: int) -> Decimal:
        """Return what the day has lost so far, above zero; 0 when it has won, or has only begun."""
        if self._day(now_ns) > self.day:
            return ZERO
        return -self.realised_today if self.realised_today < 0 else ZERO


def why_not_good(quote: Quote) -> str:
    """Say what is wrong with a quote; empty when it can be traded on.

    >>> why_not_good(Quote("X", Decimal(11), Decimal(10)))
    'the quote is crossed: bid 11 above ask 10'
    """
    if not (quote.bid.is_finite() and quote.ask.is_finite() and quote.bid > 0 and quote.ask > 0):
        return f"the quote is no price: bid {quote.bid}, ask {quote.ask}"
    return f"the quote is crossed: bid {quote.bid} above ask {quote.ask}" if quote.crossed else ""


def realised_pnl(bracket: Bracket, instrument: Instrument) -> Decimal:
    """Return the money a bracket's exits have made so far, less their fees and their share of the entry's.

    Exits at a price nobody told yet do not count until it is told. A fee taken in units is valued at the price of
    its own order. What is bought back after an over-exit is an exit taken back.
    """
    entered, average = _filled(bracket.orders, Leg.ENTRY), entry_px(bracket)
    if entered <= 0 or not average:
        return ZERO
    out_qty = won = fees = ZERO
    entry_fees = ZERO
    for order in bracket.orders:
        if not order.executions and not order.reported_cum:
            continue
        quantity = order.cum_qty - order.unpriced_qty
        px = divide(order.value, quantity) if quantity > 0 else ZERO
        cost = order.fees(FeeAsset.QUOTE) + order.fees(FeeAsset.BASE) * px * instrument.contract_multiplier
        if order.leg is Leg.ENTRY:
            entry_fees += cost
            continue
        sign = -1 if order.leg is Leg.REMEDY else 1
        out_qty += sign * quantity
        won += sign * (order.value - average * quantity)
        fees += cost
    if not out_qty and not fees:
        return ZERO
    share = min(divide(out_qty, entered), Decimal(1)) if out_qty > 0 else ZERO
    return bracket.side.sign * won * instrument.contract_multiplier - fees - entry_fees * share


def open_risk(bracket: Bracket, instrument: Instrument, known: OpenRisk) -> Decimal | None:
    """Return what a bracket can still lose from its entry price: what is open at the stop in force, what may still
    fill at the planned distance. A stop beyond the entry risks nothing. None: no level tells it yet.
    """
    held = sum((signed_fill(order) for order in bracket.orders), ZERO) * bracket.side.sign
    held -= bracket.external_qty
    leaves = sum((order.leaves_qty for order in bracket.orders if order.leg is Leg.ENTRY), ZERO)
    risk = ZERO
    if held > 0:
        average, stop_px = entry_px(bracket), bracket.stop_px
        if not average or stop_px is None:
            return known.planned_money
        if (average - stop_px) * bracket.side.sign > 0:
            risk += risk_of(held, average, stop_px, instrument)
    if leaves > 0:
        levels = bracket.levels
        if known.planned_money is not None and known.planned_qty > 0:
            risk += divide(known.planned_money * leaves, known.planned_qty)
        elif levels is not None:
            risk += risk_of(leaves, levels.entry_px, levels.stop_px, instrument)
        else:
            return None
    return risk


def _filled(orders: tuple[LegOrder, ...], leg: Leg) -> Decimal:
    return sum((order.cum_qty for order in orders if order.leg is leg), ZERO)
