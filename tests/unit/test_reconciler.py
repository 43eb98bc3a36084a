"""What a comparison with the venue concludes."""

import asyncio

import pytest
from msgspec.structs import replace

from grodtd.domain.orders import ExecutionReport, OrderReport, OrderStatus
from grodtd.runtime.reconciler import SURELY_MISSING_NS, Reconciler
from tests.unit.engine_kit import Trade, d


class Venue:
    """It lists no fill, knows of a stop by its first id alone, and tells the time."""

    def __init__(self, cum_qty):
        self.cum_qty, self.time_ns = cum_qty, 2_000 * 10**9

    def now_ns(self):
        return self.time_ns

    async def open_orders(self):
        return []

    async def fills(self, since_ns):
        return []

    async def position(self, symbol):
        return d(0)

    async def order(self, client_order_id):
        known = client_order_id == "B.stop1"
        return OrderReport(client_order_id, OrderStatus.CANCELED, cum_qty=d(self.cum_qty)) if known else None


@pytest.mark.parametrize(("cum_there", "undone"), [(0, ["B.stop2"]), (10, [])])
def test_a_fill_undone_is_noticed_though_the_order_was_to_be_replaced_when_it_died(cum_there, undone):
    """The order was called stop1 when it filled; stop2, which was to take its place, never came to be."""
    trade = Trade()
    trade.fills("stop1", 10, 90)
    bracket = trade.engine.bracket("B")
    entry, stop = bracket.orders
    stop = replace(stop, client_order_id="B.stop2", past_ids=("B.stop1",))
    bracket = replace(bracket, orders=(entry, stop))
    venue, told = Venue(cum_there), []
    reconciler = Reconciler(venue, venue, lambda: [bracket], lambda fact: bool(told.append(fact)))
    for _ in range(2):
        assert asyncio.run(reconciler.run_pass()).complete
        venue.time_ns += SURELY_MISSING_NS
    assert [fact.client_order_id for fact in told if isinstance(fact, ExecutionReport)] == undone
