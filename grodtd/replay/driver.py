"""The replay driver: the very engine that runs live, an ideal venue, recorded prices. Synchronous, no event loop.

Brackets are independent, so only the moments at which one of them is touched are walked: an array search finds each
bracket's next moment, and a queue keeps them in time order. At one moment exits come before entries.

Several symbols, a driver each, share one engine and one queue (`replay_together`). What a bar says is known at its end,
so that orders symbols whose bars are of different lengths; ties: the order of the drivers, then of the entries.
"""

import gc
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from msgspec.structs import replace

from grodtd.domain.bracket import ENDED, Bracket, Phase
from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.events import (
    BarsClosed,
    BracketRequested,
    CapabilitiesLearned,
    Event,
    FlattenRequested,
    InstrumentsLoaded,
    PoliciesLoaded,
    RequestRefused,
    RunStarted,
)
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.market import Bar, VolatilityReading
from grodtd.domain.money import ZERO
from grodtd.domain.orders import ExecutionReport, Leg, OrderType, Side
from grodtd.domain.outcome import Outcome
from grodtd.domain.policy import Policy, TrailAtr
from grodtd.execution.exit_rules import SESSION, TIME
from grodtd.execution.ladder import STOP_HIT
from grodtd.execution.terms import Terms
from grodtd.replay.columns import Progress
from grodtd.replay.feed import Feed
from grodtd.replay.prices import Floats
from grodtd.replay.rule_watch import RuleWatch, calendar_of_bars
from grodtd.runtime.turn import Turn
from grodtd.venue.bar_matching import FillModel, is_ambiguous
from grodtd.venue.profiles import IDEAL_REPLAY
from grodtd.venue.venue import SimulatedVenue

Reading = Callable[[str, int], VolatilityReading]
"""What the bars said, under a strategy's policy, up to and including an index; -1: before the first bar."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A fill the replay begins a bracket with. `index` is the bar or quote it happened in."""

    order: int
    """Place in the entries file."""
    bracket_id: str
    index: int
    reading_index: int
    """Last index whose bar counts for volatility."""
    side: Side
    quantity: Decimal
    px: Decimal
    stop_px: Decimal | None = None
    target_px: Decimal | None = None
    strategy: str = "default"
    line: int = 0
    """Its line in the entries file; of a rule's entry, the line of its bar in the price file."""


@dataclass(slots=True)
class Life:
    """One bracket's story, for the rows of exits.csv."""

    entry: Entry
    bracket: Bracket
    exit_index: int | None = None
    ambiguous_at: list[int] = field(default_factory=list)
    """Bars in which both levels were touched: the fill model decided."""
    exits: list[tuple[int, ExecutionReport, str]] = field(default_factory=list)
    """(index, execution, reason), in order."""
    stop_history: list[tuple[int, Decimal]] = field(default_factory=list)
    told_index: int = -1
    """Last index whose bar its rules were told of; its entry's to begin with."""


class Rules(NamedTuple):
    """What exit rules need to know of the prices."""

    watch: RuleWatch
    atr_px: Callable[[str, int], Decimal | None]
    """The ATR under a strategy's policy, up to and including an index; None: not known."""
    atr: Callable[[str], Floats | None]
    """The same for every index, float64[n] in the feed's unit, NaN where not known; None: asked one by one."""


Moment = tuple[tuple[int, int], int, int, int, str]
"""When (`Feed.moment`), whose (place among the drivers), which entry, which index, which bracket."""


class Driver:
    """Replays entries over one feed through one turn."""

    def __init__(
        self,
        feed: Feed,
        turn: Turn,
        instrument: Instrument,
        policies: Mapping[str, Policy],
        model: FillModel,
        started: RunStarted | None,
        reading: Reading,
        rules: Rules | None = None,
        takes: Callable[[Entry, BracketRequested], bool] = lambda _entry, _request: True,
    ) -> None:
        """Tell the engine what it works under; `turn` must be fresh. `started` None: it has been told (`begin`).

        `rules` is needed where a policy's exits are more than a stop and a target; `takes` may turn entries away.
        """
        self.reading = reading
        self.rules = rules or Rules(RuleWatch(feed, calendar_of_bars(0)), lambda _, __: None, lambda _: None)
        self.feed, self.turn, self.instrument, self.model = feed, turn, instrument, model
        # Fees are ours to charge: at a base-fee venue the entry pays in units and the exit in money, long and short
        # alike, so that the two stay mirrors; the venue itself only knows buys and sells.
        self.venue = SimulatedVenue(IDEAL_REPLAY, [replace(instrument, fee_rate=ZERO)])
        self.refused: list[tuple[Entry, str]] = []
        """Entries the engine refused, and why."""
        self._takes = takes
        self._queue: list[Moment] = []
        self._place = 0
        self._lives: dict[str, Life] = {}
        if started is not None:
            begin(turn, started, policies, [instrument], int(feed.time_ns[0]) if len(feed) else 0)

    def run(self, entries: Sequence[Entry], progress: Progress | None = None) -> list[Life]:
        """Replay every entry to its end (or the prices' end) and return their lives in order of entry."""
        return replay_together([self], [entries], progress)[0]

    def join(self, queue: list[Moment], place: int) -> None:
        """Keep what is to come in a queue shared with others, under a place of its own."""
        self._queue, self._place = queue, place

    def lives(self) -> list[Life]:
        """Return the lives so far, in order of entry."""
        for life in self._lives.values():
            after = self.turn.bracket(life.entry.bracket_id)
            if after is not None:
                life.bracket = after
        return list(self._lives.values())

    def enter(self, entry: Entry) -> None:
        """Begin an entry's bracket, unless it is turned away."""
        ts_ns = int(self.feed.time_ns[entry.index])
        fee, fee_asset = entry_fee(self.instrument, entry.quantity, entry.px)
        request = BracketRequested(
            bracket_id=entry.bracket_id,
            symbol=self.feed.symbol,
            side=entry.side,
            quantity=entry.quantity,
            filled_qty=entry.quantity,
            filled_px=entry.px,
            fee=fee,
            fee_asset=fee_asset,
            strategy=entry.strategy,
            stop_px=entry.stop_px,
            target_px=entry.target_px,
            reading=self.reading(entry.strategy, entry.reading_index),
            ts_event_ns=ts_ns,
            ts_received_ns=ts_ns,
        )
        if not self._takes(entry, request):
            return
        try:
            outcome = self.turn.take(request)
        except Refused as refused:
            self.refused.append((entry, str(refused)))
            return
        bracket = self.turn.bracket(entry.bracket_id)
        assert bracket is not None
        life = self._lives[entry.bracket_id] = Life(entry, bracket, told_index=entry.index)
        self._carry_out(life, outcome, entry.index, ts_ns)
        self._schedule(life, entry.index)

    def show(self, index: int, bracket_id: str) -> None:
        """Show one index to one bracket's orders at the venue."""
        life = self._lives[bracket_id]
        bid, ask = self.feed.bar(index)
        bar = bid if life.entry.side is Side.BUY else ask
        self._move_put_off(life, index)
        stop_px, target_px = _resting(life.bracket)
        if target_px is not None and is_ambiguous(life.entry.side, stop_px, [target_px], bar):
            life.ambiguous_at.append(index)
        reports = self.venue.on_bar(bid, self.model, ask=ask, brackets=(bracket_id,))
        self._take(life, reports, index, int(self.feed.time_ns[index]))
        if life.bracket.phase is Phase.OPEN:
            terms = self.turn.engine.terms(life.bracket)
            if terms.rules:
                if self.rules.watch.tells(terms, index):
                    self._close_bar(life, terms, index, bid, ask)
                self._leave_in_time(life, terms, index, bid, ask)
        self._schedule(life, index)

    def _move_put_off(self, life: Life, index: int) -> None:
        """Make the move that came too soon after the last one, if it is due before this quote."""
        bracket = life.bracket
        at_ns, best_px = bracket.move_at_ns, bracket.best_px
        if at_ns is None or best_px is None or at_ns > int(self.feed.time_ns[index]):
            return
        fact = BarsClosed(
            self.feed.symbol,
            bid_high=best_px,
            bid_close=best_px,
            ask_low=best_px,
            ask_close=best_px,
            bars=0,
            bracket_id=bracket.bracket_id,
            ts_event_ns=at_ns,
            ts_received_ns=at_ns,
        )
        self._fact(life, fact, index, at_ns)

    def _close_bar(self, life: Life, terms: Terms, index: int, bid: Bar, ask: Bar) -> None:
        """Tell a bracket's rules of the bars since they were last told."""
        entry, watch, ts_ns = life.entry, self.rules.watch, int(self.feed.time_ns[index])
        bar_of = watch.calendar.bar_of
        whole = bool(watch.calendar.closes[index])
        between = self.feed.extremes(entry.side, life.told_index, index)
        stretch = None
        best_bid, best_ask = bid.high, ask.low
        if between is not None:
            stretch = between[1 if entry.side is Side.BUY else 0] * self.feed.unit
            if not watch.calendar.is_bars:  # these quotes are one bar
                best_bid, best_ask = max(best_bid, stretch), min(best_ask, stretch)
        counted = int(bar_of[index]) + whole - life.bracket.bars_held - int(bar_of[entry.index]) - 1
        self._fact(
            life,
            BarsClosed(
                self.feed.symbol,
                bid_high=best_bid,
                bid_close=bid.close,
                ask_low=best_ask,
                ask_close=ask.close,
                best_bid=stretch,
                best_ask=stretch,
                bars=max(counted, 0),
                atr_px=self._latest_atr(life, index) if terms.policy.trailing.atr is TrailAtr.CURRENT else None,
                bracket_id=entry.bracket_id,
                ts_event_ns=ts_ns,
                ts_received_ns=ts_ns,
            ),
            index,
            ts_ns,
        )
        life.told_index = index

    def _latest_atr(self, life: Life, index: int) -> Decimal | None:
        """Return the last ATR known since the rules were last told; a hole in the bars has none of its own."""
        for at in range(index, life.told_index, -1):
            atr_px = self.rules.atr_px(life.entry.strategy, at)
            if atr_px is not None:
                return atr_px
        return None

    def _leave_in_time(self, life: Life, terms: Terms, index: int, bid: Bar, ask: Bar) -> None:
        """Leave at this close if the trade's time or its session is over; what leaves for any reason does so here."""
        bracket, ts_ns = life.bracket, int(self.feed.time_ns[index])
        due = bracket.leave_at_ns is not None and ts_ns >= bracket.leave_at_ns
        ends = self.rules.watch.session_ends(terms, index)
        if bracket.phase is Phase.OPEN and (due or ends):
            leave = FlattenRequested(
                bracket.bracket_id,
                "the trade has had its time" if due else "the session ends",
                exit_reason=TIME if due else SESSION,
                last_px=(bid if bracket.side is Side.BUY else ask).close,
                ts_event_ns=ts_ns,
                ts_received_ns=ts_ns,
            )
            self._fact(life, leave, index, ts_ns)
        if life.bracket.phase is Phase.EXITING:
            self._take(life, self.venue.on_close(bid, ask=ask, bracket=bracket.bracket_id), index, ts_ns)

    def _carry_out(self, life: Life, outcome: Outcome, index: int, ts_ns: int) -> None:
        """Do at the venue what the engine decided, and hand the reports back, until nothing is left to do."""
        for command in outcome.commands:
            if not isinstance(command, SubmitOrder | SubmitOco | CancelOrder | ReplaceOrder):
                continue
            try:
                reports = self.venue.apply(command, ts_ns)
            except Refused as refused:
                for fact in refusals(command, refused, ts_ns):
                    self._fact(life, fact, index, ts_ns)
            else:
                self._take(life, reports, index, ts_ns)

    def _take(self, life: Life, reports: Sequence[ExecutionReport], index: int, ts_ns: int) -> None:
        for report in reports:
            self._fact(life, report, index, ts_ns)

    def _fact(self, life: Life, fact: Event, index: int, ts_ns: int) -> None:
        if isinstance(fact, ExecutionReport) and fact.last_qty > 0 and fact.last_px is not None:
            if self.instrument.fee_rate:
                value = fact.last_qty * fact.last_px * self.instrument.contract_multiplier
                fact = replace(fact, fee=value * self.instrument.fee_rate, fee_asset=FeeAsset.QUOTE)
            life.exits.append((index, fact, _reason(life.bracket, fact.client_order_id)))
            life.exit_index = index
        outcome = self.turn.take(fact)
        bracket = self.turn.bracket(life.entry.bracket_id)
        assert bracket is not None
        if bracket.stop_px != life.bracket.stop_px and bracket.stop_px is not None:
            life.stop_history.append((index, bracket.stop_px))
        life.bracket = bracket
        if outcome.commands:
            self._carry_out(life, outcome, index, ts_ns)

    def _schedule(self, life: Life, after: int) -> None:
        """Find the next index at which anything of this bracket can happen."""
        bracket = life.bracket
        bracket_id = bracket.bracket_id
        if bracket.phase in ENDED:
            self.turn.engine.forget(bracket_id)
            return
        if any(order.alive and order.order_type is OrderType.MARKET for order in bracket.orders):
            at = self.feed.next_trusted(after)
        else:
            stop_px, target_px = _resting(bracket)
            unit = self.feed.unit
            long = bracket.side is Side.BUY
            stop = target = None
            if stop_px is not None:
                stop = int((stop_px / unit).to_integral_value(ROUND_FLOOR if long else ROUND_CEILING))
            if target_px is not None:
                target = int((target_px / unit).to_integral_value(ROUND_CEILING if long else ROUND_FLOOR))
            at = self.feed.first_touch(bracket.side, after, stop, target)
            terms = self.turn.engine.terms(bracket)
            if terms.rules:
                until = len(self.feed) if at is None else at
                atr = self.rules.atr(life.entry.strategy) if terms.policy.trailing.atr is TrailAtr.CURRENT else None
                at = self.rules.watch.next(bracket, terms, life.entry.index, after, until, atr) or at
        if at is not None:
            moment = self.feed.moment(at)
            heapq.heappush(self._queue, (moment, self._place, life.entry.order, at, bracket_id))


def begin(
    turn: Turn, started: RunStarted, policies: Mapping[str, Policy], instruments: Sequence[Instrument], ts_ns: int
) -> None:
    """Tell a fresh engine what it works under."""
    for event in (
        started,
        PoliciesLoaded(dict(policies), ts_ns),
        InstrumentsLoaded(tuple(instruments), ts_ns),
        CapabilitiesLearned(IDEAL_REPLAY, ts_ns),
    ):
        turn.take(event)


def replay_together(
    drivers: Sequence[Driver], entries: Sequence[Sequence[Entry]], progress: Progress | None = None
) -> list[list[Life]]:
    """Replay each driver's entries to their ends, all in one order of time; return each driver's lives."""
    # What a replay makes has no cycles: counting references frees it, and looking for cycles among a million
    # records costs a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        _replay_together(drivers, entries, progress)
    finally:
        if collecting:
            gc.enable()
    return [driver.lives() for driver in drivers]


def _replay_together(drivers: Sequence[Driver], entries: Sequence[Sequence[Entry]], progress: Progress | None) -> None:
    queue: list[Moment] = []
    for place, driver in enumerate(drivers):
        driver.join(queue, place)
    pending = sorted(
        ((driver.feed.moment(entry.index), entry.order, driver, entry)
         for driver, own in zip(drivers, entries, strict=True) for entry in own),
        key=lambda one: one[:2],
    )  # fmt: skip
    for done, (moment, _, driver, entry) in enumerate(pending, 1):
        while queue and queue[0][0] <= moment:
            _, place, _, at, bracket_id = heapq.heappop(queue)
            drivers[place].show(at, bracket_id)
        driver.enter(entry)
        if progress is not None and not done & 255:
            progress("replaying", done / len(pending))
    while queue:
        _, place, _, at, bracket_id = heapq.heappop(queue)
        drivers[place].show(at, bracket_id)
    if progress is not None:
        progress("replaying", 1.0)


def entry_fee(instrument: Instrument, quantity: Decimal, px: Decimal) -> tuple[Decimal, FeeAsset]:
    """Return what an entry fill costs and in what: units at a base-fee venue, else money."""
    if instrument.fee_asset is FeeAsset.BASE:
        return quantity * instrument.fee_rate, FeeAsset.BASE
    return quantity * px * instrument.contract_multiplier * instrument.fee_rate, FeeAsset.QUOTE


def refusals(command: SubmitOrder | SubmitOco | CancelOrder | ReplaceOrder, why: Refused, ts_ns: int) -> list[Event]:
    """Turn the venue's refusal of a command into the facts it means."""
    ids: tuple[tuple[str, str, str], ...]
    if isinstance(command, SubmitOco):
        ids = ((command.stop.client_order_id, "submit", ""), (command.target.client_order_id, "submit", ""))
    elif isinstance(command, SubmitOrder):
        ids = ((command.order.client_order_id, "submit", ""),)
    elif isinstance(command, CancelOrder):
        ids = ((command.client_order_id, "cancel", ""),)
    else:
        ids = ((command.client_order_id, "replace", command.order.client_order_id),)
    return [RequestRefused(cid, verb, why.code, str(why), new, ts_ns, ts_ns) for cid, verb, new in ids]


def _resting(bracket: Bracket) -> tuple[Decimal | None, Decimal | None]:
    """Levels of the bracket's living stop and target orders."""
    stop_px = target_px = None
    for order in bracket.orders:
        if not order.alive:
            continue
        if order.leg is Leg.STOP:
            stop_px = order.stop_px
        elif order.leg is Leg.TARGET and order.limit_px is not None:
            nearer = target_px is None or (order.limit_px - target_px) * bracket.side.sign < 0
            target_px = order.limit_px if nearer else target_px
    return stop_px, target_px


def _reason(bracket: Bracket, client_order_id: str) -> str:
    """Say, in the words of exits.csv, why an order of this bracket took it out."""
    for order in bracket.orders:
        if order.client_order_id == client_order_id:
            if order.leg is Leg.STOP:
                return bracket.stop_why
            if order.leg is Leg.TARGET:
                return order.leg.value
            if order.leg is Leg.REMEDY:
                return "overfill"
            return bracket.stop_why if bracket.exit_reason == STOP_HIT else bracket.exit_reason
    return "manual"
