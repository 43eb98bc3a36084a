"""Whole trades through the door: sized, held to the account's limits, sent, protected from the first fill.

AAPL is at 187.18 / 187.20 with an ATR of 2, so that a long's stop is 4 below its entry; the account holds 100 000.
"""

import asyncio

import pytest
from msgspec.structs import replace

from grodtd.domain.bracket import Phase
from grodtd.domain.errors import Refused
from grodtd.domain.events import BracketRequested, EntryRefused, RiskLimitsLoaded
from grodtd.domain.orders import Leg, OrderType, Side
from grodtd.domain.policy import Policy, RatchetOn, RatchetPolicy, TrailingPolicy, TrailMethod
from grodtd.domain.risk import EntryTerms, RiskLimits
from grodtd.execution.asking import EntryRequest
from grodtd.execution.snapshot import restore, snapshot
from grodtd.monitoring.explain import explain
from grodtd.ports import Advice
from grodtd.runtime.refold import refold
from grodtd.storage.codec import fact_of
from grodtd.storage.memory import Disk, MemoryJournal
from grodtd.venue.profiles import NO_STOPS
from tests.unit.door_kit import NOW_NS, D, in_a_world, offer, protected, resting

S = 1_000_000_000


class Watch:
    """A clock that is put forward by hand."""

    def __init__(self):
        self.ns = NOW_NS

    def now_ns(self):
        return self.ns

    def wait(self, seconds):
        self.ns += int(seconds * S)


def wanting(bracket_id="B1", symbol="AAPL", side=Side.BUY, **more):
    """What somebody asks for; numbers as they come."""
    words = {name: more.pop(name) for name in ("strategy", "policy") if name in more}
    return EntryRequest(bracket_id, symbol, side, **{name: D(value) for name, value in more.items()}, **words)


async def opened(world, bracket_id="B1", **more):
    """Open it, let everything happen that follows, and return the bracket."""
    await world.service.open_bracket(wanting(bracket_id, **more))
    await world.settle()
    return world.service.bracket(bracket_id)


async def refused(world, bracket_id="B9", **more):
    with pytest.raises(Refused) as error:
        await world.service.open_bracket(wanting(bracket_id, **more))
    return error.value


def entry_of(bracket):
    return next(order for order in bracket.orders if order.leg is Leg.ENTRY)


class Recorded:
    """A journal in memory, and what it holds."""

    def __init__(self):
        self.disk = Disk()
        self.journal = MemoryJournal(self.disk)

    def facts(self, kind):
        facts = [fact_of(record) for record in self.disk.records if record.kind == "fact"]
        return [fact for fact in facts if isinstance(fact, kind)]

    def story(self, bracket_id):
        return " | ".join(line.strip() for line in explain(self.disk.records, bracket_id))


# ---------------------------------------------------------------- size


SIZES = {
    # 1 % of 100 000 over a stop 4 away
    "from equity and the stop's distance": ({}, {}, 250),
    "a risk of one's own": ({"risk_per_trade": "0.002"}, {}, 50),
    "a nearer stop, a larger size": ({"stop_px": "185.20"}, {}, 500),
    "a quantity is taken as it is": ({"quantity": 7}, {}, 7),
    "the sum of money caps it": ({}, {"GRODTD_TRADE_EXIT__SIZING__RISK_MONEY": "100"}, 25),
}


@pytest.mark.parametrize(("asked", "settings", "quantity"), SIZES.values(), ids=SIZES)
def test_the_size(asked, settings, quantity):
    async def story(world):
        bracket = await opened(world, **asked)
        assert (entry_of(bracket).cum_qty, await world.broker.position("AAPL")) == (quantity, quantity)
        return await resting(world)

    stop = D(asked.get("stop_px", "183.20"))
    assert in_a_world(story, settings=settings) == {"B1.stop1": (quantity, stop)}


def test_a_short_is_the_same_in_a_mirror():
    async def story(world):
        bracket = await opened(world, side=Side.SELL)
        return bracket.stop_px, await world.broker.position("AAPL")

    assert in_a_world(story) == (D("191.18"), -250)


# ---------------------------------------------------------------- kinds of entries


def test_a_limit_waits_and_is_protected_from_its_first_fill():
    async def story(world):
        bracket = await opened(world, limit_px="187.00", quantity=100)
        assert (bracket.phase, entry_of(bracket).order_type) == (Phase.WAITING, OrderType.LIMIT)
        assert await world.broker.position("AAPL") == 0

        await offer(world, "186.98", "187.00", 40)
        assert (await resting(world))["B1.stop1"] == (40, D("183.00"))
        await offer(world, "186.98", "187.00", 60)
        stops = {name: left for name, (left, px) in (await resting(world)).items() if px is not None}
        assert sum(stops.values()) == 100
        return world.service.bracket("B1").phase

    assert in_a_world(story) is Phase.OPEN


def test_a_breakout_waits_for_its_trigger():
    async def story(world):
        bracket = await opened(world, trigger_px="188.00", quantity=100)
        assert (bracket.phase, entry_of(bracket).order_type) == (Phase.WAITING, OrderType.STOP)
        await world.quote("AAPL", bid="188.03", ask="188.05")
        return await resting(world)

    assert in_a_world(story) == {"B1.stop1": (100, D("184.05"))}


def test_an_entry_that_takes_too_long_is_cancelled_whole():
    clock = Watch()

    async def story(world):
        await opened(world, limit_px="180.00", quantity=100)
        clock.wait(3601)
        world.runner._wake()
        await world.settle()
        return world.service.bracket("B1").phase, await resting(world)

    assert in_a_world(story, clock=clock) == (Phase.CLOSED, {})


def test_what_the_venue_refuses_ends_with_nothing_held():
    async def story(world):
        world.broker.venue.halt("AAPL")
        bracket = await opened(world)
        return bracket.phase, entry_of(bracket).state.value, await resting(world)

    assert in_a_world(story) == (Phase.CLOSED, "rejected", {})


# ---------------------------------------------------------------- limits, in the words the trader reads


async def nothing(world, clock):
    pass


async def a_loss_of_six_per_cent(world, clock):
    await opened(world, "L1", quantity=300, stop_px="181.20")
    await world.quote("AAPL", bid="167.18", ask="167.20")
    clock.wait(60)
    await world.quote("AAPL", bid="187.18", ask="187.20")


async def two_losses(world, clock):
    for name, stop_px in (("L1", "183.20"), ("L2", "182.20")):
        await opened(world, name, quantity=10, stop_px=stop_px)
        await world.quote("AAPL", bid="182.00", ask="182.02")
        clock.wait(60)
        await world.quote("AAPL", bid="187.18", ask="187.20")


async def two_open(world, clock):
    await opened(world, "B1", quantity=450)
    await opened(world, "B2", quantity=400)


async def the_same_a_moment_ago(world, clock):
    await opened(world, "B1", quantity=10)
    clock.wait(2)


async def silence(world, clock):
    clock.wait(11)


async def a_crossed_quote(world, clock):
    await world.quote("AAPL", bid="187.25", ask="187.20")


async def a_short(world, clock):
    await protected(world, "S1", 10, Side.SELL)


async def switched_off(world, clock):
    await world.service.pause_entries("enough for today")


ONLY_SPY = {"GRODTD_RISK_LIMITS__ALLOWED_SYMBOLS__SPY": "true"}
LIMITS = {
    "a trade that risks too much": (
        nothing,
        {"quantity": 501},
        {},
        "max_trade_risk",
        (
            "risk_limits.max_trade_risk: 501 at risk 4 each would lose 2004, and this entry would "
            "make it 2004; allowed: 0.02 of equity 100000 = 2000; what would pass: a quantity of at most 500"
        ),
    ),
    "a symbol that holds as much as it may": (
        two_open,
        {"quantity": 200},
        {},
        "max_symbol_risk",
        "what would pass: a quantity of at most 149",
    ),
    "too many brackets": (
        two_open,
        {"quantity": 1},
        {"GRODTD_TRADE_EXIT__BRACKET_ORDERS__MAX_ACTIVE_BRACKETS": "2"},
        "too_many",
        (
            "bracket_orders.max_active_brackets: 2 brackets are active; allowed: 2; what would pass: an entry "
            "after one of them has ended"
        ),
    ),
    "too much money": (
        nothing,
        {"quantity": 100},
        {"GRODTD_RISK_LIMITS__MAX_ORDER_NOTIONAL": "10000"},
        "max_order_notional",
        "100 at 187.2 is worth 18720; allowed: 10000; what would pass: a quantity of at most 53",
    ),
    "a day that has lost enough": (
        a_loss_of_six_per_cent,
        {"quantity": 10},
        {},
        "max_day_loss",
        (
            "risk_limits.max_day_loss: 6006 were lost since 00:00 UTC; allowed: 0.05 of the 100000 the "
            "day began with = 5000; what would pass: an entry after the day rolls at 00:00 UTC"
        ),
    ),
    "a bad run": (
        two_losses,
        {"quantity": 20},
        {"GRODTD_RISK_LIMITS__MAX_CONSECUTIVE_LOSSES": "2"},
        "max_consecutive_losses",
        "2 brackets in a row lost; allowed: 2, then a pause of 1h; what would pass: an entry in",
    ),
    "a price out of the way": (
        nothing,
        {"quantity": 10, "limit_px": "240", "stop_px": "230"},
        {},
        "collar_bps",
        (
            "240 is 2820.5 basis points from the last quote, 187.2; allowed: 500 basis points; "
            "what would pass: a price from 177.84 to 196.56"
        ),
    ),
    "a quote that is old": (
        silence,
        {"quantity": 10},
        {},
        "quote_max_age_s",
        "the last quote is 11 s old; allowed: a good quote of AAPL at most 10 s",
    ),
    "a quote that is crossed": (
        a_crossed_quote,
        {"quantity": 10},
        {},
        "quote",
        "the quote is crossed: bid 187.25 above ask 187.20",
    ),
    "no quote at all": (
        nothing,
        {"quantity": 10, "symbol": "SPY"},
        {},
        "quote",
        "no quote of SPY was seen",
    ),
    "a symbol that is not allowed": (
        nothing,
        {"quantity": 10},
        ONLY_SPY,
        "allowed_symbols",
        "AAPL is not allowed; allowed: SPY",
    ),
    "the same once more": (
        the_same_a_moment_ago,
        {"quantity": 10},
        {},
        "duplicate_within_s",
        "B1 is the same buy of 10 AAPL; allowed: one in 5 s; what would pass: the same in 3 s",
    ),
    "a quantity between two lots": (
        nothing,
        {"quantity": "1.5"},
        {},
        "lot_size",
        "a quantity of 1.5; allowed: multiples of 1; what would pass: 1",
    ),
    "a limit between two ticks": (
        nothing,
        {"limit_px": "187.005"},
        {},
        "limit_px",
        "a price of 187.005; allowed: multiples of the tick 0.01",
    ),
    "a stop on the wrong side": (
        nothing,
        {"stop_px": "190"},
        {},
        "bad_stop",
        "stop 190 of a long must be a price below its entry 187.2",
    ),
    "a target on the wrong side": (
        nothing,
        {"target_px": "180"},
        {},
        "bad_target",
        "target 180 of a long must be a price above its entry 187.2",
    ),
    "a trigger the market has passed": (
        nothing,
        {"trigger_px": "187"},
        {},
        "trigger_px",
        "a buy triggered at 187, with the market at 187.2",
    ),
    "a limit short of its trigger": (
        nothing,
        {"trigger_px": "188", "limit_px": "187.5"},
        {},
        "limit_px",
        "a limit of 187.5 with a trigger of 188",
    ),
    "more than everything": (
        nothing,
        {"risk_per_trade": "1.5"},
        {},
        "risk_per_trade",
        "a fraction of equity above 0 and at most 1",
    ),
    "risk too small for one share": (
        nothing,
        {"risk_per_trade": "0.00001"},
        {},
        "risk_per_trade",
        "1 units, the least AAPL can be traded in, risk 4",
    ),
    "the other side of an open bracket": (
        a_short,
        {"quantity": 10},
        {},
        "opposite",
        "bracket S1 is a sell of AAPL",
    ),
    "the kill switch": (
        switched_off,
        {"quantity": 10},
        {},
        "entries_paused",
        "new entries are paused: enough for today",
    ),
    "no such strategy": (
        nothing,
        {"strategy": "scalp"},
        {},
        "unknown_strategy",
        "no strategy named 'scalp' is configured; known: default",
    ),
}


@pytest.mark.parametrize(("before", "asked", "settings", "code", "words"), LIMITS.values(), ids=LIMITS)
def test_a_limit_refuses_in_words_and_nothing_is_sent(before, asked, settings, code, words):
    clock, record = Watch(), Recorded()

    async def story(world):
        await before(world, clock)
        held, orders = await world.broker.position("AAPL"), len(world.broker.venue.history())
        error = await refused(world, **asked)
        assert (error.code, words in str(error)) == (code, True), str(error)
        assert (await world.broker.position("AAPL"), len(world.broker.venue.history())) == (held, orders)
        await world.runner._durable()

    in_a_world(story, settings=settings, clock=clock, journal=record.journal)
    [note] = record.facts(EntryRefused)
    assert (note.bracket_id, note.code) == ("B9", code)
    assert "asked to open: long " in record.story("B9")
    assert words in record.story("B9")


PASSES = {
    "within every limit": (nothing, {"quantity": 500}),
    "the day after": (a_loss_of_six_per_cent, {"quantity": 10}),
    "after the pause": (two_losses, {"quantity": 20}),
    "the same, but later": (the_same_a_moment_ago, {"quantity": 10}),
}


@pytest.mark.parametrize(("before", "asked"), PASSES.values(), ids=PASSES)
def test_what_passes_passes(before, asked):
    clock = Watch()

    async def story(world):
        await before(world, clock)
        clock.wait(24 * 3600)
        await world.quote("AAPL", bid="187.18", ask="187.20")
        return (await opened(world, "B9", **asked)).phase

    assert in_a_world(story, settings={"GRODTD_RISK_LIMITS__MAX_CONSECUTIVE_LOSSES": "2"}, clock=clock) is Phase.OPEN


def test_where_nothing_can_rest_an_entry_is_refused_before_it_is_sent():
    async def story(world):
        return await refused(world)

    assert in_a_world(story, capabilities=NO_STOPS).code == "unprotected"


def test_an_engine_nobody_told_limits_sends_no_entry():
    async def story(world):
        world.runner.turn.engine._risk.limits = None
        return await refused(world)

    assert in_a_world(story).code == "no_limits"


def test_an_account_that_does_not_say_what_it_is_worth():
    async def story(world):
        async def silent():
            raise Refused("not today", code="maintenance")

        world.broker.equity = silent
        sized, given = await refused(world), await refused(world, "B8", quantity=10)
        assert "sizing.risk_per_trade: equity is not known" in str(sized)
        assert "risk_limits.max_trade_risk: equity is not known" in str(given)

    in_a_world(story)


def test_entries_wait_for_the_connection():
    async def story(world):
        world.runner.link_up = False
        return await refused(world)

    assert in_a_world(story).code == "link_down"


# ---------------------------------------------------------------- one fact


def test_asked_for_twice_under_one_name_it_is_opened_once():
    async def story(world):
        await opened(world, quantity=10)
        again = await refused(world, "B1", quantity=10)
        other = await refused(world, "B1", quantity=11)
        return again.code, other.code, await world.broker.position("AAPL")

    assert in_a_world(story) == ("duplicate_id", "id_taken", 10)


def test_two_at_once_do_not_share_one_limit():
    async def story(world):
        asked = [world.service.open_bracket(wanting(name, quantity=450)) for name in ("B1", "B2", "B3")]
        found = await asyncio.gather(*asked, return_exceptions=True)
        await world.settle()
        return [getattr(answer, "code", "opened") for answer in found], await world.broker.position("AAPL")

    settings = {"GRODTD_RISK_LIMITS__DUPLICATE_WITHIN_S": "0"}
    assert in_a_world(story, settings=settings) == (["opened", "opened", "max_symbol_risk"], 900)


def test_the_fact_carries_what_it_was_judged_by_and_a_journal_repeats_the_judgement():
    clock, record = Watch(), Recorded()

    async def story(world):
        await two_losses(world, clock)
        await opened(world, limit_px="187.20", risk_per_trade="0.005")
        await refused(world, quantity=5000)
        await world.quote("AAPL", bid="190", ask="190.02")
        await world.runner._durable()
        return world.runner.turn.engine

    engine = in_a_world(story, clock=clock, journal=record.journal)
    [asked] = [fact for fact in record.facts(BracketRequested) if fact.bracket_id == "B1"]
    assert (asked.quantity, asked.entry.sized_by) == (124, "sizing.risk_per_trade")
    assert (asked.entry.equity, asked.entry.quote.ask) == (D("99896.00"), D("187.20"))
    again = refold(record.disk.records).engine
    assert snapshot(again) == snapshot(engine) == snapshot(restore(snapshot(engine)))
    assert restore(snapshot(engine)).risk == again.risk
    assert (again.risk.consecutive_losses, list(again.risk.open)) == (2, ["B1"])


def test_a_fact_without_a_size_is_sized_by_the_engine_itself():
    """A program that talks to the runner directly gets the same answer as through the door."""

    async def story(world):
        entry = EntryTerms(equity=D(100_000), quote=world.service._account.quote("AAPL"))
        asked = BracketRequested("B1", "AAPL", Side.BUY, D(0), stop_px=D("185.20"), entry=entry, ts_received_ns=NOW_NS)
        await world.runner.handle(asked)
        await world.settle()
        return await world.broker.position("AAPL")

    assert in_a_world(story) == 500


def test_limits_told_late_observe_what_is_open_already():
    async def story(world):
        engine = world.runner.turn.engine
        engine._risk = type(engine._risk)()
        await protected(world, "B1", 600)
        assert not engine.risk.open
        await world.runner.handle(RiskLimitsLoaded(RiskLimits(), NOW_NS))
        return str(await refused(world, quantity=600, stop_px="184.20"))

    assert "and this entry would make it 4200; allowed: 0.04 of equity" in in_a_world(story)


# ---------------------------------------------------------------- the kill switch, and exits


def test_the_kill_switch_keeps_stops_and_trails_and_what_is_on_its_way():
    trail = Policy(
        trailing=TrailingPolicy(method=TrailMethod.PERCENT, amount=D("0.02")), ratchet=RatchetPolicy(on=RatchetOn.QUOTE)
    )

    async def story(world):
        await opened(world, quantity=100, policy=trail)
        await opened(world, "B2", limit_px="187.00", quantity=50)
        await world.service.pause_entries("enough")
        assert (await refused(world)).code == "entries_paused"
        await world.quote("AAPL", bid="200.00", ask="200.02")
        trailed = world.service.bracket("B1").stop_px
        await world.quote("AAPL", bid="195.90", ask="196.00")
        return trailed, world.service.bracket("B1").phase

    assert in_a_world(story) == (D("196.00"), Phase.CLOSED)


@pytest.mark.parametrize("before", [two_losses, a_loss_of_six_per_cent, switched_off], ids=lambda b: b.__name__)
def test_no_limit_holds_up_an_exit_or_a_fill_that_exists(before):
    clock = Watch()

    async def story(world):
        await before(world, clock)
        bracket = await protected(world, "P1")
        assert bracket.phase is Phase.OPEN
        await world.service.exit_now("P1", "ema crossed")
        await world.settle()
        return world.service.bracket("P1")

    ended = in_a_world(story, clock=clock, settings={"GRODTD_RISK_LIMITS__MAX_CONSECUTIVE_LOSSES": "2"})
    assert (ended.phase, ended.exit_reason) == (Phase.CLOSED, "signal")


# ---------------------------------------------------------------- the outside system


class Outside:
    """A risk system that says what it is told to say, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def ask(self, question):
        self.asked.append(question)
        return self.answers.pop(0)


def test_an_outside_system_is_asked_about_what_our_own_limits_allow():
    outside, record = Outside(Advice(True, "desk 7"), Advice(False, "concentration limit")), Recorded()

    async def story(world):
        await opened(world, risk_per_trade="0.001")
        error = await refused(world, "B2", quantity=10)
        too_much = await refused(world, "B3", quantity=5000)
        await world.runner._durable()
        return str(error), error.code, too_much.code

    told = in_a_world(story, advisor=outside, journal=record.journal)
    assert told == ("risk_limits.advisor: concentration limit", "advisor", "max_trade_risk")
    first, second = outside.asked
    assert (first.quantity, first.stop_px, first.risk_money, first.notional) == (25, D("183.20"), 100, D("4680.00"))
    assert (first.entry_px, first.equity, second.bracket_id) == (None, 100_000, "B2")
    assert record.facts(BracketRequested)[0].entry.advice == "desk 7"
    assert "desk 7" in record.story("B1")
    assert "concentration limit" in record.story("B2")


def test_its_silence_is_told_where_it_means_yes():
    why = "the risk system http://x did not answer; risk_limits.advisor.on_silence is allow"

    async def story(world):
        return (await opened(world, quantity=1)).phase

    record = Recorded()
    found = in_a_world(story, advisor=Outside(Advice(True, why, silent=True)), journal=record.journal)
    assert found is Phase.OPEN
    assert why in record.story("B1")


# ---------------------------------------------------------------- policies of symbols and of one bracket


def test_a_symbol_has_its_own_policy():
    settings = {"GRODTD_TRADE_EXIT__SYMBOLS__AAPL__ATR__MULTIPLIER": "1"}

    async def story(world):
        opened_there = await opened(world, quantity=10)
        other = await protected(world, "P1", 10)
        return opened_there.stop_px, other.stop_px

    assert in_a_world(story, settings=settings) == (D("185.20"), D("185.20"))


def test_a_bracket_may_have_a_policy_of_its_own():
    async def story(world):
        mine = Policy(name="mine", atr=replace(Policy().atr, multiplier=D(3)))
        return (await protected(world, "P1", 10, policy=mine)).stop_px, (await protected(world, "P2", 10)).stop_px

    assert in_a_world(story) == (D("181.20"), D("183.20"))
