"""A replay from files to files: prices and entries in, `exits.csv`, `summary.json`, `report.html` and a journal out."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
from msgspec.structs import replace

import grodtd
from grodtd.config.instruments import finest_step, instrument_for
from grodtd.config.loading import Configuration
from grodtd.domain.errors import DataError
from grodtd.domain.events import RunStarted
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ONE
from grodtd.domain.policy import Policy, policies_for
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.risk_reward_calculator import BY_VOLATILITY
from grodtd.execution.volatility_reading import condition_policy
from grodtd.replay.columns import BadRow, Progress, complaint
from grodtd.replay.driver import Driver, Entry, Life
from grodtd.replay.entries import EntryRow, is_rule, read_entries, resolve
from grodtd.replay.exact import decimals
from grodtd.replay.exits import ExitRow, in_order, write_exits
from grodtd.replay.feed import Feed
from grodtd.replay.limits import LimitsGate, RefusedEntry, write_refused
from grodtd.replay.prices import Bars, Quotes
from grodtd.replay.reading import ReadResult, read_prices
from grodtd.replay.report import ReportInput, write_report
from grodtd.replay.rows import rows_of
from grodtd.replay.rules import rules_for
from grodtd.replay.splits import adjust, adjustments, detect, read_splits, touching
from grodtd.replay.summary import Summary, summarize
from grodtd.replay.summary_file import RunFacts, summary_json, write_summary
from grodtd.replay.volatility import MINUTE_NS, AtrSeries, atr_series, bars_from_quotes
from grodtd.runtime.turn import Sink, Turn
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
class Replayed:
    """What a replay came to."""

    inputs: Inputs
    lives: list[Life]
    rows: list[ExitRow]
    summary: Summary
    facts: RunFacts
    other_models: Mapping[str, Sequence[ExitRow]] = field(default_factory=dict)
    """Under each fill model that was not asked for, the rows of the brackets whose outcome hangs on it."""
    refused: Sequence[RefusedEntry] = ()
    """Entries the account's limits turned away, in time order."""


Drive = Callable[
    [
        Inputs,
        Feed,
        Callable[[str, int], VolatilityReading],
        Sequence[Entry],
        FillModel,
        Sink | None,
        Progress | None,
    ],
    list[Life],
]
"""Replays some entries under one fill model, as `drive` does."""


def prepare(
    options: ReplayOptions,
    configuration: Configuration,
    read: ReadResult | None = None,
    progress: Progress | None = None,
) -> Inputs:
    """Read prices and entries. Raises DataError or ConfigError with file and line; nothing is written then.

    `read` hands in prices that are at hand already.
    """
    found = read or read_prices(options.prices, options.symbol, skip_bad=options.skip_bad, progress=progress)
    prices, remarks = found.prices, list(found.remarks)
    if options.splits is not None:
        if isinstance(prices, Quotes):
            raise DataError(f"--splits {options.splits}: quotes are not adjusted; give bars")
        splits = read_splits(options.splits, prices.symbol)
        remarks += adjustments(prices, splits)
        prices = adjust(prices, splits)
    bars = prices if isinstance(prices, Bars) else bars_from_quotes(prices, options.bar_interval_ns)
    configuration = replace(configuration, policies=policies_for(configuration.policies, prices.symbol))
    period = configuration.policies["default"].atr.period
    rows, bad = read_entries(
        options.entries,
        prices,
        atr_period=period,
        quantity=options.quantity,
        skip_bad=options.skip_bad,
        bars=bars,
    )
    rows, unknown = _known_strategies(rows, configuration.policies)
    if unknown and not options.skip_bad:
        raise complaint(options.entries, unknown)
    instrument, remark = instrument_for(
        prices.symbol,
        configuration,
        data_tick=prices.tick if isinstance(prices, Bars) else prices.unit,
        quantity_step=finest_step(row.quantity for row in rows) if rows else ONE,
    )
    if remark:
        remarks.append(remark)
    if bad or unknown:
        remarks.append(f"{len(bad) + len(unknown)} bad entry rows were dropped (--skip-bad)")
    return Inputs(
        options=options,
        configuration=configuration,
        prices=prices,
        bars=bars,
        instrument=instrument,
        entries=[_entry(row, prices, bars) for row in rows],
        entries_sha256=None if is_rule(options.entries) else _sha256(Path(options.entries)),
        remarks=remarks,
        dropped_prices=len(found.dropped),
        dropped_entries=len(bad) + len(unknown),
    )


def _known_strategies(rows: Sequence[EntryRow], policies: Mapping[str, Policy]) -> tuple[list[EntryRow], list[BadRow]]:
    good, bad = [], []
    for row in rows:
        if row.strategy is None or row.strategy in policies:
            good.append(row)
        else:
            known = ", ".join(sorted(policies))
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
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(inputs: Inputs, sink: Sink | None, progress: Progress | None = None, by: Drive | None = None) -> Replayed:
    """Replay, journalling to `sink` (None: nobody keeps it), and work out rows and figures.

    Brackets whose outcome hangs on the fill model are replayed under the other two as well, for the P&L of all three.
    `by` replays instead of the engine (`drive`) and must give the same lives.
    """
    feed = inputs.feed
    reading = _readings(inputs)
    by = by or drive
    gate = _gate(inputs, feed) if inputs.options.limits else None
    if gate is None:
        lives = by(inputs, feed, reading, inputs.entries, inputs.options.model, sink, progress)
    else:
        lives = drive(inputs, feed, reading, inputs.entries, inputs.options.model, sink, progress, gate)
        inputs = dataclasses.replace(inputs, remarks=[*inputs.remarks, *gate.remarks(len(inputs.entries))])
    rows = _rows(lives, feed, inputs.instrument)
    summary = summarize(rows)
    others = _other_models(inputs, feed, reading, lives, by)
    facts = _facts(inputs, feed, lives, summary, _pnl_by_model(inputs, rows, summary, others))
    return Replayed(inputs, lives, rows, summary, facts, others, () if gate is None else gate.refused)


def _gate(inputs: Inputs, feed: Feed) -> LimitsGate:
    known = inputs.configuration
    return LimitsGate(feed, inputs.instrument, known.policies, known.risk.limits, known.brokers.paper.cash)


def drive(
    inputs: Inputs,
    feed: Feed,
    reading: Callable[[str, int], VolatilityReading],
    entries: Sequence[Entry],
    model: FillModel,
    sink: Sink | None,
    progress: Progress | None = None,
    gate: LimitsGate | None = None,
) -> list[Life]:
    """Replay some entries under one fill model through a fresh engine; `gate` may turn some away."""
    started = RunStarted(
        "replay",
        inputs={inputs.prices.path: inputs.prices.sha256, inputs.options.entries: inputs.entries_sha256 or "rule"},
        options=inputs.options.as_text(),
        config_fingerprint=inputs.configuration.fingerprint,
        version=grodtd.__version__,
        ts_received_ns=int(feed.time_ns[0]),
    )
    turn = Turn(Engine(), sink)
    policies = inputs.configuration.policies
    rules = None
    if any(policy.has_rules for policy in policies.values()):
        rules = rules_for(inputs.prices, feed, inputs.bars, inputs.instrument, policies, _atr_series(inputs))
    if gate is None:
        return Driver(feed, turn, inputs.instrument, policies, model, started, reading, rules).run(entries, progress)
    driver = Driver(feed, turn, inputs.instrument, policies, model, started, reading, rules, gate.takes)
    gate.begin(turn, started.ts_received_ns)
    return driver.run(entries, progress)


def _readings(inputs: Inputs) -> Callable[[str, int], VolatilityReading]:
    by_strategy = _atr_series(inputs)
    return lambda strategy, index: by_strategy[strategy].reading(index)


def _atr_series(inputs: Inputs) -> dict[str, AtrSeries]:
    """One ATR series for each distinct ATR policy among the strategies."""
    series: dict[object, AtrSeries] = {}
    by_strategy: dict[str, AtrSeries] = {}
    for name, policy in inputs.configuration.policies.items():
        lookback = policy.risk_reward.volatility_lookback if policy.risk_reward.strategy in BY_VOLATILITY else 0
        by = condition_policy(policy)
        key = (policy.atr, lookback, by)
        if key not in series:
            series[key] = atr_series(inputs.bars, policy.atr, lookback, by)
        by_strategy[name] = series[key]
    return by_strategy


def _rows(lives: Sequence[Life], feed: Feed, instrument: Instrument) -> list[ExitRow]:
    order = {life.entry.bracket_id: life.entry.order for life in lives}
    return in_order((row for life in lives for row in rows_of(life, feed, instrument)), order)


def _facts(
    inputs: Inputs,
    feed: Feed,
    lives: Sequence[Life],
    summary: Summary,
    pnl_by_model: dict[str, Decimal | None],
) -> RunFacts:
    options, prices = inputs.options, inputs.prices
    warnings = detect(prices) if isinstance(prices, Bars) else []
    return RunFacts(
        symbol=prices.symbol,
        fill_model=options.model.value,
        prices_path=prices.path,
        prices_sha256=prices.sha256,
        prices_count=len(prices),
        prices_first_ns=int(prices.time_ns[0]),
        prices_last_ns=int(prices.time_ns[-1]),
        entries_source=options.entries,
        entries_sha256=inputs.entries_sha256,
        entries_count=len(inputs.entries),
        dropped_prices=inputs.dropped_prices,
        dropped_entries=inputs.dropped_entries,
        crossed_quotes=prices.crossed_count if isinstance(prices, Quotes) else 0,
        options=options.as_text(),
        config_fingerprint=inputs.configuration.fingerprint,
        pnl_by_fill_model=pnl_by_model,
        split_warnings=warnings,
        split_brackets={
            warning.bar_index: [
                life.entry.bracket_id
                for life in lives
                if touching([warning], life.entry.index, len(feed) if life.exit_index is None else life.exit_index)
            ]
            for warning in warnings
        },
        remarks=inputs.remarks,
    )


def _other_models(
    inputs: Inputs,
    feed: Feed,
    reading: Callable[[str, int], VolatilityReading],
    lives: Sequence[Life],
    by: Drive,
) -> dict[str, list[ExitRow]]:
    """Replay again, under each model not asked for, what can differ: brackets an ambiguous bar decided."""
    doubtful = [life.entry for life in lives if life.ambiguous_at]
    others = [model for model in FillModel if model is not inputs.options.model]
    if not doubtful:
        return {model.value: [] for model in others}
    return {
        model.value: _rows(by(inputs, feed, reading, doubtful, model, None, None), feed, inputs.instrument)
        for model in others
    }


def _pnl_by_model(
    inputs: Inputs, rows: Sequence[ExitRow], summary: Summary, others: Mapping[str, Sequence[ExitRow]]
) -> dict[str, Decimal | None]:
    """P&L of closed brackets under each model."""
    found: dict[str, Decimal | None] = {}
    for model in FillModel:
        again = others.get(model.value, ())
        names = {row.bracket_id for row in again}
        doubted = [row for row in rows if row.bracket_id in names]
        found[model.value] = summary.pnl - summarize(doubted).pnl + summarize(again).pnl
    return found


def write(out: Path, replayed: Replayed) -> None:
    """Write `exits.csv`, `summary.json`, `report.html`, and with limits `refused.csv`, into a folder that exists."""
    order = {life.entry.bracket_id: life.entry.order for life in replayed.lives}
    write_exits(out / "exits.csv", replayed.rows, order)
    (out / "refused.csv").unlink(missing_ok=True)
    if replayed.inputs.options.limits:
        write_refused(out / "refused.csv", replayed.refused, replayed.inputs.feed)
    write_summary(out / "summary.json", replayed.summary, replayed.facts)
    write_report(out / "report.html", report_input(replayed))


def report_input(replayed: Replayed) -> ReportInput:
    """Put together what the page shows."""
    inputs = replayed.inputs
    bars, mid, unit = inputs.bars, inputs.bars.mid, np.float64(float(inputs.bars.mid_unit))
    time_ns = inputs.feed.time_ns
    return ReportInput(
        title=f"{inputs.prices.symbol}: {len(inputs.entries)} entries, {inputs.options.model.value} fills",
        symbol=inputs.prices.symbol,
        time_ns=bars.time_ns,
        open=np.multiply(mid.open, unit, dtype=np.float64),
        high=np.multiply(mid.high, unit, dtype=np.float64),
        low=np.multiply(mid.low, unit, dtype=np.float64),
        close=np.multiply(mid.close, unit, dtype=np.float64),
        interval_ns=bars.interval_ns,
        rows=replayed.rows,
        summary=summary_json(replayed.summary, replayed.facts),
        remarks=[*inputs.remarks, *(warning.text for warning in replayed.facts.split_warnings)],
        precision=decimals(inputs.instrument.tick_size),
        stop_history={
            life.entry.bracket_id: [(int(time_ns[index]), px) for index, px in life.stop_history]
            for life in replayed.lives
            if life.stop_history
        },
    )
