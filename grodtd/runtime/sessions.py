"""When markets close: ends of sessions from exchange calendars, for a running daemon and for the bars of a replay.

Exchanges' hours, half days and holidays come from the library exchange-calendars. Two markets are ours: `24/7` never
closes, and `FX` (also spelt 24/5) is the currency market, whose sessions end at 17:00 New York, Monday to Friday.
A break within a session, such as Tokyo's lunch, ends none.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from grodtd.domain.errors import ConfigError
from grodtd.domain.events import AccountDaysLoaded, SessionsLoaded
from grodtd.domain.instrument import ALWAYS_OPEN, CURRENCIES, Instrument
from grodtd.domain.policy import NS_PER_S, Policy

DAY_NS = 86_400 * NS_PER_S
WEEKEND_NS = 47 * 3_600 * NS_PER_S
"""Closed for so long is closed for two days: New York's weekend has an hour less when the clocks go forward in it."""
SESSION_GAP_NS = 4 * 3_600 * NS_PER_S
"""Without a calendar: prices missing for so long mean that the market was closed, not that nobody traded."""
LOOK_AHEAD_NS = 30 * DAY_NS
LONGEST_CLOSURE = timedelta(days=25)
"""How far beyond a range the market's next opening is looked for: no holidays last longer."""

FX_HOLIDAYS = {(12, 25), (1, 1)}
"""Month and day of sessions the currency market does not hold."""


class Sessions(NamedTuple):
    """Sessions of one market, int64 nanoseconds since the epoch, oldest first: shape (sessions,) each."""

    opens_ns: NDArray[np.int64]
    closes_ns: NDArray[np.int64]

    @property
    def weekends_ns(self) -> NDArray[np.int64]:
        """Closes after which the market stays closed for two days or more; one with no opening known after it is."""
        next_ns = np.append(self.opens_ns[1:], np.iinfo(np.int64).max)
        return self.closes_ns[next_ns - self.closes_ns >= WEEKEND_NS]


class SessionEnds(NamedTuple):
    """Of bars or quotes, which is the last of something: bool, shape (rows,) each."""

    session: NDArray[np.bool_]
    """The last one of its session."""
    weekend: NDArray[np.bool_]
    """The last one before the market is closed for two days or more; every such one is a session's last, too."""


def sessions(calendar: str, from_ns: int, to_ns: int) -> Sessions:
    """Return the sessions of a market that lie around a range of time, a few before and after it included.

    Raises: ConfigError - no such calendar, or it does not know these years (the operator: correct the instrument's
    `calendar`, or update exchange-calendars), or the library is not installed.

    >>> march = [int(datetime(2026, 3, day, tzinfo=UTC).timestamp()) * NS_PER_S for day in (1, 31)]
    >>> ends_ns = sessions("FX", *march).weekends_ns
    >>> [str(np.datetime64(int(end), "ns"))[:16] for end in ends_ns if march[0] <= end <= march[1]]
    ['2026-03-06T22:00', '2026-03-13T21:00', '2026-03-20T21:00', '2026-03-27T21:00']
    """
    first, last = _date(from_ns) - timedelta(days=4), _date(to_ns) + LONGEST_CLOSURE
    found = _of_years(calendar, first.year, last.year)
    if calendar != ALWAYS_OPEN:
        known = _date(int(found.closes_ns[0])), _date(int(found.closes_ns[-1]))
        if known[0] - LONGEST_CLOSURE > _date(from_ns) or known[1] + LONGEST_CLOSURE < _date(to_ns):
            raise ConfigError([_unknown(calendar, *known, _date(from_ns), _date(to_ns))])
    return found


def sessions_loaded(instrument: Instrument, from_ns: int, to_ns: int, now_ns: int) -> SessionsLoaded:
    """Return the fact that tells the engine when an instrument's market closes and opens, from one time to another.

    Both inclusive. Without a calendar, and with 24/7, it never does. Raises: ConfigError like `sessions`.
    """
    if instrument.calendar is None:
        return SessionsLoaded(instrument.symbol, (), (), now_ns)
    try:
        found = sessions(instrument.calendar, from_ns, to_ns)
    except ConfigError as error:
        at = f"instruments.symbols.{instrument.symbol}.calendar"
        raise ConfigError([f"{at}: {words}" for words in error.problems]) from None

    def within(times_ns: NDArray[np.int64]) -> tuple[int, ...]:
        return tuple(times_ns[(times_ns >= from_ns) & (times_ns <= to_ns)].tolist())

    ends, weekends, opens = within(found.closes_ns), within(found.weekends_ns), within(found.opens_ns)
    return SessionsLoaded(instrument.symbol, ends, weekends, now_ns, opens)


def account_days(calendar: str, from_ns: int, to_ns: int, now_ns: int) -> AccountDaysLoaded:
    """Return the fact that tells when the account's days end, from one time to the first close after another.

    Raises: ConfigError like `sessions`, and for a market that never closes.
    """
    at = "risk_limits.day_calendar"
    if calendar == ALWAYS_OPEN:
        raise ConfigError([f"{at}: {ALWAYS_OPEN} never closes; leave it out, and trade_exit.day_rolls_at ends the day"])
    try:
        closes_ns = sessions(calendar, from_ns, to_ns).closes_ns
    except ConfigError as error:
        raise ConfigError([f"{at}: {words}" for words in error.problems]) from None
    first, last = np.searchsorted(closes_ns, from_ns), np.searchsorted(closes_ns, to_ns) + 1
    return AccountDaysLoaded(tuple(closes_ns[first:last].tolist()), now_ns)


class SessionClock:
    """Tells a daemon's engine when markets close and open: 30 days ahead at the start, and anew each day.

    Nothing is told, and no calendar read, while no policy leaves at the end of a session and orders live for longer;
    of the account's days, while no calendar ends them.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        policies: Iterable[Policy],
        *,
        day_orders: bool,
        day_calendar: str | None = None,
    ) -> None:
        """Look after the instruments that have a calendar.

        `day_orders`: at the venue orders live for a day only. `day_calendar`: the market that ends the account's days.
        """
        leaves = any(policy.time_exit.at_session_end or policy.time_exit.before_weekend for policy in policies)
        wanted = leaves or day_orders
        self._instruments = [one for one in instruments if one.calendar is not None] if wanted else []
        self._day_calendar = day_calendar
        self._due_ns: int | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to tell, now and later."""
        return self.knows_hours or self._day_calendar is not None

    @property
    def knows_hours(self) -> bool:
        """Whether symbols' sessions are told."""
        return bool(self._instruments)

    def due(self, now_ns: int) -> list[SessionsLoaded | AccountDaysLoaded]:
        """Return what is to be told now: every symbol's sessions and the account's days once a day, else nothing.

        Raises: ConfigError like `sessions`; it is due again then with the next call.
        """
        if self._due_ns is not None and now_ns < self._due_ns:
            return []
        until_ns = now_ns + LOOK_AHEAD_NS
        facts: list[SessionsLoaded | AccountDaysLoaded] = [
            sessions_loaded(one, now_ns, until_ns, now_ns) for one in self._instruments
        ]
        if self._day_calendar is not None:
            facts.append(account_days(self._day_calendar, now_ns, until_ns, now_ns))
        self._due_ns = now_ns + DAY_NS
        return facts


def session_end_indices(calendar: str | None, time_ns: NDArray[np.int64], interval_ns: int) -> SessionEnds:
    """Say of each bar, by its start, whether it is the last one of its session, and the last one before a weekend.

    `time_ns`: starts of bars or times of quotes, int64 nanoseconds since the epoch, rising, shape (rows,).
    `interval_ns`: length of a bar; 0 for quotes. Bars of a day or longer start at their session's date, midnight UTC.

    A bar is its session's last if it begins before the close and the next one does not; where bars are missing, that
    is the last there is. The last row of all counts if its own length reaches the close.

    Without a calendar, sessions are inferred from gaps: one ends before a gap of four hours or more, a weekend is a
    gap of two days or more (see `WEEKEND_NS`). Each daily bar is a session of its own if the gaps of weekends are
    there, every other week at least; without them the market never closes. The last row of all ends nothing.

    Raises: ConfigError like `sessions`.
    """
    if len(time_ns) == 0 or calendar == ALWAYS_OPEN:
        never = np.zeros(len(time_ns), dtype=np.bool_)
        return SessionEnds(never, never)
    if calendar is None:
        return _inferred(time_ns, interval_ns)
    found = sessions(calendar, int(time_ns[0]), int(time_ns[-1]) + interval_ns)
    return SessionEnds(
        _last_before(found.closes_ns, time_ns, interval_ns), _last_before(found.weekends_ns, time_ns, interval_ns)
    )


def _last_before(ends_ns: NDArray[np.int64], time_ns: NDArray[np.int64], interval_ns: int) -> NDArray[np.bool_]:
    """Mark rows that begin before an end that the next row does not begin before."""
    following = np.append(time_ns[1:], time_ns[-1] + interval_ns)
    ahead = np.searchsorted(ends_ns, time_ns, side="right")
    return np.searchsorted(ends_ns, following, side="right") > ahead


def _inferred(time_ns: NDArray[np.int64], interval_ns: int) -> SessionEnds:
    gap_ns = np.append(np.diff(time_ns) - interval_ns, 0)
    weekend = gap_ns >= WEEKEND_NS
    if interval_ns < DAY_NS:
        return SessionEnds(gap_ns >= SESSION_GAP_NS, weekend)
    closes = int(weekend.sum()) * 14 * DAY_NS >= int(time_ns[-1] - time_ns[0]) > 0
    session = np.full(len(time_ns), closes)
    session[-1] = False
    return SessionEnds(session, weekend)


@lru_cache(maxsize=64)
def _of_years(calendar: str, first: int, last: int) -> Sessions:
    """Sessions of whole years, so that a few calls share one reading."""
    if calendar == ALWAYS_OPEN:
        none = np.zeros(0, dtype=np.int64)
        return Sessions(none, none)
    if calendar in CURRENCIES:
        return _currencies(date(first, 1, 1), date(last, 12, 31))
    return _listed(calendar, date(first, 1, 1), date(last, 12, 31))


def _currencies(first: date, last: date) -> Sessions:
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    held = [day for day in days if day.weekday() < 5 and (day.month, day.day) not in FX_HOLIDAYS]

    new_york = ZoneInfo("America/New_York")

    def at_five(dates: Sequence[date]) -> NDArray[np.int64]:
        moments = (datetime.combine(day, time(17), new_york) for day in dates)
        return np.array([int(moment.timestamp()) * NS_PER_S for moment in moments], dtype=np.int64)

    return Sessions(at_five([day - timedelta(days=1) for day in held]), at_five(held))


def _listed(code: str, first: date, last: date) -> Sessions:
    try:
        import exchange_calendars as library  # noqa: PLC0415 - it loads pandas: seconds, for those who need it
    except ImportError:
        words = "needs exchange-calendars, which is not installed: pip install 'grodtd[service]'"
        raise ConfigError([f"the calendar {code} {words}"]) from None
    names = [*CURRENCIES, ALWAYS_OPEN, *library.get_calendar_names()]
    if code not in names:
        near = get_close_matches(code.upper(), names, 1, 0.5)
        hint = f"; nearest: {near[0]}" if near else ""
        raise ConfigError([f"{code!r} is no calendar{hint}; allowed: FX, 24/7, or a code of exchange-calendars"])
    try:
        found = library.get_calendar(code, start=first.isoformat(), end=last.isoformat())
    except ValueError:  # beyond the years its holidays are recorded for
        found = _recorded(code, library, first, last)
    return Sessions(found.opens_nanos.astype(np.int64), found.closes_nanos.astype(np.int64))


def _recorded(code: str, library: Any, first: date, last: date) -> Any:
    """What a calendar knows of these years, as long as that is anything."""
    try:
        known = library.get_calendar(code)
    except ValueError as error:
        words = f"the calendar {code} cannot be read: exchange-calendars says {str(error)[:80]}..."
        raise ConfigError([f"{words}: update it, or name another calendar"]) from error
    low, high = (None if bound is None else bound.date() for bound in (known.bound_min(), known.bound_max()))
    start, end = max(first, low or first), min(last, high or last)
    if start >= end:
        raise ConfigError([_unknown(code, low or date.min, high or date.max, first, last)])
    return library.get_calendar(code, start=start.isoformat(), end=end.isoformat())


def _unknown(code: str, low: date, high: date, first: date, last: date) -> str:
    return f"the calendar {code} knows {low} to {high}, not all of {first} to {last}: update exchange-calendars"


def _date(at_ns: int) -> date:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).date()
