"""Exit policies in the daemon: its stop follows quotes and closed bars, and goes on after a restart."""

import asyncio
from decimal import Decimal

import pytest

from grodtd.config.loading import default_config_dir, load
from grodtd.domain.events import TimerFired
from grodtd.domain.market import Quote
from grodtd.storage.memory import Disk
from tests.integration.daemon_kit import living


def told(story):
    asyncio.run(asyncio.wait_for(story, 30))


def configured(**environ):
    keys = {f"GRODTD_TRADE_EXIT__{name}": value for name, value in environ.items()}
    return load(default_config_dir(), environ=keys)


BY_QUOTE = {
    "RATCHET__ON": "quote",
    "RATCHET__MIN_INTERVAL_S": "0",
    "TRAILING__METHOD": "distance",
    "TRAILING__AMOUNT": "2",
    "SCALE_OUT__REST": "run",
}


def test_a_stop_trails_every_quote_and_takes_the_trade_out(tmp_path):
    async def story():
        async with living(tmp_path, config=configured(**BY_QUOTE)) as daemon:
            await daemon.quote(100)
            await daemon.protect(bracket_id="B1")
            for px, stop in ((100, "98"), (103, "101"), ("102.5", "101"), ("104.25", "102.25"), (103, "102.25")):
                await daemon.quote(px)
                bracket = (await daemon.get("/v1/brackets/B1")).json()
                assert (bracket["stop_px"], bracket["protected_qty"]) == (stop, "10")
            [resting] = await daemon.broker.open_orders()
            assert resting.client_order_id.startswith("B1.stop")
            await daemon.quote("102.2")
            await daemon.until(lambda: daemon.bracket("B1")["phase"] == "closed", "the stop sells")
            said = (await daemon.get("/v1/brackets/B1/story")).json()
            assert "trail: stop 98 -> 101" in str(said)

    told(story())


def test_in_bars_the_stop_waits_for_the_close(tmp_path):
    by_bar = {**BY_QUOTE, "RATCHET__ON": "bar_close", "ATR__INTERVAL": "1s"}

    async def story():
        async with living(tmp_path, config=configured(**by_bar)) as daemon:
            await daemon.quote(100)
            await daemon.protect(bracket_id="B1")
            later_ns = daemon.daemon.clock.now_ns() + 2_000_000_000  # within a bar of the bracket's own
            daemon.broker.feed(Quote("X", Decimal(103), Decimal(103), later_ns))
            await daemon.daemon._settled()
            assert daemon.bracket("B1")["stop_px"] == "98"
            ends_ns = later_ns + 1_000_000_000
            daemon.daemon._tell_bars(daemon.daemon.bar_facts.over(ends_ns, ends_ns))
            await daemon.daemon._settled()
            assert daemon.bracket("B1")["stop_px"] == "101"

    told(story())


def test_a_trade_that_has_had_its_time_is_sold(tmp_path):
    async def story():
        async with living(tmp_path, config=configured(TIME_EXIT__AFTER="1h")) as daemon:
            await daemon.quote(100)
            await daemon.protect(bracket_id="B1")
            due_ns = daemon.runner.turn.engine.next_deadline_ns
            in_an_hour_ns = daemon.daemon.clock.now_ns() + 3_600_000_000_000
            assert due_ns is not None
            assert due_ns <= in_an_hour_ns
            daemon.runner.tell(TimerFired(in_an_hour_ns, in_an_hour_ns))
            await daemon.until(lambda: daemon.bracket("B1")["phase"] == "closed", "it is sold")
            assert daemon.bracket("B1")["exit_reason"] == "time"

    told(story())


@pytest.mark.parametrize("steps", [{"SCALE_OUT__STEPS__1R": "0.5"}])
def test_half_is_sold_on_the_way_and_the_stop_guards_the_rest(tmp_path, steps):
    async def story():
        async with living(tmp_path, config=configured(**steps)) as daemon:
            await daemon.quote(100)
            await daemon.protect(bracket_id="B1")
            assert daemon.bracket("B1")["target_px"] == "102"
            await daemon.quote("102.01")
            await daemon.until(lambda: daemon.bracket("B1")["open_qty"] == "5", "half is sold")
            await daemon.daemon._settled()
            bracket = (await daemon.get("/v1/brackets/B1")).json()
            assert (bracket["open_qty"], bracket["protected_qty"], bracket["target_px"]) == ("5", "5", "103")
            assert await daemon.broker.position("X") == Decimal(5)
            await daemon.quote("103.01")
            await daemon.until(lambda: daemon.bracket("B1")["phase"] == "closed", "the rest is sold")

    told(story())


TRAIL = {"trailing.method": "percent", "trailing.amount": "0.02", "scale_out.rest": "run"}
BY_BAR = {name.upper().replace(".", "__"): value for name, value in TRAIL.items()}


class Hand:
    """A clock moved by hand."""

    def __init__(self):
        self.ns = 1_700_002_800 * 1_000_000_000

    def now_ns(self):
        return self.ns


async def goes_to(daemon, clock, *prices):
    """Half an hour each, with the bars that are over told as the daemon does."""
    for px in prices:
        clock.ns += 1800 * 1_000_000_000
        await daemon.quote(px)
        daemon.daemon._tell_bars(daemon.daemon.bar_facts.over(clock.ns, clock.ns))
        await daemon.daemon._settled()


def test_a_trail_set_for_one_bracket_alone_has_its_bars(tmp_path):
    """The configuration trails nothing, so only this bracket asks for bars."""

    async def story():
        clock = Hand()
        async with living(tmp_path, clock=clock) as daemon:
            await daemon.quote(100)
            await daemon.protect(bracket_id="B1", settings=TRAIL)
            await goes_to(daemon, clock, 102, 105, 110, 115, 120, 125)
            assert daemon.bracket("B1")["stop_px"] == "117.6"  # 2 % below the last close, 120

    told(story())


@pytest.mark.parametrize("after", [{}, {**BY_BAR, "ATR__INTERVAL": "4h"}], ids=["trails nothing", "other bars"])
def test_a_bracket_keeps_its_bars_though_the_configuration_changed(tmp_path, after):
    async def story():
        clock, disk = Hand(), Disk()
        async with living(tmp_path, clock=clock, disk=disk, config=configured(**BY_BAR)) as daemon:
            await daemon.quote(100)
            await daemon.protect(bracket_id="B1")
            await goes_to(daemon, clock, 102, 105)
        async with living(tmp_path, clock=clock, disk=disk, config=configured(**after)) as daemon:
            await goes_to(daemon, clock, 110, 115, 120, 125)
            assert daemon.bracket("B1")["stop_px"] == "117.6"

    told(story())
