"""The execution engine: one writer, no await. `process(event)` folds a fact into the state and returns what follows.

Journalled facts, folded again through a new engine, give the same state and the same commands, byte for byte:
nothing here reads a clock, draws a number or iterates a set. The engine is told the venue's abilities, the trading
rules and the policies as facts, too.
"""

import heapq
from collections.abc import Callable, Iterator
from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.commands import Command
from grodtd.domain.errors import Refused, Surprise
from grodtd.domain.events import (
    AccountDaysLoaded,
    BarsClosed,
    BracketReconciled,
    BracketRequested,
    BracketsForgotten,
    CapabilitiesLearned,
    EntriesPaused,
    EntriesResumed,
    EntryRefused,
    Event,
    FlattenRequested,
    InstrumentsLoaded,
    LevelsChangeRequested,
    OrderNotFound,
    PoliciesLoaded,
    PositionReported,
    ReleaseRequested,
    RequestNotSent,
    RequestRefused,
    RequestUnknown,
    RiskLimitsLoaded,
    SessionsLoaded,
    TimerFired,
)
from grodtd.domain.ids import check_bracket_id
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.notes import Note, NoteKind, Severity
from grodtd.domain.orders import ExecutionReport, Leg, OrderReport, Side
from grodtd.domain.outcome import NOTHING_HAPPENED, Outcome
from grodtd.domain.policy import Plan, Policy, policy_for
from grodtd.domain.risk import Accepted
from grodtd.execution import exit_rules
from grodtd.execution.booking import take_in_quantities
from grodtd.execution.coverage import measure
from grodtd.execution.deadlines import next_deadline_ns
from grodtd.execution.engine_state import EngineState
from grodtd.execution.entry_weighing import weigh
from grodtd.execution.forgotten import check_forgotten, may_forget, unexplained
from grodtd.execution.holdings import Doubt, Held, in_motion, judge, net_of
from grodtd.execution.ladder import demote
from grodtd.execution.oco_emulator import Touch
from grodtd.execution.order_lifecycle import OrderFact
from grodtd.execution.placement import choose_plan
from grodtd.execution.requests import check_entry, check_name, check_quantities, levels_wanted
from grodtd.execution.terms import Step, Terms
from grodtd.execution.watched_levels import watched_levels

_ORDER_FACTS = frozenset({ExecutionReport, OrderReport, RequestRefused, RequestUnknown, RequestNotSent, OrderNotFound})
_FEW = 64
"""So many deadlines that no longer hold may always lie about."""


class Engine(EngineState):
    """Every bracket of one account. The only writer of their state."""

    # -- the fold -------------------------------------------------------------------------------------------

    def weigh(self, request: BracketRequested) -> tuple[Accepted, str]:
        """Return what an entry that is ours to send comes to, and the key its quantity comes from. Changes nothing.

        Raises: Refused - as `process` would, were it asked now.
        """
        policy, instrument = self._asked(request)
        return self._weigh(request, self._terms_of(policy, instrument))

    def process(self, event: Event) -> Outcome:
        """Fold one fact in and return the commands and notes it leads to.

        Raises: Refused - the caller asked for something that is not done; nothing changed.
        A report no machine has a row for freezes its bracket with the stop in place; it does not raise.
        """
        kind = type(event)
        if kind is Quote:
            return self._quote(event)  # type: ignore[arg-type]
        self._now_ns = event.ts_received_ns
        if kind in _ORDER_FACTS:
            return self._order_fact(event)  # type: ignore[arg-type]
        if kind is BracketRequested:
            return self._request(event)  # type: ignore[arg-type]
        if kind is TimerFired:
            return self._timer(event)  # type: ignore[arg-type]
        if kind is BarsClosed:
            return self._bars(event)  # type: ignore[arg-type]
        if isinstance(event, FlattenRequested | ReleaseRequested | LevelsChangeRequested):
            return self._by_hand(event)
        if isinstance(event, BracketReconciled):
            return self._thaw(event)
        if isinstance(event, PositionReported):
            return self._position(event)
        return self._setting(event)

    def _setting(self, event: Event) -> Outcome:
        """Policies, trading rules, abilities, switches: what brackets live under."""
        if isinstance(event, PoliciesLoaded):
            self._policies = dict(event.policies)
        elif isinstance(event, RiskLimitsLoaded):
            began = self._risk.limits is None
            self._risk.live_under(event.limits)
            for bracket in self._brackets.values() if began else ():
                if bracket.phase not in ENDED:
                    self._risk.observe(bracket, self._instruments[bracket.symbol], event.ts_received_ns)
        elif isinstance(event, AccountDaysLoaded):
            self._risk.days(event.ends_ns)
        elif isinstance(event, EntryRefused):
            step = Step(event.ts_received_ns, event.bracket_id)
            step.tell(NoteKind.ENTRY_REFUSED, Severity.WARNING, code=event.code, reason=event.reason)
            return Outcome((), tuple(step.notes))
        elif isinstance(event, InstrumentsLoaded):
            for instrument in event.instruments:
                self._instruments[instrument.symbol] = instrument
            self._terms.clear()
        elif isinstance(event, CapabilitiesLearned):
            self._capabilities = event.capabilities
            self._terms.clear()
        elif isinstance(event, SessionsLoaded):
            self._sessions[event.symbol] = (event.ends_ns, event.weekend_ns, event.opens_ns)
            self._terms.clear()
        elif isinstance(event, EntriesPaused):
            self._paused = event.reason or "paused by the operator"
            step = Step(event.ts_received_ns)
            step.tell(NoteKind.ENTRIES_PAUSED, Severity.WARNING, reason=self._paused)
            return Outcome((), tuple(step.notes))
        elif isinstance(event, EntriesResumed):
            self._paused = ""
            self._halted.clear()
            step = Step(event.ts_received_ns)
            step.tell(NoteKind.ENTRIES_RESUMED, reason=event.reason or None)
            return Outcome((), tuple(step.notes))
        elif isinstance(event, BracketsForgotten):
            return self._forget_ended(event)
        return Outcome()

    def _forget_ended(self, event: BracketsForgotten) -> Outcome:
        for bracket_id in event.bracket_ids:
            bracket = self._brackets.get(bracket_id)
            if bracket is not None and may_forget(bracket, event.ts_received_ns):
                self.forget(bracket_id)
                self._forgotten[bracket_id] = bracket.closed_ns or 0
                for order in bracket.orders:
                    client_id = order.client_order_id
                    if order.leg is Leg.ENTRY and client_id.rpartition(".")[0] != bracket_id:
                        self._entry_orders.setdefault(client_id, bracket_id)  # a late fill of it is not nobody's
        in_use = {bracket.policy_fingerprint for bracket in self._brackets.values()}
        self._policies_in_use = {name: policy for name, policy in self._policies_in_use.items() if name in in_use}
        self._terms = {key: terms for key, terms in self._terms.items() if key[0] in in_use}
        return Outcome()

    def _asked(self, event: BracketRequested) -> tuple[Policy, Instrument]:
        """Check what is asked for, and return what it would live under. Raises: Refused."""
        bracket_id = check_bracket_id(event.bracket_id)
        check_name(self._brackets.get(bracket_id), event)
        check_forgotten(bracket_id, self._forgotten)
        check_quantities(event)
        entry_of = self._entry_orders.get(event.entry_client_order_id)
        if entry_of in self._brackets and self._brackets[entry_of].phase not in ENDED:
            raise Refused(
                f"entry {event.entry_client_order_id} has its bracket already: {entry_of}", code="duplicate_id"
            )
        policy = policy_for(self._policies, event.strategy, event.symbol)
        if policy is None:
            known = ", ".join(sorted(name for name in self._policies if "@" not in name))
            raise Refused(
                f"no strategy named {event.strategy!r} is configured; known: {known}", code="unknown_strategy"
            )
        policy = event.policy or policy
        instrument = self._instruments.get(event.symbol)
        if instrument is None:
            raise Refused(f"{event.symbol} is not configured: add it to instruments.yaml", code="unknown_symbol")
        if not event.filled_qty:
            if event.symbol in self._halted:
                raise Refused(
                    f"{event.symbol} is halted: {self._halted[event.symbol]}; resume entries when that is settled",
                    code="symbol_halted",
                )
            opposite = self._opposite(event.symbol, event.side)
            check_entry(event, policy, self._capabilities, self._paused, self._active, opposite)
        return policy, instrument

    def _opposite(self, symbol: str, side: Side) -> Bracket | None:
        """Return the oldest open bracket of a symbol's other side; all are looked at only where there is one."""
        open_ids = self._open_on_symbol.get(symbol, {})
        shorts = self._open_shorts.get(symbol, 0)
        if not (shorts if side is Side.BUY else len(open_ids) - shorts):
            return None
        return next(other for other in map(self._brackets.__getitem__, open_ids) if other.side is not side)

    def _weigh(self, event: BracketRequested, terms: Terms) -> tuple[Accepted, str]:
        if self._risk.limits is None:
            raise Refused("no risk limits were loaded: no entry is sent without them", code="no_limits")
        return weigh(event, terms, self._risk, self._risk.limits)

    def _request(self, event: BracketRequested) -> Outcome:
        policy, instrument = self._asked(event)
        bracket_id = event.bracket_id
        terms = self._terms_of(policy, instrument)
        accepted = None
        if event.entry is not None:
            accepted, sized_by = self._weigh(event, terms)
            if sized_by:
                event = replace(event, quantity=accepted.quantity, entry=replace(event.entry, sized_by=sized_by))
        self._policies_in_use.setdefault(terms.fingerprint, policy)
        plan, why = choose_plan(
            self._capabilities,
            policy,
            side=event.side,
            others_on_symbol=len(self._open_on_symbol.get(event.symbol, ())),
            account_qty=event.account_qty,
            open_qty=event.filled_qty,
        )
        step = Step(event.ts_received_ns, bracket_id)
        begun = self._manager.open(step, terms, event, plan, why)
        if accepted is not None and self._risk.limits is not None:
            self._risk.accepted(accepted, self._risk.limits.duplicate_within_s)
        if event.entry_client_order_id:
            self._entry_orders[event.entry_client_order_id] = bracket_id
        demoted = None
        if event.symbol in self._pairs:
            demoted = self._demote_pairs(event.symbol, "another bracket opened on the symbol")
        try:
            bracket = self._manager.settle(step, begun, terms)
        except Surprise as surprise:
            self._keep(step, None, begun, terms)
            outcome = self._freeze(begun, terms, event.ts_received_ns, surprise)
        else:
            outcome = self._keep(step, None, bracket, terms)
        if demoted:
            return Outcome(outcome.commands + demoted.commands, outcome.notes + demoted.notes)
        return outcome

    def _demote_pairs(self, symbol: str, why: str) -> Outcome:
        """End the reduce-only pairs on a symbol: the venue trims by account, and that is not theirs alone any more."""
        pairs = self._pairs.pop(symbol, {})
        commands: list[Command] = []
        notes: list[Note] = []
        for bracket_id in pairs:
            bracket = self._brackets[bracket_id]
            if bracket.plan is not Plan.PAIR_REDUCE_ONLY or bracket.phase in ENDED:
                continue
            outcome = self._act(bracket, self._now_ns, lambda step, b, _: demote(step, b, why))
            commands.extend(outcome.commands)
            notes.extend(outcome.notes)
        return Outcome(tuple(commands), tuple(notes))

    def _order_fact(self, fact: OrderFact) -> Outcome:
        client_id = fact.client_order_id
        bracket_id = self._entry_orders.get(client_id) or client_id.rpartition(".")[0]
        bracket = self._brackets.get(bracket_id)
        if bracket is None:
            return self._stray_fill(bracket_id, fact)
        step = Step(fact.ts_received_ns, bracket_id)
        terms = self.terms(bracket)
        try:
            after = self._manager.fact(step, bracket, terms, fact)
        except Surprise as surprise:
            return self._freeze(bracket, terms, fact.ts_received_ns, surprise, fact)
        return self._keep(step, bracket, after, terms)

    def _stray_fill(self, bracket_id: str, fact: OrderFact) -> Outcome:
        """A report of no bracket we hold: not ours, or of one that is over and gone."""
        ended_ns = self._forgotten.get(bracket_id)
        if ended_ns is None or not isinstance(fact, ExecutionReport) or fact.exec_id in self._unexplained:
            return NOTHING_HAPPENED
        note = unexplained(bracket_id, ended_ns, fact)
        if note is None:
            return NOTHING_HAPPENED
        self._unexplained[fact.exec_id] = None
        return Outcome((), (note,))

    def _act(self, bracket: Bracket, now_ns: int, act: Callable[[Step, Bracket, Terms], Bracket]) -> Outcome:
        """Do something to a bracket that is not a report, settle it and keep it; a surprise freezes it."""
        terms = self.terms(bracket)
        step = Step(now_ns, bracket.bracket_id)
        try:
            after = self._manager.settle(step, act(step, bracket, terms), terms)
        except Surprise as surprise:
            return self._freeze(bracket, terms, now_ns, surprise)
        return self._keep(step, bracket, after, terms)

    def _freeze(
        self, bracket: Bracket, terms: Terms, now_ns: int, surprise: Surprise, fact: OrderFact | None = None
    ) -> Outcome:
        """No row for a fact: the bracket keeps its stop and asks to be reconciled; fills are booked all the same."""
        step = Step(now_ns, bracket.bracket_id)
        frozen = bracket
        if not bracket.frozen_reason:
            step.tell(NoteKind.FROZEN, Severity.ALARM, why=str(surprise))
            frozen = self._manager.ask_to_reconcile(step, replace(bracket, frozen_reason=str(surprise)))
        elif bracket.reconcile_at_ns is not None and bracket.reconcile_at_ns <= now_ns:
            frozen = self._manager.ask_to_reconcile(step, bracket)  # its own timer is what was not understood
        for tried in self._ways_to_book(frozen, terms, fact):
            trial = Step(now_ns, bracket.bracket_id)
            try:
                after = tried(trial)
            except Surprise:
                continue  # not even that is understood
            step.commands += trial.commands
            step.notes += trial.notes
            return self._keep(step, bracket, after, terms)
        return self._keep(step, bracket, frozen, terms)

    def _ways_to_book(
        self, frozen: Bracket, terms: Terms, fact: OrderFact | None
    ) -> Iterator[Callable[[Step], Bracket]]:
        """What to make of a fact nobody expected, best first: all of it, its fills alone, nothing."""
        settle = self._manager.settle
        if fact is not None:
            yield lambda step: self._manager.fact(step, frozen, terms, fact)
            yield lambda step: settle(step, take_in_quantities(frozen, fact), terms)
        yield lambda step: settle(step, frozen, terms)

    def _thaw(self, event: BracketReconciled) -> Outcome:
        """The bracket was compared with the venue, order by order: what it knows is true again."""
        bracket = self._brackets.get(event.bracket_id)
        if bracket is None or not bracket.frozen_reason:
            return NOTHING_HAPPENED
        terms = self.terms(bracket)
        step = Step(event.ts_received_ns, event.bracket_id)
        step.tell(NoteKind.THAWED, was=bracket.frozen_reason)
        try:
            after = self._manager.settle(step, replace(bracket, frozen_reason="", reconcile_at_ns=None), terms)
        except Surprise:
            return NOTHING_HAPPENED  # still nothing we understand: it stays frozen, stop in place
        return self._keep(step, bracket, after, terms)

    def _position(self, event: PositionReported) -> Outcome:
        """Compare the account's position with what we hold there; two readings that agree are believed (rule 8)."""
        brackets = [self._brackets[bracket_id] for bracket_id in self._open_on_symbol.get(event.symbol, ())]
        if not brackets or any(in_motion(bracket) for bracket in brackets):
            return NOTHING_HAPPENED
        terms = [self.terms(bracket) for bracket in brackets]
        held = tuple(
            (bracket.bracket_id, open_qty * bracket.side.sign)
            for bracket, own in zip(brackets, terms, strict=True)
            if (open_qty := measure(bracket, own).open_qty)
        )
        doubt = self._doubts.get(event.symbol)
        if abs(event.quantity - net_of(held)) < terms[0].instrument.lot_size:
            if doubt is None:
                return NOTHING_HAPPENED
            del self._doubts[event.symbol]
            return Outcome()
        if doubt is None or (doubt.account_qty, doubt.held) != (event.quantity, held):
            self._doubts[event.symbol] = Doubt(event.quantity, held, event.ts_event_ns)
            return Outcome()
        lag_ns = max(own.read_lag_ns for own in terms)
        if doubt.told or event.ts_event_ns < doubt.asked_ns + lag_ns:
            return NOTHING_HAPPENED
        self._doubts[event.symbol] = replace(doubt, told=True)
        return self._changed_elsewhere(event, held, brackets)

    def _changed_elsewhere(self, event: PositionReported, held: Held, brackets: list[Bracket]) -> Outcome:
        """The account holds other than we do, and that is no misunderstanding."""
        verdict = judge(event.quantity, held, brackets)
        commands: list[Command] = []
        notes: list[Note] = []
        step = Step(event.ts_received_ns, brackets[-1].bracket_id)
        if verdict.flipped:
            self._halted[event.symbol] = f"the account holds {event.quantity}, turned round elsewhere"
            step.tell(NoteKind.FLIPPED_ELSEWHERE, Severity.ALARM, symbol=event.symbol, account_qty=event.quantity)
        elif verdict.added_qty:
            step.tell(
                NoteKind.ADDED_ELSEWHERE,
                symbol=event.symbol,
                quantity=verdict.added_qty,
                account_qty=event.quantity,
            )
        notes.extend(step.notes)
        outcomes = [self._taken_from(bracket_id, quantity) for bracket_id, quantity in verdict.gone]
        if verdict.added_qty:
            outcomes.append(
                self._demote_pairs(event.symbol, f"the account holds {event.quantity}, not only this bracket's units")
            )
        for outcome in outcomes:
            commands.extend(outcome.commands)
            notes.extend(outcome.notes)
        return Outcome(tuple(commands), tuple(notes))

    def _taken_from(self, bracket_id: str, quantity: Decimal) -> Outcome:
        return self._act(
            self._brackets[bracket_id],
            self._now_ns,
            lambda step, b, terms: self._manager.reduced_elsewhere(step, b, terms, quantity),
        )

    def _quote(self, quote: Quote) -> Outcome:
        touched = self._book.touched(quote)
        if not touched:
            return NOTHING_HAPPENED
        now_ns = self._now_ns = quote.ts_received_ns
        commands: list[Command] = []
        notes: list[Note] = []
        changed = False
        for bracket_id, touch in touched:
            bracket = self._brackets[bracket_id]
            terms = self.terms(bracket)
            step = Step(now_ns, bracket_id)
            px = quote.exit_px(bracket.side)
            try:
                after = self._manager.touched(step, bracket, terms, touch, px)
            except Surprise as surprise:
                outcome = self._freeze(bracket, terms, now_ns, surprise)
            else:
                if after == replace(bracket, last_px=px, last_px_ns=now_ns):
                    continue  # nothing came of it: an idle quote is not journalled
                outcome = self._keep(step, bracket, after, terms)
            changed = True
            commands.extend(outcome.commands)
            notes.extend(outcome.notes)
        return Outcome(tuple(commands), tuple(notes)) if changed else NOTHING_HAPPENED

    def _bars(self, event: BarsClosed) -> Outcome:
        """Tell closed bars to the brackets that live by them: one, or all of the symbol whose bars are that long."""
        commands: list[Command] = []
        notes: list[Note] = []
        changed = False
        for bracket_id in (event.bracket_id,) if event.bracket_id else tuple(self._wants_bars.get(event.symbol, ())):
            bracket = self._brackets.get(bracket_id)
            if bracket is None or bracket.phase in ENDED or bracket.levels is None:
                continue
            terms = self.terms(bracket)
            if event.interval_s not in (0, terms.policy.atr.interval_s) or event.ts_event_ns < bracket.filled_ns:
                continue  # the bar its entry filled in is not one of its own
            step = Step(event.ts_received_ns, bracket_id)
            try:
                after = self._manager.bars(step, bracket, terms, event)
            except Surprise as surprise:
                outcome = self._freeze(bracket, terms, event.ts_received_ns, surprise)
            else:
                if after == bracket:
                    continue
                outcome = self._keep(step, bracket, after, terms)
            changed = True
            commands.extend(outcome.commands)
            notes.extend(outcome.notes)
        return Outcome(tuple(commands), tuple(notes)) if changed else NOTHING_HAPPENED

    def _timer(self, event: TimerFired) -> Outcome:
        now_ns = event.ts_received_ns
        commands: list[Command] = []
        notes: list[Note] = []
        due = []
        while (due_ns := self.next_deadline_ns) is not None and due_ns <= now_ns:
            _, bracket_id = heapq.heappop(self._deadlines)
            self._due[bracket_id] = None
            due.append(bracket_id)
        for bracket_id in due:
            bracket = self._brackets[bracket_id]
            terms = self.terms(bracket)
            step = Step(now_ns, bracket_id)
            try:
                after = self._manager.timer(step, bracket, terms)
            except Surprise as surprise:
                outcome = self._freeze(bracket, terms, now_ns, surprise)
            else:
                outcome = self._keep(step, bracket, after, terms)
            commands.extend(outcome.commands)
            notes.extend(outcome.notes)
        if not due:
            return NOTHING_HAPPENED
        # A wait that is over changes what is watched, even where nothing is owed: it must be in the journal.
        return Outcome(tuple(commands), tuple(notes))

    def _by_hand(self, event: FlattenRequested | ReleaseRequested | LevelsChangeRequested) -> Outcome:
        bracket = self._brackets.get(event.bracket_id)
        if bracket is None and event.bracket_id in self._forgotten:
            raise Refused(f"bracket {event.bracket_id} has ended, long ago", code="ended")
        if bracket is None:
            raise Refused(f"there is no bracket {event.bracket_id}", code="unknown_bracket")
        if bracket.phase in ENDED:
            raise Refused(f"bracket {event.bracket_id} has ended ({bracket.phase.value})", code="ended")
        if isinstance(event, LevelsChangeRequested):
            stop_px, target_px = levels_wanted(bracket, self.terms(bracket), event)
            return self._act(
                bracket,
                event.ts_received_ns,
                lambda step, b, _: self._manager.change_levels(step, b, stop_px, target_px, event.reason),
            )
        terms = self.terms(bracket)
        step = Step(event.ts_received_ns, event.bracket_id)
        if isinstance(event, ReleaseRequested):
            after = self._manager.release(step, bracket, terms, event.reason, event.keep_orders)
            return self._keep(step, bracket, after, terms)
        try:
            after = self._manager.flatten(step, bracket, terms, event)
        except Surprise as surprise:
            return self._freeze(bracket, terms, event.ts_received_ns, surprise)
        return self._keep(step, bracket, after, terms)

    # -- keeping what came of it ----------------------------------------------------------------------------

    def _keep(self, step: Step, before: Bracket | None, after: Bracket, terms: Terms) -> Outcome:
        """Store a bracket, and with it what is watched here and when it wants to be woken."""
        bracket_id = after.bracket_id
        self._brackets[bracket_id] = after
        if self._risk.limits is not None:
            self._risk.observe(after, terms.instrument, step.now_ns)
        was_open = before is not None and before.phase not in ENDED
        is_open = after.phase not in ENDED
        if was_open != is_open:
            change = 1 if is_open else -1
            self._active += change
            if after.side is Side.SELL:
                self._open_shorts[after.symbol] = self._open_shorts.get(after.symbol, 0) + change
            if is_open:
                self._open_on_symbol.setdefault(after.symbol, {})[bracket_id] = None
            else:
                self._open_on_symbol[after.symbol].pop(bracket_id, None)
        if after.plan is Plan.PAIR_REDUCE_ONLY and is_open:
            self._pairs.setdefault(after.symbol, {})[bracket_id] = None
        elif after.symbol in self._pairs:
            self._pairs[after.symbol].pop(bracket_id, None)
        if terms.wants_bars:
            if is_open and after.levels is not None:
                self._wants_bars.setdefault(after.symbol, {})[bracket_id] = None
            elif not is_open:
                self._wants_bars.get(after.symbol, {}).pop(bracket_id, None)
        stop_px, target_px = watched_levels(after, terms, step.now_ns)
        move_px = exit_rules.watched_px(after, terms) if terms.rules else None
        if not (stop_px is target_px is move_px is None) or bracket_id in self._watching:
            self._watching[bracket_id] = None
            self._book.watch(after.symbol, bracket_id, after.side, Touch.STOP, stop_px)
            self._book.watch(after.symbol, bracket_id, after.side, Touch.TARGET, target_px)
            self._book.watch(after.symbol, bracket_id, after.side, Touch.MOVE, move_px)
            if not is_open:
                del self._watching[bracket_id]
        due_ns = next_deadline_ns(after, terms, step.now_ns)
        if due_ns != self._due.get(bracket_id):
            self._due[bracket_id] = due_ns
            if due_ns is not None:
                heapq.heappush(self._deadlines, (due_ns, bracket_id))
                if len(self._deadlines) > _FEW + 2 * len(self._due):
                    # What was put off lies about until its time has come, which may be days away.
                    self._deadlines = [(at_ns, name) for name, at_ns in self._due.items() if at_ns is not None]
                    heapq.heapify(self._deadlines)
        return Outcome(tuple(step.commands), tuple(step.notes))
