"""Leaving with the session: what a door and a daemon tell their engine before the first bracket, and each day after."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from grodtd.bootstrap import paper
from grodtd.config import default_config_dir, load
from grodtd.domain.errors import ConfigError
from grodtd.domain.events import SessionsLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import Side
from tests.integration.daemon_kit import living

pytest.importorskip("exchange_calendars")

NS = 1_000_000_000
DAY_NS = 86_400 * NS
LEAVES = {"GRODTD_TRADE_EXIT__TIME_EXIT__AT_SESSION_END": "true"}


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


@dataclass
class Standing:
    """A clock that shows one time."""

    shown_ns: int

    def now_ns(self):
        return self.shown_ns


def leaves_at(now, environ, calendar):
    """When a bracket protected now has had its time, in New York's half day after Thanksgiving or elsewhere."""

    async def story():
        configuration = load(default_config_dir(), environ=environ)
        instruments = [Instrument("X", calendar=calendar)]
        async with paper(configuration, instruments=instruments, clock=Standing(at(now))) as world:
            await world.quote("X", 100, 100)
            bracket = await world.service.protect_fill("X", Side.BUY, Decimal(10), Decimal(100), bracket_id="one")
            return world.runner.turn.bracket(bracket.bracket_id).leave_at_ns

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("now", "environ", "calendar", "leave_at"),
    [
        ("2026-11-27T15:00", LEAVES, "XNYS", "2026-11-27T17:59"),
        ("2026-11-27T17:59:30", LEAVES, "XNYS", "2026-11-30T20:59"),
        ("2026-11-24T15:00", {"GRODTD_TRADE_EXIT__TIME_EXIT__BEFORE_WEEKEND": "true"}, "XNYS", "2026-11-27T17:59"),
        ("2026-11-24T15:00", LEAVES, "FX", "2026-11-24T21:59"),
        ("2026-11-24T15:00", LEAVES, "24/7", None),
        ("2026-11-24T15:00", LEAVES, None, None),
        ("2026-11-24T15:00", {}, "XNYS", None),
    ],
)
def test_a_bracket_knows_from_its_first_fill_when_the_market_closes(now, environ, calendar, leave_at):
    assert leaves_at(now, environ, calendar) == (None if leave_at is None else at(leave_at))


def test_a_calendar_nobody_knows_stops_the_start():
    with pytest.raises(ConfigError, match=r"instruments\.symbols\.X\.calendar: 'XNYX' is no calendar; nearest: XNYS"):
        leaves_at("2026-11-27T15:00", LEAVES, "XNYX")


def test_a_daemon_tells_its_engine_anew_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr("grodtd.daemon.SESSIONS_EVERY_S", 0.001)
    told = []

    async def story():
        config = load(default_config_dir(), environ=LEAVES)
        async with living(tmp_path, config=config, symbols=("X",), calendar="FX") as world:
            daemon = world.daemon
            daemon.runner.observers.append(lambda event, *_: told.append(event))
            bracket = await world.protect()
            terms = world.runner.turn.engine.terms(world.runner.turn.bracket(bracket["bracket_id"]))
            first_end_ns = terms.session_ends_ns[0]
            assert first_end_ns > daemon.clock.now_ns()
            parts = [part for part in daemon._parts() if part.name == "sessions"]
            assert len(parts) == 1
            task = asyncio.create_task(parts[0].run())
            daemon.clock = Standing(daemon.clock.now_ns() + 5 * DAY_NS)
            await world.until(lambda: any(isinstance(event, SessionsLoaded) for event in told), "sessions are told")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            again = [event for event in told if isinstance(event, SessionsLoaded)]
            assert [event.symbol for event in again] == ["X"]
            assert again[0].ends_ns[0] > first_end_ns

    asyncio.run(story())


@pytest.mark.parametrize(("calendar", "ends_at"), [("XNYS", "2026-11-27T18:00"), ("FX", "2026-11-27T22:00")])
def test_the_days_of_the_account_end_with_the_calendar_it_names(calendar, ends_at):
    async def story():
        configuration = load(default_config_dir(), environ={"GRODTD_RISK_LIMITS__DAY_CALENDAR": calendar})
        now_ns = at("2026-11-27T15:00")
        async with paper(configuration, instruments=[Instrument("X")], clock=Standing(now_ns)) as world:
            return world.runner.turn.engine.risk.next_day_ns(now_ns)

    assert asyncio.run(story()) == at(ends_at)
