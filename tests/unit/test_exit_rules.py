"""A trade has its time, and rules that work together: bars counted, sessions ended, exits asked for."""

from decimal import Decimal
from pathlib import Path

import pytest

from grodtd.domain.bracket import Phase
from grodtd.domain.events import EntriesPaused, SessionsLoaded
from grodtd.domain.orders import Side
from grodtd.domain.policy import (
    BreakEvenPolicy,
    LockStep,
    Policy,
    RatchetPolicy,
    TimeExitPolicy,
    TrailAtr,
    TrailingPolicy,
    TrailMethod,
)
from tests.unit.exit_kit import VENUES, Desk, S, by_quote, d

both_ways = pytest.mark.parametrize("side", [Side.BUY, Side.SELL], ids=["long", "short"])


def out_after(**rule):
    return Policy(time_exit=TimeExitPolicy(**rule))


BARS = [
    # the tale, rule, (best, close) of each bar, bars until it is out (None: it stays)
    ("three bars, whatever they bring", {"after_bars": 3}, [(101, 101), (109, 108), (108, 99)], 3),
    ("two of three bars are not enough", {"after_bars": 3}, [(101, 101), (109, 108)], None),
    ("not in profit after two", {"unprofitable_after_bars": 2}, [(101, 99), (102, "99.5")], 2),
    ("at the entry price is not in profit", {"unprofitable_after_bars": 1}, [(104, 100)], 1),
    ("a tick in profit is", {"unprofitable_after_bars": 1}, [(104, "100.5")], None),
    ("in profit after two, not after three", {"unprofitable_after_bars": 2}, [(101, 99), (103, 102), (101, 99)], 3),
]


@both_ways
@pytest.mark.parametrize(("tale", "rule", "bars", "out"), BARS, ids=[row[0] for row in BARS])
def test_bars_are_counted_from_the_one_after_the_entry(tale, rule, bars, out, side):
    desk = Desk("stop_resting", out_after(**rule), side=side)
    for number, (best, close) in enumerate(bars, 1):
        assert desk.phase == "open"
        desk.bar(best, close)
        if desk.phase != "open":
            assert (number, desk.bracket.exit_reason) == (out, "time")
            desk.quotes(close)
    assert (desk.phase == "closed") is (out is not None)
    assert desk.settled()


@pytest.mark.parametrize("venue", VENUES)
def test_a_duration_ends_with_the_clock_whether_anything_is_quoted_or_not(venue):
    desk = Desk(venue, out_after(after_s=Decimal(60)))
    assert desk.wait(59).phase == "open"
    desk.wait(1)
    assert desk.bracket.exit_reason == "time"
    assert desk.quotes(101).phase == "closed"
    assert sum(quantity for _, quantity in desk.sold) == 10


SESSIONS = [
    # the rule, ends of sessions and those before a weekend (seconds from now), when it leaves
    ("at the session's end, a minute before", {"at_session_end": True}, (600, 1_200), (), 540),
    ("the end that is nearer than the lead is over already", {"at_session_end": True}, (30, 1_200), (), 1_140),
    ("before a weekend only", {"before_weekend": True}, (600, 1_200), (1_200,), 1_140),
    ("whichever comes first", {"at_session_end": True, "after_s": Decimal(100)}, (600,), (), 100),
    ("five minutes before", {"at_session_end": True, "session_end_lead_s": Decimal(300)}, (600,), (), 300),
    ("never where no session is known", {"at_session_end": True}, (), (), None),
]


@pytest.mark.parametrize(("tale", "rule", "ends", "weekends", "leaves"), SESSIONS, ids=[row[0] for row in SESSIONS])
def test_a_session_is_left_before_it_ends(tale, rule, ends, weekends, leaves):
    desk = DeskInSessions(rule, ends, weekends)
    began_ns = desk.now_ns
    at_ns = desk.bracket.leave_at_ns
    assert (at_ns and (at_ns - began_ns) // S) == leaves
    if leaves is not None:
        assert desk.wait(leaves - 1).phase == "open"
        desk.wait(1)
        assert desk.bracket.exit_reason == ("time" if "after_s" in rule else "session")


class DeskInSessions(Desk):
    """A desk that is told of sessions before its trade begins."""

    def __init__(self, rule, ends, weekends):
        self.sessions = ends, weekends
        super().__init__("stop_resting", out_after(**rule))

    def tell(self, event):
        if type(event).__name__ == "BracketRequested":
            ends, weekends = (tuple(self.now_ns + s * S for s in times) for times in self.sessions)
            super().tell(SessionsLoaded("X", ends, weekends, self.now_ns))
        return super().tell(event)


def test_time_goes_before_the_stop_moves():
    """At one close both are due: the trade leaves, and its stop is not moved any more."""
    rules = Policy(time_exit=TimeExitPolicy(after_bars=1), trailing=TrailingPolicy(TrailMethod.DISTANCE, Decimal(2)))
    desk = Desk("stop_resting", rules).bar(110, 109)
    assert desk.stop == "90 stop"
    assert desk.bracket.exit_reason == "time"


def test_the_kill_switch_stops_no_clock():
    desk = Desk("stop_resting", out_after(after_s=Decimal(60)))
    desk.tell(EntriesPaused("enough for today"))
    assert desk.wait(60).bracket.exit_reason == "time"


def test_somebody_asks_out_of_a_trade_that_trails():
    policy = Policy(ratchet=by_quote(), trailing=TrailingPolicy(TrailMethod.DISTANCE, Decimal(5)))
    desk = Desk("native_oco", policy).quotes(104).flatten().quotes(104)
    assert desk.phase == "closed"
    assert desk.bracket.exit_reason == "manual"


@pytest.mark.parametrize("how", ["snapshot", "journal"])
def test_a_restart_forgets_no_bar_and_no_deadline(how):
    desk = Desk("stop_resting", out_after(after_bars=3, after_s=Decimal(600))).bar(101).bar(102).restart(how)
    assert desk.bracket.bars_held == 2
    assert desk.bar(103, 102).bracket.exit_reason == "time"
    again = Desk("stop_resting", out_after(after_s=Decimal(600))).restart(how)
    assert again.wait(600).bracket.exit_reason == "time"


@pytest.mark.parametrize("venue", VENUES)
def test_a_hand_and_the_rules_share_one_stop(venue):
    """A stop moved by hand is called a stop again; the rules go on from there, and only ever nearer."""
    trail = TrailingPolicy(TrailMethod.DISTANCE, Decimal(8))
    policy = Policy(ratchet=by_quote(), break_even=BreakEvenPolicy(Decimal(1)), trailing=trail)
    desk = Desk(venue, policy, target=190).quotes(104)
    assert desk.stop == "96 trail"
    desk.levels(stop=98)
    assert desk.stop == "98 stop"
    assert desk.quotes(105).stop == "98 stop"  # 97 would be looser
    assert desk.quotes(110).stop == "102 trail"
    assert desk.settled()


def test_bars_do_not_move_a_stop_that_waits_for_the_close_until_they_close():
    desk = Desk("stop_resting", Policy(ratchet=RatchetPolicy(), trailing=TrailingPolicy(TrailMethod.DISTANCE, d(5))))
    assert desk.quotes(110).stop == "90 stop"
    assert desk.bar(110).stop == "105 trail"
    assert desk.bracket.phase is Phase.OPEN


PAGE = Path(__file__).resolve().parents[2] / "docs" / "design" / "exit-policies-design.md"
LOCKS = (LockStep(Decimal(1), Decimal("0.5")), LockStep(Decimal(2), Decimal(1)))
ON_THE_PAGE = {
    "distance": Policy(trailing=TrailingPolicy(TrailMethod.DISTANCE, Decimal(5))),
    "atr": Policy(trailing=TrailingPolicy(TrailMethod.ATR, Decimal(2), TrailAtr.CURRENT)),
    "chandelier": Policy(trailing=TrailingPolicy(TrailMethod.CHANDELIER, Decimal(2), TrailAtr.CURRENT)),
    "break-even at 1R": Policy(break_even=BreakEvenPolicy(Decimal(1))),
    "locks": Policy(profit_lock=LOCKS),
}


@both_ways
@pytest.mark.parametrize("rule", ON_THE_PAGE)
def test_the_table_of_the_design_page_is_what_happens(rule, side):
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines() if "|" in line]
    header = next(cells for cells in lines if cells[0] == "bar")
    rows = [dict(zip(header, cells, strict=True)) for cells in lines if cells[0].isdigit()]
    assert len(rows) == 5
    desk = Desk("stop_resting", ON_THE_PAGE[rule], side=side, target=190, atr=5)
    for row in rows:
        desk.bar(row["high"], row["close"], atr=row["ATR"])
        assert (row["bar"], desk.stop.split()[0]) == (row["bar"], row[rule])


def test_deadlines_that_were_put_off_do_not_pile_up():
    trail = TrailingPolicy(TrailMethod.DISTANCE, d(5))
    days = Policy(trailing=trail, ratchet=by_quote(), time_exit=TimeExitPolicy(after_s=d(864_000)))
    desk = Desk("stop_resting", days, target=1_000).quotes(*range(101, 501))
    assert desk.stop == "495 trail"
    assert len(desk.engine._deadlines) < 100
    desk.wait(864_000)
    assert desk.bracket.phase is Phase.CLOSED
