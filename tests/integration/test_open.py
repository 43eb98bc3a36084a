"""Trades opened through a running daemon, asked over HTTP: sized, refused in words, protected, out by a signal."""

import asyncio

import pytest

from grodtd.domain.errors import OutcomeUnknown
from grodtd.storage.memory import Disk
from tests.integration.daemon_kit import living


def told(story):
    """Run an async test."""
    return asyncio.run(story)


async def opened(daemon, **more):
    """Open a long of X; return the bracket and the remarks as answered."""
    answer = await daemon.post("/v1/entries", **{"symbol": "X", "side": "buy", **more})
    assert answer.status_code == 201, answer.text
    [bracket] = answer.json()["brackets"]
    return bracket, answer.json()["remarks"]


async def refused(daemon, path="/v1/entries", **more):
    answer = await daemon.post(path, **{"symbol": "X", "side": "buy", **more})
    problem = answer.json()
    assert answer.status_code == problem["status"] >= 400, answer.text
    return problem["status"], problem["code"], problem["detail"]


def test_a_trade_is_opened_shown_told_and_left_by_a_signal(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            bracket, remarks = await opened(daemon, bracket_id="B1", stop_price="95")
            # 1 % of a million over a stop 5 away
            assert (bracket["phase"], bracket["open_qty"], bracket["protected_qty"]) == ("open", "2000", "2000")
            assert remarks == ["2000 units lose 10000 at their stop, fees included"]
            assert await daemon.broker.position("X") == 2000

            left = (await daemon.post("/v1/brackets/B1/exit", reason="ema crossed")).json()["brackets"][0]
            assert (left["phase"], left["exit_reason"], left["open_qty"]) == ("closed", "signal", "0")
            told_of = "\n".join((await daemon.get("/v1/brackets/B1/story")).json()["lines"])
            assert "asked to open: long 2000 X" in told_of
            assert "within every limit, so the entry goes: market 2000; sized by sizing.risk_per_trade" in told_of
            assert "asked to get out (signal): ema crossed" in told_of

    told(story())


def test_without_a_name_it_gets_one_of_its_own(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            first, _ = await opened(daemon, quantity="10")
            second, _ = await opened(daemon, quantity="11")
            assert first["bracket_id"].startswith("X-")
            assert first["bracket_id"] != second["bracket_id"]

    told(story())


REFUSED = {
    "too much": ({"quantity": "100000"}, 409, "max_trade_risk", "what would pass: a quantity of at most 10000"),
    "no quote": ({"symbol": "Y", "quantity": "1"}, 409, "quote", "no quote of Y was seen"),
    "unlisted": ({"symbol": "ZZZ", "quantity": "1"}, 404, "unknown_symbol", "add it to instruments.yaml"),
    "a stop above a long": ({"quantity": "1", "stop_price": "105"}, 422, "bad_stop", "must be a price below its entry"),
    "both sizes": ({"quantity": "1", "risk": "0.01"}, 422, "bad_quantity", "give a quantity or a risk, not both"),
    "a name that means all": ({"quantity": "1", "bracket_id": "all"}, 422, "bad_id", "flatten all"),
    "no such key": (
        {"quantity": "1", "settings": {"trailing.methd": "percent"}},
        422,
        "bad_input",
        "--set:1: trailing.methd: unknown key; nearest known key: trailing.method",
    ),
    "no such value": (
        {"quantity": "1", "settings": {"atr.period": "14", "trailing.method": "percnt"}},
        422,
        "bad_input",
        "--set:2: trailing.method: 'percnt' is not allowed",
    ),
    "a key and a block of it": (
        {"quantity": "1", "settings": {"atr": "3", "atr.period": "14"}},
        422,
        "bad_input",
        "set twice",
    ),
    "no such strategy": (
        {"quantity": "1", "strategy": "scalp", "settings": {"atr.period": "14"}},
        404,
        "unknown_strategy",
        "known: default",
    ),
    "bars nobody keeps": (
        {"quantity": "1", "settings": {"atr.interval": "5m"}},
        422,
        "bad_input",
        "bars of 300 s are not kept",
    ),
    "closing hours nobody read": (
        {"quantity": "1", "settings": {"time_exit.at_session_end": "true"}},
        422,
        "bad_input",
        "no closing hours",
    ),
}


@pytest.mark.parametrize(("asked", "status", "code", "words"), REFUSED.values(), ids=REFUSED)
def test_it_says_no_in_words_and_nothing_is_sent(tmp_path, asked, status, code, words):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            found = await refused(daemon, **asked)
            assert found[:2] == (status, code), found
            assert words in found[2]
            assert daemon.broker.venue.history() == []
            assert daemon.runner.brackets() == ()

    told(story())


def test_a_refusal_is_told_by_its_name_and_among_the_alarms(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            await refused(daemon, bracket_id="B9", quantity="100000")
            lines = (await daemon.get("/v1/brackets/B9/story")).json()["lines"]
            alarms = (await daemon.get("/v1/status")).json()["alarms"]
            assert "asked to open: long 100000 X" in lines[0]
            assert "refused, nothing was sent: risk_limits.max_trade_risk" in lines[1]
            assert [(alarm["bracket_id"], alarm["severity"]) for alarm in alarms] == [("B9", "warning")]

    told(story())


def test_what_the_venue_refuses_is_refused(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            daemon.broker.venue.halt("X")
            status, code, words = await refused(daemon, bracket_id="B1", quantity="10")
            assert (status, code) == (409, "entry_failed")
            assert "the venue refused the entry" in words
            assert daemon.bracket("B1")["phase"] == "closed"

    told(story())


def test_an_entry_that_waits_goes_when_its_bracket_is_released(tmp_path):
    """Nobody would protect what it fills from then on."""

    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            await opened(daemon, bracket_id="B1", quantity="10", limit_price="99.5", stop_price="95")
            answer = await daemon.post("/v1/brackets/B1/release", reason="not wanted")
            assert "what its entry has not filled is being cancelled" in answer.json()["remarks"]
            await daemon.quote(99)
            assert (await daemon.broker.position("X"), await daemon.broker.open_orders()) == (0, [])

    told(story())


def test_paused_entries_are_refused_and_what_is_open_goes_on(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            await opened(daemon, bracket_id="B1", quantity="10", stop_price="98")
            await daemon.post("/v1/entries/pause", reason="enough")
            assert (await refused(daemon, quantity="10"))[1] == "entries_paused"
            await daemon.quote("97.99")
            assert daemon.bracket("B1")["phase"] == "closed"
            await daemon.post("/v1/entries/resume")
            assert (await opened(daemon, quantity="11"))[0]["phase"] == "open"

    told(story())


def test_a_bracket_has_keys_of_its_own(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            trailing = {"trailing.method": "percent", "trailing.amount": "0.02", "ratchet.on": "quote"}
            mine = await daemon.protect(bracket_id="B1", settings=trailing)
            other = await daemon.protect(bracket_id="B2")
            assert mine["policy"] != other["policy"]
            await daemon.quote(105)
            assert daemon.bracket("B1")["stop_px"] == "102.9"
            assert daemon.bracket("B2")["stop_px"] == "98"

    told(story())


def test_what_was_lost_is_remembered_over_a_restart(tmp_path):
    disk = Disk()

    async def first():
        async with living(tmp_path, disk=disk) as daemon:
            await daemon.quote(100)
            await opened(daemon, bracket_id="B1", quantity="10000", stop_price="98")
            await daemon.quote(90)  # gapped: 100 000 of a million
            assert daemon.bracket("B1")["phase"] == "closed"

    async def second():
        async with living(tmp_path, disk=disk) as daemon:
            await daemon.quote(90)
            status, code, words = await refused(daemon, quantity="1")
            assert (status, code) == (409, "max_day_loss")
            assert "100000 were lost since 00:00 UTC" in words

    told(first())
    told(second())


@pytest.mark.parametrize("arrived", [True, False])
def test_an_entry_without_an_answer_is_asked_about_and_never_sent_twice(tmp_path, arrived):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            submit, sent = daemon.broker.submit, []

            async def lost(order):
                sent.append(order.client_order_id)
                if order.client_order_id != "B1.entry1":
                    return await submit(order)
                if arrived:
                    await submit(order)
                raise OutcomeUnknown("no answer")

            daemon.broker.submit = lost
            await opened(daemon, bracket_id="B1", quantity="10", stop_price="98")
            bracket = daemon.bracket("B1")
            assert sent.count("B1.entry1") == 1
            if arrived:
                assert (bracket["phase"], bracket["protected_qty"]) == ("open", "10")
            else:
                assert (bracket["phase"], bracket["open_qty"], bracket["orders"][0]["state"]) == (
                    "waiting",
                    "0",
                    "unsure",
                )
                assert sent == ["B1.entry1"]

    told(story())
