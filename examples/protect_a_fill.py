"""Buy, protect the fill, watch the target being taken, and read what happened.

Run it as it stands:  python examples/protect_a_fill.py

The account here is a paper one. Nothing else would change with a real broker: the same engine, the same rules.
"""

import asyncio
from decimal import Decimal

from grodtd.bootstrap import paper
from grodtd.domain.market import Bar
from grodtd.domain.orders import NewOrder, OrderType, Side
from grodtd.runtime.clocks import SystemClock

HOUR_NS = 3_600_000_000_000


def quiet_hours(symbol: str, now_ns: int) -> list[Bar]:
    """Twenty hours in which the price swung two dollars an hour: an ATR of 2."""
    first = now_ns - 21 * HOUR_NS
    px = Decimal(187)
    return [Bar(symbol, first + i * HOUR_NS, px, px + 1, px - 1, px) for i in range(20)]


async def main() -> None:
    """Buy, hand over, and watch."""
    clock = SystemClock()
    async with paper(bars=quiet_hours("AAPL", clock.now_ns()), clock=clock) as world:
        # Your program buys 100 AAPL, in its own way; here with a market order that fills at 187.20.
        await world.quote("AAPL", bid="187.18", ask="187.20")
        entry = await world.broker.submit(NewOrder("my-entry-1", "AAPL", Side.BUY, OrderType.MARKET, Decimal(100)))
        fill_px = entry.avg_px or Decimal(0)

        # From here on the position is looked after.
        bracket = await world.service.protect_fill("AAPL", Side.BUY, entry.cum_qty, fill_px, bracket_id="B1")
        await world.settle()

        # The stop is 2 ATR away; AAPL's own ratio (configs/risk_reward.yaml) puts the target 1.8 times as far.
        print(f"bought at {fill_px}; stop {bracket.stop_px}, target {bracket.target_px}")
        print(f"plan {bracket.plan.value}: {bracket.plan_reason}")
        for order in await world.broker.open_orders():
            print(f"resting at the venue: {order.client_order_id}")

        # The market rises through the target: the stop is cancelled first, then the target sells what is left.
        await world.quote("AAPL", bid="190.00", ask="190.02")
        await world.quote("AAPL", bid="194.50", ask="194.52")

        bracket = world.service.bracket("B1")
        print(f"bracket {bracket.phase.value}; position at the venue {await world.broker.position('AAPL')}")


asyncio.run(main())
