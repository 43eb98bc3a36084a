"""The journal in memory: only what was committed survives, and faults come exactly where they were ordered."""

import asyncio
import errno

import pytest

from grodtd.ports import Journal, Record
from grodtd.storage.errors import JournalLocked, JournalUnavailable, LeaseLost, OutOfSequence
from grodtd.storage.memory import Disk, Fault, MemoryJournal

NO_SPACE = JournalUnavailable(errno.ENOSPC, "memory")


def fact(seq, bracket_id="B7"):
    return Record(seq, seq * 10, "fact", bracket_id, b"{}")


def seqs(journal, **which):
    return [record.seq for record in journal.read(**which)]


def commit(journal):
    asyncio.run(journal.commit())


def test_it_satisfies_the_port():
    port: Journal = MemoryJournal()
    port.append([fact(1)])


def test_what_was_not_committed_is_lost_in_a_crash():
    journal = MemoryJournal()
    journal.append([fact(1), fact(2)])
    commit(journal)
    journal.append([fact(3)])
    assert (journal.last_seq, journal.durable_seq, journal.pending) == (3, 2, 1)
    reborn = MemoryJournal(journal.crash())
    assert seqs(reborn) == [1, 2]
    assert (journal.last_seq, journal.pending) == (2, 0)
    reborn.append([fact(3)])  # the number is free again
    commit(reborn)
    assert seqs(reborn) == [1, 2, 3]


def test_it_reads_on_from_a_record_and_by_bracket():
    journal = MemoryJournal()
    journal.append([fact(1, ""), fact(2, "B7"), fact(3, "B8"), fact(4, "B7")])
    commit(journal)
    assert seqs(journal, after_seq=2) == [3, 4]
    assert seqs(journal, bracket_id="B7") == [2, 4]
    assert seqs(journal, after_seq=2, bracket_id="B7") == [4]


def test_records_out_of_sequence_are_refused():
    journal = MemoryJournal()
    for wrong in ([fact(2)], [fact(1), fact(3)], [Record(1, 0, "gossip", "", b"")]):
        with pytest.raises(OutOfSequence):
            journal.append(wrong)
    assert journal.last_seq == 0


def test_a_full_disk_keeps_records_waiting_in_order_until_there_is_room():
    disk = Disk([Fault("commit", 2, NO_SPACE)])
    journal = MemoryJournal(disk)
    journal.append([fact(1)])
    commit(journal)
    journal.append([fact(2)])
    with pytest.raises(OSError, match="disk is full"):
        commit(journal)
    assert seqs(journal) == [1]
    journal.append([fact(3)])
    commit(journal)
    assert seqs(journal) == [1, 2, 3]


@pytest.mark.parametrize(("written", "survived"), [(False, [1]), (True, [1, 2])])
def test_a_process_may_die_before_or_after_its_commit_reached_the_disk(written, survived):
    journal = MemoryJournal(Disk([Fault("commit", 2, KeyboardInterrupt(), written=written)]))
    journal.append([fact(1)])
    journal.flush()
    journal.append([fact(2)])
    with pytest.raises(KeyboardInterrupt):
        journal.flush()
    assert seqs(MemoryJournal(journal.crash())) == survived


def test_an_append_that_fails_takes_nothing():
    disk = Disk()
    disk.add_fault(Fault("append", 1, NO_SPACE))
    journal = MemoryJournal(disk)
    with pytest.raises(OSError, match="disk is full"):
        journal.append([fact(1)])
    journal.append([fact(1)])
    journal.flush()
    assert seqs(journal) == [1]
    assert (disk.appends, disk.commits) == (2, 1)


def test_a_commit_with_nothing_to_write_is_no_commit_point():
    journal = MemoryJournal(Disk([Fault("commit", 1, NO_SPACE)]))
    journal.flush()
    assert journal.disk.commits == 0


def test_a_second_instance_waits_for_the_lease_and_then_fences_the_first_off():
    first = MemoryJournal(account="A", holder="one", now_ns=0, ttl_ns=30)
    with pytest.raises(JournalLocked, match="one") as told:
        MemoryJournal(first.disk, account="A", holder="two", now_ns=29, alone=False)
    assert told.value.until_ns == 30
    second = MemoryJournal(first.disk, account="A", holder="two", now_ns=30, alone=False)
    assert second.lease.epoch == first.lease.epoch + 1
    with pytest.raises(LeaseLost, match="two"):
        first.append([fact(1)])
    with pytest.raises(LeaseLost):
        asyncio.run(first.renew(31))
    second.append([fact(1)])
    second.flush()


def test_a_renewed_lease_holds_and_a_released_one_is_free_at_once():
    first = MemoryJournal(holder="one", now_ns=0, ttl_ns=30)
    asyncio.run(first.renew(20, ttl_ns=30))
    with pytest.raises(JournalLocked):
        MemoryJournal(first.disk, holder="two", now_ns=49, alone=False)
    asyncio.run(first.close())
    assert MemoryJournal(first.disk, holder="two", now_ns=49, alone=False).lease.epoch == 2


def test_snapshots_are_kept_newest_first_by_layout_and_only_of_records_that_exist():
    journal = MemoryJournal()
    journal.append([fact(seq) for seq in range(1, 6)])
    for seq in (1, 2, 3, 4):
        asyncio.run(journal.save_snapshot(f"after {seq}".encode, seq=seq, ts_ns=seq, layout=seq % 2))
    assert journal.latest_snapshot(0)[0].payload == b"after 4"
    assert journal.latest_snapshot(1)[0].payload == b"after 3"
    assert "another version" in journal.latest_snapshot(1)[1][0]
    assert len(journal.disk.snapshots) == 3
    with pytest.raises(OutOfSequence):
        asyncio.run(journal.save_snapshot(b"".strip, seq=9, ts_ns=0, layout=1))
