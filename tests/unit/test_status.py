"""What a trader reads at a glance: how much is protected, how much is exposed, how much nobody knows."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.bracket import Bracket, ExitState, LegOrder, Levels, OrderState, Phase
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.notes import Note, NoteKind, Severity
from grodtd.domain.orders import Leg, OrderType, Side, TimeInForce
from grodtd.domain.policy import Plan, Policy
from grodtd.execution.terms import Terms
from grodtd.monitoring.status import alarm_of, bracket_status, status_of
from grodtd.monitoring.status_troubles import clock_off, snapshot_failed
from grodtd.monitoring.status_values import Daemon, Situation
from grodtd.monitoring.status_words import NOT_OURS, ruler
from grodtd.runtime.silence import ORDERS, PRICES, Trouble
from grodtd.venue.profiles import MARGIN

S = 1_000_000_000
NOW = 1_000 * S
TERMS = Terms.of(Policy(), Instrument("X", min_notional=Decimal(10)), MARGIN)
DAEMON = Daemon("0.1.0", "paper", "paper", 1, 5.0, "c0ffee", "journal.db", 7, 1, 20.0)


def leg(kind, quantity, state, *, filled=0, px="95", tif=TimeInForce.GTC, side=Side.SELL):
    return LegOrder(
        kind,
        f"B1.{kind.value}1",
        side,
        OrderType.STOP if kind is Leg.STOP else OrderType.LIMIT,
        Decimal(quantity),
        stop_px=Decimal(px) if kind is Leg.STOP else None,
        state=state,
        reported_cum=Decimal(filled),
        time_in_force=tif,
        sent_ns=NOW - 2 * S,
        asked_ns=NOW - S,
    )


def bracket(held, *exits, **more):
    """A long of `held` units from 100, stop 95, target 110, and these exits."""
    entry = leg(Leg.ENTRY, held, OrderState.FILLED, filled=held, side=Side.BUY)
    given = {
        "phase": Phase.OPEN,
        "levels": Levels(Decimal(100), Decimal(95), Decimal(110)),
        "stop_px": Decimal(95),
        "target_px": Decimal(110),
    }
    named = {"bracket_id": "B1", "symbol": "X", "side": Side.BUY, "strategy": "default", "policy_fingerprint": "f"}
    kept = {"plan": Plan.STOP_RESTING, "plan_reason": "", "entry_qty_wanted": Decimal(held)}
    return Bracket(**{**named, **kept, **given, "orders": (entry, *exits), **more})


def stop(quantity, state=OrderState.WORKING, **more):
    return leg(Leg.STOP, quantity, state, **more)


def exit_(quantity, state=OrderState.WORKING):
    return leg(Leg.EXIT, quantity, state)


TAKEN = leg(Leg.TARGET, 60, OrderState.FILLED, filled=60)
OFFLINE = "UNPROTECTED OFFLINE: no stop rests at the venue, it is watched here while this program runs"
W, SENT, UNSURE = OrderState.WORKING, OrderState.SENT, OrderState.UNSURE


@pytest.mark.parametrize(
    ("told", "held", "exits", "protected", "unknown", "exposed"),
    [
        ("a stop for everything rests", 100, [stop(100)], 100, 0, 0),
        ("two stops, one for each part of the entry", 100, [stop(60), stop(40)], 100, 0, 0),
        ("nothing rests", 100, [], 0, 0, 100),
        ("the stop is too small", 100, [stop(60)], 60, 0, 40),
        ("the stop is sent and not acknowledged", 100, [stop(100, SENT)], 0, 100, 0),
        ("the stop's request had no answer", 100, [stop(100, UNSURE)], 0, 100, 0),
        ("part rests, part has no answer, part has nothing", 100, [stop(50), stop(30, UNSURE)], 50, 30, 20),
        ("the stop is looser than the level: no cover", 100, [stop(100, px="94")], 0, 0, 100),
        ("the stop is tighter than the level", 100, [stop(100, px="96")], 100, 0, 0),
        ("the stop is asked to go but not gone", 100, [stop(100, OrderState.CANCELLING)], 100, 0, 0),
        ("an exit is on its way", 100, [exit_(100)], 100, 0, 0),
        ("an exit's fate is not known", 100, [exit_(100, UNSURE)], 0, 100, 0),
        ("more rests than is held: nobody is safer for it", 100, [stop(150)], 100, 0, 0),
        ("a target alone protects nothing", 100, [leg(Leg.TARGET, 100, W)], 0, 0, 100),
    ],
)
def test_what_is_open_is_protected_unknown_or_exposed(told, held, exits, protected, unknown, exposed):
    status = bracket_status(bracket(held, *exits), TERMS, NOW)
    assert (status.protected_qty, status.unknown_qty, status.exposed_qty) == (protected, unknown, exposed), told


def test_before_the_venue_was_asked_nothing_is_known_to_be_protected():
    status = bracket_status(bracket(100, stop(60)), TERMS, NOW, confirmed=False)
    assert (status.protected_qty, status.unknown_qty, status.exposed_qty) == (0, 60, 40)
    status = bracket_status(bracket(100, stop(100)), TERMS, NOW, confirmed=False)
    assert status.verdict == "UNKNOWN 100 of 100: not compared with the venue yet"


@given(st.lists(st.tuples(st.sampled_from([Leg.STOP, Leg.EXIT]), st.integers(1, 200), st.sampled_from(OrderState))))
def test_the_parts_always_add_up(exits):
    status = bracket_status(bracket(100, *(leg(kind, size, state) for kind, size, state in exits)), TERMS, NOW)
    assert status.protected_qty + status.unknown_qty + status.exposed_qty == 100
    assert min(status.protected_qty, status.unknown_qty, status.exposed_qty) >= 0


def test_what_cannot_be_sold_is_told_apart():
    terms = Terms.of(Policy(), Instrument("X", lot_size=Decimal(10)), MARGIN)
    status = bracket_status(bracket(105, stop(100)), terms, NOW)
    assert (status.open_qty, status.protected_qty, status.exposed_qty, status.residue_qty) == (105, 100, 0, 5)


@pytest.mark.parametrize(
    ("held", "exits", "more", "level", "verdict"),
    [
        (100, [stop(100)], {}, "ok", "protected: 100 behind stop 95"),
        (
            100,
            [stop(100)],
            {"levels": Levels(Decimal(100), Decimal(95), None, fallback=True)},
            "ok",
            "protected: 100 behind stop 95, by the fallback percentage",
        ),
        (
            100,
            [],
            {"naked_since_ns": NOW - 3 * S, "stop_failures": 2, "stop_retry_at_ns": NOW + S // 2},
            "alarm",
            "EXPOSED 100 of 100 for 3 s: the stop was refused or lost 2 times; next try in 0.5 s",
        ),
        (
            100,
            [],
            {"local_stop_until_ns": NOW + 20 * S},
            "alarm",
            "EXPOSED 100 of 100: the venue refuses the stop: it is watched here, and after 20.0 s we leave at market",
        ),
        (
            100,
            [],
            {"exits": ExitState.TAKE},
            "alarm",
            "EXPOSED 100 of 100: the target is being taken: the stop went first",
        ),
        (
            100,
            [],
            {"exits": ExitState.LEAVE, "exit_reason": "stop", "exit_attempts": 2, "exit_retry_at_ns": NOW + S},
            "alarm",
            "EXPOSED 100 of 100: leaving at market (stop), attempt 2; next try in 1.0 s",
        ),
        (
            100,
            [],
            {"plan": Plan.SYNTHETIC},
            "alarm",
            f"EXPOSED 100 of 100: {OFFLINE}",
        ),
        (
            100,
            [stop(100)],
            {"frozen_reason": "no row"},
            "warning",
            "FROZEN with 100 protected: no row",
        ),
        (
            100,
            [exit_(100)],
            {"exits": ExitState.LEAVE, "exit_reason": "manual", "phase": Phase.EXITING},
            "ok",
            "leaving at market (manual), 100 on the way out",
        ),
        (100, [], {"phase": Phase.CLOSED, "exit_reason": "stop"}, "ok", "closed (stop)"),
        (100, [stop(100, OrderState.FILLED, filled=100)], {"phase": Phase.CLOSED}, "ok", "closed (stop)"),
        (100, [TAKEN, stop(40, OrderState.FILLED, filled=40)], {"phase": Phase.CLOSED}, "ok", "closed (target, stop)"),
        (100, [stop(100, OrderState.CANCELED)], {"phase": Phase.CLOSED}, "ok", "closed"),
        (100, [TAKEN], {"phase": Phase.RELEASED}, "ok", "released"),
    ],
)
def test_each_bracket_says_in_a_sentence_how_it_stands(held, exits, more, level, verdict):
    status = bracket_status(bracket(held, *exits, **more), TERMS, NOW)
    assert (status.level, status.verdict) == (level, verdict)


def situation(*brackets, **more):
    return Situation(
        **{
            "now_ns": NOW,
            "daemon": DAEMON,
            "brackets": brackets,
            "terms_of": lambda _: TERMS,
            "quotes": {"X": Quote("X", Decimal(99), Decimal(101), ts_received_ns=NOW - S)},
            "last_quote_ns": NOW - S,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("told", "given", "level", "verdict"),
    [
        ("quiet", situation(), "ok", f"no bracket is open; {NOT_OURS}"),
        ("as it should be", situation(bracket(100, stop(100))), "ok", "all protected: 100 X"),
        (
            "one of two is bare",
            situation(bracket(100, stop(100)), bracket(7, bracket_id="B2", symbol="Y", naked_since_ns=NOW - 4 * S)),
            "alarm",
            "EXPOSED: 7 Y, naked for 4 s (worst: B2)",
        ),
        (
            "exposed comes before unknown",
            situation(bracket(100, stop(60, UNSURE), naked_since_ns=NOW - S)),
            "alarm",
            "EXPOSED: 40 X, naked for 1 s (worst: B1)",
        ),
        (
            "unknown",
            situation(bracket(100, stop(100, UNSURE), naked_since_ns=NOW - S)),
            "alarm",
            "UNKNOWN: 100 X, naked for 1 s (worst: B1)",
        ),
        ("the line is cut", situation(bracket(100, stop(100)), link_up=False), "warning", "all protected: 100 X"),
        (
            "an ended bracket is no concern",
            situation(bracket(100, phase=Phase.RELEASED)),
            "ok",
            f"no bracket is open; {NOT_OURS}",
        ),
        (
            "an entry waits",
            situation(bracket(0, phase=Phase.WAITING, levels=None)),
            "ok",
            f"1 bracket(s) wait, none holds anything; {NOT_OURS}",
        ),
    ],
)
def test_everything_in_one_sentence_the_worst_first(told, given, level, verdict):
    status = status_of(given)
    assert (status.level, status.verdict) == (level, verdict), told
    assert bool(status.totals.exposed_qty or status.totals.unknown_qty) is (level == "alarm")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"compared": False, "compare_error": "no answer"}, "not compared with the venue since the start: no answer"),
        ({"compare_error": "no answer"}, "the last comparison with the venue failed: no answer"),
        ({"link_up": False}, "the connection to the venue is down"),
        ({"journal_error": "disk full"}, "the journal cannot be written: disk full"),
        ({"orphans": ["B9.stop1"]}, "orders of ours without a bracket at the venue: B9.stop1"),
        ({"faults": ["KeyError: 'x'"]}, "1 fault(s) in this program"),
        ({"stopping": True}, "stopping: no new brackets"),
        ({"last_quote_ns": 0}, "no quote has come yet"),
        ({"troubles": clock_off(2.5, "", 1)}, "this computer's clock is 2.5 s behind the venue's: synchronise it"),
        ({"troubles": clock_off(-2.5, "", 1)}, "this computer's clock is 2.5 s ahead of the venue's"),
        ({"troubles": clock_off(25, "this computer's clock is off", 1)}, "clock is off; no new entries until then"),
        (
            {"troubles": snapshot_failed("the disk is full", 0)},
            "the snapshot of 1970-01-01 00:00:00.000 could not be kept (the disk is full): nothing is lost",
        ),
    ],
)
def test_whatever_else_is_wrong_is_a_warning_of_its_own(more, problem):
    status = status_of(situation(bracket(100, stop(100)), **more))
    assert status.level == ("warning" if more.get("compared", True) else "alarm")
    assert any(problem in line for line in status.problems), status.problems


def test_a_fill_that_a_rule_could_not_protect_is_exposed():
    status = status_of(situation(bracket(100, stop(100)), unprotected_fills=["tv-1: 10 X (no answer)"]))
    assert status.level == "alarm"
    assert status.verdict == "EXPOSED: a fill by another hand is not protected: tv-1: 10 X (no answer)"


NO_NEWS, NO_PRICES = Trouble(ORDERS, "no news"), Trouble(PRICES, "no prices of X", about="X")


@pytest.mark.parametrize(
    ("told", "troubles", "level", "verdict", "silent"),
    [
        ("orders", [NO_NEWS], "alarm", "SILENT: no news", ("orders",)),
        ("prices", [NO_PRICES], "warning", "SILENT: no prices of X; all protected: 100 X", ("prices:X",)),
        ("both: orders come first", [NO_NEWS, NO_PRICES], "alarm", "SILENT: no news", ("orders", "prices:X")),
        ("nobody waits for them", [Trouble(PRICES, "late", serious=False)], "warning", "all protected: 100 X", ()),
    ],
)
def test_a_silent_stream_leads(told, troubles, level, verdict, silent):
    status = status_of(situation(bracket(100, stop(100)), troubles=troubles))
    assert (status.level, status.verdict, status.silent) == (level, verdict, silent), told
    assert status.problems == tuple(trouble.words for trouble in troubles)


def test_what_is_exposed_comes_before_a_silent_stream():
    status = status_of(situation(bracket(100, stop(60), naked_since_ns=NOW - S), troubles=[NO_NEWS]))
    assert status.verdict.startswith("EXPOSED: 40 X")
    assert status.problems == ("no news",)


@pytest.mark.parametrize(("off_s", "told"), [(None, 0), (0.9, 0), (-0.9, 0), (1.1, 1), (-1.1, 1)])
def test_a_clock_that_is_off_is_told_beyond_the_bound(off_s, told):
    assert len(clock_off(off_s, "", 1)) == told


def test_figures_of_the_house_stand_in_the_status():
    status = status_of(situation(snapshot_error="the disk is full", clock_off_s=-0.12345))
    assert (status.snapshot_error, status.clock_off_s) == ("the disk is full", -0.123)


def test_ages_and_unresolved_orders():
    status = status_of(situation(bracket(100, stop(100, UNSURE)), last_report_ns=NOW - 5 * S))
    assert (status.last_quote_age_s, status.last_report_age_s) == (1.0, 5.0)
    assert [(u.client_order_id, u.state, u.age_s) for u in status.unresolved] == [("B1.stop1", "unsure", 1.0)]
    assert [(s.symbol, s.bid, s.quote_age_s, s.unknown_qty) for s in status.symbols] == [("X", 99, 1.0, 100)]


def test_an_alarm_is_kept_and_small_talk_is_not():
    note = Note(NoteKind.NAKED, "B1", NOW, {}, Severity.ALARM)
    assert alarm_of(note, "NAKED").severity == "alarm"
    assert alarm_of(Note(NoteKind.CLOSED, "B1", NOW), "closed") is None


# ---------------------------------------------------------------- the ruler


def drawn(px, side=Side.BUY, stop_px=90, target=110, entry=100):
    levels = Levels(Decimal(entry), Decimal(stop_px), None if target is None else Decimal(target))
    one = bracket(1, levels=levels, stop_px=levels.stop_px, target_px=levels.target_px, side=side)
    quote = None if px is None else Quote("X", Decimal(px), Decimal(px))
    return ruler(bracket_status(one, TERMS, NOW, quote), width=11)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (drawn(104), "90 [-----+-o---] 110"),
        (drawn(90), "90 [o----+-----] 110"),
        (drawn(110), "90 [-----+----o] 110"),
        (drawn(88), "90 o [-----+-----] 110"),
        (drawn(113), "90 [-----+-----] 110 o"),
        (drawn(None), "90 [-----+-----] 110"),
        (drawn(96, side=Side.SELL, stop_px=110, target=90), "110 [-----+-o---] 90"),
        (drawn(104, target=None), "90 [---+-o----->"),
        (drawn(104, stop_px=110, target=110), "110 .. 110"),
    ],
)
def test_the_ruler_runs_from_the_stop_to_the_target(picture, expected):
    assert picture == expected
