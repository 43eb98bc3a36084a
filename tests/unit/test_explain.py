"""A bracket's life in words: no fact is told by its name in the program."""

from decimal import Decimal

import msgspec
import pytest

from grodtd.domain.events import BarsClosed, EntriesPaused, EntriesResumed, LinkStatus, SessionsLoaded
from grodtd.monitoring.explain import explain
from grodtd.ports import Record

BAR = BarsClosed("AAPL", Decimal("10.75"), Decimal("10.6"), Decimal("10.4"), Decimal("10.6"))
SEVERAL = BarsClosed("AAPL", Decimal(12), Decimal("10.6"), Decimal(10), Decimal("10.7"), bars=3)


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (BAR, "a bar of AAPL closed at 10.6"),
        (SEVERAL, "3 bars of AAPL closed, the last at bid 10.6, ask 10.7"),
        (LinkStatus(up=False, reason="timed out"), "the connection to the venue is down: timed out"),
        (LinkStatus(up=True), "the connection to the venue is up"),
        (EntriesPaused(reason="lunch"), "asked to take no new entries: lunch"),
        (EntriesResumed(), "asked to take entries again"),
        (SessionsLoaded("AAPL", (), ()), "sessions loaded"),
    ],
)
def test_a_fact_is_told_in_words(fact, words):
    record = Record(1, 0, "fact", "B1", msgspec.json.encode(fact))
    assert list(explain([record], "B1")) == [f"1970-01-01 00:00:00.000  {words}"]
