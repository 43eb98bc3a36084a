"""The account's limits as a table: what it has open and has lost, what is asked, and the answer in its words."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, Execution, LegOrder, OrderState, Phase
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import Leg, OrderType, Side
from grodtd.domain.policy import Plan, ProtectionPolicy
from grodtd.domain.risk import Accepted, RiskLimits
from grodtd.execution.new_orders import FRESH_NS, collared_exit
from grodtd.execution.refusal import Refusal
from grodtd.execution.risk_checks import EntryIntent, check
from grodtd.execution.risk_state import DAY_NS, OpenRisk, RiskState

D = Decimal
S = 1_000_000_000
NOON = 19_000 * DAY_NS + 12 * 3_600 * S
AAPL = Instrument("AAPL")
COIN = Instrument("BTC", lot_size=D("0.001"), min_notional=D(10))
LIMITS = RiskLimits()
LAST = Quote("AAPL", D(100), D("100.02"), ts_received_ns=NOON - S)


def state(*, quote=LAST, **more):
    """An account that has seen a good quote of AAPL a second ago."""
    account = RiskState(**more)
    account.roll(NOON)
    if quote is not None:
        account.quote(quote)
    return account


def buying(quantity=100, stop="98.02", limits=None, **more):
    """100 AAPL at market (100.02), stop 2 below: 200 at risk in an account of 100 000; and limits unlike the usual."""
    asked = {
        "bracket_id": "B9",
        "symbol": "AAPL",
        "side": Side.BUY,
        "quantity": D(quantity),
        "stop_px": None if stop is None else D(stop),
        "now_ns": NOON,
        "instrument": AAPL,
        "equity": D(100_000),
    }
    return EntryIntent(**{**asked, **more}), replace(LIMITS, **(limits or {}))


def holding(*risks, symbol="AAPL"):
    """Brackets with so much at risk each."""
    return {f"B{n}": OpenRisk(symbol, None if risk is None else D(risk)) for n, risk in enumerate(risks, 1)}


def lost(amount, in_a_row=1, ago_s=60):
    account = state(consecutive_losses=in_a_row, last_loss_ns=NOON - ago_s * S)
    account.realised_today = -D(amount)
    return account


def asked_before(seconds, **more):
    account = state()
    entry = Accepted("B8", "AAPL", Side.BUY, D(100), "default", D(200), D(10_002), NOON - seconds * S)
    account.accepted(replace(entry, **more), LIMITS.duplicate_within_s)
    return account


WANTED = "allowed: a good quote of AAPL at most 10 s old; what would pass: "
TABLE = {
    # per trade
    "2 % of 100 000 is the most: 1 000 shares at 2": (state(), buying(1000), None),
    "one share more": (
        state(),
        buying(1001),
        (
            "risk_limits.max_trade_risk: 1001 at risk 2 each would lose 2002, and this entry would make it 2002; "
            "allowed: 0.02 of equity 100000 = 2000; what would pass: a quantity of at most 1000"
        ),
    ),
    "a stop so far that one share is too much": (
        state(),
        buying(1, "10", equity=D(1000)),
        (
            "risk_limits.max_trade_risk: 1 at risk 90.02 each would lose 90.02, and this entry would make it 90.02; "
            "allowed: 0.02 of equity 1000 = 20; what would pass: a nearer stop"
        ),
    ),
    "fees count": (
        state(),
        buying(1000, instrument=Instrument("AAPL", fee_rate=D("0.001"))),
        (
            "risk_limits.max_trade_risk: 1000 at risk 2 each would lose 2198.04, and this entry would make it 2198.04; "
            "allowed: 0.02 of equity 100000 = 2000; what would pass: a quantity of at most 909"
        ),
    ),
    # per symbol and in all
    "a third entry in one stock": (
        state(open=holding(2000, 1500)),
        buying(500),
        (
            "risk_limits.max_symbol_risk: 500 at risk 2 each would lose 1000, and this entry would make it 4500; "
            "allowed: 0.04 of equity 100000 = 4000; what would pass: a quantity of at most 250"
        ),
    ),
    "other symbols are no concern of this one's limit": (
        state(open=holding(2000, 1500, symbol="SPY")),
        buying(500),
        None,
    ),
    "all together": (
        state(open=holding(*[1950] * 5, symbol="SPY")),
        buying(200),
        (
            "risk_limits.max_open_risk: 200 at risk 2 each would lose 400, and this entry would make it 10150; "
            "allowed: 0.1 of equity 100000 = 10000; what would pass: a quantity of at most 125"
        ),
    ),
    "what would pass passes every limit, not only the one named": (
        state(open=holding(*[1990] * 5, symbol="SPY")),
        buying(5000),
        (
            "risk_limits.max_trade_risk: 5000 at risk 2 each would lose 10000, and this entry would make it 10000; "
            "allowed: 0.02 of equity 100000 = 2000; what would pass: a quantity of at most 25"
        ),
    ),
    "nothing is left": (
        state(open=holding(*[2000] * 5, symbol="SPY")),
        buying(1),
        (
            "risk_limits.max_open_risk: 1 at risk 2 each would lose 2, and this entry would make it 10002; "
            "allowed: 0.1 of equity 100000 = 10000; "
            "what would pass: the same once other brackets have ended or their stops have moved"
        ),
    ),
    "a bracket whose risk nobody knows": (
        state(open=holding(None, symbol="SPY")),
        buying(),
        (
            "risk_limits.max_open_risk: nobody can tell yet what B1 (SPY) risks: it has no stop; "
            "allowed: entries while every open risk is known; what would pass: the same once it has filled or ended"
        ),
    ),
    # what it is worth, how many there are
    "worth too much": (
        state(),
        buying(600, limits={"max_order_notional": D(50_000)}),
        (
            "risk_limits.max_order_notional: 600 at 100.02 is worth 60012; allowed: 50000; "
            "what would pass: a quantity of at most 499"
        ),
    ),
    "the last place": (state(open=holding(10, 10, symbol="SPY")), buying(max_active_brackets=3), None),
    "no place left": (
        state(open=holding(10, 10, 10, symbol="SPY")),
        buying(max_active_brackets=3),
        (
            "bracket_orders.max_active_brackets: 3 brackets are active; allowed: 3; "
            "what would pass: an entry after one of them has ended"
        ),
    ),
    # losses
    "a bad day that is not over": (lost("4999.99"), buying(equity=D("95000.01")), None),
    "a day that is over": (
        lost(5000),
        buying(equity=D(95_000)),
        (
            "risk_limits.max_day_loss: 5000 were lost since 00:00 UTC; "
            "allowed: 0.05 of the 100000 the day began with = 5000; "
            "what would pass: an entry after the day rolls at 00:00 UTC, in 12h"
        ),
    ),
    "tomorrow": (
        lost(5000),
        buying(equity=D(95_000), now_ns=NOON + DAY_NS, quote=replace(LAST, ts_received_ns=NOON + DAY_NS)),
        None,
    ),
    "four in a row": (lost(100, in_a_row=4), buying(), None),
    "five in a row": (
        lost(100, in_a_row=5, ago_s=90),
        buying(),
        (
            "risk_limits.max_consecutive_losses: 5 brackets in a row lost; allowed: 5, then a pause of 1h; "
            "what would pass: an entry in 58m 30s"
        ),
    ),
    "five in a row, an hour ago": (lost(100, in_a_row=5, ago_s=3600), buying(), None),
    # quotes and the collar
    "no quote yet": (
        state(quote=None),
        buying(),
        f"quote: no quote of AAPL was seen; {WANTED}the same after the first quote",
    ),
    "a stale one": (
        state(quote=replace(LAST, ts_received_ns=NOON - 11 * S)),
        buying(),
        f"risk_limits.quote_max_age_s: the last quote is 11 s old; {WANTED}the same after the next quote",
    ),
    "ten seconds are not stale": (state(quote=replace(LAST, ts_received_ns=NOON - 10 * S)), buying(), None),
    "a crossed one": (
        state(quote=replace(LAST, bid=D(101))),
        buying(),
        f"quote: the quote is crossed: bid 101 above ask 100.02; {WANTED}the same after the next good quote",
    ),
    "a price of zero": (
        state(quote=replace(LAST, bid=D(0))),
        buying(),
        f"quote: the quote is no price: bid 0, ask 100.02; {WANTED}the same after the next good quote",
    ),
    "5 % away": (state(), buying(stop="94", entry_px=D("95.019")), None),
    "a slipped digit": (
        state(),
        buying(entry_px=D("1000.20")),
        (
            "risk_limits.collar_bps: 1000.2 is 90000 basis points from the last quote, 100.02; "
            "allowed: 500 basis points; what would pass: a price from 95.019 to 105.021"
        ),
    ),
    "too cheap is a slip as well": (
        state(),
        buying(entry_px=D(95)),
        (
            "risk_limits.collar_bps: 95 is 501.9 basis points from the last quote, 100.02; "
            "allowed: 500 basis points; what would pass: a price from 95.019 to 105.021"
        ),
    ),
    # what cannot be known
    "no equity": (
        state(),
        buying(equity=None),
        (
            "risk_limits.max_trade_risk: equity is not known; allowed: equity above zero; "
            "what would pass: the same once the account says so"
        ),
    ),
    "no stop": (
        state(),
        buying(stop=None),
        "stop_px: no stop is known; allowed: entries whose risk is known; what would pass: a stop price",
    ),
    "a long's stop above": (
        state(),
        buying(stop="101"),
        "stop_px: a stop at 101; allowed: one below 100.02; what would pass: a stop below it",
    ),
    # what may be traded
    "not on the list": (
        state(),
        buying(limits={"allowed_symbols": ("SPY", "TSLA")}),
        "risk_limits.allowed_symbols: AAPL is not allowed; allowed: SPY, TSLA; what would pass: one of these",
    ),
    "on the list": (state(), buying(limits={"allowed_symbols": ("SPY", "AAPL")}), None),
    "unknown to us": (
        state(),
        buying(instrument=None),
        "instrument: AAPL is not listed; allowed: symbols of instruments.yaml; what would pass: its tick and lot there",
    ),
    "half a share": (
        state(),
        buying("100.5"),
        "lot_size: a quantity of 100.5; allowed: multiples of 1; what would pass: 100",
    ),
    "no number": (state(), buying("NaN"), "lot_size: a quantity of NaN; allowed: multiples of 1; what would pass: 1"),
    "too little to be sold at its stop": (
        state(),
        buying("0.103", stop="97", instrument=replace(COIN, symbol="AAPL")),
        (
            "min_notional: 0.103 could not be sold at the stop 97; allowed: orders worth 10; "
            "what would pass: a quantity of at least 0.104"
        ),
    ),
    # the same again
    "its id is taken": (
        state(open={"B9": OpenRisk("AAPL", D(1))}),
        buying(),
        "duplicate: bracket B9 was asked for already; allowed: each id once; what would pass: a new bracket_id",
    ),
    "the same again after 2 s": (
        asked_before(2),
        buying(),
        (
            "risk_limits.duplicate_within_s: B8 is the same buy of 100 AAPL; allowed: one in 5 s; "
            "what would pass: the same in 3 s, if it is meant"
        ),
    ),
    "the same again after 5 s": (asked_before(5), buying(), None),
    "another quantity": (asked_before(2), buying(101), None),
    "another strategy": (asked_before(2), buying(strategy="swing"), None),
}


@pytest.mark.parametrize(("account", "asked", "words"), TABLE.values(), ids=TABLE)
def test_the_limits(account, asked, words):
    intent, limits = asked
    told = check(intent, account, limits)
    if words is None:
        assert isinstance(told, Accepted), told.text
        return
    assert isinstance(told, Refusal)
    assert told.text == words
    assert told.error().code == told.limit.rpartition(".")[2]


def test_an_entry_that_came_to_nothing_is_forgotten():
    account = asked_before(2)
    account.withdrawn("B8")
    intent, limits = buying()
    assert isinstance(check(intent, account, limits), Accepted)
    assert account.open == {}


def test_the_quote_a_request_carries_counts_so_that_a_journal_repeats_the_answer():
    intent, limits = buying(quote=replace(LAST, bid=D(101)))
    assert "crossed" in check(intent, state(), limits).text
    intent, limits = buying(quote=LAST)
    assert isinstance(check(intent, state(quote=None), limits), Accepted)


def test_without_limits_only_what_no_order_can_be_is_refused():
    off = RiskLimits(None, None, None, None, None, None, collar_bps=None)
    intent, _ = buying(10_000, equity=None, entry_px=D(1))
    told = check(replace(intent, stop_px=D("0.5")), lost(90_000, in_a_row=50), off)
    assert isinstance(told, Accepted)


def test_a_short_is_judged_by_the_bid_and_a_stop_above():
    intent, limits = buying(1000, stop="102", side=Side.SELL)
    assert check(intent, state(), limits).risk_money == D(2000)
    intent, limits = buying(1001, stop="102", side=Side.SELL)
    assert check(intent, state(), limits).limit == "risk_limits.max_trade_risk"


@given(
    st.integers(1, 5000),
    st.decimals("90", "100", places=2),
    st.decimals("100", "1000000", places=2),
    st.lists(st.decimals("0", "3000", places=2), max_size=4),
    st.sampled_from(["AAPL", "SPY"]),
    st.sampled_from([D(0), D("0.001")]),
)
def test_what_is_accepted_keeps_every_limit_and_what_would_pass_passes(quantity, stop, equity, risks, symbol, fee):
    account = state(open=holding(*risks, symbol=symbol))
    asked = buying(quantity, str(stop), equity=equity, instrument=Instrument("AAPL", fee_rate=fee))[0]
    told = check(asked, account, LIMITS)
    mine = sum(risks) if symbol == "AAPL" else 0
    if isinstance(told, Refusal):
        _, found, most = told.would_pass.partition("a quantity of at most ")
        if found:
            assert 0 < D(most) < quantity
            assert isinstance(check(replace(asked, quantity=D(most)), account, LIMITS), Accepted)
            assert isinstance(check(replace(asked, quantity=D(most) + 1), account, LIMITS), Refusal)
        return
    at_stop = quantity * (D("100.02") - stop + fee * (D("100.02") + stop))
    assert at_stop <= told.risk_money
    assert told.risk_money <= equity * D("0.02")
    assert told.risk_money + mine <= equity * D("0.04")
    assert told.risk_money + sum(risks) <= equity * D("0.10")


# ------------------------------------------------------------------ the fold


def order(leg, side, qty, px, state=OrderState.FILLED, quantity=None, fee=0, asset=FeeAsset.QUOTE, n=1):
    done = (Execution(f"x{leg}{n}", D(qty), D(px), D(fee), asset),) if D(qty) else ()
    return LegOrder(
        leg,
        f"B1.{leg.value}{n}",
        side,
        OrderType.LIMIT,
        D(quantity or qty),
        state=state,
        reported_cum=D(qty),
        executions=done,
    )


def bracket(*orders, phase=Phase.OPEN, stop="98", side=Side.BUY, **more):
    return Bracket(
        "B1", "AAPL", side, "default", "", Plan.STOP_RESTING, "", D(100), orders, phase,
        stop_px=None if stop is None else D(stop), **more,
    )  # fmt: skip


BOUGHT = order(Leg.ENTRY, Side.BUY, 100, 100)
FOLDED = {
    # what happened, bracket, realised, open risk
    "bought, nothing sold": (bracket(BOUGHT), "0", "200"),
    "half sold at 103": (bracket(BOUGHT, order(Leg.TARGET, Side.SELL, 50, 103)), "150", "100"),
    "the stop at the entry: nothing left to lose": (bracket(BOUGHT, stop="100"), "0", "0"),
    "the stop in profit": (bracket(BOUGHT, stop="104"), "0", "0"),
    "a short": (
        bracket(order(Leg.ENTRY, Side.SELL, 100, 100), order(Leg.TARGET, Side.BUY, 50, 97), side=Side.SELL, stop="102"),
        "150",
        "100",
    ),
    "fees of both sides": (
        bracket(order(Leg.ENTRY, Side.BUY, 100, 100, fee=10), order(Leg.TARGET, Side.SELL, 50, 103, fee="5.15")),
        "139.85",  # 150 - 5.15 - half of 10
        "100",
    ),
    "sold too much and bought back": (
        bracket(
            BOUGHT,
            order(Leg.STOP, Side.SELL, 100, 98),
            order(Leg.TARGET, Side.SELL, 100, 103),
            order(Leg.REMEDY, Side.BUY, 100, 104),
        ),
        "-300",  # -200 + 300 - 400
        "0",
    ),
    "an exit at a price nobody told": (
        bracket(BOUGHT, replace(order(Leg.EXIT, Side.SELL, 50, 1), executions=(), order_type=OrderType.MARKET)),
        "0",
        "100",
    ),
    "hands elsewhere took 40": (bracket(BOUGHT, external_qty=D(40)), "0", "120"),
    "entry still open, no stop yet": (
        bracket(order(Leg.ENTRY, Side.BUY, 0, 1, OrderState.WORKING, quantity=100), stop=None),
        "0",
        None,
    ),
}


@pytest.mark.parametrize(("seen", "realised", "risk"), FOLDED.values(), ids=FOLDED)
def test_a_bracket_is_folded_by_where_it_stands_told_once_or_twice(seen, realised, risk):
    account = state()
    for _ in range(2):
        account.observe(seen, AAPL, NOON)
        assert account.realised_today == D(realised)
        assert account.open["B1"].risk_money == (None if risk is None else D(risk))


def test_an_accepted_entry_counts_with_what_was_planned_until_it_fills():
    account = state()
    account.accepted(Accepted("B1", "AAPL", Side.BUY, D(100), "default", D(250), D(10_000), NOON), D(5))
    waiting = order(Leg.ENTRY, Side.BUY, 0, 1, OrderState.WORKING, quantity=100)
    account.observe(bracket(waiting, stop=None, phase=Phase.WAITING), AAPL, NOON)
    assert account.open["B1"].risk_money == D(250)
    part = order(Leg.ENTRY, Side.BUY, 40, 100, OrderState.WORKING, quantity=100)
    account.observe(bracket(part), AAPL, NOON)
    assert account.open["B1"].risk_money == 40 * 2 + D(150)  # 40 at the stop in force, 60 as planned


STOPPED = bracket(BOUGHT, order(Leg.STOP, Side.SELL, 100, 98), phase=Phase.CLOSED)
WON = bracket(BOUGHT, order(Leg.TARGET, Side.SELL, 100, 103), phase=Phase.CLOSED)


def ended(account, *results, at_ns=NOON):
    for result in results:
        account.observe(replace(result, bracket_id=f"B{len(account.ended) + 1}"), AAPL, at_ns)
    return account


def test_losses_in_a_row_are_counted_a_win_begins_anew_and_a_scratch_changes_nothing():
    scratch = bracket(BOUGHT, order(Leg.STOP, Side.SELL, 100, 100), phase=Phase.CLOSED)
    never = bracket(phase=Phase.CLOSED, stop=None)
    account = ended(state(), STOPPED, STOPPED, scratch, never, STOPPED)
    assert (account.consecutive_losses, account.realised_today, account.open) == (3, D(-600), {})
    assert ended(account, WON).consecutive_losses == 0


def test_a_new_day_begins_when_the_account_says():
    account = ended(state(day_rolls_at_s=22 * 3600), STOPPED)
    assert account.lost_today(NOON + 10 * 3600 * S - 1) == D(200)
    assert account.lost_today(NOON + 10 * 3600 * S) == 0
    assert account.next_day_ns(NOON) == NOON + 10 * 3600 * S
    ended(account, WON, at_ns=NOON + 11 * 3600 * S)
    assert account.realised_today == D(300)


FRIDAY, MONDAY, TUESDAY = (NOON + hours * 3600 * S for hours in (9, 81, 105))
"""Closes of a market: nine hours on, after the weekend, and a day later."""


def test_a_day_ends_with_a_session_where_the_account_has_a_calendar():
    account = state(limits=RiskLimits(day_calendar="XNYS"))
    account.days((FRIDAY, MONDAY, TUESDAY))
    ended(account, STOPPED)
    assert (account.lost_today(FRIDAY - 1), account.next_day_ns(NOON)) == (D(200), FRIDAY)
    assert (account.lost_today(FRIDAY), account.next_day_ns(FRIDAY)) == (D(0), MONDAY)
    saturday = FRIDAY + 20 * 3600 * S
    ended(account, STOPPED, at_ns=saturday)
    assert account.lost_today(MONDAY - 1) == D(200), "the weekend belongs to the next session"
    assert account.lost_today(MONDAY) == 0


def test_beyond_the_closes_it_knows_the_clock_ends_the_day():
    account = state(limits=RiskLimits(day_calendar="XNYS"))
    account.days((FRIDAY,))
    ended(account, STOPPED, at_ns=FRIDAY + 24 * 3600 * S)
    assert account.lost_today(FRIDAY + 25 * 3600 * S) == D(200)
    assert account.lost_today(FRIDAY + 49 * 3600 * S) == 0


def test_another_calendar_forgets_the_closes_of_the_one_before():
    account = state(limits=RiskLimits(day_calendar="XNYS"))
    account.days((FRIDAY,))
    account.live_under(replace(account.limits, max_day_loss=D("0.5")))
    assert account.day_ends_ns == (FRIDAY,)
    account.live_under(replace(account.limits, day_calendar="FX"))
    assert account.day_ends_ns == ()


def test_a_busted_exit_takes_its_loss_back_and_is_not_counted_twice():
    account = ended(state(), STOPPED)
    account.observe(bracket(BOUGHT), AAPL, NOON)
    assert (account.realised_today, account.open["B1"].risk_money) == (D(0), D(200))
    account.observe(STOPPED, AAPL, NOON)
    assert (account.realised_today, account.consecutive_losses) == (D(-200), 1)


def test_a_good_quote_after_a_bad_one_clears_the_doubt():
    account = state(quote=replace(LAST, bid=D("NaN")))
    assert "AAPL" in account.doubts
    account.quote(LAST)
    assert (account.doubts, account.quotes["AAPL"]) == ({}, LAST)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.sampled_from([LAST, replace(LAST, bid=D(101)), replace(LAST, symbol="SPY")])),
        st.tuples(st.just("accepted"), st.integers(1, 4)),
        st.tuples(
            st.just("observe"), st.tuples(st.integers(1, 4), st.sampled_from([row[0] for row in FOLDED.values()]))
        ),
        st.tuples(st.just("observe"), st.tuples(st.integers(1, 4), st.sampled_from([STOPPED, WON]))),
    ),
    max_size=20,
)


@given(STEPS, st.integers(0, 20), st.sampled_from([0, 3600 * S, DAY_NS]))
def test_a_restart_anywhere_changes_nothing(steps, kept, step_ns):
    """Folded in one go, or kept as data after some steps and taken up again: the same state and the same answer."""

    def fold(account, some, first):
        for n, (what, value) in enumerate(some, first):
            now_ns = NOON + n * step_ns
            if what == "quote":
                account.quote(value)
            elif what == "accepted":
                entry = Accepted(f"B{value}", "AAPL", Side.BUY, D(100), "default", D(200), D(10_000), now_ns)
                account.accepted(entry, D(5))
            else:
                account.observe(replace(value[1], bracket_id=f"B{value[0]}"), AAPL, now_ns)
        return account

    whole = fold(state(), steps, 0)
    half = msgspec.json.decode(msgspec.json.encode(fold(state(), steps[:kept], 0)), type=RiskState)
    again = fold(half, steps[kept:], len(steps[:kept]))
    assert again == whole
    intent, limits = buying()
    assert check(intent, again, limits) == check(intent, whole, limits)


# ------------------------------------------------------------------ exits


def test_an_exits_collar_widens_and_then_lets_go():
    def limits_of(side, age_ns=0, px="100"):
        tried = (collared_exit(side, D(px), age_ns, attempt, ProtectionPolicy(), D("0.01")) for attempt in range(4))
        return [None if limit is None else str(limit) for limit in tried]

    assert limits_of(Side.SELL) == ["99.50", "99.00", "98.00", None]
    assert limits_of(Side.BUY) == ["100.50", "101.00", "102.00", None]
    assert limits_of(Side.SELL, FRESH_NS + 1) == [None] * 4  # a stale price holds nothing up: at market at once
    assert collared_exit(Side.SELL, None, 0, 0, ProtectionPolicy(), D("0.01")) is None
