"""`grodtd replay --limits`: entries held to the account's limits, as live; what they refuse goes to `refused.csv`.

The account begins with `brokers.paper.cash`. At each entry it is worth that, what its brackets have won or lost so far,
and what is open at the close of the entry's bar. Quotes are not asked for: an entry that has filled had a price.
"""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.errors import Refused
from grodtd.domain.events import BracketRequested, EntryRefused, RiskLimitsLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.money import ZERO, plain
from grodtd.domain.policy import Policy
from grodtd.domain.risk import EntryTerms, RiskLimits
from grodtd.execution.coverage import entry_px, signed_fill
from grodtd.execution.entry_weighing import weigh
from grodtd.execution.terms import Terms
from grodtd.replay.driver import Entry
from grodtd.replay.feed import Feed
from grodtd.replay.prices import iso_ms
from grodtd.runtime.sessions import account_days
from grodtd.runtime.turn import Turn
from grodtd.venue.profiles import IDEAL_REPLAY

COLUMNS = (
    "time",
    "symbol",
    "side",
    "quantity",
    "price",
    "bracket_id",
    "stop_price",
    "target_price",
    "strategy",
    "reason",
)


class RefusedEntry(NamedTuple):
    """An entry that was not taken, and why; `code` is the refusal's stable word."""

    symbol: str
    time_ns: int
    """Of the bar or quote it would have been filled in."""
    entry: Entry
    code: str
    reason: str


class Market(NamedTuple):
    """What the limits know of one symbol: its prices, its trading rules, its policies by strategy."""

    feed: Feed
    instrument: Instrument
    policies: Mapping[str, Policy]


class LimitsGate:
    """Asked about every entry of one replay, in time order; `refused` is what it would not have."""

    def __init__(self, markets: Sequence[Market], limits: RiskLimits, cash: Decimal) -> None:
        """Share one account, which begins with `cash`, among all markets, a symbol each."""
        self._limits, self._cash = limits, cash
        self._markets = {market.feed.symbol: market for market in markets}
        self._terms = {
            (symbol, name): Terms.of(policy, market.instrument, IDEAL_REPLAY)
            for symbol, market in self._markets.items()
            for name, policy in market.policies.items()
        }
        self._turn: Turn | None = None
        self.refused: list[RefusedEntry] = []

    def begin(self, turn: Turn, ts_ns: int) -> None:
        """Have the engine keep what is risked and lost, from the first entry on."""
        self._turn = turn
        turn.take(RiskLimitsLoaded(self._limits, ts_ns))
        if self._limits.day_calendar is not None:
            until_ns = max(int(market.feed.time_ns[-1]) for market in self._markets.values())
            turn.take(account_days(self._limits.day_calendar, ts_ns, until_ns, ts_ns))

    def takes(self, entry: Entry, request: BracketRequested) -> bool:
        """Say whether the limits let an entry in; if not, it is noted here and in the journal."""
        turn, ts_ns = self._turn, request.ts_received_ns
        assert turn is not None
        quote = Quote(request.symbol, entry.px, entry.px, ts_ns, ts_ns)
        asked = EntryTerms(equity=self._equity(turn, request.symbol, entry.index), quote=quote)
        intent = replace(request, filled_qty=ZERO, filled_px=None, fee=ZERO, entry=asked)
        try:
            weigh(intent, self._terms[request.symbol, entry.strategy], turn.engine.risk, self._limits)
        except Refused as refused:
            words = str(refused)
            self.refused.append(RefusedEntry(request.symbol, ts_ns, entry, refused.code, words))
            turn.take(
                EntryRefused(
                    entry.bracket_id, request.symbol, entry.side, refused.code, words, entry.quantity, ts_ns, ts_ns
                )
            )
            return False
        return True

    def remarks(self, entries: int) -> list[str]:
        """Say how many of `entries` were refused, and by what; nothing where none was."""
        if not self.refused:
            return []
        by_code = Counter(refused.code for refused in self.refused)
        counted = ", ".join(f"{count} by {code}" for code, count in by_code.most_common())
        return [f"{len(self.refused)} of {entries} entries were refused by the limits (refused.csv): {counted}"]

    def _equity(self, turn: Turn, symbol: str, index: int) -> Decimal:
        engine = turn.engine
        now_ns, _ = self._markets[symbol].feed.moment(index)
        marks = (
            self._mark(bracket, index if bracket.symbol == symbol else None, now_ns)
            for bracket in engine.brackets()
            if bracket.phase not in ENDED
        )
        return self._cash + engine.risk.realised + sum(marks, ZERO)

    def _mark(self, bracket: Bracket, index: int | None, now_ns: int) -> Decimal:
        """What is open is worth at a close; None: that of the last bar or quote over at `now_ns`."""
        market = self._markets[bracket.symbol]
        feed = market.feed
        close = int(feed.exit_side(bracket.side).close[feed.last_over(now_ns) if index is None else index]) * feed.unit
        held = sum((signed_fill(order) for order in bracket.orders), ZERO)
        return held * (close - entry_px(bracket)) * market.instrument.contract_multiplier


def write_refused(path: Path, refused: Sequence[RefusedEntry]) -> None:
    """Write `refused.csv` whole: the entries as they would have been filled, and why they were not."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for symbol, time_ns, entry, _, reason in refused:
            writer.writerow(
                [
                    iso_ms(time_ns),
                    symbol,
                    entry.side.value,
                    plain(entry.quantity),
                    plain(entry.px),
                    entry.bracket_id,
                    "" if entry.stop_px is None else plain(entry.stop_px),
                    "" if entry.target_px is None else plain(entry.target_px),
                    entry.strategy,
                    reason,
                ]
            )
