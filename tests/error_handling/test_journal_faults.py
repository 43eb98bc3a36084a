"""Truncated, bit-flipped and locked journals, a full disk, a failing disk, a second instance: each ends as described.

Never silently other records than were written: either all are there, or the journal refuses to start in words that say
what to do, or it tells that the unacknowledged end of a commit was dropped.
"""

import errno
import random
import resource
import shutil
import sqlite3
import subprocess
import sys

import pytest

from grodtd.domain.errors import GrodtdError
from grodtd.storage import database as databases
from grodtd.storage import reading, upkeep
from grodtd.storage.database import Database
from grodtd.storage.errors import JournalCorrupt, JournalLocked, JournalNotFound, JournalUnavailable
from grodtd.storage.journal import SqlJournal
from grodtd.storage.store import Store
from grodtd.storage.wal import leftover
from tests.integration.journal_kit import FailingDriver, daemon, fact, facts, io_error, run, seqs, stored, write

FRAME = 24 + 512


def small_pages(path):
    """A database of 512-byte pages: a small journal then has many, and each byte weighs."""
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA page_size=512")
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("VACUUM")
    raw.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A journal of twelve records, closed properly: one file."""
    path = tmp_path_factory.mktemp("closed") / "journal.db"
    small_pages(path)
    write(path, 12)
    return path


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """Six records as a killed process leaves them: four commits in the log (1, 2, 3-5, 6), none in the file."""
    folder = tmp_path_factory.mktemp("crashed")
    small_pages(folder / "live.db")
    write(folder / "live.db", 0)

    async def life():
        async with daemon(folder / "live.db") as journal:
            for records in ([fact(1)], [fact(2)], facts(3, 5), [fact(6)]):
                journal.append(records)
                await journal.commit()
            for end in ("", "-wal"):
                shutil.copy(folder / f"live.db{end}", folder / f"journal.db{end}")

    run(life())
    return folder / "journal.db"


COMMITS = [0, 1, 2, 5, 6]
"""Where a commit of the crashed journal ended."""


def copy(source, folder):
    for end in ("", "-wal", "-shm"):
        (folder / f"journal.db{end}").unlink(missing_ok=True)
        if source.with_name(source.name + end).exists():
            shutil.copy(source.with_name(source.name + end), folder / f"journal.db{end}")
    return folder / "journal.db"


def start(path):
    """Start as a daemon does, checking everything; return records and remarks, or the refusal."""
    try:
        store = Store(path, "test", quick=False)
        try:
            return list(reading.records(store.database, store.connection)), store.opening.remarks
        finally:
            store.close()
    except GrodtdError as refusal:
        return refusal, ()


def flips(size, count, seed):
    """Bits to flip: in every run the same, spread over all bytes."""
    chance = random.Random(seed)
    places = range(size) if count >= size else sorted(chance.sample(range(size), count))
    return [(place, 1 << chance.randrange(8)) for place in places]


def flip(path, place, bit):
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ bit]))


# ---------------------------------------------------------------- damage


def test_a_flipped_bit_in_the_file_is_found_or_harmless(closed, tmp_path):
    written, found = stored(closed), 0
    for place, bit in flips(closed.stat().st_size, 500, seed=7):
        path = copy(closed, tmp_path)
        flip(path, place, bit)
        outcome, _ = start(path)
        assert isinstance(outcome, GrodtdError) or outcome == written, f"byte {place}, bit {bit}"
        found += isinstance(outcome, GrodtdError)
    assert found > 50  # most of the file is empty space and what only SQLite's planner reads


def test_a_flipped_bit_in_the_log_is_found_or_drops_at_most_what_was_not_acknowledged(crashed, tmp_path):
    written, ends = stored(crashed), {"refused": 0, "told": 0, "harmless": 0}
    log = crashed.with_name("journal.db-wal")
    for place, bit in flips(log.stat().st_size, 400, seed=8):
        path = copy(crashed, tmp_path)
        flip(path.with_name("journal.db-wal"), place, bit)
        outcome, remarks = start(path)
        if isinstance(outcome, GrodtdError):
            ends["refused"] += 1
            assert "log" in str(outcome)
        elif outcome == written:
            ends["harmless"] += 1
        else:
            # In the last commit a damaged page looks as a torn one does: it is dropped, and said.
            ends["told"] += 1
            assert outcome == written[:5]
            assert "torn" in remarks[0]
    assert ends["refused"] > 200
    assert ends["told"] > 20
    assert ends["harmless"] == 0


def test_a_refusal_leaves_the_damaged_files_as_they_were(crashed, tmp_path):
    path = copy(crashed, tmp_path)
    log = path.with_name("journal.db-wal")
    flip(log, 32 + 24 + 100, 1)
    before = (path.read_bytes(), log.read_bytes())
    assert isinstance(start(path)[0], JournalCorrupt)
    assert (path.read_bytes(), log.read_bytes()) == before


def test_a_log_cut_anywhere_loses_whole_commits_from_the_end_only(crashed, tmp_path):
    written, size = stored(crashed), crashed.with_name("journal.db-wal").stat().st_size
    cuts = [*range(40), *range(size - 3 * FRAME, size + 1, 67), *range(32, size + 1, FRAME)]
    kept = set()
    for length in cuts:
        path = copy(crashed, tmp_path)
        log = path.with_name("journal.db-wal")
        good = good_frames(log, length)
        outcome, remarks = start(path)
        assert outcome == written[: len(outcome)]
        assert len(outcome) in COMMITS
        # Cut between two commits, or whole, it looks as if nothing more had ever been there.
        clean = length in (0, 32 + good * FRAME)
        assert bool(remarks) is not clean, f"cut to {length} of {size} bytes"
        kept.add(len(outcome))
    assert kept == set(COMMITS)


def good_frames(log, length):
    with log.open("r+b") as file:
        file.truncate(length)
    found = leftover(log)
    return found.good_frames if found else 0


def test_a_file_cut_anywhere_refuses_to_start(closed, tmp_path):
    size = closed.stat().st_size
    for length in [*range(0, 600, 50), *range(512, size, 512), size - 1]:
        path = copy(closed, tmp_path)
        with path.open("r+b") as file:
            file.truncate(length)
        outcome, _ = start(path)
        assert isinstance(outcome, JournalCorrupt), f"cut to {length} of {size} bytes"


SURGERY = {
    # what somebody did to the tables                                     what the refusal names
    "DELETE FROM records WHERE seq > 10": "last records",
    "DELETE FROM records WHERE seq = 5": "missing",
    "DELETE FROM records WHERE seq = 1": "missing",
    "UPDATE records SET payload = '{}' WHERE seq = 7": "record 7",
    "UPDATE records SET ts_ns = ts_ns + 1 WHERE seq = 7": "record 7",
    "UPDATE head SET seq = 11": "last record",
    "UPDATE head SET checksum = x'00'": "last record",
    "UPDATE head SET (seq, checksum) = (SELECT seq, checksum FROM records WHERE seq = 11)": "should be 11 and is 12",
    "DELETE FROM head": "last record",
    "DROP TABLE records": "records",
    "DROP TABLE snapshots": "snapshots",
    "DELETE FROM alembic_version": "schema version",
    "UPDATE alembic_version SET version_num = 'x1'": "schema version",
}


@pytest.mark.parametrize("statement", SURGERY)
def test_tables_that_somebody_edited_are_found_out(closed, tmp_path, statement):
    path = copy(closed, tmp_path)
    raw = sqlite3.connect(path)
    raw.execute(statement)
    raw.commit()
    raw.close()
    outcome, _ = start(path)
    assert isinstance(outcome, JournalCorrupt)
    assert SURGERY[statement] in str(outcome)
    with pytest.raises(JournalCorrupt):
        upkeep.verify(path)


def test_the_refusal_says_where_and_what_to_do(closed, tmp_path):
    path = copy(closed, tmp_path)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE records SET payload = '{}' WHERE seq = 7")
    raw.commit()
    raw.close()
    told = str(start(path)[0])
    for words in (str(path), "record 7", "Restore a backup", f"grodtd journal set-aside {path}", "Nothing was changed"):
        assert words in told
    with pytest.raises(JournalCorrupt, match="record 7"):
        seqs(path)
    assert seqs(path, after_seq=7) == [8, 9, 10, 11, 12]  # `explain` still reads what can be trusted


UNREADABLE = "kind = CAST(x'66FF' AS TEXT)"


@pytest.mark.parametrize(
    ("seq", "damage", "told"),
    [
        (7, UNREADABLE, "intact up to record 6; SQLite says: Could not decode to UTF-8 column 'kind'"),
        (1, UNREADABLE, "no record is intact; SQLite says: Could not decode to UTF-8 column 'kind'"),
        (12, "payload = '{}'", "intact up to record 11; a record"),
    ],
)
def test_verify_answers_how_far_the_journal_is_intact_and_does_not_send_back_to_itself(
    closed, tmp_path, seq, damage, told
):
    path = copy(closed, tmp_path)
    raw = sqlite3.connect(path)
    raw.execute(f"UPDATE records SET {damage} WHERE seq = {seq}")
    raw.commit()
    raw.close()
    with pytest.raises(JournalCorrupt, match=f"at record {seq}\\. Nothing was changed") as refused:
        upkeep.verify(path)
    assert str(refused.value).startswith(f"{path}: {told}")
    assert f"grodtd journal set-aside {path}" in str(refused.value)
    assert "journal verify" not in str(refused.value)


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "photos.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE photos (name)")
    raw.close()
    assert "another program's database (tables: photos)" in str(start(path)[0])


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("buy milk\n" * 100)
    assert isinstance(start(path)[0], JournalCorrupt)
    assert path.read_text() == "buy milk\n" * 100


def test_a_log_without_its_file_refuses_to_start(crashed, tmp_path):
    path = copy(crashed, tmp_path)
    path.unlink()
    assert "the file is gone" in str(start(path)[0])
    assert not path.exists()


# ---------------------------------------------------------------- a disk that is full, or fails


def fill_up(path, room):
    """Allow the database `room` more pages: SQLite then says what it says of a full disk."""

    def limit(journal):
        raw = databases.driver(journal._store.connection)
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count={pages + room}")

    return limit


def test_a_full_disk_stops_commits_and_nothing_is_lost_when_there_is_room_again(tmp_path):
    path = tmp_path / "journal.db"

    async def life():
        async with daemon(path) as journal:
            journal.append([fact(1)])
            await journal.commit()
            fill_up(path, 0)(journal)
            large = [fact(seq, payload=b"x" * 20_000) for seq in range(2, 5)]
            for records in large:
                journal.append([records])
                with pytest.raises(OSError, match="disk is full") as told:
                    await journal.commit()
                assert told.value.errno == errno.ENOSPC
            assert (journal.durable_seq, journal.pending) == (1, 3)
            assert seqs(path) == [1]  # what is there stays readable
            fill_up(path, 1_000_000)(journal)
            journal.append([fact(5)])
            await journal.commit()

    run(life())
    assert seqs(path) == [1, 2, 3, 4, 5]
    assert upkeep.verify(path).records == 5


def mount(*arguments):
    if subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode:
        pytest.skip("only root may mount")


def test_a_journal_that_finds_no_room_to_begin_leaves_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", disk)
    try:
        with pytest.raises(JournalUnavailable) as told:
            run(life_of_two_megabytes(disk / "journal.db"))
        assert told.value.errno in (errno.ENOSPC, errno.EIO)  # SQLite cannot always tell
        assert [path.name for path in disk.iterdir()] == ["journal.db.lock"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_full_filesystem_ends_the_same_way(tmp_path):
    """A real one, of one megabyte; only root may mount it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", disk)
    try:
        run(life_on_a_full_disk(disk))
        assert upkeep.verify(disk / "journal.db").records == 52
    finally:
        subprocess.run(["umount", disk], check=True)


async def life_on_a_full_disk(disk):
    async with daemon(disk / "journal.db") as journal:
        journal.append(facts(1, 50))
        await journal.commit()
        with pytest.raises(OSError, match="No space left"):
            (disk / "filler").write_bytes(bytes(2_000_000))
        journal.append([fact(51, payload=b"x" * 100_000)])
        with pytest.raises(JournalUnavailable) as told:
            await journal.commit()
        assert told.value.errno == errno.ENOSPC
        (disk / "filler").unlink()
        journal.append([fact(52)])
        await journal.commit()


LIMITED = """
import asyncio, resource, signal, sys
from grodtd.storage.journal import SqlJournal
from tests.integration.journal_kit import fact

async def life():
    journal = SqlJournal(sys.argv[1], account="ACC1", holder="limited", now_ns=0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    journal.append([fact(1, payload=b"x" * 300_000)])
    try:
        await journal.commit()
    except OSError as error:
        print(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append([fact(2)])
    await journal.commit()
    await journal.close()

asyncio.run(life())
"""


def test_a_file_that_may_not_grow_ends_the_same_way(tmp_path):
    assert resource.RLIM_INFINITY in resource.getrlimit(resource.RLIMIT_FSIZE)
    told = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "journal.db"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "JournalUnavailable\n"
    assert seqs(tmp_path / "journal.db") == [1, 2]


def test_a_disk_that_fails_says_so_to_everybody_who_waits(tmp_path, monkeypatch):
    import asyncio

    async def life():
        async with daemon(tmp_path / "journal.db") as journal:
            FailingDriver(monkeypatch, 4, io_error)
            journal.append(facts(1, 3))
            answers = await asyncio.gather(*(journal.commit() for _ in range(3)), return_exceptions=True)
            assert [type(answer) for answer in answers] == [JournalUnavailable] * 3
            assert {answer.errno for answer in answers} == {errno.EIO}
            assert "check the disk" in str(answers[0])

    run(life())
    assert seqs(tmp_path / "journal.db") == [1, 2, 3]  # closing tried again, and it went well


def test_damage_met_while_writing_is_an_os_error_too(tmp_path, monkeypatch):
    """The port promises `OSError` for every commit that cannot be: the runner has one way to stop taking risk."""

    def malformed():
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        return error

    async def life():
        async with daemon(tmp_path / "journal.db") as journal:
            FailingDriver(monkeypatch, 3, malformed)
            journal.append([fact(1)])
            with pytest.raises(OSError, match="malformed"):
                await journal.commit()

    run(life())


# ---------------------------------------------------------------- locked, missing, not ours


def test_a_second_instance_on_the_same_file_is_refused_at_once(tmp_path):
    path = tmp_path / "journal.db"

    async def life():
        async with daemon(path, holder="host-a") as first:
            with pytest.raises(JournalLocked, match="host-a"):
                SqlJournal(path, account="ACC1", holder="host-b", now_ns=10**18)
            first.append([fact(1)])
            await first.commit()

    run(life())
    assert seqs(path) == [1]


def test_a_file_locked_by_another_program_is_refused_in_words(tmp_path, monkeypatch):
    path = tmp_path / "journal.db"
    write(path, 2)
    monkeypatch.setattr(databases, "BUSY_TIMEOUT_S", 0.01)
    browser = sqlite3.connect(path, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalLocked, match="database browser"):
        write(path, 3)
    browser.execute("ROLLBACK")
    browser.close()
    write(path, 3)
    assert seqs(path) == [1, 2, 3]


def test_a_program_that_locks_the_file_meanwhile_holds_commits_up_and_no_more(tmp_path, monkeypatch):
    path = tmp_path / "journal.db"
    monkeypatch.setattr(databases, "BUSY_TIMEOUT_S", 0.01)

    async def life():
        async with daemon(path) as journal:
            browser = sqlite3.connect(path, isolation_level=None)
            browser.execute("BEGIN IMMEDIATE")
            journal.append([fact(1)])
            with pytest.raises(OSError, match="another program holds it"):
                await journal.commit()
            browser.execute("ROLLBACK")
            browser.close()
            await journal.commit()

    run(life())
    assert seqs(path) == [1]


def test_a_folder_that_does_not_exist_is_not_made_up(tmp_path):
    """It may be a disk that is not mounted: a new journal there would forget every open bracket."""
    with pytest.raises(JournalUnavailable, match="mount the disk") as told:
        write(tmp_path / "disk" / "journal.db", 1)
    assert told.value.errno == errno.ENOENT
    assert not (tmp_path / "disk").exists()


# ---------------------------------------------------------------- what an operator does about it


def test_a_backup_is_whole_and_taken_while_the_daemon_writes(tmp_path):
    path, safe = tmp_path / "journal.db", tmp_path / "safe.db"

    async def life():
        async with daemon(path) as journal:
            journal.append(facts(1, 20))
            await journal.commit()
            upkeep.backup(path, safe)
            journal.append([fact(21)])
            await journal.commit()

    run(life())
    assert seqs(safe) == list(range(1, 21))
    with pytest.raises(GrodtdError, match="never overwrites"):
        upkeep.backup(path, safe)
    write(safe, 22, now_ns=1)  # and it starts
    assert seqs(safe) == list(range(1, 23))


def test_a_backup_that_finds_no_room_names_the_copy_and_leaves_none(tmp_path):
    path, disk = tmp_path / "journal.db", tmp_path / "disk"
    run(life_of_two_megabytes(path))
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", disk)
    try:
        with pytest.raises(OSError, match=f"{disk}/safe.db: the disk is full") as told:
            upkeep.backup(path, disk / "safe.db")
        assert told.value.errno == errno.ENOSPC
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


async def life_of_two_megabytes(path):
    async with daemon(path) as journal:
        journal.append([fact(seq, payload=b"x" * 100_000) for seq in range(1, 21)])
        await journal.commit()


def test_a_damaged_journal_is_put_aside_whole_and_a_new_one_begins(crashed, tmp_path):
    path = copy(crashed, tmp_path)
    flip(path.with_name("journal.db-wal"), 32 + 24 + 100, 1)
    damaged = path.with_name("journal.db-wal").read_bytes()
    aside = upkeep.set_aside(path)
    assert aside.name == "journal.db.aside-1"
    assert aside.with_name("journal.db.aside-1-wal").read_bytes() == damaged
    assert write(path, 1).created
    assert upkeep.set_aside(path).name == "journal.db.aside-2"
    with pytest.raises(JournalNotFound):
        upkeep.set_aside(path)


def test_a_journal_in_use_is_not_put_aside(tmp_path):
    path = tmp_path / "journal.db"

    async def life():
        async with daemon(path, holder="host-a"):
            with pytest.raises(JournalLocked, match="host-a"):
                upkeep.set_aside(path)

    run(life())


def test_verify_tells_of_a_torn_end_and_of_a_damaged_log(crashed, tmp_path):
    path = copy(crashed, tmp_path)
    assert upkeep.verify(path).records == 6
    log = path.with_name("journal.db-wal")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 10)
    path.with_name("journal.db-shm").unlink(missing_ok=True)
    verified = upkeep.verify(path)
    assert verified.records == 5
    assert "never acknowledged" in verified.remarks[0]
    flip(log, 32 + 24 + 100, 1)
    with pytest.raises(JournalCorrupt, match="not whole"):
        upkeep.verify(path)


def test_a_journal_on_a_read_only_medium_can_be_read_and_verified(tmp_path):
    write(tmp_path / "journal.db", 3)
    (tmp_path / "journal.db.lock").unlink()
    medium = tmp_path / "medium"
    medium.mkdir()
    shutil.copy(tmp_path / "journal.db", medium / "journal.db")
    mount("--bind", medium, medium)
    try:
        mount("-o", "remount,ro,bind", medium)
        assert seqs(medium / "journal.db") == [1, 2, 3]
        assert upkeep.verify(medium / "journal.db").records == 3
        with pytest.raises(GrodtdError, match=r"read-only|Read-only"):
            write(medium / "journal.db", 4)
    finally:
        subprocess.run(["umount", medium], check=True)


@pytest.mark.parametrize(("damaged", "acknowledged_behind"), [(1, True), (2, True), (3, False)])
def test_commits_behind_a_damaged_one_are_seen_also_when_they_share_no_page(tmp_path, damaged, acknowledged_behind):
    path, log = tmp_path / "any.db", tmp_path / "any.db-wal"
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    for table in "abc":
        raw.execute(f"CREATE TABLE {table} (x)")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for table in "abc":  # a commit of one page each
        raw.execute(f"INSERT INTO {table} VALUES (1)")
    shutil.copy(log, tmp_path / "copy")
    raw.close()
    for place in (0, 4, 8, 16, 24, 4000):  # page number, commit mark, salt, checksum, content
        shutil.copy(tmp_path / "copy", log)
        flip(log, 32 + (damaged - 1) * (24 + 4096) + place, 64)
        found = leftover(log)
        assert found.good_frames == damaged - 1
        assert bool(found.damage) is acknowledged_behind, f"byte {place} of the frame"


def test_remains_of_a_commit_that_failed_are_no_damage(crashed, tmp_path):
    """A disk was full, the commit was written again and was shorter; what it did not cover lies behind it for ever."""
    log = copy(crashed, tmp_path).with_name("journal.db-wal")
    data = log.read_bytes()
    remains = data[-2 * FRAME :]  # they chain to each other, and to nothing before them
    log.write_bytes(data + remains)
    assert leftover(log).damage == ""
    assert leftover(log).frames == 2
    log.write_bytes(data + remains + remains)
    assert leftover(log).damage == ""


def test_the_log_is_read_as_sqlite_reads_it(tmp_path):
    """On a log that went round several times, our count of good frames is SQLite's own."""
    path = tmp_path / "any.db"
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA wal_autocheckpoint=10")
    raw.execute("CREATE TABLE t (x)")
    counts = set()
    for number in range(60):
        raw.execute("INSERT INTO t VALUES (?)", ("x" * (number * 97 % 3000),))
        frames = leftover(path.with_name("any.db-wal"))
        counts.add(frames.good_frames)
        assert (frames.frames, frames.damage) == (0, "")
        assert Database(path).is_sqlite
        _busy, log, _done = (
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone() if number % 7 == 0 else (0, None, 0)
        )
        assert log in (None, frames.good_frames)
    raw.close()
    assert len(counts) > 5
