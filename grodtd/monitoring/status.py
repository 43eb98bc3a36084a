"""What matters now, for whoever looks after an account: what is protected, what is exposed, what nobody knows.

Pure: a `Situation` in, a `Status` out. Quantities are units, ages seconds. For every open bracket

    sellable = protected + unknown + exposed

*protected* rests at the venue as a stop at or tighter than the level in force, or leaves by an exit on its way;
*unknown* is covered by an order whose fate the venue has not confirmed; *exposed* is covered by nothing. Before the
first comparison with the venue nothing is confirmed, so nothing counts as protected.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from grodtd.domain.bracket import ENDED, Bracket, LegOrder, OrderState
from grodtd.domain.market import Quote
from grodtd.domain.money import ZERO, divide, plain
from grodtd.domain.notes import Note, Severity
from grodtd.domain.orders import Leg, TimeInForce
from grodtd.execution.coverage import measure
from grodtd.execution.terms import Terms
from grodtd.monitoring import status_words as words
from grodtd.monitoring.status_values import (
    Alarm,
    BracketStatus,
    Order,
    Situation,
    Status,
    SymbolStatus,
    Totals,
    Unresolved,
)
from grodtd.monitoring.status_words import NS, age_s
from grodtd.runtime.silence import ORDERS, PRICES, Trouble


def status_of(situation: Situation) -> Status:
    """Say how things stand."""
    now_ns = situation.now_ns
    told = [
        bracket_status(
            bracket,
            situation.terms_of(bracket),
            now_ns,
            situation.quotes.get(bracket.symbol),
            confirmed=situation.compared,
        )
        for bracket in situation.brackets
        if bracket.phase not in ENDED
    ]
    unresolved = tuple(
        Unresolved(bracket.bracket_id, order.client_order_id, order.state.value, age_s(now_ns, order.asked_ns))
        for bracket in situation.brackets
        for order in bracket.orders
        if order.alive and order.state is not OrderState.WORKING
    )
    totals = _totals(told)
    problems = words.problems(situation, told)
    silent = [trouble for trouble in situation.troubles if trouble.serious and trouble.name in (ORDERS, PRICES)]
    level, verdict = words.verdict(totals, told, problems, situation.unprotected_fills, silent)
    return Status(
        level=level,
        verdict=verdict,
        totals=totals,
        seconds_naked=max((bracket.seconds_naked for bracket in told), default=0.0),
        last_quote_age_s=age_s(now_ns, situation.last_quote_ns) if situation.last_quote_ns else None,
        last_report_age_s=age_s(now_ns, situation.last_report_ns) if situation.last_report_ns else None,
        unresolved=unresolved,
        problems=tuple(problems),
        brackets=tuple(told),
        symbols=_symbols(situation, told),
        entries_paused=situation.entries_paused,
        link_up=situation.link_up,
        compared=situation.compared,
        orphans=tuple(situation.orphans),
        alarms=tuple(situation.alarms),
        feed=situation.feed,
        silent=tuple(_stream(trouble) for trouble in silent),
        snapshot_error=situation.snapshot_error,
        clock_off_s=None if situation.clock_off_s is None else round(situation.clock_off_s, 3),
        daemon=situation.daemon,
    )


def bracket_status(
    bracket: Bracket, terms: Terms, now_ns: int, quote: Quote | None = None, *, confirmed: bool = True
) -> BracketStatus:
    """Say how one bracket stands; not `confirmed`: nothing was compared with the venue yet."""
    cover = measure(bracket, terms)
    ended = bracket.phase in ENDED
    sellable = ZERO if ended else cover.sellable_qty
    unsure = _unsure_exits(bracket)
    protected = min(sellable, max(ZERO, cover.protected_qty - unsure))
    unknown = min(sellable - protected, max(ZERO, cover.stop_qty - cover.resting_qty) + unsure)
    exposed = sellable - protected - unknown
    if not confirmed:
        protected, unknown = ZERO, protected + unknown
    px = quote.exit_px(bracket.side) if quote is not None else bracket.last_px
    levels = bracket.levels
    level, verdict = words.bracket_verdict(bracket, cover, protected, unknown, exposed, now_ns, confirmed=confirmed)
    return BracketStatus(
        bracket_id=bracket.bracket_id,
        symbol=bracket.symbol,
        side=bracket.side.value,
        strategy=bracket.strategy,
        phase=bracket.phase.value,
        level=level,
        verdict=verdict,
        open_qty=_short(cover.open_qty),
        protected_qty=_short(protected),
        unknown_qty=_short(unknown),
        exposed_qty=_short(exposed),
        residue_qty=_short(cover.open_qty - cover.sellable_qty if cover.open_qty > 0 else ZERO),
        seconds_naked=age_s(now_ns, bracket.naked_since_ns) if bracket.naked_since_ns is not None else 0.0,
        naked_total_s=round(bracket.naked_ns / NS, 3),
        entry_px=_short(levels.entry_px) if levels else None,
        stop_px=_maybe(bracket.stop_px),
        target_px=_maybe(bracket.target_px),
        last_px=_maybe(px),
        r_now=_r_now(bracket, px),
        plan=bracket.plan.value,
        plan_reason=bracket.plan_reason,
        fallback=levels.fallback if levels else False,
        atr_px=_maybe(levels.atr_px) if levels else None,
        ratio=_maybe(levels.ratio) if levels else None,
        policy=bracket.policy_fingerprint,
        frozen_reason=bracket.frozen_reason,
        exit_reason=bracket.exit_reason,
        opened_ns=bracket.opened_ns,
        closed_ns=bracket.closed_ns,
        orders=tuple(_order(order, now_ns) for order in bracket.orders),
    )


def as_data(status: Status) -> dict[str, Any]:
    """Return a status as plain data, decimals as text, each bracket with its ruler."""
    data: dict[str, Any] = msgspec.to_builtins(status)
    data["brackets"] = [bracket_data(bracket) for bracket in status.brackets]
    return data


def bracket_data(bracket: BracketStatus) -> dict[str, Any]:
    """Return a bracket's status as plain data, decimals as text, with its ruler."""
    return {**msgspec.to_builtins(bracket), "ruler": words.ruler(bracket)}


def alarm_of(note: Note, sentence: str) -> Alarm | None:
    """Keep a note that is a warning or worse, in the words given; None for any other."""
    if note.severity is Severity.INFO:
        return None
    return Alarm(note.ts_ns, note.bracket_id, note.severity.value, sentence)


def _totals(told: Sequence[BracketStatus]) -> Totals:
    return Totals(
        open_brackets=len(told),
        exposed_brackets=sum(1 for bracket in told if bracket.exposed_qty),
        unknown_brackets=sum(1 for bracket in told if bracket.unknown_qty),
        open_qty=_sum(told, "open_qty"),
        protected_qty=_sum(told, "protected_qty"),
        unknown_qty=_sum(told, "unknown_qty"),
        exposed_qty=_sum(told, "exposed_qty"),
    )


def _symbols(situation: Situation, told: Sequence[BracketStatus]) -> tuple[SymbolStatus, ...]:
    names = dict.fromkeys([*(bracket.symbol for bracket in told), *situation.quotes])
    found = []
    for symbol in names:
        own = [bracket for bracket in told if bracket.symbol == symbol]
        quote = situation.quotes.get(symbol)
        found.append(
            SymbolStatus(
                symbol=symbol,
                brackets=len(own),
                open_qty=_sum(own, "open_qty"),
                protected_qty=_sum(own, "protected_qty"),
                unknown_qty=_sum(own, "unknown_qty"),
                exposed_qty=_sum(own, "exposed_qty"),
                bid=_short(quote.bid) if quote else None,
                ask=_short(quote.ask) if quote else None,
                quote_age_s=age_s(situation.now_ns, quote.ts_received_ns) if quote and quote.ts_received_ns else None,
                warmth=tuple(warmth for warmth in situation.warmths if warmth.symbol == symbol),
            )
        )
    return tuple(found)


def _sum(told: Sequence[BracketStatus], quantity: str) -> Decimal:
    return _short(sum((getattr(bracket, quantity) for bracket in told), ZERO))


def _unsure_exits(bracket: Bracket) -> Decimal:
    """Leaves of marketable exits whose fate is not known: on their way, perhaps."""
    return sum(
        (
            order.leaves_qty
            for order in bracket.orders
            if order.state is OrderState.UNSURE
            and (order.leg is Leg.EXIT or (order.leg is Leg.TARGET and order.time_in_force is TimeInForce.IOC))
        ),
        ZERO,
    )


def _r_now(bracket: Bracket, px: Decimal | None) -> Decimal | None:
    levels = bracket.levels
    if levels is None or px is None or not levels.risk:
        return None
    return divide((px - levels.entry_px) * bracket.side.sign, levels.risk).quantize(Decimal("0.01"))


def _order(order: LegOrder, now_ns: int) -> Order:
    return Order(
        client_order_id=order.client_order_id,
        leg=order.leg.value,
        state=order.state.value,
        side=order.side.value,
        order_type=order.order_type.value,
        quantity=_short(order.quantity),
        filled_qty=_short(order.cum_qty),
        leaves_qty=_short(order.leaves_qty),
        stop_px=_maybe(order.stop_px),
        limit_px=_maybe(order.limit_px),
        age_s=age_s(now_ns, max(order.asked_ns, order.sent_ns)),
        reason=order.reason,
    )


def _stream(silent: Trouble) -> str:
    name = silent.name.removesuffix("_silent")
    return f"{name}:{silent.about}" if silent.about else name


def _short(value: Decimal) -> Decimal:
    return Decimal(plain(value))


def _maybe(value: Decimal | None) -> Decimal | None:
    return None if value is None else _short(value)
