"""One order's life, told as FIX tells it: its order-state matrices as tables, each row a step and what follows.

    "fill 4"      an execution of 4, with the cumulative quantity after it
    "(fill 4)"    the same, told only later: "told" hands over everything withheld, oldest first
    "again"       the last report once more
Expected: "state filled/quantity id", as far as it is told.
"""

from decimal import Decimal
from functools import cache
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grodtd.domain.bracket import LegOrder, OrderState
from grodtd.domain.errors import Surprise
from grodtd.domain.events import OrderNotFound, RequestNotSent, RequestRefused, RequestUnknown
from grodtd.domain.money import ZERO, plain
from grodtd.domain.orders import ExecutionReport, Leg, NewOrder, OrderReport, OrderStatus, OrderType, Side
from grodtd.execution import order_lifecycle
from grodtd.execution.order_lifecycle import ask_cancel, ask_replace
from tests.walks.mutants import Noted

WORKING, FILLED, CANCELED = OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELED
ENDS = {"canceled": CANCELED, "expired": OrderStatus.EXPIRED, "rejected": OrderStatus.REJECTED}

LIVES = {
    # The plain ways.
    "D1 filled": (10, "new; fill 2; fill 1; fill 7", "filled 10/10"),
    "D1 filled before it is acknowledged": (10, "fill 10; new", "filled 10/10"),
    "D1 the fill overtakes the acknowledgement": (10, "fill 4; new", "working 4/10"),
    "D2 part filled at the end of the day": (10, "new; fill 2; expired", "expired 2/10"),
    "rejected": (10, "rejected", "rejected 0/10"),
    "rejected at once, told the other way round": (10, "(new); rejected; told", "rejected 0/10"),
    "refused by the gateway": (10, "refused", "rejected 0/10"),
    "refused when it triggers": (10, "new; rejected", "rejected 0/10"),
    "D31 fill or kill, killed": (10, "expired", "expired 0/10"),
    "known there, not yet at work": (10, "pending", "sent 0/10"),
    "a part of it before the acknowledgement": (10, "fill 4", "working 4/10"),
    # Filled, says the venue, at less than we asked: it made the order smaller.
    "cut, and filled at once": (10, "done 6", "filled 6/10"),
    "cut, and filled": (10, "new; done 6", "filled 6/10"),
    "cut, and filled, no answer": (10, "unknown; done 6", "filled 6/10"),
    "cut, and filled while the cancel travels": (10, "new; cancel; done 6", "filled 6/10"),
    "cut, and filled while a replace travels": (10, "new; replace 5; done 6", "filled 6/10"),
    "cut, and filled after it was given up": (10, "vanished; done 6", "filled 6/10"),
    "cut, and filled after its cancel": (10, "canceled; done 6", "filled 6/10"),
    "cut, and filled after it expired": (10, "expired; done 6", "filled 6/10"),
    "cut, and filled after it was rejected": (10, "rejected; done 6", "filled 6/10"),
    # Cancels.
    "D3 canceled, nothing filled": (10, "new; cancel; canceled", "canceled 0/10"),
    "D4 fills while the cancel travels": (10, "new; fill 2; cancel; fill 5; canceled", "canceled 7/10"),
    "D4 in between": (10, "new; fill 2; cancel; fill 5", "cancelling 7/10"),
    "D5 filled before the cancel arrives": (10, "new; fill 2; cancel; fill 8; cancel refused", "filled 10/10"),
    "D5 the refusal overtakes the fill": (10, "new; cancel; (fill 10); cancel refused; told", "filled 10/10"),
    "D5 refused: it may still work": (10, "new; cancel; cancel refused", "working 0/10"),
    "B.1.d cancel before the acknowledgement": (10, "(new); canceled; told", "canceled 0/10"),
    "B.1.e cancel crosses the acknowledgement": (10, "new; cancel; new; canceled", "canceled 0/10"),
    "B.1.f cancel of an order unknown there": (10, "new; cancel; cancel refused; vanished", "lost 0/10"),
    "B.1.e the acknowledgement comes while the cancel travels": (10, "new; cancel; new", "cancelling 0/10"),
    "asked twice, no end yet": (10, "new; cancel; cancel", "cancelling 0/10"),
    "asked twice": (10, "new; cancel; cancel; canceled", "canceled 0/10"),
    "expired while the cancel travels": (10, "new; cancel; expired", "expired 0/10"),
    "rejected while the cancel travels": (10, "new; cancel; rejected", "rejected 0/10"),
    "forgotten while the cancel travels": (10, "new; cancel; vanished", "lost 0/10"),
    "a cancel nobody answers": (10, "new; cancel; unknown", "cancelling 0/10"),
    "a fill after its cancel": (10, "new; cancel; canceled; fill 3", "canceled 3/10"),
    "filled whole after its cancel": (10, "new; cancel; canceled; fill 10", "filled 10/10"),
    # Unsolicited ends (E).
    "E canceled by the venue": (10, "new; fill 1; canceled", "canceled 1/10"),
    "E expired, and filled by a late print": (10, "new; expired; fill 10", "filled 10/10"),
    "E expired, and filled in part by a late print": (10, "new; expired; fill 4", "expired 4/10"),
    "E rejected, and filled all the same": (10, "rejected; fill 10", "filled 10/10"),
    "E forgotten by the venue": (10, "new; vanished", "lost 0/10"),
    "E reinstated after it was given up": (10, "new; vanished; new", "working 0/10"),
    "K halted: it keeps its place": (10, "new; fill 1; pending", "working 1/10"),
    # Replaces.
    "D6 replaced up": (10, "new; replace 11; replaced", "working 0/11 B.stop2"),
    "D7 filled in part, replaced up": (10, "new; fill 2; replace 12; replaced; fill 10", "filled 12/12 B.stop2"),
    "D8 fills while the replace travels": (10, "new; fill 2; replace 12; fill 3; replaced", "working 5/12 B.stop2"),
    "D8 replaced down": (10, "new; fill 2; replace 6; fill 3; replaced; fill 1", "filled 6/6 B.stop2"),
    "D9 filled, a replace comes too late": (10, "new; replace 8; fill 10; replace refused", "filled 10/10 B.stop1"),
    "D9 filled as we stand, the replace was taken": (10, "new; replace 12; fill 10; replaced", "working 10/12 B.stop2"),
    "D9 filled as we stand, the replace was refused": (10, "new; replace 12; fill 10; replace refused", "filled 10/10"),
    "D10 refused, a fill in between": (10, "new; replace 8; fill 3; replace refused", "working 3/10 B.stop1"),
    "D10 refused by a report of the new one": (10, "new; replace 8; new one rejected", "working 0/10 B.stop1"),
    "D10 down to more than is filled": (10, "new; fill 3; replace 8; replaced", "working 3/8 B.stop2"),
    "D11 down to what is filled": (10, "new; fill 7; replace 7; replaced", "filled 7/7 B.stop2"),
    "D12 down to less than is filled": (10, "new; fill 5; replace 7; fill 4; replaced", "filled 9/7 B.stop2"),
    "D13 one after the other": (10, "new; replace 11; replaced; replace 12; replaced", "working 0/12 B.stop3"),
    "D14 the first refused, the second taken": (
        10, "new; replace 11; replace refused; replace 12; replaced", "working 0/12 B.stop3"),
    "D15 refused once it was pending": (
        10, "new; replace 11; new one pending; replace refused; replace 12; replaced", "working 0/12 B.stop3"),
    "D16 chained, and filled on the way": (
        10, "new; replace 11; fill 1; replaced; replace 12; fill 2; replaced; fill 9", "filled 12/12 B.stop3"),
    "D17 the second is canceled": (10, "new; replace 11; replaced; cancel; fill 2; canceled", "canceled 2/11 B.stop2"),
    "a replace that never left": (10, "new; replace 11; replace not sent", "working 0/10 B.stop1"),
    "a replace nobody answers": (10, "new; replace 11; unknown", "replacing 0/10 B.stop1"),
    "a replace that vanished": (10, "new; replace 11; new one vanished", "working 0/10 B.stop1"),
    "acknowledged late, while a replace travels": (10, "replace 11 early; new; replaced", "working 0/11 B.stop2"),
    "the old one goes, the new one is awaited": (10, "new; replace 8; canceled", "sent 0/8 B.stop2"),
    "the old one goes first": (10, "new; replace 8; canceled; replaced", "working 0/8 B.stop2"),
    "the old one goes, the new one is refused": (10, "new; fill 1; replace 8; canceled; new one rejected",
                                                "canceled 1/8"),
    "the old one went, by a query": (10, "new; replace 8; vanished; replaced", "working 0/8 B.stop2"),
    "the old one told its end in words": (10, "new; replace 8; old replaced", "working 0/8 B.stop2"),
    "the new one was taken, and rejected before we heard": (
        10, "new; replace 8; new one rejected; old replaced", "canceled 0/10 B.stop1"),
    "late fill of the old one": (10, "new; (fill 2); replace 12; replaced; told", "working 2/12 B.stop2"),
    # Requests without an answer.
    "no answer": (10, "unknown", "unsure 0/10"),
    "no answer, then taken": (10, "unknown; new", "working 0/10"),
    "no answer, then filled in part": (10, "unknown; fill 4", "working 4/10"),
    "no answer, then filled": (10, "unknown; fill 10", "filled 10/10"),
    "no answer, then canceled": (10, "unknown; canceled", "canceled 0/10"),
    "no answer, then expired": (10, "unknown; expired", "expired 0/10"),
    "no answer, then rejected": (10, "unknown; rejected", "rejected 0/10"),
    "no answer, not found, may still travel": (10, "unknown; not found", "unsure 0/10"),
    "no answer, not found, too old": (10, "unknown; vanished", "lost 0/10"),
    "on its way, not found": (10, "not found", "sent 0/10"),
    "on its way, and it died with us": (10, "vanished", "lost 0/10"),
    "it never left": (10, "not sent", "lost 0/10"),
    "given up, asked again": (10, "vanished; vanished", "lost 0/10"),
    "given up, and it filled in part": (10, "vanished; fill 4", "working 4/10"),
    "given up, and it filled": (10, "vanished; fill 10", "filled 10/10"),
    "given up, and it was canceled": (10, "vanished; canceled", "canceled 0/10"),
    "given up, and it expired": (10, "vanished; expired", "expired 0/10"),
    "given up, and it was rejected": (10, "vanished; rejected", "rejected 0/10"),
    # D31 possible resends, and duplicates.
    "the same execution twice": (10, "new; fill 4; again", "working 4/10"),
    "the end twice": (10, "new; fill 4; canceled; again", "canceled 4/10"),
    "its second copy is refused as a duplicate": (10, "unknown; refused", "unsure 0/10"),
    "refused as a duplicate of what works": (10, "new; refused", "working 0/10"),
    "its old news after its end": (10, "(new); (fill 4); fill 6; told", "filled 10/10"),
    # Busts (J).
    "J a fill is taken back": (10, "new; fill 4; bust 1", "working 0/10"),
    "J one of two": (10, "new; fill 4; fill 3; bust 1", "working 3/10"),
    "J twice told": (10, "new; fill 4; bust 1; again", "working 0/10"),
    "J after the end": (10, "new; fill 4; fill 6; bust 2", "filled 4/10"),
    "J before the fill itself is told": (10, "new; (fill 4); bust 1; told", "working 0/10"),
    "J of a canceled order": (10, "new; fill 4; canceled; bust 1", "canceled 0/10"),
    "J while the cancel travels": (10, "new; fill 4; cancel; bust 1; canceled", "canceled 0/10"),
    "J while a replace travels": (10, "new; fill 4; replace 12; bust 1; replaced", "working 0/12"),
}  # fmt: skip


class Life:
    """An order, and the venue's side of it."""

    def __init__(self, quantity):
        self.order = LegOrder(Leg.STOP, "B.stop1", Side.SELL, OrderType.STOP, Decimal(quantity), stop_px=Decimal(90))
        self.cum, self.execs, self.withheld, self.last, self.serial = ZERO, [], [], None, 1
        self.whole = Decimal(quantity)

    def hear(self, fact, *, proven_gone=False):
        self.last = fact
        self.order = order_lifecycle.apply(self.order, fact, proven_gone=proven_gone)

    def step(self, words):
        if words.startswith("("):
            self.withheld.append(self.fact(words.strip("()")))
        elif words == "told":
            for fact in self.withheld:
                self.hear(fact)
        elif words == "again":
            self.hear(self.last)
        elif words == "cancel":
            self.order = ask_cancel(self.order, 0)
        elif words.startswith("replace ") and words.split()[1].isdigit():
            if words.endswith("early"):
                self.hear(self.fact("new"))
            self.serial += 1
            quantity = Decimal(words.split()[1])
            new = NewOrder(f"B.stop{self.serial}", "X", Side.SELL, OrderType.STOP, quantity, stop_px=Decimal(91))
            self.order = ask_replace(self.order, new, 0)
        else:
            self.hear(self.fact(words), proven_gone="vanished" in words)

    def fact(self, words):
        here = self.order.client_order_id
        new = self.order.pending.client_order_id if self.order.pending else here
        verb, *rest = words.split()
        if verb == "fill":
            return self.execution(here, Decimal(rest[0]))
        if verb == "done":
            self.cum = Decimal(rest[0])
            return ExecutionReport(here, FILLED, self.cum)
        if verb == "bust":
            exec_id, quantity = self.execs[int(rest[0]) - 1]
            self.cum -= quantity
            status = self.order.state if self.order.state in (FILLED, CANCELED) else WORKING
            return ExecutionReport(
                here, OrderStatus(status.value), self.cum, f"bust {exec_id}", quantity, None, exec_ref_id=exec_id
            )
        requests = {
            "unknown": RequestUnknown(here, "submit"),
            "refused": RequestRefused(here, "submit", "duplicate", ""),
            "not sent": RequestNotSent(here, "submit"),
            "cancel refused": RequestRefused(here, "cancel", "too_late", ""),
            "replace refused": RequestRefused(here, "replace", "too_late", "", new),
            "replace not sent": RequestNotSent(here, "replace", "", new),
            "not found": OrderNotFound(here, 0),
            "vanished": OrderNotFound(here, 0),
            "new one vanished": OrderNotFound(new, 0),
            "new": ExecutionReport(here, WORKING, self.cum),
            "pending": ExecutionReport(here, OrderStatus.PENDING, self.cum),
            "new one pending": ExecutionReport(new, OrderStatus.PENDING, self.cum),
            "new one rejected": ExecutionReport(new, OrderStatus.REJECTED, self.cum),
            "old replaced": ExecutionReport(here, OrderStatus.REPLACED, self.cum),
        }
        if words == "replaced":
            self.whole = self.order.pending.quantity if self.order.pending else self.order.quantity
            return ExecutionReport(new, FILLED if self.cum >= self.whole else WORKING, self.cum)
        return requests.get(words) or ExecutionReport(here, ENDS[words], self.cum)

    def execution(self, cid, quantity):
        self.cum += quantity
        exec_id = f"X{len(self.execs) + 1}"
        self.execs.append((exec_id, quantity))
        status = FILLED if self.cum >= self.whole else WORKING
        return ExecutionReport(cid, status, self.cum, exec_id, quantity, Decimal(90))

    def words(self):
        order = self.order
        return f"{order.state.value} {plain(order.cum_qty)}/{plain(order.quantity)} {order.client_order_id}"


def told(name):
    quantity, steps, expected = LIVES[name]
    life = Life(quantity)
    for step in steps.split("; "):
        life.step(step)
        assert life.order.leaves_qty >= 0
    return life.words(), expected


@pytest.mark.parametrize("name", LIVES)
def test_a_life(name):
    came, expected = told(name)
    assert came.startswith(expected)


def test_news_that_cannot_be_is_a_surprise_and_changes_nothing():
    order = Life(10).order
    with pytest.raises(Surprise, match=r"(?s)sent.*ASK_REPLACE"):
        ask_replace(order, NewOrder("B.stop2", "X", Side.SELL, OrderType.STOP, Decimal(3)), 0)


# ---------------------------------------------------------------- the table itself


@cache
def lives_by_row():
    """Row of the table -> the lives that come through it."""
    whole, found = order_lifecycle.TABLE, {}
    try:
        for name in LIVES:
            order_lifecycle.TABLE = Noted(whole)
            told(name)
            for key in order_lifecycle.TABLE.used:
                found.setdefault(key, []).append(name)
    finally:
        order_lifecycle.TABLE = whole
    return found


def test_every_row_is_needed():
    assert set(lives_by_row()) == set(order_lifecycle.TABLE)


@pytest.mark.parametrize("key", order_lifecycle.TABLE, ids=lambda key: f"{key[0].name}-{key[1].name}")
def test_no_row_can_be_deleted_or_turned_unnoticed(key, monkeypatch):
    whole = order_lifecycle.TABLE
    lives = lives_by_row()[key]
    for hole in ("deleted", *(state for state in OrderState if state is not whole[key])):
        table = {k: row for k, row in whole.items() if k != key}
        if hole != "deleted":
            table[key] = hole
        monkeypatch.setattr(order_lifecycle, "TABLE", table)
        assert any(_differs(name) for name in lives), f"{hole}: no life notices"


def _differs(name):
    try:
        came, expected = told(name)
    except (Surprise, AssertionError):
        return True
    return not came.startswith(expected)


# ---------------------------------------------------------------- any order, any number of times


def reports(executions, end, quantity):
    """What a venue says of one order: acknowledged, its executions, its end, with cumulative quantities."""
    said, cum = [ExecutionReport("B.stop1", WORKING, ZERO)], ZERO
    for number, size in enumerate(executions, 1):
        cum += size
        status = FILLED if cum == quantity else WORKING
        said.append(ExecutionReport("B.stop1", status, cum, f"X{number}", Decimal(size), Decimal(90)))
    if end is not None and cum < quantity:
        said.append(ExecutionReport("B.stop1", end, cum))
    return said, cum


SAID = {
    "filled in four": ([1, 2, 3, 4], None),
    "filled in two": ([4, 6], None),
    "canceled after three": ([1, 2, 3], CANCELED),
    "expired after two": ([4, 2], OrderStatus.EXPIRED),
    "rejected when it triggered": ([], OrderStatus.REJECTED),
    "still at work": ([2, 2, 1], None),
}


@pytest.mark.parametrize("name", SAID)
def test_the_same_reports_in_every_order_give_the_same_order(name):
    """All permutations of up to six reports, each report once and twice."""
    executions, end = SAID[name]
    said, cum = reports(executions, end, 10)
    assert len(said) <= 6
    ended = FILLED.value if cum == 10 else end.value if end else "working"
    for arrival in permutations(said):
        for stream in (arrival, [report for report in arrival for _ in range(2)], [*arrival, *arrival]):
            life = Life(10)
            for report in stream:
                life.hear(report)
            assert life.words() == f"{ended} {plain(cum)}/10 B.stop1", arrival


@given(st.data())
@settings(max_examples=200)
def test_lives_of_any_length_arrive_in_any_order(data):
    executions = data.draw(st.lists(st.integers(1, 4), max_size=8).filter(lambda sizes: sum(sizes) <= 12))
    end = data.draw(st.sampled_from([None, CANCELED, OrderStatus.EXPIRED]))
    said, cum = reports([Decimal(n) for n in executions], end, 12)
    snapshot = OrderReport("B.stop1", said[-1].status, cum, Decimal(90) if cum else None)
    copies = data.draw(st.lists(st.sampled_from([*said, snapshot]), max_size=8))
    life = Life(12)
    for report in data.draw(st.permutations(said + copies)):
        life.hear(report)
    ended = "filled" if cum == 12 else end.value if end else "working"
    assert life.words() == f"{ended} {plain(cum)}/12 B.stop1"
