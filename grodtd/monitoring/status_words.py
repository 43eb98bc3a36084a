"""How things stand, in sentences: one for a bracket, one for everything, and one for whatever else is wrong."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from grodtd.domain.bracket import ENDED, Bracket, ExitState, Phase
from grodtd.domain.money import ZERO, divide, plain
from grodtd.domain.orders import Leg, Side
from grodtd.domain.policy import Plan
from grodtd.execution.coverage import Coverage
from grodtd.monitoring.status_values import BracketStatus, Situation, Totals
from grodtd.runtime.silence import ORDERS, PRICES, Trouble

NS = 1_000_000_000
NOT_OURS = "what the account holds beside that: grodtd orphans"


def bracket_verdict(
    bracket: Bracket,
    cover: Coverage,
    protected: Decimal,
    unknown: Decimal,
    exposed: Decimal,
    now_ns: int,
    *,
    confirmed: bool,
) -> tuple[str, str]:
    """Return a bracket's level and what there is to say about it."""
    if bracket.phase in ENDED:
        return "ok", f"{bracket.phase.value.replace('_', ' ')}{_ending(bracket)}"
    naked = f" for {age_s(now_ns, bracket.naked_since_ns):g} s" if bracket.naked_since_ns is not None else ""
    if exposed and bracket.closed_until_ns is not None:
        until = f"{datetime.fromtimestamp(bracket.closed_until_ns // NS, UTC):%Y-%m-%d %H:%M:%S} UTC"
        how = f"leaving at market ({bracket.exit_reason})" if bracket.exits is ExitState.LEAVE else "armed again"
        closed = "the market is closed and holds no exit of ours"
        return (
            "warning",
            f"EXPOSED by design {plain(exposed)} of {plain(cover.sellable_qty)}: {closed}; {how} at {until}",
        )
    if exposed:
        return (
            "alarm",
            f"EXPOSED {plain(exposed)} of {plain(cover.sellable_qty)}{naked}: {_why_exposed(bracket, now_ns)}",
        )
    if unknown:
        why = "an order has no confirmed answer yet" if confirmed else "not compared with the venue yet"
        return "alarm", f"UNKNOWN {plain(unknown)} of {plain(cover.sellable_qty)}{naked}: {why}"
    if bracket.frozen_reason:
        return "warning", f"FROZEN with {plain(protected)} protected: {bracket.frozen_reason}"
    if bracket.phase is Phase.WAITING:
        return "ok", "waiting for its entry to fill"
    if bracket.exits is ExitState.LEAVE:
        return "ok", f"leaving at market ({bracket.exit_reason or 'asked for'}), {plain(protected)} on the way out"
    if not cover.sellable_qty:
        return "ok", "nothing is open; what could still fill is asked to go"
    fallback = ", by the fallback percentage" if bracket.levels is not None and bracket.levels.fallback else ""
    stop = f"stop {plain(bracket.stop_px)}" if bracket.stop_px is not None else "no stop level"
    return "ok", f"protected: {plain(protected)} behind {stop}{fallback}"


def _why_exposed(bracket: Bracket, now_ns: int) -> str:
    if bracket.frozen_reason:
        return f"frozen: {bracket.frozen_reason}"
    if bracket.exits is ExitState.LEAVE:
        wait = _wait(bracket.exit_retry_at_ns, now_ns)
        return f"leaving at market ({bracket.exit_reason}), attempt {bracket.exit_attempts}{wait}"
    if bracket.exits is ExitState.TAKE:
        return "the target is being taken: the stop went first"
    if bracket.plan is Plan.SYNTHETIC:
        return "UNPROTECTED OFFLINE: no stop rests at the venue, it is watched here while this program runs"
    if bracket.local_stop_until_ns is not None:
        left_s = max(0.0, (bracket.local_stop_until_ns - now_ns) / NS)
        return f"the venue refuses the stop: it is watched here, and after {left_s:.1f} s we leave at market"
    if bracket.stop_failures:
        times = "once" if bracket.stop_failures == 1 else f"{bracket.stop_failures} times"
        return f"the stop was refused or lost {times}{_wait(bracket.stop_retry_at_ns, now_ns)}"
    return "its stop is not in place yet"


def _wait(until_ns: int | None, now_ns: int) -> str:
    return "" if until_ns is None else f"; next try in {max(0.0, (until_ns - now_ns) / NS):.1f} s"


def _ending(bracket: Bracket) -> str:
    """Say how a bracket ended: the reason it was given up for, else the legs that got it out."""
    if bracket.exit_reason:
        return f" ({bracket.exit_reason})"
    if bracket.phase is not Phase.CLOSED:
        return ""
    legs = dict.fromkeys(order.leg.value for order in bracket.orders if order.leg is not Leg.ENTRY and order.cum_qty)
    return f" ({', '.join(legs)})" if legs else ""


def problems(situation: Situation, told: Sequence[BracketStatus]) -> list[str]:
    """Return whatever is not as it should be beside exposed and unknown quantities, a sentence each."""
    found = []
    if not situation.compared:
        why = f": {situation.compare_error}" if situation.compare_error else ""
        found.append(f"not compared with the venue since the start{why}; nothing new is sent until then")
    elif situation.compare_error:
        found.append(f"the last comparison with the venue failed: {situation.compare_error}")
    if not situation.link_up:
        found.append("the connection to the venue is down: quantities are as last known")
    if situation.journal_error:
        found.append(f"the journal cannot be written: {situation.journal_error}")
    if situation.daemon.lease_s <= 0:
        found.append(f"the lease ran out {-situation.daemon.lease_s:.0f} s ago: another instance may take over")
    if situation.stopping:
        found.append("stopping: no new brackets")
    if situation.orphans:
        found.append(f"orders of ours without a bracket at the venue: {', '.join(situation.orphans)}")
    if situation.faults:
        found.append(
            f"{len(situation.faults)} fault(s) in this program since its start; the last: {situation.faults[-1]}"
        )
    found.extend(trouble.words for trouble in situation.troubles)
    waited_for = any(bracket.open_qty > 0 for bracket in told) and not situation.last_quote_ns
    if waited_for and all(trouble.name != PRICES for trouble in situation.troubles):
        found.append("no quote has come yet: levels watched here cannot trigger")
    found.extend(f"a fill by another hand is NOT protected: {fill}" for fill in situation.unprotected_fills)
    found.extend(f"{bracket.bracket_id}: {bracket.verdict}" for bracket in told if bracket.level == "warning")
    return found


def verdict(
    totals: Totals,
    told: Sequence[BracketStatus],
    problems: Sequence[str],
    unprotected_fills: Sequence[str] = (),
    silent: Sequence[Trouble] = (),
) -> tuple[str, str]:
    """Return the level of everything, and the one sentence a status begins with."""
    for word, quantity in (("EXPOSED", "exposed_qty"), ("UNKNOWN", "unknown_qty")):
        hit = [bracket for bracket in told if bracket.level == "alarm" and getattr(bracket, quantity)]
        if hit:
            worst = max(hit, key=lambda bracket: bracket.seconds_naked)
            parts = ", ".join(f"{plain(q)} {symbol}" for symbol, q in _by_symbol(hit, quantity).items())
            return "alarm", f"{word}: {parts}, naked for {worst.seconds_naked:g} s (worst: {worst.bracket_id})"
    if unprotected_fills:
        return "alarm", f"EXPOSED: a fill by another hand is not protected: {unprotected_fills[0]}"
    level, rest = _at_rest(totals, told, problems)
    if any(trouble.name == ORDERS for trouble in silent):
        return "alarm", f"SILENT: {silent[0].words}"
    return level, f"SILENT: {silent[0].words}; {rest}" if silent else rest


def _at_rest(totals: Totals, told: Sequence[BracketStatus], problems: Sequence[str]) -> tuple[str, str]:
    """Return level and sentence where nothing is exposed or unknown."""
    level = "warning" if problems else "ok"
    if not totals.open_brackets:
        return level, f"no bracket is open; {NOT_OURS}"
    if not totals.open_qty:
        return level, f"{totals.open_brackets} bracket(s) wait, none holds anything; {NOT_OURS}"
    held_over = [bracket for bracket in told if bracket.exposed_qty]
    if held_over:
        parts = ", ".join(f"{plain(q)} {symbol}" for symbol, q in _by_symbol(held_over, "exposed_qty").items())
        return level, f"EXPOSED by design while the market is closed: {parts}"
    parts = ", ".join(f"{plain(q)} {symbol}" for symbol, q in _by_symbol(told, "protected_qty").items())
    return level, f"all protected: {parts}" if parts else "all that is open is too little to sell"


def _by_symbol(told: Sequence[BracketStatus], quantity: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for bracket in told:
        value = getattr(bracket, quantity)
        if value:
            sums[bracket.symbol] = sums.get(bracket.symbol, ZERO) + value
    return sums


def ruler(bracket: BracketStatus, width: int = 28) -> str:
    """Draw stop, entry (+), price (o) and target on one line, the stop always left; empty before there are levels.

    A price beyond an end stands outside the brackets. Without a target the right end is two risks from the entry.
    """
    stop, entry = bracket.stop_px, bracket.entry_px
    if stop is None or entry is None or width < 3:
        return ""
    target = bracket.target_px
    sign = Side(bracket.side).sign
    far = target if target is not None else entry + sign * 2 * abs(entry - stop)
    if (far - stop) * sign <= 0:
        return f"{plain(stop)} .. {plain(far)}"
    cells = ["-"] * width

    def at(px: Decimal) -> int:
        return int(divide((px - stop) * sign * (width - 1), (far - stop) * sign).to_integral_value())

    if 0 <= at(entry) < width:
        cells[at(entry)] = "+"
    before = after = ""
    if bracket.last_px is not None:
        place = at(bracket.last_px)
        if place < 0:
            before = "o "
        elif place >= width:
            after = " o"
        else:
            cells[place] = "o"
    end = f"] {plain(target)}" if target is not None else ">"
    return f"{plain(stop)} {before}[{''.join(cells)}{end}{after}"


def age_s(now_ns: int, then_ns: int) -> float:
    """Return the seconds between two times, to the millisecond, never below 0: a clock may step back."""
    return max(0.0, round((now_ns - then_ns) / NS, 3))
