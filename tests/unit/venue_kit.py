"""A trader at a simulated venue, for tests: orders in few words, reports as sentences, and the same story mirrored.

A mirrored trader tells the story of a long as that of a short: buy for sell, 200 - price for price, bid for ask. What
comes back is mirrored again, so one table of expectations serves both sides.
"""

from decimal import Decimal

import pytest

from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Bar, Quote
from grodtd.domain.money import plain
from grodtd.domain.orders import NewOrder, OrderType, Side
from grodtd.venue.bar_matching import FillModel
from grodtd.venue.venue import SimulatedVenue

BUY, SELL = Side.BUY, Side.SELL
MIRROR_AT = Decimal(200)

both_sides = pytest.mark.parametrize("mirrored", [False, True], ids=["long", "short"])


def d(text):
    return None if text is None else Decimal(str(text))


def market(name, side, quantity, **more):
    return NewOrder(name, "X", side, OrderType.MARKET, d(quantity), **more)


def limit(name, side, quantity, px, **more):
    return NewOrder(name, "X", side, OrderType.LIMIT, d(quantity), limit_px=d(px), **more)


def stop(name, side, quantity, px, **more):
    return NewOrder(name, "X", side, OrderType.STOP, d(quantity), stop_px=d(px), **more)


def stop_limit(name, side, quantity, stop_px, limit_px, **more):
    return NewOrder(
        name, "X", side, OrderType.STOP_LIMIT, d(quantity), stop_px=d(stop_px), limit_px=d(limit_px), **more
    )


class Trader:
    """One account in the symbol X: tick 0.01, lot 1, unless told otherwise. Time moves one tick a call."""

    def __init__(self, capabilities, *, held=0, mirrored=False, cash=0, **rules):
        self.mirrored = mirrored
        rules = {name: d(value) if type(value) in (int, str) else value for name, value in rules.items()}
        self.venue = SimulatedVenue(
            capabilities,
            [Instrument("X", **rules)],
            cash=d(cash),
            positions={"X": self._signed(d(held))} if held else None,
        )
        self.now_ns = 0

    # ------------------------------------------------------------ what the trader does

    def submit(self, order):
        return self.say(self.venue.apply(SubmitOrder("", self.turn(order)), self.tick()))

    def submit_oco(self, stop_order, target):
        return self.say(self.venue.apply(SubmitOco("", self.turn(stop_order), self.turn(target)), self.tick()))

    def cancel(self, name):
        return self.say(self.venue.apply(CancelOrder("", name), self.tick()))

    def replace(self, name, order):
        return self.say(self.venue.apply(ReplaceOrder("", name, self.turn(order)), self.tick()))

    def refused(self, act, *what):
        """Do it, see it refused and nothing reported or changed; return the code."""
        before = self.truth()
        with pytest.raises(Refused) as caught:
            act(*what)
        assert self.truth() == before
        return caught.value.code

    # ------------------------------------------------------------ what the market does

    def quote(self, bid, ask=None, bid_qty=None, ask_qty=None):
        """Quote bid and ask; the ask is a penny above the bid unless given."""
        bid = d(bid)
        ask = bid + Decimal("0.01") if ask is None else d(ask)
        sizes = d(bid_qty), d(ask_qty)
        if self.mirrored:
            bid, ask, sizes = MIRROR_AT - ask, MIRROR_AT - bid, sizes[::-1]
        return self.say(self.venue.on_quote(Quote("X", bid, ask, self.tick(), 0, *sizes)))

    def bar(self, open_px, high, low, close, model=FillModel.PESSIMISTIC, **more):
        return self.say(self.venue.on_bar(self._bar(open_px, high, low, close), model, **more))

    def close_of_bar(self, open_px, high, low, close):
        return self.say(self.venue.on_close(self._bar(open_px, high, low, close)))

    def _bar(self, *prices):
        open_px, high, low, close = (self.px(d(px)) for px in prices)
        return Bar("X", self.tick(), open_px, max(high, low), min(high, low), close)

    # ------------------------------------------------------------ what is so

    @property
    def position(self):
        return self._signed(self.venue.position("X"))

    def status(self, name):
        return str(self.venue.order(name).status)

    def open_orders(self):
        """Open orders as 'name leaves'."""
        return [
            f"{report.client_order_id} {plain(report.order.quantity - report.cum_qty)}"
            for report in self.venue.open_orders()
        ]

    def truth(self):
        """Everything the account can see."""
        venue = self.venue
        return venue.open_orders(), venue.history(), venue.fills(0), venue.position("X"), venue.equity()

    # ------------------------------------------------------------ words

    def say(self, reports):
        return [self._sentence(report) for report in reports]

    def _sentence(self, report):
        words = [report.client_order_id, str(report.status)]
        if report.last_qty:
            back = "-" if report.exec_ref_id else ""
            words.append(f"{back}{plain(report.last_qty)} @ {plain(self.px(report.last_px))}")
        if report.reason:
            words.append(f"({report.reason})")
        return " ".join(words)

    # ------------------------------------------------------------ the mirror

    def tick(self):
        self.now_ns += 1
        return self.now_ns

    def px(self, px):
        return px if px is None or not self.mirrored else MIRROR_AT - px

    def turn(self, order):
        if not self.mirrored:
            return order
        return NewOrder(
            order.client_order_id,
            order.symbol,
            order.side.opposite,
            order.order_type,
            order.quantity,
            self.px(order.stop_px),
            self.px(order.limit_px),
            order.time_in_force,
            order.reduce_only,
            order.valid_until_ns,
        )

    def _signed(self, quantity):
        return -quantity if self.mirrored else quantity
