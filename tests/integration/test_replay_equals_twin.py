"""The replay we ship gives, row for row and character for character, what the slow independent twin gives.

The twin (`tests/twin/brute_force.py`) was written from the design's text alone. A difference shows one row of each:
the replay's, then the twin's; the twin's docstring says how it read each open point.
"""

import csv
import gzip
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from itertools import islice, zip_longest

import pytest

from tests.twin.brute_force import (
    COLUMNS,
    MODELS,
    Ohlc,
    TwinBar,
    TwinConfig,
    TwinEntry,
    TwinQuote,
    ema_cross,
    every,
    iso,
    plain,
    replay,
    replay_quotes,
)
from tests.twin.scenarios import Scenario, bars_scenario, quotes_scenario

pytestmark = pytest.mark.skipif(importlib.util.find_spec("grodtd.cli") is None, reason="no command line yet")

PATHS, PATHS_AT_ONCE = 200, 25
QUOTE_PATHS, QUOTE_PATHS_AT_ONCE = 60, 15


# ------------------------------------------------------------------ from the twin's nouns to files, and back


def cell(value):
    return "" if value is None else plain(value) if isinstance(value, Decimal) else str(value)


def write_rows(path, header: str, rows: Iterable[Iterable]):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows([cell(value) for value in row] for row in rows)
    return path


def write_bars(folder, market: Scenario):
    """Write the market's prices as one file: quotes, two-sided bars where the sides differ, or plain bars."""
    path = folder / "prices.csv"
    if market.quotes:
        return write_rows(path, "time,bid,ask", ([iso(q.time_ns), q.bid, q.ask] for q in market.quotes))
    if any(bar.bid != bar.ask for bar in market.bars):
        header = ",".join(f"{side}_{name}" for side in ("bid", "ask") for name in Ohlc._fields)
        return write_rows(path, "time," + header, ([iso(b.time_ns), *b.bid, *b.ask] for b in market.bars))
    return write_rows(path, "time,open,high,low,close", ([iso(b.time_ns), *b.bid] for b in market.bars))


def write_entries(folder, entries: list[TwinEntry]):
    rows = (
        [iso(e.time_ns), e.symbol, e.side, e.quantity, e.price, e.bracket_id, e.stop_price, e.target_price]
        for e in entries
    )
    header = "time,symbol,side,quantity,price,bracket_id,stop_price,target_price"
    return write_rows(folder / "entries.csv", header, rows)


def yaml_of(value, indent=0) -> str:
    """Write nested dicts as YAML, numbers as they are."""
    if isinstance(value, dict):
        lines = (f"\n{'  ' * indent}{name}:{yaml_of(inner, indent + 1)}" for name, inner in value.items())
        return "".join(lines) or " {}"
    return " null" if value is None else f" {cell(value)}"


def write_config(folder, symbol: str, config: TwinConfig):
    """Write the three files of a configuration folder."""
    assert not config.policies, "exit policies have no keys here yet"
    assert config.condition is None, "a replay is told of no market condition: the bars tell it"
    folder = folder / "configs"
    folder.mkdir()
    risk_reward = {
        "strategy": config.strategy,
        "base_ratio": config.base_ratio,
        "min_ratio": config.min_ratio,
        "max_ratio": config.max_ratio,
        "volatility_factor": config.volatility_factor,
        "volatility_lookback": config.volatility_lookback,
        "market_condition": {
            "efficiency_period": config.efficiency_period,
            "trending_from": config.trending_from,
            "percentile_window": config.percentile_window,
            "volatile_from": config.volatile_from,
        },
        "market_condition_factors": config.condition_factors,
        "symbol_specific_ratios": config.symbol_ratios,
    }
    atr = {
        "period": config.period,
        "multiplier": config.multiplier,
        "method": config.method,
        "fallback_percentage": config.fallback_percentage,
        "max_gap_bars": config.max_gap_bars,
        "min_stop_ticks": config.min_stop_ticks,
    }
    instrument = {
        "tick_size": config.tick,
        "lot_size": config.lot,
        "fee_rate": config.fee_rate,
        "fee_asset": config.fee_asset,
        "contract_multiplier": config.contract_multiplier,
    }
    (folder / "risk_reward.yaml").write_text(yaml_of({"risk_reward": risk_reward}))
    (folder / "trade_exit.yaml").write_text(yaml_of({"trade_exit": {"atr": atr}}))
    (folder / "instruments.yaml").write_text(yaml_of({"instruments": {"symbols": {symbol: instrument}}}))
    return folder


def run_cli(*words: str) -> None:
    """Run `grodtd ...` in this process: starting one for each of a thousand runs would take longer than they do."""
    command_line = importlib.import_module("grodtd.cli")
    before, sys.argv = sys.argv, ["grodtd", *words]
    code: object = 0
    try:
        command_line.main()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv = before
    assert not code, f"grodtd {' '.join(words)} ended with {code}"


def product_rows(folder, market: Scenario, fill_model: str, entries: str = "") -> list[dict[str, str]]:
    """Return the rows of exits.csv as our replay writes them. `entries` is a rule such as every:5, or empty: a file."""
    folder.mkdir(parents=True)
    out = folder / "out"
    run_cli(
        *("replay", str(write_bars(folder, market)), "--symbol", market.symbol),
        *("--entries", entries or str(write_entries(folder, market.entries))),
        *("--config", str(write_config(folder, market.symbol, market.config))),
        *("--out", str(out), "--fill-model", fill_model),
    )
    with (out / "exits.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def twin_rows(market: Scenario, fill_model: str) -> list[dict[str, str]]:
    if market.quotes:
        return replay_quotes(market.quotes, market.entries, market.config)
    return replay(market.bars, market.entries, market.config, fill_model)


def difference(market: Scenario, fill_model: str, ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> str:
    """Tell the first row that differs, with all of its columns and the configuration; nothing where none does."""
    for at, (our_row, twins_row) in enumerate(zip_longest(ours, theirs, fillvalue={})):
        wrong = [name for name in COLUMNS if our_row.get(name) != twins_row.get(name)]
        if wrong or (our_row and tuple(our_row) != COLUMNS):
            lines = [f"{market.name}, {fill_model}, row {at + 1}: {', '.join(wrong)}"]
            lines += [
                f"{'* ' if name in wrong else '  '}{name:14}ours {our_row.get(name)!r:28} twin {twins_row.get(name)!r}"
                for name in COLUMNS
            ]
            return "\n".join([*lines, f"  {market.config}"])
    return ""


def compare(folder, market: Scenario, fill_model: str, entries: str = "") -> str:
    """Run both on one market and tell the difference."""
    try:
        ours = product_rows(folder / market.name / fill_model, market, fill_model, entries)
    except Exception as error:
        error.add_note(f"in {market.name}, {fill_model}: {market.config}")
        raise
    return difference(market, fill_model, ours, twin_rows(market, fill_model))


def agree(*differences: str) -> None:
    """Fail with how many markets differ, and the first three of them."""
    told = [words for words in differences if words]
    if told:
        pytest.fail(f"{len(told)} of {len(differences)} markets differ\n" + "\n".join(told[:3]), pytrace=False)


# ------------------------------------------------------------------ random markets


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("first_seed", range(0, PATHS, PATHS_AT_ONCE))
def test_random_markets(tmp_path, first_seed, model):
    """Longs and shorts, priced or not, with and without levels, in bars built to touch them."""
    seeds = range(first_seed, first_seed + PATHS_AT_ONCE)
    agree(*(compare(tmp_path, bars_scenario(seed), model) for seed in seeds))


@pytest.mark.parametrize("first_seed", range(0, QUOTE_PATHS, QUOTE_PATHS_AT_ONCE))
def test_random_quotes(tmp_path, first_seed):
    seeds = range(first_seed, first_seed + QUOTE_PATHS_AT_ONCE)
    agree(*(compare(tmp_path, quotes_scenario(seed), "pessimistic") for seed in seeds))


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
    Recording("AAPL-1d", "0.01", "every:5"),
    Recording("AAPL-1d", "0.01", "every:5:sell"),
    Recording("SPY-1d", "0.01", "ema-cross:10,30"),
    Recording("SPY-1h", "0.01", "every:97"),
    Recording("EURUSD-1h-bidask", "0.00001", "every:101"),
    Recording("EURUSD-1h-bidask", "0.00001", "every:101:sell"),
    Recording("BTCUSD-1m", "0.01", "every:13"),
    Recording("AAPL-1m-split-2014", "0.01", "every:9"),
    Recording("SPY-1s-20131007", "0.01", "every:50:sell"),
]


def time_of(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


@cache
def recorded(path, rows: int):
    """Return the file's rows as (time, prices...)."""
    with gzip.open(path, "rt", newline="") as file:
        read = csv.DictReader(file)
        names = [name for name in read.fieldnames or [] if name not in ("time", "volume")]
        return [(time_of(row["time"]), *(Decimal(row[n]) for n in names)) for row in islice(read, rows or None)]


def recorded_bars(path, rows: int) -> list[TwinBar]:
    read = recorded(path, rows)
    return [TwinBar(time, Ohlc(*prices[:4]), Ohlc(*prices[-4:])) for time, *prices in read]


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
        for quote in quotes[500::1500]
        for side in ("buy", "sell")
    ]
    agree(compare(tmp_path, Scenario("ticks", "EURUSD", config, entries, [], quotes), "pessimistic"))
