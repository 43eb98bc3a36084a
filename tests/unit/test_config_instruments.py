"""Listed symbols have the rules of the file; others take their steps from the data, said aloud, or are refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.config import finest_step, instrument_for, load
from grodtd.domain.errors import ConfigError
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import is_multiple

TEXT = """\
instruments:
  defaults:
    fee_rate: 0.001
    calendar: XNYS
  symbols:
    SPY:
      tick_size: 0.01
      lot_size: 1
    BTCUSD:
      tick_size: 0.1
      lot_size: 0.0001
      min_notional: 10
      fee_asset: base
      fee_rate: 0.002
      calendar: null
"""


@pytest.fixture
def configuration(tmp_path):
    (tmp_path / "instruments.yaml").write_text(TEXT, encoding="utf-8")
    return load(tmp_path, environ={"GRODTD_INSTRUMENTS__SYMBOLS__BTCUSD__MIN_NOTIONAL": "5"})


def test_a_symbol_has_its_own_rules_then_the_defaults(configuration):
    assert configuration.instruments == {
        "SPY": Instrument("SPY", Decimal("0.01"), Decimal(1), fee_rate=Decimal("0.001"), calendar="XNYS"),
        "BTCUSD": Instrument(
            "BTCUSD",
            Decimal("0.1"),
            Decimal("0.0001"),
            min_notional=Decimal(5),
            fee_rate=Decimal("0.002"),
            fee_asset=FeeAsset.BASE,
        ),
    }


def test_a_listed_symbol_needs_no_remark_whatever_the_data_look_like(configuration):
    assert instrument_for("SPY", configuration, Decimal("0.0001")) == (configuration.instruments["SPY"], "")
    assert instrument_for("SPY", configuration, None) == (configuration.instruments["SPY"], "")


@pytest.mark.parametrize(
    ("symbol", "tick", "quantity_step", "lot", "remark"),
    [
        (
            "GE",
            "0.01",
            "1",
            "1",
            "GE is not listed in instruments.yaml: tick 0.01 taken from the prices, lot 1, no fee",
        ),
        (
            "ETHUSD",
            "0.05",
            "0.001",
            "0.001",
            "ETHUSD is not listed in instruments.yaml: tick 0.05 taken from the prices, lot 0.001, no fee",
        ),
        (
            "spy",
            "0.01",
            "100",
            "1",
            (
                "spy is not listed in instruments.yaml: tick 0.01 taken from the prices, lot 1, no fee; "
                "nearest listed symbol: SPY"
            ),
        ),
    ],
)
def test_an_unlisted_symbol_takes_its_steps_from_the_data_and_says_so(
    configuration, symbol, tick, quantity_step, lot, remark
):
    assert instrument_for(symbol, configuration, Decimal(tick), Decimal(quantity_step)) == (
        Instrument(symbol, tick_size=Decimal(tick), lot_size=Decimal(lot)),
        remark,
    )


def test_live_an_unlisted_symbol_is_refused(configuration):
    with pytest.raises(ConfigError) as refused:
        instrument_for("BTCUSDT", configuration, None)
    assert refused.value.problems == [
        (
            f"{configuration.directory}/instruments.yaml: instruments.symbols.BTCUSDT: is not listed: its tick and lot "
            "must be known before it is traded; nearest listed symbol: BTCUSD"
        )
    ]


@pytest.mark.parametrize(
    ("prices", "tick"),
    [
        (["1.3187", "1.31955"], "0.00001"),
        (["16.50", "16.00"], "0.1"),  # trailing zeros say nothing
        (["100", "25"], "1"),
        (["1E+2"], "1"),
        ([], "1"),
    ],
)
def test_the_tick_is_the_smallest_power_of_ten_that_writes_every_price(prices, tick):
    assert finest_step(map(Decimal, prices)) == Decimal(tick)


@given(st.lists(st.decimals("0.00000001", "100000", places=8), min_size=1))
def test_every_price_is_a_whole_number_of_ticks_and_no_coarser_tick_would_do(prices):
    tick = finest_step(prices)
    assert all(is_multiple(price, tick) for price in prices)
    assert tick == 1 or not all(is_multiple(price, tick * 10) for price in prices)
