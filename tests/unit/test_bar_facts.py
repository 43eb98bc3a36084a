"""Closed bars as facts: made of quotes, each side for itself, told once they are over, to whom they concern."""

from decimal import Decimal

from grodtd.domain.market import Quote
from grodtd.domain.policy import AtrPolicy, Policy, RatchetPolicy, TrailAtr, TrailingPolicy, TrailMethod
from grodtd.runtime.bar_facts import BarFacts

S = 1_000_000_000
MINUTE = AtrPolicy(interval_s=60)
TRAILS = Policy(atr=MINUTE, trailing=TrailingPolicy(TrailMethod.TICKS))
BY_ATR = TrailingPolicy(TrailMethod.ATR, atr=TrailAtr.CURRENT)


def quote(at_s, bid, ask=None, symbol="X"):
    ask = bid if ask is None else ask
    return Quote(symbol, Decimal(bid), Decimal(ask), at_s * S, at_s * S)


def facts_for(*living, policies=(TRAILS,), atr=None):
    return BarFacts(policies, lambda _: living, lambda symbol, policy, until_ns: atr)


def played(facts, *quotes):
    return [fact for one in quotes for fact in facts.take(one, one.ts_received_ns)]


def test_a_bar_is_told_when_a_quote_of_the_next_one_comes():
    facts = facts_for(("B1", TRAILS))
    [bar] = played(facts, quote(61, 100, 102), quote(70, 103, 104), quote(80, 99, 101), quote(120, 95, 96))
    assert (bar.bid_high, bar.bid_close, bar.ask_low, bar.ask_close) == (103, 99, 101, 101)
    assert (bar.ts_event_ns, bar.interval_s, bar.bars, bar.bracket_id) == (60 * S, 60, 1, "")


def test_a_bar_is_told_when_its_end_has_passed_and_then_no_more():
    facts = facts_for(("B1", TRAILS))
    assert played(facts, quote(61, 100)) == []
    assert facts.over(119 * S, 119 * S) == []
    assert len(facts.over(120 * S, 120 * S)) == 1
    assert played(facts, quote(121, 101)) == []


def test_crossed_and_late_quotes_take_no_part():
    facts = facts_for(("B1", TRAILS))
    [bar] = played(facts, quote(61, 100), quote(62, 110, 105), quote(30, 120), quote(63, 0), quote(120, 100))
    assert bar.bid_high == 100


def test_symbols_do_not_mix():
    facts = facts_for(("B1", TRAILS))
    [bar] = played(facts, quote(61, 100), quote(62, 200, symbol="Y"), quote(121, 101))
    assert (bar.symbol, bar.bid_high) == ("X", 100)


def test_nobody_lives_by_bars_so_none_are_told():
    assert played(facts_for(), quote(61, 100), quote(121, 101)) == []
    assert played(facts_for(policies=[Policy(atr=MINUTE)]), quote(61, 100), quote(121, 101)) == []


def test_a_bracket_has_the_bars_its_own_policy_asks_for():
    facts = facts_for(("B1", TRAILS), policies=[Policy()])
    [bar] = played(facts, quote(61, 100), quote(121, 101))
    assert (bar.bid_high, bar.interval_s) == (100, 60)


def test_a_quote_from_a_time_that_is_not_yet_ends_no_bar():
    facts = facts_for(("B1", TRAILS))
    slip = Quote("X", Decimal(150), Decimal(150), 9_000 * S, 63 * S)  # the venue's clock slipped, once
    [bar] = played(facts, quote(61, 100), slip, quote(62, 103), quote(121, 101))
    assert (bar.bid_high, bar.bid_close) == (103, 103)


def test_a_bar_of_a_recorded_market_begins_when_we_see_it():
    """Fills are timed by our clock: a bar of years ago is after the fill when it is seen after it."""
    facts = BarFacts([TRAILS], lambda _: (("B1", TRAILS),), lambda *_: None, clocked=False)
    year_s = 365 * 86_400
    seen = [quote(61, 100), quote(121, 101), quote(181, 102)]
    bars = [bar for one in seen for bar in facts.take(one, one.ts_event_ns + year_s * S)]
    assert [bar.ts_event_ns // S - year_s for bar in bars] == [61, 121]


def test_one_atr_for_all_is_told_once_and_several_each_to_its_own():
    slow = Policy(atr=AtrPolicy(period=50, interval_s=60), trailing=BY_ATR)
    fast = Policy(atr=AtrPolicy(period=5, interval_s=60), trailing=BY_ATR)
    same = facts_for(("B1", fast), ("B2", fast), policies=[fast], atr=Decimal(2))
    [bar] = played(same, quote(61, 100), quote(121, 101))
    assert (bar.atr_px, bar.bracket_id) == (2, "")
    mixed = facts_for(("B1", fast), ("B2", slow), policies=[fast, slow], atr=Decimal(2))
    assert [fact.bracket_id for fact in played(mixed, quote(61, 100), quote(121, 101))] == ["B1", "B2"]


def test_bars_of_another_length_are_not_this_brackets():
    hour = Policy(atr=AtrPolicy(interval_s=3600), trailing=TRAILS.trailing, ratchet=RatchetPolicy())
    facts = facts_for(("B1", hour), policies=[TRAILS, hour])
    assert [bar.interval_s for bar in played(facts, quote(61, 100), quote(121, 101), quote(3601, 102))] == [3600]
