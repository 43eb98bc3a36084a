"""Where the entries of a replay come from, and where each of them meets the prices."""

import gzip
from decimal import Decimal

import numpy as np
import pytest

from grodtd.domain.errors import DataError
from grodtd.domain.orders import Side
from grodtd.replay.entries import EntryRow, is_rule, read_entries, resolve
from grodtd.replay.prices import Ohlc, Quotes, bars_of
from grodtd.replay.reading import read_prices
from grodtd.replay.volatility import bars_from_quotes

MINUTE_NS = 60_000_000_000
NOON_NS = 1_402_315_200_000_000_000  # 2014-06-09T12:00:00Z

TWO_SIDED = """time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close
2014-06-09T12:00:00Z,10.0,10.4,9.8,10.2,10.1,10.5,9.9,10.3
2014-06-09T12:01:00Z,10.2,10.6,10.0,10.4,10.3,10.7,10.1,10.5
2014-06-09T12:02:00Z,10.4,10.8,10.2,10.6,10.5,10.9,10.3,10.7
2014-06-09T12:05:00Z,10.4,10.8,10.2,10.6,10.5,10.9,10.3,10.7
"""

QUOTES = """time,bid,ask
2014-06-09T12:00:10Z,1.3600,1.3602
2014-06-09T12:00:50Z,1.3604,1.3606
2014-06-09T12:01:20Z,1.3610,1.3608
2014-06-09T12:01:30Z,1.3602,1.3603
2014-06-09T12:03:00Z,1.3601,1.3605
2014-06-09T12:03:10Z,1.3607,1.3609
"""


@pytest.fixture
def file(tmp_path):
    def write(content, name):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def eurusd(file):
    """Four two-sided minutes, a hole of two minutes before the last."""
    return read_prices(file(TWO_SIDED, "EURUSD-1m.csv")).prices


@pytest.fixture
def quotes(file) -> Quotes:
    """Six quotes over three minutes; the third is crossed, and no quote falls into 12:02."""
    return read_prices(file(QUOTES, "EURUSD-ticks.csv")).prices


def entry(time: str, side: str = "buy", price: str | None = None) -> EntryRow:
    moment = NOON_NS + int(float(time) * 1_000_000_000)
    px = None if price is None else Decimal(price)
    return EntryRow(0, 2, moment, "EURUSD", Side(side), Decimal(1), px, "E000001")


def minutes(closes: list[int]):
    """One-sided minute bars whose four prices are the close."""
    px = np.array(closes)
    times = NOON_NS + MINUTE_NS * np.arange(len(closes))
    return bars_of("EURUSD", times, Ohlc(px, px, px, px), unit=Decimal(1), interval_ns=MINUTE_NS)


class TestEntriesFile:
    def test_every_column_is_read(self, file, eurusd):
        text = (
            "time,symbol,side,quantity,price,bracket_id,stop_price,target_price,strategy\n"
            "2014-06-09T12:01:59.999Z,EURUSD,sell,1e3,10.05,swing-7,11,9.5,mean_reversion\n"
        )
        rows, bad = read_entries(file(text, "trades.csv"), eurusd)
        assert bad == []
        assert rows == [
            EntryRow(
                index=0,
                line=2,
                time_ns=NOON_NS + 2 * MINUTE_NS - 1_000_000,
                symbol="EURUSD",
                side=Side.SELL,
                quantity=Decimal(1000),
                price=Decimal("10.05"),
                bracket_id="swing-7",
                stop_price=Decimal(11),
                target_price=Decimal("9.5"),
                strategy="mean_reversion",
            )
        ]

    def test_an_empty_cell_is_absent_and_so_is_a_column_that_is_not_there(self, file, eurusd):
        header = "time,symbol,side,quantity,price,bracket_id,stop_price,target_price,strategy"
        full = f"{header}\n1402315200,EURUSD,BUY,2,,,,,\n"
        short = "Time,Symbol,Side,Quantity\n1402315200,EURUSD,buy,2\n"
        assert read_entries(file(full, "full.csv"), eurusd) == read_entries(file(short, "short.csv"), eurusd)
        (row,), _ = read_entries(file(short, "short.csv"), eurusd)
        assert (row.price, row.stop_price, row.target_price, row.strategy) == (None, None, None, None)

    def test_rows_without_an_id_are_named_by_their_place_in_the_file(self, file, eurusd):
        text = (
            "time,symbol,side,quantity,bracket_id\n"
            "2014-06-09T12:02:00Z,EURUSD,buy,1,\n"
            "2014-06-09T12:01:00Z,EURUSD,buy,1,mine\n"
            "2014-06-09T12:00:00Z,EURUSD,buy,1,\n"
        )
        rows, _ = read_entries(file(text, "trades.csv"), eurusd)
        assert [row.bracket_id for row in rows] == ["E000001", "mine", "E000003"]
        assert [row.index for row in rows] == [0, 1, 2]  # file order, though the times run backwards

    def test_columns_nobody_asked_for_are_passed_over_and_gzip_is_read(self, file, eurusd):
        text = "time,symbol,side,quantity,comment,pnl\n1402315200,EURUSD,buy,2,felt lucky,12.5\n"
        rows, _ = read_entries(file(gzip.compress(text.encode()), "trades.csv"), eurusd)
        assert len(rows) == 1

    def test_a_file_without_rows_has_no_entries(self, file, eurusd):
        assert read_entries(file("time,symbol,side,quantity\n", "trades.csv"), eurusd) == ([], [])


class TestOnBars:
    """DESIGN section 9, entries; seconds after noon."""

    @pytest.mark.parametrize(
        ("when", "side", "price", "bar", "fill", "atr_bar"),
        [
            # without a price: the close of the bar, ask for a buy, bid for a sell; the bar counts for ATR
            ("0", "buy", None, 0, "10.3", 0),
            ("0", "sell", None, 0, "10.2", 0),
            ("59.999", "buy", None, 0, "10.3", 0),
            ("60", "buy", None, 1, "10.5", 1),
            ("302", "sell", None, 3, "10.6", 3),
            # with a price: that price, and ATR ends with the bar before
            ("60", "buy", "10.1", 1, "10.1", 0),
            ("60", "buy", "10.7", 1, "10.7", 0),
            ("60", "sell", "10.0", 1, "10.0", 0),
            ("60", "sell", "10.6", 1, "10.6", 0),
            ("0", "buy", "10.0", 0, "10.0", -1),
            # finer than the file's prices: taken as it is
            ("60", "buy", "10.12345", 1, "10.12345", 0),
        ],
    )
    def test_an_entry_finds_its_bar(self, eurusd, when, side, price, bar, fill, atr_bar):
        placed = resolve(entry(when, side, price), eurusd)
        assert (placed.index, placed.fill_px, placed.atr_bar) == (bar, Decimal(fill), atr_bar)

    @pytest.mark.parametrize(
        ("when", "side", "price"),
        [
            ("-0.001", "buy", None),
            ("180", "buy", None),  # 12:03, in the hole
            ("360", "buy", None),  # the last bar's end is not in it
            ("60", "buy", "10.05"),  # traded at the bid only
            ("60", "sell", "10.65"),  # traded at the ask only
        ],
    )
    def test_there_is_no_such_fill(self, eurusd, when, side, price):
        with pytest.raises(DataError, match=r"entry E000001 \(line 2\): "):
            resolve(entry(when, side, price), eurusd)


class TestOnQuotes:
    """Bars of one minute; seconds after noon. The quote at 80 s is crossed."""

    @pytest.mark.parametrize(
        ("when", "side", "price", "quote", "fill", "atr_bar"),
        [
            ("10", "buy", None, 0, "1.3602", -1),  # the minute under way is not known yet
            ("49.999", "sell", None, 0, "1.3600", -1),
            ("60", "sell", None, 1, "1.3604", 0),  # it has ended
            ("85", "buy", None, 1, "1.3606", 0),  # the crossed quote fills nobody
            ("90", "buy", None, 3, "1.3603", 0),
            ("150", "buy", None, 3, "1.3603", 1),
            ("190", "buy", None, 5, "1.3609", 1),
            ("30", "buy", "1.3605", 0, "1.3605", -1),
            ("95", "buy", "1.3603", 3, "1.3603", 0),
        ],
    )
    def test_an_entry_finds_its_quote(self, quotes, when, side, price, quote, fill, atr_bar):
        placed = resolve(entry(when, side, price), quotes, bars_from_quotes(quotes))
        assert (placed.index, placed.fill_px, placed.atr_bar) == (quote, Decimal(fill), atr_bar)

    def test_a_price_only_a_crossed_quote_showed_is_none(self, quotes):
        with pytest.raises(DataError, match=r"price 1\.3608 for a buy is outside 1\.3603 to 1\.3603"):
            resolve(entry("95", "buy", "1.3608"), quotes, bars_from_quotes(quotes))


@pytest.mark.parametrize("source", ["evry:50", "nowhere.csv"])
def test_a_misspelt_rule_is_no_missing_file_alone(eurusd, source):
    words = rf"--entries {source}: no file of that name, and no rule; rules are every:N\[:side\] and ema-cross:F,S"
    with pytest.raises(DataError, match=words):
        read_entries(source, eurusd)


class TestEveryN:
    def test_each_nth_bar_from_the_atr_period_on(self):
        bars = minutes([5] * 12)
        rows, _ = read_entries("every:4", bars, atr_period=3, quantity=Decimal("0.5"))
        assert [(row.time_ns - NOON_NS) // MINUTE_NS for row in rows] == [4, 8]
        assert [row.bracket_id for row in rows] == ["E000001", "E000002"]
        assert {(row.side, row.quantity, row.price, row.stop_price) for row in rows} == {
            (Side.BUY, Decimal("0.5"), None, None)
        }

    @pytest.mark.parametrize(
        ("rule", "period", "bars"),
        [
            ("every:4", 4, [4, 8]),  # bar 4 is index >= 4
            ("every:4", 5, [8]),
            ("every:1:sell", 9, [9, 10, 11]),
            ("every:5:buy", 0, [0, 5, 10]),
            ("every:50", 3, []),
        ],
    )
    def test_which_bars(self, rule, period, bars):
        rows, _ = read_entries(rule, minutes([5] * 12), atr_period=period)
        assert [(row.time_ns - NOON_NS) // MINUTE_NS for row in rows] == bars
        assert {row.side for row in rows} <= {Side.SELL if "sell" in rule else Side.BUY}

    def test_its_entries_lie_at_the_close_of_their_bar(self, eurusd):
        rows, _ = read_entries("every:2", eurusd, atr_period=1)
        placed = [resolve(row, eurusd) for row in rows]
        assert [(place.index, place.fill_px, place.atr_bar) for place in placed] == [(2, Decimal("10.7"), 2)]

    def test_a_rule_is_no_file(self):
        assert is_rule("every:nonsense")
        assert is_rule("ema-cross:1,2")
        assert not is_rule("every.csv")


class TestEmaCross:
    """Fast of 1 (the close itself), slow of 3 (alpha one half), by hand.

    bar      0   1   2   3    4     5      6        7
    close    8   8   8   6    8     9      4        9
    slow     8   8   8   7   7.5  8.25  6.125   7.5625
    close is =   =   =  below above above below  above
    """

    CLOSES = (8, 8, 8, 6, 8, 9, 4, 9)

    def test_it_buys_when_fast_comes_up_and_sells_when_it_goes_down(self):
        rows, _ = read_entries("ema-cross:1,3", minutes(list(self.CLOSES)))
        signals = [((row.time_ns - NOON_NS) // MINUTE_NS, row.side.value) for row in rows]
        assert signals == [(3, "sell"), (4, "buy"), (6, "sell"), (7, "buy")]

    def test_nothing_before_bar_s(self):
        rows, _ = read_entries("ema-cross:1,3", minutes([8, 6, 9, 9, 9]))
        assert rows == []  # it crossed at bars 1 and 2

    def test_equal_averages_are_neither_above_nor_below(self):
        rows, _ = read_entries("ema-cross:2,5", minutes([7] * 50 + [8]))
        assert [(row.time_ns - NOON_NS) // MINUTE_NS for row in rows] == [50]

    def test_it_goes_by_the_mid_of_two_sides(self, file):
        """The bid alone falls at the end; the spread opens so far that the mid rises."""
        rows = [(9, 9)] * 3 + [(8, 12)]
        cells = "".join(f"{1402315200 + 60 * n},{b},{b},{b},{b},{a},{a},{a},{a}\n" for n, (b, a) in enumerate(rows))
        bars = read_prices(file(TWO_SIDED.splitlines()[0] + "\n" + cells, "EURUSD.csv")).prices
        (signal,), _ = read_entries("ema-cross:1,3", bars)
        assert signal.side is Side.BUY

    def test_on_recorded_hours_it_does_what_a_plain_loop_does(self, shared_data):
        bars = read_prices(shared_data / "EURUSD-1h-bidask.csv.gz").prices
        closes = bars.mid.close.tolist()
        fast = slow = float(closes[0])
        expected = []
        for index, close in enumerate(closes):
            before = fast - slow
            fast += 2 / 11 * (close - fast)
            slow += 2 / 31 * (close - slow)
            if index >= 30 and before <= 0 < fast - slow:
                expected.append((int(bars.time_ns[index]), Side.BUY))
            elif index >= 30 and before >= 0 > fast - slow:
                expected.append((int(bars.time_ns[index]), Side.SELL))
        rows, _ = read_entries("ema-cross:10,30", bars)
        assert len(rows) > 1000
        assert [(row.time_ns, row.side) for row in rows] == expected


class TestRulesOnQuotes:
    def test_an_entry_comes_at_its_bars_end_so_that_the_bar_counts(self, quotes):
        bars = bars_from_quotes(quotes)
        assert [(start - NOON_NS) // MINUTE_NS for start in bars.time_ns.tolist()] == [0, 1, 3]
        rows, _ = read_entries("every:1", quotes, atr_period=0, bars=bars)
        placed = [resolve(row, quotes, bars) for row in rows]
        assert [(place.index, place.fill_px, place.atr_bar) for place in placed] == [
            (1, Decimal("1.3606"), 0),
            (3, Decimal("1.3603"), 1),
        ]  # the last minute had not ended when the quotes did
