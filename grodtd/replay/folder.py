"""A folder of price files, one a symbol, replayed as one account would have lived it: `grodtd replay DIR`.

A file's name up to the first '-' or '.' is its symbol; the entries name theirs, or a rule makes some on each. Bars and
quotes, and bars of any lengths, may stand side by side. What comes first is said in `driver.replay_together`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from grodtd.config.loading import Configuration
from grodtd.domain.errors import DataError
from grodtd.replay.columns import Progress
from grodtd.replay.entries import EntryRow, is_rule, read_entries, read_entries_of, symbols_in
from grodtd.replay.inputs import (
    Batch,
    ReplayOptions,
    Tape,
    checked_strategies,
    configuration_for,
    inputs_of,
    prepare,
    tape_of,
    without_entries,
)
from grodtd.replay.reading import symbol_of

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq", ".arrow", ".feather", ".ipc")
"""Endings of price files in a folder; what a file is, is told by its content all the same."""

SHOWN = 8
"""Symbols a message names; the rest are counted."""


def prepare_batch(options: ReplayOptions, configuration: Configuration, progress: Progress | None = None) -> Batch:
    """Read a file of prices, or a folder of them, and the entries.

    Of a folder, symbols without an entry are not read. Raises: DataError or ConfigError with file and line; nothing is
    written then.
    """
    folder = options.prices
    if not folder.is_dir():
        return Batch([prepare(options, configuration, progress=progress)])
    if options.symbol is not None:
        raise DataError(f"--symbol {options.symbol}: the files of {folder} name their own symbols")
    files = price_files(folder)
    rule = is_rule(options.entries)
    named = set(files) if rule else symbols_in(options.entries)
    wanted = [symbol for symbol in files if symbol in named]
    tapes = {}
    for place, symbol in enumerate(wanted, 1):
        said = _of_many(progress, symbol, place, len(wanted))
        tapes[symbol] = tape_of(options, files[symbol], progress=said)
    own = {symbol: configuration_for(configuration, symbol) for symbol in wanted}
    if rule:
        rows, dropped = _by_rule(options, tapes, own), 0
    else:
        markets = {symbol: (tape.prices, tape.bars) for symbol, tape in tapes.items()}
        where = f"{folder} has no file of it; it has {_names(files)}"
        found, bad = read_entries_of(options.entries, markets, where, skip_bad=options.skip_bad)
        rows, dropped = checked_strategies(found, bad, options, configuration)
    if not wanted:
        raise DataError(f"{options.entries}: no entry is of a symbol with a file in {folder}; it has {_names(files)}")
    parts = [
        inputs_of(options, own[symbol], tape, [row for row in rows if row.symbol == symbol])
        for symbol, tape in tapes.items()
    ]
    remarks = without_entries(options, rows)
    if len(wanted) < len(files):
        idle = [symbol for symbol in files if symbol not in named]
        remarks.append(f"without an entry, so not read: {_names(idle)}")
    if dropped:
        remarks.append(f"{dropped} bad entry rows were dropped (--skip-bad)")
    return Batch(parts, remarks, dropped)


def price_files(folder: Path) -> dict[str, Path]:
    """Return a folder's price files by symbol, in order of the symbols; what begins with a dot is passed over.

    Raises: DataError - there is none, one is no price file by its name, or two are of one symbol.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            raise DataError(f"{path}: is a folder; the prices of {folder} must lie in it side by side")
        if not path.name.lower().endswith(SUFFIXES):
            raise DataError(f"{path}: is no price file by its name; use {', '.join(SUFFIXES)}, or move it elsewhere")
        symbol = symbol_of(path)
        if symbol in found:
            raise DataError(
                f"{path}: {symbol} has a file already, {found[symbol].name}; one symbol has one file (its name up to "
                "the first '-' or '.')"
            )
        found[symbol] = path
    if not found:
        raise DataError(f"{folder}: is empty; put a file of prices for each symbol into it ({', '.join(SUFFIXES)})")
    return dict(sorted(found.items()))


def _by_rule(options: ReplayOptions, tapes: Mapping[str, Tape], own: Mapping[str, Configuration]) -> list[EntryRow]:
    """Return what a rule makes on each symbol's prices, numbered through in order of time, then of symbols."""
    rows: list[EntryRow] = []
    for symbol, (prices, bars, _, _) in tapes.items():
        period = own[symbol].policies["default"].atr.period
        made, _ = read_entries(options.entries, prices, atr_period=period, quantity=options.quantity, bars=bars)
        rows += made
    rows.sort(key=lambda row: (row.time_ns, row.symbol))
    return [replace(row, index=at, bracket_id=f"E{at + 1:06d}") for at, row in enumerate(rows)]


def _of_many(progress: Progress | None, symbol: str, place: int, count: int) -> Progress | None:
    """Show the reading of one file as its share of the reading of all."""
    if progress is None:
        return None

    def shown(_: str, fraction: float) -> None:
        progress(f"reading {symbol}, {place} of {count}", (place - 1 + fraction) / count)

    return shown


def _names(symbols: Sequence[str] | Mapping[str, object]) -> str:
    names = list(symbols)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
