"""Files with mistakes in them: every complaint names file and line, and nothing wrong gets through unseen."""

import gzip
import json
from datetime import timedelta

import polars as pl
import pytest

from grodtd.domain.errors import ConfigError, DataError
from grodtd.replay.entries import read_entries
from grodtd.replay.exits import COLUMNS, read_exits
from grodtd.replay.reading import read_prices
from grodtd.replay.splits import read_splits

GOOD = [
    "2014-06-09T12:00:00Z,100,101,99,100,5",
    "2014-06-09T12:01:00Z,100,102,100,101,5",
    "2014-06-09T12:02:00Z,101,103,101,102,5",
    "2014-06-09T12:03:00Z,102,104,102,103,5",
]
HEADER = "time,open,high,low,close,volume"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a file into the current folder and return its bare name, as a user would type it."""
    monkeypatch.chdir(tmp_path)

    def write(content, name="AAPL-1m.csv"):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write


def text(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


BAD_BARS = [
    # what the third data row (line 4) says                what a person is told
    ("2014-06-09T12:02:00Z,101,103,101,,5", "close is empty"),
    ("2014-06-09T12:02:00Z,101,103,101,NaN,5", "close 'NaN' is not a number"),
    ("2014-06-09T12:02:00Z,101,inf,101,102,5", "high 'inf' is not a number"),
    ("2014-06-09T12:02:00Z,101,103,101,n/a,5", "close 'n/a' is not a number"),
    ("2014-06-09T12:02:00Z,101,103,101,1_02,5", "close '1_02' is not a number"),
    ("2014-06-09T12:02:00Z,101,100.5,101,102,5", "high 100.5 is below low 101"),
    ("2014-06-09T12:02:00Z,104,103,101,102,5", "open 104 is outside low 101 to high 103"),
    ("2014-06-09T12:02:00Z,100.5,103,101,102,5", "open 100.5 is outside low 101 to high 103"),
    ("2014-06-09T12:02:00Z,101,103,101,103.01,5", "close 103.01 is outside low 101 to high 103"),
    ("2014-06-09T12:02:00Z,101,103,101,100.99,5", "close 100.99 is outside low 101 to high 103"),
    ("2014-06-09T12:02:00Z,101,103,0,102,5", "low is 0; a price must be above 0"),
    ("2014-06-09T12:02:00Z,101,103,-1,102,5", "low is -1; a price must be above 0"),
    ("2014-06-09T12:02:00Z,101,103,101,102,many", "volume 'many' is not a number"),
    ("yesterday,101,103,101,102,5", "time 'yesterday' is neither ISO 8601 nor an epoch number"),
    ("2014-02-30T12:02:00Z,101,103,101,102,5", "time '2014-02-30T12:02:00Z' is neither ISO 8601 nor an epoch number"),
    (",101,103,101,102,5", "time is empty"),
    ("2014-06-09T12:01:00Z,101,103,101,102,5", "time 2014-06-09T12:01:00.000Z stands twice, first in line 3"),
    (
        "2014-06-09T12:00:30Z,101,103,101,102,5",
        "time 2014-06-09T12:00:30.000Z runs backwards, from 2014-06-09T12:01:00.000Z in line 3",
    ),
    ("2014-06-09T12:02:00Z,101,103,101,102", "has 5 cells, the header has 6"),
    ("2014-06-09T12:02:00Z,101,103,101,1,020,5", "has 7 cells, the header has 6"),
]


class TestBadBars:
    @pytest.mark.parametrize(("row", "told"), BAD_BARS)
    def test_a_bad_bar_is_an_error_with_its_line(self, file, row, told):
        name = file(text(*GOOD[:2], row, GOOD[3]))
        with pytest.raises(DataError) as error:
            read_prices(name)
        assert str(error.value).splitlines() == [
            "AAPL-1m.csv: 1 bad row",
            f"AAPL-1m.csv:4: {told}",
            "Correct the file; replays, comparisons and sweeps drop such rows with --skip-bad.",
        ]

    @pytest.mark.parametrize(("row", "told"), BAD_BARS)
    def test_skip_bad_drops_it_counts_it_and_keeps_the_rest(self, file, row, told):
        result = read_prices(file(text(*GOOD[:2], row, GOOD[3])), skip_bad=True)
        assert result.prices.lines.tolist() == [2, 3, 5]
        assert result.prices.bid.close.tolist() == [100, 101, 103]
        assert [tuple(bad) for bad in result.dropped] == [(4, told)]
        assert result.remarks == [f"1 bad row dropped, first: line 4: {told}"]

    def test_a_time_out_of_place_does_not_condemn_the_rows_after_it(self, file):
        rows = [GOOD[0], GOOD[3], GOOD[1], GOOD[2], "2014-06-09T12:04:00Z,1,1,1,1,1"]
        result = read_prices(file(text(*rows)), skip_bad=True)
        assert [bad.line for bad in result.dropped] == [4, 5]
        assert result.prices.lines.tolist() == [2, 3, 6]

    def test_the_time_of_a_row_that_is_bad_anyway_is_no_measure_for_others(self, file):
        broken = "2014-06-09T23:00:00Z,1,1,1,,1"
        result = read_prices(file(text(GOOD[0], broken, GOOD[1], GOOD[2])), skip_bad=True)
        assert [bad.line for bad in result.dropped] == [3]

    def test_one_side_of_two_sided_bars_is_named(self, file):
        header = "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close"
        rows = ["2014-06-09,1,1,1,1,2,2,2,2", "2014-06-10,1,1,1,1,2,1.5,2,2"]
        with pytest.raises(DataError, match=r":3: ask_high 1\.5 is below ask_low 2"):
            read_prices(file(text(*rows, header=header)))

    def test_bad_rows_are_told_in_the_order_of_the_file_whatever_is_wrong_with_them(self, file):
        name = file(text("x,1,1,1,1,1", "2014-06-09", *GOOD[:2], GOOD[0], "2014-06-09T13:00:00Z,1,1,1,,1"))
        with pytest.raises(DataError) as error:
            read_prices(name)
        assert [line.split(":")[1] for line in str(error.value).splitlines()[1:-1]] == ["2", "3", "6", "7"]

    def test_of_many_bad_rows_ten_are_shown_and_all_are_counted(self, file):
        name = file(text(*GOOD, *(f"2014-06-09T13:{minute:02}:00Z,1,1,1,,1" for minute in range(25))))
        with pytest.raises(DataError) as error:
            read_prices(name)
        told = str(error.value).splitlines()
        assert told[0] == "AAPL-1m.csv: 25 bad rows"
        assert [line.split(":")[1] for line in told[1:11]] == [str(line) for line in range(6, 16)]
        assert told[11] == "... and 15 more"
        assert len(read_prices(name, skip_bad=True).dropped) == 25

    def test_a_volume_nobody_knows_is_no_mistake(self, file):
        assert len(read_prices(file(text(GOOD[0].removesuffix("5"), *GOOD[1:]))).prices) == 4

    def test_rows_of_parquet_are_counted_from_1(self, tmp_path):
        prices = {
            "time": [1402315200, 1402315201, 1402315202],
            "bid": [1.0, None, 1.0],
            "ask": [1.0, 1.0, float("nan")],
        }
        pl.DataFrame(prices).write_parquet(tmp_path / "X.parquet")
        with pytest.raises(DataError, match=r":2: bid is empty\n.*:3: ask 'nan' is not a number"):
            read_prices(tmp_path / "X.parquet")

    @pytest.mark.parametrize("cells", [[[1.0], [2.0]], [timedelta(1), timedelta(2)]])
    def test_a_column_that_holds_no_numbers_is_named_with_what_it_holds(self, tmp_path, cells):
        pl.DataFrame({"time": [1, 2], "bid": cells, "ask": [1, 2]}).write_parquet(tmp_path / "X.parquet")
        with pytest.raises(DataError, match=r"column bid holds (List|Duration).*, not numbers, times or text"):
            read_prices(tmp_path / "X.parquet")


class TestBadQuotes:
    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ("2014-06-09T12:00:01Z,1.36,", "ask is empty"),
            ("2014-06-09T12:00:01Z,0,1.36", "bid is 0; a price must be above 0"),
            ("2014-06-09T11:59:59Z,1.36,1.36", "runs backwards, from 2014-06-09T12:00:00.000Z in line 2"),
        ],
    )
    def test_a_bad_quote_is_an_error_with_its_line(self, file, row, told):
        with pytest.raises(DataError, match=told) as error:
            read_prices(file(text("2014-06-09T12:00:00Z,1.36,1.36", row, header="time,bid,ask")))
        assert "AAPL-1m.csv:3: " in str(error.value)


NO_TABLES = {
    "nothing": ("", "is empty; expected a header line and rows"),
    "blank lines": ("\n\n  \n", "is empty; expected a header line and rows"),
    "a header alone": (HEADER + "\n", "has no usable row; expected time,open,high,low,close"),
    "one bar": (text(GOOD[0]), "has one bar only; a bar's length is told from two or more"),
    "semicolons": (text(*GOOD).replace(",", ";"), ":1: cells are separated by ';'; this needs commas"),
    "tabs": (text(*GOOD).replace(",", "\t"), r":1: cells are separated by '\t'; this needs commas"),
    "no close": (
        text(*GOOD, header="time,open,high,low,last,volume"),
        ":1: no column close; found: time, open, high, low, last, volume; expected: time,open,high,low,close[,volume]",
    ),
    "no time": (text(*GOOD, header="date,open,high,low,close,volume"), ":1: no column time; found: date, open"),
    "two closes": (text(*GOOD, header="time,open,high,low,close,Close"), ":1: column close appears more than once"),
    "UTF-16": (text(*GOOD).encode("utf-16"), "is text in UTF-16; supply CSV in UTF-8"),
    "Latin-1 in a cell": (text(*GOOD, "Z\u00fcrich").encode("latin-1"), ":6: is not text in UTF-8"),
    "Latin-1 in the header": (text(*GOOD, header="t\u00efme").encode("latin-1"), ":1: is not text in UTF-8"),
    "half a gzip": (gzip.compress(text(*GOOD).encode(), mtime=0)[:-20], "the gzip data is damaged or cut short"),
    "gzipped nothing": (gzip.compress(b"", mtime=0), "is empty"),
    "broken Parquet": (b"PAR1 this is no parquet", "is damaged Parquet"),
    "a workbook": (b"PK\x03\x04 and so on", "is a zip archive or Excel workbook"),
    "gzipped zip": (gzip.compress(b"PK\x03\x04 and so on", mtime=0), "is a zip archive or Excel workbook"),
    "more digits than can be kept": (
        "time,bid,ask\n1402315200,0.1234567890123456789,1\n1402315201,9000,1\n",
        ":3: bid 9000 has too many digits to be kept exactly beside prices of 19 decimals",
    ),
}


class TestNoTableAtAll:
    @pytest.mark.parametrize(("content", "told"), NO_TABLES.values(), ids=NO_TABLES)
    def test_it_is_said_what_the_file_is_and_what_is_needed(self, file, content, told):
        with pytest.raises(DataError) as error:
            read_prices(file(content))
        assert str(error.value).startswith("AAPL-1m.csv:")
        assert told in str(error.value)

    def test_a_file_that_is_not_there(self, file):
        file("")
        with pytest.raises(DataError, match=r"nowhere\.csv: cannot be read: No such file"):
            read_prices("nowhere.csv")

    def test_a_folder(self, tmp_path):
        with pytest.raises(
            DataError, match="cannot be read: Is a directory; name one file in it: only `grodtd replay` takes folders"
        ):
            read_prices(tmp_path)


ENTRIES = "time,symbol,side,quantity,price,bracket_id,stop_price,target_price,strategy"
GOOD_ENTRY = "2014-06-09T12:01:30Z,AAPL,buy,10,101,A1,99,105,trend"
BAD_ENTRIES = [
    ("soon,AAPL,buy,10,,,,,", "time 'soon' is neither ISO 8601 nor an epoch number"),
    (",AAPL,buy,10,,,,,", "time '' is neither ISO 8601 nor an epoch number"),
    (
        "2014-06-09T11:59:59Z,AAPL,buy,10,,,,,",
        (
            "time 2014-06-09T11:59:59.000Z is outside the bars: they run from 2014-06-09T12:00:00.000Z to "
            "2014-06-09T12:04:00.000Z"
        ),
    ),
    ("2014-06-09T12:04:00Z,AAPL,buy,10,,,,,", "is outside the bars: they run from"),
    ("2014-06-09T12:01:00Z,TSLA,buy,10,,,,,", "symbol 'TSLA' is unknown: the prices are of 'AAPL' (--symbol)"),
    ("2014-06-09T12:01:00Z,,buy,10,,,,,", "symbol '' is unknown"),
    ("2014-06-09T12:01:00Z,AAPL,long,10,,,,,", "side 'long' is neither buy nor sell"),
    ("2014-06-09T12:01:00Z,AAPL,,10,,,,,", "side is empty"),
    ("2014-06-09T12:01:00Z,AAPL,buy,,,,,,", "quantity is empty"),
    ("2014-06-09T12:01:00Z,AAPL,buy,0,,,,,", "quantity is 0; it must be above 0"),
    ("2014-06-09T12:01:00Z,AAPL,sell,-5,,,,,", "quantity is -5; it must be above 0"),
    ("2014-06-09T12:01:00Z,AAPL,buy,1_0,,,,,", "quantity '1_0' is not a number"),
    ("2014-06-09T12:01:00Z,AAPL,buy,nan,,,,,", "quantity 'nan' is not a number"),
    ("2014-06-09T12:01:00Z,AAPL,buy,10,102.01,,,,", "price 102.01 for a buy is outside 100 to 102, the bar of"),
    ("2014-06-09T12:01:00Z,AAPL,buy,10,99.99,,,,", "price 99.99 for a buy is outside 100 to 102, the bar of"),
    ("2014-06-09T12:01:00Z,AAPL,buy,10,,,-1,,", "stop_price is -1; it must be above 0"),
    ("2014-06-09T12:01:00Z,AAPL,buy,10,,,,x,", "target_price 'x' is not a number"),
    ("2014-06-09T12:01:00Z,AAPL,buy,10,,B.7,,,", "bracket_id 'B.7' is not allowed: use 1 to 24 letters, digits"),
    (f"2014-06-09T12:01:00Z,AAPL,buy,10,,{'B' * 25},,,", "is not allowed"),
    ("2014-06-09T12:01:00Z,AAPL,buy,10,,A1,,,", "bracket_id A1 is taken by line 2"),
    ("2014-06-09T12:01:00Z,AAPL,buy,10", "has 4 cells, the header has 9"),
]


class TestBadEntries:
    @pytest.fixture
    def prices(self, file):
        return read_prices(file(text(*GOOD))).prices

    @pytest.mark.parametrize(("row", "told"), BAD_ENTRIES)
    def test_a_bad_entry_is_an_error_with_its_line(self, file, prices, row, told):
        with pytest.raises(DataError) as error:
            read_entries(file(text(GOOD_ENTRY, row, header=ENTRIES), "trades.csv"), prices)
        first, line, *_ = str(error.value).splitlines()
        assert first == "trades.csv: 1 bad row"
        assert line.startswith("trades.csv:3: ")
        assert told in line

    @pytest.mark.parametrize(("row", "told"), BAD_ENTRIES)
    def test_skip_bad_drops_it_and_keeps_the_rest(self, file, prices, row, told):
        name = file(text(GOOD_ENTRY, row, GOOD_ENTRY.replace("A1", "A2"), header=ENTRIES), "trades.csv")
        rows, bad = read_entries(name, prices, skip_bad=True)
        assert [(entry.index, entry.line, entry.bracket_id) for entry in rows] == [(0, 2, "A1"), (1, 4, "A2")]
        assert [row.line for row in bad] == [3]
        assert told in bad[0].what

    def test_an_id_taken_only_by_a_bad_row_is_free(self, file, prices):
        name = file(text(GOOD_ENTRY.replace("buy", "?"), GOOD_ENTRY, header=ENTRIES), "trades.csv")
        rows, bad = read_entries(name, prices, skip_bad=True)
        assert [entry.bracket_id for entry in rows] == ["A1"]
        assert [row.line for row in bad] == [2]

    def test_an_entry_between_two_bars_is_told_so(self, file):
        prices = read_prices(file(text(*GOOD, "2014-06-09T14:00:00Z,1,1,1,1,1"))).prices
        row = "2014-06-09T13:00:00Z,AAPL,buy,1,,,,,"
        with pytest.raises(DataError, match=r"is outside the bars: .*, and none covers that moment"):
            read_entries(file(text(row, header=ENTRIES), "trades.csv"), prices)

    def test_a_missing_column_is_named(self, file, prices):
        with pytest.raises(DataError, match=r"trades.csv:1: no column quantity; found: time, symbol, side; expected: "):
            read_entries(file(text("2014-06-09,AAPL,buy", header="time,symbol,side"), "trades.csv"), prices)

    @pytest.mark.parametrize(
        ("other", "ours"), [("stop_loss", "stop_price"), ("TP", "target_price"), ("id", "bracket_id")]
    )
    def test_a_stop_under_another_name_is_not_passed_over(self, file, prices, other, ours):
        row = "2014-06-09T12:01:00Z,AAPL,buy,1,99"
        name = file(text(row, header=f"time,symbol,side,quantity,{other}"), "trades.csv")
        with pytest.raises(DataError, match=rf"trades.csv:1: column {other.lower()} is not read; name it {ours}"):
            read_entries(name, prices)

    @pytest.mark.parametrize(
        "rule", ["every:0", "every:", "every:5:hold", "every:-3", "ema-cross:10", "ema-cross:20,10", "ema-cross:0,5"]
    )
    def test_a_rule_that_makes_no_sense_says_how_it_is_written(self, prices, rule):
        with pytest.raises(ConfigError, match=f"--entries {rule}: write (every:N|ema-cross:F,S)"):
            read_entries(rule, prices)


class TestBadQuotesForEntries:
    QUOTES = "time,bid,ask\n2014-06-09T12:00:10Z,{},1.36\n2014-06-09T12:05:00Z,1.37,1.38\n"

    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ("2014-06-09T12:00:09Z,AAPL,buy,1,", "is outside the quotes: they run from"),
            ("2014-06-09T12:05:01Z,AAPL,buy,1,", "is outside the quotes: they run from"),
            (
                "2014-06-09T12:00:30Z,AAPL,buy,1,1.40",
                "price 1.4 for a buy is outside 1.36 to 1.36, the quotes of the bar",
            ),
            ("2014-06-09T12:02:00Z,AAPL,buy,1,1.36", "there is no quote in the bar interval from 2014-06-09T12:02"),
        ],
    )
    def test_an_entry_the_quotes_do_not_know(self, file, row, told):
        prices = read_prices(file(self.QUOTES.format("1.35"))).prices
        name = file(text(row, header="time,symbol,side,quantity,price"), "trades.csv")
        with pytest.raises(DataError) as error:
            read_entries(name, prices)
        assert told in str(error.value)

    def test_nothing_is_filled_where_every_quote_is_crossed(self, file):
        prices = read_prices(file(self.QUOTES.format("1.39"))).prices
        name = file(text("2014-06-09T12:01:00Z,AAPL,buy,1,", header="time,symbol,side,quantity,price"), "trades.csv")
        with pytest.raises(DataError, match="every quote up to then is crossed"):
            read_entries(name, prices)


class TestBadSplits:
    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ("2014-06-09,seven", "ratio 'seven' is not like 7:1 or 7, both above 0"),
            ("2014-06-09,0:1", "ratio '0:1' is not like 7:1 or 7, both above 0"),
            ("2014-06-09,7:0", "ratio '7:0' is not like 7:1 or 7, both above 0"),
            ("2014-06-09,", "ratio '' is not like 7:1"),
            ("June 9,7", "date 'June 9' is not ISO 8601"),
            ("2000-06-21,2", "a second split of AAPL on 2000-06-21"),
        ],
    )
    def test_a_bad_split_is_never_passed_over(self, file, row, told):
        with pytest.raises(DataError) as error:
            read_splits(file(text("2000-06-21,2:1", row, header="date,ratio"), "splits.csv"), "AAPL")
        assert f"splits.csv:3: {told}" in str(error.value)
        assert "--skip-bad" not in str(error.value)


class TestBadExits:
    ROW = (
        "B1,X,buy,1,2014-06-09T12:00:00.000Z,100,98,103,1.000000,1.500000,"
        "2014-06-09T13:00:00.000Z,103,target,1.500000,3.000000,0.000000,1.500000,false,false"
    )

    @pytest.mark.parametrize(
        ("good", "bad", "told"),
        [
            (",target,", ",lucky,", "exit_reason 'lucky' is none of stop, target,"),
            (",buy,", ",long,", "side 'long' is none of buy, sell"),
            ("12:00:00.000Z", "noon", "entry_time '2014-06-09Tnoon' is not ISO 8601"),
            ("13:00:00.000Z", "one", "exit_time '2014-06-09Tone' is not ISO 8601"),
            (",100,", ",,", "entry_price is empty"),
            (",3.000000,", ",three,", "pnl 'three' is not a number"),
            (",false,false", ",false,no", "fallback 'no' is none of true, false"),
        ],
    )
    def test_a_row_that_is_none_of_ours_is_named(self, file, good, bad, told):
        name = file(text(self.ROW.replace(good, bad), header=",".join(COLUMNS)), "exits.csv")
        with pytest.raises(DataError) as error:
            read_exits(name)
        assert f"exits.csv:2: {told}" in str(error.value)

    def test_another_file_is_not_taken_for_one(self, file):
        with pytest.raises(DataError, match=r"exits\.csv:1: no column bracket_id, symbol"):
            read_exits(file(json.dumps({"not": "csv"}), "exits.csv"))
