"""kill -9, for real: the worker dies at random instants while its venue, another process, trades on."""

import sys
from decimal import Decimal

import pytest

from grodtd.domain.orders import Fill, NewOrder, OrderReport, OrderStatus, OrderType, Side
from tests.kills.episode import left, play, uncovered
from tests.kills.venue_process import SYMBOL, Entry, Truth

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets, fork and SIGKILL")


def test_ten_kills_leave_no_order_unrecorded_none_doubled_no_position_bare_and_no_orphan(tmp_path):
    episode = play(seed=1, kills=10, folder=tmp_path)
    assert episode.violations == []
    assert episode.kills == 10
    assert episode.protected >= 3, f"hardly anything happened: {episode}"
    assert episode.exits_filled >= 3, f"nothing was ever got out of: {episode}"


def account(*, bought=0, sold=0, stop=0, target=0, moved=None):
    """A long bracket B1 as the venue sees it: fills, what rests for it, the account's position."""

    def fill(name, side, units):
        return Fill(f"x-{name}", name, SYMBOL, side, Decimal(units), Decimal(100))

    def rests(name, kind, units):
        order = NewOrder(name, SYMBOL, Side.SELL, kind, Decimal(units))
        return OrderReport(name, OrderStatus.WORKING, order=order)

    fills = [fill("user-1", Side.BUY, bought), fill("B1.exit1", Side.SELL, sold)]
    resting = [rests("B1.stop1", OrderType.STOP, stop)] if stop else []
    resting += [rests("B1.target1", OrderType.LIMIT, target)] if target else []
    position = Decimal(bought - sold if moved is None else moved)
    return Truth(position, resting, fills, [], [Entry("B1", "user-1", Side.BUY, Decimal(10))])


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (account(bought=10, stop=10), []),
        (account(bought=10, sold=4, stop=6), []),
        (account(bought=10, sold=10), []),
        (account(bought=10), ["uncovered: B1 holds 10, its stops cover 0"]),
        (account(bought=10, stop=7), ["uncovered: B1 holds 10, its stops cover 7"]),
        (account(bought=10, stop=12), ["uncovered: B1 holds 10, its stops cover 12"]),
        (account(bought=10, sold=10, stop=10), ["orphan: stops of 10 for B1, which holds nothing"]),
        (account(bought=10, stop=10, target=10), ["orphan: B1.target1 rests"]),
        (account(bought=10, sold=13), ["oversold: B1 by 3"]),
        (account(bought=10, stop=10, moved=4), ["oversold: the account holds 4, the brackets 10"]),
    ],
)
def test_the_check_after_the_calm_sees(truth, said):
    assert uncovered(truth) == said


def test_the_check_after_the_fall_sees_what_is_left():
    assert left(account(bought=10, sold=10)) == []
    assert left(account(bought=10, sold=7, stop=3)) == ["left: B1 holds 3", "left: B1.stop1 rests"]
