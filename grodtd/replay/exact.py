"""Prices as whole numbers of the smallest power of ten that writes each of them exactly."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal

import numpy as np

from grodtd.replay.prices import Floats, Ints

MOST_DECIMALS = 12
EXACT_FLOAT = 1e15
"""float64 tells decimals of up to 15 digits apart; beyond that a price is taken from its text."""
MOST_UNITS = 2**61
"""Bid and ask are added for the mid, low is taken from high for the range: int64 must hold that."""
WIDE = Context(prec=60)


class TooManyDigitsError(ValueError):
    """A price needs more digits than an int64 holds beside the others' decimals: its column, row and decimals."""

    def __init__(self, column: str, row: int, places: int) -> None:
        """Keep where it stands."""
        super().__init__(f"{column}, row {row}: too many digits beside {places} decimals")
        self.column, self.row, self.places = column, row, places


def exact_units(
    columns: Mapping[str, Floats], text_of: Callable[[str], Sequence[str]]
) -> tuple[Decimal, dict[str, Ints]]:
    """Return the unit, and every column in it, int64.

    `columns` are float64, finite, above 0, of one length of at least 1; `text_of(column)` gives a column's cells as
    written, and is asked only when prices have more digits than float64 tells apart.

    Raises: TooManyDigitsError - the file's prices must be rounded by whoever supplied them.

    >>> unit, units = exact_units({"close": np.array([611.78, 611.9])}, lambda name: [])
    >>> unit, units["close"].tolist()
    (Decimal('0.01'), [61178, 61190])
    """
    largest = max(float(values.max()) for values in columns.values())
    for places in range(MOST_DECIMALS + 1):
        scale = 10.0**places
        if largest * scale > EXACT_FLOAT:
            break
        # A price of that many decimals, read correctly rounded, is the quotient of two whole numbers float64 holds.
        if all(bool((np.rint(values * scale) / scale == values).all()) for values in columns.values()):
            units = {name: np.rint(values * scale).astype(np.int64) for name, values in columns.items()}
            return Decimal(1).scaleb(-places), units
    return _from_text({name: [Decimal(cell) for cell in text_of(name)] for name in columns})


def _from_text(columns: Mapping[str, Sequence[Decimal]]) -> tuple[Decimal, dict[str, Ints]]:
    places = max(decimals(price) for prices in columns.values() for price in prices)
    units = {}
    for name, prices in columns.items():
        scaled = [int(price.scaleb(places, WIDE)) for price in prices]
        if max(scaled) > MOST_UNITS:
            raise TooManyDigitsError(name, next(i for i, value in enumerate(scaled) if value > MOST_UNITS), places)
        units[name] = np.array(scaled, dtype=np.int64)
    return Decimal(1).scaleb(-places), units


def decimals(value: Decimal) -> int:
    """Return how many decimals it takes to write `value`, trailing zeros left out.

    >>> decimals(Decimal("1.2500")), decimals(Decimal("100"))
    (2, 0)
    """
    exponent = value.normalize(WIDE).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
