"""An engine read from bytes holds equal names and figures once, and nothing in it changes by that."""

import msgspec

from grodtd.domain.bracket import Bracket, Execution, LegOrder, Levels
from grodtd.domain.orders import Leg, OrderType, Side
from grodtd.domain.policy import Plan
from grodtd.execution.sharing import share_values
from tests.unit.engine_kit import d


class State(msgspec.Struct, frozen=True):
    brackets: tuple[Bracket, ...]
    symbols: dict[str, str]


def fresh(text):
    """A text of its own, as decoding makes it."""
    return "".join(list(text))


def bracket(name, quantity="10", px="100.5"):
    entry = LegOrder(
        Leg.ENTRY,
        f"{name}.entry1",
        Side.BUY,
        OrderType.MARKET,
        d(quantity),
        executions=(Execution(fresh("e1"), d(quantity), d(px)),),
    )
    levels = Levels(d(px), d("99.5"), None, factors=((fresh("condition"), d("1.5")),))
    return Bracket(
        fresh(name), fresh("EURUSD"), Side.BUY, fresh("trend"), "f", Plan.STOP_RESTING, "", d(quantity),
        orders=(entry,), levels=levels, stop_px=d("99.5"),
    )  # fmt: skip


def test_two_brackets_share_what_is_equal():
    one, other = bracket("B1"), bracket("B2")
    for each in (one, other):
        share_values(each)
    assert one.symbol is not other.symbol  # nothing is remembered from one state to the next

    both = share_values(State((bracket("B1"), bracket("B2")), {fresh("B1"): fresh("EURUSD")}))
    one, other = both.brackets
    assert one.symbol is other.symbol is both.symbols[one.bracket_id]
    assert one.bracket_id is next(iter(both.symbols))
    assert one.orders[0].quantity is other.orders[0].executions[0].qty is one.entry_qty_wanted
    assert one.stop_px is one.levels.stop_px is other.stop_px
    assert one.levels.factors[0][1] is other.levels.factors[0][1]


def test_nothing_in_it_changes():
    assert share_values(State((bracket("B1"),), {"B1": "EURUSD"})) == State((bracket("B1"),), {"B1": "EURUSD"})


def test_equal_figures_of_other_digits_stay_as_they_were_written():
    both = share_values(State((bracket("B1", "10", "100.50"), bracket("B2", "10.0", "1E+2"), bracket("B3")), {}))
    assert [str(each.entry_qty_wanted) for each in both.brackets] == ["10", "10.0", "10"]
    assert [str(each.levels.entry_px) for each in both.brackets] == ["100.50", "1E+2", "100.5"]
