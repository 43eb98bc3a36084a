"""Everything the venue refuses, in a trader's words. Refused means: nothing happened there."""

from decimal import Decimal

import msgspec
import pytest

from grodtd.domain.capabilities import Capabilities, ClientIdFormat, ClientIdScope, ReduceOnly, StopOrders
from grodtd.domain.commands import SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.orders import NewOrder, OrderType, TimeInForce
from grodtd.venue.checks import CODES
from grodtd.venue.profiles import MARGIN, NO_STOPS, PERP, PROFILES, SPOT_LOCKED, SPOT_OCO
from tests.unit.venue_kit import BUY, SELL, Trader, both_sides, d, limit, market, stop, stop_limit

STOPS_WITH_LIMIT = Capabilities(name="stop limits only", stop_orders=StopOrders.LIMIT)
BANDED = msgspec.structs.replace(MARGIN, price_band=Decimal("0.05"))
IOC, FOK, DAY = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.DAY


AT_100 = [
    # the trader sends, the market being 100.00 / 100.01, ten held long; and is told
    ("a limit between two ticks", MARGIN, limit("a", BUY, 1, "99.005"), "bad_tick"),
    ("a stop between two ticks", MARGIN, stop("a", SELL, 1, "90.001"), "bad_tick"),
    ("a limit at zero", MARGIN, limit("a", BUY, 1, 0), "bad_tick"),
    ("half a lot", MARGIN, limit("a", BUY, "0.5", 99), "bad_lot"),
    ("nothing", MARGIN, market("a", BUY, 0), "bad_lot"),
    ("less than nothing", MARGIN, market("a", BUY, -1), "bad_lot"),
    ("a sell stop at the bid", MARGIN, stop("a", SELL, 1, 100), "would_trigger"),
    ("a sell stop above the bid", MARGIN, stop("a", SELL, 1, 105), "would_trigger"),
    ("a buy stop at the ask", MARGIN, stop("a", BUY, 1, "100.01"), "would_trigger"),
    ("a buy stop below the ask", MARGIN, stop("a", BUY, 1, 95), "would_trigger"),
    ("a stop-limit through the market", MARGIN, stop_limit("a", SELL, 1, 101, 99), "would_trigger"),
    ("a deep stop outside the band", BANDED, stop("a", SELL, 1, 90), "price_band"),
    ("a far limit outside the band", BANDED, limit("a", SELL, 1, 106), "price_band"),
    ("a stop where there are none", NO_STOPS, stop("a", SELL, 1, 90), "unsupported"),
    ("a stop-limit where there are no stops", NO_STOPS, stop_limit("a", SELL, 1, 90, 89), "unsupported"),
    ("a stop without limit where stops need one", STOPS_WITH_LIMIT, stop("a", SELL, 1, 90), "unsupported"),
    ("a stop that may not rest", MARGIN, stop("a", SELL, 1, 90, time_in_force=IOC), "unsupported"),
    ("reduce-only where nobody knows it", MARGIN, stop("a", SELL, 1, 90, reduce_only=True), "unsupported"),
    ("a reduce-only buy on top of a long", PERP, market("a", BUY, 1, reduce_only=True), "reduce_only"),
    ("more than is held", SPOT_LOCKED, market("a", SELL, 11), "insufficient_inventory"),
    ("a stop for more than is held", SPOT_LOCKED, stop("a", SELL, 11, 90), "insufficient_inventory"),
    ("a stop without a price", MARGIN, NewOrder("a", "X", SELL, OrderType.STOP, d(1)), "bad_order"),
    ("a limit without a price", MARGIN, NewOrder("a", "X", SELL, OrderType.LIMIT, d(1)), "bad_order"),
    ("a market order with a price", MARGIN, market("a", SELL, 1, limit_px=d(99)), "bad_order"),
    ("an id with a blank", MARGIN, market("a b", SELL, 1), "bad_id"),
    ("an id that is too long", MARGIN, market("a" * 37, SELL, 1), "bad_id"),
    ("no id", MARGIN, market("", SELL, 1), "bad_id"),
    ("another symbol", MARGIN, NewOrder("a", "Y", SELL, OrderType.MARKET, d(1)), "unknown_symbol"),
]


@pytest.mark.parametrize(("story", "capabilities", "order", "code"), AT_100, ids=[row[0] for row in AT_100])
def test_the_venue_refuses(story, capabilities, order, code):
    trader = Trader(capabilities, held=10)
    trader.quote(100)
    assert trader.refused(trader.submit, order) == code
    assert code in CODES


TAKEN = [
    ("a stop one tick from the bid", MARGIN, stop("a", SELL, 1, "99.99")),
    ("a buy stop one tick from the ask", MARGIN, stop("a", BUY, 1, "100.02")),
    ("a stop just inside the band", BANDED, stop("a", SELL, 1, "95.01")),
    ("a stop-limit where stops need one", STOPS_WITH_LIMIT, stop_limit("a", SELL, 1, 90, 89)),
    ("all that is held", SPOT_LOCKED, stop("a", SELL, 10, 90)),
    ("a reduce-only stop, nothing to reduce yet", PERP, stop("a", BUY, 1, 110, reduce_only=True)),
]


@pytest.mark.parametrize(("story", "capabilities", "order"), TAKEN, ids=[row[0] for row in TAKEN])
def test_the_venue_takes(story, capabilities, order):
    trader = Trader(capabilities, held=10)
    trader.quote(100)
    assert trader.submit(order) == ["a working"]


def test_every_profile_refuses_an_off_tick_price():
    for capabilities in PROFILES.values():
        trader = Trader(capabilities)
        assert trader.refused(trader.submit, limit("a", BUY, 1, "99.005")) == "bad_tick"


def test_before_any_price_a_stop_cannot_be_through_the_market():
    trader = Trader(MARGIN)
    assert trader.submit(stop("a", SELL, 1, 105)) == ["a working"]


def test_before_any_price_there_is_no_band():
    trader = Trader(BANDED)
    assert trader.submit(limit("a", BUY, 1, 1)) == ["a working"]


class TestMinimumValue:
    """The smallest order is worth 50."""

    def test_a_limit_counts_at_its_limit(self):
        trader = Trader(MARGIN, min_notional=50)
        assert trader.refused(trader.submit, limit("a", BUY, 5, "9.99")) == "min_notional"
        assert trader.submit(limit("a", BUY, 5, 10)) == ["a working"]

    def test_a_stop_counts_at_its_stop(self):
        trader = Trader(MARGIN, min_notional=50, held=5)
        trader.quote(12)
        assert trader.refused(trader.submit, stop("a", SELL, 5, "9.99")) == "min_notional"

    def test_a_market_order_counts_at_the_last_price(self):
        trader = Trader(MARGIN, min_notional=50)
        trader.quote("9.98")
        assert trader.refused(trader.submit, market("a", BUY, 5)) == "min_notional"
        trader.quote(11)
        assert trader.submit(market("a", BUY, 5))[-1] == "a filled 5 @ 11.01"

    def test_a_future_counts_its_multiplier(self):
        trader = Trader(MARGIN, min_notional=50, contract_multiplier=50)
        assert trader.submit(limit("a", BUY, 1, 1)) == ["a working"]


class TestClientIds:
    """An id may be unique for ever, while its order is open, or not at all."""

    def scoped(self, scope):
        trader = Trader(msgspec.structs.replace(MARGIN, client_id_scope=scope))
        trader.quote(100)
        return trader

    def test_for_ever(self):
        trader = self.scoped(ClientIdScope.FOREVER)
        trader.submit(market("B7.entry1", BUY, 1))
        assert trader.refused(trader.submit, market("B7.entry1", BUY, 1)) == "duplicate_id"

    def test_while_open(self):
        trader = self.scoped(ClientIdScope.WHILE_OPEN)
        trader.submit(limit("a", BUY, 1, 90))
        assert trader.refused(trader.submit, limit("a", BUY, 1, 91)) == "duplicate_id"

    def test_while_open_a_resend_after_the_fill_buys_twice(self):
        trader = self.scoped(ClientIdScope.WHILE_OPEN)
        trader.submit(market("B7.entry1", BUY, 1))
        assert trader.submit(market("B7.entry1", BUY, 1)) == ["B7.entry1 working", "B7.entry1 filled 1 @ 100.01"]
        assert trader.position == 2
        assert len(trader.venue.history()) == 2

    def test_never(self):
        trader = self.scoped(ClientIdScope.NONE)
        trader.submit(limit("a", BUY, 1, 90))
        trader.submit(limit("a", BUY, 2, 91))
        assert trader.open_orders() == ["a 1", "a 2"]
        assert trader.venue.order("a").order.quantity == 2

    def test_a_refused_order_leaves_its_id_free(self):
        trader = self.scoped(ClientIdScope.FOREVER)
        trader.refused(trader.submit, limit("a", BUY, 1, "90.001"))
        assert trader.venue.order("a") is None
        assert trader.submit(limit("a", BUY, 1, 90)) == ["a working"]

    def test_a_replaced_id_stays_used_for_ever(self):
        trader = self.scoped(ClientIdScope.FOREVER)
        trader.submit(limit("a1", BUY, 1, 90))
        trader.replace("a1", limit("a2", BUY, 1, 91))
        assert trader.refused(trader.submit, limit("a1", BUY, 1, 90)) == "duplicate_id"

    def test_some_venues_want_a_uuid(self):
        trader = Trader(Capabilities(client_id_format=ClientIdFormat(uuid=True)))
        assert trader.refused(trader.submit, limit("B7.stop1", BUY, 1, 90)) == "bad_id"
        assert trader.submit(limit("0b8a3a52-6cf8-5b4e-9f8e-2f4f7a1f0c11", BUY, 1, 90))


class TestValidUntil:
    """An order that arrives later than it may is dropped, where the venue knows that."""

    def test_late_is_expired(self):
        trader = Trader(PERP)
        trader.now_ns = 9
        assert trader.submit(limit("a", BUY, 1, 90, valid_until_ns=10)) == ["a working"]
        assert trader.refused(trader.submit, limit("b", BUY, 1, 90, valid_until_ns=10)) == "expired"

    def test_a_venue_without_it_does_not_look(self):
        trader = Trader(MARGIN)
        trader.now_ns = 100
        assert trader.submit(limit("a", BUY, 1, 90, valid_until_ns=10)) == ["a working"]

    def test_a_late_resend_learns_that_it_exists_not_that_it_is_late(self):
        trader = Trader(SPOT_OCO)
        trader.submit(limit("a", BUY, 1, 90, valid_until_ns=1))
        assert trader.refused(trader.submit, limit("a", BUY, 1, 90, valid_until_ns=1)) == "duplicate_id"


class TestHalt:
    """A halted symbol takes nothing new, lets go of what rests, and trades nothing."""

    def test_new_and_changed_orders_are_refused_cancels_are_not(self):
        trader = Trader(PERP)
        trader.quote(100)
        trader.submit(stop("a1", SELL, 1, 90))
        trader.venue.halt("X")
        assert trader.refused(trader.submit, market("b", BUY, 1)) == "halted"
        assert trader.refused(trader.replace, "a1", stop("a2", SELL, 1, 91)) == "halted"
        assert trader.cancel("a1") == ["a1 canceled"]

    def test_a_stop_sleeps_through_a_halt_and_fires_at_the_first_quote_after(self):
        trader = Trader(MARGIN)
        trader.submit(stop("a", SELL, 1, 90))
        trader.venue.halt("X")
        assert trader.quote(85) == []
        assert trader.bar(85, 86, 84, 85) == []
        trader.venue.resume("X")
        assert trader.quote(84) == ["a filled 1 @ 84"]


class TestCancel:
    """A cancel that cannot be done says why."""

    @pytest.mark.parametrize(
        ("end", "code"),
        [
            ("never sent", "unknown_order"),
            ("filled", "too_late"),
            ("canceled", "too_late"),
            ("replaced", "too_late"),
        ],
    )
    def test_of_an_order(self, end, code):
        trader = Trader(MARGIN)
        trader.quote(100)
        if end == "filled":
            trader.submit(market("a", BUY, 1))
        if end in ("canceled", "replaced"):
            trader.submit(limit("a", BUY, 1, 90))
        if end == "canceled":
            trader.cancel("a")
        if end == "replaced":
            trader.replace("a", limit("a2", BUY, 1, 91))
        assert trader.refused(trader.cancel, "a") == code
        assert trader.refused(trader.replace, "a", limit("a3", BUY, 1, 92)) == code


BAD_PAIRS = [
    ("no such thing here", PERP, stop("s", SELL, 1, 90), limit("t", SELL, 1, 110), "unsupported"),
    ("two limits", SPOT_OCO, limit("s", SELL, 1, 109), limit("t", SELL, 1, 110), "bad_order"),
    ("two stops", SPOT_OCO, stop("s", SELL, 1, 90), stop("t", SELL, 1, 89), "bad_order"),
    ("one id for both", SPOT_OCO, stop("s", SELL, 1, 90), limit("s", SELL, 1, 110), "bad_order"),
    ("opposite sides", SPOT_OCO, stop("s", SELL, 1, 90), limit("t", BUY, 1, 95), "bad_order"),
    ("the stop is through", SPOT_OCO, stop("s", SELL, 1, 100), limit("t", SELL, 1, 110), "would_trigger"),
    ("the target is off tick", SPOT_OCO, stop("s", SELL, 1, 90), limit("t", SELL, 1, "110.001"), "bad_tick"),
    ("more than is held", SPOT_OCO, stop("s", SELL, 1, 90), limit("t", SELL, 11, 110), "insufficient_inventory"),
]


class TestPairs:
    """A pair is created whole or not at all."""

    @pytest.mark.parametrize(
        ("story", "capabilities", "stop_order", "target", "code"), BAD_PAIRS, ids=[r[0] for r in BAD_PAIRS]
    )
    def test_a_bad_pair_leaves_no_leg_behind(self, story, capabilities, stop_order, target, code):
        trader = Trader(capabilities, held=10)
        trader.quote(100)
        assert trader.refused(trader.submit_oco, stop_order, target) == code

    @both_sides
    def test_an_id_in_use_refuses_the_pair(self, mirrored):
        trader = Trader(msgspec.structs.replace(SPOT_OCO, locks_inventory=False), mirrored=mirrored)
        trader.submit(limit("t", SELL, 1, 120))
        assert trader.refused(trader.submit_oco, stop("s", SELL, 1, 90), limit("t", SELL, 1, 110)) == "duplicate_id"


class TestCountedReduceOnly:
    """Where resting reduce-only orders add up, a second full-size exit is refused."""

    COUNTED = Capabilities(reduce_only=ReduceOnly.COUNTED)

    @both_sides
    def test_the_second_full_exit_is_refused(self, mirrored):
        trader = Trader(self.COUNTED, held=10, mirrored=mirrored)
        trader.quote(100)
        trader.submit(stop("s", SELL, 10, 90, reduce_only=True))
        assert trader.refused(trader.submit, limit("t", SELL, 1, 110, reduce_only=True)) == "reduce_only"
        assert trader.refused(trader.submit, market("x", SELL, 10, reduce_only=True)) == "reduce_only"
        trader.cancel("s")
        assert trader.submit(limit("t", SELL, 10, 110, reduce_only=True)) == ["t working"]

    def test_orders_that_are_not_reduce_only_do_not_count(self):
        trader = Trader(self.COUNTED, held=10)
        trader.submit(stop("s", SELL, 10, 90))
        assert trader.submit(limit("t", SELL, 10, 110, reduce_only=True)) == ["t working"]


def test_the_error_says_what_to_do_next():
    trader = Trader(MARGIN)
    with pytest.raises(Refused, match=r"B7.stop1: price 90.005 is no positive multiple of the tick 0.01; round it"):
        trader.venue.apply(SubmitOrder("B7", stop("B7.stop1", SELL, 1, "90.005")), 0)
