"""Entries of a replay: fills out of a CSV, or made by a rule. `placing.py` says where each meets the prices.

    every:N[:side]   an unpriced entry at every bar index i >= ATR period with i % N == 0 (buy if no side is given)
    ema-cross:F,S    from bar S on: buy when the EMA of F closes rises above that of S closes, sell in the mirror

On quotes a rule goes by the mid bars, and its entry comes at the end of its bar.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from grodtd.domain.errors import ConfigError, DataError
from grodtd.domain.ids import BRACKET_ID
from grodtd.domain.money import ONE, plain
from grodtd.domain.orders import Side
from grodtd.replay.columns import BadCellError, BadRow, Table, complaint, read_table, require
from grodtd.replay.placing import NoPlaceError, Placed, place
from grodtd.replay.prices import Bars, Quotes
from grodtd.replay.volatility import bars_from_quotes, ema

NEEDED = ("time", "symbol", "side", "quantity")
OPTIONAL = ("price", "bracket_id", "stop_price", "target_price", "strategy")
EXPECTED = "time,symbol,side,quantity[,price][,bracket_id][,stop_price][,target_price][,strategy]"
OTHER_NAMES = {
    "entry_price": "price",
    "fill_price": "price",
    "px": "price",
    "id": "bracket_id",
    "stop": "stop_price",
    "stop_loss": "stop_price",
    "stop_px": "stop_price",
    "sl": "stop_price",
    "target": "target_price",
    "take_profit": "target_price",
    "target_px": "target_price",
    "tp": "target_price",
}
"""Columns that surely mean one of ours: to pass over a trader's stop would be to replay another trade."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
RULES = "every:N[:side] and ema-cross:F,S"
RULE = re.compile(r"(every|ema-cross):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry fill of a replay, as the file or the rule gives it. Prices quote currency per unit."""

    index: int
    """Place among the entries used, from 0, in file order."""
    line: int
    """Its line in the entries file; of a rule's entry, the line of its bar in the price file."""
    time_ns: int
    symbol: str
    side: Side
    quantity: Decimal
    """Units, above 0."""
    price: Decimal | None
    """The fill's; None: taken from the prices."""
    bracket_id: str
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    strategy: str | None = None


def is_rule(source: str | Path) -> bool:
    """Tell whether `--entries` names a rule and not a file.

    >>> is_rule("every:50"), is_rule("trades.csv")
    (True, False)
    """
    return RULE.fullmatch(str(source)) is not None


def read_entries(
    source: str | Path,
    prices: Bars | Quotes,
    *,
    atr_period: int = 14,
    quantity: Decimal = ONE,
    skip_bad: bool = False,
    bars: Bars | None = None,
) -> tuple[list[EntryRow], list[BadRow]]:
    """Return the entries of a file or rule, in file order, and the bad rows that were dropped.

    `quantity` and `atr_period` serve rules. `bars` are the mid bars of quotes; None: made, of one minute.
    Bad is: a cell that cannot be read, an unknown side or symbol, a bracket id that is not allowed or taken, a time
    outside the prices, a price the market did not trade at. Without `skip_bad` such rows are an error.

    Raises: DataError - whoever supplied the file corrects it; the message lists `file:line: what`.
    ConfigError - whoever wrote the rule corrects it.
    """
    if isinstance(prices, Quotes) and bars is None:
        bars = bars_from_quotes(prices)
    if is_rule(source):
        if quantity <= 0:
            raise ConfigError([f"--quantity {plain(quantity)}: must be above 0"])
        return _by_rule(str(source), prices, bars, atr_period, quantity), []
    where = f"the prices are of {prices.symbol!r} (--symbol)"
    return read_entries_of(source, {prices.symbol: (prices, bars)}, where, skip_bad=skip_bad)


def symbols_in(source: str | Path) -> set[str]:
    """Return the symbols an entries file names, as they are written. Raises: DataError - it is no such file."""
    table = _table(source)
    require(table, NEEDED, EXPECTED)
    return set(table.texts("symbol"))


def _table(source: str | Path) -> Table:
    """Read an entries file. Raises: DataError - it is none; a misspelt rule looks like a file that is not there."""
    if not Path(source).exists():
        raise DataError(f"--entries {source}: no file of that name, and no rule; rules are {RULES}")
    return read_table(source)


def read_entries_of(
    source: str | Path, markets: Mapping[str, tuple[Bars | Quotes, Bars | None]], where: str, *, skip_bad: bool = False
) -> tuple[list[EntryRow], list[BadRow]]:
    """Return the entries of a file over several symbols' prices (and mid bars of quotes), as `read_entries` does.

    `where` says, of a symbol without prices, whose prices there are. Raises: DataError - as `read_entries`.
    """
    table = _table(source)
    require(table, NEEDED, EXPECTED)
    known = (*NEEDED, *OPTIONAL)
    for column in table.frame.columns:
        meant = OTHER_NAMES.get(column)
        if meant and meant not in table.frame.columns:
            raise DataError(f"{table.path}:1: column {column} is not read; name it {meant}, or remove it")
    cells = {name: table.texts(name) for name in known}
    time_ns, time_ok = table.times("time")
    rows: list[EntryRow] = []
    bad, taken = list(table.bad), dict[str, int]()
    for row, line in enumerate(table.lines.tolist()):
        found = {name: column[row] for name, column in cells.items()}
        found["bracket_id"] = found["bracket_id"] or f"E{row + 1:06d}"
        try:
            entry = _entry(found, len(rows), line, int(time_ns[row]) if time_ok[row] else None, markets, where)
            place(entry.time_ns, entry.side, entry.price, *markets[entry.symbol])
        except (BadCellError, NoPlaceError) as error:
            bad.append(BadRow(line, str(error)))
            continue
        if entry.bracket_id in taken:
            bad.append(BadRow(line, f"bracket_id {entry.bracket_id} is taken by line {taken[entry.bracket_id]}"))
            continue
        taken[entry.bracket_id] = line
        rows.append(entry)
    if bad and not skip_bad:
        raise complaint(table.path, bad)
    return rows, sorted(bad)


def resolve(entry: EntryRow, prices: Bars | Quotes, bars: Bars | None = None) -> Placed:
    """Say in which bar or quote an entry is filled, at what price, and up to which bar its ATR may look.

    `bars` are the mid bars of quotes. Entries of `read_entries` always have a place in the prices they were read for.

    Raises: DataError - the entry lies outside these prices (whoever supplied it corrects it).
    """
    try:
        return place(entry.time_ns, entry.side, entry.price, prices, bars)
    except NoPlaceError as error:
        raise DataError(f"entry {entry.bracket_id} (line {entry.line}): {error}") from None


def _entry(
    cells: dict[str, str], index: int, line: int, time_ns: int | None, known: Container[str], where: str
) -> EntryRow:
    """Make sense of one row's cells; `time_ns` None: its time could not be read."""
    if time_ns is None:
        raise BadCellError(f"time {cells['time']!r} is neither ISO 8601 nor an epoch number")
    if cells["symbol"] not in known:
        raise BadCellError(f"symbol {cells['symbol']!r} is unknown: {where}")
    side = cells["side"].lower()
    if side not in ("buy", "sell"):
        raise BadCellError(f"side {cells['side']!r} is neither buy nor sell" if side else "side is empty")
    quantity = _positive(cells, "quantity")
    if quantity is None:
        raise BadCellError("quantity is empty")
    if not BRACKET_ID.fullmatch(cells["bracket_id"]):
        allowed = "use 1 to 24 letters, digits, '_' or '-'"
        raise BadCellError(f"bracket_id {cells['bracket_id']!r} is not allowed: {allowed}")
    return EntryRow(
        index=index,
        line=line,
        time_ns=time_ns,
        symbol=cells["symbol"],
        side=Side(side),
        quantity=quantity,
        price=_positive(cells, "price"),
        bracket_id=cells["bracket_id"],
        stop_price=_positive(cells, "stop_price"),
        target_price=_positive(cells, "target_price"),
        strategy=cells["strategy"] or None,
    )


def _positive(cells: dict[str, str], name: str) -> Decimal | None:
    """A number above 0; None for an empty cell."""
    cell = cells[name]
    if not cell:
        return None
    if not NUMBER.fullmatch(cell):
        raise BadCellError(f"{name} {cell!r} is not a number")
    number = Decimal(cell)
    if number <= 0:
        raise BadCellError(f"{name} is {cell}; it must be above 0")
    return number


def _by_rule(
    rule: str, prices: Bars | Quotes, mid_bars: Bars | None, atr_period: int, quantity: Decimal
) -> list[EntryRow]:
    bars = prices if isinstance(prices, Bars) else mid_bars
    assert bars is not None
    signals = _every(rule, len(bars), atr_period) if rule.startswith("every") else _ema_cross(rule, bars)
    rows: list[EntryRow] = []
    for bar, side in signals:
        time_ns = int(bars.time_ns[bar])
        if isinstance(prices, Quotes):
            time_ns = int(bars.end_ns[bar])
            if time_ns > prices.time_ns[-1]:
                break  # the quotes end before that bar does
        index = len(rows)
        line = int(bars.lines[bar])
        rows.append(EntryRow(index, line, time_ns, prices.symbol, side, quantity, None, f"E{index + 1:06d}"))
    return rows


def _every(rule: str, count: int, atr_period: int) -> list[tuple[int, Side]]:
    match = re.fullmatch(r"every:(\d+)(?::(buy|sell))?", rule)
    if match is None or not int(match[1]):
        raise ConfigError([f"--entries {rule}: write every:N or every:N:sell, N a whole number from 1 up"])
    step, side = int(match[1]), Side(match[2] or "buy")
    return [(bar, side) for bar in range(-(-atr_period // step) * step, count, step)]


def _ema_cross(rule: str, bars: Bars) -> list[tuple[int, Side]]:
    match = re.fullmatch(r"ema-cross:(\d+),(\d+)", rule)
    if match is None or not 0 < int(match[1]) < int(match[2]):
        raise ConfigError([f"--entries {rule}: write ema-cross:F,S, whole numbers with 0 < F < S"])
    start = int(match[2])
    ahead = ema(bars.mid.close, int(match[1])) - ema(bars.mid.close, start)
    before, now = ahead[start - 1 : -1], ahead[start:]
    sides = np.where((before <= 0) & (now > 0), 1, np.where((before >= 0) & (now < 0), -1, 0))
    return [(start + int(step), Side.BUY if sides[step] > 0 else Side.SELL) for step in np.flatnonzero(sides)]
