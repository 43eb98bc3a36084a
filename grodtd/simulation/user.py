"""The user of a simulated history: he enters, adopts, flattens, releases, moves levels, and meddles at the venue."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, Phase
from grodtd.domain.commands import CancelOrder, SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.events import (
    BracketRequested,
    Event,
    FlattenRequested,
    LevelsChangeRequested,
    ReleaseRequested,
)
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ZERO, floor_to
from grodtd.domain.orders import NewOrder, OrderType, TimeInForce
from grodtd.execution.asking import EntryRequest
from grodtd.runtime.runner import Runner
from grodtd.simulation.link import Link
from grodtd.simulation.market import Street
from grodtd.simulation.strategies import POLICIES
from grodtd.simulation.truth import BY_HAND, Books, Position
from grodtd.simulation.whole_trades import WholeTrades

NS = 1_000_000_000
ENTRIES_UNTIL_S = 95.0
AGAIN = frozenset({"no_journal"})
"""Refusals after which he asks again."""


@dataclass
class Ask:
    """Something he wants of our process, until it has it in writing."""

    event: Event
    granted: Callable[[], None]
    refused: Callable[[Refused], None]
    holds: Callable[[Bracket], bool] = lambda _: False
    """Whether it was granted before, the answer lost: then a refusal says just that."""


class User:
    """One person, who asks our process by its door and the venue by its own."""

    def __init__(
        self,
        rng: Random,
        books: Books,
        link: Link,
        streets: dict[str, Street],
        log: Callable[[str], None],
    ) -> None:
        """Draw from `rng`."""
        self._rng, self._books, self._link, self._streets, self.log = rng, books, link, streets, log
        self.asks: list[Ask] = []
        self.plan: list[tuple[float, Callable[[], None]]] = []
        """What he will do when, soonest first."""
        self.whole_trades = WholeTrades(books, log)
        self._orders = 0

    def make_plans(self) -> None:
        """Draw what he will do: several entries on one symbol and on another, and second thoughts about them."""
        rng = self._rng
        moments = [(rng.uniform(1, ENTRIES_UNTIL_S), self.enter) for _ in range(rng.randint(4, 7))]
        moments += [(rng.uniform(1, ENTRIES_UNTIL_S), self.open_whole) for _ in range(rng.randint(1, 2))]
        if rng.random() < 0.4:
            moments.append((rng.uniform(1, ENTRIES_UNTIL_S), self.adopt))
        second_thoughts = (self.flatten, self.release, self.tighten, self.tighten, self.loosen, self.move_target)
        moments += [(rng.uniform(15, ENTRIES_UNTIL_S + 15), rng.choice(second_thoughts)) for _ in range(4)]
        self.plan = sorted(moments, key=lambda moment: moment[0])

    def act(self, now_s: float) -> None:
        """Do what is due."""
        while self.plan and self.plan[0][0] <= now_s:
            self.plan.pop(0)[1]()

    # -- what he begins -------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Ask for protection, then send an entry order of his own."""
        street = self._rng.choice(list(self._streets.values()))
        kind = self._rng.choice((OrderType.MARKET, OrderType.LIMIT))
        order = self._order(street, kind)
        if kind is OrderType.LIMIT:
            bid, ask = street.sides()
            order = replace(order, limit_px=ask if street.side.sign > 0 else bid, time_in_force=TimeInForce.GTC)
        self.enter_with(order, self._reading(street), self._strategy())

    def enter_with(self, order: NewOrder, reading: VolatilityReading, strategy: str) -> None:
        """Ask for protection of one order, and send it half a second later."""
        bracket_id = f"B{order.client_order_id.rpartition('-')[2]}"
        request = BracketRequested(
            bracket_id,
            order.symbol,
            order.side,
            order.quantity,
            entry_client_order_id=order.client_order_id,
            reading=reading,
            strategy=strategy,
        )
        self.log(f"user enters {order.client_order_id} {order.side.value} {order.quantity} {order.symbol}")
        position = Position(bracket_id, order.client_order_id, order.side, order.symbol, request.strategy)
        self._books.expect(position)
        self._ask(request, position)
        asyncio.get_running_loop().call_later(0.5, self._send, order)

    def open_whole(self) -> None:
        """Ask for a whole trade: at market, at a limit, or at a price to come."""
        street, rng = self._rng.choice(list(self._streets.values())), self._rng
        order = self._order(street, OrderType.MARKET)
        bid, ask = street.sides()
        limit_px = trigger_px = None
        kind = rng.choice(("market", "limit", "trigger"))
        if kind == "limit":
            limit_px = ask if street.side.sign > 0 else bid
        elif kind == "trigger":
            away = street.mid * (1 + street.side.sign * Decimal("0.003"))
            trigger_px = floor_to(away, street.instrument.tick_size)
        sized = rng.random() < 0.4
        asked = EntryRequest(
            f"B{self._orders}",
            street.symbol,
            street.side,
            quantity=None if sized else order.quantity,
            risk_per_trade=Decimal("0.000001") if sized else None,
            limit_px=limit_px,
            trigger_px=trigger_px,
            strategy=self._strategy(),
        )
        self.log(f"user wants {asked}")
        self.whole_trades.want(asked)

    def adopt(self) -> None:
        """Buy without us, and ask for protection afterwards."""
        street = self._rng.choice(list(self._streets.values()))
        order = replace(self._order(street, OrderType.MARKET), client_order_id=f"own-{self._orders}")
        self._send(order)
        fills = [fill for fill in self._link.venue.fills(0) if fill.client_order_id == order.client_order_id]
        quantity = sum((fill.quantity for fill in fills), ZERO)
        if not quantity:
            return
        fee = sum((fill.fee for fill in fills if fill.fee_asset is FeeAsset.BASE), ZERO)
        request = BracketRequested(
            f"B{self._orders}",
            street.symbol,
            street.side,
            quantity,
            filled_qty=quantity,
            filled_px=fills[0].px,
            fee=fee,
            fee_asset=FeeAsset.BASE if fee else FeeAsset.QUOTE,
            reading=self._reading(street),
            strategy=self._strategy(),
        )
        self._link.spread(
            self._link.venue.apply(CancelOrder("", order.client_order_id), self._link.now_ns())
            if any(r.client_order_id == order.client_order_id for r in self._link.venue.open_orders())
            else []
        )
        position = Position(request.bracket_id, "", street.side, street.symbol, request.strategy, net=quantity - fee)
        self._books.expect(position)
        self.log(f"user asks to adopt {quantity} {street.symbol} as {request.bracket_id}")
        self._ask(request, position)

    def _strategy(self) -> str:
        """Hand out the strategies in turn."""
        return list(POLICIES)[self._orders % len(POLICIES)]

    def _order(self, street: Street, kind: OrderType) -> NewOrder:
        self._orders += 1
        quantity = street.instrument.lot_size * self._rng.randint(5, 120)
        return NewOrder(f"user-{self._orders}", street.symbol, street.side, kind, quantity)

    def _reading(self, street: Street) -> VolatilityReading:
        atr = (street.mid * Decimal("0.006")).quantize(Decimal("0.0001"))
        return VolatilityReading(atr_px=atr, close_px=street.mid, bars=100)

    def _ask(self, request: BracketRequested, position: Position) -> None:
        def granted() -> None:
            position.accepted = True
            self.log(f"looked after: {position.bracket_id}")

        def refused(error: Refused) -> None:
            if error.code == "duplicate_id":  # it was taken on before the answer was lost
                granted()
            else:
                self.log(f"refused {position.bracket_id}: {error}")
                self._books.forget(position.bracket_id)
                self._call_off(position.entry_id)

        self.asks.append(Ask(request, granted, refused, lambda _: True))

    def _call_off(self, entry_id: str) -> None:
        """Take an entry back that nobody looks after."""
        venue = self._link.venue
        if any(report.client_order_id == entry_id for report in venue.open_orders()):
            self._link.spread(venue.apply(CancelOrder("", entry_id), self._link.now_ns()))

    def _send(self, order: NewOrder) -> None:
        if order.client_order_id.startswith("user-") and self._books.of(order.client_order_id) is None:
            return  # nobody looks after it: he does not enter
        try:
            self._link.spread(self._link.venue.apply(SubmitOrder("", order), self._link.now_ns()))
        except Refused as error:
            self.log(f"entry refused: {error}")

    # -- second thoughts ------------------------------------------------------------------------------------

    def _one(self) -> Position | None:
        """Choose one of his open brackets."""
        held = [
            p
            for p in self._books.positions.values()
            if p.accepted and p.net > 0 and p.tightest is not None and not p.released and not p.flatten
        ]
        return self._rng.choice(held) if held else None

    def _second_thought(
        self, event: Event, granted: Callable[[], None], holds: Callable[[Bracket], bool] = lambda _: False
    ) -> None:
        self.log(f"user asks: {event}")
        self.asks.append(Ask(event, granted, lambda error: self.log(f"refused: {error}"), holds))

    def flatten(self) -> None:
        """Get out of one now."""
        position = self._one()
        if position is not None:
            street = self._streets[position.symbol]
            asked = FlattenRequested(position.bracket_id, "had enough", last_px=street.exit_px())
            self._second_thought(asked, lambda: setattr(position, "flatten", True))

    def release(self) -> None:
        """Take one back, with its orders or without."""
        position = self._one()
        if position is None:
            return
        keep = self._rng.random() < 0.5

        def granted() -> None:
            position.released, position.keeps_orders = True, keep
            if keep:  # of what is left to him he wants the stops; a target beside them could sell twice
                for report in list(self._books.resting().get(position.bracket_id, [])):
                    if ".stop" not in report.client_order_id:
                        self._quietly(CancelOrder("", report.client_order_id))

        self._second_thought(
            ReleaseRequested(position.bracket_id, "mine again", keep_orders=keep),
            granted,
            lambda bracket: bracket.phase is Phase.RELEASED,
        )

    def tighten(self) -> None:
        """Move a stop nearer to the price."""
        position = self._one()
        if position is not None:
            self._move_stop(position, Decimal("0.3"))

    def loosen(self) -> None:
        """Move a stop away from the price, by the named command."""
        position = self._one()
        if position is not None:
            self._move_stop(position, Decimal("-0.3"))

    def _move_stop(self, position: Position, share: Decimal) -> None:
        street, level = self._streets[position.symbol], position.tightest
        assert level is not None
        stop_px = floor_to(level + (street.exit_px() - level) * share, street.instrument.tick_size)
        looser = (stop_px - level) * position.side.sign < 0
        if looser:
            position.forgiven.add(stop_px)  # it may be done before he hears that it was granted

        def granted() -> None:
            if looser and position.tightest is not None:
                position.forgiven |= {position.tightest, *position.commanded}
                position.tightest = stop_px
            position.commanded.add(stop_px)

        self._second_thought(
            LevelsChangeRequested(position.bracket_id, stop_px=stop_px, reason="second thoughts", allow_loosen=looser),
            granted,
            lambda bracket: bracket.stop_px == stop_px,
        )

    def move_target(self) -> None:
        """Move a target somewhere beyond the price."""
        position = self._one()
        if position is not None:
            street = self._streets[position.symbol]
            away = street.exit_px() * (1 + position.side.sign * Decimal(str(self._rng.uniform(0.002, 0.03))))
            target_px = floor_to(away, street.instrument.tick_size)
            asked = LevelsChangeRequested(position.bracket_id, target_px=target_px, reason="second thoughts")
            self._second_thought(asked, lambda: None)

    # -- at the venue, behind our back ----------------------------------------------------------------------

    def sell_by_hand(self) -> bool:
        """Sell some or all of a symbol's position at the venue; our exits go first where they hold the coins."""
        venue, now_ns = self._link.venue, self._link.now_ns
        position = self._one()
        if position is None or position.disturbed:
            return False
        street = self._streets[position.symbol]
        lot = street.instrument.lot_size
        units = floor_to(position.net * self._rng.choice((Decimal(1), Decimal("0.4"))), lot)
        if units < lot or street.halted_until_s:
            return False
        self._orders += 1
        self._books.disturbed_symbols.add(position.symbol)
        for other in self._books.positions.values():
            other.disturbed |= other.symbol == position.symbol
        for report in list(self._books.resting().get(position.bracket_id, [])):
            if venue.capabilities.locks_inventory:
                self._quietly(CancelOrder("", report.client_order_id))
        order = NewOrder(f"{BY_HAND}{self._orders}", position.symbol, position.side.opposite, OrderType.MARKET, units)
        self.log(f"{units} of {position.bracket_id} sold by hand, at {now_ns()}")
        self._quietly(SubmitOrder("", order))
        return True

    def _quietly(self, command: SubmitOrder | CancelOrder) -> None:
        try:
            self._link.spread(self._link.venue.apply(command, self._link.now_ns()))
        except Refused as error:
            self.log(f"by hand: {error}")

    # -- the door -------------------------------------------------------------------------------------------

    async def hand_over(self, runner: Runner) -> None:
        """Ask a process that is ready; what it could not write down is asked again later."""
        for ask in list(self.asks):
            now_ns = runner.clock.now_ns()
            event = replace(ask.event, ts_event_ns=now_ns, ts_received_ns=now_ns)
            if isinstance(event, BracketRequested):
                event = replace(event, account_qty=self._link.venue.position(event.symbol))
            try:
                async with asyncio.timeout(1.0):
                    await runner.handle(event)
            except TimeoutError:
                return
            except Refused as error:
                if error.code in AGAIN or runner.fenced:
                    return
                bracket = runner.turn.bracket(getattr(event, "bracket_id", ""))
                if bracket is not None and ask.holds(bracket):
                    ask.granted()
                else:
                    ask.refused(error)
            else:
                ask.granted()
                self._forgive(event, runner)
            self.asks.remove(ask)

    def _forgive(self, event: Event, runner: Runner) -> None:
        """Stops decided on before a level was loosened by name may still arrive where they were."""
        if isinstance(event, LevelsChangeRequested) and event.allow_loosen:
            bracket, position = runner.turn.bracket(event.bracket_id), self._books.positions.get(event.bracket_id)
            if bracket is not None and position is not None:
                decided = {order.stop_px for order in bracket.orders if order.stop_px is not None}
                position.forgiven |= decided - {event.stop_px}
