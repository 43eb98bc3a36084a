"""Exact arithmetic on prices and quantities, with rounding helpers that name their direction.

Everything here is `Decimal`; a float must be converted at the edge (see `from_float`).
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import lru_cache

ZERO = Decimal(0)
ONE = Decimal(1)

DIVISION = Context(prec=28)
"""Divisions go through one context of our own: a program that embeds us may change its own precision."""

FLOAT_DIGITS = Context(prec=12)
"""Figures that come from float64 kernels keep 12 significant digits: float noise (1e-16) must not move a tick."""


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quotient to 28 significant digits, whatever the caller's decimal context.

    >>> divide(Decimal(1), Decimal(8))
    Decimal('0.125')
    """
    return DIVISION.divide(numerator, denominator)


def from_float(value: float) -> Decimal:
    """Convert a float64 figure to Decimal at 12 significant digits, so that 0.1 + 0.2 becomes 0.3.

    >>> from_float(0.1 + 0.2)
    Decimal('0.3')
    """
    return FLOAT_DIGITS.create_decimal_from_float(value).normalize()


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above `value` (towards minus infinity).

    >>> floor_to(Decimal("29.97"), Decimal("0.1"))
    Decimal('29.9')
    """
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` that is not below `value` (towards plus infinity).

    >>> ceil_to(Decimal("97.541"), Decimal("0.05"))
    Decimal('97.55')
    """
    return (value / step).to_integral_value(ROUND_CEILING) * step


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Tell whether `value` is a whole number of `step`s.

    >>> is_multiple(Decimal("0.3"), Decimal("0.1"))
    True
    """
    return not value % step


@lru_cache(maxsize=4096)
def plain(value: Decimal) -> str:
    """Write a Decimal without exponent and without trailing zeros, as files and messages want it.

    >>> plain(Decimal("1E+2")), plain(Decimal("2.500")), plain(Decimal("0.0"))
    ('100', '2.5', '0')
    """
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
