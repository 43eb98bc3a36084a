"""Liveness: what must come about in time while our process can act, and what must be so when all is calm.

L1 protection in time, L2 no orphan, L3 convergence (with S7: the same quantities here as there), L4 termination. Time
counts only while the process lives, the link is up, the disk can be written, the venue takes requests in that symbol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from grodtd.domain.capabilities import StopOrders
from grodtd.domain.money import ZERO
from grodtd.domain.orders import OrderReport, OrderStatus, OrderType, Side
from grodtd.simulation.strategies import TRAIL, least_stop_px
from grodtd.simulation.truth import Books, Position

SLACK_S = 20.0
"""How long a promise may be owed in chaos, before what lost requests cost is added."""
LEAVING_S = 30.0
"""As much for getting out when told to: the stop goes, then the exit, the exit in several tries."""
BUST_SLACK_S = 30.0
"""What a bust at a venue that locks inventory adds to it."""
FAR = Decimal(10**9)
CALM_S = 45.0
"""How long our process must have been able to look after a bracket before its trail is judged."""


@dataclass(frozen=True)
class LocalView:
    """What our process believes of one bracket."""

    open_orders: frozenset[str]
    open_qty: Decimal
    stop_px: Decimal | None
    residue: bool = False
    guarded: bool = True
    """Open, and not on its way out."""


class Liveness:
    """Watches one account as time passes."""

    def __init__(self, books: Books) -> None:
        """Check `books`."""
        self.books = books
        self.best_px: dict[tuple[str, Side], Decimal] = {}
        """The best exit price of each side seen while nothing was amiss: trailing stops must have followed."""
        self._since_bust_s: dict[str, float] = {}
        self._accounts: dict[str, Position] = {}

    def quoted(self, sides: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        """All is calm, and our process sees these prices (bid, ask by symbol)."""
        for symbol, (bid, ask) in sides.items():
            self.best_px[symbol, Side.BUY] = max(bid, self.best_px.get((symbol, Side.BUY), bid))
            self.best_px[symbol, Side.SELL] = min(ask, self.best_px.get((symbol, Side.SELL), ask))

    def busted(self, symbol: str) -> None:
        """A trade in a symbol was taken back: where inventory is locked, another's exit may lack coins for a while."""
        self._since_bust_s[symbol] = 0.0

    def excuse(self, client_id: str, seconds: float) -> None:
        """A request about this order was lost: proof of its death takes that much longer (S3)."""
        position = self.books.of(client_id)
        if position is not None:
            position.excuse_s += seconds
            position.proof_s = max(position.proof_s, seconds)

    def pass_time(self, seconds: float, live: Mapping[str, bool], sides: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        """Count time owed. `live`: whether our process can act, by symbol; `sides`: bid and ask."""
        resting = self.books.resting()
        for symbol in self._since_bust_s:
            self._since_bust_s[symbol] += seconds if live[symbol] else 0.0
        for stranger in self.books.strangers.values():
            stranger.known_s += seconds * live[stranger.symbol] * (stranger.net > 0)
        for position in self.books.positions.values():
            if not position.accepted or position.keeps_orders:
                continue
            position.known_s += seconds * live[position.symbol]
            position.proof_s = max(position.proof_s - seconds, 0.0)
            if position.symbol in self.books.disturbed_symbols:
                continue
            bid, ask = sides[position.symbol]
            orders = resting.get(position.bracket_id, [])
            self._owe(position, orders, bid if position.side is Side.BUY else ask, seconds * live[position.symbol])

        for symbol in sorted(self.books.disturbed_symbols):
            self._owe_account(symbol, sides[symbol], seconds * live[symbol])

    def _owe_account(self, symbol: str, sides: tuple[Decimal, Decimal], seconds: float) -> None:
        """Where hands elsewhere traded only the account says what is left: as much must be covered."""
        ours = [position for position in self.books.positions.values() if position.symbol == symbol]
        if not ours or any(p.released or not p.accepted or p.flatten for p in ours):
            return  # units nobody asked us to look after lie among them
        exit_px = sides[0] if ours[0].side is Side.BUY else sides[1]
        instrument = self.books.instruments[symbol]
        held = self.books.venue.position(symbol) * ours[0].side.sign
        resting = self.books.resting()
        covered = sum((self.covered(p, resting.get(p.bracket_id, []), exit_px) for p in ours), ZERO)
        dust = instrument.lot_size * len(ours)
        left = sum((max(p.net, ZERO) for p in ours), ZERO) - self.books.sold_by_hand.get(symbol, ZERO)
        open_qty = instrument.sellable(min(held, left) - dust, exit_px)
        account = self._accounts.setdefault(symbol, Position(symbol, "", ours[0].side, symbol))
        account.naked_s = account.naked_s + seconds if open_qty > covered else 0.0
        lost_s = sum(position.excuse_s for position in ours)
        account.excuse_s = max(account.excuse_s, lost_s) if open_qty > covered else 0.0
        self._overdue("L1", account, account.naked_s, LEAVING_S, f"{open_qty - covered} of the account naked")

    def _owe(self, position: Position, orders: list[OrderReport], exit_px: Decimal, seconds: float) -> None:
        instrument = self.books.instruments[position.symbol]
        if position.first_px is None and position.net > 0:
            position.first_px = exit_px
        # What was too small to protect when it was filled is residue, whatever the price does later.
        open_qty = instrument.sellable(position.net, position.tightest or position.first_px or exit_px)
        wanted = instrument.sellable(position.net - self.books.lacking(position), exit_px) if open_qty else ZERO
        missing = ZERO if position.released else min(open_qty, wanted) - self.covered(position, orders, exit_px)
        if missing > 0:
            position.naked_s += seconds
            self._overdue("L1", position, position.naked_s, SLACK_S, f"{missing} naked")
        elif position.naked_s:
            position.stretches.append(position.naked_s)
            position.naked_s = 0.0
        stray = bool(orders) and (not open_qty or position.released) and not self._entry_lives(position)
        position.stray_s = position.stray_s + seconds if stray else 0.0
        self._overdue("L2", position, position.stray_s, SLACK_S, f"{_names(orders)} rest with nothing to protect")
        leaving = position.flatten and not position.released and open_qty > 0
        position.leaving_s = position.leaving_s + seconds if leaving else 0.0
        self._overdue("L4", position, position.leaving_s, LEAVING_S, f"told to get out, {open_qty} still open")
        if not (missing > 0 or stray or leaving):
            position.excuse_s = position.proof_s  # its stop may be taken away while a change of it has no answer yet

    def _overdue(self, invariant: str, position: Position, owed_s: float, slack_s: float, what: str) -> None:
        locked = self.books.venue.capabilities.locks_inventory
        if locked and self._since_bust_s.get(position.symbol, 1e9) < 2 * BUST_SLACK_S:
            slack_s += BUST_SLACK_S
        if owed_s > slack_s + position.excuse_s:
            self.books.violated(invariant, f"{position.bracket_id}: {what} for {owed_s:.1f} s")
            position.excuse_s += 3600  # said once

    def _entry_lives(self, position: Position) -> bool:
        report = self.books.venue.order(position.entry_id) if position.entry_id else None
        return report is not None and report.status in (OrderStatus.WORKING, OrderStatus.PENDING)

    def covered(self, position: Position, orders: list[OrderReport], exit_px: Decimal) -> Decimal:
        """Return the units a valid stop, or a market order, covers. Where no stop can rest: all, until the price is
        through the level, and then what is on its way out.
        """
        covered = ZERO
        for report in orders:
            order = report.order
            assert order is not None
            if order.side is position.side:
                continue
            leaves = order.quantity - report.cum_qty
            if order.order_type in (OrderType.STOP, OrderType.STOP_LIMIT):
                best = position.tightest
                if best is None or order.stop_px is None or (order.stop_px - best) * position.side.sign >= 0:
                    covered += leaves
            elif order.order_type is OrderType.MARKET:
                covered += leaves
        if self.books.venue.capabilities.stop_orders is StopOrders.NONE:
            level = position.tightest
            through = level is not None and (exit_px - level) * position.side.sign <= 0
            return covered if through else max(position.net, ZERO)
        return covered

    # -- when all is calm -----------------------------------------------------------------------------------

    def converged(self, views: Mapping[str, LocalView], unresolved: list[str]) -> None:
        """L3, S7: faults stopped a while ago; what we believe is what is, and every unit is covered."""
        resting = self.books.resting()
        if unresolved:
            self.books.violated("L3", f"still unresolved: {', '.join(unresolved)}")
        for bracket_id, position in self.books.positions.items():
            if not position.accepted or position.released:
                continue
            orders = resting.get(bracket_id, [])
            view = views.get(bracket_id)
            if view is None:
                self.books.violated("L3", f"{bracket_id}: we know nothing of it")
                continue
            there = {report.client_order_id for report in orders}
            if there != view.open_orders:
                self.books.violated("L3", f"{bracket_id}: open there {sorted(there)}, here {sorted(view.open_orders)}")
            if position.symbol in self.books.disturbed_symbols:
                continue
            lacking = self.books.lacking(position)
            if not position.net - lacking <= view.open_qty <= position.net:
                self.books.violated("S7", f"{bracket_id}: {position.net} there, {view.open_qty} here")
            self._all_covered(position, orders, view)
            self._trailed(position, view)
            self._as_declared(position, view)
        self._accounts_covered(resting)

    def _all_covered(self, position: Position, orders: list[OrderReport], view: LocalView) -> None:
        instrument = self.books.instruments[position.symbol]
        too_few = not instrument.sellable(-position.net, position.tightest or position.first_px or ZERO)
        if position.net <= -instrument.lot_size and not (too_few and view.residue):
            self.books.violated("L3", f"{position.bracket_id}: {-position.net} oversold were not bought back")
        if self.books.venue.capabilities.stop_orders is StopOrders.NONE or view.stop_px is None:
            return
        open_qty = instrument.sellable(position.net - self.books.lacking(position), view.stop_px)
        covered = self.covered(position, orders, FAR * position.side.sign)
        if open_qty > covered:
            self.books.violated("L3", f"{position.bracket_id}: {open_qty} open, {covered} covered after the calm")
        for report in orders:
            order = report.order
            if order is not None and order.stop_px is not None and order.stop_px != view.stop_px:
                self.books.violated("L3", f"{report.client_order_id} stands at {order.stop_px}, not {view.stop_px}")

    def _as_declared(self, position: Position, view: LocalView) -> None:
        """No death makes a stop forget how near it was: what the journal holds a command for stays."""
        declared = self.books.declared.get(position.bracket_id)
        if declared is None or view.stop_px is None or position.forgiven or not view.guarded:
            return
        if (view.stop_px - declared) * position.side.sign < 0:
            self.books.violated("S4", f"{position.bracket_id} stands at {view.stop_px}: it was at {declared} once")

    def _trailed(self, position: Position, view: LocalView) -> None:
        """A stop that trails by quotes has followed the best price seen, or stands nearer still."""
        best_px = self.best_px.get((position.symbol, position.side))
        followed = position.strategy == TRAIL and view.guarded and not position.forgiven
        if not followed or best_px is None or view.stop_px is None or position.known_s < CALM_S:
            return
        least_px = least_stop_px(position.side, best_px, self.books.instruments[position.symbol].tick_size)
        if (view.stop_px - least_px) * position.side.sign < 0:
            self.books.violated(
                "L3", f"{position.bracket_id} trails at {view.stop_px}: the price was at {best_px}, {least_px} is due"
            )

    def _accounts_covered(self, resting: Mapping[str, list[OrderReport]]) -> None:
        """Where hands elsewhere traded: never sell what is gone, and protect what is left, by the account."""
        for symbol in sorted(self.books.disturbed_symbols):
            ours = [p for p in self.books.positions.values() if p.symbol == symbol and not p.keeps_orders]
            held = self.books.venue.position(symbol)
            for position in ours[:1]:
                selling = sum((self.books.committed(p, resting.get(p.bracket_id, [])) for p in ours), ZERO)
                if selling > max(held * position.side.sign, ZERO):
                    self.books.violated("S2", f"{symbol}: {selling} may still sell, the account holds {held}")

    def ended(self, views: Mapping[str, LocalView]) -> None:
        """L4 and L2: the price went through every stop; nothing is open but reported residue, nothing rests."""
        resting = self.books.resting()
        for bracket_id, position in self.books.positions.items():
            if not position.accepted or position.keeps_orders:
                continue
            if resting.get(bracket_id):
                names = _names(resting[bracket_id])
                self.books.violated("L2", f"{bracket_id}: {names} still rest with nothing to protect")
            if self._entry_lives(position) and position.entry_id.startswith(bracket_id):
                self.books.violated("L4", f"{bracket_id}: its entry still rests, long after its time was over")
            if position.released or position.symbol in self.books.disturbed_symbols:
                continue
            lot = self.books.instruments[position.symbol].lot_size
            view = views.get(bracket_id)
            reported = view is not None and view.residue
            sellable = self.books.instruments[position.symbol].sellable(position.net, position.tightest or ZERO)
            if position.net - self.books.lacking(position) >= lot and (not reported or sellable):
                self.books.violated(
                    "L4", f"{bracket_id}: {position.net} still open after the price went through its stop"
                )
            instrument = self.books.instruments[position.symbol]
            too_few = not instrument.sellable(-position.net, position.tightest or position.first_px or ZERO)
            if position.net <= -lot and not (too_few and reported):
                self.books.violated("L4", f"{bracket_id}: {-position.net} oversold at the end")


def _names(orders: list[OrderReport]) -> str:
    return ", ".join(report.client_order_id for report in orders)
