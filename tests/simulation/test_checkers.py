"""Each checker is shown able to fail: it is fed a world in which its promise is broken, and one in which it is kept."""

from collections import Counter
from decimal import Decimal
from random import Random

import pytest

from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.market import Quote
from grodtd.domain.orders import NewOrder, OrderType, Side
from grodtd.ports import Record
from grodtd.simulation.checkers import REQUESTS, REQUESTS_OF_ONE, Safety
from grodtd.simulation.faults import Faults
from grodtd.simulation.link import Eyes, Link
from grodtd.simulation.liveness import LEAVING_S, SLACK_S, Liveness, LocalView
from grodtd.simulation.session import Session
from grodtd.simulation.strategies import TRAIL
from grodtd.simulation.truth import Books, Position, ids_of
from grodtd.venue.profiles import MARGIN, NO_STOPS, PERP, SPOT_OCO, usual_instrument
from grodtd.venue.venue import SimulatedVenue

NS = 1_000_000_000
LIVE = {"X": True}


class Scene:
    """A long bracket B1 of 10 units, its stop wanted at 90, the market at 100."""

    def __init__(self, capabilities=MARGIN, **rules):
        instrument = usual_instrument(capabilities, "X", lot_size=Decimal(1), **rules)
        self.venue = SimulatedVenue(capabilities, [instrument], cash=Decimal(10**6))
        self.books = Books(self.venue, {"X": instrument})
        faults = Faults(Random(1))
        faults.calm = True
        self.link = Link(self.venue, faults, Random(1), lambda: NS, Eyes())
        self.session = Session(self.link)
        self.session._compared |= {"orders", "fills"}
        self.safety, self.liveness = Safety(self.books, self.link), Liveness(self.books)
        self.position = Position("B1", "user-1", Side.BUY, "X", accepted=True)
        self.books.expect(self.position)
        self.quote(100)
        self.fill("user-1", Side.BUY, 10)

    def quote(self, px):
        self.safety.reported(self.venue.on_quote(Quote("X", Decimal(px), Decimal(px), NS)))

    def fill(self, client_id, side, units):
        self.rest(client_id, side, OrderType.MARKET, units)

    def rest(self, client_id, side=Side.SELL, kind=OrderType.STOP, units=10, px=90, symbol="X"):
        command = SubmitOrder("", an_order(client_id, side, kind, units, px, symbol))
        if "." in client_id:
            self.safety.arriving(command)
        if symbol == "X":
            self.safety.reported(self.venue.apply(command, NS))

    def send(self, command, *, durable=True, times=1):
        records = [a_record(command)] if durable else []
        for _ in range(times):
            self.session.requests.append(NS)
            self.safety.sending(self.session, command, records, NS)

    def wait(self, seconds, px=100):
        bid = Decimal(px)
        self.books.touched()
        for _ in range(int(seconds)):
            self.liveness.pass_time(1.0, LIVE, {"X": (bid, bid)})

    def calm(self, *, open_orders=(), open_qty=10, stop_px=90, unresolved=()):
        view = LocalView(frozenset(open_orders), Decimal(open_qty), Decimal(stop_px))
        self.liveness.converged({"B1": view}, list(unresolved))

    @property
    def broken(self):
        return sorted(Counter(invariant for invariant, _ in self.books.violations))


def an_order(client_id, side=Side.SELL, kind=OrderType.STOP, units=10, px=90, symbol="X"):
    stop_px = Decimal(px) if kind is OrderType.STOP else None
    limit_px = Decimal(px) if kind is OrderType.LIMIT else None
    return NewOrder(client_id, symbol, side, kind, Decimal(units), stop_px=stop_px, limit_px=limit_px)


def a_record(command):
    names = "".join(f'"client_order_id":"{client_id}",' for client_id in ids_of(command))
    return Record(1, NS, "command", "B1", f'{{"type":"{type(command).__name__}",{names}}}'.encode())


def test_a_protected_position_breaks_nothing():
    scene = Scene()
    scene.send(SubmitOrder("", an_order("B1.stop1")))
    scene.rest("B1.stop1")
    scene.wait(100)
    scene.calm(open_orders=["B1.stop1"])
    assert scene.broken == []


def sold_twice(scene):
    scene.fill("B1.exit1", Side.SELL, 10)
    scene.fill("B1.exit2", Side.SELL, 10)


def two_full_stops(scene):
    scene.rest("B1.stop1")
    scene.rest("B1.stop2")


def a_second_exit_while_the_first_may_arrive(scene):
    scene.link.take_off(SubmitOrder("", an_order("B1.exit1", kind=OrderType.MARKET)))
    scene.send(SubmitOrder("", an_order("B1.exit2", kind=OrderType.MARKET)))


def buying_back_more_than_was_oversold(scene):
    scene.send(SubmitOrder("", an_order("B1.remedy1", side=Side.BUY, kind=OrderType.MARKET, units=1)))


def a_change_to_more_than_is_open_while_another_stop_arrives(scene):
    scene.rest("B1.stop1", units=5)
    scene.link.take_off(ReplaceOrder("", "B1.stop1", an_order("B1.stop2", units=10)))
    scene.rest("B1.stop3", units=5)


def another_stop_while_one_may_arrive(scene):
    scene.link.take_off(SubmitOrder("", an_order("B1.stop1")))
    scene.rest("B1.stop2")


def a_looser_stop(scene):
    scene.rest("B1.stop1", units=5, px=95)
    scene.send(SubmitOrder("", an_order("B1.stop2", units=5, px=94)))


def another_brackets_name(scene):
    scene.rest("B9.stop1")


def the_wrong_side(scene):
    scene.rest("B1.stop1", side=Side.BUY, px=110)


def the_wrong_symbol(scene):
    scene.rest("B1.stop1", symbol="Y")


def not_in_the_journal(scene):
    scene.send(SubmitOrder("", an_order("B1.stop1")), durable=False)


def a_cancel_not_in_the_journal(scene):
    scene.send(CancelOrder("", "B1.stop1"), durable=False)


def hammering_one_bracket(scene):
    scene.send(CancelOrder("", "B1.stop1"), times=REQUESTS_OF_ONE + 1)


def hammering_the_venue(scene):
    scene.session.requests.extend([NS] * REQUESTS)
    scene.send(CancelOrder("", "B1.stop1"))


def acting_before_comparing(scene):
    scene.session.link_changed()
    scene.send(SubmitOrder("", an_order("B1.stop1")))


def naked_for_long(scene):
    scene.wait(SLACK_S + 2)


def a_stop_for_half(scene):
    scene.rest("B1.stop1", units=5)
    scene.wait(SLACK_S + 2)


def an_orphan(scene):
    scene.fill("B1.exit1", Side.SELL, 10)
    scene.rest("B1.target1", units=0 + 1, kind=OrderType.LIMIT, px=120)
    scene.books.violations.clear()
    scene.wait(SLACK_S + 2)


def told_to_get_out_and_stays(scene):
    scene.rest("B1.stop1")
    scene.position.flatten = True
    scene.wait(LEAVING_S + 2)


def something_unresolved(scene):
    scene.rest("B1.stop1")
    scene.calm(open_orders=["B1.stop1"], unresolved=["B1.stop2"])


def a_belief_in_an_order_that_is_not_there(scene):
    scene.rest("B1.stop1")
    scene.calm(open_orders=["B1.stop1", "B1.target1"])


def calm_and_naked(scene):
    scene.calm()


def a_stop_elsewhere_than_declared(scene):
    scene.rest("B1.stop1")
    scene.calm(open_orders=["B1.stop1"], stop_px=95)


def other_quantities_than_there(scene):
    scene.rest("B1.stop1")
    scene.calm(open_orders=["B1.stop1"], open_qty=9)


def nothing_known_of_it(scene):
    scene.liveness.converged({}, [])


def still_open_at_the_end(scene):
    scene.liveness.ended({})


def residue_that_could_be_sold(scene):
    scene.rest("B1.stop1", units=1)
    scene.venue.apply(CancelOrder("", "B1.stop1"), NS)
    scene.books.touched()
    scene.liveness.ended({"B1": LocalView(frozenset(), Decimal(10), Decimal(90), residue=True)})


def an_order_left_at_the_end(scene):
    scene.rest("B1.stop1", units=10)
    scene.position.net = Decimal(0)
    scene.liveness.ended({})


def an_entry_sent_twice(scene):
    entry = SubmitOrder("", an_order("B1.entry1", side=Side.BUY, kind=OrderType.MARKET))
    scene.send(entry, times=2)


def an_entry_that_sells(scene):
    scene.safety.arriving(SubmitOrder("", an_order("B1.entry1", kind=OrderType.MARKET)))


def an_entry_left_at_the_end(scene):
    scene.rest("B1.entry1", side=Side.BUY, kind=OrderType.LIMIT, px=50)
    scene.rest("B1.exit1", kind=OrderType.MARKET)
    scene.position.entry_id = "B1.entry1"
    scene.liveness.ended({})


def a_trail_that_stands_still(scene):
    scene.position.strategy = TRAIL
    scene.rest("B1.stop1")
    scene.wait(60, px=110)
    scene.liveness.quoted({"X": (Decimal(110), Decimal(110))})
    scene.calm(open_orders=["B1.stop1"])


def oversold_where_it_could_be_bought_back(scene):
    scene.rest("B1.exit1", kind=OrderType.MARKET, units=10)
    scene.position.net = Decimal(-2)
    scene.position.disturbed = True
    scene.liveness.ended({"B1": LocalView(frozenset(), Decimal(-2), Decimal(90), residue=True)})


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        (sold_twice, ["S1"]),
        (two_full_stops, ["S2"]),
        (a_second_exit_while_the_first_may_arrive, ["S3"]),
        (another_stop_while_one_may_arrive, ["S3"]),
        (buying_back_more_than_was_oversold, ["S3"]),
        (a_change_to_more_than_is_open_while_another_stop_arrives, ["S3"]),
        (a_looser_stop, ["S4"]),
        (another_brackets_name, ["S5"]),
        (the_wrong_side, ["S5"]),
        (the_wrong_symbol, ["S5"]),
        (not_in_the_journal, ["S6"]),
        (a_cancel_not_in_the_journal, ["S6"]),
        (hammering_one_bracket, ["S8"]),
        (hammering_the_venue, ["S8"]),
        (acting_before_comparing, ["L5"]),
        (naked_for_long, ["L1"]),
        (a_stop_for_half, ["L1"]),
        (an_orphan, ["L2"]),
        (told_to_get_out_and_stays, ["L4"]),
        (something_unresolved, ["L3"]),
        (a_belief_in_an_order_that_is_not_there, ["L3"]),
        (calm_and_naked, ["L3"]),
        (a_stop_elsewhere_than_declared, ["L3"]),
        (other_quantities_than_there, ["S7"]),
        (nothing_known_of_it, ["L3"]),
        (still_open_at_the_end, ["L4"]),
        (residue_that_could_be_sold, ["L4"]),
        (an_order_left_at_the_end, ["L2"]),
        (an_entry_sent_twice, ["S3"]),
        (an_entry_that_sells, ["S5"]),
        (an_entry_left_at_the_end, ["L4"]),
        (a_trail_that_stands_still, ["L3"]),
        (oversold_where_it_could_be_bought_back, ["L4"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_promise_is_seen(broken, names):
    scene = Scene()
    broken(scene)
    assert scene.broken == names


def test_what_was_lost_on_the_way_excuses_a_longer_wait():
    scene = Scene()
    scene.liveness.excuse("B1.stop1", 15)
    scene.wait(SLACK_S + 10)
    assert scene.broken == []
    scene.wait(10)
    assert scene.broken == ["L1"]


def test_a_trail_that_followed_breaks_nothing():
    scene = Scene()
    scene.position.strategy = TRAIL
    scene.quote(110)
    scene.rest("B1.stop1", px=109)
    scene.wait(60, px=110)
    scene.liveness.quoted({"X": (Decimal(110), Decimal(110))})
    scene.calm(open_orders=["B1.stop1"], stop_px=109)
    assert scene.broken == []


def test_orders_he_kept_may_sell_what_others_lack():
    """He took B1 back with its stop: when that sells more than B1 had, B2's units are judged by the account."""
    scene = Scene(PERP)
    other = Position("B2", "user-2", Side.BUY, "X", accepted=True)
    scene.books.expect(other)
    scene.fill("user-2", Side.BUY, 5)
    scene.position.released = scene.position.keeps_orders = True
    scene.rest("B1.stop1", kind=OrderType.MARKET, units=13)
    assert scene.books.sold_by_hand == {"X": 3}
    scene.rest("B2.stop1", units=2)
    scene.wait(LEAVING_S + 10)
    assert scene.broken == []


def test_what_was_sold_too_much_and_is_too_little_to_buy_back_others_lack():
    scene = Scene(SPOT_OCO, min_notional=Decimal(300))
    scene.position.tightest = Decimal(90)
    scene.position.net = Decimal(-2)
    other = Position("B2", "user-2", Side.BUY, "X", accepted=True, net=Decimal(10))
    scene.books.expect(other)
    assert scene.books.lacking(other) == 2
    scene.position.net = Decimal(-5)
    assert scene.books.lacking(other) == 0


def test_a_linked_pair_counts_once():
    scene = Scene(SPOT_OCO)
    pair = SubmitOco("", an_order("B1.stop1", units=9), an_order("B1.target1", kind=OrderType.LIMIT, units=9, px=120))
    scene.send(pair)
    scene.safety.arriving(pair)
    scene.safety.reported(scene.venue.apply(pair, NS))
    assert scene.broken == []


def test_where_no_stop_can_rest_the_price_must_not_stay_through_the_level():
    scene = Scene(NO_STOPS)
    scene.position.tightest = Decimal(90)
    scene.wait(100, px=95)
    assert scene.broken == []
    scene.wait(SLACK_S + 2, px=89)
    assert scene.broken == ["L1"]
