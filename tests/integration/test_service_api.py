"""The daemon's interface, asked over HTTP as any program would: what it answers, and how it says no."""

import asyncio
import errno

import msgspec
import pytest

from grodtd.domain.market import Quote
from grodtd.domain.orders import NewOrder, OrderType, Side
from grodtd.monitoring import status_values
from grodtd.runtime.bars import Warmth
from grodtd.runtime.feed import FeedState
from grodtd.service import models
from grodtd.storage.errors import JournalUnavailable
from grodtd.storage.memory import Disk, Fault
from grodtd.venue.profiles import NO_STOPS
from tests.integration.daemon_kit import living


def told(story):
    """Run an async test."""
    return asyncio.run(story)


# ---------------------------------------------------------------- the contract


@pytest.mark.parametrize(
    ("answered", "promised", "more"),
    [
        (status_values.Status, models.Status, set()),
        (status_values.BracketStatus, models.Bracket, {"ruler"}),
        (status_values.Order, models.Order, set()),
        (status_values.SymbolStatus, models.SymbolStatus, set()),
        (status_values.Totals, models.Totals, set()),
        (status_values.Unresolved, models.Unresolved, set()),
        (status_values.Alarm, models.Alarm, set()),
        (status_values.Daemon, models.Daemon, set()),
        (Warmth, models.Warmth, set()),
        (FeedState, models.Feed, set()),
    ],
)
def test_the_wire_says_all_that_is_known(answered, promised, more):
    assert set(answered.__struct_fields__) | more == set(promised.model_fields)


def test_every_route_is_described(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            api = (await daemon.get("/v1/openapi.json")).json()
        routes = {f"{method.upper()} {path}" for path, verbs in api["paths"].items() for method in verbs}
        assert routes == {
            "GET /v1/status",
            "GET /v1/health",
            "GET /v1/brackets",
            "POST /v1/brackets",
            "GET /v1/brackets/{bracket_id}",
            "GET /v1/brackets/{bracket_id}/story",
            "POST /v1/brackets/{bracket_id}/flatten",
            "POST /v1/brackets/{bracket_id}/release",
            "POST /v1/brackets/{bracket_id}/exit",
            "POST /v1/entries",
            "POST /v1/flatten",
            "GET /v1/entries",
            "POST /v1/entries/pause",
            "POST /v1/entries/resume",
            "POST /v1/reconcile",
            "POST /v1/paper/orders",
        }
        for path, verbs in api["paths"].items():
            for verb in verbs.values():
                assert verb["description"], path
                assert "default" in verb["responses"], path  # the problem document

    told(story())


# ---------------------------------------------------------------- a trade


def test_a_fill_is_protected_shown_told_and_sold(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            answer = await daemon.post(
                "/v1/brackets", symbol="X", side="buy", quantity="10", price="100", bracket_id="B1"
            )
            assert answer.status_code == 201
            [bracket], remarks = answer.json()["brackets"], answer.json()["remarks"]
            assert (bracket["stop_px"], bracket["target_px"], bracket["fallback"]) == ("98", "103", True)
            assert (bracket["protected_qty"], bracket["exposed_qty"], bracket["level"]) == ("10", "0", "ok")
            assert remarks[0] == "the paper account did not hold 10 X: it took them in at 100"
            assert remarks[1].startswith("no ATR: the stop is the fallback percentage away")

            status = (await daemon.get("/v1/status")).json()
            assert (status["level"], status["verdict"]) == ("ok", "all protected: 10 X")
            assert status["totals"]["protected_qty"] == "10"
            assert status["symbols"][0]["warmth"][0]["why_no_atr"] == "not enough bars: have 0, need 15"
            assert (await daemon.get("/v1/health")).status_code == 200

            await daemon.quote("98.00")  # the stop rests at the venue, and is hit there
            assert (await daemon.get("/v1/brackets")).json()["brackets"] == []
            [ended] = (await daemon.get("/v1/brackets?ended=true")).json()["brackets"]
            assert (ended["phase"], ended["open_qty"]) == ("closed", "0")
            assert await daemon.broker.position("X") == 0

            lines = (await daemon.get("/v1/brackets/B1/story")).json()["lines"]
            assert "entry filled: long 10 X at 100" in lines[0]
            assert any("no ATR (not enough bars: have 0, need 15)" in line for line in lines)
            assert lines[-1].strip().startswith("closed: nothing open")

    told(story())


def test_a_stop_the_market_has_passed_already_is_a_stop_that_was_hit(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(97)
            bracket = await daemon.protect(price=100, bracket_id="B1")  # its stop would be 98
            assert (bracket["phase"], bracket["exit_reason"]) == ("closed", "stop")
            assert await daemon.broker.position("X") == 0

    told(story())


def test_a_price_nowhere_near_the_market_is_said(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(647)
            asked = {"symbol": "X", "side": "buy", "quantity": "10", "stop_price": "60", "target_price": "700"}
            answer = await daemon.post("/v1/brackets", price="64.7", **asked)
            assert "the price given, 64.7, is 90 % from the last quote, 647: levels follow from it" in str(
                answer.json()
            )
            near = await daemon.post("/v1/brackets", **{**asked, "price": "646", "stop_price": "600"})
            assert "from the last quote" not in str(near.json()["remarks"])

    told(story())


def test_flatten_all_goes_on_though_one_ended_by_itself(tmp_path):
    """B2's stop fills while B1 is asked to leave: B3 is asked all the same."""

    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            for name in ("B1", "B2", "B3"):
                await daemon.protect(bracket_id=name)
            flatten = daemon.desk._service.flatten

            async def too_late_for_b2(name, *rest, **more):
                if name == "B2":
                    await flatten("B2", "a second hand")
                    await daemon.daemon._settled()
                return await flatten(name, *rest, **more)

            daemon.desk._service.flatten = too_late_for_b2
            answer = await daemon.post("/v1/flatten", reason="get me out")
            assert [bracket["phase"] for bracket in answer.json()["brackets"]] == ["closed"] * 3

    told(story())


def test_flatten_all_takes_all_in_while_the_disk_is_full(tmp_path):
    async def story():
        async with living(tmp_path, speak_within_s=0.05) as daemon:
            await daemon.quote(100)
            for name in ("B1", "B2", "B3"):
                await daemon.protect(bracket_id=name)
            full, commit = [True], daemon.daemon.journal.commit

            async def failing():
                if full:
                    raise JournalUnavailable(errno.ENOSPC, "memory")
                await commit()

            daemon.daemon.journal.commit, daemon.runner._commit_retry_s = failing, 0.02
            answer = await daemon.post("/v1/flatten", reason="get me out")
            assert (answer.status_code, "Do not ask again" in answer.json()["detail"]) == (503, True)
            full.clear()
            await daemon.until(lambda: await_closed(daemon, "B1", "B2", "B3"), "all three leave")

    told(story())


def await_closed(daemon, *names):
    return all(daemon.bracket(name)["phase"] == "closed" for name in names)


def test_a_price_of_yesterday_says_of_no_stop_that_it_is_hit(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(90)
            market = daemon.daemon.market
            old = market.last["X"]
            market.last["X"] = msgspec.structs.replace(old, ts_received_ns=old.ts_received_ns - 20 * 3600 * 10**9)
            daemon.deaf_to(Quote)
            await daemon.quote(100)  # the market is at 100; nothing told us
            bracket = await daemon.protect(quantity=10, price=100, bracket_id="B1")
            assert (bracket["phase"], bracket["protected_qty"]) == ("open", "10")

    told(story())


def test_flatten_one_and_all(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            for name in ("B1", "B2", "B3"):
                await daemon.protect(bracket_id=name)
            one = (await daemon.post("/v1/brackets/B2/flatten", reason="enough")).json()["brackets"][0]
            assert (one["phase"], one["exit_reason"]) == ("closed", "manual")
            rest = (await daemon.post("/v1/flatten")).json()["brackets"]
            assert [(bracket["bracket_id"], bracket["phase"]) for bracket in rest] == [
                ("B1", "closed"),
                ("B3", "closed"),
            ]
            assert await daemon.broker.position("X") == 0
            assert await daemon.broker.open_orders() == []

    told(story())


@pytest.mark.parametrize(("keep", "resting"), [(False, []), (True, ["B1.stop1"])])
def test_release_hands_the_position_back(tmp_path, keep, resting):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.protect(bracket_id="B1")
            answer = await daemon.post("/v1/brackets/B1/release", reason="mine again", keep_orders=keep)
            assert answer.json()["brackets"][0]["phase"] == "released"
            await daemon.daemon._settled()
            assert [report.client_order_id for report in await daemon.broker.open_orders()] == resting
            assert await daemon.broker.position("X") == 10

    told(story())


def test_the_same_request_made_twice_is_one_bracket(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            first = await daemon.protect()
            answer = await daemon.post("/v1/brackets", symbol="X", side="buy", quantity="10", price="100")
            assert (answer.status_code, answer.json()["code"]) == (409, "duplicate_id")
            assert first["bracket_id"].startswith("X-")
            assert await daemon.broker.position("X") == 10
            other = await daemon.protect(fill_id="exec:4711")
            assert other["bracket_id"] == "exec-4711"

    told(story())


def test_an_entry_order_is_watched_and_what_filled_before_is_found(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            await daemon.by_hand("mine-1", "buy", 4)
            asked = {"symbol": "X", "side": "buy", "quantity": "4", "entry_order": "mine-1"}
            [bracket] = (await daemon.post("/v1/brackets", **asked)).json()["brackets"]
            assert (bracket["bracket_id"], bracket["protected_qty"], bracket["entry_px"]) == ("mine-1", "4", "100")

    told(story())


def test_paused_entries_still_protect_what_is_held(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            assert (await daemon.post("/v1/entries/pause", reason="news")).json() == {"paused": "news"}
            asked = {"symbol": "X", "side": "buy", "quantity": "1", "entry_order": "mine-1"}
            refused = await daemon.post("/v1/brackets", **asked)
            assert (refused.status_code, refused.json()["code"]) == (409, "entries_paused")
            assert (await daemon.protect())["protected_qty"] == "10"
            assert (await daemon.get("/v1/status")).json()["entries_paused"] == "news"
            assert (await daemon.post("/v1/entries/resume")).json() == {"paused": ""}

    told(story())


def test_where_no_stop_can_rest_the_truth_is_told(tmp_path):
    async def story():
        async with living(tmp_path, capabilities=NO_STOPS) as daemon:
            await daemon.quote(100)
            bracket = await daemon.protect()
            assert (bracket["exposed_qty"], bracket["level"]) == ("10", "alarm")
            assert "UNPROTECTED OFFLINE" in bracket["verdict"]
            assert (await daemon.get("/v1/health")).status_code == 503

    told(story())


def test_orphans_and_positions_nobody_looks_after(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            await daemon.by_hand("mine-1", "buy", 7)
            stray = NewOrder("B9.stop1", "X", Side.SELL, OrderType.LIMIT, 3, limit_px=200)
            await daemon.broker.submit(stray)
            found = (await daemon.post("/v1/reconcile")).json()
            assert found["complete"]
            assert [order["client_order_id"] for order in found["orphans"]] == ["B9.stop1"]
            assert found["positions"] == [
                {"symbol": "X", "account_qty": "7", "brackets_qty": "0", "unprotected_qty": "7"}
            ]
            assert (await daemon.get("/v1/status")).json()["orphans"] == ["B9.stop1"]

    told(story())


# ---------------------------------------------------------------- how it says no


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "words"),
    [
        ("GET", "/v1/brackets/B7", None, 404, "unknown_bracket", "there is no bracket B7"),
        ("GET", "/v1/brackets/B7/story", None, 404, "unknown_bracket", "there is no bracket B7"),
        ("POST", "/v1/brackets/B7/flatten", {}, 404, "unknown_bracket", "there is no bracket B7"),
        ("POST", "/v1/brackets/B7/release", {"reason": "x"}, 404, "unknown_bracket", "there is no bracket B7"),
        ("POST", "/v1/brackets/B7/release", {}, 422, "bad_request", "reason: Field required"),
        ("GET", "/v1/nothing", None, 404, "no_such_route", "/v1/openapi.json lists what there is"),
        ("DELETE", "/v1/brackets", None, 405, "wrong_method", "DELETE /v1/brackets"),
        ("POST", "/v1/brackets", {"symbol": "X"}, 422, "bad_request", "side: Field required"),
        ("POST", "/v1/brackets", {"price": None}, 422, "no_price", "what was it filled at?"),
        ("POST", "/v1/brackets", {"side": "long"}, 422, "bad_request", "(given: 'long')"),
        ("POST", "/v1/brackets", {"quantity": "0"}, 422, "bad_request", "quantity: must be above 0 (given: '0')"),
        ("POST", "/v1/brackets", {"quantity": "NaN"}, 422, "bad_request", "quantity"),
        ("POST", "/v1/brackets", {"price": "1e99"}, 422, "bad_request", "price: has too many digits"),
        ("POST", "/v1/brackets", {"stop_price": "101"}, 422, "bad_stop", "the position is as it was"),
        ("POST", "/v1/brackets", {"target_price": "99"}, 422, "bad_target", "must be a price above its entry 100"),
        ("POST", "/v1/brackets", {"stop": "98"}, 422, "bad_request", "stop: Extra inputs are not permitted"),
        ("POST", "/v1/brackets", {"bracket_id": "a b"}, 422, "bad_request", "bracket_id"),
        ("POST", "/v1/brackets", {"bracket_id": "all"}, 422, "bad_id", "`flatten all` means every one"),
        ("POST", "/v1/brackets", {"symbol": "NOPE"}, 404, "unknown_symbol", "add it to instruments.yaml"),
        ("POST", "/v1/brackets", {"strategy": "x"}, 404, "unknown_strategy", "no strategy named 'x'"),
        ("POST", "/v1/paper/orders", {"price": None}, 422, "bad_request", "price: Extra inputs are not permitted"),
    ],
)
def test_each_error_has_a_code_for_programs_and_words_for_people(tmp_path, method, path, body, status, code, words):
    if path == "/v1/brackets" and body is not None and "symbol" not in body:
        body = {"symbol": "X", "side": "buy", "quantity": "10", "price": "100", **body}
    elif body and body.get("symbol") == "NOPE":
        body = {"side": "buy", "quantity": "10", "price": "100", **body}

    async def story():
        async with living(tmp_path) as daemon:
            answer = await daemon.http.request(method, path, json=body)
            assert await daemon.broker.position("X") == 0, "nothing happened"
            return answer

    answer = told(story())
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert words in problem["detail"]


def test_what_is_no_json_is_a_bad_request(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            return await daemon.http.post("/v1/brackets", content=b"{nonsense")

    answer = told(story())
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request")


def test_an_ended_bracket_is_not_sold_again(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            await daemon.quote(100)
            await daemon.protect(bracket_id="B1")
            await daemon.post("/v1/brackets/B1/flatten")
            answer = await daemon.post("/v1/brackets/B1/flatten")
            assert (answer.status_code, answer.json()["code"]) == (409, "ended")
            assert await daemon.broker.position("X") == 0

    told(story())


def test_the_venues_own_no_is_passed_on(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            asked = {"symbol": "X", "side": "buy", "quantity": "0.5"}
            answer = await daemon.post("/v1/paper/orders", **asked)
            assert (answer.status_code, answer.json()["code"]) == (409, "bad_lot"), answer.text

    told(story())


def test_a_full_disk_is_said_and_nothing_is_sent_until_it_has_room(tmp_path):
    async def story():
        disk = Disk()
        async with living(tmp_path, disk=disk, speak_within_s=0.05) as daemon:
            daemon.runner._commit_retry_s = 0.05
            full = JournalUnavailable(errno.ENOSPC, "memory")
            for nth in range(disk.commits + 1, disk.commits + 400):
                disk.add_fault(Fault("commit", nth, full))
            asked = {"symbol": "X", "side": "buy", "quantity": "10", "price": "100", "bracket_id": "B1"}
            answer = await daemon.post("/v1/brackets", **asked)
            assert (answer.status_code, answer.json()["code"]) == (503, "not_durable")
            assert "the disk is full" in answer.json()["detail"]
            assert await daemon.broker.open_orders() == []
            status = (await daemon.get("/v1/status")).json()
            assert (status["level"], status["totals"]["protected_qty"]) == ("alarm", "0")
            assert any("the journal cannot be written" in problem for problem in status["problems"])
            disk._faults.clear()
            await daemon.until(lambda: daemon.bracket("B1")["protected_qty"] == "10", "the stop was sent")

    told(story())


def test_a_fault_of_ours_is_no_trace_for_the_caller_and_is_seen_in_status(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:

            def broken(**_):
                raise KeyError("a defect")

            daemon.desk.brackets = broken
            answer = await daemon.get("/v1/brackets")
            assert (answer.status_code, answer.json()["code"]) == (500, "internal")
            assert "Traceback" not in answer.text
            status = (await daemon.get("/v1/status")).json()
            assert any("1 fault(s) in this program" in problem for problem in status["problems"])
            assert "GET /v1/brackets" in daemon.log.getvalue()

    told(story())


def test_who_is_stopping_takes_nothing_new_on_and_answers_questions(tmp_path):
    async def story():
        async with living(tmp_path) as daemon:
            daemon.daemon.supervisor.stop("test")
            asked = {"symbol": "X", "side": "buy", "quantity": "10", "price": "100"}
            answer = await daemon.post("/v1/brackets", **asked)
            assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
            assert "stopping: no new brackets" in (await daemon.get("/v1/status")).json()["problems"]

    told(story())


def test_numbers_are_taken_as_they_are_written():
    asked = msgspec.json.decode(b'{"symbol":"X","side":"buy","quantity":0.1,"price":187.2}')
    request = models.ProtectRequest.model_validate(asked)
    assert (str(request.quantity), str(request.price)) == ("0.1", "187.2")
