"""One order's life: what a report means for it, and the state it is in next.

All the ifs are in `classify`; `TABLE` is the machine. Reports may come late, twice or in any order, so most
rows of a finished order say "stays finished". Beside the table there is one state-triggered move: an order whose
fills reach its quantity is FILLED, whatever was said.

A chain of replaces is one order here. `LegOrder.pending` is the replacement on its way: a report that bears its
id means the venue accepted it.
"""

from decimal import Decimal
from enum import Enum, auto

from msgspec.structs import replace

from grodtd.domain.bracket import ALIVE, Execution, LegOrder, OrderState
from grodtd.domain.errors import Surprise
from grodtd.domain.events import OrderNotFound, RequestNotSent, RequestRefused, RequestUnknown
from grodtd.domain.money import ZERO
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderReport, OrderStatus


class Meaning(Enum):
    """What a fact means for one order."""

    NOTHING = auto()
    """A duplicate, or older than what we know."""
    ACK = auto()
    FILL = auto()
    DONE = auto()
    CANCELED = auto()
    EXPIRED = auto()
    REJECTED = auto()
    REPLACED = auto()
    CANCEL_REFUSED = auto()
    REPLACE_REFUSED = auto()
    UNSURE = auto()
    """The submit had no answer."""
    CANCEL_UNSURE = auto()
    REPLACE_UNSURE = auto()
    NOT_SENT = auto()
    """The submit provably never left."""
    GONE = auto()
    """The venue does not know it, and it is too old to arrive."""
    BUSTED = auto()
    ASK_CANCEL = auto()
    ASK_REPLACE = auto()


S, M = OrderState, Meaning

TABLE: dict[tuple[OrderState, Meaning], OrderState] = {
    # On its way: the venue has not said a word about it.
    (S.SENT, M.NOTHING): S.SENT,
    (S.SENT, M.ACK): S.WORKING,
    (S.SENT, M.FILL): S.WORKING,  # the fill overtook the acknowledgement
    (S.SENT, M.DONE): S.FILLED,
    (S.SENT, M.CANCELED): S.CANCELED,
    (S.SENT, M.EXPIRED): S.EXPIRED,
    (S.SENT, M.REJECTED): S.REJECTED,
    (S.SENT, M.UNSURE): S.UNSURE,
    (S.SENT, M.REPLACE_UNSURE): S.UNSURE,  # the old id is dead, the new one's fate unknown
    (S.SENT, M.REPLACE_REFUSED): S.CANCELED,  # half a success: the old order died, the new one was refused
    (S.SENT, M.NOT_SENT): S.LOST,
    (S.SENT, M.GONE): S.LOST,
    (S.SENT, M.BUSTED): S.SENT,
    # No answer: as on its way, only that nobody is going to answer by himself.
    (S.UNSURE, M.NOTHING): S.UNSURE,
    (S.UNSURE, M.ACK): S.WORKING,
    (S.UNSURE, M.FILL): S.WORKING,
    (S.UNSURE, M.DONE): S.FILLED,
    (S.UNSURE, M.CANCELED): S.CANCELED,
    (S.UNSURE, M.EXPIRED): S.EXPIRED,
    (S.UNSURE, M.REJECTED): S.REJECTED,
    (S.UNSURE, M.UNSURE): S.UNSURE,
    (S.UNSURE, M.REPLACE_UNSURE): S.UNSURE,
    (S.UNSURE, M.REPLACE_REFUSED): S.CANCELED,
    (S.UNSURE, M.GONE): S.LOST,
    (S.UNSURE, M.BUSTED): S.UNSURE,
    # Working.
    (S.WORKING, M.NOTHING): S.WORKING,
    (S.WORKING, M.ACK): S.WORKING,
    (S.WORKING, M.FILL): S.WORKING,
    (S.WORKING, M.DONE): S.FILLED,
    (S.WORKING, M.CANCELED): S.CANCELED,  # unsolicited: end of day, administrator, self-trade prevention
    (S.WORKING, M.EXPIRED): S.EXPIRED,
    (S.WORKING, M.REJECTED): S.REJECTED,  # refused when it triggered
    (S.WORKING, M.UNSURE): S.WORKING,  # the stream told us before the timeout did
    (S.WORKING, M.CANCEL_UNSURE): S.WORKING,
    (S.WORKING, M.REPLACE_UNSURE): S.WORKING,  # the new id reported before the timeout
    (S.WORKING, M.CANCEL_REFUSED): S.WORKING,
    (S.WORKING, M.REPLACE_REFUSED): S.WORKING,
    (S.WORKING, M.GONE): S.CANCELED,  # forgotten by the venue, without a fill we do not know
    (S.WORKING, M.BUSTED): S.WORKING,
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
    (S.CANCELLING, M.UNSURE): S.CANCELLING,
    (S.CANCELLING, M.CANCEL_UNSURE): S.CANCELLING,
    (S.CANCELLING, M.REPLACE_UNSURE): S.CANCELLING,
    (S.CANCELLING, M.REPLACE_REFUSED): S.CANCELLING,
    (S.CANCELLING, M.CANCEL_REFUSED): S.WORKING,  # too late or unknown: neither is an end; ask what it is
    (S.CANCELLING, M.GONE): S.CANCELED,
    (S.CANCELLING, M.BUSTED): S.CANCELLING,
    (S.CANCELLING, M.ASK_CANCEL): S.CANCELLING,  # asked again: the first request may be lost
    # Asked to replace: the larger of both sizes may fill.
    (S.REPLACING, M.NOTHING): S.REPLACING,
    (S.REPLACING, M.ACK): S.REPLACING,
    (S.REPLACING, M.FILL): S.REPLACING,  # D7: the fill crossed our replace
    (S.REPLACING, M.DONE): S.FILLED,  # D8: filled before the replace arrived
    (S.REPLACING, M.REPLACED): S.WORKING,
    (S.REPLACING, M.REPLACE_REFUSED): S.WORKING,  # D9: the old order stays as it was
    (S.REPLACING, M.UNSURE): S.REPLACING,
    (S.REPLACING, M.CANCEL_UNSURE): S.REPLACING,
    (S.REPLACING, M.CANCEL_REFUSED): S.REPLACING,
    (S.REPLACING, M.REPLACE_UNSURE): S.REPLACING,
    (S.REPLACING, M.CANCELED): S.SENT,  # the old id is gone; the new one is on its way, or refused
    (S.REPLACING, M.EXPIRED): S.SENT,
    (S.REPLACING, M.REJECTED): S.SENT,
    (S.REPLACING, M.GONE): S.SENT,
    (S.REPLACING, M.BUSTED): S.REPLACING,
    # Finished: late news may still move the cumulative quantity.
    (S.FILLED, M.NOTHING): S.FILLED,
    (S.FILLED, M.ACK): S.FILLED,
    (S.FILLED, M.FILL): S.FILLED,
    (S.FILLED, M.DONE): S.FILLED,
    (S.FILLED, M.CANCELED): S.FILLED,
    (S.FILLED, M.EXPIRED): S.FILLED,
    (S.FILLED, M.REJECTED): S.FILLED,
    (S.FILLED, M.UNSURE): S.FILLED,
    (S.FILLED, M.CANCEL_UNSURE): S.FILLED,
    (S.FILLED, M.REPLACE_UNSURE): S.FILLED,
    (S.FILLED, M.CANCEL_REFUSED): S.FILLED,
    (S.FILLED, M.REPLACE_REFUSED): S.FILLED,
    (S.FILLED, M.REPLACED): S.WORKING,  # grown after it was filled: what was added still works
    (S.FILLED, M.GONE): S.FILLED,
    (S.FILLED, M.BUSTED): S.FILLED,
    (S.CANCELED, M.NOTHING): S.CANCELED,
    (S.CANCELED, M.ACK): S.CANCELED,
    (S.CANCELED, M.FILL): S.CANCELED,  # a fill after its own cancel: it happens
    (S.CANCELED, M.DONE): S.FILLED,
    (S.CANCELED, M.CANCELED): S.CANCELED,
    (S.CANCELED, M.EXPIRED): S.CANCELED,
    (S.CANCELED, M.REJECTED): S.CANCELED,
    (S.CANCELED, M.UNSURE): S.CANCELED,
    (S.CANCELED, M.CANCEL_UNSURE): S.CANCELED,
    (S.CANCELED, M.REPLACE_UNSURE): S.CANCELED,
    (S.CANCELED, M.CANCEL_REFUSED): S.CANCELED,
    (S.CANCELED, M.REPLACE_REFUSED): S.CANCELED,
    (S.CANCELED, M.GONE): S.CANCELED,
    (S.CANCELED, M.BUSTED): S.CANCELED,
    (S.EXPIRED, M.NOTHING): S.EXPIRED,
    (S.EXPIRED, M.ACK): S.EXPIRED,
    (S.EXPIRED, M.FILL): S.EXPIRED,
    (S.EXPIRED, M.DONE): S.FILLED,
    (S.EXPIRED, M.CANCELED): S.EXPIRED,
    (S.EXPIRED, M.EXPIRED): S.EXPIRED,
    (S.EXPIRED, M.REJECTED): S.EXPIRED,
    (S.EXPIRED, M.UNSURE): S.EXPIRED,
    (S.EXPIRED, M.CANCEL_UNSURE): S.EXPIRED,
    (S.EXPIRED, M.REPLACE_UNSURE): S.EXPIRED,
    (S.EXPIRED, M.CANCEL_REFUSED): S.EXPIRED,
    (S.EXPIRED, M.REPLACE_REFUSED): S.EXPIRED,
    (S.EXPIRED, M.GONE): S.EXPIRED,
    (S.EXPIRED, M.BUSTED): S.EXPIRED,
    (S.REJECTED, M.NOTHING): S.REJECTED,
    (S.REJECTED, M.ACK): S.REJECTED,  # accepted first, refused when it triggered, told the other way round
    (S.REJECTED, M.FILL): S.REJECTED,
    (S.REJECTED, M.DONE): S.FILLED,
    (S.REJECTED, M.CANCELED): S.REJECTED,
    (S.REJECTED, M.EXPIRED): S.REJECTED,
    (S.REJECTED, M.REJECTED): S.REJECTED,
    (S.REJECTED, M.UNSURE): S.REJECTED,
    (S.REJECTED, M.CANCEL_UNSURE): S.REJECTED,
    (S.REJECTED, M.REPLACE_UNSURE): S.REJECTED,
    (S.REJECTED, M.CANCEL_REFUSED): S.REJECTED,
    (S.REJECTED, M.REPLACE_REFUSED): S.REJECTED,
    (S.REJECTED, M.GONE): S.REJECTED,
    (S.REJECTED, M.BUSTED): S.REJECTED,
    (S.LOST, M.NOTHING): S.LOST,
    (S.LOST, M.ACK): S.WORKING,  # given up for dead, and alive: the venue's word counts
    (S.LOST, M.FILL): S.WORKING,
    (S.LOST, M.DONE): S.FILLED,
    (S.LOST, M.CANCELED): S.CANCELED,
    (S.LOST, M.EXPIRED): S.EXPIRED,
    (S.LOST, M.REJECTED): S.REJECTED,
    (S.LOST, M.UNSURE): S.LOST,
    (S.LOST, M.REPLACE_UNSURE): S.LOST,
    (S.LOST, M.REPLACE_REFUSED): S.LOST,
    (S.LOST, M.NOT_SENT): S.LOST,
    (S.LOST, M.GONE): S.LOST,
    (S.LOST, M.BUSTED): S.LOST,
}
"""(state now, meaning of the fact) -> state next. A missing row is a Surprise."""

OrderFact = ExecutionReport | OrderReport | RequestRefused | RequestUnknown | RequestNotSent | OrderNotFound

_BY_STATUS = {
    OrderStatus.FILLED: M.DONE,
    OrderStatus.CANCELED: M.CANCELED,
    OrderStatus.EXPIRED: M.EXPIRED,
    OrderStatus.REJECTED: M.REJECTED,
    OrderStatus.PENDING: M.NOTHING,
    OrderStatus.REPLACED: M.REPLACED,
}
_REFUSED = {"submit": M.REJECTED, "cancel": M.CANCEL_REFUSED, "replace": M.REPLACE_REFUSED}
_UNKNOWN = {"submit": M.UNSURE, "cancel": M.CANCEL_UNSURE, "replace": M.REPLACE_UNSURE}
_NOT_SENT = {"submit": M.NOT_SENT, "cancel": M.CANCEL_REFUSED, "replace": M.REPLACE_REFUSED}


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
    if kind is ExecutionReport or kind is OrderReport:
        assert isinstance(fact, ExecutionReport | OrderReport)
        about_pending = order.pending is not None and fact.client_order_id == order.pending.client_order_id
        if about_pending:
            return M.REPLACE_REFUSED if fact.status is OrderStatus.REJECTED else M.REPLACED
        if isinstance(fact, ExecutionReport) and fact.exec_ref_id:
            return M.BUSTED
        if fact.status is OrderStatus.REPLACED:
            return M.REPLACED if order.pending is not None else M.NOTHING
        if fact.client_order_id != order.client_order_id:
            return M.NOTHING  # an id that gave way: only its fills count, and they are booked
        if fact.status is OrderStatus.WORKING:
            return M.FILL if fact.cum_qty > 0 or (isinstance(fact, ExecutionReport) and fact.exec_id) else M.ACK
        if fact.status is OrderStatus.REJECTED and order.past_ids:
            return M.CANCELED  # the replacement was refused after the old order died: the chain ended
        return _BY_STATUS[fact.status]
    if isinstance(fact, RequestRefused):
        return _REFUSED[fact.verb]
    if isinstance(fact, RequestUnknown):
        return _UNKNOWN[fact.verb]
    if isinstance(fact, RequestNotSent):
        return _NOT_SENT[fact.verb]
    return M.GONE if proven_gone else M.NOTHING


def apply(order: LegOrder, fact: OrderFact, *, proven_gone: bool = False) -> LegOrder:
    """Return `order` after `fact`. Raises Surprise, with nothing changed, for a report that cannot be.

    >>> from grodtd.domain.orders import Leg, OrderType, Side
    >>> stop = LegOrder(Leg.STOP, "B7.stop1", Side.SELL, OrderType.STOP, Decimal(10), stop_px=Decimal(90))
    >>> after = apply(stop, ExecutionReport("B7.stop1", OrderStatus.WORKING, Decimal(4), "X1", Decimal(4), Decimal(90)))
    >>> after.state.value, after.cum_qty, after.leaves_qty
    ('working', Decimal('4'), Decimal('6'))
    """
    kind = type(fact)
    report = kind is ExecutionReport or kind is OrderReport
    if kind is ExecutionReport:
        assert isinstance(fact, ExecutionReport)
        if fact.exec_id and _known(order, fact.exec_id):
            return order
        order = _book(order, fact)
    elif kind is OrderReport:
        assert isinstance(fact, OrderReport)
        if fact.cum_qty > order.reported_cum:
            order = replace(order, reported_cum=fact.cum_qty, reported_avg_px=fact.avg_px or order.reported_avg_px)
    meaning = classify(order, fact, proven_gone=proven_gone)
    after = move(order, meaning)
    if meaning is M.REPLACED:
        after = _adopt(after)
        if report and fact.client_order_id == after.client_order_id:
            assert isinstance(fact, ExecutionReport | OrderReport)
            after = move(after, classify(after, fact))  # the same report also says how the new one fares
    elif meaning is M.REPLACE_REFUSED and after.pending is not None:
        after = replace(after, pending=None, past_ids=(*after.past_ids, after.pending.client_order_id))
    elif order.state is S.REPLACING and after.state is S.SENT:
        after = _adopt(after)
    if after.state in ALIVE and _gross(after) >= after.quantity and after.pending is None:
        after = replace(after, state=S.FILLED)
    if after.state is S.REJECTED and isinstance(fact, ExecutionReport | OrderReport | RequestRefused):
        after = replace(after, reason=fact.reason)
    return after


def _known(order: LegOrder, exec_id: str) -> bool:
    """Whether this execution (or bust) is booked."""
    for execution in order.executions:
        if execution.exec_id == exec_id:
            return True
    return any(bust.exec_id == exec_id for bust in order.busts)


def _book(order: LegOrder, report: ExecutionReport) -> LegOrder:
    """Fold an execution report's quantities in; the state is not touched."""
    if report.exec_ref_id:
        busted = next((e for e in order.executions if e.exec_id == report.exec_ref_id), None)
        px = report.last_px or (busted.px if busted else None) or order.limit_px or order.stop_px or ZERO
        fee = report.fee or (busted.fee if busted and busted.qty == report.last_qty else ZERO)
        asset = busted.fee_asset if busted else report.fee_asset
        bust = Execution(report.exec_id, report.last_qty, px, fee, asset)
        return replace(
            order,
            busts=(*order.busts, bust),
            # what the venue calls cumulative is after the bust: before it there was that much more
            reported_cum=max(order.reported_cum, report.cum_qty + report.last_qty),
        )
    if report.exec_id and report.last_px is not None and report.last_qty > 0:
        execution = Execution(report.exec_id, report.last_qty, report.last_px, report.fee, report.fee_asset)
        return replace(
            order,
            executions=(*order.executions, execution),
            reported_cum=report.cum_qty if report.cum_qty > order.reported_cum else order.reported_cum,
        )
    if report.cum_qty > order.reported_cum:
        return replace(order, reported_cum=report.cum_qty)
    return order


def _gross(order: LegOrder) -> Decimal:
    """Units ever filled, busts not taken off: a filled order stays filled when a trade is busted."""
    executed = sum((execution.qty for execution in order.executions), ZERO)
    return max(executed, order.reported_cum)


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
        valid_until_ns=new.valid_until_ns,
    )


def ask_cancel(order: LegOrder, now_ns: int) -> LegOrder:
    """Record that we are asking for its end; only the venue's terminal report ends it."""
    return replace(move(order, M.ASK_CANCEL), asked_ns=now_ns, cancel_wanted=True)


def ask_replace(order: LegOrder, new: NewOrder, now_ns: int) -> LegOrder:
    """Record that we are asking for `new` in its place."""
    return replace(move(order, M.ASK_REPLACE), pending=new, asked_ns=now_ns)
