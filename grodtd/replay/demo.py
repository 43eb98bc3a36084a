"""The demo's input: real daily AAPL prices from the public domain, adjusted for splits only, and a simple entry rule.

The prices are those of `bokeh_sampledata.stocks` (the `demo` extra), 2000 to 2013, unadjusted as they traded. A 2:1
split inside a trade would look like a loss of half its value, so OHLC are put on the basis of the file's last day.
"""

import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl

from grodtd.config.loading import Configuration, default_config_dir
from grodtd.config.policy_file import NamedPolicy, read_policies
from grodtd.domain.errors import ConfigError
from grodtd.replay.inputs import Inputs, ReplayOptions, prepare
from grodtd.replay.prices import Bars
from grodtd.replay.reading import ReadResult, read_prices
from grodtd.replay.splits import Split, adjust

DAY_NS = 86_400_000_000_000
SPLITS = (("2000-06-21", Fraction(2)), ("2005-02-28", Fraction(2)))
"""AAPL's splits within the file: first session at the new price, new shares for one old."""
RULE = "ema-cross:10,30"


POLICIES = "policies.yaml"
"""The policies the demo compares: the commented example that ships with the configuration."""


def demo_policies() -> list[NamedPolicy]:
    """Return the policies the demo compares. Raises ConfigError when the shipped files are not in order."""
    folder = default_config_dir()
    return read_policies(folder / POLICIES, folder, None, {})


def demo_inputs(configuration: Configuration) -> Inputs:
    """Return everything the demo replays. Raises ConfigError when the `demo` extra is not installed."""
    try:
        from bokeh_sampledata.stocks import AAPL  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(["the demo's prices are not installed: pip install 'grodtd[demo]'"]) from None
    table = pl.DataFrame(
        {
            "time": AAPL["date"],
            "open": AAPL["open"],
            "high": AAPL["high"],
            "low": AAPL["low"],
            "close": AAPL["close"],
            "volume": AAPL["volume"],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "AAPL-1d.csv"
        table.write_csv(path)
        found = read_prices(path, "AAPL")
    bars = found.prices
    assert isinstance(bars, Bars)
    splits = [Split(_day_ns(day), ratio) for day, ratio in SPLITS]
    adjusted = adjust(bars, splits)
    remarks = [
        f"AAPL daily, {len(adjusted)} sessions 2000-2013 (bokeh_sampledata, public domain), as traded",
        "adjusted for the 2:1 splits of 2000-06-21 and 2005-02-28 only (not for dividends), on the last day's basis",
        f"entries by rule {RULE}: buy when the fast average rises above the slow one, sell in the mirror",
    ]
    options = ReplayOptions(prices=Path("AAPL-1d.csv"), entries=RULE, symbol="AAPL", quantity=Decimal(100))
    return prepare(options, configuration, ReadResult(adjusted, [], remarks))


def _day_ns(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
