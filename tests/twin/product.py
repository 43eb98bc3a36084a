"""A replay of a twin's scenario by the product: files written, `grodtd replay` run, its rows read and compared.

A whole run of the command line costs three times what the replay itself does, so `compare` asks for it only where told
to; else the same functions are called, from reading the files to the text of each row.
"""

import csv
import gzip
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cache
from itertools import islice, zip_longest

import pytest

from tests.twin.brute_force import COLUMNS, Ohlc, TwinBar, TwinConfig, TwinEntry, iso, plain, replay, replay_quotes
from tests.twin.exit_policies import ExitRules
from tests.twin.scenarios import Scenario


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


def exit_keys(rules: ExitRules) -> dict[str, object]:
    """Return the blocks of `trade_exit` an exit policy is written as."""
    names = {"r": "{}R", "px": "px {}"}
    return {
        "ratchet": {"on": rules.on, "step_ticks": rules.step_ticks, "min_interval_s": rules.min_interval_s},
        "trailing": {
            "method": rules.trail,
            "amount": rules.amount,
            "atr": rules.trail_atr,
            "activate_at_r": rules.activate_at_r,
            "activate_px": rules.activate_px,
        },
        "break_even": {
            "at_r": rules.break_even_at_r,
            "offset_ticks": rules.offset_ticks,
            "plus_fees": str(rules.plus_fees).lower(),
        },
        "profit_lock": {cell(at_r): lock_r for at_r, lock_r in rules.locks},
        "scale_out": {
            "steps": {names[kind].format(cell(value)): fraction for fraction, kind, value in rules.steps},
            "rest": rules.rest,
        },
        "time_exit": {
            "after_bars": rules.after_bars,
            "after": None if rules.after_s is None else f"{rules.after_s}s",
            "unprofitable_after_bars": rules.unprofitable_after_bars,
            "at_session_end": str(rules.at_session_end).lower(),
            "before_weekend": str(rules.before_weekend).lower(),
        },
    }


def write_config(folder, symbol: str, config: TwinConfig):
    """Write the three files of a configuration folder."""
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
        "min_stop_percentage": config.min_stop_percentage,
    }
    instrument = {
        "calendar": config.calendar,
        "tick_size": config.tick,
        "lot_size": config.lot,
        "fee_rate": config.fee_rate,
        "fee_asset": config.fee_asset,
        "contract_multiplier": config.contract_multiplier,
    }
    (folder / "risk_reward.yaml").write_text(yaml_of({"risk_reward": risk_reward}))
    (folder / "trade_exit.yaml").write_text(yaml_of({"trade_exit": {"atr": atr, **exit_keys(config.exits)}}))
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


def rows_from_command_line(folder, market: Scenario, fill_model: str, entries: str = "") -> list[dict[str, str]]:
    """Return the rows of exits.csv as `grodtd replay` writes them. `entries` is a rule, or empty: a file."""
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


def rows_from_parts(folder, market: Scenario, fill_model: str, entries: str = "") -> list[dict[str, str]]:
    """Return the same rows from the functions the command calls: no report, no journal, no summary."""
    folder.mkdir(parents=True)
    run, loading = importlib.import_module("grodtd.replay.run"), importlib.import_module("grodtd.config.loading")
    exits, reading = importlib.import_module("grodtd.replay.exits"), importlib.import_module("grodtd.replay.inputs")
    model = importlib.import_module("grodtd.venue.bar_matching").FillModel(fill_model)
    options = reading.ReplayOptions(
        prices=write_bars(folder, market),
        entries=entries or str(write_entries(folder, market.entries)),
        symbol=market.symbol,
        model=model,
    )
    inputs = reading.prepare(options, loading.load(write_config(folder, market.symbol, market.config), environ={}))
    lives = run.drive(inputs, inputs.feed, run._readings(inputs), inputs.entries, model, None)
    rows = run._rows(lives, inputs.feed, inputs.instrument)
    return [dict(zip(COLUMNS, exits.exit_cells(row), strict=True)) for row in rows]


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


def compare(folder, market: Scenario, fill_model: str, entries: str = "", *, whole: bool = True) -> str:
    """Run both on one market and tell the difference; `whole`: through the command line and its files."""
    product_rows = rows_from_command_line if whole else rows_from_parts
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


# ------------------------------------------------------------------ recorded markets


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
