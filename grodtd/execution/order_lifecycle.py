"""One order's life: what a report means for it, and the state it is in next.

All the ifs are in `classify`; `TABLE` is the machine. Reports may come late, twice or in any order, so news about
an order that is over is LATE: it moves quantities, which are booked before, and rarely the state. Beside the table
there is one state-triggered move: a living order whose fills reach its quantity is FILLED, whatever was said.

A chain of replaces is one order here. `LegOrder.pending` is the replacement on its way: a report that bears its
id means the venue accepted it.
"""

from enum import StrEnum, auto

from msgspec.structs import replace

from grodtd.domain.bracket import ALIVE, IN_FLIGHT, Execution, LegOrder, OrderState
from grodtd.domain.errors import Surprise
from grodtd.domain.events import OrderNotFound, RequestNotSent, RequestRefused, RequestUnknown
from grodtd.domain.money import ZERO, divide
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderReport, OrderStatus


class Meaning(StrEnum):
    """What a fact means for one order."""

    NOTHING = auto()
    """A duplicate, a request's outcome that changes nothing, or not yet proof of anything."""
    ACK = auto()
    FILL = auto()
    """An execution, or a bust of one: the venue holds the order, or held it."""
    DONE = auto()
    CANCELED = auto()
    EXPIRED = auto()
    REJECTED = auto()
    REPLACED = auto()
    OLD_ENDED = auto()
    """The order a replace was asked for is over; whether the new one was taken is open."""
    CANCEL_REFUSED = auto()
    REPLACE_REFUSED = auto()
    UNSURE = auto()
    """The request that was to bring it to the venue had no answer."""
    NOT_SENT = auto()
    """It provably never left."""
    GONE = auto()
    """The venue does not know it, and it is too old to arrive."""
    LATE = auto()
    """News about an order that is over."""
    ASK_CANCEL = auto()
    ASK_REPLACE = auto()


S, M = OrderState, Meaning

TABLE: dict[tuple[OrderState, Meaning], OrderState] = {
    # On its way: the venue has not said a word about it.
    (S.SENT, M.NOTHING): S.SENT,
    (S.SENT, M.ACK): S.WORKING,
    (S.SENT, M.FILL): S.WORKING,  # the fill overtook the acknowledgement
    (S.SENT, M.DONE): S.FILLED,
    (S.SENT, M.CANCELED): S.CANCELED,  # also: half a replace, the old one died and the new one was refused
    (S.SENT, M.EXPIRED): S.EXPIRED,
    (S.SENT, M.REJECTED): S.REJECTED,
    (S.SENT, M.UNSURE): S.UNSURE,
    (S.SENT, M.NOT_SENT): S.LOST,
    (S.SENT, M.GONE): S.LOST,  # the program died between the journal and the wire
    # No answer: as on its way, only that nobody is going to answer by himself.
    (S.UNSURE, M.NOTHING): S.UNSURE,  # not found, but it may still be travelling; or its second copy was refused
    (S.UNSURE, M.ACK): S.WORKING,
    (S.UNSURE, M.FILL): S.WORKING,
    (S.UNSURE, M.DONE): S.FILLED,
    (S.UNSURE, M.CANCELED): S.CANCELED,
    (S.UNSURE, M.EXPIRED): S.EXPIRED,
    (S.UNSURE, M.REJECTED): S.REJECTED,
    (S.UNSURE, M.GONE): S.LOST,
    # Working.
    (S.WORKING, M.NOTHING): S.WORKING,
    (S.WORKING, M.ACK): S.WORKING,
    (S.WORKING, M.FILL): S.WORKING,
    (S.WORKING, M.DONE): S.FILLED,
    (S.WORKING, M.CANCELED): S.CANCELED,  # unsolicited: end of day, administrator, self-trade prevention
    (S.WORKING, M.EXPIRED): S.EXPIRED,
    (S.WORKING, M.REJECTED): S.REJECTED,  # refused when it triggered
    (S.WORKING, M.GONE): S.LOST,  # forgotten by the venue, without a fill we do not know
    (S.WORKING, M.ASK_CANCEL): S.CANCELLING,
    (S.WORKING, M.ASK_REPLACE): S.REPLACING,
    # Asked to cancel: it may fill until the venue says it is gone.
    (S.CANCELLING, M.NOTHING): S.CANCELLING,
    (S.CANCELLING, M.ACK): S.CANCELLING,  # a late acknowledgement of the order itself
    (S.CANCELLING, M.FILL): S.CANCELLING,  # D4: the fill crossed our cancel
    (S.CANCELLING, M.DONE): S.FILLED,  # D5: filled before the cancel arrived
    (S.CANCELLING, M.CANCELED): S.CANCELED,
    (S.CANCELLING, M.EXPIRED): S.EXPIRED,
    (S.CANCELLING, M.REJECTED): S.REJECTED,
    (S.CANCELLING, M.CANCEL_REFUSED): S.WORKING,  # too late or unknown: neither is an end; ask what it is
    (S.CANCELLING, M.GONE): S.LOST,
    (S.CANCELLING, M.ASK_CANCEL): S.CANCELLING,  # asked again: the first request may be lost
    # Asked to replace: the larger of both sizes may fill.
    (S.REPLACING, M.NOTHING): S.REPLACING,
    (S.REPLACING, M.ACK): S.REPLACING,
    (S.REPLACING, M.FILL): S.REPLACING,  # D7: the fill crossed our replace; were it larger, it may work on
    (S.REPLACING, M.DONE): S.FILLED,  # D8: filled before the replace arrived
    (S.REPLACING, M.REPLACED): S.WORKING,
    (S.REPLACING, M.REPLACE_REFUSED): S.WORKING,  # D9: the old order stays as it was
    (S.REPLACING, M.OLD_ENDED): S.SENT,  # some venues cancel the old one for it; or the end beat our replace
    # Over: late news may still move the cumulative quantity.
    (S.FILLED, M.LATE): S.FILLED,
    (S.CANCELED, M.LATE): S.CANCELED,  # a fill after its own cancel: it happens
    (S.CANCELED, M.DONE): S.FILLED,
    (S.EXPIRED, M.LATE): S.EXPIRED,
    (S.EXPIRED, M.DONE): S.FILLED,
    (S.REJECTED, M.LATE): S.REJECTED,  # accepted first, refused when it triggered, told the other way round
    (S.REJECTED, M.DONE): S.FILLED,
    (S.LOST, M.NOTHING): S.LOST,
    (S.LOST, M.ACK): S.WORKING,  # given up for dead, and alive: the venue's word counts
    (S.LOST, M.FILL): S.WORKING,
    (S.LOST, M.DONE): S.FILLED,
    (S.LOST, M.CANCELED): S.CANCELED,
    (S.LOST, M.EXPIRED): S.EXPIRED,
    (S.LOST, M.REJECTED): S.REJECTED,
}
"""(state now, meaning of the fact) -> state next. A missing row is a Surprise."""

OrderFact = ExecutionReport | OrderReport | RequestRefused | RequestUnknown | RequestNotSent | OrderNotFound

GIVEN = ":given"
"""End of the id of an execution that stands for all the fills a bracket began with: the venue lists them by others."""

OVER = frozenset({S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED})
"""States the venue has confirmed as an end."""

_ENDS = {
    OrderStatus.FILLED: M.DONE,
    OrderStatus.CANCELED: M.CANCELED,
    OrderStatus.EXPIRED: M.EXPIRED,
    OrderStatus.REJECTED: M.REJECTED,
}
_OLD_ENDS = {M.CANCELED: S.CANCELED, M.EXPIRED: S.EXPIRED, M.REJECTED: S.REJECTED, M.GONE: S.CANCELED}
_AS_THE_OLD = {None: M.CANCELED, S.CANCELED: M.CANCELED, S.EXPIRED: M.EXPIRED, S.REJECTED: M.REJECTED}


def move(order: LegOrder, meaning: Meaning) -> LegOrder:
    """Return `order` in the state its table gives. Raises Surprise, with nothing changed, where there is no row."""
    state = TABLE.get((order.state, meaning))
    if state is None:
        raise Surprise("order lifecycle", order.state, meaning.name, order.client_order_id)
    return order if state is order.state else replace(order, state=state)


def classify(order: LegOrder, fact: OrderFact, *, proven_gone: bool = False) -> Meaning:
    """Name what `fact` means for `order`, given that its quantities are folded in already.

    `proven_gone` says that an OrderNotFound is old enough to be proof (rule 9); the caller knows the venue.
    """
    kind = type(fact)
    meaning = M.NOTHING
    if kind is ExecutionReport or kind is OrderReport:
        meaning = _of_report(order, fact)  # type: ignore[arg-type]
    elif kind is RequestRefused or kind is RequestNotSent:
        meaning = _of_refusal(order, fact)  # type: ignore[arg-type]
    elif kind is RequestUnknown:
        # A cancel's missing answer says nothing about the order; nor does a submit's once the order was heard of.
        return M.UNSURE if order.state is S.SENT else M.NOTHING if order.state not in OVER else M.LATE
    elif proven_gone:
        pending = order.pending
        if pending is not None and fact.client_order_id == pending.client_order_id:
            meaning = M.REPLACE_REFUSED
        elif fact.client_order_id == order.client_order_id:
            meaning = _AS_THE_OLD[order.old_end] if order.old_end and order.state in IN_FLIGHT else M.GONE
    if order.state in OVER:
        return M.DONE if meaning is M.DONE and order.state is not S.FILLED else M.LATE
    if order.state is S.REPLACING and meaning in _OLD_ENDS:
        return M.OLD_ENDED
    if order.state is S.LOST and meaning is M.GONE:
        return M.NOTHING
    return meaning


def _of_report(order: LegOrder, report: ExecutionReport | OrderReport) -> Meaning:
    status, pending = report.status, order.pending
    if pending is not None and report.client_order_id == pending.client_order_id:
        if status is OrderStatus.PENDING:
            return M.NOTHING  # known there, but the old one still works
        return M.REPLACE_REFUSED if status is OrderStatus.REJECTED else M.REPLACED
    if status is OrderStatus.REPLACED:
        if report.client_order_id != order.client_order_id:
            return M.NOTHING
        # Nothing is to take its place: that was told to have ended, and had taken it first.
        return M.REPLACED if pending is not None else M.CANCELED
    if report.client_order_id != order.client_order_id or status is OrderStatus.PENDING:
        return M.NOTHING  # an id that gave way: only its fills count, and they are booked
    if type(report) is ExecutionReport and report.exec_ref_id:
        return M.FILL
    if status is OrderStatus.WORKING:
        return M.FILL if report.cum_qty else M.ACK
    if status is OrderStatus.FILLED and pending is not None and pending.quantity > order.cum_qty:
        return M.FILL  # its replacement is larger: if that was taken, it works on
    if status is OrderStatus.REJECTED and order.old_end is not None:
        return _AS_THE_OLD[order.old_end]  # the replacement was refused after the old order died: the chain ended
    return _ENDS[status]


def _of_refusal(order: LegOrder, fact: RequestRefused | RequestNotSent) -> Meaning:
    """A refusal is about one request, not about the order: it ends an order only where that was its only request."""
    if fact.verb == "cancel":
        return M.CANCEL_REFUSED if order.state is S.CANCELLING else M.NOTHING
    if fact.verb == "replace":
        if order.pending is not None:
            return M.REPLACE_REFUSED if fact.replacement_id in ("", order.pending.client_order_id) else M.NOTHING
        return _AS_THE_OLD[order.old_end] if order.old_end and order.state in IN_FLIGHT else M.NOTHING
    if order.state is not S.SENT or order.past_ids:
        return M.NOTHING  # a second copy of it was refused: the first may live, or come to life
    return M.REJECTED if type(fact) is RequestRefused else M.NOT_SENT


def apply(order: LegOrder, fact: OrderFact, *, proven_gone: bool = False) -> LegOrder:
    """Return `order` after `fact`. Raises Surprise, with nothing changed, for a report that cannot be.

    >>> from decimal import Decimal
    >>> from grodtd.domain.orders import Leg, OrderType, Side
    >>> stop = LegOrder(Leg.STOP, "B7.stop1", Side.SELL, OrderType.STOP, Decimal(10), stop_px=Decimal(90))
    >>> after = apply(stop, ExecutionReport("B7.stop1", OrderStatus.WORKING, Decimal(4), "X1", Decimal(4), Decimal(90)))
    >>> after.state.value, after.cum_qty, after.leaves_qty
    ('working', Decimal('4'), Decimal('6'))
    """
    order = book(order, fact)
    meaning = classify(order, fact, proven_gone=proven_gone)
    after = move(order, meaning)
    if meaning is M.REPLACED:
        new_id = order.pending.client_order_id if order.pending is not None else ""
        after = _adopt(after)
        if fact.client_order_id == new_id:
            after = move(after, classify(after, fact))  # the same report also says how the new one fares
    elif meaning is M.REPLACE_REFUSED and after.pending is not None:
        after = replace(after, pending=None, past_ids=(*after.past_ids, after.pending.client_order_id))
    elif meaning is M.OLD_ENDED:
        end = S.CANCELED if type(fact) is OrderNotFound else _OLD_ENDS[_ENDS[fact.status]]  # type: ignore[union-attr]
        after = replace(_adopt(after), old_end=end)
    state = after.state
    if state in ALIVE:
        if after.pending is None and after.cum_qty >= after.quantity:
            return replace(after, state=S.FILLED)
        if after.old_end is not None and state not in IN_FLIGHT:
            return replace(after, old_end=None)
    elif state is not order.state:
        return replace(after, reason=getattr(fact, "reason", ""))
    return after


def book(order: LegOrder, fact: OrderFact) -> LegOrder:
    """Fold a report's quantities in, whatever it means; the state is not touched. Safe for any report, twice."""
    if type(fact) is ExecutionReport:
        if order.missed_ns is not None:
            order = replace(order, missed_ns=None)
        if fact.exec_id:
            return _book_execution(order, fact)
        return replace(order, reported_cum=fact.cum_qty) if fact.cum_qty > order.reported_cum else order
    if type(fact) is OrderReport:
        news = fact.cum_qty > order.reported_cum
        if news or (fact.avg_px is not None and order.reported_avg_px is None and fact.cum_qty == order.reported_cum):
            avg_px = fact.avg_px or order.reported_avg_px
            return replace(order, reported_cum=fact.cum_qty, reported_avg_px=avg_px, missed_ns=None)
        if order.missed_ns is not None:
            return replace(order, missed_ns=None)
    return order


def _book_execution(order: LegOrder, report: ExecutionReport) -> LegOrder:
    if report.exec_ref_id:
        return _book_bust(order, report)
    reported_cum = report.cum_qty if report.cum_qty > order.reported_cum else order.reported_cum
    executions, given, inferred = order.executions, None, False
    for known in executions:
        if known.exec_id == report.exec_id:
            if not known.inferred:
                return order
            inferred = True
        elif known.exec_id.endswith(GIVEN):
            given = known
    if report.last_px is None or report.last_qty <= 0:
        return replace(order, reported_cum=reported_cum)
    execution = Execution(report.exec_id, report.last_qty, report.last_px, report.fee, report.fee_asset)
    if inferred:  # its bust came first
        return replace(
            order,
            executions=tuple(execution if e.exec_id == report.exec_id else e for e in executions),
            busts=tuple(_priced_as(b, execution) if b.ref_id == report.exec_id else b for b in order.busts),
            reported_cum=reported_cum,
        )
    if given is not None:
        executions = _explained(order, given, report)
    return replace(order, executions=(*executions, execution), reported_cum=reported_cum)


def _explained(order: LegOrder, given: Execution, report: ExecutionReport) -> tuple[Execution, ...]:
    """Return the executions with that much less in the one figure we were handed as `report` tells us of its parts.

    It does when its cumulative quantity is no news, or when it was busted before we heard of it.
    """
    busted = any(bust.ref_id == report.exec_id for bust in order.busts)
    if not busted and not 0 < report.cum_qty <= order.cum_qty:
        return order.executions
    known = {report.exec_id, *(execution.exec_id for execution in order.executions)}
    left = given.qty - sum((bust.qty for bust in order.busts if bust.ref_id not in known), ZERO)
    explained = report.last_qty if report.last_qty < left else left
    if explained <= 0:
        return order.executions
    rest = replace(given, qty=given.qty - explained, fee=given.fee * divide(given.qty - explained, given.qty))
    return tuple(rest if execution is given else execution for execution in order.executions)


def _book_bust(order: LegOrder, report: ExecutionReport) -> LegOrder:
    """Take an execution back. One we have not heard of is inferred from its bust: its own report adds nothing then."""
    if any(bust.exec_id == report.exec_id for bust in order.busts):
        return order
    executions = order.executions
    busted = next((e for e in executions if e.exec_id == report.exec_ref_id), None)
    taken = sum((bust.qty for bust in order.busts if bust.ref_id == report.exec_ref_id), ZERO)
    if taken and (busted is None or taken >= busted.qty):
        return order  # gone already: a reconciliation noticed it before the venue's own word came
    before = report.cum_qty + report.last_qty  # what the venue calls cumulative is after the bust
    if busted is None and order.cum_qty >= before:
        busted = next((e for e in executions if e.exec_id.endswith(GIVEN) and e.qty >= report.last_qty), None)
    if busted is None:
        px = report.last_px or order.limit_px or order.stop_px or ZERO
        busted = Execution(report.exec_ref_id, report.last_qty, px, report.fee, report.fee_asset, inferred=True)
        executions = (*executions, busted)
    bust = Execution(report.exec_id, report.last_qty, busted.px, report.fee, report.fee_asset, report.exec_ref_id)
    return replace(
        order,
        executions=executions,
        busts=(*order.busts, _priced_as(bust, busted)),
        reported_cum=before if before > order.reported_cum else order.reported_cum,
    )


def _priced_as(bust: Execution, busted: Execution) -> Execution:
    """Give a bust the price of what it takes back, and that part of its fee."""
    share = divide(bust.qty, busted.qty) if bust.qty != busted.qty and busted.qty else 1
    return replace(bust, px=busted.px, fee=busted.fee * share, fee_asset=busted.fee_asset)


def _adopt(order: LegOrder) -> LegOrder:
    """Make the pending replacement the order's present form."""
    new = order.pending
    if new is None:
        return order
    return replace(
        order,
        client_order_id=new.client_order_id,
        quantity=new.quantity,
        stop_px=new.stop_px,
        limit_px=new.limit_px,
        order_type=new.order_type,
        past_ids=(*order.past_ids, order.client_order_id),
        pending=None,
        sent_ns=order.pending_sent_ns,
        asked_ns=order.pending_sent_ns,
        valid_until_ns=new.valid_until_ns,
        missed_ns=None,
    )


def ask_cancel(order: LegOrder, now_ns: int) -> LegOrder:
    """Record that we are asking for its end; only the venue's terminal report ends it."""
    asked = move(order, M.ASK_CANCEL)
    return replace(asked, asked_ns=now_ns, cancel_wanted=True, cancels=order.cancels + 1, answer_lost=False)


def ask_replace(order: LegOrder, new: NewOrder, now_ns: int) -> LegOrder:
    """Record that we are asking for `new` in its place."""
    return replace(move(order, M.ASK_REPLACE), pending=new, pending_sent_ns=now_ns, asked_ns=now_ns)
