"""Splits in unadjusted prices: each is noticed, none is made up, and adjusting is exact where decimals can be."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.replay.prices import DAY_NS, Bars, Ohlc, bars_of, iso_ms
from grodtd.replay.reading import read_prices
from grodtd.replay.splits import Split, adjust, adjustments, detect, read_splits, touching

CENT = Decimal("0.01")


def days(rows: list[tuple[int, int]], *, volume=None, ask=None, interval_ns=DAY_NS) -> Bars:
    """Daily bars from (open, close) in cents, from 1970-01-01 on; high and low are the greater and the smaller."""

    def side(of) -> Ohlc:
        open_, close = (np.array(column, dtype=np.int64) for column in zip(*of, strict=True))
        return Ohlc(open_, np.maximum(open_, close), np.minimum(open_, close), close)

    return bars_of(
        "X",
        np.arange(len(rows)) * interval_ns,
        side(rows),
        None if ask is None else side(ask),
        unit=CENT,
        interval_ns=interval_ns,
        volume=None if volume is None else np.array(volume, dtype=float),
    )


class TestNoticing:
    @pytest.mark.parametrize(
        ("close", "opens", "ratio"),
        [
            (10000, 5000, Fraction(2)),
            (10000, 3333, Fraction(3)),
            (10000, 6667, Fraction(3, 2)),
            (10000, 2500, Fraction(4)),
            (10000, 2000, Fraction(5)),
            (70000, 10000, Fraction(7)),
            (10000, 1000, Fraction(10)),
            (10000, 500, Fraction(20)),
            (100, 1000, Fraction(1, 10)),
            (100, 2000, Fraction(1, 20)),
            (100, 150, Fraction(2, 3)),
            (10000, 5150, Fraction(2)),  # and the market rose 3% overnight
            (10000, 4855, Fraction(2)),  # or fell nearly as much
        ],
    )
    def test_a_gap_near_a_simple_ratio_is_a_warning(self, close, opens, ratio):
        (warning,) = detect(days([(close, close), (opens, opens)]))
        assert (warning.bar_index, warning.ratio, warning.time_ns) == (1, ratio, DAY_NS)

    @pytest.mark.parametrize(
        ("close", "opens"),
        [(10000, 10000), (10000, 7500), (10000, 5300), (10000, 4800), (10000, 900), (10000, 13000), (10000, 1667)],
    )
    def test_another_gap_is_the_market(self, close, opens):
        assert detect(days([(close, close), (opens, opens)])) == []

    def test_a_person_is_told_when_from_where_to_where_and_what_to_do(self):
        (warning,) = detect(days([(64557, 64557), (9269, 9300)]))
        assert warning.text == (
            "1970-01-02: X opens at 92.69 after a close of 645.57, near a 7:1 split; "
            "prices are used as they are, --splits FILE adjusts them"
        )

    def test_a_split_within_a_bar_is_noticed_too(self):
        minute = 60_000_000_000
        (warning,) = detect(days([(64557, 64557), (64557, 9242), (9242, 9250)], interval_ns=minute))
        assert warning.bar_index == 1
        assert warning.text.startswith("1970-01-01T00:01:00.000Z: X goes from 645.57 to 92.42, near a 7:1 split")

    def test_a_bad_print_that_comes_back_is_no_split(self):
        """AAPL's day of 2011-01-03 has a low of 32.65 between 325.90 and 329.73."""
        open_, high, low, close = (np.array([px]) for px in (32590, 33026, 3265, 32973))
        spiked = bars_of("X", np.array([0]), Ohlc(open_, high, low, close), unit=CENT, interval_ns=DAY_NS)
        assert detect(spiked) == []

    def test_the_brackets_it_touches_are_those_open_across_it(self):
        (warning,) = detect(days([(100, 100)] * 3 + [(50, 50)] * 3))
        assert warning.bar_index == 3
        spans = {
            (first, last): bool(touching([warning], first, last)) for first in range(6) for last in range(first, 6)
        }
        assert [span for span, touched in spans.items() if touched] == [
            (first, last) for first in range(3) for last in range(3, 6)
        ]


class TestRecordedData:
    def test_every_split_of_apple_is_found_and_nothing_else(self, shared_data):
        warnings = detect(read_prices(shared_data / "AAPL-1d.csv.gz").prices)
        assert [(iso_ms(warning.time_ns)[:10], warning.ratio) for warning in warnings] == [
            ("2000-06-21", 2),
            ("2005-02-28", 2),
            ("2014-06-09", 7),
            ("2020-08-31", 4),
        ]

    def test_the_first_minute_of_its_split_day_is_found(self, shared_data):
        (warning,) = detect(read_prices(shared_data / "AAPL-1m-split-2014.csv.gz").prices)
        assert (iso_ms(warning.time_ns), warning.ratio) == ("2014-06-09T08:00:00.000Z", 7)

    @pytest.mark.parametrize(
        "name",
        ["SPY-1d.csv.gz", "SPY-1h.csv.gz", "SPY-1s-20131007.csv.gz", "BTCUSD-1m.csv.gz", "EURUSD-1h-bidask.csv.gz"],
    )
    def test_where_nothing_was_split_there_is_no_alarm(self, shared_data, name):
        assert detect(read_prices(shared_data / name).prices) == []

    def test_adjusted_apple_has_no_leap_left(self, shared_data, tmp_path):
        rows = "2000-06-21,2:1\n2005-02-28,2\n2014-06-09,7\n2020-08-31,4:1\n"
        (tmp_path / "splits.csv").write_text("date,ratio\n" + rows)
        bars = read_prices(shared_data / "AAPL-1d.csv.gz").prices
        adjusted = adjust(bars, read_splits(tmp_path / "splits.csv", "AAPL"))
        assert detect(adjusted) == []
        assert adjusted.bid.row(len(bars) - 1) == tuple(int(px * 10_000) for px in bars.bid.row(len(bars) - 1))
        first = bars.px(int(bars.bid.close[0]))
        assert adjusted.px(int(adjusted.bid.close[0])) == (first / 112).quantize(adjusted.unit, ROUND_HALF_EVEN)
        assert adjusted.volume[0] == bars.volume[0] * 112
        assert (adjusted.bid.high >= adjusted.bid.low).all()


class TestAdjusting:
    BARS = ((10000, 10200), (10100, 10300), (5150, 5200), (5200, 5100))

    def test_prices_before_the_split_are_divided_and_volume_multiplied(self):
        bars = days(list(self.BARS), volume=[10, 20, 30, 40])
        adjusted = adjust(bars, [Split(2 * DAY_NS, Fraction(2))])
        assert adjusted.bid.open.tolist() == [5000, 5050, 5150, 5200]
        assert adjusted.bid.close.tolist() == [5100, 5150, 5200, 5100]
        assert adjusted.volume.tolist() == [20, 40, 30, 40]
        assert adjusted.unit == bars.unit
        assert bars.bid.open[0] == 10000
        assert bars.volume[0] == 10

    def test_a_reverse_split_multiplies(self):
        adjusted = adjust(days([(50, 51), (500, 510)]), [Split(DAY_NS, Fraction(1, 10))])
        assert adjusted.bid.open.tolist() == [500, 500]

    def test_splits_before_one_another_multiply_up(self):
        splits = [Split(DAY_NS, Fraction(2)), Split(2 * DAY_NS, Fraction(3))]
        adjusted = adjust(days([(600, 600), (300, 300), (100, 100)]), splits[::-1])
        assert adjusted.bid.open.tolist() == [100, 100, 100]

    def test_the_unit_gets_as_fine_as_an_exact_result_needs_and_no_finer(self):
        adjusted = adjust(days([(10001, 10001), (5000, 5000)]), [Split(DAY_NS, Fraction(4))])
        assert adjusted.unit == Decimal("0.0001")
        assert adjusted.px(int(adjusted.bid.open[0])) == Decimal("25.0025")
        assert adjusted.tick == CENT  # levels still round to what the file's prices show

    def test_a_result_half_way_between_two_is_rounded_to_the_even_one(self):
        """A thirty-second of a cent is 0.0003125, and four decimals finer than a cent are six."""
        adjusted = adjust(days([(1, 3), (1, 1)]), [Split(DAY_NS, Fraction(32))])
        assert adjusted.unit == Decimal("0.000001")
        assert (adjusted.bid.open[0], adjusted.bid.close[0]) == (312, 938)

    def test_both_sides_are_adjusted(self):
        bars = days([(100, 100), (50, 50)], ask=[(104, 104), (52, 52)])
        adjusted = adjust(bars, [Split(DAY_NS, Fraction(2))])
        assert adjusted.two_sided
        assert (adjusted.bid.open.tolist(), adjusted.ask.open.tolist()) == ([50, 50], [52, 52])

    def test_intraday_bars_of_the_date_itself_are_at_the_new_price(self):
        hour = 3_600_000_000_000
        bars = days([(200, 200)] * 24 + [(100, 100)] * 2, interval_ns=hour)
        assert set(adjust(bars, [Split(DAY_NS, Fraction(2))]).bid.open.tolist()) == {100}

    @pytest.mark.parametrize(
        ("day", "remark"),
        [
            (1, "2:1 split of 1970-01-02: 1 bars before it adjusted, prices divided by 2, volume multiplied"),
            (0, "2:1 split of 1970-01-01: no bar before it, nothing to adjust"),
            (2, "2:1 split of 1970-01-03: after the last bar, not applied"),
        ],
    )
    def test_what_was_done_is_said(self, day, remark):
        bars, splits = days([(200, 200), (100, 100)]), [Split(day * DAY_NS, Fraction(2))]
        assert adjustments(bars, splits) == [remark]
        assert (adjust(bars, splits).bid.open[0] == 100) == (day == 1)

    @given(
        units=st.lists(st.integers(1, 10**9), min_size=2, max_size=8),
        numbers=st.lists(st.tuples(st.integers(1, 7), st.integers(1, 30), st.integers(1, 30)), max_size=3),
    )
    def test_every_price_is_the_fraction_rounded_half_to_even(self, units, numbers):
        splits = [
            Split(day * DAY_NS, Fraction(new, old)) for day, new, old in {row[0]: row for row in numbers}.values()
        ]
        adjusted = adjust(days([(px, px) for px in units]), splits)
        places = -adjusted.unit.as_tuple().exponent
        assert 2 <= places <= 6
        for day, px in enumerate(units):
            exact = Fraction(px, 100)
            for split in splits:
                if day * DAY_NS < split.date_ns <= (len(units) - 1) * DAY_NS:
                    exact /= split.ratio
            assert int(adjusted.bid.open[day]) == round(exact * 10**places)
            assert places == 6 or exact * 10**places == round(exact * 10**places)


class TestSplitsFile:
    @pytest.mark.parametrize(
        ("cell", "ratio"),
        [("7:1", 7), ("7", 7), ("3:2", Fraction(3, 2)), ("1.5", Fraction(3, 2)), ("1:10", Fraction(1, 10))],
    )
    def test_a_ratio_as_people_write_it(self, tmp_path, cell, ratio):
        (tmp_path / "splits.csv").write_text(f"Date,Ratio\n2014-06-09,{cell}\n")
        (split,) = read_splits(tmp_path / "splits.csv", "AAPL")
        assert (iso_ms(split.date_ns), split.ratio) == ("2014-06-09T00:00:00.000Z", ratio)

    def test_rows_of_other_symbols_are_not_ours_and_the_oldest_comes_first(self, tmp_path):
        rows = "2020-08-31,4,AAPL\n2020-08-31,5,TSLA\n2014-06-09,7,\n"
        (tmp_path / "splits.csv").write_text("date,ratio,symbol\n" + rows)
        assert [split.ratio for split in read_splits(tmp_path / "splits.csv", "AAPL")] == [7, 4]
