"""Files of prices become arrays: nothing is lost, whatever the file calls itself and however it writes a time."""

import gzip
import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.orders import Side
from grodtd.replay.prices import Bars, Ohlc, Quotes, bars_of, covered_until, iso_ms
from grodtd.replay.reading import read_prices

MINUTE_NS = 60_000_000_000
NOON_NS = 1_402_315_200_000_000_000  # 2014-06-09T12:00:00Z

BARS = """time,open,high,low,close,volume
2014-06-09T12:00:00.000Z,100.25,101,99.5,100.75,1200
2014-06-09T12:01:00.000Z,100.75,102.125,100.75,102,800
2014-06-09T12:03:00.000Z,102,102,101,101.5,50
2014-06-09T12:04:00.000Z,101.5,101.75,101.25,101.5,
"""

TWO_SIDED = """time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close
2014-06-09T12:00:00Z,1.3600,1.3610,1.3590,1.3605,1.3602,1.3611,1.3593,1.3607
2014-06-09T13:00:00Z,1.3605,1.3620,1.3601,1.3615,1.3607,1.3623,1.3602,1.3618
"""

QUOTES = """time,bid,ask
2014-06-09T12:00:00.001Z,1.36001,1.36003
2014-06-09T12:00:00.001Z,1.36004,1.36002
2014-06-09T12:00:00.250Z,1.36002,1.36002
"""


@pytest.fixture
def file(tmp_path):
    """Write a file and return its path."""

    def write(content, name="AAPL-1m.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def bars(path, **options) -> Bars:
    prices = read_prices(path, **options).prices
    assert isinstance(prices, Bars)
    return prices


def prices_of(side: Ohlc, unit: Decimal) -> list[tuple[Decimal, ...]]:
    return [tuple(int(units) * unit for units in side.row(i)) for i in range(len(side.open))]


class TestBars:
    """One bar a row; the first column is the bar's open."""

    def test_prices_are_whole_numbers_of_the_smallest_unit_that_writes_them_all(self, file):
        read = bars(file(BARS))
        assert read.unit == read.tick == Decimal("0.001")  # because of 102.125
        assert read.bid.row(1) == (100750, 102125, 100750, 102000)
        assert read.px(102125) == Decimal("102.125")

    def test_a_bar_lasts_the_most_common_spacing_and_ends_where_the_next_begins(self, file):
        read = bars(file(BARS))
        assert read.interval_ns == MINUTE_NS
        assert (read.end_ns - read.time_ns).tolist() == [MINUTE_NS] * 4
        assert covered_until(np.array([0, 60, 90, 300]), 60).tolist() == [60, 90, 150, 360]

    def test_of_two_spacings_equally_common_the_shorter_is_a_bar(self, file):
        rows = "".join(f"2014-06-09T12:{minute:02}:00Z,1,1,1,1\n" for minute in (0, 5, 6, 11, 12))
        assert bars(file("time,open,high,low,close\n" + rows)).interval_ns == MINUTE_NS

    def test_one_sided_bars_are_bid_and_ask_at_once_and_their_own_mid(self, file):
        read = bars(file(BARS))
        assert not read.two_sided
        assert read.ask is read.bid is read.mid
        assert read.mid_unit == read.unit

    def test_volume_stays_with_its_bar_and_may_be_absent(self, file):
        volume = bars(file(BARS)).volume
        assert volume[:3].tolist() == [1200, 800, 50]
        assert np.isnan(volume[3])
        assert bars(file(BARS.replace(",volume", ",turnover"))).volume is None

    def test_each_bar_knows_its_line_where_the_header_is_line_1(self, file):
        assert bars(file(BARS)).lines.tolist() == [2, 3, 4, 5]

    def test_a_day_or_longer_is_labelled_by_its_session_date(self, file):
        daily = "time,open,high,low,close\n2014-06-06,4,4,4,4\n2014-06-09,5,5,5,5\n2014-06-10,6,6,6,6\n"
        assert bars(file(daily)).daily
        assert not bars(file(BARS)).daily

    def test_the_file_is_known_by_the_hash_of_its_bytes_on_disk(self, file):
        path = file(gzip.compress(BARS.encode()))
        assert bars(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_arrays_cannot_be_written_to(self, file):
        with pytest.raises(ValueError, match="read-only"):
            bars(file(BARS)).bid.open[0] = 1


class TestTwoSidedBars:
    def test_long_exits_meet_the_bid_short_exits_the_ask(self, file):
        read = bars(file(TWO_SIDED, "EURUSD-1h.csv"))
        assert read.exit_side(Side.BUY) is read.entry_side(Side.SELL) is read.bid
        assert read.exit_side(Side.SELL) is read.entry_side(Side.BUY) is read.ask
        assert read.ask.row(0) == (13602, 13611, 13593, 13607)

    def test_the_mid_is_exact_in_half_units(self, file):
        read = bars(file(TWO_SIDED, "EURUSD-1h.csv"))
        assert read.mid_unit == Decimal("0.00005")
        high = (Decimal("1.3610") + Decimal("1.3611")) / 2
        assert prices_of(read.mid, read.mid_unit)[0][1] == high == Decimal("1.36105")

    def test_an_ask_below_the_bid_is_kept_and_told(self, file):
        result = read_prices(file(TWO_SIDED.replace("1.3618", "1.3614")))
        assert len(result.prices) == 2
        assert result.remarks == ["1 bar with an ask below the bid, first: line 3; taken as they are"]


class TestQuotes:
    def test_crossed_quotes_are_kept_counted_and_told(self, file):
        result = read_prices(file(QUOTES, "EURUSD-ticks.csv"))
        quotes = result.prices
        assert isinstance(quotes, Quotes)
        assert quotes.crossed.tolist() == [False, True, False]
        assert quotes.crossed_count == 1
        assert result.remarks == ["1 of 3 quotes are crossed (bid above ask): they trigger nothing"]

    def test_several_quotes_may_share_a_millisecond(self, file):
        quotes = read_prices(file(QUOTES)).prices
        assert (quotes.time_ns - NOON_NS).tolist() == [1_000_000, 1_000_000, 250_000_000]

    def test_the_quote_in_force_is_the_last_at_or_before_a_time(self, file):
        quotes = read_prices(file(QUOTES)).prices
        at = {
            millisecond: quotes.last_index(NOON_NS + millisecond * 1_000_000) for millisecond in (0, 1, 249, 250, 251)
        }
        assert at == {0: None, 1: 1, 249: 1, 250: 2, 251: None}


class TestToldByContent:
    """A name is a promise nobody checks: what counts is what is in the file."""

    @pytest.mark.parametrize("name", ["AAPL-1m.csv", "AAPL-1m.csv.gz", "AAPL-1m.parquet", "AAPL"])
    @pytest.mark.parametrize("kind", ["plain", "gzip", "parquet"])
    def test_any_content_under_any_name(self, file, tmp_path, name, kind):
        content = BARS.encode()
        if kind == "gzip":
            content = gzip.compress(content)
        elif kind == "parquet":
            pl.read_csv(content, try_parse_dates=True).write_parquet(tmp_path / "made")
            content = (tmp_path / "made").read_bytes()
        read = bars(file(content, name))
        assert read.symbol == "AAPL"
        assert read.bid.row(2) == (102000, 102000, 101000, 101500)
        assert read.lines[0] == (1 if kind == "parquet" else 2)

    def test_a_symbol_given_goes_before_the_name(self, file):
        assert bars(file(BARS), symbol="BRK.B").symbol == "BRK.B"

    @pytest.mark.parametrize(
        "header",
        [
            "Time,Open,High,Low,Close,Volume",
            " time , open , high , low , close , volume ",
            "\ufefftime,OPEN,HIGH,LOW,CLOSE,VOLUME",
            '"time","open","high","low","close","volume"',
        ],
    )
    def test_a_header_may_be_written_by_hand(self, file, header):
        assert len(bars(file(BARS.replace("time,open,high,low,close,volume", header)))) == 4

    def test_two_sided_names_may_have_blanks(self, file):
        named = TWO_SIDED.replace("bid_", "Bid ").replace("ask_", "Ask ")
        assert bars(file(named)).two_sided

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_any_line_ending(self, file, end):
        read = bars(file(BARS.replace("\n", end)))
        assert len(read) == 4
        assert read.lines.tolist() == [2, 3, 4, 5]

    def test_blank_lines_do_not_count_as_rows_but_as_lines(self, file):
        lines = BARS.splitlines()
        read = bars(file("\n".join([*lines[:2], "", *lines[2:], "", ""])))
        assert read.lines.tolist() == [2, 4, 5, 6]

    def test_quoted_cells_and_further_columns_are_read(self, file):
        rows = ['2014-06-09,"up, ""gap""",1,2,1,2', '2014-06-10,"two\nlines",2,3,2,3', "2014-06-11,,3,3,3,3"]
        text = "\n".join(["time,note,open,high,low,close", *rows])
        read = bars(file(text))
        assert read.bid.close.tolist() == [2, 3, 3]
        assert read.lines.tolist() == [2, 3, 5]

    def test_a_line_break_and_commas_within_quotes_shift_no_line(self, file):
        rows = ['2014-06-09,"two\nlines, and, so, on, ,",1,2,1,2', "2014-06-10,,2,3,2,3", "2014-06-11,,3,3,3,3"]
        read = bars(file("\n".join(["time,note,open,high,low,close", *rows])))
        assert read.lines.tolist() == [2, 4, 5]

    def test_of_several_kinds_of_prices_the_richest_is_used_and_said(self, file):
        head, *rows = TWO_SIDED.splitlines()
        text = "\n".join([f"{head},open,high,low,close", *(f"{row},1,1,1,1" for row in rows)])
        result = read_prices(file(text))
        assert result.prices.two_sided
        assert "more than one kind of prices" in result.remarks[0]


class TestTimes:
    """Every usual way to write noon of 2014-06-09 UTC."""

    @pytest.mark.parametrize(
        "spelling",
        [
            "2014-06-09T12:00:00.000Z",
            "2014-06-09T12:00:00Z",
            "2014-06-09T12:00:00z",
            "2014-06-09T12:00:00",
            "2014-06-09 12:00:00",
            "2014-06-09 12:00",
            "2014-06-09T12:00Z",
            "2014-06-09T12:00:00+00:00",
            "2014-06-09 12:00:00+0000",
            "2014-06-09 12:00:00 UTC",
            "2014-06-09T14:00:00+02:00",
            "2014-06-09T08:00:00.000-04:00",
            "20140609T120000Z",
            "1402315200",
            "1402315200000",
            "1402315200000000",
            "1402315200000000000",
            "1402315200.0",
        ],
    )
    def test_one_moment(self, file, spelling):
        later = later_epoch(spelling) if spelling.replace(".", "").isdigit() else "2014-06-09T12:05:00Z"
        text = f"time,open,high,low,close\n{spelling},1,1,1,1\n{later},2,2,2,2\n"
        assert bars(file(text)).time_ns.tolist() == [NOON_NS, NOON_NS + 5 * MINUTE_NS]

    @pytest.mark.parametrize("spelling", ["2014-06-09", "20140609", "2014-06-09T00:00:00Z"])
    def test_a_date_alone_is_its_midnight(self, file, spelling):
        text = f"time,open,high,low,close\n{spelling},1,1,1,1\n2014-06-10,2,2,2,2\n"
        assert bars(file(text)).time_ns[0] == NOON_NS - 12 * 60 * MINUTE_NS

    def test_dates_all_digits_are_dates_not_seconds_of_1970(self, file):
        text = "time,open,high,low,close\n20140609,1,1,1,1\n20140610,2,2,2,2\n"
        assert iso_ms(int(bars(file(text)).time_ns[1])) == "2014-06-10T00:00:00.000Z"

    def test_nanoseconds_are_kept(self, file):
        text = "time,bid,ask\n2014-06-09T12:00:00.123456789Z,1,1\n1402315200123456790,1,1\n"
        assert read_prices(file(text)).prices.time_ns.tolist() == [NOON_NS + 123456789, NOON_NS + 123456790]

    def test_times_before_1973_in_milliseconds_are_told_by_the_magnitude_of_most(self, file):
        days = range(-10_000, 4_000)
        text = "time,open,high,low,close\n" + "".join(f"{day * 86_400_000},1,1,1,1\n" for day in days)
        read = bars(file(text))
        assert read.daily
        assert iso_ms(int(read.time_ns[0])) == "1942-08-16T00:00:00.000Z"

    @pytest.mark.parametrize(
        "dtype", [pl.Datetime("ms"), pl.Datetime("us", "UTC"), pl.Datetime("ns"), pl.Datetime("us", "America/New_York")]
    )
    def test_parquet_times_of_any_precision_and_zone(self, tmp_path, dtype):
        moments = [datetime(2014, 6, 9, 12, tzinfo=UTC), datetime(2014, 6, 9, 12, 1, tzinfo=UTC)]
        times = pl.Series("time", moments).cast(pl.Datetime("us", "UTC"))
        times = times.dt.convert_time_zone(dtype.time_zone) if dtype.time_zone else times.dt.replace_time_zone(None)
        frame = pl.DataFrame([times.cast(dtype), *(pl.Series(name, [1.5, 2.5]) for name in ("bid", "ask"))])
        frame.write_parquet(tmp_path / "X.parquet")
        assert read_prices(tmp_path / "X.parquet").prices.time_ns.tolist() == [NOON_NS, NOON_NS + MINUTE_NS]

    @pytest.mark.parametrize("dtype", [pl.Datetime("ms"), pl.Datetime("us"), pl.String])
    @pytest.mark.parametrize("year", [1066, 2262, 9999])
    def test_a_year_that_nanoseconds_cannot_hold_is_no_time(self, tmp_path, dtype, year):
        times = pl.Series("time", [datetime(year, 6, 9), datetime(2014, 6, 9)]).cast(dtype)  # noqa: DTZ001
        pl.DataFrame([times, *(pl.Series(name, [1, 1]) for name in ("bid", "ask"))]).write_parquet(tmp_path / "X")
        assert [bad.line for bad in read_prices(tmp_path / "X", skip_bad=True).dropped] == [1]

    def test_parquet_dates_are_sessions(self, tmp_path):
        frame = pl.DataFrame({"time": [date(2014, 6, 9), date(2014, 6, 10)], "bid": [1, 1], "ask": [1, 1]})
        frame.write_parquet(tmp_path / "X.parquet")
        assert read_prices(tmp_path / "X.parquet").prices.time_ns[0] == NOON_NS - 12 * 60 * MINUTE_NS


def later_epoch(spelling: str) -> str:
    """Five minutes after noon, in the epoch unit of `spelling`."""
    digits = len(spelling.partition(".")[0])
    return str((NOON_NS + 5 * MINUTE_NS) // 10 ** (19 - digits))


class TestExactness:
    """What the file says is what the arrays hold, to the last decimal."""

    @given(
        places=st.integers(0, 9),
        units=st.lists(st.integers(1, 10**10), min_size=2, max_size=30),
    )
    def test_every_decimal_price_comes_back_as_written(self, tmp_path_factory, places, units):
        written = [Decimal(number).scaleb(-places) for number in units]
        path = tmp_path_factory.mktemp("exact") / "X.csv"
        rows = "".join(f"{NOON_NS + n},{format(px, 'f')},{format(px, 'f')}\n" for n, px in enumerate(written))
        path.write_text("time,bid,ask\n" + rows)
        quotes = read_prices(path).prices
        assert [quotes.px(int(bid)) for bid in quotes.bid] == written
        coarser = quotes.unit * 10
        assert quotes.unit == 1 or any(px % coarser for px in written), "a coarser unit would do"

    def test_prices_with_more_digits_than_a_float_are_read_from_their_text(self, file):
        text = "time,bid,ask\n1402315200,0.1234567890123456,0.1234567890123457\n1402315201,1.5,1.5\n"
        quotes = read_prices(file(text)).prices
        assert quotes.px(int(quotes.ask[0])) == Decimal("0.1234567890123457")
        assert quotes.unit == Decimal("1e-16")

    def test_big_prices_with_decimals_are_not_rounded(self, file):
        text = "time,bid,ask\n1402315200,123456789012345.67,123456789012345.68\n1402315201,2,3\n"
        quotes = read_prices(file(text)).prices
        assert quotes.px(int(quotes.bid[0])) == Decimal("123456789012345.67")

    @pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64, pl.Decimal(12, 4), pl.String])
    def test_parquet_prices_mean_what_they_show(self, tmp_path, dtype):
        column = pl.Series(["611.78", "611.9"]).cast(pl.Float64 if dtype != pl.String else pl.String).cast(dtype)
        frame = pl.DataFrame({"time": [1402315200, 1402315201], "bid": column, "ask": column})
        frame.write_parquet(tmp_path / "X.parquet")
        quotes = read_prices(tmp_path / "X.parquet").prices
        assert quotes.unit == Decimal("0.01")
        assert quotes.bid.tolist() == [61178, 61190]

    @given(units=st.integers(-(10**9), 10**9), level=st.decimals(-(10**6), 10**6, places=6))
    def test_a_level_between_two_prices_compares_as_exactly_as_a_fraction(self, units, level):
        at = np.array([0, 1])
        read = bars_of("X", at, Ohlc(at, at, at, at), unit=Decimal("0.01"), interval_ns=1)
        market = Fraction(units, 100)
        assert (units <= read.floor_units(level)) == (market <= Fraction(level))
        assert (units >= read.ceil_units(level)) == (market >= Fraction(level))


class TestCover:
    @given(
        times=st.lists(st.integers(0, 500), min_size=1, max_size=20, unique=True).map(sorted),
        interval=st.integers(1, 60),
        moment=st.integers(-10, 600),
    )
    def test_at_most_one_bar_covers_a_moment_and_it_is_the_latest_that_began(self, times, interval, moment):
        at = np.array(times)
        read = bars_of("X", at, Ohlc(at, at, at, at), unit=Decimal(1), interval_ns=interval)
        began = [n for n, time in enumerate(times) if time <= moment]
        expected = began[-1] if began and moment < times[began[-1]] + interval else None
        assert read.index_at(moment) == expected


class TestProgress:
    def test_reading_a_file_is_told_from_nothing_to_done(self, file):
        told = []
        read_prices(file(BARS), progress=lambda what, share: told.append((what, share)))
        assert told == [("reading", 1.0), ("parsing", 0.0), ("parsing", 1.0)]


class TestRecordedData:
    """The recorded files load whole, without a complaint, at the price step they were traded at."""

    @pytest.mark.parametrize(
        ("name", "symbol", "rows", "unit", "seconds"),
        [
            ("SPY-1d.csv.gz", "SPY", 5_849, "0.0001", 86_400),
            ("AAPL-1d.csv.gz", "AAPL", 5_849, "0.0001", 86_400),
            ("SPY-1h.csv.gz", "SPY", 40_832, "0.0001", 3_600),
            ("EURUSD-1h-bidask.csv.gz", "EURUSD", 74_439, "0.00001", 3_600),
            ("BTCUSD-1m.csv.gz", "BTCUSD", 12_423, "0.01", 60),
            ("AAPL-1m-split-2014.csv.gz", "AAPL", 2_303, "0.01", 60),
            ("SPY-1s-20131007.csv.gz", "SPY", 16_675, "0.01", 1),
        ],
    )
    def test_bars(self, shared_data, name, symbol, rows, unit, seconds):
        result = read_prices(shared_data / name)
        read = result.prices
        assert (read.symbol, len(read), read.unit) == (symbol, rows, Decimal(unit))
        assert read.interval_ns == seconds * 1_000_000_000
        assert (result.dropped, result.remarks) == ([], [])
        with gzip.open(shared_data / name, "rt") as plain_text:
            header, *_, last = plain_text.read().splitlines()
        values = dict(zip(header.split(","), last.split(","), strict=True))
        assert iso_ms(int(read.time_ns[-1])) == values["time"]
        assert read.px(int(read.ask.close[-1])) == Decimal(values["ask_close" if read.two_sided else "close"])

    def test_ticks(self, shared_data):
        result = read_prices(shared_data / "EURUSD-ticks-20140508.csv.gz")
        assert len(result.prices) == 167_466
        assert result.remarks == ["18,285 of 167,466 quotes are crossed (bid above ask): they trigger nothing"]
