"""When is a stream silent? In seconds ago, from now; the bounds are 30 s for orders and 60 s for prices."""

import pytest

from grodtd.domain.bracket import Bracket, Levels, Phase
from grodtd.domain.market import Quote
from grodtd.domain.orders import Side
from grodtd.domain.policy import Plan
from grodtd.runtime.open_hours import is_closed
from grodtd.runtime.silence import ORDERS, PRICES, Heard, Lookout, Trouble, orders_silent, prices_silent
from tests.unit.engine_kit import S, d

NOW = 1_000_000 * S


def ago(seconds):
    return 0 if seconds is None else NOW - seconds * S


def open_(symbol="X", *, since=600, phase=Phase.OPEN):
    levels = None if phase is Phase.WAITING else Levels(d(100), d(90), None)
    return Bracket(
        symbol, symbol, Side.BUY, "default", "p", Plan.STOP_RESTING, "", d(10), (), phase,
        levels=levels, opened_ns=ago(since),
    )  # fmt: skip


def heard(*, begun=3600, **times):
    names = {"link": "link_ns", "report": "report_ns", "untold": "untold_ns", "compared": "compared_ns"}
    plain = {name: value for name, value in times.items() if name in ("link_up", "feed_over", "feed_waits")}
    given = {names.get(name, "quote_ns"): ago(value) for name, value in times.items() if name not in plain}
    return Heard(NOW, ago(begun), **given, **plain)


CALM = {"report": 86_000, "compared": 3}


@pytest.mark.parametrize(
    ("told", "when", "brackets", "words"),
    [
        ("a calm day: the stop rests, comparisons find nothing", heard(**CALM), [open_()], None),
        ("a comparison was quicker than the stream", heard(**CALM, untold=20), [open_()], None),
        ("the stop filled, the stream never said so", heard(**CALM, untold=31), [open_()], "31 s ago a comparison"),
        ("the same, and nothing is open any more", heard(**CALM, untold=31), [], "has not told of"),
        ("neither way brings an answer", heard(report=500, compared=31), [open_()], "has said nothing for 31 s"),
        ("the same, and the stream speaks", heard(report=3, compared=31), [open_()], None),
        ("the same, and nothing is open", heard(report=500, compared=31), [], None),
        ("the same, and only an entry waits", heard(compared=31), [open_(phase=Phase.WAITING)], "nobody knows"),
        ("just begun", heard(begun=10), [open_()], None),
        ("the link came back a moment ago", heard(compared=500, link=5), [open_()], None),
        ("the link is down: that is said by itself", heard(compared=500, untold=500, link_up=False), [open_()], None),
    ],
)
def test_orders(told, when, brackets, words):
    found = orders_silent(when, brackets, 30)
    assert [trouble.name for trouble in found] == ([ORDERS] if words else []), told
    assert all(words in trouble.words and trouble.serious for trouble in found)


FLOWING = {"X": 2, "Y": 2}


@pytest.mark.parametrize(
    ("told", "when", "quotes", "brackets", "expected"),
    [
        ("prices flow", heard(quote=2), FLOWING, [open_()], {}),
        ("all stand still", heard(quote=61), {"X": 61}, [open_()], {"": "the last quote came 61 s ago: levels"}),
        (
            "the recording is over",
            heard(quote=61, feed_over=True),
            {"X": 61},
            [open_()],
            {"": "the last quote came 61 s ago (the feed is over): levels"},
        ),
        ("it is night in the recording", heard(quote=61, feed_waits=True), {"X": 61}, [open_()], {}),
        ("the recording has none of it yet", heard(feed_waits=True), {}, [open_(since=61)], {}),
        ("none has ever come", heard(), {}, [open_(since=61)], {"": "no quote has come yet: levels"}),
        ("none has come yet", heard(), {}, [open_(since=59)], {}),
        ("one of two is frozen", heard(quote=2), {"X": 61, "Y": 2}, [open_(), open_("Y")], {"X": "quote of X came 61"}),
        ("one of two never began", heard(quote=2), {"Y": 2}, [open_()], {"X": "no quote of X has come yet: its"}),
        ("a frozen one nobody holds", heard(quote=2), {"X": 61, "Y": 2}, [open_("Y")], {}),
        ("an entry waits, nothing is watched", heard(quote=2), {"X": 61}, [open_(phase=Phase.WAITING)], {}),
        ("its market is closed", heard(quote=2000), {"Z": 2000}, [open_("Z")], {}),
        ("they stood still, then another was opened", heard(quote=70), {"X": 70},
         [open_(), open_("Y", since=5)], {"": "the last quote came 70 s ago"}),
        ("the link is down", heard(quote=61, link_up=False), {"X": 61}, [open_()], {}),
        ("the link came back", heard(quote=61, link=5), {"X": 61}, [open_()], {}),
    ],
)  # fmt: skip
def test_prices(told, when, quotes, brackets, expected):
    last = {symbol: Quote(symbol, d(1), d(1), ts_received_ns=ago(age)) for symbol, age in quotes.items()}
    found = prices_silent(when, brackets, last, 60, lambda symbol: symbol == "Z")
    assert [trouble.about for trouble in found] == list(expected), told
    for trouble in found:
        assert trouble.name == PRICES
        assert trouble.serious
        assert expected[trouble.about] in trouble.words


@pytest.mark.parametrize(
    ("told", "when", "symbol", "warned"),
    [
        ("they came and stopped", heard(quote=61), "X", True),
        ("they never came", heard(), "X", False),
        ("the recording is over", heard(quote=61, feed_over=True), "X", False),
        ("it is night in the recording", heard(quote=61, feed_waits=True), "X", False),
        ("the market is closed", heard(quote=61), "Z", False),
    ],
)
def test_where_nothing_is_open_prices_that_stopped_are_a_warning(told, when, symbol, warned):
    last = {symbol: Quote(symbol, d(1), d(1), ts_received_ns=when.quote_ns)}
    found = prices_silent(when, [], last, 60, lambda symbol: symbol == "Z")
    assert [trouble.serious for trouble in found] == ([False] if warned else []), told


class Ears:
    """Hears what is logged."""

    def __init__(self):
        self.said = []

    def __getattr__(self, level):
        return lambda event, **context: self.said.append((level, event, context))


def test_each_trouble_is_told_once_when_it_begins_and_once_when_it_is_over():
    now, ears, marks = [], Ears(), []
    lookout = Lookout(
        lambda: list(now),
        ears,
        begun=lambda trouble: marks.append(("begun", trouble.about)),
        over=lambda trouble: marks.append(("over", trouble.about)),
    )
    x, y = Trouble(PRICES, "X for 61 s", about="X"), Trouble(PRICES, "Y for 61 s", about="Y", serious=False)
    for now[:] in ([], [x], [Trouble(PRICES, "X for 62 s", about="X"), y], [y], [y], []):
        lookout.look()
    assert ears.said == [
        ("error", "prices_silent", {"what": "X for 61 s", "symbol": "X"}),
        ("warning", "prices_silent", {"what": "Y for 61 s", "symbol": "Y"}),
        ("info", "prices_silent_over", {"was": "X for 62 s", "symbol": "X"}),
        ("info", "prices_silent_over", {"was": "Y for 61 s", "symbol": "Y"}),
    ]
    assert marks == [("begun", "X"), ("begun", "Y"), ("over", "X"), ("over", "Y")]


@pytest.mark.parametrize(("after_open_s", "closed"), [(-1, True), (0, True), (59, True), (60, False)])
def test_the_first_prices_of_a_session_are_waited_for(after_open_s, closed):
    open_ns = 1_773_063_000 * S  # 9 March 2026, 13:30 UTC: New York opens
    assert is_closed("XNYS", open_ns + after_open_s * S, at_first_ns=60 * S) == closed
