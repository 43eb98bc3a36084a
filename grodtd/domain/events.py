"""Facts the engine takes in, one type each. Times: `ts_event_ns` the venue's clock, `ts_received_ns` ours.

`OrderReport` and `ExecutionReport` (orders.py), `Quote` and `Bar` (market.py) are facts too; `Event` is them all.
"""

from decimal import Decimal

import msgspec

from grodtd.domain.capabilities import Capabilities
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.money import ZERO
from grodtd.domain.orders import ExecutionReport, OrderReport, Side
from grodtd.domain.policy import Policy
from grodtd.domain.risk import EntryTerms, RiskLimits


class PoliciesLoaded(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The configuration in force from now on: one policy a strategy, `default` always among them.

    A strategy's policy for one symbol is named `strategy@symbol`; brackets in that symbol get it.
    """

    policies: dict[str, Policy]
    ts_received_ns: int = 0


class RiskLimitsLoaded(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The account's limits on entries from now on. Before the first of these no entry is sent."""

    limits: RiskLimits
    ts_received_ns: int = 0


class RunStarted(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A run began: what it is and what it was given, so that its journal can be repeated.

    For a replay `inputs` holds each file's path and SHA-256; `options` the command's, as text.
    """

    kind: str
    """replay | paper | live | simulation"""
    inputs: dict[str, str] = {}
    options: dict[str, str] = {}
    config_fingerprint: str = ""
    version: str = ""
    ts_received_ns: int = 0


class InstrumentsLoaded(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Trading rules of symbols, new or refreshed."""

    instruments: tuple[Instrument, ...]
    ts_received_ns: int = 0


class CapabilitiesLearned(msgspec.Struct, frozen=True, tag=True, gc=False):
    """What the connected venue can do."""

    capabilities: Capabilities
    ts_received_ns: int = 0


class BracketRequested(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Somebody wants a position looked after: one that exists (`filled_qty` > 0), an entry order's to come, or one
    whose entry is to be sent as well (`entry`).

    Levels are computed from `reading` and the policy unless given. `quantity` is the whole entry's, units.
    """

    bracket_id: str
    symbol: str
    side: Side
    quantity: Decimal
    entry_client_order_id: str = ""
    """The entry order at the venue; empty when the fill itself is handed in."""
    filled_qty: Decimal = ZERO
    filled_px: Decimal | None = None
    fee: Decimal = ZERO
    fee_asset: FeeAsset = FeeAsset.QUOTE
    strategy: str = "default"
    stop_px: Decimal | None = None
    target_px: Decimal | None = None
    reading: VolatilityReading = VolatilityReading()
    account_qty: Decimal | None = None
    """The account's signed position in the symbol, when known: it decides whether a reduce-only pair is safe."""
    last_px: Decimal | None = None
    """Last price on the exit side, when known: a stop already through it is a stop that was hit."""
    policy: Policy | None = None
    """A policy of its own; None: its strategy's."""
    entry: EntryTerms | None = None
    """The entry is ours to send. `quantity` 0: as much as its risk allows."""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class EntryRefused(msgspec.Struct, frozen=True, tag=True, gc=False):
    """An entry was asked for and not sent. Nothing follows from it: it is kept so that it can be told why."""

    bracket_id: str
    symbol: str
    side: Side
    code: str
    reason: str
    quantity: Decimal = ZERO
    """Units; 0: it was to be sized."""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class RequestRefused(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The venue refused a request of ours, definitively: nothing happened. `code` is our stable word for why."""

    client_order_id: str
    verb: str
    """submit | cancel | replace"""
    code: str
    reason: str = ""
    replacement_id: str = ""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class RequestUnknown(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A request had no answer: it may have happened, or may happen late."""

    client_order_id: str
    verb: str
    reason: str = ""
    replacement_id: str = ""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class RequestNotSent(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A request provably never left this process."""

    client_order_id: str
    verb: str
    reason: str = ""
    replacement_id: str = ""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class OrderNotFound(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The venue answered a query that it knows no such order, and no fill of it either.

    Not proof by itself: the question was put at `asked_ns`, and the answer may be `read_lag_s` old.
    """

    client_order_id: str
    asked_ns: int
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class BracketReconciled(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Every order of a bracket was asked for at the venue, and the answers were handed in before this."""

    bracket_id: str
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class PositionReported(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The account's signed position in one symbol; not all of it need be ours.

    Every fill the venue knew of before the question was put (`ts_event_ns`) must have been handed in before this.
    """

    symbol: str
    quantity: Decimal
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class BracketsForgotten(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Ended brackets leave memory; the journal keeps them. One that is not over is kept all the same."""

    bracket_ids: tuple[str, ...]
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class LinkStatus(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The connection to the venue came up or went down."""

    up: bool
    reason: str = ""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class TimerFired(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Time has reached a deadline the engine asked to be woken at."""

    ts_event_ns: int
    ts_received_ns: int


class LevelsChangeRequested(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Move a stop or a target by hand. A stop is loosened only with `allow_loosen` and a reason."""

    bracket_id: str
    stop_px: Decimal | None = None
    target_px: Decimal | None = None
    reason: str = ""
    allow_loosen: bool = False
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class ReleaseRequested(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Stop looking after a bracket: our exits are cancelled unless `keep_orders`, the position stays."""

    bracket_id: str
    reason: str
    keep_orders: bool = False
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class FlattenRequested(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Get out of a bracket now, whatever its levels. `exit_reason` lands in its record."""

    bracket_id: str
    reason: str = ""
    exit_reason: str = "manual"
    last_px: Decimal | None = None
    """Last price on the exit side, when known: the collar of the exit is put round it."""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class EntriesPaused(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Kill switch: no new brackets, no new entries. Stops keep working."""

    reason: str = ""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class BarsClosed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Bars of one symbol closed: what trailing stops and bar counts live by. Prices are each side's exit price.

    More than one bar may be told as one where those between moved nothing: a replay does, to one bracket at a time.
    """

    symbol: str
    bid_high: Decimal
    """Best bid of the last bar: what a long could have got."""
    bid_close: Decimal
    ask_low: Decimal
    """Best ask of the last bar: what a short could have got."""
    ask_close: Decimal
    best_bid: Decimal | None = None
    """Best bid of all the bars told here, if more than one."""
    best_ask: Decimal | None = None
    bars: int = 1
    """How many closed."""
    atr_px: Decimal | None = None
    """The ATR up to and with the last of them; None: not known."""
    interval_s: int = 0
    """Their length, seconds; 0: whatever the run's bars are."""
    bracket_id: str = ""
    """The only bracket this is told to; empty: all that live by bars of this symbol and length."""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class SessionsLoaded(msgspec.Struct, frozen=True, tag=True, gc=False):
    """When a symbol's market closes and opens: nanoseconds since the epoch, oldest first."""

    symbol: str
    ends_ns: tuple[int, ...]
    """Ends of its sessions."""
    weekend_ns: tuple[int, ...]
    """Those of them after which it stays closed for two days or more."""
    ts_received_ns: int = 0
    opens_ns: tuple[int, ...] = ()
    """Beginnings of its sessions."""


class AccountDaysLoaded(msgspec.Struct, frozen=True, tag=True, gc=False):
    """When the account's days end: closes of the market `risk_limits.day_calendar` names, ns, oldest first."""

    ends_ns: tuple[int, ...]
    ts_received_ns: int = 0


class EntriesResumed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """New brackets are welcome again."""

    reason: str = ""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


Event = (
    RunStarted
    | PoliciesLoaded
    | RiskLimitsLoaded
    | InstrumentsLoaded
    | CapabilitiesLearned
    | BracketRequested
    | EntryRefused
    | ExecutionReport
    | OrderReport
    | RequestRefused
    | RequestUnknown
    | RequestNotSent
    | OrderNotFound
    | BracketReconciled
    | PositionReported
    | BracketsForgotten
    | LinkStatus
    | Quote
    | BarsClosed
    | SessionsLoaded
    | AccountDaysLoaded
    | TimerFired
    | LevelsChangeRequested
    | ReleaseRequested
    | FlattenRequested
    | EntriesPaused
    | EntriesResumed
)
