"""Memory an open bracket takes in the core: `python -m benchmarks.memory`. tracemalloc: every byte Python holds.

Each bracket is a long of which the entry filled and the stop rests, at a price few others have. Facts come as a
connector makes them, no two sharing a value: each goes through the journal's codec first. Then the same engine as a
restart makes it of a snapshot.
"""

import gc
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal

from benchmarks.printing import Row, peak_mb, show
from grodtd.domain.capabilities import Capabilities
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, Event, InstrumentsLoaded, PoliciesLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import VolatilityReading
from grodtd.domain.orders import ExecutionReport, OrderStatus, Side
from grodtd.domain.policy import BracketOrdersPolicy, Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.execution.snapshot import decode, encode, restore, snapshot
from grodtd.storage.codec import decode_fact, encode_fact

COUNTS, SECOND = (100, 1_000, 10_000), 1_000_000_000
SYMBOLS = tuple(f"S{n:02d}" for n in range(50))
POLICY = Policy(bracket_orders=BracketOrdersPolicy(max_active_brackets=1_000_000))
READING = VolatilityReading(atr_px=Decimal("0.40"), close_px=Decimal(100), bars=100)


def facts(count: int) -> Iterator[Event]:
    """Settings, then `count` brackets: asked for, filled, their stop acknowledged."""
    yield PoliciesLoaded({"default": POLICY}, SECOND)
    yield InstrumentsLoaded(tuple(Instrument(symbol) for symbol in SYMBOLS), SECOND)
    yield CapabilitiesLearned(Capabilities(), SECOND)
    ten = Decimal(10)
    for i in range(count):
        name, entry, now_ns = f"B{i}", f"B{i}.entry1", SECOND + i
        px = 100 + Decimal(i % 4_999).scaleb(-2)
        yield BracketRequested(
            name, SYMBOLS[i % len(SYMBOLS)], Side.BUY, ten, entry_client_order_id=entry, reading=READING,
            ts_event_ns=now_ns, ts_received_ns=now_ns,
        )  # fmt: skip
        yield ExecutionReport(
            entry, OrderStatus.FILLED, ten, f"e{i}", ten, px, ts_event_ns=now_ns, ts_received_ns=now_ns
        )
        yield ExecutionReport(f"{name}.stop1", OrderStatus.WORKING, ts_event_ns=now_ns, ts_received_ns=now_ns)


def engine_of(count: int) -> Engine:
    """Fold the facts in, each made anew."""
    made = Engine()
    for fact in facts(count):
        made.process(decode_fact(encode_fact(fact)))
    return made


def traced() -> int:
    """Bytes held now."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def measured(count: int) -> tuple[float, float]:
    """Bytes a bracket: as facts came, and as a restart makes it of a snapshot."""
    tracemalloc.start()
    before = traced()
    made = engine_of(count)
    live = traced() - before
    assert all(bracket.stop_px is not None for bracket in made.brackets())
    payload = encode(snapshot(made))
    del made
    before = traced()
    again = restore(decode(payload))
    restored = traced() - before
    assert len(list(again.brackets())) == count
    tracemalloc.stop()
    return live / count, restored / count


def main() -> None:
    """Measure and print."""
    rows = []
    for count in COUNTS:
        live, restored = measured(count)
        growth = {"x": count, "memory_mb": peak_mb()}
        goal = "memory" if count == COUNTS[-1] else ""
        rows += [
            Row(f"N={count:,}", live, "bytes", series="memory/as facts came", goal=goal, **growth),
            Row(f"N={count:,}, of a snapshot", restored, "bytes", series="memory/of a snapshot", **growth),
        ]
    show("memory an open bracket", rows)


if __name__ == "__main__":
    main()
