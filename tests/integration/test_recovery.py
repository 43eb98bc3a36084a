"""A restart: the newest snapshot, the facts after it, and everything as it was; without a snapshot, all the same."""

import asyncio
import errno
import io
from decimal import Decimal

import pytest
from sqlalchemy import text

from grodtd.bootstrap import SimulatedDisk
from grodtd.connectors.paper import PaperBroker
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, InstrumentsLoaded, PoliciesLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy
from grodtd.execution.snapshot import encode, layout, snapshot
from grodtd.monitoring.explain import explain
from grodtd.monitoring.logs import make_logger
from grodtd.monitoring.redaction import Secrets
from grodtd.runtime.clocks import LoopClock
from grodtd.runtime.recovery import recover
from grodtd.runtime.refold import Diverged, refold
from grodtd.runtime.runner import Runner
from grodtd.runtime.supervisor import Supervisor
from grodtd.simulation.virtual_time import run_virtually
from grodtd.simulation.world import play
from grodtd.storage.database import Database
from grodtd.storage.errors import JournalUnavailable
from grodtd.storage.memory import Disk, Fault, MemoryJournal
from grodtd.venue.profiles import MARGIN, PROFILES
from grodtd.venue.venue import SimulatedVenue
from tests.integration.journal_kit import daemon

T0_NS = 1_700_000_000 * 10**9


class Life:
    """One process over a disk that outlives it; brackets of 5 units of X, in at 100, out at 90 or 110."""

    def __init__(self, disk, every=10, journal=None):
        self.clock = LoopClock(asyncio.get_running_loop(), T0_NS)
        self.journal = journal or MemoryJournal(disk)
        self.told = []
        self.turn = recover(self.journal, self.journal.append, self.told.append)
        self.venue = SimulatedVenue(MARGIN, [Instrument("X")], cash=Decimal(10**6), positions={"X": Decimal(10**6)})
        self.broker = PaperBroker(self.venue, self.clock)
        options = {"snapshots": self.journal, "snapshot_every": every} if every else {}
        self.runner = Runner(self.turn, self.broker, self.journal, self.clock, commit_retry_s=0.1, **options)

    async def start(self):
        self.broker.feed(Quote("X", Decimal(100), Decimal(100), self.clock.now_ns()))
        now_ns = self.clock.now_ns()
        await self.runner.start(
            PoliciesLoaded({"default": Policy()}, now_ns),
            InstrumentsLoaded((Instrument("X"),), now_ns),
            CapabilitiesLearned(MARGIN, now_ns),
        )
        await self.runner.ready.wait()
        return self

    async def protect(self, name):
        now_ns = self.clock.now_ns()
        await self.runner.handle(
            BracketRequested(
                name,
                "X",
                Side.BUY,
                Decimal(5),
                filled_qty=Decimal(5),
                filled_px=Decimal(100),
                stop_px=Decimal(90),
                target_px=Decimal(110),
                ts_event_ns=now_ns,
                ts_received_ns=now_ns,
            )
        )
        await self.runner.dispatcher.settle()
        await asyncio.sleep(0.1)
        await self.journal.commit()

    def die(self):
        self.journal.crash()
        self.runner.abort()

    @property
    def state(self):
        return encode(snapshot(self.turn.engine))


def told(story):
    """Tell a story on an event loop whose time is virtual."""
    return run_virtually(story())


async def grown(disk, brackets, every=10):
    life = await Life(disk, every).start()
    for n in range(brackets):
        await life.protect(f"B{n}")
    return life


# ---------------------------------------------------------------- taken while it runs, used at the next start


def test_a_restart_reads_the_newest_snapshot_and_the_records_after_it():
    class Watched(MemoryJournal):
        def read(self, after_seq=0, bracket_id=None):
            self.read_after = after_seq
            return super().read(after_seq, bracket_id)

    async def story():
        disk = Disk()
        first = await grown(disk, 12)
        await first.runner.reconcile()
        await first.journal.commit()
        before, last_ns = first.state, first.turn.ts_ns
        first.die()
        newest = disk.snapshots[-1]
        assert len(disk.records) - newest.seq < 20, "it was taken every ten records"
        assert newest.ts_ns == disk.records[newest.seq - 1].ts_ns
        again = Watched(disk)
        turn = recover(again, again.append)
        assert again.read_after == newest.seq
        assert (turn.sequence, turn.ts_ns, turn.snapshot_seq) == (len(disk.records), last_ns, newest.seq)
        assert encode(snapshot(turn.engine)) == before
        assert encode(snapshot(refold(disk.records).engine)) == before

    told(story)


def test_the_clock_of_the_last_record_is_known_where_nothing_follows_the_snapshot():
    async def story():
        disk = Disk()
        life = await grown(disk, 2, every=10**9)
        await life.runner.keep_snapshot()
        life.die()
        assert disk.snapshots[-1].seq == len(disk.records)
        turn = recover(MemoryJournal(disk), print)
        assert turn.ts_ns == disk.records[-1].ts_ns
        assert len(list(turn.engine.brackets())) == 2

    told(story)


def test_a_process_that_dies_often_takes_one_all_the_same():
    """What was folded at the start counts as well: else a tail would grow for ever."""

    async def story():
        disk = Disk()
        for n in range(4):
            life = await Life(disk, 30).start()
            assert len(disk.records) - life.turn.snapshot_seq < 60
            await life.protect(f"B{n}")
            life.die()
        assert disk.snapshots

    told(story)


def test_without_a_keeper_none_is_taken_and_the_whole_journal_is_folded():
    async def story():
        disk = Disk()
        life = await grown(disk, 3, every=None)
        before = life.state
        life.die()
        assert disk.snapshots == []
        assert encode(snapshot(recover(MemoryJournal(disk), print).engine)) == before

    told(story)


def test_a_disk_that_is_full_costs_a_snapshot_and_nothing_else():
    async def story():
        disk = Disk()
        life = await grown(disk, 1, every=10**9)
        disk.add_fault(Fault("commit", disk.commits + 1, JournalUnavailable(errno.ENOSPC, "memory")))
        life.turn.take(PoliciesLoaded({"default": Policy()}, life.clock.now_ns()))
        await life.runner.keep_snapshot()
        assert "disk is full" in life.runner.snapshot_error
        assert disk.snapshots == []
        await life.runner.keep_snapshot()
        assert life.runner.snapshot_error == ""
        assert disk.snapshots[-1].seq == life.turn.sequence

    told(story)


def test_it_is_taken_when_the_daemon_is_told_to_stop():
    async def story():
        disk = Disk()
        life = await grown(disk, 2, every=10**9)
        assert disk.snapshots == []
        supervisor = Supervisor(life.runner, life.journal, life.clock, make_logger(io.StringIO(), "json", Secrets()))
        supervisor.stop("enough")
        await supervisor.run([])
        assert disk.snapshots[-1].seq == len(disk.records)

    told(story)


# ---------------------------------------------------------------- passed over, with a word


async def with_snapshot():
    disk = Disk()
    life = await grown(disk, 2, every=10**9)
    await life.runner.keep_snapshot()
    await life.protect("LATER")
    life.die()
    return disk, life.state


def test_a_snapshot_of_another_version_is_passed_over_with_a_word():
    async def story():
        disk, before = await with_snapshot()
        disk.snapshots = [type(one)(one.seq, one.ts_ns, one.layout + 1, one.chain, b"?") for one in disk.snapshots]
        words = []
        turn = recover(MemoryJournal(disk), print, words.append)
        assert "another version of grodtd: passed over" in words[0]
        assert encode(snapshot(turn.engine)) == before
        assert turn.snapshot_seq == 0

    told(story)


def test_a_snapshot_that_cannot_be_decoded_is_passed_over_with_a_word():
    async def story():
        disk, before = await with_snapshot()
        disk.snapshots = [type(one)(one.seq, one.ts_ns, one.layout, one.chain, b"{}") for one in disk.snapshots]
        words = []
        turn = recover(MemoryJournal(disk), print, words.append)
        assert "the whole journal is folded" in words[0]
        assert encode(snapshot(turn.engine)) == before

    told(story)


def test_on_disk_a_damaged_one_is_passed_over_for_the_one_before(tmp_path):
    path = tmp_path / "journal.db"
    disk, before = told(with_snapshot)

    async def kept():
        async with daemon(path) as journal:
            journal.append(disk.records)
            for seq in (disk.snapshots[0].seq, len(disk.records)):
                at_seq = refold(disk.records[:seq]).engine
                state = encode(snapshot(at_seq))
                await journal.save_snapshot(lambda state=state: state, seq=seq, ts_ns=seq, layout=layout())

    asyncio.run(kept())
    with Database(path).writing() as connection, connection.begin():
        connection.execute(
            text("UPDATE snapshots SET payload = substr(payload, 2) WHERE seq = (SELECT max(seq) FROM snapshots)")
        )

    async def again():
        async with daemon(path) as journal:
            words = []
            turn = recover(journal, journal.append, words.append)
            assert words == [f"the snapshot after record {len(disk.records)} is damaged: passed over"]
            assert turn.snapshot_seq == disk.snapshots[0].seq
            assert encode(snapshot(turn.engine)) == before

    asyncio.run(again())


def test_a_fact_this_version_refuses_stops_the_start_in_words():
    async def story():
        disk, _ = await with_snapshot()
        begun = next(record for record in disk.records if b"BracketRequested" in record.payload)
        with pytest.raises(Diverged, match=rf"record {begun.seq}: this program refuses .* not configured"):
            refold([begun], check=False)

    told(story)


# ---------------------------------------------------------------- what lies before the snapshot


def test_a_bracket_older_than_the_snapshot_is_shown_and_explained():
    async def story():
        disk, _ = await with_snapshot()
        journal = MemoryJournal(disk)
        turn = recover(journal, journal.append)
        assert turn.snapshot_seq > next(r.seq for r in disk.records if r.bracket_id == "B0")
        assert turn.bracket("B0").stop_px == 90
        lines = list(explain(journal.read(), "B0"))
        assert len(lines) > 3
        assert turn.engine.terms(turn.bracket("B0")).instrument.symbol == "X"

    told(story)


# ---------------------------------------------------------------- histories full of faults and deaths


@pytest.mark.parametrize("profile", PROFILES)
def test_after_any_history_snapshot_and_tail_are_the_whole_journal(profile):
    """Every death of the history was recovered from through snapshots; folded whole, the journal says the same."""
    for seed in range(1, 20):
        simulated = SimulatedDisk()
        history, disk = play(seed, profile, simulated), simulated._disk
        if history.kills:
            break
    assert history.kills
    assert not history.violations
    whole = encode(snapshot(refold(disk.records).engine))
    assert len(disk.snapshots) > 1
    for kept in disk.snapshots:
        journal = MemoryJournal(disk)
        disk.snapshots = [kept]
        assert encode(snapshot(recover(journal, journal.append).engine)) == whole
