"""The replay we ship gives, row for row and character for character, what the slow independent twin gives.

The twin (`tests/twin/brute_force.py`) was written from the design's text alone. A difference shows one row of each:
the replay's, then the twin's; the twin's docstring says how it read each open point.
"""

import importlib.util
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from tests.twin.brute_force import MODELS, TwinBar, TwinConfig, TwinEntry, TwinQuote, ema_cross, every
from tests.twin.product import agree, compare, recorded, recorded_bars
from tests.twin.scenarios import Scenario, bars_scenario, quotes_scenario

pytestmark = pytest.mark.skipif(importlib.util.find_spec("grodtd.cli") is None, reason="no command line yet")

PATHS, PATHS_AT_ONCE = 200, 25
QUOTE_PATHS, QUOTE_PATHS_AT_ONCE = 60, 15


# ------------------------------------------------------------------ random markets


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("first_seed", range(0, PATHS, PATHS_AT_ONCE))
def test_random_markets(tmp_path, first_seed, model):
    """Longs and shorts, priced or not, with and without levels, in bars built to touch them."""
    seeds = range(first_seed, first_seed + PATHS_AT_ONCE)
    agree(*(compare(tmp_path, bars_scenario(seed), model, whole=seed % 10 == 0) for seed in seeds))


@pytest.mark.parametrize("first_seed", range(0, QUOTE_PATHS, QUOTE_PATHS_AT_ONCE))
def test_random_quotes(tmp_path, first_seed):
    seeds = range(first_seed, first_seed + QUOTE_PATHS_AT_ONCE)
    agree(*(compare(tmp_path, quotes_scenario(seed), "pessimistic", whole=seed % 10 == 0) for seed in seeds))


@pytest.mark.parametrize("model", MODELS)
def test_one_market_with_every_pair_of_levels(tmp_path, model):
    """Brackets on a grid of given levels: wrong sides, levels at the entry, and every whipsaw they make."""
    market = bars_scenario(next(seed for seed in range(1000) if len(bars_scenario(seed).bars) == 120))
    bars = [TwinBar(bar.time_ns, bar.bid, bar.bid) for bar in market.bars]
    tick = market.config.tick
    entries = [
        TwinEntry(
            bar.time_ns,
            market.symbol,
            side,
            market.config.lot * 10,
            stop_price=bar.bid.close + stop * tick,
            target_price=bar.bid.close + target * tick,
        )
        for bar in bars[::10]
        for side in ("buy", "sell")
        for stop in (-20, -7, -2, -1, 0, 1, 2, 7, 20)
        for target in (-20, -7, -1, 1, 7, 20)
    ]
    agree(compare(tmp_path, replace(market, name="grid", bars=bars, entries=entries), model))


@pytest.mark.parametrize("rule", ["every:1", "every:7:sell", "ema-cross:3,8", "ema-cross:1,2"])
def test_rules_that_make_entries(tmp_path, rule):
    markets = [bars_scenario(seed) for seed in range(10)]
    markets = [replace(market, entries=entries_of(rule, market)) for market in markets]
    agree(*(compare(tmp_path, market, "path", rule) for market in markets))


def entries_of(rule: str, market: Scenario) -> list[TwinEntry]:
    """Return what `every:N[:side]` or `ema-cross:F,S` means for a market's bars."""
    kind, *words = rule.split(":")
    if kind == "every":
        side = words[1] if words[1:] else "buy"
        return every(int(words[0]), market.bars, market.config, symbol=market.symbol, side=side)
    fast, slow = map(int, words[0].split(","))
    return ema_cross(fast, slow, market.bars, symbol=market.symbol)


# ------------------------------------------------------------------ recorded markets


@dataclass(frozen=True)
class Recording:
    """A file of recorded prices, how it is traded, and how many of its rows are taken (0: all)."""

    file: str
    tick: str
    rule: str
    rows: int = 0

    @property
    def name(self) -> str:
        return f"{self.file} {self.rule}"


RECORDINGS = [
    Recording("AAPL-1d", "0.01", "every:11"),
    Recording("AAPL-1d", "0.01", "every:11:sell"),
    Recording("SPY-1d", "0.01", "ema-cross:10,30"),
    Recording("SPY-1h", "0.01", "every:97"),
    Recording("EURUSD-1h-bidask", "0.00001", "every:199"),
    Recording("EURUSD-1h-bidask", "0.00001", "every:199:sell"),
    Recording("BTCUSD-1m", "0.01", "every:67"),
    Recording("AAPL-1m-split-2014", "0.01", "every:9"),
    Recording("SPY-1s-20131007", "0.01", "every:50:sell"),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_recorded_bars(tmp_path, shared_data, recording):
    config = TwinConfig(tick=Decimal(recording.tick), lot=Decimal("0.001"), strategy="volatility_based")
    symbol = recording.file.split("-")[0]
    market = Scenario("recorded", symbol, config, [], recorded_bars(shared_data / f"{recording.file}.csv.gz", 0))
    market = replace(market, entries=entries_of(recording.rule, market))
    assert len(market.entries) > 100
    agree(*(compare(tmp_path, market, model, recording.rule) for model in MODELS))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_recorded_ticks(tmp_path, shared_data):
    """EURUSD on the day of a central bank's press conference, in and out on bids and asks."""
    quotes = [TwinQuote(*row) for row in recorded(shared_data / "EURUSD-ticks-20140508.csv.gz", 0)]
    config = TwinConfig(tick=Decimal("0.00001"), fee_rate=Decimal("0.00002"))
    entries = [
        TwinEntry(quote.time_ns, "EURUSD", side, Decimal(10_000))
        for quote in quotes[500::4000]
        for side in ("buy", "sell")
    ]
    agree(compare(tmp_path, Scenario("ticks", "EURUSD", config, entries, [], quotes), "pessimistic"))
