"""A file read chunk by chunk is the file read whole, to the last digit, line and complaint; its memory is bounded."""

import gzip
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.errors import DataError
from grodtd.replay import spill, volatility
from grodtd.replay.prices import Bars, Quotes
from grodtd.replay.reading import read_prices
from grodtd.replay.volatility import bars_from_quotes


def minute(n, form="2014-06-09T{:02}:{:02}:00Z"):
    return form.format(n // 60 % 24, n % 60)


def bars(count=60, volume=True, end="\n"):
    rows = [f"{minute(n)},{100 + n},{101.25 + n},{99 + n},{100.5 + n}" + f",{n or ''}" * volume for n in range(count)]
    return end.join(["time,open,high,low,close" + ",volume" * volume, *rows, ""])


def two_sided(count=60):
    sides = [f"{side}_{name}" for side in ("bid", "ask") for name in ("open", "high", "low", "close")]
    rows = [f"{minute(n)},1,1.5,0.5,1,{1.1 - (n % 20 == 9)},1.6,0.6,1.1" for n in range(count)]
    return "\n".join([",".join(["time", *sides]), *rows, ""])


def quotes(count=60, first_ms=1_402_315_200_000):
    rows = [
        f"{first_ms + n // 3 * 7_000},{1.36 + n / 1e5:.5f},{1.36 + (n + 1 - n % 7) / 1e5:.5f}" for n in range(count)
    ]
    return "\n".join(["time,bid,ask", *rows, ""])


def replaced(text, line, row):
    lines = text.split("\n")
    lines[line - 1] = row
    return "\n".join(lines)


FILES = {
    "bars": bars(),
    "no volume": bars(volume=False),
    "CRLF": bars(end="\r\n"),
    "CR": bars(end="\r"),
    "two-sided, some crossed": two_sided(),
    "quotes": quotes(),
    "more digits in the middle": replaced(bars(), 31, "2014-06-09T00:29:00Z,129.12345678,130.25,128,129.5,"),
    "more digits than a float from there": replaced(bars(), 31, f"{minute(29)},129.1234567890123456,131,128,129,"),
    "such digits everywhere": bars().replace(".25,", ".2512345678901234567,"),
    "a blank line": bars().replace("\n2014-06-09T00:20", "\n\n2014-06-09T00:20"),
    "quotes around cells": bars().replace("129", '"129"'),
    "a line break in quotes": bars().replace("time,", "note,time,").replace("\n2014", '\n"a\nb,c",2014'),
    "blanks around numbers": bars().replace(",129,", ", 129 ,"),
    "epochs of 1972 on, in ms": quotes(first_ms=99_999_900_000),
    "bad rows": replaced(replaced(bars(), 20, "x,1,2,3"), 40, "2014-06-09T00:38:00Z,-,1,1,1,"),
    "times that run backwards": replaced(replaced(bars(), 25, minute(3) + ",1,1,1,1,"), 50, minute(3) + ",1,1,1,1,"),
    "a time that stands twice": replaced(bars(), 33, minute(30) + ",130,130,130,130,"),
    "no rows": "time,bid,ask\n",
    "nothing": "",
    "no columns of ours": "a,b\n1,2\n",
    "not text": "time,bid,ask\n1402315200000,1,2\n\xff,\xff,\xff\n",
    "one bar": bars(1),
}


def told(path, **options):
    """Everything reading came to, but the words about chunks; or the complaint."""
    try:
        prices, dropped, remarks = read_prices(path, "X", **options)
    except DataError as error:
        return str(error)
    found = [prices.unit, prices.tick, prices.time_ns.tolist(), prices.lines.tolist(), prices.sha256, prices.path]
    if isinstance(prices, Quotes):
        found += [prices.bid.tolist(), prices.ask.tolist()]
    if isinstance(prices, Bars):
        found += [prices.interval_ns, prices.end_ns.tolist()]
        found += [getattr(side, name).tolist() for side in (prices.bid, prices.ask) for name in side.__slots__]
        found.append(None if prices.volume is None else np.nan_to_num(prices.volume, nan=-1).tolist())
    return found, dropped, [said for said in remarks if "chunk" not in said]


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", FILES)
def test_a_csv_in_chunks_of_any_size_is_the_csv_read_whole(tmp_path, name, zipped):
    data = FILES[name].encode("latin-1")
    path = tmp_path / "X.csv"
    path.write_bytes(gzip.compress(data) if zipped else data)
    for skip_bad in (False, True):
        whole = told(path, skip_bad=skip_bad)
        for size in (70, 333, 1_000, 10**6):
            assert told(path, skip_bad=skip_bad, chunk_bytes=size) == whole, size


@pytest.mark.parametrize(
    "row",
    [f"{minute(29)},129.1234567890123456789,131,128,129,", f"{minute(29)},9e17,9e17,9e17,9e17,"],
    ids=["fine", "high"],
)
def test_prices_no_int64_holds_together_are_refused_either_way(tmp_path, row):
    path = tmp_path / "X.csv"
    path.write_text(replaced(bars(), 31, row))
    for size in (None, 70, 333, 1_000, 10**6):
        assert "too many digits to be kept exactly beside prices of" in told(path, chunk_bytes=size)


@given(places=st.lists(st.integers(0, 9), min_size=2, max_size=40), size=st.integers(60, 400), seed=st.integers(0, 99))
def test_whatever_digits_prices_have(tmp_path_factory, places, size, seed):
    draw = np.random.default_rng(seed)
    rows = [
        f"{n * 1000},{draw.integers(1, 10**8) / 10**p:.{p}f},{draw.integers(1, 10**8)}"
        for n, p in enumerate(places, 10**9)
    ]
    path = tmp_path_factory.mktemp("digits") / "X.csv"
    path.write_text("time,bid,ask\n" + "\n".join(rows) + "\n")
    assert told(path, chunk_bytes=size) == told(path)


@pytest.mark.parametrize("kind", ["parquet", "ipc"])
@pytest.mark.parametrize("name", ["bars", "two-sided, some crossed", "quotes", "no rows"])
def test_parquet_and_arrow_too(tmp_path, name, kind):
    frame = pl.read_csv(FILES[name].encode(), try_parse_dates=True)
    path = tmp_path / f"X.{kind}"
    getattr(frame, f"write_{kind}")(path)
    whole = told(path)
    for size in (60, 1_000, 10**6):
        assert told(path, chunk_bytes=size) == whole
    (tmp_path / "X.csv").write_text(FILES[name])
    if isinstance(whole, tuple):
        assert whole[0][:3] == told(tmp_path / "X.csv")[0][:3]
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    assert "is damaged" in told(path)
    assert "is damaged" in told(path, chunk_bytes=1_000)


def test_an_arrow_stream_is_read_whole(tmp_path):
    path = tmp_path / "X.arrows"
    pl.read_csv(quotes().encode()).write_ipc_stream(path)
    (tmp_path / "X.csv").write_text(quotes())
    assert told(path)[0][:3] == told(tmp_path / "X.csv")[0][:3]


def test_a_file_cut_short_is_said(tmp_path):
    path = tmp_path / "X.csv.gz"
    path.write_bytes(gzip.compress(bars(2_000).encode())[:-200])
    assert "the gzip data is damaged or cut short" in told(path, chunk_bytes=1_000)
    assert told(path, chunk_bytes=1_000).split("(")[0] == told(path).split("(")[0]


def test_large_files_are_read_in_chunks_and_say_so(tmp_path, monkeypatch):
    path = tmp_path / "X.csv"
    path.write_text(quotes(300))
    assert not read_prices(path).remarks[1:]
    monkeypatch.setattr("grodtd.replay.reading.WHOLE_BELOW_BYTES", 5_000)
    monkeypatch.setattr("grodtd.replay.reading.CHUNK_BYTES", 2_000)
    told = read_prices(path).remarks
    assert "300 rows read in 5 chunks: 0 MB of arrays lie in files without names in " in told[-1]


def test_mid_bars_of_many_quotes_are_those_made_at_once(tmp_path, monkeypatch):
    path = tmp_path / "X.csv"
    path.write_text(quotes(3_000))
    read = read_prices(path).prices
    whole = bars_from_quotes(read)
    for block in (1, 7, 1_000):
        monkeypatch.setattr(volatility, "BLOCK", block)
        again = bars_from_quotes(read)
        assert again.time_ns.tolist() == whole.time_ns.tolist()
        assert again.lines.tolist() == whole.lines.tolist()
        for name in ("open", "high", "low", "close"):
            assert getattr(again.bid, name).tolist() == getattr(whole.bid, name).tolist()


def test_a_large_array_lies_in_a_file(monkeypatch):
    monkeypatch.setattr(spill, "LARGE_BYTES", 100)
    small, large = spill.empty(12), spill.empty(13, np.float64)
    assert small.base is None
    assert large.base is not None
    large[:] = 2.5
    assert large.sum() == 32.5
    column = spill.Spilled()
    assert column.array().tolist() == []
    column = spill.Spilled()
    column.add(np.arange(3))
    column.add(np.arange(2))
    assert column.array().tolist() == [0, 1, 2, 0, 1]


MEMORY = """
import resource, sys
from pathlib import Path
from decimal import Decimal
import numpy as np
from grodtd.config.loading import load
from grodtd.replay import reading
from grodtd.replay.reading import read_prices
from grodtd.replay.inputs import ReplayOptions, prepare
from grodtd.replay.run import run

path, chunk_bytes, room_mb = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if chunk_bytes:
    reading.WHOLE_BELOW_BYTES, reading.CHUNK_BYTES = 0, chunk_bytes
small = path.with_name("small.csv")
small.write_text("".join(path.open().readlines()[:1000]))
options = lambda path: ReplayOptions(prices=path, entries="every:500", symbol="X")
configuration = load("configs", environ={})
run(prepare(options(small), configuration), None)  # libraries have begun their threads
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) * 1024
limit = used + room_mb * 1_000_000
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
replayed = run(prepare(options(path), configuration), None)
print(len(replayed.lives_of[0]), replayed.summary.pnl)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts all memory of a process on Linux only")
def test_a_replay_of_many_quotes_needs_the_memory_of_a_chunk(tmp_path):
    """A million and a half quotes, 60 MB of arrays and twice that while they are read, within 40 MB."""
    draw, count = np.random.default_rng(3), 1_500_000
    time_ms = 1_402_315_200_000 + np.cumsum(draw.integers(0, 40, count))
    bid = 136_000 + np.cumsum(draw.integers(-2, 3, count))
    frame = pl.DataFrame({"time": time_ms, "bid": bid / 1e5, "ask": (bid + draw.integers(0, 4, count)) / 1e5})
    path = tmp_path / "X.csv"
    frame.write_csv(path, float_precision=5)

    def within(chunk_bytes, room_mb):
        words = [sys.executable, "-c", MEMORY, str(path), str(chunk_bytes), str(room_mb)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    chunked = within(1_000_000, 40)
    assert chunked.returncode == 0, chunked.stderr[-2_000:]
    assert within(0, 40).returncode != 0
    assert chunked.stdout == within(0, 4_000).stdout
