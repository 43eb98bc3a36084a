"""The rows of `exits.csv`: one an exit; a scaled-out bracket has several, whose quantities sum to its entry's.

Times are written as ISO 8601 with milliseconds and Z, prices and quantities as plain decimals, derived figures (atr,
ratio, r_multiple, pnl, mae_r, mfe_r) with 6 decimals. Rows come by entry time, entries-file order, exit time.
"""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from pathlib import Path

from grodtd.domain.money import plain
from grodtd.domain.orders import Side
from grodtd.replay.columns import BadCellError, BadRow, complaint, read_table, require
from grodtd.replay.prices import iso_ms

COLUMNS = (
    "bracket_id",
    "symbol",
    "side",
    "quantity",
    "entry_time",
    "entry_price",
    "stop_price",
    "target_price",
    "atr",
    "ratio",
    "exit_time",
    "exit_price",
    "exit_reason",
    "r_multiple",
    "pnl",
    "mae_r",
    "mfe_r",
    "ambiguous",
    "fallback",
)

OPEN = "open"
"""The reason of what is still open when the prices end; its exit columns are empty."""

REASONS = (
    "stop",
    "target",
    "trail",
    "breakeven",
    "lock",
    "time",
    "session",
    "signal",
    "manual",
    "external",
    "residue",
    "overfill",
    OPEN,
)

SIX_DECIMALS = Decimal("0.000001")
WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class ExitRow:
    """One exit, in the columns' order. Prices and money in quote currency, quantities in units, times in ns (UTC)."""

    bracket_id: str
    symbol: str
    side: Side
    """The entry's."""
    quantity: Decimal
    """Of this exit alone."""
    entry_time_ns: int
    """`time` of the bar or quote the entry filled in."""
    entry_price: Decimal
    stop_price: Decimal
    """Initial, as are `target_price`, `atr` and `ratio`."""
    target_price: Decimal | None
    atr: Decimal | None
    """None for a fallback stop."""
    ratio: Decimal | None
    """The policy's; None where the target was given."""
    exit_time_ns: int | None
    """None while open; so is `exit_price`."""
    exit_price: Decimal | None
    exit_reason: str
    """One of `REASONS`."""
    r_multiple: Decimal | None
    """None when there is no risk to measure by: a stop given on the wrong side, or at the entry."""
    pnl: Decimal
    """After fees; marked at the last close of the exit side while open."""
    mae_r: Decimal | None
    mfe_r: Decimal | None
    ambiguous: bool = False
    """Both levels were touched within the exit bar: the fill model decided."""
    fallback: bool = False
    """The stop is the fallback percentage's."""


def six_decimals(value: Decimal) -> Decimal:
    """Round a derived figure to 6 decimals, half to even; never a negative zero.

    >>> six_decimals(Decimal("-0.0000004")), six_decimals(Decimal("1.5"))
    (Decimal('0.000000'), Decimal('1.500000'))
    """
    rounded = value.quantize(SIX_DECIMALS, context=WIDE)
    return rounded or abs(rounded)


def in_order(rows: Iterable[ExitRow], entry_order: Mapping[str, int] | None = None) -> list[ExitRow]:
    """Sort rows by entry time, entries-file order, exit time; what is open comes last of its bracket.

    `entry_order` gives each bracket's place in the entries file; None: the order in which brackets first appear.
    """
    rows = list(rows)
    if entry_order is None:
        entry_order = {name: place for place, name in enumerate(dict.fromkeys(row.bracket_id for row in rows))}
    places = entry_order

    def key(row: ExitRow) -> tuple[int, int, bool, int]:
        return row.entry_time_ns, places[row.bracket_id], row.exit_time_ns is None, row.exit_time_ns or 0

    return sorted(rows, key=key)


def write_exits(path: str | Path, rows: Iterable[ExitRow], entry_order: Mapping[str, int] | None = None) -> None:
    """Write `exits.csv` whole, in order (see `in_order`). Raises OSError when the file cannot be written."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(exit_cells(row) for row in in_order(rows, entry_order))


def exit_cells(row: ExitRow) -> list[str]:
    """Return a row's cells in the order of `COLUMNS`, as they are written."""
    return [
        row.bracket_id,
        row.symbol,
        row.side.value,
        plain(row.quantity),
        iso_ms(row.entry_time_ns),
        plain(row.entry_price),
        plain(row.stop_price),
        _written(plain, row.target_price),
        _written(_derived, row.atr),
        _written(_derived, row.ratio),
        "" if row.exit_time_ns is None else iso_ms(row.exit_time_ns),
        _written(plain, row.exit_price),
        row.exit_reason,
        _written(_derived, row.r_multiple),
        _derived(row.pnl),
        _written(_derived, row.mae_r),
        _written(_derived, row.mfe_r),
        "true" if row.ambiguous else "false",
        "true" if row.fallback else "false",
    ]


def _derived(value: Decimal) -> str:
    return format(six_decimals(value), "f")


def _written(form: Callable[[Decimal], str], value: Decimal | None) -> str:
    return "" if value is None else form(value)


def read_exits(path: str | Path) -> list[ExitRow]:
    """Read an `exits.csv` back, rows in the file's order.

    Raises: DataError - the file is not one of ours; the message lists `file:line: what`.
    """
    table = read_table(path)
    require(table, COLUMNS, ",".join(COLUMNS))
    entry_ns, entry_ok = table.times("entry_time")
    exit_ns, exit_ok = table.times("exit_time")
    texts = {name: table.texts(name) for name in COLUMNS}
    rows, bad = [], list(table.bad)
    for at, line in enumerate(table.lines.tolist()):
        cells = {name: column[at] for name, column in texts.items()}
        try:
            rows.append(
                _row(cells, int(entry_ns[at]) if entry_ok[at] else None, int(exit_ns[at]) if exit_ok[at] else None)
            )
        except BadCellError as error:
            bad.append(BadRow(line, str(error)))
    if bad:
        raise complaint(table.path, bad, can_skip=False)
    return rows


def _row(cells: dict[str, str], entry_ns: int | None, exit_ns: int | None) -> ExitRow:
    """Make sense of one row; a time that is None could not be read (or is absent)."""
    if entry_ns is None or (cells["exit_time"] and exit_ns is None):
        name = "entry_time" if entry_ns is None else "exit_time"
        raise BadCellError(f"{name} {cells[name]!r} is not ISO 8601")
    return ExitRow(
        bracket_id=cells["bracket_id"],
        symbol=cells["symbol"],
        side=Side(_one_of(cells, "side", ("buy", "sell"))),
        quantity=_needed(cells, "quantity"),
        entry_time_ns=entry_ns,
        entry_price=_needed(cells, "entry_price"),
        stop_price=_needed(cells, "stop_price"),
        target_price=_number(cells, "target_price"),
        atr=_number(cells, "atr"),
        ratio=_number(cells, "ratio"),
        exit_time_ns=exit_ns,
        exit_price=_number(cells, "exit_price"),
        exit_reason=_one_of(cells, "exit_reason", REASONS),
        r_multiple=_number(cells, "r_multiple"),
        pnl=_needed(cells, "pnl"),
        mae_r=_number(cells, "mae_r"),
        mfe_r=_number(cells, "mfe_r"),
        ambiguous=_one_of(cells, "ambiguous", ("true", "false")) == "true",
        fallback=_one_of(cells, "fallback", ("true", "false")) == "true",
    )


def _one_of(cells: dict[str, str], name: str, allowed: tuple[str, ...]) -> str:
    if cells[name] not in allowed:
        raise BadCellError(f"{name} {cells[name]!r} is none of {', '.join(allowed)}")
    return cells[name]


def _number(cells: dict[str, str], name: str) -> Decimal | None:
    if not cells[name]:
        return None
    try:
        return Decimal(cells[name])
    except InvalidOperation:
        raise BadCellError(f"{name} {cells[name]!r} is not a number") from None


def _needed(cells: dict[str, str], name: str) -> Decimal:
    number = _number(cells, name)
    if number is None:
        raise BadCellError(f"{name} is empty")
    return number
