"""What the door is asked, before the engine sees it: an entry as a value, and what is no number, price or side."""

from decimal import Decimal

import msgspec

from grodtd.domain.errors import Refused
from grodtd.domain.ids import bracket_id_of_entry, check_bracket_id
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy


class EntryRequest(msgspec.Struct, frozen=True):
    """A whole trade somebody wants: its entry sent, its fills protected. Prices in quote currency per unit."""

    bracket_id: str
    """Names the trade: asked for twice under one name, it is opened once."""
    symbol: str
    side: Side
    quantity: Decimal | None = None
    """Units; None: as many as the risk allows."""
    risk_per_trade: Decimal | None = None
    """Fraction of equity to lose at the stop, in place of the policy's; only without a quantity."""
    limit_px: Decimal | None = None
    """Enter at this price or better; None: at market."""
    trigger_px: Decimal | None = None
    """Enter once the market has risen (for a short: fallen) to this price."""
    stop_px: Decimal | None = None
    """None: from ATR and policy."""
    target_px: Decimal | None = None
    strategy: str = "default"
    condition: str | None = None
    policy: Policy | None = None
    """A policy of its own, in place of its strategy's."""


def check_request(asked: EntryRequest) -> None:
    """Refuse what no account could carry out. Raises: Refused."""
    check_bracket_id(asked.bracket_id)
    check_side(asked.side)
    if asked.quantity is not None:
        check_amount("quantity", asked.quantity, "bad_quantity")
        if asked.risk_per_trade is not None:
            raise Refused("give a quantity or a risk, not both: the risk decides the quantity", code="bad_quantity")
    if asked.risk_per_trade is not None:
        check_amount("risk_per_trade", asked.risk_per_trade, "bad_quantity")
    check_prices(limit_px=asked.limit_px, trigger_px=asked.trigger_px, stop_px=asked.stop_px, target_px=asked.target_px)


def name_of(bracket_id: str | None, source_id: str | None, source: str) -> str:
    """Return the bracket's name: the one given, else one that follows from an id the caller's broker knows."""
    if bracket_id is not None:
        return check_bracket_id(bracket_id)
    if not source_id:
        raise Refused(
            f"give bracket_id or {source}: without a name the same request made twice would protect twice", code="no_id"
        )
    return check_bracket_id(bracket_id_of_entry(source_id))


def check_number(what: str, value: object, code: str) -> Decimal | None:
    """Return a Decimal that is a number, or None for None. Raises: Refused."""
    if value is None:
        return None
    if not isinstance(value, Decimal):
        kind = type(value).__name__
        raise Refused(f'{what} {value!r} is of type {kind}: give a Decimal, Decimal("187.20")', code=code)
    if not value.is_finite():
        raise Refused(f"{what} is {value}: give a number", code=code)
    return value


def check_amount(what: str, value: object, code: str) -> None:
    """Refuse what is no quantity or price of a trade. Raises: Refused."""
    number = check_number(what, value, code)
    if number is None or number <= 0:
        raise Refused(f"{what} is {number}: give a number above zero", code=code)


def check_prices(**prices: Decimal | None) -> None:
    """Refuse a level that is no price; None is one that was not given. Raises: Refused."""
    for what, px in prices.items():
        if px is not None:
            check_amount(what, px, "bad_price")


def check_side(side: object) -> None:
    """Refuse a side that is none: a word taken for one would be read as a short. Raises: Refused."""
    if not isinstance(side, Side):
        raise Refused(f"side is {side!r}: give Side.BUY for a long, Side.SELL for a short", code="bad_side")
