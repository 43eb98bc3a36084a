"""A paper world at a fixed hour with AAPL at 187.20, for the tests of the door: everything real but the account."""

import asyncio
from decimal import Decimal

from grodtd.bootstrap import paper
from grodtd.config.loading import default_config_dir, load
from grodtd.domain.market import Bar, Quote
from grodtd.domain.orders import NewOrder, OrderType, Side

D = Decimal

HOUR_NS = 3_600_000_000_000
NOW_NS = 1_700_000_000 * 1_000_000_000


class FixedClock:
    def now_ns(self):
        return NOW_NS


def quiet_hours(symbol="AAPL", hours=20):
    """Hours in which the price swung two dollars each: an ATR of 2."""
    px, first = D(187), NOW_NS - (hours + 1) * HOUR_NS
    return [Bar(symbol, first + i * HOUR_NS, px, px + 1, px - 1, px) for i in range(hours)]


def in_a_world(story, *, bars=None, settings=None, clock=None, **account):
    """Play `story(world)` on a paper account, the market at 187.18 / 187.20, and return what it returns."""

    async def life():
        configuration = load(default_config_dir(), environ=settings or {})
        bars_at_hand = quiet_hours() if bars is None else bars
        async with paper(configuration, bars=bars_at_hand, clock=clock or FixedClock(), **account) as world:
            await world.quote("AAPL", bid="187.18", ask="187.20")
            return await story(world)

    return asyncio.run(life())


async def buy(world, quantity=100, order_id="my-entry-1", side=Side.BUY):
    """Trade at market and return the fill's price: 187.20 for a buy, 187.18 for a sale."""
    order = NewOrder(order_id, "AAPL", side, OrderType.MARKET, D(quantity))
    return (await world.broker.submit(order)).avg_px


async def protected(world, bracket_id="B1", quantity=100, side=Side.BUY, **more):
    """Buy and have it looked after; return the bracket."""
    px = await buy(world, quantity, f"entry-of-{bracket_id}", side)
    await world.service.protect_fill("AAPL", side, D(quantity), px, bracket_id=bracket_id, **more)
    await world.settle()
    return world.service.bracket(bracket_id)


async def offer(world, bid, ask, units):
    """Let so many units be on offer on either side."""
    quote = Quote("AAPL", D(bid), D(ask), NOW_NS, bid_qty=D(units), ask_qty=D(units))
    world.broker.feed(quote)
    await world.settle()


async def resting(world):
    """What rests at the venue: id -> (units left, stop)."""
    found = {}
    for report in await world.broker.open_orders():
        order = report.order
        found[report.client_order_id] = (order.quantity - report.cum_qty, order.stop_px)
    return found
