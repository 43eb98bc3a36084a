"""What the exit rules of a replay know of its prices: where bars and sessions end, the ATR at any of them."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import numpy as np

from grodtd.domain.instrument import Instrument
from grodtd.domain.policy import Policy
from grodtd.replay.driver import Rules
from grodtd.replay.feed import Feed
from grodtd.replay.prices import Bars, Bools, Floats, Ints, Quotes
from grodtd.replay.rule_watch import Calendar, RuleWatch, calendar_of_bars, calendar_of_quotes
from grodtd.replay.volatility import AtrSeries
from grodtd.runtime.sessions import session_end_indices


def rules_for(
    prices: Bars | Quotes,
    feed: Feed,
    bars: Bars,
    instrument: Instrument,
    policies: Mapping[str, Policy],
    series: Mapping[str, AtrSeries],
) -> Rules:
    """Return what the exit rules ask for; `bars` are the ones the ATR is of, `series` the ATR by strategy.

    Raises: ConfigError - an exit at a session's end needs a calendar that does not know these dates.
    """
    of_bars = isinstance(prices, Bars)
    asked = [policy.time_exit for policy in policies.values()]
    session = weekend = None
    if any(rule.at_session_end or rule.before_weekend for rule in asked):
        interval_ns = bars.interval_ns if of_bars else 0
        session, weekend = _session_ends(feed, instrument.calendar, interval_ns)
    if of_bars:
        calendar = calendar_of_bars(len(feed), session, weekend)
    else:
        calendar = calendar_of_quotes(feed.time_ns, bars.interval_ns, feed.trusted, session, weekend)
    bar_at = _bar_at(calendar, feed.time_ns, bars, of_bars)
    scale = float(bars.mid_unit / feed.unit)

    def atr_px(strategy: str, index: int) -> Decimal | None:
        return series[strategy].reading(bar_at(index)).atr_px

    def atr(strategy: str) -> Floats | None:
        return series[strategy].atr * scale if of_bars else None

    return Rules(RuleWatch(feed, calendar), atr_px, atr)


def _session_ends(feed: Feed, calendar: str | None, interval_ns: int) -> tuple[Bools, Bools]:
    """Return which index is the last of its session, and the last before a weekend; crossed quotes are neither."""
    if feed.trusted is None:
        return session_end_indices(calendar, feed.time_ns, interval_ns)
    session, weekend = np.zeros(len(feed), dtype=np.bool_), np.zeros(len(feed), dtype=np.bool_)
    session[feed.trusted], weekend[feed.trusted] = session_end_indices(
        calendar, feed.time_ns[feed.trusted], interval_ns
    )
    return session, weekend


def _bar_at(calendar: Calendar, time_ns: Ints, bars: Bars, of_bars: bool) -> Callable[[int], int]:
    """Return how to find the last bar that is closed after an index; -1: none is."""
    if of_bars:
        return lambda index: index

    def of_quote(index: int) -> int:
        at = int(time_ns[index])
        closed = at - at % bars.interval_ns + (bars.interval_ns if calendar.closes[index] else 0)
        return int(np.searchsorted(bars.time_ns, closed - bars.interval_ns, "right")) - 1

    return of_quote
