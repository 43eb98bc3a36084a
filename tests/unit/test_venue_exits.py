"""Orders that depend on each other or on the position (pairs, inventory, reduce-only), and what comes unasked."""

from decimal import Decimal

import msgspec
import pytest

from grodtd.domain.capabilities import Amend, Capabilities, ReduceOnly, SiblingOnPartial
from grodtd.domain.errors import Refused
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.orders import OrderStatus, TimeInForce
from grodtd.venue.profiles import IDEAL_REPLAY, MARGIN, PERP, SPOT_LOCKED, SPOT_OCO
from tests.unit.venue_kit import BUY, SELL, Trader, both_sides, limit, market, stop

PAIRS = Capabilities(name="pairs", native_oco=True)
DAY = TimeInForce.DAY


def pair_of_ten(sibling, *, mirrored=False, **more):
    """A trader long ten at 100 / 100.01 with a linked stop at 90 and target at 110."""
    capabilities = msgspec.structs.replace(PAIRS, sibling_on_partial=sibling, **more)
    trader = Trader(capabilities, held=10, mirrored=mirrored)
    trader.quote(100)
    assert trader.submit_oco(stop("s", SELL, 10, 90), limit("t", SELL, 10, 110)) == ["s working", "t working"]
    return trader


@both_sides
class TestPair:
    """One cancels the other."""

    @pytest.mark.parametrize("sibling", list(SiblingOnPartial))
    def test_a_full_fill_of_either_leg_ends_the_other(self, mirrored, sibling):
        assert pair_of_ten(sibling, mirrored=mirrored).quote(110) == ["t filled 10 @ 110", "s canceled (oco)"]
        assert pair_of_ten(sibling, mirrored=mirrored).quote(90) == ["s filled 10 @ 90", "t canceled (oco)"]

    def test_cancelling_one_leg_ends_the_other(self, mirrored):
        trader = pair_of_ten(SiblingOnPartial.RESIZE, mirrored=mirrored)
        assert trader.cancel("t") == ["t canceled", "s canceled (oco)"]
        assert trader.refused(trader.cancel, "s") == "too_late"

    def test_partial_fill_cancels_the_sibling(self, mirrored):
        trader = pair_of_ten(SiblingOnPartial.CANCEL, mirrored=mirrored)
        assert trader.quote(110, bid_qty=4) == ["t working 4 @ 110", "s canceled (oco)"]
        assert trader.open_orders() == ["t 6"]

    def test_partial_fill_resizes_the_sibling(self, mirrored):
        trader = pair_of_ten(SiblingOnPartial.RESIZE, mirrored=mirrored)
        assert trader.quote(110, bid_qty=4) == ["t working 4 @ 110", "s working (resized)"]
        assert trader.open_orders() == ["s 6", "t 6"]
        resized = trader.venue.order("s")
        assert (resized.order.quantity, resized.ts_event_ns) == (6, trader.now_ns)
        assert trader.quote(90) == ["s filled 6 @ 90", "t canceled (oco)"]
        assert trader.position == 0

    def test_partial_fill_leaves_the_sibling_alone_and_may_sell_too_much(self, mirrored):
        trader = pair_of_ten(SiblingOnPartial.NONE, mirrored=mirrored)
        assert trader.quote(110, bid_qty=4) == ["t working 4 @ 110"]
        assert trader.quote(90) == ["s filled 10 @ 90", "t canceled (oco)"]
        assert trader.position == -4

    def test_a_target_already_marketable_fills_and_ends_its_stop(self, mirrored):
        trader = Trader(PAIRS, held=10, mirrored=mirrored)
        trader.quote(100)
        assert trader.submit_oco(stop("s", SELL, 10, 90), limit("t", SELL, 10, 99)) == [
            "s working",
            "t working",
            "t filled 10 @ 100",
            "s canceled (oco)",
        ]

    def test_legs_of_different_size_shrink_by_the_same_fills(self, mirrored):
        trader = Trader(IDEAL_REPLAY, held=10, mirrored=mirrored)
        trader.quote(100)
        trader.submit_oco(stop("s", SELL, 10, 90), limit("t", SELL, 4, 110))
        assert trader.quote(110, bid_qty=3) == ["t working 3 @ 110", "s working (resized)"]
        assert trader.open_orders() == ["s 7", "t 1"]

    def test_a_stop_that_fills_beyond_its_siblings_size_ends_it(self, mirrored):
        trader = Trader(IDEAL_REPLAY, held=10, mirrored=mirrored)
        trader.quote(100)
        trader.submit_oco(stop("s", SELL, 10, 90), limit("t", SELL, 4, 110))
        assert trader.quote(90, bid_qty=5) == ["s working 5 @ 90", "t canceled (oco)"]

    def test_the_link_survives_a_replace(self, mirrored):
        trader = Trader(IDEAL_REPLAY, held=10, mirrored=mirrored)
        trader.submit_oco(stop("s1", SELL, 10, 90), limit("t1", SELL, 10, 110))
        trader.replace("s1", stop("s2", SELL, 10, 95))
        assert trader.quote(95) == ["s2 filled 10 @ 95", "t1 canceled (oco)"]


class TestInventory:
    """A resting sell locks the units it would sell."""

    def test_a_second_resting_sell_is_refused(self):
        trader = Trader(SPOT_LOCKED, held=10)
        trader.submit(stop("s", SELL, 7, 90))
        assert trader.refused(trader.submit, limit("t", SELL, 4, 110)) == "insufficient_inventory"
        assert trader.submit(limit("t", SELL, 3, 110)) == ["t working"]

    def test_a_cancel_frees_what_was_locked(self):
        trader = Trader(SPOT_LOCKED, held=10)
        trader.submit(stop("s", SELL, 10, 90))
        trader.cancel("s")
        assert trader.submit(limit("t", SELL, 10, 110)) == ["t working"]

    def test_a_partial_fill_keeps_the_rest_locked(self):
        trader = Trader(SPOT_LOCKED, held=10)
        trader.quote(100)
        trader.submit(stop("s", SELL, 10, 90))
        trader.quote(90, bid_qty=4)
        assert trader.position == 6
        assert trader.refused(trader.submit, market("x", SELL, 1)) == "insufficient_inventory"

    def test_a_pair_locks_once(self):
        trader = Trader(SPOT_OCO, held=10)
        trader.submit_oco(stop("s", SELL, 6, 90), limit("t", SELL, 6, 110))
        assert trader.refused(trader.submit, limit("u", SELL, 5, 110)) == "insufficient_inventory"
        assert trader.submit(limit("u", SELL, 4, 110)) == ["u working"]

    def test_after_a_pairs_partial_fill_the_rest_stays_locked_once(self):
        trader = Trader(SPOT_OCO, held=10)
        trader.quote(100)
        trader.submit_oco(stop("s", SELL, 10, 90), limit("t", SELL, 10, 110))
        trader.quote(110, bid_qty=4)
        assert trader.refused(trader.submit, stop("s2", SELL, 1, 90)) == "insufficient_inventory"
        trader.cancel("t")
        assert trader.submit(stop("s2", SELL, 6, 90)) == ["s2 working"]

    def test_shrinking_an_order_frees_the_difference(self):
        trader = Trader(SPOT_OCO, held=10)
        trader.submit(stop("s1", SELL, 10, 90))
        trader.replace("s1", stop("s2", SELL, 6, 90))
        assert trader.submit(limit("t", SELL, 4, 110)) == ["t working"]

    def test_growing_an_order_beyond_the_inventory_is_refused(self):
        trader = Trader(msgspec.structs.replace(SPOT_LOCKED, amend=Amend.REPLACE), held=10)
        trader.submit(stop("s1", SELL, 6, 90))
        assert trader.refused(trader.replace, "s1", stop("s2", SELL, 11, 90)) == "insufficient_inventory"
        assert trader.replace("s1", stop("s2", SELL, 10, 90)) == ["s1 replaced (replaced by s2)", "s2 working"]

    def test_growing_one_leg_of_a_pair_locks_no_more_than_the_larger_leg(self):
        capabilities = msgspec.structs.replace(SPOT_OCO, amend=Amend.REPLACE)
        trader = Trader(capabilities, held=10)
        trader.submit_oco(stop("s1", SELL, 6, 90), limit("t1", SELL, 8, 110))
        trader.replace("s1", stop("s2", SELL, 8, 90))
        assert trader.submit(limit("u", SELL, 2, 110)) == ["u working"]
        assert trader.refused(trader.replace, "s2", stop("s3", SELL, 9, 90)) == "insufficient_inventory"

    def test_units_that_are_transferred_out_end_the_newest_sells(self):
        trader = Trader(SPOT_LOCKED, held=10)
        trader.submit(stop("s1", SELL, 5, 90))
        trader.submit(stop("s2", SELL, 5, 90))
        gone = trader.venue.adjust_position("X", Decimal(-4), now_ns=9)
        assert trader.say(gone) == ["s2 canceled (inventory)"]
        assert gone[0].ts_event_ns == 9
        assert trader.open_orders() == ["s1 5"]

    def test_elsewhere_a_position_may_go_short(self):
        trader = Trader(MARGIN)
        trader.quote(100)
        assert trader.submit(market("x", SELL, 3))[-1] == "x filled 3 @ 100"
        assert trader.position == -3


@both_sides
class TestReduceOnlyPerOrder:
    """Checked when an order would execute: it never turns the position over."""

    def test_two_full_exits_rest_and_the_second_has_nothing_left(self, mirrored):
        trader = Trader(PERP, held=10, mirrored=mirrored)
        trader.quote(100)
        trader.submit(stop("s", SELL, 10, 90, reduce_only=True))
        trader.submit(limit("t", SELL, 10, 110, reduce_only=True))
        assert trader.quote(110) == ["t filled 10 @ 110"]
        assert trader.quote(90) == ["s canceled (reduce_only)"]
        assert trader.position == 0

    def test_an_exit_larger_than_the_position_is_trimmed(self, mirrored):
        trader = Trader(PERP, held=4, mirrored=mirrored)
        trader.quote(100)
        assert trader.submit(market("x", SELL, 10, reduce_only=True)) == [
            "x working",
            "x working 4 @ 100",
            "x canceled (reduce_only)",
        ]
        assert trader.position == 0

    def test_the_market_runs_out_before_the_position_does(self, mirrored):
        trader = Trader(PERP, held=4, mirrored=mirrored)
        trader.quote(100, bid_qty=3)
        assert trader.submit(market("x", SELL, 10, reduce_only=True)) == ["x working", "x working 3 @ 100"]
        assert trader.quote(99) == ["x working 1 @ 99", "x canceled (reduce_only)"]

    def test_the_account_counts_not_the_bracket(self, mirrored):
        trader = Trader(PERP, held=20, mirrored=mirrored)  # ten of them somebody else's
        trader.quote(100)
        trader.submit(stop("s", SELL, 10, 90, reduce_only=True))
        trader.submit(limit("t", SELL, 10, 110, reduce_only=True))
        trader.quote(110)
        assert trader.quote(90) == ["s filled 10 @ 90"]  # both legs: the other ten were sold

    def test_on_a_bar_that_spans_both_only_one_exits(self, mirrored):
        trader = Trader(PERP, held=10, mirrored=mirrored)
        trader.submit(stop("B7.stop1", SELL, 10, 90, reduce_only=True))
        trader.submit(limit("B7.target1", SELL, 10, 110, reduce_only=True))
        assert trader.bar(100, 115, 85, 100) == ["B7.stop1 filled 10 @ 90"]
        assert trader.bar(100, 115, 95, 100) == ["B7.target1 canceled (reduce_only)"]


@both_sides
def test_counted_reduce_only_is_trimmed_too_when_the_position_shrank_meanwhile(mirrored):
    trader = Trader(Capabilities(reduce_only=ReduceOnly.COUNTED), held=10, mirrored=mirrored)
    trader.quote(100)
    trader.submit(stop("s", SELL, 10, 90, reduce_only=True))
    trader.submit(market("hand", SELL, 7))
    assert trader.quote(90) == ["s working 3 @ 90", "s canceled (reduce_only)"]


class TestUnasked:
    """Sessions end, orders are yanked, trades are busted."""

    @both_sides
    def test_day_orders_expire_with_the_session_others_stay(self, mirrored):
        trader = Trader(MARGIN, held=10, mirrored=mirrored)
        trader.submit(stop("day", SELL, 5, 90, time_in_force=DAY))
        trader.submit(stop("gtc", SELL, 5, 90))
        assert trader.say(trader.venue.end_session(99)) == ["day expired (session closed)"]
        assert trader.open_orders() == ["gtc 5"]
        assert trader.say(trader.venue.end_session(100, "X")) == []

    def test_a_linked_pair_of_day_orders_ends_once_each(self):
        trader = Trader(IDEAL_REPLAY)
        trader.submit_oco(stop("s", SELL, 1, 90, time_in_force=DAY), limit("t", SELL, 1, 110, time_in_force=DAY))
        assert trader.say(trader.venue.end_session(99)) == ["s expired (session closed)", "t canceled (oco)"]

    @pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED])
    def test_an_order_is_yanked(self, status):
        trader = Trader(MARGIN)
        trader.submit(stop("s", SELL, 1, 90))
        assert trader.say(trader.venue.yank("s", status, "self-trade", 5)) == [f"s {status} (self-trade)"]
        ended = trader.venue.order("s")
        assert (ended.status, ended.reason, ended.ts_event_ns) == (status, "self-trade", 5)
        assert trader.quote(80) == []
        with pytest.raises(Refused, match="it is"):
            trader.venue.yank("s", status, "again", 6)

    def test_an_order_is_not_yanked_to_filled(self):
        with pytest.raises(ValueError, match="not to filled"):
            Trader(MARGIN).venue.yank("s", OrderStatus.FILLED, "", 5)

    @both_sides
    def test_a_busted_exit_opens_the_position_again_and_the_order_stays_ended(self, mirrored):
        trader = Trader(MARGIN, held=10, mirrored=mirrored, cash=1000)
        trader.quote(100)
        trader.submit(stop("s", SELL, 10, 90))
        trader.quote(90, bid_qty=4)
        trader.quote(90)
        assert trader.say(trader.venue.bust("X2", 50)) == ["s filled -6 @ 90"]
        assert trader.position == 6
        assert trader.venue.order("s").cum_qty == 4
        assert [fill.exec_id for fill in trader.venue.fills(0)] == ["X1"]
        assert trader.open_orders() == []

    def test_the_report_names_both_executions(self):
        trader = Trader(MARGIN)
        trader.quote(100)
        trader.submit(market("b", BUY, 1))
        (report,) = trader.venue.bust("X1", 50)
        assert (report.exec_id, report.exec_ref_id, report.cum_qty, report.ts_event_ns) == ("X2", "X1", 0, 50)

    @both_sides
    def test_a_bust_gives_money_units_and_fee_back(self, mirrored):
        trader = Trader(MARGIN, mirrored=mirrored, cash=1000, fee_rate="0.001")
        trader.quote(100)
        trader.submit(market("b", BUY, 3))
        trader.venue.bust("X1", 50)
        assert (trader.position, trader.venue.equity()) == (0, 1000)

    def test_a_base_fee_is_given_back_too(self):
        trader = Trader(SPOT_LOCKED, fee_rate="0.001", fee_asset=FeeAsset.BASE)
        trader.quote(100)
        trader.submit(market("b", BUY, 30))
        trader.venue.bust("X1", 50)
        assert trader.position == 0

    @both_sides
    def test_a_bust_of_a_working_order_lets_it_fill_again(self, mirrored):
        trader = Trader(MARGIN, mirrored=mirrored)
        trader.quote(100, 101, ask_qty=4)
        trader.submit(limit("b", BUY, 10, 101))
        trader.venue.bust("X1", 50)
        assert trader.open_orders() == ["b 10"]
        assert trader.quote(100, 101) == ["b filled 10 @ 101"]

    @both_sides
    def test_a_bust_reaches_the_chain_under_its_newest_id(self, mirrored):
        trader = Trader(MARGIN, mirrored=mirrored)
        trader.quote(100, 101, ask_qty=4)
        trader.submit(limit("b1", BUY, 10, 101))
        trader.replace("b1", limit("b2", BUY, 8, 99))
        assert trader.say(trader.venue.bust("X1", 50)) == ["b2 working -4 @ 101"]
        assert trader.open_orders() == ["b2 8"]

    def test_a_busted_buy_ends_sells_that_lost_their_inventory(self):
        trader = Trader(SPOT_LOCKED)
        trader.quote(100)
        trader.submit(market("b", BUY, 10))
        trader.submit(stop("s", SELL, 10, 90))
        assert trader.say(trader.venue.bust("X1", 50)) == ["b filled -10 @ 100.01", "s canceled (inventory)"]

    @pytest.mark.parametrize("exec_id", ["X9", "X1"])
    def test_what_is_not_there_or_already_busted_cannot_be_busted(self, exec_id):
        trader = Trader(MARGIN)
        trader.quote(100)
        trader.submit(market("b", BUY, 1))
        if exec_id == "X1":
            trader.venue.bust("X1", 50)
        with pytest.raises(Refused, match="no such execution"):
            trader.venue.bust(exec_id, 51)
