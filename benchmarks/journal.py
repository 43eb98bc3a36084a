"""The durable journal beside a bare SQLite commit: `python -m benchmarks.journal`; BENCH_FOLDER names the disk.

Everything runs in one folder in one pass, in alternating rounds; a ratio means something, an absolute figure little.
A stream is what the goal of 50,000 events/s under load is about: one event alone may take 2.5 bare commits.
"""

import asyncio
import gc
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.printing import Row, show
from grodtd.domain.orders import ExecutionReport, OrderStatus
from grodtd.ports import Record
from grodtd.storage import reading
from grodtd.storage.bulk import SyncJournal
from grodtd.storage.codec import FACT, encode_fact
from grodtd.storage.journal import SqlJournal

ROUNDS = 5
ALONE = 300
LOAD, TASKS = 50_000, 1_000
BULK = 200_000
PAYLOAD = encode_fact(ExecutionReport("B7.stop3", OrderStatus.FILLED, exec_id="x-1234567", reason="stop hit"))
DDL = (
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, ts_ns INTEGER, kind TEXT, bracket_id TEXT, payload BLOB,"
    " checksum BLOB, epoch INTEGER)"
)


def records(first: int, count: int) -> list[Record]:
    return [
        Record(seq, 1_700_000_000_000_000_000 + seq, FACT, f"B{seq % 1000}", PAYLOAD)
        for seq in range(first, first + count)
    ]


def bare(path: Path) -> sqlite3.Connection:
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute(DDL)
    return raw


def bare_commits(raw: sqlite3.Connection, first: int) -> list[float]:
    taken = []
    for record in records(first, ALONE):
        started = time.perf_counter()
        raw.execute("BEGIN IMMEDIATE")
        raw.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)",
            (record.seq, record.ts_ns, record.kind, record.bracket_id, record.payload, b"", 1),
        )
        raw.execute("COMMIT")
        taken.append(time.perf_counter() - started)
    return taken


async def our_commits(journal: SqlJournal) -> list[float]:
    taken = []
    for record in records(journal.last_seq + 1, ALONE):
        started = time.perf_counter()
        journal.append([record])
        await journal.commit()
        taken.append(time.perf_counter() - started)
    return taken


async def our_load(journal: SqlJournal) -> float:
    """Events/s with `TASKS` turns on the way at once, each waiting for its own commit."""
    waiting = iter(records(journal.last_seq + 1, LOAD))

    async def turns() -> None:
        for record in waiting:
            journal.append([record])
            await journal.commit()

    started = time.perf_counter()
    await asyncio.gather(*(turns() for _ in range(TASKS)))
    return LOAD / (time.perf_counter() - started)


def bulk(path: Path) -> float:
    made = records(1, BULK)
    started = time.perf_counter()
    with SyncJournal(path) as journal:
        for at in range(0, BULK, 3):
            journal.append(made[at : at + 3])
    return BULK / (time.perf_counter() - started)


def bare_bulk(path: Path) -> float:
    rows = [(r.seq, r.ts_ns, r.kind, r.bracket_id, r.payload, b"0123456789abcdef", 1) for r in records(1, BULK)]
    raw = bare(path)
    started = time.perf_counter()
    raw.execute("BEGIN")
    raw.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    raw.execute("COMMIT")
    took = time.perf_counter() - started
    raw.close()
    return BULK / took


async def our_stream(journal: SqlJournal) -> float:
    """Events/s as a runner takes them from a broker: none waits, and whoever must be durable shares a commit."""
    under_way: asyncio.Task[None] | None = None
    made = records(journal.last_seq + 1, LOAD)
    started = time.perf_counter()
    for number, record in enumerate(made):
        journal.append([record])
        if under_way is None or under_way.done():
            under_way = asyncio.create_task(journal.commit())
        if number % 16 == 0:
            await asyncio.sleep(0)
    await journal.commit()
    return LOAD / (time.perf_counter() - started)


async def live(folder: Path) -> list[Row]:
    raw = bare(folder / "bare.db")
    journal = SqlJournal(folder / "ours.db", account="bench", holder="bench", now_ns=0)
    theirs, ours, stream, load = [], [], [], []
    for _ in range(ROUNDS):
        theirs += bare_commits(raw, len(theirs) + 1)
        ours += await our_commits(journal)
        gc.collect()
        stream.append(await our_stream(journal))
        load.append(await our_load(journal))
    await journal.close()
    raw.close()
    limit, one = statistics.median(theirs), statistics.median(ours)
    return [
        Row("one event alone", one * 1e6, "us", limit * 1e6, "bare commit", goal="journal-alone"),
        Row("a stream", statistics.median(stream), "events/s", 1 / limit, "bare commits", stream, goal="journal-load"),
        Row(f"{TASKS:,} turns that each wait", statistics.median(load), "events/s", 1 / limit, "bare commits", load),
    ]


def replay(folder: Path) -> list[Row]:
    theirs, ours = [], []
    for turn in range(3):
        theirs.append(bare_bulk(folder / f"bare{turn}.db"))
        ours.append(bulk(folder / f"bulk{turn}.db"))
    started = time.perf_counter()
    count = sum(1 for _ in reading.read(folder / "bulk0.db"))
    proven = count / (time.perf_counter() - started)
    raw = sqlite3.connect(folder / "bare0.db")
    started = time.perf_counter()
    count = sum(1 for _ in raw.execute("SELECT * FROM records ORDER BY seq"))
    selected = count / (time.perf_counter() - started)
    raw.close()
    return [
        Row(
            "a replay's journal",
            statistics.median(ours),
            "records/s",
            statistics.median(theirs),
            "bare executemany",
            ours,
        ),
        Row("read and proven", proven, "records/s", selected, "bare SELECT"),
    ]


async def restart(path: Path) -> list[Row]:
    """Open a journal of `BULK` records: proving them all, and from a snapshot 10,000 records before its end."""
    started = time.perf_counter()
    journal = SqlJournal(path, account="bench", holder="bench", now_ns=0)
    whole = time.perf_counter() - started
    await journal.save_snapshot(lambda: bytes(10_000_000), seq=BULK - 10_000, ts_ns=0, layout=1)
    await journal.close()
    started = time.perf_counter()
    journal = SqlJournal(path, account="bench", holder="bench", now_ns=0)
    assert journal.latest_snapshot(1)[0] is not None
    count = sum(1 for _ in journal.read(BULK - 10_000))
    quick = time.perf_counter() - started
    await journal.close()
    return [Row(f"open and read a tail of {count:,}", quick * 1e3, "ms", whole * 1e3, f"open and prove {BULK:,}")]


def main() -> None:
    """Print ours, the limit in the same run, and the ratio."""
    with tempfile.TemporaryDirectory(prefix="grodtd-bench-", dir=os.environ.get("BENCH_FOLDER")) as name:
        folder = Path(name)
        rows = asyncio.run(live(folder)) + replay(folder) + asyncio.run(restart(folder / "bulk0.db"))
        show(f"The durable journal: SQLite {sqlite3.sqlite_version} in {name}, WAL, synchronous=FULL", rows)


if __name__ == "__main__":
    main()
