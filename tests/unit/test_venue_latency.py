"""The venue far away, in virtual time: commands and reports travel, and keep their order."""

import pytest

from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.events import RequestRefused
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.venue.latency import LatentVenue
from grodtd.venue.profiles import MARGIN
from grodtd.venue.venue import SimulatedVenue
from tests.unit.venue_kit import BUY, SELL, d, limit, market, stop


def far_venue(latency_ns=50):
    return LatentVenue(SimulatedVenue(MARGIN, [Instrument("X")]), latency_ns)


def quote(px, at_ns):
    return Quote("X", d(px), d(px), at_ns)


def told(answers):
    return [(a.client_order_id, a.code if isinstance(a, RequestRefused) else str(a.status)) for a in answers]


def test_a_round_trip_takes_two_latencies():
    far = far_venue()
    far.on_quote(quote(100, 0))
    far.send(SubmitOrder("", market("b", BUY, 1)), 10)
    assert far.advance(59) == []
    assert far.venue.order("b") is None
    assert far.advance(109) == []
    assert far.venue.order("b") is not None
    answers = far.advance(110)
    assert told(answers) == [("b", "working"), ("b", "filled")]
    assert {(a.ts_event_ns, a.ts_received_ns) for a in answers} == {(60, 110)}
    assert far.next_event_ns is None


def test_a_stop_fills_at_the_venue_while_its_cancel_is_on_the_way():
    far = far_venue()
    far.send(SubmitOrder("", stop("s", SELL, 1, 90)), 0)
    far.advance(100)
    far.send(CancelOrder("", "s"), 200)
    far.on_quote(quote(89, 249))
    answers = far.advance(400)
    assert told(answers) == [("s", "filled"), ("s", "too_late")]
    assert (answers[1].verb, answers[1].ts_event_ns, answers[1].ts_received_ns) == ("cancel", 250, 300)


def test_a_command_that_arrives_with_the_quote_comes_first():
    far = far_venue()
    far.send(SubmitOrder("", stop("s", SELL, 1, 90)), 0)
    far.on_quote(quote(89, 50))
    assert told(far.advance(100)) == [("s", "working"), ("s", "filled")]


@pytest.mark.parametrize(
    ("command", "verb", "client_order_id", "replacement_id", "code"),
    [
        (SubmitOrder("", limit("a", BUY, 1, "1.001")), "submit", "a", "", "bad_tick"),
        (SubmitOco("", stop("s", SELL, 1, 90), limit("t", SELL, 1, 110)), "submit", "s", "", "unsupported"),
        (CancelOrder("", "a"), "cancel", "a", "", "unknown_order"),
        (ReplaceOrder("", "a1", limit("a2", BUY, 1, 1)), "replace", "a1", "a2", "unknown_order"),
    ],
)
def test_a_refusal_comes_back_as_a_fact(command, verb, client_order_id, replacement_id, code):
    far = far_venue()
    far.send(command, 0)
    (refusal,) = far.advance(100)
    assert isinstance(refusal, RequestRefused)
    assert (refusal.verb, refusal.client_order_id, refusal.replacement_id) == (verb, client_order_id, replacement_id)
    assert refusal.code == code
    assert refusal.reason


def test_latency_is_not_negative():
    with pytest.raises(ValueError, match="latency_ns"):
        far_venue(-1)
