"""The engine's state as one value, and an engine made from it: what lets a restart fold a tail and not a whole journal.

    restore(snapshot(engine))

decides about every later fact as `engine` would: same commands, same notes, same state, byte for byte. What the engine
works out again from what is kept (terms, the order of its deadlines) is left out; a test names every attribute of the
engine and fails when one is neither kept nor worked out.
"""

# This file is the one that may look into the engine: its state is private to everybody else.
# ruff: noqa: SLF001

import heapq
from collections import Counter
from decimal import Decimal
from functools import cache
from zlib import crc32

import msgspec

from grodtd.domain.bracket import Bracket
from grodtd.domain.capabilities import Capabilities
from grodtd.domain.errors import GrodtdError
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.holdings import Doubt
from grodtd.execution.oco_emulator import Touch
from grodtd.execution.risk_state import RiskState
from grodtd.execution.sharing import share_values

EDITION = 1
"""Raise it when a value of the state comes to mean something else; a new shape is noticed without it."""


class SnapshotUnreadable(GrodtdError):
    """Nobody acts: a snapshot this program cannot read. The journal holds everything and is folded instead."""


class WatchedLevel(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A level watched here: the bracket, its side, what a touch means, and the price."""

    symbol: str
    bracket_id: str
    side: Side
    touch: Touch
    px: Decimal


class EngineState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine knows after a fact. Values only, shared with the engine: taking it copies no bracket."""

    brackets: tuple[Bracket, ...]
    """In the order they began."""
    entry_orders: dict[str, str]
    """Bracket by its entry's client order id."""
    policies: dict[str, Policy]
    """What new brackets begin with, by strategy."""
    policies_in_use: dict[str, Policy]
    """What brackets live under, by fingerprint."""
    instruments: dict[str, Instrument]
    capabilities: Capabilities
    paused: str
    active: int
    """Brackets that have not ended."""
    open_on_symbol: dict[str, tuple[str, ...]]
    """Brackets that have not ended, by symbol, the older first."""
    doubts: dict[str, Doubt]
    """Readings of a position that did not agree with what is held, by symbol, and not confirmed yet."""
    halted: dict[str, str]
    """Symbols that take no new entries, and why."""
    pairs: dict[str, tuple[str, ...]]
    """Brackets with a reduce-only pair, by symbol, in the order they would be demoted."""
    wants_bars: dict[str, tuple[str, ...]]
    """Brackets that live by closed bars, by symbol, the older first."""
    sessions: dict[str, tuple[tuple[int, ...], ...]]
    """Ends of sessions, those before a weekend, and beginnings, by symbol, ns."""
    risk: RiskState
    """What the account may lose, has at risk and has lost."""
    forgotten: dict[str, int]
    """When brackets ended that were dropped from memory, by name, ns."""
    unexplained: tuple[str, ...]
    """Executions of those that were told of."""
    watching: tuple[str, ...]
    levels: tuple[WatchedLevel, ...]
    """By symbol, the older first: ties in price go to the older."""
    due: dict[str, int]
    """When each bracket wants to be woken, ns, by its name; one that does not is left out."""


def snapshot(engine: Engine) -> EngineState:
    """Return the engine's state. Cheap (no bracket is copied), so that it can be taken between two facts."""
    return EngineState(
        brackets=tuple(engine._brackets.values()),
        entry_orders=dict(engine._entry_orders),
        policies=dict(sorted(engine._policies.items())),
        policies_in_use=dict(sorted(engine._policies_in_use.items())),
        instruments=dict(engine._instruments),
        capabilities=engine._capabilities,
        paused=engine._paused,
        active=engine._active,
        open_on_symbol=_ids(engine._open_on_symbol),
        doubts=dict(engine._doubts),
        halted=dict(engine._halted),
        pairs=_ids(engine._pairs),
        wants_bars=_ids(engine._wants_bars),
        sessions=dict(engine._sessions),
        risk=engine._risk.copied(),
        forgotten=dict(engine._forgotten),
        unexplained=tuple(engine._unexplained),
        watching=tuple(engine._watching),
        levels=_levels(engine),
        due={bracket_id: due_ns for bracket_id, due_ns in sorted(engine._due.items()) if due_ns is not None},
    )


def restore(state: EngineState) -> Engine:
    """Return an engine that goes on where `state` was taken."""
    engine = Engine()
    engine._brackets = {bracket.bracket_id: bracket for bracket in state.brackets}
    engine._entry_orders = dict(state.entry_orders)
    engine._policies = dict(state.policies)
    engine._policies_in_use = dict(state.policies_in_use)
    engine._instruments = dict(state.instruments)
    engine._capabilities = state.capabilities
    engine._paused = state.paused
    engine._active = state.active
    engine._open_on_symbol = {symbol: dict.fromkeys(ids) for symbol, ids in state.open_on_symbol.items()}
    open_ids = [bracket_id for ids in state.open_on_symbol.values() for bracket_id in ids]
    shorts = (bracket for bracket in map(engine._brackets.__getitem__, open_ids) if bracket.side is Side.SELL)
    engine._open_shorts = dict(Counter(bracket.symbol for bracket in shorts))
    engine._doubts = dict(state.doubts)
    engine._halted = dict(state.halted)
    engine._pairs = {symbol: dict.fromkeys(ids) for symbol, ids in state.pairs.items()}
    engine._wants_bars = {symbol: dict.fromkeys(ids) for symbol, ids in state.wants_bars.items()}
    engine._sessions = dict(state.sessions)
    engine._risk = state.risk.copied()
    engine._forgotten = dict(state.forgotten)
    engine._unexplained = dict.fromkeys(state.unexplained)
    engine._watching = dict.fromkeys(state.watching)
    for level in state.levels:
        engine._book.watch(level.symbol, level.bracket_id, level.side, level.touch, level.px)
    engine._due = dict(state.due)
    engine._deadlines = [(due_ns, bracket_id) for bracket_id, due_ns in state.due.items()]
    heapq.heapify(engine._deadlines)
    return engine


def _ids(by_symbol: dict[str, dict[str, None]]) -> dict[str, tuple[str, ...]]:
    """Bracket ids by symbol; one without any means the same as one never heard of."""
    return {symbol: tuple(ids) for symbol, ids in sorted(by_symbol.items()) if ids}


def _levels(engine: Engine) -> tuple[WatchedLevel, ...]:
    return tuple(WatchedLevel(symbol, *level) for symbol, book in engine._book.symbols() for level in book.levels())


# ---------------------------------------------------------------- as bytes

_ENCODER = msgspec.json.Encoder()  # not "deterministic": sorting ten thousand keys would help nobody


def encode(state: EngineState) -> bytes:
    """Return the state as JSON, the same bytes for the same state on any Python."""
    return _ENCODER.encode(state)


def decode(payload: bytes) -> EngineState:
    """Return the state `encode` wrote. Raises: `SnapshotUnreadable`."""
    try:
        return share_values(_decoder().decode(payload))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotUnreadable(f"the engine's state cannot be decoded ({error})") from None


@cache
def _decoder() -> msgspec.json.Decoder[EngineState]:
    return msgspec.json.Decoder(EngineState)


@cache
def layout() -> int:
    """Return the number of the state's format, from 0 to 2**31 - 1: another shape of any value in it, another number.

    A snapshot of another layout is not read: a default in place of a value nobody kept would be a guess.
    """
    shape = msgspec.json.encode(msgspec.json.schema(EngineState), order="deterministic")
    return crc32(shape, EDITION) & 0x7FFF_FFFF
