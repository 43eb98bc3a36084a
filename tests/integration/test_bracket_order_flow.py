"""From the entry's first fill to the end, with the same reports arriving in every order there is.

What the venue did is fixed; what it said arrives shuffled and repeated. Whatever the order, the quantities and the
final states are the same, and what is open ends covered. Commands may differ on the way: a stop may be sent sooner.
"""

from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grodtd.domain.commands import CancelOrder, QueryOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.orders import ExecutionReport, OrderStatus, OrderType, TimeInForce
from tests.unit.engine_kit import PERP, STOPS, Trade, d

WORKING, FILLED, CANCELED, EXPIRED = (
    OrderStatus.WORKING,
    OrderStatus.FILLED,
    OrderStatus.CANCELED,
    OrderStatus.EXPIRED,
)


class Truth:
    """The venue as it is when all is said: answers every request with the truth, at once."""

    def __init__(self, trade, said):
        self.trade, self.orders = trade, {}
        """client order id -> [quantity, cum, status, kind]"""
        trade.engine.process = self._process(trade.engine.process)
        self.waiting = []
        self.final = {}
        for report in said:
            known = self.final.get(report.client_order_id)
            if known is None or report.cum_qty >= known.cum_qty:
                self.final[report.client_order_id] = report

    def _process(self, process):
        def kept(event):
            outcome = process(event)
            self.waiting += outcome.commands
            return outcome

        return kept

    def settle(self, first):
        """Carry out everything asked for until nothing more is."""
        self.waiting = [*first, *self.waiting]
        for _ in range(60):
            while self.waiting:
                self._answer(self.waiting.pop(0))
            self.trade.wait(5)
            if not self.waiting:
                return
        raise AssertionError("the engine keeps asking")

    def _answer(self, command):
        if isinstance(command, SubmitOco):
            for leg in (command.stop, command.target):
                self._take(leg)
        elif isinstance(command, SubmitOrder):
            self._take(command.order)
        elif isinstance(command, ReplaceOrder):
            if self._open(command.client_order_id):
                self.orders[command.client_order_id][2] = CANCELED
                cum = self.orders[command.client_order_id][1]
                self._take(command.order, cum)
            else:
                self.trade.refuses(command.client_order_id, "too_late", "replace", command.order.client_order_id)
        elif isinstance(command, CancelOrder):
            if self._open(command.client_order_id):
                self._end(command.client_order_id, CANCELED)
            else:
                self.trade.refuses(command.client_order_id, "too_late", "cancel")
                self._tell(command.client_order_id)
        elif isinstance(command, QueryOrder):
            self._tell(command.client_order_id)

    def _take(self, order, cum=Decimal(0)):
        cid = order.client_order_id
        if cid in self.final:  # its story is told already
            report = self.final[cid]
            self.orders.setdefault(cid, [order.quantity, report.cum_qty, report.status])
            return
        self.orders[cid] = [order.quantity, cum, WORKING]
        if order.order_type is OrderType.MARKET or order.time_in_force is TimeInForce.IOC:
            self.orders[cid][1:] = [order.quantity, FILLED]
            self.trade.fills(cid, order.quantity - cum)
        else:
            self.trade.reports(cid, WORKING, cum)

    def _open(self, cid):
        return cid in self.orders and self.orders[cid][2] is WORKING

    def _end(self, cid, status):
        self.orders[cid][2] = status
        self.trade.reports(cid, status, self.orders[cid][1])

    def _tell(self, cid):
        _, cum, status = self.orders[cid]
        self.trade.answers(cid, status, cum, 100 if cum else None)

    def begin(self, cid, quantity):
        report = self.final[cid]
        self.orders[cid] = [d(quantity), report.cum_qty, report.status]


def of(cid, *news):
    """What is said of one order: "ack", sizes of executions with their price, and its end."""
    said, cum, number = [], Decimal(0), 0
    for item in news:
        if item == "ack":
            said.append(ExecutionReport(f"B.{cid}", WORKING, cum))
        elif isinstance(item, tuple):
            size, px = item
            cum, number = cum + size, number + 1
            status = FILLED if item is news[-1] else WORKING
            said.append(ExecutionReport(f"B.{cid}", status, cum, f"{cid}:{number}", d(size), d(px)))
        else:
            said.append(ExecutionReport(f"B.{cid}", item, cum))
    return said


STORIES = {
    "the entry fills on while the stop rests": (
        of("entry1", (4, 100), (2, 101), (4, 99)) + of("stop1", "ack"),
        "open 10",
    ),
    "the stop is hit while the entry fills on": (
        of("entry1", (4, 100), (3, 101), (3, 99)) + of("stop1", "ack", (1, 90), (3, 90)),
        "open 6",
    ),
    "the entry is canceled after a part, and the stop is hit": (
        of("entry1", (4, 100), CANCELED) + of("stop1", "ack", (2, 90), (2, 90)),
        "closed 0",
    ),
    "the stop fills in part and is canceled by the venue": (
        of("entry1", (4, 100), (6, 100)) + of("stop1", "ack", (1, 90), CANCELED),
        "open 9",
    ),
    "the entry expires unfilled on": (of("entry1", (4, 100), EXPIRED) + of("stop1", "ack"), "open 4"),
    "the stop expires, as orders do": (of("entry1", (4, 100), (6, 102)) + of("stop1", "ack", EXPIRED), "open 10"),
}


def played(capabilities, said, arrival, mirrored=False):
    """Play one arrival of the reports; the first part of the entry is what the bracket began with."""
    trade = Trade(capabilities, filled=4, mirrored=mirrored)
    truth = Truth(trade, said)
    truth.begin("B.entry1", 10)
    truth.begin("B.stop1", 4)
    for report in arrival:
        trade.fills_so_far[report.client_order_id.removeprefix("B.")] = report.cum_qty
        trade.tell(_mirror(report) if mirrored else report)
    truth.settle([])
    return trade, truth


def _mirror(report):
    return (
        report
        if report.last_px is None
        else type(report)(
            report.client_order_id, report.status, report.cum_qty, report.exec_id, report.last_qty, 200 - report.last_px
        )
    )


def seen(trade):
    cover = trade.cover
    final = {name: trade.state(name) for name in ("entry1", "stop1")}
    return f"{trade.phase} {trade.open}", final, cover.sellable_qty <= cover.committed_qty


@pytest.mark.parametrize("capabilities", [STOPS, PERP], ids=["stop", "pair"])
@pytest.mark.parametrize("name", STORIES)
def test_every_order_of_arrival_ends_alike(name, capabilities):
    said, expected = STORIES[name]
    said = [report for report in said if report.exec_id != "entry1:1"]  # the bracket began with it
    assert len(said) <= 6
    ends = set()
    for arrival in permutations(said):
        trade, _ = played(capabilities, said, arrival)
        outcome, final, covered = seen(trade)
        assert covered, arrival
        ends.add((outcome, *sorted(final.items())))
    assert len(ends) == 1
    assert {end[0] for end in ends} == {expected}


@given(st.data())
@settings(max_examples=150)
def test_repeated_and_shuffled_long_or_short_it_ends_alike(data):
    name = data.draw(st.sampled_from(sorted(STORIES)))
    said, expected = STORIES[name]
    copies = data.draw(st.lists(st.sampled_from(said), max_size=6))
    arrival = data.draw(st.permutations(said + copies))
    mirrored = data.draw(st.booleans())
    capabilities = data.draw(st.sampled_from([STOPS, PERP]))
    trade, _ = played(capabilities, said, arrival, mirrored)
    outcome, _, covered = seen(trade)
    assert (outcome, covered) == (expected, True)
