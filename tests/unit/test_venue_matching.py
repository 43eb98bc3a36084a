"""How orders meet quotes and bars. Every story is told twice: as a long's and, mirrored, as a short's."""

from decimal import Decimal

import pytest

from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.market import Bar, Quote
from grodtd.domain.orders import TimeInForce
from grodtd.venue.bar_matching import FillModel
from grodtd.venue.profiles import IDEAL_REPLAY, MARGIN, SPOT_LOCKED
from grodtd.venue.venue import SimulatedVenue
from tests.unit.venue_kit import BUY, SELL, Trader, both_sides, d, limit, market, stop, stop_limit

IOC, FOK, DAY = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.DAY


@pytest.fixture(params=[False, True], ids=["long", "short"])
def trader(request):
    return Trader(MARGIN, mirrored=request.param)


class TestQuotes:
    """Sells meet the bid, buys the ask."""

    def test_a_market_order_fills_at_the_touch(self, trader):
        trader.quote(100, 101)
        assert trader.submit(market("b", BUY, 5)) == ["b working", "b filled 5 @ 101"]
        assert trader.submit(market("s", SELL, 5)) == ["s working", "s filled 5 @ 100"]
        assert trader.position == 0

    def test_a_market_order_before_any_price_waits_for_one(self, trader):
        assert trader.submit(market("b", BUY, 5)) == ["b working"]
        assert trader.quote(100, 101) == ["b filled 5 @ 101"]

    @pytest.mark.parametrize(
        ("bid", "expected"),
        [("109.99", []), ("110", ["t filled 5 @ 110"]), ("112", ["t filled 5 @ 112"])],
        ids=["one tick short", "reaches it", "gaps beyond it"],
    )
    def test_a_target(self, trader, bid, expected):
        trader.quote(100)
        trader.submit(limit("t", SELL, 5, 110))
        assert trader.quote(bid) == expected

    @pytest.mark.parametrize(
        ("bid", "expected"),
        [("90.01", []), ("90", ["s filled 5 @ 90"]), ("80", ["s filled 5 @ 80"])],
        ids=["one tick short", "reaches it", "gaps through it"],
    )
    def test_a_stop(self, trader, bid, expected):
        trader.quote(100)
        trader.submit(stop("s", SELL, 5, 90))
        assert trader.quote(bid) == expected

    def test_a_stop_looks_at_its_own_side_only(self, trader):
        trader.quote(100)
        trader.submit(stop("s", SELL, 5, 90))
        assert trader.quote("90.01", "90.01") == []
        assert trader.quote(95, 200 - 1) == []

    def test_a_marketable_limit_fills_at_once_and_better(self, trader):
        trader.quote(100, 101)
        assert trader.submit(limit("b", BUY, 5, 105)) == ["b working", "b filled 5 @ 101"]

    def test_a_stop_limit_fills_within_its_limit(self, trader):
        trader.quote(100)
        trader.submit(stop_limit("s", SELL, 5, 90, 89))
        assert trader.quote("89.50") == ["s working (triggered)", "s filled 5 @ 89.5"]

    def test_a_gap_past_the_limit_leaves_a_triggered_order_unfilled(self, trader):
        trader.quote(100)
        trader.submit(stop_limit("s", SELL, 5, 90, 89))
        assert trader.quote(85) == ["s working (triggered)"]
        assert trader.quote("88.99") == []
        assert trader.quote(95) == ["s filled 5 @ 95"]

    @pytest.mark.parametrize(
        ("story", "bid", "ask"),
        [("crossed", 85, 84), ("no bid", 0, 85), ("zero", 0, 0), ("negative", -5, 85), ("not a number", "NaN", "NaN")],
    )
    def test_a_bad_quote_triggers_nothing_and_is_counted(self, story, bid, ask):
        trader = Trader(MARGIN)
        trader.quote(100)
        trader.submit(stop("s", SELL, 5, 90))
        assert trader.quote(bid, ask) == []
        assert trader.venue.bad_quotes == 1
        assert trader.submit(market("x", SELL, 1))[-1] == "x filled 1 @ 100"  # the last sound quote is the market

    def test_a_locked_market_is_sound(self, trader):
        trader.submit(stop("s", SELL, 5, 90))
        assert trader.quote(89, 89) == ["s filled 5 @ 89"]

    def test_orders_hit_by_one_quote_fill_in_order_of_arrival(self, trader):
        trader.quote(100)
        for name, px in (("s1", 90), ("s2", 95), ("s3", 92)):
            trader.submit(stop(name, SELL, 1, px))
        trader.submit(limit("b", BUY, 1, 91))
        assert trader.quote(88) == [
            "s1 filled 1 @ 88",
            "s2 filled 1 @ 88",
            "s3 filled 1 @ 88",
            "b filled 1 @ 88.01",
        ]

    def test_an_ended_order_is_never_hit(self, trader):
        trader.submit(stop("s", SELL, 5, 90))
        trader.quote(100)
        trader.cancel("s")
        assert trader.quote(80) == []

    def test_many_moves_of_one_stop_leave_one_stop(self, trader):
        trader.quote(100)
        trader.submit(stop("s0", SELL, 5, 50))
        for step in range(300):
            trader.replace(f"s{step}", stop(f"s{step + 1}", SELL, 5, 51 + step * d("0.1")))
            trader.quote(100)
        assert trader.quote("80.89") == ["s300 filled 5 @ 80.89"]

    def test_many_moves_of_many_stops_keep_every_level_true(self, trader):
        trader.quote(100)
        levels = {number: 50 + number for number in range(20)}
        names = {number: f"s{number}" for number in levels}
        for number, px in levels.items():
            trader.submit(stop(names[number], SELL, 1, px))
        for step in range(400):
            number = step * 7 % 20
            levels[number] = 50 + step * 13 % 40
            new = f"s{number}x{step}"
            trader.replace(names[number], stop(new, SELL, 1, levels[number]))
            names[number] = new
            trader.quote(100)
        for bid in range(95, 40, -1):
            hit = sorted(names[number] for number, px in levels.items() if px == bid)
            assert sorted(trader.quote(bid)) == [f"{name} filled 1 @ {bid}" for name in hit]

    def test_a_target_moved_away_many_times_does_not_hide_a_nearer_one(self, trader):
        trader.quote(100)
        for name, px in (("c0", 101), ("a", 105), ("b", 102)):
            trader.submit(limit(name, SELL, 1, px))
            trader.quote(100)
        for step in range(70):
            trader.replace(f"c{step}", limit(f"c{step + 1}", SELL, 1, 106 + step))
            trader.quote(100)
        assert trader.quote(102) == ["b filled 1 @ 102"]


class TestVolume:
    """A quote with sizes fills no more than they say, in whole lots."""

    def test_a_market_order_takes_what_is_there_and_waits_for_more(self, trader):
        trader.quote(100, 101, ask_qty=3)
        assert trader.submit(market("b", BUY, 10)) == ["b working", "b working 3 @ 101"]
        assert trader.quote(101, 102, ask_qty=4) == ["b working 4 @ 102"]
        assert trader.quote(102, 103) == ["b filled 3 @ 103"]

    def test_a_triggered_stop_keeps_selling_even_when_the_price_comes_back(self, trader):
        trader.quote(100)
        trader.submit(stop("s", SELL, 10, 90))
        assert trader.quote(89, bid_qty=4) == ["s working 4 @ 89"]
        assert trader.quote(95) == ["s filled 6 @ 95"]

    def test_a_limit_keeps_working_at_its_limit(self, trader):
        trader.quote(100)
        trader.submit(limit("t", SELL, 10, 110))
        assert trader.quote(110, bid_qty=4) == ["t working 4 @ 110"]
        assert trader.quote(109) == []
        assert trader.quote(110, bid_qty=10) == ["t filled 6 @ 110"]

    def test_earlier_orders_are_served_first(self, trader):
        trader.quote(100)
        trader.submit(limit("t1", SELL, 3, 111))
        trader.submit(limit("t2", SELL, 3, 110))
        assert trader.quote(111, bid_qty=4) == ["t1 filled 3 @ 111", "t2 working 1 @ 111"]

    def test_an_order_filled_before_takes_only_its_rest_of_a_quote(self, trader):
        trader.quote(100)
        trader.submit(limit("t1", SELL, 10, 110))
        trader.submit(limit("t2", SELL, 10, 110))
        trader.quote(110, bid_qty=4)
        assert trader.quote(110, bid_qty=12) == ["t1 filled 6 @ 110", "t2 working 6 @ 110"]

    def test_what_a_quote_gave_is_gone_for_the_next_order(self, trader):
        trader.quote(100, 101, ask_qty=5)
        trader.submit(market("b1", BUY, 3))
        assert trader.submit(market("b2", BUY, 3)) == ["b2 working", "b2 working 2 @ 101"]
        assert trader.submit(market("b3", BUY, 3)) == ["b3 working"]

    def test_odd_volume_fills_whole_lots(self, trader):
        trader.quote(100, 101, ask_qty="2.7")
        assert trader.submit(market("b", BUY, 5)) == ["b working", "b working 2 @ 101"]


IMMEDIATE = [
    # what                      volume  the order                                          told
    ("ioc, all there", 10, limit("o", BUY, 5, 101, time_in_force=IOC), ["o filled 5 @ 101"]),
    ("ioc, some there", 3, limit("o", BUY, 5, 101, time_in_force=IOC), ["o working 3 @ 101", "o canceled (ioc)"]),
    ("ioc, price away", 10, limit("o", BUY, 5, 100, time_in_force=IOC), ["o canceled (ioc)"]),
    ("ioc at market", 3, market("o", BUY, 5, time_in_force=IOC), ["o working 3 @ 101", "o canceled (ioc)"]),
    ("fok, all there", 5, limit("o", BUY, 5, 101, time_in_force=FOK), ["o filled 5 @ 101"]),
    ("fok, one short", 4, limit("o", BUY, 5, 101, time_in_force=FOK), ["o canceled (fok)"]),
    ("fok, price away", 5, limit("o", BUY, 5, 100, time_in_force=FOK), ["o canceled (fok)"]),
    ("fok at market, one short", 4, market("o", BUY, 5, time_in_force=FOK), ["o canceled (fok)"]),
]


class TestImmediate:
    """Immediate-or-cancel takes what is there; fill-or-kill all or nothing."""

    @pytest.mark.parametrize(("story", "volume", "order", "expected"), IMMEDIATE, ids=[row[0] for row in IMMEDIATE])
    def test_an_order_that_may_not_rest(self, trader, story, volume, order, expected):
        trader.quote(100, 101, ask_qty=volume)
        assert trader.submit(order) == ["o working", *expected]
        assert trader.open_orders() == []

    def test_before_any_price_it_waits_for_the_first(self, trader):
        assert trader.submit(limit("o", BUY, 5, 101, time_in_force=IOC)) == ["o working"]
        assert trader.quote(101, 102) == ["o canceled (ioc)"]

    def test_on_bars_it_meets_the_open(self, trader):
        trader.submit(limit("o1", BUY, 5, 101, time_in_force=IOC))
        trader.submit(limit("o2", BUY, 5, 99, time_in_force=IOC))
        assert trader.bar(100, 105, 95, 100) == ["o1 filled 5 @ 100", "o2 canceled (ioc)"]


class TestBars:
    """A bar is matched bracket by bracket; fills are whole."""

    def test_a_market_order_fills_at_the_open(self, trader):
        trader.submit(market("B7.entry1", BUY, 5))
        assert trader.bar(100, 105, 95, 102) == ["B7.entry1 filled 5 @ 100"]

    @pytest.mark.parametrize(
        ("story", "bar", "expected"),
        [
            ("out of reach", (100, 105, 96, 100), []),
            ("reached", (100, 105, 94, 100), ["e filled 5 @ 95"]),
            ("opens below it", (93, 105, 90, 100), ["e filled 5 @ 93"]),
        ],
    )
    def test_a_resting_entry_limit(self, trader, story, bar, expected):
        trader.submit(limit("e", BUY, 5, 95))
        assert trader.bar(*bar) == expected

    def test_an_entry_stop_buys_the_breakout(self, trader):
        trader.submit(stop("e", BUY, 5, 105))
        assert trader.bar(100, 104, 95, 100) == []
        assert trader.bar(104, 108, 103, 107) == ["e filled 5 @ 105"]

    @pytest.mark.parametrize(
        ("story", "bar", "model", "expected"),
        [
            ("stop first", (100, 115, 85, 100), FillModel.PESSIMISTIC, ["B7.stop1 filled 5 @ 90"]),
            ("target first", (100, 115, 85, 100), FillModel.OPTIMISTIC, ["B7.target1 filled 5 @ 110"]),
            ("nearer first", (102, 115, 85, 100), FillModel.PATH, ["B7.target1 filled 5 @ 110"]),
            ("gap through the stop", (80, 85, 75, 80), FillModel.PESSIMISTIC, ["B7.stop1 filled 5 @ 80"]),
            ("gap through the target", (112, 115, 111, 112), FillModel.PESSIMISTIC, ["B7.target1 filled 5 @ 112"]),
        ],
    )
    @both_sides
    def test_a_linked_pair_exits_once(self, mirrored, story, bar, model, expected):
        trader = Trader(IDEAL_REPLAY, held=5, mirrored=mirrored)
        trader.submit_oco(stop("B7.stop1", SELL, 5, 90), limit("B7.target1", SELL, 5, 110))
        told = trader.bar(*bar, model)
        assert told[:1] == expected
        assert told[1:] in (["B7.target1 canceled (oco)"], ["B7.stop1 canceled (oco)"])
        assert trader.position == 0
        assert trader.open_orders() == []

    @both_sides
    def test_two_pairs_of_one_bracket_scale_out(self, mirrored):
        trader = Trader(IDEAL_REPLAY, held=5, mirrored=mirrored)
        trader.submit_oco(stop("B7.stop1", SELL, 3, 90), limit("B7.target1", SELL, 3, 110))
        trader.submit_oco(stop("B7.stop2", SELL, 2, 90), limit("B7.target2", SELL, 2, 105))
        assert trader.bar(100, 107, 85, 100, FillModel.OPTIMISTIC) == [
            "B7.target2 filled 2 @ 105",
            "B7.stop2 canceled (oco)",
            "B7.stop1 filled 3 @ 90",
            "B7.target1 canceled (oco)",
        ]

    @both_sides
    def test_additive_stops_fill_as_far_as_the_bar_goes(self, mirrored):
        trader = Trader(MARGIN, held=6, mirrored=mirrored)
        for name, px in (("B7.stop1", 88), ("B7.stop2", 90), ("B7.stop3", 80)):
            trader.submit(stop(name, SELL, 2, px))
        assert trader.bar(100, 101, 85, 86) == ["B7.stop2 filled 2 @ 90", "B7.stop1 filled 2 @ 88"]
        assert trader.bar(70, 71, 69, 70) == ["B7.stop3 filled 2 @ 70"]

    def test_each_bracket_meets_the_bar_by_itself(self):
        trader = Trader(IDEAL_REPLAY)
        trader.submit_oco(stop("LONG.stop1", SELL, 5, 90), limit("LONG.target1", SELL, 5, 110))
        trader.submit_oco(stop("SHORT.stop1", BUY, 5, 110), limit("SHORT.target1", BUY, 5, 90))
        told = trader.bar(100, 115, 85, 100)
        assert told == [
            "LONG.stop1 filled 5 @ 90",
            "LONG.target1 canceled (oco)",
            "SHORT.stop1 filled 5 @ 110",
            "SHORT.target1 canceled (oco)",
        ]

    def test_of_two_sides_in_one_bracket_the_earlier_goes_first(self, trader):
        trader.submit(limit("B7.entry1", BUY, 5, 95))
        trader.submit(stop("B7.stop1", SELL, 5, 90))
        assert trader.bar(100, 101, 85, 86) == ["B7.entry1 filled 5 @ 95", "B7.stop1 filled 5 @ 90"]

    def test_only_the_named_brackets_see_the_bar(self, trader):
        trader.submit(stop("A.stop1", SELL, 5, 90))
        trader.submit(stop("B.stop1", SELL, 5, 90))
        assert trader.bar(100, 101, 85, 86, brackets=["B", "unheard of"]) == ["B.stop1 filled 5 @ 90"]
        assert trader.open_orders() == ["A.stop1 5"]

    def test_sells_meet_the_bid_bar_and_buys_the_ask_bar(self):
        venue = Trader(IDEAL_REPLAY)
        venue.submit(stop("L.stop1", SELL, 5, 90))
        venue.submit(stop("S.stop1", BUY, 5, 110))
        bid = Bar("X", 7, d(100), d(109), d(91), d(100))
        ask = Bar("X", 7, d(102), d(111), d(93), d(102))
        assert venue.say(venue.venue.on_bar(bid, ask=ask)) == ["S.stop1 filled 5 @ 110"]
        assert venue.venue.last_px("X") == 101

    def test_after_a_bar_no_quote_is_known_and_an_order_waits_for_the_next_bar(self, trader):
        trader.quote(100)
        trader.bar(100, 101, 99, 100)
        assert trader.submit(market("b", BUY, 1)) == ["b working"]
        assert trader.bar(103, 104, 102, 103) == ["b filled 1 @ 103"]

    def test_market_orders_meet_the_open_of_their_own_side(self):
        trader = Trader(IDEAL_REPLAY)
        trader.submit(market("b", BUY, 1))
        trader.submit(market("s", SELL, 1))
        bid = Bar("X", 7, d(100), d(101), d(99), d(100))
        ask = Bar("X", 7, d(102), d(103), d(101), d(102))
        assert trader.say(trader.venue.on_bar(bid, ask=ask)) == ["b filled 1 @ 102", "s filled 1 @ 100"]
        trader.submit(market("b2", BUY, 1))
        trader.submit(market("s2", SELL, 1))
        assert trader.say(trader.venue.on_close(bid, ask=ask)) == ["b2 filled 1 @ 102", "s2 filled 1 @ 100"]

    def test_a_stop_on_the_wrong_side_is_out_at_the_next_open(self, trader):
        trader.bar(100, 101, 99, 100)
        trader.submit(stop("B7.stop1", SELL, 5, 105))
        assert trader.bar(101, 103, 98, 100) == ["B7.stop1 filled 5 @ 101"]

    def test_a_time_exit_leaves_at_the_close_and_nothing_else_moves(self, trader):
        bar = (100, 105, 95, 98)
        trader.submit(stop("B8.stop1", SELL, 5, 99))
        trader.bar(100, 105, 99 + d("0.5"), 100)
        trader.submit(market("B7.exit1", SELL, 5))
        assert trader.close_of_bar(*bar) == ["B7.exit1 filled 5 @ 98"]

    @pytest.mark.parametrize(
        ("story", "bar", "expected"),
        [
            ("trades through stop to limit", (100, 101, 85, 86), ["s working (triggered)", "s filled 5 @ 90"]),
            ("opens between stop and limit", ("89.5", 91, 88, 89), ["s working (triggered)", "s filled 5 @ 89.5"]),
            ("opens at the limit", (89, 91, 88, 89), ["s working (triggered)", "s filled 5 @ 89"]),
            ("opens past the limit", (85, 86, 84, 85), ["s working (triggered)"]),
        ],
    )
    def test_a_stop_limit(self, trader, story, bar, expected):
        trader.submit(stop_limit("s", SELL, 5, 90, 89))
        assert trader.bar(*bar) == expected

    def test_a_triggered_stop_limit_rests_as_a_limit(self, trader):
        trader.submit(stop_limit("s", SELL, 5, 90, 89))
        trader.bar(85, 86, 84, 85)
        assert trader.bar(86, "88.99", 84, 85) == []
        assert trader.bar(86, 89, 84, 85) == ["s filled 5 @ 89"]

    def test_reports_carry_the_bars_time(self):
        venue = SimulatedVenue(IDEAL_REPLAY, [Instrument("X")])
        trader = Trader(IDEAL_REPLAY)
        trader.submit(market("e", BUY, 1))
        (report,) = trader.venue.on_bar(Bar("X", 1234, d(100), d(101), d(99), d(100)))
        assert (report.ts_event_ns, report.ts_received_ns, report.exec_id) == (1234, 1234, "X1")
        assert venue.on_bar(Bar("X", 1, d(1), d(1), d(1), d(1))) == []


class TestMoney:
    """Fees, cash and equity are the account's truth."""

    def test_a_base_fee_comes_out_of_what_was_bought(self):
        trader = Trader(SPOT_LOCKED, fee_rate="0.001", fee_asset=FeeAsset.BASE, lot_size="0.1", cash=10_000)
        trader.quote(100, 100)
        trader.submit(market("e", BUY, 30))
        (fill,) = trader.venue.fills(0)
        assert (fill.fee, fill.fee_asset) == (Decimal("0.030"), FeeAsset.BASE)
        assert trader.position == Decimal("29.97")
        assert trader.venue.equity() == Decimal(7000) + Decimal(2997)
        assert trader.refused(trader.submit, stop("s", SELL, 30, 90)) == "insufficient_inventory"
        assert trader.refused(trader.submit, stop("s", SELL, "29.97", 90)) == "bad_lot"
        assert trader.submit(stop("s", SELL, "29.9", 90)) == ["s working"]

    def test_a_quote_fee_comes_out_of_the_money_both_ways(self):
        trader = Trader(MARGIN, fee_rate="0.001", cash=10_000)
        trader.quote(100, 100)
        trader.submit(market("b", BUY, 10))
        trader.submit(market("s", SELL, 10))
        assert trader.position == 0
        assert trader.venue.equity() == Decimal(9998)

    def test_a_future_counts_its_multiplier(self):
        trader = Trader(MARGIN, contract_multiplier=50, fee_rate="0.001")
        trader.quote(100, 100)
        trader.submit(market("b", BUY, 2))
        trader.quote(101, 101)
        assert trader.venue.equity() == Decimal(100) - Decimal(10)

    def test_a_position_before_any_price_counts_nothing(self):
        assert Trader(MARGIN, held=10, cash=7).venue.equity() == 7

    def test_fills_are_told_from_a_time_on_oldest_first(self):
        trader = Trader(MARGIN)
        trader.quote(100)
        for name in "abc":
            trader.submit(market(name, BUY, 1))
        assert [fill.client_order_id for fill in trader.venue.fills(3)] == ["b", "c"]

    def test_a_snapshot_tells_the_average_price(self):
        trader = Trader(MARGIN)
        trader.quote(100, 100, ask_qty=1)
        trader.submit(market("b", BUY, 3))
        trader.quote(103, 103)
        report = trader.venue.order("b")
        assert (report.cum_qty, report.avg_px) == (3, 102)

    def test_symbols_are_apart(self):
        venue = SimulatedVenue(MARGIN, [Instrument("X"), Instrument("Y")], positions={"Y": Decimal(3)})
        venue.on_quote(Quote("X", d(100), d(100)))
        venue.on_quote(Quote("Y", d(5), d(5)))
        assert (venue.position("X"), venue.position("Y"), venue.equity()) == (0, 3, 15)
        assert [instrument.symbol for instrument in venue.instruments(["Y"])] == ["Y"]
