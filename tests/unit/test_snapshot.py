"""A snapshot is the fold so far: restored from it, the engine decides about every later fact as if it had seen all.

Stories are drawn: several brackets on two symbols at a venue of each kind, fills, refusals, silence, prices, waits.
At any point of any story the state is taken, written as bytes, read back, and both engines hear the rest.
"""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from grodtd.domain.bracket import ENDED
from grodtd.domain.errors import Refused
from grodtd.domain.events import (
    BracketRequested,
    BracketsForgotten,
    CapabilitiesLearned,
    EntriesPaused,
    EntriesResumed,
    FlattenRequested,
    InstrumentsLoaded,
    LevelsChangeRequested,
    OrderNotFound,
    PoliciesLoaded,
    PositionReported,
    RequestRefused,
    RequestUnknown,
    RiskLimitsLoaded,
    TimerFired,
)
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, OrderStatus, Side
from grodtd.domain.policy import Policy, ProtectionPolicy
from grodtd.domain.risk import EntryTerms, RiskLimits
from grodtd.execution import snapshot as snapshots
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.snapshot import SnapshotUnreadable, decode, encode, layout, restore, snapshot
from grodtd.execution.trigger_book import SymbolBook, TriggerBook
from tests.unit.engine_kit import AMENDS, NO_STOPS, PAIRS, PERP, STOPS, S, d

SYMBOLS = ("X", "Y")
POLICY = Policy(protection=ProtectionPolicy(allow_synthetic=True))

KEPT = {
    "_brackets", "_entry_orders", "_policies", "_policies_in_use", "_instruments", "_capabilities", "_paused",
    "_active", "_open_on_symbol", "_doubts", "_halted", "_pairs", "_wants_bars", "_sessions", "_watching", "_risk",
    "_book", "_due", "_forgotten", "_unexplained",
}  # fmt: skip
WORKED_OUT = {
    "_terms": "from policy, instrument and capabilities, when asked for",
    "_deadlines": "the order of _due",
    "_open_shorts": "the sides of _brackets in _open_on_symbol",
    "_now_ns": "every fact sets it before anybody reads it",
    "_manager": "it has no state",
}


def test_every_attribute_of_the_engine_is_kept_or_worked_out():
    """A new one fails here: keep it in EngineState (and in snapshot and restore), or say what it is worked out from."""
    assert set(vars(Engine())) == KEPT | set(WORKED_OUT)
    assert not vars(Engine()._manager)
    assert set(vars(TriggerBook())) == {"_symbols"}
    levels, heaps = {"_stops", "_targets", "_moves"}, {"_longs", "_shorts", "_decimals"}
    assert set(vars(SymbolBook())) == {*levels, *heaps, "_arrivals"}
    assert {"_" + name for name in snapshots.EngineState.__struct_fields__} == KEPT - {"_book"} | {"_levels"}


def test_a_state_nobody_began_is_a_new_engine():
    assert encode(snapshot(restore(snapshot(Engine())))) == encode(snapshot(Engine()))


# ---------------------------------------------------------------- stories


class Teller:
    """Draws what happens next from what there is, so that most facts concern a living order."""

    def __init__(self, capabilities, draw):
        self.engine, self.draw, self.now_ns = Engine(), draw, 1_000 * S
        self.facts = []
        self.tell(PoliciesLoaded({"default": POLICY}))
        self.tell(InstrumentsLoaded(tuple(Instrument(symbol, tick_size=d(1)) for symbol in SYMBOLS)))
        self.tell(CapabilitiesLearned(capabilities))
        self.tell(RiskLimitsLoaded(RiskLimits(max_consecutive_losses=2)))

    def tell(self, fact):
        fact = replace(fact, ts_received_ns=self.now_ns)
        self.facts.append(fact)
        return answer(self.engine, fact)

    def something(self):
        kinds = (
            self.begin,
            self.open,
            self.report,
            self.report,
            self.report,
            self.trouble,
            self.price,
            self.price,
            self.wait,
        )
        self.draw(st.sampled_from((*kinds, self.by_hand, self.settings, self.forget)))()
        self.now_ns += S // 10

    def begin(self):
        name = f"B{len(self.facts)}"
        side = self.draw(st.sampled_from(Side))
        filled = self.draw(st.sampled_from((0, 4, 10)))
        self.tell(
            BracketRequested(
                name,
                self.draw(st.sampled_from(SYMBOLS)),
                side,
                d(10),
                entry_client_order_id=f"{name}.entry1",
                filled_qty=d(filled),
                filled_px=d(100) if filled else None,
                stop_px=d(100 - 10 * side.sign),
                target_px=d(100 + 10 * side.sign),
                account_qty=d(filled * side.sign),
            )
        )

    def open(self):
        side = self.draw(st.sampled_from(Side))
        symbol = self.draw(st.sampled_from(SYMBOLS))
        entry = EntryTerms(equity=d(10_000), quote=Quote(symbol, d(100), d(100), ts_received_ns=self.now_ns))
        self.tell(
            BracketRequested(
                f"E{len(self.facts)}",
                symbol,
                side,
                d(0),
                stop_px=d(100 - 10 * side.sign),
                account_qty=d(0),
                entry=entry,
            )
        )

    def orders(self):
        return [order for bracket in self.engine.brackets() for order in bracket.orders if order.alive]

    def report(self):
        orders = self.orders()
        if not orders:
            return self.begin()
        order = self.draw(st.sampled_from(orders))
        status = self.draw(st.sampled_from((OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELED)))
        size = {OrderStatus.FILLED: order.quantity - order.cum_qty, OrderStatus.CANCELED: d(0)}
        quantity = size.get(status, self.draw(st.sampled_from((d(0), d(1)))))
        report = ExecutionReport(order.client_order_id, status, cum_qty=order.cum_qty + quantity)
        if quantity > 0:
            report = replace(report, exec_id=f"x{len(self.facts)}", last_qty=quantity, last_px=d(100))
        return self.tell(report)

    def trouble(self):
        for order in self.orders()[-1:]:
            kinds = (
                RequestUnknown(order.client_order_id, "submit", ""),
                OrderNotFound(order.client_order_id, self.now_ns),
            )
            self.tell(self.draw(st.sampled_from((RequestRefused(order.client_order_id, "submit", "busy", ""), *kinds))))

    def price(self):
        px = d(self.draw(st.integers(85, 115)))
        self.tell(Quote(self.draw(st.sampled_from(SYMBOLS)), px, px))

    def wait(self):
        due_ns = self.engine.next_deadline_ns
        if due_ns is not None:
            self.now_ns = max(self.now_ns, due_ns)
            self.tell(TimerFired(self.now_ns, self.now_ns))

    def by_hand(self):
        for bracket in [b for b in self.engine.brackets() if b.phase not in ENDED][-1:]:
            name, tighter = bracket.bracket_id, None if bracket.stop_px is None else bracket.stop_px + bracket.side.sign
            kinds = (FlattenRequested(name), LevelsChangeRequested(name, tighter, reason="closer"))
            self.tell(self.draw(st.sampled_from(kinds)))

    def forget(self):
        """An hour and more later what is over leaves memory; and somewhat later a fill of it comes all the same."""
        self.now_ns += 4_000 * S
        over = tuple(bracket.bracket_id for bracket in self.engine.brackets() if bracket.phase in ENDED)
        self.tell(BracketsForgotten((*over, "nobody")))
        for name in over:
            late = ExecutionReport(f"{name}.stop1", OrderStatus.FILLED, d(1), exec_id=f"late-{name}", last_qty=d(1))
            self.tell(replace(late, symbol="X", side=Side.SELL, last_px=d(90), ts_event_ns=self.now_ns))

    def settings(self):
        other = replace(POLICY, protection=replace(POLICY.protection, stop_retry_delay_s=d(3)))
        position = PositionReported(SYMBOLS[0], d(self.draw(st.integers(-10, 10))))
        kinds = (EntriesPaused("lunch"), EntriesResumed(), PoliciesLoaded({"default": other}), position)
        self.tell(self.draw(st.sampled_from(kinds)))


def answer(engine, fact):
    """What the engine makes of a fact, as the journal would hold it."""
    try:
        outcome = engine.process(fact)
    except Refused as error:
        return str(error).encode()
    return msgspec.json.encode((outcome.commands, outcome.notes, outcome.journal))


@pytest.mark.parametrize("capabilities", [STOPS, AMENDS, PERP, PAIRS, NO_STOPS], ids=lambda c: c.name)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_restored_at_any_point_it_decides_the_same(capabilities, data):
    teller = Teller(capabilities, data.draw)
    for _ in range(data.draw(st.integers(1, 30), "length")):
        teller.something()
    cut = data.draw(st.integers(0, len(teller.facts)), "cut")
    whole = Engine()
    for fact in teller.facts[:cut]:
        answer(whole, fact)
    again = restore(decode(encode(snapshot(whole))))
    assert encode(snapshot(again)) == encode(snapshot(whole))
    for fact in teller.facts[cut:]:
        assert answer(again, fact) == answer(whole, fact)
        assert again.next_deadline_ns == whole.next_deadline_ns
    assert encode(snapshot(again)) == encode(snapshot(whole))


def test_the_older_of_two_brackets_at_one_price_goes_first_after_a_restart_too():
    engine = Engine()
    teller = Teller(NO_STOPS, None)
    for name in ("young", "b", "a"):
        request = BracketRequested(
            name, "X", Side.BUY, d(10), entry_client_order_id=f"{name}.entry1", filled_qty=d(10), filled_px=d(100),
            stop_px=d(90), target_px=d(110),
        )  # fmt: skip
        teller.tell(request)
    engine = restore(decode(encode(snapshot(teller.engine))))
    outcome = engine.process(Quote("X", d(89), d(89), ts_received_ns=teller.now_ns + S))
    assert [command.bracket_id for command in outcome.commands] == ["young", "b", "a"]


# ---------------------------------------------------------------- bytes


def test_the_state_taken_is_not_moved_by_later_facts():
    teller = Teller(STOPS, None)
    teller.tell(BracketRequested("B", "X", Side.BUY, d(1), filled_qty=d(1), filled_px=d(100), stop_px=d(90)))
    taken = snapshot(teller.engine)
    before = encode(taken)
    teller.tell(EntriesPaused("lunch"))
    teller.tell(ExecutionReport("B.stop1", OrderStatus.FILLED, d(1), exec_id="x", last_qty=d(1), last_px=d(90)))
    assert encode(taken) == before
    assert encode(snapshot(teller.engine)) != before


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"brackets":3}'])
def test_what_is_no_state_is_said_to_be_none(payload):
    with pytest.raises(SnapshotUnreadable, match="cannot be decoded"):
        decode(payload)


def test_another_shape_or_edition_is_another_layout(monkeypatch):
    before = layout()
    assert 0 <= before < 2**31
    monkeypatch.setattr(snapshots, "EDITION", snapshots.EDITION + 1)
    layout.cache_clear()
    assert layout() != before
    monkeypatch.undo()
    layout.cache_clear()
    assert layout() == before
    more = msgspec.defstruct("More", [("speed", int, 0)], bases=(snapshots.EngineState,), frozen=True, kw_only=True)
    monkeypatch.setattr(snapshots, "EngineState", more)
    layout.cache_clear()
    assert layout() != before
    monkeypatch.undo()
    layout.cache_clear()
