"""Streams that should speak and do not, and other troubles that last: each is told once when it begins and once when it
is over.

A connection can stay up while nothing comes through it any more. What is missing is noticed by other means: orders by
comparing with the venue, which happens every few seconds anyhow; prices by their age.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.market import Quote

NS = 1_000_000_000
ORDERS, PRICES = "orders_silent", "prices_silent"
LOOK_EVERY_S = 1.0


class Trouble(msgspec.Struct, frozen=True):
    """Something that is not as it should be, for as long as it lasts. `name` and `about` tell it from others."""

    name: str
    """Its name in the log: orders_silent, prices_silent, clock_off, snapshot_failed."""
    words: str
    serious: bool = True
    """Logged as an error; else as a warning."""
    about: str = ""
    """The symbol, where it is about one."""
    since_ns: int = 0


class Heard(msgspec.Struct, frozen=True):
    """When the venue was last heard, by which way. Times are ns since the epoch; 0: never."""

    now_ns: int
    begun_ns: int
    """When we began to listen."""
    link_up: bool = True
    link_ns: int = 0
    """When the connection last came up."""
    report_ns: int = 0
    """The order stream's last word."""
    untold_ns: int = 0
    """When a comparison found an order filled or ended that the order stream, silent since, has not told of."""
    compared_ns: int = 0
    """The last comparison that was answered in full."""
    quote_ns: int = 0
    """The last quote of any symbol."""
    feed_over: bool = False
    """Prices come from a recording, and it is at its end."""
    feed_waits: bool = False
    """Prices come from a recording, and it has none that is due: it was night, or nobody traded."""


def orders_silent(heard: Heard, brackets: Iterable[Bracket], bound_s: float) -> list[Trouble]:
    """Return what there is to say of the order stream: at most one trouble.

    That nothing was said for a while means nothing by itself: a stop may rest for days. It is silence when the venue,
    asked, knows of something it did not tell; or when something is open, and neither way has brought an answer.
    """
    if not heard.link_up:
        return []  # said by itself
    bound_ns = int(bound_s * NS)
    if heard.untold_ns and heard.now_ns - heard.untold_ns > bound_ns:
        age_s = (heard.now_ns - heard.untold_ns) // NS
        words = (
            f"the order stream is silent: {age_s} s ago a comparison found orders filled or ended that it has not told "
            "of; comparisons stand in for it, every few seconds"
        )
        return [Trouble(ORDERS, words, since_ns=heard.untold_ns)]
    last_ns = max(heard.report_ns, heard.compared_ns, heard.link_ns, heard.begun_ns)
    if heard.now_ns - last_ns > bound_ns and any(bracket.phase not in ENDED for bracket in brackets):
        age_s = (heard.now_ns - last_ns) // NS
        words = (
            f"the order stream has said nothing for {age_s} s, and no comparison with the venue was answered: nobody "
            "knows what fills"
        )
        return [Trouble(ORDERS, words, since_ns=last_ns)]
    return []


def prices_silent(
    heard: Heard,
    brackets: Iterable[Bracket],
    quotes: Mapping[str, Quote],
    bound_s: float,
    is_closed: Callable[[str], bool],
) -> list[Trouble]:
    """Return what there is to say of prices: one trouble for all of them, or one for each symbol that is frozen.

    Serious where something is open, in a market that is not closed: its levels watched here cannot trigger. Where
    nothing is open, prices that came and stopped are worth a warning. What a recording does not have is not missed.
    """
    if not heard.link_up or heard.feed_waits:
        return []
    bound_ns, over = int(bound_s * NS), " (the feed is over)" if heard.feed_over else ""
    listening_ns = max(heard.begun_ns, heard.link_ns)
    opened: dict[str, int] = {}
    for bracket in brackets:
        if bracket.phase not in ENDED and bracket.levels is not None and not is_closed(bracket.symbol):
            opened.setdefault(bracket.symbol, bracket.opened_ns)
    any_old = heard.now_ns - max(heard.quote_ns, listening_ns, min(opened.values(), default=0)) > bound_ns
    last = f"the last quote came {_age_s(heard, heard.quote_ns)} s ago"
    if any_old and opened:
        words = f"{last if heard.quote_ns else 'no quote has come yet'}{over}: levels watched here cannot trigger"
        return [Trouble(PRICES, words, since_ns=max(heard.quote_ns, listening_ns))]
    if any_old and heard.quote_ns and not heard.feed_over and not all(map(is_closed, quotes)):
        return [Trouble(PRICES, f"{last}; nothing is open", serious=False, since_ns=heard.quote_ns)]
    found = []
    for symbol, opened_ns in opened.items():
        quote = quotes.get(symbol)
        quote_ns = 0 if quote is None else quote.ts_received_ns
        last_ns = max(quote_ns, listening_ns, opened_ns)
        if heard.now_ns - last_ns > bound_ns:
            of = f"the last quote of {symbol} came {_age_s(heard, quote_ns)} s ago" if quote_ns else ""
            words = f"{of or f'no quote of {symbol} has come yet'}: its levels watched here cannot trigger"
            found.append(Trouble(PRICES, words, about=symbol, since_ns=last_ns))
    return found


def _age_s(heard: Heard, then_ns: int) -> int:
    return (heard.now_ns - then_ns) // NS


class Tell(Protocol):
    """Where troubles are told: a logger's methods."""

    def info(self, event: str, **context: object) -> object:
        """Say that one is over."""
        ...

    def warning(self, event: str, **context: object) -> object:
        """Say what somebody should look at."""
        ...

    def error(self, event: str, **context: object) -> object:
        """Say what is wrong."""
        ...


class Lookout:
    """Tells each trouble when it begins and when it is over, and nothing in between. `run` it."""

    def __init__(
        self,
        look: Callable[[], list[Trouble]],
        tell: Tell,
        *,
        begun: Callable[[Trouble], None],
        over: Callable[[Trouble], None],
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        """`look` returns the troubles there are now; `begun` and `over` hear of each, beside the log."""
        self._look, self._tell, self._begun, self._over, self._every_s = look, tell, begun, over, every_s
        self._lasting: dict[tuple[str, str], Trouble] = {}

    def look(self) -> None:
        """Look once, and tell what has changed."""
        found = {(trouble.name, trouble.about): trouble for trouble in self._look()}
        before, self._lasting = self._lasting, found
        for key, trouble in found.items():
            if key not in before:
                tell = self._tell.error if trouble.serious else self._tell.warning
                tell(trouble.name, what=trouble.words, **_about(trouble))
                self._begun(trouble)
        for key, trouble in before.items():
            if key not in found:
                self._tell.info(f"{trouble.name}_over", was=trouble.words, **_about(trouble))
                self._over(trouble)

    async def run(self) -> None:
        """Look every so often, for ever."""
        while True:
            self.look()
            await asyncio.sleep(self._every_s)


def _about(trouble: Trouble) -> dict[str, str]:
    return {"symbol": trouble.about} if trouble.about else {}
