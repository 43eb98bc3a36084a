"""Brackets that ended long ago leave memory; what may still come of them is told, and never crashes."""

import pytest
from msgspec.structs import replace

from grodtd.domain.bracket import Phase
from grodtd.domain.errors import Refused
from grodtd.domain.events import (
    BracketRequested,
    BracketsForgotten,
    FlattenRequested,
    OrderNotFound,
    PoliciesLoaded,
    ReleaseRequested,
    RequestRefused,
    RequestUnknown,
    TimerFired,
)
from grodtd.domain.notes import NoteKind, Severity
from grodtd.domain.orders import ExecutionReport, OrderReport, OrderStatus, Side
from grodtd.domain.policy import Policy, ProtectionPolicy
from grodtd.execution.forgotten import due_to_forget
from grodtd.execution.snapshot import decode, encode, restore, snapshot
from grodtd.monitoring.explain import in_words
from tests.unit.engine_kit import S, Trade, d

DAY = 86_400 * S


def ended(name="B", **more):
    """A trade whose bracket was stopped out, and ended; `engine.now_ns` is then."""
    trade = Trade(**more)
    trade.fills("stop1", 10, 90)
    assert trade.engine.bracket("B").phase is Phase.CLOSED
    return trade


def forget(trade, *names, after=DAY):
    trade.now_ns += after
    return trade.engine.process(BracketsForgotten(names, trade.now_ns, trade.now_ns))


def fill(trade, order, exec_id="late", *, event_ns=None, **more):
    report = ExecutionReport(
        order, OrderStatus.FILLED, cum_qty=d(10), exec_id=exec_id, last_qty=d(10), last_px=d(89), symbol="X",
        side=Side.SELL, ts_event_ns=trade.now_ns if event_ns is None else event_ns, ts_received_ns=trade.now_ns,
    )  # fmt: skip
    return trade.engine.process(replace(report, **more))


def test_an_ended_bracket_leaves_memory_and_its_name_stays_taken():
    trade = ended()
    outcome = forget(trade, "B")
    assert outcome.journal  # folded again from the journal, it is forgotten again
    assert trade.engine.bracket("B") is None
    assert trade.engine.has_forgotten("B")
    with pytest.raises(Refused, match=r"B was a bracket that has ended .*NOT looked after") as refused:
        trade.engine.process(
            BracketRequested("B", "X", Side.BUY, d(10), filled_qty=d(10), filled_px=d(100), ts_received_ns=trade.now_ns)
        )
    assert refused.value.code == "id_taken"
    for asked in (FlattenRequested("B"), ReleaseRequested("B", "mine")):
        with pytest.raises(Refused, match="has ended, long ago"):
            trade.engine.process(asked)


@pytest.mark.parametrize("told", ["open", "too soon", "an order of its rests"])
def test_what_is_not_over_stays(told):
    trade = Trade() if told != "too soon" else ended()
    if told == "an order of its rests":
        trade.acks("stop1")
        trade.release(keep_orders=True)
    forget(trade, "B", "nobody", after=1_800 * S if told == "too soon" else DAY)
    assert trade.engine.bracket("B") is not None
    assert not trade.engine.has_forgotten("B")


def test_a_late_fill_is_an_alarm_once_and_nothing_is_sent():
    trade = ended()
    forget(trade, "B")
    outcome = fill(trade, "B.stop1")
    assert outcome.commands == ()
    (note,) = outcome.notes
    assert (note.kind, note.severity, note.bracket_id) == (NoteKind.UNEXPLAINED_FILL, Severity.ALARM, "B")
    assert in_words(note) == (
        "rule 8, LOOK AT THE ACCOUNT: 10 X of B.stop1 filled at 89 (sell), long after its bracket ended: no bracket "
        "holds them"
    )
    assert not fill(trade, "B.stop1").journal  # every comparison lists it again
    assert fill(trade, "B.stop1", "another").journal


def test_a_fill_taken_back_is_told_too():
    trade = ended()
    forget(trade, "B")
    (note,) = fill(trade, "B.stop1", "bust", exec_ref_id="x1").notes
    assert "10 X of B.stop1 was taken back" in in_words(note)


def test_what_the_venue_lists_of_its_life_is_old_news():
    trade = ended()
    closed_ns = trade.engine.bracket("B").closed_ns
    forget(trade, "B")
    assert not fill(trade, "B.stop1", "e1", event_ns=closed_ns).journal


def test_its_own_last_fill_is_old_news_by_a_venue_whose_clock_is_ahead():
    trade = ended()
    closed_ns = trade.engine.bracket("B").closed_ns
    forget(trade, "B")
    assert not fill(trade, "B.stop1", "e1", event_ns=closed_ns + 5 * S).journal


def test_a_late_fill_of_an_entry_with_a_name_of_its_own_is_an_alarm_too():
    trade = ended()
    trade.engine.process(
        BracketRequested(
            "C", "X", Side.BUY, d(10), entry_client_order_id="app-77", filled_qty=d(10), filled_px=d(100),
            stop_px=d(90), ts_received_ns=trade.now_ns,
        )
    )  # fmt: skip
    fill(trade, "C.stop1", "out")
    assert trade.engine.bracket("C").phase is Phase.CLOSED
    forget(trade, "C")
    trade.engine = restore(decode(encode(snapshot(trade.engine))))
    (note,) = fill(trade, "app-77", side=Side.BUY).notes
    assert (note.kind, note.bracket_id) == (NoteKind.UNEXPLAINED_FILL, "C")


def test_nothing_else_about_it_matters_or_crashes():
    trade = ended()
    forget(trade, "B")
    now = {"ts_received_ns": trade.now_ns}
    for fact in (
        OrderReport("B.stop1", OrderStatus.CANCELED, **now),
        ExecutionReport("B.stop1", OrderStatus.CANCELED, **now),
        RequestRefused("B.stop1", "cancel", "unknown_order", **now),
        RequestUnknown("B.stop1", "cancel", **now),
        OrderNotFound("B.stop1", trade.now_ns, **now),
        TimerFired(trade.now_ns, trade.now_ns),
    ):
        assert not trade.engine.process(fact).journal, fact


def test_an_entry_order_looked_after_anew_stays_the_newer_brackets():
    trade = ended()
    first = trade.engine.bracket("B").orders[0].client_order_id
    trade.now_ns += DAY
    trade.engine.process(
        BracketRequested("B2", "X", Side.BUY, d(10), entry_client_order_id=first, ts_received_ns=trade.now_ns)
    )
    forget(trade, "B", after=0)
    outcome = fill(trade, first, "e2", side=Side.BUY)
    assert [command.bracket_id for command in outcome.commands] == ["B2"]


def test_policies_nobody_lives_under_go_too():
    trade = ended()
    other = Policy(protection=ProtectionPolicy(stop_retry_delay_s=d(3)))
    trade.tell(PoliciesLoaded({"default": other}))
    trade.request("B2", 10, 10)
    forget(trade, "B")
    assert list(snapshot(trade.engine).policies_in_use) == [other.fingerprint]
    assert trade.engine.terms(trade.engine.bracket("B2")).policy == other


def test_a_snapshot_remembers_what_was_forgotten():
    trade = ended()
    forget(trade, "B")
    fill(trade, "B.stop1")
    again = restore(decode(encode(snapshot(trade.engine))))
    assert again.has_forgotten("B")
    trade.engine = again
    assert not fill(trade, "B.stop1").journal
    assert fill(trade, "B.stop1", "another").journal


# ---------------------------------------------------------------- which ones


@pytest.mark.parametrize(
    ("told", "days_ago", "most", "dropped"),
    [
        ("the old ones", {"a": 31, "b": 29, "c": 1}, 100, ("a",)),
        ("the oldest, where there are too many", {"b": 2, "a": 3, "c": 1}, 2, ("a",)),
        ("all, where none is to be kept", {"a": 3, "b": 2}, 0, ("a", "b")),
        ("none within the hour", {"a": 0.04}, 0, ()),
        ("nobody is too many", {}, 0, ()),
    ],
)
def test_who_is_dropped(told, days_ago, most, dropped):
    trade = ended()
    held = [
        replace(trade.engine.bracket("B"), bracket_id=name, closed_ns=trade.now_ns - int(days * DAY))
        for name, days in days_ago.items()
    ]
    assert due_to_forget(held, trade.now_ns, kept_ns=30 * DAY, kept_most=most) == dropped, told


def test_an_open_bracket_is_nobody_to_drop_and_none_to_count():
    trade = Trade()
    assert due_to_forget([trade.engine.bracket("B")], trade.now_ns + 99 * DAY, kept_ns=DAY, kept_most=0) == ()
