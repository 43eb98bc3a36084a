"""Columns of times as nanoseconds since the epoch: ISO 8601, or epoch numbers whose unit their size tells.

A time without an offset is UTC. The common forms are read at the library's speed, the rest one by one.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl

from grodtd.replay.prices import DAY_NS, EPOCH

EPOCH_UNITS_NS = ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (float("inf"), 1))
"""(below this magnitude, nanoseconds a unit): seconds, ms, us, ns, apart for times from 1973 to 5138."""

DATES_BELOW = 1e8
"""20140609 is a date in ISO's basic form; as seconds since the epoch it would be August 1970."""


def times_ns(series: pl.Series) -> pl.Series:
    """Return Int64 nanoseconds; null where there is no time, or one int64 cannot hold (before 1678, after 2261).

    `series` holds text, dates or datetimes (of any zone and precision; without a zone: UTC).

    >>> times_ns(pl.Series(["1970-01-01T00:00:01Z", "1970-01-01 00:00:02.5", "soon"])).to_list()
    [1000000000, 2500000000, None]
    """
    if isinstance(series.dtype, pl.Datetime):
        return _scaled(series.to_physical(), {"ms": 10**6, "us": 10**3, "ns": 1}[series.dtype.time_unit])
    if series.dtype == pl.Date:
        return _scaled(series.to_physical().cast(pl.Int64), DAY_NS)
    found = _epochs(series)
    for read in (_iso_times, _other_iso_times, _one_by_one):
        missing = found.is_null().arg_true()
        if len(missing):
            rest = read(series.gather(missing))
            found = rest if len(missing) == len(found) else found.scatter(missing, rest)
    return found


def _epochs(cells: pl.Series) -> pl.Series:
    """Whole numbers as nanoseconds, their unit told by the magnitude of most of them; null elsewhere."""
    numbers = cells.cast(pl.Int64, strict=False)
    factor = epoch_unit_ns(numbers)
    if factor is None:
        return numbers
    return _scaled(numbers, factor) if factor else _nulls(numbers)


def epoch_unit_ns(cells: pl.Series) -> int | None:
    """Return how many nanoseconds a column's whole numbers count; 0: they are dates; None: there are none."""
    typical = cells.cast(pl.Int64, strict=False).abs().median()
    if typical is None or not isinstance(typical, float):
        return None
    if typical < DATES_BELOW:
        return 0
    return next(factor for limit, factor in EPOCH_UNITS_NS if typical < limit)


def _nulls(like: pl.Series) -> pl.Series:
    return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(like))


def _scaled(numbers: pl.Series, factor: int) -> pl.Series:
    """Whole numbers times a factor; null where that is beyond int64."""
    reach = (2**63 - 1) // factor
    return numbers.zip_with(numbers.abs() <= reach, _nulls(numbers)) * factor


def _iso_times(cells: pl.Series) -> pl.Series:
    """The form that files of prices have, at the library's speed; null elsewhere."""
    return _parsed(cells.str.strip_suffix("Z"), "%Y-%m-%dT%H:%M:%S%.f")


def _other_iso_times(cells: pl.Series) -> pl.Series:
    """Other common ways to write a UTC time; null elsewhere."""
    bare = cells.str.replace(r"(Z|z|[+]00:?00| ?UTC)$", "").str.replace(" ", "T", literal=True)
    found = _parsed(bare, "%Y-%m-%dT%H:%M:%S%.f")
    for form in ("%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        found = found.zip_with(found.is_not_null(), _parsed(bare, form))
    return found


def _parsed(cells: pl.Series, form: str) -> pl.Series:
    found = cells.str.to_datetime(form, time_unit="ns", strict=False).to_physical()
    year = cells.str.slice(0, 4)  # int64 holds the nanoseconds of 1678 to 2261; beyond, the library wraps around
    return found.zip_with((year >= "1678") & (year <= "2261"), _nulls(found))


def _one_by_one(cells: pl.Series) -> pl.Series:
    """What the fast forms could not read: other ISO forms, other offsets, epoch seconds with a fraction."""
    return pl.Series([_time_ns(cell) for cell in cells], dtype=pl.Int64)


def _time_ns(cell: str | None) -> int | None:
    if not cell:
        return None
    try:
        if re.fullmatch(r"-?\d{9,}\.\d+", cell):
            number = Decimal(cell)
            factor = next(factor for limit, factor in EPOCH_UNITS_NS if abs(number) < limit)
            value = int(number * factor)
        else:
            moment = datetime.fromisoformat(cell)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            value = (moment - EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError):
        return None
    return value if abs(value) < 2**63 else None
