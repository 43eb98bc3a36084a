"""A daemon for tests: all of it but the process. Its journal is in memory, its account in a folder, its market by hand.

async with living(tmp_path) as daemon:
    answer = await daemon.post("/v1/brackets", symbol="X", side="buy", quantity="10", price="100")
"""

import asyncio
import io
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec

from grodtd.bootstrap import KeptPaper
from grodtd.config.broker_schema import BrokerSettings, WatchSettings
from grodtd.config.loading import default_config_dir, load
from grodtd.connectors.paper_account import PaperAccount
from grodtd.daemon import DaemonOptions, LiveDaemon
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import NewOrder, OrderType, Side
from grodtd.monitoring.logs import make_logger
from grodtd.monitoring.redaction import Secrets
from grodtd.runtime.clocks import SystemClock
from grodtd.storage.errors import LeaseLost
from grodtd.storage.memory import Disk, MemoryJournal
from grodtd.venue.profiles import MARGIN

PATIENCE_S = 5.0


class LeasedMemory(MemoryJournal):
    """A journal in memory with its lease in plain figures, as the daemon wants it."""

    @property
    def held(self):
        return self.lease.epoch, self.lease.expires_ns


class Living:
    """A daemon whose parts run in the test's own loop."""

    def __init__(self, daemon, disk, log):
        self.daemon, self.disk, self.log = daemon, disk, log
        self.broker, self.runner, self.desk = daemon.broker, daemon.runner, daemon.desk
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(daemon.app, raise_app_exceptions=False), base_url="http://daemon"
        )

    async def get(self, path):
        return await self.http.get(path)

    async def post(self, path, /, **body):
        return await self.http.post(path, json=body)

    async def protect(self, quantity=10, price=100, **more):
        """Protect a long of X; return its bracket as answered."""
        asked = {"symbol": "X", "side": "buy", "quantity": str(quantity), "price": str(price), **more}
        answer = await self.post("/v1/brackets", **asked)
        assert answer.status_code == 201, answer.text
        return answer.json()["brackets"][0]

    async def quote(self, px, symbol="X", **sizes):
        """Let the market move, and what follows from it happen."""
        given = {name: Decimal(str(value)) for name, value in sizes.items()}
        now_ns = self.daemon.clock.now_ns()
        self.broker.feed(Quote(symbol, Decimal(str(px)), Decimal(str(px)), now_ns, **given))
        await self.daemon._settled()

    def deaf_to(self, *kinds):
        """Lose what the venue pushes of these types; everything else still arrives. Without any: hear again."""
        push = type(self.broker)._push
        self.broker._push = lambda events: push(self.broker, [one for one in events if not isinstance(one, kinds)])

    async def by_hand(self, order_id, side, quantity, limit=None, symbol="X"):
        """Send an order to the venue, round the daemon."""
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        px = None if limit is None else Decimal(str(limit))
        return await self.broker.submit(
            NewOrder(order_id, symbol, Side(side), kind, Decimal(str(quantity)), limit_px=px)
        )

    async def until(self, holds, what):
        """Wait, for a bounded time, until `holds()` is true."""
        loop = asyncio.get_running_loop()
        last_s = loop.time() + PATIENCE_S
        while not holds():
            assert loop.time() < last_s, f"waited in vain until {what}"
            await asyncio.sleep(0.005)

    def bracket(self, bracket_id):
        """A bracket as the desk shows it, decimals as numbers; None: there is none."""
        found = self.runner.turn.bracket(bracket_id)
        return None if found is None else self.desk.bracket(bracket_id)


@asynccontextmanager
async def living(
    folder: Path,
    *,
    watch=None,
    disk=None,
    capabilities=MARGIN,
    speak_within_s=None,
    symbols=("X", "Y"),
    calendar=None,
    config=None,
    clock=None,
):
    """Run a daemon on X and Y (tick 0.01, lot 1) in `folder`; `watch` are `WatchSettings`' arguments."""
    known = config or load(default_config_dir(), environ={})
    known = msgspec.structs.replace(
        known,
        instruments={symbol: Instrument(symbol, calendar=calendar) for symbol in symbols},
        brokers=BrokerSettings(watch=WatchSettings(**(watch or {}))),
    )
    clock, log, disk = clock or SystemClock(), io.StringIO(), disk or Disk()
    account = PaperAccount(folder / "account", capabilities, known.instruments.values(), cash=Decimal(1_000_000))
    broker = KeptPaper(account, clock, latency_s=0.0)
    daemon = LiveDaemon(
        known,
        DaemonOptions(state=folder, socket=folder / "s", journal="memory"),
        make_logger(log, "console", Secrets()),
        journal=LeasedMemory(disk, account="paper", holder="test", now_ns=clock.now_ns()),
        broker=broker,
        paper=broker,
        clock=clock,
        recording=None,
        fatal=(LeaseLost,),
    )
    if speak_within_s is not None:
        daemon.desk._durable_within_s = speak_within_s
    world = Living(daemon, disk, log)
    await daemon.start()
    await daemon.runner.ready.wait()
    watching = asyncio.create_task(daemon._watch()) if daemon.watcher.watching else None
    try:
        yield world
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await world.http.aclose()
        await daemon.runner.stop()
        broker.close()
