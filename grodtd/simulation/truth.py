"""What really is: each bracket's position, counted from the venue's own executions. Nobody asks our process here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from grodtd.domain.capabilities import ReduceOnly
from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import ZERO
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderReport, Side
from grodtd.ports import Record
from grodtd.venue.venue import SimulatedVenue, VenueCommand

_KIND = re.compile(rb'"type":"(\w+)"')
BY_HAND = "hand-"
"""How the ids of orders begin that a person sends to sell what brackets hold."""
NEWS_S = 20.0
"""How long our process may take to draw a conclusion from another position in a symbol."""
_CLIENT_ID = re.compile(rb'"client_order_id":"([^"]+)"')
_STOP_PX = re.compile(rb'"client_order_id":"([^"]+)"[^{}]*?"stop_px":"([^"]+)"')


@dataclass
class Position:
    """One bracket's truth, and how long each promise about it has been owed."""

    bracket_id: str
    entry_id: str
    """Empty for a position that was adopted."""
    side: Side
    symbol: str
    strategy: str = "default"
    net: Decimal = ZERO
    """Units open, positive; negative: too much was sold."""
    tightest: Decimal | None = None
    """The level declared: the tightest stop that ever arrived, or the one a named command set since."""
    first_px: Decimal | None = None
    """What a unit was worth when it was first held, quote currency."""
    forgiven: set[Decimal] = field(default_factory=set)
    """Levels in force before a named command loosened the stop: one sent earlier may still arrive."""
    commanded: set[Decimal] = field(default_factory=set)
    """Levels set by hand."""
    disturbed: bool = False
    """Whether a bust or a hand elsewhere moved what may be sold: an exit may be too large until we hear of it."""
    accepted: bool = False
    """Whether our process has taken it on."""
    known_s: float = 0.0
    """For how long it could have acted on that."""
    released: bool = False
    keeps_orders: bool = False
    flatten: bool = False
    """Whether our process was told to get out of it."""
    naked_s: float = 0.0
    stray_s: float = 0.0
    leaving_s: float = 0.0
    excuse_s: float = 0.0
    """What lost requests of the present stretch add to the time allowed."""
    proof_s: float = 0.0
    """How long the last of them may still keep a new one waiting."""
    stretches: list[float] = field(default_factory=list)
    """Lengths of stretches without full protection, seconds."""


class Books:
    """The truth about one account."""

    def __init__(self, venue: SimulatedVenue, instruments: Mapping[str, Instrument]) -> None:
        """Count nothing yet."""
        self.venue, self.instruments = venue, instruments
        self.positions: dict[str, Position] = {}
        self.strangers: dict[str, Position] = {}
        """Units nobody looks after: our process was asked to, and refused."""
        self.disturbed_symbols: set[str] = set()
        """Symbols in which hands elsewhere traded: whose units they took is not the venue's to say."""
        self.sold_by_hand: dict[str, Decimal] = {}
        """Units of the brackets' that hands elsewhere sold, by symbol."""
        self.violations: list[tuple[str, str]] = []
        """(invariant, what happened)."""
        self.pairs: dict[str, str] = {}
        """Stop's id to target's, of every linked pair that was sent."""
        self.declared: dict[str, Decimal] = {}
        """The tightest stop of each bracket that the journal holds a command for, sent or not."""
        self.decided_at: dict[str, Decimal | None] = {}
        """The tightest stop that had arrived when an order was decided on: it may wait behind others to be sent."""
        self._by_entry: dict[str, str] = {}
        self._journalled: set[tuple[str, str]] = set()
        self._read = 0
        self._resting: dict[str, list[OrderReport]] | None = None

    def expect(self, position: Position) -> None:
        """A bracket is going to be asked for."""
        self.positions[position.bracket_id] = position
        if position.entry_id:
            self._by_entry[position.entry_id] = position.bracket_id

    def forget(self, bracket_id: str) -> None:
        """The bracket was refused: nobody promised anything. What its entry filled lies on the account all the same."""
        position = self.positions.pop(bracket_id, None)
        if position is not None:
            self.strangers[bracket_id] = position

    def violated(self, invariant: str, what: str) -> None:
        """Keep one violation."""
        self.violations.append((invariant, what))

    def of(self, client_id: str) -> Position | None:
        """Return the position an order belongs to, entry or exit."""
        bracket_id = self._by_entry.get(client_id)
        if bracket_id is None:
            named = parse_client_order_id(client_id)
            bracket_id = named[0] if named else ""
        return self.positions.get(bracket_id) or self.strangers.get(bracket_id)

    def ours(self, position: Position) -> bool:
        """Whether what is sold there is ours to answer for: not what we gave back, nor what others moved."""
        return not position.keeps_orders and not position.disturbed

    def book(self, reports: list[ExecutionReport]) -> list[Position]:
        """Count executions; return the positions that changed."""
        self._resting = None
        changed = []
        for report in reports:
            position = self.of(report.client_order_id)
            if report.client_order_id.startswith(BY_HAND) and report.symbol:
                sold = self.sold_by_hand.get(report.symbol, ZERO)
                self.sold_by_hand[report.symbol] = sold + report.last_qty
            if report.last_qty <= 0 or position is None:
                continue
            fee = report.fee if report.fee_asset is FeeAsset.BASE else ZERO
            units = report.last_qty - fee if report.side is Side.BUY else -(report.last_qty + fee)
            if report.exec_ref_id:
                units = -units
                position.disturbed = True
                if not position.net:
                    position.flatten = False  # it was out, as told; what comes back is protected anew (F22)
                if self.venue.capabilities.reduce_only is not ReduceOnly.NONE:
                    # The venue trims reduce-only orders by account: one bracket's bust moves what another may sell.
                    for other in self.positions.values():
                        other.disturbed = True
            position.net += units * position.side.sign
            self._take_from_others(position, -units * position.side.sign)
            position.disturbed |= position.net < 0 and self._not_alone(position)
            changed.append(position)
        return changed

    def _take_from_others(self, position: Position, sold: Decimal) -> None:
        """Orders he kept of a bracket he took back are his: what they sell beyond it, others lack."""
        beyond = min(sold, -position.net)
        if not position.keeps_orders or beyond <= 0:
            return
        self.disturbed_symbols.add(position.symbol)
        self.sold_by_hand[position.symbol] = self.sold_by_hand.get(position.symbol, ZERO) + beyond
        for other in self.positions.values():
            other.disturbed |= other.symbol == position.symbol

    def lacking(self, position: Position) -> Decimal:
        """Units others of the symbol sold too much and are not to buy back: too few for an order, or of a bracket he
        took back. Where exits are bounded by what the account holds, this one's lack them.
        """
        capabilities, instrument = self.venue.capabilities, self.instruments[position.symbol]
        if not capabilities.locks_inventory and capabilities.reduce_only is ReduceOnly.NONE:
            return ZERO
        lacking = ZERO
        for other in self.positions.values():
            if other is position or other.symbol != position.symbol or other.net >= 0:
                continue
            too_few = not instrument.sellable(-other.net, other.tightest or other.first_px or ZERO)
            if other.released or too_few:
                lacking -= other.net
        return lacking

    def _not_alone(self, position: Position) -> bool:
        """Whether other units lie in an account whose position bounds reduce-only orders, and our process has not
        known of them for long: it gives such a pair up when it does.
        """
        return self.venue.capabilities.reduce_only is not ReduceOnly.NONE and any(
            other is not position and other.symbol == position.symbol and other.net > 0 and other.known_s < NEWS_S
            for other in (*self.positions.values(), *self.strangers.values())
        )

    def resting(self) -> dict[str, list[OrderReport]]:
        """Return our exits open at the venue, by bracket."""
        if self._resting is None:
            self._resting = {}
            for report in self.venue.open_orders():
                named = parse_client_order_id(report.client_order_id)
                if named is not None and named[0] in self.positions and named[1] != "entry":
                    self._resting.setdefault(named[0], []).append(report)
        return self._resting

    def touched(self) -> None:
        """The venue may have changed: what rests is asked for anew."""
        self._resting = None

    def committed(self, position: Position, orders: list[OrderReport]) -> Decimal:
        """Return what these orders may still sell: a linked pair once, reduce-only ones, which the venue trims, not."""
        linked = {self.pairs.get(report.client_order_id) for report in orders}
        total = ZERO
        for report in orders:
            assert report.order is not None
            if report.order.reduce_only or report.client_order_id in linked:
                continue
            if report.order.side is position.side.opposite:
                total += report.order.quantity - report.cum_qty
        return total

    def is_durable(self, command: VenueCommand, records: list[Record]) -> bool:
        """Whether the journal on disk holds a command."""
        self.read(records)
        name = type(command).__name__
        return all((name, client_id) in self._journalled for client_id in ids_of(command))

    def read(self, records: list[Record]) -> None:
        """Take in what the journal on disk holds by now."""
        while self._read < len(records):
            record = records[self._read]
            if record.kind == "command":
                kind = _KIND.search(record.payload)
                name = kind[1].decode() if kind else ""
                for found in _CLIENT_ID.findall(record.payload):
                    client_id = found.decode()
                    self._journalled.add((name, client_id))
                    position = self.of(client_id)
                    if position is not None:
                        self.decided_at.setdefault(client_id, position.tightest)
                for found, px in _STOP_PX.findall(record.payload):
                    self._declare(found.decode(), Decimal(px.decode()))
            self._read += 1

    def _declare(self, client_id: str, stop_px: Decimal) -> None:
        position = self.of(client_id)
        if position is None or is_entry(client_id):
            return
        best = self.declared.get(position.bracket_id)
        if best is None or (stop_px - best) * position.side.sign > 0:
            self.declared[position.bracket_id] = stop_px


def is_entry(client_order_id: str) -> bool:
    """Whether an order is the entry of a trade our process was asked to open whole."""
    named = parse_client_order_id(client_order_id)
    return named is not None and named[1] == "entry"


def orders_of(command: VenueCommand) -> tuple[NewOrder, ...]:
    """Return the orders a command would bring to life."""
    if isinstance(command, SubmitOco):
        return (command.stop, command.target)
    if isinstance(command, SubmitOrder | ReplaceOrder):
        return (command.order,)
    return ()


def ids_of(command: VenueCommand) -> tuple[str, ...]:
    """Return the ids a command names."""
    ids = [order.client_order_id for order in orders_of(command)]
    if isinstance(command, CancelOrder | ReplaceOrder):
        ids.append(command.client_order_id)
    return tuple(ids)
