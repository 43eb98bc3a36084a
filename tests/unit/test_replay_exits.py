"""The rows of exits.csv, letter for letter, and back again."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grodtd.domain.orders import Side
from grodtd.replay.exits import COLUMNS, REASONS, ExitRow, in_order, read_exits, six_decimals, write_exits

NOON_NS = 1_402_315_200_000_000_000  # 2014-06-09T12:00:00Z
HOUR_NS = 3_600_000_000_000

TARGET = ExitRow(
    bracket_id="B1",
    symbol="AAPL",
    side=Side.BUY,
    quantity=Decimal("1E+2"),
    entry_time_ns=NOON_NS,
    entry_price=Decimal("92.70"),
    stop_price=Decimal("91.5"),
    target_price=Decimal("94.5"),
    atr=Decimal("0.600000000001"),
    ratio=Decimal("1.5"),
    exit_time_ns=NOON_NS + HOUR_NS + 5_000_000,
    exit_price=Decimal("94.5"),
    exit_reason="target",
    r_multiple=Decimal("1.5"),
    pnl=Decimal("179.9999995"),
    mae_r=Decimal("-0.33333333333"),
    mfe_r=Decimal("1.5"),
    ambiguous=True,
)
OPEN = replace(
    TARGET,
    bracket_id="B2",
    side=Side.SELL,
    target_price=None,
    atr=None,
    ratio=None,
    exit_time_ns=None,
    exit_price=None,
    exit_reason="open",
    r_multiple=None,
    pnl=Decimal("-0.0000001"),
    mae_r=None,
    mfe_r=None,
    ambiguous=False,
    fallback=True,
)


def test_the_columns_are_those_of_the_design_in_its_order():
    assert ",".join(COLUMNS) == (
        "bracket_id,symbol,side,quantity,entry_time,entry_price,stop_price,target_price,atr,ratio,"
        "exit_time,exit_price,exit_reason,r_multiple,pnl,mae_r,mfe_r,ambiguous,fallback"
    )
    fields = [name.removesuffix("_ns") for name in ExitRow.__dataclass_fields__]
    assert tuple(fields) == COLUMNS


def test_times_have_milliseconds_prices_are_plain_and_derived_figures_have_six_decimals(tmp_path):
    write_exits(tmp_path / "exits.csv", [TARGET, OPEN])
    header, target, still_open = (tmp_path / "exits.csv").read_bytes().decode().removesuffix("\n").split("\n")
    assert header == ",".join(COLUMNS)
    assert target == (
        "B1,AAPL,buy,100,2014-06-09T12:00:00.000Z,92.7,91.5,94.5,0.600000,1.500000,"
        "2014-06-09T13:00:00.005Z,94.5,target,1.500000,180.000000,-0.333333,1.500000,true,false"
    )
    assert still_open == ("B2,AAPL,sell,100,2014-06-09T12:00:00.000Z,92.7,91.5,,,,,,open,,0.000000,,,false,true")


@pytest.mark.parametrize(
    ("exact", "written"),
    [("0.0000005", "0.000000"), ("0.0000015", "0.000002"), ("-0.0000015", "-0.000002"), ("-0.0000001", "0.000000")],
)
def test_derived_figures_round_half_to_even_and_never_to_minus_zero(exact, written):
    assert str(six_decimals(Decimal(exact))) == written


def test_figures_of_any_size_are_written(tmp_path):
    write_exits(tmp_path / "exits.csv", [replace(TARGET, pnl=Decimal("9" * 25 + ".123456"))])
    assert read_exits(tmp_path / "exits.csv")[0].pnl == Decimal("9" * 25 + ".123456")


class TestOrder:
    """By entry time, then the entries file's order, then exit time; what is open last."""

    LATE = replace(TARGET, bracket_id="late", entry_time_ns=NOON_NS + HOUR_NS)
    FIRST_OF_FILE = replace(TARGET, bracket_id="Z")
    SECOND_OF_FILE = replace(TARGET, bracket_id="A")
    PART_1 = replace(SECOND_OF_FILE, exit_time_ns=NOON_NS + 1, quantity=Decimal(40))
    PART_2 = replace(SECOND_OF_FILE, exit_time_ns=NOON_NS + 2, quantity=Decimal(30))
    REST = replace(SECOND_OF_FILE, exit_time_ns=None, exit_reason="open", quantity=Decimal(30))

    def test_rows_are_sorted_whatever_order_they_come_in(self):
        expected = [self.FIRST_OF_FILE, self.PART_1, self.PART_2, self.REST, self.LATE]
        assert in_order(expected[::-1], {"Z": 0, "A": 1, "late": 2}) == expected

    def test_without_a_file_order_brackets_keep_the_order_they_come_in(self):
        assert in_order([self.PART_2, self.FIRST_OF_FILE, self.PART_1]) == [
            self.PART_1,
            self.PART_2,
            self.FIRST_OF_FILE,
        ]

    def test_exits_of_one_bar_keep_their_order(self):
        near, far = (replace(self.PART_1, exit_price=Decimal(px)) for px in (95, 94))
        assert in_order([near, far]) == [near, far]

    def test_the_file_is_written_in_order(self, tmp_path):
        write_exits(
            tmp_path / "exits.csv", [self.LATE, self.REST, self.PART_1, self.FIRST_OF_FILE], {"Z": 0, "A": 1, "late": 2}
        )
        assert [row.bracket_id for row in read_exits(tmp_path / "exits.csv")] == ["Z", "A", "A", "late"]


prices = st.builds(lambda units, places: Decimal(units).scaleb(-places), st.integers(1, 10**12), st.integers(-2, 9))
figures = st.none() | st.integers(-(10**12), 10**12).map(lambda millionths: Decimal(millionths).scaleb(-6))
rows = st.builds(
    ExitRow,
    bracket_id=st.from_regex(r"[A-Za-z0-9_-]{1,24}", fullmatch=True),
    symbol=st.sampled_from(["AAPL", "BTC/USD", 'a "quoted", symbol']),
    side=st.sampled_from(Side),
    quantity=prices,
    entry_time_ns=st.integers(0, 10**12).map(lambda ms: ms * 1_000_000),
    entry_price=prices,
    stop_price=prices,
    target_price=st.none() | prices,
    atr=figures,
    ratio=figures,
    exit_time_ns=st.none() | st.integers(0, 10**12).map(lambda ms: ms * 1_000_000),
    exit_price=st.none() | prices,
    exit_reason=st.sampled_from(REASONS),
    r_multiple=figures,
    pnl=figures.filter(lambda figure: figure is not None),
    mae_r=figures,
    mfe_r=figures,
    ambiguous=st.booleans(),
    fallback=st.booleans(),
)


@settings(max_examples=40)
@given(st.lists(rows, max_size=3))
def test_what_was_written_is_read_back_and_written_the_same(tmp_path_factory, made):
    folder = tmp_path_factory.mktemp("exits")
    write_exits(folder / "exits.csv", made)
    read = read_exits(folder / "exits.csv")
    assert read == in_order(made)
    write_exits(folder / "again.csv", read)
    assert (folder / "again.csv").read_bytes() == (folder / "exits.csv").read_bytes()
