"""What a daemon says of itself while it runs: a stream that fell silent, a clock that is off, a snapshot that failed.

The whole daemon without its process, on an event loop whose time is virtual: minutes pass at once.
"""

import asyncio
import errno
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec

from grodtd.config.daemon_schema import DaemonSettings
from grodtd.config.loading import default_config_dir, load
from grodtd.domain.errors import Refused
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport
from grodtd.runtime.clocks import NO_CLOCK, LoopClock, VenueClock
from grodtd.runtime.feed import FeedPlayer, Recording
from grodtd.simulation.virtual_time import run_virtually
from grodtd.storage.errors import JournalUnavailable
from tests.integration.daemon_kit import living

T0_NS = 1_700_000_000 * 10**9


class Wall:
    """A computer's clock, `off_s` ahead of the true time."""

    def __init__(self, off_s=0.0):
        self._true, self.off_s = LoopClock(asyncio.get_running_loop(), T0_NS), off_s

    def now_ns(self):
        return self._true.now_ns() + int(self.off_s * 1e9)


@asynccontextmanager
async def daemon(folder, *, clock=None, **settings):
    """A daemon with its lookout, and one quote of X."""
    known = msgspec.structs.replace(load(default_config_dir(), environ={}), daemon=DaemonSettings(**settings))
    async with living(folder, config=known, clock=clock or LoopClock(asyncio.get_running_loop(), T0_NS)) as world:
        await world.quote(100)
        looking = asyncio.create_task(world.daemon.lookout.run())
        try:
            yield world
        finally:
            looking.cancel()


async def quotes(world, px, seconds):
    """Let prices flow, once a second."""
    for _ in range(seconds):
        await world.quote(px)
        await asyncio.sleep(1)


def lines(world, event):
    return [line for line in world.log.getvalue().splitlines() if f"{event} " in line]


def test_the_order_stream_dies_and_the_stop_fills_behind_our_back(tmp_path):
    """Pings are answered, quotes flow, and the one report that matters never comes (wild 17)."""

    async def story():
        async with daemon(tmp_path) as world:
            await world.protect(bracket_id="B1", stop_price="90")
            world.deaf_to(ExecutionReport)
            await quotes(world, 100, 600)  # ten calm minutes: nothing to hear, and nothing said
            assert (await world.get("/v1/status")).json()["silent"] == []

            await quotes(world, 89, 10)  # the venue sells; the stream says nothing, a comparison finds out
            assert world.bracket("B1")["phase"] == "closed"
            assert not lines(world, "orders_silent")
            await quotes(world, 89, 30)
            status = (await world.get("/v1/status")).json()
            assert (status["level"], status["silent"]) == ("alarm", ["orders"])
            assert status["verdict"].startswith("SILENT: the order stream is silent: 3")
            assert status["verdict"] in [f"SILENT: {problem}" for problem in status["problems"]]
            (line,) = lines(world, "orders_silent")
            assert " error " in line

            world.deaf_to()
            await world.protect(bracket_id="B2", stop_price="80", price=89)
            await quotes(world, 89, 2)
            status = (await world.get("/v1/status")).json()
            assert (status["silent"], status["verdict"]) == ([], "all protected: 10 X")
            assert len(lines(world, "orders_silent_over")) == 1
            assert status["alarms"][-1]["words"].startswith("over after ")

    run_virtually(story())


def test_a_silent_order_stream_is_compared_with_at_once(tmp_path):
    """Comparisons fail, the stream says nothing: nobody knows what fills. One is tried the moment that is noticed."""

    async def story():
        async with daemon(tmp_path, orders_silent_s=Decimal(8)) as world:
            await world.protect(bracket_id="B1", stop_price="90")
            asked = []

            async def no_answer():
                asked.append(asyncio.get_running_loop().time())
                raise Refused("too many requests", code="rate")

            answer, world.broker.open_orders = world.broker.open_orders, no_answer
            await quotes(world, 100, 20)
            (line,) = lines(world, "orders_silent")
            assert "no comparison with the venue was answered" in line
            world.broker.open_orders = answer
            await quotes(world, 100, 3)
            assert (await world.get("/v1/status")).json()["silent"] == []
            assert len(asked) > 5

    run_virtually(story())


def test_prices_freeze_while_a_position_is_open(tmp_path):
    """The process is healthy and no quote comes any more (wild 18)."""

    async def story():
        async with daemon(tmp_path) as world:
            await world.protect(bracket_id="B1", stop_price="90")
            await quotes(world, 100, 5)
            await asyncio.sleep(59)
            assert (await world.get("/v1/status")).json()["silent"] == []
            await asyncio.sleep(3)
            status = (await world.get("/v1/status")).json()
            assert status["silent"] == ["prices"]
            assert status["level"] == "warning"
            assert status["verdict"].startswith("SILENT: the last quote came 6")
            assert status["verdict"].endswith("levels watched here cannot trigger; all protected: 10 X")
            assert " error " in lines(world, "prices_silent")[0]
            await quotes(world, 100, 2)
            assert (await world.get("/v1/status")).json()["verdict"] == "all protected: 10 X"
            assert len(lines(world, "prices_silent")) == len(lines(world, "prices_silent_over")) == 1

    run_virtually(story())


def test_a_recorded_night_is_no_silence_and_the_end_of_the_recording_is(tmp_path):
    """A feed at its recorded pace: ten hours without a row, one more row, and it is over."""

    async def story():
        async with daemon(tmp_path) as world:
            await world.protect(bracket_id="B1", stop_price="90")
            first_ns = world.daemon.clock.now_ns()
            rows = [Quote("X", Decimal(100), Decimal(100), first_ns + hours * 3600 * 10**9) for hours in (0, 10)]
            world.daemon.player = player = FeedPlayer(
                Recording("days.csv", "days", len(rows), iter(rows)),
                world.broker.feed,
                settled=world.daemon._settled,
                mark=lambda _: None,
            )
            playing = asyncio.create_task(player.run())
            await asyncio.sleep(9 * 3600)
            assert (player.played, (await world.get("/v1/status")).json()["silent"]) == (1, [])
            await playing
            assert not lines(world, "prices_silent")
            await asyncio.sleep(62)
            status = (await world.get("/v1/status")).json()
            assert status["silent"] == ["prices"]
            assert "(the feed is over): levels watched here cannot trigger" in status["verdict"]

    run_virtually(story())


def test_the_bounds_are_the_configurations(tmp_path):
    async def story():
        async with daemon(tmp_path, prices_silent_s=Decimal(5)) as world:
            await world.protect(bracket_id="B1", stop_price="90")
            await asyncio.sleep(7)
            assert (await world.get("/v1/status")).json()["silent"] == ["prices"]

    run_virtually(story())


# ---------------------------------------------------------------- snapshots


def test_a_snapshot_that_cannot_be_kept_is_told_and_forgotten_with_the_next(tmp_path):
    async def story():
        async with daemon(tmp_path, snapshot_every=10) as world:
            keep = world.daemon.journal.save_snapshot

            async def full(payload, **where):
                raise JournalUnavailable(errno.ENOSPC, "journal.db")

            world.daemon.journal.save_snapshot = full
            await world.protect(bracket_id="B1", stop_price="90")
            await world.protect(bracket_id="B2", stop_price="90")
            await quotes(world, 100, 2)
            status = (await world.get("/v1/status")).json()
            assert status["snapshot_error"].startswith("journal.db: the disk is full")
            (problem,) = [words for words in status["problems"] if "snapshot" in words]
            assert problem.startswith("the snapshot of 2023-11-14 22:13:20")
            assert "nothing is lost, a restart takes longer" in problem
            assert " warning " in lines(world, "snapshot_failed")[0]

            world.daemon.journal.save_snapshot = keep
            for name in ("B3", "B4", "B5"):
                await world.protect(bracket_id=name, stop_price="90")
            await quotes(world, 100, 2)
            status = (await world.get("/v1/status")).json()
            assert (status["snapshot_error"], status["problems"]) == ("", [])
            assert len(lines(world, "snapshot_failed_over")) == 1

    run_virtually(story())


# ---------------------------------------------------------------- the clock


def venue_clock(off_s):
    return VenueClock(asyncio.get_running_loop(), Wall(off_s))


def test_a_computers_clock_that_is_off_is_warned_of_and_orders_are_timed_by_the_venue(tmp_path):
    async def story():
        async with daemon(tmp_path, clock=venue_clock(2.5)) as world:
            true = Wall()
            world.broker._clock = true
            await asyncio.sleep(40)
            assert abs(world.daemon.clock.now_ns() - true.now_ns()) < 1_000_000
            await world.quote(100)
            await world.protect(bracket_id="B1", stop_price="90")
            await asyncio.sleep(2)
            status = (await world.get("/v1/status")).json()
            assert status["clock_off_s"] == -2.5
            words = (
                "this computer's clock is 2.5 s ahead of the venue's: synchronise it; orders are timed by the venue's"
            )
            assert words in status["problems"]
            assert " warning " in lines(world, "clock_off")[0]

    run_virtually(story())


def test_beyond_the_limit_no_new_entry_is_taken(tmp_path):
    async def story():
        async with daemon(tmp_path, clock=venue_clock(25)) as world:
            world.broker._clock = Wall()
            await asyncio.sleep(40)
            await world.quote(100)
            await asyncio.sleep(2)
            status = (await world.get("/v1/status")).json()
            words = "this computer's clock is 25.0 s ahead of the venue's: synchronise it; no new entries until then"
            assert words in status["problems"]
            assert " error " in lines(world, "clock_off")[0]
            asked = {"symbol": "X", "side": "buy", "quantity": "10", "entry_order": "E1"}
            refused = await world.post("/v1/brackets", **asked)
            assert refused.json()["code"] == "clock"
            await world.protect(bracket_id="B1", stop_price="90")  # what is held is protected all the same

    run_virtually(story())


def test_a_venue_that_tells_no_time_leaves_us_the_computers(tmp_path):
    async def story():
        async with daemon(tmp_path, clock=venue_clock(0)) as world:
            assert (await world.get("/v1/status")).json()["clock_off_s"] == 0.0
        clock = venue_clock(3)

        class Mute:
            async def server_time_ns(self):
                raise Refused("this venue tells no time", code=NO_CLOCK)

        assert await clock.keep(Mute()) == ""
        clock._wall.off_s = 7
        assert clock.now_ns() == clock._wall.now_ns()
        assert clock.skew_s is None

    run_virtually(story())


def test_a_clock_that_was_set_and_a_machine_that_slept_are_noticed_with_the_next_comparison():
    async def story():
        wall, true = Wall(), Wall()
        clock = VenueClock(asyncio.get_running_loop(), wall)

        class Venue:
            async def server_time_ns(self):
                return true.now_ns()

        await clock.keep(Venue())
        await asyncio.sleep(5)
        wall.off_s = true.off_s = 600  # ten minutes asleep: monotonic time stood still
        await clock.keep(Venue())
        assert clock.now_ns() == true.now_ns()
        wall.off_s = 604  # set by four seconds
        await clock.keep(Venue())
        assert (clock.now_ns(), clock.skew_s) == (true.now_ns(), 4.0)

    run_virtually(story())


def test_before_the_venue_is_heard_time_stands_where_the_journal_ends():
    async def story():
        clock = VenueClock(asyncio.get_running_loop(), Wall(3600))
        clock.begin(T0_NS - 10**9)
        await asyncio.sleep(2)
        assert clock.now_ns() == T0_NS + 10**9

    run_virtually(story())
