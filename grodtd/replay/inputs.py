"""What a replay works on: prices, entries and configuration, read, checked and put together."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from grodtd.config.instruments import finest_step, instrument_for
from grodtd.config.loading import Configuration
from grodtd.domain.errors import DataError
from grodtd.domain.instrument import Instrument
from grodtd.domain.money import ONE
from grodtd.domain.policy import Policy, policies_for
from grodtd.replay.columns import BadRow, Progress, complaint
from grodtd.replay.driver import Entry
from grodtd.replay.entries import EntryRow, is_rule, read_entries, resolve
from grodtd.replay.feed import Feed
from grodtd.replay.prices import Bars, Quotes
from grodtd.replay.reading import ReadResult, read_prices
from grodtd.replay.splits import adjust, adjustments, read_splits
from grodtd.replay.volatility import MINUTE_NS, bars_from_quotes
from grodtd.venue.bar_matching import FillModel


@dataclass(frozen=True)
class ReplayOptions:
    """What `grodtd replay` was asked for."""

    prices: Path
    entries: str
    """A file, or a rule such as every:50."""
    symbol: str | None = None
    model: FillModel = FillModel.PESSIMISTIC
    skip_bad: bool = False
    splits: Path | None = None
    bar_interval_ns: int = MINUTE_NS
    quantity: Decimal = ONE
    limits: bool = False
    """Hold entries to the account's limits."""

    def as_text(self) -> dict[str, str]:
        """The options as the journal keeps them."""
        return {
            "entries": self.entries,
            "symbol": self.symbol or "",
            "fill_model": self.model.value,
            "skip_bad": str(self.skip_bad).lower(),
            "splits": str(self.splits or ""),
            "bar_interval_ns": str(self.bar_interval_ns),
            "quantity": str(self.quantity),
            "limits": str(self.limits).lower(),
        }


@dataclass
class Inputs:
    """Everything a replay works on, read and checked."""

    options: ReplayOptions
    configuration: Configuration
    prices: Bars | Quotes
    bars: Bars
    """The file's bars, or the mid bars made of its quotes."""
    instrument: Instrument
    entries: list[Entry]
    entries_sha256: str | None
    remarks: list[str] = field(default_factory=list)
    dropped_prices: int = 0
    dropped_entries: int = 0

    @property
    def as_read(self) -> ReadResult:
        """The prices as they were used, for another run over the same ones."""
        return ReadResult(self.prices, [], self.remarks)

    @property
    def feed(self) -> Feed:
        """What the driver walks over."""
        if isinstance(self.prices, Bars):
            return Feed.of_bars(self.prices)
        return Feed.of_quotes(self.prices)


@dataclass(frozen=True)
class Batch:
    """What one run replays: a symbol, or several that share one engine and, with limits, one account."""

    parts: Sequence[Inputs]
    """A symbol each, in order of their names."""
    remarks: Sequence[str] = ()
    """Of the batch as a whole; each part has its own."""
    dropped_entries: int = 0
    """Bad rows of the entries file that are counted with no part."""

    @property
    def options(self) -> ReplayOptions:
        """What was asked for; the same for every part."""
        return self.parts[0].options

    @property
    def told(self) -> list[str]:
        """What the user should know; of several symbols, of which."""
        if len(self.parts) == 1:
            return [*self.remarks, *self.parts[0].remarks]
        return [*self.remarks, *(f"{part.prices.symbol}: {said}" for part in self.parts for said in part.remarks)]


def prepare(
    options: ReplayOptions,
    configuration: Configuration,
    read: ReadResult | None = None,
    progress: Progress | None = None,
) -> Inputs:
    """Read prices and entries. Raises DataError or ConfigError with file and line; nothing is written then.

    `read` hands in prices that are at hand already.
    """
    tape = tape_of(options, options.prices, read, progress)
    own = configuration_for(configuration, tape.prices.symbol)
    rows, bad = read_entries(
        options.entries,
        tape.prices,
        atr_period=own.policies["default"].atr.period,
        quantity=options.quantity,
        skip_bad=options.skip_bad,
        bars=tape.bars,
    )
    rows, dropped = checked_strategies(rows, bad, options, own)
    inputs = inputs_of(options, own, tape, rows)
    if dropped:
        inputs.remarks.append(f"{dropped} bad entry rows were dropped (--skip-bad)")
        inputs.dropped_entries = dropped
    inputs.remarks += without_entries(options, rows)
    return inputs


def without_entries(options: ReplayOptions, rows: Sequence[EntryRow]) -> list[str]:
    """Say that there is nothing to replay, if there is not: figures of no trade look like figures of bad ones."""
    if rows:
        return []
    why = "the rule makes none on these prices" if is_rule(options.entries) else "the file holds none"
    return [f"no entries ({options.entries}): {why}"]


class Tape(NamedTuple):
    """One symbol's prices, read and adjusted."""

    prices: Bars | Quotes
    bars: Bars
    """The file's bars, or the mid bars made of its quotes."""
    remarks: list[str]
    dropped: int


def tape_of(
    options: ReplayOptions, path: Path, read: ReadResult | None = None, progress: Progress | None = None
) -> Tape:
    """Read one file of prices, and adjust them as asked. Raises: DataError."""
    found = read or read_prices(path, options.symbol, skip_bad=options.skip_bad, progress=progress)
    prices, remarks = found.prices, list(found.remarks)
    if options.splits is not None:
        if isinstance(prices, Quotes):
            raise DataError(f"--splits {options.splits}: quotes are not adjusted; give bars")
        splits = read_splits(options.splits, prices.symbol)
        remarks += adjustments(prices, splits)
        prices = adjust(prices, splits)
    bars = prices if isinstance(prices, Bars) else bars_from_quotes(prices, options.bar_interval_ns)
    return Tape(prices, bars, remarks, len(found.dropped))


def configuration_for(configuration: Configuration, symbol: str) -> Configuration:
    """Return the configuration with every strategy's policy as it is in one symbol."""
    return replace(configuration, policies=policies_for(configuration.policies, symbol))


def inputs_of(options: ReplayOptions, own: Configuration, tape: Tape, rows: Sequence[EntryRow]) -> Inputs:
    """Put together what a replay of one symbol works on; `own` is its configuration. Raises: ConfigError."""
    prices, bars = tape.prices, tape.bars
    instrument, remark = instrument_for(
        prices.symbol,
        own,
        data_tick=prices.tick if isinstance(prices, Bars) else prices.unit,
        quantity_step=finest_step(row.quantity for row in rows) if rows else ONE,
    )
    entries = [_entry(row, prices, bars) for row in rows]
    return Inputs(
        options=options,
        configuration=own,
        prices=prices,
        bars=bars,
        instrument=instrument,
        entries=entries,
        entries_sha256=None if is_rule(options.entries) else _sha256(Path(options.entries)),
        remarks=[*tape.remarks, *([remark] if remark else []), *_wrong_sides(entries)],
        dropped_prices=tape.dropped,
    )


def checked_strategies(
    rows: Sequence[EntryRow], bad: Sequence[BadRow], options: ReplayOptions, known: Configuration
) -> tuple[list[EntryRow], int]:
    """Return the rows whose strategy is configured, and how many of all were bad. Raises: DataError."""
    good, unknown = _known_strategies(rows, known.policies)
    if unknown and not options.skip_bad:
        raise complaint(options.entries, unknown)
    return good, len(bad) + len(unknown)


def _known_strategies(rows: Sequence[EntryRow], policies: Mapping[str, Policy]) -> tuple[list[EntryRow], list[BadRow]]:
    good, bad = [], []
    for row in rows:
        if row.strategy is None or row.strategy in policies:
            good.append(row)
        else:
            known = ", ".join(sorted(name for name in policies if "@" not in name))
            bad.append(BadRow(row.line, f"strategy {row.strategy!r} is not configured; known: {known}"))
    return good, bad


def _entry(row: EntryRow, prices: Bars | Quotes, bars: Bars) -> Entry:
    placed = resolve(row, prices, bars)
    return Entry(
        order=row.index,
        bracket_id=row.bracket_id,
        index=placed.index,
        reading_index=placed.atr_bar,
        side=row.side,
        quantity=row.quantity,
        px=placed.fill_px,
        stop_px=row.stop_price,
        target_px=row.target_price,
        strategy=row.strategy or "default",
        line=row.line,
    )


def _wrong_sides(entries: Sequence[Entry]) -> list[str]:
    """Say which entries give levels that take them out at once: more often swapped columns than meant."""

    def told(what: str, levels: Sequence[Decimal | None], sign: int, then: str) -> list[str]:
        wrong = [
            entry.bracket_id
            for entry, px in zip(entries, levels, strict=True)
            if px is not None and (px - entry.px) * entry.side.sign * sign <= 0
        ]
        names = f"{', '.join(wrong[:5])}{' ...' if len(wrong) > 5 else ''}"
        who = "1 entry gives" if len(wrong) == 1 else f"{len(wrong)} entries give"
        return [f"{who} a {what} side of the entry's price ({names}): {then}"] if wrong else []

    return [
        *told(
            "stop that is not on the losing",
            [entry.stop_px for entry in entries],
            -1,
            "out at the next price, and in no figure in R",
        ),
        *told(
            "target that is not on the winning",
            [entry.target_px for entry in entries],
            1,
            "out at the next price, as its target",
        ),
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
