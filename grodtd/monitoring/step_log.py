"""Every step of a bracket as a log line: the fact, what was decided, what was asked of the venue, how long it took.

Its context is bound once, when the bracket begins: bracket and symbol; a line adds order and journal sequence.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from grodtd.domain.commands import CancelOrder, Command, QueryOrder, Reconcile, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.events import BracketRequested, Event
from grodtd.domain.money import plain
from grodtd.domain.notes import Note, NoteKind, Severity
from grodtd.domain.orders import FINAL_STATUSES, ExecutionReport, NewOrder, OrderReport, OrderStatus
from grodtd.domain.outcome import Outcome
from grodtd.monitoring.logs import Logger

MS = 1_000_000
TOLD = (
    "status",
    "last_qty",
    "last_px",
    "cum_qty",
    "exec_id",
    "exec_ref_id",
    "verb",
    "code",
    "reason",
    "replacement_id",
)
"""What of a fact is worth a place in its line."""
TAKEN = frozenset({"event", "level", "time", "bracket", "symbol", "order", "sequence"})
"""Names of a line's own; a note's figure of that name is told with `note_` before it."""
OVER = frozenset({NoteKind.CLOSED, NoteKind.RESIDUE, NoteKind.RELEASED, NoteKind.ENTRY_REFUSED})


class StepLog:
    """Hand it every fact that was taken and what it led to.

    `symbol_of` tells a bracket's symbol. Timings are milliseconds by our clock: `creation_ms` from the request to
    every unit covered, `ack_ms` from the order to the venue's first word on it, `cancel_ms` from asking to the end.
    """

    def __init__(self, log: Logger, symbol_of: Callable[[str], str]) -> None:
        self._log, self._symbol_of = log, symbol_of
        self._bound: dict[str, Logger] = {}
        self._begun_ns: dict[str, int] = {}
        self._sent_ns: dict[str, int] = {}
        self._cancel_ns: dict[str, int] = {}

    def __call__(self, event: Event, outcome: Outcome, sequence: int) -> None:
        """Log one step; an idle quote is none."""
        if not outcome.journal:
            return
        now_ns = event.ts_received_ns
        if isinstance(event, BracketRequested):
            self._begun_ns[event.bracket_id] = now_ns
        self._fact(event, outcome, sequence, now_ns)
        for note in outcome.notes:
            self._note(note, sequence, now_ns)
        for command in outcome.commands:
            self._command(command, sequence, now_ns)

    def _of(self, bracket_id: str) -> Logger:
        bound = self._bound.get(bracket_id)
        if bound is None:
            bound = self._log
            if bracket_id:
                bound = self._log.bind(bracket=bracket_id, symbol=self._symbol_of(bracket_id))
                self._bound[bracket_id] = bound
        return bound

    def _fact(self, event: Event, outcome: Outcome, sequence: int, now_ns: int) -> None:
        names = dict.fromkeys(part.bracket_id for part in (*outcome.notes, *outcome.commands))
        order = str(getattr(event, "client_order_id", ""))
        own = str(getattr(event, "bracket_id", "")) or next(iter(names), "") or order.rpartition(".")[0]
        told = {name: _plain(value) for name in TOLD if (value := getattr(event, name, None)) not in (None, "", 0)}
        log = self._of(own)
        if order:
            told["order"] = order
        log.info(_snake(type(event).__name__), **told, sequence=sequence)
        if isinstance(event, ExecutionReport | OrderReport) and event.status is not OrderStatus.PENDING:
            sent_ns = self._sent_ns.pop(order, None)
            if sent_ns is not None:
                log.info("acknowledged", order=order, sequence=sequence, ack_ms=_ms(now_ns - sent_ns))
            if event.status in FINAL_STATUSES and (asked_ns := self._cancel_ns.pop(order, None)) is not None:
                log.info("cancel_settled", order=order, sequence=sequence, cancel_ms=_ms(now_ns - asked_ns))

    def _note(self, note: Note, sequence: int, now_ns: int) -> None:
        log = self._of(note.bracket_id)
        data: dict[str, Any] = {f"note_{key}" if key in TAKEN else key: text for key, text in note.data.items()}
        if "client_order_id" in data:
            data = {"order": data.pop("client_order_id"), **data}
        data.pop("note_symbol", None)  # bound already
        if "naked_ns" in data:
            data["naked_ms"] = _ms(int(data.pop("naked_ns")))
        if note.kind is NoteKind.COVERED and (begun_ns := self._begun_ns.pop(note.bracket_id, None)) is not None:
            data["creation_ms"] = _ms(now_ns - begun_ns)
        say = {Severity.INFO: log.info, Severity.WARNING: log.warning, Severity.ALARM: log.error}[note.severity]
        say(note.kind.value, **data, sequence=sequence)
        if note.kind in OVER:
            self._bound.pop(note.bracket_id, None)
            self._begun_ns.pop(note.bracket_id, None)

    def _command(self, command: Command, sequence: int, now_ns: int) -> None:
        log = self._of(command.bracket_id)
        if isinstance(command, SubmitOrder):
            self._send(log, "submit", command.order, sequence, now_ns)
        elif isinstance(command, SubmitOco):
            for order in (command.stop, command.target):
                self._send(log, "submit_linked", order, sequence, now_ns)
        elif isinstance(command, ReplaceOrder):
            self._send(log, "replace", command.order, sequence, now_ns, old=command.client_order_id)
        elif isinstance(command, CancelOrder):
            self._cancel_ns.setdefault(command.client_order_id, now_ns)
            log.info("cancel", order=command.client_order_id, sequence=sequence)
        elif isinstance(command, QueryOrder):
            log.info("query", order=command.client_order_id, sequence=sequence)
        else:
            assert isinstance(command, Reconcile)
            log.info("reconcile", sequence=sequence)

    def _send(self, log: Logger, verb: str, order: NewOrder, sequence: int, now_ns: int, **more: str) -> None:
        self._sent_ns.setdefault(order.client_order_id, now_ns)
        px = {name: plain(value) for name in ("stop_px", "limit_px") if (value := getattr(order, name)) is not None}
        log.info(
            verb,
            order=order.client_order_id,
            sequence=sequence,
            side=order.side.value,
            type=order.order_type.value,
            quantity=plain(order.quantity),
            **px,
            **more,
        )


def _ms(ns: int) -> float:
    return round(max(0, ns) / MS, 3)


def _plain(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
