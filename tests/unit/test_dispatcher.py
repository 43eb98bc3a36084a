"""What waits for what on the way to the broker."""

import asyncio

import pytest

from grodtd.domain.commands import QueryOrder, Reconcile, SubmitOrder
from grodtd.domain.errors import OutcomeUnknown
from grodtd.domain.events import BracketReconciled
from grodtd.domain.orders import NewOrder, OrderReport, OrderStatus, OrderType, Side
from grodtd.runtime.clocks import LoopClock
from grodtd.runtime.dispatcher import Dispatcher
from tests.unit.engine_kit import d


class Deaf:
    """A broker that takes orders and answers no question."""

    def __init__(self):
        self.submitted = []

    async def submit(self, order):
        self.submitted.append(order.client_order_id)
        return OrderReport(order.client_order_id, OrderStatus.WORKING)

    async def order(self, client_order_id):
        await asyncio.Event().wait()

    async def fills(self, since_ns):
        return []


async def durable():
    pass


def test_a_stop_goes_out_while_the_venue_answers_no_question():
    async def story():
        broker, told = Deaf(), []
        clock = LoopClock(asyncio.get_running_loop(), 0)
        dispatcher = Dispatcher(broker, clock, told.append, lambda name: [], timeout_s=600, max_in_flight=2)
        for number in range(5):
            dispatcher.send(QueryOrder(f"B{number}", f"B{number}.stop1"), durable)
        for _ in range(9):
            await asyncio.sleep(0)  # the questions are under way
        stop = NewOrder("C.stop1", "X", Side.SELL, OrderType.STOP, d(10), stop_px=d(90))
        dispatcher.send(SubmitOrder("C", stop), durable)
        for _ in range(9):
            await asyncio.sleep(0)
        await dispatcher.stop()
        assert broker.submitted == ["C.stop1"]
        assert [type(fact) for fact in told] == [OrderReport]

    asyncio.run(story())


class Halting(Deaf):
    """A broker that answers about one order and not about the other."""

    def __init__(self, silent):
        super().__init__()
        self.silent = silent

    async def order(self, client_order_id):
        if client_order_id in self.silent:
            raise OutcomeUnknown("no answer")
        return OrderReport(client_order_id, OrderStatus.WORKING)


@pytest.mark.parametrize(("silent", "compared"), [((), True), (("B.target1",), False)])
def test_a_bracket_is_compared_only_when_every_order_was_answered(silent, compared):
    async def story():
        told = []
        clock = LoopClock(asyncio.get_running_loop(), 0)
        dispatcher = Dispatcher(Halting(silent), clock, told.append, lambda name: ["B.stop1", "B.target1"])
        dispatcher.send(Reconcile("B"), durable)
        await dispatcher.settle()
        assert isinstance(told[-1], BracketReconciled) == compared
        assert told[0].client_order_id == "B.stop1"

    asyncio.run(story())
