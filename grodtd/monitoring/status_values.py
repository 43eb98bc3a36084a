"""The nouns of a status: a `Situation` goes in, a `Status` comes out. Quantities are units, ages seconds."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from grodtd.domain.bracket import Bracket
from grodtd.domain.market import Quote
from grodtd.execution.terms import Terms
from grodtd.runtime.bars import Warmth
from grodtd.runtime.feed import FeedState
from grodtd.runtime.silence import Trouble


class Order(msgspec.Struct, frozen=True):
    """One order of a bracket. `age_s` is the time since anything was last asked about it."""

    client_order_id: str
    leg: str
    state: str
    side: str
    order_type: str
    quantity: Decimal
    filled_qty: Decimal
    leaves_qty: Decimal
    stop_px: Decimal | None
    limit_px: Decimal | None
    age_s: float
    reason: str = ""


class BracketStatus(msgspec.Struct, frozen=True):
    """One bracket. `level` is ok, warning or alarm; `verdict` says in a sentence why."""

    bracket_id: str
    symbol: str
    side: str
    strategy: str
    phase: str
    level: str
    verdict: str
    open_qty: Decimal
    protected_qty: Decimal
    unknown_qty: Decimal
    exposed_qty: Decimal
    residue_qty: Decimal
    """Part of `open_qty` too small to sell."""
    seconds_naked: float
    """How long the present naked window has lasted; 0 when there is none."""
    naked_total_s: float
    entry_px: Decimal | None
    stop_px: Decimal | None
    target_px: Decimal | None
    last_px: Decimal | None
    """The price it would get out at: the last quote's, else the last one a fact about it carried."""
    r_now: Decimal | None
    """Profit at `last_px` in units of the initial risk."""
    plan: str
    plan_reason: str
    fallback: bool
    """The stop's distance is the fallback percentage: there was no ATR."""
    atr_px: Decimal | None
    ratio: Decimal | None
    policy: str
    frozen_reason: str
    exit_reason: str
    opened_ns: int
    closed_ns: int | None
    orders: tuple[Order, ...] = ()


class Unresolved(msgspec.Struct, frozen=True):
    """A request the venue has not answered for good."""

    bracket_id: str
    client_order_id: str
    state: str
    age_s: float


class SymbolStatus(msgspec.Struct, frozen=True):
    """One symbol: its brackets' quantities added up, its last quote, and whether a new bracket would have an ATR."""

    symbol: str
    brackets: int
    open_qty: Decimal
    protected_qty: Decimal
    unknown_qty: Decimal
    exposed_qty: Decimal
    bid: Decimal | None
    ask: Decimal | None
    quote_age_s: float | None
    warmth: tuple[Warmth, ...] = ()


class Totals(msgspec.Struct, frozen=True):
    """Over all brackets. Units of different symbols do not add up to anything but zero or not zero."""

    open_brackets: int
    exposed_brackets: int
    unknown_brackets: int
    open_qty: Decimal
    protected_qty: Decimal
    unknown_qty: Decimal
    exposed_qty: Decimal


class Alarm(msgspec.Struct, frozen=True):
    """A warning or an alarm of the recent past, in words."""

    ts_ns: int
    bracket_id: str
    severity: str
    words: str


class Daemon(msgspec.Struct, frozen=True):
    """The process itself."""

    version: str
    mode: str
    """paper or live"""
    account: str
    pid: int
    uptime_s: float
    config_fingerprint: str
    journal: str
    last_seq: int
    lease_epoch: int
    lease_s: float
    """How long the lease holds unless it is renewed."""


class Situation(msgspec.Struct, frozen=True):
    """Everything a status is made from."""

    now_ns: int
    daemon: Daemon
    brackets: Sequence[Bracket]
    terms_of: Callable[[Bracket], Terms]
    quotes: Mapping[str, Quote]
    warmths: Sequence[Warmth] = ()
    compared: bool = True
    """Whether the venue was compared with, completely, since the start."""
    compare_error: str = ""
    link_up: bool = True
    entries_paused: str = ""
    stopping: bool = False
    journal_error: str = ""
    last_quote_ns: int = 0
    last_report_ns: int = 0
    orphans: Sequence[str] = ()
    alarms: Sequence[Alarm] = ()
    faults: Sequence[str] = ()
    """Errors of our own since the start, latest last."""
    unprotected_fills: Sequence[str] = ()
    """Fills by other hands that a rule says to protect, and that could not be protected so far."""
    feed: FeedState | None = None
    troubles: Sequence[Trouble] = ()
    """What lasts: streams that are silent, a clock that is off, a snapshot that failed."""
    snapshot_error: str = ""
    clock_off_s: float | None = None


class Status(msgspec.Struct, frozen=True):
    """The answer, the most important first."""

    level: str
    verdict: str
    totals: Totals
    seconds_naked: float
    """The longest naked window that is open now."""
    last_quote_age_s: float | None
    last_report_age_s: float | None
    unresolved: tuple[Unresolved, ...]
    problems: tuple[str, ...]
    """Whatever else is not as it should be, each a sentence."""
    brackets: tuple[BracketStatus, ...]
    symbols: tuple[SymbolStatus, ...]
    entries_paused: str
    link_up: bool
    compared: bool
    orphans: tuple[str, ...]
    alarms: tuple[Alarm, ...]
    feed: FeedState | None
    silent: tuple[str, ...]
    """Streams that should speak and do not: orders, prices, or prices of one symbol (`prices:X`)."""
    snapshot_error: str
    """Why the last snapshot could not be kept; empty when it was, or none was due."""
    clock_off_s: float | None
    """The venue's clock less the computer's, seconds; None: the venue tells none, or it was not measured yet."""
    daemon: Daemon
