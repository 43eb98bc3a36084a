"""What holds whatever is sent to the venue, in any order: nothing is created or lost, and nobody is favoured."""

from collections import Counter
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grodtd.domain.capabilities import Amend, Capabilities, ReduceOnly, SiblingOnPartial
from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.market import Bar, Quote
from grodtd.domain.orders import FINAL_STATUSES, OrderStatus, OrderType, Side, TimeInForce
from grodtd.venue.bar_matching import FillModel
from grodtd.venue.profiles import IDEAL_REPLAY, MARGIN, PERP, PROFILES, SPOT_OCO
from tests.unit.venue_kit import SELL, Trader, d, limit, market, stop, stop_limit

EVERYTHING = Capabilities(
    name="everything",
    native_oco=True,
    reduce_only=ReduceOnly.PER_ORDER,
    amend=Amend.REPLACE,
    sibling_on_partial=SiblingOnPartial.NONE,
)
COUNTED = msgspec.structs.replace(EVERYTHING, name="counted", reduce_only=ReduceOnly.COUNTED)
VENUES = [*PROFILES.values(), IDEAL_REPLAY, EVERYTHING, COUNTED]
LOCKING = [
    msgspec.structs.replace(
        SPOT_OCO, name=f"spot {sibling} {amend}", sibling_on_partial=sibling, amend=amend, reduce_only=reduce_only
    )
    for sibling in SiblingOnPartial
    for amend, reduce_only in ((Amend.REPLACE, ReduceOnly.NONE), (Amend.IN_PLACE, ReduceOnly.PER_ORDER))
]

# Each property is tried at several venues: a quarter of the examples that others have.
TRIES = settings(max_examples=25)

sides = st.sampled_from(Side)
sizes = st.integers(1, 10)
prices = st.integers(85, 115)
offered = st.none() | st.integers(0, 12)
which = st.integers(0, 30)
tifs = st.sampled_from(TimeInForce)

acts = st.one_of(
    st.tuples(st.just("order"), st.sampled_from(OrderType), sides, sizes, prices, prices, tifs, st.booleans()),
    st.tuples(st.just("pair"), sides, sizes, sizes, prices, prices),
    st.tuples(st.just("cancel"), which),
    st.tuples(st.just("replace"), which, sizes, prices, prices),
    st.tuples(st.just("quote"), prices, st.integers(0, 2), offered, offered),
    st.tuples(st.just("bar"), prices, st.integers(0, 10), st.integers(0, 10), st.sampled_from(FillModel)),
    st.tuples(st.just("close"), prices),
    st.tuples(st.just("session")),
    st.tuples(st.just("halt")),
    st.tuples(st.just("resume")),
)
busts = st.tuples(st.just("bust"), which)
stories = st.lists(acts, min_size=1, max_size=25)
stories_with_busts = st.lists(acts | busts, min_size=1, max_size=25)


class Story:
    """Lets a list of acts happen at a venue, and keeps what was reported."""

    def __init__(self, capabilities, *, held=0, mirrored=False, **rules):
        self.trader = Trader(capabilities, held=held, mirrored=mirrored, cash=1000, **rules)
        self.venue = self.trader.venue
        self.names = []
        self.reports = []
        self.refusals = []

    def play(self, story):
        for act in story:
            self.step(act)
        return self

    def step(self, act):
        """Do one act; return what it reported."""
        kind, *rest = act
        try:
            reports = getattr(self, f"_{kind}")(*rest)
        except Refused as refused:
            self.refusals.append(refused.code)
            reports = []
        self.reports += reports
        return reports

    def _name(self):
        name = f"B{len(self.names) % 4}.stop{len(self.names)}"
        self.names.append(name)
        return name

    def _pick(self, index):
        return self.names[index % len(self.names)] if self.names else "nobody"

    def _apply(self, command):
        return self.venue.apply(command, self.trader.tick())

    def _order(self, order_type, side, size, px, other_px, tif, reduce_only):
        more = {"time_in_force": tif, "reduce_only": reduce_only}
        make = {
            OrderType.MARKET: lambda name: market(name, side, size, **more),
            OrderType.LIMIT: lambda name: limit(name, side, size, px, **more),
            OrderType.STOP: lambda name: stop(name, side, size, px, **more),
            OrderType.STOP_LIMIT: lambda name: stop_limit(name, side, size, px, other_px, **more),
        }[order_type]
        return self._apply(SubmitOrder("", self.trader.turn(make(self._name()))))

    def _pair(self, side, stop_size, target_size, stop_px, target_px):
        pair = stop(self._name(), side, stop_size, stop_px), limit(self._name(), side, target_size, target_px)
        return self._apply(SubmitOco("", *(self.trader.turn(leg) for leg in pair)))

    def _cancel(self, index):
        return self._apply(CancelOrder("", self._pick(index)))

    def _replace(self, index, size, stop_px, limit_px):
        old = self._pick(index)
        report = self.venue.order(old)
        if report is None:
            return self._apply(CancelOrder("", old))
        order = msgspec.structs.replace(
            report.order,
            client_order_id=self._name(),
            quantity=d(size),
            stop_px=None if report.order.stop_px is None else self.trader.px(d(stop_px)),
            limit_px=None if report.order.limit_px is None else self.trader.px(d(limit_px)),
        )
        return self._apply(ReplaceOrder("", old, order))

    def _quote(self, bid, spread, bid_qty, ask_qty):
        bid, ask, bid_qty, ask_qty = d(bid), d(bid + spread), d(bid_qty), d(ask_qty)
        if self.trader.mirrored:
            bid, ask, bid_qty, ask_qty = 200 - ask, 200 - bid, ask_qty, bid_qty
        return self.venue.on_quote(Quote("X", bid, ask, self.trader.tick(), 0, bid_qty, ask_qty))

    def _bar(self, open_px, up, down, model):
        return self.venue.on_bar(self.trader._bar(open_px, open_px + up, open_px - down, open_px), model)

    def _close(self, px):
        return self.venue.on_close(self.trader._bar(px, px, px, px))

    def _session(self):
        return self.venue.end_session(self.trader.tick())

    def _halt(self):
        self.venue.halt("X")
        return []

    def _resume(self):
        self.venue.resume("X")
        return []

    def _bust(self, index):
        return self.venue.bust(f"X{index}", self.trader.tick())


def venue_named(venues):
    return pytest.mark.parametrize("capabilities", venues, ids=[venue.name for venue in venues])


@venue_named(VENUES)
@TRIES
@given(stories_with_busts, st.sampled_from(FeeAsset))
def test_units_and_money_are_conserved(capabilities, story, fee_asset):
    """Position = held + buys - sells - base fees, cash likewise, from the reports alone."""
    played = Story(capabilities, held=5, fee_rate="0.001", fee_asset=fee_asset)
    units, cash = Decimal(5), Decimal(1000)
    for act in story:
        for report in played.step(act):
            if report.last_qty:
                counts = (-1 if report.exec_ref_id else 1) * report.last_qty
                units += report.side.sign * counts
                cash -= report.side.sign * counts * report.last_px
                fee = -report.fee if report.exec_ref_id else report.fee
                if report.fee_asset is FeeAsset.BASE:
                    units -= fee
                else:
                    cash -= fee
        assert played.venue.position("X") == units
        assert played.venue.equity() == cash + units * (played.venue.last_px("X") or 0)


@venue_named(LOCKING)
@TRIES
@given(stories)
def test_under_an_inventory_lock_nothing_is_sold_that_is_not_held(capabilities, story):
    played = Story(capabilities, held=9, lot_size="0.1", fee_rate="0.001", fee_asset=FeeAsset.BASE)
    for act in story:
        played.step(act)
        assert played.venue.position("X") >= 0
        book = played.venue._desk.books["X"]
        claimed, pairs = Decimal(0), set()
        for order in book.working.values():
            if order.request.side is SELL and order.link is None:
                claimed += order.leaves_qty
            elif order.request.side is SELL and id(order.link) not in pairs:
                pairs.add(id(order.link))
                claimed += max(order.link.stop.leaves_qty, order.link.target.leaves_qty)
        assert book.claimed[SELL] == claimed
        if capabilities.sibling_on_partial is not SiblingOnPartial.NONE:
            assert claimed <= played.venue.position("X")


@venue_named([PERP, EVERYTHING, COUNTED])
@TRIES
@given(stories)
def test_a_reduce_only_fill_never_turns_the_position_over(capabilities, story):
    played = Story(capabilities, held=6)
    position = Decimal(6)
    for act in story:
        for report in played.step(act):
            after = position + report.side.sign * report.last_qty
            order = played.venue.order(report.client_order_id).order
            if report.last_qty and order.reduce_only:
                assert abs(after) < abs(position)
                assert after * position >= 0
            position = after


@venue_named(VENUES)
@TRIES
@given(stories)
def test_an_orders_life_is_told_in_order(capabilities, story):
    """cum_qty only grows, up to the order's size; nothing follows an order's end; each execution is told once."""
    played = Story(capabilities, held=5).play(story)
    cum, ended = Counter(), set()
    for report in played.reports:
        name = report.client_order_id
        assert name not in ended
        assert report.cum_qty >= cum[name]
        cum[name] = report.cum_qty
        if report.status in FINAL_STATUSES:
            ended.add(name)
    for report in played.venue.history():
        assert report.cum_qty <= report.order.quantity
        assert (report.status is OrderStatus.FILLED) == (report.cum_qty == report.order.quantity)
        assert (report.status is OrderStatus.WORKING) == (report.client_order_id not in ended)
    executions = [report.exec_id for report in played.reports if report.exec_id]
    assert executions == [f"X{number}" for number in range(1, len(executions) + 1)]
    assert executions == [fill.exec_id for fill in played.venue.fills(0)]


@venue_named(VENUES)
@TRIES
@given(stories)
def test_no_fill_is_worse_than_its_limit_and_no_stop_fires_early(capabilities, story):
    played = Story(capabilities, held=5)
    for act in story:
        triggered = {order.seq for order in played.venue._desk.history if order.triggered}
        for report in played.step(act):
            chain = played.venue._desk.by_id[report.client_order_id]
            if not report.last_qty:
                continue
            sign, px, order = report.side.sign, report.last_px, chain.request
            if order.limit_px is not None:
                assert sign * px <= sign * order.limit_px
            if order.stop_px is not None and chain.seq not in triggered:
                assert sign * px >= sign * order.stop_px


@venue_named([MARGIN, EVERYTHING, IDEAL_REPLAY])
@TRIES
@given(stories_with_busts)
def test_after_a_quote_nothing_is_left_that_could_trade(capabilities, story):
    """The price index against a plain look at every order."""
    played = Story(capabilities, held=5)
    for act in story:
        played.step(act)
        book = played.venue._desk.books["X"]
        if act[0] != "quote" or book.halted:
            continue
        for order in book.working.values():
            sell = order.request.side is SELL
            px, left = (book.bid, book.bid_left) if sell else (book.ask, book.ask_left)
            sign = order.request.side.sign
            if order.request.stop_px is not None and not order.triggered:
                assert sign * px < sign * order.request.stop_px
            elif order.request.limit_px is None or sign * px <= sign * order.request.limit_px:
                assert left is not None
                assert left < 1
            assert not order.immediate


@venue_named([MARGIN, EVERYTHING, COUNTED, IDEAL_REPLAY])
@TRIES
@example(story=[("pair", SELL, 5, 5, 90, 110), ("bar", 100, 10, 10, FillModel.PATH)])
@given(stories_with_busts)
def test_a_short_is_the_exact_mirror_of_a_long(capabilities, story):
    straight = Story(capabilities, held=5).play(story)
    mirrored = Story(capabilities, held=5, mirrored=True).play(story)
    assert straight.trader.say(straight.reports) == mirrored.trader.say(mirrored.reports)
    assert straight.refusals == mirrored.refusals
    assert straight.trader.position == mirrored.trader.position


@venue_named(VENUES)
@TRIES
@given(stories_with_busts)
def test_the_same_story_twice_gives_the_same_reports_byte_for_byte(capabilities, story):
    first, second = Story(capabilities, held=5).play(story), Story(capabilities, held=5).play(story)
    assert msgspec.json.encode(first.reports) == msgspec.json.encode(second.reports)
    assert first.refusals == second.refusals


@given(st.lists(st.tuples(prices, prices), min_size=1, max_size=6), prices, st.integers(0, 9), st.integers(0, 9))
def test_showing_a_bar_to_each_bracket_alone_is_showing_it_to_all(levels, open_px, up, down):
    together, apart = (Trader(IDEAL_REPLAY) for _ in range(2))
    for number, (stop_px, target_px) in enumerate(levels):
        for trader in (together, apart):
            trader.submit_oco(
                stop(f"B{number}.stop1", SELL, 1, stop_px), limit(f"B{number}.target1", SELL, 1, target_px)
            )
    bar = Bar("X", 9, d(open_px), d(open_px + up), d(open_px - down), d(open_px))
    one_by_one = [apart.venue.on_bar(bar, brackets=[f"B{number}"]) for number in range(len(levels))]
    assert together.venue.on_bar(bar) == [report for reports in one_by_one for report in reports]
