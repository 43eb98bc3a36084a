"""Death at every boundary: a scripted life, and a process that dies at its Nth write, commit or send.

Each life has an entry that fills in three pieces, a stop taken away, and an end. In the plain one and the one sold in
parts targets are touched and missed; in the trailing one the price rises in steps, and falls a little. No other faults:
what is tried here is every place a process can die in, and die again while it recovers.
"""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.orders import NewOrder, OrderStatus, OrderType
from grodtd.runtime.runner import Runner
from grodtd.simulation.market import SYMBOL
from grodtd.simulation.process import Disk
from grodtd.simulation.strategies import TRAIL
from grodtd.simulation.virtual_time import run_virtually
from grodtd.simulation.world import History, World

Path = tuple[tuple[float, str, str | None], ...]
TOUCHED: Path = (
    # (from second, price at the venue for a long, units at the touch): a short sees the mirror
    (0.0, "100.00", None),
    (2.0, "100.00", "1.0"),
    (6.0, "101.90", "0.7"),
    (6.5, "100.50", "1.0"),
    (14.0, "101.90", "0.5"),
    (14.5, "100.20", None),
)
RISING: Path = (
    (0.0, "100.00", None),
    (2.0, "100.00", "1.0"),
    (5.0, "100.90", None),
    (7.0, "101.80", None),
    (9.0, "102.40", None),
    (12.0, "102.70", None),
    (14.0, "102.30", None),
)
LIVES: dict[str, Path] = {"default": TOUCHED, "halves": TOUCHED, TRAIL: RISING}
"""By strategy."""
TAKEN_AT_S = 10.0


class Killed(BaseException):
    """The process died here. Not an error: nothing may catch it."""


class ScriptedWorld(World):
    """One life without chance; the process dies at the boundaries named."""

    chaos_s, calm_s, end_s = 25.0, 40.0, 40.0
    clean = True

    def __init__(self, profile: str, disk: Disk, deaths: tuple[int, ...], strategy: str = "default") -> None:
        """Die at the Nth boundary for each N in `deaths`, counted over all processes."""
        super().__init__(0, profile, disk)
        self.faults.calm = True
        self.streets = {SYMBOL: self.streets[SYMBOL]}
        self.street = self.streets[SYMBOL]
        self.market.streets = self.streets
        self.deaths, self._strategy = deaths, strategy
        self.boundaries = 0
        self._entered = self._taken = False

    def boundary(self, kind: str) -> None:
        """Count, and die where the plan says."""
        if self.process is None:
            return
        self.boundaries += 1
        if self.boundaries in self.deaths:
            self.log(f"dies at boundary {self.boundaries} ({kind})")
            self._kill()
            raise Killed

    async def live(self) -> History:
        """Play the life; see that nothing that dies with the process is reported as an error."""
        asyncio.get_running_loop().set_exception_handler(_quiet)
        return await super().live()

    async def _boot(self, *, beside: bool = False) -> None:
        await self._mortal(super()._boot(beside=beside))

    async def _hand_over(self, runner: Runner) -> None:
        await self._mortal(super()._hand_over(runner))

    async def _mortal(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something with our process that may die of it."""
        task = asyncio.get_running_loop().create_task(work)
        await asyncio.wait({task}, timeout=5.0)
        if not task.done():
            task.cancel()
        elif not task.cancelled() and not isinstance(task.exception(), Killed | None):
            task.result()

    def _plan(self) -> None:
        self.user.plan = [(1.5, self._enter)]

    def _enter(self) -> None:
        order = NewOrder("user-0", SYMBOL, self.street.side, OrderType.MARKET, Decimal("3.0"))
        reading = VolatilityReading(atr_px=Decimal("0.6"), close_px=self.street.mid, bars=100)
        self.user.enter_with(order, reading, self._strategy)

    def _kill(self) -> None:
        super()._kill()
        self._dead_until = self.now_s + 0.5

    async def _trouble(self) -> None:
        if self.now_s >= TAKEN_AT_S and not self._taken:
            stops = [r for r in self.venue.open_orders() if ".stop" in r.client_order_id]
            if stops:
                self._taken = True
                self.link.spread(
                    self.venue.yank(stops[0].client_order_id, OrderStatus.CANCELED, "by the venue", self.now_ns)
                )

    def _move_market(self) -> None:
        px, units = next((Decimal(p), u) for at, p, u in reversed(LIVES[self._strategy]) if self.now_s >= at)
        if self.now_s < self.chaos_s + self.calm_s:
            self.street.mid = px if self.street.side.sign > 0 else 200 - px
        bid, ask = self.street.sides()
        offered = None if units is None else Decimal(units)
        quote = Quote(SYMBOL, bid, ask, self.now_ns, bid_qty=offered, ask_qty=offered)
        self.link.spread(self.venue.on_quote(quote, self.now_ns))
        self.link.quote(quote)


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    if not isinstance(context.get("exception"), Killed | asyncio.CancelledError):
        loop.default_exception_handler(context)


def scripted(profile: str, disk: Disk, deaths: tuple[int, ...], strategy: str) -> tuple[History, int]:
    """Play the scripted life of a strategy; return what came of it and how many boundaries it had."""

    async def main() -> tuple[History, int]:
        played = ScriptedWorld(profile, disk, deaths, strategy)
        return await played.live(), played.boundaries

    return run_virtually(main())
