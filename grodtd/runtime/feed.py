"""Plays recorded quotes into an account: at the pace they were recorded, faster, or as fast as they are taken in.

Who reads the file, and where the quotes go, is handed in. At an infinite speed the market waits until everything that
followed from a quote has happened, so that a recorded day gives the same fills however fast the machine is.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain

import msgspec

from grodtd.domain.market import Bar, Quote

NS = 1_000_000_000
BREATHE_EVERY = 200
"""Quotes played in a row before others get their turn, when nothing has to be waited for."""


class FeedState(msgspec.Struct, frozen=True):
    """How far a feed is: rows played of all, the time of the last one by the venue's clock, whether it is over."""

    source: str
    played: int
    total: int
    market_ns: int | None
    speed: str
    ended: bool


class Recording(msgspec.Struct):
    """A recorded market: where it comes from, how many quotes it has, and the quotes, in time order.

    `name` tells it from every other recording, also under the same path: it says where to go on after a restart.
    """

    source: str
    name: str
    total: int
    quotes: Iterator[Quote]


class FeedPlayer:
    """Plays a recording. `run` it; it returns when the recording is over."""

    def __init__(
        self,
        recording: Recording,
        feed: Callable[[Quote], None],
        *,
        speed: Decimal = Decimal(1),
        settled: Callable[[], Awaitable[None]],
        mark: Callable[[int], None],
        played: int = 0,
    ) -> None:
        """Hand each quote to `feed`; at infinite `speed` await `settled` after each. `mark(rows)` keeps the place.

        `played`: rows of the recording that were played before; its `quotes` begin after them.
        """
        self._recording, self._feed, self._speed = recording, feed, speed
        self._settled, self._mark = settled, mark
        self.played = played
        self.market_ns: int | None = None
        self.waits = False
        """It plays at its recording's pace: what it has not played is not due yet, or follows at once."""
        self.ended = False

    def state(self) -> FeedState:
        """Say how far it is."""
        speed = f"{self._speed:f}" if self._speed.is_finite() else "max"
        recording = self._recording
        return FeedState(recording.source, self.played, recording.total, self.market_ns, speed, self.ended)

    async def run(self) -> None:
        """Play to the end."""
        self.waits = self._speed.is_finite()
        try:
            await self._rows()
        finally:
            self.waits = False
        self.ended = True

    async def _rows(self) -> None:
        loop = asyncio.get_running_loop()
        begun_s, first_ns, marked_s = loop.time(), None, loop.time()
        for quote in self._recording.quotes:
            if first_ns is None:
                first_ns = quote.ts_event_ns
            if self._speed.is_finite():
                due_s = begun_s + (quote.ts_event_ns - first_ns) / NS / float(self._speed)
                wait_s = due_s - loop.time()
                if wait_s > 0 or self.played % BREATHE_EVERY == 0:
                    await asyncio.sleep(max(0.0, wait_s))
            self._feed(quote)
            self.played += 1
            self.market_ns = quote.ts_event_ns
            if not self._speed.is_finite():
                await self._settled()
            if loop.time() - marked_s >= 1.0:
                marked_s = loop.time()
                self._mark(self.played)
        self._mark(self.played)
        if self._speed.is_finite():
            await self._settled()  # its last row is heard of before it counts as over


def quotes_of_bar(bid: Bar, ask: Bar, interval_ns: int) -> tuple[Quote, ...]:
    """Return a bar as four quotes, a quarter of its length apart: open, nearer extreme, farther extreme, close.

    Nearness is by the distance from the open; on a tie the low comes first. `ask` is `bid` where one side is known.

    >>> bar = Bar("X", 0, *map(Decimal, ("10", "14", "9", "12")))
    >>> [str(quote.bid) for quote in quotes_of_bar(bar, bar, 4)]
    ['10', '9', '14', '12']
    """
    low_first = bid.open - bid.low <= bid.high - bid.open
    path = (
        (bid.open, ask.open),
        (bid.low, ask.low) if low_first else (bid.high, ask.high),
        (bid.high, ask.high) if low_first else (bid.low, ask.low),
        (bid.close, ask.close),
    )
    step_ns = interval_ns // 4
    return tuple(
        Quote(bid.symbol, bid_px, ask_px, bid.ts_event_ns + i * step_ns) for i, (bid_px, ask_px) in enumerate(path)
    )


def let_pass(recording: Recording, take: Callable[[Quote], None], *, rows: int = 0, until_ns: int | None = None) -> int:
    """Let the first `rows`, and all before `until_ns`, be the past: hand them to `take`, and say how many they were."""
    passed = 0
    for quote in recording.quotes:
        if passed >= rows and (until_ns is None or quote.ts_event_ns >= until_ns):
            recording.quotes = chain((quote,), recording.quotes)
            break
        take(quote)
        passed += 1
    return passed


def merged(recordings: Sequence[Recording]) -> Recording:
    """Return several recordings as one, in time order."""
    if len(recordings) == 1:
        return recordings[0]
    streams: list[Iterable[Quote]] = [recording.quotes for recording in recordings]
    return Recording(
        source=", ".join(recording.source for recording in recordings),
        name="+".join(recording.name for recording in recordings),
        total=sum(recording.total for recording in recordings),
        quotes=heapq.merge(*streams, key=_time),
    )


def _time(quote: Quote) -> int:
    return quote.ts_event_ns
