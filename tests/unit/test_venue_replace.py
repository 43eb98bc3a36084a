"""Changing an order in one step: FIX matrices D6 to D13 in a trader's words. Quantities are the chain's totals."""

import msgspec
import pytest

from grodtd.domain.capabilities import Amend, Capabilities
from grodtd.domain.orders import TimeInForce
from grodtd.venue.profiles import IDEAL_REPLAY, MARGIN, PERP, SPOT_LOCKED, SPOT_OCO
from tests.unit.venue_kit import BUY, SELL, Trader, limit, market, stop

IN_PLACE = Capabilities(name="in place", amend=Amend.IN_PLACE)
FREE_SPOT_OCO = msgspec.structs.replace(SPOT_OCO, locks_inventory=False)


@pytest.fixture(params=[False, True], ids=["long", "short"])
def trader(request):
    """Bids for ten at 99, market 100 / 100.01."""
    trader = Trader(MARGIN, mirrored=request.param)
    trader.quote(100)
    trader.submit(limit("b1", BUY, 10, 99))
    return trader


def fill_four(trader):
    assert trader.quote(98, 99, ask_qty=4) == ["b1 working 4 @ 99"]
    trader.quote(100)


class TestChain:
    """The old id ends REPLACED, the new one carries on."""

    def test_d6_more_of_an_unfilled_order(self, trader):
        assert trader.replace("b1", limit("b2", BUY, 15, 99)) == ["b1 replaced (replaced by b2)", "b2 working"]
        assert trader.open_orders() == ["b2 15"]
        gone = trader.venue.order("b1")
        assert (gone.status, gone.ts_event_ns) == ("replaced", trader.now_ns)
        assert trader.quote(98, 99) == ["b2 filled 15 @ 99"]

    def test_d7_more_of_a_partly_filled_order(self, trader):
        fill_four(trader)
        trader.replace("b1", limit("b2", BUY, 15, 99))
        assert trader.open_orders() == ["b2 11"]
        assert trader.venue.order("b2").cum_qty == 4
        assert trader.venue.order("b1").cum_qty == 4

    def test_d8_a_filled_order_cannot_be_replaced(self, trader):
        trader.quote(98, 99)
        assert trader.refused(trader.replace, "b1", limit("b2", BUY, 15, 99)) == "too_late"
        assert trader.venue.order("b2") is None

    def test_d9_a_refused_replace_leaves_the_old_order_working(self, trader):
        assert trader.refused(trader.replace, "b1", limit("b2", BUY, 15, "99.001")) == "bad_tick"
        assert trader.quote(98, 99) == ["b1 filled 10 @ 99"]

    def test_d10_down_to_more_than_what_filled(self, trader):
        fill_four(trader)
        trader.replace("b1", limit("b2", BUY, 6, 99))
        assert trader.quote(98, 99) == ["b2 filled 2 @ 99"]

    def test_d11_down_to_what_filled_ends_it_filled(self, trader):
        fill_four(trader)
        assert trader.replace("b1", limit("b2", BUY, 4, 99)) == [
            "b1 replaced (replaced by b2)",
            "b2 filled (replaced to what had filled)",
        ]
        assert trader.open_orders() == []
        assert trader.venue.order("b2").cum_qty == 4

    def test_d12_down_to_less_than_what_filled_ends_it_filled_at_what_filled(self, trader):
        fill_four(trader)
        assert trader.replace("b1", limit("b2", BUY, 2, 99))[-1] == "b2 filled (replaced to what had filled)"
        report = trader.venue.order("b2")
        assert (report.cum_qty, report.order.quantity) == (4, 4)
        assert trader.position == 4

    def test_d13_replaces_follow_each_other(self, trader):
        fill_four(trader)
        trader.replace("b1", limit("b2", BUY, 8, 98))
        trader.replace("b2", limit("b3", BUY, 12, 97))
        assert [trader.status(name) for name in ("b1", "b2", "b3")] == ["replaced", "replaced", "working"]
        assert trader.quote(96, 97) == ["b3 filled 8 @ 97"]
        assert trader.position == 12

    def test_the_chain_is_one_order_in_history(self, trader):
        trader.replace("b1", limit("b2", BUY, 8, 98))
        assert [report.client_order_id for report in trader.venue.history()] == ["b2"]

    def test_a_replaced_limit_that_is_marketable_fills_at_once(self, trader):
        assert trader.replace("b1", limit("b2", BUY, 10, 101)) == [
            "b1 replaced (replaced by b2)",
            "b2 working",
            "b2 filled 10 @ 100.01",
        ]

    def test_an_order_that_may_not_rest_any_more_ends_at_once(self, trader):
        hurry = limit("b2", BUY, 10, 99, time_in_force=TimeInForce.IOC)
        assert trader.replace("b1", hurry)[1:] == ["b2 working", "b2 canceled (ioc)"]

    def test_an_order_that_may_not_rest_any_more_waits_for_a_first_price(self):
        trader = Trader(MARGIN)
        trader.submit(limit("b1", BUY, 10, 99))
        trader.replace("b1", limit("b2", BUY, 10, 99, time_in_force=TimeInForce.IOC))
        assert trader.quote(100) == ["b2 canceled (ioc)"]

    def test_a_stop_moved_through_the_market_is_refused_and_the_old_one_guards(self, trader):
        trader.submit(stop("s1", SELL, 5, 90))
        assert trader.refused(trader.replace, "s1", stop("s2", SELL, 5, 101)) == "would_trigger"
        assert trader.quote(90) == ["b1 filled 10 @ 90.01", "s1 filled 5 @ 90"]

    def test_a_triggered_stop_may_still_be_resized(self, trader):
        trader.submit(stop("s1", SELL, 5, 99))
        trader.quote(99, 101, bid_qty=2)
        assert trader.replace("s1", stop("s2", SELL, 4, 99)) == ["s1 replaced (replaced by s2)", "s2 working"]
        assert trader.quote(100, 101) == ["s2 filled 2 @ 100"]

    def test_what_remains_must_be_worth_an_order(self):
        trader = Trader(MARGIN, min_notional=500)
        trader.quote(100)
        trader.submit(limit("b1", BUY, 10, 99))
        fill_four(trader)
        assert trader.refused(trader.replace, "b1", limit("b2", BUY, 9, 99)) == "min_notional"
        assert trader.replace("b1", limit("b2", BUY, 4, 99))[-1] == "b2 filled (replaced to what had filled)"

    def test_the_new_id_must_be_free(self, trader):
        trader.submit(limit("b2", BUY, 1, 98))
        assert trader.refused(trader.replace, "b1", limit("b2", BUY, 10, 98)) == "duplicate_id"

    def test_a_replacement_that_arrives_too_late_is_dropped(self):
        trader = Trader(PERP)
        trader.submit(limit("b1", BUY, 10, 99))
        assert trader.refused(trader.replace, "b1", limit("b2", BUY, 10, 98, valid_until_ns=1)) == "expired"

    def test_a_pairs_leg_cut_to_what_filled_ends_the_pair(self):
        trader = Trader(IDEAL_REPLAY, held=10)
        trader.quote(100)
        trader.submit_oco(stop("s1", SELL, 10, 90), limit("t1", SELL, 10, 110))
        trader.quote(110, bid_qty=4)
        assert trader.replace("t1", limit("t2", SELL, 4, 110))[1:] == [
            "t2 filled (replaced to what had filled)",
            "s1 canceled (oco)",
        ]


class TestWhatVenuesCanChange:
    """in_place and replace: prices and quantity; quantity_down_only: less; none: nothing."""

    @pytest.mark.parametrize(
        ("story", "order"),
        [
            ("nothing at all", limit("b2", BUY, 10, 99)),
            ("less", limit("b2", BUY, 5, 99)),
        ],
    )
    def test_none(self, story, order):
        trader = Trader(SPOT_LOCKED)
        trader.submit(limit("b1", BUY, 10, 99))
        assert trader.refused(trader.replace, "b1", order) == "unsupported"

    @pytest.mark.parametrize(
        ("story", "order"),
        [
            ("more", limit("b2", BUY, 11, 99)),
            ("another price", limit("b2", BUY, 5, 98)),
            ("another time in force", limit("b2", BUY, 5, 99, time_in_force=TimeInForce.DAY)),
        ],
    )
    def test_quantity_down_only_refuses(self, story, order):
        trader = Trader(FREE_SPOT_OCO)
        trader.submit(limit("b1", BUY, 10, 99))
        assert trader.refused(trader.replace, "b1", order) == "unsupported"

    def test_quantity_down_only_takes_less(self):
        trader = Trader(FREE_SPOT_OCO)
        trader.submit(limit("b1", BUY, 10, 99))
        trader.replace("b1", limit("b2", BUY, 5, 99))
        assert trader.open_orders() == ["b2 5"]

    @pytest.mark.parametrize("capabilities", [MARGIN, IN_PLACE], ids=lambda c: c.name)
    @pytest.mark.parametrize(
        ("story", "order"),
        [
            ("the other side", limit("b2", SELL, 10, 99)),
            ("another type", stop("b2", BUY, 10, 110)),
            ("a market order", market("b2", BUY, 10)),
        ],
    )
    def test_nobody_turns_an_order_into_another(self, capabilities, story, order):
        trader = Trader(capabilities)
        trader.submit(limit("b1", BUY, 10, 99))
        assert trader.refused(trader.replace, "b1", order) == "unsupported"

    @pytest.mark.parametrize(
        ("capabilities", "first"), [(MARGIN, "other"), (IN_PLACE, "b2")], ids=["replace", "in place"]
    )
    def test_in_place_keeps_the_place_in_the_queue(self, capabilities, first):
        trader = Trader(capabilities)
        trader.submit(limit("b1", BUY, 5, 98))
        trader.submit(limit("other", BUY, 5, 99))
        trader.replace("b1", limit("b2", BUY, 5, 99))
        assert trader.quote(98, 99, ask_qty=5) == [f"{first} filled 5 @ 99"]

    def test_in_place_the_same_id_may_stay(self):
        trader = Trader(IN_PLACE)
        trader.submit(limit("b1", BUY, 10, 99))
        assert trader.replace("b1", limit("b1", BUY, 12, 98)) == ["b1 working"]
        assert trader.open_orders() == ["b1 12"]
