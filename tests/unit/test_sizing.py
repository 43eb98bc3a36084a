"""Position size: by hand, and never more risk than allowed, whatever the lot, the fee and the least order."""

from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.orders import Side
from grodtd.domain.risk import SizingPolicy
from grodtd.execution.refusal import Refusal
from grodtd.execution.sizing import Size, largest_quantity, risk_of, size, smallest_quantity

D = Decimal
STOCK = Instrument("AAPL")
MINI = Instrument("ES", tick_size=D("0.25"), contract_multiplier=D(50), fee_rate=D("0.00001"))
COIN = Instrument("BTC", lot_size=D("0.001"), min_notional=D(10), fee_rate=D("0.001"), fee_asset=FeeAsset.BASE)
ONE_PERCENT = SizingPolicy(risk_per_trade=D("0.01"))
STAKE = SizingPolicy(risk_per_trade=None, risk_money=D(500))

BY_HAND = [
    # what, side, entry, stop, equity, policy, instrument, quantity, risk
    ("1 % of 50 000 is 500, at 2 a share 250", Side.BUY, 100, 98, 50_000, ONE_PERCENT, STOCK, "250", "500"),
    ("a short the same", Side.SELL, 100, 102, 50_000, ONE_PERCENT, STOCK, "250", "500"),
    ("333.3 shares are 333", Side.BUY, 100, "98.5", 50_000, ONE_PERCENT, STOCK, "333", "499.5"),
    ("a fixed stake needs no equity", Side.BUY, 100, 98, None, STAKE, STOCK, "250", "500"),
    (
        "of two the smaller: 500 of stake",
        Side.BUY,
        100,
        98,
        90_000,
        SizingPolicy(risk_money=D(500)),
        STOCK,
        "250",
        "500",
    ),
    ("of two the smaller: 1 %", Side.BUY, 100, 98, 10_000, SizingPolicy(risk_money=D(500)), STOCK, "50", "100"),
    # 10 points x 50 + 0.00001 x (5000 + 4990) x 50 = 504.995 a contract
    ("a future's point is 50", Side.BUY, 5000, 4990, 150_000, ONE_PERCENT, MINI, "2", "1009.99"),
    # a coin risks 1000 + 0.001 x (50000 + 49000) = 1099, and a lot of dust 49: (500 - 49) / 1099 = 0.4103
    ("a fee in coins leaves dust", Side.BUY, 50_000, 49_000, 50_000, ONE_PERCENT, COIN, "0.410", "499.59"),
]


@pytest.mark.parametrize(
    ("side", "entry", "stop", "equity", "policy", "instrument", "quantity", "risk"),
    [row[1:] for row in BY_HAND],
    ids=[row[0] for row in BY_HAND],
)
def test_by_hand(side, entry, stop, equity, policy, instrument, quantity, risk):
    sized = size(side, D(entry), D(stop), None if equity is None else D(equity), policy, instrument)
    assert isinstance(sized, Size)
    assert (sized.quantity, sized.risk_money) == (D(quantity), D(risk))


REFUSED = [
    (
        "one contract is too much",
        (Side.BUY, D(5000), D(4990), D(50_000), ONE_PERCENT, MINI),
        (
            "sizing.risk_per_trade: 1 units, the least ES can be traded in, risk 505; allowed: a risk of 500; "
            "what would pass: a nearer stop, or an allowed risk of 505"
        ),
    ),
    (
        "what the venue takes at the stop is more than may be risked",
        (Side.BUY, D(10), D(5), None, SizingPolicy(None, D(4)), Instrument("X", lot_size=D("0.1"), min_notional=D(10))),
        (
            "sizing.risk_money: 2 units, the least X can be traded in, risk 10; allowed: a risk of 4; "
            "what would pass: a nearer stop, or an allowed risk of 10"
        ),
    ),
    (
        "nobody knows the equity",
        (Side.BUY, D(100), D(98), None, ONE_PERCENT, STOCK),
        (
            "sizing.risk_per_trade: equity is not known; allowed: equity above zero; "
            "what would pass: an account that says so"
        ),
    ),
    (
        "the account is empty",
        (Side.BUY, D(100), D(98), D(0), ONE_PERCENT, STOCK),
        "sizing.risk_per_trade: equity is 0; allowed: equity above zero; what would pass: an account that says so",
    ),
    (
        "sizing is switched off",
        (Side.BUY, D(100), D(98), D(1000), SizingPolicy(None, None), STOCK),
        (
            "sizing: no quantity was given; allowed: risk_per_trade or risk_money set; "
            "what would pass: a quantity, or one of the two keys"
        ),
    ),
    (
        "a stop on the wrong side",
        (Side.SELL, D(100), D(98), D(1000), ONE_PERCENT, STOCK),
        "stop_px: 98; allowed: a stop above the entry 100; what would pass: such a stop",
    ),
    (
        "a stop at the entry",
        (Side.BUY, D(100), D(100), D(1000), ONE_PERCENT, STOCK),
        "stop_px: 100; allowed: a stop below the entry 100; what would pass: such a stop",
    ),
    (
        "a stop that is no price",
        (Side.BUY, D(100), D("NaN"), D(1000), ONE_PERCENT, STOCK),
        "stop_px: entry 100, stop NaN; allowed: prices above zero; what would pass: an entry and a stop price",
    ),
]


@pytest.mark.parametrize(("asked", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_refusal_says_what_would_pass(asked, words):
    refused = size(*asked)
    assert isinstance(refused, Refusal)
    assert refused.text == words


def test_what_would_pass_passes():
    least = smallest_quantity(D(5000), D(4990), MINI)
    enough = risk_of(least, D(5000), D(4990), MINI)
    assert size(Side.BUY, D(5000), D(4990), None, SizingPolicy(None, enough), MINI).quantity == least


PRICES = st.decimals("0.0001", "100000", places=4)
INSTRUMENTS = st.builds(
    Instrument,
    symbol=st.just("X"),
    lot_size=st.sampled_from([D("0.00000001"), D("0.001"), D("0.3"), D(1), D(100)]),
    min_notional=st.sampled_from([D(0), D(1), D(10), D("333.33")]),
    fee_rate=st.sampled_from([D(0), D("0.00075"), D("0.01")]),
    fee_asset=st.sampled_from(FeeAsset),
    contract_multiplier=st.sampled_from([D(1), D("0.1"), D(50)]),
)


def lost(side, quantity, entry, stop, instrument):
    """Trade it, in fractions: pay for all units and all fees, get back only what can be sold at the stop."""
    q, e, s = Fraction(quantity), Fraction(entry), Fraction(stop)
    rate, lot = Fraction(instrument.fee_rate), Fraction(instrument.lot_size)
    kept, money_fee = (q * (1 - rate), 0) if instrument.fee_asset is FeeAsset.BASE else (q, q * e * rate)
    sold = kept // lot * lot
    cost = q * e + money_fee if side is Side.BUY else -(q * e) + money_fee
    proceeds = sold * s if side is Side.BUY else -(q * s)  # a short buys back every unit it owes
    return (cost - proceeds + sold * s * rate) * Fraction(instrument.contract_multiplier)


@given(st.sampled_from(Side), PRICES, PRICES, st.decimals("0.01", "10000000", places=2), INSTRUMENTS)
def test_never_more_is_lost_than_allowed_and_every_order_can_be_traded(side, entry, stop, allowed, instrument):
    assume(entry != stop)
    if (stop > entry) == (side is Side.BUY):
        entry, stop = stop, entry
    sized = size(side, entry, stop, None, SizingPolicy(None, allowed), instrument)
    if isinstance(sized, Refusal):
        return
    assert Fraction(sized.quantity) % Fraction(instrument.lot_size) == 0
    assert lost(side, sized.quantity, entry, stop, instrument) <= Fraction(sized.risk_money) <= Fraction(allowed)
    kept = sized.quantity
    if instrument.fee_asset is FeeAsset.BASE:
        kept -= kept * instrument.fee_rate
    for px in (entry, stop):
        assert instrument.sellable(kept, px) > 0


@given(st.sampled_from(Side), PRICES, PRICES, st.decimals("0.01", "10000000", places=2), INSTRUMENTS)
def test_one_lot_more_would_be_too_much(side, entry, stop, allowed, instrument):
    assume(entry != stop)
    quantity = largest_quantity(allowed, entry, stop, instrument)
    more = Fraction(quantity) + Fraction(instrument.lot_size)
    rate = Fraction(instrument.fee_rate)
    unit = abs(Fraction(entry) - Fraction(stop)) + rate * (Fraction(entry) + Fraction(stop))
    dust = Fraction(instrument.lot_size) * Fraction(stop) if rate and instrument.fee_asset is FeeAsset.BASE else 0
    assert (more * unit + dust) * Fraction(instrument.contract_multiplier) > Fraction(allowed)


@given(PRICES, PRICES, INSTRUMENTS)
def test_the_smallest_quantity_is_the_smallest(entry, stop, instrument):
    least = smallest_quantity(entry, stop, instrument)
    keep = 1 - (instrument.fee_rate if instrument.fee_asset is FeeAsset.BASE else 0)
    low = min(entry, stop)
    assert instrument.sellable((least * keep).quantize(D("1e-16"), ROUND_FLOOR), low) > 0
    assert instrument.sellable(((least - instrument.lot_size) * keep).quantize(D("1e-16"), ROUND_FLOOR), low) == 0
