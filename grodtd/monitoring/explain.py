"""A bracket's life in words, out of its journal: the fact, the rule that applied, the numbers, what followed.

Pure text from records; where they come from is the caller's business.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from grodtd.domain.commands import (
    CancelOrder,
    Command,
    QueryOrder,
    Reconcile,
    ReplaceOrder,
    SubmitOco,
    SubmitOrder,
)
from grodtd.domain.events import (
    BarsClosed,
    BracketReconciled,
    BracketRequested,
    EntriesPaused,
    EntriesResumed,
    EntryRefused,
    Event,
    FlattenRequested,
    LevelsChangeRequested,
    LinkStatus,
    OrderNotFound,
    PositionReported,
    ReleaseRequested,
    RequestNotSent,
    RequestRefused,
    RequestUnknown,
    TimerFired,
)
from grodtd.domain.market import Quote
from grodtd.domain.money import plain
from grodtd.domain.notes import Note, NoteKind
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderReport, OrderType, Side
from grodtd.ports import Record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Data = Mapping[str, str]


def explain(records: Iterable[Record], bracket_id: str) -> Iterator[str]:
    """Yield the lines of one bracket's story, in journal order; nothing when the journal does not know it.

    `records` may hold other brackets too: a quote or a timer that touched several is told where it led to something.
    """
    facts, commands = msgspec.json.Decoder(Event), msgspec.json.Decoder(Command)
    notes = msgspec.json.Decoder(Note)
    headline = ""
    for record in records:
        if record.kind == "fact":
            fact = facts.decode(record.payload)
            headline = f"{clock(record.ts_ns)}  {_fact(fact)}"
            if record.bracket_id == bracket_id:
                yield headline
                headline = ""
            continue
        if record.bracket_id != bracket_id:
            continue
        if headline:
            yield headline
            headline = ""
        if record.kind == "note":
            line = _note(notes.decode(record.payload))
            if line:
                yield f"    {line}"
        else:
            yield f"    -> {_command(commands.decode(record.payload))}"


def in_words(note: Note) -> str:
    """Say one decision in words; its kind and figures where it has none, empty where the fact itself said it.

    >>> in_words(Note(NoteKind.TARGET_RESTING, "B1", 0, {"client_order_id": "B1.target1"}))
    'the target B1.target1 rests at the venue'
    """
    return _note(note)


def clock(ts_ns: int) -> str:
    """Write a time as date and time of day, UTC, to the millisecond.

    >>> clock(1_402_315_200_123_999_999)
    '2014-06-09 12:00:00.123'
    """
    moment = EPOCH + timedelta(milliseconds=ts_ns // 1_000_000)
    return moment.replace(tzinfo=None).isoformat(" ", "milliseconds")


def duration(ns: int) -> str:
    """Write a span of time as a person would say it.

    >>> duration(0), duration(250_000_000), duration(90_000_000_000), duration(7_200_000_000_000)
    ('0 s', '0.25 s', '1 min 30 s', '2 h 0 min')
    """
    seconds = ns / 1e9
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def _fact(fact: Event) -> str:
    """Say what happened."""
    if isinstance(fact, BracketRequested):
        return _request(fact)
    if isinstance(fact, ExecutionReport):
        return _execution(fact)
    if isinstance(fact, OrderReport):
        return f"the venue says: {fact.client_order_id} is {fact.status.value}, {plain(fact.cum_qty)} filled so far"
    if isinstance(fact, RequestRefused):
        return f"the venue refused to {fact.verb} {fact.client_order_id}: {fact.reason or fact.code}"
    if isinstance(fact, RequestUnknown):
        why = fact.reason or "no answer"
        return f"no answer to our {fact.verb} of {fact.client_order_id} ({why}): it may have happened"
    if isinstance(fact, RequestNotSent):
        return f"our {fact.verb} of {fact.client_order_id} never left: {fact.reason}"
    if isinstance(fact, OrderNotFound):
        return f"the venue knows no {fact.client_order_id} and no fill of it"
    if isinstance(fact, Quote):
        return f"quote {fact.symbol}: bid {plain(fact.bid)}, ask {plain(fact.ask)}"
    return _told(fact)


def _told(fact: Event) -> str:
    if isinstance(fact, TimerFired):
        return "a deadline has come"
    if isinstance(fact, FlattenRequested):
        return f"asked to get out ({fact.exit_reason}){_because(fact.reason)}"
    if isinstance(fact, ReleaseRequested):
        return f"asked to release the bracket{_because(fact.reason)}"
    if isinstance(fact, LevelsChangeRequested):
        levels = [
            f"{name} {plain(px)}" for name, px in (("stop", fact.stop_px), ("target", fact.target_px)) if px is not None
        ]
        return f"asked to move {' and '.join(levels)}{_because(fact.reason)}"
    if isinstance(fact, PositionReported):
        return f"the account holds {plain(fact.quantity)} {fact.symbol}"
    if isinstance(fact, EntryRefused):
        size = f"{plain(fact.quantity)} " if fact.quantity else ""
        return f"asked to open: {_word(fact.side)} {size}{fact.symbol}"
    if isinstance(fact, BracketReconciled):
        return "every order was compared with the venue"
    if isinstance(fact, BarsClosed):
        return _bars(fact)
    return _of_the_account(fact)


def _bars(fact: BarsClosed) -> str:
    same = fact.bid_close == fact.ask_close
    at = plain(fact.bid_close) if same else f"bid {plain(fact.bid_close)}, ask {plain(fact.ask_close)}"
    if fact.bars == 1:
        return f"a bar of {fact.symbol} closed at {at}"
    return f"{fact.bars} bars of {fact.symbol} closed, the last at {at}"


def _of_the_account(fact: Event) -> str:
    """Say a fact about everything; one that was never put into words by its own name, spaced: `sessions loaded`."""
    if isinstance(fact, LinkStatus):
        return f"the connection to the venue is {'up' if fact.up else 'down'}{_because(fact.reason)}"
    if isinstance(fact, EntriesPaused):
        return f"asked to take no new entries{_because(fact.reason)}"
    if isinstance(fact, EntriesResumed):
        return f"asked to take entries again{_because(fact.reason)}"
    return "".join(f" {char.lower()}" if char.isupper() else char for char in type(fact).__name__).lstrip()


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _request(fact: BracketRequested) -> str:
    word = _word(fact.side)
    if fact.entry is not None:
        size = f"{plain(fact.quantity)} " if fact.quantity else ""
        return f"asked to open: {word} {size}{fact.symbol}"
    if fact.filled_qty > 0 and fact.filled_px is not None:
        return f"entry filled: {word} {plain(fact.filled_qty)} {fact.symbol} at {plain(fact.filled_px)}"
    return f"asked to protect entry {fact.entry_client_order_id}: {word} {plain(fact.quantity)} {fact.symbol}"


def _word(side: Side) -> str:
    return "long" if side is Side.BUY else "short"


def _execution(fact: ExecutionReport) -> str:
    if fact.exec_ref_id:
        return f"the venue took execution {fact.exec_ref_id} of {fact.client_order_id} back ({plain(fact.last_qty)})"
    if fact.last_qty > 0 and fact.last_px is not None:
        fee = f", fee {plain(fact.fee)} ({fact.fee_asset.value})" if fact.fee else ""
        return f"fill: {fact.client_order_id} {plain(fact.last_qty)} at {plain(fact.last_px)}{fee}"
    why = f" ({fact.reason})" if fact.reason else ""
    return f"{fact.client_order_id} is {fact.status.value}{why}"


def _order(order: NewOrder) -> str:
    if order.order_type is OrderType.MARKET:
        price = "at market"
    elif order.order_type is OrderType.LIMIT:
        price = f"at {plain(order.limit_px or Decimal(0))} or better"
        if order.time_in_force.value != "gtc":
            price += f", {order.time_in_force.value}"
    else:
        price = f"stop {plain(order.stop_px or Decimal(0))}"
        if order.limit_px is not None:
            price += f" limit {plain(order.limit_px)}"
    reduce = ", reduce-only" if order.reduce_only else ""
    return f"{order.client_order_id}: {order.side.value} {plain(order.quantity)} {order.symbol} {price}{reduce}"


def _command(command: Command) -> str:
    if isinstance(command, SubmitOrder):
        return f"send {_order(command.order)}"
    if isinstance(command, SubmitOco):
        return f"send, linked: {_order(command.stop)}  |  {_order(command.target)}"
    if isinstance(command, CancelOrder):
        return f"cancel {command.client_order_id}"
    if isinstance(command, ReplaceOrder):
        return f"change {command.client_order_id} into {_order(command.order)}"
    if isinstance(command, QueryOrder):
        return f"ask what became of {command.client_order_id}"
    assert isinstance(command, Reconcile)
    return "compare everything with the venue"


def _levels(data: Data) -> str:
    if "multiplier" in data and "atr_px" in data:
        how = f"ATR {data['atr_px']} x {data['multiplier']} = {data['stop_distance_px']} from the entry"
        how += f", rounded to the tick towards the entry: stop {data['stop_px']}"
    elif "min_stop_percentage" in data:
        share = plain(Decimal(data["min_stop_percentage"]) * 100)
        how = (
            f"the least distance, {share} % = {data['stop_distance_px']} (min_stop_percentage): stop {data['stop_px']}"
        )
    elif "fallback_percentage" in data:
        share = plain(Decimal(data["fallback_percentage"]) * 100)
        how = f"no usable ATR, so the fallback of {share} % = {data['stop_distance_px']}: stop {data['stop_px']}"
    else:
        how = f"stop {data['stop_px']} as given"
    how += f" (risk {data['risk_px']} a unit)"
    if "target_px" in data:
        if "ratio" in data:
            source = f" ({data['ratio_from']})" if "ratio_from" in data else ""
            how += f"; ratio {data['ratio']}{source} x {data['risk_px']}, rounded away: target {data['target_px']}"
        else:
            how += f"; target {data['target_px']} as given"
    if "remarks" in data:
        how += f". Note: {data['remarks']}"
    return f"levels: entry {data['entry_px']}; {how}"


def _entry_sent(data: Data) -> str:
    trigger = f", triggered at {data['trigger_px']}" if "trigger_px" in data else ""
    limit = f", limit {data['limit_px']}" if "limit_px" in data else ""
    sized = f"; sized by {data['sized_by']}, equity {data.get('equity', 'not known')}" if "sized_by" in data else ""
    advice = f"; {data['advice']}" if "advice" in data else ""
    order = f"{data['order_type']} {data['quantity']}{trigger}{limit}"
    return f"within every limit, so the entry goes: {order}{sized}{advice}"


def _filled(data: Data) -> str:
    if "client_order_id" not in data:
        return ""  # the fact itself said so
    done = f", {data['cum_qty']} so far, {data['leaves_qty']} to go" if data.get("leaves_qty", "0") != "0" else ""
    return f"booked: {data['quantity']} at {data['px']}{done}"


def _covered(data: Data) -> str:
    naked_ns = int(data["naked_ns"])
    after = f" after {duration(naked_ns)} without protection" if naked_ns else ""
    return f"every unit is protected{after} ({data['protected_qty']})"


def _closed(data: Data) -> str:
    return f"closed: nothing open, nothing that could still fill; naked in all {duration(int(data['naked_ns']))}"


WORDS: dict[NoteKind, str | Callable[[Data], str]] = {
    NoteKind.BRACKET_OPENED: "bracket opened, strategy {strategy}, policy {policy}",
    NoteKind.PLAN_CHOSEN: "plan {plan}: {why}",
    NoteKind.LEVELS_SET: _levels,
    NoteKind.ENTRY_SENT: _entry_sent,
    NoteKind.ENTRY_REFUSED: "refused, nothing was sent: {reason}",
    NoteKind.ENTRY_FILLED: _filled,
    NoteKind.EXIT_FILLED: _filled,
    NoteKind.ENTRY_ENDED: "the entry ended ({status}) with {cum_qty} filled; what filled stays protected",
    NoteKind.ENTRY_TIMED_OUT: "the entry took longer than bracket_orders.timeout_seconds: its rest is cancelled",
    NoteKind.STOP_PLACED: "rule 1, protect from the first fill: stop for {quantity} at {stop_px}",
    NoteKind.STOP_GROWN: "rule 1, protection grows: stop for {quantity} more at {stop_px}",
    NoteKind.STOP_RESTING: "the stop {client_order_id} rests at the venue",
    NoteKind.TARGET_PLACED: "target for {quantity} at {target_px} ({time_in_force})",
    NoteKind.TARGET_RESTING: "the target {client_order_id} rests at the venue",
    NoteKind.TARGET_TOUCHED: "target {target_px} touched: the stop goes first, its final fill is waited for",
    NoteKind.TARGET_MISSED: "the price fell back with {open_qty} left: the stop returns",
    NoteKind.TARGET_LOST: "rule 2, the target is gone ({status}: {reason}); the stop stays",
    NoteKind.EXITS_SHRUNK: "rule 3, a partial exit shrinks its sibling: {leg} less {excess}",
    NoteKind.STOP_REFUSED: "rule 2, the stop was refused ({reason}), failure {failures}",
    NoteKind.STOP_LOST: "the stop {client_order_id} is gone ({status}) and comes back",
    NoteKind.LOCAL_STOP: "rule 2, next step: stop {stop_px} is watched here, for at most {seconds} s",
    NoteKind.STOP_CROSSED: "the market ({last_px}) is through the stop watched here ({stop_px})",
    NoteKind.LEAVING: "out at market, reason {exit_reason}: {why}",
    NoteKind.EXIT_SENT: "marketable exit for {quantity}, attempt {attempt}",
    NoteKind.CANCEL_ASKED: "asked to cancel {client_order_id} ({quantity} may still fill)",
    NoteKind.MARKET_CLOSED: lambda data: (
        "rule 10, EXPOSED by design: the market is closed and no exit of ours rests there; "
        f"tried again at {clock(int(data['until_ns']))}, stop {data.get('stop_px', 'not known')}"
    ),
    NoteKind.MARKET_OPENS: "rule 10, the market opens: what is open gets its stop {stop_px} again",
    NoteKind.NAKED: "NAKED: not every unit is protected",
    NoteKind.COVERED: _covered,
    NoteKind.OVERSOLD: "rule 5, both legs filled: {remedy_qty} too much, bought back once",
    NoteKind.RESIDUE: "residue: {open_qty} left, worth {value} at {px}, cannot be sold",
    NoteKind.CLOSED: _closed,
    NoteKind.REOPENED: "a fill after the end ({was}): {open_qty} open again, guarded again",
    NoteKind.FROZEN: "FROZEN with its stop in place: {why}",
    NoteKind.THAWED: "understood again",
    NoteKind.UNKNOWN_OUTCOME: "rule 9, unknown is an answer: ask by id before anything new ({client_order_id})",
    NoteKind.PROVEN_DEAD: "{client_order_id} is proven never to have arrived",
    NoteKind.LEVELS_CHANGED: "levels moved: stop {was_stop_px} -> {stop_px}",
    NoteKind.STOP_MOVED: "{why}: stop {was_stop_px} -> {stop_px} (best price {best_px})",
    NoteKind.TARGETS_SET: "targets in steps: {targets}",
    NoteKind.TARGET_TAKEN: "this target is sold out, {open_qty} go on",
    NoteKind.RELEASED: "released: {reason}",
    NoteKind.DEMOTED: "plan {was} -> {now}: {why}",
    NoteKind.STOPS_DENIED: (
        "the venue denies {denied} stops it held: no more are sent, the stop is watched here until it admits one"
    ),
    NoteKind.REDUCED_ELSEWHERE: "rule 8, {quantity} were taken out elsewhere: {open_qty} are left to guard",
    NoteKind.ADDED_ELSEWHERE: "rule 8, the account holds {account_qty}: {quantity} are not ours, the exits stay",
    NoteKind.FLIPPED_ELSEWHERE: (
        "rule 8, the account holds {account_qty} {symbol}, turned round elsewhere: our exits go, no new entries there"
    ),
    NoteKind.EXTERNALLY_CLOSED: "rule 8, closed elsewhere: {quantity} were not ours to sell any more",
    NoteKind.EXIT_AFTER_HAND: (
        "LOOK AT THE ACCOUNT: {quantity} were taken out elsewhere, and our own exit sold as many once more"
    ),
    NoteKind.UNEXPLAINED_FILL: (
        "rule 8, LOOK AT THE ACCOUNT: {quantity} {symbol} of {client_order_id} {what} at {px} ({side}), long after its "
        "bracket ended: no bracket holds them"
    ),
    NoteKind.ENTRIES_PAUSED: lambda data: (
        f"new entries are paused{_because(data.get('reason', ''))}; stops keep working"
    ),
    NoteKind.ENTRIES_RESUMED: lambda data: f"new entries are taken again{_because(data.get('reason', ''))}",
}
"""What each decision is in words; a template over the note's data, or a function of it."""


class _Known(dict[str, str]):
    """A template's values; a figure the note does not carry stays visible as its name."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def _note(note: Note) -> str:
    words = WORDS.get(note.kind)
    if words is None:
        return f"{note.kind.value}: " + ", ".join(f"{key} {value}" for key, value in note.data.items())
    return words.format_map(_Known(note.data)) if isinstance(words, str) else words(note.data)
