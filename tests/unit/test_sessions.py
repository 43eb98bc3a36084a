"""When markets close: real dates of real exchanges, and which bar of a recording is a session's last."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.errors import ConfigError
from grodtd.domain.events import SessionsLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.policy import Policy, TimeExitPolicy
from grodtd.runtime.sessions import SessionClock, account_days, session_end_indices, sessions, sessions_loaded

pytest.importorskip("exchange_calendars")

NS = 1_000_000_000
MINUTE, HOUR, DAY = 60 * NS, 3_600 * NS, 86_400 * NS


def at(text):
    """2026-11-27T18:00 in UTC, as nanoseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def ends(calendar, first, last):
    """What is told of a market from one day to another: its closes, those before a weekend marked by a star."""
    told = sessions_loaded(Instrument("X", calendar=calendar), at(first), at(last), 0)
    assert set(told.weekend_ns) <= set(told.ends_ns)
    return [
        datetime.fromtimestamp(end_ns // NS, UTC).strftime("%a %d %H:%M") + "*" * (end_ns in told.weekend_ns)
        for end_ns in told.ends_ns
    ]


@pytest.mark.parametrize(
    ("calendar", "first", "last", "told"),
    [
        pytest.param(
            "XNYS",
            "2026-11-23",
            "2026-12-01",
            ["Mon 23 21:00", "Tue 24 21:00", "Wed 25 21:00", "Fri 27 18:00*", "Mon 30 21:00"],
            id="Thanksgiving is closed for a day, which is no weekend; its Friday ends at 13:00",
        ),
        pytest.param(
            "XNYS",
            "2021-12-21",
            "2021-12-28",
            ["Tue 21 21:00", "Wed 22 21:00", "Thu 23 21:00*", "Mon 27 21:00"],
            id="New York: Christmas Eve on a Friday is the holiday's day off, so Thursday comes before the weekend",
        ),
        pytest.param(
            "XLON",
            "2021-12-22",
            "2021-12-30",
            ["Wed 22 16:30", "Thu 23 16:30", "Fri 24 12:30*", "Wed 29 16:30"],
            id="London: Christmas Eve on a Friday is half a day, then four days off",
        ),
        pytest.param(
            "XNYS",
            "2026-12-23",
            "2026-12-29",
            ["Wed 23 21:00", "Thu 24 18:00*", "Mon 28 21:00"],
            id="Christmas Day on a Friday: half a Thursday before a long weekend",
        ),
        pytest.param(
            "XNYS",
            "2026-03-05",
            "2026-03-10",
            ["Thu 05 21:00", "Fri 06 21:00*", "Mon 09 20:00"],
            id="clocks go forward in New York: an hour earlier in UTC",
        ),
        pytest.param(
            "XNYS",
            "2026-10-30",
            "2026-11-03",
            ["Fri 30 20:00*", "Mon 02 21:00"],
            id="and back again",
        ),
        pytest.param(
            "XTKS",
            "2026-05-01",
            "2026-05-09",
            ["Fri 01 06:30*", "Thu 07 06:30", "Fri 08 06:30*"],
            id="Tokyo's Golden Week: five days off, and a lunch break is no end of a session",
        ),
        pytest.param(
            "XSAU",
            "2026-11-04",
            "2026-11-10",
            ["Wed 04 12:00", "Thu 05 12:00*", "Sun 08 12:00", "Mon 09 12:00"],
            id="Riyadh's weekend is Friday and Saturday",
        ),
        pytest.param(
            "FX",
            "2026-03-05",
            "2026-03-11",
            ["Thu 05 22:00", "Fri 06 22:00*", "Mon 09 21:00", "Tue 10 21:00"],
            id="currencies: 17:00 New York; the weekend the clocks go forward has 47 hours and is one",
        ),
        pytest.param(
            "24/5",
            "2026-12-23",
            "2026-12-29",
            ["Wed 23 22:00", "Thu 24 22:00*", "Mon 28 22:00"],
            id="currencies keep Christmas Day",
        ),
        pytest.param("24/7", "2026-12-23", "2026-12-29", [], id="a market that never closes"),
        pytest.param(None, "2026-12-23", "2026-12-29", [], id="no calendar"),
    ],
)
def test_a_market_closes_when_it_does(calendar, first, last, told):
    assert ends(calendar, first, last) == told


def test_the_range_includes_both_its_ends():
    close = "2026-11-27T18:00"
    assert ends("XNYS", close, close) == ["Fri 27 18:00*"]


@pytest.mark.parametrize(
    ("calendar", "first", "last", "begins", "ends_with"),
    [
        ("XNYX", "2026-01-01", "2026-02-01", "'XNYX' is no calendar; nearest: XNYS", "a code of exchange-calendars"),
        ("XSHG", "1980-01-01", "1980-02-01", "the calendar XSHG knows 1990-12-03 to", "update exchange-calendars"),
    ],
)
def test_a_calendar_that_cannot_be_read_says_why(calendar, first, last, begins, ends_with):
    with pytest.raises(ConfigError) as error:
        ends(calendar, first, last)
    (line,) = error.value.problems
    assert line.startswith(f"instruments.symbols.X.calendar: {begins}")
    assert line.endswith(ends_with)


class TestADay:
    """What a running daemon tells its engine, and when."""

    LEAVES = Policy(time_exit=TimeExitPolicy(at_session_end=True))
    SPY, BTC = Instrument("SPY", calendar="XNYS"), Instrument("BTCUSD")

    def test_thirty_days_ahead_at_the_start_then_once_a_day(self):
        now_ns = at("2026-11-20T12:00")
        clock = SessionClock([self.SPY, self.BTC], [Policy(), self.LEAVES], day_orders=False)
        (told,) = clock.due(now_ns)
        assert isinstance(told, SessionsLoaded)
        assert (told.symbol, told.ts_received_ns) == ("SPY", now_ns)
        assert (told.ends_ns[0], told.ends_ns[-1]) == (at("2026-11-20T21:00"), at("2026-12-18T21:00"))
        assert clock.due(now_ns + DAY - 1) == []
        assert clock.due(now_ns + DAY)[0].ends_ns[0] == at("2026-11-23T21:00")

    def test_nothing_where_no_policy_leaves_with_the_session(self):
        assert not SessionClock([self.SPY], [Policy()], day_orders=False).wanted
        assert SessionClock([self.SPY], [Policy()], day_orders=False).due(0) == []

    def test_both_ends_of_each_session_where_orders_live_for_a_day(self):
        (told,) = SessionClock([self.SPY], [Policy()], day_orders=True).due(at("2026-11-25T15:00"))
        assert told.opens_ns[:2] == (at("2026-11-27T14:30"), at("2026-11-30T14:30"))
        assert told.ends_ns[:2] == (at("2026-11-25T21:00"), at("2026-11-27T18:00"))

    def test_the_days_of_the_account_end_with_the_calendar_it_names(self):
        clock = SessionClock([self.SPY], [Policy()], day_orders=False, day_calendar="XNYS")
        (told,) = clock.due(at("2026-11-25T15:00"))
        assert (clock.wanted, clock.knows_hours) == (True, False)
        assert told.ends_ns[:2] == (at("2026-11-25T21:00"), at("2026-11-27T18:00"))
        assert told.ends_ns[-1] > at("2026-12-25T15:00"), "up to the close after the last day looked at"

    def test_a_day_cannot_end_with_a_market_that_never_closes(self):
        with pytest.raises(ConfigError, match=r"risk_limits\.day_calendar: 24/7 never closes; leave it out"):
            account_days("24/7", at("2026-11-25"), at("2026-11-26"), 0)

    def test_what_cannot_be_read_is_due_again(self):
        clock = SessionClock([Instrument("X", calendar="XNYX")], [self.LEAVES], day_orders=False)
        for _ in range(2):
            with pytest.raises(ConfigError):
                clock.due(at("2026-11-20"))


def starts(*texts):
    return np.array([at(text) for text in texts], dtype=np.int64)


def marked(calendar, time_ns, interval_ns):
    """Which rows are the last of a session, and which before a weekend, as times."""
    found = session_end_indices(calendar, time_ns, interval_ns)
    assert found.session.dtype == found.weekend.dtype == np.bool_
    assert not (found.weekend & ~found.session).any()
    return tuple(
        [str(np.datetime64(int(when), "ns"))[5:16] for when in time_ns[which]]
        for which in (found.session, found.weekend)
    )


class TestBars:
    """Which recorded bar is a session's last."""

    def test_hours_of_new_york_over_thanksgiving(self):
        week = starts(
            *(f"2026-11-25T{hour}:30" for hour in range(14, 21)),
            *(f"2026-11-27T{hour}:30" for hour in range(14, 18)),
            "2026-11-30T14:30",
        )
        assert marked("XNYS", week, HOUR) == (["11-25T20:30", "11-27T17:30"], ["11-27T17:30"])

    def test_trades_after_hours_belong_to_the_next_session(self):
        bars = starts("2026-11-27T17:00", "2026-11-27T18:00", "2026-11-27T19:00", "2026-11-30T14:30")
        assert marked("XNYS", bars, HOUR) == (["11-27T17:00"], ["11-27T17:00"])

    def test_where_the_last_bars_are_missing_the_last_there_is(self):
        bars = starts("2026-11-27T15:00", "2026-11-30T14:30", "2026-11-30T20:30")
        assert marked("XNYS", bars, HOUR) == (["11-27T15:00", "11-30T20:30"], ["11-27T15:00"])

    def test_days_are_sessions_and_fridays_come_before_weekends(self):
        days = starts("2026-11-24", "2026-11-25", "2026-11-27", "2026-11-30", "2026-12-01")
        every = ["11-24T00:00", "11-25T00:00", "11-27T00:00", "11-30T00:00", "12-01T00:00"]
        assert marked("XNYS", days, DAY) == (every, ["11-27T00:00"])

    def test_a_week_is_a_weekend_each(self):
        weeks = starts("2026-11-16", "2026-11-23", "2026-11-30")
        every = ["11-16T00:00", "11-23T00:00", "11-30T00:00"]
        assert marked("XNYS", weeks, 7 * DAY) == (every, every)

    def test_a_day_of_currencies_that_begins_on_sunday_is_mondays(self):
        days = starts("2026-11-20", "2026-11-22", "2026-11-23")
        assert marked("FX", days, DAY) == (["11-20T00:00", "11-23T00:00"], ["11-20T00:00"])

    def test_quotes(self):
        quotes = starts("2026-11-27T17:59:59", "2026-11-27T18:00", "2026-11-30T14:30", "2026-11-30T20:00")
        assert marked("XNYS", quotes, 0) == (["11-27T17:59"], ["11-27T17:59"])

    def test_the_last_row_counts_if_it_reaches_the_close(self):
        assert marked("XNYS", starts("2026-11-27T17:00"), HOUR) == (["11-27T17:00"], ["11-27T17:00"])
        assert marked("XNYS", starts("2026-11-27T16:00"), HOUR) == ([], [])

    @pytest.mark.parametrize("calendar", [None, "24/7", "FX", "XNYS"])
    def test_no_bars(self, calendar):
        assert marked(calendar, np.zeros(0, dtype=np.int64), HOUR) == ([], [])

    def test_what_never_closes_has_no_last_bar(self):
        holes = starts("2026-11-27T00:00", "2026-11-29T12:00", "2026-12-03T00:00")
        assert marked("24/7", holes, HOUR) == ([], [])

    def test_prices_of_years_a_calendar_does_not_know_are_refused(self):
        with pytest.raises(ConfigError, match="the calendar XSHG knows 1990-12-03 to"):
            marked("XSHG", starts("1985-03-01", "1991-03-01"), DAY)

    @given(st.lists(st.integers(0, 400 * 24 * 4), min_size=1, max_size=60, unique=True))
    def test_a_bar_is_the_last_when_the_next_one_has_another_close_ahead(self, quarters):
        time_ns = at("2026-01-05") + np.array(sorted(quarters), dtype=np.int64) * 15 * MINUTE
        found = session_end_indices("XNYS", time_ns, 15 * MINUTE)
        closes = sessions("XNYS", int(time_ns[0]), int(time_ns[-1]) + DAY).closes_ns
        of = [int(closes[closes > start].min()) for start in time_ns]
        last = [here != following for here, following in pairwise(of)]
        last.append(int(time_ns[-1]) + 15 * MINUTE >= of[-1])
        assert found.session.tolist() == last


class TestWithoutACalendar:
    """Sessions as the gaps between prices tell them."""

    def test_a_night_ends_a_session_and_two_days_a_week(self):
        bars = starts("2026-11-25T20:30", "2026-11-27T14:30", "2026-11-27T17:30", "2026-11-30T14:30")
        assert marked(None, bars, HOUR) == (["11-25T20:30", "11-27T17:30"], ["11-27T17:30"])

    def test_lunch_and_an_hour_of_maintenance_end_none(self):
        assert marked(None, starts("2026-11-25T02:00", "2026-11-25T03:30", "2026-11-25T06:00"), HOUR) == ([], [])

    def test_the_currencies_shortest_weekend_is_one(self):
        assert marked(None, starts("2026-03-06T21:00", "2026-03-08T21:00"), HOUR)[1] == ["03-06T21:00"]

    def test_days_of_a_market_with_weekends_are_sessions(self):
        days = starts("2026-11-26", "2026-11-27", "2026-11-30", "2026-12-01")
        assert marked(None, days, DAY) == (["11-26T00:00", "11-27T00:00", "11-30T00:00"], ["11-27T00:00"])

    def test_days_of_a_market_without_weekends_are_none(self):
        days = at("2026-01-01") + np.arange(60, dtype=np.int64) * DAY
        assert marked(None, days, DAY) == ([], [])

    def test_quotes(self):
        quotes = starts("2026-11-25T20:59:59", "2026-11-27T14:30", "2026-11-27T14:31")
        assert marked(None, quotes, 0) == (["11-25T20:59"], [])
