"""What a trade's policy does while it is open: its stop ratchets, its targets come in steps, its time runs out.

Each function takes a bracket and a fact and returns the bracket; the manager settles it afterwards, so resting orders
follow. Bars are told when they close; quotes only where the policy asks for that; times are deadlines.
"""

from bisect import bisect_right
from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket, ExitState, Phase
from grodtd.domain.capabilities import Amend
from grodtd.domain.events import BarsClosed
from grodtd.domain.notes import NoteKind
from grodtd.domain.orders import Leg, Side
from grodtd.domain.policy import Plan, RatchetOn, Rest, seconds_ns
from grodtd.execution.coverage import Coverage, is_valid_stop
from grodtd.execution.ladder import leave
from grodtd.execution.scale_out import next_part, plan_rungs
from grodtd.execution.terms import Step, Terms
from grodtd.execution.trailing import better, gain, next_move_px, wanted

TIME, SESSION = "time", "session"
"""Exit reasons of a trade that has had its time."""


def begin(step: Step, bracket: Bracket, terms: Terms) -> Bracket:
    """Set up what the policy follows, once the levels are set: its targets, its best price, its end."""
    levels, policy = bracket.levels, terms.policy
    assert levels is not None
    if not policy.scale_out.is_plain:
        rungs = plan_rungs(bracket.side, levels, policy.scale_out, terms.instrument.tick_size)
        if policy.scale_out.rest is Rest.RUN:
            bracket = replace(bracket, levels=replace(levels, target_px=None))  # the ratio's is nobody's target
        bracket = replace(bracket, rungs=rungs, target_px=rungs[0].px)
        step.tell(
            NoteKind.TARGETS_SET,
            targets=", ".join(
                f"{rung.fraction} at {rung.px if rung.px is not None else 'no target'}" for rung in rungs
            ),
        )
    if policy.moves_stop:
        bracket = replace(bracket, best_px=levels.entry_px)
    leave_at_ns, why = _end_of_time(terms, step.now_ns)
    return replace(bracket, filled_ns=step.now_ns, leave_at_ns=leave_at_ns, leave_why=why)


def _end_of_time(terms: Terms, now_ns: int) -> tuple[int | None, str]:
    """Return when a trade that begins now has had its time, and why; (None, "") when never."""
    rule = terms.policy.time_exit
    ends: list[tuple[int, str]] = []
    if rule.after_s is not None:
        ends.append((now_ns + seconds_ns(rule.after_s), TIME))
    lead_ns = seconds_ns(rule.session_end_lead_s)
    for asked, times in ((rule.at_session_end, terms.session_ends_ns), (rule.before_weekend, terms.weekend_ns)):
        if asked:
            index = bisect_right(times, now_ns + lead_ns)
            ends += [(end_ns - lead_ns, SESSION) for end_ns in times[index : index + 1]]
    return min(ends) if ends else (None, "")


def bars_closed(step: Step, bracket: Bracket, terms: Terms, event: BarsClosed) -> Bracket:
    """Count closed bars, leave if the trade has had its time, else let its stop come nearer.

    Of a quote told between two closes (`bars` 0, as a replay does) only the best price counts.
    """
    long = bracket.side is Side.BUY
    latest_px = event.bid_high if long else event.ask_low
    stretch_px = event.best_bid if long else event.best_ask
    close_px = event.bid_close if long else event.ask_close
    bracket = replace(
        bracket,
        bars_held=bracket.bars_held + event.bars,
        atr_px=event.atr_px if event.atr_px is not None else bracket.atr_px,
        best_px=_best(bracket, latest_px if stretch_px is None else better(bracket.side, latest_px, stretch_px)),
    )
    if bracket.exits is ExitState.LEAVE or bracket.phase is not Phase.OPEN:
        return bracket
    words = _time_is_up(bracket, terms, close_px) if event.bars else ""
    if words:
        bracket = replace(bracket, last_px=close_px, last_px_ns=step.now_ns)
        return leave(step, bracket, TIME, words)
    if terms.policy.ratchet.on is RatchetOn.QUOTE:
        return _move_in_time(step, bracket, terms)
    return move(step, bracket, terms, latest_px)


def _best(bracket: Bracket, px: Decimal) -> Decimal | None:
    return bracket.best_px if bracket.best_px is None else better(bracket.side, bracket.best_px, px)


def _time_is_up(bracket: Bracket, terms: Terms, close_px: Decimal) -> str:
    """Say why the trade leaves at this bar's close, by bars counted; empty: it stays. Times are deadlines."""
    rule, held, levels = terms.policy.time_exit, bracket.bars_held, bracket.levels
    if rule.after_bars is not None and held >= rule.after_bars:
        return f"{held} bars held, time_exit.after_bars is {rule.after_bars}"
    limit = rule.unprofitable_after_bars
    if limit is None or held < limit or levels is None or gain(bracket.side, levels.entry_px, close_px) > 0:
        return ""
    return f"not in profit after {held} bars, time_exit.unprofitable_after_bars is {limit}"


def _words(why: str) -> str:
    return "the session ends" if why == SESSION else "the trade has had its time (time_exit.after)"


def quoted(step: Step, bracket: Bracket, terms: Terms, px: Decimal) -> Bracket:
    """The exit-side price reached one at which the stop moves: now, or as soon as the last move is old enough."""
    bracket = replace(bracket, best_px=_best(bracket, px), last_px=px, last_px_ns=step.now_ns)
    return _move_in_time(step, bracket, terms)


def _move_in_time(step: Step, bracket: Bracket, terms: Terms) -> Bracket:
    at_ns = bracket.moved_ns + _between_moves_ns(bracket, terms)
    if bracket.moved_ns and step.now_ns < at_ns:
        return bracket if bracket.move_at_ns == at_ns else replace(bracket, move_at_ns=at_ns)
    return move(step, bracket if bracket.move_at_ns is None else replace(bracket, move_at_ns=None), terms)


def _between_moves_ns(bracket: Bracket, terms: Terms) -> int:
    """Return how long a move by quotes waits for the one before: the policy's interval.

    Where a stop moves by being cancelled and placed again, it is the interval for each of these requests: several stops
    would else use up what protection needs.
    """
    interval_ns = seconds_ns(terms.policy.ratchet.min_interval_s)
    if terms.capabilities.amend in (Amend.IN_PLACE, Amend.REPLACE):
        return interval_ns
    stops = sum(order.leg is Leg.STOP and order.alive for order in bracket.orders)
    return interval_ns * max(1, 2 * stops)


def on_time(step: Step, bracket: Bracket, terms: Terms) -> Bracket:
    """A deadline has come: leave if it is the trade's, move the stop if that was put off until now."""
    if bracket.leave_at_ns is not None and step.now_ns >= bracket.leave_at_ns:
        why = bracket.leave_why
        bracket = replace(bracket, leave_at_ns=None)
        if bracket.phase is Phase.OPEN and bracket.exits is not ExitState.LEAVE:
            return leave(step, bracket, why, _words(why))
    if bracket.move_at_ns is not None and step.now_ns >= bracket.move_at_ns:
        return move(step, replace(bracket, move_at_ns=None), terms)
    return bracket


def move(step: Step, bracket: Bracket, terms: Terms, latest_px: Decimal | None = None) -> Bracket:
    """Let the stop come nearer, if its rules say so. A frozen bracket keeps the stop it has."""
    if bracket.frozen_reason or bracket.phase is not Phase.OPEN or bracket.exits is ExitState.LEAVE:
        return bracket
    found = wanted(bracket, terms, latest_px)
    if found is None:
        return bracket
    step.tell(
        NoteKind.STOP_MOVED,
        stop_px=found.stop_px,
        was_stop_px=bracket.stop_px,
        why=found.why,
        best_px=bracket.best_px,
        atr_px=bracket.atr_px,
    )
    held = bracket.held_stop_px if bracket.held_stop_px is not None else bracket.stop_px
    return replace(
        bracket,
        stop_px=found.stop_px,
        stop_why=found.why,
        held_stop_px=held if bracket.plan is not Plan.SYNTHETIC else None,
        moved_ns=step.now_ns,
        move_at_ns=None,
    )


def watched_px(bracket: Bracket, terms: Terms) -> Decimal | None:
    """Return the exit-side price at which a quote moves the stop; None where quotes do not."""
    policy = terms.policy
    if policy.ratchet.on is not RatchetOn.QUOTE or not policy.moves_stop:
        return None
    if bracket.phase is not Phase.OPEN or bracket.exits is not ExitState.GUARD or bracket.frozen_reason:
        return None
    if bracket.closed_until_ns is not None:
        return None  # what is quoted while the market is closed moves nothing
    step = bracket.side.sign * max(policy.ratchet.step_ticks, 1) * terms.instrument.tick_size
    if bracket.move_at_ns is None and bracket.stop_px is not None and wanted(bracket, terms) is not None:
        return bracket.stop_px + step  # it may move by what is known already: any price will do
    px = next_move_px(bracket, terms)
    if px is None or bracket.move_at_ns is None or bracket.best_px is None:
        return px
    return better(bracket.side, px, bracket.best_px + step)


def next_target(bracket: Bracket, terms: Terms, cover: Coverage) -> Bracket:
    """Keep `target_px` at the nearest target that is not sold out."""
    part = next_part(bracket, terms, cover)
    px = part.px if part is not None else None
    return bracket if px == bracket.target_px else replace(bracket, target_px=px)


def move_target(bracket: Bracket, px: Decimal | None) -> Bracket:
    """Put the nearest target that is not sold out elsewhere."""
    index = next((i for i, rung in enumerate(bracket.rungs) if rung.px == bracket.target_px), 0)
    moved = replace(bracket.rungs[index], px=px)
    return replace(bracket, rungs=(*bracket.rungs[:index], moved, *bracket.rungs[index + 1 :]))


def held_again(bracket: Bracket) -> Bracket:
    """Forget the level held meanwhile, once every living stop stands at the new one."""
    moved = replace(bracket, held_stop_px=None)
    for order in bracket.orders:
        if order.leg.value == "stop" and order.alive and not is_valid_stop(order, moved):
            return bracket
    return moved
