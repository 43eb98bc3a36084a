"""A paper account that outlives its process: the simulated venue, and a file of everything that ever moved it.

The venue is deterministic, so its commands, and the quotes that met an order, bring it back exactly: orders, positions,
fills and their ids. A line is written before its command is answered, as a real venue would remember it; a torn last
line is a command that never arrived. The file also keeps how far a feed was played, so that the market goes on there.
"""

import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec

from grodtd.domain.capabilities import Capabilities
from grodtd.domain.commands import CancelOrder, SubmitOco
from grodtd.domain.errors import ConfigError, Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.money import plain
from grodtd.domain.orders import ExecutionReport, Side
from grodtd.venue.venue import SimulatedVenue, VenueCommand


class Opened(msgspec.Struct, frozen=True, tag="account"):
    """The first line: what the account is."""

    profile: str
    cash: Decimal


class Quoted(msgspec.Struct, frozen=True, tag="quote"):
    """A quote that mattered, and when it came."""

    quote: Quote
    now_ns: int


class Commanded(msgspec.Struct, frozen=True, tag="command"):
    """A command that was carried out, and when."""

    command: VenueCommand
    now_ns: int


class Brought(msgspec.Struct, frozen=True, tag="brought"):
    """A position that was brought in from elsewhere, at a price."""

    symbol: str
    side: Side
    quantity: Decimal
    px: Decimal
    now_ns: int


class Place(msgspec.Struct, frozen=True, tag="place"):
    """How many rows of a feed were played."""

    feed: str
    played: int


Line = Opened | Quoted | Commanded | Brought | Place


class PaperAccount(SimulatedVenue):
    """A `SimulatedVenue` whose account is kept in `path`. One process at a time: whoever opens it sees to that.

    Raises: ConfigError - the file is damaged, or belongs to an account of another kind (the operator: put it aside).
    """

    def __init__(
        self, path: Path, capabilities: Capabilities, instruments: Iterable[Instrument], *, cash: Decimal
    ) -> None:
        """Open the account in `path`, or make it with `cash` in quote currency."""
        super().__init__(capabilities, instruments, cash=cash)
        self.path = path
        self.created = not path.exists()
        """Whether there was no account here before."""
        self._encode = msgspec.json.Encoder().encode
        self._pending: dict[str, Quoted] = {}
        self._places: dict[str, int] = {}
        lines = [] if self.created else self._read()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if not lines:
            self._write(Opened(capabilities.name, cash))
        for number, line in enumerate(lines, 1):
            try:
                self._repeat(line)
            except Refused as error:
                raise ConfigError(
                    [f"{path}:{number}: cannot be repeated ({error}): were instruments.yaml's rules changed? {ASIDE}"]
                ) from None

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # ---------------------------------------------------------------- what is kept

    def apply(self, command: VenueCommand, now_ns: int) -> list[ExecutionReport]:
        """Carry out a command and keep it. Raises: Refused - nothing happened, and nothing is kept."""
        reports = super().apply(command, now_ns)
        before = None if isinstance(command, CancelOrder) else self._pending.pop(_symbol(command), None)
        self._write(*([before] if before else []), Commanded(command, now_ns))
        return reports

    def on_quote(self, quote: Quote, now_ns: int | None = None) -> list[ExecutionReport]:
        """Match a quote; keep it when it met an order, or when a command comes before the next one."""
        reports = super().on_quote(quote, now_ns)
        quoted = Quoted(quote, quote.ts_event_ns if now_ns is None else now_ns)
        if reports:
            self._pending.pop(quote.symbol, None)
            self._write(quoted)
        else:
            self._pending[quote.symbol] = quoted
        return reports

    def bring(self, symbol: str, side: Side, quantity: Decimal, px: Decimal, now_ns: int) -> list[ExecutionReport]:
        """Take in a position that was made elsewhere, `quantity` at `px`; keep that."""
        reports = self._bring(symbol, side, quantity, px, now_ns)
        self._write(Brought(symbol, side, quantity, px, now_ns))
        return reports

    def place(self, feed: str) -> int:
        """Return how many rows of a feed were played into this account."""
        return self._places.get(feed, 0)

    def keep_place(self, feed: str, played: int) -> None:
        """Keep how far a feed is."""
        if self._places.get(feed) != played:
            self._places[feed] = played
            self._write(Place(feed, played))

    # ---------------------------------------------------------------- the file

    def _bring(self, symbol: str, side: Side, quantity: Decimal, px: Decimal, now_ns: int) -> list[ExecutionReport]:
        instrument = self.instruments([symbol])[0]
        self._desk.account.cash -= side.sign * quantity * px * instrument.contract_multiplier
        return self.adjust_position(symbol, side.sign * quantity, now_ns)

    def _write(self, *lines: Line) -> None:
        data = b"".join(self._encode(line) + b"\n" for line in lines)
        begun = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:  # the disk is full: half a line must not stand before the next
            os.ftruncate(self._fd, begun)
            raise

    def _read(self) -> list[Line]:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))
        decoder = msgspec.json.Decoder(Line)
        lines: list[Line] = []
        for number, text in enumerate(whole.splitlines(), 1):
            try:
                lines.append(decoder.decode(text))
            except msgspec.MsgspecError as error:
                raise ConfigError([f"{self.path}:{number}: is no line of a paper account ({error}). {ASIDE}"]) from None
        if lines and not isinstance(lines[0], Opened):
            raise ConfigError([f"{self.path}:1: does not say what account this is. {ASIDE}"])
        return lines

    def _repeat(self, line: Line) -> None:
        if isinstance(line, Opened):
            if line.profile != self.capabilities.name:
                now, then = self.capabilities.name, line.profile
                raise ConfigError(
                    [f"{self.path}: is a {then} account, and brokers.paper.profile is {now}: set it back, or {ASIDE}"]
                )
            self._desk.account.cash = line.cash
        elif isinstance(line, Quoted):
            super().on_quote(line.quote, line.now_ns)
        elif isinstance(line, Commanded):
            super().apply(line.command, line.now_ns)
        elif isinstance(line, Brought):
            self._bring(line.symbol, line.side, line.quantity, line.px, line.now_ns)
        else:
            self._places[line.feed] = line.played

    def __repr__(self) -> str:
        return f"PaperAccount({str(self.path)!r}, {self.capabilities.name}, cash {plain(self._desk.account.cash)})"


ASIDE = "Move the file away to begin with a new account."


def _symbol(command: VenueCommand) -> str:
    if isinstance(command, CancelOrder):
        return ""
    return command.stop.symbol if isinstance(command, SubmitOco) else command.order.symbol
