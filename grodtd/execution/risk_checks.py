"""Whether an entry may be sent: every limit of the account, asked in a fixed order before anything leaves.

`check` fails closed: what cannot be known (no equity, no quote, no stop) refuses, in words. The order: is it the same
request again; may the symbol be traded; is it an order the venue takes; is there a price to trust, and is the entry's
near it; what does it risk, by itself, with its symbol, with everything; how many brackets are there; what was lost
today, and in a row.

Nothing here is asked of an exit: what reduces risk is never held up. Its collar is `new_orders.collared_exit`.
"""

from decimal import Decimal

import msgspec

from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.money import ONE, ZERO, ceil_to, divide, floor_to, is_multiple, plain
from grodtd.domain.orders import Side
from grodtd.domain.policy import NS_PER_S
from grodtd.domain.risk import Accepted, RiskLimits
from grodtd.execution.refusal import Refusal
from grodtd.execution.risk_state import RiskState, why_not_good
from grodtd.execution.sizing import largest_quantity, risk_of, smallest_quantity

BPS = Decimal(10_000)
CENT = Decimal("0.01")


class EntryIntent(msgspec.Struct, frozen=True):
    """An entry somebody wants sent, with what was known when it was asked for. Prices in quote currency per unit."""

    bracket_id: str
    symbol: str
    side: Side
    quantity: Decimal
    stop_px: Decimal | None
    """The stop as it would stand, rounded."""
    now_ns: int
    entry_px: Decimal | None = None
    """The entry's limit or trigger; None at market: the last good quote's far side stands in."""
    strategy: str = "default"
    instrument: Instrument | None = None
    equity: Decimal | None = None
    """The account's value; None: it could not be told."""
    quote: Quote | None = None
    """The latest quote, where the request carries it (so that a journal repeats the answer); None: the state's."""
    max_active_brackets: int = 50
    """bracket_orders.max_active_brackets of the policy."""


class _Entry(msgspec.Struct, frozen=True):
    """An intent whose facts are all there."""

    intent: EntryIntent
    instrument: Instrument
    entry_px: Decimal
    stop_px: Decimal
    risk_money: Decimal
    notional: Decimal


def check(intent: EntryIntent, state: RiskState, limits: RiskLimits) -> Accepted | Refusal:
    """Return what the entry puts at risk, or the first limit in its way. Changes nothing: `state.accepted` counts it.

    >>> aapl = Instrument("AAPL", lot_size=Decimal(1))
    >>> last = Quote("AAPL", Decimal("187.18"), Decimal("187.20"))
    >>> intent = EntryIntent(
    ...     "B1",
    ...     "AAPL",
    ...     Side.BUY,
    ...     Decimal(600),
    ...     Decimal("183.20"),
    ...     0,
    ...     instrument=aapl,
    ...     equity=Decimal(100_000),
    ...     quote=last,
    ... )
    >>> print(check(intent, RiskState(), RiskLimits()).text)  # doctest: +NORMALIZE_WHITESPACE
    risk_limits.max_trade_risk: 600 at risk 4 each would lose 2400, and this entry would make it 2400; allowed: 0.02 of
    equity 100000 = 2000; what would pass: a quantity of at most 500
    """
    refusal = _duplicate(intent, state, limits) or _not_tradable(intent, limits)
    if refusal is not None:
        return refusal
    entry = _priced(intent, state, limits)
    if isinstance(entry, Refusal):
        return entry
    refusal = (
        _size_limits(entry, state, limits)
        or _count(intent, state)
        or _day_loss(intent, state, limits)
        or _losses_in_a_row(intent, state, limits)
    )
    if refusal is not None:
        return refusal
    return Accepted(
        intent.bracket_id,
        intent.symbol,
        intent.side,
        intent.quantity,
        intent.strategy,
        entry.risk_money,
        entry.notional,
        intent.now_ns,
        entry.stop_px,
    )


def _duplicate(intent: EntryIntent, state: RiskState, limits: RiskLimits) -> Refusal | None:
    name = intent.bracket_id
    if name in state.open or name in state.ended or any(entry.bracket_id == name for entry in state.recent):
        return Refusal("duplicate", f"bracket {name} was asked for already", "each id once", "a new bracket_id")
    since_ns = intent.now_ns - int(limits.duplicate_within_s * NS_PER_S)
    for entry in state.recent:
        same = (entry.symbol, entry.side, entry.quantity, entry.strategy) == (
            intent.symbol,
            intent.side,
            intent.quantity,
            intent.strategy,
        )
        if same and entry.ts_ns > since_ns:
            since = divide(Decimal(intent.now_ns - entry.ts_ns), Decimal(NS_PER_S))
            wait = plain(ceil_to(limits.duplicate_within_s - since, ONE))
            return Refusal(
                "risk_limits.duplicate_within_s",
                f"{entry.bracket_id} is the same {intent.side} of {plain(intent.quantity)} {intent.symbol}",
                f"one in {plain(limits.duplicate_within_s)} s",
                f"the same in {wait} s, if it is meant",
            )
    return None


def _not_tradable(intent: EntryIntent, limits: RiskLimits) -> Refusal | None:
    symbol, quantity, instrument = intent.symbol, intent.quantity, intent.instrument
    if limits.allowed_symbols is not None and symbol not in limits.allowed_symbols:
        named = ", ".join(limits.allowed_symbols) or "none"
        return Refusal("risk_limits.allowed_symbols", f"{symbol} is not allowed", named, "one of these")
    if instrument is None:
        return Refusal("instrument", f"{symbol} is not listed", "symbols of instruments.yaml", "its tick and lot there")
    lot = instrument.lot_size
    if not quantity.is_finite() or quantity <= 0 or not is_multiple(quantity, lot):
        floored = floor_to(quantity, lot) if quantity.is_finite() and quantity > lot else lot
        return Refusal("lot_size", f"a quantity of {quantity}", f"multiples of {plain(lot)}", f"{plain(floored)}")
    return None


def _priced(intent: EntryIntent, state: RiskState, limits: RiskLimits) -> _Entry | Refusal:
    """Find the price the entry is judged by, and what it risks there."""
    assert intent.instrument is not None
    quote = good_quote(intent, state, limits)
    if isinstance(quote, Refusal):
        return quote
    near = quote.ask if intent.side is Side.BUY else quote.bid
    entry_px = near if intent.entry_px is None else intent.entry_px
    if not entry_px.is_finite() or entry_px <= 0:
        return Refusal("entry_px", f"an entry at {entry_px}", "prices above zero", "a price, or none for market")
    if limits.collar_bps is not None:
        width = near * limits.collar_bps / BPS
        if abs(entry_px - near) > width:
            away = divide(abs(entry_px - near) * BPS, near)
            return Refusal(
                "risk_limits.collar_bps",
                f"{plain(entry_px)} is {plain(round(away, 1))} basis points from the last quote, {plain(near)}",
                f"{plain(limits.collar_bps)} basis points",
                f"a price from {plain(near - width)} to {plain(near + width)}",
            )
    stop_px = intent.stop_px
    if stop_px is None or not stop_px.is_finite() or stop_px <= 0:
        told = "no stop is known" if stop_px is None else f"a stop at {stop_px}"
        return Refusal("stop_px", told, "entries whose risk is known", "a stop price")
    if (entry_px - stop_px) * intent.side.sign <= 0:
        where = "below" if intent.side is Side.BUY else "above"
        return Refusal("stop_px", f"a stop at {plain(stop_px)}", f"one {where} {plain(entry_px)}", f"a stop {where} it")
    least = smallest_quantity(entry_px, stop_px, intent.instrument)
    if intent.quantity < least:
        return Refusal(
            "min_notional",
            f"{plain(intent.quantity)} could not be sold at the stop {plain(stop_px)}",
            f"orders worth {plain(intent.instrument.min_notional)}",
            f"a quantity of at least {plain(least)}",
        )
    notional = intent.quantity * entry_px * intent.instrument.contract_multiplier
    risk = risk_of(intent.quantity, entry_px, stop_px, intent.instrument)
    return _Entry(intent, intent.instrument, entry_px, stop_px, risk, notional)


def good_quote(intent: EntryIntent, state: RiskState, limits: RiskLimits) -> Quote | Refusal:
    """Return the quote an entry may be judged by, or what is wrong with the latest one."""
    symbol = intent.symbol
    quote = intent.quote if intent.quote is not None else state.quotes.get(symbol)
    doubt = why_not_good(intent.quote) if intent.quote is not None else state.doubts.get(symbol, "")
    wanted = f"a good quote of {symbol} at most {plain(limits.quote_max_age_s)} s old"
    if doubt:
        return Refusal("quote", doubt, wanted, "the same after the next good quote")
    if quote is None:
        return Refusal("quote", f"no quote of {symbol} was seen", wanted, "the same after the first quote")
    age_ns = intent.now_ns - (quote.ts_received_ns or quote.ts_event_ns)
    if age_ns > limits.quote_max_age_s * NS_PER_S:
        age = plain(round(divide(Decimal(age_ns), Decimal(NS_PER_S)), 1))
        return Refusal(
            "risk_limits.quote_max_age_s", f"the last quote is {age} s old", wanted, "the same after the next quote"
        )
    return quote


def _size_limits(entry: _Entry, state: RiskState, limits: RiskLimits) -> Refusal | None:
    """Look at value and risk; what would pass one of these limits passes all of them."""
    intent, equity = entry.intent, entry.intent.equity
    if limits.max_order_notional is not None and entry.notional > limits.max_order_notional:
        unit = entry.entry_px * entry.instrument.contract_multiplier
        fits = floor_to(divide(limits.max_order_notional, unit), entry.instrument.lot_size)
        return Refusal(
            "risk_limits.max_order_notional",
            f"{plain(intent.quantity)} at {plain(entry.entry_px)} is worth {_money(entry.notional)}",
            plain(limits.max_order_notional),
            f"a quantity of at most {plain(fits)}",
        )
    by_name = {
        "risk_limits.max_trade_risk": limits.max_trade_risk,
        "risk_limits.max_symbol_risk": limits.max_symbol_risk,
        "risk_limits.max_open_risk": limits.max_open_risk,
    }
    if equity is None or not equity.is_finite() or equity <= 0:
        for name, fraction in by_name.items():
            if fraction is not None:
                told = "not known" if equity is None else str(equity)
                return Refusal(name, f"equity is {told}", "equity above zero", "the same once the account says so")
        return None
    already: dict[str, Decimal] = {"risk_limits.max_trade_risk": ZERO}
    for name, symbol in (("risk_limits.max_symbol_risk", intent.symbol), ("risk_limits.max_open_risk", "")):
        if by_name[name] is None:
            continue
        at_risk = ZERO
        for bracket_id, other in state.open.items():
            if symbol and other.symbol != symbol:
                continue
            if other.risk_money is None:
                return Refusal(
                    name,
                    f"nobody can tell yet what {bracket_id} ({other.symbol}) risks: it has no stop",
                    "entries while every open risk is known",
                    "the same once it has filled or ended",
                )
            at_risk += other.risk_money
        already[name] = at_risk
    room = {name: equity * fraction - already[name] for name, fraction in by_name.items() if fraction is not None}
    for name, left in room.items():
        if entry.risk_money > left:
            fraction = by_name[name]
            assert fraction is not None
            return _too_risky(entry, name, already[name], fraction, min(room.values()))
    return None


def _too_risky(entry: _Entry, name: str, already: Decimal, fraction: Decimal, room: Decimal) -> Refusal:
    intent, instrument = entry.intent, entry.instrument
    assert intent.equity is not None
    fits = largest_quantity(room, entry.entry_px, entry.stop_px, instrument)
    if fits < smallest_quantity(entry.entry_px, entry.stop_px, instrument):
        passes = "the same once other brackets have ended or their stops have moved" if already else "a nearer stop"
    else:
        passes = f"a quantity of at most {plain(fits)}"
    each = plain(abs(entry.entry_px - entry.stop_px) * instrument.contract_multiplier)
    would = f"{plain(intent.quantity)} at risk {each} each would lose {_money(entry.risk_money)}"
    return Refusal(
        name,
        f"{would}, and this entry would make it {_money(already + entry.risk_money)}",
        f"{plain(fraction)} of equity {plain(intent.equity)} = {_money(intent.equity * fraction, down=True)}",
        passes,
    )


def _count(intent: EntryIntent, state: RiskState) -> Refusal | None:
    active = len(state.open)
    if active < intent.max_active_brackets:
        return None
    return Refusal(
        "bracket_orders.max_active_brackets",
        f"{active} brackets are active",
        f"{intent.max_active_brackets}",
        "an entry after one of them has ended",
    )


def _day_loss(intent: EntryIntent, state: RiskState, limits: RiskLimits) -> Refusal | None:
    if limits.max_day_loss is None:
        return None
    lost = state.lost_today(intent.now_ns)
    if not lost:
        return None
    name = "risk_limits.max_day_loss"
    sessions = limits.day_calendar is not None and bool(state.day_ends_ns)
    since = f"since {limits.day_calendar} last closed" if sessions else f"since {_clock(limits.day_rolls_at_s)} UTC"
    ends = f"{limits.day_calendar} closes" if sessions else f"the day rolls at {_clock(limits.day_rolls_at_s)} UTC"
    if intent.equity is None or not intent.equity.is_finite():
        return Refusal(name, "equity is not known", "equity above zero", "the same once the account says so")
    began_with = intent.equity + lost
    allowed = began_with * limits.max_day_loss
    if lost < allowed:
        return None
    return Refusal(
        name,
        f"{_money(lost)} were lost {since}",
        f"{plain(limits.max_day_loss)} of the {plain(began_with)} the day began with = {_money(allowed, down=True)}",
        f"an entry after {ends}, in {_span(state.next_day_ns(intent.now_ns) - intent.now_ns)}",
    )


def _losses_in_a_row(intent: EntryIntent, state: RiskState, limits: RiskLimits) -> Refusal | None:
    most = limits.max_consecutive_losses
    if most is None or state.consecutive_losses < most:
        return None
    left_ns = state.last_loss_ns + limits.cool_down_s * NS_PER_S - intent.now_ns
    if left_ns <= 0:
        return None
    return Refusal(
        "risk_limits.max_consecutive_losses",
        f"{state.consecutive_losses} brackets in a row lost",
        f"{most}, then a pause of {_span(limits.cool_down_s * NS_PER_S)}",
        f"an entry in {_span(left_ns)}",
    )


def _money(amount: Decimal, *, down: bool = False) -> str:
    """Write money to the cent, away from what would flatter it: what is risked up, what is allowed down."""
    return plain(floor_to(amount, CENT) if down else ceil_to(amount, CENT))


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"


def _span(ns: int) -> str:
    """Write a wait in minutes and seconds, rounded up.

    >>> _span(61 * NS_PER_S), _span(2 * 3600 * NS_PER_S), _span(1)
    ('1m 1s', '2h', '1s')
    """
    seconds = -(-ns // NS_PER_S)
    parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
