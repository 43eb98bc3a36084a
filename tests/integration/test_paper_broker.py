"""The paper broker held against the port: requests, answers and what is pushed, at no distance and at some.

The loop's time is virtual where distance matters: it jumps to the next timer, so nothing here waits.
"""

import asyncio
import selectors
from decimal import Decimal

import pytest

from grodtd.connectors.paper import PaperBroker
from grodtd.domain.errors import NotSent, Refused
from grodtd.domain.events import LinkStatus
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderStatus, OrderType, Side, TimeInForce
from grodtd.ports import Broker
from grodtd.venue.profiles import IDEAL_REPLAY, MARGIN, PERP
from grodtd.venue.venue import SimulatedVenue

MS = 1_000_000


class NoWaiting(selectors.SelectSelector):
    """Instead of waiting, moves the clock on."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("nothing is due any more: something waits for ever")
        if timeout > 0:
            self.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer."""

    def __init__(self):
        self.clock = NoWaiting()
        super().__init__(self.clock)

    def time(self):
        return self.clock.now_s

    def now_ns(self):
        return round(self.clock.now_s * 1_000_000_000)


def run(story, capabilities=MARGIN, *, latency_s=0.0, **account):
    """Run `story(broker, clock)` to its end on a virtual loop."""
    loop = VirtualLoop()
    faults = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    try:
        venue = SimulatedVenue(capabilities, [Instrument("X"), Instrument("Y")], **account)
        broker: Broker = PaperBroker(venue, loop, latency_s=latency_s)
        result = loop.run_until_complete(story(broker, loop))
    finally:
        loop.close()
    assert faults == []
    return result


def market(name, side=Side.BUY, quantity=1, **more):
    return NewOrder(name, "X", side, OrderType.MARKET, Decimal(quantity), **more)


def limit(name, side, quantity, px, **more):
    return NewOrder(name, "X", side, OrderType.LIMIT, Decimal(quantity), limit_px=Decimal(px), **more)


def stop(name, side, quantity, px, **more):
    return NewOrder(name, "X", side, OrderType.STOP, Decimal(quantity), stop_px=Decimal(px), **more)


def quote(px, **more):
    return Quote("X", Decimal(px), Decimal(px), **more)


async def everything(broker):
    """Hang up and return all that was pushed, as words."""
    broker.close()
    return [word(event) async for event in broker.events()]


def word(event):
    if isinstance(event, LinkStatus):
        return "up" if event.up else f"down ({event.reason})"
    if isinstance(event, Quote):
        return f"quote {event.bid}"
    return f"{event.client_order_id} {event.status}"


@pytest.fixture(params=[0.0, 0.05], ids=["at hand", "50 ms away"])
def latency_s(request):
    return request.param


class TestRequests:
    """Each request of the port, near and far."""

    def test_a_submit_answers_with_what_became_of_it(self, latency_s):
        async def story(broker, _):
            broker.feed(quote(100))
            report = await broker.submit(market("B7.entry1"))
            assert (report.status, report.cum_qty, report.avg_px) == (OrderStatus.FILLED, 1, 100)
            return await everything(broker)

        pushed = run(story, latency_s=latency_s)
        assert pushed == ["up", "quote 100", "B7.entry1 working", "B7.entry1 filled", "down (closed)"]

    def test_a_refusal_is_raised_and_nothing_is_pushed(self, latency_s):
        async def story(broker, _):
            with pytest.raises(Refused) as caught:
                await broker.submit(limit("B7.entry1", Side.BUY, 1, "100.001"))
            assert caught.value.code == "bad_tick"
            assert await broker.order("B7.entry1") is None
            return await everything(broker)

        assert run(story, latency_s=latency_s) == ["up", "down (closed)"]

    def test_a_stop_and_its_cancel(self, latency_s):
        async def story(broker, _):
            assert (await broker.submit(stop("s", Side.SELL, 5, 90))).status is OrderStatus.WORKING
            assert [report.client_order_id for report in await broker.open_orders()] == ["s"]
            assert (await broker.cancel("s")).status is OrderStatus.CANCELED
            assert await broker.open_orders() == []
            with pytest.raises(Refused) as caught:
                await broker.cancel("s")
            assert caught.value.code == "too_late"
            with pytest.raises(Refused) as caught:
                await broker.cancel("unheard of")
            assert caught.value.code == "unknown_order"

        run(story, latency_s=latency_s)

    def test_a_replace_answers_for_the_new_id(self, latency_s):
        async def story(broker, _):
            await broker.submit(stop("s1", Side.SELL, 5, 90))
            report = await broker.replace("s1", stop("s2", Side.SELL, 3, 91))
            assert (report.client_order_id, report.status) == ("s2", OrderStatus.WORKING)
            assert (await broker.order("s1")).status is OrderStatus.REPLACED
            assert (await broker.order("s2")).order == stop("s2", Side.SELL, 3, 91)
            return await everything(broker)

        assert run(story, latency_s=latency_s) == ["up", "s1 working", "s1 replaced", "s2 working", "down (closed)"]

    def test_a_linked_pair(self, latency_s):
        async def story(broker, _):
            await broker.submit_oco(stop("s", Side.SELL, 5, 90), limit("t", Side.SELL, 5, 110))
            broker.feed(quote(111))
            return await everything(broker)

        assert run(story, IDEAL_REPLAY, latency_s=latency_s) == [
            "up",
            "s working",
            "t working",
            "quote 111",
            "t filled",
            "s canceled",
            "down (closed)",
        ]

    def test_a_pair_where_there_are_none_is_refused(self, latency_s):
        async def story(broker, _):
            with pytest.raises(Refused) as caught:
                await broker.submit_oco(stop("s", Side.SELL, 5, 90), limit("t", Side.SELL, 5, 110))
            assert caught.value.code == "unsupported"

        run(story, latency_s=latency_s)

    def test_the_account(self, latency_s):
        async def story(broker, clock):
            broker.feed(quote(100))
            await broker.submit(market("b", Side.BUY, 3))
            broker.feed(quote(110))
            assert await broker.position("X") == 3
            assert await broker.position("Y") == 7
            assert await broker.equity() == 1000 + 30
            (fill,) = await broker.fills(0)
            assert (fill.client_order_id, fill.quantity, fill.px) == ("b", 3, 100)
            assert await broker.fills(fill.ts_event_ns + 1) == []
            assert await broker.instruments(["Y"]) == [Instrument("Y")]
            assert await broker.server_time_ns() <= clock.now_ns()
            for question in (broker.position("Z"), broker.instruments(["X", "Z"])):
                with pytest.raises(Refused) as caught:
                    await question
                assert caught.value.code == "unknown_symbol"

        run(story, latency_s=latency_s, cash=Decimal(1000), positions={"Y": Decimal(7)})

    def test_after_hanging_up_nothing_is_sent(self, latency_s):
        async def story(broker, _):
            broker.close("end of day")
            broker.close("twice")
            with pytest.raises(NotSent):
                await broker.submit(market("b"))
            assert broker.venue.order("b") is None
            pushed = [word(event) async for event in broker.events()]
            assert broker._queue.empty()
            return pushed

        assert run(story, latency_s=latency_s) == ["up", "down (end of day)"]


class TestPushed:
    """What the venue does by itself is pushed in order."""

    def test_fills_follow_the_quote_that_made_them(self, latency_s):
        async def story(broker, _):
            await broker.submit(stop("s", Side.SELL, 5, 90))
            for px in (95, 89):
                broker.feed(quote(px))
            return await everything(broker)

        pushed = run(story, latency_s=latency_s)
        assert pushed == ["up", "s working", "quote 95", "quote 89", "s filled", "down (closed)"]

    def test_a_bad_quote_is_shown_but_triggers_nothing(self):
        async def story(broker, _):
            await broker.submit(stop("s", Side.SELL, 5, 90))
            broker.feed(Quote("X", Decimal(85), Decimal(84)))
            return await everything(broker)

        assert run(story) == ["up", "s working", "quote 85", "down (closed)"]

    def test_the_session_ends_and_a_trade_is_busted(self, latency_s):
        async def story(broker, clock):
            broker.feed(quote(100))
            await broker.submit(market("b"))
            await broker.submit(stop("s", Side.SELL, 1, 90, time_in_force=TimeInForce.DAY))
            broker.end_session()
            broker.deliver(broker.venue.bust("X1", clock.now_ns()))
            broker.deliver([])
            return await everything(broker)

        pushed = run(story, latency_s=latency_s)
        assert pushed[-4:] == ["s working", "s expired", "b filled", "down (closed)"]


class TestDistance:
    """Fifty milliseconds each way."""

    def test_a_round_trip_takes_twice_the_latency_and_times_say_so(self):
        async def story(broker, clock):
            broker.feed(quote(100))
            report = await broker.submit(market("b"))
            assert clock.now_ns() == 100 * MS
            assert (report.ts_event_ns, report.ts_received_ns) == (50 * MS, 100 * MS)
            broker.close()
            async for event in broker.events():
                if isinstance(event, ExecutionReport):
                    assert (event.ts_event_ns, event.ts_received_ns) == (50 * MS, 100 * MS)

        run(story, latency_s=0.05)

    def test_a_stop_fills_while_its_cancel_is_under_way(self):
        async def story(broker, _):
            broker.feed(quote(100))
            await broker.submit(stop("s", Side.SELL, 1, 90))
            cancel = asyncio.ensure_future(broker.cancel("s"))
            await asyncio.sleep(0.01)
            broker.feed(quote(89))
            with pytest.raises(Refused) as caught:
                await cancel
            assert caught.value.code == "too_late"
            assert await broker.position("X") == -1

        run(story, latency_s=0.05)

    def test_a_caller_who_gives_up_takes_nothing_back(self):
        async def story(broker, _):
            broker.feed(quote(100))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(broker.submit(market("b")), timeout=0.02)
            assert await broker.order("b") is not None
            assert await broker.position("X") == 1

        run(story, latency_s=0.05)

    def test_a_refusal_nobody_waits_for_is_no_fault(self):
        async def story(broker, _):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(broker.cancel("unheard of"), timeout=0.02)
            assert await broker.open_orders() == []

        run(story, latency_s=0.05)

    def test_requests_of_one_instant_arrive_in_the_order_they_were_made(self):
        async def story(broker, _):
            broker.feed(quote(100))
            names = [f"b{number}" for number in range(40)]
            await asyncio.gather(*(broker.submit(market(name)) for name in names))
            assert [fill.client_order_id for fill in await broker.fills(0)] == names
            reports = [word for word in await everything(broker) if word.endswith("filled")]
            assert reports == [f"{name} filled" for name in names]

        run(story, latency_s=0.05)

    def test_a_query_sees_the_venue_as_it_was_when_it_arrived(self):
        async def story(broker, _):
            submitted = asyncio.ensure_future(broker.submit(stop("s", Side.SELL, 1, 90)))
            await asyncio.sleep(0.01)
            assert (await broker.order("s")).status is OrderStatus.WORKING
            await submitted
            seen = asyncio.ensure_future(broker.order("s"))
            await asyncio.sleep(0.06)
            broker.feed(quote(89))
            assert (await seen).status is OrderStatus.WORKING
            assert (await broker.order("s")).status is OrderStatus.FILLED

        run(story, latency_s=0.05)

    def test_an_order_that_arrives_too_late_is_dropped(self):
        async def story(broker, _):
            with pytest.raises(Refused) as caught:
                await broker.submit(market("b", valid_until_ns=49 * MS))
            assert caught.value.code == "expired"
            assert (await broker.submit(stop("s", Side.SELL, 1, 90, valid_until_ns=1000 * MS))).cum_qty == 0

        run(story, PERP, latency_s=0.05)

    def test_latency_is_not_negative(self):
        with pytest.raises(ValueError, match="latency_s"):
            PaperBroker(SimulatedVenue(MARGIN, []), StoppedClock(), latency_s=-1)


class StoppedClock:
    def now_ns(self):
        return 1


def test_the_same_story_runs_on_a_plain_loop_too():
    async def story():
        broker = PaperBroker(SimulatedVenue(MARGIN, [Instrument("X")]), StoppedClock(), latency_s=0.001)
        broker.feed(quote(100))
        report = await broker.submit(market("b"))
        broker.close()
        return report.status, [word(event) async for event in broker.events()]

    status, pushed = asyncio.run(story())
    assert status is OrderStatus.FILLED
    assert pushed == ["up", "quote 100", "b working", "b filled", "down (closed)"]
