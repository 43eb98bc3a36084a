"""The supervisor: what happens when a part fails, a lease is lost, a disk is full, somebody says stop."""

import asyncio
import errno
import io

import pytest

from grodtd.connectors.paper import PaperBroker
from grodtd.domain.errors import GrodtdError
from grodtd.domain.events import PoliciesLoaded, TimerFired
from grodtd.domain.policy import Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.monitoring.logs import make_logger
from grodtd.monitoring.redaction import Secrets
from grodtd.runtime.clocks import SystemClock
from grodtd.runtime.runner import Runner
from grodtd.runtime.supervisor import Part, PartFailed, Supervisor
from grodtd.runtime.turn import Turn
from grodtd.storage.errors import JournalUnavailable, LeaseLost
from grodtd.storage.memory import Disk, Fault, MemoryJournal
from grodtd.venue.profiles import MARGIN
from grodtd.venue.venue import SimulatedVenue


class World:
    """A supervisor over a runner that has nothing to do; `ended` are the parts in the order they ended."""

    def __init__(self, disk=None, **options):
        self.out, self.ended = io.StringIO(), []
        clock = SystemClock()
        self.journal = MemoryJournal(disk)
        self.broker = PaperBroker(SimulatedVenue(MARGIN, []), clock)
        self.runner = Runner(Turn(Engine(), self.journal.append), self.broker, self.journal, clock)
        given = {"fatal": (LeaseLost,), "renew_every_s": 0.005, "write_every_s": 0.005, "drain_s": 0.05}
        log = make_logger(self.out, "console", Secrets())
        self.supervisor = Supervisor(self.runner, self.journal, clock, log, **{**given, **options})

    def part(self, name, work=None, **options):
        async def run():
            try:
                await (work() if work else asyncio.Event().wait())
            finally:
                self.ended.append(name)

        return Part(name, run, **options)

    async def run(self, *parts):
        await self.runner.start()
        await asyncio.wait_for(self.supervisor.run(parts), 5)


async def until(holds):
    """Wait, for a bounded time, until `holds()` is true."""
    for _ in range(5000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("waited in vain")


async def wrong():
    raise KeyError("a defect")


async def over():
    await asyncio.sleep(0)


def stopping(world):
    async def work():
        world.supervisor.stop("enough")
        await asyncio.Event().wait()

    return work


def test_told_to_stop_everything_ends_in_order_and_the_lease_is_given_back():
    async def story():
        world = World()
        asked = []

        async def finish():
            asked.append(list(world.ended))

        await world.run(
            world.part("api", last=True, stop=finish), world.part("feed"), world.part("who stops", stopping(world))
        )
        assert world.ended[-1] == "api"
        assert set(asked[0]) == {"feed", "who stops"}  # asked to finish when the others were gone
        assert world.journal.disk.lease.expires_ns == 0
        assert world.out.getvalue().splitlines()[-1].endswith("stopped")

    asyncio.run(story())


def test_an_essential_part_that_fails_ends_the_daemon():
    async def story():
        world = World()
        with pytest.raises(PartFailed, match="api failed: KeyError: 'a defect'"):
            await world.run(world.part("api", wrong), world.part("feed"))
        assert set(world.ended) == {"api", "feed"}

    asyncio.run(story())


def test_an_essential_part_that_ends_by_itself_has_failed():
    async def story():
        world = World()
        with pytest.raises(PartFailed, match="api ended by itself"):
            await world.run(world.part("api", over))

    asyncio.run(story())


@pytest.mark.parametrize(("work", "faults"), [(wrong, 1), (over, 1)])
def test_a_part_that_is_not_essential_is_missed_and_said(work, faults):
    async def story():
        world = World()
        quiet = world.part("watcher", work, essential=False)

        async def later():
            await until(lambda: world.supervisor.faults)
            world.supervisor.stop("seen enough")
            await asyncio.Event().wait()

        await world.run(quiet, world.part("other", later))
        assert len(world.supervisor.faults) == faults
        assert world.supervisor.faults[0].startswith("watcher: ")

    asyncio.run(story())


def test_a_feed_may_end():
    async def story():
        world = World()

        async def later():
            await until(lambda: "part_over" in world.out.getvalue())
            world.supervisor.stop("over")
            await asyncio.Event().wait()

        await world.run(world.part("feed", over, essential=False, ends=True), world.part("other", later))
        assert world.supervisor.faults == []

    asyncio.run(story())


def test_a_lost_lease_ends_the_daemon_in_its_own_words():
    async def story():
        disk = Disk()
        world = World(disk)

        async def taken():
            MemoryJournal(disk, holder="elsewhere")
            await asyncio.Event().wait()

        with pytest.raises(LeaseLost, match="was taken over by elsewhere under epoch 2"):
            await world.run(world.part("other", taken))
        assert disk.lease.holder == "elsewhere"  # not given back: it is no longer ours

    asyncio.run(story())


def test_a_full_disk_does_not_end_the_daemon():
    async def story():
        disk = Disk([Fault("commit", nth, JournalUnavailable(errno.ENOSPC, "memory")) for nth in range(2, 6)])
        world = World(disk)

        async def busy():
            await until(lambda: disk.commits == 1)  # what the start had to say
            world.runner._take(PoliciesLoaded({"default": Policy()}))
            await until(lambda: disk.commits >= 5 and world.journal.durable_seq == world.journal.last_seq)
            world.supervisor.stop("there is room again")
            await asyncio.Event().wait()

        await world.run(world.part("other", busy))
        assert len(disk.records) == world.journal.last_seq

    asyncio.run(story())


def test_an_error_while_a_fact_is_taken_in_is_a_fault_and_no_end():
    async def story():
        world = World()
        world.runner._on_mishap(TimerFired(1, 1), KeyError("x"))
        assert world.supervisor.faults == ["taking in TimerFired: KeyError: 'x'"]
        assert not world.supervisor.stopping
        world.runner._on_mishap(TimerFired(1, 1), LeaseLost("gone"))
        assert world.supervisor.stopping

    asyncio.run(story())


def test_a_part_of_the_runner_that_dies_ends_the_daemon():
    async def story():
        world = World()

        async def kill():
            world.runner.tasks[0].cancel()
            await asyncio.Event().wait()

        with pytest.raises(PartFailed, match="broker events ended by itself"):
            await world.run(world.part("other", kill))

    asyncio.run(story())


def test_told_twice_it_waits_for_nobody():
    async def story():
        world = World(drain_s=60.0)
        never = asyncio.Event()

        async def hang():
            await never.wait()

        world.runner.dispatcher.settle = hang

        async def impatient():
            world.supervisor.stop("once")
            world.supervisor.stop("twice")
            await never.wait()

        await world.run(world.part("other", impatient))
        assert "requests_unanswered" in world.out.getvalue()

    asyncio.run(story())


def test_the_first_failure_is_the_one_that_counts():
    async def story():
        world = World()
        world.supervisor.fail(GrodtdError("first"))
        world.supervisor.fail(GrodtdError("second"))
        with pytest.raises(GrodtdError, match="first"):
            await world.run()

    asyncio.run(story())
