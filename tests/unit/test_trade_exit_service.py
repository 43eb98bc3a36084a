"""The door over a real paper account: what a trading program asks for, and what is then true at the venue."""

import asyncio
import subprocess
import sys
from decimal import Decimal

import pytest

from grodtd.domain.bracket import Phase
from grodtd.domain.errors import NotSent
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import NewOrder, OrderType, Side
from grodtd.domain.policy import Plan
from grodtd.execution.trade_exit_service import TradeExitService
from grodtd.venue.profiles import NO_STOPS
from tests.conftest import REPO
from tests.unit.door_kit import NOW_NS, buy, in_a_world, offer, protected, quiet_hours, resting

D = Decimal


class TestProtectAFill:
    # side, entry -> stop 2 ATR away, target 1.8 times as far (AAPL's own ratio in the shipped configuration)
    @pytest.mark.parametrize(
        ("side", "stop_px", "target_px"), [(Side.BUY, "183.20", "194.40"), (Side.SELL, "191.18", "179.98")]
    )
    def test_levels_come_from_the_bars(self, side, stop_px, target_px):
        async def story(world):
            bracket = await protected(world, side=side)
            assert (bracket.stop_px, bracket.target_px) == (D(stop_px), D(target_px))
            assert bracket.levels.atr_px == 2
            assert not bracket.levels.fallback
            assert bracket.phase is Phase.OPEN
            assert await resting(world) == {"B1.stop1": (100, D(stop_px))}

        in_a_world(story)

    # no bars: 2 % of the entry, either side, and the bracket says so
    @pytest.mark.parametrize(("side", "stop_px"), [(Side.BUY, "183.46"), (Side.SELL, "190.92")])
    @pytest.mark.parametrize("hours", [0, 14])
    def test_without_enough_bars_the_fallback_protects(self, side, stop_px, hours):
        async def story(world):
            bracket = await protected(world, side=side)
            assert bracket.levels.fallback
            assert bracket.levels.atr_px is None
            assert bracket.stop_px == D(stop_px)

        in_a_world(story, bars=quiet_hours(hours=hours))

    def test_given_levels_are_taken_as_they_are(self):
        async def story(world):
            bracket = await protected(world, stop_px=D("185.00"), target_px=D("190.00"))
            assert (bracket.stop_px, bracket.target_px) == (D("185.00"), D("190.00"))
            assert (bracket.levels.stop_given, bracket.levels.target_given) == (True, True)

        in_a_world(story)

    def test_a_given_stop_alone_makes_its_own_target(self):
        async def story(world):
            bracket = await protected(world, stop_px=D("186.20"))
            assert bracket.target_px == D("187.20") + D("1.8")

        in_a_world(story)

    def test_a_stop_already_passed_gets_out_at_once(self):
        async def story(world):
            await protected(world, stop_px=D("187.50"), last_px=D("187.18"))
            assert await world.broker.position("AAPL") == 0
            assert world.service.bracket("B1").phase is Phase.CLOSED

        in_a_world(story)

    def test_the_target_takes_the_profit_and_the_stop_goes(self):
        async def story(world):
            await protected(world)
            await world.quote("AAPL", bid="194.50", ask="194.52")
            assert world.service.bracket("B1").phase is Phase.CLOSED
            assert await world.broker.position("AAPL") == 0
            assert await resting(world) == {}

        in_a_world(story)

    def test_the_stop_gets_out_and_the_target_is_not_sold_after_it(self):
        async def story(world):
            await protected(world)
            await world.quote("AAPL", bid="183.10", ask="183.12")
            await world.quote("AAPL", bid="194.50", ask="194.52")
            assert await world.broker.position("AAPL") == 0
            assert world.service.bracket("B1").phase is Phase.CLOSED

        in_a_world(story)

    def test_the_bracket_is_named_after_the_fill(self):
        async def story(world):
            px = await buy(world)
            bracket = await world.service.protect_fill("AAPL", Side.BUY, D(100), px, fill_id="NYSE:exec/4711")
            assert bracket.bracket_id == "NYSE-exec-4711"

        in_a_world(story)

    def test_a_source_of_bars_that_is_down_leaves_no_position_bare(self):
        class Down:
            async def bars(self, *_):
                raise NotSent("connection refused")

        async def story(world):
            door = TradeExitService(world.runner, world.runner, Down(), world.runner.clock)
            bracket = await door.protect_fill("AAPL", Side.BUY, D(100), D("187.20"), bracket_id="B1")
            assert bracket.stop_px == D("183.46")

        in_a_world(story)

    def test_bars_that_never_come_are_not_waited_for(self):
        class Silent:
            async def bars(self, *_):
                await asyncio.Event().wait()

        async def story(world):
            door = TradeExitService(world.runner, world.runner, Silent(), world.runner.clock, bars_within_s=0.01)
            bracket = await door.protect_fill("AAPL", Side.BUY, D(100), D("187.20"), bracket_id="B1")
            assert bracket.levels.fallback

        in_a_world(story)


class TestProtectAnEntry:
    def test_every_partial_fill_is_covered_as_it_comes(self):
        async def story(world):
            bracket = await world.service.protect_entry("my-entry", "AAPL", Side.BUY, D(100), entry_px=D("187.20"))
            assert (bracket.bracket_id, bracket.phase) == ("my-entry", Phase.WAITING)
            await offer(world, "187.00", "187.20", 30)
            entry = NewOrder("my-entry", "AAPL", Side.BUY, OrderType.LIMIT, D(100), limit_px=D("187.20"))
            await world.broker.submit(entry)
            await world.settle()
            covered = []
            for _ in range(3):
                exits = {name: left for name, (left, _) in (await resting(world)).items() if name != "my-entry"}
                covered.append((await world.broker.position("AAPL"), sum(exits.values())))
                await offer(world, "187.00", "187.20", 30)
            assert covered == [(30, 30), (60, 60), (90, 90)]
            assert world.service.bracket("my-entry").phase is Phase.OPEN

        in_a_world(story)

    def test_an_entry_cancelled_after_a_part_keeps_its_protection(self):
        async def story(world):
            await world.service.protect_entry("my-entry", "AAPL", Side.BUY, D(100), bracket_id="B1")
            await offer(world, "187.00", "187.20", 30)
            entry = NewOrder("my-entry", "AAPL", Side.BUY, OrderType.LIMIT, D(100), limit_px=D("187.20"))
            await world.broker.submit(entry)
            await world.settle()
            await world.broker.cancel("my-entry")
            await world.settle()
            assert await resting(world) == {"B1.stop1": (30, D("183.20"))}

        in_a_world(story)

    def test_given_levels_wait_for_the_fill(self):
        async def story(world):
            levels = {"stop_px": D("186.00"), "target_px": D("190.00")}
            await world.service.protect_entry("e1", "AAPL", Side.BUY, D(10), entry_px=D("187.20"), **levels)
            await buy(world, 10, "e1")
            await world.settle()
            bracket = world.service.bracket("e1")
            assert (bracket.stop_px, bracket.target_px) == (D("186.00"), D("190.00"))

        in_a_world(story)


class TestByHand:
    def test_a_stop_is_tightened_at_the_venue(self):
        async def story(world):
            await protected(world)
            bracket = await world.service.change_levels("B1", stop_px=D("186.001"), target_px=D("195.00"))
            await world.settle()
            assert (bracket.stop_px, bracket.target_px) == (D("186.01"), D("195.00"))
            assert [stop_px for _, stop_px in (await resting(world)).values()] == [D("186.01")]

        in_a_world(story)

    def test_a_stop_is_loosened_by_name_with_a_reason(self):
        async def story(world):
            await protected(world)
            await world.service.change_levels("B1", stop_px=D("180.00"), reason="earnings", allow_loosen=True)
            await world.settle()
            assert [stop_px for _, stop_px in (await resting(world)).values()] == [D("180.00")]

        in_a_world(story)

    @pytest.mark.parametrize(("keep_orders", "left"), [(False, {}), (True, {"B1.stop1": (100, D("183.20"))})])
    def test_a_released_position_stays(self, keep_orders, left):
        async def story(world):
            await protected(world)
            await world.service.release("B1", "I take over", keep_orders=keep_orders)
            await world.settle()
            assert world.service.bracket("B1").phase is Phase.RELEASED
            assert await world.broker.position("AAPL") == 100
            assert await resting(world) == left

        in_a_world(story)

    def test_flatten_sells_what_is_open_and_leaves_nothing(self):
        async def story(world):
            await protected(world)
            await world.service.flatten("B1", "news")
            await world.settle()
            await world.quote("AAPL", bid="187.17", ask="187.19")
            assert await world.broker.position("AAPL") == 0
            assert await resting(world) == {}
            assert world.service.bracket("B1").phase is Phase.CLOSED

        in_a_world(story)


class TestLooking:
    def test_open_brackets_first_to_last_and_the_ended_on_request(self):
        async def story(world):
            for name in ("B1", "B2", "B3"):
                await protected(world, name, 10)
            await world.service.release("B2", "mine")
            await world.settle()
            names = [bracket.bracket_id for bracket in world.service.brackets()]
            everything = [bracket.bracket_id for bracket in world.service.brackets(ended=True)]
            assert (names, everything) == (["B1", "B3"], ["B1", "B2", "B3"])

        in_a_world(story)

    def test_follow_tells_one_bracket_or_all(self):
        heard = {"B1": [], None: []}

        async def listen(world, name):
            async for note in world.service.follow(name):
                heard[name].append(note)

        async def story(world):
            listeners = [asyncio.create_task(listen(world, name)) for name in heard]
            await world.settle()
            await protected(world, "B1", 10)
            await protected(world, "B2", 10)
            await world.runner.stop()
            await asyncio.gather(*listeners)

        in_a_world(story)
        assert {note.bracket_id for note in heard["B1"]} == {"B1"}
        assert {note.bracket_id for note in heard[None]} == {"B1", "B2"}
        kinds = [note.kind for note in heard["B1"]]
        assert kinds[0] is NoteKind.BRACKET_OPENED
        assert kinds.index(NoteKind.LEVELS_SET) < kinds.index(NoteKind.STOP_RESTING)

    def test_a_paused_door_still_protects_what_is_held(self):
        async def story(world):
            await world.service.pause_entries("lunch")
            bracket = await protected(world)
            assert bracket.phase is Phase.OPEN
            await world.service.resume_entries()
            waiting = await world.service.protect_entry("e2", "AAPL", Side.BUY, D(1))
            assert waiting.phase is Phase.WAITING

        in_a_world(story)

    def test_limits_are_for_entries_not_for_what_is_held(self):
        async def story(world):
            for name in ("B1", "B2"):
                assert (await protected(world, name, 10)).phase is Phase.OPEN

        in_a_world(story, settings={"GRODTD_TRADE_EXIT__BRACKET_ORDERS__MAX_ACTIVE_BRACKETS": "1"})

    def test_a_venue_without_stops_is_taken_when_the_operator_allows_it(self):
        async def story(world):
            bracket = await world.service.protect_entry("e1", "AAPL", Side.BUY, D(10))
            assert bracket.plan is Plan.SYNTHETIC
            await buy(world, 10, "e1")
            await world.settle()
            assert await resting(world) == {}
            await world.quote("AAPL", bid="183.10", ask="183.12")
            assert await world.broker.position("AAPL") == 0

        settings = {"GRODTD_TRADE_EXIT__PROTECTION__ALLOW_SYNTHETIC": "true"}
        in_a_world(story, capabilities=NO_STOPS, settings=settings)


def test_the_clock_is_the_one_handed_in():
    async def story(world):
        assert (await protected(world)).opened_ns == NOW_NS

    in_a_world(story)


def test_the_example_does_what_its_comments_say():
    example = [sys.executable, str(REPO / "examples" / "protect_a_fill.py")]
    finished = subprocess.run(example, capture_output=True, text=True, timeout=60, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "bought at 187.20; stop 183.20, target 194.40" in finished.stdout
    assert "resting at the venue: B1.stop1" in finished.stdout
    assert finished.stdout.endswith("bracket closed; position at the venue 0\n")
