"""The ports: what the core asks of the world, as Protocols. Connectors and the runtime satisfy them.

Times are nanoseconds since the epoch. Quantities and prices are `Decimal`.
"""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from grodtd.domain.bracket import Bracket
from grodtd.domain.capabilities import Capabilities
from grodtd.domain.events import BracketRequested, Event, LinkStatus
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Bar, Quote
from grodtd.domain.notes import Note
from grodtd.domain.orders import ExecutionReport, Fill, NewOrder, OrderReport, Side
from grodtd.domain.outcome import Outcome
from grodtd.domain.risk import Accepted

__all__ = [
    "Account",
    "Advice",
    "Broker",
    "Capabilities",
    "Clock",
    "Core",
    "Journal",
    "MarketData",
    "Record",
    "RiskAdvisor",
    "RiskQuestion",
    "Views",
]


class Broker(Protocol):
    """A venue account. Errors: `Refused` nothing happened; `NotSent` never left; `OutcomeUnknown` may have happened."""

    capabilities: Capabilities

    async def submit(self, order: NewOrder) -> OrderReport:
        """Send one order; the report may be PENDING."""
        ...

    async def submit_oco(self, stop: NewOrder, target: NewOrder) -> None:
        """Send a linked pair; its reports arrive by `events`."""
        ...

    async def cancel(self, client_order_id: str) -> OrderReport:
        """Ask for an order's end; the report is as known, maybe PENDING. Only a terminal report is final."""
        ...

    async def replace(self, client_order_id: str, order: NewOrder) -> OrderReport:
        """Change an order in one step; `order` carries the next generation's id and the chain's total quantity."""
        ...

    async def order(self, client_order_id: str) -> OrderReport | None:
        """Look an order up; None is no proof that it never arrives."""
        ...

    async def open_orders(self) -> list[OrderReport]:
        """Every order of the account that may still fill, ours or not."""
        ...

    async def fills(self, since_ns: int) -> list[Fill]:
        """The account's executions since then, oldest first."""
        ...

    async def position(self, symbol: str) -> Decimal:
        """The account's signed position: not all of it is ours."""
        ...

    async def equity(self) -> Decimal:
        """The account's value in its currency."""
        ...

    async def instruments(self, symbols: list[str]) -> list[Instrument]:
        """Trading rules, fresh from the venue."""
        ...

    async def server_time_ns(self) -> int:
        """The venue's clock. Raises `Refused` (`no_clock`) where it tells none: the computer's counts then."""
        ...

    def events(self) -> AsyncIterator[ExecutionReport | Quote | LinkStatus]:
        """What the venue pushes, in the order it arrives."""
        ...


class MarketData(Protocol):
    """Prices, past and present."""

    async def bars(self, symbol: str, interval_s: int, count: int, until_ns: int) -> list[Bar]:
        """The last `count` bars closed by `until_ns`, oldest first."""
        ...

    def quotes(self, symbols: list[str]) -> AsyncIterator[Quote]:
        """Live quotes."""
        ...


class Core(Protocol):
    """What the door talks to: the runner in a live process."""

    async def handle(self, event: Event) -> Outcome:
        """Journal a fact, decide, journal the intentions, send them. Raises what the engine refuses."""
        ...


class Views(Protocol):
    """What a reader may see of the core's state."""

    def brackets(self) -> Sequence[Bracket]:
        """Every bracket still known, in the order they began."""
        ...

    def follow(self, bracket_id: str | None = None) -> AsyncIterator[Note]:
        """Decisions as they are made, for one bracket or all."""
        ...


class Account(Protocol):
    """What an entry is judged by before it is sent: the account as it is now, and the core's opinion."""

    def weigh(self, request: BracketRequested) -> tuple[Accepted, str]:
        """Return what an entry comes to, and the key its quantity comes from. Changes nothing. Raises `Refused`."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """The latest quote, good or not; None: none was seen."""
        ...

    async def equity(self) -> Decimal | None:
        """The account's value; None: it cannot be told now."""
        ...

    async def position(self, symbol: str) -> Decimal | None:
        """The account's signed position; None: it cannot be told now."""
        ...


class Clock(Protocol):
    """Time, handed in."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        ...


class Record(msgspec.Struct, frozen=True, gc=False):
    """One line of the journal. `seq` counts from 1 without gaps; `kind` is fact, command or note."""

    seq: int
    ts_ns: int
    kind: str
    bracket_id: str
    payload: bytes
    """The event, command or note as msgspec JSON."""


class Journal(Protocol):
    """An append-only record with explicit commit points: what is not committed may be lost in a crash."""

    def append(self, records: Sequence[Record]) -> None:
        """Take records in sequence; they are durable after the next `commit`."""
        ...

    async def commit(self) -> None:
        """Return when everything appended so far is durable. Raises `OSError` when it cannot be."""
        ...


class RiskQuestion(msgspec.Struct, frozen=True):
    """An entry that passed our own limits, as an outside risk system is asked about it. None: not known."""

    bracket_id: str
    symbol: str
    side: Side
    quantity: Decimal
    """Units."""
    entry_px: Decimal | None
    """Limit or trigger, quote currency; None: at market."""
    stop_px: Decimal | None
    strategy: str
    risk_money: Decimal
    """Lost at the stop, fees included."""
    notional: Decimal
    equity: Decimal | None


class Advice(msgspec.Struct, frozen=True):
    """The answer: `allow`, and why not (or, silent, why it is nobody's answer)."""

    allow: bool
    reason: str = ""
    silent: bool = False
    """Nobody answered: this is what the configuration says silence means."""


class RiskAdvisor(Protocol):
    """An outside risk system. It is asked about entries only: what protects or gets out is nobody's to hold up."""

    async def ask(self, question: RiskQuestion) -> Advice:
        """Allow or deny one entry. Answers within its own bound, silence included; does not raise."""
        ...


class Alerts(Protocol):
    """Where alarms go."""

    async def send(self, note: Note) -> None:
        """Tell a person."""
        ...


class Metrics(Protocol):
    """Where figures go."""

    def count(self, name: str, by: int = 1, **labels: str) -> None:
        """Add to a counter."""
        ...

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Record one value of a distribution."""
        ...
