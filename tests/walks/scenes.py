"""Short stories for the rows no walk of a small venue comes to: they take several unlikely things in a row.

Each runs an engine through one story and asserts what a trader would want of it; the mutant tests run them, too.
"""

from decimal import Decimal

from grodtd.domain.bracket import ExitState
from grodtd.domain.capabilities import Capabilities, ClientIdScope
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import OrderStatus
from grodtd.domain.policy import ProtectionPolicy
from tests.unit.engine_kit import Trade

REUSED_IDS = Capabilities(name="reused_ids", client_id_scope=ClientIdScope.WHILE_OPEN)
CANCELED, FILLED, WORKING = OrderStatus.CANCELED, OrderStatus.FILLED, OrderStatus.WORKING
DUSTY = Instrument("X", tick_size=Decimal(1), min_notional=Decimal(150))
"""One unit is worth too little to be sold by itself at 90."""


def lost_and_replaced(quantity, **more):
    """A trade whose first stop was given up for dead, and whose second one rests."""
    trade = Trade(REUSED_IDS, quantity=quantity, **more)
    trade.silence("stop1")
    trade.not_found("stop1")
    trade.wait(22)
    assert trade.not_found("stop1") == [f"send stop2: {trade.open} stop 90"]
    assert trade.state("stop1") == "lost 0"
    trade.acks("stop2")
    return trade


def an_entry_given_up_for_dead_had_filled_at_a_price_nobody_told():
    trade = Trade(quantity=2, filled=0)
    trade.cancels("entry1")
    assert trade.phase == "closed"
    assert trade.answers("entry1", CANCELED, 2) == ["ask entry1"]
    assert trade.phase == "waiting"
    assert trade.answers("entry1", CANCELED, 2) == []
    assert trade.wait(2.5) == ["ask entry1"]
    assert trade.answers("entry1", CANCELED, 2, px=100) == ["send stop1: 2 stop 90"]
    assert trade.phase == "open"


def a_stop_given_up_for_dead_comes_alive_after_the_end():
    trade = lost_and_replaced(2)
    trade.fills("stop2", 2)
    assert trade.phase == "closed"
    assert trade.acks("stop1") == ["cancel stop1"]
    assert trade.phase == "closing"
    trade.cancels("stop1")
    assert trade.phase == "closed"


def a_forgotten_entry_fills_a_little_after_the_end():
    trade = Trade(quantity=2, filled=0, instrument=DUSTY)
    trade.not_found("entry1")
    trade.wait(2)
    trade.not_found("entry1")
    assert trade.phase == "closed"
    assert trade.fills("entry1", 1) == ["cancel entry1"]
    assert trade.phase == "closing"
    trade.cancels("entry1")
    assert trade.phase == "residue"
    assert [note.data["open_qty"] for note in trade.told("residue")] == ["1"]


def a_stop_given_up_for_dead_comes_alive_beside_a_residue():
    trade = residue_of_one()
    assert trade.acks("stop1") == ["cancel stop1"]
    assert trade.phase == "closing"
    trade.cancels("stop1")
    assert trade.phase == "residue"


def a_stop_given_up_for_dead_sells_the_residue_and_would_sell_more():
    trade = residue_of_one()
    assert trade.fills("stop1", 1) == ["cancel stop1"]
    assert (trade.phase, trade.open) == ("closing", "0")
    trade.cancels("stop1")
    assert trade.phase == "closed"


def a_stop_given_up_for_dead_sells_more_than_the_residue():
    trade = residue_of_one()
    assert trade.fills("stop1", 3) == ["send remedy1: 2 at market"]
    assert (trade.phase, trade.open, trade.bracket.incidents) == ("closing", "-2", 1)
    trade.fills("remedy1", 2)
    assert trade.phase == "closed"


def residue_of_one():
    trade = lost_and_replaced(3, instrument=DUSTY)
    trade.fills("stop2", 2)
    trade.cancels("stop2")
    assert trade.phase == "residue"
    return trade


def a_residue_is_busted_away():
    trade = residue_of_one()
    trade.busts("entry1", 1, "entry1:3", cum=2, status=FILLED)
    assert (trade.phase, trade.open) == ("closed", "0")


def a_lost_stop_comes_alive_while_a_little_is_left_at_the_end():
    trade = lost_and_replaced(4, filled=2, instrument=DUSTY)
    assert trade.fills("stop2", 2) == ["cancel entry1"]
    trade.fills("entry1", 1)
    assert (trade.phase, trade.open) == ("closing", "1")
    assert trade.acks("stop1") == ["cancel stop1"]


def a_lost_stop_comes_alive_while_nothing_is_open_and_the_entry_is_going():
    trade = lost_and_replaced(4, filled=2)
    assert trade.fills("stop2", 2) == ["cancel entry1"]
    assert trade.phase == "closing"
    assert trade.acks("stop1") == ["cancel stop1"]


def a_lost_stop_comes_alive_while_we_leave():
    trade = lost_and_replaced(2)
    assert trade.flatten(last_px=100) == ["cancel stop2"]
    assert trade.cancels("stop2") == ["send exit1: 2 limit 99 now"]
    assert trade.acks("stop1") == ["cancel stop1"]
    assert trade.fills("exit1", 2) == []
    assert trade.phase == "closing"
    trade.cancels("stop1")
    assert trade.phase == "closed"


def a_lost_stop_comes_alive_while_the_target_is_taken():
    trade = lost_and_replaced(2)
    assert trade.quote(110) == ["cancel stop2"]
    assert trade.cancels("stop2") == ["send target1: 2 limit 110 now"]
    assert trade.acks("stop1") == ["cancel stop1"]
    assert trade.cancels("target1") == []
    assert trade.cancels("stop1") == ["send stop3: 2 stop 90"]


def a_pair_revived_while_we_leave_is_flat_before_its_cancel():
    trade = Trade(quantity=2, filled=1)
    trade.acks("stop1")
    assert trade.flatten(last_px=100) == ["cancel entry1", "cancel stop1"]
    assert trade.fills("stop1", 1) == []
    assert trade.phase == "closing"
    trade.cancels("entry1")
    assert trade.phase == "closed"


def a_lost_stop_comes_alive_while_the_excess_is_bought_back():
    trade = lost_and_replaced(2)
    trade.fills("stop2", 2)
    assert trade.fills("stop2", 1, exec_id="again", cum=3) == ["send remedy1: 1 at market"]
    assert trade.phase == "closing"
    assert trade.acks("remedy1") == []
    assert trade.acks("stop1") == ["cancel stop1"]
    assert trade.fills("remedy1", 1) == []
    trade.cancels("stop1")
    assert (trade.phase, trade.bracket.incidents) == ("closed", 1)


def an_acknowledgement_after_the_end_is_answered_with_a_cancel():
    trade = Trade(quantity=2, filled=1)
    trade.acks("stop1")
    assert trade.fills("entry1", 1) == ["send stop2: 1 stop 90"]
    assert trade.fills("stop1", 1) == []
    trade.reports("stop2", OrderStatus.PENDING)
    assert trade.busts("entry1", 1, "entry1:2", cum=1, status=FILLED) == []
    assert (trade.phase, trade.open) == ("closing", "0")
    assert trade.acks("stop2") == ["cancel stop2"]


def the_ladder_ends_and_the_way_out_is_gone_on_with():
    trade = Trade(quantity=2, protection=ProtectionPolicy(stop_retry_attempts=0, local_stop_s=Decimal(1)))
    assert trade.refuses("stop1") == []
    assert trade.wait(0.6) == ["send stop2: 2 stop 90"]
    trade.refuses("stop2")
    assert "send exit1: 2 at market" in trade.wait(1)
    assert trade.bracket.exits is ExitState.LEAVE
    trade.reports("exit1", CANCELED)
    assert "send exit2: 2 at market" in trade.wait(3)


def looks_twice(trade, quantity):
    """The account's position is read twice, five seconds apart."""
    words = trade.account(quantity)
    trade.now_ns += 5_000_000_000
    return words + trade.account(quantity)


def closed_by_hand(quantity=2, **more):
    """A trade with a stop given up for dead, whose position somebody closed at the venue."""
    trade = lost_and_replaced(quantity, **more)
    entry_goes = [] if trade.order("entry1").state == "filled" else ["cancel entry1"]
    assert looks_twice(trade, 0) == [*entry_goes, "cancel stop2"]
    assert trade.phase == "closing"
    if entry_goes:
        trade.cancels("entry1")
    trade.cancels("stop2")
    assert trade.phase == "externally_closed"
    assert trade.told("externally_closed")
    return trade


def closed_by_hand_and_told_again():
    trade = closed_by_hand()
    assert trade.cancels("stop2") == []
    assert trade.phase == "externally_closed"


def closed_by_hand_with_no_stop_in_place():
    trade = Trade(quantity=2)
    trade.refuses("stop1")
    assert looks_twice(trade, 0) == []
    assert trade.phase == "externally_closed"
    assert [note.data["quantity"] for note in trade.told("externally_closed")] == ["2"]


def closed_by_hand_while_the_way_out_is_refused():
    trade = Trade(quantity=2)
    assert trade.refuses("stop1", "would_trigger") == ["send exit1: 2 at market"]
    trade.refuses("exit1")
    assert looks_twice(trade, 0) == []
    assert trade.phase == "externally_closed"
    assert [note.data["quantity"] for note in trade.told("externally_closed")] == ["2"]


def closed_by_hand_and_the_entry_fills_once_more():
    trade = closed_by_hand(4, filled=2)
    assert trade.fills("entry1", 2) == ["send stop3: 2 stop 90"]
    assert (trade.phase, trade.open, trade.bracket.exit_reason) == ("open", "2", "")


def closed_by_hand_and_a_lost_stop_comes_alive():
    trade = closed_by_hand()
    assert trade.acks("stop1") == ["cancel stop1"]
    assert trade.phase == "closing"
    trade.cancels("stop1")
    assert trade.phase == "externally_closed"


def closed_by_hand_and_a_lost_stop_sells_all_the_same():
    trade = closed_by_hand()
    assert trade.fills("stop1", 2) == []
    assert (trade.phase, trade.open) == ("closed", "0")
    assert [note.data["quantity"] for note in trade.told("exit_after_hand")] == ["2"]


def closed_by_hand_and_a_lost_stop_sells_more_than_there_was():
    trade = closed_by_hand()
    assert trade.fills("stop1", 3) == ["send remedy1: 1 at market"]
    assert (trade.phase, trade.bracket.incidents) == ("closing", 1)


def closed_by_hand_and_a_little_more_fills_of_an_entry_that_is_over():
    trade = closed_by_hand(4, filled=2, instrument=DUSTY)
    trade.fills("entry1", 1, status=CANCELED)
    assert (trade.phase, trade.open) == ("residue", "1")
    assert [note.data["open_qty"] for note in trade.told("residue")] == ["1"]


def closed_by_hand_and_a_little_more_fills_of_an_entry_given_up_for_dead():
    trade = Trade(quantity=4, filled=2, instrument=DUSTY)
    trade.acks("stop1")
    trade.not_found("entry1")
    trade.wait(2)
    trade.not_found("entry1")
    assert looks_twice(trade, 0) == ["cancel stop1"]
    trade.cancels("stop1")
    assert trade.phase == "externally_closed"
    assert trade.fills("entry1", 1) == ["cancel entry1"]
    assert (trade.phase, trade.open) == ("closing", "1")


SCENES = {
    name.replace("_", " "): story
    for name, story in list(globals().items())
    if callable(story)
    and getattr(story, "__module__", "") == __name__
    and name not in ("lost_and_replaced", "residue_of_one", "looks_twice", "closed_by_hand")
}
