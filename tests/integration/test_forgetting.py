"""A daemon that runs for months: brackets that are over leave its memory, and what may still come of them is handled.

The whole daemon without its process; its loop's time is virtual, and days pass by moving its clock.
"""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import pytest

from grodtd.config.daemon_schema import DaemonSettings
from grodtd.config.loading import default_config_dir, load
from grodtd.domain.orders import ExecutionReport, OrderStatus, Side
from grodtd.execution.snapshot import snapshot
from grodtd.runtime.clocks import LoopClock
from grodtd.runtime.refold import refold
from grodtd.simulation.virtual_time import run_virtually
from grodtd.storage.memory import Disk
from tests.integration.daemon_kit import living

DAY_S = 86_400
T0_NS = 1_700_000_000 * 10**9


class Calendar(LoopClock):
    """A clock on which days can pass."""

    def pass_(self, days):
        self._offset_ns += int(days * DAY_S * 1e9)


@asynccontextmanager
async def daemon(folder, *, clock=None, disk=None, watch=None, **settings):
    known = msgspec.structs.replace(load(default_config_dir(), environ={}), daemon=DaemonSettings(**settings))
    clock = clock or Calendar(asyncio.get_running_loop(), T0_NS)
    async with living(folder, config=known, clock=clock, disk=disk, watch=watch) as world:
        await world.quote(100)
        yield world


async def stopped_out(world, *names):
    """Trades that are over."""
    for name in names:
        await world.protect(bracket_id=name, stop_price="90")
    await world.quote(89)
    await world.quote(100)
    assert [world.bracket(name)["phase"] for name in names] == ["closed"] * len(names)


def names(world):
    return [bracket.bracket_id for bracket in world.runner.brackets()]


def late_fill(world, order, *, side=Side.SELL, quantity=10):
    """The venue fills what was over: the account moves, and the stream says so."""
    now_ns, units = world.daemon.clock.now_ns(), Decimal(quantity)
    world.broker.venue.adjust_position("X", side.sign * units, now_ns)
    world.broker.deliver(
        [
            ExecutionReport(
                order, OrderStatus.FILLED, units, exec_id="late", last_qty=units, last_px=Decimal(100), symbol="X",
                side=side, ts_event_ns=now_ns,
            )
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "settings", "left"),
    [
        ("none is old enough", {"ended_kept_days": 3}, ["B1", "B2", "B3"]),
        ("those of the day before yesterday are", {"ended_kept_days": 1}, ["B3"]),
        ("there are too many", {"ended_kept": 1}, ["B2", "B3"]),  # the latest one, and what is open
    ],
)
def test_what_is_over_for_long_enough_leaves_memory(tmp_path, told, settings, left):
    async def story():
        disk = Disk()
        async with daemon(tmp_path, disk=disk, **settings) as world:
            await stopped_out(world, "B1")
            world.daemon.clock.pass_(0.1)
            await stopped_out(world, "B2")
            world.daemon.clock.pass_(2)
            await world.protect(bracket_id="B3", stop_price="90")
            forgetting = asyncio.create_task(world.daemon._forget())
            await asyncio.sleep(1)
            forgetting.cancel()
            assert names(world) == left, told
            await world.daemon.journal.commit()
            engine = world.runner.turn.engine
        folded = refold(disk.records)  # every command and note again, byte for byte
        assert snapshot(folded.engine) == snapshot(engine)

    run_virtually(story())


def test_it_is_looked_every_minute(tmp_path):
    async def story():
        async with daemon(tmp_path, ended_kept_days=1) as world:
            forgetting = asyncio.create_task(world.daemon._forget())
            await stopped_out(world, "B1")
            world.daemon.clock.pass_(2)
            await asyncio.sleep(61)
            forgetting.cancel()
            assert names(world) == []
            assert "brackets_forgotten" in world.log.getvalue()

    run_virtually(story())


def test_show_says_where_it_can_be_read_and_its_name_stays_taken(tmp_path):
    async def story():
        disk = Disk()
        async with daemon(tmp_path, disk=disk) as world:
            await stopped_out(world, "B1")
            world.daemon.clock.pass_(31)
            world.daemon.forget_ended()
            clock = world.daemon.clock
            await asked(world)
        async with daemon(tmp_path, disk=disk, clock=clock) as world:  # and so it is after a restart
            await asked(world)
            assert await world.broker.position("X") == 0  # nothing was brought in for what was refused

    async def asked(world):
        shown = await world.get("/v1/brackets/B1")
        assert (shown.status_code, shown.json()["code"]) == (404, "forgotten")
        assert shown.json()["detail"] == (
            "bracket B1 ended long ago and is no longer in memory (daemon.kept): grodtd explain B1 tells its life from "
            "the journal, memory"
        )
        flat = await world.post("/v1/brackets/B1/flatten")
        assert flat.json()["code"] == "forgotten"
        again = await world.post(
            "/v1/brackets", symbol="X", side="buy", quantity="10", price="100", bracket_id="B1", stop_price="90"
        )
        assert again.json()["code"] == "id_taken"
        assert "NOT looked after" in again.json()["detail"]
        unheard = await world.get("/v1/brackets/B9")
        assert unheard.json()["code"] == "unknown_bracket"

    run_virtually(story())


def test_explain_tells_it_from_the_journal(tmp_path):
    async def story():  # in real time: the journal is read beside the loop
        async with daemon(tmp_path) as world:
            await stopped_out(world, "B1")
            world.daemon.clock.pass_(31)
            world.daemon.forget_ended()
            lines = (await world.get("/v1/brackets/B1/story")).json()["lines"]
            assert "entry filled: long 10 X at 100" in lines[0]
            assert lines[-1] == "(B1 is no longer in memory; this was read from the journal, memory)"

    asyncio.run(story())


def test_a_late_fill_is_told_once_and_nothing_is_sold_for_it(tmp_path):
    async def story():
        async with daemon(tmp_path) as world:
            await stopped_out(world, "B1")
            world.daemon.clock.pass_(31)
            world.daemon.forget_ended()
            late_fill(world, "B1.stop1")
            await asyncio.sleep(20)  # comparisons go on
            alarms = (await world.get("/v1/status")).json()["alarms"]
            (told,) = [alarm for alarm in alarms if "LOOK AT THE ACCOUNT" in alarm["words"]]
            assert (told["bracket_id"], told["severity"]) == ("B1", "alarm")
            assert "10 X of B1.stop1 filled at 100 (sell), long after its bracket ended" in told["words"]
            assert world.daemon.supervisor.faults == []
            assert await world.broker.position("X") == -10
            found = (await world.post("/v1/reconcile")).json()
            assert [position["unprotected_qty"] for position in found["positions"]] == ["-10"]

    run_virtually(story())


def test_a_late_fill_is_protected_where_a_rule_says_so(tmp_path):
    async def story():
        async with daemon(tmp_path, watch={"symbols": {"X": "default"}}) as world:
            await stopped_out(world, "B1")
            world.daemon.clock.pass_(31)
            world.daemon.forget_ended()
            late_fill(world, "B1.stop1")
            await world.until(lambda: world.bracket("B1-stop1"), "what it opened is looked after")
            world.runner.reconciler.since_ns = 0  # as after a restart: the venue lists the order's earlier fill again
            await asyncio.sleep(20)
            bracket = world.bracket("B1-stop1")
            assert (bracket["side"], bracket["open_qty"], bracket["protected_qty"]) == ("sell", "10", "10")
            assert names(world) == ["B1-stop1"]

    run_virtually(story())


def test_a_late_fill_that_takes_from_a_living_bracket_shrinks_its_exits(tmp_path):
    """Rule 8: what is gone is never sold."""

    async def story():
        async with daemon(tmp_path) as world:
            await stopped_out(world, "B1")
            world.daemon.clock.pass_(31)
            world.daemon.forget_ended()
            await world.protect(bracket_id="B2", stop_price="90")
            late_fill(world, "B1.stop1", quantity=4)
            await asyncio.sleep(30)
            bracket = world.bracket("B2")
            assert (bracket["open_qty"], bracket["protected_qty"], bracket["exposed_qty"]) == ("6", "6", "0")

    run_virtually(story())


def test_a_watched_order_whose_id_is_used_again_is_protected_under_another_name(tmp_path):
    async def story():
        disk = Disk()
        async with daemon(tmp_path, disk=disk, watch={"client_id_prefixes": {"tv-": "default"}}) as world:
            await world.by_hand("tv-1", "buy", 10)
            await world.until(lambda: world.bracket("tv-1"), "it is looked after")
            await world.post("/v1/brackets/tv-1/flatten")
            await world.until(lambda: world.bracket("tv-1")["phase"] == "closed", "it is over")
            world.daemon.clock.pass_(31)
            world.daemon.forget_ended()
            assert world.daemon.watcher._free_name("tv-1") == "tv-1-2"

    run_virtually(story())
