"""Growth, not seconds: what one more bracket costs must not depend on how many there are."""

from decimal import Decimal

import pytest

from grodtd.domain.capabilities import Capabilities
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, InstrumentsLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote, VolatilityReading
from grodtd.domain.orders import ExecutionReport, OrderStatus, Side
from grodtd.execution import bracket_order_manager
from grodtd.execution.enhanced_engine import Engine


def engine_with(brackets: int) -> Engine:
    """An engine that guards so many longs of ten units, each with its stop resting."""
    engine = Engine()
    engine.process(InstrumentsLoaded((Instrument("X"),)))
    engine.process(CapabilitiesLearned(Capabilities()))
    for n in range(brackets):
        protect(engine, f"B{n}", n)
    return engine


def protect(engine: Engine, name: str, n: int) -> None:
    reading = VolatilityReading(atr_px=Decimal(1), close_px=Decimal(100), bars=20)
    px = Decimal(100) + Decimal(n % 50) / 100
    engine.process(
        BracketRequested(name, "X", Side.BUY, Decimal(10), filled_qty=Decimal(10), filled_px=px, reading=reading)
    )
    engine.process(ExecutionReport(f"{name}.stop1", OrderStatus.WORKING))


@pytest.fixture
def measured(monkeypatch):
    """Counts how often a bracket's orders are added up."""
    calls = []
    original = bracket_order_manager.measure

    def counting(bracket, terms):
        calls.append(bracket.bracket_id)
        return original(bracket, terms)

    monkeypatch.setattr(bracket_order_manager, "measure", counting)
    return calls


def test_one_more_bracket_costs_the_same_among_ten_and_among_a_thousand(measured):
    costs = []
    for others in (10, 1000):
        engine = engine_with(others)
        measured.clear()
        protect(engine, "one-more", 7)
        costs.append(len(measured))
    assert costs[0] == costs[1] <= 6


def test_an_idle_quote_touches_no_bracket_however_many_there_are(measured):
    engine = engine_with(1000)
    measured.clear()
    outcome = engine.process(Quote("X", Decimal("100.2"), Decimal("100.3"), 1, 1))
    assert not outcome.journal
    assert measured == []


def test_a_quote_that_touches_one_target_looks_at_one_bracket(measured):
    engine = engine_with(0)
    protect(engine, "near", 0)
    for n in range(200):
        protect(engine, f"far{n}", 49)
    measured.clear()
    engine.process(Quote("X", Decimal("103.1"), Decimal("103.2"), 1, 1))
    assert set(measured) == {"near"}


def test_a_chain_of_duplicates_makes_nothing_grow():
    engine = engine_with(1)
    before = engine.bracket("B0")
    for _ in range(100):
        engine.process(ExecutionReport("B0.stop1", OrderStatus.WORKING))
    after = engine.bracket("B0")
    assert len(after.orders) == len(before.orders) == 2
