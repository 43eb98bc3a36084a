"""An entry that is ours to send, weighed before it is: its price, its stop, its size, and what the limits say of it.

The size is worked out from the stop as it will stand at the price the entry is expected to fill at: its limit, its
trigger, or the far side of the quote it came with. Filled elsewhere, its stop lies elsewhere, and it risks otherwise.
"""

from decimal import Decimal

from msgspec.structs import replace

from grodtd.domain.capabilities import Capabilities, StopOrders
from grodtd.domain.events import BracketRequested
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.money import ONE, ZERO, is_multiple, plain
from grodtd.domain.orders import Side
from grodtd.domain.risk import Accepted, EntryTerms, RiskLimits
from grodtd.execution.levels import check_given, plan_levels
from grodtd.execution.refusal import Refusal
from grodtd.execution.risk_checks import EntryIntent, check, good_quote
from grodtd.execution.risk_state import RiskState
from grodtd.execution.sizing import size
from grodtd.execution.terms import Terms


def weigh(request: BracketRequested, terms: Terms, state: RiskState, limits: RiskLimits) -> tuple[Accepted, str]:
    """Return what an entry comes to, and the key its quantity comes from (empty: it was given). Changes nothing.

    Raises: Refused - a limit or a fact stands in its way, in words: the caller asks for less, or later.
    """
    asked = request.entry or EntryTerms()
    intent = EntryIntent(
        request.bracket_id,
        request.symbol,
        request.side,
        request.quantity,
        None,
        request.ts_received_ns,
        strategy=request.strategy,
        instrument=terms.instrument,
        equity=asked.equity,
        quote=asked.quote,
        max_active_brackets=terms.policy.bracket_orders.max_active_brackets,
    )
    found = _weighed(request, asked, intent, terms, state, limits)
    if isinstance(found, Refusal):
        raise found.error()
    return found


def _weighed(
    request: BracketRequested,
    asked: EntryTerms,
    intent: EntryIntent,
    terms: Terms,
    state: RiskState,
    limits: RiskLimits,
) -> tuple[Accepted, str] | Refusal:
    quote = good_quote(intent, state, limits)
    if isinstance(quote, Refusal):
        return quote
    refusal = _no_order(request.side, asked, quote, terms.instrument, terms.capabilities)
    if refusal is not None:
        return refusal
    side, instrument, policy = request.side, terms.instrument, terms.policy
    entry_px = expected_px(side, asked, quote)
    check_given(side, entry_px, request.stop_px, request.target_px)
    levels = plan_levels(side, entry_px, request.reading, policy, instrument, request.stop_px, request.target_px).levels
    quantity, sized_by = request.quantity, ""
    if quantity == ZERO:
        sizing = policy.sizing
        if asked.risk_per_trade is not None:
            sizing = replace(sizing, risk_per_trade=asked.risk_per_trade)
        found = size(side, entry_px, levels.stop_px, asked.equity, sizing, instrument)
        if isinstance(found, Refusal):
            return found
        quantity, sized_by = found.quantity, found.allowed_by
    answer = check(replace(intent, quantity=quantity, stop_px=levels.stop_px, entry_px=entry_px), state, limits)
    return answer if isinstance(answer, Refusal) else (answer, sized_by)


def expected_px(side: Side, asked: EntryTerms, quote: Quote) -> Decimal:
    """Return the price an entry is judged by: its limit, which is its worst; its trigger; or the quote's far side.

    >>> quote = Quote("X", Decimal(99), Decimal(101))
    >>> [plain(expected_px(Side.BUY, EntryTerms(limit_px=px), quote)) for px in (None, Decimal(100))]
    ['101', '100']
    """
    if asked.limit_px is not None:
        return asked.limit_px
    if asked.trigger_px is not None:
        return asked.trigger_px
    return quote.ask if side is Side.BUY else quote.bid


def _no_order(
    side: Side, asked: EntryTerms, quote: Quote, instrument: Instrument, capabilities: Capabilities
) -> Refusal | None:
    """Say what makes it an order no venue, or this one, would take."""
    tick = instrument.tick_size
    for name, px in (("limit_px", asked.limit_px), ("trigger_px", asked.trigger_px)):
        if px is not None and not (px.is_finite() and px > 0 and is_multiple(px, tick)):
            return Refusal(name, f"a price of {px}", f"multiples of the tick {plain(tick)}", "such a price")
    risk = asked.risk_per_trade
    if risk is not None and not (risk.is_finite() and ZERO < risk <= ONE):
        return Refusal(
            "risk_per_trade", f"{risk}", "a fraction of equity above 0 and at most 1", "0.01 for one per cent"
        )
    trigger_px, limit_px = asked.trigger_px, asked.limit_px
    if trigger_px is None:
        return None
    stops = capabilities.stop_orders
    if stops is StopOrders.NONE or (stops is StopOrders.LIMIT and limit_px is None):
        words = "no stop orders" if stops is StopOrders.NONE else "no stop orders without a limit"
        passes = "a limit or market entry" if stops is StopOrders.NONE else "the same with a limit price"
        return Refusal("trigger_px", f"{capabilities.name} has {words}", "orders the venue has", passes)
    market, word = (quote.ask, "above") if side is Side.BUY else (quote.bid, "below")
    if (trigger_px - market) * side.sign <= 0:
        return Refusal(
            "trigger_px",
            f"a {side.value} triggered at {plain(trigger_px)}, with the market at {plain(market)}",
            f"triggers {word} the market",
            f"a market entry, or a trigger {word} {plain(market)}",
        )
    if limit_px is not None and (limit_px - trigger_px) * side.sign < 0:
        beyond = "at or " + word
        return Refusal(
            "limit_px",
            f"a limit of {plain(limit_px)} with a trigger of {plain(trigger_px)}",
            f"limits {beyond} the trigger",
            f"a limit {beyond} {plain(trigger_px)}",
        )
    return None
