"""A replay: prices and entries in, rows and figures out. `outputs` writes them; `folder` reads many symbols."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import grodtd
from grodtd.domain.events import RunStarted
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import plain
from grodtd.domain.policy import NS_PER_S, Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.risk_reward_calculator import BY_VOLATILITY
from grodtd.execution.volatility_reading import condition_policy
from grodtd.replay.columns import Progress
from grodtd.replay.driver import Driver, Entry, Life, begin, replay_together
from grodtd.replay.exits import ExitRow, in_order
from grodtd.replay.feed import Feed
from grodtd.replay.inputs import Batch, Inputs
from grodtd.replay.limits import LimitsGate, Market, RefusedEntry
from grodtd.replay.prices import Bars, Quotes
from grodtd.replay.rows import rows_of
from grodtd.replay.rules import rules_for
from grodtd.replay.splits import detect, touching
from grodtd.replay.summary import Summary, summarize
from grodtd.replay.summary_file import RunFacts, SymbolFacts
from grodtd.replay.volatility import AtrSeries, atr_series
from grodtd.runtime.turn import Sink, Turn
from grodtd.venue.bar_matching import FillModel


@dataclass(frozen=True)
class Replayed:
    """What a replay came to."""

    batch: Batch
    lives_of: Sequence[Sequence[Life]]
    """The brackets of each part."""
    rows: list[ExitRow]
    summary: Summary
    facts: RunFacts
    other_models: Mapping[str, Sequence[ExitRow]] = field(default_factory=dict)
    """Under each fill model that was not asked for, the rows of the brackets whose outcome hangs on it."""
    refused: Sequence[RefusedEntry] = ()
    """Entries the account's limits turned away, in time order."""
    unmade: Sequence[tuple[Entry, str]] = ()
    """Entries the engine would have no bracket for, and why."""

    @property
    def lives(self) -> list[Life]:
        """All brackets, part after part."""
        return [life for lives in self.lives_of for life in lives]


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


def run(inputs: Inputs, sink: Sink | None, progress: Progress | None = None, by: Drive | None = None) -> Replayed:
    """Replay one symbol: see `run_batch`."""
    return run_batch(Batch([inputs]), sink, progress, by)


def run_batch(batch: Batch, sink: Sink | None, progress: Progress | None = None, by: Drive | None = None) -> Replayed:
    """Replay, journalling to `sink` (None: nobody keeps it), and work out rows and figures.

    Brackets whose outcome hangs on the fill model are replayed under the other two as well, for the P&L of all three.
    `by` replays instead of the engine (`drive`), symbol after symbol, and must give the same lives.
    """
    tracks, options = [Track.of(inputs) for inputs in batch.parts], batch.options
    gate = _gate(tracks) if options.limits else None
    unmade: list[tuple[Entry, str]] = []
    if by is not None and gate is None:
        lives_of = [
            by(track.inputs, track.feed, track.reading, track.inputs.entries, options.model, sink, progress)
            for track in tracks
        ]
    else:
        wanted = [track.inputs.entries for track in tracks]
        lives_of = drive_together(tracks, wanted, options.model, sink, progress, gate, unmade)
    if gate is not None:
        said = gate.remarks(sum(len(inputs.entries) for inputs in batch.parts))
        batch = dataclasses.replace(batch, remarks=[*batch.remarks, *said])
    rows = _rows_together(tracks, lives_of)
    batch = dataclasses.replace(batch, remarks=[*batch.remarks, *_residues(rows)])
    summary = summarize(rows)
    others = _other_models(tracks, lives_of, options.model, by or drive)
    refused = () if gate is None else gate.refused
    facts = _facts(batch, tracks, lives_of, rows, _pnl_by_model(rows, summary, others), len(refused))
    return Replayed(batch, lives_of, rows, summary, facts, others, refused, unmade)


def _residues(rows: Sequence[ExitRow]) -> list[str]:
    left = [row for row in rows if row.exit_reason == "residue"]
    if not left:
        return []
    count = "1 bracket was" if len(left) == 1 else f"{len(left):,} brackets were"
    first = f"{left[0].bracket_id}, {plain(left[0].quantity)} {left[0].symbol}"
    why = "too little to sell (lot_size, min_notional of instruments.yaml)"
    return [f"{count} left with {why}, which nothing protects: first {first}"]


class Track(NamedTuple):
    """One symbol of a run, ready to be walked over."""

    inputs: Inputs
    feed: Feed
    reading: Callable[[str, int], VolatilityReading]

    @classmethod
    def of(cls, inputs: Inputs) -> "Track":
        """Prepare what the driver asks for."""
        return cls(inputs, inputs.feed, _readings(inputs))


def _gate(tracks: Sequence[Track]) -> LimitsGate:
    known = tracks[0].inputs.configuration
    markets = [Market(track.feed, track.inputs.instrument, track.inputs.configuration.policies) for track in tracks]
    return LimitsGate(markets, known.risk.limits, known.brokers.paper.cash)


def drive(
    inputs: Inputs,
    feed: Feed,
    reading: Callable[[str, int], VolatilityReading],
    entries: Sequence[Entry],
    model: FillModel,
    sink: Sink | None,
    progress: Progress | None = None,
) -> list[Life]:
    """Replay some entries of one symbol under one fill model through a fresh engine."""
    return drive_together([Track(inputs, feed, reading)], [entries], model, sink, progress)[0]


def drive_together(
    tracks: Sequence[Track],
    entries: Sequence[Sequence[Entry]],
    model: FillModel,
    sink: Sink | None,
    progress: Progress | None = None,
    gate: LimitsGate | None = None,
    unmade: list[tuple[Entry, str]] | None = None,
) -> list[list[Life]]:
    """Replay some entries of each symbol under one fill model through one fresh engine.

    `gate` may turn some away; those the engine refuses are added to `unmade`, with its words.
    """
    first = tracks[0].inputs
    started = RunStarted(
        "replay",
        inputs={
            **{track.inputs.prices.path: track.inputs.prices.sha256 for track in tracks},
            first.options.entries: first.entries_sha256 or "rule",
        },
        options=first.options.as_text(),
        config_fingerprint=first.configuration.fingerprint,
        version=grodtd.__version__,
        ts_received_ns=min(int(track.feed.time_ns[0]) for track in tracks),
    )
    turn = Turn(Engine(), sink)
    instruments = [track.inputs.instrument for track in tracks]
    begin(turn, started, _policies(tracks), instruments, started.ts_received_ns)
    drivers = []
    for inputs, feed, reading in tracks:
        policies, rules = inputs.configuration.policies, None
        if any(policy.has_rules for policy in policies.values()):
            rules = rules_for(inputs.prices, feed, inputs.bars, inputs.instrument, policies, _atr_series(inputs))
        takes = {} if gate is None else {"takes": gate.takes}
        drivers.append(Driver(feed, turn, inputs.instrument, policies, model, None, reading, rules, **takes))
    if gate is not None:
        gate.begin(turn, started.ts_received_ns)
    lives_of = replay_together(drivers, entries, progress)
    if unmade is not None:
        unmade += [refused for driver in drivers for refused in driver.refused]
    return lives_of


def _policies(tracks: Sequence[Track]) -> dict[str, Policy]:
    """Return the policies the engine is told of: of several symbols, each strategy's in each symbol."""
    found = dict(tracks[0].inputs.configuration.policies)
    if len(tracks) > 1:
        for track in tracks:
            own = track.inputs.configuration.policies
            found |= {f"{name}@{track.feed.symbol}": policy for name, policy in own.items()}
    return found


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


def _rows_together(tracks: Sequence[Track], lives_of: Sequence[Sequence[Life]]) -> list[ExitRow]:
    order = {life.entry.bracket_id: life.entry.order for lives in lives_of for life in lives}
    found = zip(tracks, lives_of, strict=True)
    return in_order(
        (row for track, lives in found for life in lives for row in rows_of(life, track.feed, track.inputs.instrument)),
        order,
    )


def _facts(
    batch: Batch,
    tracks: Sequence[Track],
    lives_of: Sequence[Sequence[Life]],
    rows: Sequence[ExitRow],
    pnl_by_model: dict[str, Decimal | None],
    refused: int,
) -> RunFacts:
    options, parts = batch.options, batch.parts
    prices = [inputs.prices for inputs in parts]
    touched = {
        warning: [
            life.entry.bracket_id
            for life in lives
            if touching([warning], life.entry.index, len(feed) if life.exit_index is None else life.exit_index)
        ]
        for (inputs, feed, _), lives in zip(tracks, lives_of, strict=True)
        if isinstance(inputs.prices, Bars)
        for warning in detect(inputs.prices)
    }
    alone = len(parts) == 1
    return RunFacts(
        symbol=", ".join(each.symbol for each in prices),
        fill_model=options.model.value,
        prices_path=prices[0].path if alone else str(options.prices),
        prices_sha256=prices[0].sha256 if alone else _sha256_of_all(prices),
        prices_count=sum(map(len, prices)),
        prices_first_ns=min(int(each.time_ns[0]) for each in prices),
        prices_last_ns=max(int(each.time_ns[-1]) for each in prices),
        entries_source=options.entries,
        entries_sha256=parts[0].entries_sha256,
        entries_count=sum(len(inputs.entries) for inputs in parts) - refused,
        refused_count=refused,
        dropped_prices=sum(inputs.dropped_prices for inputs in parts),
        dropped_entries=batch.dropped_entries + sum(inputs.dropped_entries for inputs in parts),
        crossed_quotes=sum(each.crossed_count for each in prices if isinstance(each, Quotes)),
        options=options.as_text(),
        config_fingerprint=parts[0].configuration.fingerprint,
        pnl_by_fill_model=pnl_by_model,
        split_warnings=list(touched),
        split_brackets=touched,
        remarks=batch.told,
        by_symbol=() if alone else [_of_symbol(inputs, rows) for inputs in parts],
    )


def _sha256_of_all(prices: Sequence[Bars | Quotes]) -> str:
    """Return the digest of what `sha256sum` prints of the files, in order of their symbols."""
    lines = "".join(f"{each.sha256}  {Path(each.path).name}\n" for each in prices)
    return hashlib.sha256(lines.encode()).hexdigest()


def _of_symbol(inputs: Inputs, rows: Sequence[ExitRow]) -> SymbolFacts:
    found = summarize([row for row in rows if row.symbol == inputs.prices.symbol])
    return SymbolFacts(
        symbol=inputs.prices.symbol,
        path=inputs.prices.path,
        sha256=inputs.prices.sha256,
        prices=len(inputs.prices),
        interval_s=inputs.bars.interval_ns // NS_PER_S,
        brackets=found.brackets,
        count=found.count,
        wins=found.wins,
        expectancy_r=found.expectancy_r,
        total_r=found.total_r,
        pnl=found.pnl,
    )


def _other_models(
    tracks: Sequence[Track], lives_of: Sequence[Sequence[Life]], asked: FillModel, by: Drive
) -> dict[str, list[ExitRow]]:
    """Replay again, under each model not asked for, what can differ: brackets an ambiguous bar decided."""
    found: dict[str, list[ExitRow]] = {}
    for model in FillModel:
        if model is asked:
            continue
        again: list[list[Life]] = []
        for (inputs, feed, reading), lives in zip(tracks, lives_of, strict=True):
            doubtful = [life.entry for life in lives if life.ambiguous_at]
            again.append(by(inputs, feed, reading, doubtful, model, None, None) if doubtful else [])
        found[model.value] = _rows_together(tracks, again)
    return found


def _pnl_by_model(
    rows: Sequence[ExitRow], summary: Summary, others: Mapping[str, Sequence[ExitRow]]
) -> dict[str, Decimal | None]:
    """P&L of closed brackets under each model."""
    found: dict[str, Decimal | None] = {}
    for model in FillModel:
        again = others.get(model.value, ())
        names = {row.bracket_id for row in again}
        doubted = [row for row in rows if row.bracket_id in names]
        found[model.value] = summary.pnl - summarize(doubted).pnl + summarize(again).pnl
    return found
