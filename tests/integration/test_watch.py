"""Entries by other hands: what is protected without being asked, and what is left alone."""

import asyncio
from decimal import Decimal

import pytest

from grodtd.domain.errors import OutcomeUnknown
from grodtd.domain.orders import Side
from grodtd.runtime import watch
from grodtd.storage.memory import Disk
from tests.integration.daemon_kit import living

BY_SYMBOL = {"symbols": {"X": "default"}}
BY_PREFIX = {"client_id_prefixes": {"tv-": "default"}}


def told(story):
    """Run an async test."""
    return asyncio.run(story)


async def settle(daemon):
    """Let the watcher do what it has to do, and the runner what follows."""
    watcher = daemon.daemon.watcher
    await daemon.until(lambda: watcher.idle and daemon.runner.dispatcher.idle, "the watcher has nothing to do")
    for _ in range(20):
        await asyncio.sleep(0.001)
    await daemon.daemon._settled()


@pytest.mark.parametrize(
    ("rule", "order_id", "symbol", "protected"),
    [
        (BY_SYMBOL, "hand-1", "X", True),
        (BY_SYMBOL, "hand-1", "Y", False),
        (BY_PREFIX, "tv-1", "Y", True),
        (BY_PREFIX, "hand-1", "X", False),
        ({}, "hand-1", "X", False),
    ],
)
def test_a_fill_is_protected_where_a_rule_says_so(tmp_path, rule, order_id, symbol, protected):
    async def story():
        async with living(tmp_path, watch=rule) as daemon:
            await daemon.quote(100, symbol)
            await daemon.by_hand(order_id, "buy", 10, symbol=symbol)
            await settle(daemon)
            bracket = daemon.bracket(order_id)
            if not protected:
                assert bracket is None
                return
            assert (bracket["protected_qty"], bracket["entry_px"], bracket["stop_px"]) == ("10", "100", "98")
            assert f"bracket={order_id}" in daemon.log.getvalue()

    told(story())


def test_an_order_that_fills_in_pieces_is_protected_piece_by_piece_in_one_bracket(tmp_path):
    async def story():
        async with living(tmp_path, watch=BY_SYMBOL) as daemon:
            await daemon.by_hand("hand-1", "buy", 10, limit=100)
            for offered, held in ((4, "4"), (3, "7"), (9, "10")):
                await daemon.quote(100, ask_qty=offered)
                await settle(daemon)
                bracket = daemon.bracket("hand-1")
                assert (bracket["open_qty"], bracket["protected_qty"]) == (held, held)
            assert [b.bracket_id for b in daemon.runner.brackets()] == ["hand-1"]
            await daemon.post("/v1/reconcile")  # the venue tells the same fills again
            assert daemon.bracket("hand-1")["open_qty"] == "10"

    told(story())


def test_a_short_by_hand_is_protected_as_a_short(tmp_path):
    async def story():
        async with living(tmp_path, watch=BY_SYMBOL) as daemon:
            await daemon.quote(100)
            await daemon.by_hand("hand-1", "sell", 10)
            await settle(daemon)
            bracket = daemon.bracket("hand-1")
            assert (bracket["side"], bracket["stop_px"], bracket["protected_qty"]) == ("sell", "102", "10")

    told(story())


def test_what_is_sold_beyond_a_bracket_is_a_short_of_its_own(tmp_path):
    async def story():
        async with living(tmp_path, watch=BY_SYMBOL) as daemon:
            await daemon.quote(100)
            await daemon.protect(quantity=10, price=100, bracket_id="B1")
            await daemon.by_hand("hand-1", "sell", 15)  # closes the long by hand, and opens a short of 5
            await settle(daemon)
            bracket = daemon.bracket("hand-1")
            assert (bracket["side"], bracket["open_qty"], bracket["protected_qty"]) == ("sell", "5", "5")

    told(story())


def test_selling_by_hand_what_a_bracket_holds_is_no_short(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "ASK_AGAIN_S", 0.0)

    async def story():
        async with living(tmp_path, watch=BY_SYMBOL) as daemon:
            await daemon.quote(100)
            await daemon.protect(quantity=10, price=100, bracket_id="B1")
            await daemon.by_hand("hand-1", "sell", 10)
            await daemon.until(lambda: "watched_fill_reduces" in daemon.log.getvalue(), "it was looked at")
            assert daemon.bracket("hand-1") is None

    told(story())


@pytest.mark.parametrize(
    ("what", "quantity", "side", "held", "looked_after", "opened"),
    [
        ("out of nothing", 10, "buy", 10, 0, 10),
        ("more of the same", 10, "buy", 110, 100, 10),
        ("a bracket's long sold by hand", 100, "sell", 0, 100, 0),
        ("half of it", 50, "sell", 50, 100, 0),
        ("more than it", 150, "sell", -50, 100, 50),
        ("the account does not know it yet", 10, "buy", 0, 0, 0),
        ("somebody protected it meanwhile", 10, "buy", 10, 10, 0),
        ("long and short brackets side by side", 1000, "buy", 6000, 5000, 1000),
        ("a short out of nothing", 10, "sell", -10, 0, 10),
    ],
)
def test_how_much_of_a_fill_is_new(what, quantity, side, held, looked_after, opened):
    figures = map(Decimal, (held, looked_after))
    assert watch.opened_by(Decimal(quantity), Side(side), *figures) == opened, what


@pytest.mark.parametrize("rule", [BY_SYMBOL, BY_PREFIX])
def test_paused_entries_do_not_leave_a_fill_bare(tmp_path, rule):
    async def story():
        async with living(tmp_path, watch=rule) as daemon:
            await daemon.quote(100)
            await daemon.post("/v1/entries/pause", reason="news")
            await daemon.by_hand("tv-1", "buy", 10)
            await settle(daemon)
            assert daemon.bracket("tv-1")["protected_qty"] == "10"

    told(story())


def test_our_own_exits_are_nobodys_entries(tmp_path):
    async def story():
        async with living(tmp_path, watch=BY_SYMBOL) as daemon:
            await daemon.quote(100)
            await daemon.by_hand("hand-1", "buy", 10)
            await settle(daemon)
            await daemon.quote(97)
            await settle(daemon)
            assert [(b.bracket_id, b.phase.value) for b in daemon.runner.brackets()] == [("hand-1", "closed")]
            assert await daemon.broker.position("X") == 0

    told(story())


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    async def story():
        async with living(tmp_path, watch=BY_PREFIX) as daemon:
            await daemon.quote(100)
            await daemon.protect(bracket_id="tv-1")
            await daemon.by_hand("tv-1", "buy", 5)
            await settle(daemon)
            assert daemon.bracket("tv-1-2")["protected_qty"] == "5"

    told(story())


def test_what_filled_while_nobody_watched_is_protected_at_the_next_start(tmp_path):
    async def story():
        disk = Disk()
        async with living(tmp_path, watch=BY_SYMBOL, disk=disk) as daemon:
            await daemon.quote(100)
            await daemon.by_hand("hand-1", "buy", 10)
            await settle(daemon)
            watcher = daemon.daemon.watcher
            daemon.runner.observers.remove(watcher.observe)  # the daemon looks away, the market does not
            await daemon.by_hand("hand-2", "buy", 5)
        async with living(tmp_path, watch=BY_SYMBOL, disk=disk) as daemon:
            await settle(daemon)
            assert daemon.bracket("hand-2")["protected_qty"] == "5"
            assert daemon.bracket("hand-1")["protected_qty"] == "10"
            assert await daemon.broker.position("X") == 15

    told(story())


def test_what_was_there_before_the_first_start_is_adopted_only_by_name(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            await daemon.by_hand("hand-1", "buy", 10)
        async with living(tmp_path, watch=BY_SYMBOL) as daemon:
            await settle(daemon)
            assert daemon.runner.brackets() == ()
            bracket = await daemon.protect(quantity=10, price=100)  # adopted: the account holds it already
            assert bracket["protected_qty"] == "10"
            assert await daemon.broker.position("X") == 10

    told(story())


@pytest.mark.parametrize(("sold_before", "protected"), [(4, "6"), (0, "10")], ids=["sold", "still held"])
@pytest.mark.parametrize("rule", [BY_SYMBOL, {"client_id_prefixes": {"hand-": "default"}}], ids=["symbol", "prefix"])
def test_an_order_that_began_to_fill_before_the_first_start(tmp_path, rule, sold_before, protected):
    """4 of 10 filled before anybody watched; the other 6 come now. What was sold meanwhile is not guarded."""

    async def story():
        async with living(tmp_path) as daemon:
            await daemon.by_hand("hand-1", "buy", 10, limit=100)
            await daemon.quote(100, ask_qty=4)
            if sold_before:
                await daemon.by_hand("sale", "sell", sold_before)
        async with living(tmp_path, watch=rule) as daemon:
            await daemon.quote(100, ask_qty=9)
            await settle(daemon)
            bracket = daemon.bracket("hand-1")
            assert (bracket["open_qty"], bracket["protected_qty"]) == (protected, protected)
            assert await daemon.broker.position("X") == int(protected)

    told(story())


def test_a_fill_that_cannot_be_protected_is_an_alarm_until_it_is(tmp_path):
    async def story():
        async with living(tmp_path, watch=BY_PREFIX) as daemon:
            watcher = daemon.daemon.watcher
            watcher._prefixes["tv-"], watcher._try_again_s = "gone", 0.01
            await daemon.quote(100)
            await daemon.by_hand("tv-1", "buy", 10)
            await daemon.until(lambda: watcher.failures, "it failed")
            assert "watched_fill_not_protected" in daemon.log.getvalue()
            status = (await daemon.get("/v1/status")).json()
            assert status["level"] == "alarm"
            assert status["verdict"].startswith("EXPOSED: a fill by another hand is not protected: tv-1: 10 X (no str")
            watcher._prefixes["tv-"] = "default"
            await daemon.until(lambda: daemon.bracket("tv-1"), "it was tried again")
            await settle(daemon)
            assert (daemon.bracket("tv-1")["protected_qty"], watcher.failures) == ("10", {})

    told(story())


def test_a_fill_adopted_by_hand_meanwhile_is_not_protected_twice(tmp_path):
    async def story():
        async with living(tmp_path, watch=BY_PREFIX) as daemon:
            watcher = daemon.daemon.watcher
            watcher._prefixes["tv-"], watcher._try_again_s = "gone", 0.01
            await daemon.quote(100)
            await daemon.by_hand("tv-1", "buy", 10)
            await daemon.until(lambda: watcher.failures, "it failed")
            await daemon.protect(quantity=10, price=100, bracket_id="B1")
            await daemon.until(lambda: not watcher.failures, "it was looked at again")
            assert [b.bracket_id for b in daemon.runner.brackets()] == ["B1"]

    told(story())


class Hand:
    """A clock moved by hand."""

    def __init__(self):
        self.ns = 1_700_002_800 * 1_000_000_000

    def now_ns(self):
        return self.ns


def test_what_was_protected_under_another_name_is_not_protected_again_after_a_restart(tmp_path):
    """Entries were paused, so the fill has a bracket that is not attached to its order; three quiet hours later."""

    async def story():
        clock, disk = Hand(), Disk()
        async with living(tmp_path, clock=clock, disk=disk, watch=BY_PREFIX) as daemon:
            await daemon.quote(100)
            await daemon.post("/v1/entries/pause", reason="kill switch")
            await daemon.by_hand("tv-1", "buy", 10)
            await settle(daemon)
        clock.ns += 3 * 3600 * 1_000_000_000
        async with living(tmp_path, clock=clock, disk=disk, watch=BY_PREFIX) as daemon:
            await settle(daemon)
            assert [b.bracket_id for b in daemon.runner.brackets()] == ["tv-1"]

    told(story())


def test_what_is_bought_back_after_a_sale_by_hand_is_protected(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "ASK_AGAIN_S", 0.001)

    async def story():
        clock = Hand()
        async with living(tmp_path, clock=clock, watch=BY_SYMBOL) as daemon:
            await daemon.quote(100)
            await daemon.by_hand("hand-1", "buy", 10)
            await settle(daemon)
            await daemon.by_hand("hand-2", "sell", 4)
            for _ in range(3):
                clock.ns += 5 * 1_000_000_000
                await daemon.post("/v1/reconcile")
                await settle(daemon)
            assert daemon.bracket("hand-1")["open_qty"] == "6"
            await daemon.by_hand("hand-3", "buy", 4)
            await settle(daemon)
            assert daemon.bracket("hand-3")["protected_qty"] == "4"

    told(story())


def test_a_doubtful_fill_in_one_symbol_keeps_nobody_waiting_in_another(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "ASK_AGAIN_S", 60.0)  # in X the account is asked again and again

    async def story():
        async with living(tmp_path, watch={"symbols": {"X": "default", "Y": "default"}}) as daemon:
            await daemon.quote(100)
            await daemon.quote(50, "Y")
            await daemon.protect(quantity=10, price=100, bracket_id="B1")
            await daemon.by_hand("out", "sell", 1)
            await daemon.by_hand("hand-2", "buy", 10, symbol="Y")
            await daemon.until(lambda: daemon.bracket("hand-2"), "it is protected")

    told(story())


def test_a_list_of_fills_that_is_not_answered_once_does_not_end_the_watch(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            watcher, fills, silent = daemon.daemon.watcher, daemon.broker.fills, [True]
            watcher._symbols["X"], watcher._try_again_s = "default", 0.01

            async def unanswered_once(since_ns):
                if silent:
                    silent.pop()
                    raise OutcomeUnknown("no answer")
                return await fills(since_ns)

            daemon.broker.fills = unanswered_once
            watching = asyncio.create_task(daemon.daemon._watch())
            await daemon.quote(100)
            await daemon.by_hand("hand-1", "buy", 10)
            await daemon.until(lambda: daemon.bracket("hand-1"), "it is protected")
            assert (silent, "watch_not_caught_up" in daemon.log.getvalue()) == ([], True)
            watching.cancel()

    told(story())
